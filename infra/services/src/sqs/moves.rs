//! Message move tasks: dead-letter queues emptied back to where their messages came from.

use super::attributes;
use super::error::{Code, SqsError};
use super::store::{Queue, Store};
use super::{fifo, receipt};
use rusqlite::{OptionalExtension, Row, params};
use std::sync::Arc;

/// A task, as ListMessageMoveTasks shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    id: i64,
    /// Names the task while it runs.
    pub(super) handle: String,
    source: i64,
    /// The ARN of the one queue everything goes to; `None` returns each message to the queue it came from.
    pub(super) destination: Option<String>,
    /// Messages per second, at most.
    pub(super) rate: Option<i64>,
    /// When it began, in milliseconds.
    pub(super) started_at: i64,
    /// Messages moved so far.
    pub(super) moved: i64,
    /// Messages there were to move at the start.
    pub(super) to_move: i64,
    /// `RUNNING`, `COMPLETED`, `CANCELLED` or `FAILED`.
    pub(super) status: String,
    /// Why it failed.
    pub(super) failure: Option<String>,
}

const COLUMNS: &str =
    "SELECT id, handle, source, destination, rate, started_at, moved, to_move, status, failure FROM moves";

impl Store {
    /// StartMessageMoveTask. Without a rate everything has moved when this returns; with one, the first second's share.
    pub(super) fn start_move(
        &mut self,
        source: &str,
        destination: Option<&str>,
        rate: Option<i64>,
        now: i64,
    ) -> Result<String, SqsError> {
        let from = self.queue_of_arn(source)?;
        if !self.queues().any(|q| q.settings.redrive.as_ref().is_some_and(|r| r.target == from.name)) {
            let rule = "Source queue must be configured as a Dead Letter Queue.";
            return Err(SqsError::refused(Code::InvalidParameterValue, rule));
        }
        if let Some(arn) = destination
            && self.queue_of_arn(arn)?.settings.fifo != from.settings.fifo
        {
            let reason = "Source and destination must be queues of the same type";
            return Err(SqsError::parameter("DestinationArn", arn, reason));
        }
        if let Some(rate) = rate.filter(|rate| !(1..=500).contains(rate)) {
            return Err(SqsError::parameter(
                "MaxNumberOfMessagesPerSecond",
                rate,
                "Must be between 1 and 500",
            ));
        }
        self.continue_moves(now)?;
        let running = "SELECT EXISTS (SELECT 1 FROM moves WHERE source = ?1 AND status = 'RUNNING')";
        if self.db.query_row(running, [from.id], |row| row.get(0))? {
            let rule = "There is already a task running. Only one active task is allowed for a source queue arn at a given time.";
            return Err(SqsError::refused(Code::UnsupportedOperation, rule));
        }
        let to_move = i64::try_from(self.depth(&from, now)?.visible).unwrap_or(i64::MAX);
        let handle = receipt::message_id()?.to_string();
        self.db.execute(
            "INSERT INTO moves (handle, source, destination, rate, started_at, moved, to_move, status)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, 'RUNNING')",
            params![handle, from.id, destination, rate, now, to_move],
        )?;
        self.moving = true;
        self.continue_moves(now)?;
        Ok(handle)
    }

    /// ListMessageMoveTasks: the latest first.
    pub(super) fn list_moves(&mut self, source: &str, max: i64, now: i64) -> Result<Vec<Move>, SqsError> {
        self.continue_moves(now)?;
        let from = self.queue_of_arn(source)?;
        let mut select =
            self.db.prepare_cached(&format!("{COLUMNS} WHERE source = ?1 ORDER BY id DESC LIMIT ?2"))?;
        Ok(select.query_map([from.id, max], read)?.collect::<Result<_, _>>()?)
    }

    /// CancelMessageMoveTask: how many messages had moved.
    pub(super) fn cancel_move(&mut self, handle: &str, now: i64) -> Result<i64, SqsError> {
        self.continue_moves(now)?;
        let task = self.db.query_row(&format!("{COLUMNS} WHERE handle = ?1"), [handle], read).optional()?;
        match task {
            Some(task) if task.status == "RUNNING" => {
                self.db.execute("UPDATE moves SET status = 'CANCELLED' WHERE id = ?1", [task.id])?;
                Ok(task.moved)
            }
            Some(_) => {
                Err(SqsError::refused(Code::UnsupportedOperation, "Only active tasks can be cancelled."))
            }
            None => Err(SqsError::refused(Code::ResourceNotFound, "Task does not exist.")),
        }
    }

