//! What a condition looks at besides plain fields: behaviour within windows of time, and values that move by themselves.
//!
//! `count_in("order_completed", "30d")`, `silent_for("90d")`, `silent_for("page_viewed", "90d")` and
//! `since("order_completed")` are the only ways to time. Their arguments are written out, so that what has to be counted
//! and when an answer may change are known before any customer is looked at. Each call becomes a value of the scope.

use super::tree::{Refusal, path};
use crate::event::key_of;
use crate::policy::Period;
use cel::common::ast::operators as op;
use cel::common::ast::{EntryExpr, Expr, LiteralValue};
use cel::parser::Expression;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The functions of time.
pub(super) const TIMED: [&str; 3] = ["count_in", "silent_for", "since"];

/// Values that change with time alone. A condition sets them against a number, which says when it is to be looked at
/// again.
pub(crate) const MOVING: [&str; 2] = ["score.interest", "rfm.recency"];

/// Lists of names of which a condition mostly asks for one: `"vip" in tags`.
const LISTS: [&str; 2] = ["tags", "segments"];

/// Values that are always one of a few words, which documents list.
const WORDED: [&str; 7] = [
    "stage",
    "churn",
    "rfm.tier",
    "score.fit_grade",
    "score.interest_grade",
    "lead.source",
    "lead.territory",
];

/// A question about behaviour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// How often an event happened within a time.
    CountIn {
        /// The event's name, see [`crate::event::Event::key`].
        event: String,
        /// How long ago at most.
        window: Period,
    },
    /// Whether nothing has happened for so long: since the last such event, else since the person is known.
    SilentFor {
        /// The event's name; any event without it.
        event: Option<String>,
        /// How long.
        window: Period,
    },
    /// How many days ago an event happened last, with fractions; of one that never happened there is no answer.
    Since {
        /// The event's name.
        event: String,
    },
}

impl Ask {
    /// The event it asks for; none is any.
    pub fn event(&self) -> Option<&str> {
        match self {
            Self::CountIn { event, .. } | Self::Since { event } => Some(event),
            Self::SilentFor { event, .. } => event.as_deref(),
        }
    }
}

/// As it is written, which is also the name that the answer has in a scope.
impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CountIn { event, window } => write!(f, "count_in({event}, {window})"),
            Self::SilentFor { event: Some(event), window } => write!(f, "silent_for({event}, {window})"),
            Self::SilentFor { event: None, window } => write!(f, "silent_for({window})"),
            Self::Since { event } => write!(f, "since({event})"),
        }
    }
}

/// The numbers that a value is set against.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// The numbers, as often as they are written.
    pub at: Vec<f64>,
    /// Of whole numbers, those at which an answer changes: from them on it is another than below.
    pub cuts: Vec<f64>,
    /// Whether it is also used in another way, so that every change may matter.
    pub loose: bool,
}

/// What a condition looks at besides plain fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Looks {
    /// Questions about behaviour, with what the answers are compared with.
    pub asks: BTreeMap<Ask, Levels>,
    /// Values that move by themselves (`score.interest`), with what they are compared with.
    pub moving: BTreeMap<String, Levels>,
    /// Names that it asks for in the lists `tags` and `segments`.
    pub members: BTreeSet<(&'static str, String)>,
    /// Lists that it looks at in another way.
    pub lists: BTreeSet<&'static str>,
    /// Words that it compares a value with that is always one of a few: `stage == "new"`.
    pub words: BTreeSet<(&'static str, String)>,
}

/// Collects what a checked tree looks at, and puts the name of its answer in the place of each question. Call it on a
/// checked tree only: it recurses.
pub(super) fn look(tree: &mut Expression) -> Result<Looks, Refusal> {
    let mut looks = Looks::default();
    looks.visit(tree)?;
    Ok(looks)
}

impl Looks {
    fn visit(&mut self, tree: &mut Expression) -> Result<(), Refusal> {
        if let Some(ask) = ask(tree)? {
            self.asks.entry(ask.clone()).or_default().loose = true;
            tree.expr = Expr::Ident(ask.to_string());
            return Ok(());
        }
        if let Some(moving) = moving(tree) {
            return Err(Refusal::Loose(moving.to_owned()));
        }
        match &mut tree.expr {
            Expr::Unspecified | Expr::Literal(_) | Expr::Struct(_) => Ok(()),
            Expr::Ident(name) => {
                self.lists.extend(LISTS.into_iter().find(|list| list == name));
                Ok(())
            }
            // `has(score.interest)` does not change with time.
            Expr::Select(select) if select.test && path_of(&select.operand).is_some() => Ok(()),
            Expr::Select(select) => self.visit(&mut select.operand),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.visit(element)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&mut entry.key)?;
                    self.visit(&mut entry.value)
                }
                EntryExpr::StructField(field) => self.visit(&mut field.value),
            }),
            Expr::Comprehension(each) => {
                self.visit(&mut each.iter_range)?;
                for part in [&mut each.accu_init, &mut each.loop_cond, &mut each.loop_step, &mut each.result]
                {
                    self.visit(part)?;
                }
                Ok(())
            }
            Expr::Call(call) => {
                if let ([left, right], true) =
                    (call.args.as_mut_slice(), COMPARISONS.contains(&call.func_name.as_str()))
                {
                    let operator = call.func_name.as_str();
                    let compared = match (number(left), number(right)) {
                        (_, Some(level)) => self.compare(left, &levels(operator, level))?,
                        (Some(level), _) => self.compare(right, &levels(turned(operator), level))?,
                        _ => false,
                    };
                    if compared {
                        return Ok(());
                    }
                }
                if let [left, right] = call.args.as_slice() {
                    self.compare_words(left, right);
                    self.compare_words(right, left);
                }
                if let ([left, right], op::IN) = (call.args.as_slice(), call.func_name.as_str())
                    && let Expr::Literal(LiteralValue::String(name)) = &left.expr
                    && let Expr::Ident(list) = &right.expr
                    && let Some(list) = LISTS.into_iter().find(|known| known == list)
                {
                    self.members.insert((list, name.inner().to_owned()));
                    return Ok(());
                }
                let mut parts = call.target.as_deref_mut().into_iter().chain(&mut call.args);
                parts.try_for_each(|part| self.visit(part))
            }
        }
    }

    /// Takes down the words that a value is compared with, one or a list of them.
    fn compare_words(&mut self, value: &Expression, words: &Expression) {
        let Some(path) = path_of(value) else { return };
        let Some(worded) = WORDED.into_iter().find(|known| *known == path) else { return };
        let words = match &words.expr {
            Expr::List(list) => list.elements.as_slice(),
            _ => std::slice::from_ref(words),
        };
        for word in words {
            if let Expr::Literal(LiteralValue::String(word)) = &word.expr {
                self.words.insert((worded, word.inner().to_owned()));
            }
        }
    }

    /// Takes down what a side of a comparison is set against, if it is anything that moves.
    fn compare(&mut self, side: &mut Expression, levels: &Levels) -> Result<bool, Refusal> {
        let known = if let Some(ask) = ask(side)? {
            side.expr = Expr::Ident(ask.to_string());
            self.asks.entry(ask).or_default()
        } else if let Some(path) = moving(side) {
            self.moving.entry(path.to_owned()).or_default()
        } else {
            return Ok(false);
        };
        known.at.extend(&levels.at);
        known.cuts.extend(&levels.cuts);
        Ok(true)
    }
}

