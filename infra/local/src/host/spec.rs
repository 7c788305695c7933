//! What a stack consists of, as plain values, and how the template says it.

use super::events::RuleSpec;
use super::front_door::RouteSpec;
use super::pollers::EventSourceSpec;
use super::schedule::ScheduleSpec;
use super::stack::Addresses;
use crate::template::{KeyAttribute, Queue, QueueSource, Table, Template};
use serde_json::{Value, json};
use sluice_host::function::StartError;
use sluice_services::secrets::{self, Generate};
use sluice_services::sqs::{QueueSpec, Sqs};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Names of tables, queues and secrets begin with this, as CloudFormation begins them with the stack's name.
const STACK: &str = "sluice";
/// Calls at one time where the template gives no limit.
const DEFAULT_CONCURRENCY: u32 = 10;
/// Instances of a binary, where its queues do not call it more often at one time.
const DEFAULT_INSTANCES: usize = 4;
/// How many instances of a binary a laptop runs at most; further calls wait their turn.
const MOST_INSTANCES: usize = 16;

/// A whole stack.
#[derive(Clone, Debug, Default)]
pub struct StackSpec {
    /// Tables.
    pub tables: Vec<TableSpec>,
    /// Queues, each after the one its dead letters go to.
    pub queues: Vec<QueueSpec>,
    /// Functions.
    pub functions: Vec<FunctionSpec>,
    /// Queues that call functions.
    pub event_sources: Vec<EventSourceSpec>,
    /// Recurring calls.
    pub schedules: Vec<ScheduleSpec>,
    /// Routes of the HTTP API.
    pub routes: Vec<RouteSpec>,
    /// Configuration sets of mails, each with the kinds of event that it publishes.
    pub mail_sets: BTreeMap<String, BTreeSet<String>>,
    /// Events that go to queues.
    pub rules: Vec<RuleSpec>,
    /// Secrets that are made when the stack is, by name.
    pub secrets: BTreeMap<String, Generate>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// The body of its `CreateTable` request.
    pub create: Value,
    /// The attribute that holds an item's end of life, in seconds since the epoch.
    pub ttl: Option<String>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    /// Its name, which is also its binary's.
    pub name: String,
    /// How long one call may take.
    pub timeout: Duration,
    /// Memory in MB.
    pub memory_mb: u32,
    /// Most instances at a time, where it is a binary.
    pub max_instances: usize,
    /// Most calls at one time, where the template reserves so many.
    pub reserved: Option<usize>,
    /// Its own variables. The host adds region, credentials and endpoints.
    pub vars: BTreeMap<String, String>,
}

impl StackSpec {
    /// The stack that a template describes, with its references worked out for these addresses.
    pub fn from_template(template: &Template, addresses: &Addresses) -> Result<Self, StartError> {
        let lookup = |id: &str, attribute: &str| reference(template, addresses, id, attribute);
        let unresolved = |error| StartError(format!("template: {error}"));
        let mut functions = Vec::new();
        for function in &template.functions {
            let reserved = match &function.reserved_concurrency {
                Some(expr) => template.resolve(expr, &lookup).map_err(unresolved)?,
                None => None,
            };
            let reserved = reserved.and_then(|number| number.parse().ok()).map(|n: usize| n.max(1));
            functions.push(FunctionSpec {
                name: function.name.clone(),
                timeout: Duration::from_secs(u64::from(function.timeout_seconds)),
                memory_mb: function.memory_mb,
                max_instances: instances(&function.sources, reserved),
                reserved,
                vars: template.environment(function, &lookup).map_err(unresolved)?,
            });
        }
        let name_of = |id: &str| {
            let function = template.functions.iter().find(|function| function.id == id);
            function
                .map(|function| function.name.clone())
                .ok_or_else(|| StartError(format!("template: no function {id}")))
        };
        let mut routes = Vec::new();
        for route in &template.routes {
            let function = name_of(&route.function)?;
            routes.push(RouteSpec { method: route.method.clone(), path: route.path.clone(), function });
        }
        let mut schedules = Vec::new();
        for schedule in &template.schedules {
            schedules.push(ScheduleSpec {
                name: schedule.id.clone(),
                function: name_of(&schedule.function)?,
                every: Duration::from_secs(u64::from(schedule.every_seconds)),
                input: schedule.input.clone(),
            });
        }
        let mut mail_sets = BTreeMap::new();
        for set in &template.mail_sets {
            let name = template.resolve(&set.name, &lookup).map_err(unresolved)?;
            mail_sets.insert(name.unwrap_or_default(), set.events.iter().cloned().collect());
        }
        let mut rules = Vec::new();
        for rule in &template.rules {
            let resources = rule.resources.iter().map(|it| template.resolve(it, &lookup).map_err(unresolved));
            let resources: Vec<Option<String>> = resources.collect::<Result<_, _>>()?;
            rules.push(RuleSpec {
                resources: resources.into_iter().flatten().collect(),
                queues: rule.queues.iter().map(|id| named(id)).collect(),
            });
        }
        let sources = template.functions.iter().flat_map(|function| {
            function.sources.iter().map(|source| EventSourceSpec {
                queue: named(&source.queue),
                function: function.name.clone(),
                batch_size: usize::try_from(source.batch_size).unwrap_or(usize::MAX),
                max_concurrency: at_once(source),
                window: Duration::from_secs(u64::from(source.window_seconds)),
            })
        });
        Ok(Self {
            tables: template.tables.iter().map(table).collect(),
            queues: queues(template),
            event_sources: sources.collect(),
            secrets: template
                .secrets
                .iter()
                .map(|secret| {
                    let how = Generate {
                        length: usize::try_from(secret.length).unwrap_or_default(),
                        alphabet: secret.alphabet.clone(),
                        inside: secret.inside.as_ref().map(|it| (it.document.clone(), it.key.clone())),
                    };
                    (named(&secret.id), how)
                })
                .collect(),
            functions,
            schedules,
            routes,
            mail_sets,
            rules,
        })
    }
}

