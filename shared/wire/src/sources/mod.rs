//! Where leads come from besides our own forms, what mail providers say of our mails, what shops say of orders, and the tracking
//! libraries that events come from: one file per sender, one line each in [`registry`].
//!
//! A source checks that a call is its sender's before anything else looks at it, and says what it brings: leads,
//! feedback or events. It decides nothing and stores nothing.

mod calendly;
mod contact_form_7;
mod douyin;
mod draft;
mod elementor;
mod feiyu;
mod google;
mod gravity_forms;
pub mod hubspot;
mod jotform;
mod json;
pub mod linkedin;
pub mod meta;
mod names;
mod netlify;
mod shop;
mod shopify;
mod signature;
mod sns;
mod tally;
mod tiktok;
mod tracker;
mod typeform;
mod unwritten;
mod webflow;
mod woocommerce;

#[cfg(test)]
mod tests;

use crate::{
    body::{self, BodyFlag, FileNote, MAX_WITH_FILES},
    http::{HttpRequest, HttpResponse},
    problem::Problem,
    sns::Certificate,
};
use bytes::Bytes;
use sluice_domain::{
    event::Happened,
    feedback::Feedback,
    id::LeadId,
    lead::{ConsentProof, MarkKind},
    pii::Pii,
    policy::{Auth, Source as Document},
    time::Timestamp,
};
use std::{collections::BTreeMap, fmt};

/// One kind of sender.
pub trait Source: Sync {
    /// The name in policies, such as `meta`.
    fn kind(&self) -> &'static str;

    /// Where in the sender's settings our address goes, and what else to set there.
    fn setup(&self) -> &'static str;

    /// How this sender can prove itself, best first. One that signs each call has to.
    fn proofs(&self) -> &'static [Auth] {
        &[Auth::Signature]
    }

    /// The secrets an operator has to supply with `auth: signature`.
    fn needs(&self) -> &'static [Need] {
        &[]
    }

    /// The settings of its own that a document of this type may have.
    fn settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it is a tracking library: it calls routes of its own, see [`crate::track`], and nothing below `/hooks`.
    fn is_tracker(&self) -> bool {
        false
    }

    /// Whether a lead may come as the query of a GET.
    fn takes_get(&self) -> bool {
        false
    }

    /// Whether what it posts may have files in it, in whatever encoding; their content is not kept.
    fn takes_files(&self) -> bool {
        false
    }

    /// The answer to the handshake with which some senders test an address; `None` where `request` is none. A POST is
    /// verified before, a GET is not.
    fn challenge(&self, _request: &HttpRequest, _secrets: &Secrets) -> Option<HttpResponse> {
        None
    }

    /// Where the certificate is found that proves a request, for a sender who says so in each. What can be refused
    /// without it is refused here, before anything is fetched.
    fn certificate(&self, _delivery: &Delivery<'_>) -> Result<Option<String>, Refusal> {
        Ok(None)
    }

    /// Whether a request comes from the sender: over the raw bytes, in constant time, with any of the secrets. Without
    /// a secret everything is refused. Asked with `auth: signature` only.
    fn verify(&self, _delivery: &Delivery<'_>) -> Result<(), Refusal> {
        Err(Refusal::NoSecret)
    }

    /// What a believed request says of the subscription by which the sender posts here.
    fn subscription(&self, _delivery: &Delivery<'_>) -> Result<Option<Subscription>, Problem> {
        Ok(None)
    }

    /// The leads a believed request announces, at most one for each external id; what is not about leads is left out.
    /// Fails only where the body as a whole cannot be read.
    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem>;

    /// What a believed request says of leads that were announced before, or will be.
    fn marks(&self, _delivery: &Delivery<'_>) -> Result<Vec<Mark>, Problem> {
        Ok(Vec::new())
    }

    /// What a believed request says of mails of ours.
    fn feedback(&self, _delivery: &Delivery<'_>) -> Result<Vec<Feedback>, Problem> {
        Ok(Vec::new())
    }

    /// What a believed request says that people did: what shops tell of orders.
    fn events(&self, _delivery: &Delivery<'_>) -> Result<Vec<Happened>, Problem> {
        Ok(Vec::new())
    }

    /// What this sender takes for success, once every lead of its request is stored.
    fn answer(&self, _delivery: &Delivery<'_>, _accepted: &[LeadId]) -> HttpResponse {
        HttpResponse::empty(200)
    }
}

