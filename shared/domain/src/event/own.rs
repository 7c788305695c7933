//! What our own functions tell of: each thing once, however often it is told and by whichever function.

use super::{Event, EventKind, Happened, Who};
use crate::id::{CustomerId, EventId};
use crate::lead::{Assignment, Lead, LeadState, Progress, Work, attribution, settled};
use crate::message::{Cause, CauseKind, Message, Order};
use crate::policy::FieldMap;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// Every event that is told by us, whoever tells of it: what our functions do, what it makes of a customer, and where journeys
/// have them.
pub const OWN_EVENTS: [&str; 31] = [
    "campaign_goal_reached",
    "campaign_held_out",
    "churn_changed",
    "contact_made",
    "journey_ended",
    "journey_entered",
    "journey_goal_reached",
    "journey_held_out",
    "lead_accepted",
    "lead_assigned",
    "lead_captured",
    "lead_closed",
    "lead_disqualified",
    "lead_qualified",
    "message_bounced",
    "message_clicked",
    "message_complained",
    "message_delivered",
    "message_opened",
    "message_sent",
    "message_stopped",
    "qualification_changed",
    "score_changed",
    "segment_entered",
    "segment_left",
    "stage_changed",
    "tag_expired",
    "tagged",
    "tier_changed",
    "unsubscribed",
    "untagged",
];

/// The most characters of what an address says of where somebody comes from.
const LONGEST: usize = 100;

/// What [`Teller::stopped`] tells.
const STOPPED: &str = "message_stopped";

impl Event {
    /// The journey that is to end and the part of it that a message was of, if this is what [`Teller::stopped`] tells.
    pub fn stops(&self) -> Option<(&str, &str)> {
        if self.kind != EventKind::Own || self.name != STOPPED {
            return None;
        }
        let said = |name: &str| self.properties.reveal().get(name)?.as_str();
        Some((said("journey")?, said("part")?))
    }
}

/// Who tells, and when.
#[derive(Clone, Copy, Debug)]
pub struct Teller {
    /// The function.
    pub function: &'static str,
    /// Now.
    pub now: Timestamp,
}

impl Teller {
    /// Something that happened to a customer at `at`; `of` says to what, and is what a repeat is known by.
    pub fn tell(
        self,
        customer: &CustomerId,
        name: &str,
        of: &[&str],
        at: Timestamp,
        properties: Value,
    ) -> Happened {
        debug_assert!(OWN_EVENTS.contains(&name), "{name} is told and not listed");
        let parts: Vec<&str> = std::iter::once(name).chain(of.iter().copied()).collect();
        let properties = match properties {
            Value::Object(properties) => properties,
            _ => Map::new(),
        };
        let event = Event {
            id: EventId::derived(&parts),
            kind: EventKind::Own,
            name: name.to_owned(),
            source: self.function.to_owned(),
            at: at.min(self.now),
            received: self.now,
            properties: properties.into(),
            traits: Map::new().into(),
            context: Map::new().into(),
        };
        Happened { who: Who::Customer(customer.clone()), event }
    }

    /// What a lead that was decided says: that it came in, with what its form's map reads of 三定, and who has it. Of one that a
    /// file brought nobody is told unless its importer wants that, and of a repeat, a test or spam there is nothing to say.
    pub fn of_lead(self, lead: &Lead, after: &Progress, map: &FieldMap) -> Vec<Happened> {
        let is_told = matches!(after.state, LeadState::Assigned | LeadState::Escalated | LeadState::Queued);
        let is_quiet = after.import.as_ref().is_some_and(|import| import.quiet);
        let Some(customer) = after.customer.as_ref().filter(|_| is_told && !is_quiet) else {
            return Vec::new();
        };
        let id = lead.id.as_str();
        let origin = if lead.origin.kind == "form" { "form" } else { "source" };
        let mut properties = json!({"lead": id, origin: lead.origin.name, "type": lead.origin.kind});
        let attribution = attribution(&lead.envelope);
        for name in ["utm_source", "utm_medium", "utm_campaign"] {
            if let Some(value) = attribution.get(name) {
                properties[name] = value.chars().take(LONGEST).collect::<String>().into();
            }
        }
        if let Some(properties) = properties.as_object_mut() {
            properties.extend(settled(&lead.envelope, map));
        }
        let captured = self.tell(customer, "lead_captured", &[id], lead.received, properties);
        let assigned = after.assignment.as_ref().map(|assignment| self.assigned(lead, customer, assignment));
        std::iter::once(captured).chain(assigned).collect()
    }

