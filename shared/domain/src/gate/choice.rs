//! What a person chooses by a link of a message, and what that changes in the gate of their address.

use super::{Ask, EVERY_TOPIC, Gate, Gates, SuppressedBy, Verdict, Wish, decide};
use crate::calendar::Zone;
use crate::message::Otherwise;
use crate::policy::{ConsentRule, Topic};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What a person chooses. Whoever has the link has the mail, so what is chosen by it needs no further proof.
#[derive(Clone, Debug)]
pub enum Choice<'a> {
    /// No more messages about this topic. Of a topic whose messages a person asked for there is nothing to stop: then
    /// they want none of all others.
    Stop(&'a Topic),
    /// No more messages about anything.
    Nothing,
    /// Messages about those of the topics that are ticked, and none about the others that were shown.
    These {
        /// The topics that were shown.
        shown: Vec<&'a Topic>,
        /// The names of those that are ticked.
        ticked: BTreeSet<String>,
    },
    /// What was asked for was really asked for. It counts from when the message went out that wanted to know: a no that
    /// was said since stands.
    Confirm {
        /// About this topic.
        topic: &'a str,
        /// When the message was asked for.
        asked: Timestamp,
    },
}

/// One wish that is taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// About this topic, or [`EVERY_TOPIC`].
    pub topic: String,
    /// What is wanted.
    pub wish: Wish,
    /// From when on it counts.
    pub as_of: Timestamp,
}

impl Choice<'_> {
    /// What a choice changes in the gate of its address; nothing if all of it stands already. `rule` is the consent rule of
    /// topics that do not say.
    pub fn changes(&self, gates: &Gates<'_>, rule: ConsentRule, now: Timestamp) -> Vec<Change> {
        let change = |topic: &str, wish| Change { topic: topic.to_owned(), wish, as_of: now };
        let wanted = match self {
            Self::Stop(topic) if topic.service => {
                vec![change(EVERY_TOPIC, Wish::No), change(&topic.name, Wish::No)]
            }
            Self::Stop(topic) => vec![change(&topic.name, Wish::No)],
            Self::Nothing => vec![change(EVERY_TOPIC, Wish::No)],
            Self::These { shown, ticked } => {
                // What another address of the person keeps back is not got, and wanted is said here. What is not wanted is
                // said here even so: the two may be taken for one person wrongly.
                let differs = |topic: &&&Topic| match ticked.contains(&topic.name) {
                    true => !gates.gets(topic, rule, now),
                    false => gates.own.gets(topic, rule, now),
                };
                let wish = |topic: &&Topic| match ticked.contains(&topic.name) {
                    true => change(&topic.name, Wish::Confirmed),
                    false => change(&topic.name, Wish::No),
                };
                shown.iter().filter(differs).map(wish).collect()
            }
            Self::Confirm { topic, asked } => {
                vec![Change { as_of: *asked, ..change(topic, Wish::Confirmed) }]
            }
        };
        wanted.into_iter().filter(|change| change.is_news(&gates.own)).collect()
    }

    /// The topics of which it wants nothing, whether or not that is known already.
    pub fn refused(&self) -> Vec<&str> {
        match self {
            Self::Stop(topic) if topic.service => vec![EVERY_TOPIC, topic.name.as_str()],
            Self::Stop(topic) => vec![topic.name.as_str()],
            Self::Nothing => vec![EVERY_TOPIC],
            Self::These { shown, ticked } => {
                let names = shown.iter().map(|topic| topic.name.as_str());
                names.filter(|name| !ticked.contains(*name)).collect()
            }
            Self::Confirm { .. } => Vec::new(),
        }
    }
}

impl Change {
    /// Whether it says what is not known. A no where nothing but a no stands is known, and so is a yes that was said
    /// then or later. What counts from before an erasure is forgotten.
    fn is_news(&self, gate: &Gate) -> bool {
        let held = gate.says.get(&self.topic).copied().unwrap_or_default();
        let is_refused = |topic: &str| gate.wish(topic).is_some_and(|(wish, _)| wish == Wish::No);
        match self.wish {
            // A yes to one topic that was said since is taken back by a no to all.
            Wish::No if self.topic == EVERY_TOPIC => {
                held.no.is_none() || !gate.says.keys().all(|topic| is_refused(topic))
            }
            Wish::No => held.no.is_none() || !is_refused(&self.topic),
            Wish::Yes => held.yes < Some(self.as_of) && gate.erased < Some(self.as_of),
            Wish::Confirmed => held.confirmed < Some(self.as_of) && gate.erased < Some(self.as_of),
        }
    }
}

impl Gate {
    /// Whether the address gets messages about a topic, as far as what was said of it alone goes.
    fn gets(&self, topic: &Topic, rule: ConsentRule, now: Timestamp) -> bool {
        Gates { own: self.clone(), ..Gates::default() }.gets(topic, rule, now)
    }

