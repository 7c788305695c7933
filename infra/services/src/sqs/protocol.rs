//! The AWS JSON 1.0 protocol: a request's action and body in, an answer or a refusal out.

use super::actions;
use super::error::{Code, SqsError};
use super::{Sqs, receipt};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const TARGET: &str = "AmazonSQS.";

/// Answers one request.
pub(super) async fn answer(sqs: Sqs, request: Request<Bytes>) -> Response<Bytes> {
    let target =
        request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let result = match target.strip_prefix(TARGET) {
        Some(action) => actions::perform(&sqs, action, request.body()).await,
        None => Err(SqsError::refused(
            Code::UnknownOperation,
            "Only the AWS JSON protocol is spoken here: the header X-Amz-Target must name an AmazonSQS action.",
        )),
    };
    match result {
        Ok(value) => respond(StatusCode::OK, &value, None),
        Err(SqsError::Refused { code, message }) => {
            let (shape, query) = code.names();
            let error = json!({ "__type": shape, "message": message });
            respond(StatusCode::BAD_REQUEST, &error, HeaderValue::try_from(format!("{query};Sender")).ok())
        }
        Err(error) => {
            tracing::error!(%error, target, "a queue request failed");
            let error = json!({ "__type": "com.amazon.coral.service#InternalFailure", "message": "The queue server failed." });
            let query = HeaderValue::from_static("InternalFailure;Receiver");
            respond(StatusCode::INTERNAL_SERVER_ERROR, &error, Some(query))
        }
    }
}

/// Reads a request body.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        // The place only: serde's text may quote the body.
        let place = format!("line {} column {}", error.line(), error.column());
        SqsError::refused(Code::Serialization, format!("The body is not this action's JSON at {place}."))
    })
}

fn respond(status: StatusCode, body: &Value, query_error: Option<HeaderValue>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    if let Some(id) = receipt::message_id().ok().and_then(|id| HeaderValue::try_from(id.to_string()).ok()) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(code) = query_error {
        headers.insert("x-amzn-query-error", code);
    }
    response
}
