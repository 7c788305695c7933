//! Which of several values stands, where the records of one person say different things.
//!
//! A record never changes what it holds: a post that nobody verified fills blanks and overwrites nothing, so each record
//! keeps the first value it was told. These rules choose between the records of a joined person, each time it is read;
//! taking the records apart again therefore needs no undoing.

use super::{Customer, Fact, Whole};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// How one field's value is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Survivor {
    /// The live record's, else that of the oldest record that has one.
    #[default]
    Kept,
    /// What was said last.
    Newest,
    /// What was said first.
    Oldest,
    /// What most records hold; case and blanks do not count.
    MostFrequent,
    /// What says most: the most letters.
    Longest,
    /// By the form or source it came through, best first; others come after all named.
    Sources(Vec<String>),
}

impl Survivor {
    const WORDS: [&str; 5] = ["kept", "newest", "oldest", "most_frequent", "longest"];

    /// The word used in documents and on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::MostFrequent => "most_frequent",
            Self::Longest => "longest",
            Self::Sources(_) => "sources",
        }
    }
}

impl Serialize for Survivor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sources(order) => order.serialize(serializer),
            word => serializer.serialize_str(word.name()),
        }
    }
}

impl<'de> Deserialize<'de> for Survivor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Survivor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "one of {}, or a list of sources", Survivor::WORDS.join(", "))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Survivor, E> {
                Ok(match word {
                    "kept" => Survivor::Kept,
                    "newest" => Survivor::Newest,
                    "oldest" => Survivor::Oldest,
                    "most_frequent" => Survivor::MostFrequent,
                    "longest" => Survivor::Longest,
                    other => return Err(E::unknown_variant(other, &Survivor::WORDS)),
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Survivor, A::Error> {
                let mut order = Vec::new();
                while let Some(source) = list.next_element()? {
                    order.push(source);
                }
                Ok(Survivor::Sources(order))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// The rules of a settings document: per field, and `default` for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Survivorship(pub BTreeMap<String, Survivor>);

/// The name under which the rule for all other fields stands.
pub const DEFAULT_RULE: &str = "default";

impl Survivorship {
    /// The rule for a field.
    pub fn rule(&self, field: &str) -> Survivor {
        self.0.get(field).or_else(|| self.0.get(DEFAULT_RULE)).cloned().unwrap_or_default()
    }
}

/// A value one or more records of a person hold.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The record, the first that holds it.
    pub record: &'a Customer,
    /// The value.
    pub fact: &'a Fact,
    /// How many of the records hold it.
    pub times: usize,
}

/// The value that stands, and what it was chosen over.
#[derive(Clone, Debug)]
pub struct Chosen<'a> {
    /// What stands.
    pub value: Candidate<'a>,
    /// The rule that chose it.
    pub rule: Survivor,
    /// The others, best first.
    pub over: Vec<Candidate<'a>>,
}

impl<'a> Whole<'a> {
    /// Every field of the person, chosen by the rules.
    pub fn chosen(&self, rules: &Survivorship) -> BTreeMap<&'a str, Chosen<'a>> {
        // Of records that hold one value the one counts that ranks best under the rule.
        let mut halves = self.halves.clone();
        halves.sort_by_key(|half| (half.created, &half.id));
        let mut all: BTreeMap<&'a str, Vec<Candidate<'a>>> = BTreeMap::new();
        for record in std::iter::once(self.root).chain(halves) {
            for (name, fact) in &record.facts {
                let candidates = all.entry(name.as_str()).or_default();
                let candidate = Candidate { record, fact, times: 1 };
                match candidates.iter_mut().find(|one| plain(one.fact) == plain(fact)) {
                    Some(same) => {
                        let rule = rules.rule(name);
                        let (times, is_better) =
                            (same.times + 1, rank(&rule, &candidate) < rank(&rule, same));
                        let of = if is_better { candidate } else { same.clone() };
                        *same = Candidate { times, ..of };
                    }
                    None => candidates.push(candidate),
                }
            }
        }
        all.into_iter()
            .filter_map(|(name, mut candidates)| {
                let rule = rules.rule(name);
                // Stable: what a rule leaves open stays in the order in which records are kept.
                candidates.sort_by_key(|one| rank(&rule, one));
                let mut candidates = candidates.into_iter();
                let value = candidates.next()?;
                Some((name, Chosen { value, rule, over: candidates.collect() }))
            })
            .collect()
    }

    /// The values alone.
    pub fn facts(&self, rules: &Survivorship) -> BTreeMap<&'a str, &'a Fact> {
        self.chosen(rules).into_iter().map(|(name, chosen)| (name, chosen.value.fact)).collect()
    }
}

/// The least wins.
fn rank(rule: &Survivor, one: &Candidate<'_>) -> i64 {
    let most = |n: usize| -i64::try_from(n).unwrap_or(i64::MAX);
    match rule {
        Survivor::Kept => 0,
        Survivor::Newest => -one.fact.at.millis(),
        Survivor::Oldest => one.fact.at.millis(),
        Survivor::MostFrequent => most(one.times),
        Survivor::Longest => most(one.fact.value.reveal().chars().filter(|c| c.is_alphanumeric()).count()),
        Survivor::Sources(order) => {
            let source = one.record.source_of(one.fact).map(|said| said.source.as_str());
            let place = order.iter().position(|name| Some(name.as_str()) == source);
            i64::try_from(place.unwrap_or(order.len())).unwrap_or(i64::MAX)
        }
    }
}

fn plain(fact: &Fact) -> String {
    fact.value.reveal().chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::Said;
    use crate::id::{CustomerId, LeadId};
    use crate::time::Timestamp;

    fn record(name: &str, at: i64, source: &str, company: &str) -> Customer {
        let mut record = Customer::new(CustomerId::derived(&[name]), Timestamp(at));
        record.said.push(Said { lead: Some(LeadId::derived(&[name])), source: source.to_owned() });
        let fact = Fact { value: company.to_owned().into(), at: Timestamp(at), said: Some(0), tie: None };
        record.facts.insert("company".to_owned(), fact);
        record
    }

    #[test]
    fn each_rule_chooses_its_value_and_names_what_it_was_chosen_over() {
        let live = record("live", 20, "contact", "Acme");
        let old = record("old", 10, "meta-de", "ACME Incorporated");
        let new = record("new", 30, "crm", "Byron");
        let other = record("other", 31, "crm", "BYRON ");
        let whole = Whole { root: &live, halves: vec![&other, &new, &old] };
        for (rule, value) in [
            (Survivor::Kept, "Acme"),
            (Survivor::Newest, "BYRON "),
            (Survivor::Oldest, "ACME Incorporated"),
            (Survivor::MostFrequent, "Byron"),
            (Survivor::Longest, "ACME Incorporated"),
            (Survivor::Sources(vec!["crm".into(), "contact".into()]), "Byron"),
            (Survivor::Sources(vec!["nobody".into()]), "Acme"),
        ] {
            let rules = Survivorship([("company".to_owned(), rule.clone())].into());
            let chosen = whole.chosen(&rules).remove("company").unwrap();
            assert_eq!(chosen.value.fact.value.reveal(), value, "{rule:?}");
            assert_eq!((chosen.over.len(), chosen.rule), (2, rule.clone()));
            let general = Survivorship([(DEFAULT_RULE.to_owned(), rule)].into());
            assert_eq!(whole.facts(&general)["company"].value.reveal(), value);
        }
    }

    #[test]
    fn of_records_that_say_the_same_the_one_counts_that_ranks_best() {
        let live = record("live", 10, "contact", "Acme");
        let [byron, again] = [record("half", 20, "crm", "Byron"), record("later", 30, "meta-de", "acme")];
        let whole = Whole { root: &live, halves: vec![&byron, &again] };
        for (rule, value, source) in [
            (Survivor::Newest, "acme", "meta-de"),
            (Survivor::Oldest, "Acme", "contact"),
            (Survivor::MostFrequent, "Acme", "contact"),
            (Survivor::Sources(vec!["meta-de".into(), "crm".into()]), "acme", "meta-de"),
        ] {
            let rules = Survivorship([("company".to_owned(), rule.clone())].into());
            let Candidate { record, fact, times } = whole.chosen(&rules).remove("company").unwrap().value;
            let said = record.source_of(fact).unwrap().source.as_str();
            assert_eq!((fact.value.reveal().as_str(), said, times), (value, source, 2), "{rule:?}");
        }
    }

    #[test]
    fn a_rule_is_stored_as_it_is_written() {
        for text in ["\"newest\"", "\"most_frequent\"", "[\"crm\",\"contact\"]"] {
            let rule: Survivor = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), text);
        }
        assert!(serde_json::from_str::<Survivor>("\"best\"").is_err());
    }
}
