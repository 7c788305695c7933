//! Erasing a person leaves nothing of them (I8), wherever it came from and whatever is still on its way, and what comes
//! again brings nothing back.

use crate::command::{Command, Sluice};
use crate::rights::{consents, sluice};
use ring::hmac;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::id::LeadId;
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::http::Answer;
use sluice_tests::stack::log;
use sluice_tests::stack::{POLICIES, Running, Setup};
use sluice_wire::queue::{EraseMessage, LeadMessage, encode};
use std::path::Path;
use std::time::Duration;

/// In everything that the erased person says, and found nowhere else.
const CANARIES: [&str; 8] =
    ["merula", "Merula", "Turdus", "2015550177", "555-0177", "Amselbau", "tirili", "444000077"];
pub(crate) const MAIL: &str = "merula@amselnest.example";
const PHONE: &str = "+1 (201) 555-0177";

fn policies() -> String {
    let with_company = POLICIES.replace(
        "  - name: everyone\n",
        "  - name: same company\n    assign: { owner: company }\n  - name: everyone\n",
    );
    with_company.replace("escalate_to: [boss]", "escalate_to: [boss]\nmatching: { suggest: true }")
}

fn left_in<'a>(where_: &str, texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let texts: Vec<&str> = texts.into_iter().collect();
    let found = |canary: &&str| {
        texts
            .iter()
            .find(|text| text.contains(*canary))
            .map(|text| ((*canary).to_owned(), (*text).to_owned()))
    };
    let found = CANARIES.iter().chain(&["amselnest"]).filter_map(found);
    found.map(|(canary, text)| format!("{canary} is in {where_}: {}", &text[..text.len().min(300)])).collect()
}

/// Where anything of the person is left: in the table, on queues and among dead letters, in mails, in the log.
pub(crate) fn left(run: &Running) -> Vec<String> {
    let items: Vec<String> =
        run.table().into_iter().map(|((pk, sk), item)| format!("{pk} {sk} {item}")).collect();
    let mut left = left_in("the table", items.iter().map(String::as_str));
    let lines = log::lines();
    left.extend(left_in("the log", lines.iter().map(String::as_str)));
    let mails: Vec<String> = run.mails().into_iter().map(|(_, text)| text).collect();
    left.extend(left_in("the mails", mails.iter().map(String::as_str)));
    for (queue, body) in run.queued() {
        left.extend(left_in(&queue, [body.as_str()]));
    }
    left
}

async fn announce(run: &Running, id: &str) -> Answer {
    let change = json!({"field": "leadgen", "value": {"leadgen_id": id, "form_id": "7", "page_id": "5", "created_time": 1772442000}});
    let body = json!({"object": "page", "entry": [{"id": "5", "time": 1772442000, "changes": [change]}]})
        .to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"app-secret-of-the-scenarios");
    let tag: String =
        hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = format!("sha256={tag}");
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
    run.send("POST", "/hooks/meta", &headers, body.as_bytes()).await
}

