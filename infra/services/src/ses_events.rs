//! What SES says of a mail once it has taken it, in the form in which EventBridge brings it: sent, delivered, and for the
//! addresses of the mailbox simulator whatever they stand for.
//!
//! (Amazon SES developer guide, "Using the mailbox simulator manually"; "Contents of event data that Amazon SES publishes
//! to Amazon SNS"; EventBridge events reference, "Amazon SES events".)

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The domain of addresses that stand for what can become of a mail.
const SIMULATOR: &str = "simulator.amazonses.com";
/// Ours.
const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";

/// The configuration sets there are, and where their events go.
#[derive(Clone)]
pub struct MailEvents {
    sets: Arc<BTreeMap<String, BTreeSet<String>>>,
    publish: Arc<dyn Fn(Value) + Send + Sync>,
}

impl fmt::Debug for MailEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailEvents").field("sets", &self.sets).finish_non_exhaustive()
    }
}

/// A mail that was taken.
pub(crate) struct Taken<'a> {
    /// The set it was sent under.
    pub(crate) set: &'a str,
    /// The id that was answered.
    pub(crate) id: &'a str,
    /// When, in milliseconds since the epoch.
    pub(crate) at: i64,
    /// The sender.
    pub(crate) from: &'a str,
    /// Everybody it goes to.
    pub(crate) to: &'a [String],
    /// Its subject.
    pub(crate) subject: &'a str,
    /// Names and values of its tags.
    pub(crate) tags: Vec<(&'a str, &'a str)>,
}

/// What becomes of a mail at one address.
enum Fate {
    Delivered,
    Bounced { kind: &'static str, part: &'static str, report: Option<(&'static str, &'static str)> },
    Complained,
    AnsweredByItself,
}

impl MailEvents {
    /// Events of these sets, each with the kinds that it publishes (`SEND`, `DELIVERY`), for `publish`.
    pub fn new(
        sets: BTreeMap<String, BTreeSet<String>>,
        publish: impl Fn(Value) + Send + Sync + 'static,
    ) -> Self {
        Self { sets: Arc::new(sets), publish: Arc::new(publish) }
    }

    /// Whether there is such a set.
    pub(crate) fn knows(&self, set: &str) -> bool {
        self.sets.contains_key(set)
    }

    /// Publishes what is to be said of a mail, in the order in which it would happen.
    pub(crate) fn taken(&self, mail: &Taken<'_>) {
        let Some(kinds) = self.sets.get(mail.set) else { return };
        let mut events = vec![mail.event("SEND", json!({ "send": {} }))];
        for (n, address) in mail.to.iter().enumerate() {
            events.extend(mail.fate(n, bare(address)));
        }
        for (kind, event) in events {
            if kinds.contains(kind) {
                (self.publish)(event);
            }
        }
    }
}

impl Taken<'_> {
    fn fate(&self, n: usize, address: &str) -> Vec<(&'static str, Value)> {
        let time = rfc3339(self.at);
        let feedback = format!("{}-feedback-{n}", self.id);
        let delivery = || {
            let detail = json!({
                "timestamp": time, "processingTimeMillis": 1, "recipients": [address],
                "smtpResponse": "250 2.0.0 OK", "reportingMTA": "local.smtp-out.amazonses.com",
            });
            self.event("DELIVERY", json!({ "delivery": detail }))
        };
        let bounce = |kind: &str, part: &str, report: Option<(&str, &str)>| {
            let mut recipient = json!({ "emailAddress": address });
            if let Some((status, says)) = report {
                recipient["action"] = "failed".into();
                recipient["status"] = status.into();
                recipient["diagnosticCode"] = says.into();
            }
            let detail = json!({
                "bounceType": kind, "bounceSubType": part, "bouncedRecipients": [recipient],
                "timestamp": time, "feedbackId": feedback,
            });
            self.event("BOUNCE", json!({ "bounce": detail }))
        };
        match fate(address) {
            Fate::Delivered => vec![delivery()],
            Fate::Bounced { kind, part, report } => vec![bounce(kind, part, report)],
            Fate::AnsweredByItself => vec![delivery(), bounce("Transient", "General", None)],
            Fate::Complained => {
                let detail = json!({
                    "complainedRecipients": [{ "emailAddress": address }], "complaintFeedbackType": "abuse",
                    "userAgent": "Amazon SES Mailbox Simulator", "timestamp": time, "feedbackId": feedback,
                });
                vec![delivery(), self.event("COMPLAINT", json!({ "complaint": detail }))]
            }
        }
    }

    /// One event, in EventBridge's envelope.
    fn event(&self, kind: &'static str, mut detail: Value) -> (&'static str, Value) {
        let (title, word) = match kind {
            "SEND" => ("Email Sent", "Send"),
            "DELIVERY" => ("Email Delivered", "Delivery"),
            "BOUNCE" => ("Email Bounced", "Bounce"),
            _ => ("Email Complaint Received", "Complaint"),
        };
        detail["eventType"] = word.into();
        detail["mail"] = self.mail();
        let set = format!("arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/{}", self.set);
        let event = json!({
            "version": "0", "id": unique(), "detail-type": title, "source": "aws.ses", "account": ACCOUNT,
            "time": rfc3339(self.at), "region": REGION, "resources": [set], "detail": detail,
        });
        (kind, event)
    }

    fn mail(&self) -> Value {
        let mut tags = json!({
            "ses:configuration-set": [self.set], "ses:source-ip": ["127.0.0.1"], "ses:caller-identity": ["local"],
        });
        for (name, value) in &self.tags {
            tags[*name] = json!([value]);
        }
        json!({
            "timestamp": rfc3339(self.at), "source": self.from, "sendingAccountId": ACCOUNT, "messageId": self.id,
            "destination": self.to, "headersTruncated": false, "headers": [],
            "commonHeaders": { "from": [self.from], "to": self.to, "subject": self.subject },
            "tags": tags,
        })
    }
}

