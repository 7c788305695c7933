//! The host: what API Gateway, Lambda and the scheduler do around a function, with functions made for the purpose.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy.toml does not see as such"
)]

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sluice::host::clock::StackClock;
use sluice::host::events::RuleSpec;
use sluice::host::front_door::RouteSpec;
use sluice::host::pollers::EventSourceSpec;
use sluice::host::runtime_api::{BinaryFunction, BinarySpec};
use sluice::host::schedule::ScheduleSpec;
use sluice::host::spec::{FunctionSpec, StackSpec, TableSpec};
use sluice::host::stack::{Options, Stack};
use sluice_domain::time::Timestamp;
use sluice_host::environment::{Environment, MetricSink};
use sluice_host::function::{Build, Function, InvokeError, StartError};
use sluice_services::secrets::Generate;
use sluice_services::sqs::{OutgoingMessage, QueueSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Started = BoxFuture<'static, Result<Arc<dyn Function>, StartError>>;

/// A function from a closure over its surroundings and payload.
struct Stub<F>(Environment, F);

impl<F> Function for Stub<F>
where
    F: Fn(Environment, Bytes) -> BoxFuture<'static, Result<Bytes, InvokeError>> + Send + Sync + 'static,
{
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        (self.1)(self.0.clone(), payload)
    }
}

fn stub<F>(environment: Environment, call: F) -> Started
where
    F: Fn(Environment, Bytes) -> BoxFuture<'static, Result<Bytes, InvokeError>> + Send + Sync + 'static,
{
    Box::pin(async move { Ok(Arc::new(Stub(environment, call)) as Arc<dyn Function>) })
}

/// Answers 200 with the event it got, or misbehaves as the path says.
fn echo(environment: Environment) -> Started {
    stub(environment, |environment, payload| {
        Box::pin(async move {
            let event: Value = serde_json::from_slice(&payload).unwrap();
            match event["pathParameters"]["how"].as_str() {
                Some("malformed") => Ok(Bytes::from("<html>")),
                Some("panic") => panic!("as asked"),
                Some("hang") => std::future::pending().await,
                Some("slow") => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    environment.metrics.emit("slow");
                    Ok(Bytes::from("{}"))
                }
                _ => Ok(Bytes::from(json!({ "statusCode": 200, "body": event.to_string() }).to_string())),
            }
        })
    })
}

/// Notes each body; "bad" is reported as failed, "throw" fails the batch.
fn sort(environment: Environment) -> Started {
    stub(environment, |environment, payload| {
        Box::pin(async move {
            let event: Value = serde_json::from_slice(&payload).unwrap();
            let mut failed = Vec::new();
            for record in event["Records"].as_array().unwrap() {
                let body = record["body"].as_str().unwrap();
                environment.metrics.emit(body);
                match body {
                    "bad" => failed.push(json!({ "itemIdentifier": record["messageId"] })),
                    "throw" => return Err(InvokeError { kind: "Thrown".into(), message: "as asked".into() }),
                    _ => {}
                }
            }
            Ok(Bytes::from(json!({ "batchItemFailures": failed }).to_string()))
        })
    })
}

/// Notes its payload.
fn note(environment: Environment) -> Started {
    stub(environment, |environment, payload| {
        environment.metrics.emit(std::str::from_utf8(&payload).unwrap());
        Box::pin(async { Ok(Bytes::from("null")) })
    })
}

