//! CloudFormation's intrinsic functions: read, checked against the names of the template, and worked out.

use std::collections::BTreeMap;

use super::node::{Node, Value};
use super::problem::{Position, Problem};

/// A value of the template with its intrinsics not yet worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A literal; numbers and flags as they are written.
    Text(String),
    /// `!Ref`: a parameter's value, a resource's own reference, or a pseudo parameter such as `AWS::Region`.
    Ref(String),
    /// `!GetAtt`.
    GetAtt {
        /// Logical id.
        resource: String,
        /// Such as `Arn`.
        attribute: String,
    },
    /// `!Sub`: literals, references and attributes one after another.
    Concat(Vec<Expr>),
    /// `!Join`.
    Join {
        /// Goes between the parts.
        separator: String,
        /// What is joined.
        parts: Box<Expr>,
    },
    /// `!Split`: gives a list.
    Split {
        /// Where to cut.
        separator: String,
        /// What is cut.
        text: Box<Expr>,
    },
    /// `!Select`.
    Select {
        /// Counts from 0.
        index: usize,
        /// The list.
        of: Box<Expr>,
    },
    /// `!If`.
    If {
        /// A name of the section Conditions.
        condition: String,
        /// The value where it holds.
        then: Box<Expr>,
        /// The value where it does not.
        otherwise: Box<Expr>,
    },
    /// A list.
    List(Vec<Expr>),
    /// `!Ref AWS::NoValue`: as if the property were not written.
    NoValue,
}

/// A named condition of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `!Equals`.
    Equals(Expr, Expr),
    /// `!Not`.
    Not(Box<Condition>),
    /// `!And`.
    All(Vec<Condition>),
    /// `!Or`.
    Any(Vec<Condition>),
}

/// An expression has no value here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The parameter has no default and was not given.
    #[error("the parameter {0} has no value")]
    Parameter(String),
    /// The host does not know this attribute of this resource.
    #[error("{resource} has no {attribute} here")]
    Attribute {
        /// Logical id, or a pseudo parameter.
        resource: String,
        /// Such as `Arn`; `Ref` for a reference.
        attribute: String,
    },
    /// `!Select` beyond the end of its list.
    #[error("!Select {0} of a shorter list")]
    Index(usize),
    /// A list where a text is needed, or the reverse.
    #[error("a list and a text are mixed up")]
    Kind,
}

/// Pseudo parameters that a template may use.
const PSEUDO: [&str; 5] =
    ["AWS::AccountId", "AWS::NoValue", "AWS::Partition", "AWS::Region", "AWS::StackName"];
/// Intrinsic functions that give a value.
const FUNCTIONS: [&str; 7] = ["GetAtt", "If", "Join", "Ref", "Select", "Split", "Sub"];
/// Intrinsic functions that give a condition.
const CONDITIONS: [&str; 4] = ["And", "Equals", "Not", "Or"];

/// The names that an expression may use.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Parameters.
    pub(super) parameters: Vec<String>,
    /// Conditions.
    pub(super) conditions: Vec<String>,
    /// Resources with the attributes that `!GetAtt` may ask for.
    pub(super) resources: BTreeMap<String, &'static [&'static str]>,
}

impl Scope {
    /// Reads a value: a scalar, a list or an intrinsic function.
    pub(super) fn expr(&self, node: &Node) -> Result<Expr, Problem> {
        match &node.value {
            Value::Call { function, argument } => self.call(node.at, function, argument),
            Value::List(items) => {
                Ok(Expr::List(items.iter().map(|item| self.expr(item)).collect::<Result<_, _>>()?))
            }
            _ => match node.scalar() {
                Some(text) => Ok(Expr::Text(text)),
                None => {
                    Err(Problem::new(node.at, format!("a value is needed here, not {}", node.describe())))
                }
            },
        }
    }

