//! Rows of a file on their way into the ledger: what the command and the API say to each other.

use crate::capture;
use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use sluice_domain::id::LeadId;
use sluice_domain::import::{Column, Kept, column, submitted_at};
use sluice_domain::lead::Envelope;
use sluice_domain::policy::Form;
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;

/// Most rows of one request.
pub const MAX_ROWS: usize = 500;
/// Largest request in bytes: well below what API Gateway and Lambda take, and done in seconds.
pub const MAX_REQUEST: usize = 1024 * 1024;
/// How far a row's time of submission may be ahead of our clock, in milliseconds: one without a zone is read as UTC, and clocks go
/// ahead of it by up to 14 hours.
const AHEAD_MS: i64 = 14 * 3_600_000;

/// `POST /api/imports`: begins a batch, or goes on with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Its name.
    pub batch: String,
    /// The form whose leads the rows are.
    pub form: String,
    /// Route the leads.
    #[serde(default)]
    pub route: bool,
    /// Tell their owners; only with `route`.
    #[serde(default)]
    pub notify: bool,
    /// The file's column names, to hear what they are read as.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The batch.
    pub batch: String,
    /// What each column is read as, by its name.
    pub columns: BTreeMap<String, String>,
}

/// One row: its number (the first after the headers is 1), its names and values in the file's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Number.
    pub n: u64,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// `POST /api/imports/{batch}/rows`, and `POST /api/imports/try` with the form and the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Trying only: the batch they would be of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Trying only: the form they would be of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// Trying only: column names, to hear what they are read as.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// In the file's order.
    pub rows: Vec<Row>,
}

/// What became of a row, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is a lead now.
    New,
    /// It was a lead of this batch before.
    Known,
    /// It cannot become a lead; `why` says so.
    Refused,
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowAnswer {
    /// Its number.
    pub n: u64,
    /// What became of it.
    pub fate: Fate,
    /// The lead's state, or that it would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<LeadId>,
    /// Whether the person was not known before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_customer: Option<bool>,
    /// What a person should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// It says when it was sent, and that is no time that can be read, or one that is still to come: the lead has none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub time_unread: bool,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl RowAnswer {
    /// An answer that says no more than this.
    pub const fn new(n: u64, fate: Fate) -> Self {
        Self {
            n,
            fate,
            state: None,
            lead: None,
            new_customer: None,
            flags: Vec::new(),
            time_unread: false,
            why: None,
        }
    }

    /// The row cannot become a lead.
    pub fn refused(n: u64, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::new(n, Fate::Refused) }
    }
}

/// The answer to rows, one for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowAnswers {
    /// In the request's order.
    pub rows: Vec<RowAnswer>,
    /// Trying only: what each column is read as, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
}

/// A lead that stays although its batch is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The row.
    pub row: u64,
    /// The lead.
    pub lead: LeadId,
    /// `worked_on`, `on_its_way` or `too_many_leads`.
    pub why: String,
}

impl Left {
    /// A lead that stays.
    pub fn new(row: u64, lead: LeadId, why: Kept) -> Self {
        Self { row, lead, why: why.name().to_owned() }
    }
}

/// The answer to `POST /api/imports/{batch}/revert`: what one call got done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverted {
    /// Leads taken back by this call.
    pub leads: u64,
    /// Customers that went with them.
    pub customers: u64,
    /// Addresses that went with them.
    pub addresses: u64,
    /// Leads met by this call that stay.
    #[serde(default)]
    pub left: Vec<Left>,
    /// Rows may still be coming in: ask again in this many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
    /// Where the next call goes on; absent when the end is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What each column is read as.
pub fn columns(form: &Form, names: &[String]) -> BTreeMap<String, String> {
    names.iter().map(|name| (name.clone(), column(name, form).name().to_owned())).collect()
}

/// What a row says of when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing.
    Unsaid,
    /// This.
    At(Timestamp),
    /// No time that can be read, or one that is still to come.
    Unread,
}

/// What a row says of when it was sent: the first of its times that can be one.
pub fn sent(form: &Form, fields: &[(String, String)], now: Timestamp) -> Sent {
    let is_time =
        |name: &str, value: &str| !value.trim().is_empty() && column(name, form) == Column::Submitted;
    let mut said = fields.iter().filter(|(name, value)| is_time(name, value)).peekable();
    if said.peek().is_none() {
        return Sent::Unsaid;
    }
    let latest = now.plus_millis(AHEAD_MS);
    let at = said.filter_map(|(_, value)| submitted_at(value)).find(|at| *at <= latest);
    at.map_or(Sent::Unread, Sent::At)
}

/// What the ledger keeps of a row: as a post of the form, with the time the row says it was sent. Consent is only what the form's
/// column says yes in.
pub fn envelope(form: &Form, fields: Vec<(String, String)>, sent: Sent) -> Result<Envelope, Problem> {
    let mut envelope = capture::from_row(form, fields)?;
    if let Sent::At(at) = sent {
        envelope.attribution.insert("created_at".to_owned(), at.rfc3339());
    }
    Ok(envelope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_column_of_a_file_is_consent_where_it_says_yes_and_nowhere_else() {
        let form: Form = serde_json::from_value(json!({"name": "contact", "consent": {
            "field": "newsletter", "topic": "product", "wording": "Write to me.", "version": "1",
        }}))
        .unwrap();
        let given = |value: &str| {
            let fields = vec![("newsletter".to_owned(), value.to_owned())];
            envelope(&form, fields, Sent::Unsaid).unwrap().consent.unwrap().given
        };
        assert!(["yes", "TRUE", "1", "x", "Ja", "Opted in"].into_iter().all(given));
        for none in ["", "no", "unsubscribed", "2026-01-05", "trade fair", "bounced"] {
            assert!(!given(none), "{none}");
        }
    }

    #[test]
    fn a_row_was_sent_when_it_says_so_in_a_time_that_can_be_read_and_has_come() {
        let now = Timestamp::parse("2026-03-01T10:00:00Z").unwrap();
        let of = |times: &[&str]| {
            let named = times.iter().zip(["created_at", "timestamp"]);
            let fields: Vec<_> = named.map(|(at, name)| (name.to_owned(), (*at).to_owned())).collect();
            sent(&Form::default(), &fields, now)
        };
        let at = |text: &str| Sent::At(Timestamp::parse(text).unwrap());
        assert_eq!((of(&[]), of(&[" "])), (Sent::Unsaid, Sent::Unsaid));
        for unread in ["05/01/2026", "yesterday", "2026-03-02T00:00:01Z", "2027-01-01"] {
            assert_eq!(of(&[unread]), Sent::Unread, "{unread}");
        }
        assert_eq!(of(&["2026-03-01 23:59:59"]), at("2026-03-01T23:59:59Z"), "a time of the farthest east");
        assert_eq!(of(&["soon", "2026-01-05"]), at("2026-01-05T00:00:00Z"));
    }
}
