//! EventBridge: what SES publishes goes to the queues of the rules that it is for.

use serde_json::Value;
use sluice_services::ses_events::MailEvents;
use sluice_services::sqs::{OutgoingMessage, Sqs};
use std::collections::{BTreeMap, BTreeSet};

/// Events about one of some resources that go to queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// ARNs, one of which an event has to be about.
    pub resources: Vec<String>,
    /// Names of queues.
    pub queues: Vec<String>,
}

impl RuleSpec {
    fn is_for(&self, event: &Value) -> bool {
        let about = event["resources"].as_array().into_iter().flatten();
        about.filter_map(Value::as_str).any(|arn| self.resources.iter().any(|wanted| wanted == arn))
    }
}

/// The events of these configuration sets, on the queues that the rules name.
pub fn to_queues(sets: BTreeMap<String, BTreeSet<String>>, rules: Vec<RuleSpec>, sqs: Sqs) -> MailEvents {
    MailEvents::new(sets, move |event| {
        for queue in rules.iter().filter(|rule| rule.is_for(&event)).flat_map(|rule| &rule.queues) {
            // EventBridge tries for a day; here the queue is in the same process.
            if let Err(error) = sqs.send(queue, OutgoingMessage::new(event.to_string())) {
                tracing::warn!(queue, %error, "an event is lost");
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_for_the_rule_that_names_what_it_is_about() {
        let rule = RuleSpec { resources: vec!["arn:a".into(), "arn:b".into()], queues: Vec::new() };
        assert!(rule.is_for(&json!({ "resources": ["arn:x", "arn:b"] })));
        assert!(!rule.is_for(&json!({ "resources": ["arn:x"] })));
        assert!(!rule.is_for(&json!({})));
    }
}
