//! Identities beside e-mail and phone, and which of several values stands, as the API shows it.

use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, POLICIES_SEEN, Running, Setup};
use std::time::Duration;

fn with(form: &str, settings: &str) -> String {
    let contact = "name: contact\n";
    let text = POLICIES.replacen(contact, &format!("{contact}{form}"), 1);
    text.replace("escalate_to: [boss]", &format!("escalate_to: [boss]\n{settings}"))
}

async fn customer_of(run: &Running, fields: &[(&str, &str)]) -> Value {
    let lead = run.lead(fields).await;
    run.pass(Duration::from_secs(60)).await;
    run.show(&lead).await["customer"].clone()
}

#[tokio::test]
async fn a_person_is_found_by_ids_of_wechat_ad_platforms_and_a_crm() {
    let run = Setup::policies(with("fields: { external_id.crm: [contact_id] }\n", "")).start().await;
    let first = customer_of(&run, &[("wechat_unionid", "oU-1"), ("contact_id", "4711"), ("note", "1")]).await;
    for fields in [
        [("unionid", "oU-1"), ("email", "mia@acme.example")],
        [("contact_id", "4711"), ("note", "x")],
        [("email", "mia@acme.example"), ("openid", "oA-7")],
        [("openid", "oA-7"), ("ad_user_id", "u9")],
        [("ad_user_id", "u9"), ("wechat", "Mia_Berg")],
        [("weixin", "mia_berg"), ("note", "2")],
    ] {
        assert_eq!(customer_of(&run, &fields).await, first, "{fields:?}");
    }
    assert_eq!(run.live_customers().len(), 1);
    for question in [
        json!({"wechat_unionid": "oU-1"}),
        json!({"external_id": "4711", "source": "crm"}),
        json!({"wechat_openid": "oA-7", "source": "contact"}),
        json!({"ad_user_id": "u9", "source": "contact"}),
        json!({"wechat_id": "mia_berg"}),
        json!({"email": "mia@acme.example"}),
    ] {
        let (status, found) = run.lookup(question.clone()).await;
        assert_eq!((status, &found["id"]), (200, &first), "{question}");
    }
    assert_eq!(run.lookup(json!({"external_id": "4711", "source": "contact"})).await.0, 404);
    // What no source can be called gave nobody an id, however long it is.
    for source in ["c r m".to_owned(), "crm".repeat(1_000)] {
        let (status, problem) = run.lookup(json!({"external_id": "4711", "source": source})).await;
        assert_eq!((status, &problem["type"]), (404, &json!("urn:sluice:problem:no-such-customer")));
        let by_email = json!({"email": "mia@acme.example", "external_id": "4711", "source": source});
        assert_eq!(run.lookup(by_email).await.1["id"], first);
    }

    let page = run.customer(first.as_str().unwrap()).await;
    let shown: Vec<(&str, &str, &str, bool)> = page["identities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or_default();
            (text("kind"), text("namespace"), text("value"), one["strong"] == true)
        })
        .collect();
    let expected = [
        ("external_id", "crm", "4711", true),
        ("wechat_unionid", "", "oU-1", true),
        ("wechat_openid", "contact", "oA-7", true),
        ("ad_user_id", "contact", "u9", true),
        ("email", "", "mia@acme.example", true),
        ("wechat_id", "", "mia_berg", false),
    ];
    assert_eq!(shown.len(), expected.len(), "{page:#}");
    assert!(expected.iter().all(|one| shown.contains(one)), "{shown:?}");
    run.finish().await;
}

#[tokio::test]
async fn an_id_contradicts_its_like_and_a_weak_one_joins_nobody() {
    let run = Setup::policies(with("fields: { external_id.crm: [contact_id] }\n", "")).start().await;
    let one = customer_of(&run, &[("contact_id", "1"), ("email", "one@person.example")]).await;
    let two = customer_of(&run, &[("contact_id", "2"), ("phone", "+12015550122")]).await;
    let lead = run.lead(&[("email", "one@person.example"), ("phone", "+12015550122")]).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["customer"], &view["suggestions"][0]["customer"]), (&one, &two), "{view:#}");
    assert_eq!(view["suggestions"][0]["reason"], "holds_another");

    let chat = customer_of(&run, &[("wechat_id", "bert_8")]).await;
    let lead = run.lead(&[("email", "one@person.example"), ("wechat_id", "bert_8")]).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["customer"], &view["suggestions"][0]["customer"]), (&one, &chat), "{view:#}");
    assert_eq!(view["suggestions"][0]["reason"], "weak");
    assert!(view["why"].to_string().contains("too weak"), "{view:#}");
    // What programs write for "nobody" is nobody's id.
    let a = customer_of(&run, &[("external_id", "null"), ("note", "a")]).await;
    let b = customer_of(&run, &[("external_id", "null"), ("note", "b")]).await;
    assert_ne!(a, b);
    run.finish().await;
}

#[tokio::test]
async fn the_value_that_stands_shows_its_lead_its_rule_and_what_it_was_chosen_over() {
    let rules = "survivorship: { company: newest, first_name: longest, last_name: [demo, contact] }\n";
    let run = Setup::policies(with("", rules)).start().await;
    let by_email =
        [("email", "ada@person.example"), ("first_name", "Ada"), ("company", "Byron"), ("city", "Ely")];
    customer_of(&run, &by_email).await;
    let phone = ("phone", "+12015550144");
    let said = run.lead(&[phone, ("first_name", "A."), ("company", "Lovelace"), ("city", "Bath")]).await;
    run.pass(Duration::from_secs(60)).await;
    // An unverified post overwrites nothing, whatever the rule: it is a record's first value that stands for it.
    let late = [phone, ("company", "Later Ltd"), ("note", "x")];
    let half = customer_of(&run, &late).await;
    let alone = run.customer(half.as_str().unwrap()).await;
    assert_eq!(alone["profile"]["company"]["value"], "Lovelace");
    let root = customer_of(&run, &[phone, ("email", "ada@person.example")]).await;

    let page = run.customer(root.as_str().unwrap()).await;
    let company = &page["profile"]["company"];
    assert_eq!((&company["value"], &company["rule"]), (&json!("Lovelace"), &json!("newest")), "{page:#}");
    assert_eq!((&company["lead"], &company["source"]), (&json!(said), &json!("contact")));
    assert_eq!(company["over"][0]["value"], "Byron");
    assert_eq!(
        (&page["profile"]["first_name"]["value"], &page["profile"]["first_name"]["rule"]),
        (&json!("Ada"), &json!("longest"))
    );
    assert_eq!(
        (&page["profile"]["city"]["value"], &page["profile"]["city"]["rule"]),
        (&json!("Ely"), &json!("kept"))
    );

    // Other rules, another value at once, since nothing was moved; and taking apart gives each its own back.
    run.publish(&with("", "survivorship: { company: oldest }\n")).await;
    run.pass(POLICIES_SEEN).await;
    let page = run.customer(root.as_str().unwrap()).await;
    assert_eq!(page["profile"]["company"]["value"], "Byron");
    let (status, _) = run
        .api(
            "POST",
            &format!("/api/customers/{}/unmerge", page["merged_from"][0].as_str().unwrap()),
            Some(json!({})),
        )
        .await;
    assert_eq!(status, 200);
    assert_eq!(run.customer(half.as_str().unwrap()).await["profile"]["company"], {
        let mut before = alone["profile"]["company"].clone();
        before["rule"] = json!("oldest");
        before
    });
    run.finish().await;
}
