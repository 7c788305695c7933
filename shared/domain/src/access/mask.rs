//! Facts that a role does not see. What is hidden is replaced where it stands by its name, and wherever else its value
//! occurs: in an explanation, in a note, in a link.

use super::Hidden;
use crate::condition::Condition;
use crate::customer::Customer;
use crate::event::key_of;
use crate::lead::{Envelope, Facts, names, plain, standard_field};
use crate::pii::Pii;
use crate::policy::{FieldMap, PolicySet, Reading};
use serde_json::Value;
use std::collections::BTreeSet;

/// Parts of a whole name; how somebody is addressed is made of them.
const NAMES: [&str; 3] = ["first_name", "last_name", "full_name"];

/// The facts that one role does not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(BTreeSet<String>);

impl Mask {
    /// Hides these facts.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether everything is seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names of the facts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether a fact is hidden: `external_id` hides `external_id.crm` as well.
    pub fn hides(&self, fact: &str) -> bool {
        self.0.contains(fact) || fact.split_once('.').is_some_and(|(kind, _)| self.0.contains(kind))
    }

    /// Whether what was submitted or tracked under this name is hidden, by the fact that it, or the last part of it, is read as.
    pub fn hides_field(&self, name: &str, map: &FieldMap) -> bool {
        let is_read_as = |names: &[String]| names.iter().any(|one| plain(one) == plain(name));
        let last = names::last_part(name).and_then(|(_, last)| names::usual(last));
        self.hides(&key_of(name))
            || last.is_some_and(|usual| self.hides(usual.field))
            || standard_field(name, map).is_some_and(|fact| self.hides(fact))
            || map.iter().any(|(fact, names)| self.hides(fact) && is_read_as(names))
    }

    /// Whether a path such as `customer.phone` shows something hidden, or everything at once.
    pub fn hides_path(&self, path: &str) -> bool {
        let roots = ["customer", "lead", "qualification"];
        let Some(fact) = roots.iter().find_map(|root| path.strip_prefix(root)) else { return false };
        let fact = fact.trim_start_matches('.');
        let fact = fact.strip_prefix("fields.").unwrap_or(fact);
        match fact {
            "" | "fields" => !self.is_empty(),
            // How somebody is addressed.
            "name" | "full_name" => NAMES.iter().any(|part| self.hides(part)),
            fact => self.hides(&key_of_path(fact)),
        }
    }

    /// Whether a condition reads something hidden, by itself or by a segment that it asks for: its answer would tell what that
    /// is.
    pub fn hides_condition(&self, condition: &Condition, policies: &PolicySet) -> bool {
        !self.is_empty() && self.hides_any(vec![condition], policies)
    }

    /// The segments whose members would tell what is hidden.
    pub fn hidden_segments<'a>(&self, policies: &'a PolicySet) -> BTreeSet<&'a str> {
        let segments = policies.live.segments.iter();
        let hidden = segments.filter(|(_, segment)| self.hides_condition(&segment.condition, policies));
        hidden.map(|(name, _)| name.as_str()).collect()
    }

    fn hides_any<'a>(&self, mut conditions: Vec<&'a Condition>, policies: &'a PolicySet) -> bool {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while let Some(condition) = conditions.pop() {
            if condition.reads().iter().any(|path| self.hides_path(path)) {
                return true;
            }
            let looks = condition.looks();
            // A list that it goes through may have any of them.
            let all = policies.live.segments.keys().map(String::as_str);
            let all = all.filter(|_| looks.lists.contains("segments"));
            let named = looks.members.iter().filter(|(list, _)| *list == "segments");
            for name in named.map(|(_, name)| name.as_str()).chain(all) {
                if seen.insert(name) {
                    conditions.extend(policies.segment(name));
                }
            }
        }
        false
    }

    /// The record as this role sees it, for showing and never for storing. Its hidden values go to `hidden`.
    pub fn record(&self, record: &Customer, hidden: &mut Hidden) -> Customer {
        let mut shown = record.clone();
        for (_, fact) in shown.facts.iter_mut().filter(|(name, _)| self.hides(name)) {
            hidden.add(fact.value.reveal());
            fact.value = Pii::new(Hidden::SHOWN.to_owned());
        }
        shown
    }

    /// What a lead says and this role does not see.
    pub fn lead(&self, envelope: &Envelope, facts: &Facts, reading: &Reading, hidden: &mut Hidden) {
        if self.is_empty() {
            return;
        }
        let fields = envelope.fields.iter().filter(|(name, _)| self.hides_field(name, &reading.fields));
        fields.for_each(|(_, value)| hidden.add(value));
        let parsed = [
            ("email", facts.email.as_ref().map(|email| email.as_sent().to_owned())),
            ("email", facts.email.as_ref().map(|email| email.match_key().to_owned())),
            ("phone", facts.phone.as_ref().map(|phone| phone.e164().to_owned())),
        ];
        let standard = facts.standard.iter().map(|(name, value)| (*name, Some(value.reveal().clone())));
        for (_, value) in parsed.into_iter().chain(standard).filter(|(name, _)| self.hides(name)) {
            value.iter().for_each(|value| hidden.add(value));
        }
    }

    /// Hides members of a document by their names, at any depth; `map` is of the source it came by.
    pub fn members(&self, value: &mut Value, map: &FieldMap, hidden: &mut Hidden) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if self.hides_field(name, map) {
                        hidden.add_all(member);
                        *member = Hidden::SHOWN.into();
                    } else {
                        self.members(member, map, hidden);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.members(item, map, hidden)),
            _ => {}
        }
    }
}

/// `external_id.CRM` as facts are named: the kind, then the namespace as it is.
fn key_of_path(path: &str) -> String {
    match path.split_once('.') {
        Some((kind, rest)) => format!("{}.{rest}", key_of(kind)),
        None => key_of(path),
    }
}
