//! Forms: what is taken, what is refused, what is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sluice_tests::stack::http::urlencoded;
use sluice_tests::stack::{Running, Setup};
use std::io::Write;
use std::time::Duration;

const URLENCODED: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");

fn has_flag(lead: &Value, flag: &str) -> bool {
    lead["flags"].as_array().is_some_and(|flags| flags.contains(&json!(flag)))
}

/// Posts, and checks that it is refused as a problem of this status and type with nothing written.
async fn refused(run: &Running, target: &str, headers: &[(&str, &str)], body: &[u8], problem: (u16, &str)) {
    let before = run.table();
    run.send("POST", target, headers, body).await.is_problem(problem.0, problem.1);
    assert_eq!(run.table(), before, "{problem:?} left something in the table");
}

#[tokio::test]
async fn a_body_is_read_however_it_is_packed() {
    let run = Setup::default().start().await;
    let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
    zipped.write_all(b"email=gzip%40person.example&first_name=Gz").unwrap();
    let zipped = zipped.finish().unwrap();
    let text = ("content-type", "text/plain;charset=UTF-8");
    let json_in = |email: &str| json!({"email": email, "first_name": "Gz"}).to_string().into_bytes();
    let cases = [
        ("gzip@person.example", vec![URLENCODED, ("content-encoding", "gzip")], zipped),
        ("beacon@person.example", vec![text], json_in("beacon@person.example")),
        ("plain@person.example", vec![JSON], json_in("plain@person.example")),
        ("disguised@person.example", vec![URLENCODED], json_in("disguised@person.example")),
    ];
    for (email, headers, body) in cases {
        let id = run.send("POST", "/f/contact", &headers, &body).await.lead_id();
        run.settle().await;
        let lead = run.show(&id).await;
        assert_eq!(lead["fields"], json!([["email", email], ["first_name", "Gz"]]));
        assert_eq!((&lead["state"], &lead["flags"]), (&json!("assigned"), &json!([])), "{lead:#}");
    }
    run.finish().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_a_reason_and_nothing_is_written() {
    let run = Setup::default().start().await;
    let large = format!("email=a%40person.example&message={}", "x".repeat(1024 * 1024));
    refused(&run, "/f/contact", &[URLENCODED], large.as_bytes(), (413, "body-too-large")).await;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b'a'; 3 * 1024 * 1024]).unwrap();
    let bomb = bomb.finish().unwrap();
    let gzip = [URLENCODED, ("content-encoding", "gzip")];
    refused(&run, "/f/contact", &gzip, &bomb, (413, "body-too-large")).await;
    let xml = [("content-type", "application/xml")];
    refused(&run, "/f/contact", &xml, b"<lead/>", (415, "unsupported-media-type")).await;
    for broken in ["{\"email\": \"a@person.example\"", "{email: 1}", "{\"a\":1,}", "{\"a\" 1}"] {
        refused(&run, "/f/contact", &[JSON], broken.as_bytes(), (400, "malformed-body")).await;
    }
    let plain = ("content-type", "text/plain");
    for no_fields in ["[]", "null", "\"x\"", "1", "[{\"email\":\"a@person.example\"}]"] {
        // In a form a bare word is a name.
        let kinds = [JSON, plain].into_iter().chain(no_fields.starts_with('[').then_some(URLENCODED));
        for kind in kinds {
            refused(&run, "/f/contact", &[kind], no_fields.as_bytes(), (422, "body-not-fields")).await;
        }
        let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
        zipped.write_all(no_fields.as_bytes()).unwrap();
        let headers = [JSON, ("content-encoding", "gzip")];
        refused(&run, "/f/contact", &headers, &zipped.finish().unwrap(), (422, "body-not-fields")).await;
    }
    let multipart = [("content-type", "multipart/form-data; boundary=b")];
    let truncated = b"--b\r\ncontent-disposition: form-data; name=\"email\"\r\n\r\na@person.exa";
    refused(&run, "/f/contact", &multipart, truncated, (400, "malformed-body")).await;
    refused(&run, "/f/nowhere", &[URLENCODED], b"email=a%40person.example", (404, "no-such-form")).await;
    refused(&run, "/hooks/nowhere", &[JSON], b"{}", (404, "no-such-source")).await;
    // More than an item of the store can hold, in fields that are each short enough.
    let many: Vec<String> = (0..30).map(|at| format!("f{at}={}", "x".repeat(10_000))).collect();
    refused(&run, "/f/contact", &[URLENCODED], many.join("&").as_bytes(), (413, "lead-too-large")).await;
    for key in ["", " ", &"k".repeat(256)] {
        let headers = [URLENCODED, ("idempotency-key", key)];
        refused(&run, "/f/contact", &headers, b"a=1", (400, "idempotency-key-unusable")).await;
    }
    run.finish().await;
}

