//! The `sluice` command as a process: killed under load, restarted, asked with its own tools; and the functions as the
//! binaries that are deployed.

use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use sluice_host::environment::{Clock, Environment};
use sluice_host::lambda::SystemClock;
use sluice_tests::stack::contract::Contract;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::http::{self, Answer};
use sluice_tests::stack::{POLICIES, Setup};
use sluice_wire::sources;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// How often the process is killed, unless SLUICE_KILL_ROUNDS says otherwise.
const ROUNDS: usize = 4;

/// What Cargo tells a test of its package: another one here than in the build before, and ring is built anew with all that needs it.
const OF_THIS_PACKAGE: [&str; 6] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// The folder of the binaries, built if they are not up to date.
pub(crate) fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        // With the features and the environment of the build that this test is of: else much of it would be built anew.
        cargo.current_dir(ROOT).args(["build", "--quiet", "--workspace", "--tests", "--bin", "sluice"]);
        for function in sluice::cli::embedded_functions().keys() {
            cargo.args(["--bin", function]);
        }
        OF_THIS_PACKAGE.iter().for_each(|name| {
            cargo.env_remove(name);
        });
        let built = cargo.stdin(Stdio::null()).output().expect("cargo runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        // This test lies in `target/PROFILE/deps`.
        let own = std::env::current_exe().expect("the test's own path");
        let folder = own.ancestors().nth(2).expect("the profile's folder").with_file_name("debug");
        assert!(folder.join("sluice").is_file(), "no sluice in {}", folder.display());
        folder
    })
}

/// How `sluice dev` is started.
pub(crate) struct Command {
    data: PathBuf,
    now: Option<String>,
    log: Option<&'static str>,
    smtp: Option<[String; 3]>,
    calls_providers: bool,
    with_binaries: bool,
}

impl Command {
    /// With its data in this folder.
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            now: None,
            log: None,
            smtp: None,
            calls_providers: false,
            with_binaries: false,
        }
    }

    /// With its log at this level.
    pub(crate) fn log(mut self, level: &'static str) -> Self {
        self.log = Some(level);
        self
    }

    /// Sending mail by this server, as this user.
    pub(crate) fn smtp(mut self, server: &str, user: &str, password: &str) -> Self {
        self.smtp = Some([server, user, password].map(str::to_owned));
        self
    }

    /// Calling the providers of SMS and chat for real.
    pub(crate) fn calling_providers(mut self) -> Self {
        self.calls_providers = true;
        self
    }

    /// With the functions as binaries of their own.
    pub(crate) fn with_binaries(mut self) -> Self {
        self.with_binaries = true;
        self
    }

    /// With its clock starting then.
    pub(crate) fn now(mut self, at: Timestamp) -> Self {
        self.now = Some(at.rfc3339());
        self
    }
}

/// `sluice dev`, running. Dropping it kills it.
pub(crate) struct Sluice {
    child: Child,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Sluice {
    /// Starts it and waits until it says that it is ready.
    pub(crate) async fn start(command: &Command) -> Self {
        let policies = command.data.join("policies");
        std::fs::create_dir_all(&policies).unwrap();
        std::fs::write(policies.join("all.yaml"), POLICIES).unwrap();
        let mut process = std::process::Command::new(binaries().join("sluice"));
        process.args(["dev", "--port", "0", "--json"]).arg("--data").arg(&command.data);
        process.arg("--policies").arg(&policies);
        if let Some(now) = &command.now {
            process.args(["--now", now]);
        }
        if let Some([server, user, password]) = &command.smtp {
            process.args(["--smtp", server]).env("SMTP_USER", user).env("SMTP_PASSWORD", password);
        }
        if command.calls_providers {
            process.arg("--call-providers");
        }
        if command.with_binaries {
            process.args(["--functions", "binaries"]);
        }
        if let Some(level) = command.log {
            process.env("SLUICE_LOG", level);
        }
        let mut child = process.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("sluice starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line}"));
        let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        assert!(ready["endpoints"]["dynamodb"].is_string(), "{ready:#}");
        Self { child, url: text("url"), token: text("token") }
    }

