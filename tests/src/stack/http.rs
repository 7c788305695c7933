//! A plain HTTP/1.1 client: a connection for each request, bytes out, bytes in.

use serde_json::Value;
use std::fmt::Write;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came over the wire.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The id of the lead that was accepted.
    pub fn lead_id(&self) -> String {
        assert_eq!(self.status, 202, "{}", self.text());
        let id = self.json()["lead_id"].as_str().unwrap_or_default().to_owned();
        assert!(id.starts_with("ld_"), "{}", self.text());
        id
    }

    /// Checks that it is a problem document (RFC 9457) of this status and type.
    pub fn is_problem(&self, status: u16, name: &str) {
        let body = self.json();
        assert_eq!((self.status, body["status"].as_u64()), (status, Some(status.into())), "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(body["type"], format!("urn:sluice:problem:{name}"));
        assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{}", self.text());
    }
}

/// Fields as a browser encodes them.
pub fn urlencoded(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                escaped.push(byte.into());
            }
            b' ' => escaped.push('+'),
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

/// One request to `http://host:port`.
pub async fn request(
    url: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", host(url));
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        let _ = write!(head, "content-length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    raw(url, &[head.as_bytes(), body].concat()).await
}

/// Sends bytes and reads one answer.
pub async fn raw(url: &str, bytes: &[u8]) -> io::Result<Answer> {
    let mut connection = TcpStream::connect(host(url)).await?;
    connection.write_all(bytes).await?;
    let mut read = Vec::new();
    loop {
        if let Some(answer) = parse(&read) {
            return Ok(answer);
        }
        if connection.read_buf(&mut read).await? == 0 {
            return parse(&read).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn host(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

/// A whole answer, if it is all there. Ours always state their length, or have no body.
fn parse(read: &[u8]) -> Option<Answer> {
    let end = read.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let body = read.get(end + 4..end + 4 + length)?.to_vec();
    Some(Answer { status, headers, body })
}
