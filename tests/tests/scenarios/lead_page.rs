//! The pages that links of notices lead to, in a browser without a window (jsdom, which has a browser's document, storage
//! and scripts and draws nothing): its script is run, and it asks a stack that runs.

use serde_json::{Value, json};
use sluice_tests::needs;
use sluice_tests::node::{self, Installed};
use sluice_tests::stack::{Running, Setup};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/follow.cjs");
/// Longer than a browser takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// Follows a link in a browser whose tab holds a token, or none, and types tokens in. What the page shows at first, and after each.
async fn follow(browser: &Installed, link: &str, held: Option<&str>, typed: &[&str]) -> Vec<Value> {
    let told = json!({"url": link, "held": held, "typed": typed}).to_string();
    let done = Command::new(&browser.node)
        .args([DRIVER, told.as_str()])
        .env("NODE_PATH", browser.folder.join("node_modules"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let done = tokio::time::timeout(PATIENCE, done).await.expect("it ends").unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && wrong.is_empty(), "{wrong}\n{said}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The browser; else the test is left out.
async fn browser() -> Option<Installed> {
    needs::found("jsdom", node::packages("browser").await)
}

/// The value of a row that the page shows.
fn row<'a>(page: &'a Value, name: &str) -> Option<&'a str> {
    page["rows"].as_array().unwrap().iter().find(|row| row[0] == name)?[1].as_str()
}

/// The sentence with which a token is refused.
async fn refusal(run: &Running, token: &str, lead: &str, status: u16) -> Value {
    let (found, problem) = run.api_as(Some(token), "GET", &format!("/api/leads/{lead}"), None).await;
    assert_eq!(found, status);
    problem["detail"].clone()
}

#[tokio::test]
async fn the_link_of_a_notice_shows_the_lead_to_whoever_has_a_token_for_it() {
    let Some(browser) = browser().await else { return };
    let run = Setup::default().start().await;
    let (name, note) =
        ("<img src=x onerror=\"window.ran = 1\">", "</dd><script>window.ran = 2</script><b>so</b>");
    let fields = [
        ("email", "ada@person.example"),
        ("phone", "+1 415 555 2671"),
        ("first_name", name),
        ("company_name", "B&amp;B"),
        ("message", note),
    ];
    let lead = run.lead(&fields).await;
    let view = run.show(&lead).await;
    let owner = view["owner"].as_str().unwrap();
    let peer = run.new_token("rep", Some(if owner == "ann" { "bo" } else { "ann" })).await;
    let token = run.new_token("rep", Some(owner)).await;
    let mail = run.mails().pop().unwrap().1;
    let link = format!("{}/api/leads/{lead}", run.stack.addresses.url);
    assert!(mail.contains(&link), "{mail}");

    let typed = ["nobody's", peer.as_str(), &format!(" {token} ")];
    let pages = follow(&browser, &link, None, &typed).await;
    let [empty, wrong, far, shown] = pages.as_slice() else { unreachable!("{pages:#?}") };
    assert_eq!((&empty["asks"], &empty["shows"], &empty["alert"]), (&json!(true), &json!(false), &json!("")));
    let (unknown, none) =
        (refusal(&run, "nobody's", &lead, 401).await, refusal(&run, &peer, &lead, 404).await);
    for (page, sentence) in [(wrong, unknown), (far, none)] {
        assert_eq!(
            (&page["alert"], &page["asks"]),
            (&sentence, &json!(true)),
            "there may be another token: {page:#}"
        );
        assert_eq!((&page["shows"], &page["held"], &page["rows"]), (&json!(false), &Value::Null, &json!([])));
    }
    assert_eq!((&shown["asks"], &shown["shows"], &shown["alert"]), (&json!(false), &json!(true), &json!("")));
    for (name, value) in [
        ("State", "assigned"),
        ("Owner", owner),
        ("Work", "open"),
        ("Source", "contact"),
        ("E-mail", "ada@person.example"),
        ("Phone", "+14155552671"),
        ("company_name", "B&amp;B"),
        ("message", note),
    ] {
        assert_eq!(row(shown, name), Some(value), "{shown:#}");
    }
    assert_eq!(shown["why"], view["why"]);
    assert_eq!(shown["links"], json!(["mailto:ada@person.example", "tel:+14155552671"]));
    // What people wrote is text, also where it looks like more.
    assert_eq!(
        (&shown["heading"], &shown["title"], &shown["ran"]),
        (&json!(name), &json!(name), &Value::Null)
    );
    assert_eq!(shown["elements"], json!(["a", "dd", "dl", "dt", "h2", "li", "ul"]));
    assert_eq!(shown["held"], json!(token), "the tab remembers it");
    run.finish().await;
}

#[tokio::test]
async fn a_tab_that_holds_a_token_shows_the_lead_at_once_until_the_token_is_taken_back() {
    let Some(browser) = browser().await else { return };
    let policies = sluice_tests::stack::POLICIES.to_owned()
        + "\n---\nkind: access\nname: default\nmasks:\n  marketer: [email, phone]\n";
    let run = Setup::policies(policies).start().await;
    let lead =
        run.lead(&[("email", "bo@person.example"), ("full_name", "Bo Ek"), ("company_name", "Ek")]).await;
    let link = format!("{}/api/leads/{lead}", run.stack.addresses.url);
    let path = format!("/api/leads/{lead}/contacts");
    assert_eq!(run.api("POST", &path, Some(json!({"channel": "phone"}))).await.0, 200);
    let (_, made) = run.api("POST", "/api/tokens", Some(json!({"role": "marketer"}))).await;
    let token = made["token"].as_str().unwrap();
    let pages = follow(&browser, &link, Some(token), &[]).await;
    let page = &pages[0];
    assert_eq!((&page["asks"], &page["heading"]), (&json!(false), &json!("Bo Ek")), "{page:#}");
    assert!(row(page, "First contact").is_some_and(|said| said.starts_with("admin, phone, ")), "{page:#}");
    assert_eq!(
        (row(page, "E-mail"), &page["links"]),
        (Some("•••"), &json!([])),
        "hidden, so no address: {page:#}"
    );
    assert_eq!(row(page, "To be in touch by"), None, "somebody was: {page:#}");

    let path = format!("/api/tokens/{}", made["id"].as_str().unwrap());
    assert!(matches!(run.api("DELETE", &path, None).await.0, 200 | 204));
    let pages = follow(&browser, &link, Some(token), &[run.token.as_str()]).await;
    assert_eq!((&pages[0]["asks"], &pages[0]["held"]), (&json!(true), &Value::Null), "{pages:#?}");
    assert_eq!(pages[0]["alert"], refusal(&run, token, &lead, 401).await);
    assert_eq!((row(&pages[1], "E-mail"), &pages[1]["held"]), (Some("bo@person.example"), &json!(run.token)));
    run.finish().await;
}

const GREETS: &str = "
---
kind: journey
name: greets
trigger: { event: lead_captured }
steps:
  - notify: { text: Say hello. }
";

#[tokio::test]
async fn the_link_of_a_journeys_notice_shows_the_customer_and_one_of_a_document_what_is_published() {
    let Some(browser) = browser().await else { return };
    let run = Setup::policies(format!("{}{GREETS}", sluice_tests::stack::POLICIES)).start().await;
    let name = "<img src=x onerror=\"window.ran = 1\">";
    let fields = [
        ("email", "ada@person.example"),
        ("phone", "+1 415 555 2671"),
        ("first_name", name),
        ("newsletter", "on"),
    ];
    let lead = run.lead(&fields).await;
    let view = run.show(&lead).await;
    let (owner, customer) = (view["owner"].as_str().unwrap(), view["customer"].as_str().unwrap());
    let (rep, url) = (run.new_token("rep", Some(owner)).await, &run.stack.addresses.url);
    let link = format!("{url}/api/customers/{customer}");
    let told = run.mails().into_iter().any(|(_, mail)| mail.contains(&format!("The customer: {link}")));
    assert!(told, "{:#?}", run.mails());

    let pages = follow(&browser, &link, None, &["nobody's", &rep]).await;
    let [empty, wrong, shown] = pages.as_slice() else { unreachable!("{pages:#?}") };
    assert_eq!((&empty["asks"], &empty["heading"]), (&json!(true), &json!("A customer")), "{empty:#}");
    assert_eq!((&wrong["shows"], &wrong["rows"]), (&json!(false), &json!([])), "{wrong:#}");
    assert_eq!((&shown["asks"], &shown["shows"], &shown["alert"]), (&json!(false), &json!(true), &json!("")));
    for (name, value) in [
        ("Owner", owner),
        ("Team", "sales"),
        ("E-mail", "ada@person.example"),
        ("Phone", "+14155552671"),
        ("email", "ada@person.example"),
        ("email ada@person.example", "product: yes"),
        ("greets", "completed"),
    ] {
        assert_eq!(row(shown, name), Some(value), "{name}: {shown:#}");
    }
    let rows = shown["rows"].to_string();
    assert!(rows.contains("Lead by contact: assigned") && rows.contains("lead_captured"), "{rows}");
    let links = json!(["mailto:ada@person.example", "tel:+14155552671", format!("{url}/api/leads/{lead}")]);
    assert_eq!(shown["links"], links);
    assert_eq!((&shown["heading"], &shown["ran"]), (&json!(name), &Value::Null), "text is text");
    assert_eq!(shown["elements"], json!(["a", "dd", "dl", "dt", "h2"]));

    let document = format!("{url}/api/policies/journey/greets");
    let pages = follow(&browser, &document, Some(&rep), &[run.token.as_str()]).await;
    let [refused, shown] = pages.as_slice() else { unreachable!("{pages:#?}") };
    assert_eq!(
        (&refused["alert"], &refused["asks"]),
        (&json!("This token's role may not do that."), &json!(true)),
        "{refused:#}"
    );
    assert_eq!((&shown["heading"], &shown["elements"]), (&json!("journey greets"), &json!(["pre"])));
    run.finish().await;
}
