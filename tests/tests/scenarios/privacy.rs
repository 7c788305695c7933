//! Nothing about a person reaches a log: values planted everywhere, searched for in every line.

use crate::command::{Command, Sluice};
use serde_json::json;
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::log;
use sluice_tests::stack::{POLICIES, Setup};
use std::time::Duration;

/// Found nowhere else in this program.
const CANARIES: [&str; 7] = [
    "kanarie.vogel",
    "Kanarievogeltje",
    "2015550199",
    "555-0199",
    "fluit fluit mijn lied",
    "geheim-in-de-url",
    "kanarie-kooi.example",
];
const EMAIL: &str = "kanarie.vogel@kanarie-kooi.example";

fn found_in(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let suspicious = |line: &String| CANARIES.iter().any(|canary| line.contains(canary));
    lines.into_iter().filter(suspicious).collect()
}

#[tokio::test]
async fn no_line_of_any_log_holds_anything_about_a_person() {
    let graph =
        Fake::start(|_| (400, json!({"error": {"code": 1, "message": EMAIL, "error_data": CANARIES}}))).await;
    let run = Setup::policies(POLICIES).var("SLUICE_GRAPH_URL", &graph.url).start().await;
    let everything = [
        ("email", EMAIL),
        ("phone", "+1 (201) 555-0199"),
        ("first_name", "Kanarievogeltje"),
        ("message", "fluit fluit mijn lied"),
    ];
    let lead = run.lead(&everything).await;
    // The same with every call refused once on its way.
    run.refusals.refuse("*", "DynamoDB_20120810.TransactWriteItems", 3, (500, "InternalServerError"));
    run.refusals.refuse("send-message", "/v2/email/", 1, (400, "MessageRejected"));
    run.post("contact", &[everything[0], everything[3], ("n", "2")]).await.lead_id();
    tokio::time::sleep(Duration::from_millis(300)).await;
    run.refusals.lift();
    run.pass(Duration::from_secs(400)).await;
    run.refusals.refuse(
        "capture-lead",
        "DynamoDB_20120810.PutItem",
        usize::MAX,
        (400, "ThrottlingException"),
    );
    assert_eq!(run.post("contact", &everything).await.status, 503);
    run.refusals.lift();

    // Bad values, bad bodies, bad paths.
    run.lead(&[("email", "kanarie.vogel@@kanarie-kooi.example"), ("phone", "555-0199-555-0199-1")]).await;
    let target = "/f/contact?utm_source=geheim-in-de-url";
    let json_type =
        [("content-type", "application/json"), ("referer", "https://shop.example/?q=geheim-in-de-url")];
    for body in [format!("{{\"email\": \"{EMAIL}\""), format!("[\"{EMAIL}\"]"), EMAIL.to_owned()] {
        run.send("POST", target, &json_type, body.as_bytes()).await;
    }
    run.send("POST", "/f/geheim-in-de-url", &[], EMAIL.as_bytes()).await;
    run.send("POST", "/hooks/meta?geheim-in-de-url", &[], EMAIL.as_bytes()).await;
    run.send("GET", "/hooks/meta?hub.mode=subscribe&hub.challenge=geheim-in-de-url", &[], b"").await;

    // The API: looking up, trying, acting, policies that cannot be read.
    run.lookup(json!({"email": EMAIL})).await;
    run.lookup(json!({"phone": "555-0199"})).await;
    run.api(
        "POST",
        "/api/leads/try",
        Some(json!({"form": "contact", "body": format!("{{\"email\":\"{EMAIL}\"}}")})),
    )
    .await;
    run.api("POST", "/api/leads/try", Some(json!({"form": EMAIL, "body": EMAIL}))).await;
    run.api("POST", &format!("/api/leads/{lead}/close"), Some(json!({"reason": "fluit fluit mijn lied"})))
        .await;
    run.api("POST", "/api/policies/validate", Some(json!({"files": [{"file": "a", "text": EMAIL}]}))).await;
    run.apply("kind: template\nname: greeting\nsubject: s\nhtml: '{{ data.name.first }}'\n").await;
    for template in ["greeting", EMAIL] {
        let asked = json!({"data": {"name": EMAIL}, "language": "de"});
        run.api("POST", &format!("/api/templates/{template}/preview"), Some(asked)).await;
    }
    run.api("GET", &format!("/api/leads?since={EMAIL}&cursor={EMAIL}"), None).await;
    run.api_as(Some("geheim-in-de-url"), "GET", "/api/health", None).await;

    // A lead whose fields Meta refuses with a text that quotes a person, and poison on every queue.
    let is_worked_off = |queue: &&String| !queue.contains("DeadLetters");
    for queue in run.queues().iter().filter(is_worked_off) {
        run.stack.sqs.send(queue, OutgoingMessage::new(format!("{{\"lead\":\"{EMAIL}\"}}"))).unwrap();
        run.stack.sqs.send(queue, OutgoingMessage::new(EMAIL)).unwrap();
    }
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        run.stack.advance(Duration::from_secs(181));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let sdk = sluice_host::aws::sqs(&run.sdk()).unwrap();
    for queue in run.queues() {
        sdk.purge_queue().queue_url(run.stack.addresses.queue_url(&queue)).send().await.unwrap();
    }
    run.settle().await;
    let lines = log::lines();
    // The log is captured, and says that things went wrong: without names.
    assert!(lines.iter().any(|line| line.contains("lead not stored") && line.contains("capture_lead")));
    assert!(lines.iter().any(|line| line.contains("record failed")));
    assert_eq!(found_in(lines), Vec::<String>::new());
    run.finish().await;
}

#[tokio::test]
async fn the_commands_log_holds_nothing_about_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(folder.path()).log("trace")).await;
    let body = format!(
        "email={EMAIL}&phone=%2B12015550199&first_name=Kanarievogeltje&message=fluit+fluit+mijn+lied"
    );
    let id = sluice.post(&body).await.unwrap().lead_id();
    sluice.ended(&id).await;
    sluice.post("email=kanarie.vogel%40%40kanarie-kooi.example&phone=555-0199").await.unwrap().lead_id();
    sluice.api("POST", "/api/customers/lookup", Some(json!({"email": EMAIL}))).await;
    sluice.kill();
    let log = std::fs::read_to_string(folder.path().join("sluice.log")).unwrap();
    assert!(!log.is_empty(), "the command writes a log");
    assert_eq!(found_in(log.lines().map(str::to_owned)), Vec::<String>::new());
}