/// Sends a message with the real SDK client that its surroundings give it.
fn send(environment: Environment) -> Started {
    stub(environment, |environment, _| {
        Box::pin(async move {
            let client = sluice_host::aws::sqs(&environment).unwrap();
            let url = environment.required("QUEUE").unwrap();
            client.send_message().queue_url(url).message_body("by sdk").send().await.unwrap();
            Ok(Bytes::from("{}"))
        })
    })
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl MetricSink for Notes {
    fn emit(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

impl Notes {
    fn count(&self, line: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|noted| *noted == line).count()
    }
}

fn function(name: &str, vars: &[(&str, String)]) -> FunctionSpec {
    FunctionSpec {
        name: name.into(),
        timeout: Duration::from_secs(5),
        memory_mb: 128,
        max_instances: 2,
        reserved: None,
        vars: vars.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

struct World {
    stack: Stack,
    notes: Arc<Notes>,
}

/// A stack with a queue `work` (dead letters after two receives) that calls `sort`, a queue `rest` that nobody reads, a
/// schedule, and routes to `echo` and `send`; on a clock that stands still.
async fn world(data: Option<PathBuf>) -> World {
    let builds: [(&str, Build); 4] = [("echo", echo), ("sort", sort), ("note", note), ("send", send)];
    let notes = Arc::new(Notes::default());
    let mut options =
        Options::in_memory(builds.into_iter().map(|(name, build)| (name.into(), build)).collect());
    options.clock = StackClock::frozen(Timestamp::parse("2026-01-05T09:30:00Z").unwrap());
    options.metrics = notes.clone();
    options.data = data;
    let route = |method: &str, path: &str, function: &str| RouteSpec {
        method: method.into(),
        path: path.into(),
        function: function.into(),
    };
    let stack = Stack::start(options, |addresses| {
        Ok(StackSpec {
            tables: vec![TableSpec {
                name: "table".into(),
                create: json!({
                    "TableName": "table", "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
                    "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }] }),
                ttl: Some("ttl".into()),
            }],
            queues: vec![
                QueueSpec::new("dead"),
                QueueSpec::new("rest"),
                QueueSpec::new("work").with("VisibilityTimeout", "30").with_redrive("dead", 2),
            ],
            functions: vec![
                function("echo", &[]),
                function("sort", &[]),
                function("note", &[]),
                function("send", &[("QUEUE", addresses.queue_url("rest"))]),
            ],
            event_sources: vec![EventSourceSpec {
                queue: "work".into(),
                function: "sort".into(),
                batch_size: 10,
                max_concurrency: 2,
                window: Duration::ZERO,
            }],
            schedules: vec![ScheduleSpec {
                name: "every-minute".into(),
                function: "note".into(),
                every: Duration::from_secs(60),
                input: Some("<aws.scheduler.scheduled-time>".into()),
            }],
            routes: vec![
                route("POST", "/f/{form}", "echo"),
                route("POST", "/f/special", "send"),
                route("GET", "/do/{how}", "echo"),
                route("ANY", "/rest/{path+}", "echo"),
            ],
            secrets: BTreeMap::from([(
                "key".to_owned(),
                Generate { length: 40, alphabet: "0123456789abcdef".into(), inside: None },
            )]),
            mail_sets: BTreeMap::from([("news".to_owned(), BTreeSet::from(["BOUNCE".to_owned()]))]),
            rules: vec![RuleSpec {
                resources: vec!["arn:aws:ses:us-east-1:000000000000:configuration-set/news".into()],
                queues: vec!["rest".into()],
            }],
        })
    })
    .await
    .unwrap();
    World { stack, notes }
}

/// One request on a connection of its own: status and body.
async fn ask(stack: &Stack, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut connection = TcpStream::connect(stack.addresses.url.trim_start_matches("http://")).await.unwrap();
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|header| format!("{}\r\n", header.trim())).collect();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    // A refused body is not read to its end.
    let _ = connection.write_all(body).await;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end + 4))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never happened: {what}");
}

#[tokio::test]
async fn a_request_reaches_its_function_in_payload_format_2() {
    let World { stack, .. } = world(None).await;
    let head = "POST /f/a%20b?x=1&x=2&y=%C3%A4\nCookie: a=1; b=2\nContent-Type: application/x-www-form-urlencoded\nX-Two: one\nX-Two: two";
    let (status, body) = ask(&stack, head, b"email=a%40b.c").await;
    assert_eq!(status, 200);
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "POST /f/{form}");
    assert_eq!(event["rawPath"], "/f/a%20b");
    assert_eq!(event["rawQueryString"], "x=1&x=2&y=%C3%A4");
    assert_eq!(event["queryStringParameters"], json!({ "x": "1,2", "y": "ä" }));
    assert_eq!(event["pathParameters"], json!({ "form": "a b" }));
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["headers"]["x-two"], "one,two");
    assert_eq!(event["headers"].get("cookie"), None);
    assert_eq!(
        (event["isBase64Encoded"].clone(), event["body"].clone()),
        (json!(true), json!("ZW1haWw9YSU0MGIuYw=="))
    );
    let context = &event["requestContext"];
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["http"]["protocol"], "HTTP/1.1");
    assert_eq!(context["time"], "05/Jan/2026:09:30:00 +0000");
    assert_eq!(context["timeEpoch"], 1_767_605_400_000_i64);
    let (_, body) =
        ask(&stack, "POST /f/json\nContent-Type: application/json; charset=utf-8", b"{\"a\":1}").await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((event["isBase64Encoded"].clone(), event["body"].clone()), (json!(false), json!("{\"a\":1}")));
}

