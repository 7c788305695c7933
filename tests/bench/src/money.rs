//! Dollars per million leads or messages at list prices of us-east-1. They are on aws.amazon.com/<service>/pricing and change: look
//! before quoting.

/// DynamoDB on demand, standard class: dollars per million write units.
const WRITE: f64 = 0.625;
/// DynamoDB on demand, standard class: dollars per million read units.
const READ: f64 = 0.125;
/// SQS standard queues: dollars per million requests.
const QUEUE: f64 = 0.40;
/// Lambda on arm64: dollars per GB-second.
const COMPUTE: f64 = 0.000_013_333_4;
/// Lambda: dollars per million calls.
const CALL: f64 = 0.20;
/// API Gateway, HTTP API: dollars per million requests.
const API: f64 = 1.00;
/// SES: dollars per thousand mails.
const MAIL: f64 = 0.10;

/// GB of a function. (The template's MemorySize.)
const MEMORY: f64 = 0.25;
/// A call to a service of the same region, in milliseconds; an assumption.
const TRIP: f64 = 5.0;
/// Share of a processor that 256 MB get. (Lambda: 1,769 MB are one.)
const SHARE: f64 = 256.0 / 1769.0;

/// What one lead or message uses, nothing shared with others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Write units.
    pub(crate) write: f64,
    /// Read units.
    pub(crate) read: f64,
    /// Requests to SQS, those of Lambda's pollers too.
    pub(crate) queue: f64,
    /// Calls of functions.
    pub(crate) calls: f64,
    /// Waits for a service, one after another.
    pub(crate) trips: f64,
    /// Processor time in milliseconds, services not counted.
    pub(crate) cpu: f64,
    /// Requests to the HTTP API.
    pub(crate) http: f64,
}

/// The bill of a million, by service, without mails.
pub(crate) fn bill(usage: Usage) -> Vec<(&'static str, f64)> {
    let seconds = (usage.trips * TRIP + usage.cpu / SHARE) / 1e3;
    vec![
        ("DynamoDB writes", usage.write * WRITE),
        ("DynamoDB reads", usage.read * READ),
        ("SQS", usage.queue * QUEUE),
        ("Lambda time", seconds * MEMORY * COMPUTE * 1e6),
        ("Lambda calls", usage.calls * CALL),
        ("HTTP API", usage.http * API),
    ]
}

/// What a million mails would add.
pub(crate) const fn mails() -> f64 {
    MAIL * 1e3
}

/// What the bill assumes, in words.
pub(crate) fn assumptions() -> String {
    format!(
        "assumes {TRIP} ms a call to a service, 256 MB, and processor time as measured here; one at a time"
    )
}
