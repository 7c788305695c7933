//! What others wrote down of somebody: it is looked at with the event that tells of it, or with the next one.

use super::kept::{DAY, Kept, id, names, told};
use crate::advance::{Incoming, Taken, Wake};
use crate::customer::{Customer, Fact, Said};
use crate::id::{CustomerId, LeadId};
use serde_json::{Value, json};

/// A company that greets whoever comes into a segment, and scores where they work.
fn documents() -> Vec<Value> {
    let greets = |name: &str, trigger: Value| {
        json!({
            "kind": "journey", "name": name, "trigger": trigger, "entry": {"again": "after_exit"},
            "steps": [{"tag": name}]
        })
    };
    vec![
        json!({"kind": "segment", "name": "german", "when": "customer.country == 'DE'"}),
        json!({"kind": "segment", "name": "acme", "when": "customer.company == 'Acme'"}),
        json!({"kind": "segment", "name": "unknown", "when": "!has(customer.country)"}),
        json!({"kind": "scoring", "name": "default", "fit": {
            "rules": [{"name": "acme", "when": "customer.company == 'Acme'", "points": 30}],
            "grades": [{"name": "A", "from": 30}]
        }}),
        greets("hallo", json!({"segment": "german"})),
        greets("birthday", json!({"date": {"fact": "birth_date", "yearly": true}})),
    ]
}

/// With segments that are as old as the policies: who has no state may have been in them before.
fn kept<'a>(names: impl IntoIterator<Item = &'a str>) -> Kept {
    let mut kept = Kept::new(&documents(), names);
    kept.policies.live.segments_since(|_| 1);
    kept
}

fn lead(name: &str) -> LeadId {
    LeadId::derived(&[name])
}

/// What route-lead writes down of a lead, and then tells.
fn captures(kept: &mut Kept, who: &str, name: &str, facts: &[(&str, &str)]) -> Taken {
    say(kept.customers.get_mut(&id(who)).unwrap(), name, facts);
    kept.happens(who, "lead_captured", json!({"lead": lead(name), "form": "contact"}))
}

fn say(record: &mut Customer, name: &str, facts: &[(&str, &str)]) {
    record.leads += 1;
    record.said.push(Said { lead: Some(lead(name)), source: "contact".to_owned() });
    let said = u8::try_from(record.said.len() - 1).ok();
    for (fact, value) in facts {
        let value = Fact { value: (*value).to_owned().into(), at: record.created, said, tie: None };
        record.facts.insert((*fact).to_owned(), value);
    }
}

