//! What a gate lets pass, whatever it was told in whatever order.

use super::*;
use crate::calendar::{Spans, Zone};
use crate::message::Otherwise;
use crate::policy::{ConsentRule, Period, Topic};
use proptest::prelude::*;

const DAY: i64 = 86_400_000;
/// 2026-11-26T11:20:00Z, a Thursday.
const NOW: Timestamp = Timestamp(1_795_692_000_000);

fn ago(millis: i64) -> Timestamp {
    NOW.plus_millis(-millis)
}

struct Case {
    topic: Option<Topic>,
    consent: ConsentRule,
    asks_for_consent: bool,
    caps: Vec<Cap>,
    overall: Vec<Cap>,
    quiet: Option<Spans>,
    zone: Zone,
    at_cap: Otherwise,
    in_quiet_hours: Otherwise,
    not_after: Option<Timestamp>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            topic: Some(Topic::plain("product")),
            consent: ConsentRule::OptOut,
            asks_for_consent: false,
            caps: Vec::new(),
            overall: Vec::new(),
            quiet: None,
            zone: Zone::utc(),
            at_cap: Otherwise::Defer,
            in_quiet_hours: Otherwise::Defer,
            not_after: None,
        }
    }
}

impl Case {
    fn decide(&self, gates: &Gates<'_>) -> Verdict {
        self.decide_at(gates, NOW)
    }

    fn decide_at(&self, gates: &Gates<'_>, now: Timestamp) -> Verdict {
        let ask = Ask {
            topic: self.topic.as_ref(),
            consent: self.consent,
            asks_for_consent: self.asks_for_consent,
            caps: &self.caps,
            overall: &self.overall,
            quiet: self.quiet.as_ref(),
            zone: &self.zone,
            at_cap: self.at_cap,
            in_quiet_hours: self.in_quiet_hours,
            not_after: self.not_after,
        };
        decide(&ask, gates, now)
    }

    fn with_consent(consent: ConsentRule) -> Self {
        Self { consent, ..Self::default() }
    }
}

fn own(gate: Gate) -> Gates<'static> {
    Gates { own: gate, ..Gates::default() }
}

fn said(wishes: &[(&str, Wish, i64)]) -> Gate {
    let mut gate = Gate::default();
    for (topic, wish, days) in wishes {
        gate.say(topic, *wish, ago(days * DAY));
    }
    gate
}

fn service() -> Case {
    Case { topic: Some(Topic::plain(Topic::SERVICE)), ..Case::default() }
}

#[test]
fn about_what_nobody_describes_any_more_nothing_goes_out_whatever_was_said() {
    for (consent, asks_for_consent) in
        [(ConsentRule::OptOut, false), (ConsentRule::OptOut, true), (ConsentRule::DoubleOptIn, false)]
    {
        let case = Case { topic: None, consent, asks_for_consent, ..Case::default() };
        let mut gate = Gate::default();
        gate.say("product", Wish::Confirmed, ago(DAY));
        assert_eq!(case.decide(&own(gate)), Verdict::Skip(Reason::NoTopic));
    }
}

#[test]
fn what_a_person_wants_is_the_last_thing_they_said_of_the_topic_or_of_all() {
    let rules = [ConsentRule::OptOut, ConsentRule::OptIn, ConsentRule::DoubleOptIn].map(Case::with_consent);
    let none = Verdict::Skip(Reason::NoConsent);
    let open = Verdict::Skip(Reason::NotConfirmed);
    let no = |days: i64| Verdict::Skip(Reason::OptedOut(ago(days * DAY)));
    for (gate, expected) in [
        (said(&[]), [Verdict::Send, none.clone(), none]),
        (said(&[("product", Wish::Yes, 2)]), [Verdict::Send, Verdict::Send, open.clone()]),
        (
            said(&[("product", Wish::Yes, 2), ("product", Wish::Confirmed, 1)]),
            [Verdict::Send, Verdict::Send, Verdict::Send],
        ),
        (said(&[("product", Wish::Yes, 2), ("product", Wish::No, 1)]), [no(1), no(1), no(1)]),
        (said(&[("*", Wish::No, 1), ("product", Wish::Yes, 2)]), [no(1), no(1), no(1)]),
        (said(&[("*", Wish::No, 2), ("product", Wish::Yes, 1)]), [Verdict::Send, Verdict::Send, open]),
        (
            said(&[("product", Wish::Confirmed, 5), ("product", Wish::Yes, 1)]),
            [Verdict::Send, Verdict::Send, Verdict::Send],
        ),
    ] {
        for (case, expected) in rules.iter().zip(expected) {
            assert_eq!(case.decide(&own(gate.clone())), expected, "{:?} {gate:?}", case.consent);
        }
        assert_eq!(service().decide(&own(gate)), Verdict::Send);
    }
    let news = said(&[("news", Wish::No, 1)]);
    assert_eq!(Case::default().decide(&own(news)), Verdict::Send);
}

