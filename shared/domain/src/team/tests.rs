//! The bounds of the module's documentation, held against random lives of a team, and shown to notice what is wrong.

mod life;

use super::*;
use life::{Bug, live, team};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

fn lead(number: u32) -> LeadId {
    LeadId::derived(&[&number.to_string()])
}

fn member(rep: &str, weight: u32, capacity: Option<u32>) -> Member {
    Member {
        rep: rep.to_owned(),
        weight,
        capacity,
        available: true,
        off_duty: None,
        anyway: false,
        load: None,
    }
}

fn ask(state: &mut TeamState, members: &[Member], number: u32) -> Assignment {
    grant(state, members, &lead(number), Timestamp(0), &|_| None)
}

/// Who gets each of the next leads, as one string of names.
fn hand_out(state: &mut TeamState, members: &[Member], numbers: std::ops::Range<u32>) -> String {
    numbers
        .map(|number| match ask(state, members, number) {
            Assignment::Granted { rep, .. } => rep,
            Assignment::Nobody { .. } => "-".to_owned(),
        })
        .collect()
}

#[test]
fn leads_are_dealt_by_weight() {
    let members = [member("a", 3, None), member("b", 1, None), member("c", 2, None)];
    assert_eq!(hand_out(&mut TeamState::default(), &members, 0..12), "abcacabcaaca");
}

#[test]
fn a_full_member_is_passed_over_with_the_reason_until_a_lead_closes() {
    let members = [member("a", 1, Some(1)), member("b", 1, Some(2))];
    let mut state = TeamState::default();
    assert_eq!(hand_out(&mut state, &members, 0..4), "abb-");
    let Assignment::Nobody { seen } = ask(&mut state, &members, 3) else { panic!("all are full") };
    assert_eq!(seen.members[1].passed_over, Some(PassedOver::Full { open: 2, capacity: 2 }));
    close(&mut state, "b");
    assert_eq!(hand_out(&mut state, &members, 3..5), "b-");
}

#[test]
fn who_is_off_duty_is_passed_over_with_the_time_they_are_back_and_returns_level() {
    let mut members = [member("a", 1, None), member("b", 1, None)];
    let mut state = TeamState::default();
    let off_duty = OffDuty { why: Why::OffHours, back: Some(Timestamp(5)) };
    members[0].off_duty = Some(off_duty);
    assert_eq!(hand_out(&mut state, &members, 0..6), "bbbbbb");
    let seen = peek(&state, &members, &|_| None);
    assert_eq!(seen.members[0].passed_over, Some(PassedOver::OffDuty(off_duty)));
    assert_eq!(seen.first_back(), Some(Timestamp(5)));
    members[0].off_duty = None;
    assert!(
        ["ababab", "bababa"].contains(&hand_out(&mut state, &members, 6..12).as_str()),
        "nothing is caught up"
    );
    members.iter_mut().for_each(|member| member.off_duty = Some(off_duty));
    assert_eq!(hand_out(&mut state, &members, 12..14), "--");
    members[1].anyway = true;
    assert_eq!(hand_out(&mut state, &members, 14..16), "bb");
}

#[test]
fn what_a_rep_holds_elsewhere_counts_for_their_own_capacity() {
    let mut members = [member("a", 1, None), member("b", 1, None)];
    members[0].load = Some(Load { elsewhere: 2, capacity: 4 });
    let mut state = TeamState::default();
    assert_eq!(hand_out(&mut state, &members, 0..6), "ababbb");
    let seen = peek(&state, &members, &|_| None);
    assert_eq!(seen.members[0].passed_over, Some(PassedOver::Loaded { open: 4, capacity: 4 }));
    assert!(take_sticky(&mut state, &members[0], &lead(9), Timestamp(0), false).is_err());
}

#[test]
fn a_lead_that_was_none_is_made_up_for() {
    let members = [member("a", 1, None), member("b", 2, None)];
    let mut state = TeamState::default();
    assert_eq!(hand_out(&mut state, &members, 0..6), "abbabb");
    close(&mut state, "a");
    credit(&mut state, &members[0].rep, members[0].weight);
    assert_eq!(state.members["a"].open, 1);
    assert_eq!(hand_out(&mut state, &members, 6..13), "abababb", "one more than two of six");
}

