//! What is measured: the whole stack in this process over files in a temporary folder, as `sluice dev` runs it.

use crate::client::Connection;
use crate::machine;
use crate::probe::{self, Probe};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use serde_json::{Value, json};
use sluice::cli::{embedded_functions, local_template};
use sluice::host::spec::{StackSpec, named};
use sluice::host::stack::{Addresses, Options, Stack};
use sluice_host::environment::MetricSink;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Ten people in two teams without limits, two rules, mails to everybody: nothing that would end a lead early.
const POLICIES: &str = r#"
kind: form
name: bench
default_country: DE
---
kind: team
name: enterprise
members: [{ rep: r0, weight: 2 }, { rep: r1, weight: 1 }, { rep: r2, weight: 1 }, { rep: r3, weight: 1 }, { rep: r4, weight: 1 }]
---
kind: team
name: sdr
members: [{ rep: r5, weight: 2 }, { rep: r6, weight: 1 }, { rep: r7, weight: 1 }, { rep: r8, weight: 1 }, { rep: r9, weight: 1 }]
---
kind: routing
name: default
rules:
  - { name: keep the owner, when: "customer.owner != ''", assign: { owner: customer } }
  - { name: large companies, when: "lead.fields.employees >= 200", assign: { team: enterprise } }
  - { name: everyone else, assign: { team: sdr } }
"#;

/// Documents of one file.
const A_FILE: usize = 200;
/// Longest wait for the queues to run empty after a phase.
const DRAIN: Duration = Duration::from_secs(180);

/// Lines of metrics with the time they were written.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<(i64, String)>>);

impl MetricSink for Lines {
    fn emit(&self, line: &str) {
        let at = machine::epoch_millis();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((at, line.to_owned()));
    }
}

/// Leads that got an owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owned {
    /// Milliseconds from `received` to the metric line that is written once the owner is committed, sorted.
    pub(crate) millis: Vec<f64>,
    /// When the last was, in milliseconds since the epoch.
    pub(crate) last: i64,
}

/// What became of events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// How many were taken, our own among them.
    pub(crate) taken: f64,
    /// When the last was, in milliseconds since the epoch.
    pub(crate) taken_last: i64,
    /// Milliseconds from what asked for a message until it was handed over, sorted.
    pub(crate) to_message: Vec<f64>,
    /// When the last was.
    pub(crate) sent_last: i64,
    /// How late each wake was acted upon, in milliseconds, sorted.
    pub(crate) late: Vec<f64>,
}

/// A running stack with its measuring points.
pub(crate) struct Rig {
    /// The stack.
    pub(crate) stack: Stack,
    /// Sees every call.
    pub(crate) probe: Arc<Probe>,
    /// `host:port` of the front door.
    pub(crate) address: String,
    lines: Arc<Lines>,
    client: SharedHttpClient,
}

