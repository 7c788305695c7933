//! Where the processor time goes: a sampling profile by `perf`, where it is installed.

use crate::report::Section;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Samples a second and processor.
const RATE: &str = "199";
/// Bytes of stack kept with a sample.
const STACK: &str = "dwarf,16384";

/// Whose code a sample is in: the innermost frame that belongs to one of these crates decides, so that what SQLite or an
/// allocator does counts for whoever asked for it.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "ours",
        &[
            "sluice_domain",
            "sluice_wire",
            "sluice_store",
            "sluice_host",
            "capture_lead",
            "enrich_lead",
            "erase_customer",
            "route_lead",
            "send_message",
            "record_feedback",
            "track_event",
            "advance_journey",
            "run_campaign",
            "fire_timers",
            "record_engagement",
            "serve_console",
        ],
    ),
    ("SDK", &["aws_sdk", "aws_smithy", "aws_sigv4", "aws_runtime", "aws_types", "aws_credential"]),
    ("store", &["sluice_services", "dynoxide", "rusqlite", "libsqlite3_sys"]),
    ("host", &["sluice", "axum", "hyper", "sluice_bench", "lambda_runtime"]),
];

/// Shares of the samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    /// Samples.
    pub(crate) samples: usize,
    /// Share of each group; what belongs to none is `runtime`.
    pub(crate) groups: BTreeMap<String, f64>,
    /// Functions by self time: group, name, share.
    pub(crate) top: Vec<(String, String, f64)>,
}

/// Samples this process for so many seconds; the file with the samples.
pub(crate) async fn record(folder: &Path, seconds: u64) -> Result<PathBuf, String> {
    let data = folder.join("perf.data");
    let path = data.display().to_string();
    let (me, time) = (std::process::id().to_string(), seconds.to_string());
    let record =
        ["record", "-q", "-F", RATE, "--call-graph", STACK, "-p", &me, "-o", &path, "--", "sleep", &time];
    let status = Command::new("perf").args(record).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    match status.map_err(|error| format!("perf: {error}"))?.success() {
        true => Ok(data),
        false => Err("perf may not record here".to_owned()),
    }
}

/// Reads the samples.
pub(crate) async fn read(data: &Path) -> Result<Profile, String> {
    let path = data.display().to_string();
    let script = ["script", "-i", &path, "--no-inline", "-F", "ip,sym"];
    let output = Command::new("perf").args(script).stderr(Stdio::null()).output().await;
    let output = output.map_err(|error| format!("perf: {error}"))?;
    let _ = std::fs::remove_file(data);
    Ok(sum_up(&String::from_utf8_lossy(&output.stdout)))
}

/// The share of what AWS would bill as the functions' own.
pub(crate) fn functions(profile: &Profile) -> f64 {
    ["ours", "SDK", "runtime"].iter().filter_map(|group| profile.groups.get(*group)).sum()
}

/// Splits so many milliseconds of processor time by whose they are.
pub(crate) fn split(section: &mut Section, profile: Result<&Profile, &String>, millis: f64) {
    let profile = match profile {
        Ok(profile) => profile,
        Err(why) => return section.note(format!("not split: {why}")),
    };
    for (group, what) in [
        ("ours", "functions/* and shared/*"),
        ("SDK", "AWS SDK clients: building, signing, retry layers, reading answers"),
        ("store", "embedded table, queues and mail, with SQLite and its syncs"),
        ("host", "front door, pollers, event payloads (AWS does these)"),
        ("runtime", "tokio, allocation and kernel outside of the above"),
    ] {
        let share = profile.groups.get(group).copied().unwrap_or(0.0);
        section.row(
            format!("  {group}"),
            format!("{:.2} ms", share * millis),
            format!("{:.0} %: {what}", share * 100.0),
        );
    }
    section.note(format!(
        "split by {} samples of perf: a sample belongs to the innermost frame of a known crate",
        profile.samples
    ));
}

fn sum_up(text: &str) -> Profile {
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    let mut leaves: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut samples = 0;
    for sample in text.split("\n\n").filter(|sample| !sample.trim().is_empty()) {
        let symbol = |line: &str| line.trim().split_once(' ').map(|(_, symbol)| symbol.trim().to_owned());
        let frames: Vec<String> = sample.lines().filter_map(symbol).collect();
        let Some(leaf) = frames.first() else { continue };
        samples += 1;
        let group = frames.iter().find_map(|frame| group(frame)).unwrap_or("runtime").to_owned();
        *groups.entry(group.clone()).or_default() += 1;
        *leaves.entry((group, shorten(leaf))).or_default() += 1;
    }
    let share = |n: usize| n as f64 / samples.max(1) as f64;
    let mut top: Vec<_> = leaves.into_iter().map(|((group, leaf), n)| (group, leaf, share(n))).collect();
    top.sort_by(|a, b| b.2.total_cmp(&a.2));
    top.truncate(15);
    Profile { samples, groups: groups.into_iter().map(|(group, n)| (group, share(n))).collect(), top }
}

/// The group of a symbol, by the first crate that it names.
fn group(symbol: &str) -> Option<&'static str> {
    let start = symbol.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    let name = start.strip_prefix("dyn ").unwrap_or(start).split("::").next().unwrap_or_default();
    let is_of = |known: &&str| name == *known || known.starts_with("aws_") && name.starts_with(known);
    GROUPS.iter().find(|(_, crates)| crates.iter().any(is_of)).map(|(group, _)| *group)
}

/// A symbol without its hash and type arguments.
fn shorten(symbol: &str) -> String {
    let symbol =
        symbol.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(symbol, |(name, _)| name);
    let mut depth = 0;
    let kept: String = symbol
        .trim_start_matches('<')
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '<');
            let keep = depth == 0;
            depth -= i32::from(*c == '>' && depth > 0);
            keep
        })
        .collect();
    kept.chars().take(70).collect()
}
