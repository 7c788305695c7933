//! Every sender's requests, byte by byte: over TCP, and inside the events in which API Gateway hands them to Lambda.

use crate::folder::{Folder, folders, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sluice_domain::policy::Auth;
use sluice_domain::time::Timestamp;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use sluice_wire::sources;
use std::collections::{BTreeMap, BTreeSet};

/// A request of the fixtures as API Gateway hands it on, with all that it adds.
const RECORDED: &str =
    include_str!("../../fixtures/lambda_envelopes/wrapped-05-api-typeform--01-response.json");

/// How the bytes get to the function.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Tcp,
    Event,
}

/// An answer as the sender sees it.
struct Answer {
    status: u64,
    headers: BTreeMap<String, String>,
    body: String,
}

/// The source document for the folder: the secret of its cases is what the type needs first.
fn policies(folder: &Folder, kind: &str) -> String {
    let adapter = sources::find(kind).unwrap();
    let signs = adapter.proofs().contains(&Auth::Signature) && has_secret(folder);
    let needs = if signs { adapter.needs() } else { &[] };
    let secrets: Vec<String> = needs
        .iter()
        .map(|need| {
            format!("{}: [env:{}]", need.name, if need.name == "access_token" { "TOKEN" } else { "SECRET" })
        })
        .collect();
    let hook = folder.cases.iter().find_map(|case| {
        let path = text(&case["target"]).strip_prefix("/hooks/")?.to_owned();
        Some(path.split('?').next().unwrap_or_default().to_owned())
    });
    let auth = if signs { "signature" } else { "public" };
    let name = hook.unwrap_or_else(|| kind.to_owned());
    format!(
        "{POLICIES}\n---\nkind: source\nname: {name}\ntype: {kind}\nauth: {auth}\nsecrets: {{ {} }}\n",
        secrets.join(", ")
    )
}

/// A stack with a source for the folder, at the time of its cases.
pub(crate) fn setup(folder: &Folder, kind: &str) -> Setup {
    let secret = folder.cases.iter().map(|case| text(&case["secret"])).find(|secret| !secret.is_empty());
    let now = folder.cases[0]["now"].as_i64().expect("when the cases are");
    Setup::policies(policies(folder, kind))
        .at(Timestamp::from_seconds(now))
        .var("SECRET", secret.unwrap_or_default())
        .var("TOKEN", "a-token")
}

fn has_secret(folder: &Folder) -> bool {
    folder.cases.iter().any(|case| case["secret"].is_string())
}

/// LinkedIn's API: the response of the fixtures, a person for every other id, and a form that is named by it.
async fn linkedin(folder: &Folder) -> Fake {
    let told = folder.find(FETCHED).map(|case| folder.json(case)).unwrap_or_default();
    Fake::start(move |request| {
        let path = request.uri().path().to_owned();
        let id = path.rsplit('/').next().unwrap_or_default();
        if path.starts_with("/leadForms/") {
            let question = |id: u32, field: &str| json!({"questionId": id, "predefinedField": field});
            let questions = [question(1, "FIRST_NAME"), question(3, "EMAIL")];
            return (200, json!({"id": 1, "name": "Ask", "content": {"questions": questions}}));
        }
        if told["id"] == id {
            return (200, told.clone());
        }
        let answer = json!({"questionId": 3, "answerDetails": {"textQuestionAnswer": {"answer": format!("{id}@li.example")}}});
        let form = json!({"content": {"questions": [{"questionId": 3, "predefinedField": "EMAIL"}]}});
        (200, json!({"id": id, "form": form, "formResponse": {"answers": [answer]}}))
    })
    .await
}

/// A request of the fixtures as API Gateway wraps it: within what a recorded event holds besides, names in lower case,
/// bodies as base 64 where they are not text, and for every other request where they are.
pub(crate) fn event(bytes: &[u8], encode: bool) -> Value {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let start: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let (path, query) = start[1].split_once('?').unwrap_or((start[1], ""));
    let sent = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let mut event: Value = serde_json::from_str(RECORDED).expect("an event");
    let recorded = event["headers"].as_object().expect("headers").iter();
    let added = recorded.filter(|(name, _)| name.starts_with("x-"));
    let mut headers: BTreeMap<String, String> =
        added.map(|(name, value)| (name.clone(), text(value))).chain(sent).collect();
    if let Some(cookies) = headers.remove("cookie") {
        event["cookies"] = cookies.split("; ").collect::<Vec<_>>().into();
    }
    event["routeKey"] = "$default".into();
    event["rawPath"] = path.into();
    event["rawQueryString"] = query.into();
    let context = &mut event["requestContext"];
    context["routeKey"] = "$default".into();
    context["http"]["method"] = start[0].into();
    context["http"]["path"] = path.into();
    context["http"]["userAgent"] = headers.get("user-agent").cloned().unwrap_or_default().into();
    event["headers"] = json!(headers);
    event["isBase64Encoded"] = false.into();
    event["pathParameters"] = Value::Null;
    event["body"] = Value::Null;
    let body = &bytes[end + 4..];
    match std::str::from_utf8(body) {
        Ok("") => {}
        Ok(body) if !encode => event["body"] = body.into(),
        _ => {
            event["body"] = STANDARD.encode(body).into();
            event["isBase64Encoded"] = true.into();
        }
    }
    event
}