/// What becomes of a mail to an address. Those of the simulator may have a label: `bounce+label@…`.
fn fate(address: &str) -> Fate {
    let simulated = address.rsplit_once('@').filter(|(_, domain)| domain.eq_ignore_ascii_case(SIMULATOR));
    let local = simulated.map(|(local, _)| local.split('+').next().unwrap_or_default().to_ascii_lowercase());
    match local.as_deref() {
        Some("bounce") => Fate::Bounced {
            kind: "Permanent",
            part: "General",
            report: Some(("5.1.1", "smtp; 550 5.1.1 user unknown")),
        },
        Some("suppressionlist") => Fate::Bounced {
            kind: "Permanent",
            part: "Suppressed",
            report: Some(("5.1.1", "Amazon SES has suppressed sending to this address")),
        },
        Some("complaint") => Fate::Complained,
        Some("ooto") => Fate::AnsweredByItself,
        _ => Fate::Delivered,
    }
}

/// The address of `Name <address>`.
fn bare(address: &str) -> &str {
    match address.rsplit_once('<') {
        Some((_, rest)) => rest.trim_end().trim_end_matches('>'),
        None => address.trim(),
    }
}

fn unique() -> String {
    let mut random = [0; 16];
    // An event without an id of its own is still an event.
    let _ = getrandom::fill(&mut random);
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}

/// A time as SES writes it, in UTC with milliseconds.
fn rfc3339(millis: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// What is published of a mail to these addresses, as kind and recipient.
    fn published(to: &[&str], kinds: &[&str]) -> Vec<(String, String)> {
        let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = seen.clone();
        let sets =
            BTreeMap::from([("set".to_owned(), kinds.iter().map(|kind| (*kind).to_owned()).collect())]);
        let events = MailEvents::new(sets, move |event| kept.lock().unwrap().push(event));
        let to: Vec<String> = to.iter().map(|address| (*address).to_owned()).collect();
        events.taken(&Taken {
            set: "set",
            id: "id-1",
            at: 1_795_283_353_000,
            from: "News <news@shop.example>",
            to: &to,
            subject: "Hello",
            tags: vec![("message", "ms_1")],
        });
        let events = seen.lock().unwrap();
        let told = |event: &Value| {
            let detail = &event["detail"];
            assert_eq!(event["source"], "aws.ses");
            assert_eq!(event["resources"][0], "arn:aws:ses:us-east-1:000000000000:configuration-set/set");
            assert_eq!(event["time"], "2026-11-21T17:49:13.000Z");
            assert_eq!(detail["mail"]["messageId"], "id-1");
            assert_eq!(detail["mail"]["tags"]["message"], json!(["ms_1"]));
            let whom = [
                &detail["delivery"]["recipients"][0],
                &detail["bounce"]["bouncedRecipients"][0]["emailAddress"],
                &detail["complaint"]["complainedRecipients"][0]["emailAddress"],
            ];
            let whom = whom.into_iter().find_map(Value::as_str).unwrap_or_default();
            let kind = detail["bounce"]["bounceType"].as_str().or(detail["eventType"].as_str());
            (kind.unwrap().to_owned(), whom.to_owned())
        };
        events.iter().map(told).collect()
    }

    const ALL: [&str; 4] = ["SEND", "DELIVERY", "BOUNCE", "COMPLAINT"];

    #[test]
    fn every_address_of_the_simulator_meets_what_it_stands_for() {
        let at = |local: &str| format!("{local}@simulator.amazonses.com");
        for (local, expected) in [
            ("success", &["Send", "Delivery"][..]),
            ("bounce", &["Send", "Permanent"]),
            ("Bounce+label7", &["Send", "Permanent"]),
            ("suppressionlist", &["Send", "Permanent"]),
            ("ooto", &["Send", "Delivery", "Transient"]),
            ("complaint", &["Send", "Delivery", "Complaint"]),
        ] {
            let address = at(local);
            let told = published(&[&address], &ALL);
            assert_eq!(told.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), expected, "{local}");
            assert!(told.iter().skip(1).all(|(_, whom)| *whom == address), "{told:?}");
        }
        let pair = |kind: &str, whom: &str| (kind.to_owned(), whom.to_owned());
        let told = published(&["Ada <ada@example.org>", &at("bounce")], &ALL);
        assert_eq!(told[1..], [pair("Delivery", "ada@example.org"), pair("Permanent", &at("bounce"))]);
    }

    #[test]
    fn what_a_set_does_not_publish_is_not_said() {
        let told = published(&["bounce@simulator.amazonses.com"], &["BOUNCE"]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(published(&["ada@example.org"], &[]), []);
    }
}
