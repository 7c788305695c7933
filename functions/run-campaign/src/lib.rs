//! Campaigns: goes through the audience of a broadcast page by page, puts each message on its way for its time, and looks
//! after what becomes of them.
//!
//! A page's messages are durable before its cursor moves, and a message's id is made of campaign, broadcast and customer:
//! so a page that is done twice sends once. Nothing here is larger than a page.

mod begin;
mod bundle;
mod go_on;
mod pages;
mod watch;

use futures::future::BoxFuture;
use sluice_domain::campaign::{Broadcast, Section};
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::outbox::{Outbox, Outgoing, QueueName};
use sluice_host::queue::{Each, Queue, Record, RecordHandler};
use sluice_store::{Policies, Store};
use sluice_wire::queue::{CampaignMessage, CampaignTask, encode};
use std::sync::Arc;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 4] =
    ["SLUICE_TABLE", "SLUICE_CAMPAIGN_QUEUE_URL", "SLUICE_BULK_QUEUE_URL", "SLUICE_NOTICE_QUEUE_URL"];

/// How often a broadcast is decided again because somebody else was faster, before the queue brings it again.
const ATTEMPTS: u32 = 12;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let queues = [QueueName::Campaign, QueueName::Bulk, QueueName::Notice];
        let runner = Runner {
            policies: Policies::new(store.clone()),
            outbox: Outbox::new(&env, store.clone(), &queues)?,
            store,
            env,
        };
        // The connection before the first record.
        let _ = runner.policies.current(runner.env.clock.now()).await;
        Ok(Arc::new(Queue(Each(runner))) as Arc<dyn Function>)
    })
}

pub(crate) struct Runner {
    pub(crate) policies: Policies,
    pub(crate) outbox: Outbox,
    pub(crate) store: Store,
    pub(crate) env: Environment,
}

impl RecordHandler for Runner {
    const AT_ONCE: usize = 4;

    async fn handle(&self, record: &Record) -> Result<(), String> {
        let message: CampaignMessage =
            serde_json::from_str(&record.body).map_err(|_| "not a campaign message".to_owned())?;
        match &message.task {
            CampaignTask::Begin => self.begin(&message).await,
            CampaignTask::Pages { part, page } => self.pages(&message, *part, *page).await,
            CampaignTask::Bundle(bundle) => self.open(&message, bundle).await,
            CampaignTask::GoOn => self.go_on(&message).await,
            CampaignTask::Drain(at) => self.drain_on(&message, *at).await,
            CampaignTask::Watch(look) => self.watch(&message, look).await,
        }
    }
}

impl Runner {
    pub(crate) async fn read(&self, message: &CampaignMessage) -> Result<Option<Broadcast>, String> {
        self.store.broadcast(&message.campaign, message.broadcast).await.map_err(text)
    }

    pub(crate) async fn current(&self) -> Result<Arc<PolicySet>, String> {
        self.policies.current(self.env.clock.now()).await.map_err(text)
    }

    /// After this each message is on its queue, or due.
    pub(crate) async fn hand_over(&self, messages: Vec<Outgoing>) -> Result<(), String> {
        self.outbox.hand_over(messages, self.env.clock.now()).await.map_err(text)
    }

    /// Goes on through the parts of the audience that are not done.
    pub(crate) async fn go_through(&self, broadcast: &Broadcast) -> Result<(), String> {
        let sections = self.store.sections(broadcast).await.map_err(text)?;
        let parts = (0..).zip(&sections).filter(|(_, section)| !section.done);
        self.go_through_parts(broadcast, &sections, parts.map(|(part, _)| part)).await
    }

    /// Goes on through these parts.
    pub(crate) async fn go_through_parts(
        &self,
        broadcast: &Broadcast,
        sections: &[Section],
        parts: impl IntoIterator<Item = u8>,
    ) -> Result<(), String> {
        let now = self.env.clock.now();
        let tasks = parts.into_iter().filter_map(|part| {
            let page = sections.get(usize::from(part))?.page;
            Some(outgoing(broadcast, CampaignTask::Pages { part, page }, now))
        });
        self.hand_over(tasks.collect()).await
    }
}

/// A task of a broadcast.
pub(crate) fn outgoing(broadcast: &Broadcast, task: CampaignTask, not_before: Timestamp) -> Outgoing {
    let message = CampaignMessage { campaign: broadcast.campaign.clone(), broadcast: broadcast.n, task };
    Outgoing { queue: QueueName::Campaign, id: message.id(), body: encode(&message), not_before }
}

pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
