//! Dead letters: looked through where they lie. Whoever looks hides them from others for a moment, deletes those that are to
//! go and shows the rest again; if they die meanwhile, the letters show themselves.

use crate::aws;
use crate::environment::{ConfigError, Environment};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, QueueAttributeName,
};

/// How long letters are hidden that somebody looks at, in seconds: longer than a look takes.
const HIDDEN_SECONDS: i32 = 30;
/// Letters of one call. (SQS quotas.)
const BATCH: i32 = 10;

/// A queue of dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    client: aws_sdk_sqs::Client,
    url: String,
}

/// One of them, hidden from others.
#[derive(Clone)]
pub struct DeadLetter {
    /// The body, which may be personal.
    pub body: String,
    handle: String,
}

/// A queue of dead letters cannot be looked through now; says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("dead letters cannot be {0} now")]
pub struct DeadLettersError(&'static str);

impl DeadLetters {
    /// The queue whose URL this variable holds.
    pub fn new(env: &Environment, variable: &str) -> Result<Self, ConfigError> {
        Ok(Self { client: aws::sqs(env)?, url: env.required(variable)?.to_owned() })
    }

    /// About how many there are, those among them that somebody else looks at.
    pub async fn count(&self) -> Result<usize, DeadLettersError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = asked.set_attribute_names(Some(names.to_vec())).send().await;
        let counted = answer.map_err(|_| DeadLettersError("counted"))?.attributes.unwrap_or_default();
        let count = |name: &QueueAttributeName| counted.get(name)?.parse::<usize>().ok();
        Ok(names.iter().filter_map(count).sum())
    }

    /// Some that nobody else looks at. There may be more even if these are none: a queue asks some of its machines only.
    pub async fn some(&self) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let asked = self.client.receive_message().queue_url(&self.url);
        let asked = asked.max_number_of_messages(BATCH).visibility_timeout(HIDDEN_SECONDS);
        let answer = asked.send().await.map_err(|_| DeadLettersError("read"))?;
        let letters = answer.messages.unwrap_or_default().into_iter().filter_map(|message| {
            Some(DeadLetter { body: message.body.unwrap_or_default(), handle: message.receipt_handle? })
        });
        Ok(letters.collect())
    }

    /// Deletes letters.
    pub async fn delete(&self, letters: &[DeadLetter]) -> Result<(), DeadLettersError> {
        let failed = || DeadLettersError("deleted");
        for some in letters.chunks(BATCH.unsigned_abs() as usize) {
            let entries = some.iter().enumerate().filter_map(|(at, letter)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
                entry.receipt_handle(&letter.handle).build().ok()
            });
            let asked = self.client.delete_message_batch().queue_url(&self.url);
            let answer = asked.set_entries(Some(entries.collect())).send().await.map_err(|_| failed())?;
            if answer.successful.len() < some.len() {
                return Err(failed());
            }
        }
        Ok(())
    }

    /// Shows letters to others again. Those for which that fails show themselves.
    pub async fn show_again(&self, letters: &[DeadLetter]) {
        for some in letters.chunks(BATCH.unsigned_abs() as usize) {
            let entries = some.iter().enumerate().filter_map(|(at, letter)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
                entry.receipt_handle(&letter.handle).visibility_timeout(0).build().ok()
            });
            let asked = self.client.change_message_visibility_batch().queue_url(&self.url);
            let _ = asked.set_entries(Some(entries.collect())).send().await;
        }
    }
}
