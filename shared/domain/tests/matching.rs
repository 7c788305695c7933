//! How well the fuzzy tier finds one person in records that disagree, on data with truth: precision, recall and F1.
//!
//! The files are public record-linkage data beside the tree; where they are absent, that is said and the made-up people of
//! `matching/people.rs` are what is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests: what is not there stops the test, what is found and what is skipped is said"
)]

#[path = "matching/people.rs"]
mod people;

use sluice_domain::matching::{BlockingKey, Field, Model, Profile, Verdict, duplicates};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A list of records, and for each the person it is of.
struct Data {
    profiles: Vec<Profile>,
    truth: Vec<String>,
    /// Fields whose equality alone would join, as the exact tier does.
    exact: Vec<Option<String>>,
}

const FEBRL: [(&str, Field); 9] = [
    ("given_name", Field::Given),
    ("surname", Field::Family),
    ("street_number", Field::HouseNumber),
    ("address_1", Field::Street),
    ("address_2", Field::AddressLine2),
    ("suburb", Field::City),
    ("postcode", Field::PostalCode),
    ("state", Field::Region),
    ("date_of_birth", Field::BirthDate),
];
const SPLINK: [(&str, Field); 5] = [
    ("first_name", Field::Given),
    ("surname", Field::Family),
    ("dob", Field::BirthDate),
    ("city", Field::City),
    ("email", Field::Email),
];

/// The folder that `SLUICE_DEDUPE_DATA` names, else the one beside the tree.
#[expect(clippy::disallowed_methods, reason = "other files are named by whoever runs it")]
fn folder() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/payloads/dedupe_data");
    let folder = std::env::var_os("SLUICE_DEDUPE_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// Files of the folder whose name starts so.
fn files(start: &str) -> impl Iterator<Item = String> {
    let all = folder().and_then(|folder| std::fs::read_dir(folder).ok());
    if all.is_none() {
        println!("skipped: no {start} files beside the tree");
    }
    let names = all.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(start)).collect();
    names.sort();
    names.into_iter()
}

fn read(name: &str, columns: &[(&str, Field)], truth: impl Fn(&str) -> String) -> Option<Data> {
    let Some(text) = folder().and_then(|folder| std::fs::read_to_string(folder.join(name)).ok()) else {
        println!("skipped: {name} is not beside the tree");
        return None;
    };
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').map(str::trim).collect();
    let mut data = Data { profiles: Vec::new(), truth: Vec::new(), exact: Vec::new() };
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let cells: BTreeMap<&str, &str> =
            header.iter().copied().zip(line.split(',').map(str::trim)).collect();
        let profile = columns.iter().fold(Profile::default(), |profile, (column, field)| {
            profile.with(*field, cells.get(column).copied().unwrap_or_default())
        });
        data.exact.push(profile.get(Field::Email).map(str::to_owned));
        data.profiles.push(profile);
        data.truth.push(truth(cells.get("rec_id").or(cells.get("cluster")).unwrap()));
    }
    Some(data)
}

/// `rec-12-org` and `rec-12-dup-3` are of one person.
fn febrl(id: &str) -> String {
    id.split('-').nth(1).unwrap().to_owned()
}

fn report(name: &str, found: &BTreeSet<(u32, u32)>, truth: &BTreeSet<(u32, u32)>) -> f64 {
    let right = found.intersection(truth).count() as f64;
    let precision = right / found.len().max(1) as f64;
    let recall = right / truth.len().max(1) as f64;
    let f1 = if right > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
    println!("{name}: precision {precision:.4} recall {recall:.4} F1 {f1:.4} ({} true pairs)", truth.len());
    f1
}

fn pairs_of<T: Ord>(groups: impl IntoIterator<Item = (u32, T)>) -> BTreeSet<(u32, u32)> {
    let mut by: BTreeMap<T, Vec<u32>> = BTreeMap::new();
    for (at, of) in groups {
        by.entry(of).or_default().push(at);
    }
    let all = by.values().flat_map(|group| {
        group
            .iter()
            .enumerate()
            .flat_map(move |(i, a)| group[i + 1..].iter().map(move |b| (*a.min(b), *a.max(b))))
    });
    all.collect()
}

