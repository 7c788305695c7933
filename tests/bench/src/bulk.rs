//! Leads that are not simply new: from a file, repeats, customers that become one; and new ones under many rules.

use crate::client::Connection;
use crate::load::{self, Pace, Plan};
use crate::machine::{self, Busy};
use crate::people::{self, Mix};
use crate::raw;
use crate::report::{Section, progress, spread, timed_verdict};
use crate::rig::Rig;
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// Requests at the same time and rows of each, as `sluice import` sends them.
const IN_FLIGHT: usize = 4;
const ROWS: u64 = 200;
/// Connections at maximum load.
const CONNECTIONS: usize = 64;
/// Rules before the one that matches.
const RULES: [usize; 3] = [10, 100, 1_000];
/// The least share of what the store alone can do.
const SHARE_OF_STORE: f64 = 0.7;
/// What makes this binary the command, so that nothing more has to be built.
pub(crate) const COMMAND: &str = "sluice";

/// Rows brought in, and how long that took in seconds.
pub(crate) struct Imported {
    rows: f64,
    seconds: f64,
}

/// An import at full speed, against what the store could do.
pub(crate) async fn import(rig: &Rig, seconds: u64) -> Result<Section, String> {
    progress("an import");
    bring_in(rig, "warm", 50, until(1)).await?;
    let _ = rig.stack.dynamodb.take_meter();
    let busy = Busy::read();
    let done = bring_in(rig, "measured", 51, until(seconds)).await?;
    let others = busy.others(Duration::ZERO);
    let meter = rig.stack.dynamodb.take_meter();
    let rate = done.rows / done.seconds;
    let by_command = by_command(rig, 53, (rate * seconds as f64) as u64).await?;
    rig.probe.record();
    let recorded = bring_in(rig, "recorded", 52, until(2)).await?;
    let calls = rig.probe.recorded();
    let calls_per_row = calls.iter().filter(|call| raw::is_known(call)).count() as f64 / recorded.rows;
    let bound = raw::replay(rig, calls, seconds.min(15)).await?;

    let mut section = Section::new("IMPORT  (rows of two identities, new people, not routed)");
    section.row(
        "import",
        format!("{rate:.0} rows/s"),
        format!("{IN_FLIGHT} requests of {ROWS} rows at a time, {} rows in {:.1} s", done.rows, done.seconds),
    );
    section.row(
        "table units a row",
        format!("{:.1} W {:.1} R", meter.write_units() / done.rows, meter.read_units() / done.rows),
        format!("{calls_per_row:.2} calls"),
    );
    let most_possible = bound.per_second / calls_per_row;
    let share = rate / most_possible;
    section.row(
        "share of the store's bound",
        format!("{:.0} %", share * 100.0),
        format!(
            "of {most_possible:.0} rows/s ({:.0} calls/s, {} failed); aim {:.0} %: {}",
            bound.per_second,
            bound.failed,
            SHARE_OF_STORE * 100.0,
            timed_verdict(share >= SHARE_OF_STORE, others)
        ),
    );
    let rate = by_command.rows / by_command.seconds;
    let share = rate / most_possible;
    section.row(
        "`sluice import` of a file",
        format!("{rate:.0} rows/s"),
        format!(
            "{} rows in {:.1} s from the start of its process to its end; {:.0} % of the store's bound, aim {:.0} %: {}",
            by_command.rows,
            by_command.seconds,
            share * 100.0,
            SHARE_OF_STORE * 100.0,
            timed_verdict(share >= SHARE_OF_STORE, others)
        ),
    );
    Ok(section)
}

/// Brings so many rows in from a file, by the command as a process of its own.
async fn by_command(rig: &Rig, run: u64, rows: u64) -> Result<Imported, String> {
    progress("the same by the command");
    let failed = |error: std::io::Error| format!("sluice import: {error}");
    let folder = tempfile::tempdir().map_err(failed)?;
    let path = folder.path().join("people.csv");
    let cells = |row: Value, of: fn(&String, &Value) -> String| {
        let cells = row.as_object().into_iter().flatten().map(|(name, value)| of(name, value));
        cells.collect::<Vec<_>>().join(",") + "\n"
    };
    let mut text = cells(people::lead(run, 0), |name, _| name.clone());
    for n in 0..rows {
        // Nobody here has a comma or a quote in their name.
        text += &cells(people::lead(run, n), |_, value| value.as_str().unwrap_or_default().to_owned());
    }
    std::fs::write(&path, text).map_err(failed)?;
    let started = machine::now();
    let done = Command::new(std::env::current_exe().map_err(failed)?)
        .args([COMMAND, "import", "--form", "bench", "--json", "--url", &rig.stack.addresses.url])
        .arg(&path)
        .env("SLUICE_TOKEN", rig.token())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let done = done.await.map_err(failed)?;
    let seconds = started.elapsed().as_secs_f64();
    let said: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
    if said["new"] != rows {
        return Err(format!("sluice import: {said} {}", String::from_utf8_lossy(&done.stderr)));
    }
    Ok(Imported { rows: rows as f64, seconds })
}

