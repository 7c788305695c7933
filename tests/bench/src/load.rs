//! The load generator: a process of its own, so that what it uses is not counted as ours.

use crate::client::Connection;
use crate::machine;
use crate::people::{self, Mix};
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::Command;

/// How leads are posted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// Each connection posts the next lead when the last is answered.
    Closed {
        /// Connections.
        connections: usize,
    },
    /// At fixed times, whatever the answers do. Latency counts from the time a lead was to be posted, so that a stall is
    /// seen by every lead that it delays.
    Open {
        /// Leads a second.
        rate: u64,
    },
}

/// One phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// `host:port`.
    pub(crate) address: String,
    /// How leads are posted.
    pub(crate) pace: Pace,
    /// For how long.
    pub(crate) seconds: u64,
    /// Keeps its people apart from those of other phases.
    pub(crate) run: u64,
    /// Who posts.
    pub(crate) mix: Mix,
}

/// What the sender saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Leads answered 202, events answered 200.
    pub(crate) accepted: u64,
    /// All others.
    pub(crate) failed: u64,
    /// From the first to the last answer, in seconds.
    pub(crate) seconds: f64,
    /// Milliseconds to the answer, sorted.
    pub(crate) millis: Vec<f64>,
    /// Processor time of the load generator, in seconds.
    pub(crate) cpu: f64,
}

/// Runs a plan in a process of its own.
pub(crate) async fn run(plan: &Plan) -> Result<Sent, String> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let text = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    let child =
        Command::new(me).args(["load", &text]).stdout(Stdio::piped()).kill_on_drop(true).output().await;
    let output = child.map_err(|error| format!("load generator: {error}"))?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("load generator: {error}"))
}

#[derive(Default)]
struct Seen {
    millis: Mutex<Vec<f64>>,
    failed: AtomicU64,
}

impl Seen {
    fn note(&self, answered: bool, millis: f64) {
        match answered {
            true => self.millis.lock().unwrap_or_else(PoisonError::into_inner).push(millis),
            false => drop(self.failed.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// The load generator's own side: carries out a plan.
pub(crate) async fn carry_out(plan: Plan) -> Sent {
    let seen = Arc::new(Seen::default());
    let started = machine::now();
    match plan.pace {
        Pace::Closed { connections } => closed(&plan, connections, &seen).await,
        Pace::Open { rate } => open(&plan, rate, &seen).await,
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut millis = std::mem::take(&mut *seen.millis.lock().unwrap_or_else(PoisonError::into_inner));
    millis.sort_by(f64::total_cmp);
    let failed = seen.failed.load(Ordering::Relaxed);
    Sent { accepted: millis.len() as u64, failed, seconds, millis, cpu: machine::cpu().as_secs_f64() }
}

async fn closed(plan: &Plan, connections: usize, seen: &Arc<Seen>) {
    let count = Arc::new(AtomicU64::new(0));
    let until = machine::now() + Duration::from_secs(plan.seconds);
    let workers = (0..connections).map(|_| {
        let (plan, seen, count) = (plan.clone(), seen.clone(), count.clone());
        tokio::spawn(async move {
            let Ok(mut connection) = Connection::open(&plan.address).await else {
                return seen.note(false, 0.0);
            };
            while machine::now() < until {
                let body = people::of(plan.mix, plan.run, count.fetch_add(1, Ordering::Relaxed)).to_string();
                let started = machine::now();
                let answer = connection.call("POST", plan.mix.path(), "", &body).await;
                let is_accepted = matches!(answer, Ok((status, _)) if status == plan.mix.accepted());
                seen.note(is_accepted, started.elapsed().as_secs_f64() * 1e3);
                if answer.is_err() {
                    return;
                }
            }
        })
    });
    futures::future::join_all(workers.collect::<Vec<_>>()).await;
}

async fn open(plan: &Plan, rate: u64, seen: &Arc<Seen>) {
    let idle: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let started = machine::now();
    let mut posts = Vec::new();
    for n in 0..rate * plan.seconds {
        let meant = started + Duration::from_nanos(n * 1_000_000_000 / rate);
        tokio::time::sleep_until(meant.into()).await;
        let (plan, seen, idle) = (plan.clone(), seen.clone(), idle.clone());
        posts.push(tokio::spawn(async move {
            let body = people::of(plan.mix, plan.run, n).to_string();
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match free {
                Some(connection) => Ok(connection),
                None => Connection::open(&plan.address).await,
            };
            let Ok(mut connection) = connection else { return seen.note(false, 0.0) };
            let answer = connection.call("POST", plan.mix.path(), "", &body).await;
            let is_accepted = matches!(answer, Ok((status, _)) if status == plan.mix.accepted());
            seen.note(is_accepted, meant.elapsed().as_secs_f64() * 1e3);
            if answer.is_ok() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
        }));
    }
    futures::future::join_all(posts).await;
}
