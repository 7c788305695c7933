//! The template of the stack, as the local host needs it. What it cannot run is an error with its place, never skipped.

mod check;
mod expr;
mod model;
mod node;
mod problem;
mod read;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use expr::{Condition, Expr, ResolveError};
pub use model::{
    DEFAULT_ROUTE, Function, Index, KeyAttribute, MailSet, Parameter, Queue, QueueSource, Redrive, Role,
    Route, Rule, Schedule, Secret, SecretTemplate, Statement, Table, Template, route_key,
};
pub use problem::{Position, TemplateError};

use check::Check;
use expr::{Resolved, Resolver, Scope};
use node::Node;
use problem::Problem;
use read::{Reader, Resource};

/// A parameter cannot be set to this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The template has no such parameter.
    #[error("the template has no parameter {0}")]
    Unknown(String),
    /// The parameter takes only some values.
    #[error("the parameter {name} is one of {allowed}")]
    NotAllowed {
        /// The parameter.
        name: String,
        /// What it may be.
        allowed: String,
    },
}

impl Template {
    /// Reads a template. Gives every problem at once, in the order of the file.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Vec<TemplateError>> {
        let root = node::load(text).map_err(|problem| vec![problem.in_file(file_name)])?;
        let scope = scope(&root);
        let mut check = Check { scope: &scope, problems: Vec::new() };
        check.shape(&root, &schema::TEMPLATE);
        let result = if check.problems.is_empty() { build(&root, &scope) } else { Err(check.problems) };
        result.map_err(|mut problems| {
            problems.sort_by_key(|problem| problem.at);
            problems.into_iter().map(|problem| problem.in_file(file_name)).collect()
        })
    }

    /// Gives a parameter a value in place of its default.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ParameterError> {
        let Some(parameter) = self.parameters.get_mut(name) else {
            return Err(ParameterError::Unknown(name.to_owned()));
        };
        if !parameter.allowed.is_empty() && !parameter.allowed.iter().any(|allowed| allowed == value) {
            return Err(ParameterError::NotAllowed {
                name: name.to_owned(),
                allowed: parameter.allowed.join(", "),
            });
        }
        parameter.value = Some(value.to_owned());
        Ok(())
    }

    /// Works an expression out; `None` is `AWS::NoValue`, as if it were not written.
    ///
    /// `lookup` is asked for what only the host knows: (logical id, `Ref`), (logical id, attribute) and
    /// (pseudo parameter, `Ref`), as in ("LeadQueue", "Ref"), ("Table", "Arn"), ("AWS::Region", "Ref").
    pub fn resolve(
        &self,
        expr: &Expr,
        lookup: &dyn Fn(&str, &str) -> Option<String>,
    ) -> Result<Option<String>, ResolveError> {
        let parameter = |name: &str| {
            let parameter = self.parameters.get(name)?;
            let value = parameter.value.as_ref().or(parameter.default.as_ref());
            Some(value.cloned().ok_or_else(|| ResolveError::Parameter(name.to_owned())))
        };
        let resolver = Resolver { parameter: &parameter, conditions: &self.conditions, lookup };
        match resolver.resolve(expr)? {
            Resolved::Text(text) => Ok(Some(text)),
            Resolved::Nothing => Ok(None),
            Resolved::List(_) => Err(ResolveError::Kind),
        }
    }

    /// The variables of a function, worked out.
    pub fn environment(
        &self,
        function: &Function,
        lookup: &dyn Fn(&str, &str) -> Option<String>,
    ) -> Result<BTreeMap<String, String>, ResolveError> {
        let mut variables = BTreeMap::new();
        for (name, expr) in &function.environment {
            if let Some(value) = self.resolve(expr, lookup)? {
                variables.insert(name.clone(), value);
            }
        }
        Ok(variables)
    }
}