/// A whole base at once, as `sluice duplicates` looks through it: F1 of the exact tier and of the fuzzy tier.
fn at_once(name: &str, data: &Data) -> (f64, f64) {
    let truth = pairs_of((0u32..).zip(&data.truth));
    let exact = pairs_of((0u32..).zip(&data.exact).filter_map(|(at, key)| Some((at, key.as_ref()?))));
    let exact = report(&format!("{name}, exact"), &exact, &truth);
    let found = duplicates(&data.profiles, &BTreeSet::new());
    println!("{name}: {} pairs compared", found.compared);
    let members = found.groups.iter().enumerate();
    let members = members.flat_map(|(n, group)| group.members.iter().map(move |at| (*at, n)));
    (exact, report(&format!("{name}, at once"), &pairs_of(members), &truth))
}

/// As leads come, one after the other: each is compared, by the weights that leads are compared by, with those before it that
/// share a blocking key, and joins the first that is certainly the same.
fn as_they_come(name: &str, data: &Data) -> f64 {
    let truth = pairs_of((0u32..).zip(&data.truth));
    let model = Model::standard();
    let mut held: BTreeMap<BlockingKey, Vec<u32>> = BTreeMap::new();
    let mut group: Vec<u32> = Vec::new();
    let mut compared = 0;
    for (at, profile) in (0u32..).zip(&data.profiles) {
        let keys = BlockingKey::of(profile);
        let before: BTreeSet<u32> = keys.iter().filter_map(|key| held.get(key)).flatten().copied().collect();
        compared += before.len();
        let is_same =
            |one: &&u32| model.score(profile, &data.profiles[**one as usize]).verdict() == Verdict::Same;
        // Who shares an address is one person already.
        let key = data.exact[at as usize].as_ref();
        let exact = (0..at).filter(|one| key.is_some() && data.exact[*one as usize].as_ref() == key);
        let same: BTreeSet<u32> =
            before.iter().filter(is_same).copied().chain(exact).map(|one| group[one as usize]).collect();
        let own = same.first().copied().unwrap_or(at);
        group.iter_mut().filter(|one| same.contains(one)).for_each(|one| *one = own);
        group.push(own);
        keys.into_iter().for_each(|key| held.entry(key).or_default().push(at));
    }
    println!("{name}: {compared} comparisons as they come");
    report(&format!("{name}, joined as they come"), &pairs_of((0u32..).zip(group)), &truth)
}

#[test]
fn a_base_that_got_everybody_of_a_second_list_is_cleaned_up() {
    let (Some(mut base), Some(second)) =
        (read("febrl-dataset4a.csv", &FEBRL, febrl), read("febrl-dataset4b.csv", &FEBRL, febrl))
    else {
        return;
    };
    base.profiles.extend(second.profiles);
    base.truth.extend(second.truth);
    base.exact.extend(second.exact);
    // No record of these has an identity, so the exact tier finds nothing.
    assert!(at_once("febrl 4", &base).1 >= 0.99);
    assert!(as_they_come("febrl 4", &base) >= 0.95);
}

#[test]
fn duplicates_of_one_list_are_clustered() {
    for name in files("febrl-dataset").filter(|name| !name.contains("dataset4")) {
        let data = read(&name, &FEBRL, febrl).unwrap();
        assert!(at_once(&name, &data).1 >= 0.97, "{name}");
        assert!(as_they_come(&name, &data) >= 0.9, "{name}");
    }
}

#[test]
fn records_with_many_slips_are_clustered() {
    for name in files("splink-") {
        let data = read(&name, &SPLINK, str::to_owned).unwrap();
        assert!(at_once(&name, &data).1 >= 0.95, "{name}");
        assert!(as_they_come(&name, &data) >= 0.9, "{name}");
    }
}

#[test]
fn made_up_people_are_clustered_families_and_colleagues_stay_apart() {
    for (people, slips, seed, least) in [(400, 8, 1, 0.95), (400, 15, 2, 0.93), (800, 10, 3, 0.95)] {
        let data = people::made_up(people, slips, seed);
        let name = format!("{people} made-up people, {slips} % slips");
        let (exact, fuzzy) = at_once(&name, &data);
        assert!(fuzzy >= least && fuzzy > exact, "{name}");
        assert!(as_they_come(&name, &data) > exact, "{name}");
    }
}