    fn call(&self, at: Position, function: &str, argument: &Node) -> Result<Expr, Problem> {
        match function {
            "Ref" => self.reference(at, &text(argument, "!Ref")?),
            "GetAtt" => self.attribute(at, argument),
            "Sub" => self.substitute(at, &text(argument, "!Sub")?),
            "Join" => {
                let [separator, parts] = arguments(argument, "!Join [separator, list]")?;
                Ok(Expr::Join { separator: text(separator, "!Join")?, parts: Box::new(self.expr(parts)?) })
            }
            "Split" => {
                let [separator, whole] = arguments(argument, "!Split [separator, text]")?;
                Ok(Expr::Split { separator: text(separator, "!Split")?, text: Box::new(self.expr(whole)?) })
            }
            "Select" => {
                let [index, list] = arguments(argument, "!Select [index, list]")?;
                let index = index
                    .number()
                    .and_then(|number| usize::try_from(number).ok())
                    .ok_or_else(|| Problem::new(index.at, "!Select takes an index from 0"))?;
                Ok(Expr::Select { index, of: Box::new(self.expr(list)?) })
            }
            "If" => {
                let [condition, then, otherwise] = arguments(argument, "!If [condition, then, otherwise]")?;
                let name = text(condition, "!If")?;
                if !self.conditions.contains(&name) {
                    let known = self.conditions.iter().map(String::as_str);
                    return Err(Problem::unknown(condition.at, format!("no condition {name}"), &name, known));
                }
                let (then, otherwise) = (Box::new(self.expr(then)?), Box::new(self.expr(otherwise)?));
                Ok(Expr::If { condition: name, then, otherwise })
            }
            _ => Err(Problem::unknown(
                at,
                format!("the intrinsic function !{function} is not supported here"),
                function,
                FUNCTIONS.into_iter(),
            )),
        }
    }

    fn reference(&self, at: Position, name: &str) -> Result<Expr, Problem> {
        if name == "AWS::NoValue" {
            return Ok(Expr::NoValue);
        }
        if PSEUDO.contains(&name)
            || self.parameters.iter().any(|p| p == name)
            || self.resources.contains_key(name)
        {
            return Ok(Expr::Ref(name.to_owned()));
        }
        let known =
            self.parameters.iter().map(String::as_str).chain(self.resources.keys().map(String::as_str));
        Err(Problem::unknown(at, format!("no parameter or resource {name}"), name, known.chain(PSEUDO)))
    }

    fn attribute(&self, at: Position, argument: &Node) -> Result<Expr, Problem> {
        match &argument.value {
            Value::List(_) => {
                let [resource, attribute] = arguments(argument, "!GetAtt [resource, attribute]")?;
                self.attribute_of(at, &text(resource, "!GetAtt")?, &text(attribute, "!GetAtt")?)
            }
            _ => match text(argument, "!GetAtt")?.split_once('.') {
                Some((resource, attribute)) => self.attribute_of(at, resource, attribute),
                None => Err(Problem::new(at, "!GetAtt needs an attribute").hint("!GetAtt Resource.Arn")),
            },
        }
    }

    fn attribute_of(&self, at: Position, resource: &str, attribute: &str) -> Result<Expr, Problem> {
        let Some(known) = self.resources.get(resource) else {
            let known = self.resources.keys().map(String::as_str);
            return Err(Problem::unknown(at, format!("no resource {resource}"), resource, known));
        };
        if !known.contains(&attribute) {
            let message = format!("the attribute {attribute} of {resource} is not supported");
            return Err(Problem::unknown(at, message, attribute, known.iter().copied()));
        }
        Ok(Expr::GetAtt { resource: resource.to_owned(), attribute: attribute.to_owned() })
    }

    fn substitute(&self, at: Position, template: &str) -> Result<Expr, Problem> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else {
                return Err(Problem::new(at, "!Sub has a ${ without its }"));
            };
            if !before.is_empty() {
                parts.push(Expr::Text(before.to_owned()));
            }
            parts.push(match (name.strip_prefix('!'), name.split_once('.')) {
                (Some(literal), _) => Expr::Text(format!("${{{literal}}}")),
                (None, Some((resource, attribute))) => self.attribute_of(at, resource, attribute)?,
                (None, None) => self.reference(at, name)?,
            });
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Expr::Text(rest.to_owned()));
        }
        Ok(Expr::Concat(parts))
    }

    /// Reads one of the section Conditions.
    pub(super) fn condition(&self, node: &Node) -> Result<Condition, Problem> {
        let Value::Call { function, argument } = &node.value else {
            return Err(Problem::new(
                node.at,
                format!("a condition is needed here, not {}", node.describe()),
            ));
        };
        let several =
            || argument.items().iter().map(|item| self.condition(item)).collect::<Result<Vec<_>, _>>();
        match function.as_str() {
            "Equals" => {
                let [left, right] = arguments(argument, "!Equals [left, right]")?;
                Ok(Condition::Equals(self.expr(left)?, self.expr(right)?))
            }
            "Not" => {
                let [inner] = arguments(argument, "!Not [condition]")?;
                Ok(Condition::Not(Box::new(self.condition(inner)?)))
            }
            "And" => Ok(Condition::All(several()?)),
            "Or" => Ok(Condition::Any(several()?)),
            _ => Err(Problem::unknown(
                node.at,
                format!("the intrinsic function !{function} is not supported in a condition"),
                function,
                CONDITIONS.into_iter(),
            )),
        }
    }
}

