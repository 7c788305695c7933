//! A running stack for scenarios: the whole system in this process, met through its doors and nothing else.
//!
//! Every scenario ends with [`Running::finish`], which looks at what must hold whatever the scenario did.

pub mod contract;
pub mod door;
pub mod fake;
pub mod http;
pub mod log;
pub mod mail;
pub mod metrics;
pub mod refusals;
pub mod schema;
mod verify;

use self::contract::Contract;
use self::http::{Answer, urlencoded};
use crate::canaries;
use crate::sns::Sns;
use mail_parser::MessageParser;
use metrics::Metrics;
use refusals::Refusals;
use serde_json::{Value, json};
use sluice::cli::{embedded_functions, local_template};
use sluice::host::clock::StackClock;
use sluice::host::spec::{StackSpec, named};
use sluice::host::stack::{Functions, NoMetrics, Options, Stack};
use sluice::template::Template;
use sluice_domain::policy::SEEN_MS;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::lambda::{SystemRandom, https_client};
use sluice_host::web;
use sluice_services::Service;
use sluice_services::connector::connector;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

/// When a scenario's clock begins.
pub const START: &str = "2026-03-02T09:00:00Z";
/// How long a stack may take to become quiet, in the machine's time.
const QUIET: Duration = Duration::from_secs(30);
/// After this no function decides by the policies of before, and what waits for that has come.
pub const POLICIES_SEEN: Duration = Duration::from_millis(SEEN_MS.unsigned_abs());

/// The forms, source, reps and rules that scenarios start from unless they bring their own.
pub const POLICIES: &str = include_str!("stack/policies.yaml");

/// How a scenario's stack is started.
pub struct Setup {
    /// Policy documents, one YAML text; none publishes nothing.
    pub policies: Option<String>,
    /// Variables of every function: secrets that the policies name, the Graph API's address.
    pub vars: BTreeMap<String, String>,
    /// What AWS refuses.
    pub refusals: Refusals,
    /// What answers at the addresses of SNS.
    pub sns: Sns,
    /// When the clock begins.
    pub start: Timestamp,
    /// Time passes only where the scenario says so.
    pub frozen: bool,
    /// Providers are not called, as on a laptop; the others are the scenario's own.
    pub keeps_calls: bool,
    /// Run the functions as the binaries of this folder, under the machine's clock.
    pub binaries: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        let vars = [
            ("META_APP_SECRET", "app-secret-of-the-scenarios"),
            ("META_VERIFY_TOKEN", "verify-token-of-the-scenarios"),
            ("META_PAGE_TOKEN", "page-token-of-the-scenarios"),
            // Nothing answers here unless the scenario puts its own server in.
            ("SLUICE_GRAPH_URL", "http://127.0.0.1:9"),
            ("SLUICE_LINKEDIN_URL", "http://127.0.0.1:9"),
            (web::ALLOW, "loopback"),
        ];
        Self {
            policies: Some(POLICIES.to_owned()),
            vars: vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            refusals: Refusals::default(),
            sns: Sns::default(),
            start: Timestamp::parse(START).expect("a time"),
            frozen: false,
            keeps_calls: false,
            binaries: None,
        }
    }
}

impl Setup {
    /// With these documents instead of the usual ones.
    pub fn policies(text: impl Into<String>) -> Self {
        Self { policies: Some(text.into()), ..Self::default() }
    }

    /// With one more variable.
    pub fn var(mut self, name: &str, value: impl Into<String>) -> Self {
        self.vars.insert(name.to_owned(), value.into());
        self
    }

    /// With a clock that only the scenario moves.
    pub fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    /// With calls of providers kept instead of made, as on a laptop.
    pub fn keeping_calls(mut self) -> Self {
        self.keeps_calls = true;
        self
    }

    /// With the clock beginning at this time.
    pub fn at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// Starts the stack.
    pub async fn start(self) -> Running {
        Running::start(self).await
    }
}

/// A stack that is up, with the admin's token. Dropping it without [`Running::finish`] fails the test.
pub struct Running {
    /// The stack itself.
    pub stack: Stack,
    /// The admin's token.
    pub token: String,
    /// What AWS refuses from now on.
    pub refusals: Refusals,
    /// What the functions measured.
    pub metrics: Arc<Metrics>,
    /// How much was logged in this process before.
    logged: usize,
    /// What was posted to forms, also by people who were erased since.
    posted: Mutex<BTreeSet<String>>,
    finished: bool,
}

/// The template, read once for all scenarios.
static TEMPLATE: LazyLock<Template> = LazyLock::new(|| local_template().expect("the template is sound"));