#[tokio::test]
async fn the_door_refuses_as_api_gateway_does() {
    let World { stack, .. } = world(None).await;
    let said = |message: &str| json!({ "message": message }).to_string().into_bytes();
    assert_eq!(ask(&stack, "GET /f/contact", b"").await, (404, said("Not Found")));
    assert_eq!(ask(&stack, "GET /do", b"").await, (404, said("Not Found")));
    assert_eq!(ask(&stack, "GET /do/malformed", b"").await, (500, said("Internal Server Error")));
    assert_eq!(ask(&stack, "GET /do/panic", b"").await, (500, said("Internal Server Error")));
    let large = vec![b'x'; 10 * 1024 * 1024 + 1];
    assert_eq!(ask(&stack, "POST /f/contact", &large).await.0, 413);
    let (status, body) = ask(&stack, "PATCH /rest/a/b", b"").await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &event["pathParameters"]["path"]), (200, &json!("a/b")));
}

#[tokio::test]
async fn a_call_runs_to_its_end_though_whoever_asked_has_gone_and_a_stop_waits_for_it() {
    let World { stack, notes } = world(None).await;
    let echo = stack.function("echo").unwrap().clone();
    let leave = async || {
        let url = stack.addresses.url.trim_start_matches("http://");
        let mut connection = TcpStream::connect(url).await.unwrap();
        connection.write_all(b"GET /do/slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
        until("it has begun", || echo.running() == 1).await;
    };
    leave().await;
    until("it has ended", || echo.running() == 0).await;
    assert_eq!(notes.count("slow"), 1);
    leave().await;
    stack.stop().await;
    assert_eq!(notes.count("slow"), 2);
}

#[tokio::test]
async fn a_literal_route_wins_and_its_function_reaches_a_queue_with_the_sdk() {
    let World { stack, .. } = world(None).await;
    assert_eq!(ask(&stack, "POST /f/special", b"").await.0, 200);
    let received = stack.sqs.receive("rest", 10, None).unwrap();
    assert_eq!(received.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["by sdk"]);
}

#[tokio::test]
async fn one_bad_record_comes_again_alone_and_ends_in_the_dead_letters() {
    let World { stack, notes } = world(None).await;
    for body in ["good", "bad", "fine"] {
        stack.sqs.send("work", OutgoingMessage::new(body)).unwrap();
    }
    let in_flight = || stack.sqs.depth("work").unwrap().in_flight;
    until("the good ones are deleted", || notes.count("fine") == 1 && in_flight() == 1).await;
    stack.advance(Duration::from_secs(31));
    until("the bad one comes again", || notes.count("bad") == 2).await;
    stack.advance(Duration::from_secs(31));
    until("it is a dead letter", || stack.sqs.depth("dead").unwrap().visible == 1).await;
    assert!(stack.settle(Duration::from_secs(10)).await);
    assert_eq!((notes.count("good"), notes.count("fine"), notes.count("bad")), (1, 1, 2));
}

#[tokio::test]
async fn an_error_fails_the_whole_batch() {
    let World { stack, notes } = world(None).await;
    stack.sqs.send("work", OutgoingMessage::new("throw")).unwrap();
    until("it was thrown", || notes.count("throw") == 1 && stack.function("sort").unwrap().running() == 0)
        .await;
    assert_eq!(stack.sqs.depth("work").unwrap().in_flight, 1);
}

#[tokio::test]
async fn a_schedule_fires_when_its_minute_comes_and_once_for_a_whole_hour() {
    let World { stack, notes } = world(None).await;
    let all = || notes.0.lock().unwrap().clone();
    stack.advance(Duration::from_secs(59));
    stack.advance(Duration::from_secs(1));
    until("the first minute", || all() == ["2026-01-05T09:31:00Z"]).await;
    until("it ended", || stack.function("note").unwrap().running() == 0).await;
    stack.advance(Duration::from_secs(3600));
    until("the hour", || all() == ["2026-01-05T09:31:00Z", "2026-01-05T10:31:00Z"]).await;
}

#[tokio::test]
async fn a_clock_moved_by_hand_stops_where_something_is_due_and_waits_for_no_failure() {
    let World { stack, notes } = world(None).await;
    let later = OutgoingMessage { delay_seconds: Some(90), ..OutgoingMessage::new("later") };
    stack.sqs.send("work", later).unwrap();
    // Comes again after half a minute.
    stack.sqs.send("work", OutgoingMessage::new("throw")).unwrap();
    let (mover, start) = (stack.mover(), stack.mover().now());
    assert!(mover.move_to(start.plus_millis(89_000)).await);
    assert_eq!((notes.count("later"), notes.count("throw")), (0, 2));
    assert_eq!(notes.count("2026-01-05T09:31:00Z"), 1);
    assert!(mover.move_to(start.plus_millis(90_000)).await);
    assert_eq!(notes.count("later"), 1);
    assert!(mover.move_to(start).await);
    assert_eq!(mover.now(), start.plus_millis(90_000), "never back");
}

#[tokio::test]
async fn a_restart_keeps_table_queues_secrets_and_hands_out_again_what_was_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let data = || Some(folder.path().join("data"));
    let World { stack, .. } = world(data()).await;
    let item = json!({ "TableName": "table", "Item": { "pk": { "S": "a" } } });
    stack.dynamodb.run("PutItem", item.to_string().as_bytes()).unwrap();
    stack.sqs.send("rest", OutgoingMessage::new("kept")).unwrap();
    assert_eq!(stack.sqs.receive("rest", 1, None).unwrap().len(), 1);
    let secret = stack.secrets.value("key").unwrap();
    stack.stop().await;

    let World { stack, .. } = world(data()).await;
    let key = json!({ "TableName": "table", "Key": { "pk": { "S": "a" } } });
    let found = stack.dynamodb.run("GetItem", key.to_string().as_bytes()).unwrap();
    assert!(String::from_utf8(found).unwrap().contains("\"pk\""));
    assert_eq!(stack.sqs.receive("rest", 1, None).unwrap()[0].body, "kept");
    assert_eq!(stack.secrets.value("key"), Some(secret.clone()));
    stack.kill().await;

    let World { stack, .. } = world(data()).await;
    assert_eq!(stack.sqs.receive("rest", 1, None).unwrap()[0].body, "kept");
    assert_eq!(stack.secrets.value("key"), Some(secret));
}

