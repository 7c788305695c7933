//! From the checked tree to the model. Properties have the shapes of the schema by now; what one resource says about
//! another is checked here.

use std::collections::BTreeMap;

use super::check::kind_of;
use super::expr::{Expr, Scope};
use super::model::{
    DEFAULT_ROUTE, Function, Index, KeyAttribute, MailSet, Parameter, Queue, QueueSource, Redrive, Role,
    Route, Rule, Schedule, Secret, SecretTemplate, Statement, Table,
};
use super::node::Node;
use super::problem::Problem;

/// A resource of the tree.
pub(super) struct Resource<'a> {
    pub(super) id: &'a str,
    pub(super) kind: &'static str,
    pub(super) properties: &'a Node,
    pub(super) at: super::problem::Position,
}

/// Every resource with properties and a known type, in the order of the file.
pub(super) fn resources(root: &Node) -> Vec<Resource<'_>> {
    let entries = root.get("Resources").map(Node::entries).unwrap_or_default();
    let known = |node| kind_of(node).ok().map(|kind| kind.name);
    entries
        .iter()
        .filter_map(|entry| {
            let (kind, properties) = (known(&entry.node)?, entry.node.get("Properties")?);
            Some(Resource { id: &entry.name, kind, properties, at: entry.at })
        })
        .collect()
}

/// Reads one resource after another.
pub(super) struct Reader<'a> {
    pub(super) scope: &'a Scope,
    pub(super) resources: &'a [Resource<'a>],
    /// The Globals of functions.
    pub(super) globals: Option<&'a Node>,
}

