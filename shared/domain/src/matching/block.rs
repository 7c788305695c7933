//! Which pairs are compared at all: those that share something.

use super::profile::{Field, Profile};
use crate::identity::{CompanyDomain, Email};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Fields whose exact agreement makes a pair worth comparing. First and last name count as one field, since they are
/// exchanged. Besides, names that sound alike do with the year of birth.
const SHARED: [(Field, u8); 9] = [
    (Field::Given, 0),
    (Field::Family, 0),
    (Field::BirthDate, 1),
    (Field::Email, 2),
    (Field::Phone, 3),
    (Field::PostalCode, 4),
    (Field::City, 5),
    (Field::Street, 6),
    (Field::Company, 7),
];

/// The tag of names that sound alike.
const BY_SOUND: u8 = 8;

/// Pairs of a block, per record compared, from which the block says too little: a name that everybody has.
const MAX_PAIRS_PER_RECORD: usize = 8;

/// Pairs of a list to compare.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    /// Two indices, the smaller first; ascending, each pair once.
    pub(super) pairs: Vec<(u32, u32)>,
    /// All pairs there are.
    pub(super) total: f64,
}

impl Candidates {
    /// Pairs of records that share something.
    pub(super) fn of(list: &[Profile]) -> Self {
        let n = list.len() as f64;
        Self { pairs: pairs(list), total: n * (n - 1.0) / 2.0 }
    }
}