/// Most calls of one queue at one time.
fn at_once(source: &QueueSource) -> usize {
    usize::try_from(source.max_concurrency.unwrap_or(DEFAULT_CONCURRENCY)).unwrap_or(1)
}

/// Most instances of a binary: one for each call that its queues may make at one time, and no more than are reserved.
fn instances(sources: &[QueueSource], reserved: Option<usize>) -> usize {
    let asked: usize = sources.iter().map(at_once).sum();
    asked.clamp(DEFAULT_INSTANCES, MOST_INSTANCES).min(reserved.unwrap_or(usize::MAX))
}

/// The name of a table, queue or secret of the template.
pub fn named(id: &str) -> String {
    format!("{STACK}-{id}")
}

/// What `!Ref` and `!GetAtt` give here.
fn reference(template: &Template, addresses: &Addresses, id: &str, attribute: &str) -> Option<String> {
    let name = named(id);
    let text = match (template.resources.get(id).map(String::as_str), attribute) {
        (Some("AWS::DynamoDB::Table"), "Ref") => name,
        (Some("AWS::DynamoDB::Table"), "Arn") => {
            format!("arn:aws:dynamodb:us-east-1:000000000000:table/{name}")
        }
        (Some("AWS::SQS::Queue"), "Ref" | "QueueUrl") => addresses.queue_url(&name),
        (Some("AWS::SQS::Queue"), "Arn") => Sqs::queue_arn(&name),
        (Some("AWS::SQS::Queue"), "QueueName") => name,
        (Some("AWS::SecretsManager::Secret"), "Ref") => secrets::arn(&name),
        (Some("AWS::ApiGatewayV2::Api"), "ApiEndpoint") => addresses.url.clone(),
        (Some("AWS::SES::ConfigurationSet"), "Ref") => {
            let set = template.mail_sets.iter().find(|set| set.id == id)?;
            let own = |id: &str, attribute: &str| match template.resources.contains_key(id) {
                true => None,
                false => reference(template, addresses, id, attribute),
            };
            template.resolve(&set.name, &own).ok()??
        }
        (None, "Ref") => match id {
            "AWS::AccountId" => "000000000000".to_owned(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::Region" => "us-east-1".to_owned(),
            "AWS::StackName" => STACK.to_owned(),
            _ => return None,
        },
        _ => return None,
    };
    Some(text)
}

fn table(table: &Table) -> TableSpec {
    let name = named(&table.id);
    let keys = |partition: &KeyAttribute, sort: Option<&KeyAttribute>| -> Vec<Value> {
        let key = |attribute: &KeyAttribute, kind: &str| json!({ "AttributeName": attribute.name, "KeyType": kind });
        let sort = sort.map(|sort| key(sort, "RANGE"));
        std::iter::once(key(partition, "HASH")).chain(sort).collect()
    };
    let of_table = std::iter::once(&table.partition).chain(&table.sort);
    let of_indexes =
        table.indexes.iter().flat_map(|index| std::iter::once(&index.partition).chain(&index.sort));
    let attributes: BTreeMap<&str, &str> =
        of_table.chain(of_indexes).map(|it| (it.name.as_str(), it.kind.as_str())).collect();
    let defined = |(name, kind): (&&str, &&str)| json!({ "AttributeName": name, "AttributeType": kind });
    let mut create = json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes.iter().map(defined).collect::<Vec<_>>(),
        "KeySchema": keys(&table.partition, table.sort.as_ref()),
    });
    let indexes = table.indexes.iter().map(|index| {
        json!({
            "IndexName": index.name,
            "KeySchema": keys(&index.partition, index.sort.as_ref()),
            "Projection": { "ProjectionType": index.projection },
        })
    });
    let indexes: Vec<Value> = indexes.collect();
    if !indexes.is_empty() {
        create["GlobalSecondaryIndexes"] = indexes.into();
    }
    TableSpec { name, create, ttl: table.ttl.clone() }
}

