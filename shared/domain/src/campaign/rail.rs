//! Guard rails, and the best of several variants: both by what was counted.

use super::Counts;
use super::count::SENT;
use crate::policy::campaign::{Metric, StopIf, Winner};
use crate::policy::journey::Share;
use serde::{Deserialize, Serialize};

/// A guard rail that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rail {
    /// What was counted: `bounced`, `complained`, `unsubscribed`.
    #[serde(rename = "w")]
    pub what: String,
    /// How many.
    #[serde(rename = "n")]
    pub n: i64,
    /// Of so many that went out.
    #[serde(rename = "o")]
    pub of: i64,
    /// The part that is too much.
    #[serde(rename = "l")]
    pub limit: Share,
}

impl Rail {
    /// What happened, in a sentence.
    pub fn sentence(&self) -> String {
        let did = match self.what.as_str() {
            "bounced" => "came back",
            "complained" => "were called spam",
            _ => "made people unsubscribe",
        };
        format!("{} of {} messages {did}; {} is where it stops", self.n, self.of, self.limit)
    }
}

/// The first guard rail that is reached, if one is.
pub fn tripped(stop_if: &StopIf, counts: &Counts) -> Option<Rail> {
    let of = counts.total(SENT);
    if of < i64::from(stop_if.after.unwrap_or(StopIf::AFTER)).max(1) {
        return None;
    }
    let rails = [
        (stop_if.complaint_rate, "complained"),
        (stop_if.bounce_rate, "bounced"),
        (stop_if.unsubscribe_rate, "unsubscribed"),
    ];
    rails.into_iter().find_map(|(limit, what)| {
        let (limit, n) = (limit?, counts.total(what));
        let is_reached = n * 10_000 >= of * i64::from(limit.hundredths());
        (n > 0 && is_reached).then(|| Rail { what: what.to_owned(), n, of, limit })
    })
}

/// The best of so many variants, by its place; the first of several that are alike.
pub fn winner(rule: Winner, variants: usize, counts: &Counts) -> u8 {
    let name = match rule.by {
        Metric::Opened => "opened",
        Metric::Clicked => "clicked",
    };
    let numbers = |variant: u8| (counts.of(name, variant), counts.of(SENT, variant).max(1));
    let mut best = 0;
    for variant in 1..u8::try_from(variants).unwrap_or(u8::MAX) {
        let ((n, of), (most, of_most)) = (numbers(variant), numbers(best));
        if n * of_most > most * of {
            best = variant;
        }
    }
    best
}
