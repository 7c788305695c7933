//! Commands as programs read them: one document on stdout, by the stack's clock, of a folder that holds a part.

use crate::command::{Command, Sluice, binaries, sluice_in};
use crate::import::sluice;
use bytes::Bytes;
use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

fn file(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// What is on stdout, which is one JSON document.
fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

async fn apply(run: &Running, dir: &Path, more: &[&str]) -> Output {
    sluice(run, &[&["apply", dir.to_str().unwrap()][..], more].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_holds_a_part_is_applied_beside_what_is_published() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let routing = "kind: routing\nname: default\nrules:\n  - name: everybody\n    assign: { team: sales }\n";
    file(folder.path(), "routing.yaml", routing);
    file(
        folder.path(),
        "ann.json",
        r#"{"kind": "rep", "name": "ann", "full_name": "Ann \ud83d\ude00", "email": "ann@reps.example"}"#,
    );
    let done = apply(&run, folder.path(), &["--json"]).await;
    assert!(done.status.success(), "{done:?}");
    assert_eq!(json_of(&done)["changed"], json!(["rep/ann", "routing/default"]));
    assert_eq!(run.api("GET", "/api/policies/rep/ann", None).await.1["full_name"], "Ann 😀");
    // It is no whole: by itself it is not sound, and nothing is to be left but it.
    let pruned = apply(&run, folder.path(), &["--prune", "--json"]).await;
    assert!(!pruned.status.success() && json_of(&pruned)["valid"] == false, "{pruned:?}");
    let checked = std::process::Command::new(binaries().join("sluice"))
        .args(["validate", folder.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert!(!checked.status.success());
    // Why that is no mistake where the rest is published is said once, whatever is missing.
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(said.matches("looks among what is published").count(), 1, "{said}");
    assert!(!String::from_utf8_lossy(&pruned.stderr).contains("looks among what is published"), "{pruned:?}");
    // What the stack finds has its place as well, and what cannot be read is not even asked.
    for (text, line) in [(routing.replace("sales", "dach"), 5), (routing.replace("assign", "asign"), 5)] {
        file(folder.path(), "routing.yaml", &text);
        let refused = apply(&run, folder.path(), &["--json"]).await;
        let error = &json_of(&refused)["errors"][0];
        assert!(
            !refused.status.success() && error["file"].as_str().unwrap().ends_with("routing.yaml"),
            "{refused:?}"
        );
        assert_eq!(error["line"], line, "{error:#}");
        assert!(error["hint"].is_string(), "what to write instead: {error:#}");
        let refused = apply(&run, folder.path(), &[]).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(&format!("routing.yaml:{line}:")), "{said}");
    }
    run.settle().await;
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_probably_not_meant_of_a_part_is_said_where_it_is_published() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let text = "kind: rep\nname: cy\n---\nkind: team\nname: more\nmembers: [{ rep: ann }, { rep: cy }]\n";
    file(folder.path(), "more.yaml", text);
    let done = apply(&run, folder.path(), &[]).await;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains("1 to look at"), "{said}");
    assert!(said.contains("more.yaml:2:7: cy is told of nothing"), "{said}");
    let again = json_of(&apply(&run, folder.path(), &["--json"]).await);
    assert_eq!(again["warnings"].as_array().map(Vec::len), Some(1), "{again:#}");
    let warning = &again["warnings"][0];
    assert!(warning["file"].as_str().unwrap().ends_with("more.yaml"), "{again:#}");
    assert_eq!((&warning["line"], &warning["column"]), (&json!(2), &json!(7)), "{again:#}");
    assert!(warning["message"].as_str().unwrap().starts_with("cy is told of nothing"), "{again:#}");
    // Of what is no more there is a sentence.
    let field = "kind: rep\nname: cy\n---\nkind: team\nname: more\nmembers: [{ rep: cy }]\n---\n";
    file(folder.path(), "more.yaml", &format!("{field}{POLICIES}").replace("team: sales", "queue: more"));
    assert!(apply(&run, folder.path(), &["--prune"]).await.status.success());
    file(folder.path(), "more.yaml", POLICIES);
    let done = apply(&run, folder.path(), &["--prune"]).await;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("\nteam/more is removed and has a queue: leads that wait"), "{said}");
    run.settle().await;
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_asks_is_answered_with_one_document() {
    // A rep who is told by two channels.
    let hook = Fake::start(|_| (200, json!({}))).await;
    let rep = "name: ann\nemail: ann@reps.example\n";
    let both = format!("{rep}webhook: {{ url: {}, secrets: [env:HOOK] }}\n", hook.url);
    let policies = POLICIES.replacen(rep, &both, 1);
    let run = Setup::policies(policies).var("HOOK", "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0").start().await;
    let mut leads = Vec::new();
    for at in 0..120 {
        leads.push(run.post("contact", &[("email", &format!("p{at}@person.example"))]).await.lead_id());
    }
    run.settle().await;
    let mut hers = BTreeSet::new();
    for id in leads {
        if run.show(&id).await["owner"] == "ann" {
            hers.insert(id);
        }
    }
    let lead = hers.first().expect("a lead of ann");
    let told = sluice(&run, &["explain", "message", &format!("{lead}/ann"), "--json"]).await;
    let told = json_of(&told);
    assert_eq!((&told["lead"], &told["rep"]), (&json!(lead), &json!("ann")));
    assert_eq!(told["messages"].as_array().map(Vec::len), Some(2), "{told:#}");
    let moved = sluice(&run, &["rebalance", "ann", "--json"]).await;
    let moved = json_of(&moved);
    assert_eq!(
        (&moved["rep"], &moved["done"], &moved["cursor"]),
        (&json!("ann"), &json!(false), &Value::Null)
    );
    let named = moved["leads"].as_array().unwrap().iter().map(|row| row["lead"].as_str().unwrap().to_owned());
    assert!(hers.len() > 50, "more than a page of what she was told");
    assert_eq!(named.collect::<BTreeSet<_>>(), hers);
    run.finish().await;
}

const MAIL: &str = "
---
kind: template
name: hello
channel: email
subject: Hello
html: <p>Hello</p>
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_asks_is_answered_in_words_and_a_program_with_each_lead_as_it_is_explained() {
    let run = Setup::policies(format!("{POLICIES}{MAIL}")).start().await;
    let lead = run.lead(&[("email", "ada@person.example"), ("first_name", "Ada")]).await;
    let view = run.show(&lead).await;
    let (customer, owner) = (view["customer"].as_str().unwrap(), view["owner"].as_str().unwrap());
    let order = json!({"customer": customer, "template": "hello", "not_after": "2020-01-01T00:00:00Z"});
    let (_, asked) = run.api("POST", "/api/messages", Some(order)).await;
    let message = asked["message_id"].as_str().unwrap();
    run.settle().await;
    let in_words = async |what: &str, id: &str, parts: &[&str]| {
        let output = sluice(&run, &["explain", what, id]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !said.contains(['{', '}']), "{output:?}");
        for part in parts {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    };
    let (who, whose) =
        (format!("Customer {customer}: Ada, since"), format!("Owner: {owner} of sales, since"));
    let heading = format!("Lead {lead} from contact");
    let mut parts =
        vec![who.as_str(), whose.as_str(), heading.as_str(), "Identities: email ada@person.example"];
    parts.extend(view["why"].as_array().unwrap().iter().map(|why| why.as_str().unwrap()));
    in_words("customer", customer, &parts).await;
    let (_, shown) = run.api("GET", &format!("/api/messages/{message}"), None).await;
    let to = format!("Message {message} to {customer} by email");
    let (state, why) =
        (format!("State: {}", shown["state"].as_str().unwrap()), shown["why"].as_str().unwrap());
    in_words("message", message, &[to.as_str(), state.as_str(), "Template: hello", why, "asked for 2"]).await;
    let told = format!("{lead} told {owner} by email");
    in_words("message", &format!("{lead}/{owner}"), &[told.as_str(), "State: sent", "Attempts: 1"]).await;
    let explained = json_of(&sluice(&run, &["explain", "customer", customer, "--json"]).await);
    assert_eq!(explained["leads"], json!([run.show(&lead).await]));
    run.finish().await;
}

const HELLO: &str = "\
kind: journey
name: hello
trigger: { event: lead_captured }
steps:
  - wait: 1d
  - task: Call them
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journey_of_a_stack_is_played_by_its_clock() {
    let data = tempfile::tempdir().unwrap();
    let start = Timestamp::parse("2031-05-01T08:00:00Z").unwrap();
    let sluice = Sluice::start(&Command::new(data.path()).now(start)).await;
    let files = json!({"files": [{"file": "j.yaml", "text": HELLO}]});
    sluice.api("POST", "/api/policies/apply", Some(files)).await;
    let lead = sluice.post("email=ada@person.example").await.unwrap().lead_id();
    let customer = sluice.ended(&lead).await["customer"].as_str().unwrap().to_owned();
    let played =
        sluice.tool(&["journey", "run", "hello", "--customer", &customer, "--until", "2d", "--json"]);
    let lines = json_of(&played)["lines"].clone();
    assert!(lines[0]["at"].as_str().unwrap().starts_with("2031-05-01T08:"), "{lines:#}");
}

#[tokio::test]
async fn what_to_type_first_is_a_form_that_there_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    file(
        &folder.path().join("policies"),
        "all.yaml",
        &POLICIES.replacen("name: contact\n", "name: signup\n", 1),
    );
    let mut dev = std::process::Command::new(binaries().join("sluice"))
        .args(["dev", "--port", "0", "--data", "data", "--policies", "policies"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(dev.stdout.take().unwrap()).lines().map(Result::unwrap);
    let curl: Vec<String> = lines.filter(|line| line.contains("curl")).take(1).collect();
    assert!(curl[0].contains("/f/demo -d"), "the first by name: {curl:?}");
    dev.kill().unwrap();
    dev.wait().unwrap();
}

#[tokio::test]
async fn a_call_that_met_others_is_repeated_and_one_that_something_is_in_the_way_of_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for (again, calls, is_done) in [(Some("0"), 2, true), (None, 1, false)] {
        let is_free = AtomicBool::new(false);
        let stack = Fake::serve(move |_| {
            let body = Bytes::from(r#"{"detail":"Others are changing it."}"#);
            let answer = http::Response::builder().header("content-type", "application/json");
            let answer = match (is_free.swap(true, Ordering::SeqCst), again) {
                (true, _) => answer.status(200),
                (false, Some(again)) => answer.status(409).header("retry-after", again),
                (false, None) => answer.status(409),
            };
            answer.body(body).unwrap()
        })
        .await;
        let revoke = ["token", "revoke", "tk_any", "--url", &stack.url, "--token", "slt_any"];
        let output = sluice_in(folder.path(), &revoke).await;
        assert_eq!((stack.seen().len(), output.status.success()), (calls, is_done), "{output:?}");
    }
}
