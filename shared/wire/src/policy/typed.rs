//! From the tree to the document types: a serde deserializer whose errors know their place.

use super::flaw::{Flaw, Place};
use super::tree::{Entry, Node, Scalar, Value};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use sluice_domain::policy::one_of;
use std::fmt;

/// Why a tree is not of a type, and which part of it is to blame.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) part: Option<Part>,
    /// The field that is required and not there.
    pub(super) missing: Option<&'static str>,
    message: String,
    hint: Option<String>,
}

/// A part of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The entry whose key is there.
    Key(Place),
    /// The value that is there.
    Value(Place),
}

impl Mismatch {
    fn new(message: impl Into<String>) -> Self {
        Self { part: None, missing: None, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The innermost part is to blame, and it is the first to be asked.
    fn at(mut self, part: Part) -> Self {
        self.part.get_or_insert(part);
        self
    }

    pub(super) fn flaw(&self, document: Place) -> Flaw {
        let at = match self.part {
            Some(Part::Key(at) | Part::Value(at)) => at,
            None => document,
        };
        let flaw = Flaw::new(at, self.message.clone());
        match &self.hint {
            Some(hint) => flaw.hint(hint.clone()),
            None => flaw,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    /// Values are left out: the line is shown, and a value may be a secret.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = in_words(&expected.to_string());
        let error = Self::new(format!("expected {expected}, found {}", kind(found)));
        match (expected.as_str(), found) {
            ("a list", Unexpected::Map) => error.hint("each item starts with `- `"),
            ("a list", _) => error.hint("write it as a list, even of one: `[…]`"),
            _ => error,
        }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unsigned(_) => Self::new("this number is too large"),
            _ => Self::invalid_type(found, expected),
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let is_word = field.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let hint = match is_word {
            true => one_of(field, expected.iter().copied()),
            false => "inside { } a comma ends a value: put a condition that holds one in quotes".to_owned(),
        };
        Self::new(format!("unknown field `{field}`")).hint(hint)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("`{variant}` is none of the words for this"))
            .hint(one_of(variant, expected.iter().copied()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("`{field}` is missing here")) }
    }
}

fn in_words(expected: &str) -> String {
    match expected {
        "a string" | "string" | "str" | "a borrowed string" => "text",
        "a sequence" => "a list",
        "a map" | "newtype variant" => "a mapping",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    }
    .to_owned()
}

fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Signed(n) if n < 0 => "a negative number",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::NewtypeVariant | Unexpected::StructVariant => "a mapping",
        Unexpected::UnitVariant => "a word",
        _ => "text",
    }
}

impl Node {
    fn blame(&self) -> impl FnOnce(Mismatch) -> Mismatch {
        let part = Part::Value(self.at);
        move |error| error.at(part)
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match &self.value {
            Value::Scalar(scalar) => scalar.visit(visitor),
            Value::List(items) => visitor.visit_seq(Items(items.iter())),
            Value::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), value: None }),
        }
        .map_err(self.blame())
    }

    /// Text is what was written, so that a plain `+14155550100` or `1.10` stays as it is.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.text() {
            Some(text) if !self.is_null() => visitor.visit_borrowed_str(text).map_err(self.blame()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }.map_err(self.blame())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self).map_err(self.blame())
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match &self.value {
            Value::Scalar(scalar) if !scalar.is_null() => {
                let word: StrDeserializer<'_, Mismatch> = scalar.text.as_str().into_deserializer();
                visitor.visit_enum(word)
            }
            Value::Map(entries) if entries.len() == 1 => match entries.first() {
                Some(entry) => visitor.visit_enum(Choice(entry)),
                None => Err(Mismatch::new("expected one key")),
            },
            _ => Err(Mismatch::new(format!("expected one of: {}", variants.join(", ")))),
        }
        .map_err(self.blame())
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl Scalar {
    /// By the core schema of YAML 1.2: only `true` and `false` are booleans, so `no` is text and Norway stays a country.
    fn visit<'de, V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.is_null() {
            return visitor.visit_unit();
        }
        if self.is_plain() {
            match self.text.as_str() {
                "true" | "True" | "TRUE" => return visitor.visit_bool(true),
                "false" | "False" | "FALSE" => return visitor.visit_bool(false),
                text => {
                    if let Ok(number) = text.parse::<u64>() {
                        return visitor.visit_u64(number);
                    }
                    if let Ok(number) = text.parse::<i64>() {
                        return visitor.visit_i64(number);
                    }
                    let numeric = text.contains(|c: char| c.is_ascii_digit());
                    if let Some(number) = text.parse::<f64>().ok().filter(|_| numeric) {
                        return visitor.visit_f64(number);
                    }
                }
            }
        }
        visitor.visit_borrowed_str(&self.text)
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Mismatch;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        self.0.next().map(|node| seed.deserialize(node).map_err(node.blame())).transpose()
    }
}

struct Entries<'de> {
    rest: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Mismatch;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(&entry.node);
        entry.key(seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        match self.value.take() {
            // Text that its type refuses is to blame itself, not the mapping around it.
            Some(node) => seed.deserialize(node).map_err(node.blame()),
            None => Err(Mismatch::new("a value was read before its key")),
        }
    }
}

impl Entry {
    fn key<'de, S: DeserializeSeed<'de>>(&'de self, seed: S) -> Result<S::Value, Mismatch> {
        let key: StrDeserializer<'de, Mismatch> = self.name.as_str().into_deserializer();
        seed.deserialize(key).map_err(|error| error.at(Part::Key(self.at)))
    }
}

/// `name: value` as the variant of that name.
struct Choice<'de>(&'de Entry);

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Mismatch;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Mismatch> {
        Ok((self.0.key(seed)?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'de> {
    type Error = Mismatch;

    fn unit_variant(self) -> Result<(), Mismatch> {
        Err(Mismatch::new("expected a word, found a mapping").at(Part::Key(self.0.at)))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Mismatch> {
        seed.deserialize(&self.0.node)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Mismatch> {
        self.0.node.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.0.node.deserialize_any(visitor)
    }
}
