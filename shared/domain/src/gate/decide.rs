//! Whether a message may go out now.

use super::{Gate, Reason, SuppressedBy, Wish};
use crate::calendar::{Spans, Zone};
use crate::identity::Country;
use crate::message::Otherwise;
use crate::policy::{Cap, ConsentRule, Period, Topic};
use crate::time::Timestamp;

/// Questions whether messages are wanted that one address gets at most: whoever types somebody else's address into a
/// form again and again must not fill their mailbox.
const QUESTIONS: Cap = Cap { at_most: 3, within: Period::days(1) };

/// A message that wants to go out.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// What it is about; none if nobody describes it any more. The usual rule may ask for less than its document did.
    pub topic: Option<&'a Topic>,
    /// What has to be known of the person's wish, unless the topic says.
    pub consent: ConsentRule,
    /// It is itself the question whether the person wants messages about the topic: it goes out at once, unless the
    /// person has said no since.
    pub asks_for_consent: bool,
    /// Caps of its channel.
    pub caps: &'a [Cap],
    /// Caps over all channels.
    pub overall: &'a [Cap],
    /// Hours without messages.
    pub quiet: Option<&'a Spans>,
    /// Where the customer lives.
    pub zone: &'a Zone,
    /// What its author wants at a cap.
    pub at_cap: Otherwise,
    /// What its author wants in quiet hours.
    pub in_quiet_hours: Otherwise,
    /// Pointless after this.
    pub not_after: Option<Timestamp>,
}

/// The gates that a message has to pass.
#[derive(Clone, Debug, Default)]
pub struct Gates<'a> {
    /// Of the address it goes to.
    pub own: Gate,
    /// Of the person's other addresses on this channel: what the person refused under one holds for all.
    pub same_channel: Vec<&'a Gate>,
    /// Of the person's addresses on other channels, which count for caps over all.
    pub other_channels: Vec<&'a Gate>,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go out.
    Send,
    /// It is left out.
    Skip(Reason),
    /// It may not go out before this.
    Defer(Timestamp, Reason),
    /// Another one goes out instead.
    Replace(Reason),
    /// It is left out, and what sent it ends for this person.
    Exit(Reason),
}

/// Decides. Suppressed and erased addresses come first: nothing a person wants goes there; then what the person wants;
/// then how much and when.
pub fn decide(ask: &Ask<'_>, gates: &Gates<'_>, now: Timestamp) -> Verdict {
    if ask.not_after.is_some_and(|latest| now > latest) {
        return Verdict::Skip(Reason::TooLate);
    }
    if let Some((why, _)) = gates.own.suppression() {
        return Verdict::Skip(Reason::Suppressed(why));
    }
    let Some(topic) = ask.topic else { return Verdict::Skip(Reason::NoTopic) };
    if let Some(why) = refusal(ask, topic, gates) {
        return Verdict::Skip(why);
    }
    if ask.asks_for_consent && room(QUESTIONS, &gates.own.asked, now).is_some() {
        return Verdict::Skip(Reason::Cap(QUESTIONS));
    }
    if topic.service || ask.asks_for_consent {
        return Verdict::Send;
    }
    if let Some((until, cap)) = capped(ask, gates, now) {
        return otherwise(ask, ask.at_cap, awake(ask, until), Reason::Cap(cap));
    }
    let awake = awake(ask, now);
    if awake > now {
        return otherwise(ask, ask.in_quiet_hours, awake, Reason::QuietHours);
    }
    Verdict::Send
}

