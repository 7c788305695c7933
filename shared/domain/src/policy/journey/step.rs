//! The steps of a journey as documents write them: `- wait: 2d`, or with a name `- nudge: { send: … }`.

use super::super::{Period, Webhook};
use crate::calendar::LocalHours;
use crate::message::{Channel, OnUnknown, Otherwise, Replacement};
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, EnumAccess, Error, IntoDeserializer, MapAccess, VariantAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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
    Stage(SetStage),
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
            Self::Stage(stage) => stage.to.clone(),
            Self::Untag(name) | Self::Enrol(name) | Self::Goto(name) => name.clone(),
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

/// A stage: `active`, or `{ lifecycle: sales, to: active }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStage {
    /// Of this set of stages; absent is the one that has a stage of this name.
    pub lifecycle: Option<String>,
    /// The stage.
    pub to: String,
}

/// Points to add; negative ones are taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Points {
    /// To the fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<i32>,
    /// To the interest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interest: Option<i32>,
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

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.label {
            None => self.act.serialize(serializer),
            Some(label) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(label, &self.act)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a step such as `wait: 2d`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Step, E> {
                match word {
                    "end" => Ok(Step { label: None, act: Act::End(Nothing {}) }),
                    other => Err(E::custom(format!("a step says what it does: `{other}: …`"))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Step, A::Error> {
                let Some(key) = map.next_key::<String>()? else {
                    return Err(A::Error::custom(format!("an empty step; one of {}", KINDS.join(", "))));
                };
                let step = if KINDS.contains(&key.as_str()) {
                    let act = Act::deserialize(Written { key, map: &mut map })?;
                    Step { label: None, act }
                } else {
                    let act = map.next_value_seed(Named(&key))?;
                    Step { label: Some(key), act }
                };
                match map.next_key::<String>()? {
                    None => Ok(step),
                    Some(more) => Err(A::Error::custom(format!(
                        "a step does one thing: begin another with `- {more}: …`"
                    ))),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// What stands behind a label.
struct Named<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = Act;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Act, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Named<'_> {
    fn wrong<E: Error>(&self) -> E {
        let (name, known) = (self.0, KINDS.join(", "));
        E::custom(format!(
            "`{name}` is no kind of step ({known}); as the name of one it is followed by the step: `{name}: {{ wait: 2d }}`"
        ))
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = Act;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step such as `{ wait: 2d }`")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Act, E> {
        if word == "end" { Ok(Act::End(Nothing {})) } else { Err(self.wrong()) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Act, A::Error> {
        let key = map.next_key::<String>()?.unwrap_or_default();
        if !KINDS.contains(&key.as_str()) {
            return Err(self.wrong());
        }
        let act = Act::deserialize(Written { key, map: &mut map })?;
        match map.next_key::<String>()? {
            None => Ok(act),
            Some(more) => Err(A::Error::custom(format!("a step does one thing, and `{more}` is another"))),
        }
    }
}

/// A key that was read already, with its value to come, as an enum's variant.
struct Written<'a, A> {
    key: String,
    map: &'a mut A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Written<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Written<'_, A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), A::Error> {
        let key: StringDeserializer<A::Error> = self.key.clone().into_deserializer();
        Ok((seed.deserialize(key)?, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Written<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.map.next_value()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("a step's value is one value"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("a step's value is one value"))
    }
}

/// A type that is written as one word or as a mapping.
macro_rules! word_or_mapping {
    ($type:ty, $written:ident, $expected:literal, $word:expr, $short:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;
                impl<'de> Visitor<'de> for Reader {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        let read: fn(&str) -> Result<$type, String> = $word;
                        read(text).map_err(E::custom)
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$type, A::Error> {
                        let written = $written::deserialize(MapAccessDeserializer::new(map))?;
                        written.try_into().map_err(A::Error::custom::<String>)
                    }
                }
                deserializer.deserialize_any(Reader)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let short: fn(&$type) -> Option<&str> = $short;
                match short(self) {
                    Some(word) => serializer.serialize_str(word),
                    None => $written::from(self.clone()).serialize(serializer),
                }
            }
        }
    };
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTag {
    name: String,
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    length: Option<Period>,
}

impl From<TagFor> for WrittenTag {
    fn from(TagFor { name, length }: TagFor) -> Self {
        Self { name, length }
    }
}

impl TryFrom<WrittenTag> for TagFor {
    type Error = String;

    fn try_from(WrittenTag { name, length }: WrittenTag) -> Result<Self, String> {
        Ok(Self { name, length })
    }
}

word_or_mapping!(
    TagFor,
    WrittenTag,
    "a tag, or `{ name: vip, for: 30d }`",
    |text| Ok(TagFor { name: text.to_owned(), length: None }),
    |tag| tag.length.is_none().then_some(tag.name.as_str())
);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifecycle: Option<String>,
    to: String,
}

impl From<SetStage> for WrittenStage {
    fn from(SetStage { lifecycle, to }: SetStage) -> Self {
        Self { lifecycle, to }
    }
}

impl TryFrom<WrittenStage> for SetStage {
    type Error = String;

    fn try_from(WrittenStage { lifecycle, to }: WrittenStage) -> Result<Self, String> {
        Ok(Self { lifecycle, to })
    }
}

word_or_mapping!(
    SetStage,
    WrittenStage,
    "a stage, or `{ lifecycle: sales, to: active }`",
    |text| Ok(SetStage { lifecycle: None, to: text.to_owned() }),
    |stage| stage.lifecycle.is_none().then_some(stage.to.as_str())
);

fn addressee(rep: Option<String>, team: Option<String>) -> Result<Addressee, String> {
    match (rep, team) {
        (None, None) => Ok(Addressee::Owner),
        (Some(rep), None) => Ok(Addressee::Rep(rep)),
        (None, Some(team)) => Ok(Addressee::Team(team)),
        (Some(_), Some(_)) => Err("`rep` or `team`, not both; without either it is the owner".to_owned()),
    }
}

fn rep_and_team(to: Addressee) -> (Option<String>, Option<String>) {
    match to {
        Addressee::Owner => (None, None),
        Addressee::Rep(rep) => (Some(rep), None),
        Addressee::Team(team) => (None, Some(team)),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenNotify {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rep: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl From<Notify> for WrittenNotify {
    fn from(Notify { to, text }: Notify) -> Self {
        let (rep, team) = rep_and_team(to);
        Self { rep, team, text }
    }
}

impl TryFrom<WrittenNotify> for Notify {
    type Error = String;

    fn try_from(WrittenNotify { rep, team, text }: WrittenNotify) -> Result<Self, String> {
        Ok(Self { to: addressee(rep, team)?, text })
    }
}

word_or_mapping!(
    Notify,
    WrittenNotify,
    "`owner`, or `{ rep: …, text: … }` or `{ team: …, text: … }`",
    |text| match text {
        "owner" => Ok(Notify { to: Addressee::Owner, text: None }),
        other => Err(format!("`{other}`: write `owner`, `{{ rep: {other} }}` or `{{ team: {other} }}`")),
    },
    |notify| (notify.to == Addressee::Owner && notify.text.is_none()).then_some("owner")
);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTask {
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rep: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<Period>,
}

impl From<Task> for WrittenTask {
    fn from(Task { title, to, within }: Task) -> Self {
        let (rep, team) = rep_and_team(to);
        Self { title, rep, team, within }
    }
}

impl TryFrom<WrittenTask> for Task {
    type Error = String;

    fn try_from(WrittenTask { title, rep, team, within }: WrittenTask) -> Result<Self, String> {
        Ok(Self { title, to: addressee(rep, team)?, within })
    }
}

word_or_mapping!(
    Task,
    WrittenTask,
    "a title, or `{ title: …, team: …, within: 2d }`",
    |text| Ok(Task { title: text.to_owned(), to: Addressee::Owner, within: None }),
    |task| (task.to == Addressee::Owner && task.within.is_none()).then_some(task.title.as_str())
);

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Team(team) => serializer.serialize_str(team),
            Self::Hours(hours) => hours.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Until;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a team, or hours such as `{ mon-fri: \"09:00-18:00\" }`")
            }

            fn visit_str<E: Error>(self, team: &str) -> Result<Until, E> {
                Ok(Until::Team(team.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Until, A::Error> {
                LocalHours::deserialize(MapAccessDeserializer::new(map)).map(Until::Hours)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
