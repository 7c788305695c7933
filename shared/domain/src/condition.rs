//! Conditions of policies, written in CEL: compiled and checked once, then evaluated over JSON.
//!
//! The dialect is standard CEL with its macros (`has`, `all`, `exists`, `exists_one`, `map`, `filter`) and optional
//! selection (`a.?b.orValue(0)`), without `matches`, `duration` and `timestamp`, and with three functions of ours:
//! `lower(text)`; `domain(email)`, the part after the last `@` in lower case, empty if there is none; and
//! `number(value)`, which reads text that is a plainly written number as that number and leaves everything else as it
//! is. Time is asked for by three more, see [`Looks`]. The library's strings extension is left out: it comes as a whole,
//! and its `split` would make lists as long as whoever sends the lead likes, for a condition to loop over.
//!
//! **Fields of a lead and facts of a customer are text**, whatever the visitor typed. Where a condition sets one against
//! a number, it is read with `number`: `lead.fields.employees >= 200` holds for the text `250`, while `lead.fields.zip == "80331"` and
//! `lead.fields.zip.startsWith("80")` still see text. Converting by what the text looks like instead would give a
//! field another type from lead to lead. Plainly written is: digits without leading zeros, a minus sign or a decimal
//! point at most, up to 15 digits; so phone numbers with `+` or a leading 0, `1,500` and `50-100` stay text, and
//! comparing them with a number is an error, that is, not matched. Two fields set against each other are two texts:
//! write `number(lead.fields.a) > number(lead.fields.b)`.
//!
//! The parser is the library's Pratt parser (hidden in its documentation, hence the exact version in `Cargo.toml`); it
//! is used here only.

mod looks;
#[cfg(test)]
mod tests;
mod tree;

pub use looks::{Ask, Levels, Looks};

use cel::common::types::{CelDouble, CelInt, CelString, DYN_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::parser::{Expression, PrattParser};
use cel::{Context, Env, ExecutionError, Value};
use serde_json::Value as Json;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

/// Longest source, in bytes.
pub const MAX_SOURCE: usize = 2048;
/// Deepest tree: evaluation recurses, and a tree some thousand deep would end the process.
pub const MAX_DEPTH: usize = 100;
/// How many loops (`all`, `exists`, `map`, …) may be inside one another: there is no other bound on their cost.
pub const MAX_NESTED_LOOPS: usize = 2;

/// A condition that was checked and can be evaluated any number of times.
#[derive(Clone, Debug)]
pub struct Condition {
    source: String,
    compiled: Expression,
    reads: BTreeSet<String>,
    looks: Looks,
    no_answer: Option<&'static str>,
}

/// Why a condition cannot be used, and where: line and column count from 1 within the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} column {column}: {message}")]
pub struct ConditionError {
    /// What to change.
    pub message: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

/// Why a condition gave no answer for one input: it counts as not matched, and is shown. Names fields and types,
/// never values: those are about people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EvalError {
    /// In words.
    pub reason: String,
}

impl Condition {
    /// Parses `source` and holds it to the limits of this module.
    pub fn compile(source: &str) -> Result<Self, ConditionError> {
        let refuse = |message: String, (line, column)| ConditionError { message, line, column };
        if source.len() > MAX_SOURCE {
            return Err(refuse(format!("a condition has at most {MAX_SOURCE} bytes"), (1, 1)));
        }
        let parser = PrattParser::new().enable_optional_syntax(true);
        let mut compiled = parser.parse(source).map_err(|errors| {
            let first = errors.errors.into_iter().next();
            let place = |pos: isize| usize::try_from(pos).unwrap_or(1).max(1);
            first.map_or_else(
                || refuse("not a condition".to_owned(), (1, 1)),
                |error| refuse(error.msg, (place(error.pos.0), place(error.pos.1))),
            )
        })?;
        let placed = |refusal: tree::Refusal| {
            let place = refusal.name().and_then(|name| source.find(name)).unwrap_or(0);
            refuse(refusal.to_string(), line_and_column(source, place))
        };
        let reads = tree::check(&compiled).map_err(placed)?;
        let no_answer = tree::no_answer(&compiled);
        let looks = looks::look(&mut compiled).map_err(placed)?;
        tree::read_fields_as_numbers(&mut compiled);
        Ok(Self { source: source.to_owned(), compiled, reads, looks, no_answer })
    }

    /// Whether the condition holds for `scope`. Anything but a clear yes or no (an absent field, values of types that
    /// do not go together, a result that is not a boolean) is an error, to be taken as not matched.
    pub fn eval(&self, scope: &Scope) -> Result<bool, EvalError> {
        match scope.context.resolve(&self.compiled) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => {
                Err(EvalError { reason: format!("the result is a {}, not a bool", other.type_of()) })
            }
            Err(error) => Err(EvalError { reason: self.explain(&error) }),
        }
    }

    /// What the condition may look at: dotted paths, each standing for itself and everything below it. A part that is
    /// looked up dynamically or optionally (`x["name"]`, `x.?name`) reads as the whole of `x`. Loop variables are left
    /// out; what they range over is in.
    pub fn reads(&self) -> &BTreeSet<String> {
        &self.reads
    }

    /// What it looks at besides plain fields: behaviour, and values that change with time alone.
    pub const fn looks(&self) -> &Looks {
        &self.looks
    }

    /// Why the condition never holds, where that is plain as it is written: what it gives is surely neither yes nor no,
    /// `1 + 1`. A field alone may be either.
    pub fn never_holds(&self) -> Option<String> {
        let given = self.no_answer?;
        Some(format!(
            "a condition is answered with yes or no, and this gives {given}; compare it with something (`==`, `>=`, `in`)"
        ))
    }

    /// The source as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    fn explain(&self, error: &ExecutionError) -> String {
        match error {
            // A key can be a value of the data; one that is written in the condition is not.
            ExecutionError::NoSuchKey(key) if self.source.contains(key.as_str()) => format!("no field {key}"),
            ExecutionError::NoSuchKey(_) => "no such field".to_owned(),
            ExecutionError::UndeclaredReference(name) if name.starts_with("since(") => {
                format!("{name} has no answer: it never happened")
            }
            ExecutionError::UndeclaredReference(name) => format!("nothing is called {name} here"),
            ExecutionError::NoSuchOverload(call) => {
                let name = call.function().trim_matches(['_', '@']);
                format!("{name} does not apply to {}", call.argument_types().join(" and "))
            }
            ExecutionError::FunctionError { function, .. } => {
                format!("{function}() cannot read its argument")
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                "division by zero".to_owned()
            }
            ExecutionError::Overflow(..) => "a number too large".to_owned(),
            ExecutionError::IndexOutOfBounds(_) => "no such place in the list".to_owned(),
            _ => "values of types that do not go together".to_owned(),
        }
    }
}