    /// The id of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Posts an urlencoded body to `contact`.
    pub(crate) async fn post(&self, body: &str) -> io::Result<Answer> {
        post(&self.url, body).await
    }

    /// A call of the API as admin.
    pub(crate) async fn api(&self, method: &str, target: &str, body: Option<Value>) -> Value {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = http::request(&self.url, method, target, &headers, body.as_bytes()).await.unwrap();
        let wrong = Contract::get().check(method, target, body.as_bytes(), &answer);
        assert!(wrong.is_empty(), "the API is not as infra/openapi.yaml says:\n{}", wrong.join("\n"));
        answer.json()
    }

    /// The lead once it has ended.
    pub(crate) async fn ended(&self, lead: &str) -> Value {
        for _ in 0..1_000 {
            let view = self.api("GET", &format!("/api/leads/{lead}"), None).await;
            if !matches!(view["state"].as_str(), None | Some("waiting" | "escalated")) {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{lead} does not end");
    }

    /// Runs another command of `sluice` against it.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Output {
        let mut process = std::process::Command::new(binaries().join("sluice"));
        process.args(arguments).args(["--url", &self.url]).env("SLUICE_TOKEN", &self.token);
        process.stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Sluice {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn post(url: &str, body: &str) -> io::Result<Answer> {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    http::request(url, "POST", "/f/contact", &headers, body.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_again_and_again_no_acknowledged_lead_is_lost_or_owned_twice() {
    let rounds = Environment::of_process().vars.get("SLUICE_KILL_ROUNDS").and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(ROUNDS);
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let (count, acknowledgements) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for round in 0..rounds {
        let command = Command::new(folder.path());
        // In one round of four the functions are processes of their own, which end with it.
        let command = if round % 4 == 2 { command.with_binaries() } else { command };
        let sluice = Sluice::start(&command).await;
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..6)
            .map(|_| {
                let (url, stop, count) = (sluice.url.clone(), stop.clone(), count.clone());
                let acknowledgements = acknowledgements.clone();
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let n = count.fetch_add(1, Ordering::SeqCst);
                        // Every fifth is the same person as the one before, with something else to say.
                        let body = format!("email=kill{}%40person.example&note={n}", n - n % 5 / 4);
                        match post(&url, &body).await {
                            Ok(answer) if answer.status == 202 => {
                                mine.push(answer.lead_id());
                                acknowledgements.fetch_add(1, Ordering::SeqCst);
                            }
                            _ => {}
                        }
                    }
                    mine
                })
            })
            .collect();
        // Killed in the middle of it, each time at another point.
        while acknowledgements.load(Ordering::SeqCst) < (round + 1) * 20 + round % 7 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        tokio::time::sleep(Duration::from_millis(7 * (round as u64 + 1) % 31)).await;
        sluice.kill();
        stop.store(true, Ordering::SeqCst);
        for sender in senders {
            acknowledged.extend(sender.await.unwrap());
        }
    }
    assert!(acknowledged.len() >= 20 * rounds);

    // Ten minutes later, two seconds before a full minute: whoever was left without a message is driven again.
    let minute = (SystemClock.now().seconds() / 60 + 11) * 60;
    let sluice = Sluice::start(&Command::new(folder.path()).now(Timestamp::from_seconds(minute - 2))).await;
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for id in &acknowledged {
        let lead = sluice.ended(id).await;
        assert_eq!((&lead["state"], &lead["reproduced"]), (&json!("assigned"), &json!(true)), "{lead:#}");
        assert_eq!(lead["assignment"]["n"], 1, "{lead:#}");
        let owner = lead["owner"].as_str().unwrap().to_owned();
        let customer = lead["customer"].as_str().unwrap().to_owned();
        let known = owners.entry(customer).or_insert_with(|| owner.clone());
        assert_eq!(*known, owner, "two owners: {lead:#}");
    }
    for _ in 0..500 {
        let ledger = sluice.api("GET", "/api/ledger", None).await;
        if ledger["in_flight"] == json!({"waiting": 0, "escalated": 0, "queued": 0}) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ledger = sluice.api("GET", "/api/ledger", None).await;
    assert_eq!(ledger["adds_up"], true, "{ledger:#}");
    assert_eq!(ledger["in_flight"], json!({"waiting": 0, "escalated": 0, "queued": 0}));
    assert!(ledger["accepted"].as_u64().unwrap() >= acknowledged.len() as u64);
    // Each lead was told to one rep at most.
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for rep in ["ann", "bo", "boss"] {
        let mut path = format!("/api/messages?rep={rep}");
        loop {
            let page = sluice.api("GET", &path, None).await;
            for message in page["messages"].as_array().unwrap() {
                let lead = message["lead"].as_str().unwrap().to_owned();
                assert_eq!(told.entry(lead).or_insert_with(|| rep.to_owned()), rep, "{message:#}");
            }
            match page["cursor"].as_str() {
                Some(cursor) => path = format!("/api/messages?rep={rep}&cursor={cursor}"),
                None => break,
            }
        }
    }
    println!(
        "{} leads acknowledged over {rounds} kills, {} in the ledger",
        acknowledged.len(),
        ledger["accepted"]
    );
}

#[tokio::test]
async fn the_tools_answer_in_words_and_by_how_they_exit() {
    let folder = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(folder.path())).await;
    let id = sluice.post("email=tool%40person.example&first_name=Tool").await.unwrap().lead_id();
    let owner = sluice.ended(&id).await["owner"].as_str().unwrap().to_owned();
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();

    let ledger = sluice.tool(&["ledger"]);
    assert!(ledger.status.success(), "{ledger:?}");
    assert!(text(&ledger).contains("accepted") && text(&ledger).contains("contact"), "{}", text(&ledger));
    let explained = sluice.tool(&["explain", "lead", &id]);
    assert!(
        explained.status.success() && text(&explained).contains(&format!("Owner: {owner}")),
        "{explained:?}"
    );
    let file = folder.path().join("lead.json");
    std::fs::write(&file, r#"{"email":"tool@person.example","message":"again"}"#).unwrap();
    let trial = sluice.tool(&["try", file.to_str().unwrap(), "--form", "contact"]);
    assert!(text(&trial).contains(&owner) && text(&trial).contains("Nothing was written"), "{trial:?}");
    let listed = sluice.tool(&["sources"]);
    let address = format!("address  {}/hooks/meta\n", sluice.url);
    assert!(text(&listed).contains(&address) && text(&listed).contains("env:META_APP_SECRET"), "{listed:?}");
    types_are_told(&sluice);
    let samples = sluice.tool(&["sources", &format!("{ROOT}/samples/policies"), "--json"]);
    let samples: Value = serde_json::from_slice(&samples.stdout).unwrap();
    let url_of = |name: &str| {
        let samples = samples["sources"].as_array().unwrap();
        samples.iter().find(|source| source["name"] == name).unwrap()["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(url_of("jotform"), format!("{}/hooks/jotform?key={{env:JOTFORM_KEY}}", sluice.url));
    assert!(url_of("hubspot").ends_with("/submit/123456/78c2891f-ebdd-44c0-bd94-15c012bbbfbf"));
    let token = sluice.tool(&["token", "create", "--role", "rep", "--rep", &owner]);
    assert!(text(&token).starts_with("slt_"), "{token:?}");
    let listed = sluice.tool(&["token", "list"]);
    assert!(listed.status.success() && text(&listed).contains(&owner), "{listed:?}");
    for wrong in
        [&["explain", "lead", "ld_none"][..], &["unmerge", "cu_none"], &["token", "create", "--role", "king"]]
    {
        let output = sluice.tool(wrong);
        assert!(!output.status.success() && !output.stderr.is_empty(), "{wrong:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}: {output:?}");
    }
    std::fs::write(&file, "{").unwrap();
    for (wrong, name) in [
        (&["explain", "lead", "ld_none", "--json"][..], "no-such-lead"),
        (&["try", file.to_str().unwrap(), "--form", "none", "--json"], "no-such-form"),
        (&["ledger", "--token", "slt_bad", "--json"], "token-unknown"),
    ] {
        let output = sluice.tool(wrong);
        let problem: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(problem["type"], format!("urn:sluice:problem:{name}"), "{problem:#}");
        assert!(!output.status.success() && problem["detail"].is_string(), "{output:?}");
    }
    let (url, token) = (sluice.url.clone(), sluice.token.clone());
    sluice.kill();
    let gone = std::process::Command::new(binaries().join("sluice"))
        .args(["ledger", "--json", "--url", &url])
        .env("SLUICE_TOKEN", token)
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&gone.stdout).unwrap();
    assert!(!gone.status.success() && told["error"].as_str().unwrap().contains("is the stack running"));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("is the stack running"), "{gone:?}");
}

/// Of each type: where it posts, what to do there, and each way to prove itself with the secrets that takes.
fn types_are_told(sluice: &Sluice) {
    let output = sluice.tool(&["sources", "--all"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut told = said.lines().peekable();
    for source in sources::registry() {
        assert_eq!(told.next(), Some(source.kind()), "{said}");
        let path = match source.kind() {
            "hubspot" => "/submissions/v3/integration/submit/PORTAL/FORM",
            _ if source.is_tracker() => "",
            _ => "/hooks/NAME",
        };
        let address = format!("  address  {}{path}", sluice.url);
        let mut wanted = vec![address, format!("  paste    {}", source.setup())];
        for auth in source.proofs() {
            wanted.push(format!("  auth     {}", auth.name()));
            let secrets = sources::needs(*source, *auth).iter();
            wanted.extend(secrets.map(|need| format!("    secret {}: {}", need.name, need.what)));
        }
        let lines: Vec<&str> = std::iter::from_fn(|| told.next_if(|line| line.starts_with(' '))).collect();
        assert_eq!(lines, wanted, "{said}");
        assert!(wanted.len() > 2, "it proves itself in no way: {wanted:?}");
    }
    assert_eq!(told.next(), None, "{said}");
    let types = sluice.tool(&["sources", "--all", "--json"]);
    let types: Value = serde_json::from_slice(&types.stdout).unwrap();
    let types = types["types"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap());
    assert!(types.eq(sources::registry().iter().map(|source| source.kind())));
}

#[tokio::test]
async fn a_lead_that_comes_out_otherwise_is_shown_and_fails_in_words_and_in_json() {
    let fake = Fake::start(|request| match request.uri().path() {
        "/api/customers/cu_1" => (200, json!({"id": "cu_1", "leads": [{"id": "ld_1"}, {"id": "ld_2"}]})),
        "/api/leads/ld_1" => (200, json!({"id": "ld_1", "state": "assigned", "reproduced": false})),
        "/api/leads/ld_2" => (200, json!({"id": "ld_2", "state": "assigned", "reproduced": true})),
        _ => (404, json!({})),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    for more in [None, Some("--json")] {
        for (what, id, is_same) in
            [("lead", "ld_2", true), ("lead", "ld_1", false), ("customer", "cu_1", false)]
        {
            let mut arguments = vec!["explain", what, id, "--url", &fake.url, "--token", "slt_1"];
            arguments.extend(more);
            let output = sluice_in(folder.path(), &arguments).await;
            assert_eq!(output.status.success(), is_same, "{arguments:?}: {output:?}");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            // Of a customer every lead, not only those before the one that fails.
            let last = if what == "customer" { "ld_2" } else { id };
            assert!(said.contains(last), "{arguments:?}: {said}");
            assert_eq!(more.is_some(), serde_json::from_str::<Value>(&said).is_ok(), "{said}");
            assert_eq!(more.is_some(), said.contains("\"reproduced\""), "{said}");
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(why.contains("ld_1: deciding again"), !is_same, "{why}");
        }
    }
}

#[tokio::test]
async fn unmerge_takes_a_person_apart_and_says_which_two_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(folder.path())).await;
    let (email, phone) = (json!({"email": "half@person.example"}), json!({"phone": "+12015550171"}));
    let mut people = Vec::new();
    for body in ["email=half%40person.example", "phone=%2B12015550171"] {
        let lead = sluice.post(body).await.unwrap().lead_id();
        people.push(sluice.ended(&lead).await["customer"].as_str().unwrap().to_owned());
    }
    let both = "email=half%40person.example&phone=%2B12015550171";
    let lead = sluice.post(both).await.unwrap().lead_id();
    sluice.ended(&lead).await;
    let found =
        async |identity: &Value| sluice.api("POST", "/api/customers/lookup", Some(identity.clone())).await;
    let whole = found(&email).await;
    assert_eq!(whole["id"], found(&phone).await["id"], "{whole:#}");
    let half = whole["merged_from"][0].as_str().unwrap();
    let done = sluice.tool(&["unmerge", half]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let stays = whole["id"].as_str().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(said, format!("{half} and {stays} are two again, and are kept apart.\n"));
    let now = json!([found(&email).await["id"], found(&phone).await["id"]]);
    assert_eq!(now, json!(people));
    // They are two already.
    let again = sluice.tool(&["unmerge", half]);
    assert!(!again.status.success() && again.stdout.is_empty() && !again.stderr.is_empty(), "{again:?}");
}

/// `sluice` in a folder, without a word about which stack.
pub(crate) async fn sluice_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut process = tokio::process::Command::new(binaries().join("sluice"));
    process.args(arguments).current_dir(folder).env_remove("SLUICE_TOKEN").stdin(Stdio::null());
    process.output().await.unwrap()
}

/// `sluice dev` as somebody types it in this folder, and what it says until these words come.
pub(crate) fn by_hand(folder: &Path, arguments: &[&str], last: &str) -> (Sluice, Vec<String>) {
    let mut process = std::process::Command::new(binaries().join("sluice"));
    process.args(["dev", "--port", "0"]).args(arguments).current_dir(folder).env_remove("SLUICE_TOKEN");
    let child = process.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("sluice starts");
    let mut sluice = Sluice { child, url: String::new(), token: String::new() };
    let output = BufReader::new(sluice.child.stdout.take().unwrap());
    let mut said = Vec::new();
    for line in output.lines() {
        said.push(line.unwrap());
        if said.last().is_some_and(|line| line.contains(last)) {
            break;
        }
    }
    let after = |words: &str| {
        let found = said.iter().find_map(|line| line.strip_prefix(words)?.split_whitespace().next());
        found.unwrap_or_else(|| panic!("no line `{words}` in {said:#?}")).to_owned()
    };
    (sluice.url, sluice.token) = (after("Sluice is running on "), after("Admin token "));
    (sluice, said)
}

#[tokio::test]
async fn commands_find_the_stack_of_their_folder_and_give_its_token_to_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(&folder.path().join(".sluice"))).await;
    let ledger = sluice_in(folder.path(), &["ledger"]).await;
    assert!(ledger.status.success(), "{ledger:?}");
    // Something else listens there, and says yes to everything.
    let other = Fake::start(|_| (200, json!("welcome"))).await;
    let asked = sluice_in(folder.path(), &["ledger", "--url", &other.url]).await;
    assert!(String::from_utf8_lossy(&asked.stderr).contains("no token"), "{asked:?}");
    assert!(other.seen().is_empty());
    for command in [&["token", "revoke", "tk_any"][..], &["ledger"], &["erase", "cu_any"]] {
        let with = [command, &["--url", &other.url, "--token", "slt_any"]].concat();
        let output = sluice_in(folder.path(), &with).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("does not answer as Sluice does"), "{output:?}");
    }
    drop(sluice);
}

#[tokio::test]
async fn what_is_wrong_with_documents_is_told_to_programs_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), "kind: rep\nname: ann\nemial: ann@shop.example\n").unwrap();
    let output = sluice_in(folder.path(), &["validate", ".", "--json"]).await;
    assert!(!output.status.success());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["valid"], false);
    assert_eq!(
        (&told["errors"][0]["line"], &told["errors"][0]["column"]),
        (&json!(3), &json!(1)),
        "{told:#}"
    );
    assert!(!String::from_utf8_lossy(&output.stderr).contains("published"), "nothing is missing: {output:?}");
    // A folder that was named and cannot be published is no stack without policies.
    let output = sluice_in(folder.path(), &["dev", "--port", "0", "--json", "--policies", "."]).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!output.status.success() && told["type"] == "urn:sluice:problem:policy-invalid", "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no policies were published"), "{output:?}");
    // Where there is nothing to read no stack is asked, and what is wrong is one document all the same.
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    for (wrong, why) in [
        (&["validate", "none", "--json"][..], "none: "),
        (&["apply", "empty", "--json"], "empty: no .yaml files here"),
    ] {
        let output = sluice_in(folder.path(), wrong).await;
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!output.status.success() && told["error"].as_str().unwrap().starts_with(why), "{output:?}");
    }
}

