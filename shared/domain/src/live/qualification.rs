//! 三定, the three things that make a lead worth a salesperson's time: 定性, qualified (what they need and that they are
//! to be taken seriously), 定级, graded, and 定量, quantified (how much and by when).

use super::Instant;
use super::orders::hundredths;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
    /// The word that conditions see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qualified => "qualified",
            Self::Graded => "graded",
            Self::Quantified => "quantified",
        }
    }
}

impl Qualification {
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

    /// As conditions and people see it.
    pub fn shown(&self) -> Value {
        let missing: Vec<&str> = self.missing().into_iter().map(Settled::name).collect();
        json!({
            "need": self.need.as_ref().map(|(_, word)| word),
            "grade": self.grade.as_ref().map(|(_, word)| word),
            "amount": self.amount.as_ref().map(|(_, amount)| *amount as f64 / 100.0),
            "date": self.date.as_ref().map(|(_, date)| date),
            "missing": missing,
        })
    }
}

/// The newer of two words stands; of two of one instant the greater.
fn newer<T: Ord>(known: &mut Option<(Instant, T)>, said: Option<(Instant, T)>) {
    if said > *known {
        *known = said;
    }
}
