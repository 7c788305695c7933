//! Messages as senders and receivers see them, and what SQS accepts in one.

use super::attributes::Settings;
use super::error::{Code, SqsError};
use super::md5;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest message, and the largest batch, in bytes of bodies and attributes (SQS quotas, since August 2025).
pub const MAX_BYTES: usize = 1_048_576;

/// The longest delay of one message, in seconds.
pub(super) const MAX_DELAY: i64 = 900;

/// A named value beside the body. Exactly one of the two values is set, by the kind of `data_type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, and optionally a label of the sender's after a dot.
    pub data_type: String,
    /// The value of a `String` or `Number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value of a `Binary`, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

/// A message to send.
#[derive(Clone, Debug, Default)]
pub struct OutgoingMessage {
    /// The body: 1 to 1,048,576 bytes of UTF-8, attributes included.
    pub body: String,
    /// Seconds until it can be received, 0 to 900; the queue's own delay if absent.
    pub delay_seconds: Option<i64>,
    /// At most ten.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// Must be set for a FIFO queue; on a standard queue it is kept and given back.
    pub group_id: Option<String>,
    /// FIFO only: what makes two sends within five minutes the same message.
    pub deduplication_id: Option<String>,
    /// The X-Ray trace header.
    pub trace_header: Option<String>,
}

impl OutgoingMessage {
    /// A message that is only a body.
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// Bytes counted against the size limits: body, and names, types and values of the attributes.
    pub(super) fn size(&self) -> usize {
        let value = |a: &MessageAttribute| match (&a.string_value, &a.binary_value) {
            (_, Some(bytes)) => STANDARD.decode(bytes).map_or(bytes.len(), |b| b.len()),
            (text, None) => text.as_ref().map_or(0, String::len),
        };
        let attributes = self.attributes.iter().map(|(name, a)| name.len() + a.data_type.len() + value(a));
        self.body.len() + attributes.sum::<usize>()
    }

    /// Whether a queue with these settings takes this message.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), SqsError> {
        if self.body.is_empty() {
            return Err(SqsError::missing("MessageBody"));
        }
        if let Some(stray) = self.body.chars().find(|c| !carried(*c)) {
            return Err(SqsError::refused(
                Code::InvalidMessageContents,
                format!("The message body has the character #x{:X}, which cannot be sent.", u32::from(stray)),
            ));
        }
        if self.size() > settings.max_bytes {
            let limit = settings.max_bytes;
            return Err(SqsError::refused(
                Code::InvalidParameterValue,
                format!(
                    "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
                ),
            ));
        }
        if let Some(delay) = self.delay_seconds {
            if !(0..=MAX_DELAY).contains(&delay) {
                return Err(SqsError::parameter(
                    "DelaySeconds",
                    delay,
                    "DelaySeconds must be >= 0 and <= 900",
                ));
            }
            if settings.fifo && delay != 0 {
                return Err(SqsError::parameter("DelaySeconds", delay, OTHER_QUEUE_TYPE));
            }
        }
        if let (false, Some(id)) = (settings.fifo, &self.deduplication_id) {
            return Err(SqsError::parameter("MessageDeduplicationId", id, OTHER_QUEUE_TYPE));
        }
        for (name, id) in
            [("MessageGroupId", &self.group_id), ("MessageDeduplicationId", &self.deduplication_id)]
        {
            if let Some(id) = id
                && !identifier(id)
            {
                let rule = format!(
                    "{name} can only include alphanumeric and punctuation characters. 1 to 128 in length"
                );
                return Err(SqsError::parameter(name, id, rule));
            }
        }
        check_attributes(&self.attributes)
    }

    /// The digest of the system attributes, which is of the trace header alone.
    pub(super) fn md5_of_system_attributes(&self) -> Option<String> {
        let header = self.trace_header.clone()?;
        let attribute = MessageAttribute {
            data_type: "String".to_owned(),
            string_value: Some(header),
            binary_value: None,
        };
        md5::of_attributes(&BTreeMap::from([("AWSTraceHeader".to_owned(), attribute)]))
    }
}

const OTHER_QUEUE_TYPE: &str = "The request include parameter that is not valid for this queue type";

/// What SQS made of a message it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The message's id; the first one's, if this was a duplicate on a FIFO queue.
    pub message_id: String,
    /// MD5 of the body, hex.
    pub md5_of_body: String,
    /// MD5 of the attributes, hex.
    pub md5_of_attributes: Option<String>,
    /// MD5 of the system attributes, hex.
    pub md5_of_system_attributes: Option<String>,
    /// FIFO only: the place in the queue, 20 digits.
    pub sequence_number: Option<String>,
}

