//! What journeys, sources, teams and reps came to, from a post to an order; and that counters are the sum of the entries.

use crate::engagement::{BROWSER, MESSAGES, mail_to};
use crate::timeline::{Call, EARLIER, take};
use crate::tracking::entries;
use serde_json::{Value, json};
use sluice_domain::insight::{Counter, Tallies, tally};
use sluice_store::keys;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

const RESULTS: &str = "
---
kind: journey
name: greet
trigger: { event: lead_captured }
goal: { event: order_completed, within: 30d }
steps:
  - send: { template: news, topic: product }
---
kind: cost
name: spring-ads
of: ad/google/spring
amount: 100
from: 2026-02-01
to: 2026-12-31
---
kind: alert
name: many-leads
of: source/contact
measure: leads
above: 1
within: 7d
tell: [bo]
---
kind: alert
name: few-opened
of: journey/greet
measure: open_rate
below: 5%
within: 7d
";

async fn start() -> Running {
    let policies = format!("{POLICIES}{MESSAGES}{RESULTS}")
        .replace("escalate_to: [boss]", "escalate_to: [boss]\nrfm: { currency: EUR }");
    Setup::policies(policies).frozen().start().await
}

pub(crate) async fn report(run: &Running, path: &str) -> Value {
    let (status, report) = run.api("GET", &format!("/api/insight/{path}"), None).await;
    assert_eq!(status, 200, "{report:#}");
    report
}

pub(crate) fn row<'a>(report: &'a Value, name: &str, value: &str) -> &'a Value {
    let rows = report["rows"].as_array().expect("rows");
    rows.iter().find(|row| row[name] == value).unwrap_or_else(|| panic!("{value} in {report:#}"))
}

fn order(n: &str, name: &str, id: &str, properties: Value) -> Call {
    let mut all = json!({ "order_id": id, "currency": "EUR" });
    all.as_object_mut().unwrap().extend(properties.as_object().cloned().unwrap());
    Call::track(name, n, EARLIER + 12_000).user("ada").with(all)
}

/// I12: what is stored of counters is what the entries come to.
pub(crate) fn counters_equal_the_entries(run: &Running) {
    let mut counted = Tallies::default();
    entries(run).values().for_each(|entry| counted.merge(tally(entry)));
    let mut stored = Tallies::default();
    for ((pk, sk), item) in run.table() {
        let Some((day, cell)) = keys::parse_counter(&pk, &sk) else { continue };
        for (name, value) in item.as_object().unwrap() {
            if let (Some(counter), Some(n)) = (Counter::parse(name), value["N"].as_str()) {
                stored.add(day, cell.clone(), counter, n.parse().unwrap());
            }
        }
    }
    assert!(!counted.is_empty());
    assert_eq!(counted, stored);
}

