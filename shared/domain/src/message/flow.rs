//! How a message moves through its states.

use super::{Bounce, CauseKind, Message, MessageState, OnUnknown, Otherwise};
use crate::customer::AddressHash;
use crate::gate::{How, Proof, Reason, Said, SuppressedBy, Verdict};
use crate::template::add_link;
use crate::time::Timestamp;

/// How long a claim stands, in milliseconds: longer than the function that made it may run.
pub const CLAIM_MS: i64 = 25_000;
/// How long the provider has to say that a message went out before it is sent again, in milliseconds.
pub const RESEND_MS: i64 = 900_000;
/// Seconds to wait before the next attempt, by attempts made; the last is repeated.
const RETRY_SECONDS: [i64; 7] = [5, 30, 120, 600, 1_800, 7_200, 18_000];
/// Attempts after which a message has failed: about a day.
const ATTEMPTS: u32 = 10;

/// What is to be done with a message that comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing more.
    Done,
    /// Nothing before this.
    At(Timestamp),
    /// Whoever claimed it never said what came of it: it may have gone out.
    Unanswered,
    /// Decide whether it may go out, and send it.
    Decide,
}

/// What became of handing a message to its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    /// Taken; the provider's id, if it gave one.
    Sent(String),
    /// Definitely not taken, and worth another attempt: why, and the seconds the provider wants to be left alone.
    NotNow(String, Option<u32>),
    /// Definitely not taken, for good.
    Refused(String),
    /// The same, since the address does not exist: nothing more may go there.
    NoMailbox(String),
    /// It may have been taken: what is known of why nobody knows.
    Unknown(String),
}

/// What follows once that is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// It is to come by again then.
    pub again: Option<Timestamp>,
    /// The claim was for nothing: the gate need not count it.
    pub give_back: bool,
}

impl Message {
    /// What is to be done with it now.
    pub fn next(&self, now: Timestamp) -> Next {
        let later = self.until.filter(|until| *until > now);
        match (self.state, later) {
            (state, _) if state.is_final() => Next::Done,
            (MessageState::Unknown, None) if self.until.is_none() => Next::Done,
            (_, Some(at)) => Next::At(at),
            (MessageState::Claimed, None) => Next::Unanswered,
            (_, None) => Next::Decide,
        }
    }

    /// What is to be done with what its author wanted at a cap or in quiet hours: another message goes out instead.
    /// Holds for a message that was left out and one that is about to be; not for the other one, which nothing replaces.
    pub fn is_replaced(&self) -> bool {
        let choice = match self.reason {
            Some(Reason::Cap(_)) => self.order.at_cap,
            Some(Reason::QuietHours) => self.order.in_quiet_hours,
            _ => None,
        };
        self.state == MessageState::Skipped
            && choice == Some(Otherwise::Replace)
            && self.order.replaced().is_some()
    }

    /// Whether the journey that it is of ends with it: its author wants that at a cap or in quiet hours.
    pub fn ends_its_journey(&self) -> bool {
        let choice = match self.reason {
            Some(Reason::Cap(_)) => self.order.at_cap,
            Some(Reason::QuietHours) => self.order.in_quiet_hours,
            _ => None,
        };
        self.order.cause.kind == CauseKind::Journey
            && self.state == MessageState::Skipped
            && choice == Some(Otherwise::Exit)
    }

    /// Takes down a verdict other than to send. What may have gone out before is not called left out: it is not sent again,
    /// and its outcome stays unknown.
    pub fn refuse(&mut self, verdict: Verdict) {
        (self.state, self.until, self.reason) = match verdict {
            Verdict::Send => (self.state, self.until, None),
            Verdict::Defer(until, why) => (MessageState::Ready, Some(until), Some(why)),
            Verdict::Skip(why) | Verdict::Replace(why) | Verdict::Exit(why) => {
                let state = if self.unknown > 0 { MessageState::Unknown } else { MessageState::Skipped };
                (state, None, Some(why))
            }
        };
        if self.state.is_final() {
            // What nobody will need any more does not stay.
            self.data.clear();
        }
    }

    /// The claim of an attempt before that may have gone out, by the gate of this address: a message counts once, however
    /// often it is handed over.
    pub fn earlier_claim(&self, address: &AddressHash) -> Option<Timestamp> {
        self.claimed.filter(|_| self.unknown > 0 && self.address.as_ref() == Some(address))
    }

    /// Where its links lead, by their number, when it leads to these now. A number that may be out in a mail before goes on
    /// meaning what it meant there; what is new comes behind, as far as there is room.
    #[must_use]
    pub fn numbered(&self, links: &[String]) -> Vec<String> {
        let may_be_out = self.unknown > 0 || self.state == MessageState::Claimed;
        let mut numbered = if may_be_out { self.links.clone() } else { Vec::new() };
        for url in links {
            add_link(&mut numbered, url);
        }
        numbered
    }