#[test]
fn nothing_goes_to_a_suppressed_address_until_somebody_lifts_it() {
    for why in [SuppressedBy::HardBounce, SuppressedBy::Complaint, SuppressedBy::Person] {
        let mut gate = said(&[("product", Wish::Confirmed, 9)]);
        gate.suppress(why, ago(DAY));
        let refused = Verdict::Skip(Reason::Suppressed(why));
        assert_eq!(Case::default().decide(&own(gate.clone())), refused);
        assert_eq!(service().decide(&own(gate.clone())), refused);
        gate.lift(NOW);
        assert_eq!(Case::default().decide(&own(gate.clone())), Verdict::Send);
        gate.suppress(why, NOW.plus_millis(1));
        assert_eq!(Case::default().decide(&own(gate)), refused);
    }
}

#[test]
fn temporary_failures_suppress_once_there_are_too_many_within_the_time() {
    let limit = Cap { at_most: 3, within: Period::days(30) };
    let bounced = |days: &[i64]| {
        let mut gate = Gate::default();
        for days in days {
            gate.soft_bounce(ago(days * DAY), &days.to_string(), limit);
        }
        gate.suppression().map(|(why, _)| why)
    };
    assert_eq!(bounced(&[2, 1]), None);
    assert_eq!(bounced(&[50, 45, 1]), None);
    assert_eq!(bounced(&[3, 2, 1]), Some(SuppressedBy::SoftBounces));
    assert_eq!(bounced(&[2, 3, 1]), Some(SuppressedBy::SoftBounces), "in whatever order");
    let mut gate = Gate::default();
    gate.soft_bounce(ago(3 * DAY), "a", limit);
    gate.soft_bounce(ago(2 * DAY), "b", limit);
    gate.delivered(ago(DAY));
    gate.soft_bounce(NOW, "c", limit);
    assert_eq!(gate.suppression(), None);
}

#[test]
fn a_failure_told_again_is_the_same_one_for_ever() {
    let limit = Cap { at_most: 3, within: Period::days(30) };
    let tell = |gate: &mut Gate, days: i64| gate.soft_bounce(ago(days * DAY), &days.to_string(), limit);
    let mut gate = Gate::default();
    for days in [9, 9, 8, 9, 8, 8] {
        tell(&mut gate, days);
    }
    assert_eq!((gate.suppression(), gate.soft_bounces.len()), (None, 2));
    // After a delivery, after an old one has fallen out of the time, and after they have suppressed the address.
    gate.delivered(ago(5 * DAY));
    tell(&mut gate, 9);
    tell(&mut gate, 8);
    assert_eq!(gate.soft_bounces, []);
    for days in [60, 50, 4, 60, 50, 3] {
        tell(&mut gate, days);
    }
    assert_eq!((gate.suppression(), gate.soft_bounces.len()), (None, 2));
    tell(&mut gate, 2);
    assert_eq!(gate.suppression(), Some((SuppressedBy::SoftBounces, ago(2 * DAY))));
    let suppressed = gate.clone();
    for days in [2, 3, 4, 50] {
        tell(&mut gate, days);
        assert_eq!(gate, suppressed);
    }
    // Once lifted, what was before counts no more, and it takes as many again.
    gate.lift(NOW);
    for days in [4, 3, 2, 1] {
        tell(&mut gate, days);
    }
    assert_eq!((gate.suppression(), gate.soft_bounces.len()), (None, 0));
}

