//! What is measured, in order, and how it is said.

use crate::campaigns;
use crate::load::{Pace, Plan, Sent};
use crate::machine::{self, Busy};
use crate::money::{self, Usage};
use crate::people::Mix;
use crate::probe::Call;
use crate::profile::{self, Profile};
use crate::raw::{self, Bound};
use crate::report::{Section, progress, quantile, spread, timed_verdict, verdict};
use crate::rig::{Owned, Rig, sdk_variables};
use crate::{bulk, clock, events, messages, startup, units};
use sluice::cli::embedded_functions;
use sluice::host::spec::StackSpec;
use sluice_services::dynamodb::Meter;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Connections at maximum load.
const CONNECTIONS: usize = 64;
/// Open loops, in leads a second.
const RATES: [(u64, Limits); 2] = [(50, Some((50.0, 250.0))), (200, None)];
/// What post-to-owner may take, p50 and p99 in milliseconds.
type Limits = Option<(f64, f64)>;
/// The least share of what the store alone can do.
const SHARE_OF_STORE: f64 = 0.7;
/// What the first run of `sluice dev` may take until it is ready, in milliseconds.
const FIRST_RUN: f64 = 2_000.0;

/// One phase of load and what it used.
struct Phase {
    sent: Sent,
    owned: Owned,
    /// From the first post to the last owner stored, in seconds.
    seconds: f64,
    /// Processor time of this process, services included.
    cpu: Duration,
    meter: Meter,
    /// Share of the processors that others used.
    others: f64,
}

impl Phase {
    fn leads(&self) -> f64 {
        self.owned.millis.len().max(1) as f64
    }

    fn per_second(&self) -> f64 {
        self.leads() / self.seconds
    }
}

/// Units of one lead of each kind.
type Costs = Vec<(&'static units::Kind, units::Cost)>;

/// Load of every pace, and what it was made of.
struct Loaded {
    open: Vec<(u64, Limits, Phase)>,
    most: Phase,
    profile: Result<Profile, String>,
    calls_per_lead: f64,
    mix: BTreeMap<String, usize>,
    bound: Bound,
    recorded_leads: f64,
}

/// Measures the named parts.
pub(crate) async fn all(seconds: u64, parts: &[&str]) -> Result<Vec<Section>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let rig = Rig::start(&folder.path().join("data")).await?;
    let has = |part: &str| parts.contains(&part);
    let costs = if has("units") { one_by_one(&rig).await? } else { Vec::new() };
    let loaded = if has("load") { Some(load(&rig, folder.path(), seconds).await?) } else { None };
    let mut sections = Vec::new();
    if let Some(loaded) = &loaded {
        sections.push(throughput(&loaded.most, &loaded.bound, loaded.calls_per_lead));
    }
    if has("import") {
        sections.push(bulk::import(&rig, seconds).await?);
    }
    if has("mixes") {
        sections.push(bulk::mixes(&rig, seconds.min(10)).await?);
    }
    if has("rules") {
        sections.push(bulk::rules(&rig, seconds.min(10)).await?);
    }
    if has("clocks") {
        sections.push(clock::clocks(&rig, seconds.min(10)).await?);
    }
    if has("messages") {
        sections.extend(messages::messages(&rig, folder.path(), seconds).await?);
    }
    if has("events") {
        sections.extend(events::events(&rig, folder.path(), seconds).await?);
    }
    if has("campaigns") {
        sections.push(campaigns::campaigns(&rig, seconds).await?);
    }
    if let Some(loaded) = &loaded {
        sections.push(latency(&loaded.open, &loaded.most));
        sections.push(processor(&loaded.most, loaded.profile.as_ref(), &loaded.bound, loaded.calls_per_lead));
    }
    if !costs.is_empty() || loaded.is_some() {
        sections.push(table_units(&costs, loaded.as_ref().map(|loaded| &loaded.most)));
    }
    if !costs.is_empty() {
        sections.push(calls_of(&costs));
    }
    if let Some(loaded) = &loaded {
        sections.push(dollars(&costs, &loaded.most, loaded.profile.as_ref()));
        sections.push(store_mix(&loaded.mix, loaded.recorded_leads));
    }
    if has("startup") {
        progress("start-up");
        sections.push(starts(&rig).await?);
    }
    if let Some(Loaded { profile: Ok(profile), .. }) = &loaded {
        sections.push(top(profile));
    }
    if loaded.is_some() {
        sections.push(peers());
    }
    rig.stack.stop().await;
    Ok(sections)
}

