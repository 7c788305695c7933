//! What journeys tell of customers: reps by the ways of every notice, other systems by signed webhook. And what other systems are
//! told of events.

use crate::notice::{Notice, Told};
use crate::pace::Later;
use crate::tell::{Recipient, channels, claimed};
use crate::{Sender, text};
use serde_json::{Map, Value, json};
use sluice_domain::customer::{Customer, Whole};
use sluice_domain::event::{Call, Event, Heard, Tell};
use sluice_domain::id::CustomerId;
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{NoticeRecord, keys};
use sluice_wire::queue::{AlarmMessage, Halt, Room, Roomed, TellMessage, encode};
use std::collections::BTreeSet;

impl Sender {
    pub(crate) async fn told(&self, message: &Roomed<TellMessage>) -> Result<(), String> {
        let Roomed { notice: message, room } = message;
        let now = self.env.clock.now();
        let policies = self.policies.current(now).await.map_err(text)?;
        let (customer, id, at) = match message {
            TellMessage::Tell(tell) => (&tell.customer, tell.id(), tell.at),
            TellMessage::Call(call) => (&call.customer, call.id(), call.at),
            TellMessage::Heard(heard) => (&heard.customer, heard.id(), heard.at),
            TellMessage::Halt(halt) => {
                let later = self.halted(halt, &policies, *room, now).await?;
                return self.tell_again(message, halt.id(), later, now).await;
            }
            TellMessage::Alarm(alarm) => {
                let later = self.alarmed(alarm, &policies, *room, now).await?;
                return self.tell_again(message, alarm.id(), later, now).await;
            }
        };
        let known = self.store.people(BTreeSet::from([customer.clone()])).await.map_err(text)?;
        // Of somebody who was erased nothing is told.
        let Some(root) = known.customers.get(&known.root(customer)) else { return Ok(()) };
        let whole = known.whole(root);
        let mut later = None;
        let without_room = |at: Option<Timestamp>| at.map(|at| Later { at, room: Room::default() });
        match message {
            TellMessage::Tell(tell) => {
                let rep = policies.reps.get(&tell.rep);
                let notice = self.of_tell(tell, &whole, &policies);
                let kind = if tell.task.is_some() { "task" } else { "notify" };
                let fresh = |channel| NoticeRecord {
                    text: tell.text.clone(),
                    due: tell.task.as_ref().and_then(|task| task.due),
                    ..record(&tell.rep, kind, customer, &id, at, channel, now)
                };
                later = self.over_all(channels(rep), fresh, rep, &notice, &policies, *room, now).await?;
            }
            TellMessage::Call(call) => {
                let notice = self.of_call(call, &whole, &policies);
                let whose = format!("journey/{}", call.journey);
                let fresh = NoticeRecord {
                    call: Some(call.clone()),
                    ..record(&whose, "webhook", customer, &id, at, "webhook", now)
                };
                let to = Recipient { rep: None, webhook: Some(&call.to) };
                later = without_room(self.over(fresh, to, &notice, &policies, now).await?);
            }
            TellMessage::Heard(heard) => {
                // The document was removed since, or the event with whom it was about.
                let Some(webhook) = policies.webhooks.get(&heard.webhook) else { return Ok(()) };
                let entry = self.store.entry(customer, &heard.entry).await.map_err(text)?;
                let event = entry.as_ref().and_then(|entry| entry.events().nth(heard.n));
                let Some(event) = event else { return Ok(()) };
                let notice = self.of_event(&event, heard, root);
                let whose = format!("webhook/{}", heard.webhook);
                let fresh = NoticeRecord {
                    heard: Some(heard.clone()),
                    ..record(&whose, &event.key(), customer, &id, at, "webhook", now)
                };
                let to = Recipient { rep: None, webhook: Some(&webhook.webhook()) };
                later = without_room(self.over(fresh, to, &notice, &policies, now).await?);
            }
            TellMessage::Halt(_) | TellMessage::Alarm(_) => {}
        }
        self.tell_again(message, id, later, now).await
    }

    /// A rep hears what an alert found. When to come again, if that is needed.
    async fn alarmed(
        &self,
        alarm: &AlarmMessage,
        policies: &PolicySet,
        room: Room,
        now: Timestamp,
    ) -> Result<Option<Later>, String> {
        let rep = policies.reps.get(&alarm.rep);
        let notice = Notice::of_alarm(alarm, &self.public_url);
        let fresh = |channel| NoticeRecord {
            sort_key: keys::alerted(alarm.at, &alarm.alert, channel),
            text: Some(alarm.text.clone()),
            ..claimed(&alarm.rep, "alert", channel, now)
        };
        self.over_all(channels(rep), fresh, rep, &notice, policies, room, now).await
    }

