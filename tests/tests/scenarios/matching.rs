//! Customers who are described alike and share no identity: suggested, joined where that is configured, taken apart.

use crate::import::sluice;
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::BTreeSet;
use std::time::Duration;

fn with(matching: &str) -> String {
    POLICIES.replace("escalate_to: [boss]", &format!("escalate_to: [boss]\nmatching: {matching}\n"))
}

const KATHARINA: [(&str, &str); 6] = [
    ("first_name", "Katharina"),
    ("last_name", "Ackermann"),
    ("company", "Blauwal Software GmbH"),
    ("city", "München"),
    ("postal_code", "80331"),
    ("email", "katharina@blauwal.example"),
];

/// The same person from another form: no mailbox, a number, and slips.
const AGAIN: [(&str, &str); 6] = [
    ("first_name", "Katharina"),
    ("last_name", "Akermann"),
    ("company", "Blauwal Software"),
    ("city", "Muenchen"),
    ("postal_code", "80331"),
    ("phone", "+4917012345678"),
];

async fn lead(run: &Running, fields: &[(&str, &str)]) -> Value {
    let lead = run.lead(fields).await;
    run.pass(Duration::from_secs(60)).await;
    run.show(&lead).await
}

#[tokio::test]
async fn who_is_described_alike_is_suggested_with_what_speaks_for_it() {
    let run = Setup::policies(with("{ suggest: true }")).start().await;
    let first = lead(&run, &KATHARINA).await;
    let again = lead(&run, &AGAIN).await;
    assert_ne!(again["customer"], first["customer"]);
    let suggested = &again["suggestions"][0];
    assert_eq!(suggested["customer"], first["customer"], "{again:#}");
    assert_eq!((&suggested["kind"], &suggested["verdict"]), (&json!("likeness"), &json!("same")));
    assert_eq!(suggested["reason"], "join_off");
    assert!(suggested["probability"].as_f64().unwrap() > 0.95);
    let says = suggested["evidence"].to_string();
    assert!(says.contains("same postal code") && says.contains("similar last name"), "{says}");
    assert!(again["why"].to_string().contains("Perhaps the same person"), "{again:#}");

    // An initial leaves it open, a brother is somebody else; a lead that is known is compared as well.
    let page = run.customer(again["customer"].as_str().unwrap()).await;
    assert_eq!(page["suggestions"][0]["customer"], first["customer"], "{page:#}");
    let initial =
        lead(&run, &[KATHARINA[1], KATHARINA[2], KATHARINA[4], ("first_name", "K."), ("note", "x")]).await;
    assert!(!initial["suggestions"].as_array().unwrap().is_empty(), "{initial:#}");
    assert!(
        initial["suggestions"].as_array().unwrap().iter().all(|one| one["verdict"] == "review"),
        "{initial:#}"
    );
    let brother =
        lead(&run, &[("first_name", "Tobias"), AGAIN[1], KATHARINA[4], ("email", "t@web.example")]).await;
    assert_eq!(brother["suggestions"], json!([]), "{brother:#}");
    let known = lead(&run, &[AGAIN[5], ("note", "once more")]).await;
    assert_eq!((&known["customer"], known["suggestions"].as_array().unwrap().len()), (&again["customer"], 0));
    run.finish().await;
}

#[tokio::test]
async fn nothing_is_looked_for_or_written_until_it_is_switched_on() {
    let run = Setup::default().start().await;
    lead(&run, &KATHARINA).await;
    let again = lead(&run, &AGAIN).await;
    assert_eq!(again["suggestions"], json!([]));
    assert!(!run.table().keys().any(|(pk, _)| pk.starts_with("bk#")));
    run.finish().await;
}

