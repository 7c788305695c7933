//! Metrics in CloudWatch's embedded metric format: one JSON object on one line.
//! (Specification: "Specification: Embedded metric format", CloudWatch user guide.)

use crate::environment::Environment;
use serde_json::{Map, Value, json};
use sluice_domain::lead::{Lead, LeadState};
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;

/// The dimension that says of which stack a metric is.
const STACK: &str = "Stack";

/// One line's worth of metrics. Dimensions are names of documents and states, never anything personal.
#[derive(Debug, Default)]
pub struct Metrics {
    values: BTreeMap<&'static str, (Vec<f64>, &'static str)>,
    dimensions: BTreeMap<&'static str, String>,
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// That a lead came to an end, and how long that took, if it is its first owner.
    pub fn ended(lead: &Lead, state: LeadState, now: Timestamp) -> Self {
        let metrics = Self::new().by("State", state.name()).count("Ended", 1);
        match state {
            LeadState::Assigned => metrics.millis("PostToOwner", now.since(lead.received)),
            _ => metrics,
        }
    }

    /// Counts `n` of something.
    pub fn count(mut self, name: &'static str, n: usize) -> Self {
        self.values.entry(name).or_insert((Vec::new(), "Count")).0.push(n as f64);
        self
    }

    /// A duration in milliseconds.
    pub fn millis(mut self, name: &'static str, ms: i64) -> Self {
        self.values.entry(name).or_insert((Vec::new(), "Milliseconds")).0.push(ms as f64);
        self
    }

    /// A duration in seconds.
    pub fn seconds(mut self, name: &'static str, seconds: i64) -> Self {
        self.values.entry(name).or_insert((Vec::new(), "Seconds")).0.push(seconds as f64);
        self
    }

    /// A dimension of all values.
    pub fn by(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.dimensions.insert(name, value.into());
        self
    }

    /// Writes the line, if there is anything to say.
    pub fn emit(self, env: &Environment, now: Timestamp) {
        if self.values.is_empty() {
            return;
        }
        let definitions: Vec<Value> =
            self.values.iter().map(|(name, (_, unit))| json!({"Name": name, "Unit": unit})).collect();
        // Once over all of this stack and once by the dimensions: alarms watch the sum.
        let stack = env.optional("SLUICE_STACK").map(str::to_owned);
        let all: Vec<&str> = stack.iter().map(|_| STACK).collect();
        let by: Vec<&str> = all.iter().copied().chain(self.dimensions.keys().copied()).collect();
        let dimensions = if by == all { json!([all]) } else { json!([all, by]) };
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({"Timestamp": now.millis(), "CloudWatchMetrics": [
                {"Namespace": "Sluice", "Dimensions": dimensions, "Metrics": definitions}
            ]}),
        );
        line.extend(stack.map(|stack| (STACK.to_owned(), Value::String(stack))));
        for (name, value) in self.dimensions {
            line.insert(name.to_owned(), Value::String(value));
        }
        for (name, (values, _)) in self.values {
            let value = match values.as_slice() {
                [one] => json!(one),
                many => json!(many),
            };
            line.insert(name.to_owned(), value);
        }
        env.metrics.emit(&Value::Object(line).to_string());
    }
}
