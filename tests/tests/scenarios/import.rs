//! `sluice import` as a process: each row once whatever is killed, nothing told, and a batch taken back as if it had
//! never been.

use crate::campaigns::store;
use crate::command::{Command, Sluice, binaries};
use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_store::Chunk;
use sluice_tests::needs;
use sluice_tests::stack::door::Door;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
pub(crate) const HEADERS: &str = "first_name,E-Mail,phone,company,note\n";

fn tool(url: &str, token: &str, arguments: &[&str]) -> std::process::Command {
    let mut process = std::process::Command::new(binaries().join("sluice"));
    process.args(arguments).args(["--url", url]).env("SLUICE_TOKEN", token);
    process.stdin(Stdio::null());
    process
}

/// Runs `sluice` with these arguments against a stack of this process; what it asks and hears is as the contract says.
pub(crate) async fn sluice(run: &Running, arguments: &[&str]) -> Output {
    let door = Door::before(&run.stack.addresses.url).await;
    let mut process = tool(&door.url, &run.token, arguments);
    let output = tokio::task::spawn_blocking(move || process.output().unwrap()).await.unwrap();
    door.shut();
    output
}

/// The same with `--json`; it must succeed.
pub(crate) async fn answer(run: &Running, arguments: &[&str]) -> Value {
    let output = sluice(run, &[arguments, &["--json"]].concat()).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// So many people, a row each.
pub(crate) fn people(n: usize) -> String {
    let mut csv = HEADERS.to_owned();
    for at in 0..n {
        writeln!(csv, "Ada {at},ada{at}@file.example,,Mill {at},").unwrap();
    }
    csv
}

type Table = BTreeMap<(String, String), Value>;

/// The table without what is kept of imports themselves, and without versions, which only ever grow.
fn compared(run: &Running) -> Table {
    let mut table = run.table();
    // What was done is written down, also that it was undone.
    table.retain(|(pk, _), _| !pk.starts_with("import") && pk != "audit");
    // An address that was let go of and of which nothing is known is as good as none.
    table.retain(|(pk, _), item| !pk.starts_with("ad#") || item.as_object().unwrap().len() > 2);
    for ((pk, _), item) in &mut table {
        if pk.starts_with("cu_") || pk.starts_with("ld_") {
            item.as_object_mut().unwrap().remove("v");
        }
    }
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_is_a_lead_once_its_person_is_known_and_nobody_is_told() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let known = run.lead(&[("email", "ada3@file.example")]).await;
    let (told, owner) = (run.mails().len(), run.show(&known).await["owner"].clone());
    let leads = file(folder.path(), "people.csv", people(450));
    let done = answer(&run, &["import", text(&leads), "--form", "contact"]).await;
    assert_eq!(
        (&done["rows"], &done["new"], &done["refused"]),
        (&json!(450), &json!(450), &json!(0)),
        "{done:#}"
    );
    assert_eq!(done["customers"], json!({"new": 449, "known": 1}));
    run.settle().await;
    let ledger = run.ledger().await;
    let batch = done["batch"].as_str().unwrap();
    assert_eq!((&ledger["accepted"], &ledger["ended"]["imported"]), (&json!(451), &json!(450)), "{ledger:#}");
    assert_eq!(ledger["imports"][batch], json!({"accepted": 450, "imported": 450}));
    assert_eq!(run.mails().len(), told, "somebody was told");
    assert_eq!(run.live_customers().len(), 450);

    let (_, found) = run.lookup(json!({"email": "ada3@file.example"})).await;
    assert_eq!(
        (&found["lead_count"], &found["owner"]["rep"]),
        (&json!(2), &owner),
        "the owner stays: {found:#}"
    );
    let (_, found) = run.lookup(json!({"email": "ada7@file.example"})).await;
    assert_eq!((&found["owner"], &found["profile"]["company"]["value"]), (&Value::Null, &json!("Mill 7")));
    let id = found["leads"][0]["id"].as_str().unwrap();
    let explained = sluice(&run, &["explain", "lead", id]).await;
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains(&format!("Imported by batch {batch}, row 8")), "{explained}");

    let before = run.table();
    let again = answer(&run, &["import", text(&leads), "--form", "contact"]).await;
    assert_eq!((&again["new"], &again["known"]), (&json!(0), &json!(450)), "{again:#}");
    assert!(run.table() == before, "the same file again changes nothing");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    run.lead(&[("email", "known@file.example")]).await;
    let rows = "vorname;your_full_name;business_email;Hinweis;created_at\n\
        A;A B;known@file.example;x;2026-01-05\nA;A B;known@file.example;x;2026-01-05\n\
        C;C D;nothing like it;y;\nE;E F;KNOWN@file.example;z;\n;;;;\nG;too few\n";
    let leads = file(folder.path(), "rows.csv", rows);
    let before = run.table();
    let report = answer(&run, &["import", text(&leads), "--form", "demo", "--dry-run"]).await;
    run.settle().await;
    assert!(run.table() == before, "a dry run left something");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no file beside it");
    let counts = [("rows", 6), ("usable", 4), ("new", 4), ("known", 0), ("refused", 2)];
    for (what, n) in counts {
        assert_eq!(report[what], n, "{what}: {report:#}");
    }
    assert_eq!(report["read_as"], json!({"format": "csv", "encoding": "UTF-8", "delimiter": ";"}));
    assert_eq!(report["flags"], json!({"email_invalid": 1, "no_identity": 1}));
    assert_eq!(report["duplicates"], json!({"identical": 1, "same_email": 1}));
    assert_eq!(report["customers"], json!({"new": 1, "known": 3}));
    let columns = json!({
        "vorname": "first_name", "your_full_name": "full_name", "business_email": "email", "Hinweis": "other",
        "created_at": "submitted_at",
    });
    assert_eq!(report["columns"], columns);
    assert_eq!(report["unknown_columns"], json!(["Hinweis"]));
    assert_eq!(report["to_mend"][0]["row"], 5, "{report:#}");
    let said = sluice(&run, &["import", text(&leads), "--form", "demo", "--dry-run"]).await;
    assert!(String::from_utf8_lossy(&said.stdout).contains("nothing was written"), "{said:?}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_read_are_put_aside_and_come_in_once_mended() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, rows, mend) in [
        (
            "a.csv",
            format!("{HEADERS}A,a@file.example,,,\nB,b@file.example\nC,c@file.example,,,\n"),
            ("b@file.example", "b@file.example,,,"),
        ),
        (
            "b.ndjson",
            "{\"email\":\"d@file.example\"}\n{\"email\":\"e@file.example\",,}\n".to_owned(),
            ("", ""),
        ),
    ] {
        let leads = file(folder.path(), name, rows);
        let arguments = ["import", text(&leads), "--form", "contact", "--batch", &name.replace('.', "-")];
        let done = answer(&run, &arguments).await;
        assert_eq!(done["refused"], 1, "{done:#}");
        let aside = done["errors"].as_str().unwrap().to_owned();
        assert!(aside.contains(".errors."), "{aside}");
        let rows = std::fs::read_to_string(&aside).unwrap();
        assert!(rows.contains("sluice_reason"), "{rows}");
        let mended = match mend.0 {
            "" => "{\"sluice_row\":2,\"email\":\"e@file.example\"}\n".to_owned(),
            from => rows.replace(from, mend.1),
        };
        std::fs::write(&aside, mended).unwrap();
        let arguments = ["import", &aside, "--form", "contact", "--batch", &name.replace('.', "-")];
        let done = answer(&run, &arguments).await;
        assert_eq!((&done["new"], &done["refused"]), (&json!(1), &json!(0)), "{done:#}");
    }
    for email in ["a", "b", "c", "d", "e"] {
        let (status, _) = run.lookup(json!({"email": format!("{email}@file.example")})).await;
        assert_eq!(status, 200, "{email}");
    }
    assert_eq!(run.ledger().await["ended"]["imported"], 5);
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_taken_back_leaves_the_table_as_it_was() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    run.lead(&[("email", "one@person.example"), ("first_name", "One")]).await;
    run.lead(&[("phone", "+4930901820")]).await;
    run.lead(&[("email", "two@person.example"), ("phone", "+4930901821"), ("company", "Two")]).await;
    run.settle().await;
    let before = compared(&run);
    // New people, one of them twice and one known; two that become one; an office's number with somebody else.
    let mut rows = people(30);
    rows.push_str("Again,ada3@file.example,+4930901899,,once more\nOne,one@person.example,,One Ltd,\n");
    rows.push_str("One,one@person.example,+4930901820,,joins\nThree,three@file.example,+4930901821,,\n");
    rows.push_str(",,,,nobody to recognise\n");
    let leads = file(folder.path(), "batch.csv", rows);
    let done = answer(&run, &["import", text(&leads), "--form", "contact"]).await;
    assert_eq!((&done["new"], &done["refused"]), (&json!(35), &json!(0)), "{done:#}");
    let (_, one) = run.lookup(json!({"phone": "+4930901820"})).await;
    assert_eq!(one["lead_count"], 4, "joined by the file: {one:#}");
    let batch = done["batch"].as_str().unwrap().to_owned();
    let back = answer(&run, &["import", "revert", &batch]).await;
    assert_eq!((&back["leads"], &back["left"]), (&json!(35), &json!([])), "{back:#}");
    let after = compared(&run);
    for key in before.keys().chain(after.keys()) {
        assert_eq!(before.get(key), after.get(key), "{key:?}");
    }
    let again = answer(&run, &["import", "revert", &batch]).await;
    assert_eq!(again["leads"], 0, "{again:#}");
    assert!(compared(&run) == before);
    // What was taken back can come in again.
    let done = answer(&run, &["import", text(&leads), "--form", "contact"]).await;
    assert_eq!(done["new"], 35, "{done:#}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_begun_with_while_their_batch_is_taken_back_are_come_by_before_it_has_ended() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let leads = file(folder.path(), "fair.csv", people(3));
    let import = ["import", text(&leads), "--form", "contact", "--batch", "fair"];
    answer(&run, &import).await;
    let state = async || run.api("GET", "/api/imports/fair", None).await.1["state"].clone();
    let back = async |cursor: &str| {
        let asked = json!({ "cursor": cursor });
        let (status, done) = run.api("POST", "/api/imports/fair/revert", Some(asked)).await;
        assert_eq!(status, 200, "{done:#}");
        (done["leads"].clone(), done["cursor"].clone(), done["wait"].as_u64())
    };
    // Rows behind where it goes on, all of which are in.
    assert_eq!(back("1000").await, (json!(0), json!("1"), None));
    // Somebody begins with them again just as they are forgotten.
    let conflict = (400, "ConditionalCheckFailedException");
    run.refusals.refuse("serve-console", "DynamoDB_20120810.DeleteItem", 1, conflict);
    assert_eq!(back("1").await, (json!(3), json!("1"), None));
    assert_eq!((back("1").await, state().await), ((json!(0), Value::Null, None), json!("reverted")));

    // Somebody who had found the batch open writes down rows behind where it goes on.
    answer(&run, &import).await;
    assert_eq!(back("1000").await, (json!(0), json!("1"), None));
    let chunk = Chunk::new(&[7, 8], run.stack.clock.now());
    assert_eq!(store(&run).begin_chunk("fair", &chunk).await.unwrap(), None);
    assert_eq!(back("1").await.1, json!("7"), "they may be coming in");
    let (_, cursor, wait) = back("1000").await;
    assert!(cursor == "7" && wait.is_some_and(|wait| (1..=61).contains(&wait)), "{cursor} {wait:?}");
    assert_eq!(state().await, "reverting");
    run.pass(Duration::from_secs(61)).await;
    let done = answer(&run, &["import", "revert", "fair"]).await;
    assert_eq!((&done["left"], state().await), (&json!([]), json!("reverted")), "{done:#}");
    assert_eq!(answer(&run, &import).await["new"], 3);
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routed_leads_get_an_owner_and_a_notice_only_if_asked_and_stay_if_worked_on() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let quiet = file(folder.path(), "quiet.csv", people(6));
    let done = answer(&run, &["import", text(&quiet), "--form", "contact", "--route"]).await;
    run.settle().await;
    assert_eq!(run.ledger().await["ended"]["assigned"], 6);
    assert_eq!(run.mails().len(), 0, "nobody was to be told");
    let (_, page) = run.api("GET", "/api/leads?owner=ann", None).await;
    let mine = page["leads"].as_array().unwrap().clone();
    assert_eq!(mine.len(), 3, "the rep's list has them: {page:#}");

    let loud = format!("{HEADERS}Bo,loud@file.example,,,\n");
    let loud = file(folder.path(), "loud.csv", loud);
    answer(&run, &["import", text(&loud), "--form", "contact", "--route", "--notify"]).await;
    run.settle().await;
    assert_eq!(run.mails().len(), 1);

    let kept: BTreeSet<&str> = mine.iter().filter_map(|lead| lead["id"].as_str()).collect();
    for lead in &kept {
        let (status, _) = run.api("POST", &format!("/api/leads/{lead}/accept"), Some(json!({}))).await;
        assert_eq!(status, 200);
    }
    let back = answer(&run, &["import", "revert", done["batch"].as_str().unwrap()]).await;
    run.settle().await;
    assert_eq!(back["leads"], 3, "{back:#}");
    let left = back["left"].as_array().unwrap();
    assert!(left.iter().all(|left| left["why"] == "worked_on"), "{back:#}");
    assert_eq!(left.iter().filter_map(|left| left["lead"].as_str()).collect::<BTreeSet<_>>(), kept);
    let ledger = run.ledger().await;
    assert_eq!((&ledger["accepted"], &ledger["adds_up"]), (&json!(4), &json!(true)), "{ledger:#}");
    let team: Value = run.table()[&("team#sales".to_owned(), "t".to_owned())]["d"]["S"].clone();
    let team: Value = serde_json::from_str(team.as_str().unwrap()).unwrap();
    let open: u64 = team["m"].as_object().unwrap().values().map(|member| member["o"].as_u64().unwrap()).sum();
    assert_eq!(open, 4, "places came free: {team:#}");
    // The other member's leads never were: they are due first, until both have had as many.
    let mut dealt: BTreeMap<String, u64> = BTreeMap::new();
    for n in 0..6 {
        run.lead(&[("email", &format!("next{n}@person.example"))]).await;
    }
    for id in run.leads() {
        let lead = run.show(&id).await;
        *dealt.entry(lead["owner"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let (most, least) = (dealt.values().max().unwrap(), dealt.values().min().unwrap());
    assert!(dealt.len() == 2 && most - least <= 1, "{dealt:?}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_claims_a_lead_of_a_quiet_import_is_told_and_a_company_of_one_that_is_taken_back_has_no_owner() {
    let documents = "kind: form\nname: contact\n---\nkind: rep\nname: ann\nemail: ann@reps.example\n---\n\
        kind: team\nname: sdr\nmembers: [{ rep: ann }]\nresponse: { within: 10m }\n---\n\
        kind: routing\nname: default\nrules:\n  - { name: company, assign: { owner: company } }\n  \
        - { name: named, when: 'has(lead.fields.company)', assign: { rep: ann } }\n  - { name: rest, assign: { queue: sdr } }\n";
    let run = Setup::policies(documents.to_owned()).start().await;
    let folder = tempfile::tempdir().unwrap();
    let rows = format!("{HEADERS}Ada,ada@mill.example,,Mill,\nBo,bo@other.example,,,\n");
    let rows = file(folder.path(), "rows.csv", rows);
    let done = answer(&run, &["import", text(&rows), "--form", "contact", "--route"]).await;
    run.settle().await;
    let (_, waiting) = run.api("GET", "/api/leads?state=queued", None).await;
    let queued = waiting["leads"][0]["id"].as_str().unwrap();
    assert_eq!(run.mails().len(), 0, "nobody was to be told");
    let (status, _) =
        run.api("POST", &format!("/api/leads/{queued}/claim"), Some(json!({"rep": "ann"}))).await;
    assert_eq!(status, 200);
    run.settle().await;
    assert_eq!(run.mails().len(), 1, "what people do is told");
    assert_eq!(run.show(queued).await["clock"]["running"], true);

    let back = answer(&run, &["import", "revert", done["batch"].as_str().unwrap()]).await;
    assert_eq!(back["leads"], 1, "{back:#}");
    let first = run.lead(&[("email", "cara@mill.example")]).await;
    let view = run.show(&first).await;
    assert!(view["why"].to_string().contains("the company has no owner"), "{view:#}");
    run.pass(Duration::from_secs(700)).await;
    run.fire_timers().await;
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_while_its_person_is_being_erased_goes_with_the_person() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let person = [("email", "merula@file.example"), ("first_name", "Merula")];
    run.lead(&person).await;
    let row = file(folder.path(), "row.csv", format!("{HEADERS}Merula,merula@file.example,,,\n"));
    let done = answer(&run, &["import", text(&row), "--form", "contact"]).await;
    run.lead(&[person[0], person[1], ("message", "once more")]).await;
    let (_, customer) = run.lookup(json!({"email": "merula@file.example"})).await;
    assert_eq!(customer["lead_count"], 3, "{customer:#}");
    let id = customer["id"].as_str().unwrap();
    // Whoever erases has not come to any of the leads yet.
    run.refusals.refuse("erase-customer", "DynamoDB_", usize::MAX, (500, "InternalServerError"));
    let (status, erasure) = run.api("DELETE", &format!("/api/customers/{id}"), None).await;
    assert_eq!(status, 202);
    let back = answer(&run, &["import", "revert", done["batch"].as_str().unwrap()]).await;
    assert_eq!((&back["leads"], &back["left"]), (&json!(0), &json!([])), "{back:#}");
    run.refusals.lift();
    for _ in 0..2 {
        run.pass(Duration::from_secs(400)).await;
        run.fire_timers().await;
    }
    let (_, erasure) = run.api("GET", erasure["look"].as_str().unwrap(), None).await;
    assert_eq!((&erasure["state"], &erasure["leads"]), (&json!("erased"), &json!(3)), "{erasure:#}");
    let left: Vec<_> = run
        .table()
        .into_iter()
        .filter(|(_, item)| item.to_string().to_lowercase().contains("merula"))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    run.finish().await;
}

/// Keys of customers' partitions, of those that have a record or of those that have none.
fn kept(run: &Running, with_record: bool) -> Vec<(String, String)> {
    let table = run.table();
    let has_record = |pk: &str| table.contains_key(&(pk.to_owned(), "c".to_owned()));
    let keys = table.keys().filter(|(pk, _)| pk.starts_with("cu_") && has_record(pk) == with_record);
    keys.cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_followed_from_a_lead_goes_with_the_record_that_it_brought() {
    let journey = "---\nkind: journey\nname: greet\ntrigger: { event: lead_captured }\nsteps:\n  - tag: fresh\n  - wait: 1h\n";
    let run = Setup::policies(format!("{POLICIES}{journey}")).start().await;
    let folder = tempfile::tempdir().unwrap();
    let leads = file(folder.path(), "fair.csv", people(3));
    let arguments = ["import", text(&leads), "--form", "contact", "--route", "--notify", "--batch", "fair"];
    // The second time it is as if they had never been: they are greeted again.
    for _ in 0..2 {
        answer(&run, &arguments).await;
        run.settle().await;
        let all = kept(&run, true);
        let count = |kind: &str| all.iter().filter(|(_, sk)| sk.starts_with(kind)).count();
        assert_eq!((count("r#"), count("s"), count("e#") >= 6), (3, 3, true), "{all:#?}");
        let back = answer(&run, &["import", "revert", "fair"]).await;
        assert_eq!((&back["leads"], &back["customers"]), (&json!(3), &json!(3)), "{back:#}");
        run.settle().await;
        assert_eq!((kept(&run, true), kept(&run, false)), (Vec::new(), Vec::new()));
    }
    run.pass(Duration::from_secs(3_700)).await;
    run.fire_timers().await;
    assert_eq!(kept(&run, false), Vec::new());
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_of_one_file_at_once_bring_each_row_once() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut rows = people(240);
    // Many rows of one person, spread over the file.
    for at in 0..20 {
        writeln!(rows, "Ada,same@file.example,,,visit {at}").unwrap();
    }
    let leads = file(folder.path(), "people.csv", rows);
    let arguments = ["import", text(&leads), "--form", "contact"];
    let (one, other) = tokio::join!(answer(&run, &arguments), answer(&run, &arguments));
    let new = |done: &Value| done["new"].as_u64().unwrap();
    assert!(new(&one) + new(&other) >= 260, "{one:#} {other:#}");
    assert_eq!((&one["usable"], &other["usable"]), (&json!(260), &json!(260)));
    let ledger = run.ledger().await;
    assert_eq!((&ledger["accepted"], &ledger["ended"]["imported"]), (&json!(260), &json!(260)), "{ledger:#}");
    let (_, same) = run.lookup(json!({"email": "same@file.example"})).await;
    assert_eq!(same["lead_count"], 20, "{same:#}");
    assert_eq!(run.live_customers().len(), 241);
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_command_and_stack_each_row_comes_in_once() {
    const N: usize = 1_500;
    let folder = tempfile::tempdir().unwrap();
    let leads = file(folder.path(), "people.csv", people(N));
    let arguments = ["import", text(&leads), "--form", "contact"];
    let mut sluice = Sluice::start(&Command::new(folder.path())).await;
    let mut kills = 0;
    loop {
        let mut command = tool(&sluice.url, &sluice.token, &arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if kills >= 6 {
            assert!(child.wait().unwrap().success());
            break;
        }
        tokio::time::sleep(Duration::from_millis(60 + 90 * kills)).await;
        if kills % 2 == 1 {
            sluice.kill();
            child.kill().unwrap();
            child.wait().unwrap();
            sluice = Sluice::start(&Command::new(folder.path())).await;
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        kills += 1;
    }
    let ledger = sluice.api("GET", "/api/ledger", None).await;
    assert_eq!((&ledger["accepted"], &ledger["ended"]["imported"]), (&json!(N), &json!(N)), "{ledger:#}");
    assert_eq!(ledger["adds_up"], true);
    let view =
        sluice.api("POST", "/api/customers/lookup", Some(json!({"email": "ada77@file.example"}))).await;
    assert_eq!(view["lead_count"], 1, "{view:#}");

    // Taking it back is killed, too.
    let list = sluice.tool(&["import", "list", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let batch = list[0]["batch"].as_str().unwrap().to_owned();
    for round in 0..3 {
        let mut child = tool(&sluice.url, &sluice.token, &["import", "revert", &batch]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(150 + 200 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        if round == 1 {
            sluice.kill();
            sluice = Sluice::start(&Command::new(folder.path())).await;
        }
    }
    let back = sluice.tool(&["import", "revert", &batch]);
    assert!(back.status.success(), "{back:?}");
    let ledger = sluice.api("GET", "/api/ledger", None).await;
    assert_eq!((&ledger["accepted"], &ledger["adds_up"]), (&json!(0), &json!(true)), "{ledger:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_samples_come_in_as_their_readme_says() {
    let mut policies = String::new();
    for name in ["calendars", "forms", "reps", "teams", "territories", "routing", "settings"] {
        let text = std::fs::read_to_string(format!("{ROOT}/samples/policies/{name}.yaml")).unwrap();
        writeln!(policies, "{text}\n---").unwrap();
    }
    let after = Timestamp::parse("2026-10-05T08:00:00Z").unwrap();
    let run = Setup::policies(policies.trim_end().trim_end_matches("---")).at(after).start().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, imported, repeats, refused, flag) in
        [("trade-fair.csv", 4, 1, 1, "email_invalid"), ("newsletter.ndjson", 3, 0, 1, "no_identity")]
    {
        let before = run.ledger().await;
        let aside = folder.path().join(name);
        let sample = format!("{ROOT}/samples/imports/{name}");
        let done = answer(&run, &["import", &sample, "--form", "contact", "--errors", text(&aside)]).await;
        assert_eq!(done["refused"], refused, "{done:#}");
        assert!(done["flags"][flag].as_u64() >= Some(1), "{done:#}");
        let after = run.ledger().await;
        let more =
            |state: &str| after["ended"][state].as_u64().unwrap() - before["ended"][state].as_u64().unwrap();
        assert_eq!((more("imported"), more("repeat")), (imported, repeats), "{name}: {after:#}");
    }
    let (_, ingrid) = run.lookup(json!({"email": "ingrid.sorensen@fjordkraft.example.com"})).await;
    let lead = run.show(ingrid["leads"][0]["id"].as_str().unwrap()).await;
    assert_eq!(lead["attribution"]["created_at"], "2026-09-14T10:20:00.000Z", "{lead:#}");
    assert!(lead["fields"].as_array().unwrap().iter().any(|field| field[0] == "Met at"), "{lead:#}");
    run.finish().await;
}

/// Runs a program on a terminal of its own and prints what that shows.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_a_bar_shows_how_far_it_is_and_goes_when_all_is_done() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let leads = file(folder.path(), "people.csv", people(450));
    let mut process = tokio::process::Command::new("python3");
    process.args(["-c", TERMINAL]).arg(binaries().join("sluice"));
    process.args(["import", text(&leads), "--form", "contact", "--url", &run.stack.addresses.url]);
    let process = process.env("SLUICE_TOKEN", &run.token).stdin(Stdio::null()).output();
    let output = process.await.map_err(|error| error.to_string());
    if let Some(output) = needs::found("terminal of Python's", output) {
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        let bars: Vec<&str> = shown
            .split(['\r', '\n'])
            .filter(|line| line.contains(" rows  ") && line.contains(" left"))
            .collect();
        assert!(bars.iter().any(|bar| bar.contains("200 rows") || bar.contains("400 rows")), "{shown:?}");
        // The last that is seen is what came of it, and no bar.
        let report = shown.rsplit('\r').next().unwrap_or_default();
        assert!(!report.contains(" left"), "{shown:?}");
        assert!(shown.contains("450"), "{shown:?}");
    }
    run.settle().await;
    // A program that reads what is printed is shown none.
    let quiet = sluice(&run, &["import", text(&leads), "--form", "contact", "--json"]).await;
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
    run.finish().await;
}