async fn deliver(run: &Running, way: Way, bytes: &[u8], at: usize) -> Answer {
    match way {
        Way::Tcp => {
            let answer = run.raw(bytes).await;
            let body = answer.text();
            Answer { status: answer.status.into(), headers: answer.headers.into_iter().collect(), body }
        }
        Way::Event => invoke(run, &event(bytes, at.is_multiple_of(2))).await,
    }
}

async fn invoke(run: &Running, event: &Value) -> Answer {
    let answer = run.invoke("capture-lead", event).await.expect("an HTTP answer");
    let headers = serde_json::from_value(answer["headers"].clone()).unwrap_or_default();
    Answer { status: answer["statusCode"].as_u64().unwrap_or_default(), headers, body: text(&answer["body"]) }
}

/// Whether the case is one that nobody may be believed for.
fn is_refused(facts: &Value) -> bool {
    let said = [text(&facts["signature"]), text(&facts["auth"])].concat();
    ["invalid", "missing"].iter().any(|word| said.starts_with(word)) || said.contains(" old")
}

/// Leads that the case brings for the first time.
fn expected_leads(facts: &Value) -> usize {
    let none = facts["must_answer_json"]["challenge"].is_number()
        || facts["must_answer_json"]["challengeCode"].is_string()
        || facts["action"] == "DELETED"
        || !facts["duplicate_of"].is_null();
    facts["leads"].as_u64().map_or(usize::from(!none), |leads| usize::try_from(leads).unwrap())
}

pub(crate) fn check(lead: &Value, facts: &Value, case: &str) {
    for name in ["email", "phone", "state"] {
        if let Some(fact) = facts.get(name) {
            assert_eq!(&lead[name], fact, "{case}: {lead:#}");
        }
    }
    let flags = lead["flags"].as_array().unwrap();
    assert!(!flags.contains(&json!("email_invalid")), "{case}: {lead:#}");
    assert!(facts["flag"].is_null() || flags.contains(&facts["flag"]), "{case}: {lead:#}");
    let fields = lead["fields"].as_array().unwrap();
    if facts["name"].is_string() {
        let is_name = |field: &&Value| text(&field[0]).ends_with("name") && field[1] == facts["name"];
        assert!(fields.iter().any(|field| is_name(&field)), "{case}: {lead:#}");
    }
    for field in facts["fields"].as_array().into_iter().flatten() {
        assert!(fields.contains(field), "{case}: {field} in {lead:#}");
    }
    for name in ["form_id", "campaign_id"] {
        assert!(facts[name].is_null() || lead["attribution"][name] == facts[name], "{case}: {lead:#}");
    }
    if facts["is_test"] == true {
        assert_eq!((&lead["state"], &lead["customer"]), (&json!("test"), &Value::Null), "{case}: {lead:#}");
    }
    if let Some(given) = facts["marketing_consent"].as_bool() {
        assert_eq!(lead["consent"]["given"], given, "{case}: {lead:#}");
    }
    if facts["withdrawn"] == true {
        assert_eq!(lead["state"], "invalid", "{case}: nothing was fetched: {lead:#}");
        assert_eq!(lead["marks"][0]["mark"], "withdrawn", "{case}: {lead:#}");
    }
    let key = text(&facts["idempotency_key"]);
    match key.as_str() {
        "" => {}
        "form 3 entry 901" => assert_eq!(lead["external_id"], "3/901", "{case}"),
        key if key.contains(' ') => assert!(lead["external_id"].is_string(), "{case}"),
        key => assert_eq!(lead["external_id"], key, "{case}"),
    }
    assert!(
        facts["external_id"].is_null() || lead["external_id"] == facts["external_id"],
        "{case}: {lead:#}"
    );
}

