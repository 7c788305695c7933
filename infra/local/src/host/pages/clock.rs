//! The stack's clock, for programs: what it shows, and, where it does not show the machine's time, moving it on.

use super::layout::{json, problem};
use crate::host::local::{LocalAnswer, PageRequest};
use crate::host::mover::Mover;
use axum::http::Response;
use bytes::Bytes;
use serde_json::json as value;
use sluice_domain::time::Timestamp;

/// The furthest that one request moves it, in milliseconds: a week.
const FURTHEST: i64 = 7 * 86_400_000;

/// How far behind the clock a time may be, in milliseconds: one that runs has gone on since whoever asks saw it.
const BEHIND: i64 = 60_000;

/// What it shows, and whether it may be moved.
pub(super) fn show(mover: Option<&Mover>) -> Response<Bytes> {
    match mover {
        Some(mover) => json(200, &value!({ "now": mover.now().rfc3339(), "movable": mover.is_movable() })),
        None => problem(404, "no-clock", "This stack has no clock of its own."),
    }
}

/// `POST /_local/clock?to=TIME`: answers when the clock is there and everything that came due on the way is done.
pub(super) fn put(mover: Option<&Mover>, request: &PageRequest<'_>) -> LocalAnswer {
    let Some(mover) = mover.filter(|mover| mover.is_movable()) else {
        let said = "This stack goes by the machine's clock. `sluice dev --now TIME` starts one whose clock can be moved.";
        return problem(409, "clock-not-movable", said).into();
    };
    let Some(to) = request.parameter("to").as_deref().and_then(Timestamp::parse) else {
        return problem(422, "no-such-time", "Say where to: ?to=2027-03-01T09:00:00Z.").into();
    };
    let now = mover.now();
    if to.since(now) > FURTHEST {
        return problem(422, "too-far-ahead", "That is more than a week ahead: go there in steps.").into();
    }
    if now.since(to) > BEHIND {
        let said =
            format!("The clock shows {} and only goes on: start another stack to be earlier.", now.rfc3339());
        return problem(422, "too-early", &said).into();
    }
    let mover = mover.clone();
    LocalAnswer::Later(Box::pin(async move {
        let settled = mover.move_to(to).await;
        json(200, &value!({ "now": mover.now().rfc3339(), "settled": settled }))
    }))
}
