//! What every door of the API has in common: keys, tokens, paths that there are not, and refusals that name their field.

use serde_json::{Value, json};
use sluice_tests::stack::contract::Contract;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::{BTreeMap, BTreeSet};

async fn customer_of(run: &Running, fields: &[(&str, &str)]) -> String {
    let lead = run.lead(fields).await;
    run.show(&lead).await["customer"].as_str().expect("a customer").to_owned()
}

#[tokio::test]
async fn whatever_has_no_route_is_told_so_and_a_path_which_methods_it_has() {
    let run = Setup::default().start().await;
    let mut methods: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let operations = Contract::get().operations();
    for (route, _) in &operations {
        let (method, path) = route.split_once(' ').unwrap();
        methods.entry(path).or_default().insert(method);
    }
    let before = run.print();
    for (path, own) in &methods {
        let path = path.replace(['{', '}'], "");
        let other = ["PATCH", "DELETE"].into_iter().find(|method| !own.contains(method)).unwrap();
        let answer = run.send(other, &path, &[], b"{}").await;
        answer.is_problem(405, "wrong-method");
        let allowed: BTreeSet<&str> = answer.header("allow").unwrap().split(", ").collect();
        assert!(allowed.is_superset(own), "{path}: {allowed:?}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(answer.header("allow").unwrap()));
    }
    let bearer = format!("Bearer {}", run.token);
    let token = [("authorization", bearer.as_str())];
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/favicon.ico"),
        ("GET", "/api"),
        ("GET", "//api/health"),
        ("DELETE", "/api/nothing/there"),
        ("OPTIONS", "/wp-login.php"),
    ] {
        run.send(method, path, &token, b"").await.is_problem(404, "no-such-route");
    }
    // With a slash at its end it is no path of ours, whoever asks; that is said.
    for (method, path) in [("POST", "/f/contact/"), ("GET", "/api/leads/"), ("GET", "/api/health/")] {
        let answer = run.send(method, path, &token, b"email=a%40person.example").await;
        answer.is_problem(404, "no-such-route");
        assert!(answer.json()["detail"].as_str().unwrap().contains("slash"), "{path}: {}", answer.text());
    }
    assert!(run.print() == before, "something was written");
    // A browser that asks before it posts is answered as ever, and nowhere else.
    let origin = [("origin", "https://shop.example"), ("access-control-request-method", "POST")];
    let asked = run.send("OPTIONS", "/f/contact", &origin, b"").await;
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://shop.example"));
    let asked = run.send("OPTIONS", "/api/leads", &origin, b"").await;
    asked.is_problem(405, "wrong-method");
    assert_eq!(asked.header("access-control-allow-origin"), None);
    run.finish().await;
}

#[tokio::test]
async fn the_scheme_of_a_token_is_written_as_one_likes_and_a_stranger_is_told_which() {
    let run = Setup::default().start().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEARER "] {
        let header = format!("{scheme} {}", run.token);
        let answer = run.send("GET", "/api/health", &[("authorization", &header)], b"").await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
    let (basic, bare) = (format!("Basic {}", run.token), run.token.clone());
    for (header, name) in [
        (None, "token-missing"),
        (Some("Bearer"), "token-missing"),
        (Some("Bearer "), "token-missing"),
        (Some(basic.as_str()), "token-missing"),
        (Some(bare.as_str()), "token-missing"),
        (Some("Bearer slt_other"), "token-unknown"),
    ] {
        let headers: Vec<(&str, &str)> = header.map(|header| ("authorization", header)).into_iter().collect();
        let answer = run.send("GET", "/api/leads", &headers, b"").await;
        answer.is_problem(401, name);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{header:?}");
    }
    run.finish().await;
}

const TEMPLATE: &str = "
kind: template
name: hello
subject: Hello
html: <p>Hello.</p>
";