/// The largest body in bytes that is taken of that source.
pub fn most_bytes(source: &dyn Source, request: &HttpRequest) -> usize {
    if source.takes_files() { MAX_WITH_FILES } else { body::most_bytes(request) }
}

/// Every kind of sender, by name.
pub fn registry() -> &'static [&'static dyn Source] {
    &[
        &calendly::Calendly,
        &contact_form_7::ContactForm7,
        &douyin::Douyin,
        &elementor::Elementor,
        &feiyu::Feiyu,
        &google::Google,
        &gravity_forms::GravityForms,
        &hubspot::Hubspot,
        &jotform::Jotform,
        &json::Json,
        &linkedin::Linkedin,
        &meta::Meta,
        &netlify::Netlify,
        &shopify::Shopify,
        &tracker::POSTHOG,
        &tracker::RUDDERSTACK,
        &tracker::SEGMENT,
        &sns::Sns,
        &tally::Tally,
        &tiktok::Tiktok,
        &typeform::Typeform,
        &webflow::Webflow,
        &woocommerce::Woocommerce,
    ]
}

/// The source of that kind.
pub fn find(kind: &str) -> Option<&'static dyn Source> {
    registry().iter().copied().find(|source| source.kind() == kind)
}

/// The name of the secret that holds the key of a tracking library of that kind; `None` for other senders.
pub fn key_of_tracker(kind: &str) -> Option<&'static str> {
    let tracker = find(kind).filter(|source| source.is_tracker())?;
    tracker.needs().first().map(|need| need.name)
}

/// One request of a source.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// As it came.
    pub request: &'a HttpRequest,
    /// The source's document.
    pub document: &'a Document,
    /// Its secrets.
    pub secrets: &'a Secrets,
    /// What was fetched from where [`Source::certificate`] says.
    pub certificate: Option<&'a Certificate>,
    /// When it came.
    pub now: Timestamp,
}

/// Whether a request is to be believed, by what its source's document says of proof. Nothing is to be done with one
/// that is not.
pub fn believe(source: &dyn Source, delivery: &Delivery<'_>) -> Result<(), Refusal> {
    let believed = match delivery.document.auth {
        auth if !source.proofs().contains(&auth) => Err(Refusal::Proof),
        Auth::Signature => source.verify(delivery),
        Auth::UrlKey => {
            let given = delivery.request.query_value(KEY_PARAMETER).filter(|key| !key.is_empty());
            let given = given.as_deref().or_else(|| bearer(delivery.request));
            signature::key(delivery.secrets.all(URL_KEY.name), given)
        }
        Auth::Public => Ok(()),
    };
    believed.map_err(|refusal| refusal.by(delivery.secrets))
}

/// The token of `Authorization: Bearer`, where clients of an API put a key.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The secrets a source of that kind needs with that proof.
pub fn needs(source: &dyn Source, auth: Auth) -> &'static [Need] {
    match auth {
        Auth::Signature => source.needs(),
        Auth::UrlKey => &[URL_KEY],
        Auth::Public => &[],
    }
}

/// One thing an operator supplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its name in [`Secrets`] and in the source's policy document.
    pub name: &'static str,
    /// What it is and where to find it.
    pub what: &'static str,
}

/// The query parameter of `auth: url_key`.
pub const KEY_PARAMETER: &str = "key";

/// What `auth: url_key` needs.
const URL_KEY: Need = Need {
    name: "url_key",
    what: "A long random text of your own, such as `openssl rand -hex 24` prints: the ?key= of the address, or the bearer token.",
};

/// The secrets of one source by name: the current value and, while it is being changed, the previous one. One that could not be
/// read has its place among them and no value: nothing is believed for it.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Vec<Option<Pii<String>>>>);

