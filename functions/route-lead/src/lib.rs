//! Who is this person, and who owns them: recognise, route, commit, tell the owner.

mod batch;
mod clock;
mod lookalikes;
mod rights;

use batch::Held;
use futures::future::BoxFuture;
use sluice_domain::clock::Tick;
use sluice_domain::event::Teller;
use sluice_domain::id::LeadId;
use sluice_domain::lead::LeadState;
use sluice_domain::routing::Outcome;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::outbox::{Outbox, QueueName};
use sluice_host::queue::{Failed, Queue, QueueHandler, Record};
use sluice_host::secrets::SecretStore;
use sluice_store::{DueEntry, Policies, Store, StoreError};
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 8] = [
    "SLUICE_TABLE",
    "SLUICE_LEAD_QUEUE_URL",
    "SLUICE_NOTICE_QUEUE_URL",
    "SLUICE_ENRICH_QUEUE_URL",
    "SLUICE_ERASE_QUEUE_URL",
    "SLUICE_MESSAGE_QUEUE_URL",
    "SLUICE_EVENT_QUEUE_URL",
    "SLUICE_HASH_KEY_SECRET",
];

/// How often a lead is decided again because somebody else was faster, before the queue brings it again.
pub(crate) const ATTEMPTS: u32 = 12;
/// Escalated leads tried again for one wake-up.
const WAKE_LIMIT: usize = 10;
/// Escalated leads looked at in one read to find them, after a first one of as many as are tried.
const WAKE_PAGE: usize = 100;
/// Reads for one wake-up, at most: whoever is behind has a turn within the hour.
const WAKE_PAGES: usize = 6;
/// How long is read for one wake-up, in milliseconds.
const WAKE_BUDGET_MS: i64 = 5_000;
/// How long clocks of reps whose absences are others now are set anew in one invocation, in milliseconds, once all else is done: it
/// may run for 30 s.
const AWAY_BUDGET_MS: i64 = 10_000;
/// When those that a wake-up found are gone over again, should whoever found them die, in milliseconds: by then they are done,
/// or the wake-up has come back.
const WAKE_AGAIN_MS: i64 = 60_000;

/// What it is called where it says that it did something.
pub(crate) const FUNCTION: &str = "route-lead";

/// As whom it tells of what happened to customers.
pub(crate) const fn teller(now: Timestamp) -> Teller {
    Teller { function: FUNCTION, now }
}

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let router = Router {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            outbox: Outbox::new(
                &env,
                store.clone(),
                &[
                    QueueName::Lead,
                    QueueName::Notice,
                    QueueName::Enrich,
                    QueueName::Erase,
                    QueueName::Message,
                    QueueName::Event,
                ],
            )?,
            settled: Mutex::default(),
            store,
            env,
        };
        // The connection and the hash key before the first record. A failure here is that record's to report.
        let _ = router.policies.current(router.env.clock.now()).await;
        let _ = router.secrets.hash_keys().await;
        Ok(Arc::new(Queue(router)) as Arc<dyn Function>)
    })
}

pub(crate) struct Router {
    pub(crate) policies: Policies,
    pub(crate) secrets: SecretStore,
    pub(crate) outbox: Outbox,
    pub(crate) store: Store,
    pub(crate) env: Environment,
    /// Leads this instance has committed, and where to: their grants need no look into the ledger.
    pub(crate) settled: Mutex<BTreeMap<LeadId, Outcome>>,
}

/// Why a pass came to nothing.
pub(crate) enum Stopped {
    /// A record that is not what this version writes: of one of the leads, or of whom or what it needs.
    Unreadable(String),
    /// The store or the secrets did not answer.
    Unavailable(String),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(_) => Self::Unreadable(error.to_string()),
            StoreError::Unavailable(_) | StoreError::Cursor => Self::Unavailable(error.to_string()),
        }
    }
}

impl QueueHandler for Router {
    async fn handle(&self, records: &[Record]) -> Vec<Failed> {
        let mut failed = Vec::new();
        let mut asked: BTreeMap<LeadId, Vec<&str>> = BTreeMap::new();
        let mut ticks: BTreeMap<Tick, Vec<&str>> = BTreeMap::new();
        let mut wakes: Vec<&str> = Vec::new();
        let mut away: BTreeMap<(String, Option<String>), Vec<&str>> = BTreeMap::new();
        for record in records {
            match serde_json::from_str::<LeadMessage>(&record.body) {
                Ok(LeadMessage::Lead(id)) => asked.entry(id).or_default().push(&record.id),
                Ok(LeadMessage::Leads(ids)) => {
                    ids.into_iter().for_each(|id| asked.entry(id).or_default().push(&record.id));
                }
                Ok(LeadMessage::Clock(tick)) => ticks.entry(tick).or_default().push(&record.id),
                Ok(LeadMessage::Wake(_)) => wakes.push(&record.id),
                Ok(LeadMessage::Leave(rep)) => {
                    wakes.push(&record.id);
                    away.entry((rep, None)).or_default().push(&record.id);
                }
                Ok(LeadMessage::LeaveAfter { rep, after }) => {
                    away.entry((rep, Some(after))).or_default().push(&record.id);
                }
                Err(_) => failed.push(Failed { id: record.id.clone(), why: "not a lead message".to_owned() }),
            }
        }
        let mut named = None;
        if !wakes.is_empty() {
            match self.woken().await {
                Ok(Some((ids, entry))) => {
                    ids.into_iter().for_each(|id| asked.entry(id).or_default().extend(&wakes));
                    named = Some(entry);
                }
                Ok(None) => {}
                Err(why) => failed.extend(each_failed(&wakes, &why)),
            }
        }
        for (lead, why) in self.route_all(asked.keys().cloned().collect()).await {
            let records = asked.remove(&lead).unwrap_or_default();
            failed.extend(each_failed(&records, &why));
        }
        if let Some(entry) = named
            && !failed.iter().any(|failed| wakes.contains(&failed.id.as_str()))
        {
            // What stays behind comes again, and finds that all is done.
            let _ = self.store.delete_due(&[entry]).await;
        }
        failed.extend(self.tick_all(ticks).await);
        // Last: it takes the longer the more a rep was told, and nobody waits for it.
        let until = self.env.clock.now().plus_millis(AWAY_BUDGET_MS);
        for ((rep, after), records) in away {
            if let Err(why) = self.set_clocks_anew(&rep, after, until).await {
                failed.extend(each_failed(&records, &why));
            }
        }
        failed.sort_by(|a, b| a.id.cmp(&b.id));
        failed.dedup_by(|a, b| a.id == b.id);
        failed
    }
}