/// What a withdrawal or a cancellation leaves on its lead.
async fn check_mark(run: &Running, facts: &Value, case: &str) {
    let (id, mark) = match (&facts["action"], &facts["canceled"]) {
        (Value::String(action), _) if action == "DELETED" => (&facts["external_id"], "withdrawn"),
        (_, Value::String(_)) => (&facts["canceled"], "canceled"),
        _ => return,
    };
    let mut found = 0;
    for lead in run.leads() {
        let lead = run.show(&lead).await;
        let is_erased = mark == "withdrawn" && lead["state"] == "erased";
        if lead["external_id"] == *id || (id.is_null() || is_erased) && lead["marks"][0]["mark"] == mark {
            assert_eq!(lead["marks"][0]["mark"], mark, "{case}: {lead:#}");
            // What was fetched before is gone.
            assert!(
                mark != "withdrawn" || lead["email"].is_null() && lead["customer"].is_null(),
                "{case}: {lead:#}"
            );
            found += 1;
        }
    }
    assert!(found == 1 || id.is_null(), "{case}: {found}");
}

pub(crate) async fn new_leads(run: &Running, before: &[String]) -> Vec<Value> {
    run.settle().await;
    let mut new = Vec::new();
    for id in run.leads().into_iter().filter(|id| !before.contains(id)) {
        new.push(run.show(&id).await);
    }
    new
}

async fn one_case(run: &Running, way: Way, bytes: &[u8], case: &Value, at: usize) {
    let facts = &case["facts"];
    let name = format!("{} {way:?}", text(&case["id"]));
    let (leads, table) = (run.leads(), run.table());
    let answer = deliver(run, way, bytes, at).await;
    if is_refused(facts) {
        assert_eq!(answer.status, 401, "{name}: {}", answer.body);
        assert_eq!(run.table(), table, "{name} left something in the table");
        return;
    }
    let status = facts["must_answer_status"].as_u64().unwrap_or(200);
    assert_eq!(answer.status, status, "{name}: {}", answer.body);
    if let Some(json) = facts.get("must_answer_json") {
        assert_eq!(&serde_json::from_str::<Value>(&answer.body).unwrap(), json, "{name}");
    }
    if let Some(origin) = facts["cors"].as_str() {
        assert_eq!(answer.headers["access-control-allow-origin"], origin, "{name}");
    }
    let new = new_leads(run, &leads).await;
    assert_eq!(new.len(), expected_leads(facts), "{name}: {new:#?}");
    if new.is_empty() {
        return check_mark(run, facts, &name).await;
    }
    new.iter().for_each(|lead| check(lead, facts, &name));
    // Delivered again, a lead with an id is known; one without is a repeat of what the person said a moment ago.
    let leads = run.leads();
    assert_eq!(deliver(run, way, bytes, at + 1).await.status, status, "{name}");
    let again = new_leads(run, &leads).await;
    match new.iter().all(|lead| lead["external_id"].is_string()) {
        true => assert_eq!(again, Vec::<Value>::new(), "{name}"),
        false => {
            assert_eq!(again.len(), new.len(), "{name}");
            let repeats = facts["repeats"] != true || again.iter().all(|lead| lead["state"] == "repeat");
            assert!(repeats, "{name}: {again:#?}");
        }
    }
}

/// What LinkedIn's API answers for a lead: see [`fetched`].
const FETCHED: &str = "20-lead-form-response";
/// Cases that are no requests to us, and why nothing is done with them.
const NOT_OURS: [(&str, &str, &str); 1] = [(
    "feiyu_oceanengine",
    "03-pull-signature-vector",
    "signs a call that fetches leads: no source is asked for leads by a schedule, and a push rule brings the same ones at once",
)];

/// Fails for a case that nothing is done with.
fn is_left_out(name: &str, case: &Value) -> bool {
    let (id, file) = (text(&case["id"]), text(&case["file"]));
    if file.ends_with(".http") {
        return false;
    }
    let known = NOT_OURS.iter().find(|(folder, case, _)| (*folder, *case) == (name, id.as_str()));
    assert!(id == FETCHED || known.is_some(), "{name}/{id}: nothing is done with this case");
    if let Some((_, _, why)) = known {
        println!("{name}/{id}: {why}");
    }
    true
}