#[test]
fn a_lead_that_was_none_is_made_up_for_once_its_member_is_back() {
    let mut members = [member("a", 1, None), member("b", 1, None)];
    for away_before in [false, true] {
        let mut state = TeamState::default();
        assert_eq!(hand_out(&mut state, &members, 0..4), "abab");
        if away_before {
            members[0].available = false;
            assert_eq!(hand_out(&mut state, &members, 4..5), "b");
        }
        // Two of them: whoever returns is first between equals anyway.
        (0..2).for_each(|_| credit(&mut state, "a", 1));
        members[0].available = false;
        assert_eq!(hand_out(&mut state, &members, 5..8), "bbb");
        members[0].available = true;
        let dealt = hand_out(&mut state, &members, 8..14);
        assert_eq!(
            dealt.matches('a').count(),
            4,
            "one more than its half, and not all that it missed: {dealt}"
        );
        assert_eq!((state.members["a"].owed, state.members["a"].credit), (0, 0));
        // However many were none, whoever returns is owed two of them.
        (0..9).for_each(|_| credit(&mut state, "a", 1));
        assert_eq!(state.members["a"].owed, 2 * SCALE);
    }
}

#[test]
fn every_reason_comes_back_from_a_receipt() {
    let off = |why, back| OffDuty { why, back };
    let reasons = [
        None,
        Some(PassedOver::Away),
        Some(PassedOver::OffDuty(off(Why::Leave, None))),
        Some(PassedOver::OffDuty(off(Why::Holiday, Some(Timestamp(1_795_260_000_000))))),
        Some(PassedOver::Full { open: 3, capacity: 3 }),
        Some(PassedOver::Loaded { open: 7, capacity: 5 }),
        Some(PassedOver::Excluded),
        Some(PassedOver::Language),
        Some(PassedOver::Skill),
    ];
    for passed_over in reasons {
        for capacity in [None, Some(3)] {
            for off_duty in [None, Some(off(Why::OffHours, Some(Timestamp(9))))] {
                if matches!(passed_over, Some(PassedOver::Full { .. })) && capacity.is_none() {
                    continue;
                }
                let off_duty = off_duty.filter(|_| passed_over.is_none());
                let seen = Seen {
                    rep: "a".to_owned(),
                    pass: 5,
                    open: 3,
                    turn: 1,
                    weight: 2,
                    capacity,
                    passed_over,
                    off_duty,
                };
                let text = serde_json::to_string(&seen).unwrap();
                assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen, "{text}");
            }
        }
    }
}

#[test]
fn a_redelivered_lead_finds_its_grant_whatever_has_changed() {
    let mut members = [member("a", 1, None), member("b", 1, None)];
    let mut state = TeamState::default();
    let first = ask(&mut state, &members, 0);
    members[0].available = false;
    let before = state.clone();
    assert_eq!(ask(&mut state, &members, 0), first);
    assert_eq!(state, before);
}

#[test]
fn a_lead_given_back_is_granted_to_the_same_member_again() {
    let members = [member("a", 2, None), member("b", 1, None), member("c", 5, None)];
    for n in 0..16 {
        let mut state = TeamState::default();
        hand_out(&mut state, &members, 0..n);
        let undisturbed = hand_out(&mut state.clone(), &members, n..n + 16);
        assert!(ask(&mut state, &members, 99) != Assignment::Nobody { seen: Snapshot::default() });
        assert!(give_back(&mut state, &lead(99)).is_some());
        assert_eq!(hand_out(&mut state, &members, n..n + 16), undisturbed, "after {n} leads");
    }
}

#[test]
fn leads_given_back_are_made_up_for_without_touching_the_order_of_the_others() {
    let members = [member("a", 1, None), member("b", 1, None), member("c", 1, None)];
    let mut state = TeamState::default();
    assert_eq!(hand_out(&mut state, &members, 0..9), "abcabcabc");
    for number in [0, 3, 6] {
        assert_eq!(give_back(&mut state, &lead(number)).as_deref(), Some("a"));
    }
    assert_eq!(state.members["a"].open, 0);
    assert_eq!(hand_out(&mut state, &members, 9..18), "abcaaabca");
}

