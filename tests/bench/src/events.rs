//! Events: taken in, decided, and through to a message that is handed over; under few journeys and many; and waits that end.

use crate::client::Connection;
use crate::load::{self, Pace, Plan};
use crate::machine::{self, Busy};
use crate::money::{self, Usage};
use crate::people::{self, Mix};
use crate::probe::Call;
use crate::profile::{self, Profile};
use crate::raw;
use crate::report::{Section, progress, quantile, spread, timed_verdict};
use crate::rig::Rig;
use crate::{messages, units};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Whose secret the key of the pages is, and the key.
const SECRET: (&str, &str) = ("sluice/sources/bench", people::WRITE_KEY);
/// The source, a journey that answers an event with a message, and one that waits longer than a queue may hold a message back.
const AROUND: &str = r#"
---
kind: source
name: site
type: segment
secrets: { write_key: ["secret:bench"] }
---
kind: journey
name: hello
trigger: { event: signed_up }
entry: { again: always }
steps:
  - send: { template: welcome, channel: email, topic: news }
---
kind: journey
name: later
trigger: { event: wait_started }
entry: { again: always }
steps:
  - wait: 20m
  - tag: waited
---
"#;
/// How long those wait.
const WAIT: Duration = Duration::from_secs(1_200);
/// Before a wait is over the timers have handed it to its queue.
const AHEAD: Duration = Duration::from_secs(10);
/// Journeys that are published besides, for something that does not happen.
const JOURNEYS: [usize; 3] = [10, 100, 1_000];
/// Open loops, in events a second.
const RATES: [u64; 2] = [20, 200];
/// Connections at maximum load.
const CONNECTIONS: usize = 64;
/// Identified in one call.
const A_CALL: u64 = 50;
/// The least share of what the store alone can do.
const SHARE_OF_STORE: f64 = 0.7;
/// What event-to-message may take at the lower rate, p50 in milliseconds.
const P50: f64 = 50.0;
/// How late a wait may be over, in milliseconds.
const LATE: f64 = 2_000.0;

/// A phase of events and what it used.
struct Phase {
    accepted: f64,
    accepted_per_second: f64,
    taken: f64,
    /// From the first post to the last event taken, and to the last message handed over.
    seconds: f64,
    /// Milliseconds from event to message, sorted.
    millis: Vec<f64>,
    cpu: Duration,
    write: f64,
    read: f64,
    others: f64,
}

impl Phase {
    fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.accepted.max(1.0)
    }

    fn per_second(&self) -> f64 {
        self.accepted / self.seconds
    }
}