/// A message as one receive gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The message's id.
    pub message_id: String,
    /// Names this receive; deletes the message.
    pub receipt_handle: String,
    /// The body.
    pub body: String,
    /// MD5 of the body, hex.
    pub md5_of_body: String,
    /// System attributes by their API names (`ApproximateReceiveCount`, `SentTimestamp` in milliseconds, ...).
    pub attributes: BTreeMap<String, String>,
    /// The sender's attributes.
    pub message_attributes: BTreeMap<String, MessageAttribute>,
}

impl ReceivedMessage {
    /// MD5 of the sender's attributes, hex; `None` without any.
    pub fn md5_of_message_attributes(&self) -> Option<String> {
        md5::of_attributes(&self.message_attributes)
    }
}

/// The characters SQS carries: those of XML 1.0 (SendMessage, "message body").
fn carried(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// A group or deduplication id: 1 to 128 printable ASCII characters without space.
fn identifier(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn check_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> Result<(), SqsError> {
    let invalid = |message: String| Err(SqsError::refused(Code::InvalidParameterValue, message));
    if attributes.len() > 10 {
        return invalid(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            attributes.len()
        ));
    }
    for (name, attribute) in attributes {
        let lower = name.to_ascii_lowercase();
        let named = (1..=256).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
            && !(name.starts_with('.') || name.ends_with('.') || name.contains(".."))
            && !(lower.starts_with("aws.") || lower.starts_with("amazon."));
        if !named {
            return invalid(format!("The message attribute name '{name}' is invalid."));
        }
        let kind = attribute.data_type.split('.').next().unwrap_or_default();
        let valued = match kind {
            "String" => attribute.string_value.as_deref().is_some_and(|v| !v.is_empty()),
            "Number" => attribute.string_value.as_deref().is_some_and(|v| v.trim().parse::<f64>().is_ok()),
            "Binary" => attribute
                .binary_value
                .as_deref()
                .is_some_and(|v| STANDARD.decode(v).is_ok_and(|bytes| !bytes.is_empty())),
            _ => {
                return invalid(format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported \
                     type prefixes is Binary, Number, and String."
                ));
            }
        };
        if !valued || attribute.data_type.len() > 256 {
            return invalid(format!(
                "The message attribute '{name}' must contain a non-empty value of its type."
            ));
        }
        if (kind == "Binary" && attribute.string_value.is_some())
            || (kind != "Binary" && attribute.binary_value.is_some())
        {
            return invalid(format!("The message attribute '{name}' has two values."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &OutgoingMessage, settings: &Settings) -> Option<Code> {
        message.check(settings).err().and_then(|e| e.code())
    }

    #[test]
    fn a_message_counts_its_attributes_and_is_refused_one_byte_above_the_limit() {
        let settings = Settings::default();
        let mut message = OutgoingMessage::new("x".repeat(MAX_BYTES));
        assert_eq!(refusal(&message, &settings), None);
        let text = MessageAttribute {
            data_type: "String".to_owned(),
            string_value: Some("v".to_owned()),
            binary_value: None,
        };
        message.attributes.insert("n".to_owned(), text);
        assert_eq!(message.size(), MAX_BYTES + 1 + 6 + 1);
        assert_eq!(refusal(&message, &settings), Some(Code::InvalidParameterValue));
    }

    #[test]
    fn characters_outside_xml_are_refused() {
        for (body, taken) in
            [("\t\n\r ~é\u{FFFD}\u{1F600}", true), ("a\0", false), ("\u{1b}", false), ("\u{FFFE}", false)]
        {
            let code = refusal(&OutgoingMessage::new(body), &Settings::default());
            assert_eq!(code, (!taken).then_some(Code::InvalidMessageContents), "{body:?}");
        }
    }

    #[test]
    fn an_attribute_needs_a_name_a_known_type_and_a_value_of_that_type() {
        let with = |name: &str, kind: &str, text: Option<&str>, bytes: Option<&str>| {
            let attribute = MessageAttribute {
                data_type: kind.to_owned(),
                string_value: text.map(str::to_owned),
                binary_value: bytes.map(str::to_owned),
            };
            check_attributes(&BTreeMap::from([(name.to_owned(), attribute)])).is_ok()
        };
        assert!(with("a-b_c.d", "String.label", Some("x"), None));
        assert!(with("n", "Number", Some("-1.5e3"), None));
        assert!(with("b", "Binary", None, Some("AA==")));
        assert!(!with("aws.x", "String", Some("x"), None));
        assert!(!with("a..b", "String", Some("x"), None));
        assert!(!with("n", "Number", Some("ten"), None));
        assert!(!with("n", "Text", Some("x"), None));
        assert!(!with("n", "String", Some(""), None));
        assert!(!with("n", "Binary", Some("x"), Some("AA==")));
    }
}
