//! Single descriptions compared by the standard weights.

use super::*;

fn profile(fields: &[(&str, &str)]) -> Profile {
    let fields: Vec<(&str, &str)> = fields.to_vec();
    Profile::read(|name| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| *value))
}

fn verdict(one: &[(&str, &str)], other: &[(&str, &str)]) -> Verdict {
    let (one, other) = (profile(one), profile(other));
    let model = Model::standard();
    let score = model.score(&one, &other);
    let back = model.score(&other, &one);
    assert!((score.bits - back.bits).abs() < 1e-9, "order matters: {score:?} {back:?}");
    assert_eq!(BlockingKey::of(&one).len().min(1), BlockingKey::of(&other).len().min(1));
    score.verdict()
}

const MIA: [(&str, &str); 6] = [
    ("first_name", "Katharina"),
    ("last_name", "Ackermann"),
    ("company", "Blauwal Software GmbH"),
    ("city", "München"),
    ("postal_code", "80331"),
    ("phone", "+4917012345678"),
];

fn mia_with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let kept = MIA.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().copied().filter(|(_, value)| !value.is_empty())).collect()
}

#[test]
fn slips_short_forms_and_exchanged_names_are_the_same_person() {
    for changes in [
        &[("last_name", "Akermann"), ("company", "Blauwal Software"), ("phone", "")][..],
        &[("first_name", "Ackermann"), ("last_name", "Katharina"), ("phone", "")],
        &[("phone", "+4917012345687"), ("postal_code", "80313")],
    ] {
        assert_eq!(verdict(&MIA, &mia_with(changes)), Verdict::Same, "{changes:?}");
    }
}

#[test]
fn what_could_be_either_is_for_a_person_to_look_at() {
    for changes in [
        // An initial, and nothing but the company's data beside it.
        &[("first_name", "K."), ("phone", "")][..],
        &[("first_name", "Katarina"), ("phone", "")],
        // The same name in the same city, and no more.
        &[("company", ""), ("postal_code", ""), ("phone", "")],
    ] {
        assert_eq!(verdict(&MIA, &mia_with(changes)), Verdict::Review, "{changes:?}");
    }
}

#[test]
fn relatives_colleagues_and_namesakes_are_different_people() {
    for changes in [
        &[("first_name", "Tobias")][..],
        &[("first_name", "Tobias"), ("last_name", "Dorner")],
        &[("company", "Acme"), ("city", "Hamburg"), ("postal_code", "20095"), ("phone", "")],
    ] {
        assert_eq!(verdict(&MIA, &mia_with(changes)), Verdict::Different, "{changes:?}");
    }
}

#[test]
fn a_household_that_agrees_in_all_it_shares_is_not_yet_a_person() {
    let home =
        [("last_name", "Ackermann"), ("street", "Lindenstr. 5"), ("city", "Graz"), ("postal_code", "80100")];
    let score = Model::standard().score(&profile(&home), &profile(&home));
    assert!(score.probability() < 0.5, "{score:?}");
    assert_eq!(score.evidence[0].words().split(' ').next(), Some("same"));
}
