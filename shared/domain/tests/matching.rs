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

use sluice_domain::matching::{
    BlockingKey, Candidates, Field, Model, Profile, Verdict, clusters, one_to_one, score_all,
};
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

/// Clusters within one list: F1 of the exact tier and of the fuzzy tier.
fn within(name: &str, data: &Data) -> (f64, f64) {
    let truth = pairs_of((0u32..).zip(&data.truth));
    let exact = pairs_of((0u32..).zip(&data.exact).filter_map(|(at, key)| Some((at, key.as_ref()?))));
    let exact = report(&format!("{name}, exact"), &exact, &truth);
    let candidates = Candidates::within(&data.profiles);
    let model = Model::estimate(&data.profiles, &data.profiles, &candidates);
    let scored = score_all(&model, &data.profiles, &data.profiles, &candidates);
    let blocked: BTreeSet<(u32, u32)> = candidates.pairs.iter().copied().collect();
    let reached = truth.iter().filter(|pair| blocked.contains(pair)).count();
    println!("{name}: {} candidates hold {reached} of {} true pairs", blocked.len(), truth.len());
    let likely = scored.iter().filter(|pair| pair.bits > 0.0).map(|pair| (pair.left, pair.right)).collect();
    report(&format!("{name}, pairs"), &likely, &truth);
    let groups = clusters(&model, &data.profiles, &scored);
    let members =
        groups.into_iter().enumerate().flat_map(|(n, group)| group.into_iter().map(move |at| (at, n)));
    (exact, report(&format!("{name}, clustered"), &pairs_of(members), &truth))
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

/// Links between two lists.
fn between(name: &str, left: &Data, right: &Data) -> f64 {
    let whose: BTreeMap<&str, Vec<u32>> =
        (0u32..).zip(&right.truth).fold(BTreeMap::new(), |mut all, (at, id)| {
            all.entry(id.as_str()).or_default().push(at);
            all
        });
    let truth: BTreeSet<(u32, u32)> = (0u32..)
        .zip(&left.truth)
        .flat_map(|(a, id)| whose.get(id.as_str()).into_iter().flatten().map(move |b| (a, *b)))
        .collect();
    let candidates = Candidates::between(&left.profiles, &right.profiles);
    let model = Model::estimate(&left.profiles, &right.profiles, &candidates);
    let scored = score_all(&model, &left.profiles, &right.profiles, &candidates);
    let blocked: BTreeSet<(u32, u32)> = candidates.pairs.iter().copied().collect();
    let reached = truth.iter().filter(|pair| blocked.contains(pair)).count();
    println!("{name}: {} candidates hold {reached} of {} true pairs", blocked.len(), truth.len());
    let likely = scored.iter().filter(|pair| pair.bits > 0.0).map(|pair| (pair.left, pair.right)).collect();
    report(&format!("{name}, pairs"), &likely, &truth);
    report(&format!("{name}, one to one"), &one_to_one(&scored).into_iter().collect(), &truth)
}

#[test]
fn two_clean_lists_are_linked() {
    let (Some(left), Some(right)) =
        (read("febrl-dataset4a.csv", &FEBRL, febrl), read("febrl-dataset4b.csv", &FEBRL, febrl))
    else {
        return;
    };
    // No record of these has an identity, so the exact tier finds nothing.
    assert!(between("febrl 4", &left, &right) >= 0.99);
}

#[test]
fn duplicates_of_one_list_are_clustered() {
    for name in files("febrl-dataset").filter(|name| !name.contains("dataset4")) {
        let data = read(&name, &FEBRL, febrl).unwrap();
        assert!(within(&name, &data).1 >= 0.97, "{name}");
        assert!(as_they_come(&name, &data) >= 0.9, "{name}");
    }
}

#[test]
fn records_with_many_slips_are_clustered() {
    for name in files("splink-") {
        let data = read(&name, &SPLINK, str::to_owned).unwrap();
        assert!(within(&name, &data).1 >= 0.95, "{name}");
        assert!(as_they_come(&name, &data) >= 0.9, "{name}");
    }
}

#[test]
fn made_up_people_are_clustered_families_and_colleagues_stay_apart() {
    for (people, slips, seed, least) in [(400, 8, 1, 0.95), (400, 15, 2, 0.93), (800, 10, 3, 0.95)] {
        let data = people::made_up(people, slips, seed);
        let name = format!("{people} made-up people, {slips} % slips");
        let (exact, fuzzy) = within(&name, &data);
        assert!(fuzzy >= least && fuzzy > exact, "{name}");
        assert!(as_they_come(&name, &data) > exact, "{name}");
    }
}
