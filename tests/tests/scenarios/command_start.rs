//! How `sluice dev` starts: the first time in a folder, and with the functions as processes of their own.

use crate::command::{Command, ROOT, Sluice, by_hand, sluice_in};
use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use sluice_tests::stack::http::{self, Answer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder with the project's samples in it and nothing else, as somebody has it who has just got the project.
fn fresh() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(Path::new(ROOT).join("samples"), folder.path().join("samples")).unwrap();
    folder
}

/// A line's words as a shell takes them apart: quotes hold one together, and what follows a # is a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::<String>::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_with(String::new);
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None if c == '#' && word.is_none() => break,
            _ => word.get_or_insert_with(String::new).push(c),
        }
    }
    words.extend(word);
    words
}

/// Sends what a line asks curl for, as curl does: with fields it is a form's post.
async fn curl(url: &str, words: &[String]) -> Answer {
    let (mut target, mut headers, mut fields) = (None, Vec::<(&str, &str)>::new(), Vec::<&str>::new());
    let mut rest = words.iter().map(String::as_str);
    assert_eq!(rest.next(), Some("curl"), "{words:?}");
    while let Some(word) = rest.next() {
        match word {
            "-s" => {}
            "-d" => fields.extend(rest.next()),
            "-H" => headers.extend(rest.next().and_then(|header| header.split_once(": "))),
            _ => target = word.strip_prefix(url),
        }
    }
    let target = target.unwrap_or_else(|| panic!("not an address of {url}: {words:?}"));
    let method = if fields.is_empty() { "GET" } else { "POST" };
    if !fields.is_empty() {
        headers.push(("content-type", "application/x-www-form-urlencoded"));
    }
    http::request(url, method, target, &headers, fields.join("&").as_bytes()).await.unwrap()
}

/// What README has somebody type before anything else.
fn first_screen() -> String {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let block = readme.split_once("\n```sh\n").and_then(|(_, rest)| rest.split_once("\n```\n"));
    let (block, _) = block.expect("README says what to type first");
    block.replace("\\\n", "")
}

#[tokio::test]
async fn what_readme_has_somebody_type_first_starts_it_posts_a_lead_and_says_whose_it_is_and_why() {
    let (folder, screen) = (fresh(), first_screen());
    // At no time of its own, as somebody starts it: those for large companies are there at any hour.
    let (sluice, _) = by_hand(folder.path(), &[], "/api/leads/LEAD_ID");
    let (mut done, mut view) = (Vec::new(), Value::Null);
    for line in screen.lines().filter(|line| !line.trim().is_empty()) {
        let lead = view["id"].as_str().unwrap_or("ld_…");
        let typed = line.replace("http://127.0.0.1:8787", &sluice.url).replace("$TOKEN", &sluice.token);
        let typed = words(&typed.replace("ld_…", lead));
        let command: Vec<&str> = typed.iter().map(String::as_str).collect();
        done.push(match command.as_slice() {
            ["cargo", "run"] => "start",
            ["TOKEN=…"] => "token",
            ["curl", ..] if command.contains(&"-d") => {
                let answer = curl(&sluice.url, &typed).await;
                view = sluice.ended(&answer.lead_id()).await;
                // What README says that it answers.
                let said = line.split_once("# ").expect("the answer").1.replace("ld_…", &answer.lead_id());
                assert_eq!(answer.json().to_string(), said);
                assert_eq!(view["state"], "assigned", "{view:#}");
                "post"
            }
            ["cargo", "run", "-q", "--", arguments @ ..] => {
                let output = sluice_in(folder.path(), arguments).await;
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success(), "{output:?}");
                let why = view["why"].as_array().unwrap().iter().map(|why| why.as_str().unwrap());
                let owner = format!("Owner: {}\n", view["owner"].as_str().unwrap());
                let rule = "Rule 4 \"large companies\": matches";
                for part in why.chain([owner.as_str(), rule, "li.wei", "ana.s"]) {
                    assert!(said.contains(part), "{part} is not in {said}");
                }
                "explain"
            }
            ["curl", ..] => {
                let (answer, same) = (curl(&sluice.url, &typed).await, ["id", "owner", "why"]);
                assert_eq!(same.map(|name| answer.json()[name].clone()), same.map(|name| view[name].clone()));
                "json"
            }
            // It is what runs this.
            ["cargo", "test", "--workspace"] => "test",
            _ => panic!("nothing is done with this line: {line}"),
        });
    }
    assert_eq!(done, ["start", "token", "post", "explain", "json", "test"], "{screen}");
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

    let line = |words: &str| said.iter().find(|line| line.contains(words)).unwrap();
    let lead = curl(&sluice.url, &words(line(" -d "))).await.lead_id();
    let view = sluice.ended(&lead).await;
    assert_eq!(view["state"], "assigned", "{view:#}");
    let shown = curl(&sluice.url, &words(&line("LEAD_ID").replace("LEAD_ID", &lead))).await;
    assert_eq!((shown.status, &shown.json()["owner"]), (200, &view["owner"]), "{}", shown.text());
    assert!(view["owner"].is_string(), "{view:#}");
    sluice.kill();

    // The next start finds it all there and publishes nothing.
    let (sluice, said) = by_hand(folder.path(), &at, "/api/leads/LEAD_ID");
    assert!(!said.iter().any(|line| line.starts_with("Published")), "{said:#?}");
    let again = sluice.api("GET", &format!("/api/leads/{lead}"), None).await;
    assert_eq!(again["owner"], view["owner"]);
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

