//! HTTP functions: API Gateway's payload 2.0 (function URLs have the same) in and out.

use crate::function::{Function, InvokeError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_domain::time::Timestamp;
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

/// The largest answer in bytes, as it is written. Lambda lets none out above 6 MB (6,291,556 bytes), and says of one only that
/// something went wrong.
const MOST: usize = 6_000_000;

/// A function that answers HTTP requests.
pub trait HttpHandler: Send + Sync + 'static {
    /// Answers one request. Every refusal is an answer.
    fn handle(&self, request: HttpRequest) -> impl Future<Output = HttpResponse> + Send;
}

/// Adapts a handler to Lambda events.
pub struct Http<H>(pub H);

impl<H: HttpHandler> Function for Http<H> {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let request = read_event(&payload)?;
            let answer = match AssertUnwindSafe(self.0.handle(request)).catch_unwind().await {
                Ok(answer) => answer,
                Err(_) => {
                    tracing::error!("a request panicked");
                    Problem::new(500, "internal", "Something went wrong here. Try again.").response()
                }
            };
            Ok(write_answer(&answer))
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    raw_path: String,
    #[serde(default)]
    raw_query_string: Option<String>,
    /// Made by hand, an event may have `null` for none.
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: Context,
}

#[derive(Deserialize)]
struct Context {
    http: Call,
    #[serde(default)]
    stage: Option<String>,
    /// In milliseconds since the epoch.
    #[serde(default, rename = "timeEpoch")]
    time_epoch: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    method: String,
    #[serde(default)]
    source_ip: Option<String>,
}

/// Reads a payload 2.0 event.
pub fn read_event(payload: &[u8]) -> Result<HttpRequest, InvokeError> {
    let malformed = |message: String| InvokeError { kind: "MalformedEvent".to_owned(), message };
    let event: Event = serde_json::from_slice(payload)
        .map_err(|error| malformed(format!("line {} column {}", error.line(), error.column())))?;
    let body = match event.body {
        Some(text) if event.is_base64_encoded => {
            STANDARD.decode(text).map(Bytes::from).map_err(|_| malformed("body is not base64".to_owned()))?
        }
        text => Bytes::from(text.unwrap_or_default()),
    };
    let headers = event.headers.unwrap_or_default().into_iter();
    let mut headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.to_lowercase(), value)).collect();
    if let Some(cookies) = event.cookies.filter(|cookies| !cookies.is_empty()) {
        headers.push(("cookie".to_owned(), cookies.join("; ")));
    }
    // A stage that is not the default one is the path's first segment.
    let stage = event.request_context.stage.filter(|stage| stage != "$default" && !stage.is_empty());
    let path = stage
        .and_then(|stage| event.raw_path.strip_prefix(&format!("/{stage}")).map(str::to_owned))
        .filter(|path| path.starts_with('/'))
        .unwrap_or(event.raw_path);
    Ok(HttpRequest {
        method: event.request_context.http.method,
        path,
        query: event.raw_query_string.unwrap_or_default(),
        headers,
        body,
        source_ip: event.request_context.http.source_ip,
        arrived: event.request_context.time_epoch.map(Timestamp),
    })
}

/// Writes an answer. One that Lambda would not let out is a problem instead, which says what to do.
pub fn write_answer(answer: &HttpResponse) -> Bytes {
    let written = write(answer);
    if written.len() <= MOST {
        return written;
    }
    tracing::warn!(status = answer.status, bytes = written.len(), "an answer is too large to be given");
    let detail =
        "The answer is larger than 6 MB. Ask for less: with a smaller `limit`, or of a shorter period.";
    write(&Problem::new(422, "answer-too-large", detail).response())
}

/// The answer as it goes to API Gateway; a body that is not text goes as base64.
fn write(answer: &HttpResponse) -> Bytes {
    let mut headers = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in &answer.headers {
        if name == "set-cookie" {
            cookies.push(Value::String(value.clone()));
            continue;
        }
        match headers.get_mut(name) {
            Some(Value::String(before)) => {
                before.push(',');
                before.push_str(value);
            }
            _ => drop(headers.insert(name.clone(), Value::String(value.clone()))),
        }
    }
    let (body, encoded) = match std::str::from_utf8(&answer.body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(&answer.body), true),
    };
    let mut event =
        json!({"statusCode": answer.status, "headers": headers, "body": body, "isBase64Encoded": encoded});
    if !cookies.is_empty()
        && let Some(event) = event.as_object_mut()
    {
        event.insert("cookies".to_owned(), Value::Array(cookies));
    }
    Bytes::from(event.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_lambda_would_not_let_out_says_to_ask_for_less() {
        let written = |body: Vec<u8>| {
            let bytes = write_answer(&HttpResponse::empty(200).with_body("text/csv", body));
            assert!(bytes.len() <= MOST, "{}", bytes.len());
            serde_json::from_slice::<Value>(&bytes).unwrap()
        };
        // It counts as it is written: with what JSON escapes, and in base 64 where it is no text.
        for small in [vec![b'x'; 5_900_000], vec![b'"'; 2_900_000], vec![0xff; 4_400_000]] {
            assert_eq!(written(small)["statusCode"], 200);
        }
        for large in [vec![b'x'; 6_000_000], vec![b'"'; 3_000_000], vec![0xff; 4_600_000]] {
            let answer = written(large);
            let said: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            assert_eq!((&answer["statusCode"], &said["status"]), (&json!(422), &json!(422)));
            assert_eq!(said["type"], "urn:sluice:problem:answer-too-large");
            assert_eq!(answer["headers"], json!({"content-type": "application/problem+json"}));
        }
    }

    #[test]
    fn an_event_made_by_hand_may_have_no_headers() {
        let read = |headers: &str| {
            let event = format!(
                r#"{{"rawPath":"/f/contact","requestContext":{{"http":{{"method":"POST"}}}},"body":"a=b"{headers}}}"#
            );
            read_event(event.as_bytes()).unwrap()
        };
        for none in ["", r#","headers":null"#, r#","headers":{}"#] {
            let request = read(none);
            assert_eq!((request.headers.len(), request.body.as_ref()), (0, b"a=b".as_slice()), "{none}");
        }
        assert_eq!(read(r#","headers":{"Content-Type":"a/b"}"#).header("content-type"), Some("a/b"));
    }
}
