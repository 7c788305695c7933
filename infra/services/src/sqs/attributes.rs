//! Queue attributes: names, ranges and defaults of the SQS API, and the settings they come to.

use super::error::{Code, SqsError};
use super::message::MAX_BYTES;
use serde_json::Value;
use std::collections::BTreeMap;

/// A queue's attributes as they were given, by their API names.
pub(super) type Given = BTreeMap<String, String>;

/// The longest visibility timeout, in seconds: twelve hours.
pub(super) const MAX_VISIBILITY: i64 = 43_200;

/// What a queue goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Seconds before a new message can be received.
    pub(super) delay: i64,
    /// Largest message, in bytes.
    pub(super) max_bytes: usize,
    /// Seconds until a message is dropped.
    pub(super) retention: i64,
    /// Seconds a receive waits for a message.
    pub(super) wait: i64,
    /// Seconds a received message is hidden.
    pub(super) visibility: i64,
    /// Where a message goes that was received too often.
    pub(super) redrive: Option<Redrive>,
    /// Order and deduplication are kept.
    pub(super) fifo: bool,
    /// A FIFO message without a deduplication id gets the SHA-256 of its body.
    pub(super) content_deduplication: bool,
    /// Deduplication ids count within their message group, not in the whole queue.
    pub(super) deduplication_per_group: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delay: 0,
            max_bytes: MAX_BYTES,
            retention: 345_600,
            wait: 0,
            visibility: 30,
            redrive: None,
            fifo: false,
            content_deduplication: false,
            deduplication_per_group: false,
        }
    }
}

/// A redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redrive {
    /// The name of the dead-letter queue.
    pub(super) target: String,
    /// Receives after which the next one moves the message there.
    pub(super) max_receives: i64,
}

/// Name, lowest, highest and default value of each numeric attribute (CreateQueue, SetQueueAttributes).
const NUMBERS: [(&str, i64, i64, i64); 6] = [
    ("DelaySeconds", 0, 900, 0),
    ("MaximumMessageSize", 1024, MAX_BYTES as i64, MAX_BYTES as i64),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("VisibilityTimeout", 0, MAX_VISIBILITY, 30),
    ("KmsDataKeyReusePeriodSeconds", 60, 86_400, 300),
];

/// Attributes of FIFO queues and their values.
const FIFO_CHOICES: [(&str, &[&str]); 4] = [
    ("FifoQueue", &["true", "false"]),
    ("ContentBasedDeduplication", &["true", "false"]),
    ("DeduplicationScope", &["queue", "messageGroup"]),
    ("FifoThroughputLimit", &["perQueue", "perMessageGroupId"]),
];

/// Attributes that are kept and given back; one machine has one account and nothing to encrypt for.
const KEPT: [&str; 4] = ["Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"];

/// Attributes that are only computed.
pub(super) const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];

/// Whether `name` is an attribute GetQueueAttributes may be asked for.
pub(super) fn exists(name: &str) -> bool {
    name == "All"
        || name == "RedrivePolicy"
        || COMPUTED.contains(&name)
        || KEPT.contains(&name)
        || NUMBERS.iter().any(|(n, ..)| *n == name)
        || FIFO_CHOICES.iter().any(|(n, _)| *n == name)
}

/// Whether `name` can be a queue's: up to 80 letters, digits, hyphens and underscores, `.fifo` included.
pub(super) fn check_name(name: &str) -> Result<(), SqsError> {
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    let legal = !plain.is_empty()
        && name.len() <= 80
        && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if legal {
        return Ok(());
    }
    let rule = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
    Err(SqsError::refused(Code::InvalidParameterValue, rule))
}

