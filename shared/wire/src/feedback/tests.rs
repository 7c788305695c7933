//! What is no event, what is nearly one, and where our own id is found.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use sluice_domain::feedback::{Bounce, Kind};

fn event(body: &serde_json::Value) -> Feedback {
    match read(&body.to_string()) {
        Ok(Read::Event(event)) => event,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn what_is_no_event_is_told_apart_from_what_is_only_said_in_passing() {
    let said = "Successfully validated SNS topic for Amazon SES event publishing.";
    assert!(matches!(read(said), Ok(Read::Nothing(_))));
    assert!(matches!(
        read(&json!({"Type": "Notification", "Message": said}).to_string()),
        Ok(Read::Nothing(_))
    ));
    let confirmation = json!({"Type": "SubscriptionConfirmation", "Message": "You have chosen"});
    assert!(matches!(read(&confirmation.to_string()), Ok(Read::Nothing(_))));
    for (body, why) in [
        ("", Unreadable::NotJson),
        ("hello", Unreadable::NotJson),
        ("[1]", Unreadable::NotJson),
        ("{}", Unreadable::NotAnEvent),
        (r#"{"Type":"Notification","Message":"hello"}"#, Unreadable::NotJson),
        (r#"{"detail-type":"Email Bounced","detail":{}}"#, Unreadable::NotAnEvent),
        (r#"{"eventType":null}"#, Unreadable::NotAnEvent),
    ] {
        assert_eq!(read(body), Err(why), "{body}");
    }
}

#[test]
fn fields_of_tomorrow_and_missing_ones_do_no_harm() {
    let bounce = event(&json!({"eventType": "Bounce", "bounce": 7, "mail": null, "new": [{}]}));
    assert_eq!(
        (bounce.kind, bounce.recipients.len(), bounce.at),
        (Kind::Bounce(Bounce::Undetermined), 0, None)
    );
    let odd = event(&json!({"eventType": "Bounce", "bounce": {
        "bounceType": "Permanent",
        "bouncedRecipients": [{}, {"emailAddress": "no address"}, {"emailAddress": "\"Ada, L\" <Ada@Example.org>"},
                              {"emailAddress": "ada@example.org"}, 7],
    }}));
    let recipients: Vec<&str> = odd.recipients.iter().map(|email| email.as_sent()).collect();
    assert_eq!(recipients, ["Ada@example.org"], "each mailbox once, and only addresses");
    let long = event(&json!({"eventType": "x".repeat(5_000)}));
    assert_eq!(long.kind, Kind::Other("x".repeat(40)));
}

#[test]
fn the_envelopes_time_counts_where_the_event_says_none() {
    let bare = json!({"eventType": "Bounce", "bounce": {}, "mail": {}});
    let bus = json!({"detail-type": "Email Bounced", "time": "2026-01-05T09:29:59Z", "detail": bare});
    let topic =
        json!({"Type": "Notification", "Timestamp": "2026-01-05T09:29:59.000Z", "Message": bare.to_string()});
    for body in [bus, topic] {
        assert_eq!(event(&body).at, Timestamp::parse("2026-01-05T09:29:59Z"));
    }
}

proptest! {
    #[test]
    fn whatever_is_on_the_queue_is_read_or_refused(
        body in any::<String>(),
        words in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "\"eventType\":", "\"Bounce\"", "\"detail-type\":\"x\"", "\"detail\":", "\"Type\":\"Notification\"",
            "\"Message\":", "\"event\":", ",", "null", "\"bounce\":{\"bouncedRecipients\":[{\"emailAddress\":\"a@b.example\"}]}",
        ]), 0..12),
    ) {
        let _ = read(&body);
        let _ = read(&words.concat());
    }
}
