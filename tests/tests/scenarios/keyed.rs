//! Calls of the API under an `Idempotency-Key`: one that comes again late does nothing more, whatever became of what it was about.

use crate::routing::policies;
use serde_json::{Value, json};
use sluice_tests::stack::http::Answer;
use sluice_tests::stack::{Running, Setup};

/// A call as admin under a key; all is quiet afterwards.
pub(crate) async fn under(run: &Running, key: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", run.token);
    let headers =
        [("content-type", "application/json"), ("authorization", bearer.as_str()), ("idempotency-key", key)];
    let answer = run.send("POST", path, &headers, body.to_string().as_bytes()).await;
    run.settle().await;
    answer
}

fn acts(lead: &Value) -> Vec<&str> {
    lead["acts"].as_array().unwrap().iter().filter_map(|act| act["what"].as_str()).collect()
}

#[tokio::test]
async fn an_act_that_found_nothing_to_do_does_nothing_when_it_comes_again_after_the_lead_has_changed() {
    let rules = "  - name: all\n    assign: { rep: one }\n";
    let run = Setup::policies(policies(&["one", "two"], &[], rules)).start().await;
    let lead = run.lead(&[("email", "work@person.example")]).await;
    let path = |what: &str| format!("/api/leads/{lead}/{what}");
    assert_eq!(run.api("POST", &path("accept"), Some(json!({}))).await.0, 200);
    run.settle().await;

    // Accepted already, and given to whoever has it: nothing to do, and nothing but the lead's own line is written.
    let before = run.table();
    let nothing = [("accept", json!({})), ("reassign", json!({"rep": "one"}))];
    for (what, body) in &nothing {
        let answer = under(&run, what, &path(what), body).await;
        assert_eq!((answer.status, &answer.json()["work"]), (200, &json!("accepted")), "{what}");
        assert_eq!(acts(&answer.json()), ["accept"], "{what}");
    }
    let after = run.table();
    assert!(before.keys().eq(after.keys()), "nothing is kept beside it");
    let changed: Vec<_> = after.iter().filter(|(key, item)| before[*key] != **item).collect();
    assert!(changed.len() == 1 && changed[0].0.0 == lead, "{changed:#?}");

    // The lead moves on, and the same calls come again.
    let given = run.api("POST", &path("reassign"), Some(json!({"rep": "two"}))).await;
    assert_eq!((given.0, &given.1["work"]), (200, &json!("open")), "{:#}", given.1);
    run.settle().await;
    let moved = run.table();
    for (what, body) in &nothing {
        let answer = under(&run, what, &path(what), body).await;
        let view = answer.json();
        assert_eq!((answer.status, &view["work"], &view["owner"]), (200, &json!("open"), &json!("two")));
        assert_eq!(acts(&view), ["accept", "reassign"], "{what}");
    }
    assert_eq!(run.table(), moved);

    // Such a key is good for nothing else, and another one acts.
    under(&run, "accept", &path("accept"), &json!({"reason": "so"}))
        .await
        .is_problem(409, "idempotency-key-reused");
    under(&run, "accept", &path("close"), &json!({})).await.is_problem(409, "idempotency-key-reused");
    let answer = under(&run, "other", &path("accept"), &json!({})).await;
    assert_eq!((answer.status, &answer.json()["work"]), (200, &json!("accepted")));
    run.finish().await;
}

#[tokio::test]
async fn a_word_on_what_is_settled_is_taken_once_under_its_key_and_another_is_refused() {
    let rules = "  - name: all\n    assign: { rep: one }\n";
    let run = Setup::policies(policies(&["one"], &[], rules)).start().await;
    let lead = run.lead(&[("email", "work@person.example")]).await;
    let path = format!("/api/leads/{lead}/qualify");
    let roof = json!({"need": "a new roof"});
    let first = under(&run, "q", &path, &roof).await;
    assert_eq!(first.status, 202, "{}", first.text());
    let written = run.table();
    let again = under(&run, "q", &path, &roof).await;
    assert_eq!((again.status, again.json()), (202, first.json()));
    for other in [json!({"need": "a new door"}), json!({"need": "a new roof", "grade": "A"})] {
        under(&run, "q", &path, &other).await.is_problem(409, "idempotency-key-reused");
    }
    let accept = format!("/api/leads/{lead}/accept");
    under(&run, "q", &accept, &json!({})).await.is_problem(409, "idempotency-key-reused");
    assert_eq!(run.table(), written);
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let (_, timeline) = run.api("GET", &format!("/api/customers/{customer}/timeline"), None).await;
    let said = timeline["timeline"].as_array().unwrap().iter();
    assert_eq!(said.filter(|row| row["event"] == "lead_qualified").count(), 1, "{timeline:#}");
    run.finish().await;
}