#[test]
fn two_records_of_one_address_count_a_failure_once() {
    let limit = Cap { at_most: 3, within: Period::days(30) };
    let (mut one, mut other) = (Gate::default(), Gate::default());
    one.soft_bounce(ago(DAY), "a", limit);
    other.soft_bounce(ago(DAY), "a", limit);
    other.soft_bounce(ago(2 * DAY), "b", limit);
    let mut both = one.clone().together(&other);
    assert_eq!(both.soft_bounces.len(), 2);
    assert_eq!(both, other.clone().together(&one));
    both.soft_bounce(NOW, "c", limit);
    assert!(both.suppression().is_some());
    one.delivered(NOW);
    assert_eq!(one.together(&other).soft_bounces, []);
}

#[test]
fn two_messages_claimed_in_one_instant_count_twice_and_under_two_keys_no_more() {
    let mut gate = Gate::default();
    gate.claimed(NOW);
    gate.claimed(NOW);
    for both in [
        Gate::default().together(&gate),
        gate.clone().together(&Gate::default()),
        gate.clone().together(&gate),
    ] {
        assert_eq!(both.recent, [NOW, NOW]);
    }
}

#[test]
fn after_an_erasure_only_a_person_who_comes_back_and_confirms_it_is_written_to() {
    let mut gate = said(&[("product", Wish::Confirmed, 30), ("news", Wish::No, 20)]);
    gate.claimed(ago(20 * DAY));
    gate.erase(ago(10 * DAY));
    let erased = Verdict::Skip(Reason::Erased);
    assert_eq!(Case::default().decide(&own(gate.clone())), erased);
    assert_eq!(service().decide(&own(gate.clone())), erased);
    assert!(gate.recent.is_empty());
    assert_eq!(gate.wish("news").map(|(wish, _)| wish), Some(Wish::No));
    let question = Case { asks_for_consent: true, ..Case::default() };
    assert_eq!(question.decide(&own(gate.clone())), erased);
    gate.say("product", Wish::Yes, ago(DAY));
    assert_eq!(Case::default().decide(&own(gate.clone())), erased);
    assert_eq!(question.decide(&own(gate.clone())), Verdict::Send);
    assert_eq!(service().decide(&own(gate.clone())), erased);
    gate.say("product", Wish::Confirmed, ago(1));
    assert_eq!(Case::default().decide(&own(gate.clone())), Verdict::Send);
    // Who has shown that the address is theirs gets what they ask for, and of the rest what they confirmed.
    assert_eq!(service().decide(&own(gate.clone())), Verdict::Send);
    let events = Case { topic: Some(Topic::plain("events")), ..Case::default() };
    assert_eq!(events.decide(&own(gate.clone())), erased);
    gate.say(EVERY_TOPIC, Wish::No, NOW);
    assert_eq!(service().decide(&own(gate.clone())), Verdict::Send);
    gate.erase(NOW);
    assert_eq!(service().decide(&own(gate)), erased);
}

#[test]
fn a_file_that_says_yes_never_overrules_a_person_who_said_no_nor_an_erasure() {
    let opt_in = Case::with_consent(ConsentRule::OptIn);
    let mut gate = Gate::default();
    gate.import("product", ago(DAY));
    assert_eq!(opt_in.decide(&own(gate.clone())), Verdict::Send);
    let mut refused = gate.clone();
    refused.say("product", Wish::No, ago(30 * DAY));
    assert_eq!(opt_in.decide(&own(refused.clone())), Verdict::Skip(Reason::OptedOut(ago(30 * DAY))));
    refused.say("product", Wish::Yes, ago(20 * DAY));
    assert_eq!(opt_in.decide(&own(refused)), Verdict::Send, "the person's own yes stands");
    let mut everything = gate.clone();
    everything.say(EVERY_TOPIC, Wish::No, ago(30 * DAY));
    assert_eq!(opt_in.decide(&own(everything)), Verdict::Skip(Reason::OptedOut(ago(30 * DAY))));
    gate.erase(ago(2 * DAY));
    gate.import("product", ago(1));
    for case in [&opt_in, &Case { asks_for_consent: true, ..Case::default() }] {
        assert_eq!(case.decide(&own(gate.clone())), Verdict::Skip(Reason::Erased));
    }
}

