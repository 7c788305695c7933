//! The queues in SQLite: tables, and what is done to queues as wholes.

use super::attributes::{self, Given, Settings};
use super::error::{Code, SqsError};
use super::receipt::{self, Key};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Columns that receives look at come before the body, so that reading them never loads the pages of a long one.
/// `receive_count > 0` with `visible_at` in the future is a message in flight; without receives, a delayed one.
/// All times are milliseconds since the epoch. `sequence` is set in FIFO queues only and orders them.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS secret (key BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS queues (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, attributes TEXT NOT NULL,
        created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, purged_at INTEGER,
        last_sequence INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS deleted_queues (name TEXT PRIMARY KEY, at INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, visible_at INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0, sent_at INTEGER NOT NULL, retained_from INTEGER NOT NULL,
        received_at INTEGER, first_received_at INTEGER, sequence INTEGER, message_id BLOB NOT NULL,
        group_id TEXT, deduplication_id TEXT, dead_from TEXT, trace_header TEXT, attributes TEXT,
        body TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS messages_by_time ON messages (queue, visible_at);
    CREATE INDEX IF NOT EXISTS messages_in_order ON messages (queue, sequence) WHERE sequence IS NOT NULL;
    CREATE INDEX IF NOT EXISTS messages_by_group ON messages (queue, group_id, visible_at)
        WHERE sequence IS NOT NULL;
    CREATE TABLE IF NOT EXISTS sent_once (
        queue INTEGER NOT NULL, scope TEXT NOT NULL, deduplication_id TEXT NOT NULL, until INTEGER NOT NULL,
        message_id BLOB NOT NULL, sequence INTEGER NOT NULL,
        PRIMARY KEY (queue, scope, deduplication_id)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS sent_once_by_time ON sent_once (until);
    CREATE TABLE IF NOT EXISTS moves (
        id INTEGER PRIMARY KEY, handle TEXT NOT NULL, source INTEGER NOT NULL, destination TEXT, rate INTEGER,
        started_at INTEGER NOT NULL, moved INTEGER NOT NULL, to_move INTEGER NOT NULL, status TEXT NOT NULL,
        failure TEXT);
";

/// Milliseconds during which a deleted queue's name and a purge are blocked (DeleteQueue, PurgeQueue).
const SETTLING: i64 = 60_000;

/// How often, in milliseconds, a queue is searched for messages past their retention. They are never given out,
/// counted or waited for in between; this only frees their room.
const SWEEP_EVERY: i64 = 60_000;

/// The first part of every ARN of this server's queues.
pub(super) const ARN_PREFIX: &str = "arn:aws:sqs:us-east-1:000000000000:";

/// One queue, as last changed.
pub(super) struct Queue {
    /// Its row.
    pub(super) id: i64,
    /// Its name.
    pub(super) name: String,
    /// What it goes by.
    pub(super) settings: Settings,
    /// Its attributes as given.
    pub(super) given: Given,
    /// When it was made, in milliseconds.
    pub(super) created_at: i64,
    /// When its attributes last changed, in milliseconds.
    pub(super) modified_at: i64,
    /// Told when something may have become receivable.
    pub(super) changed: Arc<Notify>,
}

impl Queue {
    /// Its ARN.
    pub(super) fn arn(&self) -> String {
        format!("{ARN_PREFIX}{}", self.name)
    }

    /// Messages enqueued at or before this instant are past their retention.
    pub(super) fn cutoff(&self, now: i64) -> i64 {
        now.saturating_sub(self.settings.retention * 1000)
    }
}

/// How many messages a queue holds, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Can be received now. On a FIFO queue, also those behind a message of their group that is in flight.
    pub visible: u64,
    /// Received and neither deleted nor visible again.
    pub in_flight: u64,
    /// Sent with a delay that has not passed.
    pub delayed: u64,
}

/// A message where it lies: what a receive would find, without receiving it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The body.
    pub body: String,
    /// Can be received from then on, in milliseconds since the epoch.
    pub visible_at: i64,
    /// Receives so far.
    pub receive_count: i64,
    /// Sent when, in milliseconds since the epoch.
    pub sent_at: i64,
    /// First received when, in milliseconds since the epoch.
    pub first_received_at: Option<i64>,
    /// The queue whose dead letter it is.
    pub dead_from: Option<String>,
}

