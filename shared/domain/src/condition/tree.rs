//! What is decided on a condition's tree, before it is ever evaluated: limits, the paths read, numbers in fields.

use super::looks::TIMED;
use super::{MAX_DEPTH, MAX_NESTED_LOOPS};
use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};
use cel::parser::Expression;
use std::collections::BTreeSet;

/// Our function that reads text as a number.
pub(super) const NUMBER: &str = "number";

/// Every function a condition may call, as `f(x)`. A misspelt one is refused here; the library would notice only when
/// it is called.
pub(super) const FUNCTIONS: [&str; 12] =
    ["bool", "bytes", "double", "dyn", "int", "size", "string", "type", "uint", "domain", "lower", NUMBER];

/// Likewise, as `x.f()`.
pub(super) const METHODS: [&str; 8] =
    ["contains", "endsWith", "startsWith", "size", "hasValue", "or", "orValue", "value"];

/// Names of types, which a condition may compare with `type(x)`: nothing is read by them.
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// Why a tree is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("nested too deep: at most {MAX_DEPTH} operators one inside another; use a list and `in`")]
    Depth,
    #[error("at most {MAX_NESTED_LOOPS} loops (all, exists, map, filter) one inside another")]
    Loops,
    #[error("there is no function {0}")]
    Function(String),
    #[error("there is no type {0}")]
    Type(String),
    #[error("{0} is written with its names and times in quotes, {1}")]
    Usage(&'static str, &'static str),
    #[error("{0}: {1}")]
    Window(&'static str, String),
    #[error("{0} changes with time: compare it with a number that is written out, as in {0} >= 10")]
    Loose(String),
}

impl Refusal {
    /// What to look for in the source.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Depth | Self::Loops => None,
            Self::Function(name) | Self::Type(name) | Self::Loose(name) => Some(name),
            Self::Usage(name, _) | Self::Window(name, _) => Some(name),
        }
    }
}

/// Holds a tree to the limits and gives the paths it reads.
pub(super) fn check(tree: &Expression) -> Result<BTreeSet<String>, Refusal> {
    let mut walk = Walk { reads: BTreeSet::new(), variables: Vec::new() };
    walk.visit(tree, 1, 0)?;
    Ok(walk.reads)
}

struct Walk<'t> {
    reads: BTreeSet<String>,
    /// Names bound by the loops around.
    variables: Vec<&'t str>,
}

impl<'t> Walk<'t> {
    fn visit(&mut self, tree: &'t Expression, depth: usize, loops: usize) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(Refusal::Depth);
        }
        let below = depth + 1;
        match &tree.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(_) => self.read(tree, depth),
            Expr::Select(select) => {
                if path(tree).is_some() {
                    self.read(tree, depth)
                } else {
                    self.visit(&select.operand, below, loops)
                }
            }
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                let known: &[&str] = if call.target.is_some() { &METHODS } else { &FUNCTIONS };
                // The names of operators (`_+_`, `@in`) cannot be written as a call.
                let written = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
                let is_timed = call.target.is_none() && TIMED.contains(&name);
                if written && !known.contains(&name) && !is_timed {
                    return Err(Refusal::Function(name.to_owned()));
                }
                let mut parts = call.target.as_deref().into_iter().chain(&call.args);
                parts.try_for_each(|part| self.visit(part, below, loops))
            }
            Expr::List(list) => {
                list.elements.iter().try_for_each(|element| self.visit(element, below, loops))
            }
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, below, loops)?;
                    self.visit(&entry.value, below, loops)
                }
                EntryExpr::StructField(field) => self.visit(&field.value, below, loops),
            }),
            Expr::Struct(made) => Err(Refusal::Type(made.type_name.clone())),
            Expr::Comprehension(each) => {
                if loops >= MAX_NESTED_LOOPS {
                    return Err(Refusal::Loops);
                }
                self.visit(&each.iter_range, below, loops)?;
                self.visit(&each.accu_init, below, loops)?;
                let outside = self.variables.len();
                self.variables.extend([each.iter_var.as_str(), each.accu_var.as_str()]);
                self.variables.extend(each.iter_var2.as_deref());
                for part in [&each.loop_cond, &each.loop_step, &each.result] {
                    self.visit(part, below, loops + 1)?;
                }
                self.variables.truncate(outside);
                Ok(())
            }
        }
    }

    fn read(&mut self, tree: &'t Expression, depth: usize) -> Result<(), Refusal> {
        let Some(path) = path(tree) else { return Ok(()) };
        if depth + path.len() - 1 > MAX_DEPTH {
            return Err(Refusal::Depth);
        }
        let is_type = path.len() == 1 && TYPES.contains(&path[0]);
        if !is_type && !self.variables.contains(&path[0]) {
            let absolute = path.join(".");
            self.reads.insert(absolute.trim_start_matches('.').to_owned());
        }
        Ok(())
    }
}

/// The names of a dotted path, root first; `None` if it does not start at a name.
pub(super) fn path(mut tree: &Expression) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    loop {
        match &tree.expr {
            Expr::Select(select) => {
                names.push(select.field.as_str());
                tree = &select.operand;
            }
            Expr::Ident(name) => {
                names.push(name);
                names.reverse();
                return Some(names);
            }
            _ => return None,
        }
    }
}