#[tokio::test]
async fn a_browser_at_the_bare_address_is_led_to_the_pages_of_this_machine() {
    let data = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(data.path())).await;
    let ask = async |method: &'static str, accept: &'static str| {
        http::request(&sluice.url, method, "/", &[("accept", accept)], b"").await.unwrap()
    };
    let led = ask("GET", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8").await;
    assert_eq!((led.status, led.header("location")), (303, Some("/_local")));
    for (method, accept) in [("GET", "application/json"), ("GET", "*/*"), ("POST", "text/html")] {
        assert_eq!(ask(method, accept).await.status, 404, "{method} {accept}");
    }
}

#[tokio::test]
async fn the_clock_of_a_stack_is_not_moved_back() {
    let data = tempfile::tempdir().unwrap();
    let start = Timestamp::parse("2026-03-02T09:00:00Z").unwrap();
    let sluice = Sluice::start(&Command::new(data.path()).now(start)).await;
    let back = "/_local/clock?to=2026-03-02T08:00:00Z";
    let refused = http::request(&sluice.url, "POST", back, &[], b"").await.unwrap();
    let said = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(refused.status == 422 && said.contains("only goes on"), "{refused:?}");
    // Whoever asks for the time that it showed when they looked is not told off: it has gone on since.
    let shown = sluice.api("GET", "/_local/clock", None).await;
    let same = format!("/_local/clock?to={}", shown["now"].as_str().unwrap());
    assert_eq!(http::request(&sluice.url, "POST", &same, &[], b"").await.unwrap().status, 200);
}

#[tokio::test]
async fn where_nobody_answers_the_cause_is_said_and_only_of_this_machine_that_a_stack_may_be_started() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (url, cause, is_here) in [
        (format!("http://127.0.0.1:{port}"), "the connection is refused", true),
        (format!("http://localhost:{port}"), "no answer from", true),
        ("https://crm.nobody.invalid".to_owned(), "no address is known by that name", false),
    ] {
        let asked = sluice_in(folder.path(), &["ledger", "--url", &url, "--token", "slt_any"]).await;
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(!asked.status.success() && said.contains(&url) && said.contains(cause), "{said}");
        assert_eq!(said.contains("`sluice dev` starts one"), is_here, "{said}");
    }
}
