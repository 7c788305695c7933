//! How `sluice dev` starts: the first time in a folder, and with the functions as processes of their own.

use crate::command::{Command, ROOT, Sluice, by_hand, sluice_in};
use serde_json::json;
use sluice_tests::stack::http;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder with the project's samples in it and nothing else, as somebody has it who has just got the project.
fn fresh() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(Path::new(ROOT).join("samples"), folder.path().join("samples")).unwrap();
    folder
}

#[tokio::test]
async fn the_first_start_publishes_the_samples_and_says_how_to_post_a_lead_and_see_whose_it_is() {
    let folder = fresh();
    // A Tuesday morning in Berlin, when the samples' people are at work.
    let at = ["--now", "2026-11-24T09:00:00Z"];
    let (sluice, said) = by_hand(folder.path(), &at, "/api/leads/LEAD_ID");
    let files = sluice::cli::read_folder(&folder.path().join("samples/policies")).unwrap();
    let lines = files.iter().flat_map(|file| file.text.lines());
    let documents = lines.filter(|line| line.starts_with("kind: ")).count();
    assert!(said.contains(&format!("Published {documents} policies.")), "{said:#?}");
    let published = sluice.api("GET", "/api/policies", None).await;
    assert_eq!(published["documents"].as_array().map(Vec::len), Some(documents));
    assert!(said[0].contains("(data in .sluice,") && folder.path().join(".sluice").is_dir(), "{said:#?}");

    // The lines as curl reads them.
    let line = |words: &str| said.iter().find(|line| line.contains(words)).unwrap();
    let mut words = line(" -d ").trim().strip_prefix("curl -s ").unwrap().split(' ');
    let target = words.next().unwrap().strip_prefix(&sluice.url).unwrap();
    let fields: Vec<&str> = words.filter(|word| *word != "-d").collect();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted =
        http::request(&sluice.url, "POST", target, &form, fields.join("&").as_bytes()).await.unwrap();
    let lead = posted.lead_id();
    let view = sluice.ended(&lead).await;
    assert_eq!(view["state"], "assigned", "{view:#}");
    let (command, header) = line("LEAD_ID").split_once(" -H ").unwrap();
    let target = command.trim().strip_prefix("curl -s ").unwrap().strip_prefix(&sluice.url).unwrap();
    let bearer = header.trim_matches('\'').split_once(": ").unwrap();
    let target = target.replace("LEAD_ID", &lead);
    let shown = http::request(&sluice.url, "GET", &target, &[bearer], b"").await.unwrap();
    assert_eq!((shown.status, &shown.json()["owner"]), (200, &view["owner"]), "{}", shown.text());
    assert!(view["owner"].is_string(), "{view:#}");
    sluice.kill();

    // The next start finds it all there and publishes nothing.
    let (sluice, said) = by_hand(folder.path(), &at, "/api/leads/LEAD_ID");
    assert!(!said.iter().any(|line| line.starts_with("Published")), "{said:#?}");
    assert_eq!(sluice.api("GET", &target, None).await["owner"], view["owner"]);
    drop(sluice);
    // Where there are no samples it runs all the same, and says what is missing.
    let empty = tempfile::tempdir().unwrap();
    let (_sluice, said) = by_hand(empty.path(), &[], "SMS and chat");
    assert!(said.iter().any(|line| line.starts_with("No policies yet, so there is no form")), "{said:#?}");
}

/// The processes that this one started, by id, each with the name of its program.
fn started_by(process: u32) -> BTreeMap<PathBuf, String> {
    let parent = format!("PPid:\t{process}");
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let is_child = |path: &PathBuf| {
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        status.lines().any(|line| line == parent)
    };
    let named = |path: PathBuf| {
        let program = std::fs::read_link(path.join("exe")).ok()?;
        Some((path, program.file_name()?.to_string_lossy().into_owned()))
    };
    all.filter(is_child).filter_map(named).collect()
}

#[tokio::test]
async fn the_functions_run_as_processes_of_their_own_if_the_command_is_told_so_and_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(folder.path()).with_binaries()).await;
    let lead = sluice.post("email=bin%40person.example&first_name=Bin").await.unwrap().lead_id();
    let view = sluice.ended(&lead).await;
    assert_eq!((&view["state"], &view["reproduced"]), (&json!("assigned"), &json!(true)), "{view:#}");
    let processes = started_by(sluice.process());
    let programs: BTreeSet<&String> = processes.values().collect();
    let functions = sluice::cli::embedded_functions();
    assert_eq!(programs, functions.keys().collect(), "{processes:?}");
    sluice.kill();
    let mut waited = 0;
    while processes.keys().any(|process| process.join("exe").read_link().is_ok()) {
        assert!(waited < 200, "a function outlives the command: {processes:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += 1;
    }
    // Where the binaries are not, that is said.
    let arguments = ["dev", "--port", "0", "--functions", "binaries", "--binaries", "policies"];
    let output = sluice_in(folder.path(), &arguments).await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && complaint.contains("no binary advance-journey"), "{output:?}");
}