#[tokio::test]
async fn a_suggestion_stands_on_both_pages_and_is_accepted_on_either() {
    let run = Setup::policies(with("{ suggest: true }")).start().await;
    let first = lead(&run, &KATHARINA).await;
    let again = lead(&run, &AGAIN).await;
    let [one, other] = [&first, &again].map(|lead| lead["customer"].as_str().unwrap().to_owned());
    // Said once more it is one suggestion still.
    lead(&run, &[AGAIN.as_slice(), &[("note", "once more")]].concat()).await;
    for (page, suggested) in [(&one, &other), (&other, &one)] {
        let page = run.customer(page).await;
        assert_eq!(page["suggestions"].as_array().unwrap().len(), 1, "{page:#}");
        let suggestion = &page["suggestions"][0];
        assert_eq!((&suggestion["customer"], &suggestion["lead"]), (&json!(suggested), &again["id"]));
        assert_eq!((&suggestion["reason"], &suggestion["verdict"]), (&json!("join_off"), &json!("same")));
        assert!(!suggestion["evidence"].as_array().unwrap().is_empty());
    }
    let before = [run.customer(&one).await, run.customer(&other).await];

    // Accepted on the page of the one who did not raise it; twice is once.
    let path = format!("/api/customers/{one}/merge");
    for _ in 0..2 {
        let (status, whole) = run.api("POST", &path, Some(json!({"with": other}))).await;
        assert_eq!(status, 200, "{whole:#}");
        assert_eq!((&whole["id"], &whole["owner"]), (&json!(one), &before[0]["owner"]));
        assert_eq!((&whole["merged_from"], &whole["suggestions"]), (&json!([other]), &json!([])));
        assert_eq!(
            (&whole["lead_count"], &whole["profile"]["phone"]["value"]),
            (&json!(3), &json!(AGAIN[5].1))
        );
        let decision = &whole["decisions"][0];
        assert_eq!((&decision["what"], &decision["by"]), (&json!("joined"), &json!("admin")), "{whole:#}");
        assert_eq!((&decision["customer"], &decision["with"]), (&json!(other), &json!(one)));
    }
    // Whoever comes by either is the one customer now, with the one owner.
    let next = lead(&run, &[AGAIN[5], ("note", "after")]).await;
    assert_eq!((&next["customer"], &next["owner"]), (&json!(one), &first["owner"]));
    let (status, problem) =
        run.api("POST", &format!("/api/customers/{other}/keep-apart"), Some(json!({"from": one}))).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:sluice:problem:are-one")));

    // Taken apart again both are as they were, but for what came since, and that a person has decided.
    let (status, _) = run.api("POST", &format!("/api/customers/{other}/unmerge"), Some(json!({}))).await;
    assert_eq!(status, 200);
    let [mut now, _] = [run.customer(&one).await, run.customer(&other).await];
    assert_eq!((&now["kept_apart_from"], &now["suggestions"]), (&json!([other]), &json!([])));
    now["kept_apart_from"] = json!([]);
    now["decisions"] = json!([]);
    now["suggestions"] = before[0]["suggestions"].clone();
    assert_eq!(now, before[0]);
    run.finish().await;
}