/// What `value operator level` sets a value against.
fn levels(operator: &str, level: f64) -> Levels {
    let (from, above) = (level.ceil(), level.floor() + 1.0);
    let cuts = match operator {
        op::GREATER_EQUALS | op::LESS => vec![from],
        op::GREATER | op::LESS_EQUALS => vec![above],
        _ => vec![from, above],
    };
    Levels { at: vec![level], cuts, loose: false }
}

/// The operator with its sides changed.
fn turned(operator: &str) -> &str {
    match operator {
        op::GREATER_EQUALS => op::LESS_EQUALS,
        op::LESS_EQUALS => op::GREATER_EQUALS,
        op::GREATER => op::LESS,
        op::LESS => op::GREATER,
        other => other,
    }
}

const COMPARISONS: [&str; 6] =
    [op::EQUALS, op::NOT_EQUALS, op::LESS, op::LESS_EQUALS, op::GREATER, op::GREATER_EQUALS];

/// A number that is written out.
fn number(tree: &Expression) -> Option<f64> {
    match &tree.expr {
        Expr::Literal(LiteralValue::Int(value)) => Some(*value.inner() as f64),
        Expr::Literal(LiteralValue::UInt(value)) => Some(*value.inner() as f64),
        Expr::Literal(LiteralValue::Double(value)) => Some(*value.inner()),
        Expr::Call(call) if call.func_name == op::NEGATE => number(call.args.first()?).map(|value| -value),
        _ => None,
    }
}

fn path_of(tree: &Expression) -> Option<String> {
    path(tree).map(|path| path.join("."))
}

/// The value that moves by itself, if it is one.
fn moving(tree: &Expression) -> Option<&'static str> {
    let Expr::Select(select) = &tree.expr else { return None };
    let path = path_of(tree).filter(|_| !select.test)?;
    MOVING.into_iter().find(|moving| *moving == path)
}

fn ask(tree: &Expression) -> Result<Option<Ask>, Refusal> {
    let Expr::Call(call) = &tree.expr else { return Ok(None) };
    let Some(function) =
        TIMED.into_iter().find(|name| *name == call.func_name).filter(|_| call.target.is_none())
    else {
        return Ok(None);
    };
    let usage = || Refusal::Usage(function, usage(function));
    let mut arguments = Vec::new();
    for argument in &call.args {
        let Expr::Literal(LiteralValue::String(text)) = &argument.expr else { return Err(usage()) };
        arguments.push(text.inner());
    }
    let event = |name: &str| match key_of(name) {
        key if key.is_empty() || key.len() > MAX_NAME => Err(usage()),
        key => Ok(key),
    };
    let window = |text: &str| Period::parse(text).map_err(|why| Refusal::Window(function, why));
    Ok(Some(match (function, arguments.as_slice()) {
        ("count_in", [name, within]) => Ask::CountIn { event: event(name)?, window: window(within)? },
        ("silent_for", [within]) => Ask::SilentFor { event: None, window: window(within)? },
        ("silent_for", [name, within]) => {
            Ask::SilentFor { event: Some(event(name)?), window: window(within)? }
        }
        ("since", [name]) => Ask::Since { event: event(name)? },
        _ => return Err(usage()),
    }))
}

/// The longest name of an event in a condition, in bytes.
const MAX_NAME: usize = 64;

fn usage(function: &str) -> &'static str {
    match function {
        "count_in" => "count_in(\"order_completed\", \"30d\")",
        "silent_for" => "silent_for(\"90d\") or silent_for(\"page_viewed\", \"90d\")",
        _ => "since(\"order_completed\")",
    }
}
