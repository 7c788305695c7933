//! Messages in and out of a queue: send, receive with redrive, delete, change of visibility.

use super::attributes::{MAX_VISIBILITY, Redrive};
use super::error::{Code, SqsError};
use super::message::{MessageAttribute, OutgoingMessage, ReceivedMessage, Sent};
use super::receipt::{self, Receipt};
use super::store::{ARN_PREFIX, Queue, Store};
use super::{fifo, md5};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// Standard queues: what has been visible longest comes first. Parameters as in [`fifo::RECEIVABLE`].
const RECEIVABLE: &str = "
    FROM messages AS m WHERE m.queue = ?1 AND m.visible_at <= ?2 AND m.retained_from > ?3
    ORDER BY m.visible_at, m.id LIMIT ?4";

const COLUMNS: &str =
    "SELECT m.id, m.message_id, m.receive_count, m.sent_at, m.first_received_at, m.sequence, m.group_id,
    m.deduplication_id, m.dead_from, m.trace_header, m.attributes, m.body";

impl Store {
    /// Sends messages in one transaction, in order. A message the queue does not take leaves the others alone.
    pub(super) fn send(
        &mut self,
        name: &str,
        messages: &[OutgoingMessage],
        now: i64,
    ) -> Result<Vec<Result<Sent, SqsError>>, SqsError> {
        let queue = self.queue(name)?;
        self.sweep(&queue, now)?;
        let change = self.db.transaction()?;
        let mut results = Vec::with_capacity(messages.len());
        for message in messages {
            match send_one(&change, &queue, message, now) {
                Err(error) if error.code().is_none() => return Err(error),
                result => results.push(result),
            }
        }
        change.commit()?;
        queue.changed.notify_waiters();
        Ok(results)
    }

    /// Receives at most `max` messages and hides them for `visibility` seconds, or the queue's own. A message that was
    /// received as often as the redrive policy allows goes to the dead-letter queue instead.
    pub(super) fn receive(
        &mut self,
        name: &str,
        max: usize,
        visibility: Option<i64>,
        now: i64,
    ) -> Result<Vec<ReceivedMessage>, SqsError> {
        self.continue_moves(now)?;
        let queue = self.queue(name)?;
        self.sweep(&queue, now)?;
        let hidden_until = now + visibility.unwrap_or(queue.settings.visibility) * 1000;
        let dead = queue.settings.redrive.as_ref();
        let dead = dead.and_then(|redrive| Some((redrive, self.queue(&redrive.target).ok()?)));
        let select = format!("{COLUMNS}{}", if queue.settings.fifo { fifo::RECEIVABLE } else { RECEIVABLE });
        let key = &self.key;
        let change = self.db.transaction()?;
        let mut received: Vec<(i64, ReceivedMessage)> = Vec::new();
        let mut moved = false;
        loop {
            let mut moved_now = false;
            let found =
                {
                    let mut select = change.prepare_cached(&select)?;
                    let limit = i64::try_from(max).unwrap_or(i64::MAX);
                    select
                        .query_map(params![queue.id, now, queue.cutoff(now), limit], read)?
                        .collect::<Result<Vec<Stored>, _>>()?
                };
            for message in found {
                // With a visibility timeout of 0 a message just received is found again.
                if received.len() == max || received.iter().any(|(row, _)| *row == message.row) {
                    continue;
                }
                match &dead {
                    Some((Redrive { max_receives, .. }, dead)) if message.receive_count >= *max_receives => {
                        bury(&change, &message, &queue, dead, now)?;
                        moved_now = true;
                    }
                    _ => {
                        change
                            .prepare_cached(
                                "UPDATE messages SET receive_count = receive_count + 1, visible_at = ?2,
                                 received_at = ?3, first_received_at = coalesce(first_received_at, ?3) WHERE id = ?1",
                            )?
                            .execute([message.row, hidden_until, now])?;
                        received.push((message.row, message.received(&queue, key, now)?));
                    }
                }
            }
            moved |= moved_now;
            if !moved_now {
                break;
            }
        }
        change.commit()?;
        if let (true, Some((_, dead))) = (moved, dead) {
            dead.changed.notify_waiters();
        }
        Ok(received.into_iter().map(|(_, message)| message).collect())
    }

    /// Deletes by receipt handle, in one transaction. On a standard queue an old handle, or one of a message that is
    /// gone, succeeds without effect (DeleteMessage); on a FIFO queue a handle ends with its visibility timeout.
    pub(super) fn delete(
        &mut self,
        name: &str,
        handles: &[impl AsRef<str>],
        now: i64,
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        let queue = self.queue(name)?;
        let key = &self.key;
        let change = self.db.transaction()?;
        let mut results = Vec::with_capacity(handles.len());
        for handle in handles {
            let handle = handle.as_ref();
            let result = match Receipt::read(handle, key) {
                Some(receipt) if receipt.queue == queue.id => {
                    if queue.settings.fifo && expired(&change, &receipt, now)? {
                        Err(SqsError::parameter("ReceiptHandle", handle, "The receipt handle has expired"))
                    } else {
                        change
                            .prepare_cached(
                                "DELETE FROM messages
                                 WHERE id = ?1 AND queue = ?2 AND receive_count = ?3 AND message_id = ?4",
                            )?
                            .execute(params![receipt.row, receipt.queue, receipt.receive, receipt.message])?;
                        Ok(())
                    }
                }
                _ => Err(unknown_handle(handle)),
            };
            results.push(result);
        }
        change.commit()?;
        if queue.settings.fifo {
            queue.changed.notify_waiters();
        }
        Ok(results)
    }

