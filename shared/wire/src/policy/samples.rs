//! What `samples/` shows has to work: every policy loads, every lead ends where its README says, no file is unused.

use super::{SourceText, examine};
use crate::{body, capture, http::HttpRequest, sources};
use expect_test::{expect, expect_file};
use futures::FutureExt;
use serde_json::json;
use sluice_domain::customer::{Customer, Fact, Whole};
use sluice_domain::event::{Event, EventKind};
use sluice_domain::id::{CustomerId, EventId};
use sluice_domain::identity::LanguageTag;
use sluice_domain::journey::{Script, Somebody, draw, play};
use sluice_domain::lead::{self, Origin};
use sluice_domain::live::{Live, Person, View, look};
use sluice_domain::message::Channel;
use sluice_domain::policy::{Document, PolicySet};
use sluice_domain::routing::{Asked, CustomerView, Outcome, Shares, Turn, route};
use sluice_domain::segment::Changed;
use sluice_domain::team::OffDuty;
use sluice_domain::template::{self, Context, Given};
use sluice_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn policies() -> Vec<Document> {
    let sources: Vec<SourceText> = names(&folder("policies"))
        .into_iter()
        .map(|name| {
            assert!(name.ends_with(".yaml"), "samples/policies/{name} is read by nothing");
            let text = std::fs::read_to_string(folder("policies").join(&name)).unwrap();
            SourceText { file: format!("samples/policies/{name}"), text }
        })
        .collect();
    let examined = examine(&sources).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    assert_eq!(examined.warnings, []);
    let documents = examined.documents;
    assert!(documents.len() > sources.len());
    documents
}

/// The first member of each team, whoever that is.
struct First<'a>(&'a PolicySet);

impl Shares for First<'_> {
    fn next(&mut self, team: &str, _: &Asked) -> Turn {
        let first = self.0.teams.get(team).and_then(|team| team.members.first());
        first.map_or(Turn::Nobody { off_duty: false }, |member| Turn::Of(member.rep.clone()))
    }

    fn round(
        &mut self,
        teams: &[String],
        needs: &BTreeMap<&str, Asked>,
    ) -> Result<(String, String), Vec<Turn>> {
        let first = teams.first().and_then(|team| Some((team, needs.get(team.as_str())?)));
        match first.map(|(team, need)| (team, self.next(team, need))) {
            Some((team, Turn::Of(rep))) => Ok((team.clone(), rep)),
            _ => Err(Vec::new()),
        }
    }

    fn off_duty(&mut self, _: &str) -> Option<OffDuty> {
        None
    }

    fn on_leave(&mut self, _: &str, _: Option<&str>) -> Option<OffDuty> {
        None
    }

    fn keep(&mut self, _: &str, _: &str) -> bool {
        true
    }
}

/// Where a new person's lead ends: a team, or the state's name.
fn outcome(policies: &PolicySet, file: &str) -> String {
    let content_type = match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => "application/json",
        Some("urlencoded") => "application/x-www-form-urlencoded",
        Some("multipart") => "multipart/form-data; boundary=sluice-sample",
        _ => panic!("samples/leads/{file} is of no type that forms take"),
    };
    let request = HttpRequest {
        method: "POST".to_owned(),
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: std::fs::read(folder("leads").join(file)).unwrap().into(),
        ..HttpRequest::default()
    };
    let submission = body::parse(&request).now_or_never().unwrap().unwrap();
    assert!(submission.flags.is_empty(), "{file}: {:?}", submission.flags);
    let form = &policies.forms["contact"];
    assert!(!capture::is_spam(form, &submission), "{file} fills in the honeypot");
    let envelope = capture::from_form(form, &request, submission).unwrap();
    let origin = Origin { kind: "form".to_owned(), name: form.name.clone() };
    let facts = lead::read(&origin, &envelope, &policies.reading(&origin), &policies.settings);
    assert_eq!(facts.flags.is_empty(), file != "bad-fields.json", "{file}: {:?}", facts.flags);
    let customer = CustomerView::of(None, None, policies);
    match route(policies, &facts, &customer, &mut First(policies)).1 {
        Outcome::Assigned { team, rep } => team.unwrap_or(rep),
        other => other.state().name().to_owned(),
    }
}

