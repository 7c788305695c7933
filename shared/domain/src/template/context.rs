//! What is known for one message: the customer, the owner, the company, and what whoever sends it gives.

use super::fields;
use crate::access::Hidden;
use crate::customer::{Survivorship, Whole};
use crate::identity::{Country, Language, LanguageTag};
use crate::policy::{Company, Defaults, PolicySet};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// Links made for the recipient: the recipient's own, so they are never counted as clicks. What is not given cannot be
/// read: a template that does is not sent.
#[derive(Clone, Default)]
pub struct Links {
    /// Where they stop messages like this one.
    pub unsubscribe: Option<String>,
    /// Where they choose what they get.
    pub preferences: Option<String>,
    /// Where they confirm that the address is theirs.
    pub confirm: Option<String>,
}

/// What whoever sends a message gives besides what is known of the customer.
#[derive(Clone, Default)]
pub struct Given {
    /// Read as `link.…`.
    pub links: Links,
    /// Read as `lead.…`: [`crate::lead::Facts::view`] of the lead it is about.
    pub lead: Value,
    /// Read as `event.…`.
    pub event: Value,
    /// Read as `data.…`: what the sender's own program says.
    pub data: Value,
}

/// Everything a template may read for one message. Shows nothing of it in a log.
#[derive(Clone, Default)]
pub struct Context {
    pub(super) values: Map<String, Value>,
    /// What the customer reads.
    pub(super) language: Option<LanguageTag>,
    /// Values that are made up.
    pub(super) samples: BTreeSet<String>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("language", &self.language).finish_non_exhaustive()
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Known of the customer.
    Fact,
    /// The rep who owns the customer.
    Owner,
    /// The settings.
    Settings,
    /// Whoever sends the message.
    Given,
    /// The template's defaults.
    Default,
    /// Made up, for a preview.
    Sample,
    /// There is none: the template does without it, or it cannot be sent.
    Missing,
}

/// What is known for a message to a customer, with the values that survive where the records of the person differ.
pub fn context(customer: Option<&Whole<'_>>, policies: &PolicySet, given: Given) -> Context {
    let mut context = given_context(policies, given);
    if let Some(whole) = customer {
        context.language = language_of(whole, &policies.settings.survivorship);
        let facts = facts(whole, &policies.settings.survivorship);
        context.values.insert("customer".to_owned(), Value::Object(facts));
        if let Some(rep) = whole.owner().and_then(|owner| policies.reps.get(&owner.rep)) {
            let owner = json!({"name": rep.name, "full_name": rep.full_name, "email": rep.email});
            context.values.insert("owner".to_owned(), owner);
        }
    }
    context.forget_blanks();
    context
}

/// What is known for a message to an address of which nobody knows whether it is the customer's: somebody typed it and
/// named the customer. It hears of itself, as the field that it is, and nothing else of the customer; only the language
/// is theirs.
pub fn context_of_address(
    customer: &Whole<'_>,
    (field, address): (&str, &str),
    policies: &PolicySet,
    given: Given,
) -> Context {
    let mut context = given_context(policies, given);
    context.language = language_of(customer, &policies.settings.survivorship);
    context.values.insert("customer".to_owned(), json!({ field: address }));
    context.forget_blanks();
    context
}

/// What a customer reads: their language, else what people of their country read, with the country for what differs by it.
pub fn language_of(customer: &Whole<'_>, rules: &Survivorship) -> Option<LanguageTag> {
    let facts = customer.facts(rules);
    let text = |name: &str| facts.get(name).map(|fact| fact.value.reveal().as_str());
    let country = text("country").and_then(Country::parse);
    let spoken = text("language").and_then(Language::parse);
    let language = spoken.or_else(|| country?.language());
    language.map(|language| LanguageTag::of(language, country))
}

/// What whoever sends it gives, and the company.
fn given_context(policies: &PolicySet, given: Given) -> Context {
    let mut context = Context::default();
    let Given { links, lead, event, data } = given;
    let links = json!({
        "unsubscribe": links.unsubscribe, "preferences": links.preferences, "confirm": links.confirm,
    });
    let roots = [
        ("company", fields::company(&policies.settings.company)),
        ("link", links),
        ("lead", lead),
        ("event", event),
        ("data", data),
    ];
    context.values.extend(roots.map(|(root, value)| (root.to_owned(), value)));
    context
}