    /// Without what is known of whether it can be reached.
    fn wishes(&self) -> Self {
        Self { suppressed: BTreeMap::new(), ..self.clone() }
    }
}

impl Gates<'_> {
    /// Whether the address gets messages about a topic, as far as wishes go, those by the person's other addresses as well:
    /// not whether it can be reached, nor how much or when. `rule` is the consent rule of topics that do not say.
    pub fn gets(&self, topic: &Topic, rule: ConsentRule, now: Timestamp) -> bool {
        let ask = Ask {
            topic: Some(topic),
            consent: rule,
            asks_for_consent: false,
            caps: &[],
            overall: &[],
            quiet: None,
            zone: &Zone::utc(),
            at_cap: Otherwise::Skip,
            in_quiet_hours: Otherwise::Skip,
            not_after: None,
        };
        let others: Vec<Gate> = self.same_channel.iter().map(|gate| gate.wishes()).collect();
        let gates =
            Gates { own: self.own.wishes(), same_channel: others.iter().collect(), ..Gates::default() };
        decide(&ask, &gates, now) == Verdict::Send
    }

    /// Whether nothing goes to the address at present, whatever its person wants.
    pub fn is_suppressed(&self) -> bool {
        let by_spam = |gate: &&Gate| matches!(gate.suppression(), Some((SuppressedBy::Complaint, _)));
        self.own.suppression().is_some() || self.same_channel.iter().any(by_spam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_795_260_000_000);

    fn after(millis: i64) -> Timestamp {
        NOW.plus_millis(millis)
    }

    fn topic(name: &str, rule: ConsentRule) -> Topic {
        Topic { consent: Some(rule), ..Topic::plain(name) }
    }

    /// Chooses, and answers how many wishes that changed.
    fn choose(gate: &mut Gate, choice: &Choice<'_>, at: Timestamp) -> usize {
        choose_beside(gate, &[], choice, at)
    }

    /// The same of somebody who has other addresses.
    fn choose_beside(gate: &mut Gate, others: &[Gate], choice: &Choice<'_>, at: Timestamp) -> usize {
        let gates = beside(gate, others);
        let changes = choice.changes(&gates, ConsentRule::OptOut, at);
        changes.iter().for_each(|change| gate.say(&change.topic, change.wish, change.as_of));
        changes.len()
    }

    fn beside<'a>(gate: &Gate, others: &'a [Gate]) -> Gates<'a> {
        Gates { own: gate.clone(), same_channel: others.iter().collect(), ..Gates::default() }
    }

    #[test]
    fn stopping_a_topic_is_taken_down_once_until_a_yes_comes_between() {
        let (product, mut gate) = (topic("product", ConsentRule::OptOut), Gate::default());
        let stop = Choice::Stop(&product);
        assert_eq!(choose(&mut gate, &stop, NOW), 1);
        assert_eq!(choose(&mut gate, &stop, after(5)), 0);
        gate.say("product", Wish::Yes, after(6));
        assert_eq!(choose(&mut gate, &stop, after(7)), 1);
        assert_eq!(gate.wish("product"), Some((Wish::No, after(7))));
        // A yes to everything is a yes to this one.
        gate.say(EVERY_TOPIC, Wish::Yes, after(8));
        assert_eq!(choose(&mut gate, &stop, after(9)), 1);
        assert_eq!(gate.wish("product"), Some((Wish::No, after(9))));
    }

    #[test]
    fn a_no_to_all_takes_back_what_was_chosen_since_the_last_one() {
        let (product, mut gate) = (topic("product", ConsentRule::OptIn), Gate::default());
        assert_eq!(choose(&mut gate, &Choice::Nothing, NOW), 1);
        let ticked = BTreeSet::from(["product".to_owned()]);
        assert_eq!(choose(&mut gate, &Choice::These { shown: vec![&product], ticked }, after(1)), 1);
        assert!(gate.gets(&product, ConsentRule::OptOut, after(1)));
        assert_eq!(choose(&mut gate, &Choice::Nothing, after(2)), 1);
        assert!(!gate.gets(&product, ConsentRule::OptOut, after(2)));
        assert_eq!(choose(&mut gate, &Choice::Nothing, after(3)), 0);
    }

    #[test]
    fn stopping_what_a_person_asked_for_stops_everything_else() {
        let (service, news) = (Topic::plain(Topic::SERVICE), topic("news", ConsentRule::OptOut));
        let mut gate = Gate::default();
        assert_eq!(choose(&mut gate, &Choice::Stop(&service), NOW), 2);
        assert!(!gate.gets(&news, ConsentRule::OptOut, NOW));
        assert!(gate.gets(&service, ConsentRule::OptOut, NOW));
    }

    #[test]
    fn a_confirmation_counts_as_of_the_message_that_asked() {
        let news = topic("news", ConsentRule::DoubleOptIn);
        let confirm = Choice::Confirm { topic: "news", asked: NOW };
        let mut gate = Gate::default();
        gate.say("news", Wish::Yes, NOW);
        let mut refused = gate.clone();
        refused.say("news", Wish::No, after(50));
        assert_eq!(choose(&mut gate, &confirm, after(100)), 1);
        assert!(gate.gets(&news, ConsentRule::OptOut, after(100)));
        assert_eq!(choose(&mut gate, &confirm, after(200)), 0);
        choose(&mut refused, &confirm, after(100));
        assert_eq!(refused.wish("news"), Some((Wish::No, after(50))));
        // Asked before the person was erased: forgotten.
        let mut erased = Gate::default();
        erased.erase(after(10));
        assert_eq!(choose(&mut erased, &confirm, after(100)), 0);
    }

    #[test]
    fn suppression_is_no_wish() {
        let (news, mut gate) = (topic("news", ConsentRule::OptOut), Gate::default());
        assert!(!beside(&gate, &[Gate::default()]).is_suppressed());
        gate.suppress(SuppressedBy::Complaint, NOW);
        assert!(gate.gets(&news, ConsentRule::OptOut, NOW));
        // What is spam to a person by one address goes to none of theirs.
        let others = [gate];
        let gates = beside(&Gate::default(), &others);
        assert!(gates.gets(&news, ConsentRule::OptOut, NOW) && gates.is_suppressed());
    }

    #[test]
    fn what_is_refused_by_another_address_is_not_got_until_it_is_ticked_here() {
        let news = topic("news", ConsentRule::OptOut);
        let (mut gate, mut other) = (Gate::default(), Gate::default());
        other.say("news", Wish::No, NOW);
        let others = [other];
        let gets = |gate: &Gate, at: i64| beside(gate, &others).gets(&news, ConsentRule::OptOut, after(at));
        assert!(!gets(&gate, 1));
        let of = |ticked: &[&str]| {
            let ticked = ticked.iter().map(|name| (*name).to_owned()).collect();
            Choice::These { shown: vec![&news], ticked }
        };
        // Left as it is, it is refused here as well.
        let mut left = gate.clone();
        assert_eq!(choose_beside(&mut left, &others, &of(&[]), after(1)), 1);
        assert_eq!(left.wish("news"), Some((Wish::No, after(1))));
        assert_eq!(choose_beside(&mut left, &others, &of(&[]), after(2)), 0);
        assert_eq!(choose_beside(&mut gate, &others, &of(&["news"]), after(1)), 1);
        assert!(gets(&gate, 1));
        assert_eq!(choose_beside(&mut gate, &others, &of(&["news"]), after(2)), 0);
    }

    proptest! {
        /// Whatever was said before, the page shows afterwards what was ticked, and saving it again changes nothing.
        #[test]
        fn what_is_ticked_is_what_is_got(
            said in prop::collection::vec((0..3usize, 0..4u8, 0..1000i64), 0..12),
            rules in prop::array::uniform3(0..3u8),
            ticked in prop::array::uniform3(any::<bool>()),
            nothing in any::<bool>(),
            elsewhere in prop::collection::vec((0..3usize, 0..4u8, 0..1000i64), 0..6),
        ) {
            let rule = |n: u8| [ConsentRule::OptOut, ConsentRule::OptIn, ConsentRule::DoubleOptIn][usize::from(n)];
            let topics: Vec<Topic> =
                ["a", "b", "c"].iter().zip(rules).map(|(name, n)| topic(name, rule(n))).collect();
            let gate_of = |said: Vec<(usize, u8, i64)>| {
                let mut gate = Gate::default();
                for (which, what, at) in said {
                    let about = if what == 3 { EVERY_TOPIC } else { topics[which].name.as_str() };
                    let wish = [Wish::No, Wish::Yes, Wish::Confirmed, Wish::No][usize::from(what)];
                    gate.say(about, wish, after(at));
                }
                gate
            };
            let (mut gate, others) = (gate_of(said), [gate_of(elsewhere)]);
            let names = topics.iter().zip(ticked).filter(|(_, on)| *on && !nothing);
            let names: BTreeSet<String> = names.map(|(topic, _)| topic.name.clone()).collect();
            let choice = match nothing {
                true => Choice::Nothing,
                false => Choice::These { shown: topics.iter().collect(), ticked: names.clone() },
            };
            let changes = choice.changes(&beside(&gate, &others), ConsentRule::OptOut, after(2000));
            let refused = changes.iter().filter(|change| change.wish == Wish::No);
            for Change { topic, .. } in refused {
                prop_assert!(choice.refused().contains(&topic.as_str()), "{}", topic);
            }
            choose_beside(&mut gate, &others, &choice, after(2000));
            let gates = beside(&gate, &others);
            for topic in &topics {
                prop_assert_eq!(gates.gets(topic, ConsentRule::OptOut, after(2000)), names.contains(&topic.name));
            }
            prop_assert_eq!(choose_beside(&mut gate, &others, &choice, after(3000)), 0);
        }
    }
}
