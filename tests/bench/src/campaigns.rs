//! Campaigns: going through an audience, then sending to it, and what a million recipients would cost.

use crate::bulk;
use crate::client::Connection;
use crate::machine;
use crate::messages::{AROUND, TEMPLATES};
use crate::money::{self, Usage};
use crate::probe::Call;
use crate::report::{Section, progress};
use crate::rig::Rig;
use serde_json::Value;
use sluice_host::environment::Clock;
use std::time::Duration;

/// Recipients for each second that a phase is to last.
const A_SECOND: u64 = 1_000;
/// From when it is scheduled until its time; its audience is gone through ten minutes ahead.
const AHEAD: Duration = Duration::from_secs(3_600);
const GONE_THROUGH: Duration = Duration::from_secs(3_060);
/// Longest wait for all of it, of the machine's time.
const PATIENCE: Duration = Duration::from_secs(600);
/// Calls of SQS by which one message gets from a sender to its function, ten to a call: send, receive, delete.
const IN_BATCHES: f64 = 3.0 / 10.0;

/// One step of it: seconds, processor milliseconds, units of the table, and calls of our functions.
struct Step {
    seconds: f64,
    cpu: f64,
    write: f64,
    read: f64,
    calls: Vec<Call>,
}

/// Measures all of it.
pub(crate) async fn campaigns(rig: &Rig, seconds: u64) -> Result<Section, String> {
    let wanted = A_SECOND * seconds;
    let at = rig.stack.clock.now().plus_millis(i64::try_from(AHEAD.as_millis()).unwrap_or_default());
    let document = format!(
        "---\nkind: campaign\nname: spring\naudience: {{ query: 'customer.company == \"Harbour Freight Lines\"' }}\n\
         send: {{ template: welcome, topic: news }}\nat: {{ time: \"{}\" }}\n",
        at.rfc3339()
    );
    rig.publish_more(&format!("{AROUND}{TEMPLATES}\n{document}")).await?;
    progress("an audience");
    bulk::bring_in(rig, "audience", 54, |rows| rows < wanted).await?;
    rig.drain().await;
    call(rig, "POST", "/api/campaigns/spring/schedule").await?;

    progress("going through the audience");
    let planned = step(rig, GONE_THROUGH, "sending").await?;
    let people = number(rig, "planned").await?;
    progress("sending to it");
    let sent = step(rig, AHEAD - GONE_THROUGH + Duration::from_secs(1), "").await?;
    let out = number(rig, "sent").await?;
    rig.publish(0).await?;

    let mut section = Section::new("CAMPAIGNS  (an audience gone through in eight parts, then sent to)");
    section.row(
        "recipients planned",
        format!("{:.0} recipients/s", people / planned.seconds),
        format!("{people} in {:.1} s; a page of 500 items at a time, whatever the audience", planned.seconds),
    );
    section.row(
        "a million recipients",
        format!("{:.0} s to plan", planned.seconds / people * 1e6),
        "at that speed, on this machine",
    );
    let each = |step: &Step, of: f64| format!("{:.2} W {:.2} R", step.write / of, step.read / of);
    section.row("table units each, planned", each(&planned, people), "with the bundle's due entry");
    section.row(
        "table units each, sent",
        each(&sent, out.max(1.0)),
        "with what SES says of it and its counters",
    );
    section.row(
        "sent",
        format!("{:.0} messages/s", out / sent.seconds),
        format!("{out} of {people}; the processors are mostly idle meanwhile"),
    );
    let usage = |step: &Step, of: f64, messages: f64| Usage {
        write: step.write / of,
        read: step.read / of,
        queue: messages * IN_BATCHES,
        calls: messages / 10.0,
        trips: step.calls.len() as f64 / of,
        cpu: step.cpu / of,
        http: 0.0,
    };
    // A message, and two events of SES.
    for (what, usage) in [
        ("a million planned", usage(&planned, people, 0.1)),
        ("a million sent", usage(&sent, out.max(1.0), 3.0)),
    ] {
        let bill = money::bill(usage);
        let parts: Vec<String> = bill.iter().map(|(what, dollars)| format!("{what} {dollars:.2}")).collect();
        let total = bill.iter().map(|(_, dollars)| dollars).sum::<f64>();
        section.row(what, format!("${total:.2}"), parts.join(", "));
    }
    section.note(format!("{}; SES itself takes ${:.0} a million more", money::assumptions(), money::mails()));
    Ok(section)
}

/// Lets the clock pass until the campaign is in a state, or no queue holds anything.
async fn step(rig: &Rig, by: Duration, until: &str) -> Result<Step, String> {
    let _ = rig.stack.dynamodb.take_meter();
    let cpu = machine::cpu();
    rig.probe.record();
    rig.stack.advance(by);
    let started = machine::now();
    rig.fire_timers().await?;
    if until.is_empty() {
        rig.drain().await;
    } else {
        while state(rig).await? != until {
            if started.elapsed() > PATIENCE {
                return Err(format!("the campaign is never {until}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let (cpu, meter) = (machine::cpu() - cpu, rig.stack.dynamodb.take_meter());
    Ok(Step {
        seconds,
        cpu: cpu.as_secs_f64() * 1e3,
        write: meter.write_units(),
        read: meter.read_units(),
        calls: rig.probe.recorded(),
    })
}

async fn call(rig: &Rig, method: &str, path: &str) -> Result<Value, String> {
    let mut connection = Connection::open(&rig.address).await.map_err(|error| error.to_string())?;
    match connection.call(method, path, &rig.token(), "").await {
        Ok((200 | 202, body)) => serde_json::from_slice(&body).map_err(|error| error.to_string()),
        Ok((status, body)) => Err(format!("{path}: {status} {}", String::from_utf8_lossy(&body))),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

async fn newest(rig: &Rig) -> Result<Value, String> {
    Ok(call(rig, "GET", "/api/campaigns/spring").await?["broadcasts"][0].take())
}

async fn state(rig: &Rig) -> Result<String, String> {
    Ok(newest(rig).await?["state"].as_str().unwrap_or_default().to_owned())
}

async fn number(rig: &Rig, name: &str) -> Result<f64, String> {
    newest(rig).await?["counts"][name].as_f64().ok_or_else(|| format!("{name} is not counted"))
}