async fn import(run: &Running, folder: &Path, batch: &str) -> Value {
    let file = folder.join("people.csv");
    let rows = format!("first_name,email,phone,newsletter,message\nMerula,{MAIL},,yes,tirili from a file\n");
    std::fs::write(&file, rows).unwrap();
    let arguments = ["import", file.to_str().unwrap(), "--form", "contact", "--batch", batch, "--json"];
    let output = sluice(run, &arguments).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) async fn erase(run: &Running, customer: &str) -> Value {
    let (status, answer) = run.api("DELETE", &format!("/api/customers/{customer}"), None).await;
    assert_eq!(status, 202, "{answer:#}");
    run.settle().await;
    let (status, erasure) = run.api("GET", answer["look"].as_str().unwrap(), None).await;
    assert_eq!((status, &erasure["state"]), (200, &json!("erased")), "{erasure:#}");
    erasure
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_who_came_by_form_advertisement_file_and_word_of_mouth() {
    let graph = Fake::start(|_| {
        let fields = json!([{"name": "email", "values": [MAIL]}, {"name": "full_name", "values": ["Merula Turdus"]}, {"name": "note", "values": ["tirili ".repeat(100)]}]);
        (200, json!({"id": "444000077", "field_data": fields}))
    });
    let graph = graph.await;
    let run = Setup::policies(policies()).var("SLUICE_GRAPH_URL", &graph.url).start().await;
    let folder = tempfile::tempdir().unwrap();
    let beside =
        run.lead(&[("email", "bea@else.example"), ("first_name", "Bea"), ("newsletter", "on")]).await;
    let before = run.table();

    // The one record, by form; the other by phone; joined by a third lead; an advertisement; a file.
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("user-agent", "Merula/5.0"),
        ("idempotency-key", "merula-1"),
    ];
    let target = "/f/contact?utm_source=Amselbau";
    let body = format!(
        "email={MAIL}&first_name=Merula&last_name=Turdus&company=Amselbau+GmbH&newsletter=on&postal_code=80331&city=Amselbau&message={}",
        "tirili+".repeat(100)
    );
    let form = run.send("POST", target, &headers, body.as_bytes()).await.lead_id();
    run.settle().await;
    run.lead(&[("phone", PHONE), ("first_name", "Merula"), ("message", "tirili on the phone")]).await;
    let joins = run.lead(&[("email", MAIL), ("phone", PHONE), ("message", "tirili, both of us")]).await;
    assert_eq!(announce(&run, "444000077").await.status, 200);
    run.settle().await;
    import(&run, folder.path(), "spring").await;
    let customer = run.show(&joins).await["customer"].as_str().unwrap().to_owned();
    let contact = json!({"channel": "phone", "note": "tirili, wants a nest", "key": "one"});
    let (status, answer) = run.api("POST", &format!("/api/leads/{joins}/contacts"), Some(contact)).await;
    assert_eq!(status, 200, "{answer:#}");
    for (what, body) in [
        ("consents", json!({"channel": "sms", "topic": "news", "wish": "no", "note": "Merula said so"})),
        ("suppress", json!({"channel": "chat", "reason": "Turdus asked"})),
    ] {
        let (status, answer) =
            run.api("POST", &format!("/api/customers/{customer}/{what}"), Some(body)).await;
        assert_eq!(status, 200, "{answer:#}");
    }
    let whole = run.customer(&customer).await;
    assert_eq!(whole["merged_from"].as_array().unwrap().len(), 1, "{whole:#}");
    assert!(left(&run).len() > CANARIES.len(), "it was everywhere: {:#?}", left(&run));
    assert!(run.table().keys().any(|(pk, _)| pk.starts_with("bk#")), "found by description");
    assert!(run.table().keys().any(|(pk, _)| pk == "co#amselnest.example"), "whose company has its owner");

    // A lead that nobody has looked at yet.
    run.refusals.refuse(
        "route-lead",
        "DynamoDB_20120810.TransactWriteItems",
        usize::MAX,
        (500, "InternalServerError"),
    );
    let waits = run.post("contact", &[("email", MAIL), ("message", "tirili, too late")]).await.lead_id();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let erased = {
        let (status, answer) = run.api("DELETE", &format!("/api/customers/{customer}"), None).await;
        assert_eq!((status, &answer["customer"]), (202, &json!(customer)), "{answer:#}");
        assert_eq!(run.api("GET", &format!("/api/customers/{customer}"), None).await.0, 404);
        run.refusals.lift();
        run.pass(Duration::from_secs(400)).await;
        run.fire_timers().await;
        run.api("GET", answer["look"].as_str().unwrap(), None).await.1
    };
    assert_eq!(
        (&erased["state"], &erased["leads"], &erased["by"]),
        (&json!("erased"), &whole["lead_count"], &json!("admin"))
    );
    assert_eq!(run.show(&waits).await["state"], "erased");
    assert_eq!(left(&run), Vec::<String>::new());

    // The ledger adds up; the others are as they were; reps' lists and places are free.
    let ledger = run.ledger().await;
    assert_eq!((&ledger["ended"]["erased"], &ledger["adds_up"]), (&json!(6), &json!(true)), "{ledger:#}");
    let after = run.table();
    for (key, item) in &before {
        let is_counted =
            ["team#", "speed#", "rep#", "counted#"].iter().any(|prefix| key.0.starts_with(prefix));
        assert!(is_counted || after.get(key) == Some(item), "{key:?}: {item}\n{:?}", after.get(key));
    }
    let state: Value =
        serde_json::from_str(after[&("team#sales".to_owned(), "t".to_owned())]["d"]["S"].as_str().unwrap())
            .unwrap();
    let open: u64 =
        state["m"].as_object().unwrap().values().map(|member| member["o"].as_u64().unwrap_or(0)).sum();
    // A place granted to a lead that went is given back when the team is asked next.
    let granted = state["g"].as_object().unwrap().len() as u64;
    assert_eq!(open - granted, 1, "{beside} is the only open lead");
    let mine = run.api("GET", "/api/leads?owner=ann", None).await.1;
    let other = run.api("GET", "/api/leads?owner=bo", None).await.1;
    assert_eq!(mine["leads"].as_array().unwrap().len() + other["leads"].as_array().unwrap().len(), 1);

    come_again(&run, &form, &customer, &body, folder.path()).await;
    run.finish().await;
}

