//! Who is this? Everything below is seen through the API: which customer a lead leads to, and who owns it.

use futures::future::join_all;
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::BTreeSet;
use std::time::Duration;

async fn customer_of(run: &Running, lead: &str) -> String {
    let view = run.show(lead).await;
    view["customer"].as_str().unwrap_or_else(|| panic!("no customer: {view:#}")).to_owned()
}

#[tokio::test]
async fn one_mailbox_is_one_customer_however_it_is_written() {
    let run = Setup::default().start().await;
    let mut customers = BTreeSet::new();
    for email in [
        "Zoë.Müller@Bücher.example",
        " zoë.müller@bücher.EXAMPLE ",
        "ZOE\u{308}.MU\u{308}LLER@xn--bcher-kva.example",
    ] {
        let lead = run.lead(&[("email", email), ("note", email)]).await;
        let view = run.show(&lead).await;
        assert_eq!(view["flags"], json!([]), "{view:#}");
        customers.insert(customer_of(&run, &lead).await);
    }
    assert_eq!(customers.len(), 1);
    let (status, found) = run.lookup(json!({"email": "zoë.müller@bücher.example"})).await;
    assert_eq!((status, found["lead_count"].as_u64()), (200, Some(3)));
    // Another person of that house is another customer.
    let other = run.lead(&[("email", "zoe@bücher.example")]).await;
    assert!(!customers.contains(&customer_of(&run, &other).await));
    run.finish().await;
}

#[tokio::test]
async fn one_phone_is_one_customer_however_it_is_dialled() {
    let run = Setup::default().start().await;
    let mut customers = BTreeSet::new();
    for phone in [
        "(201) 555-0134",
        "+1 201 555 0134",
        "tel:+1-201-555-0134",
        "201.555.0134",
        "\u{ff0b}\u{ff11} \u{ff12}\u{ff10}\u{ff11} \u{ff15}\u{ff15}\u{ff15} \u{ff10}\u{ff11}\u{ff13}\u{ff14}",
        "\u{662}\u{660}\u{661}\u{665}\u{665}\u{665}\u{660}\u{661}\u{663}\u{664}",
        "+1 (201) 555-0134 ext. 7",
    ] {
        let lead = run.lead(&[("phone", phone)]).await;
        assert_eq!(run.show(&lead).await["phone"], "+12015550134", "{phone}");
        customers.insert(customer_of(&run, &lead).await);
    }
    assert_eq!(customers.len(), 1);
    run.finish().await;
}