/// The queues, those that take dead letters first: a redrive policy may only name a queue that exists.
fn queues(template: &Template) -> Vec<QueueSpec> {
    let mut ordered: Vec<&Queue> = template.queues.iter().collect();
    ordered.sort_by_key(|queue| queue.redrive.is_some());
    ordered
        .into_iter()
        .map(|queue| {
            let spec = QueueSpec::new(named(&queue.id))
                .with("VisibilityTimeout", queue.visibility_seconds.to_string())
                .with("MessageRetentionPeriod", queue.retention_seconds.to_string())
                .with("DelaySeconds", queue.delay_seconds.to_string());
            match &queue.redrive {
                Some(redrive) => spec.with_redrive(&named(&redrive.dead_letters), redrive.max_receives),
                None => spec,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        Addresses {
            url: at(1),
            dynamodb: at(2),
            sqs: at(3),
            ses: at(4),
            secrets_manager: at(5),
            calls: at(6),
        }
    }

    #[test]
    fn the_template_of_the_project_becomes_a_stack() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
        let mut template = Template::parse(&std::fs::read_to_string(path).unwrap(), path).unwrap();
        template.set("MailFrom", "sales@example.com").unwrap();
        let spec = StackSpec::from_template(&template, &addresses()).unwrap();
        let function = |name: &str| spec.functions.iter().find(|function| function.name == name).unwrap();
        let capture = function("capture-lead");
        assert_eq!(capture.vars["SLUICE_TABLE"], "sluice-Table");
        assert_eq!(capture.vars["SLUICE_LEAD_QUEUE_URL"], "http://127.0.0.1:3/000000000000/sluice-LeadQueue");
        assert_eq!(function("send-message").vars["SLUICE_PUBLIC_URL"], "http://127.0.0.1:1");
        let secret = &function("route-lead").vars["SLUICE_HASH_KEY_SECRET"];
        assert!(spec.secrets.keys().any(|name| secrets::arn(name) == *secret), "{secret}");
        let source = spec.event_sources.iter().find(|source| source.function == "route-lead").unwrap();
        assert_eq!((source.queue.as_str(), source.batch_size), ("sluice-LeadQueue", 10));
        assert!(
            spec.routes
                .iter()
                .any(|route| route.key() == "POST /f/{form}" && route.function == "capture-lead")
        );
        assert_eq!(spec.schedules[0].every, Duration::from_secs(60));
        // Of three queues with five calls each, of one with ten, and of none.
        let instances =
            ["send-message", "route-lead", "fire-timers"].map(|name| function(name).max_instances);
        assert_eq!(instances, [15, 10, DEFAULT_INSTANCES]);
    }

    #[test]
    fn a_binary_has_an_instance_for_each_call_at_one_time_that_is_let_pass() {
        let source = |max_concurrency: Option<u32>| QueueSource {
            queue: "Queue".to_owned(),
            batch_size: 10,
            window_seconds: 0,
            max_concurrency,
        };
        assert_eq!(instances(&[source(Some(5)), source(None)], None), 15);
        assert_eq!(instances(&[source(Some(5)), source(None)], Some(7)), 7);
        assert_eq!(instances(&[source(Some(2))], None), DEFAULT_INSTANCES);
        assert_eq!(instances(&[source(Some(40)), source(None)], None), MOST_INSTANCES);
        assert_eq!(instances(&[], Some(1)), 1);
    }

    #[test]
    fn its_table_and_queues_can_be_made_and_dead_letters_come_first() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
        let mut template = Template::parse(&std::fs::read_to_string(path).unwrap(), path).unwrap();
        template.set("MailFrom", "sales@example.com").unwrap();
        let spec = StackSpec::from_template(&template, &addresses()).unwrap();
        let store = sluice_services::dynamodb::DynamoDb::memory().unwrap();
        store.run("CreateTable", spec.tables[0].create.to_string().as_bytes()).unwrap();
        let sqs = Sqs::open(None, std::sync::Arc::new(|| 0), "http://127.0.0.1:3".into()).unwrap();
        for queue in &spec.queues {
            sqs.create_queue(queue).unwrap();
        }
        assert_eq!(sqs.depth("sluice-LeadQueue").unwrap().visible, 0);
    }
}
