//! Notices: reps are told about leads by e-mail and by signed webhook, each notice once.
//!
//! READY -> CLAIMED -> SENT / UNKNOWN / FAILED / SKIPPED. The claim is one conditional write; a claim nobody finished
//! runs out. What may have gone out without an answer is shown as UNKNOWN and, being a notice to our own people, sent
//! again: once too often beats never.

use crate::Sender;
use crate::channel::Handover;
use crate::mime::{Mail, Mailbox};
use crate::notice::Notice;
use crate::pace::Later;
use futures::future::join_all;
use sluice_domain::customer::Whole;
use sluice_domain::identity::Email;
use sluice_domain::lead::LeadState;
use sluice_domain::message::{Channel, MessageState};
use sluice_domain::policy::{PolicySet, Rep, Webhook};
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Claim, NoticeRecord, Written, keys};
use sluice_wire::queue::{NoticeMessage, Room, Roomed, encode};
use std::collections::BTreeSet;

/// How long a claim stands, in milliseconds: longer than the function may run.
pub(crate) const CLAIM_MS: i64 = 25_000;
/// Seconds to wait before the next attempt, by attempts made: a day and an hour in all, after which a notice has failed.
/// (Standard Webhooks 1.0.0 recommends a schedule of this shape.)
const RETRY_SECONDS: [i64; 9] = [5, 30, 120, 600, 1_800, 7_200, 18_000, 28_800, 33_000];

/// The channel of notices that shares its provider with messages to customers.
const EMAIL: &str = "email";

/// Why nothing is sent to a receiver.
const GONE: &str = "the receiver said that it is gone (410); turn it on again when it is back";

impl Sender {
    pub(crate) async fn tell(&self, message: &Roomed<NoticeMessage>) -> Result<(), String> {
        let Roomed { notice: message, room } = message;
        let text = |error: sluice_store::StoreError| error.to_string();
        let now = self.env.clock.now();
        let policies = self.policies.current(now).await.map_err(text)?;
        let lead = self.store.lead(&message.lead).await.map_err(text)?;
        // A lead is in the ledger before anybody is to be told of it: it was taken back since, or erased.
        let Some(lead) = lead.filter(|lead| lead.progress.state != LeadState::Erased) else { return Ok(()) };
        let mut notice = Notice::new(message, &lead, &policies, &self.public_url);
        if let Some(id) = lead.progress.customer.as_ref().filter(|_| notice.names_nobody()) {
            // By the record that the lead is on: what others of one person said goes if they are told apart and erased.
            let known = self.store.customers(&BTreeSet::from([id.clone()])).await.map_err(text)?;
            if let Some(root) = known.get(id) {
                notice.name_by(&Whole { root, halves: Vec::new() }, &policies);
            }
        }
        let rep = policies.reps.get(&message.rep);

        let kind = message.kind.label();
        let fresh = |channel| NoticeRecord {
            sort_key: keys::notice(notice.at, &message.lead, &kind, message.n, channel),
            lead: Some(message.lead.clone()),
            ..claimed(&message.rep, message.kind.name(), channel, now)
        };
        let channels = if notice.is_quiet { vec!["none"] } else { channels(rep) };
        let later = self.over_all(channels, fresh, rep, &notice, &policies, *room, now).await?;
        let Some(Later { at: not_before, room }) = later else { return Ok(()) };
        let again = Outgoing {
            queue: QueueName::Notice,
            id: format!("{}-{}-{}-{}", message.lead, message.kind.label(), message.n, message.rep),
            body: encode(&Roomed { notice: message.clone(), room }),
            not_before,
        };
        self.outbox.hand_over(vec![again], now).await.map_err(text)
    }

