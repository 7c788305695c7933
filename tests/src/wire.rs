//! One outgoing call as it goes over the wire, and the ways a service can refuse it.

use crate::sns;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

/// Whom a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// DynamoDB.
    Table,
    /// SQS.
    Queues,
    /// SES.
    Ses,
    /// Secrets Manager.
    Secrets,
    /// Meta's Graph API.
    Graph,
    /// A rep's webhook.
    Hook,
    /// SNS, which hands out certificates and takes confirmations.
    Sns,
}

impl Host {
    /// Every host.
    pub const ALL: [Self; 7] =
        [Self::Table, Self::Queues, Self::Ses, Self::Secrets, Self::Graph, Self::Hook, Self::Sns];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table.test",
            Self::Queues => "queues.test",
            Self::Ses => "ses.test",
            Self::Secrets => "secrets.test",
            Self::Graph => "graph.test",
            Self::Hook => "hook.test",
            Self::Sns => sns::HOST,
        }
    }
}

/// One outgoing call.
#[derive(Clone, Debug)]
pub struct Call {
    /// To whom.
    pub host: Host,
    /// The operation: `PutItem`, `SendMessage`; the method for servers of others.
    pub operation: String,
    /// The body.
    pub body: Bytes,
    head: http::request::Parts,
    json: OnceLock<Value>,
}

impl Call {
    /// Takes a request off the client.
    pub fn read(mut request: HttpRequest) -> Result<Self, ConnectorError> {
        let body = request.take_body();
        let body = body.bytes().map(Bytes::copy_from_slice).unwrap_or_default();
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (head, _): (_, SdkBody) = request.into_parts();
        let authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
        let host = Host::ALL
            .into_iter()
            .find(|host| host.name() == authority)
            .ok_or_else(|| ConnectorError::io(format!("{authority} is not in this world").into()))?;
        let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        let operation = match (target, host) {
            (Some(target), _) => target.rsplit('.').next().unwrap_or_default().to_owned(),
            (None, Host::Ses) => "SendEmail".to_owned(),
            (None, _) => head.method.to_string(),
        };
        Ok(Self { host, operation, body, head, json: OnceLock::new() })
    }

    /// The request for the service.
    pub fn request(&self) -> http::Request<Bytes> {
        http::Request::from_parts(self.head.clone(), self.body.clone())
    }

    /// The same call with another body.
    pub fn with_body(&self, body: &Value) -> Self {
        Self { body: Bytes::from(body.to_string()), json: OnceLock::from(body.clone()), ..self.clone() }
    }