#[tokio::test]
async fn a_suggestion_that_is_declined_is_gone_from_both_pages_and_does_not_come_again() {
    let run = Setup::default().start().await;
    let desk = ("phone", "+12015550100");
    let holder = lead(&run, &[("email", "holder@person.example"), desk]).await;
    let guest = lead(&run, &[("email", "guest@person.example"), desk]).await;
    let [holder, guest] = [&holder, &guest].map(|lead| lead["customer"].as_str().unwrap().to_owned());
    for (page, suggested) in [(&holder, &guest), (&guest, &holder)] {
        let page = run.customer(page).await;
        let suggestion = &page["suggestions"][0];
        assert_eq!((&suggestion["customer"], &suggestion["kind"]), (&json!(suggested), &json!("phone")));
        assert_eq!(suggestion["reason"], "holds_another");
    }
    for (one, other) in [(&holder, &guest), (&guest, &holder)] {
        let path = format!("/api/customers/{one}/keep-apart");
        let (status, page) = run.api("POST", &path, Some(json!({"from": other}))).await;
        assert_eq!(status, 200, "{page:#}");
        assert_eq!((&page["suggestions"], &page["kept_apart_from"]), (&json!([]), &json!([other])));
        assert_eq!(page["decisions"].as_array().unwrap().len(), 1, "{page:#}");
        assert_eq!(page["decisions"][0]["by"], "admin");
    }
    lead(&run, &[("email", "guest@person.example"), desk, ("note", "again")]).await;
    for page in [&holder, &guest] {
        assert_eq!(run.customer(page).await["suggestions"], json!([]));
    }

    // A person may think better of it.
    let path = format!("/api/customers/{guest}/merge");
    let (status, whole) = run.api("POST", &path, Some(json!({"with": holder}))).await;
    assert_eq!((status, &whole["id"], &whole["kept_apart_from"]), (200, &json!(holder), &json!([])));
    let stranger = "cu_00000000000000000000000000";
    for (body, status, problem, word) in [
        (json!({}), 422, "other-missing", "Name the other customer"),
        (json!({"with": guest}), 422, "same-customer", "Both are the same customer"),
        (json!({"from": guest}), 422, "same-customer", "Both are the same customer"),
        (json!({"with": "cu_none"}), 404, "no-such-customer", "no other customer"),
        (json!({"with": stranger}), 404, "no-such-customer", "no other customer"),
    ] {
        let (found, answer) = run.api("POST", &path, Some(body)).await;
        assert_eq!((found, &answer["type"]), (status, &json!(format!("urn:sluice:problem:{problem}"))));
        assert!(answer["detail"].as_str().unwrap().contains(word), "{answer:#}");
    }
    run.finish().await;
}

/// What an item weighs in write units of 1 KB: names and values of its attributes. (DynamoDB developer guide, "Item sizes".)
fn weight(item: &Value) -> usize {
    let attributes = item.as_object().unwrap().iter();
    attributes
        .map(|(name, value)| name.len() + value.as_object().unwrap().values().map(of_value).sum::<usize>())
        .sum()
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(of_value).sum(),
        other => other.to_string().len(),
    }
}

#[tokio::test]
async fn what_is_remembered_of_a_new_customer_stays_within_its_write_units() {
    let run = Setup::policies(with("{ suggest: true }")).start().await;
    lead(&run, &[KATHARINA.as_slice(), &[AGAIN[5], ("country", "Deutschland"), ("language", "de")]].concat())
        .await;
    let (mut customers, mut keys) = (0, 0);
    for ((pk, sk), item) in run.table() {
        if pk.starts_with("cu_") {
            assert!(weight(&item) <= 1_024, "{} bytes: {item}", weight(&item));
            customers += usize::from(sk == "c");
        } else if pk.starts_with("bk#") {
            // A full list holds twenty ids of 29 bytes.
            assert!(weight(&item) + 19 * 29 <= 1_024, "{item}");
            keys += 1;
        }
    }
    assert_eq!((customers, keys), (1, 4));
    run.finish().await;
}

