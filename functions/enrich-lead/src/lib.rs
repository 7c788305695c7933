//! Fetches what the sender left out of a lead: a notification of Meta's or LinkedIn's names the lead, their APIs have its
//! fields. The lead is in the ledger before; here it is completed and handed on to routing.

mod linkedin;
mod meta;

use futures::future::BoxFuture;
use sluice_domain::lead::{Envelope, Lead, LeadState};
use sluice_domain::pii::Pii;
use sluice_domain::policy::Source as Document;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::fetch::{Fetched, fetch};
use sluice_host::function::{Function, StartError};
use sluice_host::outbox::{Outbox, Outgoing, QueueName};
use sluice_host::queue::{Each, Queue, Record, RecordHandler};
use sluice_host::secrets::SecretStore;
use sluice_store::{Policies, Store, Written};
use sluice_wire::queue::{EnrichMessage, LeadMessage, encode};
use std::sync::Arc;
use std::time::Duration;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 6] = [
    "SLUICE_TABLE",
    "SLUICE_LEAD_QUEUE_URL",
    "SLUICE_SECRET_PREFIX",
    "SLUICE_GRAPH_URL",
    "SLUICE_LINKEDIN_URL",
    "SLUICE_LINKEDIN_VERSION",
];

/// Leads fetched at the same time.
const AT_ONCE: usize = 5;
/// One call to a sender's API.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a refusal that is not the lead's fault (a rate limit, a token) is waited out at least, in milliseconds.
const LATER_MS: i64 = 300_000;

/// From this age on, in milliseconds, a lead that its sender does not know is not asked for again: three days.
const GIVE_UP_MS: i64 = 259_200_000;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let enricher = Enricher {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            // What is asked for again waits longer than a queue can: it becomes a due entry.
            outbox: Outbox::new(&env, store.clone(), &[QueueName::Lead])?,
            graph: env.required("SLUICE_GRAPH_URL")?.trim_end_matches('/').to_owned(),
            linkedin: env.required("SLUICE_LINKEDIN_URL")?.trim_end_matches('/').to_owned(),
            linkedin_version: env.required("SLUICE_LINKEDIN_VERSION")?.to_owned(),
            store,
            env,
        };
        // The connection before the first record.
        let _ = enricher.policies.current(enricher.env.clock.now()).await;
        Ok(Arc::new(Queue(Each(enricher))) as Arc<dyn Function>)
    })
}

struct Enricher {
    policies: Policies,
    secrets: SecretStore,
    outbox: Outbox,
    graph: String,
    linkedin: String,
    linkedin_version: String,
    store: Store,
    env: Environment,
}

/// What the sender's server says of a lead.
enum Answer {
    /// Its fields.
    Complete(Envelope),
    /// Not now, and not because of this lead.
    Later(String),
}

impl RecordHandler for Enricher {
    const AT_ONCE: usize = AT_ONCE;

    async fn handle(&self, record: &Record) -> Result<(), String> {
        self.enrich(record).await
    }
}

impl Enricher {
    async fn enrich(&self, record: &Record) -> Result<(), String> {
        let EnrichMessage::Lead(id) =
            serde_json::from_str(&record.body).map_err(|_| "not an enrich message".to_owned())?;
        let lead = self.store.lead(&id).await.map_err(|error| error.to_string())?;
        // A lead is in the ledger before its message is: it was taken back since, or erased.
        let Some(lead) = lead.filter(|lead| lead.progress.state != LeadState::Erased) else { return Ok(()) };
        let now = self.env.clock.now();
        if lead.needs_enrichment && !lead.progress.state.is_end() {
            match self.ask(&lead).await? {
                Answer::Complete(envelope) => {
                    // A conflict means that another delivery completed it; either way it is complete now.
                    let _: Written =
                        self.store.enrich_lead(&lead, &envelope).await.map_err(|error| error.to_string())?;
                }
                Answer::Later(why) => {
                    tracing::warn!(lead = %id, why, "lead fetched later");
                    let body = encode(&EnrichMessage::Lead(id.clone()));
                    // On the boundary, so that repeats of this lead become one due entry.
                    let boundary = (now.millis() / LATER_MS + 2) * LATER_MS;
                    let not_before = Timestamp(boundary);
                    let again = Outgoing { queue: QueueName::Enrich, id: id.to_string(), body, not_before };
                    return self.outbox.hand_over(vec![again], now).await.map_err(|error| error.to_string());
                }
            }
        }
        let body = encode(&LeadMessage::Lead(id.clone()));
        let message = Outgoing { queue: QueueName::Lead, id: id.to_string(), body, not_before: now };
        self.outbox.hand_over(vec![message], now).await.map_err(|error| error.to_string())
    }

    async fn ask(&self, lead: &Lead) -> Result<Answer, String> {
        let policies =
            self.policies.current(self.env.clock.now()).await.map_err(|error| error.to_string())?;
        let Some(source) = policies.sources.get(&lead.origin.name) else {
            return Ok(Answer::Later("its source document is gone".to_owned()));
        };
        match source.sender.as_str() {
            "linkedin" => self.ask_linkedin(lead, source).await,
            _ => self.ask_meta(lead, source).await,
        }
    }

    /// The first value there is of a source's secret.
    async fn token(&self, source: &Document, name: &str) -> Result<Option<Pii<String>>, String> {
        for reference in source.secrets.get(name).into_iter().flatten() {
            let value = self.secrets.resolve(reference).await.map_err(|error| error.to_string())?;
            if value.is_some() {
                return Ok(value);
            }
        }
        Ok(None)
    }

    /// One call with a token.
    async fn get(&self, url: &str, token: &Pii<String>, more: &[(&str, &str)]) -> Result<Fetched, String> {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {}", token.reveal()))];
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let answer = fetch(&self.env, "GET", url, &headers, Vec::new(), LIMIT).await;
        answer.map_err(|error| format!("the sender's API: {error}"))
    }

    /// Whether a lead that its sender does not know is given up.
    fn is_old(&self, lead: &Lead) -> bool {
        self.env.clock.now().since(lead.received) > GIVE_UP_MS
    }
}

/// The lead with what its sender told.
fn complete(
    lead: &Lead,
    fields: Vec<(String, String)>,
    attribution: Vec<(String, String)>,
    test: bool,
) -> Answer {
    let mut envelope = lead.envelope.clone();
    envelope.fields = fields;
    envelope.attribution.extend(attribution);
    if test {
        envelope.attribution.insert("test".to_owned(), "true".to_owned());
    }
    Answer::Complete(envelope)
}

/// The lead as it is, with the reason why there is nothing more.
fn nothing_more(lead: &Lead, why: &str) -> Answer {
    let mut envelope = lead.envelope.clone();
    envelope.unreadable.push(why.to_owned());
    Answer::Complete(envelope)
}
