//! A data set's own weights, without labels.
//!
//! u comes from pairs taken at random, nearly all of which are two people; that of exact agreement from the frequencies
//! of the values. m comes from expectation and maximisation over pairs that agree exactly on one field, for all fields
//! but that one and its relatives; a field's m is the mean over the fields it was estimated beside, weighted by the
//! matches expected there. What matches there are among the random pairs is taken out of u again, and all is done once
//! more.

use super::block::Candidates;
use super::compare::{LEVELS, MAX_LEVELS, Pattern, compare};
use super::model::{BY_FREQUENCY, Model, Table, odds};
use super::profile::{FIELDS, Field, Profile};
use std::collections::{BTreeMap, HashMap};

/// Fields to hold fast while the others are estimated, and what must not be estimated beside them: parts of one address
/// agree together also between strangers.
const SESSIONS: [(Field, &[Field]); 7] = [
    (Field::BirthDate, &[]),
    (Field::Email, &[Field::Company]),
    (Field::Phone, &[Field::Company]),
    (Field::Family, &[Field::NameOrder]),
    (Field::Given, &[Field::NameOrder]),
    (Field::PostalCode, &[Field::City, Field::Region, Field::Street]),
    (Field::City, &[Field::PostalCode, Field::Region, Field::Street]),
];

const SAMPLE: usize = 40_000;
const ROUNDS: usize = 3;
const STEPS: usize = 25;
/// Matches expected beside a field from which its estimate counts.
const FEWEST: f64 = 8.0;
/// What the standard m counts for, in matches.
const STANDARD: f64 = 4.0;

impl Model {
    /// Estimates a model from pairs of a list. What the data say nothing about stays as in [`Model::standard`].
    pub(super) fn estimate(list: &[Profile], candidates: &Candidates) -> Self {
        let profile = |at: u32| list.get(usize::try_from(at).ok()?);
        let patterns = candidates.pairs.iter().filter_map(|(a, b)| Some(compare(profile(*a)?, profile(*b)?)));
        let mut counts: BTreeMap<Pattern, f64> = BTreeMap::new();
        for pattern in patterns {
            *counts.entry(pattern).or_default() += 1.0;
        }
        let random = random_levels(list);
        let mut model = Self::standard();
        model.u = random.levels;
        let mut expected = 0.0;
        for _ in 0..ROUNDS {
            let sessions: Vec<Session> = SESSIONS
                .iter()
                .filter_map(|(held, beside)| session(*held, beside, &counts, &model))
                .filter(|session| session.matches >= FEWEST)
                .collect();
            if sessions.is_empty() {
                break;
            }
            model.m = combine(&sessions);
            expected = total_matches(&sessions, &model.m, &random.present);
            let share = (expected / candidates.total).clamp(1e-9, 0.5);
            model.u = without_matches(&random.levels, &model.m, share);
            model.prior = odds(share);
        }
        if expected > 0.0 {
            model.household = odds(household(&counts, &model));
            model.frequencies = frequencies(list);
        }
        model
    }
}

/// What one field held fast says about the others.
struct Session {
    held: Field,
    /// Expected matches among the pairs that agree on it.
    matches: f64,
    /// m of the fields estimated beside it, and for how many matches each had something to say.
    m: Table,
    weight: [f64; FIELDS],
}

fn session(held: Field, beside: &[Field], counts: &BTreeMap<Pattern, f64>, model: &Model) -> Option<Session> {
    let free: Vec<Field> =
        Field::ALL.into_iter().filter(|field| *field != held && !beside.contains(field)).collect();
    let inside: Vec<(Vec<(usize, usize)>, f64)> = counts
        .iter()
        .filter(|(pattern, _)| pattern.level(held) == Some(0) && !pattern.is_swapped())
        .map(|(pattern, count)| {
            let levels = free.iter().filter_map(|field| Some((field.at(), pattern.level(*field)?)));
            (levels.collect(), *count)
        })
        .collect();
    let pairs: f64 = inside.iter().map(|(_, count)| count).sum();
    if pairs < FEWEST {
        return None;
    }
    let standard = Model::standard().m;
    let mut m = model.m;
    let mut share: f64 = 0.2;
    let mut weight = [0.0; FIELDS];
    for _ in 0..STEPS {
        let mut sums = [[0.0; MAX_LEVELS]; FIELDS];
        let mut matches = 0.0;
        weight = [0.0; FIELDS];
        for (levels, count) in &inside {
            let bits: f64 = levels
                .iter()
                .map(|(field, level)| (m[*field][*level] / model.u[*field][*level]).log2())
                .sum();
            let expected = count / (1.0 + (-odds(share) - bits).exp2());
            matches += expected;
            for (field, level) in levels {
                sums[*field][*level] += expected;
                weight[*field] += expected;
            }
        }
        for field in &free {
            let at = field.at();
            for level in 0..LEVELS[at] {
                m[at][level] = (sums[at][level] + STANDARD * standard[at][level]) / (weight[at] + STANDARD);
            }
        }
        share = (matches / pairs).clamp(1e-6, 0.999);
    }
    Some(Session { held, matches: share * pairs, m, weight })
}

