//! Plain HTTP calls to others than AWS, without retries: the caller knows whether a repeat is harmless. Redirects are
//! not followed.

use crate::environment::Environment;
use crate::web::Forbidden;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;
use hyper_util::client::legacy;
use sluice_domain::time::Timestamp;
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

/// The longest wait that an answer may ask for, in seconds: a day.
const LONGEST_WAIT: i64 = 86_400;

/// An answer of somebody else's server.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Status code.
    pub status: u16,
    /// `Retry-After` in seconds from now, at most a day; it may be written as seconds or as a time.
    pub retry_after: Option<u32>,
    /// The body.
    pub body: Bytes,
}

/// What can go wrong on the way.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It must not be called, now or later.
    #[error("not sent: {0}")]
    Forbidden(#[from] Forbidden),
    /// There can be no such request.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Nobody is there now: the request did not leave.
    #[error("no connection")]
    Unreachable(Unconnected),
    /// It may have arrived; there is no answer.
    #[error("no answer")]
    Unknown,
}

/// Why there is no connection, as far as the machine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unconnected {
    /// No address is known by the host's name.
    NoSuchName,
    /// Nobody listens there.
    Refused,
    /// TLS was not agreed on: another certificate than this machine believes, or none.
    Tls,
    /// Nobody said anything in time.
    TimedOut,
    /// Something else.
    Other,
}

/// Makes one call to a host that we know and reads the answer within `limit`.
pub async fn fetch(
    env: &Environment,
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: Vec<u8>,
    limit: Duration,
) -> Result<Fetched, FetchError> {
    call(env, &env.http, method, url, headers, body, limit).await
}

/// The same to an address that somebody wrote into a document: public hosts only, see [`crate::web`].
pub async fn fetch_public(
    env: &Environment,
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: Vec<u8>,
    limit: Duration,
) -> Result<Fetched, FetchError> {
    call(env, &env.web, method, url, headers, body, limit).await
}

async fn call(
    env: &Environment,
    client: &SharedHttpClient,
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
    let clock = env.clock.clone();
    let operation = Operation::builder()
        .service_name("fetch")
        .operation_name("fetch")
        .http_client(client.clone())
        .endpoint_url(origin)
        .no_auth()
        .no_retry()
        .timeout_config(timeouts)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .serializer(|request: HttpRequest| Ok(request))
        .deserializer::<Fetched, Infallible>(move |answer| read(answer, clock.now()))
        .build();
    operation.invoke(request).await.map_err(|error| match error {
        SdkError::ConstructionFailure(_) => bad("the request"),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => not_dispatched(error, failure.is_user()),
            None => FetchError::Unknown,
        },
        _ => FetchError::Unknown,
    })
}

/// What is known to have happened before anything was sent is not an unknown outcome.
fn not_dispatched(error: &(dyn Error + 'static), is_user: bool) -> FetchError {
    let forbidden = causes(error).find_map(|cause| cause.downcast_ref::<Forbidden>());
    if let Some(forbidden) = forbidden {
        return FetchError::Forbidden(*forbidden);
    }
    match (is_unconnected(error), is_user) {
        (true, _) => FetchError::Unreachable(unconnected(error)),
        (false, true) => FetchError::NotSent("the request cannot be used".to_owned()),
        (false, false) => FetchError::Unknown,
    }
}

/// Whether the connection itself failed: nothing was sent.
pub fn is_unconnected(error: &(dyn Error + 'static)) -> bool {
    let of_client = causes(error).find_map(|cause| cause.downcast_ref::<legacy::Error>());
    of_client.is_some_and(legacy::Error::is_connect)
}

/// Told by the words of those who tried: their types are their own.
fn unconnected(error: &(dyn Error + 'static)) -> Unconnected {
    let said: Vec<String> = causes(error).map(|cause| cause.to_string().to_lowercase()).collect();
    let says = |words: &[&str]| said.iter().any(|said| words.iter().any(|word| said.contains(word)));
    if says(&["dns error", "lookup address"]) {
        Unconnected::NoSuchName
    } else if says(&["connection refused"]) {
        Unconnected::Refused
    } else if says(&["handshake eof", "connection reset"]) {
        Unconnected::Other // somebody hung up: the next call may go through
    } else if says(&["certificate", "tls", "handshake", "corrupt message", "fatal alert"]) {
        Unconnected::Tls
    } else if says(&["timeout", "timed out"]) {
        Unconnected::TimedOut
    } else {
        Unconnected::Other
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn read(answer: &HttpResponse, now: Timestamp) -> Result<Fetched, OrchestratorError<Infallible>> {
    Ok(Fetched {
        status: answer.status().as_u16(),
        retry_after: answer.headers().get("retry-after").and_then(|value| wait(value, now)),
        body: Bytes::copy_from_slice(answer.body().bytes().unwrap_or_default()),
    })
}

/// How long `Retry-After` says to wait: so many seconds, or until a time. (RFC 9110 section 10.2.3.)
fn wait(value: &str, now: Timestamp) -> Option<u32> {
    let seconds = match value.trim().parse::<u32>() {
        Ok(seconds) => i64::from(seconds),
        Err(_) => (Timestamp::parse_http_date(value)?.since(now) + 999).div_euclid(1000),
    };
    u32::try_from(seconds.clamp(0, LONGEST_WAIT)).ok()
}

/// `https://host:port` and the rest, which begins with a slash.
fn split(url: &str) -> Option<(&str, &str)> {
    let host = url.find("://")? + 3;
    let path = url[host..].find(['/', '?']).map_or(url.len(), |at| at + host);
    let (origin, rest) = url.split_at(path);
    (origin.len() > host).then_some((origin, if rest.is_empty() { "/" } else { rest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_time_and_at_most_a_day() {
        let now = Timestamp::parse("2026-11-28T10:00:00Z").unwrap();
        for (value, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sat, 28 Nov 2026 10:02:00 GMT", Some(120)),
            ("Saturday, 28-Nov-26 10:02:00 GMT", Some(120)),
            ("Sat Nov 28 10:02:00 2026", Some(120)),
            ("Sat, 28 Nov 2026 09:00:00 GMT", Some(0)),
            ("Sun, 28 Nov 2027 09:00:00 GMT", Some(86_400)),
            ("99999999", Some(86_400)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait(value, now), expected, "{value}");
        }
    }
}