/// Measures all of it.
pub(crate) async fn events(rig: &Rig, folder: &Path, seconds: u64) -> Result<Vec<Section>, String> {
    rig.stack.secrets.put(SECRET.0, SECRET.1.to_owned()).map_err(|error| error.to_string())?;
    publish(rig, JOURNEYS[0]).await?;
    progress("people who are known");
    identify(rig).await?;

    progress("one event at a time");
    let (idle, entering) = (one(rig, Mix::Idle, 36).await?, one(rig, Mix::Entering, 38).await?);

    let mut section = Section::new(
        "EVENTS  (by the tracking API; each of the second kind enters a journey that sends a mail)",
    );
    let mut open = Vec::new();
    for (at, rate) in RATES.into_iter().enumerate() {
        progress(&format!("{rate} events a second"));
        open.push((rate, phase(rig, Mix::Entering, Pace::Open { rate }, seconds, 40 + at as u64).await?));
    }
    let most = Pace::Closed { connections: CONNECTIONS };
    progress("as many events as it takes that nobody reads");
    let _ = phase(rig, Mix::Idle, most, 2, 42).await?;
    let (idle_most, idle_profile) = profiled(rig, folder, Mix::Idle, seconds, 43).await?;
    progress("as many as it takes that enter a journey");
    let (most_entering, profile) = profiled(rig, folder, Mix::Entering, seconds, 45).await?;
    progress("the store alone");
    rig.probe.record();
    let noted = phase(rig, Mix::Entering, most, 2, 47).await?;
    let calls = rig.probe.recorded();
    let calls_each = calls.iter().filter(|call| raw::is_known(call)).count() as f64 / noted.accepted;
    let bound = raw::replay(rig, calls, seconds.min(15)).await?;

    section.row(
        "accepted (200)",
        format!("{:.0} events/s", idle_most.accepted_per_second),
        format!("closed loop, {CONNECTIONS} connections, nobody reads them"),
    );
    section.row(
        "taken",
        format!("{:.0} events/s", idle_most.per_second()),
        format!("{:.0} entries until the queue was empty", idle_most.taken),
    );
    let rate = most_entering.per_second();
    section.row(
        "through to a message handed over",
        format!("{rate:.0} events/s"),
        format!("{} messages, {:.0} events with our own", most_entering.millis.len(), most_entering.taken),
    );
    let possible = bound.per_second / calls_each;
    section.row(
        "share of the store's bound",
        format!("{:.0} %", rate / possible * 100.0),
        format!(
            "of {possible:.0} events/s ({:.0} calls/s, {calls_each:.1} calls each, {} failed); aim {:.0} %: {}",
            bound.per_second,
            bound.failed,
            SHARE_OF_STORE * 100.0,
            timed_verdict(rate / possible >= SHARE_OF_STORE, most_entering.others)
        ),
    );
    for (rate, phase) in &open {
        let judged = (*rate == RATES[0]).then(|| {
            let passed = quantile(&phase.millis, 0.5) < P50;
            format!("; aim p50 {P50:.0} ms: {}", timed_verdict(passed, phase.others))
        });
        section.row(
            format!("event to message at {rate}/s"),
            spread(&phase.millis),
            format!(
                "p50 / p99 of {}; others used {:.0} %{}",
                phase.millis.len(),
                phase.others * 100.0,
                judged.unwrap_or_default()
            ),
        );
    }
    section.row(
        "event to message at maximum load",
        spread(&most_entering.millis),
        "a queue grows: accepting is faster",
    );
    section.note("event to message: from the event's time, taken when its call is read, to the metric line of its message");

    let mut sections = vec![section];
    for (what, phase, profile) in
        [("nobody reads", &idle_most, &idle_profile), ("enters a journey", &most_entering, &profile)]
    {
        sections.push(processor(what, phase, profile.as_ref()));
    }
    sections.push(alone("AN EVENT THAT NOBODY READS", idle, idle_profile.as_ref(), idle_most.cpu_each()));
    sections.push(alone(
        "AN EVENT THAT ENTERS A JOURNEY",
        entering,
        profile.as_ref(),
        most_entering.cpu_each(),
    ));
    sections.push(many(rig, seconds.min(10)).await?);
    sections.push(waits(rig, seconds.min(10)).await?);
    rig.publish(0).await?;
    Ok(sections)
}

async fn publish(rig: &Rig, journeys: usize) -> Result<(), String> {
    let mut text = format!("{}{AROUND}{}", messages::AROUND, messages::TEMPLATES);
    for n in 0..journeys.saturating_sub(2) {
        let _ = write!(
            text,
            "\n---\nkind: journey\nname: idle-{n}\ntrigger: {{ event: never_{n} }}\nexit: {{ event: left_{n} }}\nsteps:\n  - wait: 1d\n  - tag: idle\n"
        );
    }
    rig.publish_more(&text).await
}

/// Those whose events are counted are known by their ids and have addresses.
async fn identify(rig: &Rig) -> Result<(), String> {
    let mut connection = Connection::open(&rig.address).await.map_err(|error| error.to_string())?;
    for first in (0..people::USERS).step_by(A_CALL as usize) {
        let calls: Vec<_> = (first..first + A_CALL)
            .map(|n| {
                json!({
                    "type": "identify", "userId": people::user(n), "messageId": format!("known {n}"),
                    "traits": { "email": people::email(39, n), "firstName": "Noor" },
                })
            })
            .collect();
        let body = json!({ "writeKey": people::WRITE_KEY, "batch": calls }).to_string();
        match connection.call("POST", "/v1/batch", "", &body).await {
            Ok((200, _)) => {}
            Ok((status, body)) => return Err(format!("events: {status} {}", String::from_utf8_lossy(&body))),
            Err(error) => return Err(format!("events: {error}")),
        }
    }
    if rig.drain().await { Ok(()) } else { Err("the queues do not run empty".to_owned()) }
}

