//! Plain HTTP calls to others than AWS, over the same client as everything else, without retries: the caller knows
//! whether a repeat is harmless.

use crate::environment::Environment;
use aws_smithy_async::rt::sleep::{AsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest as SmithyRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use std::time::Duration;

/// An answer of somebody else's server.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Status code.
    pub status: u16,
    /// `Retry-After` in seconds, if it was a number.
    pub retry_after: Option<u32>,
    /// The body, at most 1 MB.
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

/// Largest body read, in bytes.
const LARGEST: usize = 1_000_000;

/// Makes one call and reads the answer. Redirects are not followed.
pub async fn fetch(
    env: &Environment,
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: Vec<u8>,
    limit: Duration,
) -> Result<Fetched, FetchError> {
    let mut request = SmithyRequest::new(SdkBody::from(body));
    let bad = |what: &str| FetchError::NotSent(format!("{what} cannot be used"));
    request.set_method(method).map_err(|_| bad("the method"))?;
    request.set_uri(url).map_err(|_| bad("the URL"))?;
    for (name, value) in headers {
        request.headers_mut().try_insert(name.clone(), value.clone()).map_err(|_| bad("a header"))?;
    }
    let settings =
        HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(3)).read_timeout(limit).build();
    let components = RuntimeComponentsBuilder::new("fetch")
        .with_sleep_impl(Some(TokioSleep::new()))
        .with_time_source(Some(aws_smithy_async::time::SystemTimeSource::new()))
        .build()
        .map_err(|_| bad("the client"))?;
    let call = env.http.http_connector(&settings, &components).call(request);
    let answer = tokio::select! {
        answer = call => answer,
        () = TokioSleep::new().sleep(limit) => return Err(FetchError::Unknown),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.is_user() => return Err(FetchError::NotSent("the request was refused".to_owned())),
        Err(_) => return Err(FetchError::Unknown),
    };
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get("retry-after").and_then(|value| value.parse().ok());
    let mut bytes = Vec::new();
    let mut stream = answer.into_body();
    while let Some(chunk) = std::future::poll_fn(|cx| {
        use http_body::Body;
        std::pin::Pin::new(&mut stream).poll_frame(cx)
    })
    .await
    {
        let data = chunk.map_err(|_| FetchError::Unknown)?.into_data().unwrap_or_default();
        if bytes.len() + data.len() > LARGEST {
            return Err(FetchError::NotSent("the answer is too large".to_owned()));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Fetched { status, retry_after, body: Bytes::from(bytes) })
}
