//! What a column of a file is read as.

use crate::lead::names::is_written;
use crate::lead::{ATTRIBUTION, is_nearly, standard_field};
use crate::policy::Form;
use crate::time::Timestamp;

/// Names of the column that says when somebody sent what the row says, compared as field names are.
const SUBMITTED: [&str; 9] = [
    "createdat",
    "created",
    "createdtime",
    "createddate",
    "submittedat",
    "submitted",
    "submissiondate",
    "submissiontime",
    "timestamp",
];

/// What a column is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A standard field: `email`, `first_name`, …
    Standard(&'static str),
    /// Where the lead came from.
    Attribution,
    /// When it was sent.
    Submitted,
    /// The form's consent box.
    Consent,
    /// The form's field that people cannot see: left out.
    Hidden,
    /// No field that has a meaning; kept with the lead, for rules and people to read.
    Other,
}

impl Column {
    /// The word used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard(name) => name,
            Self::Attribution => "attribution",
            Self::Submitted => "submitted_at",
            Self::Consent => "consent",
            Self::Hidden => "honeypot",
            Self::Other => "other",
        }
    }
}

/// What a column of this name is for a form. Names are compared as those of fields are: as written first.
pub fn column(name: &str, form: &Form) -> Column {
    own(name, form, is_written)
        .or_else(|| standard_field(name, &form.fields).map(Column::Standard))
        .or_else(|| own(name, form, |name, own| is_nearly(name, own, &form.fields)))
        .unwrap_or_else(|| other(name))
}

/// Whether it is a field of the form's own.
fn own(name: &str, form: &Form, is_meant: impl Fn(&str, &str) -> bool) -> Option<Column> {
    let is_hidden = form.honeypot.as_deref().is_some_and(|own| is_meant(name, own));
    let is_consent = || form.consent.as_ref().is_some_and(|consent| is_meant(name, &consent.field));
    is_hidden.then_some(Column::Hidden).or_else(|| is_consent().then_some(Column::Consent))
}

fn other(name: &str) -> Column {
    if ATTRIBUTION.contains(&name) {
        Column::Attribution
    } else if SUBMITTED.contains(&crate::lead::plain(name).as_str()) {
        Column::Submitted
    } else {
        Column::Other
    }
}

/// When a row was sent: RFC 3339, a count of seconds or milliseconds, or a date with or without a time, which counts as UTC.
pub fn submitted_at(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| {
        let text = text.trim();
        let at = text.parse::<jiff::civil::DateTime>().ok().or_else(|| {
            Some(text.parse::<jiff::civil::Date>().ok()?.to_datetime(jiff::civil::Time::midnight()))
        })?;
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Timestamp(at.timestamp().as_millisecond()))
    })
}