    /// Hides messages in flight for `seconds` from now, each by handle and seconds, in one transaction.
    pub(super) fn hide(
        &mut self,
        name: &str,
        entries: &[(String, i64)],
        now: i64,
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        let queue = self.queue(name)?;
        let key = &self.key;
        let change = self.db.transaction()?;
        let mut results = Vec::with_capacity(entries.len());
        for (handle, seconds) in entries {
            let result = match Receipt::read(handle, key) {
                Some(receipt) if receipt.queue == queue.id => {
                    hide_one(&change, &receipt, handle, *seconds, now)
                }
                _ => Err(unknown_handle(handle)),
            };
            match result {
                Err(error) if error.code().is_none() => return Err(error),
                result => results.push(result),
            }
        }
        change.commit()?;
        queue.changed.notify_waiters();
        Ok(results)
    }

    /// When something can be received: `Some(now)` if it can already, else the next instant at which it may, if any.
    pub(super) fn next_due(&mut self, name: &str, now: i64) -> Result<Option<i64>, SqsError> {
        self.continue_moves(now)?;
        let queue = self.queue(name)?;
        let receivable = if queue.settings.fifo { fifo::RECEIVABLE } else { RECEIVABLE };
        let mut first = self.db.prepare_cached(&format!("SELECT m.id {receivable}"))?;
        if first.exists([queue.id, now, queue.cutoff(now), 1])? {
            return Ok(Some(now));
        }
        let next = "SELECT min(visible_at) FROM messages WHERE queue = ?1 AND visible_at > ?2";
        let next: Option<i64> = self.db.prepare_cached(next)?.query_row([queue.id, now], |row| row.get(0))?;
        // A move at a given rate goes on each second.
        let step = self.moving.then_some(now + 1000);
        Ok([next, step].into_iter().flatten().min())
    }
}

fn send_one(db: &Connection, queue: &Queue, message: &OutgoingMessage, now: i64) -> Result<Sent, SqsError> {
    message.check(&queue.settings)?;
    let ticket = if queue.settings.fifo { Some(fifo::ticket(message, &queue.settings)?) } else { None };
    let mut sent = Sent {
        message_id: String::new(),
        md5_of_body: md5::of_body(&message.body),
        md5_of_attributes: md5::of_attributes(&message.attributes),
        md5_of_system_attributes: message.md5_of_system_attributes(),
        sequence_number: None,
    };
    if let Some(ticket) = &ticket
        && let Some((first, sequence)) = fifo::repeated(db, queue, ticket, now)?
    {
        sent.message_id = uuid::Uuid::from_bytes(first).to_string();
        sent.sequence_number = Some(fifo::shown(sequence));
        return Ok(sent);
    }
    let id = receipt::message_id()?;
    let sequence = if ticket.is_some() { Some(fifo::next_sequence(db, queue.id)?) } else { None };
    let attributes = if message.attributes.is_empty() {
        None
    } else {
        Some(
            serde_json::to_string(&message.attributes)
                .map_err(|_| SqsError::Corrupt("message attributes"))?,
        )
    };
    let visible_at =
        now + message.delay_seconds.filter(|_| ticket.is_none()).unwrap_or(queue.settings.delay) * 1000;
    db.prepare_cached(
        "INSERT INTO messages (queue, visible_at, sent_at, retained_from, sequence, message_id, group_id,
            deduplication_id, trace_header, attributes, body)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        queue.id,
        visible_at,
        now,
        sequence,
        id.as_bytes(),
        message.group_id,
        ticket.as_ref().map(|t| &t.deduplication_id),
        message.trace_header,
        attributes,
        message.body,
    ])?;
    if let (Some(ticket), Some(sequence)) = (&ticket, sequence) {
        fifo::remember(db, queue, ticket, *id.as_bytes(), sequence, now)?;
    }
    sent.message_id = id.to_string();
    sent.sequence_number = sequence.map(fifo::shown);
    Ok(sent)
}

/// Moves a message to the dead-letter queue: same id, same receive count. A FIFO message starts its retention anew and
/// takes its own id as deduplication id (developer guide, "Using dead-letter queues").
fn bury(db: &Connection, message: &Stored, from: &Queue, dead: &Queue, now: i64) -> Result<(), SqsError> {
    db.prepare_cached("UPDATE messages SET queue = ?2, visible_at = ?3, dead_from = ?4 WHERE id = ?1")?
        .execute(params![message.row, dead.id, now, from.name])?;
    if dead.settings.fifo {
        let id = uuid::Uuid::from_bytes(message.message_id).to_string();
        let sequence = fifo::next_sequence(db, dead.id)?;
        db.prepare_cached(
            "UPDATE messages SET sequence = ?2, retained_from = ?3, deduplication_id = ?4 WHERE id = ?1",
        )?
        .execute(params![message.row, sequence, now, id])?;
    }
    Ok(())
}