#[tokio::test]
async fn who_is_the_same_joins_where_configured_and_is_taken_apart_exactly() {
    let run = Setup::policies(with("{ join: true }")).start().await;
    let first = lead(&run, &KATHARINA).await;
    let root = first["customer"].as_str().unwrap().to_owned();
    let before = run.customer(&root).await;
    let again = lead(&run, &AGAIN).await;
    assert_eq!(again["customer"], root.as_str(), "{again:#}");
    assert_eq!(again["owner"], first["owner"]);
    assert!(again["why"].to_string().contains("By likeness"), "{again:#}");
    let whole = run.customer(&root).await;
    assert_eq!(whole["lead_count"], 2);
    assert_eq!(whole["profile"]["phone"]["value"], "+4917012345678");
    assert_eq!(run.lookup(json!({"phone": "+4917012345678"})).await.1["id"], root.as_str());
    // What comes by the number later stays with the half that has it.
    lead(&run, &[AGAIN[5], ("website", "https://blauwal.example")]).await;

    let half = whole["merged_from"][0].as_str().unwrap().to_owned();
    let (status, answer) = run.api("POST", &format!("/api/customers/{half}/unmerge"), Some(json!({}))).await;
    assert_eq!(status, 200, "{answer:#}");
    let mut now = run.customer(&root).await;
    assert_eq!(now["kept_apart_from"], json!([half]));
    assert_eq!(now["decisions"][0]["what"], "kept_apart");
    now["kept_apart_from"] = json!([]);
    now["decisions"] = json!([]);
    assert_eq!(now, before);
    let taken_out = run.customer(&half).await;
    assert_eq!(
        (&taken_out["lead_count"], &taken_out["profile"]["last_name"]["value"]),
        (&json!(2), &json!("Akermann"))
    );
    assert_eq!(run.lookup(json!({"phone": "+4917012345678"})).await.1["id"], half.as_str());

    // A person has decided: neither joined nor brought up again.
    let later = lead(&run, &[AGAIN.as_slice(), &[("note", "later")]].concat()).await;
    assert_eq!((&later["customer"], &later["suggestions"]), (&json!(half), &json!([])), "{later:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_half_that_is_taken_out_is_found_by_what_its_own_leads_said() {
    let run = Setup::policies(with("{ suggest: true }")).start().await;
    let first = lead(&run, &KATHARINA).await["customer"].as_str().unwrap().to_owned();
    let half = lead(&run, &[AGAIN[5], ("note", "call me")]).await["customer"].as_str().unwrap().to_owned();
    let path = |act: &str| format!("/api/customers/{half}/{act}");
    assert_eq!(run.api("POST", &path("merge"), Some(json!({"with": first}))).await.0, 200);
    // By the half's number, and described as the other record is, which is listed by that already.
    let more = lead(&run, &[&KATHARINA[..5], &[AGAIN[5]]].concat()).await;
    assert_eq!(more["customer"], first.as_str(), "{more:#}");
    assert_eq!(run.api("POST", &path("unmerge"), Some(json!({}))).await.0, 200);
    let alike = lead(&run, &KATHARINA[..5]).await;
    let suggested = alike["suggestions"].as_array().unwrap().iter();
    let suggested: BTreeSet<&str> = suggested.filter_map(|one| one["customer"].as_str()).collect();
    assert_eq!(suggested, BTreeSet::from([first.as_str(), half.as_str()]), "{alike:#}");
    run.finish().await;
}

#[tokio::test]
async fn likeness_never_joins_who_holds_different_identities_of_one_kind() {
    let run = Setup::policies(with("{ join: true }")).start().await;
    let first = lead(&run, &KATHARINA).await;
    let other = lead(&run, &[&KATHARINA[..5], &[("email", "k.ackermann@web.example")]].concat()).await;
    assert_ne!(other["customer"], first["customer"]);
    assert_eq!(other["suggestions"][0]["reason"], "holds_another", "{other:#}");
    assert_eq!(other["suggestions"][0]["customer"], first["customer"]);
    // Trying says the same and writes nothing.
    let fields = json!({"first_name": "Katharina", "last_name": "Ackermann", "postal_code": "80331", "company": "Blauwal Software", "phone": "+4917099999999"});
    let before = run.table();
    let (status, tried) =
        run.api("POST", "/api/leads/try", Some(json!({"form": "contact", "body": fields.to_string()}))).await;
    assert_eq!(status, 200, "{tried:#}");
    assert!(tried["why"].to_string().contains("By likeness"), "{tried:#}");
    assert_eq!(run.table(), before);
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_base_is_looked_through_at_once_and_who_is_certainly_one_is_joined() {
    let run = Setup::default().start().await;
    let first = lead(&run, &KATHARINA).await["customer"].as_str().unwrap().to_owned();
    let again = lead(&run, &AGAIN).await["customer"].as_str().unwrap().to_owned();
    let brother = [("first_name", "Tobias"), KATHARINA[1], KATHARINA[3], ("email", "tobias@web.example")];
    let brother = lead(&run, &brother).await["customer"].as_str().unwrap().to_owned();
    let find = async |join: bool| {
        let arguments = ["duplicates", "--json", "--join"];
        let output = sluice(&run, &arguments[..if join { 3 } else { 2 }]).await;
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let before = run.table();
    let found = find(false).await;
    assert_eq!((&found["customers"], found["groups"].as_array().unwrap().len()), (&json!(3), 1), "{found:#}");
    let link = &found["groups"][0]["links"][0];
    let mut both = [link["one"].as_str().unwrap(), link["other"].as_str().unwrap()];
    both.sort_unstable();
    let mut expected = [first.as_str(), again.as_str()];
    expected.sort_unstable();
    assert_eq!(
        (both, &link["certain"], &link["joined"]),
        (expected, &json!(true), &Value::Null),
        "{found:#}"
    );
    let reasons = link["reasons"].to_string();
    assert!(reasons.contains("same postal code") && reasons.contains("similar last name"), "{reasons}");
    assert_eq!(run.table(), before, "looking writes nothing");
    // For people the same in words, and no fact of anybody.
    let said = sluice(&run, &["duplicates"]).await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("1 are probably somebody who is there already, 1 of them certainly"), "{said}");
    assert!(!said.contains("Ackermann") && !said.contains("80331"), "{said}");

    let joined = find(true).await;
    assert_eq!(joined["groups"][0]["links"][0]["joined"], true, "{joined:#}");
    let whole = run.customer(&first).await;
    assert_eq!(whole["lead_count"], 2, "{whole:#}");
    let found = find(true).await;
    assert_eq!((&found["customers"], &found["groups"]), (&json!(2), &json!([])), "{found:#}");
    // Taken apart again, they stay so.
    let half = whole["merged_from"][0].as_str().unwrap();
    let apart = run.api("POST", &format!("/api/customers/{half}/unmerge"), Some(json!({}))).await;
    assert_eq!(apart.0, 200, "{:#}", apart.1);
    let found = find(true).await;
    assert_eq!((&found["customers"], &found["groups"]), (&json!(3), &json!([])), "{found:#}");
    assert_eq!(run.customer(&brother).await["lead_count"], 1);
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_are_kept_apart_stay_so_as_halves_of_others() {
    let run = Setup::default().start().await;
    let mut ids = Vec::new();
    // Of the first two only an id is known; they are older, so they stay.
    for fields in [&[("external_id", "kb-7")][..], &[("external_id", "kb-8")], &KATHARINA, &AGAIN] {
        ids.push(lead(&run, fields).await["customer"].as_str().unwrap().to_owned());
    }
    let decide = async |one: &str, act: &str, body: Value| {
        let (status, whole) = run.api("POST", &format!("/api/customers/{one}/{act}"), Some(body)).await;
        assert_eq!(status, 200, "{whole:#}");
        whole
    };
    decide(&ids[2], "keep-apart", json!({"from": ids[3]})).await;
    for (live, half, other) in [(0, 2, 3), (1, 3, 2)] {
        let whole = decide(&ids[live], "merge", json!({"with": ids[half]})).await;
        assert_eq!((&whole["id"], &whole["kept_apart_from"]), (&json!(ids[live]), &json!([ids[other]])));
    }
    let output = sluice(&run, &["duplicates", "--json", "--join"]).await;
    assert!(output.status.success(), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["customers"], &found["groups"]), (&json!(2), &json!([])), "{found:#}");
    run.finish().await;
}