#[test]
fn of_files_that_say_yes_the_newest_counts_that_was_not_taken_back() {
    let wish = |lead: &str, at: Timestamp| {
        Proof::wish("product", Wish::Yes, How::Import, at, &["lead", lead, "product", "email"])
    };
    let (spring, summer) = (wish("1", ago(3 * DAY)), wish("2", ago(2 * DAY)));
    let own_word = Proof::wish("product", Wish::Yes, How::Form, ago(DAY), &["form"]);
    let back = |wish: &Proof, at: Timestamp| wish.taken_back(at).unwrap();
    let newest = |proofs: &[&Proof]| {
        let proofs: Vec<Proof> = proofs.iter().copied().cloned().collect();
        Proof::newest_import(&proofs, "product")
    };
    assert_eq!(newest(&[&spring, &summer, &own_word]), Some(summer.at));
    assert_eq!(newest(&[&spring, &summer, &back(&summer, ago(5))]), Some(spring.at));
    assert_eq!(newest(&[&spring, &summer, &back(&spring, ago(5))]), Some(summer.at));
    let all_back = [&spring, &summer, &back(&spring, ago(5)), &back(&summer, ago(4))];
    assert_eq!(newest(&all_back), None);
    // The same row of the same file, brought in again since.
    let again = wish("2", ago(1));
    assert_eq!(newest(&[&all_back[..], &[&again]].concat()), Some(again.at));
    assert_eq!(Proof::newest_import(&[summer], "offers"), None, "of another topic");
    assert_eq!(own_word.taken_back(NOW), None, "nobody but the person takes back what they said");
    let mut gate = Gate::default();
    gate.import("product", ago(2 * DAY));
    gate.leave_of_imports("product", Some(ago(3 * DAY)));
    assert_eq!(gate.wish("product"), Some((Wish::Yes, ago(3 * DAY))));
    gate.leave_of_imports("product", None);
    assert_eq!(gate, Gate::default());
}

#[test]
fn an_erasure_that_is_done_again_leaves_what_was_said_since() {
    let mut gate = Gate::default();
    gate.erase(ago(2 * DAY));
    gate.say("product", Wish::Confirmed, ago(DAY));
    gate.claimed(ago(1));
    let before = gate.clone();
    gate.erase(ago(2 * DAY));
    assert_eq!(gate, before);
}

#[test]
fn what_is_told_late_of_an_erased_person_is_kept_only_if_it_keeps_messages_back_and_without_anything_personal()
 {
    let mut gate = Gate::default();
    gate.erase(ago(DAY));
    let proof = |wish, how, at| {
        let mut proof = Proof::wish("product", wish, how, at, &["lead"]);
        proof.ip = Some("203.0.113.7".to_owned().into());
        proof.user_agent = Some("Firefox".to_owned().into());
        proof
    };
    assert_eq!(proof(Wish::Yes, How::Form, ago(DAY)).beside(&gate), None);
    assert_eq!(proof(Wish::Yes, How::Import, NOW).beside(&gate), None);
    let again = proof(Wish::Yes, How::Form, NOW);
    assert_eq!(again.beside(&gate), Some(again));
    for at in [ago(2 * DAY), NOW] {
        let kept = proof(Wish::No, How::OneClick, at).beside(&gate).unwrap();
        assert_eq!((kept.at, &kept.ip, &kept.user_agent), (at, &None, &None));
        assert!(matches!(kept.said, Said::Wish { wish: Wish::No, .. }));
    }
}

#[test]
fn the_question_whether_a_person_wants_messages_is_put_at_once_and_not_to_one_who_said_no() {
    let cap = Cap { at_most: 1, within: Period::days(1) };
    let question = Case {
        asks_for_consent: true,
        consent: ConsentRule::DoubleOptIn,
        caps: vec![cap],
        quiet: Some(Spans::parse("00:00-24:00").unwrap()),
        ..Case::default()
    };
    let mut gate = said(&[("product", Wish::Yes, 1)]);
    gate.claimed(ago(1));
    assert_eq!(question.decide(&own(gate.clone())), Verdict::Send);
    let mut confirmed = gate.clone();
    confirmed.say("product", Wish::Confirmed, NOW);
    assert_eq!(question.decide(&own(confirmed)), Verdict::Skip(Reason::Confirmed));
    gate.say("product", Wish::No, NOW);
    assert_eq!(question.decide(&own(gate)), Verdict::Skip(Reason::OptedOut(NOW)));
}