impl Running {
    async fn start(setup: Setup) -> Self {
        log::capture();
        let logged = log::mark();
        let wrap = setup.refusals.clone();
        let metrics = Arc::<Metrics>::default();
        let sns = setup.sns.clone();
        let options = Options {
            data: None,
            port: 0,
            functions: match setup.binaries.clone() {
                Some(folder) => Functions::Binaries(folder),
                None => Functions::InProcess(embedded_functions()),
            },
            clock: match setup.binaries {
                Some(_) => StackClock::real(),
                None if setup.frozen => StackClock::frozen(setup.start),
                None => StackClock::starting_at(setup.start),
            },
            metrics: metrics.clone(),
            keeps_calls: setup.keeps_calls,
            vars: setup.vars,
            wrap_client: Some(Arc::new(move |function, client| {
                let to_sns: Vec<(String, Arc<dyn Service>)> =
                    vec![("sns.".to_owned(), Arc::new(sns.clone()))];
                wrap.around(function, connector(to_sns, Some(client)))
            })),
        };
        let stack = Stack::start(options, |addresses| StackSpec::from_template(&TEMPLATE, addresses));
        let stack = stack.await.expect("the stack starts");
        let token = stack.secrets.value(&named("AdminTokenSecret")).expect("an admin token");
        let (refusals, posted) = (setup.refusals, Mutex::default());
        let running = Self { stack, token, refusals, metrics, logged, posted, finished: false };
        if let Some(policies) = &setup.policies {
            match setup.binaries {
                // Time cannot be moved for binaries: what the publication wakes comes in its own time.
                Some(_) => drop(running.publish(policies).await),
                None => drop(running.apply(policies).await),
            }
            running.settle().await;
        }
        running
    }

    /// Publishes documents over what is there. Functions may go by the old ones for two seconds.
    pub async fn publish(&self, yaml: &str) -> Value {
        let body = json!({"files": [{"file": "scenario.yaml", "text": yaml}]});
        let (status, answer) = self.api("POST", "/api/policies/apply", Some(body)).await;
        assert_eq!(status, 200, "{answer:#}");
        answer
    }

    /// Publishes documents and lets the time pass after which all functions go by them.
    pub async fn apply(&self, yaml: &str) -> Value {
        let answer = self.publish(yaml).await;
        self.stack.advance(POLICIES_SEEN);
        self.settle().await;
        answer
    }

