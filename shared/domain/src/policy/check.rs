//! What is wrong with a set of documents: each finding names the document and the place inside it.

mod access;
mod behaviour;
mod campaign;
mod condition;
mod doubts;
mod insight;
mod journey;
mod messaging;

pub(crate) use behaviour::Names;
pub use doubts::doubts;

use super::{
    CatchAll, Document, FieldMap, KINDS, Response, SecretRef, Target, Team, Territory, Then, one_of,
    territory,
};
use crate::calendar::{Calendar, Day, Hours};
use crate::customer::{DEFAULT_RULE, IdentityKind, Survivor, Survivorship};
use crate::identity::Email;
use crate::lead::namespace_of;
use crate::template;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Members of a team at most: the explanation of each of its leads lists them, and its record those of the leads under way.
const MOST_MEMBERS: usize = 200;
/// The most that `shared_after` may be: an address remembers as many customers.
const MOST_SHARED: u32 = 100;

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Index into the documents checked.
    pub document: usize,
    /// Path inside it: `["rules", "2", "when"]`.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be told and the message does not.
    pub hint: Option<String>,
    /// Offset inside the value, as line and column from 1, for conditions.
    pub within: Option<(usize, usize)>,
    /// The other document it is about, if there is one.
    pub other: Option<Other>,
}

impl Finding {
    /// The message with the hint.
    pub fn words(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}{hint}", self.message)
    }
}

/// The other document a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// One of that name is not among those checked.
    Absent,
    /// Index into the documents checked: the first of two with one name.
    Document(usize),
}