#[tokio::test]
async fn a_key_that_cannot_be_one_is_refused_alike_at_every_door() {
    let run = Setup::default().start().await;
    let lead = run.lead(&[("email", "ada@person.example")]).await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {}", run.token);
    let (long, before) = ("k".repeat(256), run.print());
    let doors = Contract::get().operations();
    let with_key = doors.iter().filter(|(_, operation)| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        parameters.into_iter().any(|one| {
            one["$ref"] == "#/components/parameters/IdempotencyKey" || one["name"] == "Idempotency-Key"
        })
    });
    let mut seen = 0;
    for (route, operation) in with_key {
        let (method, path) = route.split_once(' ').unwrap();
        let id = if path.contains("/customers/") { &customer } else { &lead };
        let path = path.replace("{form}", "contact").replace("{id}", id).replace("{name}", "news");
        // What the call would say otherwise.
        let body = match operation["operationId"].as_str().unwrap() {
            "postForm" => json!({"email": "ada@person.example"}),
            "reassignLead" => json!({"team": "sales", "reason": "so"}),
            "claimLead" => json!({"rep": "bo"}),
            "creditLead" => json!({"reason": "so"}),
            "addContact" => json!({"channel": "phone"}),
            "qualifyLead" => json!({"need": "all of it"}),
            "addConsent" => json!({"channel": "email", "topic": "*", "wish": "no"}),
            "suppressCustomer" | "unsuppressCustomer" => json!({"reason": "so"}),
            "askMessage" => json!({"customer": customer, "template": "hello"}),
            _ => json!({}),
        };
        for key in ["", long.as_str()] {
            let headers = [
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
                ("idempotency-key", key),
            ];
            let answer = run.send(method, &path, &headers, body.to_string().as_bytes()).await;
            answer.is_problem(400, "idempotency-key-unusable");
            assert_eq!(answer.json()["field"], "Idempotency-Key", "{route}");
        }
        seen += 1;
    }
    assert!(seen >= 14, "{seen}");
    assert!(run.print() == before, "something was written");

    // Used again for something else it is refused alike, too.
    run.apply(TEMPLATE).await;
    let other = customer_of(&run, &[("email", "d@person.example")]).await;
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", " once "),
    ];
    for (path, bodies) in [
        (
            "/f/contact".to_owned(),
            [json!({"email": "b@person.example"}), json!({"email": "c@person.example"})],
        ),
        (format!("/api/leads/{lead}/contacts"), [json!({"channel": "phone"}), json!({"channel": "email"})]),
        (format!("/api/leads/{lead}/qualify"), [json!({"need": "a roof"}), json!({"need": "a door"})]),
        (
            format!("/api/customers/{customer}/consents"),
            [
                json!({"channel": "email", "topic": "*", "wish": "yes"}),
                json!({"channel": "email", "topic": "*", "wish": "no"}),
            ],
        ),
        (
            format!("/api/customers/{other}/suppress"),
            [json!({"reason": "so"}), json!({"reason": "so", "channel": "email"})],
        ),
        (
            "/api/messages".to_owned(),
            [
                json!({"customer": customer, "template": "hello"}),
                json!({"customer": customer, "template": "hello", "bulk": true}),
            ],
        ),
    ] {
        for (body, is_first) in bodies.iter().zip([true, false]) {
            let answer = run.send("POST", &path, &headers, body.to_string().as_bytes()).await;
            if is_first {
                assert!((200..300).contains(&answer.status), "{path}: {}", answer.text());
            } else {
                answer.is_problem(409, "idempotency-key-reused");
                assert_eq!(answer.json()["field"], "Idempotency-Key", "{path}");
            }
        }
    }
    run.settle().await;
    run.finish().await;
}

