//! How steps are read and written: a step is a mapping of one key, and several kinds have a short form of one word.

use super::step::{Act, Addressee, KINDS, Nothing, Notify, Step, TagFor, Task, Until};
use crate::calendar::LocalHours;
use crate::policy::Period;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, EnumAccess, Error, IntoDeserializer, MapAccess, VariantAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

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
