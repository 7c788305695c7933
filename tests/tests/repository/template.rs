//! The template says what the code says: routes, variables, the table's keys.

use crate::{files, none, root};
use sluice::cli::{embedded_functions, local_template};
use sluice::template::Template;
use sluice_domain::message::SETTLED_MS;
use sluice_host::outbox::{LONGEST_DELAY_MS, QueueName};
use sluice_store::keys;
use std::collections::{BTreeMap, BTreeSet};

/// What every function has without naming it: how much it logs, and whose metrics they are.
const EVERYWHERE: [&str; 2] = ["SLUICE_LOG", "SLUICE_STACK"];

fn template() -> Template {
    local_template().unwrap()
}

fn texts(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|text| (*text).to_owned()).collect()
}

fn variables() -> BTreeMap<&'static str, BTreeSet<String>> {
    BTreeMap::from([
        ("advance-journey", texts(&advance_journey::VARIABLES)),
        ("capture-lead", texts(&capture_lead::VARIABLES)),
        ("enrich-lead", texts(&enrich_lead::VARIABLES)),
        ("erase-customer", texts(&erase_customer::VARIABLES)),
        ("route-lead", texts(&route_lead::VARIABLES)),
        ("run-campaign", texts(&run_campaign::VARIABLES)),
        ("send-message", texts(&send_message::VARIABLES)),
        ("record-feedback", texts(&record_feedback::VARIABLES)),
        ("fire-timers", texts(&fire_timers::VARIABLES)),
        ("record-engagement", texts(&record_engagement::VARIABLES)),
        ("track-event", texts(&track_event::VARIABLES)),
        ("serve-console", texts(&serve_console::VARIABLES)),
    ])
}

/// Differences between what is declared and what is meant, in words.
fn differences(name: &str, template: &BTreeSet<String>, code: &BTreeSet<String>) -> Vec<String> {
    let missing = code.difference(template).map(|it| format!("{name}: the template lacks {it}"));
    let extra = template.difference(code).map(|it| format!("{name}: only the template has {it}"));
    missing.chain(extra).collect()
}

#[test]
fn the_template_the_command_and_the_variables_name_the_same_functions() {
    let in_template: BTreeSet<String> =
        template().functions.into_iter().map(|function| function.name).collect();
    let in_command: BTreeSet<String> = embedded_functions().into_keys().collect();
    let in_test: BTreeSet<String> = variables().into_keys().map(str::to_owned).collect();
    assert_eq!(in_template, in_command);
    assert_eq!(in_template, in_test);
}

/// `GET /api/health` says from which template a stack was deployed: a digest of the file but for the line that has it.
#[test]
fn the_template_names_itself() {
    let text = std::fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    let (own, others): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.trim_start().starts_with("SLUICE_TEMPLATE:"));
    let digest = ring::digest::digest(&ring::digest::SHA256, others.join("\n").as_bytes());
    let digest: String = digest.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(
        own[0].contains(&format!("\"{digest}\"")),
        "infra/template.yaml changed: its SLUICE_TEMPLATE is now \"{digest}\""
    );
}

#[test]
fn routes_are_those_of_the_functions() {
    let template = template();
    let name_of =
        |id: &str| template.functions.iter().find(|function| function.id == id).unwrap().name.clone();
    let mut declared: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for route in &template.routes {
        declared.entry(name_of(&route.function)).or_default().insert(route.key());
    }
    let served = BTreeMap::from([
        ("capture-lead".to_owned(), texts(&capture_lead::ROUTES)),
        ("record-engagement".to_owned(), texts(&record_engagement::ROUTES)),
        ("track-event".to_owned(), texts(&track_event::ROUTES)),
        (
            "serve-console".to_owned(),
            serve_console::ROUTES
                .iter()
                .map(|route| route.name)
                .chain([serve_console::ELSEWHERE])
                .map(str::to_owned)
                .collect(),
        ),
    ]);
    let mut wrong = Vec::new();
    for name in declared.keys().chain(served.keys()).collect::<BTreeSet<_>>() {
        let empty = BTreeSet::new();
        wrong.extend(differences(
            name,
            declared.get(name).unwrap_or(&empty),
            served.get(name).unwrap_or(&empty),
        ));
    }
    none("routes", wrong);
}

#[test]
fn variables_are_those_that_the_functions_read() {
    let read = variables();
    let mut wrong = Vec::new();
    for function in &template().functions {
        let declared: BTreeSet<String> = function.environment.keys().cloned().collect();
        let mut meant = read[function.name.as_str()].clone();
        meant.extend(texts(&EVERYWHERE));
        wrong.extend(differences(&function.name, &declared, &meant));
    }
    none("variables", wrong);
}