    /// Claims it: from here on it counts as begun.
    pub fn claim(&mut self, now: Timestamp, nonce: String, address: AddressHash) {
        self.state = MessageState::Claimed;
        self.attempts += 1;
        self.until = Some(now.plus_millis(CLAIM_MS));
        self.claimed = Some(now);
        self.nonce = Some(nonce);
        self.address = Some(address);
        self.reason = None;
    }

    /// The claim ran out: nobody knows whether it went out.
    pub fn unanswered(&mut self, policy: OnUnknown, now: Timestamp) -> Settled {
        self.settle(Handed::Unknown("no answer".to_owned()), policy, now)
    }

    /// Takes down what became of the hand-over.
    pub fn settle(&mut self, handed: Handed, policy: OnUnknown, now: Timestamp) -> Settled {
        let may_retry = self.attempts < ATTEMPTS;
        let pause = RETRY_SECONDS[(self.attempts.max(1) as usize - 1).min(RETRY_SECONDS.len() - 1)];
        let (state, until, note, give_back) = match handed {
            Handed::Sent(id) => (MessageState::Sent, None, id, false),
            // Where an attempt before it may have gone out, its claim goes on counting.
            Handed::NotNow(why, after) if may_retry => {
                let seconds = pause.max(after.map_or(0, i64::from));
                (MessageState::Ready, Some(now.plus_millis(seconds * 1000)), why, self.unknown == 0)
            }
            Handed::NotNow(why, _) | Handed::Refused(why) | Handed::NoMailbox(why) => {
                (MessageState::Failed, None, why, self.unknown == 0)
            }
            Handed::Unknown(why) => {
                self.unknown += 1;
                let resend = policy == OnUnknown::Resend && may_retry;
                let until = resend.then(|| now.plus_millis(RESEND_MS));
                (MessageState::Unknown, until, why, false)
            }
        };
        (self.state, self.until, self.note) = (state, until, Some(note).filter(|note| !note.is_empty()));
        self.nonce = None;
        if self.state.is_final() {
            self.data.clear();
        }
        Settled { again: until, give_back }
    }

    /// That the address it was handed over for does not exist, as the provider said when it refused it.
    pub fn no_mailbox(&self, at: Timestamp) -> Proof {
        let said = Said::Suppressed(SuppressedBy::HardBounce);
        let id = self.id();
        let proof = Proof::new(said, How::Provider, at, &["refused", id.as_str()]);
        Proof { message: Some(id), ..proof }
    }

    /// The provider, or a person who looked, says that it went out, or that it did not. Only an outcome that is unknown
    /// is settled so; whether anything changed.
    pub fn settle_unknown(&mut self, went_out: bool, note: &str) -> bool {
        if !matches!(self.state, MessageState::Unknown | MessageState::Claimed) {
            return false;
        }
        self.state = if went_out { MessageState::Sent } else { MessageState::Failed };
        if went_out {
            self.reason = None;
        }
        self.note = Some(note.to_owned());
        (self.until, self.nonce) = (None, None);
        self.data.clear();
        true
    }

    /// The provider says something of it by which it must have taken it. That settles it wherever nobody knows whether it
    /// went out: also where an attempt without an answer was followed by another, or by none. Whether anything changed.
    pub fn went_out(&mut self, mail: &str) -> bool {
        let was_rejected = matches!(self.trail.bounced, Some((_, Bounce::Rejected)));
        if was_rejected || self.state == MessageState::Sent {
            return false;
        }
        if self.unknown > 0 && !matches!(self.state, MessageState::Unknown | MessageState::Claimed) {
            self.state = MessageState::Unknown;
        }
        self.settle_unknown(true, mail)
    }