    /// Moves what the running tasks may have moved by now. Nothing runs in the background: whoever looks at queues
    /// finds the tasks as far as they should be, also under a clock that jumps.
    pub(super) fn continue_moves(&mut self, now: i64) -> Result<(), SqsError> {
        if !self.moving {
            return Ok(());
        }
        let running: Vec<Move> = {
            let mut select = self.db.prepare_cached(&format!("{COLUMNS} WHERE status = 'RUNNING'"))?;
            select.query_map([], read)?.collect::<Result<_, _>>()?
        };
        self.moving = false;
        for task in running {
            self.moving |= self.continue_move(&task, now)?;
        }
        Ok(())
    }

    /// One task's share; whether there is more to come.
    fn continue_move(&mut self, task: &Move, now: i64) -> Result<bool, SqsError> {
        let Some(from) = self.queue_by_id(task.source) else { return Ok(false) };
        let left = task.to_move - task.moved;
        let seconds = (now - task.started_at).max(0) / 1000 + 1;
        let share = task.rate.map_or(left, |rate| rate.saturating_mul(seconds) - task.moved).clamp(0, left);
        let order = if from.settings.fifo { "sequence" } else { "visible_at, id" };
        let rows: Vec<(i64, Option<String>)> = {
            let mut select = self.db.prepare_cached(&format!(
                "SELECT id, dead_from FROM messages
                 WHERE queue = ?1 AND visible_at <= ?2 AND retained_from > ?3 ORDER BY {order} LIMIT ?4"
            ))?;
            let found =
                select.query_map([from.id, now, from.cutoff(now), share], |r| Ok((r.get(0)?, r.get(1)?)))?;
            found.collect::<Result<_, _>>()?
        };
        let asked = task.destination.as_deref().and_then(attributes::name_of_arn);
        let goals: Vec<(i64, Option<Arc<Queue>>)> = rows
            .into_iter()
            .map(|(row, origin)| (row, asked.or(origin.as_deref()).and_then(|name| self.queue(name).ok())))
            .collect();
        let found = i64::try_from(goals.len()).unwrap_or(i64::MAX);
        let change = self.db.transaction()?;
        let (mut moved, mut failure) = (task.moved, None);
        for (row, goal) in &goals {
            let Some(goal) = goal else {
                failure = Some("The destination queue does not exist, or the message came from no queue.");
                break;
            };
            // A redriven message is a new one: new id, new age (developer guide, "Learn how to configure a dead-letter
            // queue redrive").
            let id = receipt::message_id()?;
            let sequence =
                if goal.settings.fifo { Some(fifo::next_sequence(&change, goal.id)?) } else { None };
            change
                .prepare_cached(
                    "UPDATE messages SET queue = ?2, visible_at = ?3, sent_at = ?3, retained_from = ?3, receive_count = 0,
                     received_at = NULL, first_received_at = NULL, dead_from = NULL, message_id = ?4, sequence = ?5
                     WHERE id = ?1",
                )?
                .execute(params![row, goal.id, now, id.as_bytes(), sequence])?;
            moved += 1;
        }
        let status = match failure {
            Some(_) => "FAILED",
            None if moved >= task.to_move || found < share => "COMPLETED",
            None => "RUNNING",
        };
        change.execute(
            "UPDATE moves SET moved = ?2, status = ?3, failure = ?4 WHERE id = ?1",
            params![task.id, moved, status, failure],
        )?;
        change.commit()?;
        goals.iter().filter_map(|(_, goal)| goal.as_ref()).for_each(|goal| goal.changed.notify_waiters());
        Ok(status == "RUNNING")
    }

    fn queue_of_arn(&self, arn: &str) -> Result<Arc<Queue>, SqsError> {
        let name = attributes::name_of_arn(arn)
            .ok_or_else(|| SqsError::refused(Code::InvalidParameterValue, "You must use this format to specify the SourceArn: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"))?;
        self.queue(name).map_err(|_| {
            SqsError::refused(
                Code::ResourceNotFound,
                "The resource that you specified for the SourceArn parameter doesn't exist.",
            )
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Move> {
    Ok(Move {
        id: row.get(0)?,
        handle: row.get(1)?,
        source: row.get(2)?,
        destination: row.get(3)?,
        rate: row.get(4)?,
        started_at: row.get(5)?,
        moved: row.get(6)?,
        to_move: row.get(7)?,
        status: row.get(8)?,
        failure: row.get(9)?,
    })
}