#[tokio::test]
async fn just_under_the_stored_limit_a_lead_is_kept_whole() {
    let run = Setup::default().start().await;
    let long = "y".repeat(24_000);
    let names: Vec<String> = (0..10).map(|at| format!("f{at}")).collect();
    let mut fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    fields.push(("email", "long@person.example"));
    let id = run.lead(&fields).await;
    let lead = run.show(&id).await;
    assert_eq!(lead["fields"].as_array().unwrap().len(), 11);
    assert!(lead["fields"].as_array().unwrap().iter().take(10).all(|field| field[1] == long.as_str()));
    assert_eq!(lead["state"], "assigned");
    run.finish().await;
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_lead_whatever_the_encoding() {
    let run = Setup::default().start().await;
    let key = ("idempotency-key", "order-4711");
    let fields = [("email", "twice@person.example"), ("plan", "b")];
    let encoded = urlencoded(&fields);
    let first = run.send("POST", "/f/contact", &[URLENCODED, key], encoded.as_bytes()).await.lead_id();
    let body = br#"{"email":"twice@person.example","plan":"b"}"#;
    // Again at once, and again after months: a key does not age.
    assert_eq!(run.send("POST", "/f/contact", &[JSON, key], body).await.lead_id(), first);
    run.settle().await;
    run.pass(Duration::from_secs(90 * 86_400)).await;
    assert_eq!(run.send("POST", "/f/contact", &[JSON, key], body).await.lead_id(), first);
    let before = run.leads();
    let other = run.send("POST", "/f/contact", &[JSON, key], br#"{"email":"twice@person.example"}"#).await;
    other.is_problem(409, "idempotency-key-reused");
    assert_eq!((run.leads(), before.len()), (before.clone(), 1));
    // Another form has keys of its own; another key is another lead.
    let elsewhere = run.send("POST", "/f/demo", &[URLENCODED, key], encoded.as_bytes()).await.lead_id();
    let fresh = [URLENCODED, ("idempotency-key", "order-4712")];
    let fresh = run.send("POST", "/f/contact", &fresh, encoded.as_bytes()).await.lead_id();
    assert!(elsewhere != first && fresh != first && fresh != elsewhere);
    run.settle().await;
    let lead = run.show(&first).await;
    assert_eq!((&lead["state"], &lead["assignment"]["n"]), (&json!("assigned"), &json!(1)));
    run.finish().await;
}

#[tokio::test]
async fn a_lead_that_could_not_be_handed_on_at_first_is_counted_once() {
    let run = Setup::default().start().await;
    let accepted = || run.metrics.sum("Accepted", ("Source", "contact"));
    let key = ("idempotency-key", "order-5813");
    let body = br#"{"email":"late@person.example"}"#;
    // It is in the ledger; neither its queue nor the table takes its message.
    run.refusals.pass_first("capture-lead", "DynamoDB_20120810.PutItem", 1);
    run.refusals.refuse(
        "capture-lead",
        "DynamoDB_20120810.PutItem",
        usize::MAX,
        (500, "InternalServerError"),
    );
    run.refusals.refuse("capture-lead", "AmazonSQS.", usize::MAX, (503, "ServiceUnavailable"));
    run.send("POST", "/f/contact", &[JSON, key], body).await.is_problem(503, "unavailable");
    run.refusals.lift();
    assert_eq!((run.leads().len(), accepted()), (1, 1.0));
    run.send("POST", "/f/contact", &[JSON, key], body).await.lead_id();
    run.settle().await;
    assert_eq!((run.leads().len(), accepted()), (1, 1.0));
    run.finish().await;
}

#[tokio::test]
async fn a_bad_field_flags_the_lead_and_is_kept_as_typed() {
    let run = Setup::default().start().await;
    let id =
        run.lead(&[("email", "ada(at)person.example"), ("phone", "call me"), ("first_name", "Ada")]).await;
    let lead = run.show(&id).await;
    assert_eq!(lead["state"], "assigned");
    assert!(
        has_flag(&lead, "email_invalid")
            && has_flag(&lead, "phone_invalid")
            && has_flag(&lead, "no_identity")
    );
    assert!(lead["email"].is_null() && lead["phone"].is_null());
    assert_eq!(lead["fields"][0], json!(["email", "ada(at)person.example"]));
    assert_eq!(lead["fields"][1], json!(["phone", "call me"]));
    // Text in no encoding at all: read as far as possible, the bytes are kept.
    let bytes = b"first_name=\xff\xfe&email=raw%40person.example";
    let id = run.send("POST", "/f/contact", &[URLENCODED], bytes).await.lead_id();
    run.settle().await;
    let lead = run.show(&id).await;
    assert!(has_flag(&lead, "unreadable"), "{lead:#}");
    assert_eq!(STANDARD.decode(lead["raw"].as_str().unwrap()).unwrap(), bytes);
    assert_eq!(lead["email"], "raw@person.example");
    run.finish().await;
}

#[tokio::test]
async fn an_empty_post_is_accepted_and_ends_as_invalid() {
    let run = Setup::default().start().await;
    for body in ["", "email=&phone=++"] {
        let id = run.send("POST", "/f/contact", &[URLENCODED], body.as_bytes()).await.lead_id();
        run.settle().await;
        let lead = run.show(&id).await;
        assert_eq!(
            (&lead["state"], &lead["owner"], &lead["customer"]),
            (&json!("invalid"), &Value::Null, &Value::Null)
        );
    }
    assert_eq!(run.ledger().await["ended"]["invalid"], 2);
    assert!(run.mails().is_empty());
    run.finish().await;
}

#[tokio::test]
async fn a_robot_that_fills_in_what_people_cannot_see_is_answered_and_its_lead_is_spam() {
    let run = Setup::default().start().await;
    let robot = [("email", "robot@person.example"), ("website_url2", "http://spam.example")];
    let _ = run.stack.dynamodb.take_meter();
    let id = run.post("contact", &robot).await.lead_id();
    assert_eq!(run.stack.dynamodb.take_meter().write_units(), 1.0);
    run.settle().await;
    let view = run.show(&id).await;
    assert_eq!((&view["state"], &view["customer"]), (&json!("spam"), &Value::Null), "{view:#}");
    assert!(view["why"].to_string().contains("that people cannot see"), "{view:#}");
    assert_eq!(view["fields"][1], json!(["email", "robot@person.example"]), "who was wronged is found");
    let ledger = run.ledger().await;
    assert_eq!((&ledger["accepted"], &ledger["ended"]["spam"]), (&json!(1), &json!(1)), "{ledger:#}");
    assert!(run.mails().is_empty());
    // A person's post differs from it in nothing but the empty field, and that is not kept.
    let id = run.lead(&[("email", "person@person.example"), ("website_url2", "")]).await;
    assert_eq!(run.show(&id).await["fields"], json!([["email", "person@person.example"]]));
    run.finish().await;
}

#[tokio::test]
async fn a_robot_does_not_decide_what_it_costs_and_its_key_stands_for_one_lead() {
    let run = Setup::default().start().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "robot")];
    let mut body = json!({"website_url2": "\u{1}".repeat(5_000)});
    for n in 0..200 {
        body[format!("field{n}")] = json!("\u{2}ß".repeat(300));
    }
    let body = body.to_string();
    let _ = run.stack.dynamodb.take_meter();
    let id = run.send("POST", "/f/contact", &headers, body.as_bytes()).await.lead_id();
    assert_eq!(run.stack.dynamodb.take_meter().write_units(), 1.0);
    assert_eq!(run.send("POST", "/f/contact", &headers, body.as_bytes()).await.lead_id(), id);
    // Somebody corrects what their browser filled in: it is no repeat, and the caller is told so.
    let corrected = run.send("POST", "/f/contact", &headers, br#"{"email":"a@person.example"}"#).await;
    corrected.is_problem(409, "idempotency-key-reused");
    run.settle().await;
    let expected = vec![id];
    assert_eq!(run.leads(), expected);
    run.finish().await;
}

#[tokio::test]
async fn a_browser_is_sent_to_the_forms_page_and_a_script_gets_the_lead() {
    let run = Setup::default().start().await;
    let browser = [URLENCODED, ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")];
    let answer = run.send("POST", "/f/contact", &browser, b"email=web%40person.example").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("https://shop.example/thanks")));
    // A form without a page of its own thanks by itself.
    let answer = run.send("POST", "/f/demo", &browser, b"business_email=web2%40person.example").await;
    assert_eq!((answer.status, answer.header("content-type")), (202, Some("text/html; charset=utf-8")));
    assert!(answer.text().contains("Thank you"));
    // Whoever says that they want no page is no browser, and how the type is written is nobody's business.
    let body = b"email=web3%40person.example";
    let script = run.send("POST", "/f/demo", &[URLENCODED, ("accept", "text/html;q=0, */*")], body).await;
    assert!(script.status == 202 && script.lead_id().starts_with("ld_"), "{}", script.text());
    let shouted = run.send("POST", "/f/contact", &[URLENCODED, ("accept", "Text/HTML")], body).await;
    assert_eq!(shouted.status, 303);
    let robot = run.send("POST", "/f/contact", &browser, b"website_url2=x").await;
    assert_eq!((robot.status, robot.header("location")), (303, Some("https://shop.example/thanks")));
    // Written as people write it, it is an address that a header holds.
    run.apply("kind: form\nname: demo\nredirect: /grüße?an=a b\n").await;
    let answer = run.send("POST", "/f/demo", &browser, b"email=web4%40person.example").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/gr%C3%BC%C3%9Fe?an=a%20b")));
    run.settle().await;
    let ledger = run.ledger().await;
    assert_eq!((&ledger["accepted"], &ledger["ended"]["spam"]), (&json!(6), &json!(1)), "{ledger:#}");
    run.finish().await;
}

