//! Policies: what people decide, as documents. Types and the checks that need more than one document.

mod access;
mod address;
mod assign;
mod behaviour;
pub mod campaign;
mod check;
mod company;
mod insight;
pub mod journey;
mod leaving;
mod messaging;
mod near;
mod response;
mod set;
mod settings;
mod size;
mod source;
mod template;
mod territory;
mod webhook;

pub use access::{Access, Masks};
pub use address::{AddressKind, AddressName};
pub use assign::{Assign, By, LanguageNeed, Need, Target};
pub use behaviour::{
    Churn, Fit, FitRule, Grade, HalfLife, Interest, InterestRule, Lifecycle, Move, Rfm, Scoring, Segment,
    Tier,
};
pub use campaign::Campaign;
pub(crate) use check::{FACTS, LEAD};
pub use check::{Finding, Other, check, doubts, is_name};
pub use company::Company;
pub use insight::{Alert, Amount, Attribution, Bound, Cost};
pub use journey::Journey;
pub use leaving::{Left, left, left_behind};
pub use messaging::{
    BodyEncoding, Cap, ChannelPolicy, ConsentRule, Messaging, Period, ProviderCall, SmtpServer, SmtpTls,
    Success, Topic, Tracking, Via,
};
pub use near::{is_like, one_of};
pub use response::{CatchAll, Point, Response, Then, Window, length};
pub use set::{BEHAVIOUR, PolicySet, Rules, SEEN_MS};
pub use settings::{Junk, Matching, Settings};
pub use size::{MAX_DOCUMENT, MAX_DOCUMENTS, too_large};
pub use source::{Encoding, SignatureScheme};
pub use template::{Body, Defaults, Piece, Template, Templates, Translation};
pub use territory::{Area, CodeRange, Codes, Territory};
pub use webhook::Subscription;

use crate::calendar::{Calendar, Hours, Leave};
use crate::id::EndpointId;
use crate::identity::{Country, Language};
use crate::message::Channel;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Standard field name to the names the form uses for it.
pub type FieldMap = BTreeMap<String, Vec<String>>;

/// One document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Document {
    /// A web form.
    Form(Form),
    /// An ad platform or form tool.
    Source(Source),
    /// A sales person.
    Rep(Rep),
    /// A team.
    Team(Team),
    /// Routing rules.
    Routing(Routing),
    /// Settings of the whole stack.
    Settings(Settings),
    /// Holidays.
    Calendar(Calendar),
    /// A part of the world.
    Territory(Territory),
    /// A way to reach customers.
    Channel(ChannelPolicy),
    /// What messages are about.
    Topic(Topic),
    /// A message.
    Template(Template),
    /// What is around messages.
    Layout(Piece),
    /// What several messages share.
    Partial(Piece),
    /// Stages of customers.
    Lifecycle(Lifecycle),
    /// Scores of customers.
    Scoring(Scoring),
    /// A segment of customers.
    Segment(Segment),
    /// What happens to whom, step by step.
    Journey(Journey),
    /// Who sees what of people.
    Access(Access),
    /// Another system that is told of events.
    Webhook(Subscription),
    /// One message to many people at a time.
    Campaign(Box<Campaign>),
    /// What was paid for what brings people.
    Cost(Cost),
    /// What somebody is to be told of.
    Alert(Alert),
}

/// The kinds of document, as `kind:` names them.
pub const KINDS: [&str; 22] = [
    "form",
    "source",
    "rep",
    "team",
    "routing",
    "settings",
    "calendar",
    "territory",
    "channel",
    "topic",
    "template",
    "layout",
    "partial",
    "lifecycle",
    "scoring",
    "segment",
    "journey",
    "access",
    "webhook",
    "campaign",
    "cost",
    "alert",
];

