//! Handlers that behave badly, made from the good ones by changing what they send: each leaves out one of the things
//! the invariants rest on, so the sweep must catch each of them.

use crate::wire::{Call, Host, document, text};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_domain::customer::Customer;
use sluice_domain::gate::Gate;
use sluice_domain::journey::Run;
use sluice_domain::lead::Progress;
use sluice_domain::team::TeamState;
use sluice_domain::time::Timestamp;
use sluice_host::function::{Function, InvokeError};
use std::sync::Arc;

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
    /// Stores customers without their owners.
    LosesOwners,
    /// Thinks that whoever of a team has less than another has had more than enough.
    FavoursOne,
    /// Gives leads to a rep without holding the rep's other teams to what it read.
    UnwatchesTeams,
    /// Hands a whole batch back if one of its records failed.
    FailsTogether,
    /// Leaves due entries where they are.
    KeepsDueEntries,
    /// Does not count first contacts.
    MiscountsContacts,
    /// Changes leads without looking at their versions.
    MovesLeadsBlindly,
    /// Takes a batch back and leaves its addresses claimed.
    LeavesAddresses,
    /// Claims messages without the gates of their addresses.
    PassesGates,
    /// Writes gates without looking at their versions.
    OverwritesGates,
    /// Erases leads and leaves what they said.
    KeepsWhatItErases,
    /// Does not see all that lies beside a record when it erases its person.
    OverlooksMessages,
    /// Believes that gates are closed which it did not close.
    LeavesGatesOpen,
    /// Says that it deleted dead letters that it did not delete.
    KeepsDeadLetters,
    /// Claims messages without holding the gates of the person's other addresses to what it read.
    UnwatchesGates,
    /// Takes down on the gate what a provider said, and not on the message.
    ForgetsTrails,
    /// Writes a message's trail without looking at its version.
    CountsBlindly,
    /// Takes what comes in without looking at receipts, and at the versions of run and state.
    TakesBlindly,
    /// Takes events without writing down that it did.
    ForgetsEntries,
    /// Takes what wakes a run for what wakes it next, too.
    ForgetsTokens,
    /// Does not keep when a fact was said.
    ForgetsTimes,
    /// Claims messages of campaigns whatever their tally says.
    ClaimsWhatIsPaused,
    /// Does not count messages of campaigns.
    MiscountsMessages,
    /// Does not count results.
    MiscountsResults,
    /// Says that a part of an audience is done before its messages are on their way.
    MovesCursorsFirst,
    /// Writes broadcasts without looking at their versions.
    ChoosesBlindly,
    /// Stores leads without what people did with them.
    ForgetsActs,
    /// Changes gates without a proof of what was said.
    ForgetsProofs,
    /// Publishes, and changes tokens, without a word in the audit.
    ForgetsNotes,
    /// Publishes whatever others have published meanwhile.
    PublishesBlindly,
    /// Believes that it turned a receiver on or off.
    ForgetsReceivers,
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
    pub const ALL: [Self; 40] = [
        Self::AcceptsTwice,
        Self::ClaimsOver,
        Self::CommitsBlindly,
        Self::SendsUnclaimed,
        Self::GrantsBlindly,
        Self::LosesMessages,
        Self::DeletesBeforeSending,
        Self::RepeatsMail,
        Self::ChecksThenWrites,
        Self::LosesOwners,
        Self::FavoursOne,
        Self::UnwatchesTeams,
        Self::FailsTogether,
        Self::KeepsDueEntries,
        Self::MiscountsContacts,
        Self::MovesLeadsBlindly,
        Self::LeavesAddresses,
        Self::PassesGates,
        Self::OverwritesGates,
        Self::KeepsWhatItErases,
        Self::OverlooksMessages,
        Self::LeavesGatesOpen,
        Self::KeepsDeadLetters,
        Self::UnwatchesGates,
        Self::ForgetsTrails,
        Self::CountsBlindly,
        Self::TakesBlindly,
        Self::ForgetsEntries,
        Self::ForgetsTokens,
        Self::ForgetsTimes,
        Self::ClaimsWhatIsPaused,
        Self::MiscountsMessages,
        Self::MiscountsResults,
        Self::MovesCursorsFirst,
        Self::ChoosesBlindly,
        Self::ForgetsActs,
        Self::ForgetsProofs,
        Self::ForgetsNotes,
        Self::PublishesBlindly,
        Self::ForgetsReceivers,
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
            (Self::ChoosesBlindly, Host::Table, "PutItem") => {
                unconditional(call, |item| text(item, "sk").starts_with("b#"))
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
            (Self::KeepsDueEntries, Host::Table, "BatchWriteItem") if call.mentions("due#") => {
                Rewritten::Answer(Call::answer(200, r#"{"UnprocessedItems":{}}"#))
            }
            (Self::OverlooksMessages, Host::Table, "Query") if is_look_beside(call) => {
                let mut body = call.json().clone();
                body["KeyConditionExpression"] = "pk = :pk AND sk < :m".into();
                body["ExpressionAttributeValues"][":m"] = json!({ "S": "m" });
                Rewritten::Call(Box::new(call.with_body(&body)))
            }
            (Self::ForgetsReceivers, Host::Table, "PutItem")
                if text(&call.json()["Item"], "pk").starts_with("ep_") =>
            {
                Rewritten::Answer(Call::answer(200, "{}"))
            }
            (Self::LeavesGatesOpen, Host::Table, "PutItem") if closes_a_gate(&call.json()["Item"]) => {
                Rewritten::Answer(Call::answer(200, "{}"))
            }
            (Self::KeepsDeadLetters, Host::Queues, "DeleteMessageBatch") => {
                let entries = call.json()["Entries"].as_array().cloned().unwrap_or_default();
                let gone: Vec<Value> = entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect();
                Rewritten::Answer(Call::answer(200, &json!({ "Successful": gone, "Failed": [] }).to_string()))
            }
            (Self::FavoursOne, Host::Table, "PutItem") => {
                let mut body = call.json().clone();
                favour_one(&mut body["Item"]);
                Rewritten::Call(Box::new(call.with_body(&body)))
            }
            (_, Host::Table, "TransactWriteItems") => {
                let mut body = call.json().clone();
                for action in body["TransactItems"].as_array_mut().into_iter().flatten() {
                    self.rewrite_action(action);
                }
                if let Some(actions) = body["TransactItems"].as_array_mut() {
                    actions.retain(|action| !self.leaves_out(action));
                }
                Rewritten::Call(Box::new(call.with_body(&body)))
            }
            (Self::ForgetsTokens, Host::Queues, _) => {
                let body = call.json().to_string();
                Rewritten::Call(Box::new(call.with_body(&forget_tokens(&body))))
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

    fn rewrite_action(self, action: &mut Value) {
        let is_put = |prefix: &str| text(&action["Put"]["Item"], "pk").starts_with(prefix);
        match self {
            Self::CommitsBlindly if !text(&action["Update"]["Key"], "pk").starts_with("ad#") => {
                action
                    .as_object_mut()
                    .into_iter()
                    .flatten()
                    .filter(|(part, _)| *part != "ConditionCheck")
                    .for_each(|(_, part)| drop_condition(part));
            }
            Self::MovesLeadsBlindly if text(&action["Update"]["Key"], "sk") == "l" => {
                drop_condition(&mut action["Update"]);
            }
            Self::KeepsWhatItErases => {
                if let Some(expression) = action["Update"]["UpdateExpression"].as_str() {
                    let keeps = expression.replace("REMOVE e, f, x, ", "REMOVE ");
                    action["Update"]["UpdateExpression"] = keeps.into();
                }
            }
            Self::ForgetsActs if action.get("Update").is_some() => {
                let values = &mut action["Update"]["ExpressionAttributeValues"];
                if let Some(mut progress) = document::<Progress>(values, ":d") {
                    progress.acts.clear();
                    values[":d"]["S"] = serde_json::to_string(&progress).unwrap_or_default().into();
                }
            }
            Self::PublishesBlindly if is_put("manifest") => drop_condition(&mut action["Put"]),
            Self::TakesBlindly if is_put("cu_") && text(&action["Put"]["Item"], "sk") != "c" => {
                drop_condition(&mut action["Put"]);
            }
            Self::ForgetsTokens if is_run(action) => {
                edit(&mut action["Put"]["Item"], |run: &mut Run| {
                    run.due.iter_mut().for_each(|due| due.token = "any".to_owned());
                });
            }
            Self::ForgetsTimes if is_put("cu_") => {
                edit(&mut action["Put"]["Item"], |customer: &mut Customer| {
                    customer.facts.values_mut().for_each(|fact| fact.at = Timestamp(0));
                });
            }
            Self::ClaimsWhatIsPaused if text(&action["Update"]["Key"], "pk").starts_with("tally#") => {
                drop_condition(&mut action["Update"]);
            }
            Self::OverwritesGates if is_put("gate#") => drop_condition(&mut action["Put"]),
            Self::UnwatchesTeams if is_put("team#") => drop_condition(&mut action["Put"]),
            Self::FavoursOne if is_put("team#") => favour_one(&mut action["Put"]["Item"]),
            Self::LosesOwners if is_put("cu_") => {
                edit(&mut action["Put"]["Item"], |customer: &mut Customer| customer.owner = None);
            }
            _ => {}
        }
    }

    /// Whether it leaves an action of a transaction out.
    fn leaves_out(self, action: &Value) -> bool {
        let put = |name: &str| text(&action["Put"]["Item"], name);
        match self {
            Self::ForgetsEntries => put("sk").starts_with("e#"),
            Self::ForgetsProofs => put("pk").starts_with("consent#"),
            Self::ForgetsNotes => put("pk") == "audit",
            Self::PassesGates => put("pk").starts_with("gate#"),
            Self::ForgetsTrails => put("sk").starts_with("m#"),
            Self::UnwatchesTeams => action.get("ConditionCheck").is_some(),
            Self::UnwatchesGates => text(&action["ConditionCheck"]["Key"], "pk").starts_with("gate#"),
            Self::MiscountsMessages => text(&action["Update"]["Key"], "pk").starts_with("tally#"),
            Self::MiscountsResults => text(&action["Update"]["Key"], "pk").starts_with("counted#"),
            Self::MiscountsContacts => text(&action["Update"]["Key"], "pk").starts_with("speed#"),
            Self::LeavesAddresses => {
                let change = action["Update"]["UpdateExpression"].as_str().unwrap_or_default();
                text(&action["Update"]["Key"], "pk").starts_with("ad#") && change.starts_with("REMOVE c")
            }
            _ => false,
        }
    }

    /// The function as it is with this mutant.
    pub fn around(self, function: Arc<dyn Function>) -> Arc<dyn Function> {
        match self {
            Self::FailsTogether => Arc::new(FailsTogether(function)),
            _ => function,
        }
    }

    /// A call it makes right after another.
    pub fn afterwards(self, call: &Call, answer: &http::Response<Bytes>) -> Option<Call> {
        if self == Self::MovesCursorsFirst && call.operation == "Scan" {
            return Some(call.with_operation("PutItem", &done(call)));
        }
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

/// The part of the audience that a scan is of, as if it were done.
fn done(scan: &Call) -> Value {
    let scan = scan.json();
    let sk = format!("s#{:010}#{:02}", 1, scan["Segment"].as_u64().unwrap_or_default());
    let section = json!({ "p": 1, "d": true, "n": 0 }).to_string();
    json!({
        "TableName": scan["TableName"],
        "Item": {
            "pk": { "S": "campaign#spring" }, "sk": { "S": sk }, "v": { "N": "1" }, "d": { "S": section },
        },
    })
}

struct FailsTogether(Arc<dyn Function>);

impl Function for FailsTogether {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let answer = self.0.invoke(payload.clone()).await?;
            let failed: Value = serde_json::from_slice(&answer).unwrap_or_default();
            if failed["batchItemFailures"].as_array().is_none_or(Vec::is_empty) {
                return Ok(answer);
            }
            let event: Value = serde_json::from_slice(&payload).unwrap_or_default();
            let records = event["Records"].as_array().into_iter().flatten();
            let all: Vec<Value> =
                records.map(|record| json!({ "itemIdentifier": record["messageId"] })).collect();
            Ok(Bytes::from(json!({ "batchItemFailures": all }).to_string()))
        })
    }
}

/// Changes an item's document.
fn edit<T: DeserializeOwned + Serialize>(item: &mut Value, change: impl FnOnce(&mut T)) {
    let Some(mut document) = document::<T>(item, "d") else { return };
    change(&mut document);
    item["d"]["S"] = serde_json::to_string(&document).unwrap_or_default().into();
}

/// The tokens of wakes in a text, which is JSON within JSON.
fn forget_tokens(body: &str) -> Value {
    let mark = "\\\"k\\\":\\\"";
    let mut parts = body.split(mark);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once("\\\"").map(|(_, rest)| rest).unwrap_or_default();
        text.push_str(&format!("{mark}any\\\"{rest}"));
    }
    serde_json::from_str(&text).unwrap_or_default()
}

/// Whether an action of a transaction writes a run of a journey.
fn is_run(action: &Value) -> bool {
    text(&action["Put"]["Item"], "sk").starts_with("r#")
}

/// Whether a query looks for what lies beside a customer's record, to delete it.
fn is_look_beside(query: &Call) -> bool {
    let query = query.json();
    let of_customer = text(&query["ExpressionAttributeValues"], ":pk").starts_with("cu_");
    of_customer && query["ProjectionExpression"] == "pk, sk"
}

fn closes_a_gate(item: &Value) -> bool {
    let gate = document::<Gate>(item, "d").filter(|_| text(item, "pk").starts_with("gate#"));
    gate.is_some_and(|gate| gate.erased.is_some())
}

/// Turns that nobody has in a lifetime.
const FAR: u64 = 1 << 50;

fn favour_one(team: &mut Value) {
    if text(team, "pk").starts_with("team#") {
        edit(team, |state: &mut TeamState| {
            let most = state.members.values().map(|member| member.open).max().unwrap_or_default();
            for member in state.members.values_mut() {
                member.pass = if member.open == most { 0 } else { FAR };
            }
        });
    }
}

fn is_new(call: &Call) -> bool {
    call.json()["ConditionExpression"] == "attribute_not_exists(pk)"
}

fn unconditional(call: &Call, is_meant: fn(&Value) -> bool) -> Rewritten {
    let mut body = call.json().clone();
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
        values.remove(":open");
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
