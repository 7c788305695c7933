//! Handing messages to queues so that none is lost: what the queue refuses, or what is due later than a queue can
//! wait, becomes a due entry.

use crate::aws;
use crate::environment::{ConfigError, Environment};
use crate::metrics::Metrics;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::stream::{self, StreamExt};
use ring::digest::{Context, SHA256};
use sluice_domain::event::Happened;
use sluice_domain::time::Timestamp;
use sluice_store::{DueEntry, Store, StoreError};
use sluice_wire::track::{Bundle, bundle};
use std::collections::BTreeMap;

/// What a queue waits by itself, in milliseconds; what is due later becomes a due entry. SQS could wait 15 minutes, but a
/// due entry of the same id and time is one entry however often it is put, and so ends chains of repeats.
pub const LONGEST_DELAY_MS: i64 = 180_000;

/// Messages of one call, and their bytes together. (SQS quotas.)
const BATCH: (usize, usize) = (10, 256 * 1024);
/// Calls under way at the same time.
const CALLS_AT_ONCE: usize = 8;
/// Due entries put at the same time.
const ENTRIES_AT_ONCE: usize = 16;

/// Our queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueName {
    /// Leads to recognise and route.
    Lead,
    /// Leads to complete.
    Enrich,
    /// Notices to send.
    Notice,
    /// Messages to customers, each by itself.
    Message,
    /// Messages to customers that are some of many: they never keep the others waiting.
    Bulk,
    /// People to forget.
    Erase,
    /// What mail providers say of mails.
    Feedback,
    /// Events of customers, and what is due for them.
    Event,
    /// Campaigns: audiences to go through, people whose time comes.
    Campaign,
}

impl QueueName {
    /// Every queue.
    pub const ALL: [Self; 9] = [
        Self::Lead,
        Self::Enrich,
        Self::Notice,
        Self::Message,
        Self::Bulk,
        Self::Erase,
        Self::Feedback,
        Self::Event,
        Self::Campaign,
    ];

    /// The word in due entries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Enrich => "enrich",
            Self::Notice => "notice",
            Self::Message => "message",
            Self::Bulk => "bulk",
            Self::Erase => "erase",
            Self::Feedback => "feedback",
            Self::Event => "event",
            Self::Campaign => "campaign",
        }
    }

    /// The variable that holds its URL.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Lead => "SLUICE_LEAD_QUEUE_URL",
            Self::Enrich => "SLUICE_ENRICH_QUEUE_URL",
            Self::Notice => "SLUICE_NOTICE_QUEUE_URL",
            Self::Message => "SLUICE_MESSAGE_QUEUE_URL",
            Self::Bulk => "SLUICE_BULK_QUEUE_URL",
            Self::Erase => "SLUICE_ERASE_QUEUE_URL",
            Self::Feedback => "SLUICE_FEEDBACK_QUEUE_URL",
            Self::Event => "SLUICE_EVENT_QUEUE_URL",
            Self::Campaign => "SLUICE_CAMPAIGN_QUEUE_URL",
        }
    }

    /// The queue with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }
}

/// A message to hand over.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// To this queue.
    pub queue: QueueName,
    /// Same id, same message: consumers drop repeats by what the body names, due entries by this.
    pub id: String,
    /// The body.
    pub body: String,
    /// Not before; in the past is now.
    pub not_before: Timestamp,
}

/// Events as messages, those of one customer together.
pub fn events(happened: Vec<Happened>, now: Timestamp) -> Vec<Outgoing> {
    let outgoing = |bundle: Bundle| Outgoing {
        queue: QueueName::Event,
        id: bundle.id,
        body: bundle.body,
        not_before: now,
    };
    bundle(happened).into_iter().map(outgoing).collect()
}

/// What a due entry is called: the same message again is the same entry, and no other is, also if it begins with the same event, or
/// is of the same lead and for another queue.
fn apart(queue: QueueName, id: &str, body: &str) -> String {
    let mut both = Context::new(&SHA256);
    both.update(queue.name().as_bytes());
    both.update(b"\n");
    both.update(body.as_bytes());
    let hash: String = both.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{id}-{hash}")
}

/// Sends to the queues a function was given.
#[derive(Clone)]
pub struct Outbox {
    client: aws_sdk_sqs::Client,
    urls: BTreeMap<QueueName, String>,
    store: Store,
    env: Environment,
}

impl Outbox {
    /// The queues that `queues` names, by their variables.
    pub fn new(env: &Environment, store: Store, queues: &[QueueName]) -> Result<Self, ConfigError> {
        let urls = queues
            .iter()
            .map(|queue| Ok((*queue, env.required(queue.variable())?.to_owned())))
            .collect::<Result<_, ConfigError>>()?;
        Ok(Self { client: aws::sqs(env)?, urls, store, env: env.clone() })
    }