impl Secrets {
    /// The same secrets and one more value. An empty value is none: anybody can sign with it.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        let value: String = value.into();
        if !value.trim().is_empty() {
            self.0.entry(name.to_owned()).or_default().push(Some(Pii::new(value)));
        }
        self
    }

    /// The same secrets and one more whose value could not be read.
    pub fn with_unread(mut self, name: &str) -> Self {
        self.0.entry(name.to_owned()).or_default().push(None);
        self
    }

    /// Whether the value of any could not be read.
    pub fn has_unread(&self) -> bool {
        self.0.values().flatten().any(Option::is_none)
    }

    /// Whether the value given is one of that name's.
    pub fn accept(&self, name: &str, given: &str) -> bool {
        signature::key(self.all(name), Some(given)).is_ok()
    }

    /// Every value of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().flatten().map(|value| value.reveal().as_str())
    }

    /// The current value of that name; none if just that could not be read.
    pub fn current(&self, name: &str) -> Option<&str> {
        let first = self.0.get(name)?.first()?;
        first.as_ref().map(|value| value.reveal().as_str())
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
    /// The signature is good, and of another time.
    Stale,
    /// There is no key.
    KeyMissing,
    /// The key is none of ours.
    KeyWrong,
    /// The document asks for a proof that this type does not give.
    Proof,
    /// The signature's certificate is not valid now.
    Expired,
    /// What is to prove it is not where this sender keeps such things.
    Address,
    /// It is of a topic that the document does not list.
    Topic,
    /// It is of a kind of which is not known what proves it.
    Kind,
    /// None of the secrets that could be read proves it, and one could not be.
    Unread,
}

impl Refusal {
    /// The same refusal, unless a secret that could not be read might have said otherwise.
    pub fn by(self, secrets: &Secrets) -> Self {
        match self {
            Self::NoSecret | Self::Wrong | Self::KeyWrong if secrets.has_unread() => Self::Unread,
            _ => self,
        }
    }
}

/// Seconds after which a sender is to try again whose secret could not be read.
const AGAIN: u32 = 5;

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
            Refusal::Stale => (
                "signature-stale",
                "The signature was made more than five minutes from now. Send the request anew, with the right time.",
            ),
            Refusal::Expired => ("certificate-expired", "The certificate of the signature is not valid now."),
            Refusal::KeyMissing => ("key-missing", "The request carries no key."),
            Refusal::KeyWrong => ("key-wrong", "The key is not the one configured for this source."),
            Refusal::Proof => (
                "proof-unsuitable",
                "The `auth` of this source's document does not suit its type. `sluice validate` says what does.",
            ),
            Refusal::Address => (
                "certificate-foreign",
                "The request names a certificate that is not kept at an address of its sender's.",
            ),
            Refusal::Topic => (
                "topic-unknown",
                "This topic is none of the `topics` in the source's document. Add its ARN there if it is yours.",
            ),
            Refusal::Kind => {
                ("message-type-unknown", "There is no message of this type. Send one that is documented.")
            }
            Refusal::Unread => {
                ("unavailable", "This could not be checked just now. Send it again in a few seconds.")
            }
        };
        let status = match refusal {
            Refusal::Topic => 403,
            Refusal::Kind => 400,
            Refusal::Unread => return Self::new(503, name, detail).retry_after(AGAIN),
            _ => 401,
        };
        Self::new(status, name, detail)
    }
}

/// A lead as its sender announced it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SourceLead {
    /// The sender's own id of the lead: the same again when it is delivered again. Senders without one are given a
    /// fresh id each time, and their repeats are recognised by what they say.
    pub external_id: Option<String>,
    /// Name and value in the order sent; standard names where the sender's field has one.
    pub fields: Vec<(String, String)>,
    /// Files that came with it.
    pub files: Vec<FileNote>,
    /// What could not be read as sent.
    pub flags: Vec<BodyFlag>,
    /// The body, where `flags` says that `fields` is not all of it.
    pub raw: Option<Bytes>,
    /// What the person agreed to.
    pub consent: Option<ConsentProof>,
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
            .field("flags", &self.flags)
            .field("attribution", &self.attribution)
            .field("created_at", &self.created_at)
            .field("needs_enrichment", &self.needs_enrichment)
            .field("test", &self.test)
            .finish()
    }
}

/// Something a sender says of a lead it announced: written down beside the lead, whether that is there yet or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The lead's id at the sender.
    pub external_id: String,
    /// What it says.
    pub kind: MarkKind,
}

/// What a sender says of a subscription to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// It begins once this address is called.
    Confirm(String),
    /// It was taken back: nothing more will come.
    Ended,
}

/// The id of a source's lead: the same again for the same id of the sender's, or a fresh one.
pub fn lead_id(source: &str, external_id: &str) -> LeadId {
    LeadId::derived(&["source", source, external_id])
}