/// How often records that agree in what different people share are one person, by what else they say: by expectation
/// and maximisation over the pairs that nothing else would keep apart.
fn household(counts: &BTreeMap<Pattern, f64>, model: &Model) -> f64 {
    let nobody = Profile::default();
    let alike: Vec<(f64, f64)> = counts
        .iter()
        .filter_map(|(pattern, count)| {
            let (shared, own) = model.parts(pattern, &nobody);
            (model.prior + shared > 0.0).then_some((own, *count))
        })
        .collect();
    let standard = 1.0 / (1.0 + (-model.household).exp2());
    let pairs: f64 = alike.iter().map(|(_, count)| count).sum();
    (0..STEPS).fold(standard, |share, _| {
        let expected: f64 =
            alike.iter().map(|(own, count)| count / (1.0 + (-odds(share) - own).exp2())).sum();
        ((expected + STANDARD * standard) / (pairs + STANDARD)).clamp(0.01, 0.9999)
    })
}

/// The mean over sessions, weighted by the matches each saw.
fn combine(sessions: &[Session]) -> Table {
    let mut m = Model::standard().m;
    for field in Field::ALL {
        let at = field.at();
        let total: f64 = sessions.iter().map(|session| session.weight[at]).sum();
        if total < FEWEST {
            continue;
        }
        for (level, mean) in m[at].iter_mut().enumerate().take(LEVELS[at]) {
            let sum: f64 = sessions.iter().map(|session| session.weight[at] * session.m[at][level]).sum();
            *mean = (sum / total).max(1e-6);
        }
    }
    m
}

/// How many pairs are one person: those that agree on a field, over the share of one person's pairs that do. The middle
/// of what the fields say.
fn total_matches(sessions: &[Session], m: &Table, present: &[f64; FIELDS]) -> f64 {
    let mut all: Vec<f64> = sessions
        .iter()
        .map(|session| {
            let at = session.held.at();
            session.matches / (m[at][0] * present[at]).max(0.05)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn without_matches(random: &Table, m: &Table, share: f64) -> Table {
    let mut u = *random;
    for field in Field::ALL {
        let at = field.at();
        for level in 0..LEVELS[at] {
            let rest = (random[at][level] - share * m[at][level]) / (1.0 - share);
            u[at][level] = rest.max(random[at][level] / 20.0).max(1e-7);
        }
    }
    u
}

struct Random {
    levels: Table,
    /// Share of pairs in which both say something.
    present: [f64; FIELDS],
}

fn random_levels(list: &[Profile]) -> Random {
    let mut sums = [[0.0; MAX_LEVELS]; FIELDS];
    let mut present = [0.0; FIELDS];
    // The sequence of Knuth's MMIX: fixed, so that one data set always gives one model.
    let mut state: u64 = 0x5eed;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % (below.max(1) as u64)).unwrap_or(0)
    };
    let sample = SAMPLE.min(list.len() * list.len());
    for _ in 0..sample {
        let (a, b) = (next(list.len()), next(list.len()));
        if a == b {
            continue;
        }
        let (Some(one), Some(other)) = (list.get(a), list.get(b)) else { continue };
        let pattern = compare(one, other);
        for field in Field::ALL {
            if let Some(level) = pattern.level(field) {
                sums[field.at()][level] += 1.0;
                present[field.at()] += 1.0;
            }
        }
    }
    let standard = Model::standard().u;
    let mut levels = standard;
    for field in Field::ALL {
        let at = field.at();
        let pairs: f64 = present[at];
        if pairs >= 100.0 {
            for level in 0..LEVELS[at] {
                levels[at][level] = (sums[at][level] + standard[at][level]) / (pairs + 1.0);
            }
            if field != Field::NameOrder {
                let exact = exact_agreement(list, field).max(1e-7);
                let rest: f64 = levels[at][1..LEVELS[at]].iter().sum();
                for other in levels[at].iter_mut().skip(1) {
                    *other *= (1.0 - exact) / rest;
                }
                levels[at][0] = exact;
            }
        }
        present[at] = pairs / (sample.max(1) as f64);
    }
    Random { levels, present }
}

fn tally(list: &[Profile], field: Field) -> (HashMap<&str, f64>, f64) {
    let mut counts: HashMap<&str, f64> = HashMap::new();
    for value in list.iter().filter_map(|profile| profile.get(field)) {
        *counts.entry(value).or_default() += 1.0;
    }
    let total = counts.values().sum();
    (counts, total)
}

/// How often two records taken at random have the same value.
fn exact_agreement(list: &[Profile], field: Field) -> f64 {
    let (counts, n) = tally(list, field);
    counts.values().map(|count| count * (count - 1.0)).sum::<f64>() / (n * (n - 1.0)).max(1.0)
}

fn frequencies(list: &[Profile]) -> [HashMap<String, f64>; FIELDS] {
    let mut all: [HashMap<String, f64>; FIELDS] = Default::default();
    for field in BY_FREQUENCY {
        let (counts, total) = tally(list, field);
        let share = |(value, count): (&str, f64)| (value.to_owned(), count / total);
        all[field.at()] = counts.into_iter().map(share).collect();
    }
    all
}