#[test]
fn every_sample_policy_loads_and_comes_back_from_the_store() {
    for document in policies() {
        assert_eq!(Document::from_json(document.to_json()).unwrap(), document);
    }
}

#[test]
fn every_type_of_source_has_a_sample() {
    let shown: BTreeSet<String> = policies()
        .into_iter()
        .filter_map(|document| match document {
            Document::Source(source) => Some(source.sender),
            _ => None,
        })
        .collect();
    let known: BTreeSet<String> = sources::registry().iter().map(|source| source.kind().to_owned()).collect();
    assert_eq!(shown, known);
}

#[test]
fn every_sample_template_can_be_sent_in_every_language() {
    let policies = PolicySet::build(1, policies()).unwrap();
    assert!(policies.templates.templates.len() > 3);
    for (name, template) in &policies.templates.templates {
        for language in ["en", "de", "zh", "zh-Hant"].map(|tag| LanguageTag::parse(tag).unwrap()) {
            let sample = Context::sample(&policies.settings.company);
            let shown = template::preview(&policies, name, Some(language), sample).unwrap();
            assert_eq!(shown.problems, Vec::<String>::new(), "{name} {language}");
            assert_eq!(shown.language.map(|tag| tag.language()), Some(language.language()), "{name}");
            assert_eq!(shown.html.is_some(), template.channel == Channel::Email, "{name}");
            // Whoever we know nothing about but where to write to gets a whole message too.
            let mut customer = Customer::new(CustomerId::derived(&[name]), Timestamp(0));
            for (fact, value) in [("email", "ada@person.example"), ("phone", "+12015550123")] {
                let fact = (
                    fact.to_owned(),
                    Fact { value: value.to_owned().into(), at: Timestamp(0), said: None, tie: None },
                );
                customer.facts.extend([fact]);
            }
            let whole = Whole { root: &customer, halves: Vec::new() };
            let stranger = template::context(Some(&whole), &policies, Given::default());
            let message = template::preview(&policies, name, Some(language), stranger).unwrap();
            assert!(!message.text.contains("{{") && message.problems.is_empty(), "{name}: {}", message.text);
        }
    }
}

/// A person to whom these events have happened, so many days ago each; the segments and the stage that they are in.
fn behaves(policies: &PolicySet, events: &[(&str, i64, serde_json::Value)]) -> (BTreeSet<String>, String) {
    let now = Timestamp(1_795_260_000_000);
    let ago = |days: i64| now.plus_millis(-days * 86_400_000);
    let customer = Customer::new(CustomerId::derived(&["sample"]), ago(1000));
    let person = Person { whole: Whole { root: &customer, halves: Vec::new() }, halves: Vec::new() };
    let mut live = Live::new(&policies.live);
    for (n, (name, days, properties)) in events.iter().enumerate() {
        let event = Event {
            id: EventId::derived(&["sample", &n.to_string()]),
            kind: if *name == "lead_captured" { EventKind::Own } else { EventKind::Track },
            name: (*name).to_owned(),
            source: "shop".to_owned(),
            at: ago(*days),
            received: ago(*days),
            properties: properties.as_object().cloned().unwrap_or_default().into(),
            traits: serde_json::Map::new().into(),
            context: serde_json::Map::new().into(),
        };
        live.apply(&event, &policies.live, now);
    }
    look(&person, &mut live, policies, Changed::everything(), now);
    let view = View::of(&person, &live, policies, now);
    (live.segments().map(|(name, _)| name.to_owned()).collect(), view.stage().to_owned())
}