/// Everything that came is sent once more, and what is still on its way arrives.
async fn come_again(run: &Running, form: &str, customer: &str, body: &str, folder: &Path) {
    let before = run.table();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("idempotency-key", "merula-1")];
    for body in [body, "email=merula@amselnest.example&first_name=Merula"] {
        assert_eq!(run.send("POST", "/f/contact", &headers, body.as_bytes()).await.lead_id(), form);
    }
    assert_eq!(announce(run, "444000077").await.status, 200);
    let again = import(run, folder, "spring").await;
    assert_eq!((&again["known"], &again["new"]), (&json!(1), &json!(0)), "{again:#}");
    let lead = LeadId::parse(form).unwrap();
    let customer_id = sluice_domain::id::CustomerId::parse(customer).unwrap();
    for (queue, body) in [
        ("LeadQueue", encode(&LeadMessage::Lead(lead.clone()))),
        ("EnrichQueue", encode(&sluice_wire::queue::EnrichMessage::Lead(lead.clone()))),
        ("EraseQueue", encode(&EraseMessage::Lead(lead))),
        ("EraseQueue", encode(&EraseMessage::Customer(customer_id))),
    ] {
        run.stack.sqs.send(&named(queue), OutgoingMessage::new(body)).unwrap();
    }
    run.settle().await;
    erase(run, customer).await;
    run.settle().await;
    let after = run.table();
    let changed: Vec<_> = after
        .iter()
        .filter(|(key, item)| before.get(*key) != Some(*item) && !key.0.starts_with("import"))
        .collect();
    assert!(changed.is_empty() && before.len() == after.len(), "{changed:#?}");

    // The same file under another name brings the person in as somebody new, and signs them up for nothing.
    let other = import(run, folder, "summer").await;
    assert_eq!((&other["new"], &other["flags"]["erased_before"]), (&json!(1), &json!(1)), "{other:#}");
    let (_, new) = run.lookup(json!({"email": MAIL})).await;
    assert_ne!(new["id"], customer);
    let said = consents(run, &new["id"]).await;
    let email = said["addresses"].as_array().unwrap().iter().find(|one| one["channel"] == "email").unwrap();
    assert!(email["erased"].is_string() && email["topics"] == json!([]), "{said:#}");
    assert!(
        said["proofs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|proof| proof["ip"].is_null() && proof["note"].is_null())
    );

    // A person who comes back by themselves is asked, not sent to: the gate says so until they confirm.
    run.lead(&[("email", MAIL), ("newsletter", "on"), ("n", "back")]).await;
    let said = consents(run, &new["id"]).await;
    let email = said["addresses"].as_array().unwrap().iter().find(|one| one["channel"] == "email").unwrap();
    assert_eq!(email["topics"][0]["wish"], "yes", "{said:#}");
    assert!(email["erased"].is_string());
    erase(run, new["id"].as_str().unwrap()).await;
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    assert_eq!(left(run), Vec::<String>::new());
}