#[test]
fn nobody_can_fill_a_mailbox_with_questions() {
    let question = Case { asks_for_consent: true, consent: ConsentRule::DoubleOptIn, ..Case::default() };
    let mut gate = said(&[("product", Wish::Yes, 1)]);
    for hours in [10, 5, 1] {
        assert_eq!(question.decide(&own(gate.clone())), Verdict::Send);
        let at = ago(hours * 3_600_000);
        gate.claimed(at);
        gate.asks(at);
    }
    let most = Reason::Cap(Cap { at_most: 3, within: Period::days(1) });
    assert_eq!(question.decide(&own(gate.clone())), Verdict::Skip(most));
    assert_eq!(question.decide_at(&own(gate.clone()), ago(-14 * 3_600_000)), Verdict::Send);
    gate.given_back(ago(3_600_000));
    assert_eq!(question.decide(&own(gate)), Verdict::Send);
}

#[test]
fn what_a_person_refused_under_another_address_holds_unless_this_one_said_yes_later() {
    let other = said(&[("product", Wish::No, 5)]);
    let gates = |gate: Gate| Gates { own: gate, same_channel: vec![&other], other_channels: Vec::new() };
    let no = Verdict::Skip(Reason::OptedOut(ago(5 * DAY)));
    assert_eq!(Case::default().decide(&gates(Gate::default())), no);
    assert_eq!(Case::default().decide(&gates(said(&[("product", Wish::Yes, 6)]))), no);
    assert_eq!(Case::default().decide(&gates(said(&[("product", Wish::Yes, 4)]))), Verdict::Send);
    // A file's yes is nobody's own word, however late it is brought in.
    let mut filed = Gate::default();
    filed.import("product", ago(1));
    assert_eq!((filed.wish("product"), filed.word("product")), (Some((Wish::Yes, ago(1))), None));
    assert_eq!(Case::default().decide(&gates(filed.clone())), no);
    filed.say("product", Wish::Yes, ago(4 * DAY));
    assert_eq!(Case::default().decide(&gates(filed)), Verdict::Send);
    let mut spam = Gate::default();
    spam.suppress(SuppressedBy::Complaint, ago(DAY));
    let gates =
        Gates { own: said(&[("product", Wish::Yes, 0)]), same_channel: vec![&spam], other_channels: vec![] };
    assert_eq!(Case::default().decide(&gates), Verdict::Skip(Reason::Suppressed(SuppressedBy::Complaint)));
}

#[test]
fn a_cap_rolls_and_the_author_chooses_what_happens_at_it() {
    let cap = Cap { at_most: 2, within: Period::days(7) };
    let mut gate = Gate::default();
    gate.claimed(ago(3 * DAY));
    let mut case = Case { caps: vec![cap], ..Case::default() };
    assert_eq!(case.decide(&own(gate.clone())), Verdict::Send);
    gate.claimed(ago(5 * DAY));
    let why = Reason::Cap(cap);
    let room = NOW.plus_millis(2 * DAY);
    assert_eq!(case.decide(&own(gate.clone())), Verdict::Defer(room, why.clone()));
    assert_eq!(case.decide_at(&own(gate.clone()), room), Verdict::Send);
    assert_eq!(service().decide(&own(gate.clone())), Verdict::Send);
    case.not_after = Some(room.plus_millis(-1));
    assert_eq!(case.decide(&own(gate.clone())), Verdict::Skip(Reason::TooLate));
    for (choice, expected) in [
        (Otherwise::Skip, Verdict::Skip(why.clone())),
        (Otherwise::Replace, Verdict::Replace(why.clone())),
        (Otherwise::Exit, Verdict::Exit(why)),
    ] {
        case.at_cap = choice;
        assert_eq!(case.decide(&own(gate.clone())), expected);
    }
}