    /// A rep's channels side by side: one after the other, a slow receiver would leave the next no time. Answers with the
    /// time to come again, if there is one.
    #[expect(clippy::too_many_arguments, reason = "all that is looked at")]
    pub(crate) async fn over_all(
        &self,
        mut channels: Vec<&'static str>,
        fresh: impl Fn(&'static str) -> NoticeRecord,
        rep: Option<&Rep>,
        notice: &Notice,
        policies: &PolicySet,
        room: Room,
        now: Timestamp,
    ) -> Result<Option<Later>, String> {
        if room.waits.is_some() && !channels.contains(&EMAIL) {
            // A mail that waited is settled, though the rep has no address any more.
            channels.push(EMAIL);
        }
        let to = Recipient { rep, webhook: rep.and_then(|rep| rep.webhook.as_ref()) };
        let with_room = |channel| self.with_room(fresh(channel), to, notice, policies, room, now);
        // Each comes to its end: what went out over one is written down whatever becomes of the other.
        let each: Vec<_> = join_all(channels.into_iter().map(with_room)).await;
        let each = each.into_iter().collect::<Result<Vec<_>, String>>()?;
        let at = each.iter().filter_map(|(at, _)| *at).min();
        let room = each.iter().find_map(|(_, room)| *room).unwrap_or_default();
        Ok(at.map(|at| Later { at, room }))
    }

    /// One channel, a mail once there is room for it. Answers with the time to come again, if there is one, and of a mail
    /// with the room that it has then.
    async fn with_room(
        &self,
        record: NoticeRecord,
        to: Recipient<'_>,
        notice: &Notice,
        policies: &PolicySet,
        room: Room,
        now: Timestamp,
    ) -> Result<(Option<Timestamp>, Option<Room>), String> {
        if record.channel != EMAIL {
            return Ok((self.over(record, to, notice, policies, now).await?, None));
        }
        let done = Room { done: true, ..Room::default() };
        if room.done {
            return Ok((None, Some(done)));
        }
        let is_sent = notice.reason_not_to_send.is_none() && to.rep.is_some_and(|rep| rep.email.is_some());
        let later = if is_sent { self.room_for_notice(room, now).await? } else { None };
        if let Some(later) = later {
            if room.waits.is_none() {
                // Meanwhile it is in the rep's list, by which their leads are found, and nobody's to send.
                let waits =
                    NoticeRecord { state: MessageState::Ready, attempts: 0, claimed_until: now, ..record };
                let put = self.store.put_new_notice(&waits).await.map_err(|error| error.to_string())?;
                if matches!(put, Claim::Held(held) if held.state.is_final()) {
                    return Ok((None, Some(done)));
                }
            }
            return Ok((Some(later.at), Some(later.room)));
        }
        let at = self.over(record, to, notice, policies, now).await?;
        Ok((at, Some(if at.is_none() { done } else { Room::default() })))
    }

    /// One channel: claim, hand over, settle. Answers with the time to come again, if there is one.
    pub(crate) async fn over(
        &self,
        mut record: NoticeRecord,
        to: Recipient<'_>,
        notice: &Notice,
        policies: &PolicySet,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, String> {
        let text = |error: sluice_store::StoreError| error.to_string();
        let endpoint = match to.webhook.filter(|_| record.channel == "webhook") {
            Some(webhook) => Some(self.store.endpoint(&webhook.endpoint()).await.map_err(text)?),
            None => None,
        };
        let is_gone = endpoint.as_ref().is_some_and(|endpoint| endpoint.gone.is_some());
        let reason = notice.reason_not_to_send.or(match record.channel.as_str() {
            _ if is_gone => Some(GONE),
            "none" if notice.is_quiet => Some("imported without telling anybody"),
            "none" => Some("the rep has neither e-mail nor webhook"),
            EMAIL if to.rep.is_none_or(|rep| rep.email.is_none()) => {
                Some("the rep has no e-mail address any more")
            }
            _ => None,
        });
        if let Some(reason) = reason {
            record.state = MessageState::Skipped;
            record.attempts = 0;
            record.note = Some(reason.to_owned());
        }
        match self.store.put_new_notice(&record).await.map_err(text)? {
            Claim::Ours => record.version = 1,
            Claim::Held(held) => match self.take_over(held, now).await? {
                TakeOver::Ours(taken) => record = *taken,
                TakeOver::Done => return Ok(None),
                TakeOver::At(at) => return Ok(Some(at)),
            },
        }
        if record.state != MessageState::Claimed {
            return Ok(None);
        }
        if let Some(reason) = reason {
            // That it goes to nobody came up since it was first tried.
            record.state = MessageState::Skipped;
            let earlier = if record.unknown > 0 { "; an attempt before that may have gone out" } else { "" };
            record.note = Some(format!("{reason}{earlier}"));
            let _: Written = self.store.update_notice(&record).await.map_err(text)?;
            return Ok(None);
        }
        let handed = match (endpoint, to.webhook) {
            (Some(endpoint), Some(webhook)) => {
                let rep = to.rep.map(|rep| rep.name.as_str());
                self.webhook(webhook, rep, notice, &endpoint, now).await
            }
            _ => match to.rep {
                Some(rep) => self.email(rep, notice, policies, now).await,
                None => return Ok(None),
            },
        };
        self.settle_notice(record, handed, now).await
    }

    async fn email(&self, rep: &Rep, notice: &Notice, policies: &PolicySet, now: Timestamp) -> Handover {
        let Some(Ok(to)) = rep.email.as_deref().map(Email::of_any_domain) else {
            return Handover::Refused("the rep has no e-mail address".to_owned());
        };
        let (subject, text) = (notice.subject(), notice.text());
        let mail = Mail {
            id: &notice.id,
            from: Mailbox { name: None, email: &self.from },
            to: Mailbox { name: rep.full_name.as_deref(), email: &to },
            reply_to: None,
            subject: &subject,
            text: &text,
            html: None,
            unsubscribe: None,
            at: now,
        };
        self.carry(&mail, policies.channel(Channel::Email).as_deref(), now).await
    }

    /// A message that is there already: done, somebody's, or ours to go on with.
    async fn take_over(&self, mut held: Box<NoticeRecord>, now: Timestamp) -> Result<TakeOver, String> {
        match held.state {
            state if state.is_final() => return Ok(TakeOver::Done),
            MessageState::Claimed if held.claimed_until > now => return Ok(TakeOver::At(held.claimed_until)),
            // Whoever claimed it did not come back: it may have gone out.
            MessageState::Claimed => held.unknown += 1,
            _ if held.claimed_until > now => return Ok(TakeOver::At(held.claimed_until)),
            _ => {}
        }
        held.state = MessageState::Claimed;
        held.attempts += 1;
        held.claimed_until = now.plus_millis(CLAIM_MS);
        match self.store.update_notice(&held).await.map_err(|error| error.to_string())? {
            Written::Done => {
                held.version += 1;
                Ok(TakeOver::Ours(held))
            }
            Written::Conflict => Ok(TakeOver::At(now.plus_millis(CLAIM_MS))),
        }
    }

    /// Writes down what became of the hand-over. If that fails the claim runs out and the message is UNKNOWN.
    async fn settle_notice(
        &self,
        mut record: NoticeRecord,
        handed: Handover,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, String> {
        let pause = pause(&record);
        let may_retry = pause.is_some();
        let mut again = None;
        let mut retry = |after: Option<u32>| {
            let at = now.plus_millis(pause.unwrap_or_default().max(after.map_or(0, i64::from) * 1000));
            again = Some(at);
            at
        };
        match handed {
            Handover::Sent(id) => {
                record.state = MessageState::Sent;
                record.note = Some(id);
            }
            Handover::NotNow { why, after } if may_retry => {
                record.state = MessageState::Ready;
                record.claimed_until = retry(after);
                record.note = Some(why);
            }
            Handover::Unknown(why) if may_retry => {
                record.state = MessageState::Unknown;
                record.unknown += 1;
                record.claimed_until = retry(None);
                record.note = Some(why);
            }
            Handover::NotNow { why, .. } | Handover::Refused(why) | Handover::NoMailbox(why) => {
                record.state = MessageState::Failed;
                record.note = Some(why);
            }
            Handover::Unknown(why) => {
                record.state = MessageState::Failed;
                record.note = Some(format!("{why}, too many times"));
            }
        }
        let metrics = Metrics::new().by("Channel", record.channel.clone());
        match record.state {
            MessageState::Unknown => metrics.count("UnknownSends", 1).emit(&self.env, now),
            MessageState::Failed => metrics.count("FailedSends", 1).emit(&self.env, now),
            MessageState::Sent => metrics.count("Sent", 1).emit(&self.env, now),
            _ => {}
        }
        // A conflict means that our claim ran out and somebody else goes on with the message.
        let _: Written = self.store.update_notice(&record).await.map_err(|error| error.to_string())?;
        Ok(again)
    }
}

/// Milliseconds until the next attempt; none after the last. Up to a tenth longer than the schedule says, by what the
/// notice and the attempt are: what failed together does not come again together, and a repeat waits as long.
fn pause(record: &NoticeRecord) -> Option<i64> {
    let pause = RETRY_SECONDS.get(usize::try_from(record.attempts.max(1)).ok()? - 1)? * 1000;
    let text = format!("{}#{}", record.sort_key, record.attempts);
    let spread = text.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    Some(pause + i64::try_from(spread % (pause.unsigned_abs() / 10)).unwrap_or_default())
}

enum TakeOver {
    Ours(Box<NoticeRecord>),
    Done,
    At(Timestamp),
}

/// Whom a notice goes to.
#[derive(Clone, Copy)]
pub(crate) struct Recipient<'a> {
    /// The rep; none where it is another system.
    pub(crate) rep: Option<&'a Rep>,
    /// Their webhook, or that system's.
    pub(crate) webhook: Option<&'a Webhook>,
}

/// A notice as it is claimed.
pub(crate) fn claimed(rep: &str, kind: &str, channel: &str, now: Timestamp) -> NoticeRecord {
    NoticeRecord {
        rep: rep.to_owned(),
        sort_key: String::new(),
        version: 0,
        lead: None,
        customer: None,
        text: None,
        due: None,
        heard: None,
        call: None,
        kind: kind.to_owned(),
        channel: channel.to_owned(),
        state: MessageState::Claimed,
        attempts: 1,
        claimed_until: now.plus_millis(CLAIM_MS),
        unknown: 0,
        note: None,
    }
}

pub(crate) fn channels(rep: Option<&Rep>) -> Vec<&'static str> {
    let mut channels = Vec::new();
    if rep.is_some_and(|rep| rep.email.is_some()) {
        channels.push(EMAIL);
    }
    if rep.is_some_and(|rep| rep.webhook.is_some()) {
        channels.push("webhook");
    }
    if channels.is_empty() {
        channels.push("none");
    }
    channels
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_domain::id::LeadId;

    fn record(rep: &str, attempts: u32) -> NoticeRecord {
        let lead = LeadId::derived(&["x"]);
        let sort_key = keys::notice(Timestamp(1), &lead, rep, 1, "webhook");
        let record = claimed(rep, "assigned", "webhook", Timestamp(0));
        NoticeRecord { sort_key, version: 1, lead: Some(lead), attempts, ..record }
    }

    #[test]
    fn attempts_go_on_for_a_day_each_later_than_the_one_before_and_not_all_at_once() {
        let pauses: Vec<i64> = (1..).map_while(|attempt| pause(&record("ann", attempt))).collect();
        assert_eq!(pauses.len(), 9);
        assert!(pauses.is_sorted());
        let all: i64 = pauses.iter().sum();
        assert!((86_400_000..110_000_000).contains(&all), "{all}");
        assert_eq!(pause(&record("ann", 1)), pause(&record("ann", 1)), "a repeat waits as long");
        let others: Vec<_> = ["bo", "cy", "di", "ed"].map(|rep| pause(&record(rep, 6))).to_vec();
        assert!(others.iter().any(|pause| *pause != others[0]), "{others:?}");
    }
}
