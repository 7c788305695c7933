//! Calls of the API under an `Idempotency-Key`: one that comes again late does nothing more, whatever became of what it was about.

use crate::engagement::{MESSAGES, customer, start};
use crate::rights::{consents, wish};
use crate::routing::policies;
use crate::teams_gone::replace;
use serde_json::{Value, json};
use sluice_tests::stack::http::Answer;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

const MAIL: &str = "ada@person.example";

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

/// What staff writes down of a person without a key, and a second after it.
async fn staff(run: &Running, path: &str, body: Value) {
    let (status, answer) = run.api("POST", path, Some(body)).await;
    assert_eq!(status, 200, "{answer:#}");
    run.pass(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_suppression_that_comes_again_late_suppresses_nothing_neither_what_was_lifted_nor_what_is_new() {
    let run = start().await;
    let who = customer(&run, MAIL, &[]).await;
    let path = |what: &str| format!("/api/customers/{who}/{what}");
    let reason = json!({"reason": "her lawyer wrote"});
    // The second of them finds the address suppressed.
    for key in ["first", "second"] {
        let answer = under(&run, key, &path("suppress"), &reason).await;
        assert_eq!(
            (answer.status, &answer.json()["addresses"][0]["suppressed"]["by"]),
            (200, &json!("person"))
        );
        run.pass(Duration::from_secs(1)).await;
    }
    staff(&run, &path("unsuppress"), json!({"reason": "it was a mistake"})).await;
    assert_eq!(customer(&run, MAIL, &[("phone", "+12015550123")]).await, who);
    run.pass(Duration::from_secs(1)).await;

    let before = run.table();
    for key in ["first", "second"] {
        let answer = under(&run, key, &path("suppress"), &reason).await;
        let addresses = answer.json()["addresses"].as_array().cloned().unwrap();
        assert_eq!(answer.status, 200);
        assert!(addresses.iter().any(|address| address["channel"] == "sms"), "{addresses:#?}");
        assert!(addresses.iter().all(|address| address["suppressed"].is_null()), "{addresses:#?}");
    }
    for (what, body) in [
        ("suppress", json!({"reason": "her lawyer wrote", "channel": "email"})),
        ("suppress", json!({"reason": "her lawyer wrote", "address": MAIL})),
        ("suppress", json!({"reason": "her lawyer wrote", "address": "+12015550123"})),
        ("unsuppress", reason.clone()),
        ("consents", json!({"channel": "email", "topic": "product", "wish": "no"})),
    ] {
        under(&run, "first", &path(what), &body).await.is_problem(409, "idempotency-key-reused");
    }
    assert_eq!(run.table(), before, "nothing was written");
    run.finish().await;
}

#[tokio::test]
async fn a_consent_that_stood_already_does_not_come_back_when_its_call_comes_again_after_a_no() {
    let run = start().await;
    let who = customer(&run, MAIL, &[("phone", "+12015550123")]).await;
    let path = format!("/api/customers/{who}/consents");
    let said = |channel: &str, wish: &str| json!({"channel": channel, "topic": "product", "wish": wish});
    let yes = said("email", "yes");
    for key in ["first", "second"] {
        let answer = under(&run, key, &path, &yes).await;
        assert_eq!((answer.status, wish(&answer.json(), "email", "product")), (200, Some("yes")));
        run.pass(Duration::from_secs(1)).await;
    }
    staff(&run, &path, said("email", "no")).await;
    let before = run.table();
    for key in ["first", "second"] {
        let answer = under(&run, key, &path, &yes).await;
        assert_eq!((answer.status, wish(&answer.json(), "email", "product")), (200, Some("no")), "{key}");
        let address = json!({"channel": "email", "topic": "product", "wish": "yes", "address": MAIL});
        for other in [said("sms", "yes"), said("email", "no"), address] {
            under(&run, key, &path, &other).await.is_problem(409, "idempotency-key-reused");
        }
    }
    assert_eq!(run.table(), before, "nothing was written");
    let said = consents(&run, &json!(who)).await;
    assert_eq!(said["proofs"].as_array().unwrap().len(), 3, "each word once: {said:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_trial_goes_out_once_however_often_its_call_comes() {
    let run = start().await;
    let who = customer(&run, MAIL, &[]).await;
    let path = "/api/templates/news/test-send";
    let asked = json!({"customer": who, "to": "tester@shop.example", "topic": "product"});
    let mails = || {
        let all = run.mails();
        all.iter().filter(|(to, _)| to.iter().any(|to| to == "tester@shop.example")).count()
    };
    let first = under(&run, "trial", path, &asked).await;
    assert_eq!((first.status, mails()), (202, 1), "{}", first.text());
    run.pass(Duration::from_secs(3600)).await;
    let again = under(&run, "trial", path, &asked).await;
    assert_eq!((again.status, again.json(), mails()), (202, first.json(), 1));
    // To somebody else, of another template, or a message that is none: the key is good for nothing of it.
    let other = json!({"customer": who, "to": "other@shop.example", "topic": "product"});
    let message = json!({"customer": who, "template": "news", "topic": "product"});
    for (path, body) in
        [(path, &other), ("/api/templates/receipt/test-send", &asked), ("/api/messages", &message)]
    {
        under(&run, "trial", path, body).await.is_problem(409, "idempotency-key-reused");
    }
    assert_eq!(mails(), 1);
    let (status, _) = run.api("POST", path, Some(asked)).await;
    run.settle().await;
    assert_eq!((status, mails()), (202, 2), "without a key each call is one");
    run.finish().await;
}

#[tokio::test]
async fn what_comes_again_late_is_answered_as_before_though_the_documents_that_it_names_are_gone() {
    let run = start().await;
    let who = customer(&run, MAIL, &[]).await;
    let wish = json!({"channel": "email", "topic": "events", "wish": "yes"});
    let message = json!({"customer": who, "template": "news", "topic": "events"});
    let trial = json!({"customer": who, "to": "tester@shop.example", "topic": "events"});
    let calls = [
        (format!("/api/customers/{who}/consents"), wish, (422, "no-such-topic")),
        ("/api/messages".to_owned(), message, (422, "no-such-template")),
        ("/api/templates/news/test-send".to_owned(), trial, (404, "no-such-template")),
    ];
    let (mut answers, notices) = (Vec::new(), run.mails().len());
    for (path, body, _) in &calls {
        let answer = under(&run, path, path, body).await;
        assert!(matches!(answer.status, 200 | 202), "{path}: {}", answer.text());
        answers.push((answer.status, answer.json()["message_id"].clone()));
    }
    let mails = run.mails().len();
    assert_eq!(mails, notices + 2, "the message and the trial");

    let documents = format!("{POLICIES}{MESSAGES}");
    let is_gone = |document: &&str| {
        let mut gone = ["kind: topic\nname: events\n", "kind: template\nname: news\n"].into_iter();
        gone.any(|begin| document.starts_with(begin))
    };
    let left: Vec<&str> = documents.split("---\n").filter(|document| !is_gone(document)).collect();
    replace(&run, &left.join("---\n")).await;
    for ((path, body, (status, why)), before) in calls.iter().zip(answers) {
        let again = under(&run, path, path, body).await;
        assert_eq!((again.status, again.json()["message_id"].clone()), before, "{path}: {}", again.text());
        under(&run, "new", path, body).await.is_problem(*status, why);
    }
    assert_eq!(run.mails().len(), mails);
    run.finish().await;
}

#[tokio::test]
async fn a_token_is_made_once_under_its_key_and_its_text_is_shown_once_and_kept_nowhere() {
    let run = Setup::default().start().await;
    let asked = json!({"role": "admin", "note": "a phone"});
    let first = under(&run, "phone", "/api/tokens", &asked).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let (text, id) = (first.json()["token"].clone(), first.json()["id"].clone());
    let (text, id) = (text.as_str().unwrap(), id.as_str().unwrap());
    assert_eq!(run.api_as(Some(text), "GET", "/api/tokens", None).await.0, 200, "it is good");

    let before = run.table();
    let again = under(&run, "phone", "/api/tokens", &asked).await;
    again.is_problem(409, "token-made");
    assert!(again.json()["detail"].as_str().unwrap().contains(id), "{}", again.text());
    let other = json!({"role": "admin", "note": "a laptop"});
    under(&run, "phone", "/api/tokens", &other).await.is_problem(409, "idempotency-key-reused");
    assert_eq!(run.table(), before, "nothing was written");
    assert!(before.values().all(|item| !item.to_string().contains(text)), "nobody can read it");

    // Revoked it is not made again; another key makes another one.
    assert_eq!(run.api("DELETE", &format!("/api/tokens/{id}"), None).await.0, 200);
    under(&run, "phone", "/api/tokens", &asked).await.is_problem(409, "token-made");
    let new = under(&run, "phone-2", "/api/tokens", &asked).await;
    assert_eq!(new.status, 201, "{}", new.text());
    assert_ne!(new.json()["id"], id);
    run.finish().await;
}

#[tokio::test]
async fn of_calls_for_a_token_under_one_key_at_one_time_one_makes_it() {
    let run = Setup::default().start().await;
    let asked = json!({"role": "admin", "note": "a phone"});
    let calls = (0..10).map(|_| under(&run, "phone", "/api/tokens", &asked));
    let answers = futures::future::join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(made <= 1 && answers.iter().all(|answer| matches!(answer.status, 201 | 409)), "{answers:?}");
    under(&run, "phone", "/api/tokens", &asked).await.is_problem(409, "token-made");
    let (_, listed) = run.api("GET", "/api/tokens", None).await;
    let listed = listed["tokens"].as_array().unwrap().iter();
    assert_eq!(listed.filter(|token| token["note"] == "a phone").count(), 1);
    run.finish().await;
}