/// Wherever a field of the lead or a fact of the customer is set against a number, reads it with [`NUMBER`]. Call it on a checked tree only: it
/// recurses.
pub(super) fn read_fields_as_numbers(tree: &mut Expression) {
    match &mut tree.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => {}
        Expr::Select(select) => read_fields_as_numbers(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(read_fields_as_numbers),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| {
            if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                read_fields_as_numbers(&mut entry.key);
                read_fields_as_numbers(&mut entry.value);
            }
        }),
        Expr::Comprehension(each) => {
            read_fields_as_numbers(&mut each.iter_range);
            read_fields_as_numbers(&mut each.loop_step);
        }
        Expr::Call(call) => {
            call.target.as_deref_mut().into_iter().for_each(read_fields_as_numbers);
            call.args.iter_mut().for_each(read_fields_as_numbers);
            let numeric = ARITHMETIC.contains(&call.func_name.as_str())
                || COMPARISONS.contains(&call.func_name.as_str());
            if let ([left, right], true) = (call.args.as_mut_slice(), numeric) {
                if is_field(left) && is_number(right) {
                    as_number(left);
                } else if is_number(left) && is_field(right) {
                    as_number(right);
                }
            }
        }
    }
}

const ARITHMETIC: [&str; 5] = [op::ADD, op::SUBSTRACT, op::MULTIPLY, op::DIVIDE, op::MODULO];
const COMPARISONS: [&str; 7] =
    [op::EQUALS, op::NOT_EQUALS, op::LESS, op::LESS_EQUALS, op::GREATER, op::GREATER_EQUALS, op::IN];

fn as_number(field: &mut Expression) {
    let read = std::mem::take(field);
    let call = CallExpr { func_name: NUMBER.to_owned(), target: None, args: vec![read] };
    field.expr = Expr::Call(call);
}

/// Whether the value is a field of the lead or a fact of the customer, however it is looked up, or one of two with a
/// default.
fn is_field(tree: &Expression) -> bool {
    let fields =
        |tree: &Expression| path(tree).is_some_and(|path| path == ["lead", "fields"] || path == ["customer"]);
    match &tree.expr {
        Expr::Select(select) => !select.test && fields(&select.operand),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (op::INDEX | op::OPT_INDEX | op::OPT_SELECT, [map, _]) => fields(map),
            (op::CONDITIONAL, [_, yes, no]) => is_field(yes) || is_field(no),
            ("orValue", _) => call.target.as_deref().is_some_and(is_field),
            _ => false,
        },
        _ => false,
    }
}

/// Whether the value is surely a number, or for `in`, a list of numbers.
fn is_number(tree: &Expression) -> bool {
    match &tree.expr {
        Expr::Literal(LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_)) => true,
        Expr::List(list) => !list.elements.is_empty() && list.elements.iter().all(is_number),
        Expr::Call(call) => match call.func_name.as_str() {
            "int" | "uint" | "double" | "size" | op::NEGATE => true,
            name => ARITHMETIC.contains(&name) && call.args.iter().any(is_number),
        },
        _ => false,
    }
}

/// Functions whose answers are never yes or no, and what they are instead.
const ANSWERS: [(&str, &str); 11] = [
    ("size", "a number"),
    ("int", "a number"),
    ("uint", "a number"),
    ("double", "a number"),
    ("count_in", "a number"),
    ("since", "a number"),
    ("string", "text"),
    ("lower", "text"),
    ("domain", "text"),
    ("bytes", "bytes"),
    ("type", "a type"),
];

/// What a condition gives that surely gives neither yes nor no. Call it on a checked tree only: it recurses.
pub(super) fn no_answer(tree: &Expression) -> Option<&'static str> {
    match &tree.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Select(_) | Expr::Struct(_) => None,
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => None,
            LiteralValue::String(_) => Some("text"),
            LiteralValue::Bytes(_) => Some("bytes"),
            LiteralValue::Null => Some("nothing"),
            LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Some("a number"),
        },
        Expr::List(_) => Some("a list"),
        Expr::Map(_) => Some("a mapping"),
        // `map` and `filter` begin with a list and give what it comes to.
        Expr::Comprehension(each) => match &each.result.expr {
            Expr::Ident(name) if *name == each.accu_var => no_answer(&each.accu_init),
            _ => None,
        },
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (op::CONDITIONAL, [_, yes, no]) => match (no_answer(yes)?, no_answer(no)?) {
                (yes, no) if yes == no => Some(yes),
                _ => Some("one of two values"),
            },
            (op::ADD, [left, right]) => no_answer(left).or_else(|| no_answer(right)).or(Some("a sum")),
            (op::NEGATE, _) => Some("a number"),
            (name, _) if ARITHMETIC.contains(&name) => Some("a number"),
            (name, _) => ANSWERS.iter().find(|(known, _)| *known == name).map(|(_, answer)| *answer),
        },
    }
}
