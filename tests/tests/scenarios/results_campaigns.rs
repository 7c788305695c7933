//! What campaigns came to: their messages, who did what they are for, and how that compares with who got nothing.

use crate::campaigns::{ask, broadcast, counters_equal_the_ledger, mails, minutes, people, rest, with};
use crate::engagement::{BROWSER, mail_to};
use crate::results::{counters_equal_the_entries, report, row};
use crate::timeline::{Call, EARLIER, take};
use serde_json::{Value, json};

const SPRING: &str = "at: now\nvariants: [{ name: plain }, { name: bold, template: spring-b }]\nhold_out: 30%\n\
                      goal: { event: order_completed, within: 2d }";

/// Somebody says who they are, and buys `at` seconds after the beginning.
fn buys(email: &str, at: i64, order: &str) -> Vec<Call> {
    let who =
        Call::identify(&format!("who-{order}"), EARLIER + at - 1, json!({ "email": email })).user(email);
    let bought = Call::track("Order Completed", order, EARLIER + at).user(email);
    vec![who, bought.with(json!({ "order_id": order, "currency": "EUR", "total": 40 }))]
}

#[tokio::test]
async fn a_campaign_is_compared_with_who_got_nothing_and_credited_with_what_it_brought() {
    let run = with(SPRING).await;
    let everybody = people(&run, 24, &[]).await;
    ask(&run, "schedule").await;
    minutes(&run, 2).await;
    let got = mails(&run);
    let (reached, held): (Vec<&String>, Vec<&String>) =
        everybody.iter().partition(|email| got.contains_key(*email));
    assert!(held.len() >= 2 && reached.len() >= 4, "{} of {}", held.len(), everybody.len());

    // One follows a link and buys; two more buy without, one of them twice; and one of those who got nothing.
    let mail = run.mails().into_iter().find(|(_, text)| text.contains("It is spring")).expect("a bold mail");
    let clicked = &mail.0[0];
    let link = mail_to(&run, clicked).paths('c').remove(0);
    assert_eq!(run.send("GET", &link, &[BROWSER], b"").await.status, 302);
    rest(&run).await;
    minutes(&run, 60).await;
    let others: Vec<&String> = reached.iter().copied().filter(|email| *email != clicked).collect();
    take(&run, buys(clicked, 3_000, "1")).await;
    take(&run, buys(others[0], 3_001, "2")).await;
    take(&run, buys(others[0], 3_002, "3")).await;
    take(&run, buys(others[1], 3_003, "4")).await;
    take(&run, buys(held[0], 3_004, "5")).await;
    // Before it went out, and after its time.
    take(&run, buys(others[2], -EARLIER + 60, "6")).await;
    minutes(&run, 1).await;

    let campaigns = report(&run, "campaigns").await;
    let spring = row(&campaigns, "campaign", "spring");
    let shown = broadcast(&run).await;
    for name in
        ["sent", "delivered", "opened", "clicked", "unsubscribed", "bounced", "complained", "held_out"]
    {
        assert_eq!(spring[name], shown["counts"][name], "{name}: {spring:#}");
    }
    assert_eq!((&spring["broadcasts"], &spring["clicked"]), (&json!(1), &json!(1)));
    assert_eq!((&spring["sent"], &spring["held_out"]), (&json!(reached.len()), &json!(held.len())));
    assert_eq!(spring["converted"], 3, "each once, and only who got it: {spring:#}");
    let lift = &spring["lift"];
    assert_eq!(lift["treated"], json!({ "n": 3, "of": reached.len() }));
    assert_eq!(lift["held_out"], json!({ "n": 1, "of": held.len() }));
    let (from, to) = (&lift["difference_interval"]["from"], &lift["difference_interval"]["to"]);
    assert!(from.as_f64() < lift["difference"].as_f64() && lift["difference"].as_f64() < to.as_f64());
    // What brought an order is the link that was followed, and nothing else of it.
    assert_eq!((&spring["orders"], &spring["revenue"]), (&json!(1.0), &json!(40.0)), "{spring:#}");
    let variants = spring["variants"].as_array().unwrap();
    let names: Vec<&Value> = variants.iter().map(|variant| &variant["variant"]).collect();
    assert_eq!(names, ["plain", "bold"]);
    let sum = |name: &str| variants.iter().map(|variant| variant[name].as_f64().unwrap()).sum::<f64>();
    for name in ["sent", "clicked", "converted", "revenue"] {
        assert_eq!(Some(sum(name)), spring[name].as_f64(), "{name}: {spring:#}");
    }
    assert_eq!(variants[1]["revenue"], 40.0);
    let all = report(&run, "attribution").await;
    assert_eq!(row(&all, "touch", "campaign/spring")["by"]["last"]["revenue"], 40.0, "{all:#}");
    counters_equal_the_ledger(&run);
    counters_equal_the_entries(&run);

    // Told again it is the same.
    let before = run.table();
    take(&run, buys(others[1], 3_003, "4")).await;
    take(&run, buys(held[0], 3_004, "5")).await;
    assert!(run.table() == before);
    // Of other days there is nothing to tell.
    let earlier = report(&run, "campaigns?from=2025-01-01&to=2025-01-31").await;
    let spring = row(&earlier, "campaign", "spring");
    assert_eq!(
        (&spring["broadcasts"], &spring["sent"], &spring["lift"]),
        (&json!(0), &json!(0), &Value::Null)
    );
    run.finish().await;
}

#[tokio::test]
async fn a_campaign_without_a_goal_says_nothing_of_it() {
    let run = with("at: now\nhold_out: 30%").await;
    let everybody = people(&run, 8, &[]).await;
    ask(&run, "schedule").await;
    minutes(&run, 2).await;
    take(&run, buys(&everybody[0], 100, "1")).await;
    let campaigns = report(&run, "campaigns").await;
    let spring = row(&campaigns, "campaign", "spring");
    assert_eq!((&spring["converted"], &spring["lift"]), (&Value::Null, &Value::Null), "{spring:#}");
    assert_eq!(spring["sent"].as_u64().unwrap() + spring["held_out"].as_u64().unwrap(), 8);
    run.finish().await;
}