#[tokio::test]
async fn a_person_with_many_leads_goes_step_by_step_and_whoever_asks_hears_how_far_it_is() {
    let run = Setup::default().start().await;
    for n in 0..40 {
        run.post("contact", &[("email", MAIL), ("n", &n.to_string())]).await.lead_id();
    }
    run.settle().await;
    let (_, customer) = run.lookup(json!({"email": MAIL})).await;
    let id = customer["id"].as_str().unwrap();
    run.refusals.refuse(
        "erase-customer",
        "DynamoDB_20120810.TransactWriteItems",
        4,
        (500, "InternalServerError"),
    );
    let (status, answer) = run.api("DELETE", &format!("/api/customers/{id}"), None).await;
    assert_eq!((status, &answer["state"]), (202, &json!("erasing")));
    tokio::time::sleep(Duration::from_millis(100)).await;
    run.pass(Duration::from_secs(400)).await;
    run.pass(Duration::from_secs(400)).await;
    run.fire_timers().await;
    let (_, erasure) = run.api("GET", answer["look"].as_str().unwrap(), None).await;
    assert_eq!((&erasure["state"], &erasure["leads"]), (&json!("erased"), &json!(40)), "{erasure:#}");
    assert_eq!(left(&run), Vec::<String>::new());
    assert_eq!(run.api("GET", "/api/customers/cu_00000000000000000000000000/erasure", None).await.0, 404);
    assert_eq!(run.api("DELETE", "/api/customers/cu_00000000000000000000000000", None).await.0, 404);
    run.finish().await;
}

#[tokio::test]
async fn wishes_of_who_could_not_be_erased_are_kept_and_of_who_was_forgotten_whatever_failed() {
    let run = Setup::default().start().await;
    let lead = run.lead(&[("email", MAIL), ("newsletter", "on")]).await;
    let customer = run.show(&lead).await["customer"].clone();
    let path = format!("/api/customers/{}", customer.as_str().unwrap());
    let failing = async |call: &'static str| {
        run.refusals.refuse("serve-console", call, usize::MAX, (500, "InternalServerError"));
        let (status, answer) = run.api("DELETE", &path, None).await;
        assert_eq!(status, 503, "{answer:#}");
        run.refusals.lift();
    };
    let mail = async |customer: &Value| {
        let said = consents(&run, customer).await;
        let addresses = said["addresses"].as_array().unwrap();
        addresses.iter().find(|one| one["channel"] == "email").unwrap().clone()
    };
    failing("DynamoDB_20120810.TransactWriteItems").await;
    let kept = mail(&customer).await;
    assert_eq!((&kept["erased"], &kept["topics"][0]["wish"]), (&Value::Null, &json!("yes")), "{kept:#}");

    // The gates could not be closed. Somebody else comes with the address before anybody goes on with it.
    failing("DynamoDB_20120810.PutItem").await;
    assert_eq!(run.api("GET", &path, None).await.0, 404);
    run.pass(Duration::from_secs(2)).await;
    let lead = run.lead(&[("email", MAIL), ("n", "2")]).await;
    let other = run.show(&lead).await["customer"].clone();
    assert_ne!(other, customer);
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    assert_eq!(run.api("GET", &format!("{path}/erasure"), None).await.1["state"], "erased");
    let closed = mail(&other).await;
    assert!(closed["erased"].is_string() && closed["topics"] == json!([]), "{closed:#}");
    run.finish().await;
}

#[tokio::test]
async fn who_was_told_apart_is_no_longer_named_nor_quoted_and_keeps_what_is_theirs() {
    let quoting =
        "  - name: never\n    when: has(customer.company) && customer.company == 'nobody'\n    end: spam\n";
    let run = Setup::policies(POLICIES.replace("rules:\n", &format!("rules:\n{quoting}"))).start().await;
    let mail = run.lead(&[("email", MAIL), ("first_name", "Merula"), ("company", "Amselbau")]).await;
    run.lead(&[("phone", "+12015550123"), ("first_name", "Bea")]).await;
    run.lead(&[("email", MAIL), ("phone", "+12015550123")]).await;
    // Decided while the two were taken for one.
    let quotes = run.lead(&[("phone", "+12015550123"), ("n", "2")]).await;
    let whole = run.show(&mail).await["customer"].as_str().unwrap().to_owned();
    let (status, two) = run.api("POST", &format!("/api/customers/{whole}/unmerge"), Some(json!({}))).await;
    assert_eq!(status, 200, "{two:#}");
    let erased = run.show(&mail).await["customer"].as_str().unwrap().to_owned();
    let stays = if two["stays"]["id"] == *erased { &two["taken_out"] } else { &two["stays"] };
    assert_eq!(stays["kept_apart_from"], json!([erased]));
    erase(&run, &erased).await;
    let stays = run.customer(stays["id"].as_str().unwrap()).await;
    assert_eq!(stays["kept_apart_from"], json!([]), "{stays:#}");
    assert_eq!(stays["profile"]["phone"]["value"], "+12015550123");
    let quotes = run.show(&quotes).await;
    assert_eq!((&quotes["state"], &quotes["reproduced"]), (&json!("assigned"), &Value::Null), "{quotes:#}");
    assert_eq!(left(&run), Vec::<String>::new());
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    run.finish().await;
}