#[test]
fn whoever_returns_takes_a_place_in_the_row_and_catches_nothing_up() {
    let mut members = [member("a", 1, None), member("b", 1, None), member("c", 1, None)];
    let mut state = TeamState::default();
    members[2].available = false;
    assert_eq!(hand_out(&mut state, &members, 0..8), "abababab");
    members[2].available = true;
    assert_eq!(hand_out(&mut state, &members, 8..14), "cabcab");
}

#[test]
fn whoever_returns_is_level_with_the_least_of_those_who_are_here() {
    let mut members = [member("a", 1, None), member("b", 1, None), member("c", 10, None)];
    let mut state = TeamState::default();
    members[2].available = false;
    assert_eq!(hand_out(&mut state, &members, 0..1), "a");
    (members[1].available, members[2].available) = (false, true);
    assert_eq!(hand_out(&mut state, &members, 1..3), "ca", "b, who was due before a, is not here");
}

#[test]
fn whoever_comes_and_goes_neither_starves_nor_collects_more_than_a_share() {
    for (every, least) in [(2, 20), (3, 20), (7, 10)] {
        let mut members = [member("a", 1, None), member("b", 1, None), member("z", 1, None)];
        let mut state = TeamState::default();
        let mut got = 0;
        for n in 0..90 {
            members[2].available = n % every == 0;
            let chosen = ask(&mut state, &members, n);
            got += u32::from(matches!(chosen, Assignment::Granted { rep, .. } if rep == "z"));
        }
        assert!((least..=30).contains(&got), "{got} of 90 leads, here for one in {every}");
    }
}

#[test]
fn somebody_excluded_for_one_lead_is_first_for_the_next() {
    let members = [member("a", 1, None), member("b", 1, None)];
    let mut state = TeamState::default();
    let not_a = |rep: &str| (rep == "a").then_some(PassedOver::Excluded);
    let first = grant(&mut state, &members, &lead(0), Timestamp(0), &not_a);
    assert!(matches!(first, Assignment::Granted { rep, .. } if rep == "b"));
    assert_eq!(hand_out(&mut state, &members, 1..4), "aba");
}

#[test]
fn a_sticky_lead_counts_as_open_but_not_as_a_share() {
    let members = [member("a", 1, Some(2)), member("b", 1, None)];
    let mut state = TeamState::default();
    for number in 10..12 {
        assert_eq!(take_sticky(&mut state, &members[0], &lead(number), Timestamp(0), false), Ok(()));
    }
    let refused = take_sticky(&mut state, &members[0], &lead(12), Timestamp(0), false);
    assert_eq!(refused, Err(PassedOver::Full { open: 2, capacity: 2 }));
    assert_eq!(take_sticky(&mut state, &members[0], &lead(12), Timestamp(0), true), Ok(()));
    assert_eq!(state.members["a"].open, 3);
    assert_eq!(state.members["a"].pass, 0);
    assert_eq!(hand_out(&mut state, &members, 0..2), "bb");
    take_sticky(&mut state, &members[0], &lead(0), Timestamp(0), true).unwrap();
    assert_eq!((state.members["a"].open, state.members["b"].open), (4, 1), "b's grant was given back");
}

#[test]
fn who_left_the_team_is_kept_while_they_hold_leads() {
    let members = [member("a", 1, None), member("b", 1, None)];
    let mut state = TeamState::default();
    hand_out(&mut state, &members, 0..2);
    settle(&mut state, &lead(0));
    hand_out(&mut state, &members[1..], 2..3);
    assert_eq!(state.members["a"].open, 1);
    close(&mut state, "a");
    hand_out(&mut state, &members[1..], 3..4);
    assert!(!state.members.contains_key("a"));
}

