//! Puts a service on a TCP port, for programs and tests that need a real endpoint.

use crate::Service;
use axum::Router;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::serve::ListenerExt;
use http::StatusCode;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The largest request body read, in bytes: above DynamoDB's 16 MB batch, the largest any of our services takes.
pub const MAX_BODY: usize = 20 * 1024 * 1024;

/// Answers every request that arrives on `listener` with `service`, over HTTP/1.1 with keep-alive, until the task is
/// dropped. A body above [`MAX_BODY`] is answered with 413. Accept errors are waited out, never returned.
pub async fn serve(listener: TcpListener, service: Arc<dyn Service>) {
    // Answers are small and each is waited for: Nagle's algorithm would hold them back up to 40 ms.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot turn off Nagle's algorithm");
        }
    });
    let app = Router::new().fallback(move |request: Request| answer(service.clone(), request));
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "the listener stopped");
    }
}

async fn answer(service: Arc<dyn Service>, request: Request) -> http::Response<Body> {
    let (head, body) = request.into_parts();
    // A declared length is refused before it is read.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match to_bytes(body, MAX_BODY).await {
        Ok(body) => service.call(http::Request::from_parts(head, body)).await.map(Body::from),
        Err(error) => {
            tracing::debug!(%error, "a request body is too large or was cut off");
            refusal(StatusCode::PAYLOAD_TOO_LARGE)
        }
    }
}

fn refusal(status: StatusCode) -> http::Response<Body> {
    let mut answer = http::Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::future::BoxFuture;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    struct Length;

    impl Service for Length {
        fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
            let length = request.body().len();
            Box::pin(async move { http::Response::new(Bytes::from(format!("<{length}>"))) })
        }
    }

    async fn post(connection: &mut TcpStream, length: usize) -> String {
        let head = format!("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        if length <= MAX_BODY {
            connection.write_all(&vec![b'x'; length]).await.unwrap();
        }
        let mut read = Vec::new();
        while !read.ends_with(b">") && !read.windows(3).any(|w| w == b"413") {
            assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0, "closed");
        }
        String::from_utf8(read).unwrap()
    }

    #[tokio::test]
    async fn one_connection_carries_several_requests_and_a_body_above_the_limit_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::new(Length)));
        let mut connection = TcpStream::connect(address).await.unwrap();
        assert!(post(&mut connection, 3).await.ends_with("<3>"));
        assert!(post(&mut connection, MAX_BODY).await.ends_with(&format!("<{MAX_BODY}>")));
        assert!(post(&mut connection, MAX_BODY + 1).await.starts_with("HTTP/1.1 413"));
    }
}
