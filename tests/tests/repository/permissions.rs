//! Each function may do what it does and no more: a workload that reaches every kind of call is run with all calls
//! written down, and what was called is compared with what the template allows.

use crate::campaigns::{campaigns, store};
use crate::messages::messages;
use crate::none;
use crate::shop;
use crate::stack::{Call, Recorded};
use ring::hmac;
use serde_json::{Value, json};
use sluice::cli::local_template;
use sluice::host::spec::named;
use sluice::template::{Function, Template};
use sluice_domain::id::{CustomerId, LeadId, MessageId};
use sluice_domain::lead::{Envelope, Lead, Origin, Progress};
use sluice_domain::message::{Cause, CauseKind, Channel, Order};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_services::{Service, listen, secrets};
use sluice_store::DueEntry;
use sluice_tests::outside::{Graph, Receiver};
use sluice_tests::sns;
use sluice_wire::queue::{
    CampaignMessage, CampaignTask, EnrichMessage, EraseMessage, EventMessage, LeadMessage, NoticeKind,
    NoticeMessage, OrderMessage, Wake, encode,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Allowed and not seen in the workload: who, what, on what, and why it is needed all the same.
const UNSEEN: [(&str, &str, &str, &str); 9] = [
    (
        "record-feedback",
        "dynamodb:ConditionCheckItem",
        "Table",
        "while the hash key is rotated an address has two gates: the one that is not written has to be as it was read",
    ),
    (
        "record-engagement",
        "dynamodb:ConditionCheckItem",
        "Table",
        "while the hash key is rotated an address has two gates: the one that is not written has to be as it was read",
    ),
    ("route-lead", "sqs:SendMessage", "EraseQueue", "a lead of a person who was erased while it was routed"),
    ("route-lead", "sqs:SendMessage", "LeadQueue", "a lead that waits for who is back within minutes"),
    ("fire-timers", "dynamodb:PutItem", "Table", "what an alert tells whose bounds are passed"),
    ("advance-journey", "dynamodb:DeleteItem", "Table", "an entry beside a record that was just erased"),
    (
        "erase-customer",
        "dynamodb:DeleteItem",
        "Table",
        "the owner of a company who was found by the person's lead",
    ),
    (
        "erase-customer",
        "dynamodb:ConditionCheckItem",
        "Table",
        "while the hash key is rotated an address has two gates: the one that is not written has to be as it was read",
    ),
    ("erase-customer", "sqs:SendMessage", "EraseQueue", "a person with more leads than go in one run"),
];

/// What Lambda's own poller needs of the role. (Lambda developer guide, "Using Lambda with Amazon SQS", permissions.)
const POLLER: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
/// What writes a function's log.
const LOGGER: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];

/// An action on a resource, both as they are complained about.
type Grant = (String, String);

fn grant(action: &str, resource: impl Into<String>) -> Grant {
    (action.to_owned(), resource.into())
}

/// What the role of a function allows, resources by their logical ids.
fn allowed(template: &Template, function: &Function) -> BTreeSet<Grant> {
    let role = template.roles.iter().find(|role| role.id == function.role).unwrap();
    let lookup = |id: &str, _: &str| Some(id.to_owned());
    let mut grants = BTreeSet::new();
    for statement in &role.statements {
        for resource in &statement.resources {
            let text = template.resolve(resource, &lookup).unwrap().unwrap();
            let text = text.rsplit(':').next().unwrap();
            // An identity is an address or its domain: the same permission.
            let text = if text.starts_with("identity/") { "identity" } else { text };
            grants.extend(statement.actions.iter().map(|action| grant(action, text)));
        }
    }
    grants
}

