//! The steps of a journey as documents write them: `- wait: 2d`, or with a name `- nudge: { send: … }`.

use super::super::{Period, Webhook};
use crate::calendar::LocalHours;
use crate::message::{Channel, OnUnknown, Otherwise, Replacement};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The words a step begins with.
pub const KINDS: [&str; 17] = [
    "send",
    "wait",
    "wait_for",
    "until_hours",
    "branch",
    "split",
    "set",
    "tag",
    "untag",
    "stage",
    "score",
    "notify",
    "task",
    "webhook",
    "enrol",
    "goto",
    "end",
];

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What other steps call it.
    pub label: Option<String>,
    /// What it does.
    pub act: Act,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A message goes out.
    Send(Send),
    /// Time passes.
    Wait(Period),
    /// Something has to happen, or time runs out.
    WaitFor(WaitFor),
    /// It goes on within these hours only.
    UntilHours(Until),
    /// The first condition that holds says where it goes on.
    Branch(Vec<Case>),
    /// Chance says where it goes on, for one person always the same: weights by label.
    Split(BTreeMap<String, u32>),
    /// Facts are set.
    Set(BTreeMap<String, Value>),
    /// A tag is put on.
    Tag(TagFor),
    /// A tag is taken off.
    Untag(String),
    /// A stage is reached.
    Stage(String),
    /// Points are added.
    Score(Points),
    /// Somebody of ours is told.
    Notify(Notify),
    /// Somebody of ours has something to do.
    Task(Task),
    /// Another system is told.
    Webhook(WebhookStep),
    /// Another journey begins.
    Enrol(String),
    /// It goes on there.
    Goto(String),
    /// That was it.
    End(Nothing),
}

/// `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl Act {
    /// The word it begins with.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Wait(_) => "wait",
            Self::WaitFor(_) => "wait_for",
            Self::UntilHours(_) => "until_hours",
            Self::Branch(_) => "branch",
            Self::Split(_) => "split",
            Self::Set(_) => "set",
            Self::Tag(_) => "tag",
            Self::Untag(_) => "untag",
            Self::Stage(_) => "stage",
            Self::Score(_) => "score",
            Self::Notify(_) => "notify",
            Self::Task(_) => "task",
            Self::Webhook(_) => "webhook",
            Self::Enrol(_) => "enrol",
            Self::Goto(_) => "goto",
            Self::End(_) => "end",
        }
    }

    /// What tells it from others of its kind, for a name; may be empty.
    pub(crate) fn gist(&self) -> String {
        match self {
            Self::Send(send) => send.template.clone(),
            Self::Wait(length) => length.to_string(),
            Self::WaitFor(wait) => wait.event.clone(),
            Self::Tag(tag) => tag.name.clone(),
            Self::Stage(name) | Self::Untag(name) | Self::Enrol(name) | Self::Goto(name) => name.clone(),
            Self::Set(facts) => facts.keys().next().cloned().unwrap_or_default(),
            Self::Notify(Notify { to, .. }) | Self::Task(Task { to, .. }) => to.to_string(),
            Self::UntilHours(Until::Team(team)) => team.clone(),
            Self::UntilHours(Until::Hours(_))
            | Self::Branch(_)
            | Self::Split(_)
            | Self::Score(_)
            | Self::Webhook(_)
            | Self::End(_) => String::new(),
        }
    }

    /// The labels it may go on at.
    pub fn labels(&self) -> Vec<&str> {
        match self {
            Self::WaitFor(wait) => wait.otherwise.as_deref().into_iter().collect(),
            Self::Branch(cases) => cases.iter().filter_map(Case::label).collect(),
            Self::Split(arms) => arms.keys().map(String::as_str).collect(),
            Self::Goto(label) => vec![label],
            _ => Vec::new(),
        }
    }

    /// The receiver that is told here.
    pub fn webhook(&self) -> Option<Webhook> {
        match self {
            Self::Webhook(step) => Some(step.receiver()),
            _ => None,
        }
    }

    /// Whether it may go on at the step behind it.
    pub fn falls_through(&self) -> bool {
        match self {
            Self::Branch(cases) => !cases.iter().any(|case| case.otherwise.is_some()),
            Self::Split(_) | Self::Goto(_) | Self::End(_) => false,
            _ => true,
        }
    }

    /// Whether nobody passes it within one instant.
    pub const fn takes_time(&self) -> bool {
        matches!(self, Self::Wait(_) | Self::WaitFor(_))
    }
}

/// A message that goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// With this template.
    pub template: String,
    /// Over this channel; absent is the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// About this.
    pub topic: String,
    /// Where a cap is reached; absent is to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_cap: Option<Otherwise>,
    /// In quiet hours; absent is to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_quiet_hours: Option<Otherwise>,
    /// What goes out instead, with `replace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Replacement>,
    /// What becomes of an unknown outcome; absent is as the channel says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<OnUnknown>,
    /// It is pointless if it could not go out within this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Period>,
}

/// Something has to happen, or time runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    /// An event of this name, after the step began.
    pub event: String,
    /// A condition the event has to meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Within this time.
    pub within: Period,
    /// Where it goes on if time runs out; absent is the next step.
    #[serde(rename = "else", default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
}

/// Hours to wait for: those of a team, by its name, or written out. Hours without a zone are the customer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// A team's.
    Team(String),
    /// These.
    Hours(LocalHours),
}

/// One way of a branch: `{ when: …, then: LABEL }`, or at the end `{ else: LABEL }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// If this holds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// it goes on here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
    /// If nothing before it holds, it goes on here; absent is the next step.
    #[serde(rename = "else", skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
}

impl Case {
    /// Where it leads.
    pub fn label(&self) -> Option<&str> {
        self.then.as_deref().or(self.otherwise.as_deref())
    }
}

/// A tag, for good or for a time: `vip`, or `{ name: vip, for: 30d }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFor {
    /// Its name.
    pub name: String,
    /// How long it stays.
    pub length: Option<Period>,
}

/// Points to add; negative ones are taken away. How well somebody fits follows from what is known of them, so it takes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// To the interest.
    pub interest: i32,
}

/// Somebody of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressee {
    /// Whoever the customer belongs to.
    #[default]
    Owner,
    /// This rep.
    Rep(String),
    /// Everybody of this team.
    Team(String),
}

impl fmt::Display for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Rep(name) | Self::Team(name) => f.write_str(name),
        }
    }
}

/// Somebody of ours is told: `owner`, or `{ rep: li.wei, text: … }`, `{ team: sdr, text: … }`, `{ text: … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Who.
    pub to: Addressee,
    /// What, besides which customer and journey it is about.
    pub text: Option<String>,
}

/// Somebody of ours has something to do: `{ title: Call them, team: sdr, within: 2d }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What.
    pub title: String,
    /// Who.
    pub to: Addressee,
    /// By when.
    pub within: Option<Period>,
}

/// Another system is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookStep {
    /// `https://…`
    pub url: String,
    /// What it is signed with: references.
    pub secrets: Vec<super::super::SecretRef>,
    /// Facts of the customer that go along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
}

impl WebhookStep {
    /// Where it goes.
    pub fn receiver(&self) -> Webhook {
        Webhook { url: self.url.clone(), secrets: self.secrets.clone() }
    }
}