impl Reader<'_> {
    pub(super) fn table(&self, resource: &Resource<'_>) -> Result<Table, Problem> {
        let table = resource.properties;
        let mut kinds = BTreeMap::new();
        for attribute in need(table, "AttributeDefinitions")?.items() {
            kinds.insert(literal(attribute, "AttributeName")?, literal(attribute, "AttributeType")?);
        }
        let (partition, sort) = keys(need(table, "KeySchema")?, &kinds)?;
        let mut indexes = Vec::new();
        for index in table.get("GlobalSecondaryIndexes").map(Node::items).unwrap_or_default() {
            let (partition, sort) = keys(need(index, "KeySchema")?, &kinds)?;
            let projection = literal(need(index, "Projection")?, "ProjectionType")?;
            indexes.push(Index { name: literal(index, "IndexName")?, partition, sort, projection });
        }
        let ttl =
            table.get("TimeToLiveSpecification").map(|ttl| literal(ttl, "AttributeName")).transpose()?;
        Ok(Table { id: resource.id.to_owned(), partition, sort, indexes, ttl })
    }

    pub(super) fn queue(&self, resource: &Resource<'_>) -> Result<Queue, Problem> {
        let queue = resource.properties;
        let redrive = match queue.get("RedrivePolicy") {
            None => None,
            Some(policy) => Some(Redrive {
                dead_letters: self.points_to(
                    need(policy, "deadLetterTargetArn")?,
                    Some("Arn"),
                    "AWS::SQS::Queue",
                )?,
                max_receives: number(policy, "maxReceiveCount", None)?,
            }),
        };
        // Defaults: SQS API Reference, CreateQueue.
        Ok(Queue {
            id: resource.id.to_owned(),
            visibility_seconds: number(queue, "VisibilityTimeout", Some(30))?,
            retention_seconds: number(queue, "MessageRetentionPeriod", Some(345_600))?,
            delay_seconds: number(queue, "DelaySeconds", Some(0))?,
            redrive,
        })
    }

    pub(super) fn secret(&self, resource: &Resource<'_>) -> Result<Secret, Problem> {
        let generate = need(resource.properties, "GenerateSecretString")?;
        let without = |name: &str| generate.get(name).and_then(Node::scalar).unwrap_or_default();
        // Sets of characters: Secrets Manager API Reference, GetRandomPassword.
        let sets = [
            ("ExcludeLowercase", "abcdefghijklmnopqrstuvwxyz"),
            ("ExcludeUppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            ("ExcludeNumbers", "0123456789"),
            ("ExcludePunctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ];
        let excluded = without("ExcludeCharacters");
        let alphabet: String = sets
            .iter()
            .filter(|(flag, _)| without(flag) != "true")
            .flat_map(|(_, set)| set.chars())
            .filter(|character| !excluded.contains(*character))
            .collect();
        if alphabet.is_empty() {
            return Err(Problem::new(generate.at, "no character is left to generate the secret from"));
        }
        let inside = match (generate.get("SecretStringTemplate"), generate.get("GenerateStringKey")) {
            (None, None) => None,
            (Some(document), Some(_)) => {
                let text = literal(generate, "SecretStringTemplate")?;
                if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_err() {
                    return Err(Problem::new(document.at, "SecretStringTemplate is not a JSON object"));
                }
                Some(SecretTemplate { document: text, key: literal(generate, "GenerateStringKey")? })
            }
            _ => {
                return Err(Problem::new(
                    generate.at,
                    "SecretStringTemplate and GenerateStringKey belong together",
                ));
            }
        };
        let length = number(generate, "PasswordLength", Some(32))?;
        Ok(Secret { id: resource.id.to_owned(), length, alphabet, inside })
    }

    pub(super) fn function(&self, resource: &Resource<'_>) -> Result<Function, Problem> {
        let own = resource.properties;
        let find = |name: &str| own.get(name).or_else(|| self.globals?.get(name));
        let must = |name: &str| {
            find(name)
                .ok_or_else(|| Problem::new(resource.at, format!("{name} of {} is missing", resource.id)))
        };
        for name in ["Handler", "Runtime"] {
            must(name)?;
        }
        let code = must("CodeUri")?;
        let path = code.scalar().unwrap_or_default();
        let name = path
            .strip_prefix("../target/lambda/")
            .and_then(|rest| rest.strip_suffix("/bootstrap.zip"))
            .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            .ok_or_else(|| {
                Problem::new(code.at, format!("the CodeUri {path} is not supported"))
                    .hint("../target/lambda/<function>/bootstrap.zip")
            })?;
        let mut environment = BTreeMap::new();
        for properties in [self.globals, Some(own)].into_iter().flatten() {
            let variables = properties.get("Environment").and_then(|e| e.get("Variables"));
            for entry in variables.map(Node::entries).unwrap_or_default() {
                environment.insert(entry.name.clone(), self.scope.expr(&entry.node)?);
            }
        }
        let mut sources = Vec::new();
        for event in own.get("Events").map(Node::entries).unwrap_or_default() {
            sources.push(self.source(need(&event.node, "Properties")?)?);
        }
        let reserved = find("ReservedConcurrentExecutions").map(|node| self.scope.expr(node)).transpose()?;
        // Defaults: AWS::Lambda::Function of the CloudFormation reference.
        Ok(Function {
            id: resource.id.to_owned(),
            name: name.to_owned(),
            timeout_seconds: find("Timeout").map_or(Ok(3), whole)?,
            memory_mb: find("MemorySize").map_or(Ok(128), whole)?,
            reserved_concurrency: reserved,
            environment,
            role: self.points_to(must("Role")?, Some("Arn"), "AWS::IAM::Role")?,
            sources,
            at: resource.at,
        })
    }

    fn source(&self, source: &Node) -> Result<QueueSource, Problem> {
        let max_concurrency = source
            .get("ScalingConfig")
            .map(|scaling| number(scaling, "MaximumConcurrency", None))
            .transpose()?;
        if need(source, "FunctionResponseTypes")?.items().is_empty() {
            return Err(Problem::new(source.at, "failures are always reported by record")
                .hint("FunctionResponseTypes: [ReportBatchItemFailures]"));
        }
        // Defaults: Lambda API Reference, CreateEventSourceMapping.
        Ok(QueueSource {
            queue: self.points_to(need(source, "Queue")?, Some("Arn"), "AWS::SQS::Queue")?,
            batch_size: number(source, "BatchSize", Some(10))?,
            window_seconds: number(source, "MaximumBatchingWindowInSeconds", Some(0))?,
            max_concurrency,
        })
    }

    pub(super) fn route(&self, resource: &Resource<'_>) -> Result<Route, Problem> {
        let key = need(resource.properties, "RouteKey")?;
        let text = key.scalar().unwrap_or_default();
        let is_default = text == DEFAULT_ROUTE;
        // Whatever has no route: any method, any path.
        let (method, path) = match is_default {
            true => ("ANY", DEFAULT_ROUTE),
            false => text.split_once(' ').unwrap_or_default(),
        };
        let segment = |segment: &str| match segment.strip_prefix('{') {
            Some(name) => name
                .strip_suffix('}')
                .is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric())),
            None => !segment.is_empty() && !segment.contains(['{', '}', '+', '$']),
        };
        // A route cannot end with a slash; `{slash+}` stands for it.
        let plain = path.strip_suffix("/{slash+}").unwrap_or(path);
        let explicit = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method)
            && plain.strip_prefix('/').is_some_and(|path| path.split('/').all(segment));
        if !explicit && !is_default {
            return Err(Problem::new(key.at, format!("the route {text} is not supported"))
                .hint("one method and one path: GET /api/leads/{id}"));
        }
        let target = need(resource.properties, "Target")?;
        let integration = match self.scope.expr(target)? {
            Expr::Concat(parts) => match parts.as_slice() {
                [Expr::Text(prefix), Expr::Ref(id)] if prefix == "integrations/" => {
                    self.resource(id).filter(|found| found.kind == "AWS::ApiGatewayV2::Integration")
                }
                _ => None,
            },
            _ => None,
        }
        .ok_or_else(|| {
            Problem::new(target.at, "the target is no integration").hint("!Sub integrations/${Integration}")
        })?;
        let uri = need(integration.properties, "IntegrationUri")?;
        Ok(Route {
            id: resource.id.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            function: self.points_to(uri, Some("Arn"), "AWS::Serverless::Function")?,
        })
    }

    pub(super) fn schedule(&self, resource: &Resource<'_>) -> Result<Schedule, Problem> {
        let expression = need(resource.properties, "ScheduleExpression")?;
        let text = expression.scalar().unwrap_or_default();
        let rate = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).and_then(|rate| {
            let (count, unit) = rate.split_once(' ')?;
            let seconds: u32 = match unit {
                "minute" | "minutes" => 60,
                "hour" | "hours" => 3600,
                "day" | "days" => 86_400,
                _ => return None,
            };
            count.parse::<u32>().ok().filter(|count| *count > 0)?.checked_mul(seconds)
        });
        let every_seconds = rate.ok_or_else(|| {
            Problem::new(expression.at, format!("the schedule {text} is not supported"))
                .hint("rate(1 minute)")
        })?;
        let target = need(resource.properties, "Target")?;
        Ok(Schedule {
            id: resource.id.to_owned(),
            function: self.points_to(need(target, "Arn")?, Some("Arn"), "AWS::Serverless::Function")?,
            every_seconds,
            input: target.get("Input").and_then(Node::scalar),
        })
    }

    /// A configuration set, with the kinds of event of every destination that is about it.
    pub(super) fn mail_set(&self, resource: &Resource<'_>) -> Result<MailSet, Problem> {
        let mut events = Vec::new();
        let destinations =
            self.resources.iter().filter(|it| it.kind == "AWS::SES::ConfigurationSetEventDestination");
        // A destination that cannot be read is complained about by itself.
        for (set, named) in destinations.filter_map(|destination| self.mail_events(destination).ok()) {
            if set == resource.id {
                events.extend(named);
            }
        }
        let name = self.scope.expr(need(resource.properties, "Name")?)?;
        Ok(MailSet { id: resource.id.to_owned(), name, events })
    }

    /// The set that a destination is about, and the kinds of event that go there.
    pub(super) fn mail_events(&self, resource: &Resource<'_>) -> Result<(String, Vec<String>), Problem> {
        let set = need(resource.properties, "ConfigurationSetName")?;
        let set = self.points_to(set, None, "AWS::SES::ConfigurationSet")?;
        let kinds = need(need(resource.properties, "EventDestination")?, "MatchingEventTypes")?;
        Ok((set, kinds.items().iter().filter_map(Node::scalar).collect()))
    }

    pub(super) fn rule(&self, resource: &Resource<'_>) -> Result<Rule, Problem> {
        let resources = need(need(resource.properties, "EventPattern")?, "resources")?.items();
        let mut queues = Vec::new();
        for target in need(resource.properties, "Targets")?.items() {
            queues.push(self.points_to(need(target, "Arn")?, Some("Arn"), "AWS::SQS::Queue")?);
        }
        Ok(Rule {
            id: resource.id.to_owned(),
            resources: resources.iter().map(|node| self.scope.expr(node)).collect::<Result<_, _>>()?,
            queues,
        })
    }

    pub(super) fn role(&self, resource: &Resource<'_>) -> Result<Role, Problem> {
        let trust = need(need(resource.properties, "AssumeRolePolicyDocument")?, "Statement")?;
        let service = match trust.items() {
            [one] => literal(need(one, "Principal")?, "Service")?,
            _ => return Err(Problem::new(trust.at, "a role is taken on by exactly one service")),
        };
        let mut statements = Vec::new();
        for policy in need(resource.properties, "Policies")?.items() {
            for statement in need(need(policy, "PolicyDocument")?, "Statement")?.items() {
                let actions = need(statement, "Action")?.items().iter().filter_map(Node::scalar).collect();
                let resources = need(statement, "Resource")?.items().iter().map(|node| self.scope.expr(node));
                statements.push(Statement { actions, resources: resources.collect::<Result<_, _>>()? });
            }
        }
        Ok(Role { id: resource.id.to_owned(), service, statements })
    }

    /// The logical id behind a `!Ref` or `!GetAtt` that must lead to a resource of one type.
    fn points_to(&self, node: &Node, attribute: Option<&str>, kind: &str) -> Result<String, Problem> {
        let id = match (self.scope.expr(node)?, attribute) {
            (Expr::GetAtt { resource, attribute }, Some(wanted)) if attribute == wanted => Some(resource),
            (Expr::Ref(resource), None) => Some(resource),
            _ => None,
        };
        id.filter(|id| self.resource(id).is_some_and(|found| found.kind == kind)).ok_or_else(|| {
            let form = attribute.map_or("!Ref".to_owned(), |attribute| format!("!GetAtt …{attribute}"));
            Problem::new(node.at, format!("{form} of an {kind} is needed here"))
        })
    }

    fn resource(&self, id: &str) -> Option<&Resource<'_>> {
        self.resources.iter().find(|resource| resource.id == id)
    }
}

