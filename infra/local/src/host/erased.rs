//! What this machine keeps and AWS does not: mails that were sent, and what was deleted from the table and from queues in
//! pages of their files. All of it goes with whoever is erased.

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sluice_domain::id::{CustomerId, LeadId, MessageId};
use sluice_domain::lead::LeadState;
use sluice_host::function::{Function, InvokeError};
use sluice_services::dynamodb::{DynamoDb, DynoxideError};
use sluice_services::ses::{Mail, Ses};
use sluice_services::sqs::Sqs;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The function that erases.
const ERASES: &str = "erase-customer";
/// The function that hands mails over.
const SENDS: &str = "send-message";

/// Where this machine keeps what is about people. Clones keep the same.
#[derive(Clone)]
pub struct Kept {
    table: String,
    dynamodb: DynamoDb,
    sqs: Sqs,
    ses: Ses,
    erasures: Arc<AtomicU64>,
}

impl Kept {
    /// The table of that name, the queues and the mails.
    pub fn new(table: &str, dynamodb: &DynamoDb, sqs: &Sqs, ses: &Ses) -> Self {
        let (dynamodb, sqs, ses) = (dynamodb.clone(), sqs.clone(), ses.clone());
        Self { table: table.to_owned(), dynamodb, sqs, ses, erasures: Arc::default() }
    }

    /// The function with what this machine does after each of its calls.
    pub fn watch(&self, name: &str, function: Arc<dyn Function>) -> Arc<dyn Function> {
        match name {
            ERASES => Arc::new(Erasing { function, kept: self.clone() }),
            SENDS => Arc::new(Sending { function, kept: self.clone() }),
            _ => function,
        }
    }

    /// Deletes mails about what is erased, and writes the files of the table and of the queues anew. Whether all of it was done.
    fn clean(&self) -> bool {
        let mails = self.forget_mails();
        let table = self.dynamodb.compact();
        let queues = self.sqs.compact();
        mails && table.is_ok() && queues.is_ok()
    }

    fn forget_mails(&self) -> bool {
        let mut known: BTreeMap<String, bool> = BTreeMap::new();
        for mail in self.ses.list() {
            for (pk, sk) in about(&mail) {
                let is_erased = || self.is_erased(&pk, sk).unwrap_or(false);
                known.entry(pk.clone()).or_insert_with(is_erased);
            }
        }
        let gone = |mail: &Mail| about(mail).iter().any(|(pk, _)| known.get(pk) == Some(&true));
        self.ses.forget(gone).is_ok()
    }

    fn is_erased(&self, pk: &str, sk: &str) -> Result<bool, DynoxideError> {
        let request = json!({ "TableName": self.table, "Key": { "pk": { "S": pk }, "sk": { "S": sk } } });
        let answer = self.dynamodb.run("GetItem", request.to_string().as_bytes())?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let item = &answer["Item"];
        Ok(match sk {
            "l" => item["st"]["S"] == LeadState::Erased.name(),
            _ => item["x"].is_object(),
        })
    }
}

/// Runs what may take the time of a file's copy, and says so if it was not done.
async fn clean_up(clean: impl FnOnce() -> bool + Send + 'static) {
    if !matches!(tokio::task::spawn_blocking(clean).await, Ok(true)) {
        tracing::warn!("mails or files still hold what was erased; asking for the erasure again cleans them");
    }
}

struct Erasing {
    function: Arc<dyn Function>,
    kept: Kept,
}

impl Function for Erasing {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let answer = self.function.invoke(payload).await;
            let kept = self.kept.clone();
            kept.erasures.fetch_add(1, Ordering::SeqCst);
            clean_up(move || kept.clean()).await;
            answer
        })
    }
}

struct Sending {
    function: Arc<dyn Function>,
    kept: Kept,
}

/// A mail that was claimed before its person was erased may be handed over after their mails were looked for.
impl Function for Sending {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let erasures = || self.kept.erasures.load(Ordering::SeqCst);
            let before = erasures();
            let answer = self.function.invoke(payload).await;
            if erasures() != before {
                let kept = self.kept.clone();
                clean_up(move || kept.forget_mails()).await;
            }
            answer
        })
    }
}