async fn one_by_one(rig: &Rig) -> Result<Costs, String> {
    progress("one lead at a time");
    let mut costs = Vec::new();
    for kind in &units::ALL {
        // The first of a kind warms caches; the second counts.
        let number = 10 * costs.len() as u64;
        units::count(rig, kind, number).await?;
        costs.push((kind, units::count(rig, kind, number + 1).await?));
    }
    let _ = rig.owned();
    Ok(costs)
}

async fn load(rig: &Rig, folder: &Path, seconds: u64) -> Result<Loaded, String> {
    let mut open = Vec::new();
    for (at, (rate, limits)) in RATES.into_iter().enumerate() {
        progress(&format!("{rate} leads a second"));
        let pace = Pace::Open { rate };
        open.push((rate, limits, phase(rig, pace, seconds, 10 + at as u64).await?));
    }
    progress("as many leads as it takes");
    let pace = Pace::Closed { connections: CONNECTIONS };
    let _ = phase(rig, pace, 3, 20).await?;
    let most = phase(rig, pace, seconds, 21).await?;

    progress("the same under a profiler");
    let (calls, profile, recorded_leads) = recorded(rig, folder, seconds).await?;
    progress("the store alone");
    let calls_per_lead = calls.iter().filter(|call| raw::is_known(call)).count() as f64 / recorded_leads;
    let mix = raw::by_operation(&calls);
    let bound = raw::replay(rig, calls, seconds.min(15)).await?;
    Ok(Loaded { open, most, profile, calls_per_lead, mix, bound, recorded_leads })
}

async fn phase(rig: &Rig, pace: Pace, seconds: u64, run: u64) -> Result<Phase, String> {
    let _ = (rig.owned(), rig.stack.dynamodb.take_meter());
    let (started, cpu, busy) = (machine::epoch_millis(), machine::cpu(), Busy::read());
    let sent =
        crate::load::run(&Plan { address: rig.address.clone(), pace, seconds, run, mix: Mix::New }).await?;
    if !rig.drain().await {
        return Err("the queues do not run empty".to_owned());
    }
    let others = busy.others(Duration::from_secs_f64(sent.cpu));
    let owned = rig.owned();
    Ok(Phase {
        seconds: (owned.last - started) as f64 / 1e3,
        cpu: machine::cpu() - cpu,
        meter: rig.stack.dynamodb.take_meter(),
        sent,
        owned,
        others,
    })
}

/// A phase at maximum load under the profiler, and the calls of a short one; with the leads of that one.
async fn recorded(
    rig: &Rig,
    folder: &Path,
    seconds: u64,
) -> Result<(Vec<Call>, Result<Profile, String>, f64), String> {
    let pace = Pace::Closed { connections: CONNECTIONS };
    let profiled = profile::record(folder, seconds.min(10));
    let (loaded, data) = tokio::join!(phase(rig, pace, seconds.min(10) + 2, 22), profiled);
    loaded?;
    let profile = match data {
        Ok(data) => profile::read(&data).await,
        Err(why) => Err(why),
    };
    rig.probe.record();
    let loaded = phase(rig, pace, 2, 23).await?;
    Ok((rig.probe.recorded(), profile, loaded.leads()))
}

fn throughput(most: &Phase, bound: &Bound, calls_per_lead: f64) -> Section {
    let mut section = Section::new("THROUGHPUT  (closed loop, file-backed, functions in this process)");
    let rate = most.per_second();
    section.row(
        "leads from HTTP to owner stored",
        format!("{rate:.0} leads/s"),
        format!(
            "{CONNECTIONS} connections, {} leads in {:.1} s, {} refused, queue drained",
            most.owned.millis.len(),
            most.seconds,
            most.sent.failed
        ),
    );
    section.row(
        "leads accepted (202)",
        format!("{:.0} leads/s", most.sent.accepted as f64 / most.sent.seconds),
        "",
    );
    section.row(
        "the store alone",
        format!("{:.0} calls/s", bound.per_second),
        format!("the recorded calls again by SDK clients, 32 at a time, {} failed", bound.failed),
    );
    section.row("calls per lead under load", format!("{calls_per_lead:.2} calls"), "DynamoDB, SQS and SES");
    let most_possible = bound.per_second / calls_per_lead;
    let share = rate / most_possible;
    section.row(
        "share of the store's bound",
        format!("{:.0} %", share * 100.0),
        format!(
            "of {most_possible:.0} leads/s; aim {:.0} %: {}",
            SHARE_OF_STORE * 100.0,
            timed_verdict(share >= SHARE_OF_STORE, most.others)
        ),
    );
    section.row(
        "load generator",
        format!("{:.2} ms/lead", most.sent.cpu * 1e3 / most.leads()),
        "processor time of its own process, on the same two cores",
    );
    section.row(
        "other programs",
        format!("{:.0} %", most.others * 100.0),
        "of all processors during the phase; above 5 % the figures are disturbed",
    );
    section
}

