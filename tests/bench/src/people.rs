//! Invented people, as many as are needed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Who posts in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mix {
    /// Everybody is new.
    New,
    /// Everybody posts the same twice.
    Repeat,
    /// Everybody posts by mail address, by phone number and by both, which makes two customers one.
    Merge,
    /// Somebody known does something that nobody reads.
    Idle,
    /// Somebody known does something that begins a journey with a message.
    Entering,
    /// Somebody known does something that begins a journey with a wait.
    Waiting,
}

/// People known by their ids.
pub(crate) const USERS: u64 = 5_000;
/// The key of the page that their events come from.
pub(crate) const WRITE_KEY: &str = "bench-write-key";

impl Mix {
    /// Where it is posted.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::New | Self::Repeat | Self::Merge => "/f/bench",
            Self::Idle | Self::Entering | Self::Waiting => "/v1/track",
        }
    }

    /// The status of what was accepted.
    pub(crate) const fn accepted(self) -> u16 {
        match self {
            Self::New | Self::Repeat | Self::Merge => 202,
            Self::Idle | Self::Entering | Self::Waiting => 200,
        }
    }
}

/// The id of somebody known.
pub(crate) fn user(n: u64) -> String {
    format!("user-{}", n % USERS)
}

fn event(run: u64, n: u64, name: &str) -> Value {
    json!({
        "writeKey": WRITE_KEY, "userId": user(n), "event": name, "messageId": format!("{run}-{n}"),
        "properties": { "plan": "team", "seats": 12, "path": "/pricing" },
        "context": { "page": { "path": "/pricing", "url": "https://shop.example/pricing" }, "locale": "de-DE" },
    })
}

/// The submission number `n` of a mix.
pub(crate) fn of(mix: Mix, run: u64, n: u64) -> Value {
    let without = |name: &str| {
        let mut lead = lead(run, n / 3);
        if let Some(lead) = lead.as_object_mut() {
            lead.remove(name);
        }
        lead
    };
    match (mix, n % 3) {
        (Mix::New, _) => lead(run, n),
        (Mix::Repeat, _) => lead(run, n / 2),
        (Mix::Merge, 0) => without("phone"),
        (Mix::Merge, 1) => without("email"),
        (Mix::Merge, _) => lead(run, n / 3),
        (Mix::Idle, _) => event(run, n, "Page Looked At"),
        (Mix::Entering, _) => event(run, n, "Signed Up"),
        (Mix::Waiting, _) => event(run, n, "Wait Started"),
    }
}

/// A submission of somebody nobody has seen: an e-mail address and a mobile number, and what forms usually ask. `run`
/// keeps the people of different phases apart; below 90.
pub(crate) fn lead(run: u64, n: u64) -> Value {
    json!({
        "first_name": "Noor",
        "last_name": format!("Jansen {n}"),
        "email": email(run, n),
        "phone": phone(run, n),
        "company": "Harbour Freight Lines",
        "employees": "250",
        "country": "DE",
        "message": "We would like to see the enterprise plan.",
        "utm_source": "newsletter",
    })
}

/// The person's address.
pub(crate) fn email(run: u64, n: u64) -> String {
    format!("noor.{run}.{n}@harbour-freight.example")
}

/// The person's mobile number: a German one of eleven digits.
pub(crate) fn phone(run: u64, n: u64) -> String {
    format!("+49151{:02}{:06}", run + 10, n % 1_000_000)
}