#[test]
fn a_cap_over_all_counts_every_channel_and_every_address_of_the_person() {
    let cap = Cap { at_most: 3, within: Period::days(1) };
    let sent = |hours: i64| {
        let mut gate = Gate::default();
        gate.claimed(ago(hours * 3_600_000));
        gate
    };
    let (second, sms) = (sent(2), sent(3));
    let gates = Gates { own: sent(1), same_channel: vec![&second], other_channels: vec![&sms] };
    let case = Case { overall: vec![cap], ..Case::default() };
    let room = NOW.plus_millis(21 * 3_600_000);
    assert_eq!(case.decide(&gates), Verdict::Defer(room, Reason::Cap(cap)));
    let own_cap = Case { caps: vec![cap], ..Case::default() };
    assert_eq!(own_cap.decide(&gates), Verdict::Send);
}

#[test]
fn quiet_hours_hold_in_both_hours_when_the_clocks_go_back_within_them() {
    let quiet = Some(Spans::parse("22:00-02:30").unwrap());
    let at = |text: &str| Timestamp::parse(text).unwrap();
    // Three o'clock becomes two on the 25th of October, at one by UTC.
    for (now, until) in [
        ("2026-10-25T00:10:00Z", Some("2026-10-25T00:30:00Z")),
        ("2026-10-25T00:40:00Z", None),
        ("2026-10-25T01:10:00Z", Some("2026-10-25T01:30:00Z")),
        ("2026-10-25T01:30:00Z", None),
        // Two o'clock becomes three on the 29th of March, at one by UTC.
        ("2026-03-29T00:10:00Z", Some("2026-03-29T01:30:00Z")),
    ] {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let case = Case { quiet: quiet.clone(), zone, ..Case::default() };
        let expected = until.map_or(Verdict::Send, |until| Verdict::Defer(at(until), Reason::QuietHours));
        assert_eq!(case.decide_at(&Gates::default(), at(now)), expected, "{now}");
    }
}

#[test]
fn quiet_hours_are_read_where_the_customer_lives_and_over_midnight_and_changes_of_the_clock() {
    let quiet = Some(Spans::parse("21:00-08:00").unwrap());
    let at = |text: &str| Timestamp::parse(text).unwrap();
    for (zone, now, until) in [
        ("Asia/Shanghai", "2026-11-26T14:30:00Z", Some("2026-11-27T00:00:00Z")),
        ("Asia/Shanghai", "2026-11-26T20:00:00Z", Some("2026-11-27T00:00:00Z")),
        ("America/New_York", "2026-11-26T14:30:00Z", None),
        // The clocks go back on the 1st of November: the night is an hour longer.
        ("America/New_York", "2026-11-01T02:00:00Z", Some("2026-11-01T13:00:00Z")),
        ("UTC", "2026-11-26T08:00:00Z", None),
        ("UTC", "2026-11-26T07:59:59Z", Some("2026-11-26T08:00:00Z")),
        ("UTC", "2026-11-26T21:00:00Z", Some("2026-11-27T08:00:00Z")),
    ] {
        let case = Case { quiet: quiet.clone(), zone: Zone::named(zone).unwrap(), ..Case::default() };
        let expected = until.map_or(Verdict::Send, |until| Verdict::Defer(at(until), Reason::QuietHours));
        assert_eq!(case.decide_at(&Gates::default(), at(now)), expected, "{zone} {now}");
        assert_eq!(service().decide_at(&Gates::default(), at(now)), Verdict::Send);
    }
    let whole = Case { quiet: Some(Spans::parse("18:00-24:00, 00:00-09:00").unwrap()), ..Case::default() };
    let night = at("2026-11-26T19:00:00Z");
    let morning = Verdict::Defer(at("2026-11-27T09:00:00Z"), Reason::QuietHours);
    assert_eq!(whole.decide_at(&Gates::default(), night), morning);
}

#[test]
fn the_zone_is_the_customers_else_the_countrys_else_the_settings() {
    let country = crate::identity::Country::parse("CN");
    let berlin = Zone::named("Europe/Berlin").unwrap();
    let name = |own, country, settings| zone_of(own, country, settings).name().to_owned();
    assert_eq!(name(Some("Asia/Tokyo"), country, Some(&berlin)), "Asia/Tokyo");
    assert_eq!(name(Some("Mars/Olympus"), country, Some(&berlin)), "Asia/Shanghai");
    assert_eq!(name(None, None, Some(&berlin)), "Europe/Berlin");
    assert_eq!(name(None, None, None), "UTC");
}