#[test]
fn the_table_has_the_keys_and_the_index_of_the_store() {
    let template = template();
    let [table] = template.tables.as_slice() else { panic!("one table") };
    let text = |name: &str| (name.to_owned(), "S".to_owned());
    let of = |attribute: &sluice::template::KeyAttribute| (attribute.name.clone(), attribute.kind.clone());
    assert_eq!(of(&table.partition), text("pk"));
    assert_eq!(table.sort.as_ref().map(of), Some(text("sk")));
    let [index] = table.indexes.as_slice() else { panic!("one index") };
    assert_eq!(index.name, keys::OPEN_INDEX);
    assert_eq!(of(&index.partition), text("ix"));
    assert_eq!(index.sort.as_ref().map(of), Some(text("ia")));
    assert_eq!(index.projection, "KEYS_ONLY", "the store reads only keys from it");
}

#[test]
fn every_alarm_of_ours_watches_a_metric_that_the_code_writes() {
    let template = std::fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    let lines: Vec<&str> = template.lines().map(str::trim).collect();
    let ours = lines.windows(2).filter(|pair| pair[0] == "Namespace: Sluice");
    let watched: BTreeSet<&str> = ours.filter_map(|pair| pair[1].strip_prefix("MetricName: ")).collect();
    assert!(watched.contains("QueueRefused"), "{watched:?}");
    let code: String = [root().join("functions"), root().join("shared")]
        .iter()
        .flat_map(|folder| files(folder))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let unknown = watched.iter().filter(|name| !code.contains(&format!("(\"{name}\"")));
    none("alarms", unknown.map(|name| format!("nothing writes {name}")).collect());
}

#[test]
fn a_wait_for_room_is_watched_on_every_queue_that_has_one() {
    let template = std::fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    let alarms = template.split("MetricName: RoomWaitSeconds\n").skip(1);
    let watched: Vec<&str> = alarms.filter_map(|alarm| alarm.lines().next()).collect();
    assert_eq!(watched.len(), 3, "{watched:?}");
    for queue in [QueueName::Message, QueueName::Bulk, QueueName::Notice] {
        let dimension = format!("{{ Name: Queue, Value: {} }}", queue.name());
        assert!(watched.iter().any(|line| line.contains(&dimension)), "{dimension}: {watched:?}");
    }
}

#[test]
fn no_alarm_on_a_queues_age_is_set_off_by_what_was_put_there_for_later() {
    let template = std::fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    let alarms = template.split("MetricName: ApproximateAgeOfOldestMessage\n").skip(1);
    let threshold = |alarm: &str| {
        let found = alarm.lines().find_map(|line| line.trim().strip_prefix("Threshold: "));
        found.and_then(|seconds| seconds.parse::<i64>().ok()).unwrap()
    };
    let thresholds: Vec<i64> = alarms.map(threshold).collect();
    assert_eq!(thresholds.len(), QueueName::ALL.len(), "{thresholds:?}");
    let too_soon = thresholds.iter().filter(|seconds| **seconds * 1_000 <= LONGEST_DELAY_MS);
    none("alarms", too_soon.map(|seconds| format!("{seconds} s")).collect());
}

#[test]
fn a_click_is_told_once_no_request_can_take_it_back() {
    // A visit of the same burst comes within a second, and is written down before its request ends.
    const BURST_MS: u64 = 1_000;
    let template = template();
    let asked = template.functions.iter().find(|function| function.name == "record-engagement").unwrap();
    assert!(SETTLED_MS.unsigned_abs() > BURST_MS + u64::from(asked.timeout_seconds) * 1_000);
}

#[test]
fn the_slowest_receiver_leaves_a_message_time_to_be_written_down() {
    // Reading and claiming before, settling and telling after it: calls of the store that take 3 s at most, one of each kind
    // tried twice.
    const OWN_MS: u128 = 5_000;
    let template = template();
    let sender = template.functions.iter().find(|function| function.name == "send-message").unwrap();
    let timeout_ms = u128::from(sender.timeout_seconds) * 1000;
    assert!(send_message::SLOWEST_MS + OWN_MS <= timeout_ms, "{timeout_ms}");
    // A claim outlasts whoever made it, and what runs out in the middle is taken over once.
    assert!(u128::try_from(send_message::CLAIM_MS).unwrap() > timeout_ms, "{timeout_ms}");
}
