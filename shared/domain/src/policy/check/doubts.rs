//! What may be published and is probably not meant: events that nobody will ever tell of, what nobody is told of, leads that no rule
//! will ever meet, and junk that nothing is compared with.

use super::journey::{Ways, place};
use super::{Checker, Finding};
use crate::condition::Condition;
use crate::customer::IdentityKind;
use crate::event::OWN_EVENTS;
use crate::identity::{Email, Phone};
use crate::lead::namespace_of;
use crate::live::ORDER_EVENTS;
use crate::message::Channel;
use crate::policy::campaign::{Campaign, Metric};
use crate::policy::journey::{Act, Journey, Send};
use crate::policy::messaging::Tracking;
use crate::policy::{ChannelPolicy, Document, FieldMap, Junk, Messaging, Routing, Scoring, Topic};
use std::collections::{BTreeMap, BTreeSet};

/// What calls of tracking libraries are named by that have no name of their own, see [`crate::event::Event::key`].
const CALLS: [&str; 5] = ["aliased", "group_joined", "identified", "page_viewed", "screen_viewed"];

/// What other systems call a message.
const MESSAGES: [&str; 5] = ["email", "mail", "newsletter", "sms", "campaign"];

/// The shortest name that is taken for another one, mistyped.
const SHORTEST: usize = 8;

/// What is probably not meant in documents that [`super::check`] finds nothing wrong with. `gone` are topics that had a document once and
/// have none, see [`crate::policy::PolicySet::gone_topics`].
pub fn doubts(documents: &[Document], gone: &BTreeSet<String>) -> Vec<Finding> {
    let mut doubter = Doubter::of(documents, gone);
    for (at, document) in documents.iter().enumerate() {
        doubter.checker.at = at;
        doubter.document(document);
    }
    doubter.escalations(documents);
    doubter.checker.findings
}

struct Doubter<'d> {
    checker: Checker,
    messaging: Messaging,
    topics: BTreeMap<&'d str, &'d Topic>,
    gone: &'d BTreeSet<String>,
    templates: BTreeMap<&'d str, Channel>,
    /// Who gives openids: forms and sources, and whom their `fields` name.
    apps: BTreeSet<&'d str>,
    /// Forms and sources.
    origins: BTreeSet<&'d str>,
    territories: BTreeSet<&'d str>,
}

impl<'d> Doubter<'d> {
    fn of(documents: &'d [Document], gone: &'d BTreeSet<String>) -> Self {
        let checker = Checker { findings: Vec::new(), at: 0 };
        let mut doubter = Self {
            checker,
            messaging: Messaging::default(),
            topics: BTreeMap::new(),
            gone,
            templates: BTreeMap::new(),
            apps: BTreeSet::new(),
            origins: BTreeSet::new(),
            territories: BTreeSet::new(),
        };
        for document in documents {
            match document {
                Document::Settings(settings) => doubter.messaging = settings.messaging.clone(),
                Document::Topic(topic) => drop(doubter.topics.insert(&topic.name, topic)),
                Document::Template(template) => {
                    doubter.templates.insert(&template.name, template.channel);
                }
                Document::Form(form) => doubter.origin(&form.name, &form.fields),
                Document::Source(source) => doubter.origin(&source.name, &source.fields),
                Document::Territory(territory) => drop(doubter.territories.insert(&territory.name)),
                _ => {}
            }
        }
        doubter
    }

    /// What a form or a source is called, and what its openids are of.
    fn origin(&mut self, name: &'d str, fields: &'d FieldMap) {
        self.origins.insert(name);
        let named = fields.keys().filter_map(|field| namespace_of(field, IdentityKind::WechatOpen));
        self.apps.extend(named.chain([name]));
    }

    /// A channel that writes to ids of an app is one whose ids come in.
    fn channel(&mut self, channel: &ChannelPolicy) {
        let app = channel.address.as_ref().and_then(|address| address.namespace.as_deref());
        if let Some(app) = app.filter(|app| !self.apps.contains(app)) {
            let message = format!(
                "no form or source is called `{app}` or names it in its `fields`: nobody has such an id"
            );
            self.checker.add(&["address"], message);
        }
    }