impl Document {
    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::Source(_) => "source",
            Self::Rep(_) => "rep",
            Self::Team(_) => "team",
            Self::Routing(_) => "routing",
            Self::Settings(_) => "settings",
            Self::Calendar(_) => "calendar",
            Self::Territory(_) => "territory",
            Self::Channel(_) => "channel",
            Self::Topic(_) => "topic",
            Self::Template(_) => "template",
            Self::Layout(_) => "layout",
            Self::Partial(_) => "partial",
            Self::Lifecycle(_) => "lifecycle",
            Self::Scoring(_) => "scoring",
            Self::Segment(_) => "segment",
            Self::Journey(_) => "journey",
            Self::Cost(_) => "cost",
            Self::Alert(_) => "alert",
            Self::Access(_) => "access",
            Self::Webhook(_) => "webhook",
            Self::Campaign(_) => "campaign",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Form(document) => &document.name,
            Self::Source(document) => &document.name,
            Self::Rep(document) => &document.name,
            Self::Team(document) => &document.name,
            Self::Routing(document) => &document.name,
            Self::Settings(document) => &document.name,
            Self::Calendar(document) => &document.name,
            Self::Territory(document) => &document.name,
            Self::Channel(document) => document.name.name(),
            Self::Topic(document) => &document.name,
            Self::Template(document) => &document.name,
            Self::Layout(document) | Self::Partial(document) => &document.name,
            Self::Lifecycle(document) => &document.name,
            Self::Scoring(document) => &document.name,
            Self::Segment(document) => &document.name,
            Self::Journey(document) => &document.name,
            Self::Cost(document) => &document.name,
            Self::Alert(document) => &document.name,
            Self::Access(document) => &document.name,
            Self::Webhook(document) => &document.name,
            Self::Campaign(document) => &document.name,
        }
    }

    /// `kind/name`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// The document as it is stored and shown, `kind` included.
    pub fn to_json(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.insert("kind".to_owned(), self.kind().into());
        }
        value
    }

    /// Reads a stored document.
    pub fn from_json(mut value: serde_json::Value) -> Result<Self, serde_json::Error> {
        use serde::de::Error;
        let kind = value.as_object_mut().and_then(|object| object.remove("kind"));
        let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default();
        Ok(match kind {
            "form" => Self::Form(serde_json::from_value(value)?),
            "source" => Self::Source(serde_json::from_value(value)?),
            "rep" => Self::Rep(serde_json::from_value(value)?),
            "team" => Self::Team(serde_json::from_value(value)?),
            "routing" => Self::Routing(serde_json::from_value(value)?),
            "settings" => Self::Settings(serde_json::from_value(value)?),
            "calendar" => Self::Calendar(serde_json::from_value(value)?),
            "territory" => Self::Territory(serde_json::from_value(value)?),
            "channel" => Self::Channel(serde_json::from_value(value)?),
            "topic" => Self::Topic(serde_json::from_value(value)?),
            "template" => Self::Template(serde_json::from_value(value)?),
            "layout" => Self::Layout(serde_json::from_value(value)?),
            "partial" => Self::Partial(serde_json::from_value(value)?),
            "lifecycle" => Self::Lifecycle(serde_json::from_value(value)?),
            "scoring" => Self::Scoring(serde_json::from_value(value)?),
            "segment" => Self::Segment(serde_json::from_value(value)?),
            "journey" => Self::Journey(serde_json::from_value(value)?),
            "cost" => Self::Cost(serde_json::from_value(value)?),
            "alert" => Self::Alert(serde_json::from_value(value)?),
            "access" => Self::Access(serde_json::from_value(value)?),
            "webhook" => Self::Webhook(serde_json::from_value(value)?),
            "campaign" => Self::Campaign(serde_json::from_value(value)?),
            other => {
                return Err(serde_json::Error::custom(format!(
                    "unknown kind `{other}`, expected one of {}",
                    KINDS.join(", ")
                )));
            }
        })
    }
}

/// How a submission's fields are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Standard field to submitted names.
    pub fields: FieldMap,
    /// Country for phone numbers and leads that name none.
    pub default_country: Option<Country>,
}

/// A web form: `POST /f/{name}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Form {
    /// Name in the URL.
    pub name: String,
    /// Standard field to the names the form uses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: FieldMap,
    /// Country for phone numbers and leads that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_country: Option<Country>,
    /// A field people cannot see; filled in, the post is from a robot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honeypot: Option<String>,
    /// Origins whose pages may post by script; `*` for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Where a browser is sent afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// The consent box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
}

/// A consent box of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The checkbox's field.
    pub field: String,
    /// What it allows.
    pub topic: String,
    /// The text shown.
    pub wording: String,
    /// Version of the text.
    pub version: String,
    /// The channels it allows; absent is e-mail.
    #[serde(default = "by_email", skip_serializing_if = "is_by_email")]
    pub channels: Vec<Channel>,
}

fn by_email() -> Vec<Channel> {
    vec![Channel::Email]
}

const fn is_false(value: &bool) -> bool {
    !*value
}

fn is_by_email(channels: &Vec<Channel>) -> bool {
    *channels == [Channel::Email]
}

/// How a source proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// A signature over the raw body.
    #[default]
    Signature,
    /// `?key=` in the URL.
    UrlKey,
    /// Nothing.
    Public,
}

impl Auth {
    /// The word used in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::UrlKey => "url_key",
            Self::Public => "public",
        }
    }
}

/// An ad platform, form tool or mail provider, which calls `/hooks/{name}`; or a tracking library, which calls routes of its
/// own with a key that names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name in the URL.
    pub name: String,
    /// Type of sender: `meta`.
    #[serde(rename = "type")]
    pub sender: String,
    /// How it proves who it is.
    #[serde(default)]
    pub auth: Auth,
    /// References to secrets by what they are for, never the secrets: `env:NAME` or `secret:NAME`. Several during a
    /// rotation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Vec<SecretRef>>,
    /// Standard field to the names the source uses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: FieldMap,
    /// Country for phone numbers and leads that name none; absent, that of the mainland for types `feiyu` and `douyin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_country: Option<Country>,
    /// Type `json`: the field that holds the sender's own id of a lead. Without it each post is a lead of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Type `json` with `auth: signature`: how it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureScheme>,
    /// Types `tiktok` and `douyin`: the events that are leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Type `hubspot`: `portal/form` of the submit route that is this source; absent is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// Type `hubspot`: where the page goes afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// Type `sns`: the ARNs of the topics to hear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Type `sns`: the certificate, in PEM, that everything has to be signed with; absent is the one that SNS names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Tracking libraries: whether its key is known to servers of ours only, so that what comes by it may replace what
    /// was known. The key in a page is everybody's: what comes by it fills in what is not known.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trusted: bool,
    /// Tracking libraries: the origins of pages that may call, or `*`. Empty allows none by script.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
}