    async fn tell_again(
        &self,
        message: &TellMessage,
        id: String,
        later: Option<Later>,
        now: Timestamp,
    ) -> Result<(), String> {
        let Some(Later { at: not_before, room }) = later else { return Ok(()) };
        let body = encode(&Roomed { notice: message.clone(), room });
        let again = Outgoing { queue: QueueName::Notice, id, body, not_before };
        self.outbox.hand_over(vec![again], now).await.map_err(text)
    }

    /// A rep hears that a campaign was stopped. When to come again, if that is needed.
    async fn halted(
        &self,
        halt: &Halt,
        policies: &PolicySet,
        room: Room,
        now: Timestamp,
    ) -> Result<Option<Later>, String> {
        let rep = policies.reps.get(&halt.rep);
        let notice = Notice::of_halt(halt, &self.public_url);
        let fresh = |channel| NoticeRecord {
            sort_key: keys::halted(halt.at, &halt.campaign, halt.broadcast, channel),
            text: Some(notice.subject()),
            ..claimed(&halt.rep, "halt", channel, now)
        };
        self.over_all(channels(rep), fresh, rep, &notice, policies, room, now).await
    }

    fn of_tell(&self, tell: &Tell, whole: &Whole<'_>, policies: &PolicySet) -> Notice {
        let told = Told {
            customer: tell.customer.to_string(),
            journey: tell.journey.clone(),
            step: tell.part.clone(),
            text: tell.text.clone(),
            is_task: tell.task.is_some(),
            due: tell.task.as_ref().and_then(|task| task.due).map(Timestamp::rfc3339),
            facts: Map::new(),
        };
        let event = if told.is_task { "customer.task" } else { "customer.notice" };
        self.of_customer(event, &tell.id(), tell.at, told, whole, policies)
    }

    fn of_call(&self, call: &Call, whole: &Whole<'_>, policies: &PolicySet) -> Notice {
        let known = whole.facts(&policies.settings.survivorship);
        let facts = call.facts.iter().map(|name| {
            let value = known.get(name.as_str()).map(|fact| fact.value.reveal().clone());
            (name.clone(), value.map_or(Value::Null, Value::String))
        });
        let told = Told {
            customer: call.customer.to_string(),
            journey: call.journey.clone(),
            step: call.part.clone(),
            text: None,
            is_task: false,
            due: None,
            facts: facts.collect(),
        };
        self.of_customer("customer.journey", &call.id(), call.at, told, whole, policies)
    }

    /// The event as it is kept, and whose it is.
    fn of_event(&self, event: &Event, heard: &Heard, root: &Customer) -> Notice {
        let owner = root.owner.as_ref().map(|owner| owner.rep.as_str());
        let data = json!({
            "event": event.id, "customer": root.id, "record": heard.customer, "owner": owner,
            "kind": event.kind.name(), "name": event.name, "source": event.source,
            "received": event.received.rfc3339(), "properties": event.properties.reveal(),
            "traits": event.traits.reveal(), "context": event.context.reveal(),
        });
        let link = format!("{}/api/customers/{}", self.public_url, root.id);
        Notice {
            heard: Some(data),
            source: event.source.clone(),
            ..Notice::bare(heard.id(), event.key().into(), event.at, link)
        }
    }

    fn of_customer(
        &self,
        event: &'static str,
        id: &str,
        at: Timestamp,
        told: Told,
        whole: &Whole<'_>,
        policies: &PolicySet,
    ) -> Notice {
        let facts = whole.facts(&policies.settings.survivorship);
        let fact = |name: &str| facts.get(name).map(|fact| fact.value.reveal().clone());
        let link = format!("{}/api/customers/{}", self.public_url, told.customer);
        let mut notice = Notice {
            told: Some(told),
            email: fact("email"),
            phone: fact("phone"),
            ..Notice::bare(id.to_owned(), event.into(), at, link)
        };
        notice.name_by(whole, policies);
        notice
    }
}

fn record(
    rep: &str,
    kind: &str,
    customer: &CustomerId,
    id: &str,
    at: Timestamp,
    channel: &str,
    now: Timestamp,
) -> NoticeRecord {
    NoticeRecord {
        sort_key: keys::told(at, customer, id, channel),
        customer: Some(customer.clone()),
        ..claimed(rep, kind, channel, now)
    }
}