#[tokio::test]
async fn only_the_forms_own_pages_may_post_by_script() {
    let run = Setup::default().start().await;
    let preflight = |origin: &'static str| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,idempotency-key"),
        ]
    };
    let answer = run.send("OPTIONS", "/f/contact", &preflight("https://shop.example"), b"").await;
    assert!(matches!(answer.status, 200 | 204));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    let allowed = answer.header("access-control-allow-headers").unwrap().to_owned();
    assert!(allowed.contains("content-type") && allowed.contains("idempotency-key"), "{allowed}");
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let answer = run.send("OPTIONS", "/f/contact", &preflight("https://evil.example"), b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("vary"), Some("origin"));

    // Refusals too can be read by the page; a foreign page can read neither.
    for (origin, readable) in [("https://shop.example", true), ("https://evil.example", false)] {
        for (body, status) in [("{\"email\":\"cors@person.example\"}", 202), ("{", 400)] {
            let answer = run.send("POST", "/f/contact", &[JSON, ("origin", origin)], body.as_bytes()).await;
            assert_eq!(answer.status, status);
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, readable.then_some(origin), "{status}");
        }
    }
    run.send("OPTIONS", "/f/nowhere", &preflight("https://shop.example"), b"")
        .await
        .is_problem(404, "no-such-form");
    run.finish().await;
}

