//! The company of the samples, for a whole day: every assignment and every message is as it was, and is so again.

use crate::command::binaries;
use expect_test::expect_file;
use serde_json::{Value, json};
use sluice::cli::{embedded_functions, local_template, read_folder};
use sluice::demo::{Door, Player, Script, Secrets, Stage, Summary};
use sluice::host::spec::{StackSpec, named};
use sluice::host::stack::{Options, Stack};
use sluice_domain::time::Timestamp;
use sluice_tests::stack::mail::Mail;
use sluice_tests::stack::{POLICIES, Setup, http};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples")
}

/// A day that was played.
struct Played {
    stage: Stage,
    told: Vec<String>,
    left_out: Vec<String>,
    summary: Summary,
}

async fn play() -> Played {
    let policies = read_folder(&samples().join("policies")).unwrap();
    let script = Script::read(&samples().join("day")).unwrap();
    let eve = Timestamp::parse("2026-12-01T23:58:00Z").unwrap();
    let stage = Stage::start(&policies, eve, None, 0).await.unwrap();
    let files: Vec<Value> =
        policies.iter().map(|file| json!({"file": file.file, "text": file.text})).collect();
    stage.door.api("POST", "/api/policies/apply", Some(&json!({"files": files}))).await.unwrap();
    let mut player =
        Player::new(stage.door.clone(), stage.secrets.clone(), Some(stage.outside.clone())).await.unwrap();
    assert_eq!(player.day().rfc3339(), "2026-12-02T00:00:00.000Z");
    assert_eq!(player.missing(&script).await.unwrap(), Vec::<String>::new());
    let (mut told, mut left_out) = (Vec::new(), Vec::new());
    for line in &script.lines {
        let one = player.play(line).await.unwrap();
        if one.is_left_out {
            left_out.push(format!("{}: {}", line.key, one.words));
        }
        told.push(one.line());
    }
    player.until(Script::END).await.unwrap();
    let summary = Summary::gather(&stage.door, &script, player.began()).await.unwrap();
    Played { stage, told, left_out, summary }
}

impl Played {
    /// Everything that the day came to, as text in which nothing differs that may.
    fn record(&self) -> String {
        let mut text = String::new();
        let part = |text: &mut String, title: &str, lines: Vec<String>| {
            writeln!(text, "## {title}\n\n{}\n", lines.join("\n")).unwrap();
        };
        part(&mut text, "What happened", self.told.clone());
        part(&mut text, "Every assignment", self.assignments());
        part(&mut text, "Every mail", self.mails());
        part(&mut text, "Every webhook", self.webhooks());
        part(&mut text, "The mails to customers, each wording once", self.wordings());
        writeln!(text, "## What is said at the end\n\n{}", self.summary.page()).unwrap();
        text
    }

    /// By whom each lead was held, and from when on.
    fn assignments(&self) -> Vec<String> {
        let line = |lead: &Value| {
            let words = |pointer: &str| match lead.pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                _ => "-".to_owned(),
            };
            let past = lead["past"].as_array().into_iter().flatten();
            let before: String = past
                .map(|past| format!("{} until {}, ", past["rep"].as_str().unwrap(), time(&past["until"])))
                .collect();
            format!(
                "{} {} {} {}: {before}{} of {} since {}, first contact {}",
                time(&lead["received"]),
                words("/source"),
                if words("/email") == "-" { words("/phone") } else { words("/email") },
                words("/state"),
                words("/owner"),
                words("/assignment/team"),
                time(&lead["assignment"]["at"]),
                time(&lead["contact"]["at"]),
            )
        };
        self.summary.leads().iter().map(line).collect()
    }

    fn mails(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .letters()
            .into_iter()
            .map(|(at, mail)| {
                format!("{} {}: {}", time(&Timestamp(at).rfc3339().into()), mail.to, mail.subject)
            })
            .collect();
        // Which of two of one instant went first is nobody's business.
        lines.sort();
        lines
    }

    /// The text of the mails to customers: of each subject, but for whose name it has, one.
    fn wordings(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut letters = self.letters();
        letters.sort_by(|(a, one), (b, other)| (a, &one.to).cmp(&(b, &other.to)));
        let customers = letters.into_iter().filter(|(_, mail)| !mail.to.ends_with("@example.com"));
        let kept = customers.filter(|(_, mail)| seen.insert(first_link(&mail.text)));
        kept.map(|(_, mail)| format!("### {} to {}\n\n{}", mail.subject, mail.to, masked(&mail.text)))
            .collect()
    }

    fn letters(&self) -> Vec<(i64, Mail)> {
        let ses = &self.stage.stack.ses;
        let read = |id: &str| String::from_utf8_lossy(&ses.read(id).unwrap()).into_owned();
        ses.list().into_iter().map(|mail| (mail.at, Mail::read(&mail.to, &read(&mail.id)))).collect()
    }

    /// How many were told of each kind of happening.
    fn webhooks(&self) -> Vec<String> {
        let mut counts = BTreeMap::<String, usize>::new();
        for body in self.stage.outside.webhooks() {
            *counts.entry(body["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts.into_iter().map(|(kind, n)| format!("{n} of {kind}")).collect()
    }
}

/// `09:30:00` of a time in RFC 3339.
fn time(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), |text| text.chars().skip(11).take(8).collect())
}

