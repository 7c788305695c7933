//! Settings of the whole stack.

use super::{Attribution, Churn, Company, Messaging, Rfm, is_default};
use crate::customer::{Identity, IdentityKind, Survivorship};
use crate::identity::{Email, Phone};
use serde::{Deserialize, Serialize};

/// Settings of the stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `default`.
    pub name: String,
    /// Within how many minutes the same form with the same fields is a repeat.
    pub repeat_minutes: u32,
    /// An address seen with more customers than this identifies nobody.
    pub shared_after: u32,
    /// Values that identify nobody.
    pub junk: Junk,
    /// Which value stands where the records of a joined person differ: by field, and `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub survivorship: Survivorship,
    /// The fuzzy tier.
    #[serde(skip_serializing_if = "is_default")]
    pub matching: Matching,
    /// Reps told when nobody can take a lead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub escalate_to: Vec<String>,
    /// Messages to customers.
    #[serde(skip_serializing_if = "is_default")]
    pub messaging: Messaging,
    /// Who we are, for messages to customers.
    #[serde(skip_serializing_if = "is_default")]
    pub company: Company,
    /// What buyers are worth.
    #[serde(skip_serializing_if = "is_default")]
    pub rfm: Rfm,
    /// When a customer's silence is a warning. Absent, the usual numbers hold for conditions that ask, and nobody is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn: Option<Churn>,
    /// How orders are credited to what brought their buyers.
    #[serde(skip_serializing_if = "is_default")]
    pub attribution: Attribution,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            repeat_minutes: 10,
            shared_after: 3,
            junk: Junk::default(),
            survivorship: Survivorship::default(),
            matching: Matching::default(),
            escalate_to: Vec::new(),
            messaging: Messaging::default(),
            company: Company::default(),
            rfm: Rfm::default(),
            churn: None,
            attribution: Attribution::default(),
        }
    }
}

impl Settings {
    /// The repeat window in milliseconds.
    pub const fn repeat_window_ms(&self) -> i64 {
        self.repeat_minutes as i64 * 60_000
    }
}

/// What is done about customers who are described alike and share no identity. Off, it costs nothing; on, a new
/// customer costs up to three write units more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matching {
    /// Whether they are looked for and suggested.
    pub suggest: bool,
    /// Whether those who are certainly one person are joined without asking; looks for them too.
    pub join: bool,
}

impl Matching {
    /// Whether anything is to be looked for.
    pub const fn is_on(self) -> bool {
        self.suggest || self.join
    }
}

/// The junk list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Junk {
    /// Whole addresses as [`Email::match_key`] has them: in lower case.
    pub emails: Vec<String>,
    /// Numbers in E.164: switchboards and made-up ones.
    pub phones: Vec<String>,
}

impl Default for Junk {
    fn default() -> Self {
        let emails =
            ["test@test.com", "test@example.com", "a@a.com", "none@none.com", "no@no.com", "asdf@asdf.com"];
        let phones = ["+12345678900", "+11234567890", "+8613800138000"];
        Self { emails: emails.map(str::to_owned).to_vec(), phones: phones.map(str::to_owned).to_vec() }
    }
}

impl Junk {
    /// Whether the address identifies nobody.
    pub fn is_junk_email(&self, email: &Email) -> bool {
        self.emails.iter().any(|junk| *junk == email.match_key())
    }

    /// Whether the number identifies nobody.
    pub fn is_junk_phone(&self, phone: &Phone) -> bool {
        self.phones.iter().any(|junk| junk == phone.e164())
    }

    /// Whether it is an address or a number that identifies nobody.
    pub fn is_junk(&self, identity: &Identity) -> bool {
        let listed = match identity.kind {
            IdentityKind::Email => &self.emails,
            IdentityKind::Phone => &self.phones,
            _ => return false,
        };
        listed.iter().any(|junk| junk == identity.value())
    }
}
