//! Alerts: whether a measure is out of its bounds, and whether somebody has to be told.

use super::{Cell, Costs, Day, Key, Measured, Sums, measured};
use crate::policy::{Alert, Bound};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a notice is asked for again after it was: whoever asked may have died before.
const AGAIN_MS: i64 = 30 * 60_000;

/// That somebody has to be told, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// Since when; what is told of one instant is told once.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// What is wrong, in a sentence.
    #[serde(rename = "t")]
    pub text: String,
}

/// What is to be done about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rings {
    /// Nothing.
    No,
    /// It is stored, if nobody was faster, then told.
    Anew(Alarm),
    /// It is told again: the same notice, which goes out once.
    Still(Alarm),
}

/// The days that are looked at, both counted. Of what may be too little the present day is left out: it is not over yet.
pub fn looked_at(alert: &Alert, today: Day) -> (Day, Day) {
    let back = |days: i64| today.checked_sub(jiff::Span::new().days(days)).unwrap_or(today);
    match alert.below.is_some() && !alert.measure.is_part() {
        true => (back(alert.days()), back(1)),
        false => (back(alert.days() - 1), today),
    }
}

/// The cells whose counters are read: of a journey its steps' too, of a campaign its variants'. What each begins with.
pub fn read_for(alert: &Alert) -> Vec<String> {
    let parts = match &alert.of {
        Key::Journey(journey) => Some(format!("step/{journey}/")),
        Key::Campaign(campaign, None) => Some(format!("campaign/{campaign}/")),
        _ => None,
    };
    Cell::counting_for(&alert.of).into_iter().chain(parts).collect()
}

/// What is wrong, in a sentence; nothing if nothing is, or if nothing can be said.
pub fn judge(alert: &Alert, sums: &Sums, costs: &Costs) -> Option<String> {
    let Measured { value, of } = measured(alert.measure, &alert.of, sums, costs)?;
    let least = i64::from(alert.least.unwrap_or(Alert::LEAST));
    if of.is_some_and(|of| of < least) {
        return None;
    }
    let above = alert.above.filter(|bound| value > bound.value).map(|bound| ("above", bound));
    let below = alert.below.filter(|bound| value < bound.value).map(|bound| ("below", bound));
    let (side, bound) = above.or(below)?;
    let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
    let what = alert.measure.name().replace('_', " ");
    let days = match alert.days() {
        1 => "one day".to_owned(),
        days => format!("{days} days"),
    };
    let (value, limit) = (shown(value, bound.is_part), written(bound));
    Some(format!("{}: {what} {value}{of} within {days}, {side} {limit}", alert.of))
}

/// Whether somebody is told: when it begins to be wrong, and once more each time the alert's days have passed with it.
pub fn rings(alert: &Alert, before: Option<&Alarm>, wrong: Option<String>, now: Timestamp) -> Rings {
    let within = alert.days() * 86_400_000;
    let held = before.filter(|alarm| now.since(alarm.at) < within);
    match (held, wrong) {
        (Some(alarm), _) if now.since(alarm.at) < AGAIN_MS => Rings::Still(alarm.clone()),
        (None, Some(text)) => {
            Rings::Anew(Alarm { version: before.map_or(0, |alarm| alarm.version), at: now, text })
        }
        _ => Rings::No,
    }
}

fn written(bound: Bound) -> String {
    shown(bound.value, bound.is_part)
}

fn shown(value: f64, is_part: bool) -> String {
    let value = if is_part { value * 100.0 } else { value };
    let rounded = (value * 100.0).round() / 100.0;
    if is_part { format!("{rounded} %") } else { rounded.to_string() }
}