/// Links of ours without their tokens and the port.
fn masked(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("http://127.0.0.1:") {
        let (before, link) = rest.split_at(at);
        let end = link.find(|c: char| c.is_whitespace() || ")>".contains(c)).unwrap_or(link.len());
        let purpose = link.splitn(4, '/').nth(3).and_then(|path| path.chars().next()).unwrap_or('?');
        write!(shown, "{before}<link {purpose}>").unwrap();
        rest = &link[end..];
    }
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let end: Vec<&str> = rest.lines().map(str::trim_end).collect();
    format!("{}{}", lines.join("\n"), end.join("\n"))
}

fn first_link(text: &str) -> String {
    text.lines().find(|line| line.contains("shop.example")).unwrap_or(text).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_assignment_and_every_message_of_the_day_is_as_it_was_and_is_so_again() {
    let (day, again) = tokio::join!(play(), play());
    assert_eq!(day.left_out, Vec::<String>::new(), "what the day says cannot be done");
    let record = day.record();
    expect_file!["company_day.txt"].assert_eq(&record);
    assert!(
        record == again.record(),
        "the same day comes out otherwise: {}",
        first_difference(&record, &again.record())
    );

    assert_eq!(day.summary.ledger["adds_up"], true);
    for lead in day.summary.leads() {
        let is_erased = lead["state"] == "erased";
        assert!(is_erased || lead["reproduced"].as_bool() != Some(false), "{lead:#}");
    }
    // The day shows what it is there to show.
    let summary = day.summary.to_json();
    let journeys: BTreeSet<&str> =
        summary["mails"].as_array().unwrap().iter().filter_map(|row| row["journey"].as_str()).collect();
    for journey in ["welcome", "activation", "loyalty", "win-back", "survey"] {
        assert!(journeys.contains(journey), "{journey} in {journeys:?}");
    }
    assert!(summary["waited"].as_array().unwrap().len() > 3 && !summary["story"].is_null());
    assert!(record.contains("欢迎您") && record.contains("Willkommen") && record.contains("Welcome, Denise"));
    for played in [day, again] {
        played.stage.stack.stop().await;
    }
}

fn first_difference(one: &str, other: &str) -> String {
    let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    differs.map_or_else(|| "one is longer".to_owned(), |(one, other)| format!("{one} | {other}"))
}

/// `sluice demo` with a day of these lines.
fn demo(url: &str, token: &str, lines: &[Value]) -> (bool, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("day")).unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.path().join("day/website.ndjson"), text).unwrap();
    let mut process = std::process::Command::new(binaries().join("sluice"));
    process.args(["demo", "--fast", "--json", "--url", url, "--token", token, "--samples"]);
    let output = process.arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_is_played_on_a_running_stack_and_moves_its_clock_if_that_can_be_moved() {
    // A Friday at noon: the next day of work is Monday.
    let friday = Timestamp::parse("2026-03-06T12:00:00Z").unwrap();
    let run = Setup::default().frozen().at(friday).start().await;
    let form = |at: &str, email: &str| json!({"at": at, "form": "contact", "fields": {"name": "Ada", "email": email}});
    let lines = [form("09:00", "ada@person.example"), form("17:30", "bo@person.example")];
    let (url, token) = (run.stack.addresses.url.clone(), run.token.clone());
    let (good, summary, said) = tokio::task::block_in_place(|| demo(&url, &token, &lines));
    assert!(good, "{said}");
    assert_eq!(
        (&summary["day"], &summary["leads"]),
        (&json!("2026-03-09"), &json!({"assigned": 2})),
        "{summary:#}"
    );
    assert_eq!(run.stack.mover().now().rfc3339(), "2026-03-09T23:59:59.000Z");
    assert!(summary["links"]["mail"].as_str().unwrap().starts_with(&url));

    let unknown = [json!({"at": "09:00", "form": "nowhere", "fields": {}})];
    let (good, _, said) = tokio::task::block_in_place(|| demo(&url, &token, &unknown));
    assert!(!good && said.contains("no form nowhere") && said.contains("sluice apply"), "{said}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_stack_that_goes_by_the_machines_clock_things_happen_when_they_are_played() {
    let template = local_template().unwrap();
    let options = Options::in_memory(embedded_functions());
    let stack =
        Stack::start(options, |addresses| StackSpec::from_template(&template, addresses)).await.unwrap();
    let token = stack.secrets.value(&named("AdminTokenSecret")).unwrap();
    let door = Door::new(&stack.addresses.url, token);
    let files = json!({"files": [{"file": "scenario.yaml", "text": POLICIES}]});
    door.api("POST", "/api/policies/apply", Some(&files)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let line = json!({"at": "23:59", "form": "contact", "fields": {"email": "ada@person.example"}});
    std::fs::write(folder.path().join("website.ndjson"), line.to_string()).unwrap();
    let script = Script::read(folder.path()).unwrap();

    let mut player = Player::new(door, Secrets::default(), None).await.unwrap();
    assert!(!player.is_movable());
    let told = loop {
        // The form is known within two seconds.
        let told = player.play(&script.lines[0]).await.unwrap();
        if !told.is_left_out {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(told.words.contains("-> "), "{told:?}");
    let summary = Summary::gather(player.door(), &script, player.began()).await.unwrap();
    assert_eq!(summary.leads.get("assigned"), Some(&1), "{summary:?}");
    let moved = format!("/_local/clock?to={}", player.day().plus_millis(2 * 86_400_000).rfc3339());
    let refused = http::request(&stack.addresses.url, "POST", &moved, &[], b"").await.unwrap();
    assert_eq!(refused.status, 409);
    stack.stop().await;
}