/// All of these records failed for one reason.
pub(crate) fn each_failed(records: &[&str], why: &str) -> Vec<Failed> {
    records.iter().map(|id| Failed { id: (*id).to_owned(), why: why.to_owned() }).collect()
}

impl Router {
    /// Routes leads until each is done or has failed; answers with the failed ones.
    async fn route_all(&self, leads: Vec<LeadId>) -> BTreeMap<LeadId, String> {
        let (mut failed, mut held) = (BTreeMap::new(), Held::new());
        // A record that cannot be read stops the lead it belongs to and nobody else.
        for lead in self.route(leads, &mut held, &mut failed).await {
            self.route(vec![lead], &mut held, &mut failed).await;
        }
        failed
    }

    /// Routes leads together until each is done or has `failed`; answers with those to go over one by one, because a record
    /// that one of them needs cannot be read.
    async fn route(
        &self,
        mut left: Vec<LeadId>,
        held: &mut Held,
        failed: &mut BTreeMap<LeadId, String>,
    ) -> Vec<LeadId> {
        let mut attempt = 0;
        while !left.is_empty() {
            let pass = match self.pass(&left, held).await {
                Ok(pass) => pass,
                Err(Stopped::Unreadable(_)) if left.len() > 1 => return left,
                Err(Stopped::Unreadable(why) | Stopped::Unavailable(why)) => {
                    failed.extend(left.into_iter().map(|lead| (lead, why.clone())));
                    break;
                }
            };
            failed.extend(pass.failed);
            left = pass.again;
            if pass.done > 0 {
                attempt = 0;
            } else if !left.is_empty() {
                attempt += 1;
                if attempt >= ATTEMPTS {
                    failed.extend(left.into_iter().map(|lead| (lead, "too much contention".to_owned())));
                    break;
                }
                self.pause(attempt).await;
            }
        }
        Vec::new()
    }

    /// The leads that are tried for a wake-up, and the due entry that names them: whoever dies after one of them got its owner and
    /// before that owner was told is made up for by it, as the wake-up itself no longer finds that lead.
    async fn woken(&self) -> Result<Option<(Vec<LeadId>, DueEntry)>, String> {
        let ids = self.escalated().await?;
        if ids.is_empty() {
            return Ok(None);
        }
        // One entry for one list: whoever has done a list takes nothing away that another one still needs.
        let list: Vec<&str> = ids.iter().map(LeadId::as_str).collect();
        let entry = DueEntry {
            at: self.env.clock.now().plus_millis(WAKE_AGAIN_MS),
            id: format!("woken-{}", list.join("-")),
            queue: QueueName::Lead.name().to_owned(),
            body: encode(&LeadMessage::Leads(ids.clone())),
        };
        self.store.put_due(&entry).await.map_err(|error| error.to_string())?;
        Ok(Some((ids, entry)))
    }

    /// The oldest escalated leads that routing may try. Those that wait for a person are left out: they can be many, and the
    /// oldest of all.
    async fn escalated(&self) -> Result<Vec<LeadId>, String> {
        let began = self.env.clock.now();
        let before = began.plus_millis(1);
        let (mut found, mut after) = (Vec::new(), None);
        for page in 0..WAKE_PAGES {
            let size = if page == 0 { WAKE_LIMIT } else { WAKE_PAGE };
            let open = self.store.open_leads(LeadState::Escalated, after.as_ref(), before, size).await;
            let open = open.map_err(|error| error.to_string())?;
            let ids: Vec<LeadId> = open.iter().map(|lead| lead.id.clone()).collect();
            let standings = self.store.standings(&ids).await.map_err(|error| error.to_string())?;
            let may_be_tried = |id: &LeadId| {
                let standing = standings.get(id).and_then(Option::as_ref);
                standing.is_some_and(|standing| !standing.progress.waits_for_a_person())
            };
            found.extend(ids.into_iter().filter(may_be_tried));
            let is_last = open.len() < size;
            after = open.into_iter().next_back();
            if is_last || found.len() >= WAKE_LIMIT || self.env.clock.now().since(began) > WAKE_BUDGET_MS {
                break;
            }
        }
        found.truncate(WAKE_LIMIT);
        Ok(found)
    }

    /// Lets whoever was faster finish; random, so that two do not meet again.
    pub(crate) async fn pause(&self, attempt: u32) {
        let mut byte = [0];
        self.env.random.fill(&mut byte);
        let ms = u64::from(attempt) * 2 + u64::from(byte[0]) * u64::from(attempt) / 32;
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
