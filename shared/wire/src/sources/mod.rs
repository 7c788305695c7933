//! Where leads come from besides our own forms: one file per sender, one line each in [`registry`].
//!
//! A source checks that a call is its sender's before anything else looks at it, and says what leads it announces. It
//! decides nothing and stores nothing.

pub mod meta;
mod names;
mod signature;

use crate::{
    http::{HttpRequest, HttpResponse},
    problem::Problem,
};
use sluice_domain::{id::LeadId, pii::Pii, time::Timestamp};
use std::{collections::BTreeMap, fmt};

/// One kind of sender.
pub trait Source: Sync {
    /// The name in policies and in `/hooks/{source}` types, such as `meta`.
    fn kind(&self) -> &'static str;

    /// What an operator has to supply before this source works.
    fn needs(&self) -> &'static [Need];

    /// The answer to the handshake with which some senders test an address; `None` where `request` is none.
    fn challenge(&self, request: &HttpRequest, secrets: &Secrets) -> Option<HttpResponse>;

    /// Whether `request` comes from the sender: over the raw bytes, in constant time, with any of the secrets. Without
    /// a secret everything is refused. `now` is for senders that sign a time.
    fn verify(&self, request: &HttpRequest, secrets: &Secrets, now: Timestamp) -> Result<(), Refusal>;

    /// The leads a verified request announces, at most one for each external id; what is not about leads is left out.
    /// Fails only where the body as a whole cannot be read.
    fn leads(&self, request: &HttpRequest, now: Timestamp) -> Result<Vec<SourceLead>, Problem>;

    /// What this sender takes for success, once every lead of its request is stored.
    fn answer(&self, accepted: &[LeadId]) -> HttpResponse;
}

/// Every kind of sender, by name.
pub fn registry() -> &'static [&'static dyn Source] {
    &[&meta::Meta]
}

/// The source of that kind.
pub fn find(kind: &str) -> Option<&'static dyn Source> {
    registry().iter().copied().find(|source| source.kind() == kind)
}

/// One thing an operator supplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its name in [`Secrets`] and in the source's policy document.
    pub name: &'static str,
    /// What it is and where to find it.
    pub what: &'static str,
}

/// The secrets of one source by name: the current value and, while it is being changed, the previous one.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Vec<Pii<String>>>);

impl Secrets {
    /// The same secrets and one more value. An empty value is none: anybody can sign with it.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        let value: String = value.into();
        if !value.trim().is_empty() {
            self.0.entry(name.to_owned()).or_default().push(Pii::new(value));
        }
        self
    }

    /// Every value of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(|value| value.reveal().as_str())
    }
}

/// Why a request is not believed. Nothing of it is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The source signs, and we hold no secret to check it with.
    NoSecret,
    /// There is no signature.
    Missing,
    /// The signature is not that of the body under any of the secrets.
    Wrong,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (name, detail) = match refusal {
            Refusal::NoSecret => (
                "secret-missing",
                "No secret is configured for this source, so nothing it sends can be believed.",
            ),
            Refusal::Missing => ("signature-missing", "The request carries no signature."),
            Refusal::Wrong => {
                ("signature-wrong", "The signature does not match the body. Check the shared secret.")
            }
        };
        Self::new(401, name, detail)
    }
}

/// A lead as its sender announced it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SourceLead {
    /// The sender's own id of the lead: the same again when it is delivered again.
    pub external_id: String,
    /// Name and value in the order sent; standard names where the sender's field has one.
    pub fields: Vec<(String, String)>,
    /// Where it came from: `ad_id`, `form_id`, `page_id`, `platform` and the like. Not about the person.
    pub attribution: Vec<(String, String)>,
    /// When the person submitted it, as the sender says.
    pub created_at: Option<Timestamp>,
    /// The sender only announced it; the fields are to be fetched.
    pub needs_enrichment: bool,
    /// The sender's own test, not a person.
    pub test: bool,
}

impl fmt::Debug for SourceLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceLead")
            .field("external_id", &self.external_id)
            .field("fields", &self.fields.len())
            .field("attribution", &self.attribution)
            .field("created_at", &self.created_at)
            .field("needs_enrichment", &self.needs_enrichment)
            .field("test", &self.test)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_found_by_its_kind_and_kinds_differ() {
        for source in registry() {
            assert_eq!(find(source.kind()).unwrap().kind(), source.kind());
            assert_eq!(registry().iter().filter(|other| other.kind() == source.kind()).count(), 1);
        }
        assert!(find("carrier-pigeon").is_none());
    }

    #[test]
    fn without_a_secret_no_source_believes_anything() {
        let nothing = Secrets::default().with("app_secret", "").with("verify_token", " ");
        let request = HttpRequest { method: "POST".into(), ..HttpRequest::default() };
        for source in registry() {
            let refusal = source.verify(&request, &nothing, Timestamp(0)).unwrap_err();
            assert_eq!(refusal, Refusal::NoSecret);
            assert_eq!(Problem::from(refusal).status, 401);
        }
    }

    #[test]
    fn secrets_are_never_printed() {
        assert!(!format!("{:?}", Secrets::default().with("app_secret", "hush")).contains("hush"));
    }
}
