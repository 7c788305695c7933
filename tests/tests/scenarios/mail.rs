//! Mail as it leaves, and as it is kept to be looked at.

use crate::command::{Command, Sluice};
use crate::messages::{TEMPLATES, ask, show, with, with_ada};
use mail_parser::MessageParser;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::id::CustomerId;
use sluice_domain::message::{Cause, CauseKind, Channel, Order};
use sluice_host::environment::Clock;
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::{POLICIES, Setup};
use sluice_tests::{needs, python};
use sluice_wire::queue::{OrderMessage, encode};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout};

/// A mail server of others; ends with this value.
struct Server {
    port: u64,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Server {
    /// None where it cannot be installed.
    async fn start() -> Option<Self> {
        let python = needs::found("aiosmtpd", python::environment("smtp").await)?;
        let mut process = tokio::process::Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/smtp/server.py"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        Some(Self { port: ready["port"].as_u64().unwrap(), lines, _process: process })
    }

    /// The next mail it takes.
    async fn mail(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(60), self.lines.next_line()).await;
        serde_json::from_str(&line.expect("a mail").unwrap().unwrap()).unwrap()
    }
}

fn text(mail: &Value) -> String {
    let content = mail["content"].as_str().unwrap();
    let parsed = MessageParser::default().parse(content.as_bytes()).unwrap();
    format!("{}\n{}", parsed.subject().unwrap(), parsed.body_text(0).unwrap())
}

#[tokio::test]
async fn the_channels_document_sends_mail_by_a_server_of_ones_own() {
    let Some(mut server) = Server::start().await else { return };
    let channel = format!(
        "---\nkind: channel\nname: email\nvia: smtp\nsmtp: {{ host: 127.0.0.1, port: {}, tls: none, user: env:POST_USER, \
         password: env:POST_PASSWORD }}\n",
        server.port
    );
    let setup = Setup::policies(format!("{POLICIES}{channel}"))
        .var("POST_USER", "ann")
        .var("POST_PASSWORD", "secret");
    let run = setup.start().await;
    let lead = run.lead(&[("email", "ada@person.example"), ("first_name", "Zoë")]).await;
    let owner = run.show(&lead).await["owner"].as_str().unwrap().to_owned();
    let mail = server.mail().await;
    assert_eq!(mail["to"], json!([format!("{owner}@reps.example")]));
    assert!(text(&mail).starts_with("New lead: Zoë (contact)\n"), "{mail:#}");
    let message = run.messages(&owner).await[0].clone();
    assert_eq!((&message["state"], &message["channel"]), (&json!("sent"), &json!("email")), "{message:#}");
    let id = message["note"].as_str().unwrap();
    assert!(mail["content"].as_str().unwrap().contains(&format!("Message-ID: <{id}>\r\n")), "{mail:#}");
    assert!(run.mails().is_empty(), "SES was not asked");
    run.finish().await;
}

#[tokio::test]
async fn a_server_that_does_not_know_us_is_asked_again_later() {
    let Some(server) = Server::start().await else { return };
    let channel = format!(
        "---\nkind: channel\nname: email\nvia: smtp\nsmtp: {{ host: 127.0.0.1, port: {}, tls: none, user: env:POST_USER, \
         password: env:POST_PASSWORD }}\n",
        server.port
    );
    let policies = format!("{POLICIES}{channel}");
    let run = Setup::policies(policies).var("POST_USER", "ann").var("POST_PASSWORD", "wrong").start().await;
    let lead = run.post("contact", &[("email", "ada@person.example")]).await.lead_id();
    let message = loop {
        let owner = run.show(&lead).await["owner"].as_str().unwrap_or("nobody").to_owned();
        match run.messages(&owner).await.into_iter().next() {
            Some(message) if message["state"] == "ready" => break message,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(message["note"], "the mail server does not know the user: 535 5.7.8", "{message:#}");
    run.apply("kind: channel\nname: email\nvia: ses\n").await;
    run.pass(Duration::from_secs(6)).await;
    assert_eq!(run.mails().len(), 1);
    run.finish().await;
}

/// A mail server that answers each command with what `reply` says, and hangs up where that says nothing; its port.
async fn server(reply: impl Fn(&str) -> Option<&'static str> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, reply.clone()));
        }
    });
    port
}

async fn answer(
    stream: TcpStream,
    reply: impl Fn(&str) -> Option<&'static str> + Send + 'static,
) -> std::io::Result<()> {
    let (mut stream, mut is_content) = (BufReader::new(stream), false);
    stream.write_all(b"220 sink\r\n").await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        // Of the content only the end is answered.
        if !is_content || line == ".\r\n" {
            let Some(said) = reply(line.trim_end()) else { break };
            is_content = said.starts_with("354");
            stream.write_all(format!("{said}\r\n").as_bytes()).await?;
        }
        line.clear();
    }
    Ok(())
}

/// What a mail server says that takes all there is.
fn takes(line: &str) -> &'static str {
    match line {
        "DATA" => "354 go ahead",
        "." => "250 2.0.0 taken",
        _ => "250 2.0.0 ok",
    }
}

/// The channel's document for a mail server on this machine.
fn by(port: u16) -> String {
    format!("kind: channel\nname: email\nvia: smtp\nsmtp: {{ host: 127.0.0.1, port: {port}, tls: none }}\n")
}

