//! What `samples/` shows has to work: every policy loads, every lead ends where its README says, no file is unused.

use super::{SourceText, load};
use crate::{body, capture, http::HttpRequest, sources};
use futures::FutureExt;
use sluice_domain::customer::{Customer, Fact, Whole};
use sluice_domain::id::CustomerId;
use sluice_domain::identity::LanguageTag;
use sluice_domain::lead::{self, Origin};
use sluice_domain::message::Channel;
use sluice_domain::policy::{Document, PolicySet};
use sluice_domain::routing::{Asked, CustomerView, Outcome, Shares, Turn, route};
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
    let documents = load(&sources).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
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

    fn round(&mut self, teams: &[String], needs: &BTreeMap<&str, Asked>) -> Option<(String, String)> {
        let team = teams.first()?;
        match self.next(team, needs.get(team.as_str())?) {
            Turn::Of(rep) => Some((team.clone(), rep)),
            Turn::Nobody { .. } => None,
        }
    }

    fn off_duty(&mut self, _: &str, _: bool) -> Option<OffDuty> {
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
                let fact =
                    (fact.to_owned(), Fact { value: value.to_owned().into(), at: Timestamp(0), said: None });
                customer.facts.extend([fact]);
            }
            let whole = Whole { root: &customer, halves: Vec::new() };
            let stranger = template::context(Some(&whole), &policies, Given::default());
            let message = template::preview(&policies, name, Some(language), stranger).unwrap();
            assert!(!message.text.contains("{{") && message.problems.is_empty(), "{name}: {}", message.text);
        }
    }
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

#[test]
fn no_folder_of_samples_is_unused() {
    let known = BTreeSet::from(["imports".to_owned(), "leads".to_owned(), "policies".to_owned()]);
    assert_eq!(names(&folder("")), known, "a new kind of sample needs a test that runs it");
}
