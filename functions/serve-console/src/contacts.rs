//! Contacts: that somebody was in touch with whoever sent a lead. The first stops the lead's response clock for good.

use crate::acts::ATTEMPTS;
use crate::auth;
use crate::leads::no_such_lead;
use crate::{Call, Console, teller, unavailable};
use serde_json::{Value, json};
use sluice_domain::clock::{FirstContact, Made, Mark, PastEnd, To, counts_for, first_contact};
use sluice_domain::lead::Lead;
use sluice_domain::policy::{Point, length};
use sluice_domain::time::Timestamp;
use sluice_host::outbox;
use sluice_store::{Commit, Contact, Wanted, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;
use std::collections::BTreeSet;

/// The longest note, in characters.
const NOTE: usize = 2_000;
/// The longest channel, in bytes.
const WORD: usize = 64;
/// How far a caller's clock may be ahead, in milliseconds.
const AHEAD_MS: i64 = 60_000;
/// Contacts shown with a lead.
const SHOWN: usize = 100;

/// A contact as it is asked for.
struct Asked {
    channel: String,
    note: Option<String>,
    at: Option<Timestamp>,
    hash: String,
    /// Where its key stands.
    key_in: &'static str,
}

impl Console {
    /// `{"channel": "phone", "note": …, "at": …}`, once for each `Idempotency-Key` (or `"key"`) of a lead. Whoever had
    /// the lead before may still say that they were in touch: what happened, happened.
    pub(crate) async fn add_contact(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked = self.read_contact(call);
        // What a call lacks is said of a lead that there is.
        if asked.as_ref().is_err_and(|lacking| lacking.status == 422) {
            check_had(call, &self.find_lead(call.part(0)).await?)?;
        }
        let asked = asked?;
        let policies = self.current().await?;
        for _ in 0..ATTEMPTS {
            let lead = self.find_lead(call.part(0)).await?;
            check_had(call, &lead)?;
            let by = call.who.name();
            let (rep, team) = counts_for(&lead, &by).ok_or_else(|| {
                Problem::new(409, "out-of-place", "Nobody has or had this lead. Claim it first.")
            })?;
            if let Some(found) = self.store.contact(&lead.id, &asked.hash).await.map_err(unavailable)? {
                let answer = repeated(&lead, &found, &asked, &by)?;
                self.tell_contact(&lead, &found).await?;
                return Ok(answer);
            }
            let now = self.env.clock.now();
            let at = asked.at.unwrap_or(now);
            if at > now.plus_millis(AHEAD_MS) || at < lead.received {
                return Err(Problem::new(
                    422,
                    "time-out-of-place",
                    "`at` lies before the lead or in the future.",
                )
                .about("at"));
            }
            let (channel, note) = (asked.channel.clone(), asked.note.clone());
            let contact = Contact {
                lead: lead.id.clone(),
                hash: asked.hash.clone(),
                by: by.clone(),
                at,
                channel,
                note,
            };
            if lead.progress.contact.is_some() {
                // Beside a lead that was erased meanwhile nothing is put.
                let commit = Commit::default().contact(contact.clone()).standing_lead(&lead.id);
                if self.store.commit(commit).await.map_err(unavailable)? == Written::Done {
                    self.tell_contact(&lead, &contact).await?;
                    return Ok(answer(&lead, &contact, lead.progress.contact.as_ref()));
                }
                continue;
            }
            let wanted = Wanted { reps: BTreeSet::from([rep.to_owned()]), ..Wanted::default() };
            let desk = self.store.desk(&wanted).await.map_err(unavailable)?;
            let leave = desk.leave.get(rep).map(|record| &record.leave);
            let schedule = policies.schedule(rep, team, leave);
            let made = Made { by: &by, at, noted: now, channel: &asked.channel };
            let mut after = lead.progress.clone();
            after.contact = Some(first_contact(&lead, made, rep, team, &policies, &schedule));
            after.stop_clock();
            let commit = Commit::default().lead(&lead, after.clone()).contact(contact.clone());
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Done {
                self.tell_contact(&lead, &contact).await?;
                return Ok(answer(&lead, &contact, after.contact.as_ref()));
            }
        }
        Err(Problem::new(409, "busy", "Others are changing this lead. Try again.").retry_after(1))
    }

    /// Policies are told of it; a repeat tells it again, since the first call may have died before.
    async fn tell_contact(&self, lead: &Lead, contact: &Contact) -> Result<(), Problem> {
        let now = self.env.clock.now();
        let Contact { hash, channel, by, at, .. } = contact;
        let happened = teller(now).contact(lead, hash, channel, by, *at).into_iter().collect();
        self.outbox.hand_over(outbox::events(happened, now), now).await.map_err(unavailable)
    }

    fn read_contact(&self, call: &Call) -> Result<Asked, Problem> {
        let body = call.json()?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let channel = body["channel"]
            .as_str()
            .map(|channel| channel.trim().to_lowercase())
            .filter(|channel| !channel.is_empty() && channel.len() <= WORD && channel.chars().all(is_word));
        let channel = channel.ok_or_else(|| {
            Problem::new(422, "channel-missing", "Say over what: `channel`, one word such as phone.")
                .about("channel")
        })?;
        let at = match &body["at"] {
            Value::Null => None,
            value => Some(value.as_str().and_then(Timestamp::parse).ok_or_else(|| {
                Problem::new(422, "time-unreadable", "A time is written like 2027-03-01T09:00:00Z.")
                    .about("at")
            })?),
        };
        let (key, key_in) = match idempotency::key(&call.request)? {
            Some(key) => (Some(key), idempotency::HEADER),
            None => (body["key"].as_str().map(|key| idempotency::usable(key, "key")).transpose()?, "key"),
        };
        let hash = match key {
            Some(key) => auth::hash(key),
            None => {
                let mut random = [0; 32];
                self.env.random.fill(&mut random);
                random.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        let note = body["note"].as_str().map(|note| note.chars().take(NOTE).collect());
        Ok(Asked { channel, note, at, hash, key_in })
    }

    /// The clock of a lead's assignment.
    pub(crate) async fn clock_view(&self, lead: &Lead) -> Result<Value, Problem> {
        let (Some(clock), Some(assignment)) = (&lead.progress.clock, &lead.progress.assignment) else {
            return Ok(Value::Null);
        };
        let policies = self.current().await?;
        let schedule = policies.schedule(&assignment.rep, Some(&clock.team), None);
        let ends = match clock.next {
            _ if clock.away => None,
            Some(next) if next.point == Point::END => Some(next.at),
            Some(_) => schedule.add_open_time(clock.started, clock.within.millis()),
            None => None,
        };
        Ok(json!({
            "team": clock.team,
            "within": clock.within,
            "started": clock.started.rfc3339(),
            "running": clock.next.is_some(),
            "away": clock.away,
            "due": clock.next.as_ref().map(mark_view),
            "ends": ends.map(Timestamp::rfc3339),
            "reminded": clock.reminded.iter().map(|one| mark_view(&one.mark)).collect::<Vec<_>>(),
        }))
    }

    /// The contacts of a lead, by their time, as many as are shown.
    pub(crate) async fn contacts_of(&self, lead: &Lead) -> Result<Vec<Value>, Problem> {
        self.contacts_up_to(lead, SHOWN).await
    }

    /// The contacts of a lead, by their time, at most `limit`.
    pub(crate) async fn contacts_up_to(&self, lead: &Lead, limit: usize) -> Result<Vec<Value>, Problem> {
        if lead.progress.contact.is_none() {
            return Ok(Vec::new());
        }
        let contacts = self.store.contacts(&lead.id, limit).await.map_err(unavailable)?;
        Ok(contacts.iter().map(one).collect())
    }
}

/// A lead that nobody within reach has or had is not there.
fn check_had(call: &Call, lead: &Lead) -> Result<(), Problem> {
    let reach = &call.sight.reach;
    let mut had = lead.progress.past.iter().map(|past| &past.assignment).chain(&lead.progress.assignment);
    if reach.is_everybody() || had.any(|assignment| reach.has_rep(&assignment.rep)) {
        return Ok(());
    }
    Err(no_such_lead())
}

/// The first contact.
pub(crate) fn contact_view(contact: &FirstContact) -> Value {
    json!({
        "by": contact.by, "at": contact.at.rfc3339(), "channel": contact.channel,
        "elapsed": length(contact.elapsed), "working": length(contact.working),
        "elapsed_ms": contact.elapsed, "working_ms": contact.working, "within": contact.within,
    })
}

/// Who had a lead before, and why no longer.
pub(crate) fn past_view(lead: &Lead) -> Vec<Value> {
    let view = |past: &sluice_domain::clock::Past| {
        let why = match &past.end {
            PastEnd::Given => "given",
            PastEnd::Silent { saw, .. } if saw.gone => "away",
            PastEnd::Silent { .. } => "silent",
        };
        let to = match &past.end {
            PastEnd::Silent { to: To::Nobody, .. } => Some("escalated"),
            PastEnd::Silent { to: To::CatchAll, .. } => Some("catch_all"),
            PastEnd::Silent { to: To::Owner, .. } => Some("owner"),
            PastEnd::Silent { to: To::Member, .. } => Some("member"),
            PastEnd::Given => None,
        };
        let reminded = past.clock.iter().flat_map(|clock| &clock.reminded);
        json!({
            "rep": past.assignment.rep, "team": past.assignment.team, "n": past.assignment.n,
            "at": past.assignment.at.rfc3339(), "until": past.until.rfc3339(), "why": why, "to": to,
            "reminded": reminded.map(|one| mark_view(&one.mark)).collect::<Vec<_>>(),
        })
    };
    lead.progress.past.iter().map(view).collect()
}

fn mark_view(mark: &Mark) -> Value {
    json!({"point": mark.point, "at": mark.at.rfc3339()})
}

fn one(contact: &Contact) -> Value {
    json!({
        "by": contact.by, "at": contact.at.rfc3339(), "channel": contact.channel, "note": contact.note,
    })
}

fn answer(lead: &Lead, contact: &Contact, first: Option<&FirstContact>) -> HttpResponse {
    let first = first.map(contact_view);
    HttpResponse::json(200, &json!({"lead": lead.id, "contact": one(contact), "first": first}))
}

/// The same key again: the same answer for the same contact.
fn repeated(lead: &Lead, found: &Contact, asked: &Asked, by: &str) -> Result<HttpResponse, Problem> {
    let is_same = found.channel == asked.channel
        && found.note == asked.note
        && found.by == by
        && asked.at.is_none_or(|at| at == found.at);
    if is_same {
        return Ok(answer(lead, found, lead.progress.contact.as_ref()));
    }
    Err(idempotency::reused("another contact of this lead").about(asked.key_in))
}
