//! What a person at the machine sees of mails, and what a hostile mail can do about it: nothing.

use super::*;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sluice_services::Service;
use std::sync::Arc;

const URL: &str = "http://127.0.0.1:8787";
const EVIL: &str = "<script>alert(1)</script>";

fn pages() -> Pages {
    Pages::new(Ses::memory(Arc::new(|| 1_795_283_353_000)), URL.to_owned(), Leaves::default(), None)
}

/// Takes a raw mail; its id.
async fn take(pages: &Pages, raw: &str, tag: &str) -> String {
    let body = json!({
        "FromEmailAddress": "news@shop.example",
        "Destination": { "ToAddresses": ["ann@example.com"] },
        "Content": { "Raw": { "Data": STANDARD.encode(raw.replace('\n', "\r\n")) } },
        "EmailTags": [{ "Name": "message", "Value": tag }],
    });
    let request = http::Request::post("/v2/email/outbound-emails").body(Bytes::from(body.to_string()));
    let answer = pages.ses.call(request.unwrap()).await;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    answer["MessageId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn ask(pages: &Pages, method: Method, target: &str, headers: &[(&'static str, &'static str)]) -> LocalAnswer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut map: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    map.entry("host").or_insert("127.0.0.1:8787".parse().unwrap());
    pages.page(&PageRequest { method: &method, path, query, headers: &map })
}

fn get(pages: &Pages, target: &str) -> (Response<Bytes>, String) {
    match ask(pages, Method::GET, target, &[]) {
        LocalAnswer::Page(page) => {
            let text = String::from_utf8_lossy(page.body()).into_owned();
            (page, text)
        }
        LocalAnswer::Ask { .. } | LocalAnswer::Later(_) => panic!("{target} asks the stack"),
    }
}

fn letter(html: &str) -> String {
    format!(
        "From: =?utf-8?Q?Shop_=E2=80=93_News?= <news@shop.example>\nTo: ann@example.com\n\
         Subject: =?utf-8?B?TcOkcno=?= {EVIL}\nX-Evil: {EVIL}\nMIME-Version: 1.0\n\
         List-Unsubscribe: <{URL}/u/abc>, <mailto:out@shop.example>\n\
         List-Unsubscribe-Post: List-Unsubscribe=One-Click\n\
         Content-Type: multipart/alternative; boundary=b\n\n\
         --b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
         Gr=C3=BC=C3=9Fe {EVIL}\n--b\nContent-Type: text/html; charset=utf-8\n\n{html}\n--b--\n"
    )
}

#[tokio::test]
async fn a_mail_is_listed_and_shown_with_all_its_parts_and_no_markup_of_its_own() {
    let pages = pages();
    let id =
        take(&pages, &letter(&format!("<a href=\"https://shop.example/{EVIL}\">Buy {EVIL}</a>")), "ms_1")
            .await;
    let (page, list) = get(&pages, "/_local/mail");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    for part in ["2026-11-21 17:49:13", "ann@example.com", "März", "message=ms_1", &id] {
        assert!(list.contains(part), "{part} in {list}");
    }
    for (view, part) in [
        ("html", "/html?images=0"),
        ("text", "Grüße"),
        ("links", "https://shop.example/"),
        ("links", "Unsubscribe, as a mail program does"),
        ("headers", "Shop – News"),
        ("source", "Content-Type: multipart/alternative"),
        ("nonsense", "/html?images=0"),
    ] {
        let (page, shown) = get(&pages, &format!("/_local/mail/{id}?view={view}"));
        assert!(shown.contains(part), "{part} in {shown}");
        assert!(!shown.to_lowercase().contains("<script>"), "{view}: {shown}");
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    assert!(!list.contains("<script>"), "{list}");
}

#[tokio::test]
async fn a_mails_html_is_shown_in_a_sandbox_and_fetches_images_only_if_asked_to() {
    let pages = pages();
    let id = take(
        &pages,
        &letter(&format!("<html><head></head><body>{EVIL}<img src=https://t.example/o></body>")),
        "ms_1",
    )
    .await;
    let policy = |target: &str| {
        let (page, html) = get(&pages, target);
        assert_eq!(page.status(), 200);
        assert!(html.contains("<head><base target=\"_blank\">"), "{html}");
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        assert_eq!(page.headers()["referrer-policy"], "no-referrer");
        page.headers()["content-security-policy"].to_str().unwrap().to_owned()
    };
    let usual = policy(&format!("/_local/mail/{id}/html"));
    let parts: Vec<&str> = usual.split("; ").collect();
    assert!(parts.contains(&"default-src 'none'") && parts.contains(&"img-src data:"), "{usual}");
    assert!(parts.contains(&"sandbox allow-popups allow-popups-to-escape-sandbox"), "{usual}");
    assert!(
        !usual.contains("script-src")
            && !usual.contains("allow-scripts")
            && !usual.contains("allow-same-origin")
    );
    let with_images = policy(&format!("/_local/mail/{id}/html?images=1"));
    assert_eq!(with_images.replace("img-src data: https: http:", "img-src data:"), usual);
    let (_, page) = get(&pages, &format!("/_local/mail/{id}?width=phone&images=1"));
    assert!(page.contains("<iframe class=\"phone\"") && page.contains("/html?images=1\""), "{page}");
    assert!(page.contains("sandbox=\"allow-popups allow-popups-to-escape-sandbox\""), "{page}");
}

#[tokio::test]
async fn images_that_came_with_the_mail_are_in_their_place() {
    let pages = pages();
    let raw = "From: a@shop.example\nSubject: picture\nMIME-Version: 1.0\n\
               Content-Type: multipart/related; boundary=r\n\n\
               --r\nContent-Type: text/html\n\n<img src=\"cid:logo@shop\">\n\
               --r\nContent-Type: image/png\nContent-ID: <logo@shop>\nContent-Transfer-Encoding: base64\n\niVBORw0K\n\
               --r\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=\"a.pdf\"\n\nabc\n--r--\n";
    let id = take(&pages, raw, "ms_1").await;
    let (_, html) = get(&pages, &format!("/_local/mail/{id}/html"));
    assert!(html.contains("<img src=\"data:image/png;base64,iVBORw0K\">"), "{html}");
    let (_, page) = get(&pages, &format!("/_local/mail/{id}"));
    assert!(page.contains("a.pdf <small>application/pdf, 3 bytes"), "{page}");
}

#[tokio::test]
async fn programs_get_all_of_it_as_json() {
    let pages = pages();
    let id = take(&pages, &letter("<a href=\"https://shop.example/x\">Buy</a>"), "ms_1").await;
    let read = |target: &str, headers: &[(&'static str, &'static str)]| match ask(
        &pages,
        Method::GET,
        target,
        headers,
    ) {
        LocalAnswer::Page(page) => serde_json::from_slice::<Value>(page.body()).unwrap(),
        LocalAnswer::Ask { .. } | LocalAnswer::Later(_) => panic!("{target}"),
    };
    let list = read("/_local/mail", &[("accept", "application/json")]);
    assert_eq!((&list["total"], &list["mails"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(list["mails"][0]["tags"]["message"], "ms_1");
    assert_eq!(list["mails"][0]["subject"], format!("März {EVIL}"));
    let mail = read(&format!("/_local/mail/{id}?format=json"), &[]);
    assert_eq!(mail["text"].as_str().unwrap().trim(), format!("Grüße {EVIL}"));
    assert_eq!(mail["links"], json!([{ "text": "Buy", "url": "https://shop.example/x" }]));
    assert_eq!(mail["unsubscribe"]["one_click"], format!("{URL}/u/abc"));
    assert_eq!(mail["headers"][1], json!(["To", "ann@example.com"]));
    assert_eq!(read("/_local/mail?q=nobody&format=json", &[])["total"], 0);
    assert_eq!(read("/_local/mail?q=ANN%40&format=json", &[])["total"], 1);
    let (page, _) = get(&pages, &format!("/_local/mail/{id}/raw"));
    assert_eq!(page.body(), &pages.ses.read(&id).unwrap());
    assert!(page.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
}

#[tokio::test]
async fn a_long_list_has_pages_and_says_when_it_has_not_changed() {
    let pages = pages();
    for n in 0..101 {
        take(&pages, "From: a@shop.example\nSubject: one of many\n\nhello\n", &format!("ms_{n}")).await;
    }
    let (page, first) = get(&pages, "/_local/mail");
    assert!(
        first.contains("101 in all") && !first.contains("message=ms_0<"),
        "the oldest is on the next page"
    );
    let next = first.split("before=").nth(1).unwrap().split('"').next().unwrap();
    let (_, second) = get(&pages, &format!("/_local/mail?before={next}"));
    assert!(second.contains("message=ms_0<") && !second.contains("message=ms_1<"), "{second}");
    let etag: &'static str = page.headers()["etag"].to_str().unwrap().to_owned().leak();
    let again = |pages: &Pages| match ask(pages, Method::GET, "/_local/mail", &[("if-none-match", etag)]) {
        LocalAnswer::Page(page) => page.status(),
        LocalAnswer::Ask { .. } | LocalAnswer::Later(_) => panic!(),
    };
    assert_eq!(again(&pages), StatusCode::NOT_MODIFIED);
    take(&pages, "From: a@shop.example\n\nhello\n", "ms_new").await;
    assert_eq!(again(&pages), StatusCode::OK);
}

#[tokio::test]
async fn one_click_is_tried_on_this_stack_only_and_judged() {
    let pages = pages();
    let id = take(&pages, &letter("x"), "ms_1").await;
    let target = format!("/_local/mail/{id}/unsubscribe");
    let LocalAnswer::Ask { request, show } = ask(&pages, Method::POST, &target, &[]) else {
        panic!("not asked")
    };
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/u/abc"));
    assert_eq!(request.body().as_ref(), b"List-Unsubscribe=One-Click");
    let page = show(Response::builder().status(200).body(Bytes::from(EVIL)).unwrap());
    let page = String::from_utf8_lossy(page.body()).into_owned();
    assert!(
        page.contains("Answered 200 OK") && page.contains("No redirect") && !page.contains(EVIL),
        "{page}"
    );
    let LocalAnswer::Ask { show, .. } = ask(&pages, Method::POST, &target, &[]) else { panic!("not asked") };
    let page = show(Response::builder().status(302).header("set-cookie", "a=b").body(Bytes::new()).unwrap());
    assert_eq!(String::from_utf8_lossy(page.body()).matches("class=\"bad\"").count(), 3);

    for (from, to) in [
        (URL, "http://127.0.0.1:8787.evil.example"),
        (URL, "http://169.254.169.254"),
        ("List-Unsubscribe=One-Click", "List-Unsubscribe=one-click"),
    ] {
        let id = take(&pages, &letter("x").replace(from, to), "ms_2").await;
        let LocalAnswer::Page(page) =
            ask(&pages, Method::POST, &format!("/_local/mail/{id}/unsubscribe"), &[])
        else {
            panic!("{to} is asked")
        };
        assert_eq!(page.status(), 409, "{to}");
        let problem: Value = serde_json::from_slice(page.body()).unwrap();
        assert_eq!(problem["type"], "urn:sluice:problem:not-to-unsubscribe", "{problem:#}");
        let (_, links) = get(&pages, &format!("/_local/mail/{id}?view=links"));
        assert!(!links.contains("as a mail program does"), "{links}");
    }
}

#[tokio::test]
async fn other_sites_and_other_names_of_this_machine_get_nothing() {
    let pages = pages();
    let id = take(&pages, &letter("x"), "ms_1").await;
    let status = |method: Method, target: &str, headers: &[(&'static str, &'static str)]| match ask(
        &pages, method, target, headers,
    ) {
        LocalAnswer::Page(page) => page.status().as_u16(),
        LocalAnswer::Ask { .. } | LocalAnswer::Later(_) => 0,
    };
    assert_eq!(status(Method::GET, "/_local/mail", &[("host", "rebound.evil.example:8787")]), 403);
    let evil = [("origin", "https://evil.example")];
    assert_eq!(status(Method::POST, &format!("/_local/mail/{id}/unsubscribe"), &evil), 403);
    assert_eq!(status(Method::POST, "/_local/mail/delete", &evil), 403);
    assert_eq!(status(Method::DELETE, "/_local/mail", &[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(pages.ses.list().len(), 1);
    let (page, said) = get(&pages, "/_local/mail/none");
    assert_eq!(page.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&problem["type"], &problem["status"], &problem["title"]),
        (&json!("urn:sluice:problem:no-such-mail"), &json!(404), &json!("no such mail"))
    );
    assert_eq!(status(Method::GET, "/_local/mail/none", &[]), 404);
    assert_eq!(status(Method::GET, "/_local/none", &[]), 404);
    assert_eq!(status(Method::POST, "/_local/mail", &[]), 404);
}

#[tokio::test]
async fn a_mail_that_is_no_mail_is_shown_as_what_it_is() {
    let pages = pages();
    for raw in ["\n", "From: a\n\u{0}\u{7f}\n\n", "Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n"] {
        let id = take(&pages, raw, "ms_1").await;
        for view in ["html", "text", "links", "headers", "source"] {
            let (page, _) = get(&pages, &format!("/_local/mail/{id}?view={view}"));
            assert_eq!(page.status(), 200, "{raw:?} {view}");
        }
    }
}

#[test]
fn what_leaves_the_machine_is_said_and_a_call_that_cannot_be_read_is_shown_as_what_it_is() {
    let leaves = Leaves { mail_by: Some(format!("mail.example:25{EVIL}")), calls: true };
    let pages = Pages::new(Ses::memory(Arc::new(|| 0)), URL.to_owned(), leaves, None);
    let (_, list) = get(&pages, "/_local/mail");
    assert!(list.contains("Mail goes out by mail.example:25&lt;script"), "{list}");
    assert!(list.contains("SMS and chat go out by their providers"), "{list}");
    let odd = Mail { channel: Some("sms".to_owned()), ..Mail::default() };
    let id = pages.ses.keep(odd, EVIL.as_bytes().to_vec()).unwrap();
    for view in ["text", "links", "request", "source"] {
        let (page, shown) = get(&pages, &format!("/_local/mail/{id}?view={view}"));
        assert!(page.status() == 200 && !shown.contains(EVIL), "{view}: {shown}");
    }
    let (page, _) = get(&pages, &format!("/_local/mail/{id}/raw"));
    assert_eq!(page.headers()["content-type"], "application/json");
    assert!(page.headers()["content-disposition"].to_str().unwrap().ends_with(".json\""));
}

#[tokio::test]
async fn mails_are_deleted_one_by_one_and_by_what_they_are_about() {
    let pages = pages();
    const CUSTOMER: &str = "cu_0123456789abcdefghjkmnpqrs";
    let of_customer = format!("ms_{}0123456789", &CUSTOMER[3..]);
    for tag in ["ld_1_assigned_1_ann", "ld_12_assigned_1_ann", &of_customer, "ms_other"] {
        take(&pages, &letter("x"), tag).await;
    }
    let first = pages.ses.list()[0].id.clone();
    let delete = |target: &str| match ask(&pages, Method::DELETE, target, &[]) {
        LocalAnswer::Page(page) => serde_json::from_slice::<Value>(page.body()).unwrap(),
        LocalAnswer::Ask { .. } | LocalAnswer::Later(_) => panic!(),
    };
    assert_eq!(delete(&format!("/_local/mail/{first}")), json!({ "deleted": 1 }));
    assert_eq!(delete(&format!("/_local/mail?about={CUSTOMER}")), json!({ "deleted": 1 }));
    assert_eq!(delete("/_local/mail?about=ld_1"), json!({ "deleted": 1 }));
    assert_eq!(delete("/_local/mail?about=ld_12"), json!({ "deleted": 1 }));
}

#[test]
fn a_clock_that_nobody_moves_is_not_moved() {
    let pages = pages();
    let status = |method: Method, target: &str| match ask(&pages, method, target, &[]) {
        LocalAnswer::Page(page) => page.status().as_u16(),
        LocalAnswer::Ask { .. } | LocalAnswer::Later(_) => 0,
    };
    assert_eq!(status(Method::GET, "/_local/clock"), 404);
    assert_eq!(status(Method::POST, "/_local/clock?to=2027-03-01T09:00:00Z"), 409);
}
