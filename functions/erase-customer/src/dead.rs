//! Dead letters about people who were erased. What nobody could take lies among them for fourteen days, with all that its sender
//! said: of who is erased it goes, and what it says of others is put on its queue again.
//!
//! A look is about everybody who was ever erased, so one of two at the same time finds what the other does not. It ends when
//! nothing more is there, and after so many letters or so long in any case; what dies later, or is left, is for the next
//! day's.

use crate::{Eraser, text};
use sluice_domain::advance::identities;
use sluice_domain::customer::{Identity, IdentityKind, Known};
use sluice_domain::erasure::{is_event_of_erased, is_said_of_erased};
use sluice_domain::event::{Happened, Who};
use sluice_domain::feedback::Feedback;
use sluice_domain::id::CustomerId;
use sluice_domain::identity::Email;
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::dead::{DeadLetter, DeadLetters};
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{self, Outgoing, QueueName};
use sluice_wire::feedback::{Read, read};
use sluice_wire::queue::{EventMessage, FeedbackMessage, encode, id_of};
use std::collections::BTreeSet;

/// Letters of one queue that are looked at, at most.
const MOST: usize = 5_000;
/// How long one queue is looked through, in milliseconds: shorter than letters are hidden.
const LONG_ENOUGH: i64 = 20_000;
/// How often in a row a queue that says that it holds more may show none: others may be looking at them.
const EMPTY: u32 = 3;

/// What a letter says.
enum Letter {
    /// What happened to people.
    Events(Vec<Happened>),
    /// What became of a mail.
    Feedback(Feedback),
    /// Whatever else, with these addresses: it cannot be read.
    Unreadable(Vec<Email>),
    /// Ids of ours alone.
    Ids,
}

/// What is left of a letter without those who were erased.
enum Left {
    /// All of it: it stays where it is.
    All,
    /// What it says of others, if anything.
    Rest(Vec<Outgoing>),
}

impl Eraser {
    /// Looks through all dead letters that may be personal.
    pub(crate) async fn dead_letters(&self) -> Result<(), String> {
        for queue in &self.dead {
            let mut stays = Vec::new();
            let looked = self.look_through(queue, &mut stays).await;
            queue.show_again(&stays).await;
            looked?;
        }
        Ok(())
    }

    async fn look_through(&self, queue: &DeadLetters, stays: &mut Vec<DeadLetter>) -> Result<(), String> {
        let there = queue.count().await.map_err(|error| error.to_string())?;
        if there == 0 {
            return Ok(());
        }
        let began = self.env.clock.now();
        let (mut seen, mut empty) = (0, 0);
        while seen < MOST && self.env.clock.now().since(began) < LONG_ENOUGH {
            let letters = queue.some().await.map_err(|error| error.to_string())?;
            if letters.is_empty() {
                empty += 1;
                if seen >= there || empty >= EMPTY {
                    return Ok(());
                }
                self.pause(empty).await;
                continue;
            }
            empty = 0;
            seen += letters.len();
            stays.extend(self.sift(queue, letters).await?);
        }
        tracing::warn!(letters = seen, "dead letters are left to the next look");
        Ok(())
    }

