//! Whom a rule gives a lead to, and what it asks of them.

use crate::identity::Language;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whom a rule gives a lead to. Written as one mapping: `{ team: dach, need: { language: lead.language } }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Assign {
    /// To whom.
    pub target: Target,
    /// What they must bring.
    pub need: Need,
}

/// To whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `owner: customer`: the customer's owner keeps it.
    CustomersOwner,
    /// `owner: company`: who has a lead of that company already gets the next.
    CompanysOwner,
    /// The next member of a team.
    Team(String),
    /// One of several teams.
    Teams {
        /// The teams, in order.
        teams: Vec<String>,
        /// How the team is chosen.
        by: By,
    },
    /// It waits until a member of the team claims it.
    Queue(String),
    /// One rep.
    Rep(String),
}

/// How one of several teams is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The teams in turn: of those that have somebody, the one that was not served for longest.
    #[default]
    Round,
    /// The first that has somebody.
    First,
}

/// What is asked of whoever gets a lead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Need {
    /// The language to speak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageNeed>,
    /// Every one of these skills.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
}

/// A language to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanguageNeed {
    /// `lead.language`: the lead's own, if it is known.
    Leads,
    /// This one.
    This(Language),
}

const LEADS_LANGUAGE: &str = "lead.language";

impl Serialize for LanguageNeed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leads => serializer.serialize_str(LEADS_LANGUAGE),
            Self::This(language) => language.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LanguageNeed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == LEADS_LANGUAGE {
            return Ok(Self::Leads);
        }
        Language::parse(&text).map(Self::This).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no language; write `{LEADS_LANGUAGE}` or a code such as `de`"
            ))
        })
    }
}

impl Need {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The words after `owner:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OwnerWord {
    Customer,
    Company,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rep: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teams: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<By>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Need::is_empty")]
    need: Need,
}

impl TryFrom<Written> for Assign {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { owner, team, rep, teams, by, queue, need } = written;
        if by.is_some() && teams.is_none() {
            return Err("`by` goes with `teams`");
        }
        let owner = owner.map(|word| match word {
            OwnerWord::Customer => Target::CustomersOwner,
            OwnerWord::Company => Target::CompanysOwner,
        });
        let teams = teams.map(|teams| Target::Teams { teams, by: by.unwrap_or_default() });
        let mut targets =
            [owner, team.map(Target::Team), rep.map(Target::Rep), teams, queue.map(Target::Queue)]
                .into_iter()
                .flatten();
        let (Some(target), None) = (targets.next(), targets.next()) else {
            return Err("expected exactly one of `owner`, `team`, `teams`, `rep` and `queue`");
        };
        if !need.is_empty() && !matches!(target, Target::Team(_) | Target::Teams { .. }) {
            return Err("`need` chooses among the members of a team: it goes with `team` or `teams`");
        }
        Ok(Self { target, need })
    }
}

impl From<Assign> for Written {
    fn from(assign: Assign) -> Self {
        let mut written = Self { need: assign.need, ..Self::default() };
        match assign.target {
            Target::CustomersOwner => written.owner = Some(OwnerWord::Customer),
            Target::CompanysOwner => written.owner = Some(OwnerWord::Company),
            Target::Team(team) => written.team = Some(team),
            Target::Teams { teams, by } => (written.teams, written.by) = (Some(teams), Some(by)),
            Target::Queue(team) => written.queue = Some(team),
            Target::Rep(rep) => written.rep = Some(rep),
        }
        written
    }
}
