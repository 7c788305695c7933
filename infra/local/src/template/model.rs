//! What the template describes, as plain data.

use std::collections::BTreeMap;

use super::expr::{Condition, Expr};
use super::problem::Position;

/// A whole template. Lists are in the order of the file.
#[derive(Clone, Debug)]
pub struct Template {
    /// Parameters with what they are set to.
    pub parameters: BTreeMap<String, Parameter>,
    /// Named conditions.
    pub conditions: BTreeMap<String, Condition>,
    /// Type of every resource, by logical id.
    pub resources: BTreeMap<String, String>,
    /// DynamoDB tables.
    pub tables: Vec<Table>,
    /// SQS queues, dead letters among them.
    pub queues: Vec<Queue>,
    /// Secrets that are made when the stack is.
    pub secrets: Vec<Secret>,
    /// Lambda functions.
    pub functions: Vec<Function>,
    /// Routes of the HTTP API.
    pub routes: Vec<Route>,
    /// Recurring calls.
    pub schedules: Vec<Schedule>,
    /// Configuration sets of mails.
    pub mail_sets: Vec<MailSet>,
    /// Events that go to queues.
    pub rules: Vec<Rule>,
    /// Roles, for checks on what a function may do; one machine does not enforce them.
    pub roles: Vec<Role>,
    /// Outputs.
    pub outputs: BTreeMap<String, Expr>,
}

/// One parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its default.
    pub default: Option<String>,
    /// The values it may take; empty if any.
    pub allowed: Vec<String>,
    /// What the host set it to.
    pub value: Option<String>,
}

/// One attribute of a table's or an index's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// `S`, `N` or `B`.
    pub kind: String,
}

/// A DynamoDB table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Logical id.
    pub id: String,
    /// Partition key.
    pub partition: KeyAttribute,
    /// Sort key.
    pub sort: Option<KeyAttribute>,
    /// Global secondary indexes.
    pub indexes: Vec<Index>,
    /// The attribute that holds an item's end of life, in seconds since the Unix epoch.
    pub ttl: Option<String>,
}

/// A global secondary index.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Partition key.
    pub partition: KeyAttribute,
    /// Sort key.
    pub sort: Option<KeyAttribute>,
    /// `KEYS_ONLY` or `ALL`.
    pub projection: String,
}

/// An SQS standard queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Logical id.
    pub id: String,
    /// How long a received message stays invisible, in seconds.
    pub visibility_seconds: u32,
    /// How long a message is kept, in seconds.
    pub retention_seconds: u32,
    /// Delay of every message, in seconds.
    pub delay_seconds: u32,
    /// Where a message goes that is received too often.
    pub redrive: Option<Redrive>,
}

/// A queue's way out for what keeps failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// Logical id of the dead-letter queue.
    pub dead_letters: String,
    /// How often a message is handed out before it moves there.
    pub max_receives: u32,
}

/// A secret whose value is generated.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Logical id.
    pub id: String,
    /// Length of the generated text.
    pub length: u32,
    /// Characters that it may consist of.
    pub alphabet: String,
    /// The JSON document and the key in it that receive the text; without them the text is the secret.
    pub inside: Option<SecretTemplate>,
}

/// A JSON document with one generated member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretTemplate {
    /// A JSON object.
    pub document: String,
    /// The member that is added.
    pub key: String,
}

/// A Lambda function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Logical id.
    pub id: String,
    /// Folder, crate and binary, as `CodeUri` names them.
    pub name: String,
    /// How long one call may take, in seconds.
    pub timeout_seconds: u32,
    /// Memory in MB.
    pub memory_mb: u32,
    /// How many calls may run at one time; a number once resolved.
    pub reserved_concurrency: Option<Expr>,
    /// Variables.
    pub environment: BTreeMap<String, Expr>,
    /// Logical id of its role.
    pub role: String,
    /// Queues that it reads.
    pub sources: Vec<QueueSource>,
    /// Where it stands in the template.
    pub at: Position,
}

/// A queue that calls a function. Failures are always reported by record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSource {
    /// Logical id of the queue.
    pub queue: String,
    /// Most messages of one call.
    pub batch_size: u32,
    /// How long to wait for a full batch, in seconds.
    pub window_seconds: u32,
    /// Most calls at one time.
    pub max_concurrency: Option<u32>,
}

/// The route key of whatever has no route of its own.
pub const DEFAULT_ROUTE: &str = "$default";

/// A route of the HTTP API, payload format 2.0.
#[derive(Clone, Debug)]
pub struct Route {
    /// Logical id.
    pub id: String,
    /// Such as `GET`; `ANY` of the default route.
    pub method: String,
    /// Such as `/f/{form}`, or [`DEFAULT_ROUTE`].
    pub path: String,
    /// Logical id of the function.
    pub function: String,
}

impl Route {
    /// Its key: `GET /f/{form}`.
    pub fn key(&self) -> String {
        route_key(&self.method, &self.path)
    }
}

/// The key of a route: `GET /f/{form}`, or [`DEFAULT_ROUTE`].
pub fn route_key(method: &str, path: &str) -> String {
    match path {
        DEFAULT_ROUTE => DEFAULT_ROUTE.to_owned(),
        path => format!("{method} {path}"),
    }
}

/// A function called again and again.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Logical id.
    pub id: String,
    /// Logical id of the function.
    pub function: String,
    /// Time between two calls, in seconds.
    pub every_seconds: u32,
    /// The payload, with EventBridge Scheduler's `<aws.scheduler.…>` not yet replaced.
    pub input: Option<String>,
}

/// A name under which mails go out, and what is published of them.
#[derive(Clone, Debug)]
pub struct MailSet {
    /// Logical id.
    pub id: String,
    /// Its name.
    pub name: Expr,
    /// Kinds of event as the template names them: `SEND`. Empty if nothing is published.
    pub events: Vec<String>,
}

/// Events of SES that go to a queue.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Logical id.
    pub id: String,
    /// ARNs that an event has to be about, one of them.
    pub resources: Vec<Expr>,
    /// Logical ids of the queues.
    pub queues: Vec<String>,
}

/// What somebody may do.
#[derive(Clone, Debug)]
pub struct Role {
    /// Logical id.
    pub id: String,
    /// Which service takes it on.
    pub service: String,
    /// What it allows.
    pub statements: Vec<Statement>,
}

/// One permission of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Such as `dynamodb:GetItem`.
    pub actions: Vec<String>,
    /// On what.
    pub resources: Vec<Expr>,
}