#[tokio::test]
async fn an_address_that_the_mail_server_does_not_know_gets_nothing_more() {
    let port = server(|line| match line.starts_with("RCPT ") && line.contains("@person.example>") {
        true => Some("550 5.1.1 there is nobody of this name"),
        false => Some(takes(line)),
    })
    .await;
    let (run, ada) = with_ada(with(&by(port))).await;
    let outcome = async || {
        let id = ask(&run, &ada, json!({})).await;
        run.settle().await;
        show(&run, &id).await
    };
    let refused = outcome().await;
    let codes = json!("the mail server said 550 5.1.1");
    assert_eq!((&refused["state"], &refused["note"]), (&json!("failed"), &codes), "{refused:#}");
    let next = outcome().await;
    assert_eq!((&next["state"], &next["reason"]), (&json!("skipped"), &json!("suppressed")), "{next:#}");
    let (_, consents) = run.api("GET", &format!("/api/customers/{ada}/consents"), None).await;
    let proofs = consents["proofs"].as_array().unwrap();
    let [proof] = proofs.as_slice() else { panic!("{consents:#}") };
    assert_eq!((&proof["suppressed_by"], &proof["how"]), (&json!("hard_bounce"), &json!("provider")));
    assert_eq!(proof["message"], refused["id"]);
    let gate = consents["addresses"].as_array().unwrap().iter().find(|one| one["channel"] == "email");
    let gate = gate.unwrap();
    assert_eq!((&gate["suppressed"]["by"], &gate["sent"]), (&json!("hard_bounce"), &json!([])), "{gate:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_mail_whose_server_hangs_up_once_it_has_the_content_is_unknown_and_goes_out_no_second_time() {
    let had = Arc::new(AtomicUsize::new(0));
    let count = had.clone();
    let port = server(move |line| match line {
        "." => {
            count.fetch_add(1, Ordering::SeqCst);
            None
        }
        line => Some(takes(line)),
    })
    .await;
    // Nobody is told of the lead: that would be mail as well.
    let untold: Vec<&str> = POLICIES.lines().filter(|line| !line.starts_with("email: ")).collect();
    let (untold, templates) = (untold.join("\n"), TEMPLATES.trim());
    let policies = format!("{untold}\n---\n{templates}\n---\n{}unknown: hold\n", by(port));
    let (run, ada) = with_ada(Setup::policies(policies)).await;
    let cause = Cause { kind: CauseKind::Api, name: "receipt".to_owned(), part: "1".to_owned() };
    let who = CustomerId::parse(&ada).unwrap();
    let order = Order::new(who, run.stack.clock.now(), cause, Channel::Email, "hello", "product");
    let id = order.id().to_string();
    let unknown = async || {
        let (_, list) = run.api("GET", "/api/messages?state=unknown", None).await;
        list["messages"].as_array().unwrap().iter().map(|message| message["id"].clone()).collect::<Vec<_>>()
    };
    // It is delivered, then once more, and once more a day later.
    for later in [0, 0, 86_400] {
        run.pass(Duration::from_secs(later)).await;
        run.fire_timers().await;
        let body = encode(&OrderMessage::new(order.clone()));
        run.stack.sqs.send(&named("MessageQueue"), OutgoingMessage::new(body)).unwrap();
        run.settle().await;
        let message = show(&run, &id).await;
        let state = (&message["state"], &message["note"], &message["attempts"]);
        assert_eq!(state, (&json!("unknown"), &json!("no answer"), &json!(1)), "{message:#}");
        assert_eq!((had.load(Ordering::SeqCst), unknown().await), (1, vec![json!(id)]));
    }
    // Somebody has looked at what the server wrote down.
    let settle = format!("/api/messages/{id}/settle");
    let (status, settled) = run.api("POST", &settle, Some(json!({"went_out": true}))).await;
    assert_eq!((status, &settled["state"]), (200, &json!("sent")), "{settled:#}");
    assert_eq!((had.load(Ordering::SeqCst), unknown().await), (1, vec![]));
    run.finish().await;
}

#[tokio::test]
async fn the_command_sends_mail_for_real_if_it_is_told_to_and_keeps_it_otherwise() {
    let Some(mut server) = Server::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let command = Command::new(folder.path()).smtp(&format!("127.0.0.1:{}", server.port), "ann", "secret");
    let sluice = Sluice::start(&command).await;
    let lead = sluice.post("email=ada%40person.example&first_name=Ada").await.unwrap().lead_id();
    assert!(text(&server.mail().await).contains(&lead));
    assert_eq!(sluice.api("GET", "/_local/mail?format=json", None).await["total"], 0);
    sluice.kill();

    let sluice = Sluice::start(&Command::new(folder.path())).await;
    let lead = sluice.post("email=grace%40person.example&first_name=Grace").await.unwrap().lead_id();
    sluice.ended(&lead).await;
    let list = loop {
        let list = sluice.api("GET", "/_local/mail?format=json", None).await;
        if list["total"] != 0 {
            break list;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mail = format!("/_local/mail/{}?format=json", list["mails"][0]["id"].as_str().unwrap());
    let mail = sluice.api("GET", &mail, None).await;
    assert_eq!(mail["subject"], "New lead: Grace (contact)", "{mail:#}");
    assert!(mail["tags"]["message"].as_str().is_some_and(|id| id.starts_with(&lead)), "{mail:#}");
    let link = format!("{}/api/leads/{lead}", sluice.url);
    assert_eq!(mail["links"][0]["url"], link, "{mail:#}");
    let gone = sluice.api("DELETE", &format!("/_local/mail?about={lead}"), None).await;
    assert_eq!(gone, json!({ "deleted": 1 }));
    sluice.kill();
}