/// One event by itself; every call until all is quiet, those for policies left out. The first warms caches; the second counts.
async fn one(rig: &Rig, mix: Mix, run: u64) -> Result<Vec<Call>, String> {
    let mut calls = Vec::new();
    for n in 0..2 {
        rig.probe.record();
        let mut connection = Connection::open(&rig.address).await.map_err(|error| error.to_string())?;
        let body = people::of(mix, run, n).to_string();
        match connection.call("POST", mix.path(), "", &body).await {
            Ok((status, _)) if status == mix.accepted() => {}
            Ok((status, body)) => return Err(format!("event: {status} {}", String::from_utf8_lossy(&body))),
            Err(error) => return Err(format!("event: {error}")),
        }
        rig.drain().await;
        calls = units::without_policies(rig.probe.recorded());
    }
    Ok(calls)
}

async fn phase(rig: &Rig, mix: Mix, pace: Pace, seconds: u64, run: u64) -> Result<Phase, String> {
    let (_, _) = (rig.events(), rig.stack.dynamodb.take_meter());
    let (started, cpu, busy) = (machine::epoch_millis(), machine::cpu(), Busy::read());
    let sent = load::run(&Plan { address: rig.address.clone(), pace, seconds, run, mix }).await?;
    if !rig.drain().await {
        return Err("the queues do not run empty".to_owned());
    }
    let (cpu, others) = (machine::cpu() - cpu, busy.others(Duration::from_secs_f64(sent.cpu)));
    let seen = rig.events();
    let meter = rig.stack.dynamodb.take_meter();
    let last = if mix == Mix::Entering { seen.sent_last } else { seen.taken_last };
    Ok(Phase {
        accepted: sent.accepted as f64,
        accepted_per_second: sent.accepted as f64 / sent.seconds,
        taken: seen.taken,
        seconds: (last - started).max(1) as f64 / 1e3,
        millis: seen.to_message,
        cpu,
        write: meter.write_units(),
        read: meter.read_units(),
        others,
    })
}

/// A phase at maximum load, and where the time goes in another.
async fn profiled(
    rig: &Rig,
    folder: &Path,
    mix: Mix,
    seconds: u64,
    run: u64,
) -> Result<(Phase, Result<Profile, String>), String> {
    let pace = Pace::Closed { connections: CONNECTIONS };
    let measured = phase(rig, mix, pace, seconds, run).await?;
    let sampled = profile::record(folder, seconds.min(10));
    let (loaded, data) = tokio::join!(phase(rig, mix, pace, seconds.min(10), run + 1), sampled);
    loaded?;
    let profile = match data {
        Ok(data) => profile::read(&data).await,
        Err(why) => Err(why),
    };
    Ok((measured, profile))
}

fn processor(what: &str, phase: &Phase, profile: Result<&Profile, &String>) -> Section {
    let mut section =
        Section::new(format!("PROCESSOR TIME PER EVENT  ({what}; maximum load, all that follows included)"));
    section.row(
        "this process",
        format!("{:.2} ms", phase.cpu_each()),
        "user and system, load generator not in it",
    );
    profile::split(&mut section, profile, phase.cpu_each());
    section.row(
        "table units each, many at a time",
        format!("{:.1} W {:.1} R", phase.write / phase.accepted, phase.read / phase.accepted),
        format!("others used {:.0} % of the processors", phase.others * 100.0),
    );
    if let Ok(profile) = profile {
        for (group, name, share) in profile.top.iter().take(6) {
            section.row(format!("  {name}"), format!("{group} {:.1} %", share * 100.0), "self time");
        }
    }
    section
}

