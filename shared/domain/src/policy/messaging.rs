//! What may be sent to customers, how and when: channels, topics, and the settings that hold for all of them.

use super::{AddressKind, AddressName, SecretRef};
use crate::calendar::{Spans, Zone};
use crate::message::{Channel, OnUnknown};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// A channel: how messages of one kind leave. Without a document e-mail goes out by SES; the others do not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelPolicy {
    /// Which: `email`, `sms` or `chat`.
    pub name: Channel,
    /// Who takes the messages.
    pub via: Via,
    /// What of a customer it writes to; absent is the e-mail address, or the phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressName>,
    /// The sender: `Shop <news@shop.example>`, or a number; absent is the stack's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where answers go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Messages a second that the provider takes, from all functions together; absent is as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// What becomes of a message whose outcome is unknown, if whoever asked for it does not say.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub unknown: OnUnknown,
    /// Messages one address gets at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// Hours of the customer's day without messages: `21:00-08:00`; absent is the settings'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<Spans>,
    /// With `via: smtp`: the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp: Option<SmtpServer>,
    /// With `via: webhook`: the call that sends one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<ProviderCall>,
}

impl ChannelPolicy {
    /// E-mail as it goes out without a document.
    pub fn usual_email() -> Self {
        Self {
            name: Channel::Email,
            via: Via::Ses,
            address: None,
            from: None,
            reply_to: None,
            rate: None,
            unknown: OnUnknown::default(),
            caps: Vec::new(),
            quiet_hours: None,
            smtp: None,
            webhook: None,
        }
    }

    /// The kind of identity it writes to.
    pub fn address_kind(&self) -> AddressKind {
        self.address_name().kind
    }

    /// What of a customer it writes to.
    pub fn address_name(&self) -> AddressName {
        self.address.clone().unwrap_or(AddressName::any(AddressKind::usual(self.name)))
    }
}

/// Who takes the messages of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Amazon SES.
    Ses,
    /// A mail server of one's own.
    Smtp,
    /// A provider with an HTTP interface, called as the document says.
    Webhook,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpServer {
    /// Its name.
    pub host: String,
    /// Its port; absent is 587, with `tls: tls` 465, without TLS 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub tls: SmtpTls,
    /// The user, if the server asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<SecretRef>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
}

impl SmtpServer {
    /// The port it is asked at.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        })
    }

    /// Whether what is said to it leaves this machine.
    pub fn is_on_this_machine(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1")
    }
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// STARTTLS, which the server has to offer.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// Not at all; only to the machine itself.
    None,
}

/// The HTTP call that hands one message to a provider. Values of `body` and `headers` may name what is in [`Self::PLACES`];
/// one that names what a message does not have, is left out of its call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderCall {
    /// `https://…`
    pub url: String,
    /// How the body is written.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub encoding: BodyEncoding,
    /// The body's fields; in JSON a name with dots makes nested objects.
    pub body: BTreeMap<String, String>,
    /// Headers besides the usual.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `Authorization: Bearer` with this secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretRef>,
    /// `Authorization: Basic` with this secret, written `user:password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<SecretRef>,
    /// Signed after Standard Webhooks with these secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRef>,
    /// Where the answer has the provider's id of the message: a path into its JSON, `messages.0.id`. Without [`Self::success`]
    /// an answer that has none there leaves the outcome unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_id: Option<String>,
    /// What in an answer of status 2xx says that the message was taken; absent is the status alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Success>,
}

impl ProviderCall {
    /// What `{{ … }}` may stand for: the address, the text, a mail's HTML and subject, the sender with its name, where
    /// answers go, where one POST ends the subscription (RFC 8058), and the message's id.
    pub const PLACES: [&str; 9] =
        ["to", "text", "html", "subject", "from", "from_name", "reply_to", "unsubscribe", "id"];

    /// The names between `{{` and `}}` of a value; none for braces that are not closed.
    pub fn places(value: &str) -> impl Iterator<Item = Option<&str>> {
        value.split("{{").skip(1).map(|rest| Some(rest.split_once("}}")?.0.trim()))
    }

