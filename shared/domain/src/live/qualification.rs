//! 三定, the three things that make a lead worth a salesperson's time: 定性, qualified (what they need and that they are
//! to be taken seriously), 定级, graded, and 定量, quantified (how much and by when).

use super::orders::hundredths;
use super::{Instant, Live};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The longest word of a qualification, in bytes.
const LONGEST: usize = 120;

/// What is settled of a person. Each part keeps the newest word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qualification {
    /// 定性: what they need.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    need: Option<(Instant, String)>,
    /// 定级: their grade.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    grade: Option<(Instant, String)>,
    /// 定量: how much, in hundredths of the currency.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    amount: Option<(Instant, i64)>,
    /// 定量: by which day, `2027-03-31`.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    date: Option<(Instant, String)>,
}

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Settled {
    /// 定性.
    Qualified,
    /// 定级.
    Graded,
    /// 定量.
    Quantified,
}

impl Settled {
    /// All three, in their order.
    pub const ALL: [Self; 3] = [Self::Qualified, Self::Graded, Self::Quantified];

    /// The word that conditions see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qualified => "qualified",
            Self::Graded => "graded",
            Self::Quantified => "quantified",
        }
    }

    /// The one with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == word)
    }
}

/// What a list asks for by what is missing: whoever lacks at least one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking(BTreeSet<Settled>);

impl Lacking {
    /// The word for all three at once.
    pub const ANY: &'static str = "any";

    /// One word, or several with commas between them: `graded,quantified`. Nothing if one is none of [`Lacking::words`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut asked = BTreeSet::new();
        for word in text.split(',').map(str::trim) {
            match Settled::parse(word) {
                Some(one) => drop(asked.insert(one)),
                None if word == Self::ANY => asked.extend(Settled::ALL),
                None => return None,
            }
        }
        Some(Self(asked))
    }

    /// The words that there are.
    pub fn words() -> impl Iterator<Item = &'static str> {
        std::iter::once(Self::ANY).chain(Settled::ALL.map(Settled::name))
    }

    /// Whether somebody of whom this is settled is asked for.
    pub fn has(&self, settled: &Qualification) -> bool {
        settled.missing().iter().any(|one| self.0.contains(one))
    }
}

impl Qualification {
    /// The parts that something may be said of.
    pub const PARTS: [&'static str; 4] = ["need", "grade", "amount", "date"];

    /// The first part of which something is said that cannot be taken in: a word is at most 120 bytes long, an amount is no less
    /// than 0, a date is written `2027-03-31`.
    pub fn unusable(said: &Map<String, Value>) -> Option<&'static str> {
        let given = |part: &&str| said.get(*part).is_some_and(|value| !value.is_null());
        Self::PARTS.into_iter().filter(given).find(|part| {
            let alone = said.get(*part).map(|value| ((*part).to_owned(), value.clone()));
            !Self::default().say(&alone.into_iter().collect(), &Instant::look(Timestamp(0)))
        })
    }