    /// The provider took it and then would not send it: why. That stands, whatever it said before or says late.
    pub fn was_rejected(&mut self, at: Timestamp, why: &str) {
        self.trail.bounce(at, Bounce::Rejected);
        if self.state != MessageState::Failed {
            self.state = MessageState::Unknown;
            self.settle_unknown(false, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Gate;
    use crate::id::CustomerId;
    use crate::message::{Cause, CauseKind, Channel, Order, Replacement};
    use crate::policy::{Cap, Period};
    use serde_json::Map;

    const NOW: Timestamp = Timestamp(1_795_692_000_000);

    fn message() -> Message {
        let cause = Cause { kind: CauseKind::Api, name: "welcome".to_owned(), part: "1".to_owned() };
        let ada = CustomerId::derived(&["ada"]);
        let order = Order::new(ada, NOW, cause, Channel::Email, "welcome", "product");
        Message::new(Order { at_cap: Some(Otherwise::Replace), ..order }, Map::new())
    }

    fn claimed() -> Message {
        let mut message = message();
        message.claim(NOW, "n".to_owned(), AddressHash::from_text("1.x"));
        message
    }

    #[test]
    fn a_claim_stands_for_its_time_and_is_unanswered_afterwards() {
        assert_eq!(message().next(NOW), Next::Decide);
        let message = claimed();
        let end = NOW.plus_millis(CLAIM_MS);
        assert_eq!(message.next(NOW), Next::At(end));
        assert_eq!(message.next(end), Next::Unanswered);
    }

    #[test]
    fn a_message_that_may_have_gone_out_is_held_unless_its_author_prefers_twice_to_never() {
        let mut held = claimed();
        assert_eq!(held.unanswered(OnUnknown::Hold, NOW), Settled { again: None, give_back: false });
        assert_eq!(
            (held.state, held.next(NOW.plus_millis(RESEND_MS * 9))),
            (MessageState::Unknown, Next::Done)
        );
        let mut again = claimed();
        let at = NOW.plus_millis(RESEND_MS);
        assert_eq!(
            again.settle(Handed::Unknown("status 502".into()), OnUnknown::Resend, NOW).again,
            Some(at)
        );
        assert_eq!((again.next(NOW), again.next(at)), (Next::At(at), Next::Decide));
        assert_eq!((again.note.as_deref(), held.note.as_deref()), (Some("status 502"), Some("no answer")));
        assert!(again.settle_unknown(true, "delivered"));
        assert_eq!(again.next(at), Next::Done);
        assert!(!again.settle_unknown(false, "too late"));
    }

    #[test]
    fn a_message_that_is_sent_again_is_not_kept_back_by_itself_and_counts_once() {
        let address = AddressHash::from_text("1.x");
        let mut again = claimed();
        assert_eq!(again.earlier_claim(&address), None, "its outcome is not unknown yet");
        again.unanswered(OnUnknown::Resend, NOW);
        assert_eq!(again.earlier_claim(&address), Some(NOW));
        assert_eq!(again.earlier_claim(&AddressHash::from_text("1.y")), None);
        let later = NOW.plus_millis(RESEND_MS);
        again.claim(later, "m".to_owned(), address.clone());
        let refused = again.settle(Handed::Refused("no".into()), OnUnknown::Resend, later);
        assert!(!refused.give_back, "the attempt before may have gone out");
        assert_eq!(again.earlier_claim(&address), Some(later));
    }

    #[test]
    fn a_link_keeps_its_number_where_a_mail_with_it_may_be_out() {
        let links = |all: &[&str]| all.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
        let (first, second) = (links(&["a", "b"]), links(&["c", "b", "c"]));
        let mut message = message();
        assert_eq!(message.numbered(&second), links(&["c", "b"]));
        message.links = message.numbered(&first);
        // Given back: nothing went out.
        assert_eq!(message.numbered(&second), links(&["c", "b"]));
        message.claim(NOW, "n".to_owned(), AddressHash::from_text("1.x"));
        assert_eq!(message.numbered(&first), first);
        message.unanswered(OnUnknown::Resend, NOW);
        assert_eq!(message.numbered(&second), links(&["a", "b", "c"]));
        // Whatever became of a second attempt, the first may be out.
        message.claim(NOW, "m".to_owned(), AddressHash::from_text("1.x"));
        message.settle(Handed::NotNow("busy".into(), None), OnUnknown::Resend, NOW);
        assert_eq!(message.numbered(&second), links(&["a", "b", "c"]));
        // Together they are no more than are written down with one message.
        let url = |n: usize| format!("https://shop.example/{n:0>1979}");
        let third: Vec<String> = (0..100).map(url).collect();
        let numbered = message.numbered(&third);
        assert_eq!((&numbered[..2], &numbered[2..]), (&first[..], &third[..74]));
    }

    #[test]
    fn what_the_provider_says_settles_a_message_and_nothing_said_late_unsettles_it() {
        let mut unknown = claimed();
        unknown.unanswered(OnUnknown::Hold, NOW);
        assert!(unknown.clone().went_out("mail-1"));
        // The event may be faster than whoever waits for the answer.
        let mut early = claimed();
        assert!(early.went_out("mail-1"));
        assert_eq!((early.state, early.note.as_deref()), (MessageState::Sent, Some("mail-1")));
        assert!(!early.went_out("mail-1"), "once");
        // An attempt without an answer, then one that was refused, and one that the gate stopped.
        for after in [Handed::NotNow("busy".into(), None), Handed::Refused("no".into())] {
            let mut again = unknown.clone();
            again.claim(NOW, "n".into(), AddressHash::from_text("1.x"));
            again.settle(after, OnUnknown::Resend, NOW);
            assert!(again.went_out("mail-1"));
            assert_eq!((again.state, again.until), (MessageState::Sent, None));
        }
        let mut stopped = unknown.clone();
        stopped.refuse(Verdict::Skip(Reason::NoConsent));
        assert_eq!((stopped.state, stopped.next(NOW)), (MessageState::Unknown, Next::Done));
        assert!(stopped.went_out("mail-1"));
        assert_eq!((stopped.state, stopped.reason.clone()), (MessageState::Sent, None));
        // What nobody ever handed over was not.
        let mut left_out = message();
        left_out.refuse(Verdict::Skip(Reason::NoConsent));
        assert!(!left_out.went_out("mail-1"));
        // Rejected after it was taken; and in the other order.
        for first in [true, false] {
            let mut rejected = unknown.clone();
            if first {
                rejected.went_out("mail-1");
            }
            rejected.was_rejected(NOW, "reject");
            assert!(!rejected.went_out("mail-1"));
            let told = rejected.clone();
            rejected.was_rejected(NOW, "reject");
            assert_eq!((rejected.state, &rejected), (MessageState::Failed, &told));
        }
    }

    #[test]
    fn a_refusal_gives_the_claim_back_and_is_tried_for_about_a_day() {
        let mut message = claimed();
        let mut now = NOW;
        let mut attempts = 1;
        while let Some(at) = message.settle(Handed::NotNow("busy".into(), None), OnUnknown::Hold, now).again {
            assert_eq!((message.state, message.next(now)), (MessageState::Ready, Next::At(at)));
            assert_eq!(message.next(at), Next::Decide);
            now = at;
            message.claim(now, "n".to_owned(), AddressHash::from_text("1.x"));
            attempts += 1;
        }
        assert_eq!((message.state, attempts), (MessageState::Failed, ATTEMPTS));
        let hours = now.since(NOW) / 3_600_000;
        assert!((12..36).contains(&hours), "{hours} hours");
        let mut asked = claimed();
        let settled = asked.settle(Handed::NotNow("busy".into(), Some(90)), OnUnknown::Hold, NOW);
        assert_eq!(settled, Settled { again: Some(NOW.plus_millis(90_000)), give_back: true });
        for no in [Handed::Refused("no".into()), Handed::NoMailbox("no".into())] {
            let mut refused = claimed();
            let settled = refused.settle(no, OnUnknown::Resend, NOW);
            assert_eq!(settled, Settled { again: None, give_back: true });
            assert_eq!(refused.state, MessageState::Failed);
        }
    }

    #[test]
    fn an_address_that_does_not_exist_is_known_by_the_message_that_was_refused() {
        let (message, mut gate) = (claimed(), Gate::default());
        let proof = message.no_mailbox(NOW);
        proof.tell(&mut gate);
        assert_eq!(gate.suppression(), Some((SuppressedBy::HardBounce, NOW)));
        assert_eq!((proof.how, proof.message.as_ref()), (How::Provider, Some(&message.id())));
        assert_eq!(proof, message.no_mailbox(NOW), "told twice it is one");
    }

    #[test]
    fn what_is_left_out_keeps_why_and_whether_another_takes_its_place() {
        let cap = Cap { at_most: 1, within: Period::days(1) };
        let mut message = message();
        let instead = Replacement { channel: Channel::Sms, template: "short".to_owned() };
        message.order.replacement = Some(instead);
        message.data.insert("code".to_owned(), "x".into());
        message.refuse(Verdict::Defer(NOW.plus_millis(1), Reason::Cap(cap)));
        assert!(!message.is_replaced() && !message.data.is_empty());
        message.refuse(Verdict::Replace(Reason::Cap(cap)));
        assert!(message.is_replaced() && message.data.is_empty());
        assert_eq!(message.next(NOW), Next::Done);
        message.order.replacement.as_mut().unwrap().channel = message.order.channel;
        assert!(!message.is_replaced(), "it would be itself again");
        message.order.replacement = None;
        assert!(!message.is_replaced(), "nothing takes its place");
        message.reason = Some(Reason::QuietHours);
        assert!(!message.is_replaced());
    }

    #[test]
    fn what_goes_out_instead_waits_where_it_is_held_back_too_unless_its_author_said_more() {
        let mut order = message().order;
        order.replacement = Some(Replacement { channel: Channel::Sms, template: "short".to_owned() });
        order.in_quiet_hours = Some(Otherwise::Exit);
        let instead = order.replaced().unwrap();
        assert_eq!((instead.channel, instead.template.as_str()), (Channel::Sms, "short"));
        assert_eq!((instead.at_cap, instead.in_quiet_hours), (None, Some(Otherwise::Exit)));
        assert_eq!(instead.replaced(), None);
    }
}