#[tokio::test]
async fn mails_are_shown_and_their_markup_is_not_run() {
    let World { stack, .. } = world(None).await;
    let mail = json!({
        "FromEmailAddress": "a@shop.example",
        "Destination": { "ToAddresses": ["b@example.com"] },
        "Content": { "Simple": { "Subject": { "Data": "<script>1</script>" },
                                 "Body": { "Text": { "Data": "<b>hello</b>" } } } },
    });
    let request =
        http::Request::post("/v2/email/outbound-emails").body(Bytes::from(mail.to_string())).unwrap();
    let sent = sluice_services::Service::call(&stack.ses, request).await;
    assert_eq!(sent.status().as_u16(), 200);
    let page = |path: String| {
        let stack = &stack;
        async move {
            let (status, body) = ask(stack, &format!("GET {path}"), b"").await;
            (status, String::from_utf8(body).unwrap())
        }
    };
    assert!(page("/_local/".into()).await.1.contains("/_local/mail"));
    let (status, list) = page("/_local/mail".into()).await;
    assert!(status == 200 && list.contains("&lt;script&gt;") && !list.contains("<script>"), "{list}");
    let (status, shown) = page(format!("/_local/mail/{}", stack.ses.list()[0].id)).await;
    assert!(status == 200 && shown.contains("&lt;b&gt;hello") && !shown.contains("<b>"), "{shown}");
    assert_eq!(page("/_local/mail/none".into()).await.0, 404);
}