/// What was said that keeps it from going out.
fn refusal(ask: &Ask<'_>, topic: &Topic, gates: &Gates<'_>) -> Option<Reason> {
    let own = gates.own.wish(&topic.name);
    if let Some(erased) = gates.own.erased {
        // Whoever comes back after an erasure has to say so twice: by themselves, and by the link in the message that asks.
        let said_since = own.is_some_and(|(wish, at)| wish != Wish::No && at > erased);
        let confirmed = own.is_some_and(|(wish, at)| wish == Wish::Confirmed && at > erased);
        // What a person asks for themselves needs no yes: it goes where they have shown that it is them, about whatever topic.
        let is_back = topic.service && gates.own.is_confirmed_since(erased);
        if !(confirmed || is_back || said_since && ask.asks_for_consent) {
            return Some(Reason::Erased);
        }
    }
    if topic.service {
        return None;
    }
    if ask.asks_for_consent {
        return own.and_then(|(wish, at)| match wish {
            Wish::No => Some(Reason::OptedOut(at)),
            Wish::Confirmed => Some(Reason::Confirmed),
            Wish::Yes => None,
        });
    }
    let word = gates.own.word(&topic.name);
    for gate in &gates.same_channel {
        if let Some((SuppressedBy::Complaint, _)) = gate.suppression() {
            return Some(Reason::Suppressed(SuppressedBy::Complaint));
        }
        // A yes by the address it goes to is worth more than an older no by another. A file's is not: it counts until the
        // person says something themselves, by whichever address.
        if let Some((Wish::No, at)) = gate.wish(&topic.name)
            && word.is_none_or(|(wish, said)| wish == Wish::No || said <= at)
        {
            return Some(Reason::OptedOut(at));
        }
    }
    match (own, topic.consent.unwrap_or(ask.consent)) {
        (Some((Wish::No, at)), _) => Some(Reason::OptedOut(at)),
        (None, ConsentRule::OptIn | ConsentRule::DoubleOptIn) => Some(Reason::NoConsent),
        (Some((Wish::Yes, _)), ConsentRule::DoubleOptIn) => Some(Reason::NotConfirmed),
        _ => None,
    }
}

/// The cap that is reached, and when there is room again.
fn capped(ask: &Ask<'_>, gates: &Gates<'_>, now: Timestamp) -> Option<(Timestamp, Cap)> {
    let same: Vec<Timestamp> = std::iter::once(&gates.own)
        .chain(gates.same_channel.iter().copied())
        .flat_map(|gate| gate.recent.iter().copied())
        .collect();
    let others = gates.other_channels.iter().flat_map(|gate| gate.recent.iter().copied());
    let all: Vec<Timestamp> = same.iter().copied().chain(others).collect();
    let own = ask.caps.iter().map(|cap| (cap, &same));
    let overall = ask.overall.iter().map(|cap| (cap, &all));
    own.chain(overall)
        .filter_map(|(cap, sent)| Some((room(*cap, sent, now)?, *cap)))
        .max_by_key(|(at, _)| *at)
}

/// When a cap that is reached has room again; none if it has room now.
fn room(cap: Cap, sent: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
    let length = cap.within.millis();
    let mut within: Vec<Timestamp> = sent.iter().copied().filter(|at| now.since(*at) < length).collect();
    within.sort_unstable();
    let most = cap.at_most as usize;
    // The one that has to grow old for the number to be below the cap.
    let last = within.len().checked_sub(most)?;
    Some(within.get(last)?.plus_millis(length))
}

/// The first instant from `at` on that is outside the quiet hours.
fn awake(ask: &Ask<'_>, at: Timestamp) -> Timestamp {
    ask.quiet.and_then(|quiet| quiet.end_of_span(ask.zone, at)).unwrap_or(at)
}

fn otherwise(ask: &Ask<'_>, choice: Otherwise, until: Timestamp, why: Reason) -> Verdict {
    match choice {
        Otherwise::Skip => Verdict::Skip(why),
        Otherwise::Exit => Verdict::Exit(why),
        Otherwise::Replace => Verdict::Replace(why),
        Otherwise::Defer if ask.not_after.is_some_and(|latest| until > latest) => {
            Verdict::Skip(Reason::TooLate)
        }
        Otherwise::Defer => Verdict::Defer(until, why),
    }
}

/// Where a customer lives: the zone they gave, else the country's, else the settings', else UTC. Of a country with several
/// zones it is the one in which most people live.
pub fn zone_of(own: Option<&str>, country: Option<Country>, settings: Option<&Zone>) -> Zone {
    own.and_then(Zone::named)
        .or_else(|| country.and_then(|country| country.zone()).and_then(Zone::named))
        .or_else(|| settings.cloned())
        .unwrap_or_else(Zone::utc)
}
