//! Who is on the other end of the line: the senders' own APIs and the reps' tools, so that a day touches nobody else's.

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use sluice_services::Service;
use std::sync::{Arc, Mutex, PoisonError};

/// Meta's Graph API and the receivers of webhooks. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Outside(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    answers: Map<String, Value>,
    webhooks: Vec<Value>,
}

impl Outside {
    /// From now on these leads can be asked for, by their ids.
    pub(super) fn know(&self, answers: &Map<String, Value>) {
        self.locked().answers.extend(answers.clone());
    }

    /// The bodies of the webhooks that were taken.
    pub fn webhooks(&self) -> Vec<Value> {
        self.locked().webhooks.clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut known = self.locked();
        if request.method() == "GET" {
            let id = request.uri().path().rsplit('/').next().unwrap_or_default();
            return match known.answers.get(id) {
                Some(lead) => said(StatusCode::OK, lead),
                None => said(StatusCode::NOT_FOUND, &json!({"error": {"code": 100, "error_subcode": 33}})),
            };
        }
        known.webhooks.push(serde_json::from_slice(request.body()).unwrap_or(Value::Null));
        said(StatusCode::OK, &json!({}))
    }
}

fn said(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response
}

impl Service for Outside {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> {
        std::future::ready(self.answer(&request)).boxed()
    }
}
