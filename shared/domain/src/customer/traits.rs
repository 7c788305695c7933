//! What `identify` says about a person: standard fields under the names that tracking libraries use, and whatever else is
//! short enough to be a fact.

use super::{By, Customer, Identity, IdentityKind};
use crate::event::{Event, EventKind, key_of};
use crate::identity::{Email, Phone};
use crate::lead::standard_field;
use crate::pii::Pii;
use crate::policy::{FieldMap, PolicySet};
use crate::time::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The longest value of a fact, in bytes.
const LONGEST: usize = 120;

/// The traits of one event, read.
#[derive(Clone, Debug, Default)]
pub struct Traits {
    /// Facts by name.
    facts: BTreeMap<String, Pii<String>>,
    /// E-mail and phone that identify somebody; junk is left out.
    pub identities: Vec<Identity>,
    at: Timestamp,
    source: String,
    /// Of the event, if its source is believed.
    tie: Option<String>,
}

impl Traits {
    /// What an event says about its person: `identify`, and calls that bring something along (PostHog's `$set`).
    pub fn of(event: &Event, policies: &PolicySet) -> Self {
        let mut read = Self { at: event.at, source: event.source.clone(), ..Self::default() };
        let says = matches!(event.kind, EventKind::Identify | EventKind::Track);
        if !says || event.traits.reveal().is_empty() {
            return read;
        }
        let source = policies.sources.get(&event.source);
        read.tie = source.is_some_and(|source| source.trusted).then(|| event.id.tie().to_owned());
        let mut plain = BTreeMap::new();
        flatten("", event.traits.reveal(), &mut plain);
        let map = source.map(|source| &source.fields);
        let no_map = FieldMap::new();
        let country = source.and_then(|source| source.default_country);
        let standard = |name: &str| standard_field(name, map.unwrap_or(&no_map));
        let named = plain.iter().find(|(name, _)| standard(name) == Some("country"));
        let country = named.and_then(|(_, value)| crate::identity::Country::parse(value)).or(country);
        for (name, value) in plain {
            let value = value.trim();
            let field = standard(&name);
            let kept = match field {
                // Ids are the call's own, never a trait.
                Some("external_id" | "wechat_unionid" | "wechat_openid" | "wechat_id" | "ad_user_id") => None,
                Some("email") => Email::parse(value).ok().map(|email| {
                    if !policies.settings.junk.is_junk_email(&email) {
                        read.identities.push(Identity::new(IdentityKind::Email, email.match_key()));
                    }
                    email.as_sent().to_owned()
                }),
                Some("phone") => Phone::parse(value, country).ok().map(|phone| {
                    if !policies.settings.junk.is_junk_phone(&phone) {
                        read.identities.push(Identity::new(IdentityKind::Phone, phone.e164().to_owned()));
                    }
                    phone.e164().to_owned()
                }),
                Some("country") => crate::identity::Country::parse(value).map(|country| country.to_string()),
                Some("language") => {
                    crate::identity::Language::parse(value).map(|language| language.to_string())
                }
                _ => Some(value.to_owned()),
            };
            let name = field.map_or_else(|| key_of(&name), str::to_owned);
            if let Some(value) = kept.filter(|value| !value.is_empty() && value.len() <= LONGEST)
                && !name.is_empty()
                && name.len() <= LONGEST
            {
                read.facts.entry(name).or_insert(Pii::new(value));
            }
        }
        read.identities.sort_by_key(|identity| identity.kind);
        read.identities.dedup();
        read
    }

    /// The names of the facts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.facts.keys().map(String::as_str)
    }

    /// Whether a record lacks any of it.
    pub fn change(&self, record: &Customer) -> bool {
        let mut after = record.clone();
        self.apply(&mut after)
    }

    /// Takes it down on a record. Whether anything changed.
    pub fn apply(&self, record: &mut Customer) -> bool {
        let mut changed = false;
        let by = By { source: &self.source, at: self.at, tie: self.tie.as_deref() };
        for (name, value) in &self.facts {
            changed |= record.note(name, value.reveal().clone(), by);
        }
        changed
    }
}

/// `{"address": {"city": …}}` is `city`, `{"company": {"name": …}}` is `company`; other objects keep the name of what they
/// are in. Lists say nothing.
fn flatten(within: &str, traits: &Map<String, Value>, plain: &mut BTreeMap<String, String>) {
    for (name, value) in traits {
        let own = match (within, name.as_str()) {
            ("", name) | ("address", name) => snake(name),
            ("company", "name") => "company".to_owned(),
            (within, name) => format!("{within}_{}", snake(name)),
        };
        match value {
            Value::String(text) => drop(plain.insert(own, text.clone())),
            Value::Number(number) => drop(plain.insert(own, number.to_string())),
            Value::Bool(word) => drop(plain.insert(own, word.to_string())),
            Value::Object(inner) if within.is_empty() => flatten(&own, inner, plain),
            _ => {}
        }
    }
}

/// `firstName` is `first_name`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut before = None;
    for c in name.chars() {
        if c.is_uppercase() && before.is_some_and(|b: char| b.is_lowercase() || b.is_numeric()) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        before = Some(c);
    }
    out
}