fn text(node: &Node, function: &str) -> Result<String, Problem> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(Problem::new(node.at, format!("{function} takes a text here, not {}", node.describe()))),
    }
}

fn arguments<'a, const N: usize>(node: &'a Node, form: &str) -> Result<[&'a Node; N], Problem> {
    let Value::List(items) = &node.value else {
        return Err(Problem::new(node.at, format!("the form is {form}")));
    };
    let items: Vec<&Node> = items.iter().collect();
    let given = items.len();
    items.try_into().map_err(|_| Problem::new(node.at, format!("the form is {form}, given {given} values")))
}

/// What an expression comes to.
pub(super) enum Resolved {
    Nothing,
    Text(String),
    List(Vec<String>),
}

/// Works expressions out: parameters and conditions are the template's, everything else is asked of the host.
pub(super) struct Resolver<'a> {
    /// The value of a parameter; `None` for a name that is no parameter.
    pub(super) parameter: &'a dyn Fn(&str) -> Option<Result<String, ResolveError>>,
    /// The template's conditions.
    pub(super) conditions: &'a BTreeMap<String, Condition>,
    /// An attribute of a resource.
    pub(super) lookup: &'a dyn Fn(&str, &str) -> Option<String>,
}

impl Resolver<'_> {
    pub(super) fn resolve(&self, expr: &Expr) -> Result<Resolved, ResolveError> {
        match expr {
            Expr::Text(text) => Ok(Resolved::Text(text.clone())),
            Expr::NoValue => Ok(Resolved::Nothing),
            Expr::Ref(name) => match (self.parameter)(name) {
                Some(value) => value.map(Resolved::Text),
                None => self.ask(name, "Ref"),
            },
            Expr::GetAtt { resource, attribute } => self.ask(resource, attribute),
            Expr::Concat(parts) => Ok(Resolved::Text(self.list(parts)?.concat())),
            Expr::Join { separator, parts } => Ok(Resolved::Text(self.texts(parts)?.join(separator))),
            Expr::Split { separator, text } => {
                Ok(Resolved::List(self.text(text)?.split(separator.as_str()).map(str::to_owned).collect()))
            }
            Expr::Select { index, of } => {
                self.texts(of)?.into_iter().nth(*index).map(Resolved::Text).ok_or(ResolveError::Index(*index))
            }
            Expr::If { condition, then, otherwise } => {
                let holds = match self.conditions.get(condition) {
                    Some(condition) => self.holds(condition)?,
                    None => false,
                };
                self.resolve(if holds { then } else { otherwise })
            }
            Expr::List(items) => Ok(Resolved::List(self.list(items)?)),
        }
    }

    fn ask(&self, resource: &str, attribute: &str) -> Result<Resolved, ResolveError> {
        let missing =
            || ResolveError::Attribute { resource: resource.to_owned(), attribute: attribute.to_owned() };
        (self.lookup)(resource, attribute).map(Resolved::Text).ok_or_else(missing)
    }

    fn text(&self, expr: &Expr) -> Result<String, ResolveError> {
        match self.resolve(expr)? {
            Resolved::Text(text) => Ok(text),
            Resolved::Nothing | Resolved::List(_) => Err(ResolveError::Kind),
        }
    }

    fn texts(&self, expr: &Expr) -> Result<Vec<String>, ResolveError> {
        match self.resolve(expr)? {
            Resolved::List(texts) => Ok(texts),
            Resolved::Nothing | Resolved::Text(_) => Err(ResolveError::Kind),
        }
    }

    /// The items of a list, without those that come to nothing.
    fn list(&self, items: &[Expr]) -> Result<Vec<String>, ResolveError> {
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match self.resolve(item)? {
                Resolved::Text(text) => texts.push(text),
                Resolved::Nothing => {}
                Resolved::List(_) => return Err(ResolveError::Kind),
            }
        }
        Ok(texts)
    }

    fn holds(&self, condition: &Condition) -> Result<bool, ResolveError> {
        match condition {
            Condition::Equals(left, right) => Ok(self.text(left)? == self.text(right)?),
            Condition::Not(inner) => Ok(!self.holds(inner)?),
            Condition::All(inner) => inner.iter().try_fold(true, |all, next| Ok(all && self.holds(next)?)),
            Condition::Any(inner) => inner.iter().try_fold(false, |any, next| Ok(any || self.holds(next)?)),
        }
    }
}
