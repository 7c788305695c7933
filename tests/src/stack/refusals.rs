//! Calls that AWS refuses, function by function: what a scenario puts between the SDK and the stack's services.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use std::sync::{Arc, Mutex, PoisonError};

/// What is refused. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<Vec<Rule>>>);

#[derive(Debug)]
struct Rule {
    function: &'static str,
    call: &'static str,
    left: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// It is done.
    Pass,
    /// It is not done, and answered so.
    Refuse(u16, &'static str),
    /// It is done, and the answer does not arrive.
    Lose,
}

impl Refusals {
    /// Refuses the next `times` calls of `function` (`*` is every function) whose operation contains `call`
    /// (`AmazonSQS.`, `DynamoDB_20120810.PutItem`, `/v2/email/`) with this status and error code.
    pub fn refuse(
        &self,
        function: &'static str,
        call: &'static str,
        times: usize,
        answer: (u16, &'static str),
    ) {
        self.rules().push(Rule { function, call, left: times, what: What::Refuse(answer.0, answer.1) });
    }

    /// Lets the next `times` of these calls pass, whatever refuses them further down the list.
    pub fn pass_first(&self, function: &'static str, call: &'static str, times: usize) {
        self.rules().push(Rule { function, call, left: times, what: What::Pass });
    }

    /// Does the next `times` of these calls, and lets their answers be lost.
    pub fn lose(&self, function: &'static str, call: &'static str, times: usize) {
        self.rules().push(Rule { function, call, left: times, what: What::Lose });
    }

    /// Nothing is refused any more.
    pub fn lift(&self) {
        self.rules().clear();
    }

    /// Puts the list in front of a function's client.
    pub fn around(&self, function: &str, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Refusing { function: function.to_owned(), list: self.clone(), client })
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, function: &str, request: &HttpRequest) -> What {
        let operation = request.headers().get("x-amz-target").unwrap_or_else(|| request.uri());
        let is_meant = |rule: &Rule| {
            (rule.function == "*" || rule.function == function) && operation.contains(rule.call)
        };
        let mut rules = self.rules();
        let Some(rule) = rules.iter_mut().find(|rule| rule.left > 0 && is_meant(rule)) else {
            return What::Pass;
        };
        rule.left -= 1;
        rule.what
    }
}

#[derive(Clone, Debug)]
struct Refusing {
    function: String,
    list: Refusals,
    client: SharedHttpClient,
}

impl HttpClient for Refusing {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let next = self.client.http_connector(settings, components);
        SharedHttpConnector::new(Connector { function: self.function.clone(), list: self.list.clone(), next })
    }
}

#[derive(Debug)]
struct Connector {
    function: String,
    list: Refusals,
    next: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, code) = match self.list.take(&self.function, &request) {
            What::Pass => return self.next.call(request),
            What::Refuse(status, code) => (status, code),
            What::Lose => {
                let done = self.next.call(request);
                return HttpConnectorFuture::new(async {
                    done.await?;
                    Err(ConnectorError::io("as the scenario asks".into()))
                });
            }
        };
        let body = format!(r#"{{"__type":"com.amazonaws#{code}","message":"as the scenario asks"}}"#);
        let answer = http::Response::builder()
            .status(status)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amzn-errortype", code)
            .body(SdkBody::from(body));
        let answer = answer.map_err(|error| ConnectorError::other(error.into(), None));
        HttpConnectorFuture::ready(answer.and_then(|answer| {
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        }))
    }
}
