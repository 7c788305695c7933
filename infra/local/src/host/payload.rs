//! API Gateway's payload format 2.0: a request as a function's event, and the function's answer as a response.

use axum::http::{HeaderName, HeaderValue, Response, StatusCode, request::Parts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sluice_domain::time::Timestamp;
use std::net::IpAddr;

/// What the route and the listener know of a request.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// The route's key, `POST /f/{form}`.
    pub route_key: &'a str,
    /// Values of the route's path parameters, decoded.
    pub path_parameters: Vec<(String, String)>,
    /// The caller's address.
    pub source_ip: IpAddr,
    /// The stack's time.
    pub now: Timestamp,
    /// A unique id.
    pub request_id: &'a str,
}

/// The event a function is called with.
pub fn event(head: &Parts, body: &[u8], arrival: &Arrival<'_>) -> Bytes {
    let source_ip = arrival.source_ip.to_string();
    let query = head.uri.query().unwrap_or_default();
    let mut headers: Map<String, Value> = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == "cookie" {
            cookies.extend(value.split("; ").map(|cookie| Value::from(cookie.trim())));
            continue;
        }
        join(&mut headers, name.as_str(), &value);
    }
    join(&mut headers, "x-forwarded-for", &source_ip);
    headers.entry("x-forwarded-proto").or_insert_with(|| "http".into());
    let header = |name: &str| headers.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (host, user_agent) = (header("host"), header("user-agent"));
    let mut event = json!({
        "version": "2.0",
        "routeKey": arrival.route_key,
        "rawPath": head.uri.path(),
        "rawQueryString": query,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": host.split('.').next().unwrap_or_default(),
            "http": {
                "method": head.method.as_str(),
                "path": head.uri.path(),
                "protocol": format!("{:?}", head.version),
                "sourceIp": source_ip,
                "userAgent": user_agent,
            },
            "requestId": arrival.request_id,
            "routeKey": arrival.route_key,
            "stage": "$default",
            "time": clf_time(arrival.now),
            "timeEpoch": arrival.now.millis(),
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if !query.is_empty() {
        let mut parameters = Map::new();
        for (name, value) in url_decoded(query) {
            join(&mut parameters, &name, &value);
        }
        event["queryStringParameters"] = parameters.into();
    }
    if !arrival.path_parameters.is_empty() {
        let parameters =
            arrival.path_parameters.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
        event["pathParameters"] = parameters.collect::<Map<_, _>>().into();
    }
    if !body.is_empty() {
        // Kinder than API Gateway, which replaces what is no UTF-8 in a text and so destroys gzip that comes as one.
        match std::str::from_utf8(body) {
            Ok(text) if is_text(&headers) => event["body"] = text.into(),
            _ => {
                event["body"] = STANDARD.encode(body).into();
                event["isBase64Encoded"] = true.into();
            }
        }
    }
    event["headers"] = headers.into();
    Bytes::from(event.to_string())
}

/// Several values of one name become one, joined with a comma.
fn join(into: &mut Map<String, Value>, name: &str, value: &str) {
    match into.get_mut(name) {
        Some(Value::String(present)) => {
            present.push(',');
            present.push_str(value);
        }
        _ => {
            into.insert(name.to_owned(), value.into());
        }
    }
}

/// What API Gateway passes on as text; everything else, forms among it, is base64.
fn is_text(headers: &Map<String, Value>) -> bool {
    let header = |name: &str| headers.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = header("content-type").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml");
    text && header("content-encoding").is_empty()
}

fn url_decoded(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(&name.replace('+', " ")), percent_decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Undoes percent-encoding; what is not an encoding stays as it is, bad UTF-8 becomes U+FFFD.
pub fn percent_decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// `05/Jan/2026:09:30:00 +0000`, the common log format.
fn clf_time(now: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = now.rfc3339();
    let part = |range| text.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    format!("{}/{}/{}:{} +0000", part(8..10), month.unwrap_or(&"Jan"), part(0..4), part(11..19))
}

/// The response a function's answer stands for; an answer that API Gateway could not read is its 500.
pub fn response(answer: &[u8]) -> Response<Bytes> {
    read_response(answer).unwrap_or_else(|| {
        tracing::error!("a function's answer is no HTTP response");
        refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    })
}

/// A refusal in API Gateway's own words.
pub fn refusal(status: StatusCode, message: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

fn read_response(answer: &[u8]) -> Option<Response<Bytes>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let Some(status) = answer.get("statusCode") else {
        // Without a status the whole answer is the body.
        let mut response = Response::new(Bytes::from(answer.to_string()));
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        return Some(response);
    };
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    let status = u16::try_from(status).ok().filter(|status| (200..600).contains(status))?;
    let body = match answer.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if answer.get("isBase64Encoded") == Some(&Value::Bool(true)) => {
            STANDARD.decode(text).ok()?.into()
        }
        Some(Value::String(text)) => Bytes::from(text.clone()),
        Some(_) => return None,
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let mut add = |name: &str, value: &Value| -> Option<()> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return None,
        };
        let name = HeaderName::try_from(name).ok()?;
        // The length is the listener's affair.
        if name != "content-length" {
            response.headers_mut().append(name, HeaderValue::try_from(text).ok()?);
        }
        Some(())
    };
    for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
        add(name, value)?;
    }
    for (name, values) in answer.get("multiValueHeaders").and_then(Value::as_object).into_iter().flatten() {
        let single = answer.get("headers").and_then(|headers| headers.get(name)).is_some();
        for value in values.as_array().into_iter().flatten().filter(|_| !single) {
            add(name, value)?;
        }
    }
    for cookie in answer.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        add("set-cookie", cookie)?;
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_a_response_with_all_its_headers() {
        let answer = br#"{"statusCode":201,"headers":{"X-A":"1"},"multiValueHeaders":{"x-b":["2","3"]},
            "cookies":["a=1","b=2"],"body":"aGk=","isBase64Encoded":true}"#;
        let response = response(answer);
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (201, b"hi".as_ref()));
        let all = |name: &str| response.headers().get_all(name).iter().collect::<Vec<_>>();
        assert_eq!((all("x-a").len(), all("x-b").len(), all("set-cookie").len()), (1, 2, 2));
    }

    #[test]
    fn an_answer_without_a_status_is_the_body_and_a_malformed_one_is_an_internal_error() {
        assert_eq!(response(b"{\"a\":1}").body().as_ref(), b"{\"a\":1}");
        for bad in [
            &b"not json"[..],
            b"{\"statusCode\":\"x\"}",
            b"{\"statusCode\":200,\"headers\":{\"a b\":\"1\"}}",
            b"{\"statusCode\":200,\"body\":{}}",
            b"{\"statusCode\":200,\"body\":\"?\",\"isBase64Encoded\":true}",
        ] {
            let response = response(bad);
            assert_eq!(response.status().as_u16(), 500, "{}", String::from_utf8_lossy(bad));
            assert_eq!(response.body().as_ref(), br#"{"message":"Internal Server Error"}"#);
        }
    }

    #[test]
    fn percent_decoding_keeps_what_is_not_an_encoding() {
        assert_eq!(percent_decode("a%20b%2"), "a b%2");
        assert_eq!(percent_decode("%C3%A4%zz"), "ä%zz");
    }
}
