//! Weights, and what they make of a comparison.

use super::compare::{LEVELS, MAX_LEVELS, Pattern, compare};
use super::profile::{FIELDS, Field, Profile};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a score comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Two people.
    Different,
    /// A person has to look.
    Review,
    /// One person.
    Same,
}

/// What one field contributed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The field.
    #[serde(rename = "f")]
    pub field: Field,
    /// Its level of agreement, 0 is exact.
    #[serde(rename = "l")]
    pub level: u8,
    /// Binary logarithm of how much likelier one person is by it: positive speaks for, negative against.
    #[serde(rename = "w")]
    pub bits: f32,
}

impl Evidence {
    /// In words: `same last name`, `similar street`, `other phone`.
    pub fn words(&self) -> String {
        let level = usize::from(self.level);
        let how = match level {
            0 if self.field == Field::NameOrder => return "names in the same order".to_owned(),
            _ if self.field == Field::NameOrder => return "first and last name exchanged".to_owned(),
            0 => "same",
            _ if level + 1 >= LEVELS[self.field.at()] => "other",
            _ => "similar",
        };
        format!("{how} {}", self.field.words())
    }
}

/// All evidence of one comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Binary logarithm of the odds that both are one person.
    pub bits: f64,
    /// What each field says, strongest first.
    pub evidence: Vec<Evidence>,
}

impl Score {
    /// The probability that both are one person.
    pub fn probability(&self) -> f64 {
        1.0 / (1.0 + (-self.bits).exp2())
    }

    /// What it comes to: *same* from 0.95, *review* from 0.3. A wrong join costs more than a look.
    pub fn verdict(&self) -> Verdict {
        match self.probability() {
            p if p >= 0.95 => Verdict::Same,
            p if p >= 0.3 => Verdict::Review,
            _ => Verdict::Different,
        }
    }
}

pub(super) type Table = [[f64; MAX_LEVELS]; FIELDS];

/// m and u of every level, how common values are, and how likely a pair is to be one person before anything is known.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) m: Table,
    pub(super) u: Table,
    /// Share of records with a value, for fields whose values are worth it.
    pub(super) frequencies: [HashMap<String, f64>; FIELDS],
    /// Binary logarithm of the odds before comparing.
    pub(super) prior: f64,
    /// Binary logarithm of the odds of one person where all agrees that different people share. Such fields together
    /// never say more, however many agree: first name, date of birth or e-mail have to say the rest.
    pub(super) household: f64,
}

/// Fields in which a common value says less than a rare one.
pub(super) const BY_FREQUENCY: [Field; 6] =
    [Field::Given, Field::Family, Field::Street, Field::City, Field::PostalCode, Field::Company];

/// What different people have in common: a family its name, address and line, colleagues a company and its place.
const SHARED: [Field; 9] = [
    Field::Family,
    Field::Phone,
    Field::Street,
    Field::HouseNumber,
    Field::AddressLine2,
    Field::City,
    Field::Region,
    Field::PostalCode,
    Field::Company,
];

/// Records that share all that a household or an office shares are one person in one case of three, by a rule of thumb
/// (two to three people live in an average one). This is what [`Model::standard`] goes by.
const HOUSEHOLD: f64 = 1.0 / 3.0;

/// A frequency shifts the weight by at most so many bits.
const MAX_SHIFT: f64 = 5.0;

