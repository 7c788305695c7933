//! Plain HTTP calls to others than AWS, over the same client as everything else, without retries: the caller knows
//! whether a repeat is harmless.

use crate::environment::Environment;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;
use std::convert::Infallible;
use std::time::Duration;

/// An answer of somebody else's server.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Status code.
    pub status: u16,
    /// `Retry-After` in seconds, if it was a number.
    pub retry_after: Option<u32>,
    /// The body.
    pub body: Bytes,
}

/// What can go wrong on the way.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request did not leave.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have arrived; there is no answer.
    #[error("no answer")]
    Unknown,
}

/// Makes one call and reads the answer within `limit`. Redirects are not followed.
pub async fn fetch(
    env: &Environment,
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: Vec<u8>,
    limit: Duration,
) -> Result<Fetched, FetchError> {
    let bad = |what: &str| FetchError::NotSent(format!("{what} cannot be used"));
    let (origin, path) = split(url).ok_or_else(|| bad("the URL"))?;
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method(method).map_err(|_| bad("the method"))?;
    request.set_uri(path).map_err(|_| bad("the URL"))?;
    for (name, value) in headers {
        request.headers_mut().try_insert(name.clone(), value.clone()).map_err(|_| bad("a header"))?;
    }
    let timeouts =
        TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).operation_timeout(limit).build();
    let operation = Operation::builder()
        .service_name("fetch")
        .operation_name("fetch")
        .http_client(env.http.clone())
        .endpoint_url(origin)
        .no_auth()
        .no_retry()
        .timeout_config(timeouts)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .serializer(|request: HttpRequest| Ok(request))
        .deserializer::<Fetched, Infallible>(read)
        .build();
    operation.invoke(request).await.map_err(|error| match error {
        SdkError::ConstructionFailure(_) => bad("the request"),
        SdkError::DispatchFailure(failure) if failure.is_user() => bad("the request"),
        _ => FetchError::Unknown,
    })
}

fn read(answer: &HttpResponse) -> Result<Fetched, OrchestratorError<Infallible>> {
    Ok(Fetched {
        status: answer.status().as_u16(),
        retry_after: answer.headers().get("retry-after").and_then(|value| value.parse().ok()),
        body: Bytes::copy_from_slice(answer.body().bytes().unwrap_or_default()),
    })
}

/// `https://host:port` and the rest, which begins with a slash.
fn split(url: &str) -> Option<(&str, &str)> {
    let host = url.find("://")? + 3;
    let path = url[host..].find(['/', '?']).map_or(url.len(), |at| at + host);
    let (origin, rest) = url.split_at(path);
    (origin.len() > host).then_some((origin, if rest.is_empty() { "/" } else { rest }))
}
