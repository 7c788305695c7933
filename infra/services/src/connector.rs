//! Carries an SDK's requests to services in the same process, without a socket.

use crate::Service;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A client that answers requests to the hosts in `routes` in this process and hands all others to `fallback`; without
/// one they fail as a connection that cannot be made. A host is `host:port`, or a beginning that ends in a dot (`sqs.`).
///
/// Time limits are the fallback's affair: a service in the process either answers or is a bug.
pub fn connector(
    routes: Vec<(String, Arc<dyn Service>)>,
    fallback: Option<SharedHttpClient>,
) -> SharedHttpClient {
    SharedHttpClient::new(InProcess { routes: routes.into(), fallback })
}

#[derive(Clone)]
struct InProcess {
    routes: Arc<[(String, Arc<dyn Service>)]>,
    fallback: Option<SharedHttpClient>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|(host, _)| host)).finish()
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let fallback = self.fallback.as_ref().map(|client| client.http_connector(settings, components));
        SharedHttpConnector::new(Connector { routes: self.routes.clone(), fallback })
    }
}

struct Connector {
    routes: Arc<[(String, Arc<dyn Service>)]>,
    fallback: Option<SharedHttpConnector>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|(host, _)| host)).finish()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let authority = authority(request.uri());
        let is_meant = |host: &str| authority == host || host.ends_with('.') && authority.starts_with(host);
        let route = self.routes.iter().find(|(host, _)| is_meant(host));
        match (route, &self.fallback) {
            (Some((_, service)), _) => {
                let service = service.clone();
                HttpConnectorFuture::new(async move { carry(service, request).await })
            }
            (None, Some(fallback)) => fallback.call(request),
            (None, None) => {
                let message = format!("{authority} is not served in this process");
                HttpConnectorFuture::ready(Err(ConnectorError::io(message.into())))
            }
        }
    }
}

/// `host:port` of an absolute URI.
fn authority(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

async fn carry(service: Arc<dyn Service>, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let body = request.take_body();
    // The SDK's JSON and REST-JSON requests are always whole in memory; only S3-like uploads stream.
    let Some(body) = body.bytes().map(Bytes::copy_from_slice) else {
        return Err(ConnectorError::user("a streamed body cannot be carried in-process".into()));
    };
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let answer = service.call(request.map(|_: SdkBody| body)).await;
    HttpResponse::try_from(answer.map(SdkBody::from))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{BoxFuture, FutureExt};

    struct Echo;

    impl Service for Echo {
        fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
            let text = format!("{} {} {}", request.method(), request.uri().path(), request.body().len());
            std::future::ready(http::Response::new(Bytes::from(text))).boxed()
        }
    }

    async fn call(uri: &str, body: SdkBody) -> Result<String, ConnectorError> {
        let routes: Vec<(String, Arc<dyn Service>)> = vec![("127.0.0.1:9".into(), Arc::new(Echo))];
        let connector = Connector { routes: routes.into(), fallback: None };
        let mut request = HttpRequest::new(body);
        request.set_method("POST").unwrap();
        request.set_uri(uri).unwrap();
        let answer = connector.call(request).await?;
        Ok(String::from_utf8(answer.body().bytes().unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_known_host_is_answered_in_process_and_another_cannot_be_reached() {
        let answer = call("http://127.0.0.1:9/queue?x=1", SdkBody::from("abc")).await.unwrap();
        assert_eq!(answer, "POST /queue 3");
        assert!(call("http://127.0.0.1:99/", SdkBody::empty()).await.unwrap_err().is_io());
        assert!(call("http://example.com/", SdkBody::empty()).await.unwrap_err().is_io());
    }
}