impl Model {
    /// Weights for single leads, where there is no data set to learn from. m says how often people write the same thing
    /// differently, u how often strangers agree: figures of the size that published linkages report for names and
    /// dates (Winkler, "Overview of Record Linkage", Census Bureau 2006), not taken from any file. Before comparing,
    /// two records are one person in one case of a million, as in a base of that size.
    pub fn standard() -> Self {
        let mut m = [[1.0; MAX_LEVELS]; FIELDS];
        let mut u = [[1.0; MAX_LEVELS]; FIELDS];
        for (field, same, strangers) in [
            (Field::Given, [0.78, 0.10, 0.07, 0.05, 0.0], [0.005, 0.005, 0.05, 0.94, 0.0]),
            (Field::Family, [0.84, 0.08, 0.03, 0.05, 0.0], [0.003, 0.007, 0.05, 0.94, 0.0]),
            (Field::NameOrder, [0.97, 0.03, 0.0, 0.0, 0.0], [0.97, 0.03, 0.0, 0.0, 0.0]),
            (Field::BirthDate, [0.91, 0.05, 0.02, 0.01, 0.01], [0.00004, 0.001, 0.006, 0.04, 0.953]),
            (Field::Email, [0.70, 0.08, 0.02, 0.20, 0.0], [0.00001, 0.0003, 0.001, 0.9987, 0.0]),
            (Field::Phone, [0.72, 0.06, 0.22, 0.0, 0.0], [0.00002, 0.0002, 0.99978, 0.0, 0.0]),
            (Field::Street, [0.72, 0.12, 0.04, 0.12, 0.0], [0.001, 0.004, 0.03, 0.965, 0.0]),
            (Field::HouseNumber, [0.80, 0.07, 0.13, 0.0, 0.0], [0.02, 0.12, 0.86, 0.0, 0.0]),
            (Field::AddressLine2, [0.65, 0.10, 0.05, 0.20, 0.0], [0.005, 0.005, 0.04, 0.95, 0.0]),
            (Field::City, [0.82, 0.06, 0.03, 0.09, 0.0], [0.02, 0.005, 0.035, 0.94, 0.0]),
            (Field::Region, [0.88, 0.04, 0.08, 0.0, 0.0], [0.12, 0.02, 0.86, 0.0, 0.0]),
            (Field::PostalCode, [0.82, 0.06, 0.12, 0.0, 0.0], [0.002, 0.008, 0.99, 0.0, 0.0]),
            (Field::Company, [0.70, 0.12, 0.18, 0.0, 0.0], [0.004, 0.006, 0.99, 0.0, 0.0]),
        ] {
            m[field.at()] = same;
            u[field.at()] = strangers;
        }
        Self { m, u, frequencies: Default::default(), prior: odds(1e-6), household: odds(HOUSEHOLD) }
    }

    /// Compares and scores two descriptions.
    pub fn score(&self, one: &Profile, other: &Profile) -> Score {
        let pattern = compare(one, other);
        let mut evidence: Vec<Evidence> = Field::ALL
            .into_iter()
            .filter_map(|field| {
                let level = pattern.level(field)?;
                let bits = self.field_bits(field, level, one);
                Some(Evidence { field, level: u8::try_from(level).unwrap_or(0), bits: bits as f32 })
            })
            .collect();
        evidence.sort_by(|a, b| b.bits.abs().total_cmp(&a.bits.abs()));
        Score { bits: self.bits(&pattern, one), evidence }
    }

    /// The evidence of a comparison alone, prior included.
    pub(super) fn bits(&self, pattern: &Pattern, one: &Profile) -> f64 {
        let (shared, own) = self.parts(pattern, one);
        f64::min(self.prior + shared, self.household) + own
    }

    /// What fields say that different people share, and what the others say.
    pub(super) fn parts(&self, pattern: &Pattern, one: &Profile) -> (f64, f64) {
        let (mut shared, mut own) = (0.0, 0.0);
        for field in Field::ALL {
            let Some(level) = pattern.level(field) else { continue };
            let bits = self.field_bits(field, level, one);
            *if SHARED.contains(&field) { &mut shared } else { &mut own } += bits;
        }
        (shared, own)
    }

    fn field_bits(&self, field: Field, level: usize, one: &Profile) -> f64 {
        let ratio = (self.m[field.at()][level] / self.u[field.at()][level]).log2();
        let share =
            one.get(field).filter(|_| level == 0).and_then(|value| self.frequencies[field.at()].get(value));
        let shift = share.map_or(0.0, |share| (self.u[field.at()][0] / share).log2());
        ratio + shift.clamp(-MAX_SHIFT, MAX_SHIFT)
    }
}

/// Binary logarithm of the odds of a probability.
pub(super) fn odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).log2()
}
