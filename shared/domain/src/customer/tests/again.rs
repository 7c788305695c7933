//! Recognition made again from what a receipt says of it, and receipts that say something else.

use super::*;

/// What a receipt says of a recognition.
pub(super) fn said<'a>(who: &'a Recognition, known: &Known) -> Recognised<'a> {
    Recognised {
        found: &who.found,
        merges: &who.merges,
        suggestions: &who.suggestions,
        new_customer: !known.customers.contains_key(&who.customer),
        home: &who.home,
    }
}

fn stranger() -> CustomerId {
    CustomerId::derived(&["stranger"])
}

/// One thing changed in what a receipt says.
type Change = (&'static str, fn(&mut Recognition));

/// What was recognised is made again, after a trip through JSON too; with any of these changes it is not.
fn is_found_out(town: &mut Town, identities: &[Identity], changes: &[Change]) -> Recognition {
    let lead = town.lead();
    let Read { known, who, .. } = town.read(&lead, identities);
    let is_of = |who: &Recognition| said(who, &known).is_of(&lead, identities, false);
    let mut stored = who.clone();
    stored.found = serde_json::from_str(&serde_json::to_string(&who.found).unwrap()).unwrap();
    assert!(is_of(&stored), "{who:?}");
    for (what, change) in changes {
        let mut changed = who.clone();
        change(&mut changed);
        assert_ne!(changed, who, "{what} changes nothing");
        assert!(!is_of(&changed), "{what}: {changed:?}");
    }
    town.take(&lead, identities)
}

#[test]
fn of_two_who_are_one_it_is_found_out_who_was_joined_and_who_stays() {
    let mut town = Town::default();
    town.post(&[email("a")]);
    town.post(&[phone("1")]);
    let who = is_found_out(
        &mut town,
        &[email("a"), phone("1")],
        &[
            ("the wrong one stays", |who| {
                let merge = &mut who.merges[0];
                std::mem::swap(&mut merge.from, &mut merge.into);
            }),
            ("somebody else gives way", |who| who.merges[0].from = stranger()),
            ("somebody else stays", |who| who.merges[0].into = stranger()),
            ("nobody gives way", |who| who.merges.clear()),
            ("gave way twice", |who| who.merges.push(who.merges[0].clone())),
            ("the best leads elsewhere", |who| who.found[0].customer = stranger()),
            ("the other leads elsewhere", |who| who.found[1].customer = stranger()),
            ("the other did not count", |who| {
                who.found[1].passed_over = Some(SuggestionReason::HoldsAnother)
            }),
            ("nothing was found", |who| who.found.clear()),
            ("found by another kind", |who| who.found[0].kind = IdentityKind::External),
            ("taken in by the other", |who| who.home = who.merges[0].from.clone()),
            ("the one that gives way had the owner", |who| {
                let from = who.merges[0].from.clone();
                let one = who.found.iter_mut().find(|one| one.customer == from).unwrap();
                one.stood.as_mut().unwrap().owned = true;
            }),
            ("nobody looked who stays", |who| who.found.iter_mut().for_each(|one| one.stood = None)),
            ("not joined all the same", |who| {
                let (customer, reason) = (who.merges[0].from.clone(), SuggestionReason::KeptApart);
                let kind = Some(IdentityKind::Phone);
                who.suggestions.push(Suggestion { customer, kind, reason, likeness: None });
            }),
        ],
    );
    // Who comes by the address of the one that gave way is taken in by its record.
    let half = is_found_out(
        &mut town,
        &[phone("1")],
        &[
            ("by the live record", |who| who.home = who.found[0].customer.clone()),
            ("by no record that gave way", |who| who.found[0].half = None),
            ("of somebody else", |who| who.found[0].half = Some(stranger())),
        ],
    );
    assert_eq!((&half.customer, &half.home), (&who.merges[0].into, &who.merges[0].from));
    let mut known = town.known(&[]);
    assert!(known.gave_way(&half.home, &half.customer) && !known.gave_way(&half.home, &stranger()));
    let record = known.customers.get_mut(&half.home).unwrap();
    record.into = None;
    assert!(!known.gave_way(&half.home, &half.customer));
    known.customers.get_mut(&half.home).unwrap().apart.insert(half.customer.clone(), None);
    assert!(known.gave_way(&half.home, &half.customer), "a person has told them apart since");
}

#[test]
fn of_somebody_new_or_known_it_is_found_out_whom_it_names() {
    let mut town = Town::default();
    let elsewhere: Change = ("taken in elsewhere", |who| who.home = stranger());
    is_found_out(&mut town, &[email("a")], &[elsewhere]);
    is_found_out(&mut town, &[], &[elsewhere]);
    let known: [Change; 3] = [
        elsewhere,
        ("somebody else was found", |who| who.found[0].customer = stranger()),
        ("joined with somebody", |who| {
            who.merges.push(Merge { from: stranger(), into: who.customer.clone(), likeness: None });
        }),
    ];
    is_found_out(&mut town, &[email("a")], &known);
}

#[test]
fn it_is_found_out_why_two_were_not_joined() {
    let mut town = Town::default();
    town.post(&[email("a"), phone("1")]);
    town.post(&[email("b"), phone("2")]);
    let changes: [Change; 4] = [
        ("nobody was suggested", |who| who.suggestions.clear()),
        ("for another reason", |who| who.suggestions[0].reason = SuggestionReason::Weak),
        ("somebody else was suggested", |who| who.suggestions[0].customer = stranger()),
        ("joined all the same", |who| {
            let (from, into) = (who.suggestions[0].customer.clone(), who.customer.clone());
            who.suggestions.clear();
            who.merges.push(Merge { from, into, likeness: None });
        }),
    ];
    // By what the lead itself says, by what a person said, and by a number that joins nobody.
    is_found_out(&mut town, &[email("c"), phone("1")], &changes[..3]);
    is_found_out(&mut town, &[email("a"), phone("2")], &changes[..3]);
    let one = town.post(&[email("d")]).customer;
    let other = town.post(&[phone("4")]).customer;
    town.customers.get_mut(&one).unwrap().apart.insert(other, None);
    let kept: [Change; 2] = [changes[0], changes[2]];
    is_found_out(&mut town, &[email("d"), phone("4")], &kept);
    is_found_out(&mut town, &[email("d"), phone("4")], &[changes[3]]);
    let wechat = identity(IdentityKind::WechatId, "mia_berg");
    town.post(std::slice::from_ref(&wechat));
    let weak: [Change; 2] = [changes[0], changes[2]];
    is_found_out(&mut town, &[email("a"), wechat], &weak);
}

#[test]
fn joins_of_several_decisions_are_of_one_person() {
    let id = |name: &str| CustomerId::derived(&[name]);
    let merge = |from: &str, into: &str| Merge { from: id(from), into: id(into), likeness: None };
    let home = id("a");
    let is_one = |merges: &[Merge]| {
        let (found, suggestions) = (&[][..], &[][..]);
        Recognised { found, merges, suggestions, new_customer: false, home: &home }.is_one_person()
    };
    assert!(is_one(&[]) && is_one(&[merge("b", "a"), merge("a", "c")]));
    assert!(is_one(&[merge("b", "a"), merge("c", "a")]));
    assert!(!is_one(&[merge("b", "a"), merge("d", "c")]), "two people");
    assert!(!is_one(&[merge("b", "a"), merge("b", "c")]), "one gives way twice");
    assert!(!is_one(&[merge("b", "a"), merge("c", "b")]), "to one that gave way");
    assert!(!is_one(&[merge("a", "a")]));
}