    /// Whether a field of the body names this.
    fn says(&self, place: &str) -> bool {
        self.body.values().flat_map(|value| Self::places(value)).any(|name| name == Some(place))
    }

    /// Whether a field of the body has what the message says.
    pub fn says_the_message(&self) -> bool {
        self.says("text") || self.says("html")
    }

    /// Whether a field of the body has where one POST ends the subscription.
    pub fn says_unsubscribe(&self) -> bool {
        self.says("unsubscribe")
    }
}

/// What in an answer says that the provider took the message: some answer 200 and say no in the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Success {
    /// Where it stands: a path into the answer's JSON, `messages.0.status`.
    pub at: String,
    /// The values that mean that it was taken, a number by its text; `""` is that nothing stands there.
    pub is: Vec<String>,
    /// Those that say nothing about the message, such as that the provider is busy or does not know us: it waits. With all
    /// others it has failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<String>,
}

/// How the body of a provider's call is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    /// A JSON object.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// What messages are about; people say yes or no to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Short name, `product`.
    pub name: String,
    /// Name for people, by language; the first stands where a language is missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub title: BTreeMap<String, String>,
    /// What it is about, for people, by language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub description: BTreeMap<String, String>,
    /// What has to be known of a person's wish before anything is sent; absent is the settings'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentRule>,
    /// A person asked for what is sent (a receipt, an answer, a confirmation): wishes, caps and quiet hours do not hold for
    /// it, and it counts for no cap. Suppressed addresses get nothing all the same, and those of somebody who was erased only once they have confirmed
    /// anything since.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub service: bool,
    /// The template of the message that asks whether the person really wants it, which goes out when somebody says yes and
    /// has not confirmed it: where the topic wants that (double opt-in), and of whoever comes back after an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

impl Topic {
    /// A topic without a document.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: BTreeMap::new(),
            description: BTreeMap::new(),
            consent: None,
            service: name == Self::SERVICE,
            confirm: None,
        }
    }

    /// The topic of messages that a person asked for; it needs no document.
    pub const SERVICE: &'static str = "service";
    /// The most characters of a topic's name.
    pub const LONGEST: usize = 64;

    /// The name for people in a language.
    pub fn title(&self, language: Option<&str>) -> &str {
        in_language(&self.title, language).unwrap_or(&self.name)
    }

    /// What it is about, for people, in a language.
    pub fn description(&self, language: Option<&str>) -> Option<&str> {
        in_language(&self.description, language)
    }
}

/// The text in a language, else in English, else in any.
fn in_language<'a>(texts: &'a BTreeMap<String, String>, language: Option<&str>) -> Option<&'a str> {
    let own = language.and_then(|language| texts.get(language));
    own.or_else(|| texts.get("en")).or_else(|| texts.values().next()).map(String::as_str)
}

/// What has to be known of a person's wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentRule {
    /// Nobody said no.
    #[default]
    OptOut,
    /// The person said yes.
    OptIn,
    /// The person said yes and confirmed it by the link in a message.
    DoubleOptIn,
}

/// At most so many messages within a rolling time. Those of service topics go out all the same, and do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// 1 to 50.
    pub at_most: u32,
    /// Within this time, up to 90 days.
    pub within: Period,
}

impl Cap {
    /// The largest number; what a gate remembers is bounded by it.
    pub const MOST: u32 = 50;
    /// The longest time in milliseconds.
    pub const LONGEST: i64 = 90 * 86_400_000;
}

/// A length of time by the clock, written `30m`, `24h`, `7d` or `2w`; a day has 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(i64);

impl Period {
    /// Its length in milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// So many days.
    pub const fn days(days: i64) -> Self {
        Self(days * 86_400_000)
    }

