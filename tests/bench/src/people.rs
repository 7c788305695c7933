//! Invented people, as many as are needed.

use serde_json::{Value, json};

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
