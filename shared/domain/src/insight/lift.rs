//! Lift: how much more often those who got something did what it is for than those who were held out, and how sure that is.

use serde::{Deserialize, Serialize};

/// The quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// These.
    pub n: u64,
    /// Of these.
    pub of: u64,
}

/// Between two bounds, with a certainty of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// At least.
    pub from: f64,
    /// At most; nothing is that there is no bound.
    pub to: Option<f64>,
}

/// What a comparison with the hold-out came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lift {
    /// Those who got something.
    pub treated: Part,
    /// Those who got nothing.
    pub held_out: Part,
    /// By how much the part of those who got something is larger; 0.04 is four of a hundred more.
    pub difference: f64,
    /// Newcombe's interval of the difference, from Wilson's of the parts.
    pub difference_interval: Interval,
    /// How many times larger it is; nothing if none of the held out did it.
    pub ratio: Option<f64>,
    /// The interval of that, from the same.
    pub ratio_interval: Interval,
    /// How many did it who would not have otherwise.
    pub more: f64,
    /// What that means.
    pub sentence: String,
}

impl Part {
    /// As a number from 0 to 1; 0 of nobody.
    pub fn rate(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.n as f64 / self.of as f64 }
    }

    /// Wilson's score interval.
    pub fn wilson(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (rate, of) = (self.rate(), self.of as f64);
        let middle = rate + Z * Z / (2.0 * of);
        let half = Z * (rate * (1.0 - rate) / of + Z * Z / (4.0 * of * of)).sqrt();
        let scale = 1.0 + Z * Z / of;
        // At the ends the bound is the end itself; rounding would miss it.
        let from = if self.n == 0 { 0.0 } else { ((middle - half) / scale).max(0.0) };
        let to = if self.n >= self.of { 1.0 } else { ((middle + half) / scale).min(1.0) };
        (from, to)
    }
}

/// Compares; nothing unless there is somebody on both sides.
pub fn lift(treated: Part, held_out: Part) -> Option<Lift> {
    if treated.of == 0 || held_out.of == 0 || treated.n > treated.of || held_out.n > held_out.of {
        return None;
    }
    let (p1, p2) = (treated.rate(), held_out.rate());
    let ((l1, u1), (l2, u2)) = (treated.wilson(), held_out.wilson());
    let difference = p1 - p2;
    let difference_interval = Interval {
        from: difference - (p1 - l1).hypot(u2 - p2),
        to: Some(difference + (u1 - p1).hypot(p2 - l2)),
    };
    let sentence = sentence(treated, held_out, difference, difference_interval);
    Some(Lift {
        treated,
        held_out,
        difference,
        difference_interval,
        ratio: (held_out.n > 0).then(|| p1 / p2),
        ratio_interval: ratio_interval((p1, l1, u1), (p2, l2, u2)),
        more: difference * treated.of as f64,
        sentence,
    })
}

/// Zou and Donner's way from intervals of two numbers to one of their ratio, on logarithms. Where one of the numbers is 0 its
/// logarithm is not there; then the bounds are divided, which is wider.
fn ratio_interval((p1, l1, u1): (f64, f64, f64), (p2, l2, u2): (f64, f64, f64)) -> Interval {
    if p1 > 0.0 && p2 > 0.0 {
        let ratio = (p1 / p2).ln();
        let from = ratio - (p1 / l1).ln().hypot((u2 / p2).ln());
        let to = ratio + (u1 / p1).ln().hypot((p2 / l2).ln());
        return Interval { from: from.exp(), to: Some(to.exp()) };
    }
    Interval { from: l1 / u2, to: (l2 > 0.0).then(|| u1 / l2) }
}

fn sentence(treated: Part, held_out: Part, difference: f64, interval: Interval) -> String {
    let percent = |rate: f64| format!("{:.1} %", rate * 100.0);
    let points = |rate: f64| format!("{:.1}", rate * 100.0);
    let to = interval.to.unwrap_or(1.0);
    let what = if difference < 0.0 { "fewer" } else { "more" };
    let verdict = if interval.from > 0.0 {
        "it helps"
    } else if to < 0.0 {
        "it does harm"
    } else {
        "which may be chance"
    };
    format!(
        "Of {} who took part {} reached the goal, of {} held out {}: {} in a hundred {what} ({} to {} with a certainty of \
         95 %), {verdict}.",
        treated.of,
        percent(treated.rate()),
        held_out.of,
        percent(held_out.rate()),
        points(difference.abs()),
        points(interval.from),
        points(to),
    )
}
