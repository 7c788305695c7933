//! The metrics that functions write, kept to be looked at.

use serde_json::Value;
use sluice_host::environment::MetricSink;
use std::sync::{Mutex, PoisonError};

/// Every line of metrics, oldest first.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Vec<String>>);

impl MetricSink for Metrics {
    fn emit(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

impl Metrics {
    /// Every line.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sum of a metric over all lines whose dimension has this value.
    pub fn sum(&self, name: &str, (dimension, value): (&str, &str)) -> f64 {
        let lines = self.lines();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line[dimension] == value)
            .flat_map(|line| match &line[name] {
                Value::Array(many) => many.iter().filter_map(Value::as_f64).collect(),
                one => one.as_f64().into_iter().collect::<Vec<_>>(),
            })
            .sum()
    }
}
