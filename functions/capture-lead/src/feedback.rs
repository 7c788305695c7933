//! What mail providers and shops say over HTTPS: on to the queues, and the subscriptions by which they say it.

use crate::{Capture, unavailable};
use sluice_domain::event::Happened;
use sluice_domain::feedback::Feedback;
use sluice_host::fetch::fetch;
use sluice_host::outbox::{self, Outgoing, QueueName};
use sluice_wire::problem::Problem;
use sluice_wire::queue::{FeedbackMessage, encode, id_of};
use sluice_wire::sources::Subscription;
use std::time::Duration;

/// How long the sender may take to confirm.
const LIMIT: Duration = Duration::from_secs(4);

impl Capture {
    /// Confirms a subscription, or says that one is over.
    pub(crate) async fn subscribe(&self, source: &str, said: Subscription) -> Result<(), Problem> {
        let url = match said {
            Subscription::Confirm(url) => url,
            Subscription::Ended => {
                tracing::warn!(
                    source,
                    "the subscription was taken back: this source brings nothing any more"
                );
                return Ok(());
            }
        };
        let failed = |why: String| {
            tracing::warn!(source, why, "subscription not confirmed");
            unavailable()
        };
        match fetch(&self.env, "GET", &url, &[], Vec::new(), LIMIT).await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                tracing::info!(source, "subscription confirmed");
                Ok(())
            }
            Ok(answer) => Err(failed(format!("status {}", answer.status))),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Puts what people did on its queue: only then the sender is told that it was taken.
    pub(crate) async fn hand_on_events(&self, happened: Vec<Happened>) -> Result<(), Problem> {
        let now = self.env.clock.now();
        self.ledger.outbox.hand_over(outbox::events(happened, now), now).await.map_err(|error| {
            tracing::error!(%error, "events not handed on");
            unavailable()
        })
    }

    /// Puts events on their queue. Whoever works them off knows them again, so a repeat is harmless.
    pub(crate) async fn hand_on_feedback(&self, events: Vec<Feedback>) -> Result<(), Problem> {
        let now = self.env.clock.now();
        let outgoing = |event: Feedback| {
            let body = encode(&FeedbackMessage::Event(event));
            let id = format!("feedback-{}", id_of(&body));
            Outgoing { queue: QueueName::Feedback, id, body, not_before: now }
        };
        let messages = events.into_iter().map(outgoing).collect();
        self.ledger.outbox.hand_over(messages, now).await.map_err(|error| {
            tracing::error!(%error, "feedback not handed on");
            unavailable()
        })
    }
}