#[derive(Clone, Debug)]
enum Heard {
    Say(&'static str, Wish),
    Import(&'static str),
    Erase,
    Suppress(SuppressedBy),
    Lift,
    Claim,
}

fn heard() -> impl Strategy<Value = Heard> {
    let topic = prop_oneof![Just("product"), Just("news"), Just(EVERY_TOPIC)];
    let wish = prop_oneof![Just(Wish::No), Just(Wish::Yes), Just(Wish::Confirmed)];
    prop_oneof![
        4 => (topic.clone(), wish).prop_map(|(topic, wish)| Heard::Say(topic, wish)),
        1 => topic.prop_map(Heard::Import),
        1 => prop_oneof![Just(SuppressedBy::HardBounce), Just(SuppressedBy::Complaint)].prop_map(Heard::Suppress),
        1 => prop_oneof![Just(Heard::Lift), Just(Heard::Erase)],
        2 => Just(Heard::Claim),
    ]
}

fn hear(gate: &mut Gate, at: i64, what: &Heard) {
    let at = Timestamp(at);
    match what {
        Heard::Say(topic, wish) => gate.say(topic, *wish, at),
        Heard::Import(topic) => gate.import(topic, at),
        Heard::Erase => gate.erase(at),
        Heard::Suppress(why) => gate.suppress(*why, at),
        Heard::Lift => gate.lift(at),
        Heard::Claim => gate.claimed(at),
    }
}

proptest! {
    /// I13, and a rotation of the hash key: whatever order things are heard in, twice or under which of two keys, they
    /// come to the same.
    #[test]
    fn a_gate_says_the_same_in_whatever_order_it_was_told(
        told in prop::collection::vec((0i64..20, heard()), 0..12),
        order in any::<prop::sample::Index>(),
    ) {
        let mut straight = Gate::default();
        for (at, what) in &told {
            hear(&mut straight, *at, what);
        }
        let mut shuffled = told.clone();
        if !shuffled.is_empty() {
            let place = order.index(shuffled.len());
            shuffled.rotate_left(place);
            shuffled.reverse();
        }
        let mut turned = Gate::default();
        for (at, what) in &shuffled {
            hear(&mut turned, *at, what);
        }
        prop_assert_eq!(straight.suppression(), turned.suppression());
        for topic in ["product", "news"] {
            prop_assert_eq!(straight.wish(topic), turned.wish(topic));
        }
        if !told.iter().any(|(_, what)| matches!(what, Heard::Erase)) {
            prop_assert_eq!(&straight, &turned);
        }
        let half = told.len() / 2;
        let part = |told: &[(i64, Heard)]| {
            let mut gate = Gate::default();
            told.iter().for_each(|(at, what)| hear(&mut gate, *at, what));
            gate
        };
        let joined = part(&told[..half]).together(&part(&told[half..]));
        for topic in ["product", "news"] {
            prop_assert_eq!(joined.wish(topic), straight.wish(topic));
        }
        prop_assert_eq!(joined.suppression(), straight.suppression());
    }

    /// A deferred message may go out at the time it is given, if nothing else happens until then.
    #[test]
    fn a_message_goes_out_when_its_time_has_come(
        sent in prop::collection::vec(0i64..10 * DAY, 0..20),
        at_most in 1u32..6,
        days in 1i64..8,
        hour in 0u8..24,
    ) {
        let mut gate = Gate::default();
        sent.iter().for_each(|before| gate.claimed(ago(*before)));
        let quiet = format!("{hour:02}:30-{:02}:15", (hour + 9) % 24);
        let case = Case {
            caps: vec![Cap { at_most, within: Period::days(days) }],
            quiet: Some(Spans::parse(&quiet).unwrap()),
            zone: Zone::named("Europe/Berlin").unwrap(),
            ..Case::default()
        };
        let gates = own(gate);
        if let Verdict::Defer(until, _) = case.decide(&gates) {
            prop_assert!(until > NOW);
            prop_assert_eq!(case.decide_at(&gates, until), Verdict::Send);
        }
    }
}