    /// So many minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self(minutes * 60_000)
    }

    const UNITS: [(char, i64); 5] =
        [('w', 604_800_000), ('d', 86_400_000), ('h', 3_600_000), ('m', 60_000), ('s', 1_000)];

    /// Reads `7d`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no length of time; write it like `30m`, `24h`, `7d` or `2w`");
        let text = text.trim();
        let unit = text.chars().last().ok_or_else(wrong)?;
        let (_, millis) = Self::UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let count: i64 = text[..text.len() - 1].trim().parse().map_err(|_| wrong())?;
        let length = count.checked_mul(millis).filter(|length| *length > 0 && *length <= 3_660 * 86_400_000);
        length.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = Self::UNITS.into_iter().find(|(_, millis)| self.0 % millis == 0).unwrap_or(('s', 1_000));
        write!(f, "{}{}", self.0 / fits.1, fits.0)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What holds for messages of every channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Messaging {
    /// What has to be known of a person's wish, for topics that do not say.
    #[serde(skip_serializing_if = "super::is_default")]
    pub consent: ConsentRule,
    /// Where customers live of whom neither zone nor country is known; absent is UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Messages one person gets at most over all channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// Hours of the customer's day without messages, on channels that do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<Spans>,
    /// Temporary failures of an address within a time after which it is suppressed.
    pub soft_bounces: Cap,
    /// Whether mails carry a picture that tells when they are opened.
    #[serde(skip_serializing_if = "is_true")]
    pub track_opens: bool,
    /// Whether links of mails lead by way of us, so that it is known which are followed.
    #[serde(skip_serializing_if = "is_true")]
    pub track_clicks: bool,
}

const fn is_true(value: &bool) -> bool {
    *value
}

/// What is counted of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// Openings.
    pub opens: bool,
    /// Clicks.
    pub clicks: bool,
}

impl Messaging {
    /// What is counted of a message about a topic. Only of mails: a text message would be twice as long. Not of what a
    /// person asked for, nor of the question whether they want messages: who has not said yes is not watched.
    pub fn tracking(&self, topic: &Topic, channel: Channel, asks_for_consent: bool) -> Tracking {
        let may = channel == Channel::Email && !topic.service && !asks_for_consent;
        Tracking { opens: may && self.track_opens, clicks: may && self.track_clicks }
    }
}

impl Default for Messaging {
    fn default() -> Self {
        Self {
            consent: ConsentRule::default(),
            zone: None,
            caps: Vec::new(),
            quiet_hours: None,
            soft_bounces: Cap { at_most: 5, within: Period::days(30) },
            track_opens: true,
            track_clicks: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_and_written_alike_and_nonsense_is_refused() {
        for text in ["90s", "30m", "25h", "3d", "2w"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Period::parse("48h").unwrap(), Period::days(2));
        for text in ["", "d", "0d", "-1d", "1", "1y", "99999999999w", "５d", "d5"] {
            assert!(Period::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_topic_is_called_in_the_persons_language_else_in_english_else_by_its_name() {
        let mut topic = Topic::plain("product");
        assert_eq!(topic.title(Some("de")), "product");
        topic.title = [("en", "Product news"), ("de", "Neues zum Produkt")]
            .map(|(language, title)| (language.to_owned(), title.to_owned()))
            .into();
        assert_eq!(topic.title(Some("de")), "Neues zum Produkt");
        assert_eq!(topic.title(Some("zh")), "Product news");
        assert_eq!(topic.title(None), "Product news");
        assert_eq!(topic.description(Some("de")), None);
        topic.description = [("zh".to_owned(), "每月一次".to_owned())].into();
        assert_eq!(topic.description(Some("de")), Some("每月一次"));
    }

    #[test]
    fn openings_and_clicks_are_counted_of_mails_that_nobody_had_to_get() {
        let (settings, product) = (Messaging::default(), Topic::plain("product"));
        let both = |opens, clicks| Tracking { opens, clicks };
        assert_eq!(settings.tracking(&product, Channel::Email, false), both(true, true));
        assert_eq!(settings.tracking(&product, Channel::Sms, false), both(false, false));
        assert_eq!(settings.tracking(&product, Channel::Email, true), both(false, false));
        assert_eq!(
            settings.tracking(&Topic::plain(Topic::SERVICE), Channel::Email, false),
            both(false, false)
        );
        let no_opens: Messaging = serde_json::from_str(r#"{"track_opens": false}"#).unwrap();
        assert_eq!(no_opens.tracking(&product, Channel::Email, false), both(false, true));
        assert_eq!(serde_json::to_value(&no_opens).unwrap()["track_opens"], false);
    }
}