/// Checks documents against themselves and each other. Empty means they may be published.
pub fn check(documents: &[Document]) -> Vec<Finding> {
    let mut checker = Checker { findings: Vec::new(), at: 0 };
    let names = |kind: &str| -> BTreeSet<&str> {
        documents.iter().filter(|d| d.kind() == kind).map(Document::name).collect()
    };
    let (reps, teams, calendars) = (names("rep"), names("team"), names("calendar"));
    let behaviour = Names::of(documents);
    let origins: BTreeSet<&str> = names("form").union(&names("source")).copied().collect();
    let mut seen = BTreeMap::new();
    for (at, document) in documents.iter().enumerate() {
        checker.at = at;
        checker.name(document);
        match seen.entry(document.path()) {
            Entry::Vacant(free) => drop(free.insert(at)),
            Entry::Occupied(first) => {
                let message = format!("{} is defined twice; rename one", first.key());
                checker.add_about(&["name"], message, Some(Other::Document(*first.get())));
            }
        }
        match document {
            Document::Form(form) => {
                checker.namespaces(&form.fields);
                if form.redirect.as_deref().is_some_and(|url| !is_http(url) && !url.starts_with('/')) {
                    checker.add(&["redirect"], "a redirect is an http(s) URL or a path that starts with /");
                }
                checker.origins(&form.origins);
                if let Some(consent) = &form.consent {
                    checker.consent(consent);
                }
            }
            Document::Source(source) => {
                checker.namespaces(&source.fields);
                checker.origins(&source.origins);
                for (name, refs) in &source.secrets {
                    checker.secrets(&["secrets", name], refs);
                }
                if source.redirect.as_deref().is_some_and(|url| !is_http(url)) {
                    checker.add(&["redirect"], "a redirect is an http(s) URL");
                }
            }
            Document::Rep(rep) => {
                checker.calendar(rep.hours.as_ref(), &calendars);
                if let Some(manager) = &rep.reports_to {
                    checker.known(&["reports_to"], "rep", manager, &reps);
                }
                if rep.email.as_deref().is_some_and(|email| Email::of_any_domain(email).is_err()) {
                    checker.add(&["email"], "this is not an e-mail address");
                }
                if let Some(webhook) = &rep.webhook {
                    checker.receiver(&["webhook"], webhook);
                }
            }
            Document::Team(team) => {
                checker.calendar(team.hours.as_ref(), &calendars);
                if let Some(manager) = &team.manager {
                    checker.known(&["manager"], "rep", manager, &reps);
                }
                if let Some(response) = &team.response {
                    checker.response(team, response, &reps, &teams);
                }
                let mut inside = BTreeSet::new();
                if team.members.is_empty() {
                    checker.add(&["members"], "a team needs at least one member");
                }
                if team.members.len() > MOST_MEMBERS {
                    let message = format!(
                        "a team has at most {MOST_MEMBERS} members, this one {}; make several teams of it, which a \
                         rule names in `teams`",
                        team.members.len()
                    );
                    checker.add(&["members"], message);
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
                for (i, rule) in routing.rules.iter().enumerate() {
                    let i = i.to_string();
                    if let Some(source) = &rule.when {
                        checker.condition(&["rules", &i, "when"], source, &["lead", "customer"]);
                    }
                    match (&rule.assign, &rule.end) {
                        (Some(assign), None) => checker.target(&i, &assign.target, &teams, &reps),
                        (None, Some(_)) => {}
                        _ => checker.add(&["rules", &i], "a rule has either `assign` or `end`"),
                    }
                }
                if routing.name != "default" {
                    checker.add(&["name"], "the routing document is called `default`");
                }
            }
            Document::Calendar(calendar) => checker.days(calendar),
            Document::Channel(channel) => checker.channel(channel),
            Document::Topic(topic) => checker.topic(topic, documents),
            Document::Lifecycle(lifecycle) => checker.lifecycle(lifecycle, &behaviour),
            Document::Scoring(scoring) => checker.scoring(scoring),
            Document::Segment(segment) => {
                checker.person(&["when"], &segment.when, false, &behaviour);
            }
            Document::Territory(_)
            | Document::Template(_)
            | Document::Layout(_)
            | Document::Partial(_)
            | Document::Journey(_)
            | Document::Campaign(_) => {}
            Document::Cost(cost) => checker.cost(cost, documents),
            Document::Alert(alert) => checker.alert(alert, documents),
            Document::Access(access) => checker.access(access),
            Document::Webhook(webhook) => checker.subscription(webhook),
            Document::Settings(settings) => {
                for (i, rep) in settings.escalate_to.iter().enumerate() {
                    checker.known(&["escalate_to", &i.to_string()], "rep", rep, &reps);
                }
                if settings.shared_after > MOST_SHARED {
                    let message = format!("an address is shared after at most {MOST_SHARED} customers");
                    checker.add(&["shared_after"], message);
                }
                checker.survivorship(&settings.survivorship, &origins);
                checker.messaging(&settings.messaging);
                checker.worth(settings);
                checker.attribution(&settings.attribution);
                if settings.name != "default" {
                    checker.add(&["name"], "the settings document is called `default`");
                }
            }
        }
    }
    checker.territories(documents);
    checker.circles(documents);
    checker.alerts(documents);
    checker.reporting(documents);
    checker.journeys(documents, &behaviour);
    checker.campaigns(documents, &behaviour);
    checker.findings.extend(template::check(documents));
    checker.findings
}

/// What conditions see of a lead, see [`crate::lead::Facts::view`]. Any other name would never match, and nobody told.
pub(crate) const LEAD: [&str; 27] = [
    "source",
    "kind",
    "fields",
    "attribution",
    "flags",
    "country",
    "email_domain",
    "company_domain",
    "email",
    "phone",
    "first_name",
    "last_name",
    "full_name",
    "company",
    "postal_code",
    "street",
    "city",
    "region",
    "website",
    "birth_date",
    "language",
    "time_zone",
    "external_id",
    "wechat_unionid",
    "wechat_openid",
    "wechat_id",
    "ad_user_id",
];

/// What is kept of a customer, see [`crate::customer::Customer::absorb`].
pub(crate) const FACTS: [&str; 21] = [
    "email",
    "phone",
    "first_name",
    "last_name",
    "full_name",
    "company",
    "company_domain",
    "website",
    "street",
    "postal_code",
    "city",
    "region",
    "country",
    "language",
    "time_zone",
    "birth_date",
    "external_id",
    "wechat_unionid",
    "wechat_openid",
    "wechat_id",
    "ad_user_id",
];

struct Checker {
    findings: Vec<Finding>,
    at: usize,
}

impl Checker {
    fn add(&mut self, path: &[&str], message: impl Into<String>) {
        self.add_about(path, message, None);
    }

    fn add_about(&mut self, path: &[&str], message: impl Into<String>, other: Option<Other>) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        let (document, message) = (self.at, message.into());
        self.findings.push(Finding { document, path, message, hint: None, within: None, other });
    }

    /// As `add`, with what to write instead.
    fn add_hinted(&mut self, path: &[&str], message: impl Into<String>, hint: impl Into<String>) {
        self.add(path, message);
        if let Some(finding) = self.findings.last_mut() {
            finding.hint = Some(hint.into());
        }
    }

    fn origins(&mut self, origins: &[String]) {
        for (i, origin) in origins.iter().enumerate() {
            if origin != "*" && (!is_http(origin) || origin.matches('/').count() != 2) {
                self.add(&["origins", &i.to_string()], "an origin is scheme://host[:port] without a path");
            }
        }
    }

    fn name(&mut self, document: &Document) {
        let name = document.name();
        if name.is_empty() {
            return self.add(&["name"], "a document needs a `name`");
        }
        if !is_name(name) {
            self.add(&["name"], "a name is 1 to 64 letters, digits, dots, dashes or underscores");
        }
        debug_assert!(KINDS.contains(&document.kind()));
    }

    fn namespaces(&mut self, fields: &FieldMap) {
        for name in fields.keys() {
            let namespace = IdentityKind::ALL.into_iter().find_map(|kind| namespace_of(name, kind));
            if namespace.is_some_and(|text| !is_name(text)) {
                let message = "a namespace is 1 to 64 letters, digits, dots, dashes or underscores";
                self.add(&["fields", name], message);
            }
        }
    }

    fn survivorship(&mut self, rules: &Survivorship, origins: &BTreeSet<&str>) {
        for (field, rule) in &rules.0 {
            let plain = field.split('.').next().unwrap_or_default();
            if field != DEFAULT_RULE && !FACTS.contains(&plain) {
                let hint = one_of(field, [DEFAULT_RULE].into_iter().chain(FACTS));
                self.add_hinted(&["survivorship", field], format!("a customer has no `{field}`"), hint);
            }
            if let Survivor::Sources(order) = rule {
                for (i, name) in order.iter().enumerate() {
                    let at = ["survivorship", field, &i.to_string()];
                    self.known(&at, "form or source", name, origins);
                }
            }
        }
    }

    fn known(&mut self, path: &[&str], kind: &str, name: &str, names: &BTreeSet<&str>) {
        if !names.contains(name) {
            let hint = one_of(name, names.iter().copied());
            self.add_hinted(path, format!("there is no {kind} `{name}`"), hint);
            if let Some(finding) = self.findings.last_mut() {
                finding.other = Some(Other::Absent);
            }
        }
    }

    fn calendar(&mut self, hours: Option<&Hours>, calendars: &BTreeSet<&str>) {
        if let Some(name) = hours.and_then(|hours| hours.calendar.as_deref()) {
            self.known(&["hours", "calendar"], "calendar", name, calendars);
        }
    }

    fn response(&mut self, team: &Team, response: &Response, reps: &BTreeSet<&str>, teams: &BTreeSet<&str>) {
        if response.remind.len() > Response::MAX_POINTS {
            self.add(&["response", "remind"], format!("at most {} reminders", Response::MAX_POINTS));
        }
        for (i, pair) in response.remind.windows(2).enumerate() {
            if let [before, point] = pair
                && point <= before
            {
                let message = format!("{point} does not come after {before}");
                self.add(&["response", "remind", &(i + 1).to_string()], message);
            }
        }
        if !(1..=Response::MAX_LIMIT).contains(&response.limit) {
            let message = format!("a limit is a whole number from 1 to {}", Response::MAX_LIMIT);
            self.add(&["response", "limit"], message);
        }
        if response.then == Then::RemindOnly && response.remind.is_empty() {
            self.add(&["response", "then"], "with `remind_only` there is something to do only with `remind`");
        }
        match &response.catch_all {
            None => {}
            Some(_) if response.then != Then::Reassign => {
                self.add(
                    &["response", "catch_all"],
                    "a lead gets to the catch-all only with `then: reassign`",
                );
            }
            Some(CatchAll::Rep(rep)) => self.known(&["response", "catch_all", "rep"], "rep", rep, reps),
            Some(CatchAll::Team(to)) if *to == team.name => {
                self.add(&["response", "catch_all", "team"], "the catch-all is another team, or a rep");
            }
            Some(CatchAll::Team(to)) => self.known(&["response", "catch_all", "team"], "team", to, teams),
        }
    }

    fn target(&mut self, rule: &str, target: &Target, teams: &BTreeSet<&str>, reps: &BTreeSet<&str>) {
        let at = |last: &'static str| ["rules", rule, "assign", last];
        match target {
            Target::CustomersOwner | Target::CompanysOwner => {}
            Target::Team(team) => self.known(&at("team"), "team", team, teams),
            Target::Queue(team) => self.known(&at("queue"), "team", team, teams),
            Target::Rep(rep) => self.known(&at("rep"), "rep", rep, reps),
            Target::Teams { teams: several, .. } => {
                let mut inside = BTreeSet::new();
                if several.is_empty() {
                    self.add(&at("teams"), "name at least one team");
                }
                for (n, team) in several.iter().enumerate() {
                    let place = ["rules", rule, "assign", "teams", &n.to_string()];
                    self.known(&place, "team", team, teams);
                    if !inside.insert(team) {
                        self.add(&place, format!("{team} is here twice"));
                    }
                }
            }
        }
    }

    /// No place is in two territories, unless one of the two is more specific.
    fn territories(&mut self, documents: &[Document]) {
        let (places, territories): (Vec<usize>, Vec<&Territory>) = documents
            .iter()
            .enumerate()
            .filter_map(|(at, document)| match document {
                Document::Territory(territory) => Some((at, territory)),
                _ => None,
            })
            .unzip();
        for (at, territory) in places.iter().zip(&territories) {
            self.at = *at;
            if territory.areas.is_empty() {
                self.add(&["areas"], "a territory needs at least one area");
            }
        }
        for clash in territory::clashes(&territories) {
            let (territory, area, list) = clash.at;
            let Some(at) = places.get(territory) else { continue };
            self.at = *at;
            let first = territories.get(clash.first).map_or("", |first| first.name.as_str());
            let area = area.to_string();
            let message = format!("{} is in territory {first} already", clash.what);
            match list {
                Some((list, n)) => self.add(&["areas", &area, list, &n.to_string()], message),
                None => self.add(&["areas", &area], message),
            }
        }
    }

    fn days(&mut self, calendar: &Calendar) {
        let mut dates = BTreeSet::new();
        for (i, day) in calendar.days.iter().enumerate() {
            let i = i.to_string();
            let last = day.to.unwrap_or(day.date);
            if last < day.date {
                self.add(&["days", &i, "to"], format!("{} is not after {}", last, day.date));
            } else if day.dates().last() != Some(last) {
                let message = format!("more than {} days in a row: is the year right?", Day::MAX);
                self.add(&["days", &i, "to"], message);
            }
            if let Some(twice) = day.dates().find(|date| !dates.insert(*date)) {
                self.add(&["days", &i, "date"], format!("{twice} is in the calendar twice"));
            }
        }
    }

    fn secrets(&mut self, path: &[&str], refs: &[SecretRef]) {
        for reference in refs {
            let SecretRef(text) = reference;
            if !text.starts_with("env:") && !text.starts_with("secret:") {
                self.add(path, "a secret is a reference, `env:NAME` or `secret:NAME`, never the value");
            } else if reference.is_reserved() {
                self.add(path, format!("`{text}` is the function's own and no secret of a document"));
            }
        }
    }
}