    /// Deletes those that are about people who were erased, and answers with the others. What is left of one is on its queue
    /// before it goes; a crash in between puts it there again, which is harmless.
    async fn sift(&self, queue: &DeadLetters, letters: Vec<DeadLetter>) -> Result<Vec<DeadLetter>, String> {
        let now = self.env.clock.now();
        let said = letters.iter().map(|letter| Letter::read(&letter.body)).collect();
        let left = self.without_erased(said, now).await?;
        let (mut stays, mut goes, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for (letter, left) in letters.into_iter().zip(left) {
            match left {
                Left::All => stays.push(letter),
                Left::Rest(rest) => {
                    goes.push(letter);
                    again.extend(rest);
                }
            }
        }
        if !goes.is_empty() {
            self.outbox.hand_over(again, now).await.map_err(text)?;
            queue.delete(&goes).await.map_err(|error| error.to_string())?;
            Metrics::new().count("DeadLettersErased", goes.len()).emit(&self.env, now);
        }
        Ok(stays)
    }

    /// What is left of each letter.
    async fn without_erased(&self, letters: Vec<Letter>, now: Timestamp) -> Result<Vec<Left>, String> {
        let policies = self.policies.current(now).await.map_err(text)?;
        let keys = self.hash_keys().await?;
        let asked: Vec<Vec<Identity>> = letters.iter().flat_map(|letter| letter.asks(&policies)).collect();
        let asked: Vec<&[Identity]> = asked.iter().map(Vec::as_slice).collect();
        let known = self.store.known(&asked, &keys).await.map_err(text)?;
        let named: BTreeSet<CustomerId> = letters.iter().flat_map(Letter::names).collect();
        let gone = self.store.erased_of(&named).await.map_err(text)?;
        let shared_after = policies.settings.shared_after as usize;
        let mut known = asked.into_iter().zip(known);
        let left =
            letters.into_iter().map(|letter| letter.without_erased(&mut known, &gone, shared_after, now));
        Ok(left.collect())
    }
}

impl Letter {
    fn read(body: &str) -> Self {
        match serde_json::from_str(body) {
            Ok(EventMessage::Events(events)) => return Self::Events(events),
            Ok(EventMessage::Click(_) | EventMessage::Due(_) | EventMessage::Pass(_)) => return Self::Ids,
            Err(_) => {}
        }
        match read(body) {
            Ok(Read::Event(feedback)) => Self::Feedback(feedback),
            Ok(Read::Nothing(_)) => Self::Ids,
            Err(_) => Self::Unreadable(Email::all_in(body)),
        }
    }

    /// Whom it is about, one after the other.
    fn asks(&self, policies: &PolicySet) -> Vec<Vec<Identity>> {
        let each = |emails: &[Email]| {
            let of = |email: &Email| vec![Identity::new(IdentityKind::Email, email.match_key())];
            emails.iter().map(of).collect()
        };
        match self {
            Self::Events(events) => events.iter().map(|happened| identities(happened, policies)).collect(),
            Self::Feedback(event) => each(&event.recipients),
            Self::Unreadable(emails) => each(emails),
            Self::Ids => Vec::new(),
        }
    }

    /// Records that its events are said to be of.
    fn names(&self) -> Vec<CustomerId> {
        let Self::Events(events) = self else { return Vec::new() };
        let record = |happened: &Happened| match &happened.who {
            Who::Customer(id) => Some(id.clone()),
            Who::Ids(_) => None,
        };
        events.iter().filter_map(record).collect()
    }

    /// What is left of it, by what is known of each whom it is about.
    fn without_erased<'a>(
        self,
        known: &mut impl Iterator<Item = (&'a [Identity], Known)>,
        gone: &BTreeSet<CustomerId>,
        shared_after: usize,
        now: Timestamp,
    ) -> Left {
        match self {
            Self::Events(events) => {
                let all = events.len();
                let stays = |(happened, (ids, known)): (Happened, (&[Identity], Known))| {
                    (!is_event_of_erased(&happened, ids, known, gone, shared_after)).then_some(happened)
                };
                let rest: Vec<Happened> = events.into_iter().zip(known).filter_map(stays).collect();
                if rest.len() == all { Left::All } else { Left::Rest(outbox::events(rest, now)) }
            }
            Self::Feedback(event) => {
                let (all, at) = (event.recipients.len(), event.at);
                let each = event.recipients.into_iter().zip(known);
                let stays = each.filter(|(_, (_, known))| !is_said_of_erased(at, known));
                let rest: Vec<Email> = stays.map(|(email, _)| email).collect();
                match rest.len() {
                    left if left == all => Left::All,
                    0 => Left::Rest(Vec::new()),
                    _ => {
                        let event = Feedback { recipients: rest, ..event };
                        let body = encode(&FeedbackMessage::Event(event));
                        let id = format!("feedback-{}", id_of(&body));
                        Left::Rest(vec![Outgoing { queue: QueueName::Feedback, id, body, not_before: now }])
                    }
                }
            }
            // Nobody can take it, whatever is in it.
            Self::Unreadable(emails) => {
                let erased =
                    emails.iter().zip(known).filter(|(_, (_, known))| is_said_of_erased(None, known));
                if erased.count() == 0 { Left::All } else { Left::Rest(Vec::new()) }
            }
            Self::Ids => Left::All,
        }
    }
}