/// Where a secret is: `env:NAME` (a variable of the function) or `secret:NAME` (Secrets Manager, below the stack's
/// prefix).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(pub String);

impl SecretRef {
    /// How variables begin that are no secrets of the documents' own: the credentials that functions run with, and what the
    /// stack and the runtime tell them.
    const RESERVED: [&str; 4] = ["AWS_", "SLUICE_", "LAMBDA_", "_"];

    /// The variable it names; none for another place, and for one that documents do not read.
    pub fn variable(&self) -> Option<&str> {
        self.0.strip_prefix("env:").filter(|_| !self.is_reserved())
    }

    /// Whether it names a variable that documents do not read.
    pub fn is_reserved(&self) -> bool {
        let name = self.0.strip_prefix("env:").map(str::to_ascii_uppercase);
        name.is_some_and(|name| Self::RESERVED.iter().any(|begin| name.starts_with(begin)))
    }
}

/// A sales person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rep {
    /// Short name, `li.wei`.
    pub name: String,
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// Where notices go by mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where notices go as signed webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Whether new leads may come.
    pub available: Availability,
    /// When they work; absent is as their team does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Absences that are planned here; the rep's own come on top.
    #[serde(skip_serializing_if = "Leave::is_empty")]
    pub leave: Leave,
    /// What they speak.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<Language>,
    /// What they can do, in words of the company's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// Open leads at most over all teams; absent is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// The rep who is their manager, besides those who lead a team of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reports_to: Option<String>,
}

/// A receiver of signed webhooks (Standard Webhooks 1.0.0).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://…`
    pub url: String,
    /// Signing secret, `whsec_…`; several during a rotation.
    pub secrets: Vec<SecretRef>,
}

impl Webhook {
    /// The receiver that it is: another URL is another one.
    pub fn endpoint(&self) -> EndpointId {
        EndpointId::derived(&[&self.url])
    }
}

/// Whether a rep takes new leads; documents say `true` or `false`, absent is `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Availability(pub bool);

impl Default for Availability {
    fn default() -> Self {
        Self(true)
    }
}

/// A team that shares leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// Who is in it; the order breaks ties.
    pub members: Vec<Membership>,
    /// The rep who leads it, and sees its leads and those of everybody below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Whether a returning customer's lead may exceed its owner's capacity.
    #[serde(default)]
    pub sticky_may_exceed: Availability,
    /// When its members work, if they have no hours of their own; absent is always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// How soon its members have to be in touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// What becomes of a lead for which nobody is on duty.
    #[serde(default, skip_serializing_if = "OffHours::is_escalate")]
    pub off_hours: OffHours,
    /// What every lead of the team asks of whoever gets it.
    #[serde(default, skip_serializing_if = "Need::is_empty")]
    pub need: Need,
}

impl Team {
    /// A rep's membership.
    pub fn member(&self, rep: &str) -> Option<&Membership> {
        self.members.iter().find(|member| member.rep == rep)
    }
}

/// What becomes of a lead while nobody of a team is on duty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffHours {
    /// The next rules are tried; after the last one the lead is escalated, which somebody is told, and goes to the first
    /// who is back.
    #[default]
    Escalate,
    /// It waits for this team: no later rule is tried, nobody is told, the first who is back gets it.
    Wait,
    /// It is shared among those outside their hours or on a holiday, but not on leave.
    Anyway,
}

impl OffHours {
    const fn is_escalate(&self) -> bool {
        matches!(self, Self::Escalate)
    }
}

/// A rep's place in a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The rep.
    pub rep: String,
    /// Share, relative to the others: 1 to 100.
    #[serde(default = "one")]
    pub weight: u32,
    /// Open leads at most; absent is unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

const fn one() -> u32 {
    1
}

/// Routing rules: the first that matches and yields somebody decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    /// `default`.
    pub name: String,
    /// In order.
    pub rules: Vec<Rule>,
}

/// One rule: what to look for, and either whom to give it to or how it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For explanations.
    pub name: String,
    /// A CEL condition over `lead` and `customer`; absent is always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Whom to give it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assign: Option<Assign>,
    /// Or: the end it reaches at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndWord>,
}

/// Ends a rule may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndWord {
    /// Not from a person.
    Spam,
    /// A trial.
    Test,
    /// Not to be approached.
    Suppressed,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
