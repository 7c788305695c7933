//! `/k/{token}`: the answer to the message that asks whether somebody really wants what they asked for.

use crate::page::Page;
use crate::recipient::{Chosen, Recipient};
use crate::words::{self, Words};
use crate::{Engagement, Fault};
use sluice_domain::gate::{Choice, Gate, How, Wish};
use sluice_domain::link::{Link, Purpose};
use sluice_domain::policy::PolicySet;
use sluice_wire::http::{HttpRequest, HttpResponse};
use std::sync::Arc;

impl Engagement {
    pub(crate) async fn show_confirmation(
        &self,
        token: &str,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Fault> {
        let (policies, who, words) = self.who_confirms(token, request).await?;
        let gate = self.wishes_of(&who).await?.own;
        let topic = policies.topic(&who.subject.topic);
        let page = page(words, &policies, &who);
        let page = match stands(&gate, &who) {
            Stands::Confirmed => page.paragraph(&filled(words.confirmed, topic.title(Some(words.code)))),
            Stands::Refused => page.paragraph(&filled(words.refused_since, topic.title(Some(words.code)))),
            Stands::Open => {
                page.paragraph(&question(words, &policies, &who)).button("confirm", words.confirm_button)
            }
        };
        Ok(page.response(200))
    }

    /// The button, or whatever posts in its stead. Pressing it twice says no more than once.
    pub(crate) async fn confirm(&self, token: &str, request: &HttpRequest) -> Result<HttpResponse, Fault> {
        let (policies, who, words) = self.who_confirms(token, request).await?;
        if who.subject.is_trial {
            return Ok(page(words, &policies, &who).response(200));
        }
        let asked = who.subject.message.at();
        let choice = Choice::Confirm { topic: &who.subject.topic, asked };
        let wording = |_: &str| Some(question(words, &policies, &who));
        let chosen = Chosen { choice, how: How::Confirmation, wording: &wording };
        let gate = self.choose(&who, &chosen, &policies, request).await?.own;
        let topic = policies.topic(&who.subject.topic);
        let said = match stands(&gate, &who) {
            Stands::Confirmed => words.confirmed,
            // Nothing was taken down: the person was erased since.
            Stands::Refused | Stands::Open => words.refused_since,
        };
        Ok(page(words, &policies, &who).done(&filled(said, topic.title(Some(words.code)))).response(200))
    }

    async fn who_confirms(
        &self,
        token: &str,
        request: &HttpRequest,
    ) -> Result<(Arc<PolicySet>, Recipient, &'static Words), Fault> {
        let Link::Confirm(subject) = self.link(Purpose::Confirm, token).await? else {
            return Err(Fault::NoLink);
        };
        let policies = self.current().await?;
        let who = self.recipient(subject, &policies).await?;
        let words = Words::of(who.languages.into_iter().flatten().chain(words::accepted(request)));
        Ok((policies, who, words))
    }
}

/// What was said about what is to be confirmed.
enum Stands {
    /// It was confirmed.
    Confirmed,
    /// The person said no since the message went out, or is not known any more.
    Refused,
    /// Nothing keeps it from being confirmed.
    Open,
}

fn stands(gate: &Gate, who: &Recipient) -> Stands {
    let asked = who.subject.message.at();
    match gate.wish(&who.subject.topic) {
        Some((Wish::Confirmed, _)) => Stands::Confirmed,
        Some((Wish::No, at)) if at >= asked => Stands::Refused,
        _ if gate.erased.is_some_and(|at| at >= asked) => Stands::Refused,
        _ => Stands::Open,
    }
}

fn page(words: &'static Words, policies: &PolicySet, who: &Recipient) -> Page {
    let company = policies.settings.company.name.as_deref();
    Page::new(words, words.confirm).of(company).trial(who.subject.is_trial)
}

fn question(words: &Words, policies: &PolicySet, who: &Recipient) -> String {
    filled(words.confirm_question, policies.topic(&who.subject.topic).title(Some(words.code)))
}

fn filled(text: &str, topic: &str) -> String {
    text.replace("{topic}", topic)
}