    /// Where leads are routed, somebody is told of those that nobody can take.
    fn escalations(&mut self, documents: &[Document]) {
        let position = |kind: &str| documents.iter().position(|document| document.kind() == kind);
        let Some(routing) = position("routing") else { return };
        let names_somebody = |document: &Document| match document {
            Document::Settings(settings) => !settings.escalate_to.is_empty(),
            _ => false,
        };
        if documents.iter().any(names_somebody) {
            return;
        }
        let settings = position("settings");
        self.checker.at = settings.unwrap_or(routing);
        let whose = if settings.is_some() { "" } else { " of a `settings` document" };
        let message =
            format!("nobody is told of a lead that nobody can take; name reps in `escalate_to`{whose}");
        self.checker.add(if settings.is_some() { &["escalate_to"] } else { &["name"] }, message);
    }

    fn document(&mut self, document: &Document) {
        match document {
            Document::Rep(rep) if rep.email.is_none() && rep.webhook.is_none() => {
                let message = format!(
                    "{} is told of nothing, no lead and no escalation; give an `email` or a `webhook`",
                    rep.name
                );
                self.checker.add(&["name"], message);
            }
            Document::Routing(routing) => self.routing(routing),
            Document::Segment(segment) => self.condition(&["when"], Some(&segment.when)),
            Document::Lifecycle(lifecycle) => {
                for (i, step) in lifecycle.moves.iter().enumerate() {
                    let i = i.to_string();
                    self.event(&["moves", &i, "on"], step.on.as_deref());
                    self.condition(&["moves", &i, "when"], step.when.as_deref());
                }
            }
            Document::Scoring(scoring) => self.scoring(scoring),
            Document::Settings(settings) => {
                for (i, name) in settings.churn.iter().flat_map(|churn| &churn.events).enumerate() {
                    self.event(&["churn", "events", &i.to_string()], Some(name));
                }
                self.junk(&settings.junk);
            }
            Document::Webhook(webhook) => {
                for (i, name) in webhook.events.iter().enumerate() {
                    self.event(&["events", &i.to_string()], Some(name));
                }
            }
            Document::Form(form) => {
                if let Some(consent) = &form.consent {
                    self.topic(&["consent", "topic"], &consent.topic);
                }
            }
            Document::Channel(channel) => self.channel(channel),
            Document::Journey(journey) => self.journey(journey),
            Document::Campaign(campaign) => self.campaign(campaign),
            _ => {}
        }
    }

    /// Rules of one name, and rules that ask for a form, a source or a territory of a name that none has, where there are some.
    fn routing(&mut self, routing: &Routing) {
        let mut names = BTreeMap::new();
        for (i, rule) in routing.rules.iter().enumerate() {
            let first = *names.entry(rule.name.as_str()).or_insert(i);
            if first != i {
                let message = format!(
                    "rule {} is called `{}` too: explanations cannot tell them apart",
                    first + 1,
                    rule.name
                );
                self.checker.add(&["rules", &i.to_string(), "name"], message);
            }
            let condition = rule.when.as_deref().and_then(|source| Condition::compile(source).ok());
            for (path, word) in condition.iter().flat_map(|condition| &condition.looks().words) {
                let (kind, known) = match *path {
                    "lead.source" => ("form or source", &self.origins),
                    "lead.territory" => ("territory", &self.territories),
                    _ => continue,
                };
                // A lead from nowhere that has a name has none.
                if word.is_empty() || known.is_empty() || known.contains(word.as_str()) {
                    continue;
                }
                let known: Vec<&str> = known.iter().copied().collect();
                let message = format!(
                    "no {kind} is called `{word}`, so no lead that comes in is from there; there are {}",
                    known.join(", ")
                );
                self.checker.add(&["rules", &i.to_string(), "when"], message);
            }
        }
    }

