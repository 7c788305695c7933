//! Records of newer code, as functions of today meet them while another version is put in place.
//!
//! What is guaranteed: code reads every record of a newer version that has more attributes, or more fields in its documents.
//! When it writes such a record again the additions to a document are gone, so a newer version may rest nothing on them
//! until no older one runs. Policy documents are strict, since a word that means nothing is an author's mistake: code that
//! knows a word is deployed before a document uses it. A queue message that is not understood fails, and is put back from
//! the dead letters once newer code runs.

use crate::wire::{Call, text};
use serde_json::{Value, json};

/// What newer code adds.
const LATER: &str = "later";

/// A call as newer code would make it: what it stores has more attributes and fields.
pub fn as_newer(call: &Call) -> Call {
    let mut body = call.json().clone();
    match call.operation.as_str() {
        "PutItem" => body["Item"] = newer_item(&body["Item"]),
        "UpdateItem" => newer_values(&mut body),
        "TransactWriteItems" => {
            for action in body["TransactItems"].as_array_mut().into_iter().flatten() {
                if let Some(put) = action.get_mut("Put") {
                    put["Item"] = newer_item(&put["Item"]);
                }
                if let Some(update) = action.get_mut("Update") {
                    newer_values(update);
                }
            }
        }
        _ => return call.clone(),
    }
    call.with_body(&body)
}

/// An item as newer code would store it. Policy texts are stored under their hash and stay as they are.
pub fn newer_item(item: &Value) -> Value {
    let mut item = item.clone();
    if text(&item, "pk").starts_with("policy#") {
        return item;
    }
    for value in item.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        newer_document(value);
    }
    item[LATER] = json!({ "S": "more" });
    item
}

fn newer_values(update: &mut Value) {
    let values = update.get_mut("ExpressionAttributeValues").and_then(Value::as_object_mut);
    values.into_iter().flat_map(serde_json::Map::values_mut).for_each(newer_document);
}

/// One more field, if the attribute is a document.
fn newer_document(attribute: &mut Value) {
    let Some(Ok(Value::Object(mut document))) = attribute["S"].as_str().map(serde_json::from_str) else {
        return;
    };
    document.insert(LATER.to_owned(), json!({ "is": ["more"] }));
    attribute["S"] = Value::Object(document).to_string().into();
}