fn latency(open: &[(u64, Limits, Phase)], most: &Phase) -> Section {
    let mut section = Section::new("LATENCY  (p50 / p99)");
    for (rate, limits, phase) in open {
        let sent = &phase.sent;
        section.row(
            format!("accept at {rate}/s"),
            spread(&sent.millis),
            format!(
                "open loop, from the time the post was due; {} of {} accepted",
                sent.accepted,
                sent.accepted + sent.failed
            ),
        );
        let millis = &phase.owned.millis;
        let judged = limits.map(|(p50, p99)| {
            let passed = quantile(millis, 0.5) < p50 && quantile(millis, 0.99) < p99;
            format!("; aim {p50:.0} / {p99:.0} ms: {}", timed_verdict(passed, phase.others))
        });
        section.row(
            format!("post to owner at {rate}/s"),
            spread(millis),
            format!("others used {:.0} %{}", phase.others * 100.0, judged.unwrap_or_default()),
        );
    }
    section.row(
        "accept at maximum load",
        spread(&most.sent.millis),
        format!("closed loop, {CONNECTIONS} connections"),
    );
    section.row(
        "post to owner at maximum load",
        spread(&most.owned.millis),
        "a queue grows: accepting is faster than routing",
    );
    section.note("post to owner: from the lead's `received`, taken when its POST is read, to the metric line written after");
    section.note(
        "its owner is committed (no polling; 1 ms resolution). It holds queue, batch, decision and commit.",
    );
    section
}

fn processor(most: &Phase, profile: Result<&Profile, &String>, bound: &Bound, calls: f64) -> Section {
    let mut section = Section::new("PROCESSOR TIME PER LEAD  (maximum load, notice and mail included)");
    let each = most.cpu.as_secs_f64() * 1e3 / most.leads();
    section.row("this process", format!("{each:.2} ms"), "user and system, load generator not in it");
    profile::split(&mut section, profile, each);
    section.row(
        "SDK and store by calibration",
        format!("{:.2} ms", bound.cpu_micros * calls / 1e3),
        format!(
            "{calls:.1} calls at {:.0} us each in the raw run; the rest is ours and the host's",
            bound.cpu_micros
        ),
    );
    let time: Duration = most.meter.operations.values().map(|operation| operation.time).sum();
    section.row(
        "waiting in the table's store",
        format!("{:.2} ms", time.as_secs_f64() * 1e3 / most.leads()),
        "by its meter: wall time with its lock and its syncs to disk",
    );
    section
}

fn table_units(costs: &[(&units::Kind, units::Cost)], most: Option<&Phase>) -> Section {
    let mut section =
        Section::new("TABLE UNITS PER LEAD  (ConsumedCapacity of the store; index and ledger included)");
    let line = |write: f64, read: f64, trips: f64| format!("{write:.1} W {read:.1} R {trips:.1} calls");
    let spent = |spent: &units::Spent| line(spent.write, spent.read, spent.trips as f64);
    let within = |write: f64, budget: f64| format!("budget {budget:.0} W: {}", verdict(write <= budget));
    for (kind, cost) in costs {
        let budget = kind.budget.map(|budget| within(cost.decided.write, budget));
        section.row(kind.name, spent(&cost.decided), budget.unwrap_or_default());
        if cost.events.trips > 0 {
            let budget = within(cost.events.write, 2.0 * units::EVENT);
            let what = "  its two events, counted";
            section.row(what, spent(&cost.events), format!("on top; {budget}"));
        }
    }
    if let Some((_, cost)) = costs.first() {
        section.row(
            "notice to the owner by mail",
            spent(&cost.notice),
            "on top of each lead that gets an owner",
        );
    }
    let Some(most) = most else { return section };
    let leads = most.leads();
    section.row(
        "average under load, notice included",
        line(
            most.meter.write_units() / leads,
            most.meter.read_units() / leads,
            most.meter.calls() as f64 / leads,
        ),
        "batches share the team's write and the reads",
    );
    section
}

fn calls_of(costs: &[(&units::Kind, units::Cost)]) -> Section {
    let mut section = Section::new("CALLS OF ONE LEAD");
    for (kind, cost) in costs {
        section.row(kind.name, "", "");
        for call in &cost.calls {
            units::row(&mut section, &call.function, call);
        }
    }
    section
}