    /// What leads say is compared in its normal form: an entry in another one is met by nobody.
    fn junk(&mut self, junk: &Junk) {
        for (i, entry) in junk.emails.iter().enumerate() {
            let message = match Email::parse(entry) {
                Ok(email) if email.match_key() == *entry => continue,
                Ok(email) => format!("addresses are compared in another form: write `{}`", email.match_key()),
                Err(error) => format!("no address is compared with this: {error}"),
            };
            self.checker.add(&["junk", "emails", &i.to_string()], message);
        }
        let is_e164 = |text: &str| {
            let digits = text.strip_prefix('+').unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        for (i, entry) in junk.phones.iter().enumerate() {
            let message = match Phone::parse(entry, None) {
                Ok(phone) if phone.e164() == entry => continue,
                Ok(phone) => {
                    format!("numbers are compared in another form: write `{}`", phone.e164())
                }
                // A made-up number that is none may be listed to be sure.
                Err(_) if is_e164(entry) => continue,
                Err(error) => format!("no number is compared with this: {error}"),
            };
            self.checker.add(&["junk", "phones", &i.to_string()], message);
        }
    }

    fn scoring(&mut self, scoring: &Scoring) {
        for (i, rule) in scoring.interest.rules.iter().enumerate() {
            self.event(&["interest", "rules", &i.to_string(), "on"], Some(&rule.on));
        }
    }

    fn journey(&mut self, journey: &Journey) {
        for (i, trigger) in journey.trigger.iter().enumerate() {
            let i = i.to_string();
            self.event(&["trigger", &i, "event"], trigger.event.as_deref());
        }
        self.condition(&["entry", "when"], journey.entry.when.as_deref());
        for (i, exit) in journey.exit.iter().enumerate() {
            let i = i.to_string();
            self.event(&["exit", &i, "event"], exit.event.as_deref());
            self.condition(&["exit", &i, "when"], exit.when.as_deref());
        }
        if let Some(goal) = &journey.goal {
            self.event(&["goal", "event"], goal.event.as_deref());
            self.condition(&["goal", "when"], goal.when.as_deref());
        }
        let labelled = journey.steps.iter().enumerate();
        let labels = labelled.filter_map(|(i, step)| Some((step.label.as_deref()?, i))).collect();
        let ways = Ways { steps: &journey.steps, labels: &labels };
        for (i, step) in journey.steps.iter().enumerate() {
            let number = i.to_string();
            match &step.act {
                Act::WaitFor(wait) => {
                    let at = place(&number, step, &["event"]);
                    if !self.event(&at, Some(&wait.event)) {
                        self.unseen(&at, &wait.event, sent_before(&ways, i));
                    }
                    self.condition(&place(&number, step, &["when"]), wait.when.as_deref());
                }
                Act::Branch(cases) => {
                    for (n, case) in cases.iter().enumerate() {
                        let n = n.to_string();
                        self.condition(&place(&number, step, &[&n, "when"]), case.when.as_deref());
                    }
                }
                Act::Send(send) => self.topic(&place(&number, step, &["topic"]), &send.topic),
                _ => {}
            }
        }
    }

    /// Doubts a topic that has no document where others have, or where it had one itself.
    fn topic(&mut self, at: &[&str], name: &str) {
        if name == Topic::SERVICE || self.topics.contains_key(name) {
            return;
        }
        let known: Vec<&str> = self.topics.keys().copied().collect();
        let message = match (known.is_empty(), self.gone.contains(name)) {
            // Where no topic has a document any word is one.
            (true, false) => return,
            (true, true) => {
                format!(
                    "no document describes the topic `{name}` any more, so messages about it are left out"
                )
            }
            (false, _) => format!(
                "no document describes the topic `{name}`, so messages about it are left out; described: {}",
                known.join(", ")
            ),
        };
        self.checker.add(at, message);
    }

    /// Waiting for what nobody counts of the messages that were sent just before.
    fn unseen(&mut self, at: &[&str], event: &str, sent: Vec<&Send>) {
        let is_counted = |send: &&Send| counts(event, self.tracking(send)).unwrap_or(true);
        if sent.is_empty() || sent.iter().any(is_counted) {
            return;
        }
        let templates: Vec<String> = sent.iter().map(|send| format!("`{}`", send.template)).collect();
        let message = format!(
            "nobody counts openings and clicks of {}, sent just before, so this waits for those of another message",
            templates.join(" and ")
        );
        self.checker.add(at, message);
    }

    fn campaign(&mut self, campaign: &Campaign) {
        self.condition(&["audience", "query"], campaign.audience.query.as_deref());
        self.topic(&["send", "topic"], &campaign.send.topic);
        let tracking = self.tracking(&campaign.send);
        let is_counted = campaign.winner.as_ref().is_none_or(|winner| match winner.by {
            Metric::Opened => tracking.opens,
            Metric::Clicked => tracking.clicks,
        });
        if !is_counted {
            let message = "nobody counts this of these messages, so no variant will be better than another";
            self.checker.add(&["winner", "by"], message);
        }
    }

    /// What is counted of what is sent here.
    fn tracking(&self, send: &Send) -> Tracking {
        let of_template = self.templates.get(send.template.as_str()).copied();
        let channel = send.channel.or(of_template).unwrap_or(Channel::Email);
        match self.topics.get(send.topic.as_str()) {
            Some(topic) => self.messaging.tracking(topic, channel, false),
            None => self.messaging.tracking(&Topic::plain(&send.topic), channel, false),
        }
    }

    fn condition(&mut self, at: &[&str], source: Option<&str>) {
        let Some(condition) = source.and_then(|source| Condition::compile(source).ok()) else { return };
        for ask in condition.looks().asks.keys() {
            self.event(at, ask.event());
        }
    }

    /// Doubts an event's name; whether it did.
    fn event(&mut self, at: &[&str], name: Option<&str>) -> bool {
        let Some(name) = name else { return false };
        let plain = Tracking { opens: self.messaging.track_opens, clicks: self.messaging.track_clicks };
        let message = match meant(name) {
            Some(ours) => format!(
                "`{name}` is told by nobody here; unless a source of yours sends it, you mean `{ours}`"
            ),
            None if counts(name, plain) == Some(false) => {
                format!("the settings say that nobody counts this, so there is no `{name}`")
            }
            None => return false,
        };
        self.checker.add(at, message);
        true
    }
}

/// Whether an event is among those counted; `None` if it is not about openings and clicks.
fn counts(event: &str, tracking: Tracking) -> Option<bool> {
    match event {
        "message_opened" => Some(tracking.opens),
        "message_clicked" => Some(tracking.clicks),
        _ => None,
    }
}

/// The messages of which one is the last that was sent when somebody comes to the step `at`.
fn sent_before<'j>(ways: &Ways<'j>, at: usize) -> Vec<&'j Send> {
    let send = |i: usize| match ways.steps.get(i).map(|step| &step.act) {
        Some(Act::Send(send)) => Some(send),
        _ => None,
    };
    let leads_here = |from: usize| {
        ways.from(from).into_iter().any(|next| ways.reached(next, &|i| send(i).is_none()).contains(&at))
    };
    (0..ways.steps.len()).filter(|i| leads_here(*i)).filter_map(send).collect()
}

/// The event that is meant by a name that is none: another system's word for a message, or one mistyped.
fn meant(name: &str) -> Option<&'static str> {
    let known = || OWN_EVENTS.into_iter().chain(ORDER_EVENTS).chain(CALLS);
    if known().any(|event| event == name) {
        return None;
    }
    let deed = MESSAGES.iter().find_map(|word| name.strip_prefix(word)?.strip_prefix('_'));
    let ours = deed.map(|deed| format!("message_{deed}"));
    if let Some(event) = known().find(|event| Some(*event) == ours.as_deref()) {
        return Some(event);
    }
    // The end of a word is mistyped more often than its beginning, and `subscribed` is not `unsubscribed`.
    let edits = |event: &str| strsim::damerau_levenshtein(name, event);
    let near = known().filter(|event| name.len() >= SHORTEST && name.get(..1) == event.get(..1));
    near.filter(|event| edits(event) <= 2).min_by_key(|event| edits(event))
}