/// The example `echo_bootstrap`: `cargo test` builds it beside this test, `cargo test --test host` does not.
fn bootstrap() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Of the whole workspace, so that what `cargo test --workspace` built is what is asked for.
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--workspace", "--tests", "--example", "echo_bootstrap"]);
        // Nor in another environment: ring is built anew if it is of another package.
        for part in ["NAME", "VERSION_MAJOR", "VERSION_MINOR", "VERSION_PATCH", "VERSION_PRE"] {
            cargo.env_remove(format!("CARGO_PKG_{part}"));
        }
        cargo.env_remove("CARGO_MANIFEST_DIR");
        let built = cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        // This test lies in `target/PROFILE/deps`.
        let own = std::env::current_exe().unwrap();
        let path = own.ancestors().nth(2).unwrap().with_file_name("debug").join("examples/echo_bootstrap");
        assert!(path.is_file(), "no example at {}", path.display());
        path
    })
}

fn binary(notes: &Arc<Notes>) -> BinarySpec {
    BinarySpec {
        name: "echo".into(),
        path: bootstrap().to_owned(),
        vars: BTreeMap::from([("ECHO".to_owned(), "1".to_owned())]),
        timeout: Duration::from_secs(2),
        memory_mb: 128,
        max_instances: 3,
        metrics: notes.clone(),
        clock: Arc::new(StackClock::real()),
    }
}

#[tokio::test]
async fn what_ses_says_of_a_mail_goes_to_the_queue_of_the_rule_for_its_set() {
    let World { stack, .. } = world(None).await;
    let send = async |set: Option<&str>| {
        let mut mail = json!({
            "FromEmailAddress": "a@shop.example",
            "Destination": { "ToAddresses": ["bounce@simulator.amazonses.com"] },
            "EmailTags": [{ "Name": "message", "Value": "m-1" }],
            "Content": { "Simple": { "Subject": { "Data": "s" }, "Body": { "Text": { "Data": "t" } } } },
        });
        if let Some(set) = set {
            mail["ConfigurationSetName"] = set.into();
        }
        let request =
            http::Request::post("/v2/email/outbound-emails").body(Bytes::from(mail.to_string())).unwrap();
        sluice_services::Service::call(&stack.ses, request).await.status().as_u16()
    };
    assert_eq!(send(None).await, 200);
    assert_eq!(send(Some("of-somebody-else")).await, 404);
    assert_eq!(stack.sqs.depth("rest").unwrap().visible, 0, "without a set nothing is published");
    assert_eq!(send(Some("news")).await, 200);
    let told = stack.sqs.receive("rest", 10, None).unwrap();
    assert_eq!(told.len(), 1, "only what the set publishes");
    let event: Value = serde_json::from_str(&told[0].body).unwrap();
    assert_eq!(event["detail"]["bounce"]["bounceType"], "Permanent");
    assert_eq!(event["detail"]["mail"]["tags"]["message"], json!(["m-1"]));
    stack.kill().await;
}

#[tokio::test]
async fn a_binary_answers_fails_and_comes_back_after_a_crash() {
    let notes = Arc::new(Notes::default());
    let function = BinaryFunction::start(binary(&notes)).await.unwrap();
    let call = |payload: &'static str| function.invoke(Bytes::from(payload));
    let many = futures::future::join_all((0..20).map(|_| call("{\"a\":1}"))).await;
    assert!(many.iter().all(|answer| answer.as_ref().unwrap() == "{\"a\":1}"));
    let failed = call("\"fail\"").await.unwrap_err();
    assert!(failed.message.contains("as asked"), "{failed}");
    assert_eq!(call("\"crash\"").await.unwrap_err().kind, "Runtime.ExitError");
    assert_eq!(call("{\"b\":2}").await.unwrap(), "{\"b\":2}");
    assert!(notes.count(r#"{"started":1}"#) >= 1);
}

#[tokio::test]
async fn a_binary_that_overruns_is_ended_and_one_that_cannot_start_says_why() {
    let notes = Arc::new(Notes::default());
    let mut spec = binary(&notes);
    spec.timeout = Duration::from_millis(200);
    let function = BinaryFunction::start(spec.clone()).await.unwrap();
    assert_eq!(function.invoke(Bytes::from("\"hang\"")).await.unwrap_err().kind, "Sandbox.Timedout");
    assert_eq!(function.invoke(Bytes::from("1")).await.unwrap(), "1");
    spec.vars.clear();
    let refused = BinaryFunction::start(spec).await.map(|_| ()).unwrap_err();
    assert!(refused.0.starts_with("echo: "), "{refused}");
}
