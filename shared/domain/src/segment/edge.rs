//! The next instant at which the answer of a condition may be another, if nothing happens until then.

use crate::condition::{Ask, Condition, Levels};
use crate::live::View;
use crate::time::Timestamp;

const DAY_MS: f64 = 86_400_000.0;

/// The next such instant after the view's; nothing if time alone changes nothing. It may be too early, never too late.
pub(crate) fn edge(condition: &Condition, view: &View<'_>) -> Option<Timestamp> {
    let looks = condition.looks();
    let asked = looks.asks.iter().filter_map(|(ask, levels)| of_ask(ask, levels, view));
    let moving = looks.moving.iter().filter_map(|(path, levels)| of_value(path, levels, view));
    let reads = |root: &str| condition.reads().iter().any(|path| path.split('.').next() == Some(root));
    let has_tags = looks.lists.contains("tags") || looks.members.iter().any(|(list, _)| *list == "tags");
    let own = [
        has_tags.then(|| view.live().tags().edge(view.now())).flatten(),
        reads("churn").then(|| view.churn_edge()).flatten(),
        reads("rfm").then(|| view.tier_edge()).flatten(),
        reads("score").then(|| view.grade_edge()).flatten(),
    ];
    asked.chain(moving).chain(own.into_iter().flatten()).filter(|at| *at > view.now()).min()
}

fn of_ask(ask: &Ask, levels: &Levels, view: &View<'_>) -> Option<Timestamp> {
    let now = view.now();
    match ask {
        Ask::CountIn { event, window } => {
            let seen = view.live().seen(event)?;
            let count = seen.count(window.millis(), now) as f64;
            // It only ever falls.
            let matters =
                |left: f64| levels.loose || levels.cuts.iter().any(|cut| left < *cut && count >= *cut);
            seen.falls(window.millis(), now).find(|(_, left)| matters(*left as f64)).map(|(at, _)| at)
        }
        Ask::SilentFor { event, window } => {
            let at = view.silent_since(event.as_deref()).plus_millis(window.millis());
            (at > now).then_some(at)
        }
        Ask::Since { event } => {
            let last = view.live().seen(event)?.last()?;
            days(levels, last, now)
        }
    }
}

fn of_value(path: &str, levels: &Levels, view: &View<'_>) -> Option<Timestamp> {
    match path {
        "rfm.recency" => days(levels, view.bought().last?, view.now()),
        _ => {
            let interest = view.live().interest();
            levels.at.iter().filter_map(|level| interest.reaches(*level, view.now())).min()
        }
    }
}

/// When an age in days reaches a number, and when it is above it.
fn days(levels: &Levels, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let reached = levels.at.iter().map(|level| since.plus_millis((level * DAY_MS).ceil() as i64));
    reached.flat_map(|at| [at, at.plus_millis(1)]).filter(|at| *at > now).min()
}
