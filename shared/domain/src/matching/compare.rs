//! Two descriptions, compared field by field into levels of agreement.

use super::profile::{FIELDS, Field, Profile};
use strsim::{jaro_winkler, osa_distance};

/// The most levels a field has.
pub(super) const MAX_LEVELS: usize = 5;

/// How many levels of agreement each field has; 0 is exact, the last is "nothing alike".
pub(super) const LEVELS: [usize; FIELDS] = [4, 4, 2, 5, 4, 3, 4, 3, 4, 4, 3, 3, 3];

/// Where one of the two says nothing.
const UNKNOWN: u8 = u8::MAX;

/// The levels of all fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pattern([u8; FIELDS]);

impl Pattern {
    /// The level of a field, if both say something; 0 is exact agreement.
    pub(super) fn level(&self, field: Field) -> Option<usize> {
        let level = self.0[field.at()];
        (level != UNKNOWN).then_some(usize::from(level))
    }

    /// Whether the names agree better with first and last exchanged.
    pub(super) fn is_swapped(&self) -> bool {
        self.level(Field::NameOrder) == Some(1)
    }
}

/// Compares two descriptions.
pub(super) fn compare(one: &Profile, other: &Profile) -> Pattern {
    let mut levels = [UNKNOWN; FIELDS];
    let mut put = |field: Field, level: Option<u8>| {
        if let Some(level) = level {
            levels[field.at()] = level;
        }
    };
    let both = |field: Field| Some((one.get(field)?, other.get(field)?));
    names(one, other, &mut put);
    put(Field::BirthDate, both(Field::BirthDate).map(|(a, b)| date(a, b)));
    put(Field::Email, both(Field::Email).map(|(a, b)| email(a, b)));
    put(Field::Phone, both(Field::Phone).map(|(a, b)| phone(a, b)));
    put(Field::Street, both(Field::Street).map(|(a, b)| name(a, b)));
    put(Field::HouseNumber, both(Field::HouseNumber).map(|(a, b)| code(a, b)));
    put(Field::AddressLine2, both(Field::AddressLine2).map(|(a, b)| name(a, b)));
    put(Field::City, both(Field::City).map(|(a, b)| name(a, b)));
    put(Field::Region, both(Field::Region).map(|(a, b)| region(a, b)));
    put(Field::PostalCode, both(Field::PostalCode).map(|(a, b)| code(a, b)));
    put(Field::Company, both(Field::Company).map(|(a, b)| company(a, b)));
    Pattern(levels)
}

/// First and last name, in the order in which they agree better: forms and people exchange them.
fn names(one: &Profile, other: &Profile, put: &mut impl FnMut(Field, Option<u8>)) {
    let (given, family) = (one.get(Field::Given), one.get(Field::Family));
    let (other_given, other_family) = (other.get(Field::Given), other.get(Field::Family));
    let level = |a: Option<&str>, b: Option<&str>| Some(name(a?, b?));
    let straight = [level(given, other_given), level(family, other_family)];
    let crossed = [level(given, other_family), level(family, other_given)];
    // Points for likeness: an exchange has to win clearly, since any two names may be a little alike.
    let points = |levels: [Option<u8>; 2]| {
        levels.into_iter().flatten().map(|level| [3_i32, 2, 1, -1][usize::from(level.min(3))]).sum::<i32>()
    };
    let comparable = [straight, crossed].iter().any(|levels| levels.iter().any(Option::is_some));
    let swapped = points(crossed) >= points(straight) + 2 && points(crossed) >= 2;
    let [a, b] = if swapped { crossed } else { straight };
    put(Field::Given, a);
    put(Field::Family, b);
    put(Field::NameOrder, comparable.then_some(u8::from(swapped)));
}

/// Exact; a slip or nearly alike; somewhat alike, an initial or the same letters; different.
fn name(one: &str, other: &str) -> u8 {
    if one == other {
        return 0;
    }
    let likeness = jaro_winkler(one, other);
    let shortest = one.chars().count().min(other.chars().count());
    if likeness >= 0.92 || shortest >= 4 && likeness >= 0.75 && osa_distance(one, other) <= 1 {
        1
    } else if likeness >= 0.80 || one.starts_with(other) || other.starts_with(one) || same_letters(one, other)
    {
        2
    } else {
        3
    }
}

fn same_letters(one: &str, other: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    one.len() == other.len() && one.len() > 3 && sorted(one) == sorted(other)
}

/// Exact; a slip of the finger or day and month exchanged; two of year, month and day; within a year; different.
fn date(one: &str, other: &str) -> u8 {
    if one == other {
        return 0;
    }
    let split = |text: &str| {
        let number = |range| text.get(range).and_then(|part: &str| part.parse::<i32>().ok()).unwrap_or(0);
        (number(0..4), number(4..6), number(6..8))
    };
    let (a, b) = (split(one), split(other));
    let day = |date: (i32, i32, i32)| date.0 * 365 + date.1 * 30 + date.2;
    if osa_distance(one, other) <= 1 || (a.0, a.1, a.2) == (b.0, b.2, b.1) {
        1
    } else if u8::from(a.0 == b.0) + u8::from(a.1 == b.1) + u8::from(a.2 == b.2) == 2 {
        2
    } else if (day(a) - day(b)).abs() <= 365 {
        3
    } else {
        4
    }
}

/// Exact; the same mailbox elsewhere, or a slip; somewhat alike; different.
fn email(one: &str, other: &str) -> u8 {
    if one == other {
        return 0;
    }
    let likeness = jaro_winkler(one, other);
    let (a, b) = (local(one), local(other));
    if a == b && a.len() >= 5 || likeness >= 0.95 || osa_distance(one, other) <= 2 {
        1
    } else if likeness >= 0.88 || same_letters(one, other) {
        2
    } else {
        3
    }
}

fn local(email: &str) -> &str {
    email.split('@').next().unwrap_or_default()
}

fn tail(phone: &str) -> &str {
    phone.get(phone.len().saturating_sub(8)..).unwrap_or_default()
}

/// Exact; a slip, or the same without the country's code; different.
fn phone(one: &str, other: &str) -> u8 {
    if one == other {
        0
    } else if tail(one) == tail(other) && one.len().min(other.len()) >= 8 || osa_distance(one, other) <= 1 {
        1
    } else {
        2
    }
}

/// Exact; one digit wrong or two exchanged; different.
fn code(one: &str, other: &str) -> u8 {
    if one == other {
        0
    } else if one.len().max(other.len()) >= 2 && osa_distance(one, other) <= 1 {
        1
    } else {
        2
    }
}

/// Exact; a slip or a short form; different. Short codes differ by one letter (`wa`, `sa`), so that is no slip.
fn region(one: &str, other: &str) -> u8 {
    let shortest = one.chars().count().min(other.chars().count());
    if one == other {
        0
    } else if shortest >= 3 && osa_distance(one, other) <= 1
        || one.starts_with(other)
        || other.starts_with(one)
    {
        1
    } else {
        2
    }
}

/// Exact; a slip, or one name within the other; different.
fn company(one: &str, other: &str) -> u8 {
    let shortest = one.chars().count().min(other.chars().count());
    if one == other {
        0
    } else if jaro_winkler(one, other) >= 0.92
        || shortest >= 4 && (one.contains(other) || other.contains(one))
    {
        1
    } else {
        2
    }
}