/// Reads the attributes of the queue `name`. The redrive target's existence is not checked here.
pub(super) fn settings(name: &str, given: &Given) -> Result<Settings, SqsError> {
    let fifo = given.get("FifoQueue").is_some_and(|v| v == "true");
    if fifo != name.ends_with(".fifo") {
        let rule =
            "The name of a FIFO queue must end in .fifo and only its name, and FifoQueue must be true for it";
        return Err(SqsError::refused(Code::InvalidParameterValue, rule));
    }
    for (name, value) in given {
        check_value(name, value, fifo)?;
    }
    let per_group = given.get("DeduplicationScope").is_some_and(|v| v == "messageGroup");
    if given.get("FifoThroughputLimit").is_some_and(|v| v == "perMessageGroupId") && !per_group {
        return Err(invalid("FifoThroughputLimit"));
    }
    let number = |name: &str| {
        let default = NUMBERS.iter().find(|(n, ..)| *n == name).map_or(0, |(.., default)| *default);
        given.get(name).and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    Ok(Settings {
        delay: number("DelaySeconds"),
        max_bytes: number("MaximumMessageSize") as usize,
        retention: number("MessageRetentionPeriod"),
        wait: number("ReceiveMessageWaitTimeSeconds"),
        visibility: number("VisibilityTimeout"),
        redrive: given.get("RedrivePolicy").map(|text| redrive(text)).transpose()?,
        fifo,
        content_deduplication: given.get("ContentBasedDeduplication").is_some_and(|v| v == "true"),
        deduplication_per_group: per_group,
    })
}

/// Every attribute that has a value, given or by default; the computed ones are not here.
pub(super) fn with_defaults(given: &Given, settings: &Settings) -> Given {
    let numbers = NUMBERS.iter().filter(|(name, ..)| *name != "KmsDataKeyReusePeriodSeconds");
    let mut all: Given =
        numbers.map(|(name, .., default)| ((*name).to_owned(), default.to_string())).collect();
    all.insert("SqsManagedSseEnabled".to_owned(), "true".to_owned());
    if settings.fifo {
        for (name, value) in [
            ("ContentBasedDeduplication", "false"),
            ("DeduplicationScope", "queue"),
            ("FifoThroughputLimit", "perQueue"),
        ] {
            all.insert(name.to_owned(), value.to_owned());
        }
    }
    all.extend(given.clone());
    all
}

/// Takes over changed attributes; an empty policy removes it.
pub(super) fn merge(given: &Given, changes: &Given) -> Given {
    let mut merged = given.clone();
    for (name, value) in changes {
        if value.is_empty() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    merged
}

/// The queue name an ARN ends in.
pub(super) fn name_of_arn(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:")?;
    let mut parts = rest.split(':');
    let (_partition, service) = (parts.next()?, parts.next()?);
    let (_region, _account, name) = (parts.next()?, parts.next()?, parts.next()?);
    (service == "sqs" && parts.next().is_none() && !name.is_empty()).then_some(name)
}

fn check_value(name: &str, value: &str, fifo: bool) -> Result<(), SqsError> {
    if let Some((_, low, high, _)) = NUMBERS.iter().find(|(n, ..)| *n == name) {
        return match value.parse::<i64>() {
            Ok(number) if (*low..=*high).contains(&number) => Ok(()),
            _ => Err(invalid(name)),
        };
    }
    if let Some((_, choices)) = FIFO_CHOICES.iter().find(|(n, _)| *n == name) {
        if !fifo && value != "false" {
            return Err(SqsError::refused(Code::InvalidAttributeName, format!("Unknown Attribute {name}.")));
        }
        return if choices.contains(&value) { Ok(()) } else { Err(invalid(name)) };
    }
    if name == "RedrivePolicy" || KEPT.contains(&name) {
        return Ok(());
    }
    Err(SqsError::refused(Code::InvalidAttributeName, format!("Unknown Attribute {name}.")))
}

fn invalid(name: &str) -> SqsError {
    SqsError::refused(Code::InvalidAttributeValue, format!("Invalid value for the parameter {name}."))
}

fn redrive(text: &str) -> Result<Redrive, SqsError> {
    let refuse = |reason: &str| SqsError::parameter("RedrivePolicy", text, reason);
    let policy: Value =
        serde_json::from_str(text).map_err(|_| refuse("Redrive policy is not a valid JSON map"))?;
    let target = policy.get("deadLetterTargetArn").and_then(Value::as_str);
    let target = target
        .ok_or_else(|| refuse("Redrive policy does not contain mandatory attribute: deadLetterTargetArn"))?;
    let target = name_of_arn(target).ok_or_else(|| refuse("Invalid value for deadLetterTargetArn"))?;
    let receives = match policy.get("maxReceiveCount") {
        None => return Err(refuse("Redrive policy does not contain mandatory attribute: maxReceiveCount")),
        Some(Value::String(digits)) => digits.parse().ok(),
        Some(number) => number.as_i64(),
    };
    match receives {
        Some(max_receives @ 1..=1000) => Ok(Redrive { target: target.to_owned(), max_receives }),
        _ => Err(refuse("Invalid value for maxReceiveCount, valid values are from 1 to 1000 both inclusive")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, given: &[(&str, &str)]) -> Result<Settings, Option<Code>> {
        let given = given.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        settings(name, &given).map_err(|e| e.code())
    }

    #[test]
    fn values_outside_their_range_and_unknown_names_are_refused() {
        assert_eq!(read("q", &[]), Ok(Settings::default()));
        for (name, low, high, _) in NUMBERS {
            for (value, taken) in [(low, true), (high, true), (low - 1, false), (high + 1, false)] {
                assert_eq!(read("q", &[(name, &value.to_string())]).is_ok(), taken, "{name} {value}");
            }
        }
        assert_eq!(read("q", &[("Colour", "red")]), Err(Some(Code::InvalidAttributeName)));
        assert_eq!(read("q", &[("QueueArn", "x")]), Err(Some(Code::InvalidAttributeName)));
    }

    #[test]
    fn fifo_is_said_by_name_and_attribute_together() {
        assert!(read("q.fifo", &[("FifoQueue", "true")]).is_ok_and(|s| s.fifo));
        assert_eq!(read("q.fifo", &[]), Err(Some(Code::InvalidParameterValue)));
        assert_eq!(read("q", &[("FifoQueue", "true")]), Err(Some(Code::InvalidParameterValue)));
        assert_eq!(
            read("q", &[("ContentBasedDeduplication", "true")]),
            Err(Some(Code::InvalidAttributeName))
        );
    }

    #[test]
    fn a_redrive_policy_names_a_queue_and_one_to_a_thousand_receives() {
        let policy = |arn: &str, count: &str| {
            format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#)
        };
        let arn = "arn:aws:sqs:us-east-1:000000000000:dead";
        for count in ["3", "\"3\""] {
            let settings = read("q", &[("RedrivePolicy", &policy(arn, count))]).unwrap();
            assert_eq!(settings.redrive, Some(Redrive { target: "dead".to_owned(), max_receives: 3 }));
        }
        for bad in
            [policy(arn, "0"), policy(arn, "1001"), policy("dead", "3"), "{}".to_owned(), "x".to_owned()]
        {
            assert_eq!(
                read("q", &[("RedrivePolicy", &bad)]),
                Err(Some(Code::InvalidParameterValue)),
                "{bad}"
            );
        }
    }
}
