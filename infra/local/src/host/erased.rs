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

/// Runs what may take the time of a file's copy. Whether it was done; if not, the log says so.
async fn clean_up(clean: impl FnOnce() -> bool + Send + 'static) -> bool {
    let is_clean = matches!(tokio::task::spawn_blocking(clean).await, Ok(true));
    if !is_clean {
        tracing::warn!("mails or files still hold what was erased; the next call of {ERASES} cleans them");
    }
    is_clean
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
            let is_clean = clean_up(move || kept.clean()).await;
            // The messages come again, and with them the cleaning; erasing twice erases once.
            answer.and_then(|answer| if is_clean { Ok(answer) } else { Err(unclean()) })
        })
    }
}

fn unclean() -> InvokeError {
    InvokeError {
        kind: "Local.Unclean".to_owned(),
        message: "mails or files still hold what was erased".to_owned(),
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

    fn table() -> DynamoDb {
        let dynamodb = DynamoDb::memory().unwrap();
        let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
        let text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let table = json!({
            "TableName": "table", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
            "AttributeDefinitions": [text("pk"), text("sk")],
        });
        dynamodb.run("CreateTable", table.to_string().as_bytes()).unwrap();
        dynamodb
    }

    fn put(dynamodb: &DynamoDb, item: Value) {
        let request = json!({ "TableName": "table", "Item": item });
        dynamodb.run("PutItem", request.to_string().as_bytes()).unwrap();
    }

    fn erase(dynamodb: &DynamoDb, lead: &LeadId) {
        let state = LeadState::Erased.name();
        put(dynamodb, json!({ "pk": { "S": lead }, "sk": { "S": "l" }, "st": { "S": state } }));
    }

    #[tokio::test]
    async fn a_mail_that_is_handed_over_while_its_person_is_erased_is_not_kept() {
        let (dynamodb, ses) = (table(), Ses::memory(Arc::new(|| 0)));
        let lead = LeadId::derived(&["merula"]);
        erase(&dynamodb, &lead);

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
        put(&dynamodb, json!({ "pk": { "S": customer }, "sk": { "S": "c" }, "x": { "M": {} } }));
        kept.forget_mails();
        assert_eq!(ses.list(), []);
    }

    #[tokio::test]
    async fn an_erasure_that_leaves_a_mail_behind_fails_and_is_done_when_it_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let (dynamodb, ses) = (table(), Ses::open(folder.path(), Arc::new(|| 0)).unwrap());
        let lead = LeadId::derived(&["merula"]);
        erase(&dynamodb, &lead);
        let tag = format!("{lead}-assigned-1");
        let told = Slow { ses: ses.clone(), tag, meanwhile: Mutex::new(None) };
        told.invoke(Bytes::new()).await.unwrap();
        let sqs = Sqs::open(None, Arc::new(|| 0), String::new()).unwrap();
        let erases = Kept::new("table", &dynamodb, &sqs, &ses).watch(ERASES, Arc::new(Erased));
        // A folder in its place is no file that can be deleted.
        let path = ses.list()[0].path.clone().unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(erases.invoke(Bytes::new()).await.unwrap_err().kind, "Local.Unclean");
        std::fs::remove_dir(&path).unwrap();
        erases.invoke(Bytes::new()).await.unwrap();
        assert_eq!(ses.list(), []);
    }
}