/// A parameter of the template.
pub(super) fn parameter(node: &Node) -> Parameter {
    let allowed = node.get("AllowedValues").map(Node::items).unwrap_or_default();
    Parameter {
        default: node.get("Default").and_then(Node::scalar),
        allowed: allowed.iter().filter_map(Node::scalar).collect(),
        value: None,
    }
}

fn keys(
    schema: &Node,
    kinds: &BTreeMap<String, String>,
) -> Result<(KeyAttribute, Option<KeyAttribute>), Problem> {
    let mut found = BTreeMap::new();
    for key in schema.items() {
        let name = literal(key, "AttributeName")?;
        let Some(kind) = kinds.get(&name) else {
            let known = kinds.keys().map(String::as_str);
            return Err(Problem::unknown(
                key.at,
                format!("the attribute {name} is not defined"),
                &name,
                known,
            ));
        };
        let role = literal(key, "KeyType")?;
        if found.insert(role, KeyAttribute { name, kind: kind.clone() }).is_some() {
            return Err(Problem::new(key.at, "a key has one HASH and at most one RANGE attribute"));
        }
    }
    let partition =
        found.remove("HASH").ok_or_else(|| Problem::new(schema.at, "the key has no HASH attribute"))?;
    Ok((partition, found.remove("RANGE")))
}

fn need<'a>(node: &'a Node, name: &str) -> Result<&'a Node, Problem> {
    node.get(name).ok_or_else(|| Problem::new(node.at, format!("{name} is missing")))
}

fn literal(node: &Node, name: &str) -> Result<String, Problem> {
    let found = need(node, name)?;
    found.scalar().ok_or_else(|| Problem::new(found.at, format!("{name} is not a plain text")))
}

fn whole(node: &Node) -> Result<u32, Problem> {
    let number = node.number().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| Problem::new(node.at, "a whole number is needed here"))
}

fn number(node: &Node, name: &str, default: Option<u32>) -> Result<u32, Problem> {
    match (node.get(name), default) {
        (Some(found), _) => whole(found),
        (None, Some(default)) => Ok(default),
        (None, None) => need(node, name).and_then(whole),
    }
}