#[test]
fn a_decision_is_made_again_from_what_it_saw() {
    let members = [member("a", 3, Some(2)), member("b", 7, None), member("c", 1, Some(40))];
    let mut state = TeamState::default();
    for n in 0..20 {
        let Assignment::Granted { rep, seen } = ask(&mut state, &members, n) else {
            panic!("b has no limit")
        };
        let json = serde_json::to_string(&seen).unwrap();
        let read: Snapshot = serde_json::from_str(&json).unwrap();
        assert_eq!(read, seen);
        assert_eq!(choose(&read), seen.chosen);
        assert_eq!(read.chosen_rep(), Some(rep));
        assert!(json.len() <= 16 + 27 * members.len(), "{json}");
    }
}

#[test]
fn the_stored_form_is_short_and_reads_back() {
    let members = [member("a", 1, Some(9)), member("b", 4, None)];
    let mut state = TeamState::default();
    hand_out(&mut state, &members, 0..3);
    settle(&mut state, &lead(0));
    settle(&mut state, &lead(1));
    give_back(&mut state, &lead(2));
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(
        json,
        r#"{"m":{"a":{"p":116396280,"o":1,"t":1},"b":{"p":0,"o":1,"t":0,"c":58198140}},"g":{}}"#
    );
    assert_eq!(serde_json::from_str::<TeamState>(&json).unwrap(), state);
    assert_eq!(serde_json::from_str::<TeamState>("{}").unwrap(), TeamState::default());
    assert!(serde_json::from_str::<Seen>(r#"["a",0,1,2,1,3]"#).is_err(), "full without a capacity");
}

#[test]
fn a_decision_is_told_in_words() {
    let mut members = [member("ana", 2, Some(3)), member("bo", 1, None), member("cy", 1, None)];
    let mut state = TeamState::default();
    hand_out(&mut state, &members, 0..3);
    members[2].available = false;
    let Assignment::Granted { seen, .. } = ask(&mut state, &members, 3) else { panic!("two are here") };
    assert_eq!(
        seen.words(),
        [
            "ana: whose turn it is: due in 0.00, weight 2, 1 of 3 open",
            "bo: later: due in 0.50, weight 1, 1 open",
            "cy: passed over, away; 1 open",
        ]
    );
}

proptest! {
    #![proptest_config(Config { cases: 400, ..Config::default() })]

    #[test]
    fn the_bounds_hold_however_a_team_lives((members, steps) in team()) {
        if let Err(violation) = live(members, &steps, None) {
            prop_assert!(false, "{violation}");
        }
    }
}

/// What the checker says about a scheduler with `bug` in it, for the first life that shows it.
fn noticed(bug: Bug) -> String {
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 400, failure_persistence: None, max_shrink_iters: 50, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    match runner
        .run(&team(), |(members, steps)| live(members, &steps, Some(bug)).map_err(TestCaseError::fail))
    {
        Err(TestError::Fail(reason, _)) => reason.message().to_owned(),
        other => format!("nothing: {other:?}"),
    }
}

#[test]
fn a_scheduler_that_ignores_weights_is_noticed() {
    assert!(noticed(Bug::IgnoresWeights).contains("share"), "{}", noticed(Bug::IgnoresWeights));
}

#[test]
fn a_scheduler_that_lets_whoever_returns_catch_up_is_noticed() {
    let found = noticed(Bug::NoRaiseOnReturn);
    assert!(found.contains("share") || found.contains("flooded"), "{found}");
}

#[test]
fn a_scheduler_that_forgets_its_grants_is_noticed() {
    assert!(noticed(Bug::GrantsTwice).contains("twice"), "{}", noticed(Bug::GrantsTwice));
}

#[test]
fn a_scheduler_that_ignores_capacity_is_noticed() {
    assert!(noticed(Bug::IgnoresCapacity).contains("capacity"), "{}", noticed(Bug::IgnoresCapacity));
}

#[test]
fn a_scheduler_that_refunds_nothing_is_noticed() {
    assert!(noticed(Bug::RefundsNothing).contains("share"), "{}", noticed(Bug::RefundsNothing));
}

#[test]
fn a_scheduler_that_keeps_a_returned_lead_open_is_noticed() {
    assert!(noticed(Bug::KeepsRefundsOpen).contains("open"), "{}", noticed(Bug::KeepsRefundsOpen));
}
