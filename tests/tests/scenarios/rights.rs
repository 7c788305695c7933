//! What people have a right to: that what they want is written down and holds, and that they are told all that is kept.

use crate::command::binaries;
use crate::engagement;
use crate::messages_held_back::rotate;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::{POLICIES, Running, Setup};
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::BTreeSet;
use std::process::{Output, Stdio};

const MAIL: (&str, &str) = ("email", "ada@person.example");
const TICKED: (&str, &str) = ("newsletter", "on");

pub(crate) async fn consents(run: &Running, customer: &Value) -> Value {
    let path = format!("/api/customers/{}/consents", customer.as_str().unwrap());
    let (status, answer) = run.api("GET", &path, None).await;
    assert_eq!(status, 200, "{answer:#}");
    answer
}

async fn say(run: &Running, customer: &Value, what: &str, body: Value) -> (u16, Value) {
    run.api("POST", &format!("/api/customers/{}/{what}", customer.as_str().unwrap()), Some(body)).await
}

/// What stands for a topic on a channel.
pub(crate) fn wish<'a>(consents: &'a Value, channel: &str, topic: &str) -> Option<&'a str> {
    let address = consents["addresses"].as_array()?.iter().find(|address| address["channel"] == channel)?;
    address["topics"].as_array()?.iter().find(|one| one["topic"] == topic)?["wish"].as_str()
}

