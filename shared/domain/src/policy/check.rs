//! What is wrong with a set of documents: each finding names the document and the place inside it.

use super::{Assign, Document, KINDS, Rules, SecretRef};
use crate::identity::Email;
use std::collections::BTreeSet;

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Index into the documents checked.
    pub document: usize,
    /// Path inside it: `["rules", "2", "when"]`.
    pub path: Vec<String>,
    /// What is wrong and what to do.
    pub message: String,
    /// Offset inside the value, as line and column from 1, for conditions.
    pub within: Option<(usize, usize)>,
}

/// Checks documents against themselves and each other. Empty means they may be published.
pub fn check(documents: &[Document]) -> Vec<Finding> {
    let mut checker = Checker { findings: Vec::new(), at: 0 };
    let names = |kind: &str| -> BTreeSet<&str> {
        documents.iter().filter(|d| d.kind() == kind).map(Document::name).collect()
    };
    let (reps, teams) = (names("rep"), names("team"));
    let mut seen = BTreeSet::new();
    for (at, document) in documents.iter().enumerate() {
        checker.at = at;
        checker.name(document);
        if !seen.insert(document.path()) {
            checker.add(&["name"], format!("{} is defined twice; rename one", document.path()));
        }
        match document {
            Document::Form(form) => {
                if form.redirect.as_deref().is_some_and(|url| !is_http(url) && !url.starts_with('/')) {
                    checker.add(&["redirect"], "a redirect is an http(s) URL or a path that starts with /");
                }
                for (i, origin) in form.origins.iter().enumerate() {
                    if origin != "*" && (!is_http(origin) || origin.matches('/').count() != 2) {
                        checker.add(&["origins", &i.to_string()], "an origin is scheme://host[:port] without a path");
                    }
                }
            }
            Document::Source(source) => {
                for (name, refs) in &source.secrets {
                    checker.secrets(&["secrets", name], refs);
                }
            }
            Document::Rep(rep) => {
                if rep.email.as_deref().is_some_and(|email| Email::parse(email).is_err()) {
                    checker.add(&["email"], "this is not an e-mail address");
                }
                if let Some(webhook) = &rep.webhook {
                    if !is_http(&webhook.url) {
                        checker.add(&["webhook", "url"], "a webhook URL starts with https://");
                    }
                    checker.secrets(&["webhook", "secrets"], &webhook.secrets);
                    if webhook.secrets.is_empty() {
                        checker.add(&["webhook", "secrets"], "a webhook needs a secret to sign with");
                    }
                }
            }
            Document::Team(team) => {
                let mut inside = BTreeSet::new();
                if team.members.is_empty() {
                    checker.add(&["members"], "a team needs at least one member");
                }
                for (i, member) in team.members.iter().enumerate() {
                    let i = i.to_string();
                    checker.known(&["members", &i, "rep"], "rep", &member.rep, &reps);
                    if !inside.insert(&member.rep) {
                        checker.add(&["members", &i, "rep"], format!("{} is in the team twice", member.rep));
                    }
                    if !(1..=100).contains(&member.weight) {
                        checker.add(&["members", &i, "weight"], "a weight is a whole number from 1 to 100");
                    }
                }
            }
            Document::Routing(routing) => {
                if let Err((rule, error)) = Rules::compile(routing) {
                    checker.findings.push(Finding {
                        document: at,
                        path: vec!["rules".into(), rule.to_string(), "when".into()],
                        message: format!("not a condition: {}", error.message),
                        within: Some((error.line, error.column)),
                    });
                }
                for (i, rule) in routing.rules.iter().enumerate() {
                    let i = i.to_string();
                    match (&rule.assign, &rule.end) {
                        (Some(Assign::Team(team)), None) => {
                            checker.known(&["rules", &i, "assign", "team"], "team", team, &teams);
                        }
                        (Some(Assign::Rep(rep)), None) => {
                            checker.known(&["rules", &i, "assign", "rep"], "rep", rep, &reps);
                        }
                        (Some(Assign::Owner(_)), None) | (None, Some(_)) => {}
                        _ => checker.add(&["rules", &i], "a rule has either `assign` or `end`"),
                    }
                }
                if routing.name != "default" {
                    checker.add(&["name"], "the routing document is called `default`");
                }
            }
            Document::Settings(settings) => {
                for (i, rep) in settings.escalate_to.iter().enumerate() {
                    checker.known(&["escalate_to", &i.to_string()], "rep", rep, &reps);
                }
                if settings.name != "default" {
                    checker.add(&["name"], "the settings document is called `default`");
                }
            }
        }
    }
    checker.findings
}

struct Checker {
    findings: Vec<Finding>,
    at: usize,
}

impl Checker {
    fn add(&mut self, path: &[&str], message: impl Into<String>) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.findings.push(Finding { document: self.at, path, message: message.into(), within: None });
    }

    fn name(&mut self, document: &Document) {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name = document.name();
        if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
            self.add(&["name"], "a name is 1 to 64 letters, digits, dots, dashes or underscores");
        }
        debug_assert!(KINDS.contains(&document.kind()));
    }

    fn known(&mut self, path: &[&str], kind: &str, name: &str, names: &BTreeSet<&str>) {
        if !names.contains(name) {
            let list = names.iter().copied().collect::<Vec<_>>().join(", ");
            self.add(path, format!("there is no {kind} `{name}`; known: {list}"));
        }
    }

    fn secrets(&mut self, path: &[&str], refs: &[SecretRef]) {
        for SecretRef(text) in refs {
            if !text.starts_with("env:") && !text.starts_with("secret:") {
                self.add(path, "a secret is a reference, `env:NAME` or `secret:NAME`, never the value");
            }
        }
    }
}

fn is_http(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
