//! Calls to servers that answer, answer late, answer too much, or are not there.

#![allow(clippy::unwrap_used, reason = "clippy knows the test functions, not their helpers")]

use sluice_domain::time::Timestamp;
use sluice_host::environment::{Clock, Environment};
use sluice_host::fetch::{FetchError, Fetched, fetch_public};
use sluice_host::lambda::{StdoutMetrics, SystemRandom, https_client};
use sluice_host::web;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-28T10:00:00Z").unwrap()
    }
}

fn environment(allow: &str) -> Environment {
    Environment {
        vars: BTreeMap::new(),
        clock: Arc::new(Still),
        random: Arc::new(SystemRandom),
        http: https_client(),
        web: web::client(Some(allow)),
        metrics: Arc::new(StdoutMetrics),
    }
}

/// A server that reads a request, writes `answer` and then says nothing more.
async fn serve(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&answer).await;
                std::future::pending::<()>().await;
            });
        }
    });
    url
}

async fn post(allow: &str, url: &str, limit: Duration) -> Result<Fetched, FetchError> {
    fetch_public(&environment(allow), "POST", url, &[], b"{}".to_vec(), limit).await
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn an_answer_is_its_status_its_wait_and_the_beginning_of_its_body() {
    let url = serve(
        b"HTTP/1.1 429 Slow\r\nretry-after: Sat, 28 Nov 2026 10:01:00 GMT\r\ncontent-length: 2\r\n\r\nno"
            .to_vec(),
    )
    .await;
    let answer = post("loopback", &url, LONG).await.unwrap();
    assert_eq!((answer.status, answer.retry_after, &answer.body[..]), (429, Some(60), &b"no"[..]));
    let mut long = b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n".to_vec();
    long.resize(3_000_000, b'x');
    let answer = post("loopback", &serve(long).await, LONG).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 256 * 1024), "the rest is not waited for");
}

#[tokio::test]
async fn no_answer_in_time_is_an_unknown_outcome() {
    let nothing = post("loopback", &serve(Vec::new()).await, SHORT).await;
    assert!(matches!(nothing, Err(FetchError::Unknown)), "{nothing:?}");
    let half = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()).await;
    let half = post("loopback", &half, SHORT).await;
    assert!(matches!(half, Err(FetchError::Unknown)), "{half:?}");
}

#[tokio::test]
async fn what_never_left_is_known_not_to_have() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = post("loopback", &format!("http://{free}/"), LONG).await;
    assert!(matches!(nobody, Err(FetchError::Unreachable)), "{nobody:?}");
    let unknown = post("loopback", "http://nobody.invalid/", LONG).await;
    assert!(matches!(unknown, Err(FetchError::Unreachable)), "{unknown:?}");
}

#[tokio::test]
async fn what_is_not_public_is_forbidden_by_address_and_by_name() {
    let url = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]", "10.0.0.1"] {
        for scheme in ["http", "https"] {
            let answer = post("", &format!("{scheme}://{host}:{port}/"), LONG).await;
            assert!(
                matches!(answer, Err(FetchError::Forbidden(web::Forbidden::NotPublic))),
                "{scheme}://{host}: {answer:?}"
            );
        }
    }
    assert_eq!(post("127.0.0.1", &url, LONG).await.unwrap().status, 200);
}