/// Whether the receipt's message is still there and this receipt no longer holds it.
fn expired(db: &Connection, receipt: &Receipt, now: i64) -> Result<bool, SqsError> {
    let held =
        "SELECT receive_count = ?3 AND visible_at > ?4 FROM messages WHERE id = ?1 AND message_id = ?2";
    let key = params![receipt.row, receipt.message, receipt.receive, now];
    let held: Option<bool> = db.prepare_cached(held)?.query_row(key, |row| row.get(0)).optional()?;
    Ok(held == Some(false))
}

fn hide_one(
    db: &Connection,
    receipt: &Receipt,
    handle: &str,
    seconds: i64,
    now: i64,
) -> Result<(), SqsError> {
    if !(0..=MAX_VISIBILITY).contains(&seconds) {
        return Err(SqsError::parameter("VisibilityTimeout", seconds, "Must be between 0 and 43200"));
    }
    let find = "SELECT visible_at, received_at FROM messages
                WHERE id = ?1 AND queue = ?2 AND receive_count = ?3 AND message_id = ?4";
    let key = params![receipt.row, receipt.queue, receipt.receive, receipt.message];
    let found: Option<(i64, i64)> =
        db.prepare_cached(find)?.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((visible_at, received_at)) = found else {
        let reason = "Message does not exist or is not available for visibility timeout change";
        return Err(SqsError::parameter("ReceiptHandle", handle, reason));
    };
    if visible_at <= now {
        return Err(SqsError::refused(Code::MessageNotInflight, "The specified message isn't in flight."));
    }
    let until = now + seconds * 1000;
    if until > received_at + MAX_VISIBILITY * 1000 {
        let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
        return Err(SqsError::parameter("VisibilityTimeout", seconds, reason));
    }
    db.prepare_cached("UPDATE messages SET visible_at = ?2 WHERE id = ?1")?.execute([receipt.row, until])?;
    Ok(())
}

fn unknown_handle(handle: &str) -> SqsError {
    let shown: String = handle.chars().take(80).collect();
    SqsError::refused(
        Code::ReceiptHandleIsInvalid,
        format!("The input receipt handle \"{shown}\" is not valid."),
    )
}

struct Stored {
    row: i64,
    message_id: [u8; 16],
    receive_count: i64,
    sent_at: i64,
    first_received_at: Option<i64>,
    sequence: Option<i64>,
    group_id: Option<String>,
    deduplication_id: Option<String>,
    dead_from: Option<String>,
    trace_header: Option<String>,
    attributes: Option<String>,
    body: String,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        row: row.get(0)?,
        message_id: row.get(1)?,
        receive_count: row.get(2)?,
        sent_at: row.get(3)?,
        first_received_at: row.get(4)?,
        sequence: row.get(5)?,
        group_id: row.get(6)?,
        deduplication_id: row.get(7)?,
        dead_from: row.get(8)?,
        trace_header: row.get(9)?,
        attributes: row.get(10)?,
        body: row.get(11)?,
    })
}

impl Stored {
    /// This message as the receive that has just been recorded gives it.
    fn received(self, queue: &Queue, key: &receipt::Key, now: i64) -> Result<ReceivedMessage, SqsError> {
        let receive = self.receive_count + 1;
        let receipt = Receipt { queue: queue.id, row: self.row, receive, message: self.message_id };
        let message_attributes: BTreeMap<String, MessageAttribute> = match &self.attributes {
            Some(text) => serde_json::from_str(text).map_err(|_| SqsError::Corrupt("message attributes"))?,
            None => BTreeMap::new(),
        };
        let attributes = [
            ("ApproximateReceiveCount", Some(receive.to_string())),
            ("ApproximateFirstReceiveTimestamp", Some(self.first_received_at.unwrap_or(now).to_string())),
            ("SentTimestamp", Some(self.sent_at.to_string())),
            // One machine has one account, and its requests are not signed by anybody in particular.
            ("SenderId", Some("000000000000".to_owned())),
            ("SequenceNumber", self.sequence.map(fifo::shown)),
            ("MessageGroupId", self.group_id),
            ("MessageDeduplicationId", self.deduplication_id),
            ("AWSTraceHeader", self.trace_header),
            ("DeadLetterQueueSourceArn", self.dead_from.map(|name| format!("{ARN_PREFIX}{name}"))),
        ];
        Ok(ReceivedMessage {
            message_id: uuid::Uuid::from_bytes(self.message_id).to_string(),
            receipt_handle: receipt.handle(key),
            md5_of_body: md5::of_body(&self.body),
            body: self.body,
            attributes: attributes.into_iter().filter_map(|(n, v)| Some((n.to_owned(), v?))).collect(),
            message_attributes,
        })
    }
}