fn dollars(
    costs: &[(&units::Kind, units::Cost)],
    most: &Phase,
    profile: Result<&Profile, &String>,
) -> Section {
    let mut section = Section::new(
        "DOLLARS PER MILLION LEADS  (on demand, us-east-1, list prices; notices included, mails not)",
    );
    let share = profile.map_or(1.0, profile::functions);
    let cpu = most.cpu.as_secs_f64() * 1e3 / most.leads() * share;
    for (kind, cost) in costs {
        let functions: std::collections::BTreeSet<&str> =
            cost.calls.iter().map(|call| call.function.as_str()).collect();
        let sends = cost.calls.iter().filter(|call| call.operation.starts_with("SendMessage")).count() as f64;
        let usage = Usage {
            write: cost.decided.write + cost.events.write + cost.notice.write,
            read: cost.decided.read + cost.events.read + cost.notice.read,
            // Each message is sent, received and deleted.
            queue: sends * 3.0,
            calls: functions.len() as f64,
            trips: cost.calls.len() as f64,
            cpu,
            http: 1.0,
        };
        let bill = money::bill(usage);
        let parts: Vec<String> =
            bill.iter().map(|(service, dollars)| format!("{service} {dollars:.2}")).collect();
        let total: f64 = bill.iter().map(|(_, dollars)| dollars).sum();
        section.row(kind.name, format!("${total:.2}"), parts.join(", "));
    }
    section.note(format!("{}; a mail for each would add ${:.0}", money::assumptions(), money::mails()));
    section
}

fn store_mix(mix: &BTreeMap<String, usize>, leads: f64) -> Section {
    let mut section = Section::new("CALLS PER LEAD UNDER LOAD  (what the store's bound is made of)");
    for (operation, count) in mix {
        section.row(operation.clone(), format!("{:.2}", *count as f64 / leads), "");
    }
    section
}

async fn starts(rig: &Rig) -> Result<Section, String> {
    let names: Vec<String> = embedded_functions().into_keys().collect();
    let mut packages: Vec<&str> = names.iter().map(String::as_str).collect();
    packages.extend(["sluice", env!("CARGO_PKG_NAME")]);
    let folder = startup::build(&packages)?;
    let template = sluice::cli::local_template()?;
    let spec =
        StackSpec::from_template(&template, &rig.stack.addresses).map_err(|error| error.to_string())?;
    let mut section =
        Section::new("START  (process start to its first GET /runtime/invocation/next; median of 11)");
    let size = |name: &str| {
        let measured = startup::loaded_size(&folder.join(name));
        measured.map_or_else(
            || "size unknown".to_owned(),
            |bytes| format!("{:.2} MB stripped", bytes as f64 / 1e6),
        )
    };
    let hello = startup::ready(&folder.join("hello-function"), &BTreeMap::new()).await?;
    section.row(
        "hello-function",
        format!("{hello:.1} ms"),
        format!("{}; lambda_runtime and nothing else", size("hello-function")),
    );
    for name in &names {
        let function = spec.functions.iter().find(|function| function.name == *name);
        let mut vars = function.map(|function| function.vars.clone()).unwrap_or_default();
        vars.extend(sdk_variables(&rig.stack.addresses));
        let ready = startup::ready(&folder.join(name), &vars).await?;
        section.row(
            name.clone(),
            format!("{ready:.1} ms"),
            format!("{}; {:.1} times hello", size(name), ready / hello),
        );
    }
    let dev = startup::dev(&folder.join("sluice")).await?;
    section.row(
        "sluice dev, first run",
        format!("{dev:.0} ms"),
        format!(
            "empty folder to ready, sample policies published; median of 5; aim {FIRST_RUN:.0} ms: {}",
            verdict(dev < FIRST_RUN)
        ),
    );
    section.note("Built as this benchmark is; a release build has the long link besides and is smaller.");
    Ok(section)
}

fn top(profile: &Profile) -> Section {
    let mut section = Section::new("PROFILE  (self time at maximum load, whoever caused it in the middle)");
    for (group, name, share) in &profile.top {
        section.row(name.clone(), format!("{group} {:.1} %", share * 100.0), "");
    }
    section
}

fn peers() -> Section {
    let mut section =
        Section::new("PEERS  (for context: measured before on a machine of this size, leads stored only)");
    section.row("Parcelvoy", "210 leads/s", "6.2 ms processor time a lead; own measurement, two cores");
    section.row("n8n", "57 leads/s", "25 ms processor time a lead; own measurement, two cores");
    section
}