/// The cases of a folder, one after the other on one stack, each way on a stack of its own.
async fn folder_holds(name: &str, kind: &str) {
    for folder in folders(name) {
        let wrapped = wrapped(&folder, name);
        for way in [Way::Tcp, Way::Event] {
            let linkedin = linkedin(&folder).await;
            let run = setup(&folder, kind).var("SLUICE_LINKEDIN_URL", &linkedin.url).start().await;
            for (at, case) in folder.cases.iter().enumerate() {
                if !is_left_out(name, case) {
                    one_case(&run, way, &folder.bytes(case), case, at).await;
                }
            }
            for (_, event) in &wrapped {
                brings(&run, event, &[], name).await;
            }
            if let Some(told) = folder.find(FETCHED) {
                fetched(&run, &folder, told, &linkedin).await;
            }
            // An erasure of what was withdrawn is driven once more.
            run.pass(std::time::Duration::from_secs(61)).await;
            run.fire_timers().await;
            run.finish().await;
        }
        // Where nothing came before, such an event brings what its case does.
        for (case, event) in &wrapped {
            let run = setup(&folder, kind).start().await;
            brings(&run, event, &[&case["facts"]], name).await;
            run.finish().await;
        }
    }
}

/// Events of the fixtures that hold one of the folder's cases, with the case.
fn wrapped<'a>(folder: &'a Folder, name: &str) -> Vec<(&'a Value, Value)> {
    let envelopes = Folder::read(folder.path.with_file_name("lambda_envelopes"));
    let of = |envelope: &Value| {
        let wraps = text(&envelope["facts"]["wraps"]);
        let (of, case) = wraps.split_once('/')?;
        (of == name).then(|| folder.find(case).expect("the wrapped case"))
    };
    envelopes.cases.iter().filter_map(|case| Some((of(case)?, envelopes.json(case)))).collect()
}

/// Hands an event over, which brings leads with these facts and no others.
async fn brings(run: &Running, event: &Value, facts: &[&Value], name: &str) {
    let before = run.leads();
    let answer = invoke(run, event).await;
    assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    let new = new_leads(run, &before).await;
    assert_eq!(new.len(), facts.len(), "{name}: {new:#?}");
    new.iter().zip(facts).for_each(|(lead, facts)| check(lead, facts, name));
}

/// The answers that LinkedIn's API gave are on the lead.
async fn fetched(run: &Running, folder: &Folder, told: &Value, linkedin: &Fake) {
    let answers = folder.json(told);
    for id in run.leads() {
        let lead = run.show(&id).await;
        if lead["external_id"] == answers["id"] {
            let texts: Vec<&Value> = answers["formResponse"]["answers"].as_array().unwrap().iter().collect();
            let email = &texts[1]["answerDetails"]["textQuestionAnswer"]["answer"];
            assert_eq!((&lead["email"], &lead["state"]), (email, &json!("assigned")), "{lead:#}");
            assert!(
                lead["fields"].as_array().unwrap().iter().any(|field| field[0] == "first_name"),
                "{lead:#}"
            );
        }
    }
    for asked in linkedin.seen() {
        let header = |name: &str| asked.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("authorization"), "Bearer a-token");
        assert_eq!(header("linkedin-version"), "202606");
        assert_eq!(header("x-restli-protocol-version"), "2.0.0");
    }
}

macro_rules! folders_hold {
    ($($name:ident: $folder:literal is $kind:literal,)*) => {$(
        #[tokio::test]
        async fn $name() {
            folder_holds($folder, $kind).await;
        }
    )*

        /// Types with a test here.
        const TESTED: &[&str] = &[$($kind),*];
    };
}

folders_hold! {
    google_lead_forms: "google_lead_form" is "google",
    linkedin_notifications: "linkedin_lead_gen" is "linkedin",
    tiktok_webhooks: "tiktok" is "tiktok",
    douyin_webhooks: "douyin_open_platform" is "douyin",
    feiyu_pushes: "feiyu_oceanengine" is "feiyu",
    typeform_responses: "typeform" is "typeform",
    webflow_submissions: "webflow" is "webflow",
    calendly_bookings: "calendly" is "calendly",
    tally_responses: "tally" is "tally",
    netlify_submissions: "netlify_forms" is "netlify",
    jotform_submissions: "jotform" is "jotform",
    elementor_forms: "elementor" is "elementor",
    contact_form_7_posts: "contact_form_7" is "contact_form_7",
    gravity_forms_entries: "gravity_forms" is "gravity_forms",
    hubspot_scripts: "hubspot_forms" is "hubspot",
    json_of_any_program: "undocumented_forms" is "json",
}

#[test]
fn every_type_of_source_has_its_folder() {
    // Meta's has tests of its own, SNS brings no leads, and tracking libraries and shops bring events.
    let elsewhere = ["meta", "sns", "shopify", "woocommerce"];
    let others = sources::registry().iter().filter(|source| !source.is_tracker());
    let others = others.map(|source| source.kind()).filter(|kind| !elsewhere.contains(kind));
    assert_eq!(others.collect::<BTreeSet<_>>(), TESTED.iter().copied().collect());
}
