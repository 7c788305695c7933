//! What counters are kept of.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What a counter is about. Names of documents and steps, which hold neither `/` nor `#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A form or source.
    Source(String),
    /// An advertisement, as the address of the page named it: `utm_source`, and `utm_campaign` if it was there.
    Ad(String, Option<String>),
    /// A journey as a whole.
    Journey(String),
    /// A step of a journey that sends.
    Step(String, String),
    /// A campaign, and which of its variants by place; of one without, and of who got nothing, the campaign alone.
    Campaign(String, Option<u8>),
    /// A team.
    Team(String),
    /// A rep.
    Rep(String),
    /// Orders that nothing known brought.
    Nothing,
}

/// What kinds of key there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Forms and sources.
    Source,
    /// Advertisements.
    Ad,
    /// Journeys.
    Journey,
    /// Steps of journeys.
    Step,
    /// Campaigns.
    Campaign,
    /// Teams.
    Team,
    /// Reps.
    Rep,
    /// What nothing brought.
    Nothing,
}

impl Dimension {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Source,
        Self::Ad,
        Self::Journey,
        Self::Step,
        Self::Campaign,
        Self::Team,
        Self::Rep,
        Self::Nothing,
    ];

    /// The word that keys of the kind begin with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Ad => "ad",
            Self::Journey => "journey",
            Self::Step => "step",
            Self::Campaign => "campaign",
            Self::Team => "team",
            Self::Rep => "rep",
            Self::Nothing => "nothing",
        }
    }

    /// What all keys of the kind begin with, and no others.
    pub fn prefix(self) -> String {
        match self {
            Self::Nothing => self.name().to_owned(),
            other => format!("{}/", other.name()),
        }
    }
}

/// The longest name of an advertisement, in bytes: anybody may write one into an address.
const LONGEST: usize = 60;

impl Key {
    /// An advertisement by what an address says; nothing if it names none.
    pub fn ad(source: &str, campaign: Option<&str>) -> Option<Self> {
        let source = Some(plain(source)).filter(|source| !source.is_empty())?;
        Some(Self::Ad(source, campaign.map(plain).filter(|campaign| !campaign.is_empty())))
    }

    /// Of which kind.
    pub const fn dimension(&self) -> Dimension {
        match self {
            Self::Source(_) => Dimension::Source,
            Self::Ad(..) => Dimension::Ad,
            Self::Journey(_) => Dimension::Journey,
            Self::Step(..) => Dimension::Step,
            Self::Campaign(..) => Dimension::Campaign,
            Self::Team(_) => Dimension::Team,
            Self::Rep(_) => Dimension::Rep,
            Self::Nothing => Dimension::Nothing,
        }
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
        let one = |text: &str| (!text.is_empty() && !text.contains('/')).then(|| text.to_owned());
        let two = |text: &str| {
            let (first, second) = text.split_once('/')?;
            Some((one(first)?, one(second)?))
        };
        match kind {
            "source" => one(rest).map(Self::Source),
            "ad" if rest.contains('/') => {
                two(rest).map(|(source, campaign)| Self::Ad(source, Some(campaign)))
            }
            "ad" => one(rest).map(|source| Self::Ad(source, None)),
            "journey" => one(rest).map(Self::Journey),
            "step" => two(rest).map(|(journey, step)| Self::Step(journey, step)),
            "campaign" => match rest.split_once('/') {
                None => one(rest).map(|name| Self::Campaign(name, None)),
                Some((name, variant)) => Some(Self::Campaign(one(name)?, Some(variant.parse().ok()?))),
            },
            "team" => one(rest).map(Self::Team),
            "rep" => one(rest).map(Self::Rep),
            "nothing" if text == "nothing" => Some(Self::Nothing),
            _ => None,
        }
    }
}

/// Letters, digits and a few signs in lower case; whatever else is `-`, so that no address and no name of a person that
/// somebody put there can be read.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.trim().chars().flat_map(char::to_lowercase) {
        let c = if c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ') { c } else { '-' };
        if plain.len() + c.len_utf8() > LONGEST {
            break;
        }
        plain.push(c);
    }
    plain.trim_end().to_owned()
}

/// `source/contact`, `step/welcome/send.welcome`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.dimension().name();
        match self {
            Self::Source(name)
            | Self::Journey(name)
            | Self::Campaign(name, None)
            | Self::Team(name)
            | Self::Rep(name)
            | Self::Ad(name, None) => {
                write!(f, "{kind}/{name}")
            }
            Self::Ad(source, Some(campaign)) => write!(f, "{kind}/{source}/{campaign}"),
            Self::Step(journey, step) => write!(f, "{kind}/{journey}/{step}"),
            Self::Campaign(name, Some(variant)) => write!(f, "{kind}/{name}/{variant}"),
            Self::Nothing => f.write_str(kind),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        let wrong = || {
            format!(
                "`{text}` is nothing that is counted; write it like `source/contact`, `ad/google/spring`, \
                     `journey/welcome`, `step/welcome/send.hello`, `campaign/spring`, `team/dach` or `rep/ann`"
            )
        };
        Self::parse(&text).ok_or_else(|| D::Error::custom(wrong()))
    }
}
