//! What a step of a journey asks for: it is told, sent, or changes the customer.

use super::super::mind::{Mind, owner};
use super::{Signal, Work};
use crate::customer::By;
use crate::event::{Call, Outgo, Task, Tell};
use crate::id::{CustomerId, EventId};
use crate::journey::{self, Effect, Outcome, Run, Told, What};
use crate::live::{Deed, Instant, event_view};
use crate::message::{Message, Order};
use crate::policy::journey::Addressee;
use crate::segment::Changed;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// The largest values for a template, in bytes of JSON: they are part of an item that is written several times.
const DATA: usize = 4_096;

impl Mind<'_> {
    /// Does what a step asks for.
    pub(super) fn effect(
        &mut self,
        work: &mut Work,
        id: &CustomerId,
        journey: &str,
        runs: &[Run],
        effect: Effect,
    ) -> Changed {
        let Effect { part, at, what } = effect;
        match what {
            What::Send { order, event } => {
                if let Some(event) = event {
                    self.keep_message(&order, &event);
                }
                work.led.sent.push(Outgo::Message(Box::new(order)));
            }
            What::Change(change) => return self.change(work, journey, at, change),
            What::Notify { to, text } => self.tell_reps(work, id, journey, (&part, at), &to, text, None),
            What::Task { to, title, due } => {
                self.tell_reps(work, id, journey, (&part, at), &to, Some(title), Some(Task { due }));
            }
            What::Webhook { to, facts } => {
                let (customer, journey) = (id.clone(), journey.to_owned());
                let call = Call { to, customer, journey, part, at, facts };
                work.led.sent.push(Outgo::Webhook(Box::new(call)));
            }
            What::Enrol(other) => work.signals.push_back(Signal::Enrol(other, at)),
            What::Told(told) => {
                // Of two it is told by the number that its part begins with.
                let is_its = |run: &&Run| part.split('.').next() == Some(run.n.to_string().as_str());
                let Some(run) = runs.iter().find(is_its) else { return Changed::default() };
                // Runs are counted by when they began, so that no more reach the goal than there are.
                let mut said = json!({ "journey": journey, "run": run.n, "entered": run.entered.rfc3339() });
                let outcome = run.ended.as_ref().map(|ended| &ended.outcome);
                if told == Told::Goal && outcome == Some(&Outcome::HeldOut) {
                    said["held_out"] = true.into();
                }
                if let Some(outcome) = outcome.filter(|_| told == Told::Ended) {
                    said["outcome"] = outcome.name().into();
                }
                work.own(told.event(), said, None);
            }
        }
        Changed::default()
    }

    /// A step changes the customer: facts on the live record, all else in its state.
    fn change(&mut self, work: &mut Work, journey: &str, at: Timestamp, change: journey::Change) -> Changed {
        let root = work.root.clone();
        let deed = match change {
            journey::Change::Set { fact, value } => {
                let text = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                let source = format!("journey/{journey}");
                let by = By { source: &source, at, tie: Some(work.cause.tie()) };
                return match self.stitch.restate(&root, at, |record| record.note(&fact, text, by)) {
                    true => Changed::facts([fact.as_str()]),
                    false => Changed::default(),
                };
            }
            journey::Change::Tag { name, until } => Deed::Tag { tag: name, until },
            journey::Change::Untag(tag) => Deed::Untag { tag },
            journey::Change::Stage(stage) => Deed::Stage { stage },
            journey::Change::Interest(points) => {
                Deed::Points { points, reason: format!("journey {journey}") }
            }
        };
        if !self.ensure(&root) {
            return Changed::default();
        }
        let Some(state) = self.states.get_mut(&root) else { return Changed::default() };
        let applied = state.live.do_now(&deed, Instant::look(at), &self.with.policies.live, self.with.now);
        work.happened(applied.happenings);
        applied.changed
    }

    /// A message whose template may read the event that made the customer enter is stored with it.
    fn keep_message(&mut self, order: &Order, event: &EventId) {
        let Some(event) = self.event(event) else { return };
        let mut shown = event_view(&event);
        if shown.to_string().len() > DATA {
            shown = json!({ "name": event.key(), "source": event.source });
        }
        let data = Map::from_iter([("event".to_owned(), shown)]);
        self.messages.push(Message::new(order.clone(), data));
    }

    /// Those who are meant: who owns the person, a rep, everybody of a team. A person whom nobody owns is for those who are told
    /// of leads that nobody can take.
    #[expect(clippy::too_many_arguments, reason = "the parts of one notice")]
    fn tell_reps(
        &self,
        work: &mut Work,
        id: &CustomerId,
        journey: &str,
        (part, at): (&str, Timestamp),
        to: &Addressee,
        text: Option<String>,
        task: Option<Task>,
    ) {
        let policies = self.with.policies;
        let reps: Vec<String> = match to {
            Addressee::Rep(rep) => vec![rep.clone()],
            Addressee::Team(team) => {
                let team = policies.teams.get(team);
                team.iter().flat_map(|team| team.members.iter().map(|member| member.rep.clone())).collect()
            }
            Addressee::Owner => match self.stitch.whole(&work.root).as_ref().and_then(owner) {
                Some(rep) => vec![rep],
                None => policies.settings.escalate_to.clone(),
            },
        };
        for rep in reps {
            work.led.sent.push(Outgo::Tell(Tell {
                rep,
                customer: id.clone(),
                journey: journey.to_owned(),
                part: part.to_owned(),
                at,
                text: text.clone(),
                task: task.clone(),
            }));
        }
    }
}