/// What one call needs.
fn needed(template: &Template, call: &Call) -> Vec<Grant> {
    let Some(target) = &call.target else {
        return match call.url.ends_with("/v2/email/outbound-emails") {
            // What SES v2 asks for where the content is raw, besides the operation's own name.
            true => ["ses:SendEmail", "ses:SendRawEmail"]
                .into_iter()
                .flat_map(|action| {
                    let identity = grant(action, "identity");
                    let set = call.body["ConfigurationSetName"].as_str().map(|name| {
                        let id = template.mail_sets.iter().map(|set| &set.id);
                        assert_eq!((id.clone().count(), name), (1, "sluice-mail"), "one set, and its name");
                        grant(action, id.map(|id| format!("configuration-set/{id}")).collect::<String>())
                    });
                    std::iter::once(identity).chain(set)
                })
                .collect(),
            false => Vec::new(), // not AWS
        };
    };
    let id = |name: &str| name.strip_prefix(&named("")).unwrap_or(name).to_owned();
    let (service, operation) = target.split_once('.').unwrap();
    match (service, operation) {
        ("DynamoDB_20120810", "TransactWriteItems") => {
            let actions = call.body["TransactItems"].as_array().unwrap().iter();
            let action = |item: &Value| {
                let (kind, of) = item.as_object().unwrap().iter().find(|(_, of)| of.is_object()).unwrap();
                let action = if kind == "ConditionCheck" {
                    "ConditionCheckItem".to_owned()
                } else {
                    format!("{kind}Item")
                };
                grant(&format!("dynamodb:{action}"), id(of["TableName"].as_str().unwrap()))
            };
            actions.map(action).collect()
        }
        ("DynamoDB_20120810", _) => {
            let of_batch = call.body["RequestItems"].as_object().and_then(|items| items.keys().next());
            let table = id(call.body["TableName"].as_str().or(of_batch.map(String::as_str)).unwrap());
            let resource = match call.body["IndexName"].as_str() {
                Some(index) => format!("{table}/index/{index}"),
                None => table,
            };
            vec![grant(&format!("dynamodb:{operation}"), resource)]
        }
        ("AmazonSQS", _) => {
            let queue = call.body["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap();
            // A batch needs the permission of its single call. (SQS developer guide, "Amazon SQS API permissions".)
            vec![grant(&format!("sqs:{}", operation.trim_end_matches("Batch")), id(queue))]
        }
        ("secretsmanager", _) => {
            let asked = call.body["SecretId"].as_str().unwrap();
            let own = template.secrets.iter().find(|secret| secrets::arn(&named(&secret.id)) == asked);
            let resource = match own {
                Some(secret) => secret.id.clone(),
                None if asked.starts_with("sluice/sources/") => "AWS::StackName/sources/*".to_owned(),
                None => asked.to_owned(),
            };
            vec![grant(&format!("secretsmanager:{operation}"), resource.rsplit(':').next().unwrap())]
        }
        _ => panic!("{target}: which permission is that?"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_may_do_what_it_does_and_no_more() {
    let template = local_template().unwrap();
    let mut called: BTreeMap<String, BTreeSet<Grant>> = BTreeMap::new();
    for call in workload().await {
        called.entry(call.function.clone()).or_default().extend(needed(&template, &call));
    }
    let mut wrong = Vec::new();
    for function in &template.functions {
        let allowed = allowed(&template, function);
        let called = called.remove(&function.name).unwrap_or_default();
        for (action, resource) in called.difference(&allowed) {
            wrong.push(format!("{}: needs {action} on {resource}", function.name));
        }
        let mut meant = called;
        meant.extend(LOGGER.map(|action| grant(action, format!("{}Logs", function.id))));
        for source in &function.sources {
            meant.extend(POLLER.map(|action| grant(action, source.queue.clone())));
        }
        let listed = UNSEEN.iter().filter(|(name, ..)| *name == function.name);
        meant.extend(listed.map(|(_, action, resource, _)| grant(action, *resource)));
        for (action, resource) in allowed.difference(&meant) {
            wrong.push(format!("{}: never uses {action} on {resource}", function.name));
        }
        for (action, resource) in meant.difference(&allowed) {
            if !wrong.iter().any(|line| line.ends_with(&format!("needs {action} on {resource}"))) {
                wrong.push(format!("{}: lacks {action} on {resource}", function.name));
            }
        }
    }
    none("permissions", wrong);
}

const POLICIES: &str = r#"
kind: journey
name: welcome
trigger: { event: signed_up }
steps:
  - send: { template: hello, topic: service }
  - notify: { text: Hello }
  - wait: 1m
---
kind: settings
name: default
escalate_to: [ann]
messaging: { caps: [{ at_most: 50, within: 1d }] }
---
kind: channel
name: email
via: ses
rate: 100
caps: [{ at_most: 2, within: 1m }]
---
kind: channel
name: sms
via: webhook
webhook: { url: 'HOOK', secrets: ['secret:hook'], body: { text: '{{ text }}' } }
---
kind: topic
name: club
consent: double_opt_in
confirm: sure
---
kind: template
name: sure
subject: Sure?
text: "{{ link.confirm }}"
---
kind: template
name: hello
subject: Hello
html: <p><a href="https://shop.example/">Hello</a></p>
---
kind: form
name: club
consent: { field: news, topic: club, wording: Yes, version: "1" }
---
kind: rep
name: ann
email: ann@example.com
capacity: 100
---
{ kind: rep, name: bob, webhook: { url: 'HOOK', secrets: ['secret:hook'] } }
---
{ kind: rep, name: eve, webhook: { url: 'HOOK', secrets: ['secret:missing'] } }
---
{ kind: webhook, name: everything, url: 'HOOK', secrets: ['secret:hook'], events: ["*"] }
---
kind: team
name: mail
members: [{ rep: ann, weight: 1 }]
response: { within: 5m, remind: ["50%"], limit: 1, catch_all: { team: hook } }
---
kind: team
name: hook
members: [{ rep: bob, weight: 1 }, { rep: eve, weight: 1 }]
---
kind: team
name: tight
members: [{ rep: ann, weight: 1, capacity: 1 }]
sticky_may_exceed: false
---
{ kind: form, name: web }
---
{ kind: source, name: shop, type: woocommerce, secrets: { secret: ['secret:app'] } }
---
kind: source
name: ads
type: meta
auth: signature
secrets:
  app_secret: ['secret:app']
  verify_token: ['secret:app']
  page_token: ['secret:page']
---
kind: source
name: site
type: segment
secrets: { write_key: ['secret:site'] }
---
kind: source
name: li
type: linkedin
auth: signature
secrets: { client_secret: ['secret:app'], access_token: ['secret:page'] }
---
kind: source
name: mute
type: meta
auth: signature
secrets: { app_secret: ['secret:app'], verify_token: ['secret:app'], page_token: ['secret:missing'] }
---
kind: routing
name: default
rules:
  - { name: returning, when: "customer.owner != ''", assign: { owner: customer } }
  - { name: tight, when: "lead.fields.kind == 'tight'", assign: { team: tight } }
  - { name: hook, when: "lead.fields.kind == 'hook'", assign: { team: hook } }
  - { name: rest, when: "!has(lead.fields.kind)", assign: { team: mail } }
"#;

/// A server of somebody else's; its URL.
async fn outside(service: Arc<dyn Service>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(listen::serve(listener, service));
    url
}

/// Reaches every kind of call that the functions make, with the queues refusing nothing.
async fn workload() -> Vec<Call> {
    let (graph, hook) = (outside(Arc::new(Graph)).await, outside(Arc::new(Receiver)).await);
    let it = Recorded::start(BTreeMap::from([("SLUICE_GRAPH_URL".to_owned(), graph)])).await;
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (name, value) in [("app", "app-secret"), ("page", "page-token"), ("hook", key), ("site", "write-key")]
    {
        it.stack.secrets.put(&format!("sluice/sources/{name}"), value.to_owned()).unwrap();
    }
    let certificate: String = sns::CERTIFICATE.lines().map(|line| format!("  {line}\n")).collect();
    let ses = format!(
        "---\nkind: source\nname: ses\ntype: sns\ntopics: ['{}']\ncertificate: |\n{certificate}",
        sns::TOPIC
    );
    let policies = POLICIES.replace("HOOK", &hook) + &ses;
    it.publish(&[("policies.yaml".to_owned(), policies)]).await;
    let leads = capture(&it).await;
    feedback(&it).await;
    track(&it).await;
    timers(&it).await;
    console(&it, &leads).await;
    it.rest().await;
    campaigns(&it, &leads).await;
    messages(&it).await;
    let calls = it.calls.lock().unwrap().clone();
    it.stack.kill().await;
    calls
}

/// Leads of every kind; the ids of two that have an owner and one that waits for one.
async fn capture(it: &Recorded) -> Vec<String> {
    let mut ids = Vec::new();
    for fields in [
        json!({ "email": "ada@example.org", "name": "Ada" }),
        json!({ "email": "bee@example.org", "phone": "+4930901821", "kind": "hook" }),
        json!({ "email": "cy@example.org", "kind": "tight" }),
        json!({ "email": "dan@example.org", "kind": "tight" }),
        json!({ "phone": "+4930901820", "name": "Ada" }),
        // Two people that were apart are one, and an office's number comes with another.
        json!({ "email": "ada@example.org", "phone": "+4930901820", "name": "Ada" }),
        json!({ "email": "eli@example.org", "phone": "+4930901821", "message": "long ".repeat(200), "kind": "hook" }),
    ] {
        let answer = it.call("POST", "/f/web", &fields).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        ids.push(answer.body["lead_id"].as_str().unwrap().to_owned());
        it.rest().await;
        it.stack.advance(Duration::from_secs(5));
    }
    for source in ["ads", "mute"] {
        let path = format!("/hooks/{source}");
        let challenge = format!("{path}?hub.mode=subscribe&hub.verify_token=app-secret&hub.challenge=1");
        assert_eq!(it.call("GET", &challenge, &Value::Null).await.status, 200);
        let change = |id: u32| json!({ "field": "leadgen", "value": { "leadgen_id": id.to_string(), "page_id": "7", "form_id": "8", "created_time": 1_795_259_990 } });
        let entry = json!({ "id": "7", "time": 1, "changes": [change(1), change(2)] });
        let body = json!({ "object": "page", "entry": [entry] }).to_string();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"app-secret"), body.as_bytes());
        let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let signed = [("x-hub-signature-256", format!("sha256={tag}"))];
        let signed = signed.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = it.send("POST", &path, "", &signed, body.into_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    shop::order(it).await;
    withdrawal(it).await;
    it.rest().await;
    // What is to be tried again waits in a queue.
    for seconds in [10, 60, 300] {
        it.stack.advance(Duration::from_secs(seconds));
        it.rest().await;
    }
    ids
}

/// LinkedIn says that a lead was withdrawn.
async fn withdrawal(it: &Recorded) {
    let body = json!({
        "type": "LEAD_ACTION", "leadAction": "DELETED", "leadType": "SPONSORED",
        "leadGenFormResponse": "urn:li:leadGenFormResponse:a1-1",
        "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:8186,1)",
    });
    let body = body.to_string();
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, b"app-secret"),
        format!("hmacsha256={body}").as_bytes(),
    );
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = it.send("POST", "/hooks/li", "", &[("x-li-signature", &tag)], body.into_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// A bounce that SNS brings, of a message that is not there.
async fn feedback(it: &Recorded) {
    let message = MessageId::of(&CustomerId::derived(&["test"]), it.stack.clock.now(), &["test"]);
    let bounce = json!({
        "eventType": "Bounce",
        "bounce": {
            "bounceType": "Permanent", "bouncedRecipients": [{ "emailAddress": "gone@example.org" }],
            "timestamp": "2026-03-02T08:59:00Z",
        },
        "mail": { "messageId": "mail-1", "tags": { "message": [message] } },
    });
    let body = sns::notification("1", &bounce.to_string());
    let answer = it.send("POST", "/hooks/ses", "", &[], body.into_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    it.rest().await;
}

/// Somebody does something, twice over, says who they are, and begins a journey; then somebody else at the same machine.
async fn track(it: &Recorded) {
    let known = json!([
        { "type": "track", "event": "Pricing Viewed", "anonymousId": "b-1", "messageId": "1" },
        { "type": "identify", "userId": "u-1", "anonymousId": "b-1", "traits": { "email": "ivy@example.org" } },
    ]);
    let later = json!([
        { "type": "track", "event": "Signed Up", "userId": "u-1" },
        { "type": "track", "event": "Pricing Viewed", "userId": "u-2", "anonymousId": "b-1" },
    ]);
    for batch in [&known, &known, &later] {
        let body = json!({ "writeKey": "write-key", "batch": batch }).to_string();
        let answer = it.send("POST", "/v1/batch", "", &[], body.into_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        it.rest().await;
    }
}

/// Due entries of every queue, and leads whose messages were lost.
async fn timers(it: &Recorded) {
    let store = store(it);
    let now = it.stack.clock.now();
    let lost = |key: &str, needs_enrichment: bool| Lead {
        id: LeadId::derived(&["test", key]),
        origin: Origin {
            kind: "form".to_owned(),
            name: if needs_enrichment { "ads" } else { "web" }.to_owned(),
        },
        external_id: needs_enrichment.then(|| key.to_owned()),
        received: Timestamp(now.millis() - 600_000),
        envelope: Envelope {
            fields: vec![("email".to_owned(), format!("{key}@example.org"))],
            ..Envelope::default()
        },
        needs_enrichment,
        manifest: 1,
        progress: Progress::default(),
        version: 0,
    };
    let (one, two) = (lost("lost", false), lost("half", true));
    store.accept_lead(&one).await.unwrap();
    store.accept_lead(&two).await.unwrap();
    let notice =
        NoticeMessage { lead: one.id.clone(), rep: "ann".to_owned(), kind: NoticeKind::Assigned, n: 1 };
    let wake =
        Wake { customer: CustomerId::derived(&["nobody"]), journey: None, token: "0".to_owned(), at: now };
    let begin = CampaignMessage { campaign: "none".to_owned(), broadcast: 1, task: CampaignTask::Begin };
    for (queue, body) in [
        ("lead", encode(&LeadMessage::Lead(one.id.clone()))),
        ("enrich", encode(&EnrichMessage::Lead(two.id.clone()))),
        ("notice", encode(&notice)),
        // What lies in these names nobody and is dropped.
        ("message", encode(&OrderMessage::new(order(now, false)))),
        ("bulk", encode(&OrderMessage::new(order(now, true)))),
        ("erase", encode(&EraseMessage::Customer(CustomerId::derived(&["nobody"])))),
        ("feedback", "{}".to_owned()),
        ("event", encode(&EventMessage::Due(wake))),
        ("campaign", encode(&begin)),
    ] {
        let entry = DueEntry { at: now, id: format!("due-{queue}"), queue: queue.to_owned(), body };
        store.put_due(&entry).await.unwrap();
    }
    it.stack.function("fire-timers").unwrap().invoke(bytes::Bytes::from_static(b"{}")).await.unwrap();
    it.rest().await;
}

/// A message to nobody.
fn order(at: Timestamp, bulk: bool) -> Order {
    let cause = Cause { kind: CauseKind::Api, name: "hello".to_owned(), part: bulk.to_string() };
    let nobody = CustomerId::derived(&["nobody"]);
    Order { bulk, ..Order::new(nobody, at, cause, Channel::Email, "hello", "news") }
}

/// Every route of the API once, and the acts in an order in which each is possible.
async fn console(it: &Recorded, leads: &[String]) {
    let nothing = Value::Null;
    let made = it.call("POST", "/api/tokens", &json!({ "role": "rep", "rep": "ann" })).await;
    let token = made.body["token"].as_str().unwrap().to_owned();
    assert_eq!(it.send("GET", "/api/leads", &token, &[], Vec::new()).await.status, 200);
    let lead = it.call("GET", &format!("/api/leads/{}", leads[5]), &nothing).await.body;
    let customer = lead["customer"].as_str().unwrap_or_else(|| panic!("no customer: {lead}")).to_owned();
    let row = json!({ "n": 1, "fields": [["email", "fair@example.org"]] });
    let calls = [
        ("GET", "/api/health".to_owned(), nothing.clone()),
        ("GET", "/api/ledger".to_owned(), nothing.clone()),
        ("GET", "/api/leads?state=assigned".to_owned(), nothing.clone()),
        ("GET", "/api/leads?state=open".to_owned(), nothing.clone()),
        ("GET", "/api/leads?missing=any".to_owned(), nothing.clone()),
        ("GET", "/api/messages?rep=ann".to_owned(), nothing.clone()),
        (
            "POST",
            "/api/leads/try".to_owned(),
            json!({ "form": "web", "body": "{\"email\":\"ada@example.org\"}" }),
        ),
        ("POST", format!("/api/leads/{}/accept", leads[0]), json!({})),
        ("POST", format!("/api/leads/{}/contacts", leads[0]), json!({ "channel": "phone", "key": "one" })),
        ("POST", format!("/api/leads/{}/contacts", leads[0]), json!({ "channel": "email" })),
        ("POST", format!("/api/leads/{}/qualify", leads[0]), json!({ "grade": "A" })),
        ("GET", "/api/insight/speed-to-lead?by=rep".to_owned(), nothing.clone()),
        ("POST", format!("/api/leads/{}/reassign", leads[0]), json!({ "team": "hook", "reason": "asked" })),
        ("POST", format!("/api/leads/{}/credit", leads[0]), json!({ "reason": "a machine" })),
        ("POST", format!("/api/leads/{}/reassign", leads[1]), json!({ "team": "mail" })),
        ("POST", format!("/api/leads/{}/close", leads[1]), json!({})),
        ("GET", "/api/reps/ann/leave".to_owned(), nothing.clone()),
        ("PUT", "/api/reps/ann/leave".to_owned(), json!({ "leave": [{ "from": "2030-01-01" }] })),
        ("POST", format!("/api/leads/{}/disqualify", leads[6]), json!({})),
        ("POST", format!("/api/leads/{}/claim", leads[3]), json!({ "rep": "ann" })),
        ("POST", "/api/reps/ann/rebalance".to_owned(), json!({ "do": true, "rep": "bob" })),
        ("GET", "/api/customers".to_owned(), nothing.clone()),
        ("POST", "/api/customers/lookup".to_owned(), json!({ "email": "ada@example.org" })),
        ("GET", format!("/api/customers/{customer}"), nothing.clone()),
        ("POST", format!("/api/customers/{customer}/unmerge"), json!({})),
        ("GET", "/api/policies".to_owned(), nothing.clone()),
        ("POST", "/api/policies/validate".to_owned(), json!({ "kind": "form", "name": "a" })),
        ("GET", "/api/policies/form/web".to_owned(), nothing.clone()),
        ("GET", "/api/imports".to_owned(), nothing.clone()),
        ("POST", "/api/imports".to_owned(), json!({ "batch": "fair", "form": "web" })),
        ("GET", "/api/imports/fair".to_owned(), nothing.clone()),
        ("POST", "/api/imports/try".to_owned(), json!({ "form": "web", "rows": [row] })),
        ("POST", "/api/imports/fair/rows".to_owned(), json!({ "rows": [row] })),
        ("POST", "/api/imports/fair/revert".to_owned(), json!({})),
        ("PUT", "/api/policies/form/more".to_owned(), json!({ "kind": "form", "name": "more" })),
        ("GET", "/api/tokens".to_owned(), nothing.clone()),
        ("DELETE", format!("/api/tokens/{}", made.body["id"].as_str().unwrap()), nothing.clone()),
        ("GET", "/api/audit?kind=owner&since=2020-01-01T00:00:00Z".to_owned(), nothing.clone()),
    ];
    let mut wrong = Vec::new();
    for (method, path, body) in calls {
        let answer = it.call(method, &path, &body).await;
        if !(200..300).contains(&answer.status) {
            wrong.push(format!("{method} {path}: {} {}", answer.status, answer.body));
        }
        it.stack.advance(Duration::from_secs(3));
    }
    // Explained by the policies of its time, which are no longer the newest.
    let old = it.call("GET", &format!("/api/leads/{}", leads[0]), &nothing).await;
    assert_eq!(old.status, 200, "{}", old.body);
    none("calls that the workload needs", wrong);
    assert!(it.callers().len() >= 6, "{:?}", it.callers());
}