/// What the SDK needs to reach a stack.
pub(crate) fn sdk_variables(addresses: &Addresses) -> BTreeMap<String, String> {
    let given = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", addresses.dynamodb.as_str()),
        ("AWS_ENDPOINT_URL_SQS", addresses.sqs.as_str()),
        ("AWS_ENDPOINT_URL_SESV2", addresses.ses.as_str()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", addresses.secrets_manager.as_str()),
    ];
    given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Rig {
    /// Starts the stack with its data in `folder` and publishes the policies.
    pub(crate) async fn start(folder: &Path) -> Result<Self, String> {
        let (probe, lines) = (Arc::<Probe>::default(), Arc::<Lines>::default());
        let mut options = Options::in_memory(embedded_functions());
        options.data = Some(folder.to_owned());
        options.metrics = lines.clone();
        let (of_client, client) = (probe.clone(), Arc::<OnceLock<SharedHttpClient>>::default());
        let inside = client.clone();
        options.wrap_client = Some(Arc::new(move |function, inner| {
            let _ = inside.set(inner.clone());
            probe::around(&of_client, function, inner)
        }));
        let template = local_template()?;
        let stack = Stack::start(options, |addresses| StackSpec::from_template(&template, addresses)).await;
        let stack = stack.map_err(|error| error.to_string())?;
        probe.watch(stack.dynamodb.clone());
        let address = stack.addresses.url.trim_start_matches("http://").to_owned();
        let client = client.get().cloned().ok_or("the stack has no functions")?;
        let rig = Self { stack, probe, address, lines, client };
        rig.publish(0).await?;
        Ok(rig)
    }

    /// The token of the API.
    pub(crate) fn token(&self) -> String {
        self.stack.secrets.value(&named("AdminTokenSecret")).unwrap_or_default()
    }

    /// Publishes the policies, with so many rules in front that match nobody.
    pub(crate) async fn publish(&self, idle_rules: usize) -> Result<(), String> {
        self.publish_with(idle_rules, None).await
    }

    /// The same, and a response clock for both teams.
    pub(crate) async fn publish_with(&self, idle_rules: usize, clock: Option<&str>) -> Result<(), String> {
        let idle = |n| {
            let when = format!("lead.fields.company == 'Nobody {n}'");
            format!("rules:\n  - {{ name: idle {n}, when: \"{when}\", assign: {{ team: sdr }} }}\n")
        };
        let idle: String = (0..idle_rules).map(idle).collect::<String>().replace("\nrules:", "");
        let policies = match idle_rules {
            0 => POLICIES.to_owned(),
            _ => POLICIES.replace("rules:\n", &idle),
        };
        let policies = match clock {
            None => policies,
            Some(clock) => policies.replace("\nmembers:", &format!("\nresponse: {clock}\nmembers:")),
        };
        self.apply(&policies).await
    }

    /// Publishes the policies and more documents.
    pub(crate) async fn publish_more(&self, more: &str) -> Result<(), String> {
        self.apply(&format!("{POLICIES}{more}")).await
    }

    async fn apply(&self, policies: &str) -> Result<(), String> {
        let rep = |n| format!("---\nkind: rep\nname: r{n}\nemail: r{n}@example.com\n");
        let text = format!("{policies}{}", (0..10).map(rep).collect::<String>());
        let token = self.token();
        // A file holds so much, a folder more.
        let documents: Vec<&str> = text.split("\n---\n").collect();
        let files = documents.chunks(A_FILE).enumerate();
        let files =
            files.map(|(n, part)| json!({ "file": format!("{n}.yaml"), "text": part.join("\n---\n") }));
        let body = json!({ "files": files.collect::<Vec<_>>() }).to_string();
        let mut connection = Connection::open(&self.address).await.map_err(|error| error.to_string())?;
        let answer = connection.call("POST", "/api/policies/apply", &token, &body).await;
        match answer.map_err(|error| error.to_string())? {
            (200, _) => {}
            (status, body) => return Err(format!("policies: {status} {}", String::from_utf8_lossy(&body))),
        }
        // Functions trust what they have for two seconds.
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        self.drain().await;
        Ok(())
    }

    /// The client that the functions reach the services with, past the probe.
    pub(crate) fn stack_client(&self) -> SharedHttpClient {
        self.client.clone()
    }

    /// Posts one lead and waits until everything about it is done.
    pub(crate) async fn post(&self, lead: &Value) -> Result<(), String> {
        let mut connection = Connection::open(&self.address).await.map_err(|error| error.to_string())?;
        match connection
            .call("POST", "/f/bench", "", &lead.to_string())
            .await
            .map_err(|error| error.to_string())?
        {
            (202, _) => {}
            (status, body) => return Err(format!("lead: {status} {}", String::from_utf8_lossy(&body))),
        }
        self.drain().await;
        Ok(())
    }

    /// Waits until the queues are empty; whether they are.
    pub(crate) async fn drain(&self) -> bool {
        self.stack.settle(DRAIN).await
    }

    /// Runs the timers once, as the schedule does each minute.
    pub(crate) async fn fire_timers(&self) -> Result<(), String> {
        let timers = self.stack.function("fire-timers").ok_or("the stack has no timers")?;
        timers.invoke("{}".into()).await.map(drop).map_err(|error| error.message)
    }

    /// How late each point of a clock was acted upon since the last call, in milliseconds, sorted.
    pub(crate) fn fired(&self) -> Vec<f64> {
        let mut late = Vec::new();
        for (_, line) in self.take_lines() {
            let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
            let acted = ["Reminders", "Reassigned", "CaughtAll", "Escalated"];
            if acted.iter().any(|name| !line[name].is_null()) {
                late.extend(line["ClockLateness"].as_f64());
            }
        }
        late.sort_by(f64::total_cmp);
        late
    }

    /// How many messages and notices were sent since the last call, and when the last was, in milliseconds since the epoch.
    pub(crate) fn sent(&self) -> (usize, i64) {
        let lines = self.take_lines().into_iter().filter(|(_, line)| line.contains("\"Sent\""));
        lines.fold((0, 0), |(count, _), (at, _)| (count + 1, at))
    }

    /// What became of events since the last call.
    pub(crate) fn events(&self) -> Seen {
        let mut seen = Seen::default();
        for (written, line) in self.take_lines() {
            let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
            let decided = line["_aws"]["Timestamp"].as_i64().unwrap_or(written);
            if let Some(taken) = line["EventsTaken"].as_f64() {
                seen.taken += taken;
                seen.taken_last = written;
            }
            if let Some(ms) = line["OrderToSent"].as_f64() {
                // The metric ends with the decision; the line is written once it is stored.
                seen.to_message.push(ms + (written - decided) as f64);
                seen.sent_last = written;
            }
            let late = &line["WakeLateness"];
            let late = late.as_array().cloned().unwrap_or_else(|| vec![late.clone()]);
            seen.late.extend(late.iter().filter_map(Value::as_f64));
        }
        seen.to_message.sort_by(f64::total_cmp);
        seen.late.sort_by(f64::total_cmp);
        seen
    }

    fn take_lines(&self) -> Vec<(i64, String)> {
        std::mem::take(&mut *self.lines.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The leads that got an owner since the last call.
    pub(crate) fn owned(&self) -> Owned {
        let lines = self.take_lines();
        let mut owned = Owned::default();
        for (written, line) in lines.iter().filter(|(_, line)| line.contains("\"PostToOwner\"")) {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let decided = line["_aws"]["Timestamp"].as_i64().unwrap_or(*written);
            let values = match &line["PostToOwner"] {
                Value::Array(many) => many.clone(),
                one => vec![one.clone()],
            };
            owned.last = owned.last.max(*written);
            // The metric ends with the decision; the line is written after the commit.
            owned
                .millis
                .extend(values.iter().filter_map(Value::as_f64).map(|ms| ms + (written - decided) as f64));
        }
        owned.millis.sort_by(f64::total_cmp);
        owned
    }
}