#[tokio::test]
async fn a_ledger_that_does_not_add_up_is_said_and_the_command_fails() {
    // A lead whose state and whose place in the index disagree, as only a fault of ours could make it.
    let run = Setup::default().start().await;
    let id = run.lead(&[("email", "miscounted@person.example")]).await;
    let set = |expression: &str, values: Value| {
        let mut request = json!({
            "TableName": sluice::host::spec::named("Table"),
            "Key": {"pk": {"S": id}, "sk": {"S": "l"}},
            "UpdateExpression": expression,
        });
        if !values.is_null() {
            request["ExpressionAttributeValues"] = values;
        }
        run.stack.dynamodb.run("UpdateItem", request.to_string().as_bytes()).unwrap();
    };
    set("SET ix = :x, ia = :a", json!({":x": {"S": "waiting#0"}, ":a": {"S": "0000000000001"}}));
    let ledger = run.ledger().await;
    assert_eq!(
        (&ledger["adds_up"], &ledger["disagree"], &ledger["leads"]),
        (&json!(false), &json!(1), &json!([id]))
    );
    let output = tokio::task::spawn_blocking({
        let (url, token) = (run.stack.addresses.url.clone(), run.token.clone());
        move || {
            let mut process = std::process::Command::new(binaries().join("sluice"));
            process.args(["ledger", "--url", &url]).env("SLUICE_TOKEN", token).output().unwrap()
        }
    });
    let output = output.await.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("accepted is not ended + in flight") && said.contains(&id), "{said}");
    set("REMOVE ix, ia", Value::Null);
    run.finish().await;
}

#[tokio::test]
async fn the_binaries_that_are_deployed_take_a_lead_to_its_owner() {
    let folder = binaries();
    let setup = Setup { binaries: Some(folder.to_owned()), ..Setup::default() };
    let run = setup.start().await;
    let lead = run.lead(&[("email", "binary@person.example"), ("first_name", "Bin")]).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["state"], &view["owner"]), (&json!("assigned"), &json!("ann")), "{view:#}");
    assert_eq!(run.mails().len(), 1);
    assert_eq!(run.mails()[0].0, ["ann@reps.example"]);
    run.fire_timers().await;
    run.finish().await;
}
