//! What FIFO queues add: sequence numbers, deduplication, and groups that wait for their message in flight.

use super::attributes::Settings;
use super::error::{Code, SqsError};
use super::md5::hex;
use super::message::OutgoingMessage;
use super::store::Queue;
use ring::digest;
use rusqlite::{Connection, OptionalExtension, params};

/// Milliseconds during which a deduplication id is remembered (developer guide, "Exactly-once processing").
const REMEMBERED: i64 = 300_000;

/// Messages of one queue (`?1`) that can be received at `?2`, retained from after `?3`, at most `?4`: in order, and none
/// behind a message of its group that is in flight or not yet due.
pub(super) const RECEIVABLE: &str = "
    FROM messages AS m WHERE m.queue = ?1 AND m.sequence IS NOT NULL AND +m.visible_at <= ?2
        AND m.retained_from > ?3
        AND NOT EXISTS (SELECT 1 FROM messages AS f WHERE f.queue = ?1 AND f.sequence IS NOT NULL
            AND f.group_id = m.group_id AND f.visible_at > ?2 AND f.retained_from > ?3
            AND (f.receive_count > 0 OR f.sequence < m.sequence))
    ORDER BY m.sequence LIMIT ?4";

/// A message's place among the sends of its queue.
pub(super) struct Ticket {
    /// The message group.
    pub(super) group: String,
    /// The deduplication id, given or made of the body.
    pub(super) deduplication_id: String,
}

/// The group and deduplication id of a message for a FIFO queue.
pub(super) fn ticket(message: &OutgoingMessage, settings: &Settings) -> Result<Ticket, SqsError> {
    let group = message.group_id.clone().ok_or_else(|| SqsError::missing("MessageGroupId"))?;
    let deduplication_id = match &message.deduplication_id {
        Some(id) => id.clone(),
        None if settings.content_deduplication => {
            hex(digest::digest(&digest::SHA256, message.body.as_bytes()).as_ref())
        }
        None => {
            return Err(SqsError::refused(
                Code::InvalidParameterValue,
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
                 explicitly",
            ));
        }
    };
    Ok(Ticket { group, deduplication_id })
}

/// The message this one repeats, if its deduplication id was used in the last five minutes.
pub(super) fn repeated(
    db: &Connection,
    queue: &Queue,
    ticket: &Ticket,
    now: i64,
) -> Result<Option<([u8; 16], i64)>, SqsError> {
    let seen = "SELECT message_id, sequence FROM sent_once
                WHERE queue = ?1 AND scope = ?2 AND deduplication_id = ?3 AND until > ?4";
    let key = params![queue.id, scope(queue, ticket), ticket.deduplication_id, now];
    Ok(db.prepare_cached(seen)?.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Remembers a deduplication id, and forgets those that are over.
pub(super) fn remember(
    db: &Connection,
    queue: &Queue,
    ticket: &Ticket,
    message: [u8; 16],
    sequence: i64,
    now: i64,
) -> Result<(), SqsError> {
    db.prepare_cached("DELETE FROM sent_once WHERE until <= ?1")?.execute([now])?;
    db.prepare_cached(
        "REPLACE INTO sent_once (queue, scope, deduplication_id, until, message_id, sequence)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        queue.id,
        scope(queue, ticket),
        ticket.deduplication_id,
        now + REMEMBERED,
        message,
        sequence
    ])?;
    Ok(())
}

/// The queue's next sequence number. They never repeat, also when the queue was empty in between.
pub(super) fn next_sequence(db: &Connection, queue: i64) -> Result<i64, SqsError> {
    let next = "UPDATE queues SET last_sequence = last_sequence + 1 WHERE id = ?1 RETURNING last_sequence";
    Ok(db.prepare_cached(next)?.query_row([queue], |row| row.get(0))?)
}

/// A sequence number as SQS shows it: 20 digits, so that text sorts as numbers do.
pub(super) fn shown(sequence: i64) -> String {
    format!("{sequence:020}")
}

fn scope<'a>(queue: &Queue, ticket: &'a Ticket) -> &'a str {
    if queue.settings.deduplication_per_group { &ticket.group } else { "" }
}