/// Whether a document may be called so. A namespace is named alike: both are part of keys.
pub fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&text.len()) && text.chars().all(good)
}

fn is_http(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Whether nobody on the way reads what is sent there: by TLS, or not further than this machine.
fn is_private(url: &str) -> bool {
    let plain = url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?', '#']).next());
    url.starts_with("https://") || plain.is_some_and(is_this_machine)
}

/// Whether a URL's host and port are of this machine, whoever reads them. One with a user's name is not: what stands
/// before the `@` looks like a host.
fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let numbers: Vec<&str> = host.split('.').collect();
    let is_loopback = numbers.first() == Some(&"127")
        && numbers.len() == 4
        && numbers.iter().all(|number| number.parse::<u8>().is_ok());
    !authority.contains('@') && (host.eq_ignore_ascii_case("localhost") || host == "::1" || is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::{Envelope, Origin, read};
    use crate::policy::{Reading, Settings};

    #[test]
    fn a_document_reads_its_own_variables_and_none_of_the_function() {
        let reference = |text: &str| SecretRef(text.to_owned());
        assert_eq!(reference("env:SMS_TOKEN").variable(), Some("SMS_TOKEN"));
        for text in ["env:AWS_SECRET_ACCESS_KEY", "env:SLUICE_TABLE", "env:LAMBDA_TASK_ROOT", "env:_HANDLER"]
        {
            assert_eq!((reference(text).variable(), reference(text).is_reserved()), (None, true), "{text}");
        }
        for text in ["secret:AWS_KEY", "env:MY_AWS_KEY", "plain"] {
            assert!(!reference(text).is_reserved(), "{text}");
        }
        assert_eq!(reference("secret:sms").variable(), None);
    }

    #[test]
    fn what_is_told_goes_by_tls_or_stays_on_this_machine() {
        for url in
            ["https://hooks.example/x", "http://127.0.0.1:8080/x", "http://localhost", "http://[::1]:80/x"]
        {
            assert!(is_private(url), "{url}");
        }
        for url in [
            "http://hooks.example/x",
            "http://10.0.0.1/",
            "http://127.0.0.1@hooks.example/",
            "http://localhost.hooks.example/",
            "http://127.0.0.1.hooks.example/",
            "http://",
            "ftp://localhost/",
        ] {
            assert!(!is_private(url), "{url}");
        }
    }

    #[test]
    fn conditions_may_name_exactly_what_a_lead_shows() {
        let fields = LEAD.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        let envelope = Envelope { fields, ..Envelope::default() };
        let origin = Origin { kind: "form".to_owned(), name: "contact".to_owned() };
        let facts = read(&origin, &envelope, &Reading::default(), &Settings::default());
        let shown: BTreeSet<&str> = facts.view.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(shown, BTreeSet::from(LEAD));
    }
}