fn is_in(kept: &Kept, who: &str) -> Vec<String> {
    kept.states[&id(who)].live.segments().map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn somebody_whom_a_lead_makes_known_comes_into_everything_by_it() {
    let mut kept = kept([]);
    let made = CustomerId::derived(&[lead("first").as_str()]);
    let record = Customer { version: 1, ..Customer::new(made.clone(), kept.now) };
    kept.customers.insert(made.clone(), record);
    say(kept.customers.get_mut(&made).unwrap(), "first", &[("country", "DE"), ("company", "Acme")]);
    let taken = kept.happens_to(&made, "lead_captured", json!({"lead": lead("first"), "form": "contact"}));
    let segments: Vec<&Value> =
        told(&taken).into_iter().filter_map(|own| own.properties.get("segment")).collect();
    assert_eq!(segments, ["acme", "german"]);
    let names = names(&taken);
    assert!(names.contains(&"score_changed") && names.contains(&"journey_entered"), "{names:?}");
}

#[test]
fn what_was_so_before_the_lead_is_no_news_and_what_it_brought_is() {
    let mut kept = kept(["old"]);
    say(kept.customers.get_mut(&id("old")).unwrap(), "earlier", &[("company", "Acme")]);
    let taken = captures(&mut kept, "old", "later", &[("country", "DE")]);
    let names = names(&taken);
    assert_eq!(names.iter().filter(|name| **name == "segment_entered").count(), 1, "{names:?}");
    assert!(names.contains(&"journey_entered"), "{names:?}");
    assert_eq!(is_in(&kept, "old"), ["acme", "german"]);
}

#[test]
fn a_later_lead_is_looked_at_for_what_it_brought() {
    let mut kept = kept(["ada"]);
    captures(&mut kept, "ada", "first", &[("first_name", "Ada")]);
    kept.later(1);
    let nothing = captures(&mut kept, "ada", "same", &[]);
    assert_eq!(names(&nothing), Vec::<&str>::new());
    kept.later(1);
    let moved = captures(&mut kept, "ada", "second", &[("country", "DE")]);
    let names = names(&moved);
    assert!(names.contains(&"segment_entered") && names.contains(&"segment_left"), "{names:?}");
    kept.later(1);
    // It is the 14th of April.
    let dated = captures(&mut kept, "ada", "third", &[("birth_date", "1950-04-20")]);
    let looks: Vec<i64> = dated.wakes.iter().map(|wake| wake.at.since(kept.now) / DAY).collect();
    assert_eq!(looks, [6], "she is looked at on that day");
}

#[test]
fn records_that_somebody_else_joined_are_looked_at_together_and_once() {
    let mut kept = kept(["ada", "half"]);
    captures(&mut kept, "ada", "first", &[("first_name", "Ada")]);
    say(kept.customers.get_mut(&id("half")).unwrap(), "other", &[("country", "DE")]);
    kept.later(1);
    assert!(kept.happens("ada", "page_liked", json!({})).is_idle(), "nobody asks for it");
    kept.join("half", "ada");
    let names_of = |taken: &Taken| names(taken).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let joined = names_of(&kept.happens("ada", "page_liked", json!({})));
    assert!(joined.contains(&"segment_entered".to_owned()), "{joined:?}");
    assert!(joined.contains(&"journey_entered".to_owned()), "{joined:?}");
    assert!(kept.happens("half", "page_liked", json!({})).is_idle(), "it was looked at");
}

#[test]
fn who_was_joined_or_taken_apart_by_a_person_is_looked_at_though_nothing_happens_to_them() {
    let mut kept = kept(["ada", "half"]);
    captures(&mut kept, "ada", "first", &[("first_name", "Ada")]);
    captures(&mut kept, "half", "other", &[("country", "DE")]);
    assert_eq!((is_in(&kept, "ada"), is_in(&kept, "half")), (vec!["unknown".into()], vec!["german".into()]));
    let looks = |kept: &mut Kept, who: &str| {
        let wake = Wake::joined(&kept.customers[&id(who)], kept.now);
        let taken = kept.take(Incoming::Due(wake));
        let again = kept.take(Incoming::Due(Wake::joined(&kept.customers[&id(who)], kept.now)));
        assert!(again.is_idle() && names(&again).is_empty(), "what comes again finds nothing new");
        names(&taken).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    kept.later(1);
    kept.join("half", "ada");
    let joined = looks(&mut kept, "ada");
    assert!(joined.contains(&"segment_entered".to_owned()), "{joined:?}");
    assert!(joined.contains(&"segment_left".to_owned()), "{joined:?}");
    assert_eq!(is_in(&kept, "ada"), ["german"]);

    // What happens to both meanwhile stands with the live record alone.
    captures(&mut kept, "half", "more", &[("company", "Acme")]);
    assert_eq!((is_in(&kept, "ada").len(), is_in(&kept, "half").len()), (2, 1));
    kept.later(1);
    kept.part("half", "ada");
    let half = looks(&mut kept, "half");
    assert!(half.contains(&"segment_entered".to_owned()), "{half:?}");
    assert_eq!(is_in(&kept, "half"), ["acme", "german"]);
    let ada = looks(&mut kept, "ada");
    assert!(ada.contains(&"segment_left".to_owned()), "{ada:?}");
    assert_eq!(is_in(&kept, "ada"), ["unknown"]);
}

#[test]
fn a_look_that_a_clock_ahead_of_ours_asked_for_is_made_at_once() {
    let mut kept = kept(["ada", "half"]);
    captures(&mut kept, "ada", "one", &[]);
    captures(&mut kept, "half", "other", &[("country", "DE")]);
    kept.join("half", "ada");
    let wake = Wake::joined(&kept.customers[&id("ada")], kept.now.plus_millis(5_000));
    let taken = kept.take(Incoming::Due(wake.clone()));
    assert_eq!(is_in(&kept, "ada"), ["german"]);
    assert!(taken.wakes.iter().all(|put| put.token != wake.token), "{:?}", taken.wakes);
}

#[test]
fn each_time_that_records_are_joined_is_a_look_of_its_own() {
    let kept = kept(["ada"]);
    let mut record = kept.customers[&id("ada")].clone();
    let first = Wake::joined(&record, kept.now);
    record.version += 1;
    let second = Wake::joined(&record, kept.now);
    assert_eq!(first.id(), Wake::joined(&kept.customers[&id("ada")], kept.now).id());
    assert!(first.id() != second.id() && first.event_id() != second.event_id());
    assert!(first.is_joined() && !first.is_pass() && !Wake::pass(record.id, 1).is_joined());
}
