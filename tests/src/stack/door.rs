//! A door before the stack's, for programs that call it by themselves: it hands everything on and holds calls and answers against
//! the contract.

use super::contract::Contract;
use super::http;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use sluice_services::{Service, listen};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// The door, on a port of its own; it is shut when it is dropped.
pub struct Door {
    /// `http://127.0.0.1:port`.
    pub url: String,
    wrong: Wrong,
    task: AbortHandle,
}

type Wrong = Arc<Mutex<Vec<String>>>;

struct Handing {
    to: String,
    wrong: Wrong,
}

impl Service for Handing {
    fn call(&self, request: ::http::Request<Bytes>) -> BoxFuture<'static, ::http::Response<Bytes>> {
        let (to, wrong) = (self.to.clone(), self.wrong.clone());
        async move {
            let (head, body) = request.into_parts();
            let (method, target) = (head.method.as_str(), head.uri.to_string());
            let own = ["host", "connection", "content-length"];
            let headers = head.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
            let headers: Vec<(&str, &str)> =
                headers.map(|(name, value)| (name.as_str(), value.to_str().expect("a text"))).collect();
            let answer = http::request(&to, method, &target, &headers, &body).await.expect("an answer");
            let found = Contract::get().check(method, &target, &body, &answer);
            wrong.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
            let shown = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
            let response = ::http::Response::builder().status(answer.status);
            let response = shown
                .fold(response, |response, (name, value)| response.header(name.as_str(), value.as_str()));
            response.body(Bytes::from(answer.body)).expect("an answer")
        }
        .boxed()
    }
}

impl Door {
    /// Before the stack of this URL.
    pub async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url_here = format!("http://{}", listener.local_addr().expect("an address"));
        let wrong = Wrong::default();
        let service = Arc::new(Handing { to: url.to_owned(), wrong: wrong.clone() });
        let task = tokio::spawn(listen::serve(listener, service)).abort_handle();
        Self { url: url_here, wrong, task }
    }

    /// Whatever came by was as `infra/openapi.yaml` says.
    ///
    /// # Panics
    /// If something was not.
    pub fn shut(self) {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(wrong.is_empty(), "the API is not as infra/openapi.yaml says:\n{}", wrong.join("\n"));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}