/// What a condition is evaluated over: named JSON values. Build one per input and evaluate all conditions over it.
pub struct Scope {
    context: Context<'static, 'static>,
}

impl Default for Scope {
    fn default() -> Self {
        Self::new()
    }
}

impl Scope {
    /// Nothing but the functions.
    pub fn new() -> Self {
        Self { context: Context::with_env(environment()) }
    }

    /// With `root` called `name`. Whole numbers become `int`; a member that is `null` is left out, since nothing known
    /// is the same as absent: `has` is false and reading it is an error, instead of `null != ""` being true.
    #[must_use]
    pub fn with(mut self, name: &str, root: &Json) -> Self {
        self.set(name, root);
        self
    }

    /// Calls `root` by `name` from now on, as [`Self::with`].
    pub fn set(&mut self, name: &str, root: &Json) {
        self.context.add_variable_from_value(name, value(root));
    }

    /// Gives the answer to a question about behaviour.
    pub fn answer(&mut self, ask: &Ask, answer: &Json) {
        self.context.add_variable_from_value(ask.to_string(), value(answer));
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(value).collect())),
        Json::Object(members) => {
            let known = members.iter().filter(|(_, member)| !member.is_null());
            let known: HashMap<&str, Value> =
                known.map(|(name, member)| (name.as_str(), value(member))).collect();
            Value::Map(known.into())
        }
    }
}

/// The functions, built once: that takes longer than compiling and evaluating a condition.
fn environment() -> Arc<Env> {
    static ENVIRONMENT: OnceLock<Arc<Env>> = OnceLock::new();
    let build = || {
        let mut env = Env::stdlib();
        let declared = [
            env.add_overload("lower", "lower_string", vec![STRING_TYPE], lower),
            env.add_overload("domain", "domain_string", vec![STRING_TYPE], domain),
            env.add_overload(tree::NUMBER, "number_dyn", vec![DYN_TYPE], number),
        ];
        debug_assert!(declared.iter().all(Result::is_ok), "our names are not the library's");
        Arc::new(env)
    };
    Arc::clone(ENVIRONMENT.get_or_init(build))
}

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn lower<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    on_text(&arguments, str::to_lowercase)
}

fn domain<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    on_text(&arguments, |email| email.rsplit_once('@').map_or("", |(_, domain)| domain.trim()).to_lowercase())
}

fn on_text<'b, 'v>(arguments: &[CowVal<'b, 'v>], change: impl Fn(&str) -> String) -> Answer<'b, 'v> {
    let text = arguments.first().and_then(|argument| argument.downcast_ref::<CelString<'_>>());
    let changed = text.map(|text| change(text.inner())).ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::owned(CelString::from(changed)))
}

fn number<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let argument = arguments.into_iter().next().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let text = argument.downcast_ref::<CelString<'_>>().map(|text| text.inner());
    let plain = text.filter(|text| plainly_written(text));
    if let Some(whole) = plain.and_then(|text| text.parse::<i64>().ok()) {
        return Ok(CowVal::owned(CelInt::from(whole)));
    }
    if let Some(decimal) = plain.and_then(|text| text.parse::<f64>().ok()) {
        return Ok(CowVal::owned(CelDouble::from(decimal)));
    }
    Ok(argument)
}

/// Whether `text` is a number to anybody who reads it; 15 digits are exact as a double too.
fn plainly_written(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    all_digits(whole)
        && all_digits(fraction)
        && !leading_zero
        && text != "-0"
        && digits.len() <= 16
        && digits.bytes().filter(u8::is_ascii_digit).count() <= 15
}

/// A place in bytes as line and column, both from 1, columns in characters.
pub(crate) fn line_and_column(source: &str, place: usize) -> (usize, usize) {
    let before = source.get(..place).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
