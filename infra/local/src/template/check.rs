//! Compares the tree with the schema and notes everything that is not in it.

use super::expr::Scope;
use super::node::{Node, Value};
use super::problem::Problem;
use super::schema::{Field, KINDS, Kind, RESOURCE, Shape};

/// The type of a resource; a problem if it is none of those supported.
pub(super) fn kind_of(resource: &Node) -> Result<&'static Kind, Problem> {
    let Some(kind) = resource.get("Type") else {
        return Err(Problem::new(resource.at, "the resource has no Type"));
    };
    let name = kind.scalar().unwrap_or_default();
    KINDS.iter().find(|known| known.name == name).ok_or_else(|| {
        let message = format!("the resource type {name} is not supported");
        Problem::unknown(kind.at, message, &name, KINDS.iter().map(|known| known.name))
    })
}

/// A walk through the tree that goes on after a problem.
pub(super) struct Check<'a> {
    pub(super) scope: &'a Scope,
    pub(super) problems: Vec<Problem>,
}

impl Check<'_> {
    /// Compares one value with its shape.
    pub(super) fn shape(&mut self, node: &Node, shape: &Shape) {
        match shape {
            Shape::Value => self.value(node),
            Shape::Values => match &node.value {
                Value::List(_) | Value::Call { .. } => self.value(node),
                _ => self.wrong(node, "a list"),
            },
            Shape::OneOrMore => node.items().iter().for_each(|item| self.value(item)),
            Shape::Literal => {
                if node.scalar().is_none() {
                    self.wrong(node, "a plain text");
                }
            }
            Shape::Number(least, most) => match node.number() {
                Some(number) if (*least..=*most).contains(&number) => {}
                Some(number) if *most == i64::MAX => {
                    self.note(node, format!("{number} is less than {least}"))
                }
                Some(number) => self.note(node, format!("{number} is not from {least} to {most}")),
                None => self.wrong(node, "a plain whole number"),
            },
            Shape::Adjustable(least) => match &node.value {
                Value::Call { function, .. } if function == "Ref" => self.value(node),
                _ => self.shape(node, &Shape::Number(*least, i64::MAX)),
            },
            Shape::Flag => {
                if !matches!(node.value, Value::Flag(_)) {
                    self.wrong(node, "true or false");
                }
            }
            Shape::OneOf(allowed) => match node.scalar() {
                Some(text) if allowed.contains(&text.as_str()) => {}
                Some(text) => {
                    let message = format!("\"{text}\" is not supported here");
                    self.problems.push(Problem::unknown(node.at, message, &text, allowed.iter().copied()));
                }
                None => self.wrong(node, &format!("one of {}", allowed.join(", "))),
            },
            Shape::List(item) => match &node.value {
                Value::List(items) => items.iter().for_each(|node| self.shape(node, item)),
                _ => self.wrong(node, "a list"),
            },
            Shape::Map(fields) => self.fields(node, fields, "the key"),
            Shape::Names(each) => match &node.value {
                Value::Map(entries) => entries.iter().for_each(|entry| self.shape(&entry.node, each)),
                _ => self.wrong(node, "a mapping"),
            },
            Shape::Condition => {
                if let Err(problem) = self.scope.condition(node) {
                    self.problems.push(problem);
                }
            }
            Shape::Resource => self.resource(node),
        }
    }

    fn resource(&mut self, node: &Node) {
        let kind = match kind_of(node) {
            Ok(kind) => kind,
            Err(problem) => return self.problems.push(problem),
        };
        for entry in node.entries() {
            if entry.name == "Properties" {
                self.fields(&entry.node, kind.properties, &format!("the property of {}", kind.name));
            } else {
                match RESOURCE.iter().find(|field| field.name == entry.name) {
                    Some(field) => self.shape(&entry.node, &field.shape),
                    None => {
                        let message = format!("{} of a resource is not supported", entry.name);
                        let known = RESOURCE.iter().map(|field| field.name).chain(["Properties"]);
                        self.problems.push(Problem::unknown(entry.at, message, &entry.name, known));
                    }
                }
            }
        }
        if node.get("Properties").is_none() {
            self.note(node, format!("the {} has no Properties", kind.name));
        }
    }

    fn fields(&mut self, node: &Node, fields: &[Field], what: &str) {
        let Value::Map(entries) = &node.value else {
            return self.wrong(node, "a mapping");
        };
        for entry in entries {
            match fields.iter().find(|field| field.name == entry.name) {
                Some(field) => self.shape(&entry.node, &field.shape),
                None => {
                    let message = format!("{what} {} is not supported", entry.name);
                    let known = fields.iter().map(|field| field.name);
                    self.problems.push(Problem::unknown(entry.at, message, &entry.name, known));
                }
            }
        }
        for field in fields.iter().filter(|field| field.required) {
            if node.get(field.name).is_none() {
                self.note(node, format!("{} is missing", field.name));
            }
        }
    }

    fn value(&mut self, node: &Node) {
        if let Err(problem) = self.scope.expr(node) {
            self.problems.push(problem);
        }
    }

    fn wrong(&mut self, node: &Node, wanted: &str) {
        self.note(node, format!("{wanted} is needed here, not {}", node.describe()));
    }

    fn note(&mut self, node: &Node, message: String) {
        self.problems.push(Problem::new(node.at, message));
    }
}