    /// Another operation of the same service.
    pub fn with_operation(&self, operation: &str, body: &Value) -> Self {
        let mut call = self.with_body(body);
        let prefix =
            self.head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let prefix = prefix.rsplit_once('.').map_or("", |(prefix, _)| prefix);
        if let Ok(value) = format!("{prefix}.{operation}").parse() {
            call.head.headers.insert("x-amz-target", value);
        }
        call.operation = operation.to_owned();
        call
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> &Value {
        self.json.get_or_init(|| serde_json::from_slice(&self.body).unwrap_or_default())
    }

    /// Whether it reads a secondary index.
    pub fn reads_index(&self) -> bool {
        self.operation == "Query" && contains(&self.body, b"\"IndexName\"")
    }

    /// Whether its body has this text.
    pub fn mentions(&self, text: &str) -> bool {
        contains(&self.body, text.as_bytes())
    }

    /// The same for every attempt at one request, and for every request that asks the same.
    pub fn fingerprint(&self) -> u64 {
        self.hashed(|body| body)
    }

    /// The same for requests that differ only in the shard they are about.
    pub fn shape(&self) -> u64 {
        self.hashed(|body| without_shards(&body))
    }

    /// The order of attributes is drawn anew with each request, so JSON is taken in the order of its names.
    fn hashed(&self, of_body: impl FnOnce(String) -> String) -> u64 {
        let mut hasher = DefaultHasher::new();
        let body = match self.json() {
            Value::Null => String::from_utf8_lossy(&self.body).into_owned(),
            json => json.to_string(),
        };
        (self.host, &self.operation, of_body(body), self.head.uri.path()).hash(&mut hasher);
        hasher.finish()
    }

    /// An answer with a JSON body.
    pub fn answer(status: u16, body: &str) -> http::Response<Bytes> {
        let mut answer = http::Response::new(Bytes::from(body.to_owned()));
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        answer
    }

    /// The answer without what a service draws at random, which no function looks at: one plan always runs alike.
    pub fn without_chance(&self, answer: http::Response<Bytes>) -> http::Response<Bytes> {
        let (head, bytes) = answer.into_parts();
        let mut body: Value = match self.host {
            Host::Queues | Host::Ses => serde_json::from_slice(&bytes).unwrap_or_default(),
            _ => return http::Response::from_parts(head, bytes),
        };
        let id = format!("{:016x}", self.fingerprint());
        if let Some(body) = body.as_object_mut() {
            if body.contains_key("MessageId") {
                body.insert("MessageId".to_owned(), id.into());
            }
            for sent in body.get_mut("Successful").and_then(Value::as_array_mut).into_iter().flatten() {
                sent["MessageId"] = sent["Id"].clone();
            }
        }
        http::Response::from_parts(head, Bytes::from(body.to_string()))
    }

    /// An answer as the client wants it.
    pub fn hand_back(answer: http::Response<Bytes>) -> Result<HttpResponse, ConnectorError> {
        HttpResponse::try_from(answer.map(SdkBody::from))
            .map_err(|error| ConnectorError::other(error.into(), None))
    }

    fn refusal(&self, status: u16, kind: &str) -> http::Response<Bytes> {
        let prefix = match self.host {
            Host::Table => "com.amazonaws.dynamodb.v20120810#",
            Host::Queues => "com.amazonaws.sqs#",
            _ => "",
        };
        let body = json!({ "__type": format!("{prefix}{kind}"), "message": "as planned" });
        let mut answer = Self::answer(status, &body.to_string());
        if self.host == Host::Ses
            && let Ok(value) = kind.parse()
        {
            answer.headers_mut().insert("x-amzn-errortype", value);
        }
        answer
    }

    /// Too much to do.
    pub fn throttled(&self) -> http::Response<Bytes> {
        match self.host {
            Host::Table => self.refusal(400, "ProvisionedThroughputExceededException"),
            Host::Queues => self.refusal(400, "RequestThrottled"),
            Host::Secrets => self.refusal(400, "ThrottlingException"),
            Host::Ses => self.refusal(429, "TooManyRequestsException"),
            Host::Graph => Self::answer(429, r#"{"error":{"code":4,"message":"as planned"}}"#),
            Host::Hook | Host::Sns => Self::answer(429, ""),
        }
    }

    /// Something broke over there.
    pub fn failed(&self) -> http::Response<Bytes> {
        match self.host {
            Host::Table => self.refusal(500, "InternalServerError"),
            Host::Queues => self.refusal(500, "InternalError"),
            Host::Secrets => self.refusal(500, "InternalServiceError"),
            Host::Ses => self.refusal(500, "InternalServiceErrorException"),
            Host::Graph => Self::answer(500, r#"{"error":{"code":2,"message":"as planned"}}"#),
            Host::Hook | Host::Sns => Self::answer(500, ""),
        }
    }

    /// Another transaction is on the item.
    pub fn conflicted(&self) -> http::Response<Bytes> {
        if self.operation != "TransactWriteItems" {
            return self.refusal(400, "TransactionConflictException");
        }
        let items = self.json()["TransactItems"].as_array().map_or(1, Vec::len);
        let mut reasons = vec![json!({ "Code": "None" }); items];
        if let Some(first) = reasons.first_mut() {
            *first =
                json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
        }
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
            "CancellationReasons": reasons,
        });
        Self::answer(400, &body.to_string())
    }

    /// The first entry of a batch that was sent.
    pub fn first_half(&self) -> Option<Self> {
        let mut body = self.json().clone();
        body.get_mut("Entries")?.as_array_mut()?.truncate(1);
        Some(self.with_body(&body))
    }

    /// The answer for a whole batch of which only the first entry was sent.
    pub fn without_rest(&self, answer: &http::Response<Bytes>) -> http::Response<Bytes> {
        let mut body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let entries = self.json()["Entries"].as_array().cloned().unwrap_or_default();
        let failed = entries.iter().skip(1).map(|entry| {
            json!({ "Id": entry["Id"], "SenderFault": false, "Code": "InternalError", "Message": "as planned" })
        });
        body["Failed"] = failed.collect();
        Self::answer(200, &body.to_string())
    }

    /// The answer of a batch of which nothing was done.
    pub fn unprocessed(&self) -> http::Response<Bytes> {
        let asked = &self.json()["RequestItems"];
        let body = match self.operation.as_str() {
            "BatchGetItem" => json!({ "Responses": {}, "UnprocessedKeys": asked }),
            _ => json!({ "UnprocessedItems": asked }),
        };
        Self::answer(200, &body.to_string())
    }

    /// What the webhook or mail that this call hands over is called, if it is one.
    pub fn handover(&self) -> Option<(&'static str, String)> {
        match self.host {
            Host::Ses => {
                let tags = self.json()["EmailTags"].as_array().cloned().unwrap_or_default();
                let value = tags.first()?["Value"].as_str()?.to_owned();
                Some(("email", value))
            }
            Host::Hook => Some(("webhook", self.header("webhook-id").to_owned())),
            _ => None,
        }
    }
}

/// A request's text without the numbers of shards: what is behind the last `#` of a key, and the part of a scan.
fn without_shards(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut parts = text.split_inclusive(['#', ':']);
    let mut before = "";
    for part in &mut parts {
        let is_scan = before.ends_with("\"Segment\":");
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let is_shard = before.ends_with('#') && rest.starts_with('"');
        if !(is_shard || is_scan) {
            kept.push_str(number);
        }
        kept.push_str(rest);
        before = part;
    }
    kept
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// An attribute map's text.
pub fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// An attribute map's document.
pub fn document<T: serde::de::DeserializeOwned>(item: &Value, name: &str) -> Option<T> {
    serde_json::from_str(item[name]["S"].as_str()?).ok()
}

/// What a header map of an HTTP event holds.
pub type Headers = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::without_shards;

    #[test]
    fn requests_about_shards_are_alike_and_others_are_not() {
        let due = |n: u8| format!(r##"{{":pk":{{"S":"due#{n}"}},":sk":{{"S":"1795260000000#x"}}}}"##);
        assert_eq!(without_shards(&due(3)), without_shards(&due(15)));
        assert!(without_shards(&due(3)).contains("1795260000000#x"), "{}", without_shards(&due(3)));
        let scan = |n: u8, limit: u8| format!(r#"{{"Limit":{limit},"Segment":{n},"TotalSegments":8}}"#);
        assert_eq!(without_shards(&scan(1, 9)), without_shards(&scan(7, 9)));
        assert_ne!(without_shards(&scan(1, 9)), without_shards(&scan(1, 8)));
        assert_ne!(without_shards(r##""due#1#a""##), without_shards(r##""due#1#b""##));
    }
}