#[tokio::test]
async fn a_refusal_names_the_field_that_it_is_about() {
    let run = Setup::default().start().await;
    let customer = customer_of(&run, &[("email", "ada@person.example")]).await;
    for (method, path, body, name, field) in [
        ("POST", "/api/messages", json!({}), "body-unfit", "customer"),
        ("POST", "/api/messages", json!({"customer": customer, "template": 1}), "body-unfit", "template"),
        (
            "POST",
            "/api/messages",
            json!({"customer": customer, "template": "a", "replace_by": {"channel": "fax", "template": "b"}}),
            "body-unfit",
            "replace_by.channel",
        ),
        (
            "POST",
            "/api/messages",
            json!({"customer": customer, "template": "a", "subject": "b"}),
            "body-unfit",
            "subject",
        ),
        ("POST", "/api/tokens", json!({"role": "rep", "teams": "sales"}), "body-unfit", "teams"),
        ("POST", "/api/imports", json!({"form": "contact"}), "malformed-request", "batch"),
        (
            "POST",
            "/api/imports",
            json!({"form": "contact", "batch": "a", "route": 1}),
            "malformed-request",
            "route",
        ),
        (
            "POST",
            "/api/imports/try",
            json!({"form": "contact", "rows": [{"n": 1, "fields": [["email", 7]]}]}),
            "malformed-request",
            "rows[0].fields[0][1]",
        ),
        ("PUT", "/api/policies/rep/ann", json!({"kind": "rep", "name": "bo"}), "wrong-document", "name"),
        ("PUT", "/api/policies/rep/ann", json!({"kind": "topic", "name": "ann"}), "wrong-document", "kind"),
    ] {
        let (status, problem) = run.api(method, path, Some(body.clone())).await;
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{path} {body}: {problem:#}");
        assert_eq!(problem["type"], format!("urn:sluice:problem:{name}"));
    }
    run.finish().await;
}

#[tokio::test]
async fn each_mistake_in_documents_has_its_place_also_beside_those_that_stay() {
    let run = Setup::default().start().await;
    let apply =
        async |files: Value| run.api("POST", "/api/policies/apply", Some(json!({ "files": files }))).await;
    let validate =
        async |files: Value| run.api("POST", "/api/policies/validate", Some(json!({ "files": files }))).await;
    let text = "kind: rep\nname: cy\nemial: cy@reps.example\n";
    let bad = json!([{"file": "reps.yaml", "text": text}]);
    for (status, problem) in [apply(bad.clone()).await, validate(bad).await] {
        assert_eq!(status, 422);
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["file"], &error["line"], &error["column"]),
            (&json!("reps.yaml"), &json!(3), &json!(1))
        );
        assert_eq!(error["hint"], "did you mean `email`?", "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains("reps.yaml:3:1"), "{problem:#}");
    }
    // Nothing is wrong with the file by itself: it names a team that there is not.
    let text =
        "# who gets what\nkind: routing\nname: default\nrules:\n  - name: all\n    assign: { team: dach }\n";
    let strange = json!([{"file": "routing.yaml", "text": text}]);
    let (status, problem) = apply(strange.clone()).await;
    assert_eq!(status, 422);
    assert_eq!(
        validate(strange).await,
        (422, problem.clone()),
        "nothing else is said before it is published"
    );
    let error = &problem["errors"][0];
    assert_eq!((&error["file"], &error["line"]), (&json!("routing.yaml"), &json!(6)), "{problem:#}");
    // A file by itself, of what is there already: the rest stays.
    let text = "kind: routing\nname: default\nrules:\n  - name: everybody\n    assign: { team: sales }\n";
    let part = json!([{"file": "routing.yaml", "text": text}]);
    let before = run.print();
    let (status, checked) = validate(part.clone()).await;
    assert_eq!((status, &checked["documents"]), (200, &json!(["routing/default"])), "{checked:#}");
    assert!(run.print() == before, "it is checked only");
    let (status, answer) = apply(part).await;
    assert_eq!((status, &answer["changed"]), (200, &json!(["routing/default"])), "{answer:#}");
    run.settle().await;
    run.finish().await;
}

#[tokio::test]
async fn documents_are_put_as_libraries_write_json_and_read_with_their_version() {
    let run = Setup::default().start().await;
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    // As json.dumps and PHP write what is not ASCII.
    let document = r#"{"kind": "rep", "name": "ann", "full_name": "Ann \ud83d\ude00 B\u00fchler", "email": "ann@reps.example"}"#;
    let put = run.send("PUT", "/api/policies/rep/ann", &headers, document.as_bytes()).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let (_, ann) = run.api("GET", "/api/policies/rep/ann", None).await;
    assert_eq!(ann["full_name"], "Ann 😀 Bühler");
    let again = run.send("PUT", "/api/policies/rep/ann", &headers, document.as_bytes()).await;
    assert_eq!((again.status, again.json()["changed"].clone()), (200, json!([])));
    let listed = run.send("GET", "/api/policies", &headers, b"").await;
    let shown = run.send("GET", "/api/policies/rep/ann", &headers, b"").await;
    for answer in [&again, &listed, &shown] {
        assert_eq!(answer.header("etag"), put.header("etag"));
    }
    let etag = put.header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", listed.json()["version"]));
    let put_if = async |name: &str, tags: &str| {
        let (path, document) =
            (format!("/api/policies/rep/{name}"), document.replace("\"ann\"", &format!("\"{name}\"")));
        let held = [headers[0], headers[1], ("if-match", tags)];
        run.send("PUT", &path, &held, document.as_bytes()).await
    };
    for tags in [etag.clone(), "*".to_owned(), format!("\"1000\", {etag}")] {
        assert_eq!(put_if("ann", &tags).await.status, 200, "{tags}");
    }
    for (name, tags) in [("ann", "\"1000\""), ("ann", "\"1000\", \"1001\""), ("cy", "*")] {
        put_if(name, tags).await.is_problem(409, "version-changed");
    }
    let leave = async |tags: &str| {
        let held = [headers[0], headers[1], ("if-match", tags)];
        run.send("PUT", "/api/reps/ann/leave", &held, br#"{"leave": []}"#).await
    };
    assert_eq!(leave("*").await.status, 200);
    leave("\"1000\"").await.is_problem(409, "changed");
    // A file of JSON inside JSON, escaped twice over.
    let files = json!({"files": [{"file": "bo.json", "text": document.replace("\"ann\"", "\"bo\"")}]});
    let escaped = files.to_string();
    assert!(escaped.contains(r"\\ud83d\\ude00"), "{escaped}");
    let applied = run.send("POST", "/api/policies/apply", &headers, escaped.as_bytes()).await;
    assert_eq!(applied.json()["changed"], json!(["rep/bo"]), "{}", applied.text());
    run.settle().await;
    run.finish().await;
}

const MORE: &str = r#"
---
kind: source
name: fair
type: json
auth: public
id: no
"#;

#[tokio::test]
async fn a_person_is_found_by_an_id_whoever_gave_it() {
    let form = "name: contact\nfields: { external_id.crm: [contact_id] }\n";
    let policies = POLICIES.replacen("name: contact\n", form, 1);
    let run = Setup::policies(format!("{policies}{MORE}")).start().await;
    let find = async |question: Value| {
        let (status, found) = run.lookup(question).await;
        (status, found["id"].as_str().or(found["field"].as_str()).unwrap_or_default().to_owned())
    };
    let ada = customer_of(&run, &[("email", "ada@person.example"), ("contact_id", "4711")]).await;
    assert_eq!(find(json!({"external_id": "4711"})).await, (200, ada.clone()));
    assert_eq!(find(json!({"external_id": "4712"})).await.0, 404);
    let answer = run.post("demo", &[("business_email", "bo@person.example"), ("external_id", "4711")]).await;
    run.settle().await;
    let bo = run.show(&answer.lead_id()).await["customer"].as_str().unwrap().to_owned();
    assert_ne!(ada, bo, "each by another's id");
    assert_eq!(find(json!({"external_id": "4711"})).await, (422, "source".to_owned()));
    assert_eq!(find(json!({"external_id": "4711", "source": "crm"})).await, (200, ada.clone()));
    assert_eq!(find(json!({"external_id": "4711", "source": "demo"})).await, (200, bo));
    assert_eq!(find(json!({"external_id": "4711", "email": "ada@person.example"})).await, (200, ada.clone()));
    // The id of a lead leads to its customer, too.
    let body = br#"{"no": "L-9", "email": "ada@person.example"}"#;
    let taken = run.send("POST", "/hooks/fair", &[("content-type", "application/json")], body).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    run.settle().await;
    assert_eq!(find(json!({"external_id": "L-9"})).await, (200, ada.clone()));
    assert_eq!(find(json!({"external_id": "L-9", "source": "fair"})).await, (200, ada));
    run.finish().await;
}

#[tokio::test]
async fn a_customer_is_shown_with_what_they_want_and_no_more_than_the_role_sees() {
    let run = Setup::default().start().await;
    let customer = customer_of(&run, &[("email", "ada@person.example"), ("first_name", "Ada")]).await;
    let path = format!("/api/customers/{customer}");
    let wish = json!({"channel": "email", "topic": "*", "wish": "no"});
    assert_eq!(run.api("POST", &format!("{path}/consents"), Some(wish)).await.0, 200);
    let marketer = run.new_token("marketer", None).await;
    for (token, address) in [(&run.token, "ada@person.example"), (&marketer, "•••")] {
        let (_, shown) = run.api_as(Some(token), "GET", &path, None).await;
        let (_, consents) = run.api_as(Some(token), "GET", &format!("{path}/consents"), None).await;
        assert_eq!(shown["consents"], consents["addresses"]);
        assert_eq!(shown["consents"][0]["topics"][0]["wish"], "no", "{shown:#}");
        assert_eq!(shown["profile"]["email"]["value"], address);
        assert_eq!(shown["profile"]["first_name"]["value"], "Ada");
        assert_eq!(shown.to_string().contains("ada@person.example"), *token == run.token, "{shown:#}");
        let question = json!({"email": "ada@person.example"});
        let (_, found) = run.api_as(Some(token), "POST", "/api/customers/lookup", Some(question)).await;
        assert_eq!((&found["consents"], &found["profile"]), (&shown["consents"], &shown["profile"]));
    }
    run.finish().await;
}