    /// What is settled of a person, by the states of all their records.
    pub fn of<'a>(states: impl IntoIterator<Item = &'a Live>) -> Self {
        states.into_iter().fold(Self::default(), |mut all, state| {
            all.merge(&state.qualification);
            all
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what is said of any part: `need`, `grade`, `amount`, `date`. Whether anything changed.
    pub(super) fn say(&mut self, said: &Map<String, Value>, at: &Instant) -> bool {
        let word = |name: &str| {
            let text = said.get(name)?.as_str()?.trim();
            (!text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
        };
        let date = word("date").filter(|date| date.parse::<jiff::civil::Date>().is_ok());
        let amount = said.get("amount").and_then(hundredths).filter(|amount| *amount >= 0);
        let before = self.clone();
        newer(&mut self.need, word("need").map(|word| (at.clone(), word)));
        newer(&mut self.grade, word("grade").map(|word| (at.clone(), word)));
        newer(&mut self.amount, amount.map(|amount| (at.clone(), amount)));
        newer(&mut self.date, date.map(|date| (at.clone(), date)));
        *self != before
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let other = other.clone();
        newer(&mut self.need, other.need);
        newer(&mut self.grade, other.grade);
        newer(&mut self.amount, other.amount);
        newer(&mut self.date, other.date);
    }

    /// Which of the three are missing.
    pub fn missing(&self) -> Vec<Settled> {
        let mut missing = Vec::new();
        if self.need.is_none() {
            missing.push(Settled::Qualified);
        }
        if self.grade.is_none() {
            missing.push(Settled::Graded);
        }
        if self.amount.is_none() || self.date.is_none() {
            missing.push(Settled::Quantified);
        }
        missing
    }

    /// The words for what is missing.
    pub fn missing_words(&self) -> Vec<&'static str> {
        self.missing().into_iter().map(Settled::name).collect()
    }

    /// As conditions and people see it.
    pub fn shown(&self) -> Value {
        json!({
            "need": self.need.as_ref().map(|(_, word)| word),
            "grade": self.grade.as_ref().map(|(_, word)| word),
            "amount": self.amount.as_ref().map(|(_, amount)| *amount as f64 / 100.0),
            "date": self.date.as_ref().map(|(_, date)| date),
            "missing": self.missing_words(),
        })
    }
}

/// The newer of two words stands; of two of one instant the greater.
fn newer<T: Ord>(known: &mut Option<(Instant, T)>, said: Option<(Instant, T)>) {
    if said > *known {
        *known = said;
    }
}

#[cfg(test)]
mod tests {
    use super::{Lacking, Qualification, Settled};
    use crate::live::{Instant, Live};
    use crate::time::Timestamp;
    use serde_json::{Value, json};

    fn said(at: i64, what: Value) -> Live {
        let Value::Object(what) = what else { panic!("an object") };
        let mut live = Live::default();
        live.qualification.say(&what, &Instant::look(Timestamp(at)));
        live
    }

    #[test]
    fn who_lacks_one_of_what_is_asked_for_is_asked_for() {
        let graded = Qualification::of([&said(1, json!({"grade": "B", "amount": 12.5}))]);
        assert_eq!(graded.missing_words(), ["qualified", "quantified"], "an amount alone is half of it");
        let all = json!({"need": "a roof", "grade": "A", "amount": 1, "date": "2027-03-31"});
        let all = Qualification::of([&said(1, all)]);
        for (asked, of_nobody, of_graded) in [
            ("any", true, true),
            ("graded", true, false),
            ("quantified", true, true),
            ("graded,qualified", true, true),
            ("graded, any", true, true),
        ] {
            let asked = Lacking::parse(asked).unwrap();
            assert!(!asked.has(&all));
            assert_eq!((asked.has(&Qualification::default()), asked.has(&graded)), (of_nobody, of_graded));
        }
    }

    #[test]
    fn there_are_four_words() {
        assert_eq!(Lacking::words().collect::<Vec<_>>(), ["any", "qualified", "graded", "quantified"]);
        assert!(Lacking::words().all(|word| Lacking::parse(word).is_some()));
        assert!(Settled::ALL.iter().all(|one| Settled::parse(one.name()) == Some(*one)));
        for unknown in ["", "need", "graded,", "Graded", "graded;any"] {
            assert_eq!(Lacking::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_cannot_be_taken_in_is_named() {
        let long = "x".repeat(121);
        for (said, unusable) in [
            (json!({"need": "a roof", "grade": "A", "amount": 0, "date": "2027-03-31"}), None),
            (json!({"need": null, "amount": "1200.50"}), None),
            (json!({"need": " "}), Some("need")),
            (json!({"need": "a roof", "grade": long}), Some("grade")),
            (json!({"amount": -1, "date": "soon"}), Some("amount")),
            (json!({"date": "2027-02-30"}), Some("date")),
        ] {
            assert_eq!(Qualification::unusable(said.as_object().unwrap()), unusable, "{said}");
        }
    }

    #[test]
    fn what_was_said_of_any_record_is_settled_of_the_person() {
        let (one, other) =
            (said(1, json!({"need": "a roof"})), said(2, json!({"need": "a wall", "grade": "A"})));
        let together = Qualification::of([&one, &other]);
        assert_eq!(together.missing_words(), ["quantified"]);
        assert_eq!(together.shown()["need"], "a wall");
        assert_eq!(together, Qualification::of([&other, &one]));
    }
}