#[test]
fn somebody_comes_into_each_sample_segment_and_stage() {
    let policies = PolicySet::build(1, policies()).unwrap();
    let order = |id: u32| json!({"order_id": id, "total": 600, "currency": "EUR"});
    let buys = |days: &[i64]| -> Vec<(&str, i64, serde_json::Value)> {
        let orders = days.iter().zip(0..).map(|(days, id)| ("order_completed", *days, order(id)));
        orders.collect()
    };
    let weekly: Vec<_> = (0..6).map(|week| ("page_viewed", 40 + week * 7, json!({}))).collect();
    let mut segments = BTreeSet::new();
    let mut stages = BTreeSet::new();
    for (events, within, stage) in [
        (vec![("lead_captured", 3, json!({}))], &["unsettled-leads"][..], "potential"),
        (buys(&[10]), &["active-customers"], "new"),
        (buys(&[30, 10]), &["active-customers"], "active"),
        (buys(&[60, 30, 10]), &["active-customers", "vip"], "loyal"),
        ([weekly, buys(&[50])].concat(), &["active-customers", "at-risk"], "new"),
        (buys(&[800, 700]), &[], "churned"),
    ] {
        let (found, reached) = behaves(&policies, &events);
        assert_eq!(found, within.iter().map(|name| (*name).to_owned()).collect(), "{events:?}");
        assert_eq!(reached, stage, "{events:?}");
        segments.extend(found);
        stages.insert(reached);
    }
    assert_eq!(segments, policies.live.segments.keys().cloned().collect(), "nobody comes into one of them");
    assert_eq!(stages, policies.live.stages.names().iter().cloned().collect());
}

#[test]
fn every_sample_lead_ends_where_its_readme_says() {
    let policies = PolicySet::build(1, policies()).unwrap();
    let readme = std::fs::read_to_string(folder("leads/README.md")).unwrap();
    let mut files: BTreeSet<String> = names(&folder("leads"));
    assert!(files.remove("README.md"));
    for row in readme.lines().filter(|line| line.starts_with("| `")) {
        let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let (file, end) = (quoted[0], quoted[quoted.len() - 1]);
        assert!(files.remove(file), "samples/leads/{file} is not there");
        assert_eq!(outcome(&policies, file), end, "{file}");
    }
    assert_eq!(files, BTreeSet::new(), "not in samples/leads/README.md");
}

/// What becomes of a sample customer in a journey, from the first of December 2026 on.
fn played(policies: &PolicySet, journey: &str, file: &str) -> String {
    let text = std::fs::read_to_string(folder("customers").join(file)).unwrap();
    let person: Somebody = serde_json::from_str(&text).unwrap();
    let from = Timestamp::parse("2026-12-01T08:00:00Z").unwrap();
    let until = from.plus_millis(120 * 86_400_000);
    let lines = play(policies, Script { journey, person: &person, from, until }).unwrap();
    let shown = lines.iter().map(|line| match &line.step {
        Some(step) => format!("{} {step}: {}\n", line.at, line.words),
        None => format!("{} {}\n", line.at, line.words),
    });
    shown.collect()
}