#[tokio::test]
async fn a_button_pressed_twice_by_somebody_who_names_nobody_is_one_lead_and_two_visitors_are_two() {
    const BROWSER: (&str, &str) = ("user-agent", "Mozilla/5.0 (scenario)");
    let run = Setup::default().start().await;
    let post = |browser: (&'static str, &'static str), body: &'static str| {
        let run = &run;
        async move { run.send("POST", "/f/contact", &[URLENCODED, browser], body.as_bytes()).await.lead_id() }
    };
    let body = "first_name=Ada&message=Call+me";
    let (one, again) = tokio::join!(post(BROWSER, body), post(BROWSER, body));
    assert_eq!(one, again, "at once");
    run.pass(Duration::from_secs(9)).await;
    assert_eq!(post(BROWSER, body).await, one, "impatiently");
    assert_eq!(
        (run.leads(), run.mails().len()),
        (vec![one.clone()], 1),
        "one lead, of which somebody is told once"
    );
    run.pass(Duration::from_secs(2)).await;
    let mut leads = vec![one, post(BROWSER, body).await];
    // Another browser, other words, another address; and a program, which may post for many.
    leads.push(post(("user-agent", "Mozilla/5.0 (another)"), body).await);
    leads.push(post(BROWSER, "first_name=Ada&message=Call+me+now").await);
    let from = |ip: &str| {
        json!({
            "version": "2.0", "rawPath": "/f/contact", "rawQueryString": "", "body": body, "isBase64Encoded": false,
            "headers": {URLENCODED.0: URLENCODED.1, BROWSER.0: BROWSER.1},
            "requestContext": {"http": {"method": "POST", "sourceIp": ip}, "stage": "$default"},
        })
    };
    for ip in ["198.51.100.7", "198.51.100.8", "198.51.100.8"] {
        let answer = run.invoke("capture-lead", &from(ip)).await.unwrap();
        let answer: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        leads.push(answer["lead_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(leads.pop(), leads.last().cloned(), "of one address the same");
    for _ in 0..2 {
        leads.push(post(("user-agent", "axios/1.7"), body).await);
    }
    run.settle().await;
    let kept = run.leads().into_iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!((kept.len(), kept), (8, leads.iter().cloned().collect()));
    // Whoever says who they are is known by that: the second lead is there, and nobody is told again.
    let named = "email=ada%40person.example&message=Call+me";
    let (first, second) = (post(BROWSER, named).await, post(BROWSER, named).await);
    run.settle().await;
    let mut states = [run.show(&first).await["state"].clone(), run.show(&second).await["state"].clone()];
    states.sort_by_key(ToString::to_string);
    assert_eq!(states, [json!("assigned"), json!("repeat")]);
    run.finish().await;
}

#[tokio::test]
async fn where_a_lead_came_from_and_what_was_agreed_to_are_kept_with_it() {
    let run = Setup::default().start().await;
    let page = "https://shop.example/pricing?utm_source=google&gclid=Cj0abc&session=secret";
    let headers = [URLENCODED, ("referer", page), ("user-agent", "Mozilla/5.0 (scenario)")];
    let body = "email=utm%40person.example&newsletter=on&utm_campaign=spring&utm_source=ours&fbclid=";
    let target = "/f/contact?utm_medium=cpc&msclkid=m-1";
    let id = run.send("POST", target, &headers, body.as_bytes()).await.lead_id();
    run.settle().await;
    let lead = run.show(&id).await;
    let attribution = &lead["attribution"];
    for (name, value) in [
        ("utm_medium", "cpc"),
        ("msclkid", "m-1"),
        ("gclid", "Cj0abc"),
        ("utm_campaign", "spring"),
        ("utm_source", "google"),
        ("referrer", page),
        ("user_agent", "Mozilla/5.0 (scenario)"),
        ("ip", "127.0.0.1"),
    ] {
        assert_eq!(attribution[name], value, "{name}: {attribution:#}");
    }
    assert!(attribution["session"].is_null() && attribution["fbclid"].is_null());
    let wording = "Yes, send me news about the product by e-mail.";
    let proof = json!({"topic": "product", "given": true, "version": "2026-11", "wording": wording});
    assert_eq!(lead["consent"], proof);
    // Not ticked is no consent. The wording is the one of the day, also after it was changed.
    let without = run.lead(&[("email", "no-news@person.example")]).await;
    let changed =
        sluice_tests::stack::POLICIES.replace(wording, "Another text.").replace("2026-11", "2027-01");
    run.apply(&changed).await;
    let after = run.lead(&[("email", "later@person.example"), ("newsletter", "yes")]).await;
    assert_eq!(run.show(&without).await["consent"]["given"], false);
    assert_eq!(run.show(&id).await["consent"], proof);
    assert_eq!(run.show(&after).await["consent"]["wording"], "Another text.");
    assert_eq!(run.show(&after).await["consent"]["version"], "2027-01");
    run.finish().await;
}

#[tokio::test]
async fn a_file_is_noted_by_name_and_size() {
    let run = Setup::default().start().await;
    let body = "--xyz\r\ncontent-disposition: form-data; name=\"email\"\r\n\r\ncv@person.example\r\n\
                --xyz\r\ncontent-disposition: form-data; name=\"cv\"; filename=\"my cv.pdf\"\r\n\
                content-type: application/pdf\r\n\r\n%PDF-1.7\r\n--xyz--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=xyz")];
    let id = run.send("POST", "/f/contact", &headers, body.as_bytes()).await.lead_id();
    run.settle().await;
    let lead = run.show(&id).await;
    assert_eq!(lead["files"], json!([{"field": "cv", "name": "my cv.pdf", "size": 8}]));
    assert_eq!(lead["email"], "cv@person.example");
    run.finish().await;
}

#[tokio::test]
async fn a_form_in_another_language_or_with_nested_names_has_an_address_and_a_number() {
    let run = Setup::default().start().await;
    for fields in [
        [("user_email", "n0@person.example"), ("work_phone", "+49 30 901820")],
        [("contact[email]", "n1@person.example"), ("contact[phone]", "+49 30 901820")],
        [("Correo electrónico", "n2@person.example"), ("Teléfono", "+49 30 901820 / +49 30 901821")],
        [("メールアドレス", "n3@person.example"), ("電話番号", "0049 30 901820")],
    ] {
        let id = run.lead(&fields).await;
        let lead = run.show(&id).await;
        assert_eq!(
            (&lead["email"], &lead["phone"]),
            (&json!(fields[0].1), &json!("+4930901820")),
            "{lead:#}"
        );
    }
    run.finish().await;
}
