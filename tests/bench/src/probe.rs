//! Sees every call of the functions, and while a recording runs notes what it was and what it cost.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::Value;
use sluice_services::dynamodb::{DynamoDb, Meter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One call of a function.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The function.
    pub(crate) function: String,
    /// `PutItem`, `SendMessage`, …; the path where there is no operation.
    pub(crate) operation: String,
    /// The request.
    pub(crate) body: Value,
    /// Write units. Right only while nothing else runs.
    pub(crate) write: f64,
    /// Read units, likewise.
    pub(crate) read: f64,
}

/// Records calls on request.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    recording: AtomicBool,
    recorded: Mutex<Vec<Call>>,
    table: OnceLock<Table>,
}

struct Table(DynamoDb);

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Table")
    }
}

impl Probe {
    /// Whose meter tells what a call cost.
    pub(crate) fn watch(&self, table: DynamoDb) {
        let _ = self.table.set(Table(table));
    }

    /// Starts a recording.
    pub(crate) fn record(&self) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.recording.store(true, Ordering::SeqCst);
    }

    /// Ends the recording.
    pub(crate) fn recorded(&self) -> Vec<Call> {
        self.recording.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.recorded.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn meter(&self) -> Meter {
        self.table.get().map(|table| table.0.meter()).unwrap_or_default()
    }

    fn note(&self, call: Call) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// A client whose calls the probe sees.
pub(crate) fn around(probe: &Arc<Probe>, function: &str, inner: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Around { probe: probe.clone(), function: function.to_owned(), inner })
}

#[derive(Debug)]
struct Around<T> {
    probe: Arc<Probe>,
    function: String,
    inner: T,
}

impl HttpClient for Around<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Around {
            probe: self.probe.clone(),
            function: self.function.clone(),
            inner: self.inner.http_connector(settings, components),
        })
    }
}

impl HttpConnector for Around<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !self.probe.recording.load(Ordering::Relaxed) {
            return self.inner.call(request);
        }
        let target = request.headers().get("x-amz-target").and_then(|target| target.split('.').nth(1));
        let path = || request.uri().split('/').skip(3).collect::<Vec<_>>().join("/");
        let mut call = Call {
            function: self.function.clone(),
            operation: target.map_or_else(path, str::to_owned),
            body: serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or(Value::Null),
            write: 0.0,
            read: 0.0,
        };
        let (probe, before) = (self.probe.clone(), self.probe.meter());
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            let after = probe.meter();
            call.write = after.write_units() - before.write_units();
            call.read = after.read_units() - before.read_units();
            probe.note(call);
            answer
        })
    }
}