    /// One request, as any HTTP client sends it. Call and answer have to be as the contract says.
    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer =
            http::request(&self.stack.addresses.url, method, target, headers, body).await.expect("an answer");
        let wrong = Contract::get().check(method, target, body, &answer);
        assert!(wrong.is_empty(), "the API is not as infra/openapi.yaml says:\n{}", wrong.join("\n"));
        answer
    }

    /// Bytes as they are, over a connection of their own.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        http::raw(&self.stack.addresses.url, bytes).await.expect("an answer")
    }

    /// Posts fields as a browser encodes them; a script's answer.
    pub async fn post(&self, form: &str, fields: &[(&str, &str)]) -> Answer {
        let said: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.posted.lock().expect("a lock").extend(canaries::of_fields(&said));
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", &format!("/f/{form}"), &headers, urlencoded(fields).as_bytes()).await
    }

    /// Posts fields to `contact`, which must be accepted, and waits until all is quiet. The lead's id.
    pub async fn lead(&self, fields: &[(&str, &str)]) -> String {
        let answer = self.post("contact", fields).await;
        let id = answer.lead_id();
        self.settle().await;
        id
    }

    /// A call of the API as admin.
    pub async fn api(&self, method: &str, target: &str, body: Option<Value>) -> (u16, Value) {
        self.api_as(Some(&self.token), method, target, body).await
    }

    /// A call of the API with this token, or with none.
    pub async fn api_as(
        &self,
        token: Option<&str>,
        method: &str,
        target: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.send(method, target, &headers, body.as_bytes()).await;
        (answer.status, answer.json())
    }

    /// A new token.
    pub async fn new_token(&self, role: &str, rep: Option<&str>) -> String {
        self.new_token_of(json!({"role": role, "rep": rep})).await
    }

    /// A new token as it is asked for.
    pub async fn new_token_of(&self, asked: Value) -> String {
        let (status, answer) = self.api("POST", "/api/tokens", Some(asked)).await;
        assert_eq!(status, 201, "{answer:#}");
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// A lead as the API shows it.
    pub async fn show(&self, lead: &str) -> Value {
        let (status, view) = self.api("GET", &format!("/api/leads/{lead}"), None).await;
        assert_eq!(status, 200, "{lead}: {view:#}");
        view
    }

    /// The customer that this identity leads to, as the API shows it.
    pub async fn lookup(&self, identity: Value) -> (u16, Value) {
        self.api("POST", "/api/customers/lookup", Some(identity)).await
    }

    /// A customer as the API shows it.
    pub async fn customer(&self, id: &str) -> Value {
        let (status, view) = self.api("GET", &format!("/api/customers/{id}"), None).await;
        assert_eq!(status, 200, "{id}: {view:#}");
        view
    }

    /// What the ledger says.
    pub async fn ledger(&self) -> Value {
        let (status, ledger) = self.api("GET", "/api/ledger", None).await;
        assert_eq!(status, 200, "{ledger:#}");
        ledger
    }

    /// Everything a rep was told, newest first.
    pub async fn messages(&self, rep: &str) -> Vec<Value> {
        let (status, page) = self.api("GET", &format!("/api/messages?rep={rep}"), None).await;
        assert_eq!(status, 200, "{page:#}");
        page["messages"].as_array().cloned().unwrap_or_default()
    }

    /// Calls a function as Lambda does. Its answer, or the error it failed with.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Result<Value, String> {
        let function = self.stack.function(function).expect("a function of the stack");
        match function.invoke(payload.to_string().into()).await {
            Ok(answer) => Ok(serde_json::from_slice(&answer).expect("a function answers with JSON")),
            Err(error) => Err(error.kind),
        }
    }

    /// Waits until no call runs and the queues are empty.
    pub async fn settle(&self) {
        assert!(self.stack.settle(QUIET).await, "the stack does not come to rest: {}", self.depths());
    }

    /// Lets time pass, then waits for what came due.
    pub async fn pass(&self, by: Duration) {
        self.stack.advance(by);
        // What waits for the clock needs a turn to see it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.settle().await;
    }

    /// Runs fire-timers once, as the schedule does each minute, and waits for what it woke.
    pub async fn fire_timers(&self) {
        self.invoke("fire-timers", &json!({})).await.expect("the timers fire");
        self.settle().await;
    }

    /// Every item of the table by its key.
    pub fn table(&self) -> BTreeMap<(String, String), Value> {
        let mut items = BTreeMap::new();
        let mut start = Value::Null;
        loop {
            let mut request = json!({"TableName": named("Table"), "ConsistentRead": true});
            if !start.is_null() {
                request["ExclusiveStartKey"] = start;
            }
            let page = self.stack.dynamodb.run("Scan", request.to_string().as_bytes()).expect("a scan");
            let mut page: Value = serde_json::from_slice(&page).expect("JSON");
            for item in page["Items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                let part = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
                items.insert((part("pk"), part("sk")), item);
            }
            start = page["LastEvaluatedKey"].take();
            if start.is_null() {
                return items;
            }
        }
    }

    /// The ids of all leads in the table.
    pub fn leads(&self) -> Vec<String> {
        let lead = |(pk, sk): (String, String)| (sk == "l" && pk.starts_with("ld_")).then_some(pk);
        self.table().into_keys().filter_map(lead).collect()
    }

    /// The ids of all customers that did not give way to another.
    pub fn live_customers(&self) -> Vec<String> {
        let live = |((pk, sk), item): ((String, String), Value)| {
            if sk != "c" {
                return None;
            }
            let record: Value = serde_json::from_str(item["d"]["S"].as_str()?).ok()?;
            (pk.starts_with("cu_") && record["into"].is_null()).then_some(pk)
        };
        self.table().into_iter().filter_map(live).collect()
    }

    /// Every mail that was sent, oldest first: to whom, and its head (each header on one line) and text as people read
    /// them.
    pub fn mails(&self) -> Vec<(Vec<String>, String)> {
        let mut mails = self.stack.ses.list();
        mails.reverse();
        mails.retain(|mail| mail.channel.is_none());
        let read = |id: &str| self.stack.ses.read(id).map(|mail| readable(&mail)).unwrap_or_default();
        mails.into_iter().map(|mail| (mail.to, read(&mail.id))).collect()
    }

    /// Every mail that was sent as it went over the wire, oldest first, and to whom.
    pub fn raw_mails(&self) -> Vec<(Vec<String>, String)> {
        let mut mails = self.stack.ses.list();
        mails.reverse();
        let read = |id: &str| self.stack.ses.read(id).map(|text| String::from_utf8_lossy(&text).into_owned());
        mails.into_iter().map(|mail| (mail.to, read(&mail.id).unwrap_or_default())).collect()
    }

    /// The surroundings of an SDK client that talks to the stack's services over HTTP.
    pub fn sdk(&self) -> Environment {
        let addresses = &self.stack.addresses;
        let vars = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "scenario"),
            ("AWS_SECRET_ACCESS_KEY", "scenario"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &addresses.dynamodb),
            ("AWS_ENDPOINT_URL_SQS", &addresses.sqs),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &addresses.secrets_manager),
        ];
        Environment {
            vars: vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            clock: Arc::new(self.stack.clock.clone()),
            random: Arc::new(SystemRandom),
            http: https_client(),
            web: web::client(None),
            metrics: Arc::new(NoMetrics),
        }
    }
}

fn readable(mail: &[u8]) -> String {
    let parsed = MessageParser::default().parse(mail).expect("a mail");
    let head: String = String::from_utf8_lossy(mail).split("\r\n\r\n").take(1).collect();
    let text = parsed.body_text(0).unwrap_or_default();
    format!("{}\r\n\r\n{text}", head.replace("\r\n ", " ").replace("\r\n\t", " "))
}
