//! What this machine keeps and AWS does not: mails that were sent, and what was deleted from a table in pages of its file.
//! Both go with whoever is erased.

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sluice_domain::id::{LeadId, MessageId};
use sluice_domain::lead::LeadState;
use sluice_host::function::{Function, InvokeError};
use sluice_services::dynamodb::{DynamoDb, DynoxideError};
use sluice_services::ses::{Mail, Ses};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The function that erases.
pub const FUNCTION: &str = "erase-customer";

/// The function with what this machine does after each of its calls.
pub struct Erasing {
    /// The function.
    pub function: Arc<dyn Function>,
    /// Name of the table.
    pub table: String,
    /// The table's store.
    pub dynamodb: DynamoDb,
    /// The mails.
    pub ses: Ses,
}

impl Function for Erasing {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let answer = self.function.invoke(payload).await;
            let (table, dynamodb, ses) = (self.table.clone(), self.dynamodb.clone(), self.ses.clone());
            let cleaned = tokio::task::spawn_blocking(move || clean(&table, &dynamodb, &ses)).await;
            if !matches!(cleaned, Ok(true)) {
                tracing::warn!(
                    "mails or files still hold what was erased; asking for the erasure again cleans them"
                );
            }
            answer
        })
    }
}

/// Deletes mails about what is erased, and writes the table's file anew. Whether all of it was done.
fn clean(table: &str, dynamodb: &DynamoDb, ses: &Ses) -> bool {
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    for mail in ses.list() {
        for (pk, sk) in about(&mail) {
            let is_erased = || is_erased(dynamodb, table, &pk, sk).unwrap_or(false);
            known.entry(pk.clone()).or_insert_with(is_erased);
        }
    }
    let gone = |mail: &Mail| about(mail).iter().any(|(pk, _)| known.get(pk) == Some(&true));
    let mails = ses.forget(gone);
    let file = dynamodb.compact();
    mails.is_ok() && file.is_ok()
}

/// The leads and customers that a mail's tags name, by the key of their record.
fn about(mail: &Mail) -> Vec<(String, &'static str)> {
    let named = mail.tags.iter().filter_map(|(_, value)| {
        if let Some(message) = MessageId::parse(value) {
            return Some((message.customer().to_string(), "c"));
        }
        let lead = LeadId::parse(value.get(..LeadId::PREFIX.len() + 26)?)?;
        Some((lead.to_string(), "l"))
    });
    named.collect()
}

fn is_erased(dynamodb: &DynamoDb, table: &str, pk: &str, sk: &str) -> Result<bool, DynoxideError> {
    let request = json!({ "TableName": table, "Key": { "pk": { "S": pk }, "sk": { "S": sk } } });
    let answer = dynamodb.run("GetItem", request.to_string().as_bytes())?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let item = &answer["Item"];
    Ok(match sk {
        "l" => item["st"]["S"] == LeadState::Erased.name(),
        _ => item["x"].is_object(),
    })
}
