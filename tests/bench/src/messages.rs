//! Messages to customers: from the queue through the gate to the provider, the local SES, by the samples' own template.

use crate::bulk;
use crate::client::Connection;
use crate::machine::{self, Busy};
use crate::money::{self, Usage};
use crate::probe::Call;
use crate::profile::{self, Profile};
use crate::raw;
use crate::report::{Section, progress, timed_verdict};
use crate::rig::Rig;
use crate::units;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::id::CustomerId;
use sluice_domain::message::{Cause, CauseKind, Channel, Order};
use sluice_host::environment::Clock;
use sluice_services::sqs::OutgoingMessage;
use sluice_wire::queue::{OrderMessage, encode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// A message of HTML and text with a layout, six links that are counted, an opening that is, and two to refuse by.
pub(crate) const TEMPLATES: &str = include_str!("../../../samples/policies/templates.yaml");
/// What it needs, and a topic that may be refused.
pub(crate) const AROUND: &str = r#"
---
kind: settings
name: default
company:
  name: Harbour Freight Lines
  address: Kai 1, 20457 Hamburg, Germany
  website: https://shop.example
  privacy: https://shop.example/privacy
---
kind: topic
name: news
title: { en: News }
consent: opt_out
---
"#;
const TEMPLATE: &str = "welcome";
const TOPIC: &str = "news";
/// Messages that are due at once, for each second that a phase is to last.
const A_SECOND: u64 = 500;
/// How long messages wait on their queue until all are there; moved forward, not waited for. (SQS allows 900 seconds.)
const WAIT: Duration = Duration::from_secs(600);
/// The least share of what the store alone can do.
const SHARE_OF_STORE: f64 = 0.7;

/// A burst of messages and what it used.
struct Burst {
    sent: f64,
    seconds: f64,
    cpu: Duration,
    write: f64,
    read: f64,
    others: f64,
}

/// What one message cost, by who was at work.
#[derive(Default)]
struct Cost {
    write: f64,
    read: f64,
    trips: f64,
    calls: Vec<Call>,
}

/// Measures all of it.
pub(crate) async fn messages(rig: &Rig, folder: &Path, seconds: u64) -> Result<Vec<Section>, String> {
    rig.publish_more(&format!("{AROUND}{TEMPLATES}")).await?;
    progress("customers to write to");
    let (warm, most, profiled, recorded) =
        (A_SECOND, A_SECOND * seconds, A_SECOND * seconds.min(10), 2 * A_SECOND);
    let wanted = 2 + warm + most + profiled + recorded;
    bulk::bring_in(rig, "addressees", 53, |rows| rows < wanted).await?;
    let mut people = customers(rig)?.into_iter();
    let mut next = |count: u64| people.by_ref().take(usize::try_from(count).unwrap_or(0)).collect::<Vec<_>>();

    progress("one message at a time");
    let mut one = Vec::new();
    for customer in next(2) {
        // The first warms caches; the second counts.
        one = ask(rig, &customer).await?;
    }
    progress("messages");
    let _ = burst(rig, next(warm)).await?;
    let measured = burst(rig, next(most)).await?;
    progress("the same under a profiler");
    let sampled = profile::record(folder, seconds.min(10));
    let (sent, data) = tokio::join!(burst(rig, next(profiled)), sampled);
    sent?;
    let profile = match data {
        Ok(data) => profile::read(&data).await,
        Err(why) => Err(why),
    };
    progress("the store alone");
    rig.probe.record();
    let noted = burst(rig, next(recorded)).await?;
    let calls = rig.probe.recorded();
    let calls_each = calls.iter().filter(|call| raw::is_known(call)).count() as f64 / noted.sent;
    let bound = raw::replay(rig, calls, seconds.min(15)).await?;
    rig.publish(0).await?;

    let mut section =
        Section::new("MESSAGES  (from the queue through the gate to the local SES, and what SES says of it)");
    let rate = measured.sent / measured.seconds;
    section.row(
        "claimed and handed over",
        format!("{rate:.0} messages/s"),
        format!("{} due at once, all sent after {:.1} s", measured.sent, measured.seconds),
    );
    let possible = bound.per_second / calls_each;
    let share = rate / possible;
    section.row(
        "share of the store's bound",
        format!("{:.0} %", share * 100.0),
        format!(
            "of {possible:.0} messages/s ({:.0} calls/s, {calls_each:.1} calls each, {} failed); aim {:.0} %: {}",
            bound.per_second,
            bound.failed,
            SHARE_OF_STORE * 100.0,
            timed_verdict(share >= SHARE_OF_STORE, measured.others)
        ),
    );
    let cpu = measured.cpu.as_secs_f64() * 1e3 / measured.sent;
    section.row("processor time each", format!("{cpu:.2} ms"), "user and system, of this process");
    profile::split(&mut section, profile.as_ref(), cpu);
    section.row(
        "SDK and store by calibration",
        format!("{:.2} ms", bound.cpu_micros * calls_each / 1e3),
        format!("{calls_each:.1} calls at {:.0} us each in the raw run", bound.cpu_micros),
    );
    section.row(
        "table units each, many at a time",
        format!("{:.1} W {:.1} R", measured.write / measured.sent, measured.read / measured.sent),
        format!("others used {:.0} % of the processors", measured.others * 100.0),
    );
    Ok(vec![section, alone(one, profile.as_ref(), cpu)])
}

/// What one message alone takes, by function, and what a million would cost.
fn alone(calls: Vec<Call>, profile: Result<&Profile, &String>, cpu: f64) -> Section {
    let mut section = Section::new("ONE MESSAGE  (asked for by the API, nothing shared with others)");
    let mut costs: BTreeMap<String, Cost> = BTreeMap::new();
    for call in calls {
        let cost = costs.entry(call.function.clone()).or_default();
        cost.write += call.write;
        cost.read += call.read;
        cost.trips += f64::from(u8::from(!units::items(&call).is_empty()));
        cost.calls.push(call);
    }
    for (function, cost) in &costs {
        section.row(
            function.clone(),
            format!("{:.1} W {:.1} R {:.0} calls", cost.write, cost.read, cost.trips),
            "",
        );
        for call in &cost.calls {
            units::row(&mut section, "  ", call);
        }
    }
    let ours = profile.map_or(1.0, profile::functions);
    let total = |costs: &[&Cost], http: f64| {
        let sum = |of: fn(&Cost) -> f64| costs.iter().map(|cost| of(cost)).sum::<f64>();
        let bill = money::bill(Usage {
            write: sum(|cost| cost.write),
            read: sum(|cost| cost.read),
            // Each message on a queue is sent, received and deleted: the order, and two events of SES.
            queue: 3.0 * 3.0,
            calls: costs.len() as f64 + 1.0,
            trips: sum(|cost| cost.calls.len() as f64),
            cpu: cpu * ours,
            http,
        });
        let parts: Vec<String> = bill.iter().map(|(what, dollars)| format!("{what} {dollars:.2}")).collect();
        (format!("${:.2}", bill.iter().map(|(_, dollars)| dollars).sum::<f64>()), parts.join(", "))
    };
    let all: Vec<&Cost> = costs.values().collect();
    let queued: Vec<&Cost> =
        costs.iter().filter(|(function, _)| *function != "serve-console").map(|(_, cost)| cost).collect();
    for (what, (dollars, parts)) in
        [("a million, by the API", total(&all, 1.0)), ("a million, from the queue", total(&queued, 0.0))]
    {
        section.row(what, dollars, parts);
    }
    section.note(format!("{}; SES itself takes ${:.0} a million more", money::assumptions(), money::mails()));
    section
}

/// One message as the API is asked for it; every call until all is quiet, those for policies left out.
async fn ask(rig: &Rig, customer: &CustomerId) -> Result<Vec<Call>, String> {
    let body = json!({ "customer": customer, "template": TEMPLATE, "topic": TOPIC }).to_string();
    rig.probe.record();
    let mut connection = Connection::open(&rig.address).await.map_err(|error| error.to_string())?;
    match connection.call("POST", "/api/messages", &rig.token(), &body).await {
        Ok((202, _)) => {}
        Ok((status, body)) => return Err(format!("message: {status} {}", String::from_utf8_lossy(&body))),
        Err(error) => return Err(format!("message: {error}")),
    }
    rig.drain().await;
    Ok(units::without_policies(rig.probe.recorded()))
}

/// One message to each of these people, all due at the same moment.
async fn burst(rig: &Rig, people: Vec<CustomerId>) -> Result<Burst, String> {
    let at = rig.stack.clock.now();
    let wanted = people.len();
    for customer in people {
        let order = Order {
            customer,
            at,
            cause: Cause { kind: CauseKind::Api, name: TEMPLATE.to_owned(), part: "bench".to_owned() },
            channel: Channel::Email,
            template: TEMPLATE.to_owned(),
            topic: TOPIC.to_owned(),
            language: None,
            bulk: false,
            at_cap: None,
            in_quiet_hours: None,
            replacement: None,
            unknown: None,
            not_after: None,
            campaign: None,
        };
        let delay_seconds = i64::try_from(WAIT.as_secs()).ok();
        let message =
            OutgoingMessage { delay_seconds, ..OutgoingMessage::new(encode(&OrderMessage::new(order))) };
        rig.stack.sqs.send(&named("MessageQueue"), message).map_err(|error| error.to_string())?;
    }
    let _ = (rig.sent(), rig.stack.dynamodb.take_meter());
    let (started, cpu, busy) = (machine::epoch_millis(), machine::cpu(), Busy::read());
    rig.stack.advance(WAIT);
    if !rig.drain().await {
        return Err("the queues do not run empty".to_owned());
    }
    let (cpu, others) = (machine::cpu() - cpu, busy.others(Duration::ZERO));
    let (sent, last) = rig.sent();
    if sent != wanted {
        return Err(format!("{sent} of {wanted} messages were sent"));
    }
    let meter = rig.stack.dynamodb.take_meter();
    Ok(Burst {
        sent: sent.max(1) as f64,
        seconds: (last - started).max(1) as f64 / 1e3,
        cpu,
        write: meter.write_units(),
        read: meter.read_units(),
        others,
    })
}

/// The customers of the file.
fn customers(rig: &Rig) -> Result<BTreeSet<CustomerId>, String> {
    let mut found = BTreeSet::new();
    let mut start = Value::Null;
    loop {
        let mut request = json!({
            "TableName": named("Table"),
            "FilterExpression": "begins_with(pk, :customer) AND contains(d, :mail)",
            "ExpressionAttributeValues": { ":customer": { "S": "cu_" }, ":mail": { "S": "noor.53." } },
        });
        if !start.is_null() {
            request["ExclusiveStartKey"] = start;
        }
        let page = rig.stack.dynamodb.run("Scan", request.to_string().as_bytes());
        let page: Value = serde_json::from_slice(&page.map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())?;
        for item in page["Items"].as_array().into_iter().flatten() {
            found.extend(item["pk"]["S"].as_str().and_then(CustomerId::parse));
        }
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return Ok(found);
        }
    }
}
