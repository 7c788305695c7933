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
use sluice_wire::capture;
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
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// From this age on, in milliseconds, a lead that its sender does not know or refuses to tell is not asked for again: three days.
const GIVE_UP_MS: i64 = 3 * DAY_MS;

/// Where Meta's Graph API answers, with its version, unless the stack says otherwise. A stack keeps what it was deployed
/// with, so what a release knows better is no parameter's default.
const GRAPH: &str = "https://graph.facebook.com/v24.0";
/// The version of LinkedIn's API, unless the stack says otherwise.
const LINKEDIN_VERSION: &str = "202606";

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let enricher = Enricher {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            // What is asked for again waits longer than a queue can: it becomes a due entry.
            outbox: Outbox::new(&env, store.clone(), &[QueueName::Lead])?,
            graph: env.optional("SLUICE_GRAPH_URL").unwrap_or(GRAPH).trim_end_matches('/').to_owned(),
            linkedin: env.required("SLUICE_LINKEDIN_URL")?.trim_end_matches('/').to_owned(),
            linkedin_version: env.optional("SLUICE_LINKEDIN_VERSION").unwrap_or(LINKEDIN_VERSION).to_owned(),
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
                    // A conflict means that another delivery completed it, or that a transaction was on it just then: if it is not
                    // complete now route-lead sends it back to be fetched.
                    let _: Written =
                        self.store.enrich_lead(&lead, &envelope).await.map_err(|error| error.to_string())?;
                }
                Answer::Later(why) => {
                    tracing::warn!(lead = %id, why, "lead fetched later");
                    let body = encode(&EnrichMessage::Lead(id.clone()));
                    let not_before = asked_again(&lead, now);
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

    /// The values there are of a source's secret, in the order of its document: while a token is replaced there are two,
    /// of which the sender may refuse either.
    async fn tokens(&self, source: &Document, name: &str) -> Result<Vec<Pii<String>>, String> {
        let mut tokens = Vec::new();
        for reference in source.secrets.get(name).into_iter().flatten() {
            tokens.extend(self.secrets.resolve(reference).await.map_err(|error| error.to_string())?);
        }
        Ok(tokens)
    }

    /// One call with a token.
    async fn get(&self, url: &str, token: &Pii<String>, more: &[(&str, &str)]) -> Result<Fetched, String> {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {}", token.reveal()))];
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let answer = fetch(&self.env, "GET", url, &headers, Vec::new(), LIMIT).await;
        answer.map_err(|error| format!("the sender's API: {error}"))
    }

    /// Whether a lead that its sender does not know, or refuses for good, is given up.
    fn is_old(&self, lead: &Lead) -> bool {
        self.env.clock.now().since(lead.received) > GIVE_UP_MS
    }
}

/// When a lead is asked for again: within minutes at first, within the hour once it is older, and from the age at which others
/// are given up within the day, since then it takes a person. On a boundary, so that repeats of this lead become one due
/// entry; each lead has its own, so that not all come at once.
fn asked_again(lead: &Lead, now: Timestamp) -> Timestamp {
    let every = match now.since(lead.received) {
        ..HOUR_MS => LATER_MS,
        HOUR_MS..GIVE_UP_MS => HOUR_MS,
        _ => DAY_MS,
    };
    let own = lead.received.millis() % every;
    let past = now.millis() + LATER_MS - own;
    Timestamp((past / every + 1) * every + own)
}

/// What its sender told of a lead.
struct Told {
    fields: Vec<(String, String)>,
    attribution: Vec<(String, String)>,
    created_at: Option<Timestamp>,
    test: bool,
}

/// The lead with what its sender told.
fn complete(lead: &Lead, told: Told) -> Answer {
    let mut envelope = lead.envelope.clone();
    envelope.fields = told.fields;
    envelope.attribution.extend(told.attribution);
    if let Some(at) = told.created_at {
        // A notification usually says it already.
        envelope.attribution.entry("created_at".to_owned()).or_insert_with(|| at.rfc3339());
    }
    if told.test {
        envelope.attribution.insert("test".to_owned(), "true".to_owned());
    }
    capture::fit(&mut envelope);
    Answer::Complete(envelope)
}

/// The lead as it is, with the reason why there is nothing more.
fn nothing_more(lead: &Lead, why: &str) -> Answer {
    let mut envelope = lead.envelope.clone();
    envelope.unreadable.push(why.to_owned());
    Answer::Complete(envelope)
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, GIVE_UP_MS, HOUR_MS, LATER_MS, asked_again};
    use sluice_domain::id::LeadId;
    use sluice_domain::lead::{Envelope, Lead, Origin, Progress};
    use sluice_domain::time::Timestamp;
    use std::collections::BTreeSet;

    fn lead(received: i64) -> Lead {
        Lead {
            id: LeadId::derived(&["l"]),
            origin: Origin { kind: "meta".to_owned(), name: "meta".to_owned() },
            external_id: None,
            received: Timestamp(received),
            envelope: Envelope::default(),
            needs_enrichment: true,
            manifest: 1,
            progress: Progress::default(),
            version: 1,
        }
    }

    #[test]
    fn the_older_a_lead_the_more_rarely_it_is_asked_for() {
        let received = 1_767_605_400_123;
        let lead = lead(received);
        let wait = |age: i64| asked_again(&lead, Timestamp(received + age)).millis() - (received + age);
        for (age, every) in [
            (0, LATER_MS),
            (HOUR_MS - 1, LATER_MS),
            (HOUR_MS, HOUR_MS),
            (DAY_MS + 7, HOUR_MS),
            (GIVE_UP_MS, DAY_MS),
            (90 * DAY_MS + 1, DAY_MS),
        ] {
            assert!((LATER_MS..=LATER_MS + every).contains(&wait(age)), "{age}: {}", wait(age));
        }
        let times = |from: i64, to: i64| {
            let at = |age| asked_again(&lead, Timestamp(received + age));
            (from..to).step_by(60_000).map(at).collect::<BTreeSet<_>>().len()
        };
        assert!(
            times(2 * HOUR_MS, 3 * HOUR_MS) <= 2,
            "repeats within the hour are one entry, or on either side of it"
        );
        assert!(times(5 * DAY_MS, 6 * DAY_MS) <= 2);
    }
}