fn pairs(list: &[Profile]) -> Vec<(u32, u32)> {
    let mut blocks: BTreeMap<(u8, Cow<'_, str>), Vec<u32>> = BTreeMap::new();
    for (at, profile) in (0u32..).zip(list) {
        for (field, tag) in SHARED {
            if let Some(value) = profile.get(field).filter(|value| value.chars().count() > 1) {
                blocks.entry((tag, Cow::Borrowed(value))).or_default().push(at);
            }
        }
        let year = profile.get(Field::BirthDate).and_then(|date| date.get(..4));
        for name in [Field::Given, Field::Family].iter().filter_map(|field| profile.get(*field)) {
            if let Some(year) = year {
                let key = format!("{}{year}", sound(name));
                blocks.entry((BY_SOUND, Cow::Owned(key))).or_default().push(at);
            }
        }
    }
    let most = MAX_PAIRS_PER_RECORD * list.len();
    let mut all = Vec::new();
    for block in blocks.values().filter(|block| block.len() * block.len() / 2 <= most) {
        let after = block.iter().enumerate().map(|(i, a)| (a, block.get(i + 1..).unwrap_or_default()));
        all.extend(after.flat_map(|(a, rest)| rest.iter().map(move |b| (*a.min(b), *a.max(b)))));
    }
    all.sort_unstable();
    all.dedup();
    all.retain(|(a, b)| a != b);
    all
}

/// A text under which descriptions of one person probably meet, for a store that is asked by key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockingKey(String);

/// The most keys of one description: each is an item to write and to read.
pub(super) const MAX_KEYS: usize = 4;

/// Digits of a phone number that are compared by themselves: its end, which a wrong prefix leaves as it is.
const ENDING: usize = 6;

impl BlockingKey {
    /// The keys of a description, those that say most first, at most four. A name alone is none: too many have
    /// it. Names count by their sound, in either order. An e-mail address counts by itself where one mailbox has many
    /// spellings; everywhere else the same address is the same person already.
    pub fn of(profile: &Profile) -> Vec<Self> {
        let sound = |field: Field| profile.get(field).map(sound).filter(|sound| !sound.is_empty());
        let mut names: Vec<String> =
            [sound(Field::Given), sound(Field::Family)].into_iter().flatten().collect();
        names.sort_unstable();
        let both = (names.len() == 2).then(|| names.join("+"));
        let family = sound(Field::Family).or_else(|| sound(Field::Given));
        let email = profile.get(Field::Email).and_then(|email| Email::of_any_domain(email).ok());
        let loose = email.as_ref().filter(|email| email.is_loose());
        let loose = loose.map(|email| email.weak_key().unwrap_or_else(|| email.match_key()));
        let domain = email.as_ref().and_then(CompanyDomain::of_email);
        let ending =
            profile.get(Field::Phone).and_then(|phone| phone.get(phone.len().checked_sub(ENDING)?..));
        let said = |tag: &str, name: &Option<String>, value: Option<&str>| {
            Some(Self(format!("{tag}\u{0}{}\u{0}{}", name.as_ref()?, value?)))
        };
        let with = |tag: &str, name: &Option<String>, field: Field| said(tag, name, profile.get(field));
        let keys = [
            said("mail", &Some(String::new()), loose.as_deref()),
            said("birth", &Some(String::new()), profile.get(Field::BirthDate)),
            with("postal", &family, Field::PostalCode),
            with("company", &both, Field::Company),
            said("domain", &both, domain.as_ref().map(CompanyDomain::as_str)),
            with("city", &both, Field::City),
            with("street", &both, Field::Street),
            said("phone", &family, ending),
        ];
        keys.into_iter().flatten().take(MAX_KEYS).collect()
    }

    /// The text to hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a name sounds, roughly, over the spellings of several languages: consonants, with those that are exchanged for
/// one another made one. Names in other scripts stay as they are.
fn sound(name: &str) -> String {
    if !name.is_ascii() {
        return name.to_owned();
    }
    let name = ["sch|s", "tsch|s", "ph|f", "th|t", "ck|k", "gh|g", "sh|s", "ch|k", "dt|t", "tz|s"]
        .iter()
        .filter_map(|pair| pair.split_once('|'))
        .fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
    let mut sound = String::new();
    for (at, letter) in name.chars().enumerate() {
        let letter = match letter {
            'c' | 'q' => 'k',
            'z' | 'x' => 's',
            'v' | 'w' => 'f',
            'd' => 't',
            'b' => 'p',
            'j' | 'y' => 'i',
            other => other,
        };
        let silent = at > 0 && matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'h');
        if !silent && !sound.ends_with(letter) {
            sound.push(letter);
        }
    }
    sound.truncate(6);
    sound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(given: &str, family: &str, more: &[(Field, &str)]) -> Vec<BlockingKey> {
        let profile = Profile::default().with(Field::Given, given).with(Field::Family, family);
        BlockingKey::of(&more.iter().fold(profile, |profile, (field, text)| profile.with(*field, text)))
    }

    #[test]
    fn spellings_of_one_name_meet_and_a_name_alone_is_no_key() {
        let postal = [(Field::PostalCode, "80331")];
        for other in ["Meyer", "Mayr", "MEIER"] {
            assert_eq!(keys("Jan", "Maier", &postal), keys("Jan", other, &postal), "{other}");
        }
        assert_ne!(keys("Jan", "Maier", &postal), keys("Jan", "Huber", &postal));
        assert!(keys("Jan", "Maier", &[]).is_empty());
        let company = [(Field::Company, "Acme GmbH")];
        assert_eq!(keys("Jan", "Maier", &company), keys("Maier", "Jan", &company));
        assert_eq!(keys("小明", "王", &company).len(), 1);
    }

    #[test]
    fn spellings_of_one_mailbox_colleagues_of_one_name_and_ends_of_one_number_meet() {
        let meet = |one: &[(Field, &str)], other: &[(Field, &str)]| {
            let held = keys("Jo", "Lind", one);
            keys("Jo", "Lindt", other).iter().any(|key| held.contains(key))
        };
        assert!(meet(
            &[(Field::Email, "jo.lind@gmail.com")],
            &[(Field::Email, "jolind+news@googlemail.com")]
        ));
        assert!(meet(&[(Field::Email, "jolind@gmail.com")], &[(Field::Email, "jo.lind@gmail.com")]));
        assert!(meet(&[(Field::Email, "jo.lind@acme.example")], &[(Field::Email, "jo.lnid@acme.example")]));
        assert!(!meet(&[(Field::Email, "jo.lind@web.de")], &[(Field::Email, "jo.lnid@web.de")]));
        assert!(meet(&[(Field::Phone, "+4930901820")], &[(Field::Phone, "+4989901820")]));
    }
}