/// The names of the template, before anything refers to them.
fn scope(root: &Node) -> Scope {
    let names = |section: &str| {
        let entries = root.get(section).map(Node::entries).unwrap_or_default();
        entries.iter().map(|entry| entry.name.clone()).collect()
    };
    let resources = root.get("Resources").map(Node::entries).unwrap_or_default();
    let attributes = |node| check::kind_of(node).map(|kind| kind.attributes).unwrap_or_default();
    Scope {
        parameters: names("Parameters"),
        conditions: names("Conditions"),
        resources: resources.iter().map(|entry| (entry.name.clone(), attributes(&entry.node))).collect(),
    }
}

fn build(root: &Node, scope: &Scope) -> Result<Template, Vec<Problem>> {
    let section = |name: &str| root.get(name).map(Node::entries).unwrap_or_default();
    let resources = read::resources(root);
    let globals = root.get("Globals").and_then(|globals| globals.get("Function"));
    let reader = Reader { scope, resources: &resources, globals };
    let mut problems = Vec::new();

    let mut conditions = BTreeMap::new();
    for entry in section("Conditions") {
        keep(scope.condition(&entry.node), &mut problems, |it| {
            conditions.insert(entry.name.clone(), it);
        });
    }
    let mut outputs = BTreeMap::new();
    for entry in section("Outputs") {
        if let Some(value) = entry.node.get("Value") {
            keep(scope.expr(value), &mut problems, |it| {
                outputs.insert(entry.name.clone(), it);
            });
        }
    }
    let mut template = Template {
        parameters: section("Parameters")
            .iter()
            .map(|e| (e.name.clone(), read::parameter(&e.node)))
            .collect(),
        conditions,
        resources: resources.iter().map(|it| (it.id.to_owned(), it.kind.to_owned())).collect(),
        tables: Vec::new(),
        queues: Vec::new(),
        secrets: Vec::new(),
        functions: Vec::new(),
        routes: Vec::new(),
        schedules: Vec::new(),
        mail_sets: Vec::new(),
        rules: Vec::new(),
        roles: Vec::new(),
        outputs,
    };
    for resource in &resources {
        let found = &mut problems;
        match resource.kind {
            "AWS::DynamoDB::Table" => keep(reader.table(resource), found, |it| template.tables.push(it)),
            "AWS::SQS::Queue" => keep(reader.queue(resource), found, |it| template.queues.push(it)),
            "AWS::SecretsManager::Secret" => {
                keep(reader.secret(resource), found, |it| template.secrets.push(it))
            }
            "AWS::Serverless::Function" => {
                keep(reader.function(resource), found, |it| template.functions.push(it))
            }
            "AWS::ApiGatewayV2::Route" => keep(reader.route(resource), found, |it| template.routes.push(it)),
            "AWS::Scheduler::Schedule" => {
                keep(reader.schedule(resource), found, |it| template.schedules.push(it))
            }
            "AWS::SES::ConfigurationSet" => {
                keep(reader.mail_set(resource), found, |it| template.mail_sets.push(it))
            }
            // Also those of a destination whose set is not there.
            "AWS::SES::ConfigurationSetEventDestination" => keep(reader.mail_events(resource), found, drop),
            "AWS::Events::Rule" => keep(reader.rule(resource), found, |it| template.rules.push(it)),
            "AWS::IAM::Role" => keep(reader.role(resource), found, |it| template.roles.push(it)),
            _ => {}
        }
    }
    repeated_routes(&template.routes, &resources, &mut problems);
    if problems.is_empty() { Ok(template) } else { Err(problems) }
}

fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>, put: impl FnOnce(T)) {
    match result {
        Ok(value) => put(value),
        Err(problem) => problems.push(problem),
    }
}

fn repeated_routes(routes: &[Route], resources: &[Resource<'_>], problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for route in routes {
        if let Some(first) = seen.insert((&route.method, &route.path), &route.id)
            && let Some(resource) = resources.iter().find(|resource| resource.id == route.id)
        {
            let message = format!("{} is routed twice, first by {first}", route.key());
            problems.push(Problem::new(resource.at, message));
        }
    }
}
