//! Every sender's signature, on the requests of the repository's fixtures and of a larger collection where that is at
//! hand: what is believed, what is not, and what is read of it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy knows the test functions, not their helpers"
)]

use serde_json::Value;
use sluice_domain::policy::{Auth, Source as Document};
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpRequest;
use sluice_wire::sources::{Delivery, Refusal, Secrets, Source, believe, find};
use std::fs;
use std::path::Path;

/// Folders of senders that sign.
const SIGNED: [(&str, &str); 10] = [
    ("google_lead_form", "google"),
    ("linkedin_lead_gen", "linkedin"),
    ("tiktok", "tiktok"),
    ("douyin_open_platform", "douyin"),
    ("typeform", "typeform"),
    ("webflow", "webflow"),
    ("calendly", "calendly"),
    ("tally", "tally"),
    ("netlify_forms", "netlify"),
    ("meta_lead_ads", "meta"),
];

/// Folders of those that do not.
const UNSIGNED: [(&str, &str); 7] = [
    ("feiyu_oceanengine", "feiyu"),
    ("jotform", "jotform"),
    ("elementor", "elementor"),
    ("contact_form_7", "contact_form_7"),
    ("gravity_forms", "gravity_forms"),
    ("hubspot_forms", "hubspot"),
    ("undocumented_forms", "json"),
];

/// The requests of a folder with their index entries: ours and the collection's.
fn cases(name: &str) -> Vec<(Value, HttpRequest)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    let more = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/payloads").join(name);
    let mut cases = Vec::new();
    for folder in [own, more] {
        let Ok(index) = fs::read(folder.join("index.json")) else {
            println!("skipped: nothing at {}", folder.display());
            continue;
        };
        let index: Value = serde_json::from_slice(&index).unwrap();
        for case in index["cases"].as_array().unwrap() {
            let file = case["file"].as_str().unwrap();
            if file.ends_with(".http") {
                cases.push((case.clone(), request(&fs::read(folder.join(file)).unwrap())));
            }
        }
    }
    cases
}

fn request(bytes: &[u8]) -> HttpRequest {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut lines = std::str::from_utf8(&bytes[..end]).unwrap().split("\r\n");
    let start: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let (path, query) = start[1].split_once('?').unwrap_or((start[1], ""));
    let headers = lines.filter_map(|line| line.split_once(':'));
    HttpRequest {
        method: start[0].to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect(),
        body: bytes[end + 4..].to_vec().into(),
        source_ip: None,
        arrived: None,
    }
}

fn document(kind: &str, auth: Auth) -> Document {
    Document { name: kind.to_owned(), sender: kind.to_owned(), auth, ..Document::default() }
}

/// The first need of a source is what it signs with; while it is changed there are two.
fn verify(
    source: &dyn Source,
    request: &HttpRequest,
    secrets: &[&str],
    now: Timestamp,
) -> Result<(), Refusal> {
    let name = source.needs()[0].name;
    let secrets = secrets.iter().fold(Secrets::default(), |all, secret| all.with(name, *secret));
    let document = document(source.kind(), Auth::Signature);
    believe(source, &Delivery { request, document: &document, secrets: &secrets, certificate: None, now })
}

#[test]
fn only_what_was_signed_with_one_of_the_secrets_just_now_is_believed() {
    for (folder, kind) in SIGNED {
        let source = find(kind).unwrap();
        let mut believed = 0;
        for (case, request) in cases(folder) {
            let facts = &case["facts"];
            let said = facts["signature"].as_str().or_else(|| facts["auth"].as_str()).unwrap_or_default();
            let (true, Some(secret)) =
                (request.method == "POST" && !said.is_empty(), case["secret"].as_str())
            else {
                continue;
            };
            let now = Timestamp::from_seconds(case["now"].as_i64().unwrap_or(1_767_605_400));
            let found = verify(source, &request, &["the secret of nobody", secret], now);
            let id = format!("{kind} {}", case["id"]);
            if said.contains(" old") {
                assert_eq!(found, Err(Refusal::Stale), "{id}");
            } else if said.starts_with("invalid") {
                assert!(matches!(found, Err(Refusal::Wrong | Refusal::KeyWrong)), "{id}: {found:?}");
            } else if said.starts_with("missing") {
                assert!(matches!(found, Err(Refusal::Missing | Refusal::KeyMissing)), "{id}: {found:?}");
            } else {
                assert_eq!(found, Ok(()), "{id}");
                believed += 1;
                assert_eq!(verify(source, &request, &[secret, "the secret of nobody"], now), Ok(()), "{id}");
                assert!(verify(source, &request, &["the secret of nobody"], now).is_err(), "{id}");
                assert_eq!(verify(source, &request, &[], now), Err(Refusal::NoSecret), "{id}");
                if kind != "google" {
                    let mut tampered = request.clone();
                    tampered.body = [request.body.as_ref(), b" "].concat().into();
                    assert_eq!(verify(source, &tampered, &[secret], now), Err(Refusal::Wrong), "{id}");
                }
            }
        }
        assert!(believed > 0, "{kind}");
    }
}

#[test]
fn what_is_signed_with_its_time_is_good_for_five_minutes() {
    for (folder, kind) in [("tiktok", "tiktok"), ("webflow", "webflow"), ("calendly", "calendly")] {
        let source = find(kind).unwrap();
        let cases = cases(folder);
        let (case, request) = cases.iter().find(|(case, _)| case["facts"]["signature"] == "valid").unwrap();
        let secret = case["secret"].as_str().unwrap();
        let at = |later: i64| Timestamp::from_seconds(case["now"].as_i64().unwrap_or(1_767_605_400) + later);
        for (later, expected) in
            [(-290, Ok(())), (290, Ok(())), (310, Err(Refusal::Stale)), (-310, Err(Refusal::Stale))]
        {
            assert_eq!(verify(source, request, &[secret], at(later)), expected, "{kind} {later}");
        }
    }
}

#[test]
fn a_body_that_ends_too_early_is_refused_or_flagged() {
    for (folder, kind) in SIGNED.into_iter().chain(UNSIGNED) {
        let source = find(kind).unwrap();
        for (case, request) in cases(folder).into_iter().filter(|(_, request)| request.body.len() > 20) {
            let mut cut = request.clone();
            cut.body = request.body.slice(..request.body.len() - 12);
            let (document, secrets) = (document(kind, Auth::Public), Secrets::default());
            let delivery = Delivery {
                request: &cut,
                document: &document,
                secrets: &secrets,
                certificate: None,
                now: Timestamp(0),
            };
            let is_form = request.header("content-type").is_some_and(|it| it.contains("urlencoded"));
            match source.leads(&delivery) {
                Err(problem) => assert_eq!(problem.status, 400, "{kind} {}", case["id"]),
                // Nobody can see that a form was cut, or what was no JSON before.
                Ok(leads) => assert!(
                    is_form || leads.iter().all(|lead| !lead.flags.is_empty()),
                    "{kind} {}: {leads:?}",
                    case["id"]
                ),
            }
        }
    }
}