/// An e-mail alone, a phone alone, and both, of one person.
fn three_posts(person: usize) -> [Vec<(&'static str, String)>; 3] {
    let email = ("email", format!("p{person}@person.example"));
    let phone = ("phone", format!("+1201555{:04}", 1000 + person));
    [vec![email.clone()], vec![phone.clone()], vec![email, phone]]
}

async fn post(run: &Running, fields: &[(&'static str, String)]) -> String {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run.post("contact", &fields).await.lead_id()
}

async fn check_one_person(run: &Running, person: usize, leads: &[String]) {
    let (status, by_email) = run.lookup(json!({"email": format!("p{person}@person.example")})).await;
    assert_eq!(status, 200);
    let (_, by_phone) = run.lookup(json!({"phone": format!("+1201555{:04}", 1000 + person)})).await;
    assert_eq!(by_email["id"], by_phone["id"], "two customers: {by_email:#} {by_phone:#}");
    assert_eq!(by_email["lead_count"], 3, "{by_email:#}");
    let mut owners = BTreeSet::new();
    for lead in leads {
        let view = run.show(lead).await;
        assert_eq!(view["customer"], by_email["id"], "{view:#}");
        owners.insert(view["owner"].as_str().unwrap().to_owned());
    }
    assert_eq!(owners.len(), 1, "{owners:?}");
    assert_eq!(by_email["owner"]["rep"], owners.pop_first().unwrap());
}

#[tokio::test]
async fn email_phone_and_both_come_to_one_customer_in_every_order() {
    let run = Setup::default().start().await;
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (person, order) in orders.into_iter().enumerate() {
        let posts = three_posts(person);
        let mut leads = Vec::new();
        for at in order {
            leads.push(post(&run, &posts[at]).await);
            run.settle().await;
        }
        check_one_person(&run, person, &leads).await;
    }
    assert_eq!(run.live_customers().len(), orders.len());
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn email_phone_and_both_at_once_come_to_one_customer() {
    let run = Setup::default().start().await;
    for person in 0..12 {
        let posts = three_posts(person);
        let leads = join_all(posts.iter().map(|fields| post(&run, fields))).await;
        run.settle().await;
        check_one_person(&run, person, &leads).await;
        assert_eq!(run.live_customers().len(), person + 1);
    }
    run.finish().await;
}

#[tokio::test]
async fn people_who_hold_different_strong_keys_are_not_joined_but_suggested() {
    let run = Setup::default().start().await;
    let one = run.lead(&[("email", "one@person.example"), ("phone", "+12015550111")]).await;
    let two = run.lead(&[("email", "two@person.example"), ("phone", "+12015550122")]).await;
    // The mailbox of one, the phone of the other.
    let mixed = run.lead(&[("email", "one@person.example"), ("phone", "+12015550122")]).await;
    let (one, two) = (customer_of(&run, &one).await, customer_of(&run, &two).await);
    assert_ne!(one, two);
    let view = run.show(&mixed).await;
    assert_eq!(view["customer"], one.as_str(), "the better key decides: {view:#}");
    assert_eq!(view["suggestions"][0]["customer"], two.as_str(), "{view:#}");
    assert_eq!(view["suggestions"][0]["reason"], "holds_another");
    assert_eq!(run.live_customers().len(), 2);
    // A new mailbox with a known phone is a colleague, not the same person.
    let colleague = run.lead(&[("email", "colleague@person.example"), ("phone", "+12015550111")]).await;
    let view = run.show(&colleague).await;
    assert!(view["customer"] != one.as_str() && view["customer"] != two.as_str());
    assert_eq!(view["suggestions"][0]["customer"], one.as_str());
    run.finish().await;
}

#[tokio::test]
async fn what_people_type_to_get_past_a_form_identifies_nobody() {
    let run = Setup::default().start().await;
    let first = run.lead(&[("email", "Test@Test.com"), ("first_name", "Ada")]).await;
    let second = run.lead(&[("email", "test@test.com"), ("first_name", "Bert")]).await;
    assert_ne!(customer_of(&run, &first).await, customer_of(&run, &second).await);
    for lead in [&first, &second] {
        let view = run.show(lead).await;
        assert!(view["flags"].as_array().unwrap().contains(&json!("email_junk")), "{view:#}");
        assert_eq!(view["state"], "assigned");
    }
    assert_eq!(run.lookup(json!({"email": "test@test.com"})).await.0, 422);
    run.finish().await;
}

#[tokio::test]
async fn a_phone_that_many_share_says_no_more_who_somebody_is() {
    let run = Setup::default().start().await;
    let desk = ("phone", "+12015550100");
    let holder = run.lead(&[("email", "holder@person.example"), desk]).await;
    let holder = customer_of(&run, &holder).await;
    for guest in ["a@person.example", "b@person.example", "c@person.example"] {
        let lead = run.lead(&[("email", guest), desk]).await;
        assert_ne!(customer_of(&run, &lead).await, holder);
    }
    // Three others are still a family, and the phone its first holder's.
    let known = run.lead(&[desk, ("note", "1")]).await;
    assert_eq!(customer_of(&run, &known).await, holder);
    run.lead(&[("email", "d@person.example"), desk]).await;
    let unknown = run.lead(&[desk, ("note", "2")]).await;
    let view = run.show(&unknown).await;
    assert_ne!(view["customer"], holder.as_str(), "{view:#}");
    assert_eq!(view["suggestions"][0]["reason"], "shared_address");
    run.finish().await;
}

/// A customer's page without what came with or after `lead`, and without the mark that keeps it apart.
fn before(mut view: Value, lead: &Value) -> Value {
    let since = lead["received"].as_str().unwrap().to_owned();
    let later = |at: &Value| at.as_str().unwrap_or_default() >= since.as_str();
    let view_map = view.as_object_mut().unwrap();
    view_map.remove("kept_apart_from");
    view_map.remove("decisions");
    let leads = view_map["leads"].as_array_mut().unwrap();
    let all = leads.len();
    leads.retain(|lead| !later(&lead["received"]));
    let left = leads.len();
    let count = view_map["lead_count"].as_u64().unwrap() - (all - left) as u64;
    view_map["lead_count"] = count.into();
    let profile = view_map["profile"].as_object_mut().unwrap();
    profile.retain(|_, fact| !later(&fact["at"]));
    let left: Vec<Value> = profile.values().map(|fact| fact["value"].clone()).collect();
    view_map["consents"].as_array_mut().unwrap().retain(|row| left.contains(&row["address"]));
    view
}

#[tokio::test]
async fn unmerging_gives_back_both_as_they_were_and_keeps_them_apart() {
    let run = Setup::default().start().await;
    let minute = Duration::from_secs(60);
    run.lead(&[("email", "ada@person.example"), ("first_name", "Ada"), ("company", "Byron")]).await;
    run.pass(minute).await;
    run.lead(&[("phone", "+12015550144"), ("first_name", "A."), ("last_name", "L."), ("country", "US")])
        .await;
    run.pass(minute).await;
    run.lead(&[("phone", "+12015550144"), ("note", "again")]).await;
    run.pass(minute).await;
    let (_, by_email) = run.lookup(json!({"email": "ada@person.example"})).await;
    let (_, by_phone) = run.lookup(json!({"phone": "+12015550144"})).await;
    assert_ne!(by_email["id"], by_phone["id"]);
    assert_ne!(
        by_email["owner"]["rep"], by_phone["owner"]["rep"],
        "two owners, so that joining decides something"
    );

    let both = [("email", "ada@person.example"), ("phone", "+12015550144")];
    let joining = run.lead(&both).await;
    let joining = run.show(&joining).await;
    run.pass(minute).await;
    let (_, whole) = run.lookup(json!({"phone": "+12015550144"})).await;
    assert_eq!(whole["lead_count"], 4, "{whole:#}");
    assert_eq!(whole["merged_from"].as_array().unwrap().len(), 1);
    // Facts of the half fill what the other had not.
    assert_eq!(whole["profile"]["last_name"]["value"], "L.");
    assert_eq!(whole["profile"]["first_name"]["value"], "Ada");

    let path = format!("/api/customers/{}/unmerge", whole["merged_from"][0].as_str().unwrap());
    let (status, answer) = run.api("POST", &path, Some(json!({}))).await;
    assert_eq!(status, 200, "{answer:#}");
    for original in [&by_email, &by_phone] {
        let id = original["id"].as_str().unwrap();
        let now = run.customer(id).await;
        assert_eq!(before(now, &joining), before(original.clone(), &joining), "{id}");
    }
    let (stays, taken_out) = (&answer["stays"]["id"], &answer["taken_out"]["id"]);
    assert_eq!(answer["stays"]["kept_apart_from"], json!([taken_out]));
    assert_eq!(answer["taken_out"]["kept_apart_from"], json!([stays]));

    // Twice is once.
    let (status, again) = run.api("POST", &path, Some(json!({}))).await;
    assert_eq!((status, again["type"].as_str()), (409, Some("urn:sluice:problem:not-merged")));
    // Whoever comes with both identities afterwards joins nothing.
    let after = run.lead(&[both[0], both[1], ("note", "after")]).await;
    let view = run.show(&after).await;
    assert_eq!(view["suggestions"][0]["reason"], "kept_apart", "{view:#}");
    let (_, email_now) = run.lookup(json!({"email": "ada@person.example"})).await;
    let (_, phone_now) = run.lookup(json!({"phone": "+12015550144"})).await;
    assert_eq!((&email_now["id"], &phone_now["id"]), (&by_email["id"], &by_phone["id"]));
    assert_eq!(run.live_customers().len(), 2);
    run.finish().await;
}

#[tokio::test]
async fn what_came_to_a_half_while_two_were_one_goes_with_it_its_id_and_its_owner() {
    // A lead goes to whom it names, whoever has its customer.
    let rule = |rep: &str| {
        format!("  - name: named {rep}\n    when: has(lead.fields.{rep})\n    assign: {{ rep: {rep} }}\n")
    };
    let rules = ["ann", "bo", "boss"].map(rule).concat();
    let run = Setup::policies(POLICIES.replace("rules:\n", &format!("rules:\n{rules}"))).start().await;
    let (email, phone) = (("email", "ada@person.example"), ("phone", "+12015550144"));
    let id = json!({"external_id": "4711", "source": "contact"});
    let minute = Duration::from_secs(60);
    run.lead(&[email, ("ann", "1")]).await;
    run.pass(minute).await;
    run.lead(&[phone, ("bo", "1")]).await;
    run.pass(minute).await;
    let (_, by_email) = run.lookup(json!({"email": email.1})).await;
    let (_, by_phone) = run.lookup(json!({"phone": phone.1})).await;
    let owners = [&by_email, &by_phone].map(|page| page["owner"]["rep"].as_str().unwrap_or_default());
    assert_eq!(owners, ["ann", "bo"]);
    run.lead(&[email, phone]).await;
    run.pass(minute).await;

    // By the number of one of them, with an id that is new and for another rep: so it is the whole person's.
    run.lead(&[phone, ("external_id", "4711"), ("boss", "1")]).await;
    run.pass(minute).await;
    let (_, whole) = run.lookup(id.clone()).await;
    assert_eq!((&whole["id"], &whole["owner"]["rep"]), (&by_email["id"], &json!("boss")), "{whole:#}");
    assert_eq!(whole["merged_from"], json!([by_phone["id"]]));
    let held = whole["identities"].as_array().unwrap().iter().find(|one| one["kind"] == "external_id");
    assert_eq!(held.unwrap()["record"], by_phone["id"], "{whole:#}");

    let path = format!("/api/customers/{}/unmerge", by_phone["id"].as_str().unwrap());
    let (status, answer) = run.api("POST", &path, Some(json!({}))).await;
    assert_eq!(status, 200, "{answer:#}");
    assert_eq!(answer["taken_out"]["owner"]["rep"], "boss", "{answer:#}");
    assert_eq!(answer["stays"]["owner"], by_email["owner"], "{answer:#}");
    let (_, by_id) = run.lookup(id).await;
    assert_eq!((&by_id["id"], &by_id["lead_count"]), (&by_phone["id"], &json!(2)), "{by_id:#}");
    let after = run.lead(&[("external_id", "4711"), ("note", "after")]).await;
    let view = run.show(&after).await;
    assert_eq!((&view["customer"], &view["owner"]), (&by_phone["id"], &json!("boss")), "{view:#}");
    run.finish().await;
}

#[tokio::test]
async fn an_unverified_post_fills_blanks_and_never_overwrites() {
    let run = Setup::default().start().await;
    run.lead(&[("email", "fill@person.example"), ("company", "First Ltd")]).await;
    run.pass(Duration::from_secs(3600)).await;
    let lead =
        run.lead(&[("email", "fill@person.example"), ("company", "Second Ltd"), ("first_name", "Flo")]).await;
    let customer = run.customer(&customer_of(&run, &lead).await).await;
    assert_eq!(customer["profile"]["company"]["value"], "First Ltd");
    assert_eq!(customer["profile"]["first_name"]["value"], "Flo");
    run.finish().await;
}