    /// Somebody has a lead now.
    pub fn assigned(self, lead: &Lead, customer: &CustomerId, assignment: &Assignment) -> Happened {
        let Assignment { rep, team, at, n, .. } = assignment;
        let properties = json!({"lead": lead.id, "rep": rep, "team": team, "n": n});
        self.tell(customer, "lead_assigned", &[lead.id.as_str(), &n.to_string()], *at, properties)
    }

    /// What whoever has a lead did with it, if that is what it still says.
    pub fn worked(self, lead: &Lead, after: &Progress) -> Option<Happened> {
        let name = match after.work {
            Work::Open => return None,
            Work::Accepted => "lead_accepted",
            Work::Closed => "lead_closed",
            Work::Disqualified => "lead_disqualified",
        };
        let (customer, assignment) = after.customer.as_ref().zip(after.assignment.as_ref())?;
        let at = after.acts.last().map_or(self.now, |act| act.at);
        let properties = json!({"lead": lead.id, "rep": assignment.rep, "team": assignment.team});
        let of = [lead.id.as_str(), &assignment.n.to_string()];
        Some(self.tell(customer, name, &of, at, properties))
    }

    /// Somebody settled some of 三定 for the person of a lead: `said` has the parts. `key` tells one word from another.
    pub fn qualified(self, lead: &Lead, key: &str, said: Map<String, Value>, by: &str) -> Option<Happened> {
        let customer = lead.progress.customer.as_ref()?;
        let of = [lead.id.as_str(), key, &Value::Object(said.clone()).to_string()];
        let mut properties = said;
        properties.insert("lead".to_owned(), lead.id.as_str().into());
        properties.insert("by".to_owned(), by.into());
        Some(self.tell(customer, "lead_qualified", &of, self.now, properties.into()))
    }

    /// Somebody was in touch with the person of a lead; `key` tells one contact from another.
    pub fn contact(self, lead: &Lead, key: &str, channel: &str, by: &str, at: Timestamp) -> Option<Happened> {
        let customer = lead.progress.customer.as_ref()?;
        let properties = json!({"lead": lead.id, "channel": channel, "by": by});
        Some(self.tell(customer, "contact_made", &[lead.id.as_str(), key], at, properties))
    }

    /// A message was left out, and the journey that it is of is to end with it.
    pub fn stopped(self, message: &Message) -> Option<Happened> {
        let cause = &message.order.cause;
        let more = json!({"journey": cause.name, "part": cause.part});
        self.message(message, STOPPED, "", self.now, more)
    }

    /// Something came of a message to the customer; `of` tells several such things of one message apart. Of a trial nothing is
    /// told: its customer did not get it.
    pub fn message(
        self,
        message: &Message,
        name: &str,
        of: &str,
        at: Timestamp,
        more: Value,
    ) -> Option<Happened> {
        let order = &message.order;
        if order.cause.kind == CauseKind::Test {
            return None;
        }
        let id = message.id();
        let mut properties = json!({
            "message": id, "channel": order.channel.name(), "template": order.template, "topic": order.topic,
        });
        if let Some(all) = properties.as_object_mut() {
            all.extend(Self::cause(order));
            if let Value::Object(more) = more {
                all.extend(more);
            }
        }
        Some(self.tell(&order.customer, name, &[id.as_str(), of], at, properties))
    }

    /// What asked for a message, as far as its results are counted together with others'.
    pub fn cause(order: &Order) -> Map<String, Value> {
        let Cause { kind, name, part } = &order.cause;
        let mut said = Map::new();
        match kind {
            CauseKind::Journey => {
                // Run and number of the step, then its name.
                let step = part.splitn(3, '.').nth(2).unwrap_or(part);
                said.insert("journey".to_owned(), name.as_str().into());
                said.insert("step".to_owned(), step.into());
            }
            CauseKind::Campaign => {
                said.insert("campaign".to_owned(), name.as_str().into());
                if let Some(of) = &order.campaign {
                    said.insert("broadcast".to_owned(), of.broadcast.into());
                    said.extend(of.variant.map(|variant| ("variant".to_owned(), variant.into())));
                }
                // What comes of it counts on the day of its broadcast, so that no more do what it is for than got it.
                said.insert("broadcast_at".to_owned(), order.at.rfc3339().into());
            }
            CauseKind::Api | CauseKind::Test | CauseKind::Confirmation => {}
        }
        said
    }
}