    /// Hands all messages over. After `Ok` each is on its queue or a due entry; after an error some may be neither,
    /// and handing all over again is harmless.
    pub async fn hand_over(&self, messages: Vec<Outgoing>, now: Timestamp) -> Result<(), StoreError> {
        let put = |message: Outgoing| async move {
            let Outgoing { queue, id, body, not_before } = message;
            let (at, id) = (not_before.max(now), apart(queue, &id, &body));
            self.store.put_due(&DueEntry { at, id, queue: queue.name().to_owned(), body }).await
        };
        let left: Vec<_> = self.enqueue(messages, now).await.into_iter().map(put).collect();
        let mut left = stream::iter(left).buffer_unordered(ENTRIES_AT_ONCE);
        while let Some(put) = left.next().await {
            put?;
        }
        Ok(())
    }

    /// Puts messages on their queues, as many a call as the queue takes, and answers with those that are not there.
    pub async fn enqueue(&self, messages: Vec<Outgoing>, now: Timestamp) -> Vec<Outgoing> {
        let (mut left, near): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| {
            message.not_before.since(now) > LONGEST_DELAY_MS || !self.urls.contains_key(&message.queue)
        });
        let mut by_queue: BTreeMap<QueueName, Vec<Outgoing>> = BTreeMap::new();
        for message in near {
            by_queue.entry(message.queue).or_default().push(message);
        }
        for (queue, messages) in by_queue {
            let chunks = batches(&messages);
            let mut calls = stream::iter(
                chunks.iter().map(|chunk| self.enqueue_chunk(queue, chunk, now)).collect::<Vec<_>>(),
            )
            .buffered(CALLS_AT_ONCE);
            while let Some(refused) = calls.next().await {
                if !refused.is_empty() {
                    tracing::warn!(
                        queue = queue.name(),
                        messages = refused.len(),
                        "messages not taken by their queue"
                    );
                    Metrics::new()
                        .count("QueueRefused", refused.len())
                        .by("Queue", queue.name())
                        .emit(&self.env, now);
                }
                left.extend(refused);
            }
        }
        left
    }

    async fn enqueue_chunk(&self, queue: QueueName, chunk: &[Outgoing], now: Timestamp) -> Vec<Outgoing> {
        let url = self.urls.get(&queue).cloned().unwrap_or_default();
        let delay = |message: &Outgoing| {
            let seconds = (message.not_before.since(now).max(0) + 999) / 1000;
            i32::try_from(seconds).unwrap_or(900)
        };
        if let [one] = chunk {
            let sent = self
                .client
                .send_message()
                .queue_url(url)
                .message_body(&one.body)
                .set_delay_seconds(Some(delay(one)).filter(|seconds| *seconds > 0))
                .send()
                .await;
            return if sent.is_ok() { Vec::new() } else { chunk.to_vec() };
        }
        let entries = chunk.iter().enumerate().filter_map(|(at, message)| {
            SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(&message.body)
                .set_delay_seconds(Some(delay(message)).filter(|seconds| *seconds > 0))
                .build()
                .ok()
        });
        let answer =
            self.client.send_message_batch().queue_url(url).set_entries(Some(entries.collect())).send().await;
        let sent: Vec<usize> = match answer {
            Ok(answer) => answer.successful.iter().filter_map(|entry| entry.id.parse().ok()).collect(),
            Err(_) => Vec::new(),
        };
        chunk
            .iter()
            .enumerate()
            .filter(|(at, _)| !sent.contains(at))
            .map(|(_, message)| message.clone())
            .collect()
    }
}

/// The messages in order, cut where one call is full.
fn batches(messages: &[Outgoing]) -> Vec<&[Outgoing]> {
    let mut batches = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, message) in messages.iter().enumerate() {
        if at > from && (at - from == BATCH.0 || bytes + message.body.len() > BATCH.1) {
            batches.push(&messages[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += message.body.len();
    }
    if from < messages.len() {
        batches.push(&messages[from..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::{Outgoing, QueueName, Timestamp, apart, batches};

    #[test]
    fn the_same_message_again_is_the_same_entry_and_no_other_is() {
        let both = apart(QueueName::Event, "ev_1", "[1,2]");
        assert_eq!(both, apart(QueueName::Event, "ev_1", "[1,2]"));
        assert!(both.starts_with("ev_1-"), "{both}");
        assert_ne!(both, apart(QueueName::Event, "ev_1", "[1]"));
        assert_ne!(both, apart(QueueName::Lead, "ev_1", "[1,2]"));
    }

    #[test]
    fn a_call_carries_ten_messages_and_256_kb_at_most() {
        let of = |sizes: &[usize]| {
            let messages: Vec<Outgoing> = sizes
                .iter()
                .map(|size| Outgoing {
                    queue: QueueName::Event,
                    id: String::new(),
                    body: "x".repeat(*size),
                    not_before: Timestamp(0),
                })
                .collect();
            batches(&messages).iter().map(|batch| batch.len()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), Vec::<usize>::new());
        assert_eq!(of(&[1; 21]), [10, 10, 1]);
        assert_eq!(of(&[200 * 1024, 56 * 1024, 1]), [2, 1]);
        assert_eq!(of(&[200 * 1024, 200 * 1024, 10, 10]), [1, 3]);
    }
}
