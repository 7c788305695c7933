//! Servers of others: Meta's Graph API, the receiver of a rep's webhooks.

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use serde_json::Value;
use sluice_services::{Service, listen};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A server on a port of its own that keeps what it was asked; it ends when it is dropped.
pub struct Fake {
    /// `http://127.0.0.1:port`.
    pub url: String,
    seen: Seen,
    task: AbortHandle,
}

type Seen = Arc<Mutex<Vec<http::Request<Bytes>>>>;

struct Answering<F> {
    answer: F,
    seen: Seen,
}

impl<F> Service for Answering<F>
where
    F: Fn(&http::Request<Bytes>) -> http::Response<Bytes> + Send + Sync + 'static,
{
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let answer = (self.answer)(&request);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        std::future::ready(answer).boxed()
    }
}

impl Fake {
    /// Answers each request with what `answer` gives: status and JSON body.
    pub async fn start<F>(answer: F) -> Self
    where
        F: Fn(&http::Request<Bytes>) -> (u16, Value) + Send + Sync + 'static,
    {
        Self::serve(move |request| {
            let (status, body) = answer(request);
            http::Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Bytes::from(body.to_string()))
                .expect("an answer")
        })
        .await
    }

    /// Answers each request with whatever `answer` gives.
    pub async fn serve<F>(answer: F) -> Self
    where
        F: Fn(&http::Request<Bytes>) -> http::Response<Bytes> + Send + Sync + 'static,
    {
        Self::serve_at("127.0.0.1:0", answer).await
    }

    /// The same at an address where nobody listened so far.
    pub async fn serve_at<F>(address: &str, answer: F) -> Self
    where
        F: Fn(&http::Request<Bytes>) -> http::Response<Bytes> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Seen::default();
        let service = Arc::new(Answering { answer, seen: seen.clone() });
        let task = tokio::spawn(listen::serve(listener, service)).abort_handle();
        Self { url, seen, task }
    }

    /// Everything it was asked so far.
    pub fn seen(&self) -> Vec<http::Request<Bytes>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}
