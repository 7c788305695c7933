//! `/u/{token}`: what a recipient wants to get. A page for people, and one POST for their mail programs (RFC 8058).

use crate::page::{Page, Tick};
use crate::recipient::{Chosen, Recipient, Wishes};
use crate::words::{self, Words};
use crate::{Engagement, Fault};
use sluice_domain::gate::{Choice, How};
use sluice_domain::link::{Link, Purpose, Subject};
use sluice_domain::policy::{PolicySet, Topic};
use sluice_wire::body::{self, Submission};
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The field that makes a POST the press of a mail program's button, and its value. (RFC 8058, section 3.1.)
const ONE_CLICK: (&str, &str) = ("List-Unsubscribe", "One-Click");
/// Field: the name of a topic that the page showed.
const SHOWN: &str = "shown";
/// Field: the name of a topic that is ticked.
const TICKED: &str = "topic";
/// Field of the button that ends everything.
const NOTHING: &str = "nothing";

impl Engagement {
    pub(crate) async fn show_preferences(
        &self,
        token: &str,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Fault> {
        let (policies, who, words) = self.who_wants(token, request).await?;
        let wishes = self.wishes_of(&who).await?;
        Ok(self.preferences(words, &policies, &who, &wishes).response(200))
    }

    /// A press of the button, a saved page, or "no more at all". Answered once it is durable, never with a redirect.
    pub(crate) async fn change_preferences(
        &self,
        token: &str,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Fault> {
        let (policies, who, words) = self.who_wants(token, request).await?;
        if who.subject.is_trial {
            let wishes = self.wishes_of(&who).await?;
            return Ok(self.preferences(words, &policies, &who, &wishes).response(200));
        }
        let posted = body::parse_without_files(request).await.map_err(Fault::Unreadable)?;
        let topic = policies.topic(&who.subject.topic);
        let offered = offered(&policies, &who.subject);
        let title = |name: &str| {
            let topic = offered.iter().find(|topic| topic.name == name)?;
            Some(format!("{} {}", words.choose, topic.title(Some(words.code))))
        };
        let (choice, how, said) = if is_one_click(&posted) {
            let said = if topic.service { words.stopped_all } else { words.stopped };
            (Choice::Stop(&topic), How::OneClick, said)
        } else if posted.value(NOTHING).is_some() {
            (Choice::Nothing, How::Page, words.stopped_all)
        } else if posted.value(SHOWN).is_some() {
            let values = |field: &'static str| {
                let of_field = move |(name, value): &'_ &(String, String)| name == field && !value.is_empty();
                posted.fields.iter().filter(of_field).map(|(_, value)| value.as_str())
            };
            let shown: BTreeSet<&str> = values(SHOWN).collect();
            let shown = offered.iter().map(AsRef::as_ref).filter(|topic| shown.contains(topic.name.as_str()));
            let ticked = values(TICKED).map(str::to_owned).collect();
            (Choice::These { shown: shown.collect(), ticked }, How::Page, words.saved)
        } else {
            let detail = "This is neither the page's form nor one click (RFC 8058). Nothing was changed.";
            return Err(Fault::Unreadable(Problem::new(400, "body-unfit", detail)));
        };
        let chosen = Chosen { choice, how, wording: &title };
        let wishes = self.choose(&who, &chosen, &policies, request).await?;
        let said = said.replace("{topic}", topic.title(Some(words.code)));
        Ok(self.preferences(words, &policies, &who, &wishes).done(&said).response(200))
    }

    async fn who_wants(
        &self,
        token: &str,
        request: &HttpRequest,
    ) -> Result<(std::sync::Arc<PolicySet>, Recipient, &'static Words), Fault> {
        let Link::Preferences(subject) = self.link(Purpose::Preferences, token).await? else {
            return Err(Fault::NoLink);
        };
        let policies = self.current().await?;
        let who = self.recipient(subject, &policies).await?;
        let words = Words::of(who.languages.into_iter().flatten().chain(words::accepted(request)));
        Ok((policies, who, words))
    }

    /// The page as things are now.
    fn preferences(
        &self,
        words: &'static Words,
        policies: &PolicySet,
        who: &Recipient,
        wishes: &Wishes,
    ) -> Page {
        let gates = wishes.gates();
        let rule = policies.settings.messaging.consent;
        let language = Some(words.code);
        let offered = offered(policies, &who.subject);
        let ticks: Vec<Tick<'_>> = offered
            .iter()
            .map(|topic| Tick {
                name: &topic.name,
                title: topic.title(language),
                description: topic.description(language),
                is_ticked: gates.gets(topic, rule, self.now()),
            })
            .collect();
        let company = policies.settings.company.name.as_deref();
        let mut page = Page::new(words, words.preferences).of(company).trial(who.subject.is_trial);
        if gates.is_suppressed() {
            page = page.paragraph(words.suppressed);
        }
        if ticks.is_empty() {
            return page.paragraph(words.no_topics);
        }
        page.topics(&ticks, SHOWN, TICKED, NOTHING).paragraph(words.service_note)
    }
}

/// What the page offers: every topic that people may refuse, and the one the message was about, whether or not it still
/// has a document.
fn offered<'a>(policies: &'a PolicySet, subject: &Subject) -> Vec<Cow<'a, Topic>> {
    let mut offered: Vec<Cow<'a, Topic>> =
        policies.topics.values().filter(|topic| !topic.service).map(Cow::Borrowed).collect();
    let own = policies.topic(&subject.topic);
    if !own.service && !offered.iter().any(|topic| topic.name == own.name) {
        offered.push(own);
    }
    offered
}

fn is_one_click(posted: &Submission) -> bool {
    let (name, value) = ONE_CLICK;
    posted.fields.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && v.trim().eq_ignore_ascii_case(value))
}