fn addresses(run: &Running) -> Vec<Value> {
    let all = run.table().into_iter().filter(|((pk, _), _)| pk.starts_with("ad#"));
    all.map(|(_, item)| item).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_an_import_let_go_of_knows_when_its_person_was_erased() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let row = folder.path().join("row.csv");
    std::fs::write(&row, format!("email,note\n{MAIL},back\n")).unwrap();
    let held = || addresses(&run).iter().filter(|item| item.get("c").is_some()).count();
    let brought_and_taken_back = async |batch: &str| {
        let before = held();
        let brought = ["import", row.to_str().unwrap(), "--form", "contact", "--batch", batch];
        for (arguments, then) in [(&brought[..], before + 1), (&["import", "revert", batch], before)] {
            let output = sluice(&run, arguments).await;
            assert!(output.status.success(), "{output:?}");
            run.settle().await;
            assert_eq!(held(), then, "{arguments:?}");
        }
    };
    brought_and_taken_back("autumn").await;
    // Somebody who has another says that it is theirs: nobody holds it all the same.
    let id = ("external_id", "444000077");
    let lead = run.lead(&[id, ("email", "turdus@amselnest.example")]).await;
    run.lead(&[id, ("email", MAIL)]).await;
    assert_eq!((held(), addresses(&run).len()), (2, 3), "{:#?}", addresses(&run));
    erase(&run, run.show(&lead).await["customer"].as_str().unwrap()).await;
    let erased = addresses(&run);
    assert!(held() == 0 && erased.iter().all(|item| item.get("x").is_some()), "{erased:#?}");
    // Who comes back with it holds it, and goes again.
    brought_and_taken_back("spring").await;
    assert_eq!(addresses(&run), erased);
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_this_machine_hold_nothing_of_an_erased_person_either() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let dev = Sluice::start(&Command::new(&data)).await;
    let body =
        format!("email={MAIL}&phone=%2B12015550177&first_name=Merula&message={}", "tirili+".repeat(100));
    let lead = dev.post(&body).await.unwrap().lead_id();
    let view = dev.ended(&lead).await;
    // Until the rep has been told: a mail that is handed over later would not be there to be deleted.
    let notices = format!("/api/messages?rep={}", view["owner"].as_str().unwrap());
    for _ in 0..500 {
        if dev.api("GET", &notices, None).await["messages"][0]["state"] == "sent" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let customer = view["customer"].as_str().unwrap().to_owned();
    assert!(!in_files(&data).is_empty(), "it was there");
    let said = tokio::task::block_in_place(|| dev.tool(&["erase", &customer]));
    assert!(said.status.success(), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stdout).contains("is erased, with 1 leads"), "{said:?}");
    let again = tokio::task::block_in_place(|| dev.tool(&["erase", &customer, "--json"]));
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["state"], "erased");
    // The machine cleans up right after the function has ended.
    for _ in 0..500 {
        if in_files(&data).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(in_files(&data), Vec::<String>::new());
    dev.kill();
    assert_eq!(in_files(&data), Vec::<String>::new());
}

/// Files below a folder that hold a canary, byte by byte.
fn in_files(folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            left.extend(in_files(&path));
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for canary in
            CANARIES.iter().filter(|canary| bytes.windows(canary.len()).any(|part| part == canary.as_bytes()))
        {
            left.push(format!("{canary} in {}", path.display()));
        }
    }
    left
}