/// The database and what is kept of it in memory: the queues, which every request needs.
pub(super) struct Store {
    pub(super) db: Connection,
    pub(super) key: Key,
    pub(super) moving: bool,
    queues: HashMap<String, Arc<Queue>>,
    swept: HashMap<i64, i64>,
}

impl Store {
    /// Opens the file, or a database in memory.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, SqsError> {
        let db = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        // In WAL mode NORMAL writes every commit to the log file before the call returns and leaves the fsync to
        // checkpoints. What was written is the operating system's, so a killed process loses nothing; a power cut can
        // lose the last commits but never damages the file. FULL would cost an fsync for each message.
        // EXCLUSIVE: the queues are also in memory, so a second process must not change them.
        // Waiting for another process to end would only delay saying so.
        db.busy_timeout(Duration::ZERO)?;
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        // Bodies of deleted messages are overwritten in their pages; [`Store::compact`] is for the log and for free pages.
        db.pragma_update(None, "secure_delete", "FAST")?;
        db.set_prepared_statement_cache_capacity(64);
        db.execute_batch(SCHEMA)?;
        let key =
            match db.query_row("SELECT key FROM secret", [], |row| row.get::<_, Vec<u8>>(0)).optional()? {
                Some(key) => key,
                None => {
                    let key = receipt::random::<32>()?.to_vec();
                    db.execute("INSERT INTO secret (key) VALUES (?1)", [&key])?;
                    key
                }
            };
        let moving =
            db.query_row("SELECT EXISTS (SELECT 1 FROM moves WHERE status = 'RUNNING')", [], |r| r.get(0))?;
        let mut store =
            Self { db, key: Key::new(&key), moving, queues: HashMap::new(), swept: HashMap::new() };
        store.load()?;
        Ok(store)
    }

    /// Writes the file anew, so that nothing is left in it of messages that were deleted: neither in free pages nor in its
    /// log.
    pub(super) fn compact(&self) -> Result<(), SqsError> {
        self.db.execute_batch("PRAGMA secure_delete = ON; VACUUM; PRAGMA secure_delete = FAST;")?;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    fn load(&mut self) -> Result<(), SqsError> {
        let mut select =
            self.db.prepare("SELECT id, name, attributes, created_at, modified_at FROM queues")?;
        let rows = select.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?))
        })?;
        for row in rows {
            let (id, name, attributes, created_at, modified_at) = row?;
            let given =
                serde_json::from_str(&attributes).map_err(|_| SqsError::Corrupt("queue attributes"))?;
            let settings = attributes::settings(&name, &given)?;
            let queue = Queue { id, name, settings, given, created_at, modified_at, changed: Arc::default() };
            self.queues.insert(queue.name.clone(), Arc::new(queue));
        }
        Ok(())
    }

    /// The queue of that name.
    pub(super) fn queue(&self, name: &str) -> Result<Arc<Queue>, SqsError> {
        self.queues.get(name).cloned().ok_or_else(SqsError::no_queue)
    }

    /// The queue with that row.
    pub(super) fn queue_by_id(&self, id: i64) -> Option<Arc<Queue>> {
        self.queues.values().find(|queue| queue.id == id).cloned()
    }

    /// All queues, in no order.
    pub(super) fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.values()
    }

    /// CreateQueue: an existing queue is left as it is and must agree with every attribute given.
    pub(super) fn create(&mut self, name: &str, given: Given, now: i64) -> Result<(), SqsError> {
        attributes::check_name(name)?;
        let settings = self.checked(name, &given)?;
        if let Some(queue) = self.queues.get(name) {
            let current = attributes::with_defaults(&queue.given, &queue.settings);
            let other = given.iter().find(|(name, value)| current.get(*name) != Some(*value));
            return match other {
                None => Ok(()),
                Some((attribute, _)) => Err(SqsError::refused(
                    Code::QueueNameExists,
                    format!(
                        "A queue already exists with the same name and a different value for attribute {attribute}"
                    ),
                )),
            };
        }
        let deleted: Option<i64> = self
            .db
            .query_row("SELECT at FROM deleted_queues WHERE name = ?1", [name], |row| row.get(0))
            .optional()?;
        if deleted.is_some_and(|at| now < at + SETTLING) {
            let rule = "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
            return Err(SqsError::refused(Code::QueueDeletedRecently, rule));
        }
        self.insert(name, given, settings, now)
    }

    /// Makes the queue, or gives it exactly these attributes.
    pub(super) fn ensure(&mut self, name: &str, given: Given, now: i64) -> Result<(), SqsError> {
        attributes::check_name(name)?;
        let settings = self.checked(name, &given)?;
        match self.queues.get(name).cloned() {
            None => self.insert(name, given, settings, now),
            Some(queue) if queue.given == given => Ok(()),
            Some(queue) => self.update(&queue, given, settings, now),
        }
    }

    /// SetQueueAttributes.
    pub(super) fn change(&mut self, name: &str, changes: &Given, now: i64) -> Result<(), SqsError> {
        let queue = self.queue(name)?;
        if changes.get("FifoQueue").is_some_and(|value| queue.given.get("FifoQueue") != Some(value)) {
            let rule = "You cannot change the FifoQueue attribute of an existing queue.";
            return Err(SqsError::refused(Code::InvalidAttributeName, rule));
        }
        let given = attributes::merge(&queue.given, changes);
        let settings = self.checked(name, &given)?;
        self.update(&queue, given, settings, now)
    }

    /// DeleteQueue: with everything in it.
    pub(super) fn delete_queue(&mut self, name: &str, now: i64) -> Result<(), SqsError> {
        let queue = self.queue(name)?;
        let change = self.db.transaction()?;
        for table in ["messages", "sent_once"] {
            change.execute(&format!("DELETE FROM {table} WHERE queue = ?1"), [queue.id])?;
        }
        change.execute("DELETE FROM moves WHERE source = ?1", [queue.id])?;
        change.execute("DELETE FROM queues WHERE id = ?1", [queue.id])?;
        change.execute("DELETE FROM deleted_queues WHERE at <= ?1", [now - SETTLING])?;
        change.execute("REPLACE INTO deleted_queues (name, at) VALUES (?1, ?2)", params![name, now])?;
        change.commit()?;
        self.queues.remove(name);
        queue.changed.notify_waiters();
        Ok(())
    }

    /// PurgeQueue: everything in it, in flight or not.
    pub(super) fn purge(&mut self, name: &str, now: i64) -> Result<(), SqsError> {
        let queue = self.queue(name)?;
        let purged: Option<i64> =
            self.db.query_row("SELECT purged_at FROM queues WHERE id = ?1", [queue.id], |row| row.get(0))?;
        if purged.is_some_and(|at| now < at + SETTLING) {
            let rule = format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
            return Err(SqsError::refused(Code::PurgeQueueInProgress, rule));
        }
        let change = self.db.transaction()?;
        change.execute("DELETE FROM messages WHERE queue = ?1", [queue.id])?;
        change.execute("UPDATE queues SET purged_at = ?2 WHERE id = ?1", [queue.id, now])?;
        Ok(change.commit()?)
    }

    /// How many messages the queue holds.
    pub(super) fn depth(&self, queue: &Queue, now: i64) -> Result<Depth, SqsError> {
        let count = "SELECT coalesce(sum(visible_at <= ?2), 0),
                            coalesce(sum(visible_at > ?2 AND receive_count > 0), 0),
                            coalesce(sum(visible_at > ?2 AND receive_count = 0), 0)
                     FROM messages WHERE queue = ?1 AND retained_from > ?3";
        let unsigned = |row: &Row<'_>, at| row.get::<_, i64>(at).map(|count| count.max(0) as u64);
        Ok(self.db.prepare_cached(count)?.query_row([queue.id, now, queue.cutoff(now)], |row| {
            Ok(Depth { visible: unsigned(row, 0)?, in_flight: unsigned(row, 1)?, delayed: unsigned(row, 2)? })
        })?)
    }

    /// What the queue holds, in the order in which it becomes receivable.
    pub(super) fn contents(&self, queue: &Queue, now: i64) -> Result<Vec<Held>, SqsError> {
        let select =
            "SELECT body, visible_at, receive_count, sent_at, first_received_at, dead_from FROM messages
                      WHERE queue = ?1 AND retained_from > ?2 ORDER BY visible_at, id";
        let mut select = self.db.prepare_cached(select)?;
        let rows = select.query_map([queue.id, queue.cutoff(now)], |row| {
            Ok(Held {
                body: row.get(0)?,
                visible_at: row.get(1)?,
                receive_count: row.get(2)?,
                sent_at: row.get(3)?,
                first_received_at: row.get(4)?,
                dead_from: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Makes a standard queue hold exactly these messages, in this order where they become receivable at once.
    pub(super) fn put_back(&mut self, queue: &Queue, messages: &[Held]) -> Result<(), SqsError> {
        let change = self.db.transaction()?;
        change.prepare_cached("DELETE FROM messages WHERE queue = ?1")?.execute([queue.id])?;
        for held in messages {
            change
                .prepare_cached(
                    "INSERT INTO messages (queue, visible_at, receive_count, sent_at, retained_from, received_at,
                        first_received_at, dead_from, message_id, body)
                     VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    queue.id,
                    held.visible_at,
                    held.receive_count,
                    held.sent_at,
                    held.first_received_at,
                    held.dead_from,
                    receipt::message_id()?.as_bytes(),
                    held.body,
                ])?;
        }
        change.commit()?;
        queue.changed.notify_waiters();
        Ok(())
    }

    /// Makes every received and undeleted message visible. The receive counts stay.
    pub(super) fn release(&mut self, now: i64) -> Result<(), SqsError> {
        self.db.execute(
            "UPDATE messages SET visible_at = ?1 WHERE receive_count > 0 AND visible_at > ?1",
            [now],
        )?;
        self.wake_all();
        Ok(())
    }

    /// Tells every waiting receive to look again.
    pub(super) fn wake_all(&self) {
        self.queues.values().for_each(|queue| queue.changed.notify_waiters());
    }

    /// Frees the room of messages past their retention, now and then.
    pub(super) fn sweep(&mut self, queue: &Queue, now: i64) -> Result<(), SqsError> {
        if self.swept.get(&queue.id).is_some_and(|at| (*at..at + SWEEP_EVERY).contains(&now)) {
            return Ok(());
        }
        self.swept.insert(queue.id, now);
        self.db.execute(
            "DELETE FROM messages WHERE queue = ?1 AND retained_from <= ?2",
            [queue.id, queue.cutoff(now)],
        )?;
        Ok(())
    }

    fn checked(&self, name: &str, given: &Given) -> Result<Settings, SqsError> {
        let settings = attributes::settings(name, given)?;
        if let Some(redrive) = &settings.redrive {
            let policy = given.get("RedrivePolicy").map_or("", String::as_str);
            let reason = match self.queues.get(&redrive.target) {
                None => Some("Dead letter target does not exist"),
                Some(dead) if dead.settings.fifo != settings.fifo => {
                    Some("Dead-letter queue must be same type of queue as the source")
                }
                Some(_) => None,
            };
            if let Some(reason) = reason {
                return Err(SqsError::parameter("RedrivePolicy", policy, reason));
            }
        }
        Ok(settings)
    }

    fn insert(&mut self, name: &str, given: Given, settings: Settings, now: i64) -> Result<(), SqsError> {
        self.db.execute(
            "INSERT INTO queues (name, attributes, created_at, modified_at) VALUES (?1, ?2, ?3, ?3)",
            params![name, text(&given)?, now],
        )?;
        let (id, name) = (self.db.last_insert_rowid(), name.to_owned());
        let queue =
            Queue { id, name, settings, given, created_at: now, modified_at: now, changed: Arc::default() };
        self.queues.insert(queue.name.clone(), Arc::new(queue));
        Ok(())
    }

    fn update(&mut self, queue: &Queue, given: Given, settings: Settings, now: i64) -> Result<(), SqsError> {
        let change = self.db.transaction()?;
        change.execute(
            "UPDATE queues SET attributes = ?2, modified_at = ?3 WHERE id = ?1",
            params![queue.id, text(&given)?, now],
        )?;
        // A FIFO queue's delay also counts for what is already in it (SetQueueAttributes, DelaySeconds).
        if settings.fifo && settings.delay != queue.settings.delay {
            change.execute(
                "UPDATE messages SET visible_at = retained_from + ?2 WHERE queue = ?1 AND receive_count = 0",
                [queue.id, settings.delay * 1000],
            )?;
        }
        change.commit()?;
        let (id, name, created_at) = (queue.id, queue.name.clone(), queue.created_at);
        let changed = queue.changed.clone();
        let next = Queue { id, name, settings, given, created_at, modified_at: now, changed };
        next.changed.notify_waiters();
        self.queues.insert(next.name.clone(), Arc::new(next));
        Ok(())
    }
}

fn text(given: &Given) -> Result<String, SqsError> {
    serde_json::to_string(given).map_err(|_| SqsError::Corrupt("queue attributes"))
}
