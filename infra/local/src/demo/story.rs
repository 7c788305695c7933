//! One customer's way, from the first click to the order.

use super::words;
use serde::Serialize;
use serde_json::Value;

/// What happened to somebody.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// Who.
    pub who: String,
    /// The customer.
    pub customer: String,
    /// In the order of time.
    pub steps: Vec<Step>,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When, RFC 3339.
    pub at: String,
    /// What, in words.
    pub what: String,
}

impl Story {
    /// What a timeline (newest first) tells since `start`; none if that is nothing.
    pub(super) fn of(customer: &Value, timeline: &[Value], start: &str) -> Option<Self> {
        let mut things: Vec<&Value> = timeline
            .iter()
            .rev()
            .filter(|thing| thing["at"].as_str().is_some_and(|at| at >= start))
            .collect();
        // Of one instant the cause comes first.
        things.sort_by_key(|thing| (words::text(thing, "/at"), place(thing)));
        let mut steps: Vec<Step> = Vec::new();
        for thing in things {
            let Some(what) = said(thing) else { continue };
            let step = Step { at: words::text(thing, "/at"), what };
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        let story = Self { who: words::name(customer), customer: words::text(customer, "/id"), steps };
        (!story.steps.is_empty()).then_some(story)
    }
}

/// What came first of things of one instant.
fn place(thing: &Value) -> u8 {
    match (thing["what"].as_str(), thing["event"].as_str()) {
        _ if !thing["because_of"].is_null() => 3,
        (Some("message"), _) => 4,
        (_, Some("lead_assigned")) => 2,
        (Some("lead"), _) => 1,
        _ => 0,
    }
}

/// A thing in words; none for what only machines care about.
fn said(thing: &Value) -> Option<String> {
    let property = |name: &str| match &thing["properties"][name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Some(match thing["what"].as_str()? {
        "lead" => format!("asks us ({})", words::text(thing, "/source")),
        "message" => match thing["state"].as_str()? {
            "sent" => format!("gets the mail {}", words::text(thing, "/template")),
            state => format!(
                "the mail {} is {state}: {}",
                words::text(thing, "/template"),
                words::text(thing, "/why")
            ),
        },
        _ => match thing["event"].as_str()? {
            "page_viewed" => {
                let from = words::text(thing, "/context/campaign/source");
                let from = if from.is_empty() { from } else { format!(", by an ad on {from}") };
                format!("looks at {}{from}", property("path"))
            }
            "lead_assigned" => format!("belongs to {} now", property("rep")),
            "lead_accepted" => format!("{} takes it on", property("rep")),
            "contact_made" => format!("{} is in touch ({})", property("by"), property("channel")),
            "lead_closed" => format!("{} closes the lead", property("rep")),
            "message_opened" => format!("opens {}", property("template")),
            "message_clicked" => format!("follows {}", property("url")),
            "order_completed" => {
                format!("orders {} for {} {}", property("order_id"), property("total"), property("currency"))
            }
            "stage_changed" => format!("is {} now, was {}", property("to"), property("from")),
            "score_changed" => {
                format!("{} is {} now", property("axis"), blank(&property("to"), "without a grade"))
            }
            "segment_entered" => format!("comes into the segment {}", property("segment")),
            "segment_left" => format!("leaves the segment {}", property("segment")),
            "journey_entered" => format!("enters the journey {}", property("journey")),
            "journey_ended" => format!("the journey {} ends: {}", property("journey"), property("outcome")),
            "tagged" => format!("gets the tag {}", property("tag")),
            "schedule_published" => format!("publishes a schedule for {} people", property("people")),
            _ => return None,
        },
    })
}

fn blank(text: &str, instead: &str) -> String {
    if text.is_empty() { instead.to_owned() } else { text.to_owned() }
}