/// Whether there is time for more rows.
fn until(seconds: u64) -> impl Fn(u64) -> bool {
    let end = machine::now() + Duration::from_secs(seconds);
    move |_| machine::now() < end
}

/// Brings in rows as long as `more` says so of the rows that were begun.
pub(crate) async fn bring_in(
    rig: &Rig,
    batch: &str,
    run: u64,
    more: impl Fn(u64) -> bool,
) -> Result<Imported, String> {
    let asked = json!({"batch": batch, "form": "bench"});
    call(rig, "/api/imports", &asked).await?;
    let (next, path) = (Arc::new(AtomicU64::new(0)), format!("/api/imports/{batch}/rows"));
    let started = machine::now();
    let workers = (0..IN_FLIGHT).map(|_| async {
        let mut rows = 0;
        while more(next.load(Ordering::Relaxed)) {
            let first = next.fetch_add(ROWS, Ordering::Relaxed);
            let body: Vec<Value> = (first..first + ROWS).map(|n| row(run, n)).collect();
            call(rig, &path, &json!({"rows": body})).await?;
            rows += ROWS;
        }
        Ok::<u64, String>(rows)
    });
    let rows: u64 = futures::future::try_join_all(workers).await?.into_iter().sum();
    Ok(Imported { rows: rows as f64, seconds: started.elapsed().as_secs_f64() })
}

fn row(run: u64, n: u64) -> Value {
    let fields = people::lead(run, n);
    let fields: Vec<(&String, &Value)> = fields.as_object().into_iter().flatten().collect();
    json!({"n": n + 1, "fields": fields})
}

async fn call(rig: &Rig, path: &str, body: &Value) -> Result<(), String> {
    let mut connection = Connection::open(&rig.address).await.map_err(|error| error.to_string())?;
    match connection.call("POST", path, &rig.token(), &body.to_string()).await {
        Ok((200, _)) => Ok(()),
        Ok((status, body)) => Err(format!("{path}: {status} {}", String::from_utf8_lossy(&body))),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

/// Leads of each mix at maximum load.
pub(crate) async fn mixes(rig: &Rig, seconds: u64) -> Result<Section, String> {
    let mut section = Section::new("MIXES  (closed loop, from the first post to empty queues)");
    for (at, (mix, name, what)) in [
        (Mix::New, "new", "everybody is new"),
        (Mix::Repeat, "repeat", "every second post is the one before it again"),
        (Mix::Merge, "merge", "every third post shows that the two before it are one person"),
    ]
    .into_iter()
    .enumerate()
    {
        progress(name);
        let run = 30 + at as u64;
        section.row(name, closed(rig, mix, seconds, run).await?, what);
    }
    Ok(section)
}

async fn closed(rig: &Rig, mix: Mix, seconds: u64, run: u64) -> Result<String, String> {
    let _ = (rig.owned(), rig.stack.dynamodb.take_meter());
    let started = machine::now();
    let pace = Pace::Closed { connections: CONNECTIONS };
    let sent = load::run(&Plan { address: rig.address.clone(), pace, seconds, run, mix }).await?;
    if !rig.drain().await {
        return Err("the queues do not run empty".to_owned());
    }
    let (elapsed, meter) = (started.elapsed().as_secs_f64(), rig.stack.dynamodb.take_meter());
    let leads = sent.accepted.max(1) as f64;
    Ok(format!(
        "{:.0} leads/s, {:.1} W {:.1} R a lead",
        leads / elapsed,
        meter.write_units() / leads,
        meter.read_units() / leads
    ))
}

/// New leads when the rule that matches comes after so many that do not.
pub(crate) async fn rules(rig: &Rig, seconds: u64) -> Result<Section, String> {
    let mut section =
        Section::new("RULES  (post to owner, p50 / p99 at 50 leads/s; then as many as it takes)");
    for (at, rules) in RULES.into_iter().enumerate() {
        progress(&format!("{rules} rules"));
        rig.publish(rules).await?;
        let _ = rig.owned();
        let run = 60 + 2 * at as u64;
        let pace = Pace::Open { rate: 50 };
        let plan = Plan { address: rig.address.clone(), pace, seconds, run, mix: Mix::New };
        load::run(&plan).await?;
        rig.drain().await;
        let owned = rig.owned();
        let most = closed(rig, Mix::New, seconds, run + 1).await?;
        section.row(format!("{rules} rules"), spread(&owned.millis), most);
    }
    rig.publish(0).await?;
    Ok(section)
}
