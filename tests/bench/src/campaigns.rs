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
use sluice::host::spec::named;
use sluice_host::environment::Clock;
use sluice_services::dynamodb::Meter;
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

/// One step of it: seconds, how many processors were used in them, processor milliseconds, units of the table,
/// those that scans read among them, and calls of our functions.
struct Step {
    seconds: f64,
    processors: f64,
    cpu: f64,
    write: f64,
    read: f64,
    scanned: f64,
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
    let planned = step(rig, GONE_THROUGH, Until::Planned).await?;
    let people = number(rig, "planned").await?;
    progress("sending to it");
    let sent = step(rig, AHEAD - GONE_THROUGH + Duration::from_secs(1), Until::Sent(people)).await?;
    let out = number(rig, "sent").await?;
    rig.publish(0).await?;

    let mut section = Section::new("CAMPAIGNS  (an audience gone through in eight parts, then sent to)");
    section.row(
        "recipients planned",
        format!("{:.0} recipients/s", people / planned.seconds),
        format!("{people} in {:.1} s, by reading {:.0} units of the table", planned.seconds, planned.scanned),
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
        format!("{out} of {people} in {:.1} s, by {:.1} processors", sent.seconds, sent.processors),
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

/// What ends a step.
enum Until {
    /// The audience is gone through.
    Planned,
    /// So many messages are with the provider.
    Sent(f64),
}

/// Lets the clock pass, whereby the schedule fires the timers, until the step is done; then until nothing of it is left. Nothing
/// is asked of the API meanwhile, whose reads would count.
async fn step(rig: &Rig, by: Duration, until: Until) -> Result<Step, String> {
    let _ = (rig.stack.dynamodb.take_meter(), rig.sent());
    let (cpu, began) = (machine::cpu(), machine::epoch_millis());
    rig.probe.record();
    rig.stack.advance(by);
    let started = machine::now();
    let mut sent = 0;
    let mut last = began;
    loop {
        let (more, at) = rig.sent();
        (sent, last) = (sent + more, last.max(at));
        match until {
            Until::Planned if is_gone_through(rig)? => {
                last = machine::epoch_millis();
                break;
            }
            Until::Sent(people) if sent as f64 >= people => break,
            _ if started.elapsed() > PATIENCE => return Err("the campaign stands still".to_owned()),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    let seconds = (last - began) as f64 / 1e3;
    let processors = (machine::cpu() - cpu).as_secs_f64() / seconds;
    if matches!(until, Until::Sent(_)) {
        rig.drain().await;
    }
    let (cpu, meter) = (machine::cpu() - cpu, rig.stack.dynamodb.take_meter());
    Ok(Step {
        seconds,
        processors,
        cpu: cpu.as_secs_f64() * 1e3,
        write: meter.write_units(),
        read: meter.read_units(),
        scanned: scans(&meter).1,
        calls: rig.probe.recorded(),
    })
}

/// Whether the audience was begun and no part of it is left; each page hands the next on before it is done.
fn is_gone_through(rig: &Rig) -> Result<bool, String> {
    let depth = rig.stack.sqs.depth(&named("CampaignQueue")).map_err(|error| error.to_string())?;
    Ok(depth.visible + depth.in_flight == 0 && scans(&rig.stack.dynamodb.meter()).0 > 0)
}

/// Calls that scanned the table, and the units they read.
fn scans(meter: &Meter) -> (u64, f64) {
    meter.operations.get("Scan").map_or((0, 0.0), |scan| (scan.calls, scan.read.total()))
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

async fn number(rig: &Rig, name: &str) -> Result<f64, String> {
    newest(rig).await?["counts"][name].as_f64().ok_or_else(|| format!("{name} is not counted"))
}