pub(crate) async fn sluice(run: &Running, arguments: &[&str]) -> Output {
    let mut process = std::process::Command::new(binaries().join("sluice"));
    process.args(arguments).args(["--url", &run.stack.addresses.url]).env("SLUICE_TOKEN", &run.token);
    process.stdin(Stdio::null());
    tokio::task::spawn_blocking(move || process.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_box_that_was_ticked_is_a_wish_with_its_proof_once_and_one_that_was_not_says_nothing() {
    let channels = "  topic: product\n  channels: [email, sms]";
    let run = Setup::policies(POLICIES.replace("  topic: product", channels)).start().await;
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("user-agent", "Firefox of Ada")];
    let body = b"email=ada%40person.example&phone=%2B12015550123&newsletter=on";
    let lead = run.send("POST", "/f/contact", &headers, body).await.lead_id();
    run.settle().await;
    let customer = run.show(&lead).await["customer"].clone();
    let said = consents(&run, &customer).await;
    assert_eq!(wish(&said, "email", "product"), Some("yes"), "{said:#}");
    assert_eq!(wish(&said, "sms", "product"), Some("yes"), "{said:#}");
    assert_eq!(wish(&said, "chat", "product"), None, "the form does not name it: {said:#}");
    let proofs = said["proofs"].as_array().unwrap();
    assert_eq!(proofs.len(), 2, "{said:#}");
    let email = proofs.iter().find(|proof| proof["channel"] == "email").unwrap();
    let shown = json!({
        "said": "wish", "topic": "product", "wish": "yes", "how": "form", "source": "contact", "lead": lead,
        "wording": "Yes, send me news about the product by e-mail.", "version": "2026-11", "by": null,
        "user_agent": "Firefox of Ada", "ip": "127.0.0.1", "address": "ada@person.example",
    });
    for (name, value) in shown.as_object().unwrap() {
        assert_eq!(&email[name], value, "{name}: {email:#}");
    }
    assert_eq!(email["at"], run.show(&lead).await["received"]);

    // Delivered again, whatever may have died before: nothing changes.
    let before = run.table();
    let again = encode(&LeadMessage::Lead(sluice_domain::id::LeadId::parse(&lead).unwrap()));
    run.stack.sqs.send(&named("LeadQueue"), OutgoingMessage::new(again)).unwrap();
    run.settle().await;
    assert_eq!(run.table(), before);

    // Not ticked is no no, and no yes.
    let other = run.lead(&[("email", "bea@person.example"), ("newsletter", "")]).await;
    let other = run.show(&other).await["customer"].clone();
    assert_eq!(consents(&run, &other).await["proofs"], json!([]));
    run.finish().await;
}

#[tokio::test]
async fn the_proof_shows_the_wording_of_its_day() {
    let run = Setup::default().start().await;
    let first = run.lead(&[MAIL, TICKED]).await;
    let newer =
        POLICIES.replace("news about the product by e-mail.", "other words.").replace("2026-11", "2027-01");
    run.apply(&newer).await;
    run.lead(&[MAIL, TICKED, ("n", "2")]).await;
    let customer = run.show(&first).await["customer"].clone();
    let said = consents(&run, &customer).await;
    let versions: Vec<(&Value, &Value)> = said["proofs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|proof| (&proof["version"], &proof["wording"]))
        .collect();
    assert_eq!(
        versions,
        [
            (&json!("2027-01"), &json!("Yes, send me other words.")),
            (&json!("2026-11"), &json!("Yes, send me news about the product by e-mail.")),
        ]
    );
    run.finish().await;
}

#[tokio::test]
async fn staff_write_down_what_they_are_told_with_who_it_was_and_why() {
    let run = Setup::default().start().await;
    let lead = run.lead(&[MAIL, ("phone", "+12015550123"), TICKED]).await;
    let customer = run.show(&lead).await["customer"].clone();
    let manager = run.new_token("manager", Some("boss")).await;
    let path = format!("/api/customers/{}/consents", customer.as_str().unwrap());
    let body = json!({"channel": "email", "topic": "*", "wish": "no", "note": "said so on the phone"});
    let headers = |key: &'static str| {
        [
            ("authorization", format!("Bearer {manager}")),
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", key.to_owned()),
        ]
    };
    let post = |key: &'static str, body: Value| {
        let (run, path, headers) = (&run, &path, headers(key));
        async move {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            run.send("POST", path, &headers, body.to_string().as_bytes()).await
        }
    };
    for _ in 0..2 {
        let answer = post("call-1", body.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        run.pass(std::time::Duration::from_secs(1)).await;
    }
    let said = consents(&run, &customer).await;
    assert_eq!(wish(&said, "email", "product"), Some("no"), "about everything, and later: {said:#}");
    let by_hand: Vec<&Value> =
        said["proofs"].as_array().unwrap().iter().filter(|proof| proof["how"] == "api").collect();
    assert_eq!(by_hand.len(), 1, "{said:#}");
    assert_eq!(
        (&by_hand[0]["by"], &by_hand[0]["note"], &by_hand[0]["topic"]),
        (&json!("boss"), &json!("said so on the phone"), &json!("*"))
    );
    post("call-1", json!({"channel": "email", "topic": "product", "wish": "yes"}))
        .await
        .is_problem(409, "idempotency-key-reused");

    // Suppressed by hand on all channels, and lifted again: both with their reason.
    let (status, answer) = say(&run, &customer, "suppress", json!({})).await;
    assert_eq!((status, &answer["type"]), (422, &json!("urn:sluice:problem:reason-missing")));
    let (status, answer) = say(&run, &customer, "suppress", json!({"reason": "her lawyer wrote"})).await;
    assert_eq!(status, 200, "{answer:#}");
    let suppressed = |said: &Value| -> Vec<Value> {
        said["addresses"].as_array().unwrap().iter().map(|one| one["suppressed"]["by"].clone()).collect()
    };
    assert!(suppressed(&answer).iter().all(|by| by == "person"), "{answer:#}");
    run.pass(std::time::Duration::from_secs(1)).await;
    let one = json!({"reason": "a mistake", "channel": "email", "address": "ADA@person.example"});
    let (status, answer) = say(&run, &customer, "unsuppress", one).await;
    assert_eq!(status, 200, "{answer:#}");
    let of = |channel: &str| {
        answer["addresses"].as_array().unwrap().iter().find(|one| one["channel"] == channel).unwrap()["suppressed"].clone()
    };
    assert_eq!((of("email"), of("sms")["by"].clone()), (Value::Null, json!("person")));
    let notes: BTreeSet<&str> =
        answer["proofs"].as_array().unwrap().iter().filter_map(|proof| proof["note"].as_str()).collect();
    assert!(notes.contains("her lawyer wrote") && notes.contains("a mistake"), "{answer:#}");

    for (body, problem) in [
        (json!({"topic": "product", "wish": "no"}), "channel-missing"),
        (json!({"channel": "fax", "topic": "product", "wish": "no"}), "channel-unknown"),
        (json!({"channel": "email", "wish": "no"}), "topic-missing"),
        (json!({"channel": "email", "topic": "product", "wish": "confirmed"}), "wish-missing"),
        (json!({"channel": "email", "topic": "service", "wish": "no"}), "service-topic"),
        (
            json!({"channel": "email", "topic": "product", "wish": "no", "address": "bea@person.example"}),
            "no-such-address",
        ),
        (json!({"channel": "email", "topic": "product", "wish": "no", "address": "?"}), "address-unreadable"),
    ] {
        let (status, answer) = say(&run, &customer, "consents", body).await;
        assert_eq!((status, answer["type"].clone()), (422, json!(format!("urn:sluice:problem:{problem}"))));
    }
    run.finish().await;
}

#[tokio::test]
async fn a_yes_that_staff_write_down_is_asked_about_once_and_holds_when_its_person_confirms_it() {
    let run = engagement::start().await;
    let who = engagement::customer(&run, MAIL.1, &[("phone", "+12015550123")]).await;
    let customer = json!(who);
    let path = format!("/api/customers/{who}/consents");
    let yes = json!({"channel": "email", "topic": "offers", "wish": "yes", "note": "said so at the fair"})
        .to_string();
    let bearer = format!("Bearer {}", run.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "fair-7"),
    ];
    for _ in 0..2 {
        assert_eq!(run.send("POST", &path, &headers, yes.as_bytes()).await.status, 200);
        run.pass(std::time::Duration::from_secs(60)).await;
    }
    let questions =
        || run.mails().into_iter().filter(|(_, text)| text.contains("Please confirm")).collect::<Vec<_>>();
    let asked = questions();
    assert_eq!(asked.len(), 1, "one question, however often the call comes: {asked:#?}");
    assert_eq!(asked[0].0, [MAIL.1]);
    let held = engagement::ask(&run, &who, "news", "offers").await;
    assert_eq!((&held["state"], &held["reason"]), (&json!("skipped"), &json!("not_confirmed")), "{held:#}");

    let link = engagement::mail_to(&run, MAIL.1).paths('k').remove(0);
    assert_eq!(run.send("GET", &link, &[engagement::BROWSER], b"").await.status, 200);
    assert_eq!(
        wish(&consents(&run, &customer).await, "email", "offers"),
        Some("yes"),
        "looking confirms nothing"
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(run.send("POST", &link, &[engagement::BROWSER, form], b"confirm=yes").await.status, 200);
    assert_eq!(wish(&consents(&run, &customer).await, "email", "offers"), Some("confirmed"));
    assert_eq!(engagement::ask(&run, &who, "news", "offers").await["state"], "sent");

    // Nobody is asked about a no, about a topic that asks for no more than a yes, or over a channel that has no question.
    for (channel, topic, wish) in
        [("email", "offers", "no"), ("email", "events", "yes"), ("sms", "offers", "yes")]
    {
        let (status, answer) =
            say(&run, &customer, "consents", json!({"channel": channel, "topic": topic, "wish": wish})).await;
        assert_eq!(status, 200, "{answer:#}");
        run.settle().await;
    }
    assert_eq!(questions().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn what_staff_write_down_is_asked_about_at_the_address_as_its_person_wrote_it() {
    let run = engagement::start().await;
    let written = "Ada.Lovelace@person.example";
    let who = engagement::customer(&run, written, &[]).await;
    let yes = json!({"channel": "email", "topic": "offers", "wish": "yes"});
    let (status, answer) = say(&run, &json!(who), "consents", yes).await;
    assert_eq!(status, 200, "{answer:#}");
    run.settle().await;
    let mails = run.mails().into_iter();
    let asked: Vec<Vec<String>> =
        mails.filter(|(_, text)| text.contains("Please confirm")).map(|(to, _)| to).collect();
    assert_eq!(asked, [[written]]);
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_says_yes_only_where_nobody_said_no_and_takes_it_back() {
    let run = Setup::default().start().await;
    let no = run.lead(&[("email", "no@person.example")]).await;
    let no = run.show(&no).await["customer"].clone();
    say(&run, &no, "consents", json!({"channel": "email", "topic": "product", "wish": "no"})).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    let rows = "email,newsletter\nno@person.example,yes\nnew@person.example,yes\nsilent@person.example,no\n";
    std::fs::write(&file, rows).unwrap();
    let import = ["import", file.to_str().unwrap(), "--form", "contact", "--batch", "spring"];
    assert!(sluice(&run, &import).await.status.success());
    let (_, new) = run.lookup(json!({"email": "new@person.example"})).await;
    let said = consents(&run, &new["id"]).await;
    assert_eq!(wish(&said, "email", "product"), Some("yes"), "{said:#}");
    assert_eq!(said["proofs"][0]["how"], "import");
    assert_eq!(wish(&consents(&run, &no).await, "email", "product"), Some("no"));
    let (_, silent) = run.lookup(json!({"email": "silent@person.example"})).await;
    assert_eq!(consents(&run, &silent["id"]).await["proofs"], json!([]));
    // Again, and again after a kill: the same proof.
    assert!(sluice(&run, &import).await.status.success());
    assert_eq!(consents(&run, &new["id"]).await["proofs"].as_array().unwrap().len(), 1);
    // A person who says no later, and then a file with a later yes: the person is believed.
    say(&run, &new["id"], "consents", json!({"channel": "email", "topic": "product", "wish": "no"})).await;
    run.pass(std::time::Duration::from_secs(60)).await;
    let again = ["import", file.to_str().unwrap(), "--form", "contact", "--batch", "summer"];
    assert!(sluice(&run, &again).await.status.success());
    assert_eq!(wish(&consents(&run, &new["id"]).await, "email", "product"), Some("no"));

    // What a file said goes with it.
    std::fs::write(&file, "email,newsletter\nlate@person.example,yes\n").unwrap();
    let third = ["import", file.to_str().unwrap(), "--form", "contact", "--batch", "autumn"];
    assert!(sluice(&run, &third).await.status.success());
    run.pass(std::time::Duration::from_secs(61)).await;
    assert!(sluice(&run, &["import", "revert", "autumn"]).await.status.success());
    let late = run.lead(&[("email", "late@person.example")]).await;
    let late = run.show(&late).await["customer"].clone();
    let said = consents(&run, &late).await;
    assert_eq!(wish(&said, "email", "product"), None, "{said:#}");
    let words: Vec<&Value> = said["proofs"].as_array().unwrap().iter().map(|proof| &proof["said"]).collect();
    assert_eq!(words, ["taken_back", "wish"], "{said:#}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_taken_back_leaves_what_other_files_said_also_while_the_hash_key_is_rotated() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    let import = async |batch: &str| {
        std::fs::write(&file, format!("email,newsletter,note\nann@person.example,yes,{batch}\n")).unwrap();
        let import = ["import", file.to_str().unwrap(), "--form", "contact", "--batch", batch];
        assert!(sluice(&run, &import).await.status.success());
        run.pass(std::time::Duration::from_secs(61)).await;
    };
    let revert = async |batch: &str| {
        assert!(sluice(&run, &["import", "revert", batch]).await.status.success());
        run.pass(std::time::Duration::from_secs(1)).await;
    };
    let stands = async || {
        let (_, ann) = run.lookup(json!({"email": "ann@person.example"})).await;
        let said = consents(&run, &ann["id"]).await;
        wish(&said, "email", "product").map(str::to_owned)
    };
    // Somebody the company knows anyway, so that the address is theirs whatever goes.
    run.lead(&[("email", "ann@person.example")]).await;
    for batch in ["spring", "summer", "autumn"] {
        import(batch).await;
    }
    let yes = Some("yes".to_owned());
    revert("summer").await;
    assert_eq!(stands().await, yes, "the newest says so");
    rotate(&run).await;
    revert("autumn").await;
    assert_eq!(stands().await, yes, "the oldest says so");
    revert("spring").await;
    assert_eq!(stands().await, None, "nobody says so any more");
    import("summer").await;
    assert_eq!(stands().await, yes, "what was taken back came in again");
    revert("summer").await;
    assert_eq!(stands().await, None);
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_lead_that_somebody_works_on_while_its_file_is_taken_back_the_yes_stays() {
    const PEOPLE: usize = 12;
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    let rows: String = (0..PEOPLE).map(|n| format!("p{n}@person.example,yes\n")).collect();
    std::fs::write(&file, format!("email,newsletter\n{rows}")).unwrap();
    let import =
        ["import", file.to_str().unwrap(), "--form", "contact", "--batch", "spring", "--route", "--notify"];
    assert!(sluice(&run, &import).await.status.success());
    run.settle().await;
    run.pass(std::time::Duration::from_secs(61)).await;

    let leads = run.leads();
    assert_eq!(leads.len(), PEOPLE);
    let accept = leads.iter().map(|lead| {
        let (path, run) = (format!("/api/leads/{lead}/accept"), &run);
        async move { run.api("POST", &path, Some(json!({}))).await }
    });
    let revert = run.api("POST", "/api/imports/spring/revert", Some(json!({})));
    tokio::join!(futures::future::join_all(accept), revert);
    run.settle().await;

    let stay = run.leads();
    let says_yes = stay.iter().map(|lead| async {
        let customer = run.show(lead).await["customer"].clone();
        wish(&consents(&run, &customer).await, "email", "product") == Some("yes")
    });
    let says_yes: Vec<bool> = futures::future::join_all(says_yes).await;
    assert_eq!(says_yes, vec![true; stay.len()], "of {PEOPLE} stay {stay:?}");
    let taken_back = run.table().values().filter(|item| item.to_string().contains("taken_back")).count();
    assert_eq!(taken_back, PEOPLE - stay.len());
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_kept_is_exported_over_all_records_as_one_document() {
    let run = Setup::default().start().await;
    let long = "word ".repeat(6_000);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("user-agent", "Firefox of Ada")];
    let body = b"email=ada%40person.example&first_name=Ada&newsletter=on&budget=90000&utm_source=magazine";
    let first = run.send("POST", "/f/contact", &headers, body).await.lead_id();
    run.settle().await;
    let second = run.lead(&[("phone", "+12015550123"), ("company", "Analytical Engines")]).await;
    let joins = run.lead(&[MAIL, ("phone", "+12015550123"), ("message", "call me")]).await;
    let mut all = BTreeSet::from([first.clone(), second.clone(), joins.clone()]);
    for n in 0..40 {
        all.insert(run.lead(&[MAIL, ("n", &n.to_string()), ("message", &long)]).await);
    }
    let contact = json!({"channel": "phone", "note": "wants a demo on Friday", "key": "one"});
    run.api("POST", &format!("/api/leads/{joins}/contacts"), Some(contact)).await;
    let customer = run.show(&joins).await["customer"].clone();
    say(&run, &customer, "suppress", json!({"reason": "moved away", "channel": "sms"})).await;

    let path = format!("/api/customers/{}/export", customer.as_str().unwrap());
    let (status, part) = run.api("GET", &path, None).await;
    assert_eq!(status, 200, "{part:#}");
    let sizes: Vec<usize> =
        part["leads"].as_array().unwrap().iter().map(|lead| lead.to_string().len()).collect();
    assert!(part["next"].is_string(), "too much for one answer: {sizes:?}");
    let (status, answer) = run.api("GET", &format!("{path}?cursor=x"), None).await;
    assert_eq!((status, &answer["type"]), (422, &json!("urn:sluice:problem:cursor-unreadable")));

    // By the id of the record that gave way, too.
    let half = run.show(&second).await;
    assert_eq!(half["customer"], customer);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ada.json");
    let exported =
        sluice(&run, &["export", customer.as_str().unwrap(), "--out", file.to_str().unwrap(), "--json"])
            .await;
    assert!(exported.status.success(), "{exported:?}");
    let written: Value = serde_json::from_slice(&exported.stdout).unwrap();
    assert_eq!(written, json!({"written": file}));
    let whole: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&whole["format"], &whole["version"]), (&json!("sluice-export"), &json!(1)));
    let names: Vec<&str> = whole.as_object().unwrap().keys().map(String::as_str).collect();
    let shape = [
        "behaviour",
        "consents",
        "customer",
        "decisions",
        "events",
        "exported",
        "format",
        "gates",
        "identities",
        "leads",
        "messages",
        "owner",
        "profile",
        "records",
        "suggestions",
        "version",
    ];
    assert_eq!(names, shape);
    let events: BTreeSet<&str> =
        whole["events"].as_array().unwrap().iter().filter_map(|event| event["name"].as_str()).collect();
    assert!(events.is_superset(&BTreeSet::from(["lead_captured", "lead_assigned"])), "{events:?}");
    let leads: Vec<&str> =
        whole["leads"].as_array().unwrap().iter().filter_map(|lead| lead["id"].as_str()).collect();
    assert_eq!(leads.len(), all.len(), "each once");
    assert_eq!(leads.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(), all);
    let text = whole.to_string();
    for kept in [
        "ada@person.example",
        "+12015550123",
        "Ada",
        "Analytical Engines",
        "90000",
        "magazine",
        "Firefox of Ada",
        "127.0.0.1",
        "wants a demo on Friday",
        "moved away",
        "Yes, send me news about the product by e-mail.",
        "call me",
        long.trim(),
    ] {
        assert!(text.contains(kept), "{} is not in it", &kept[..kept.len().min(60)]);
    }
    let lead = whole["leads"].as_array().unwrap().iter().find(|lead| lead["id"] == *joins).unwrap();
    assert!(lead["why"].as_array().is_some_and(|why| !why.is_empty()), "decided, in words: {lead:#}");
    assert_eq!(lead["envelope"]["fields"][2], json!(["message", "call me"]));
    assert_eq!(lead["contacts"][0]["note"], "wants a demo on Friday");
    assert_eq!(whole["profile"]["company"]["lead"], second, "who said it: {}", whole["profile"]);
    assert_eq!(whole["records"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&whole["decisions"][0]["what"], &whole["decisions"][0]["lead"]),
        (&json!("joined"), &json!(joins))
    );
    let printed = sluice(&run, &["export", customer.as_str().unwrap()]).await;
    let mut printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    printed["exported"] = whole["exported"].clone();
    assert_eq!(printed, whole);
    run.finish().await;
}

/// What lies beside a customer, as `keys.rs` lists it, and where the export has it.
const KEPT: [(&str, &str, &str); 7] = [
    ("customer", "c", "/records/0"),
    ("entry: an event, and its receipt", "e#", "/events/0"),
    ("state: what behaviour made of a record", "s", "/behaviour/tags/0"),
    ("run: a record's way through a journey", "r#", "/behaviour/runs/0"),
    ("message to a customer", "m#", "/messages/0"),
    // A hash that a program of the company's chose, and the id of the message, which is there.
    ("key of a call that asked for a message", "k#", "/messages/0/id"),
    // The same, and the hashes of addresses that are there with what was said of them.
    ("key of a call that wrote down what a person wants", "w#", "/consents/0"),
];

const LIVED: &str = r#"
---
kind: journey
name: waits
trigger: { event: lead_captured }
steps:
  - tag: { name: looked_at }
---
kind: segment
name: readers
when: has(customer.email)
---
kind: lifecycle
name: default
stages: [stranger, known]
moves: [{ to: known, from: [stranger], on: lead_captured }]
"#;

#[tokio::test]
async fn whatever_lies_beside_a_customer_is_in_their_export() {
    let keys = include_str!("../../../shared/store/src/keys.rs");
    let listed = keys.lines().filter(|line| line.starts_with("//!") && line.contains("| `cu_…` |"));
    let listed: BTreeSet<&str> = listed.filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
    assert_eq!(listed, KEPT.iter().map(|(item, ..)| *item).collect(), "a kind that the export does not know");

    let run = Setup::policies(format!("{POLICIES}{}{LIVED}", crate::engagement::MESSAGES)).start().await;
    let lead = run.lead(&[MAIL, ("utm_source", "magazine")]).await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {}", run.token);
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("idempotency-key", "one"),
    ];
    let body = json!({"customer": customer, "template": "news", "topic": "product"}).to_string();
    assert_eq!(run.send("POST", "/api/messages", &headers, body.as_bytes()).await.status, 202);
    let yes = json!({"channel": "email", "topic": "product", "wish": "yes"}).to_string();
    let path = format!("/api/customers/{customer}/consents");
    assert_eq!(run.send("POST", &path, &headers, yes.as_bytes()).await.status, 200);
    run.settle().await;
    let sort_keys: Vec<String> =
        run.table().into_keys().filter(|(pk, _)| *pk == customer).map(|(_, sk)| sk).collect();
    let kind = |sk: &str| {
        KEPT.iter().find(|(_, of, _)| if of.ends_with('#') { sk.starts_with(of) } else { sk == *of })
    };
    let there: BTreeSet<&str> =
        sort_keys.iter().map(|sk| kind(sk).unwrap_or_else(|| panic!("{sk} is not listed")).0).collect();
    assert_eq!(there, listed, "one of each");
    let (status, whole) = run.api("GET", &format!("/api/customers/{customer}/export"), None).await;
    assert_eq!((status, &whole["next"]), (200, &Value::Null), "{whole:#}");
    for (item, _, place) in KEPT {
        assert!(whole.pointer(place).is_some(), "{item}: nothing at {place} in {whole:#}");
    }
    let behaviour = &whole["behaviour"];
    assert_eq!(behaviour["stage"], "known", "{behaviour:#}");
    assert_eq!(behaviour["segments"][0]["segment"], "readers", "{behaviour:#}");
    assert_eq!(behaviour["tags"][0]["tag"], "looked_at", "{behaviour:#}");
    assert_eq!(behaviour["runs"][0]["journey"], "waits", "{behaviour:#}");
    assert_eq!(behaviour["touches"][0]["advertisement"], "ad/magazine", "{behaviour:#}");
    assert!(behaviour["scores"]["fit"]["points"].is_number(), "{behaviour:#}");
    run.finish().await;
}
