//! Templates tried out for a made-up customer before they are published.

use super::context::Context;
use super::failure::{Failure, Reason};
use super::library::Compiled;
use super::{fields, rendered_with};
use crate::policy::{Company, Defaults};
use minijinja::value::{Enumerator, Object, Value};
use serde_json::Value as Json;
use std::fmt;
use std::sync::Arc;

/// What goes wrong for a made-up customer, and for those who lack one of the fields that are read, or all of them.
pub(super) fn failures(template: &Compiled, company: &Company) -> Vec<Failure> {
    let reads = template.reads();
    let made_up = |value: &dyn Fn(&str) -> Json| {
        let mut context = Context::sample(company);
        for path in reads.iter().filter(|path| path.contains('.') && !path.starts_with("company.")) {
            context.make_up(path, value(path));
        }
        context
    };
    let anything = Value::from_object(Anything);
    let given = Value::from_pairs([("data", anything.clone()), ("event", anything)]);
    // Of what type things are that somebody gives is not known here, so it is tried.
    let attempts = [
        (made_up(&|path| format!("[{path}]").into()), None),
        (made_up(&|path| format!("[{path}]").into()), Some(given)),
        (made_up(&|_| 7.into()), None),
    ];
    let mut of_types = None;
    for (whole, given) in attempts {
        match rendered_with(template, &whole, given.as_ref()) {
            Ok(_) => return of_those_who_lack(template, &whole, given.as_ref()),
            Err(failure) if failure.reason == Reason::TooMuch || is_of_a_fact(&failure) => {
                return vec![explained(failure)];
            }
            Err(failure) => of_types = of_types.or(Some(failure)),
        }
    }
    let is_given = |path: &String| matches!(path.split('.').next(), Some("data" | "event"));
    if reads.iter().any(is_given) { Vec::new() } else { of_types.into_iter().map(explained).collect() }
}

fn of_those_who_lack(template: &Compiled, whole: &Context, given: Option<&Value>) -> Vec<Failure> {
    let defaults: Vec<&Defaults> = template.defaults.iter().collect();
    let may_lack = |path: &String| {
        path.contains('.')
            && !path.starts_with("company.")
            && !fields::is_given(path)
            && !fields::is_always_known(path, template.channel)
            && defaults.iter().all(|defaults| !defaults.contains_key(path))
    };
    let mut nobody = whole.clone();
    let mut failures = Vec::new();
    for path in template.reads().into_iter().filter(may_lack) {
        let mut lacking = whole.clone();
        lacking.forget(&path);
        nobody.forget(&path);
        failures.extend(rendered_with(template, &lacking, given).err());
    }
    failures.extend(rendered_with(template, &nobody, given).err());
    failures.into_iter().filter(is_of_a_fact).map(explained).collect()
}

/// The field that was missing.
fn missing(failure: &Failure) -> Option<&str> {
    failure.message.split('`').nth(1).filter(|_| failure.reason == Reason::MissingField)
}

/// Whether what is missing is something known of customers, not something given or part of that.
fn is_of_a_fact(failure: &Failure) -> bool {
    let root = missing(failure).and_then(|field| field.split('.').next());
    matches!(root, Some("customer" | "owner" | "company" | "lead"))
}

/// What to do about it.
fn explained(mut failure: Failure) -> Failure {
    if let Some(field) = missing(&failure) {
        failure.message = match field.strip_prefix("company.") {
            Some(name) => {
                format!("`{field}` is not in the settings: write it there (`company: {{ {name}: … }}`)")
            }
            None => format!(
                "`{field}` may be missing: give it a default (`defaults: {{ {field}: … }}`), or ask for it first \
                 (`{{% if {field} %}}`)"
            ),
        };
    }
    failure
}

/// Something given: it has every field, is a list of one, and prints.
#[derive(Debug)]
struct Anything;

impl Object for Anything {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_object(Self))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(vec![Value::from_object(Self)])
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