#[test]
fn every_sample_customer_goes_through_every_sample_journey() {
    let policies = PolicySet::build(1, policies()).unwrap();
    expect![[r#"
        2026-12-01T08:00:00.000Z lead_captured happens.
        2026-12-01T08:00:00.000Z Entered.
        2026-12-01T08:00:00.000Z send.welcome: Send welcome (about service)
        2026-12-01T08:00:00.000Z wait_for.page_viewed: Wait for page_viewed (at most 3d)
        2026-12-01T08:00:00.000Z wait_for.page_viewed waits until 2026-12-04T08:00:00.000Z.
        2026-12-01T08:00:00.000Z score_changed (axis interest, to warm).
        2026-12-01T08:00:00.000Z segment_entered (segment unsettled-leads).
        2026-12-04T08:00:00.000Z What wait_for.page_viewed waited for did not happen in time.
        2026-12-04T08:00:00.000Z nudge: Send nudge (about product, at a cap: skip, in quiet hours: defer)
        2026-12-04T08:00:00.000Z wait_for.message_clicked: Wait for message_clicked (at most 5d)
        2026-12-04T08:00:00.000Z wait_for.message_clicked waits until 2026-12-09T08:00:00.000Z.
        2026-12-05T08:00:00.000Z message_clicked happens.
        2026-12-05T08:00:00.000Z What wait_for.message_clicked waited for happened.
        2026-12-05T08:00:00.000Z end.2: End
        2026-12-05T08:00:00.000Z Completed: that was the last step.
        2026-12-19T01:39:19.844Z score_changed (axis interest, from warm).
        2026-12-31T08:00:00.000Z segment_left (segment unsettled-leads).
    "#]]
    .assert_eq(&played(&policies, "welcome", "ada.json"));
    expect![[r#"
        2026-12-01T08:00:00.000Z order_completed happens.
        2026-12-01T08:00:00.000Z stage_changed (from potential, to new).
        2026-12-01T08:00:00.000Z score_changed (axis interest, to warm).
        2026-12-01T08:00:00.000Z tier_changed (to occasional).
        2026-12-01T08:00:00.000Z segment_entered (segment active-customers).
        2026-12-07T03:27:18.260Z score_changed (axis interest, from warm).
        2027-03-01T08:00:00.000Z segment_left (segment active-customers).
        2027-03-01T08:00:00.000Z segment_entered (segment at-risk).
        2027-03-01T08:00:00.000Z Entered.
        2027-03-01T08:00:00.000Z until_hours: Wait for the hours (mon-fri 09:00-18:00, where the customer lives)
        2027-03-01T08:00:00.000Z send.miss-you: Send miss-you (about product, at a cap: defer, in quiet hours: defer)
        2027-03-01T08:00:00.000Z wait_for.page_viewed: Wait for page_viewed (at most 1w)
        2027-03-01T08:00:00.000Z wait_for.page_viewed waits until 2027-03-08T08:00:00.000Z.
        2027-03-04T08:00:00.000Z page_viewed happens.
        2027-03-04T08:00:00.000Z What wait_for.page_viewed waited for happened.
        2027-03-04T08:00:00.000Z tag.back: Tag back (for 30d)
        2027-03-04T08:00:00.000Z notify.owner: Tell the owner (Was silent for long and looks around again.)
        2027-03-04T08:00:00.000Z end: End
        2027-03-04T08:00:00.000Z Completed: that was the last step.
        2027-03-04T08:00:00.000Z tagged (tag back).
        2027-03-04T08:00:00.000Z segment_left (segment at-risk).
    "#]]
    .assert_eq(&played(&policies, "win-back", "bo.json"));
    for journey in policies.journeys.keys() {
        for file in names(&folder("customers")) {
            let story = played(&policies, journey, &file);
            assert!(
                story.lines().count() > 1 && !story.contains("gave no answer"),
                "{journey} {file}: {story}"
            );
        }
    }
}

#[test]
fn the_picture_in_the_readme_is_of_the_welcome_as_it_is() {
    let policies = PolicySet::build(1, policies()).unwrap();
    expect_file!["../../../../docs/welcome.svg"].assert_eq(&draw(&policies.journeys["welcome"]));
}

#[test]
fn the_five_journeys_of_a_customers_life_are_there() {
    let policies = PolicySet::build(1, policies()).unwrap();
    for name in ["welcome", "activation", "loyalty", "win-back", "survey"] {
        assert!(policies.journeys.contains_key(name), "{name}");
    }
}

#[test]
fn no_folder_of_samples_is_unused() {
    let known = BTreeSet::from([
        "customers".to_owned(),
        "day".to_owned(),
        "imports".to_owned(),
        "leads".to_owned(),
        "policies".to_owned(),
    ]);
    assert_eq!(names(&folder("")), known, "a new kind of sample needs a test that runs it");
}