/// The customer's fields as templates read them; a fact with a namespace is below its kind.
fn facts(whole: &Whole<'_>, rules: &Survivorship) -> Map<String, Value> {
    let mut facts = Map::new();
    for (name, fact) in whole.facts(rules) {
        insert(&mut facts, name, Value::String(fact.value.reveal().clone()));
    }
    let text = |name: &str| {
        facts
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let (first, last) = (text("first_name"), text("last_name"));
    let full = text("full_name").or_else(|| Some(whole_name(first.as_deref()?, last.as_deref()?)));
    let addressed_as = first.or_else(|| full.clone());
    for (name, value) in [("full_name", full), (fields::ADDRESSED_AS, addressed_as)] {
        if let Some(value) = value {
            facts.insert(name.to_owned(), Value::String(value));
        }
    }
    facts
}

/// Both names in the order their writing has: 李 and 伟 are 李伟.
fn whole_name(first: &str, last: &str) -> String {
    let is_east_asian = |text: &str| text.chars().all(super::text::is_east_asian);
    if is_east_asian(first) && is_east_asian(last) {
        format!("{last}{first}")
    } else {
        format!("{first} {last}")
    }
}

impl Context {
    /// A made-up customer with an owner, and the company of the settings: what a template is tried with.
    pub fn sample(company: &Company) -> Self {
        let mut context = Self { values: fields::sample(), ..Self::default() };
        context.samples = context.values.keys().cloned().collect();
        for (root, value) in
            [("company", fields::company(company)), ("event", json!({})), ("data", json!({}))]
        {
            context.values.insert(root.to_owned(), value);
        }
        context.forget_blanks();
        context
    }

    /// The same with what a sender gives in place of what is there.
    #[must_use]
    pub fn with(mut self, root: &str, value: Value) -> Self {
        self.values.insert(root.to_owned(), value);
        self.samples.remove(root);
        self.forget_blanks();
        self
    }

    /// The same without values that whoever looks at it does not see.
    #[must_use]
    pub fn without(mut self, hidden: &Hidden) -> Self {
        self.values.values_mut().for_each(|value| hidden.scrub(value));
        self
    }

    /// The value at a path.
    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        get(&self.values, path)
    }

    /// Puts a made-up value where nothing is.
    pub(super) fn make_up(&mut self, path: &str, value: Value) {
        if self.get(path).is_none() && insert(&mut self.values, path, value) {
            self.samples.insert(path.to_owned());
        }
    }

    /// Takes the value at a path away.
    pub(super) fn forget(&mut self, path: &str) {
        let Some((parents, name)) = path.rsplit_once('.') else {
            self.values.remove(path);
            return;
        };
        let mut at = Some(&mut self.values);
        for part in parents.split('.') {
            at = at.and_then(|map| map.get_mut(part)).and_then(Value::as_object_mut);
        }
        at.map(|map| map.remove(name));
    }

    /// The values with the defaults of a template in place of what is missing, those listed first before the others.
    pub(super) fn filled(&self, defaults: &[&Defaults]) -> Map<String, Value> {
        let mut values = self.values.clone();
        for (path, value) in defaults.iter().copied().flatten() {
            if get(&values, path).is_none() {
                insert(&mut values, path, value.clone());
            }
        }
        values
    }

    /// Where the value at a path comes from, and what it is.
    pub(super) fn origin(&self, path: &str, defaults: &[&Defaults]) -> (Origin, Option<Value>) {
        let root = path.split('.').next().unwrap_or_default();
        if let Some(value) = self.get(path) {
            let is_sample = self.samples.iter().any(|sample| sample == root || sample == path);
            let origin = match root {
                _ if is_sample => Origin::Sample,
                "customer" => Origin::Fact,
                "owner" => Origin::Owner,
                "company" => Origin::Settings,
                _ => Origin::Given,
            };
            return (origin, Some(value.clone()));
        }
        match defaults.iter().find_map(|defaults| defaults.get(path)) {
            Some(value) => (Origin::Default, Some(value.clone())),
            None => (Origin::Missing, None),
        }
    }

    /// A blank says nothing: it is the same as no value, so that defaults stand in its place.
    fn forget_blanks(&mut self) {
        for root in self.values.values_mut() {
            forget_blanks(root);
            if root.is_null() {
                *root = json!({});
            }
        }
        // A customer without any fact, or no owner, is still something whose fields can be asked for.
        for root in fields::ROOTS {
            self.values.entry(root).or_insert_with(|| json!({}));
        }
    }
}

fn forget_blanks(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(forget_blanks);
        members.retain(|_, member| match member {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            _ => true,
        });
    }
}

fn get<'a>(values: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = values.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// Puts a value at a path, making what is above it. Whether there was room: nothing goes below a text.
fn insert(values: &mut Map<String, Value>, path: &str, value: Value) -> bool {
    match path.split_once('.') {
        None => {
            values.insert(path.to_owned(), value);
            true
        }
        Some((root, rest)) => match values.entry(root).or_insert_with(|| json!({})).as_object_mut() {
            Some(below) => insert(below, rest, value),
            None => false,
        },
    }
}
