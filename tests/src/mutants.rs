//! Handlers that behave badly, made from the good ones by changing what they send: each leaves out one of the things
//! the invariants rest on, so the sweep must catch each of them.

use crate::wire::{Call, Host, text};
use bytes::Bytes;
use serde_json::{Value, json};

/// One way to behave badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Puts a lead without asking whether its id is there.
    AcceptsTwice,
    /// Claims an address without asking whether it is claimed.
    ClaimsOver,
    /// Commits without looking at versions.
    CommitsBlindly,
    /// Claims a message without asking whether it is claimed.
    SendsUnclaimed,
    /// Writes a team without looking at its version.
    GrantsBlindly,
    /// Believes that a queue took what it did not take.
    LosesMessages,
    /// Deletes a due entry before what it stands for was sent.
    DeletesBeforeSending,
    /// Repeats a mail whose answer was lost.
    RepeatsMail,
    /// Looks whether a message is claimed, and then claims it.
    ChecksThenWrites,
    /// Writes a message's trail without looking at its version.
    CountsBlindly,
}

/// What becomes of a call.
pub enum Rewritten {
    /// Another one.
    Call(Box<Call>),
    /// It is not made; the handler believes this answer.
    Answer(http::Response<Bytes>),
    /// Two calls, with room between them. If `held` makes an answer of what the check found, the write is not made.
    CheckFirst {
        /// Looks.
        check: Box<Call>,
        /// Writes, whatever has happened since.
        write: Box<Call>,
        /// The refusal, if the check found something.
        held: fn(&http::Response<Bytes>) -> Option<http::Response<Bytes>>,
    },
}

impl Mutant {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::AcceptsTwice,
        Self::ClaimsOver,
        Self::CommitsBlindly,
        Self::SendsUnclaimed,
        Self::GrantsBlindly,
        Self::LosesMessages,
        Self::DeletesBeforeSending,
        Self::RepeatsMail,
        Self::ChecksThenWrites,
        Self::CountsBlindly,
    ];

    /// What it sends instead of a call.
    pub fn rewrite(self, call: &Call) -> Rewritten {
        let same = || Rewritten::Call(Box::new(call.clone()));
        match (self, call.host, call.operation.as_str()) {
            (Self::AcceptsTwice, Host::Table, "PutItem") => {
                unconditional(call, |item| text(item, "sk") == "l")
            }
            (Self::ClaimsOver, Host::Table, "PutItem") => {
                unconditional(call, |item| text(item, "pk").starts_with("ad#"))
            }
            (Self::GrantsBlindly, Host::Table, "PutItem") => {
                unconditional(call, |item| text(item, "pk").starts_with("team#"))
            }
            (Self::CountsBlindly, Host::Table, "PutItem") => {
                unconditional(call, |item| text(item, "pk").starts_with("cu_"))
            }
            (Self::SendsUnclaimed, Host::Table, "PutItem") if is_new(call) => {
                unconditional(call, |item| text(item, "pk").starts_with("rep#"))
            }
            (Self::ChecksThenWrites, Host::Table, "PutItem") if is_new(call) => {
                let body = call.json();
                let Rewritten::Call(write) = unconditional(call, |item| text(item, "pk").starts_with("rep#"))
                else {
                    return same();
                };
                if write.body == call.body {
                    return same();
                }
                let key = json!({ "pk": body["Item"]["pk"], "sk": body["Item"]["sk"] });
                let get = json!({ "TableName": body["TableName"], "Key": key, "ConsistentRead": true });
                Rewritten::CheckFirst {
                    check: Box::new(call.with_operation("GetItem", &get)),
                    write,
                    held: refuse_if_found,
                }
            }
            (Self::CommitsBlindly, Host::Table, "TransactWriteItems") => {
                let mut body = call.json();
                for action in body["TransactItems"].as_array_mut().into_iter().flatten() {
                    for part in ["Put", "Update"] {
                        if action.get(part).is_some() && !text(&action[part]["Key"], "pk").starts_with("ad#")
                        {
                            drop_condition(&mut action[part]);
                        }
                    }
                }
                Rewritten::Call(Box::new(call.with_body(&body)))
            }
            (Self::LosesMessages, Host::Queues, "SendMessage") => {
                Rewritten::Answer(Call::answer(200, r#"{"MessageId":"1","MD5OfMessageBody":"1"}"#))
            }
            (Self::LosesMessages, Host::Queues, "SendMessageBatch") => {
                let entries = call.json()["Entries"].as_array().cloned().unwrap_or_default();
                let taken =
                    |entry: &Value| json!({ "Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "1" });
                let taken: Vec<Value> = entries.iter().map(taken).collect();
                Rewritten::Answer(Call::answer(
                    200,
                    &json!({ "Successful": taken, "Failed": [] }).to_string(),
                ))
            }
            _ => same(),
        }
    }

    /// A call it makes right after another.
    pub fn afterwards(self, call: &Call, answer: &http::Response<Bytes>) -> Option<Call> {
        if self != Self::DeletesBeforeSending || call.operation != "Query" {
            return None;
        }
        let found: Value = serde_json::from_slice(answer.body()).ok()?;
        let keys = found["Items"].as_array()?.iter().filter(|item| text(item, "pk").starts_with("due#"));
        let deletes: Vec<Value> = keys
            .map(|item| json!({ "DeleteRequest": { "Key": { "pk": item["pk"], "sk": item["sk"] } } }))
            .collect();
        let table = call.json()["TableName"].as_str()?.to_owned();
        (!deletes.is_empty())
            .then(|| call.with_operation("BatchWriteItem", &json!({ "RequestItems": { table: deletes } })))
    }

    /// Whether it makes a call again whose answer was lost.
    pub fn repeats(self, call: &Call) -> bool {
        self == Self::RepeatsMail && call.host == Host::Ses
    }
}

fn is_new(call: &Call) -> bool {
    call.json()["ConditionExpression"] == "attribute_not_exists(pk)"
}

fn unconditional(call: &Call, is_meant: fn(&Value) -> bool) -> Rewritten {
    let mut body = call.json();
    if !is_meant(&body["Item"]) {
        return Rewritten::Call(Box::new(call.clone()));
    }
    drop_condition(&mut body);
    Rewritten::Call(Box::new(call.with_body(&body)))
}

fn drop_condition(action: &mut Value) {
    let is_put = action.get("Item").is_some();
    let Some(action) = action.as_object_mut() else { return };
    action.remove("ConditionExpression");
    action.remove("ReturnValuesOnConditionCheckFailure");
    // The store refuses values that no expression names.
    if is_put {
        action.remove("ExpressionAttributeValues");
    } else if let Some(values) = action.get_mut("ExpressionAttributeValues").and_then(Value::as_object_mut) {
        values.remove(":v");
    }
}

fn refuse_if_found(found: &http::Response<Bytes>) -> Option<http::Response<Bytes>> {
    let found: Value = serde_json::from_slice(found.body()).ok()?;
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
        "Item": found.get("Item")?,
    });
    Some(Call::answer(400, &body.to_string()))
}
