//! Calls to servers that answer, answer late, answer too much, or are not there.

#![allow(clippy::unwrap_used, reason = "clippy knows the test functions, not their helpers")]

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns};
use sluice_domain::time::Timestamp;
use sluice_host::environment::{Clock, Environment};
use sluice_host::fetch::{FetchError, Fetched, Unconnected, fetch_public};
use sluice_host::lambda::{StdoutMetrics, SystemRandom, https_client};
use sluice_host::web;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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
    assert!(matches!(nobody, Err(FetchError::Unreachable(Unconnected::Refused))), "{nobody:?}");
    let unknown = post("loopback", "http://nobody.invalid/", LONG).await;
    assert!(matches!(unknown, Err(FetchError::Unreachable(Unconnected::NoSuchName))), "{unknown:?}");
    let plain = serve(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let plain = post("loopback", &plain.replace("http:", "https:"), LONG).await;
    assert!(matches!(plain, Err(FetchError::Unreachable(Unconnected::Tls))), "{plain:?}");
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

/// Says of every name what comes next, the last again and again, and counts how often it is asked.
#[derive(Clone, Debug, Default)]
struct Names {
    says: Arc<Mutex<Vec<Vec<IpAddr>>>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    fn new(says: &[&[&str]]) -> Self {
        let addresses = |all: &&[&str]| all.iter().map(|address| address.parse().unwrap()).collect();
        Self { says: Arc::new(Mutex::new(says.iter().map(addresses).collect())), ..Self::default() }
    }
}

impl ResolveDns for Names {
    fn resolve_dns<'a>(&'a self, _: &'a str) -> DnsFuture<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut says = self.says.lock().unwrap();
        let now = if says.len() > 1 { says.remove(0) } else { says[0].clone() };
        DnsFuture::ready(Ok(now))
    }
}

async fn post_by(names: &Names, allow: &str, url: &str) -> Result<Fetched, FetchError> {
    let environment = Environment { web: web::client_by(Some(allow), names.clone()), ..environment("") };
    fetch_public(&environment, "POST", url, &[], b"{}".to_vec(), LONG).await
}

/// A server that takes one request a connection; its port.
async fn hook() -> String {
    let url = serve(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_refused_where_the_connection_is_made() {
    let port = hook().await;
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fd00:ec2::254",
        "fe80::1",
    ] {
        for scheme in ["http", "https"] {
            let names = Names::new(&[&[address]]);
            let answer = post_by(&names, "", &format!("{scheme}://hooks.shop.example:{port}/")).await;
            assert!(
                matches!(answer, Err(FetchError::Forbidden(web::Forbidden::NotPublic))),
                "{scheme} {address}: {answer:?}"
            );
            assert_eq!(names.asked.load(Ordering::SeqCst), 1);
        }
    }
}

#[tokio::test]
async fn of_several_addresses_of_a_name_only_those_are_called_that_may_be() {
    let url = format!("http://hooks.shop.example:{}/", hook().await);
    let names = Names::new(&[&["10.0.0.1", "::1", "127.0.0.1"]]);
    assert_eq!(post_by(&names, "127.0.0.1", &url).await.unwrap().status, 200);
    assert!(post_by(&names, "", &url).await.is_err());
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_once_it_was_looked_at_is_not_followed_there() {
    let url = format!("http://hooks.shop.example:{}/", hook().await);
    // First where it may lead, then to the cloud's metadata and to this machine, as a name does that is made to mislead.
    let names = Names::new(&[&["127.0.0.1"], &["169.254.169.254"], &["::1"]]);
    let environment =
        Environment { web: web::client_by(Some("127.0.0.1"), names.clone()), ..environment("") };
    let post = || fetch_public(&environment, "POST", &url, &[], b"{}".to_vec(), LONG);
    assert_eq!(post().await.unwrap().status, 200);
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "what was looked at is what is called");
    for asked in [2, 3] {
        let answer = post().await;
        assert!(
            matches!(answer, Err(FetchError::Forbidden(web::Forbidden::NotPublic))),
            "{asked}: {answer:?}"
        );
        assert_eq!(names.asked.load(Ordering::SeqCst), asked);
    }
}