/// The leads and customers that a mail's tags name, by the key of their record.
fn about(mail: &Mail) -> Vec<(String, &'static str)> {
    let named = mail.tags.iter().filter_map(|(_, value)| {
        if let Some(message) = MessageId::parse(value) {
            return Some((message.customer().to_string(), "c"));
        }
        // What tells of a lead, or by a journey's step of a customer, has its id before more.
        let lead =
            || LeadId::parse(value.get(..LeadId::PREFIX.len() + 26)?).map(|lead| (lead.to_string(), "l"));
        let customer = || {
            let id = CustomerId::parse(value.get(..CustomerId::PREFIX.len() + 26)?);
            id.map(|customer| (customer.to_string(), "c"))
        };
        lead().or_else(customer)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_services::Service;
    use std::sync::Mutex;

    /// Hands a mail over, whatever happens meanwhile.
    struct Slow {
        ses: Ses,
        tag: String,
        meanwhile: Mutex<Option<Arc<dyn Function>>>,
    }

    impl Function for Slow {
        fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
            Box::pin(async move {
                let meanwhile = self.meanwhile.lock().unwrap().take();
                if let Some(other) = meanwhile {
                    other.invoke(payload).await?;
                }
                let body = json!({
                    "FromEmailAddress": "leads@shop.example",
                    "Destination": { "ToAddresses": ["ann@reps.example"] },
                    "Content": { "Simple": {
                        "Subject": { "Data": "New lead: Merula" }, "Body": { "Text": { "Data": "Merula" } },
                    } },
                    "EmailTags": [{ "Name": "message", "Value": self.tag }],
                });
                let request = http::Request::post("/v2/email/outbound-emails");
                let answer = self.ses.call(request.body(Bytes::from(body.to_string())).unwrap()).await;
                assert_eq!(answer.status(), 200);
                Ok(Bytes::new())
            })
        }
    }

    /// A function that erased somebody, and has nothing else to do.
    struct Erased;

    impl Function for Erased {
        fn invoke(&self, _: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
            Box::pin(async { Ok(Bytes::new()) })
        }
    }

    #[tokio::test]
    async fn a_mail_that_is_handed_over_while_its_person_is_erased_is_not_kept() {
        let dynamodb = DynamoDb::memory().unwrap();
        let ses = Ses::memory(Arc::new(|| 0));
        let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
        let text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let table = json!({
            "TableName": "table", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
            "AttributeDefinitions": [text("pk"), text("sk")],
        });
        dynamodb.run("CreateTable", table.to_string().as_bytes()).unwrap();
        let lead = LeadId::derived(&["merula"]);
        let item =
            json!({ "pk": { "S": lead }, "sk": { "S": "l" }, "st": { "S": LeadState::Erased.name() } });
        let put = json!({ "TableName": "table", "Item": item });
        dynamodb.run("PutItem", put.to_string().as_bytes()).unwrap();

        let sqs = Sqs::open(None, Arc::new(|| 0), String::new()).unwrap();
        let kept = Kept::new("table", &dynamodb, &sqs, &ses);
        let erases = kept.watch(ERASES, Arc::new(Erased));
        let tag = format!("{lead}-assigned-1");
        let slow = Slow { ses: ses.clone(), tag, meanwhile: Mutex::new(None) };
        let slow = Arc::new(slow);
        let sends = kept.watch(SENDS, slow.clone());
        sends.invoke(Bytes::new()).await.unwrap();
        assert_eq!(ses.list().len(), 1, "nobody was erased");
        *slow.meanwhile.lock().unwrap() = Some(erases);
        sends.invoke(Bytes::new()).await.unwrap();
        assert_eq!(ses.list(), []);

        // What a journey's step told a rep of a customer names no lead.
        let customer = CustomerId::derived(&["merula"]);
        let tag = format!("{customer}-welcome-2-ann");
        let told = Slow { ses: ses.clone(), tag, meanwhile: Mutex::new(None) };
        told.invoke(Bytes::new()).await.unwrap();
        kept.forget_mails();
        assert_eq!(ses.list().len(), 1, "its customer is not erased");
        let item = json!({ "pk": { "S": customer }, "sk": { "S": "c" }, "x": { "M": {} } });
        let put = json!({ "TableName": "table", "Item": item });
        dynamodb.run("PutItem", put.to_string().as_bytes()).unwrap();
        kept.forget_mails();
        assert_eq!(ses.list(), []);
    }
}