#[tokio::test]
async fn from_the_advertisement_to_the_order_and_back() {
    let run = start().await;
    let fields = [("email", "ada@person.example"), ("utm_source", "Google"), ("utm_campaign", "Spring")];
    let lead = run.lead(&fields).await;
    let rep = run.show(&lead).await["owner"].as_str().unwrap().to_owned();
    run.lead(&[("email", "bee@person.example")]).await;
    run.pass(Duration::from_secs(60)).await;

    // She opens it twice and follows two links, an hour apart.
    let mail = mail_to(&run, "ada@person.example");
    let [pixel] = mail.paths('o').try_into().expect("one pixel");
    for path in [&pixel, &pixel, &mail.paths('c')[0], &mail.paths('c')[1]] {
        run.send("GET", path, &[BROWSER], b"").await;
        run.pass(Duration::from_secs(3_600)).await;
    }
    let who = Call::identify("who", EARLIER + 1, json!({ "email": "ada@person.example" })).user("ada");
    take(&run, vec![who]).await;
    let bought = Call::track("Order Completed", "o1", EARLIER + 10_000).user("ada");
    take(&run, vec![bought.with(json!({ "order_id": "7", "currency": "EUR", "total": 120.5 }))]).await;
    // One whom nothing known brought: Bee is none of them.
    let other = Call::track("Order Completed", "o2", EARLIER + 10_000).user("cy");
    take(&run, vec![other.with(json!({ "order_id": "8", "currency": "EUR", "total": 10 }))]).await;

    let journeys = report(&run, "journeys").await;
    let greet = row(&journeys, "journey", "greet");
    for (what, n) in [("entered", 2), ("converted", 1), ("sent", 2), ("opened", 1), ("clicked", 1)] {
        assert_eq!(greet[what], n, "{what}: {journeys:#}");
    }
    assert_eq!(
        (&greet["revenue"], &greet["orders"], &greet["lift"]),
        (&json!(120.5), &json!(1.0), &Value::Null)
    );
    assert_eq!(greet["steps"][0]["step"], "send.news");
    assert_eq!(greet["steps"][0]["click_rate"], 0.5);
    assert_eq!(journeys["unattributed"], 10.0);
    assert_eq!(journeys["currency"], "EUR");
    assert!(journeys["counted"]["until"].is_string() && journeys["counted"]["late_seconds"].is_number());

    // By the last touch the mail brought it, by the first the form; half each by the other way.
    let sources = report(&run, "sources?model=linear").await;
    let form = row(&sources, "source", "source/contact");
    assert_eq!((&form["leads"], &form["revenue"], &form["orders"]), (&json!(2), &json!(60.25), &json!(0.5)));
    let ad = row(&sources, "source", "ad/google/spring");
    assert_eq!((&ad["leads"], &ad["revenue"]), (&json!(1), &json!(60.25)));
    assert!(ad["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{ad:#}");
    assert_eq!(ad["cost_per_lead"], ad["cost"]);
    let first = report(&run, "sources?model=first").await;
    assert_eq!(row(&first, "source", "source/contact")["revenue"], 120.5);
    let all = report(&run, "attribution").await;
    let step = row(&all, "touch", "step/greet/send.news");
    assert_eq!(step["by"]["last"]["revenue"], 120.5, "{all:#}");
    assert_eq!(step["by"]["position"]["revenue"], 60.25);
    assert_eq!(row(&all, "touch", "source/contact")["by"]["last"]["revenue"], 0.0);

    let reps = report(&run, "reps").await;
    let owner = row(&reps, "name", &rep);
    assert_eq!(
        (&owner["assigned"], &owner["buyers"], &owner["revenue"]),
        (&json!(1), &json!(1.0), &json!(120.5))
    );
    let teams = report(&run, "teams").await;
    let sales = row(&teams, "name", "sales");
    assert_eq!((&sales["assigned"], &sales["conversion"]), (&json!(2), &json!(0.5)), "{teams:#}");

    // Half of it goes back, then all; told again nothing changes.
    let refund = || order("r1", "Order Refunded", "7", json!({ "total": 20.5 }));
    take(&run, vec![refund()]).await;
    take(&run, vec![refund()]).await;
    assert_eq!(row(&report(&run, "journeys").await, "journey", "greet")["revenue"], 100.0);
    counters_equal_the_entries(&run);
    take(&run, vec![order("c1", "Order Cancelled", "7", json!({}))]).await;
    let journeys = report(&run, "journeys").await;
    let greet = row(&journeys, "journey", "greet");
    assert_eq!((&greet["revenue"], &greet["orders"]), (&json!(0.0), &json!(0.0)), "{greet:#}");
    assert_eq!(row(&report(&run, "reps").await, "name", &rep)["buyers"], 0.0);
    counters_equal_the_entries(&run);

    for (path, status) in
        [("weather", 404), ("sources?model=guess", 422), ("sources?from=2027-01-02&to=2027-01-01", 422)]
    {
        let (answered, problem) = run.api("GET", &format!("/api/insight/{path}"), None).await;
        assert_eq!(answered, status, "{problem:#}");
    }
    run.finish().await;
}

#[tokio::test]
async fn who_is_held_out_is_compared_with() {
    let policies = format!("{POLICIES}{MESSAGES}{RESULTS}").replace("goal: {", "hold_out: 50%\ngoal: {");
    let run = Setup::policies(policies).frozen().start().await;
    for n in 0..16 {
        let email = format!("p{n}@person.example");
        run.lead(&[("email", &email)]).await;
    }
    run.pass(Duration::from_secs(7_200)).await;
    for n in 0..16 {
        let email = format!("p{n}@person.example");
        let user = format!("u{n}");
        let who = Call::identify(&format!("i{n}"), EARLIER + 1, json!({ "email": email })).user(&user);
        let mut calls = vec![who];
        if n % 2 == 0 {
            let bought = Call::track("Order Completed", &format!("b{n}"), EARLIER + 3_600).user(&user);
            calls.push(bought.with(json!({ "order_id": n, "total": 5 })));
        }
        take(&run, calls).await;
    }
    let journeys = report(&run, "journeys").await;
    let greet = row(&journeys, "journey", "greet");
    let lift = &greet["lift"];
    let n = |part: &str, what: &str| lift[part][what].as_u64().unwrap_or_else(|| panic!("{greet:#}"));
    assert_eq!(n("treated", "of") + n("held_out", "of"), 16);
    assert_eq!(n("treated", "n") + n("held_out", "n"), 8);
    assert_eq!((&greet["entered"], &greet["held_out"]), (&lift["treated"]["of"], &lift["held_out"]["of"]));
    assert_eq!(greet["sent"], greet["entered"], "who is held out gets nothing");
    let (from, to) = (&lift["difference_interval"]["from"], &lift["difference_interval"]["to"]);
    assert!(from.as_f64() < lift["difference"].as_f64() && lift["difference"].as_f64() < to.as_f64());
    assert!(lift["sentence"].as_str().unwrap().contains("held out"), "{lift:#}");
    counters_equal_the_entries(&run);
    run.finish().await;
}

#[tokio::test]
async fn an_alert_is_told_once_for_as_long_as_its_days() {
    let run = start().await;
    run.lead(&[("email", "ada@person.example")]).await;
    minutes(&run, 12).await;
    let alerts = |told: Vec<Value>| -> Vec<String> {
        let told = told.into_iter().filter(|told| told["kind"] == "alert");
        told.map(|told| told["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(alerts(run.messages("bo").await), Vec::<String>::new(), "one lead is not more than one");
    run.lead(&[("email", "bee@person.example")]).await;
    minutes(&run, 30).await;
    let said = ["source/contact: leads 2 within 7 days, above 1"];
    assert_eq!(alerts(run.messages("bo").await), said);
    let mails: Vec<String> = run.mails().into_iter().map(|(_, text)| text).collect();
    let mails = mails.iter().filter(|text| text.contains("Subject: many-leads: source/contact: leads 2"));
    assert_eq!(mails.count(), 1);
    // Nobody opened anything, but two mails say nothing of a part.
    assert_eq!(alerts(run.messages("boss").await), Vec::<String>::new());
    run.stack.advance(Duration::from_secs(6 * 86_400));
    minutes(&run, 12).await;
    assert_eq!(alerts(run.messages("bo").await).len(), 1, "told once within its days");
    run.finish().await;
}

async fn minutes(run: &Running, minutes: u32) {
    for _ in 0..minutes {
        run.stack.advance(Duration::from_secs(60));
        run.fire_timers().await;
    }
}