/// What one event alone takes, by function, and what a million would cost.
fn alone(title: &str, calls: Vec<Call>, profile: Result<&Profile, &String>, cpu: f64) -> Section {
    let mut section = Section::new(format!("{title}  (nothing shared with others)"));
    let mut by_function: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in &calls {
        by_function.entry(&call.function).or_default().push(call);
    }
    let sum = |calls: &[&Call], of: fn(&Call) -> f64| calls.iter().map(|call| of(call)).sum::<f64>();
    for (function, calls) in &by_function {
        let (write, read) = (sum(calls, |call| call.write), sum(calls, |call| call.read));
        section.row(*function, format!("{write:.1} W {read:.1} R {} calls", calls.len()), "");
        for call in calls {
            units::row(&mut section, "  ", call);
        }
    }
    let all: Vec<&Call> = calls.iter().collect();
    let sends = all.iter().filter(|call| call.operation.starts_with("SendMessage")).count() as f64;
    let bill = money::bill(Usage {
        write: sum(&all, |call| call.write),
        read: sum(&all, |call| call.read),
        // Each message on a queue is sent, received and deleted.
        queue: sends * 3.0,
        calls: by_function.len() as f64,
        trips: calls.len() as f64,
        cpu: cpu * profile.map_or(1.0, profile::functions),
        http: 1.0,
    });
    let parts: Vec<String> = bill.iter().map(|(what, dollars)| format!("{what} {dollars:.2}")).collect();
    let total: f64 = bill.iter().map(|(_, dollars)| dollars).sum();
    section.row("a million", format!("${total:.2}"), parts.join(", "));
    section.note(money::assumptions());
    section
}

/// The same events when more journeys are published that they do not concern.
async fn many(rig: &Rig, seconds: u64) -> Result<Section, String> {
    let mut section = Section::new(format!(
        "JOURNEYS  (event to message, p50 / p99 at {}/s; then as many as it takes)",
        RATES[0]
    ));
    for (at, journeys) in JOURNEYS.into_iter().enumerate() {
        progress(&format!("{journeys} journeys"));
        publish(rig, journeys).await?;
        let run = 50 + 3 * at as u64;
        let open = phase(rig, Mix::Entering, Pace::Open { rate: RATES[0] }, seconds, run).await?;
        let most = Pace::Closed { connections: CONNECTIONS };
        let idle = phase(rig, Mix::Idle, most, seconds, run + 1).await?;
        let entering = phase(rig, Mix::Entering, most, seconds, run + 2).await?;
        section.row(
            format!("{journeys} journeys"),
            spread(&open.millis),
            format!(
                "{:.0} events/s, {:.2} ms each, that nobody reads; {:.0} events/s, {:.2} ms each, to a message",
                idle.per_second(),
                idle.cpu_each(),
                entering.per_second(),
                entering.cpu_each()
            ),
        );
    }
    publish(rig, JOURNEYS[0]).await?;
    Ok(section)
}

/// Waits that are over: how late each is acted upon, and how many are when many are over at once.
async fn waits(rig: &Rig, seconds: u64) -> Result<Section, String> {
    let mut section = Section::new("WAITS  (due entry, timers, queue, decision, commit)");
    progress("waits that are over");
    let rate = RATES[0];
    let started = machine::now();
    phase(rig, Mix::Waiting, Pace::Open { rate }, seconds, 60).await?;
    let _ = rig.events();
    let passed = started.elapsed();
    rig.stack.advance(WAIT.saturating_sub(AHEAD + passed));
    rig.fire_timers().await?;
    tokio::time::sleep(AHEAD + passed).await;
    rig.drain().await;
    let late = rig.events().late;
    section.row(
        format!("lateness at {rate} waits/s"),
        spread(&late),
        format!(
            "p50 / p99 of {}; a queue's delay is in whole seconds; aim {:.0} ms: {}",
            late.len(),
            LATE,
            timed_verdict(quantile(&late, 0.99) < LATE, 0.0)
        ),
    );
    progress("many that are over at once");
    phase(rig, Mix::Waiting, Pace::Closed { connections: CONNECTIONS }, seconds, 61).await?;
    let (_, _) = (rig.events(), rig.stack.dynamodb.take_meter());
    rig.stack.advance(WAIT + Duration::from_secs(1));
    let started = machine::now();
    rig.fire_timers().await?;
    rig.drain().await;
    let elapsed = started.elapsed().as_secs_f64();
    let (fired, meter) = (rig.events().late.len().max(1) as f64, rig.stack.dynamodb.take_meter());
    section.row(
        "fired",
        format!("{:.0} waits/s", fired / elapsed),
        format!(
            "{fired} over at once; {:.1} W {:.1} R each, the timers' reading included",
            meter.write_units() / fired,
            meter.read_units() / fired
        ),
    );
    Ok(section)
}
