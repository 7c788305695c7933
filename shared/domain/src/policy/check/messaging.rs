//! What is wrong with a channel, a topic, or the settings of messages.

use super::{Checker, is_private};
use crate::identity::Email;
use crate::message::Channel;
use crate::policy::{
    AddressKind, Cap, ChannelPolicy, Consent, Document, Messaging, ProviderCall, SmtpServer, SmtpTls,
    Success, Template, Topic, Via,
};
use std::collections::BTreeMap;

impl Checker {
    pub(super) fn consent(&mut self, consent: &Consent) {
        if consent.channels.is_empty() {
            self.add(&["consent", "channels"], "a consent allows at least one channel: email, sms or chat");
        }
        for (i, channel) in consent.channels.iter().enumerate() {
            if consent.channels[..i].contains(channel) {
                self.add(&["consent", "channels", &i.to_string()], "this channel is in the list already");
            }
        }
    }

    pub(super) fn channel(&mut self, channel: &ChannelPolicy) {
        self.caps(&["caps"], &channel.caps);
        if channel.rate == Some(0) {
            self.add(&["rate"], "a rate is at least 1 a second; leave it out for as many as there are");
        }
        let is_email = channel.name == Channel::Email;
        match (channel.via, &channel.smtp, &channel.webhook) {
            (Via::Ses | Via::Smtp, ..) if !is_email => {
                self.add(&["via"], "SES and mail servers take e-mail only; write `via: webhook`");
            }
            (Via::Smtp, None, _) => self.add(&["via"], "`via: smtp` needs `smtp: { host: … }`"),
            (Via::Webhook, _, None) => {
                self.add(&["via"], "`via: webhook` needs `webhook: { url: …, body: … }`")
            }
            (Via::Ses, Some(_), _) | (Via::Webhook, Some(_), _) => {
                self.add(&["smtp"], "this is only read with `via: smtp`");
            }
            (Via::Ses | Via::Smtp, _, Some(_)) => {
                self.add(&["webhook"], "this is only read with `via: webhook`")
            }
            _ => {}
        }
        if is_email && channel.address_kind() != AddressKind::Email {
            self.add(&["address"], "e-mail is written to e-mail addresses");
        }
        for (field, value) in [("from", &channel.from), ("reply_to", &channel.reply_to)] {
            if let Some(value) = value.as_ref().filter(|_| is_email)
                && !is_mailbox(value)
            {
                self.add(&[field], "write an address, `news@shop.example` or `Shop <news@shop.example>`");
            }
        }
        if let Some(smtp) = &channel.smtp {
            self.smtp(smtp);
        }
        if let Some(call) = &channel.webhook {
            if !is_private(&call.url) {
                self.add(&["webhook", "url"], "a provider's URL starts with https://");
            }
            self.places(call);
            if let Some(success) = &call.success {
                self.success(success);
            }
            if call.bearer.is_some() && call.basic.is_some() {
                self.add(&["webhook", "basic"], "a call has one `Authorization`: `bearer` or `basic`");
            }
            let named = [("bearer", &call.bearer), ("basic", &call.basic)];
            for (field, reference) in named {
                self.secrets(&["webhook", field], reference.as_slice());
            }
            self.secrets(&["webhook", "secrets"], &call.secrets);
            if !call.says_the_message() {
                self.add(&["webhook", "body"], "no field says `{{ text }}`: every message would be empty");
            }
            if is_email && !call.says_unsubscribe() {
                let message = "no field says `{{ unsubscribe }}`: e-mail needs the header `List-Unsubscribe` with \
                               `<{{ unsubscribe }}>`, as the provider has it set";
                self.add(&["webhook", "body"], message);
            }
        }
    }

    /// Places of a provider's call that nothing would be put into.
    fn places(&mut self, call: &ProviderCall) {
        for (part, values) in [("body", &call.body), ("headers", &call.headers)] {
            for (field, value) in values {
                for place in ProviderCall::places(value) {
                    let known = ProviderCall::PLACES;
                    let message = match place {
                        Some(name) if known.contains(&name) => continue,
                        Some(name) => format!("a message has no `{{{{ {name} }}}}`; {}", meant(name)),
                        None => "`{{` is not closed by `}}`".to_owned(),
                    };
                    self.add(&["webhook", part, field], message);
                }
            }
        }
    }

    /// What an answer is judged by: somewhere, by something, and by nothing twice.
    fn success(&mut self, success: &Success) {
        if success.at.split('.').any(str::is_empty) {
            let message = "this is a path into the answer's JSON: write `status`, or `messages.0.status`";
            self.add(&["webhook", "success", "at"], message);
        }
        if success.is.is_empty() {
            let message =
                "with no value of success every message would fail; `\"\"` is that nothing stands there";
            self.add(&["webhook", "success", "is"], message);
        }
        for (i, value) in success.later.iter().enumerate() {
            if success.is.contains(value) {
                let message = "this value says already that the message was taken";
                self.add(&["webhook", "success", "later", &i.to_string()], message);
            }
        }
    }

    fn smtp(&mut self, smtp: &SmtpServer) {
        if smtp.tls == SmtpTls::None && !smtp.is_on_this_machine() {
            self.add(&["smtp", "tls"], "without TLS only a server on the same machine is written to");
        }
        if smtp.user.is_some() != smtp.password.is_some() {
            self.add(&["smtp", "user"], "`user` and `password` go together");
        }
        for (field, reference) in [("user", &smtp.user), ("password", &smtp.password)] {
            self.secrets(&["smtp", field], reference.as_slice());
        }
    }

    pub(super) fn topic(&mut self, topic: &Topic, documents: &[Document]) {
        if topic.service && topic.consent.is_some() {
            self.add(&["consent"], "messages of a service topic need no consent; leave one of the two out");
        }
        if let Some(name) = &topic.confirm {
            self.question(topic, name, documents);
        }
        for (field, texts) in [("title", &topic.title), ("description", &topic.description)] {
            for (language, text) in texts {
                if text.trim().is_empty() {
                    self.add(&[field, language], "this is shown to people and is empty");
                }
            }
        }
    }

    /// The template of the message that asks whether somebody really wants a topic.
    fn question(&mut self, topic: &Topic, name: &str, documents: &[Document]) {
        if topic.service {
            self.add(&["confirm"], "messages of a service topic need no consent: nobody is asked about it");
        }
        let templates: BTreeMap<&str, &Template> = documents
            .iter()
            .filter_map(|document| match document {
                Document::Template(template) => Some((template.name.as_str(), template)),
                _ => None,
            })
            .collect();
        self.known(&["confirm"], "template", name, &templates.keys().copied().collect());
        let pieces = documents.iter().filter_map(|document| match document {
            Document::Partial(piece) | Document::Layout(piece) => Some(piece),
            _ => None,
        });
        let of_pieces = pieces.flat_map(|piece| [&piece.html, &piece.text]);
        let of_template =
            templates.get(name).into_iter().flat_map(|template| [&template.html, &template.text]);
        let leads_there =
            |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains("link.confirm"));
        if templates.contains_key(name) && !of_template.chain(of_pieces).any(leads_there) {
            let message = format!("nothing in the template `{name}` leads to `{{{{ link.confirm }}}}`");
            self.add(&["confirm"], message);
        }
    }

    pub(super) fn messaging(&mut self, messaging: &Messaging) {
        self.caps(&["messaging", "caps"], &messaging.caps);
        self.cap(&["messaging", "soft_bounces"], messaging.soft_bounces);
    }

    fn caps(&mut self, path: &[&str], caps: &[Cap]) {
        for (i, cap) in caps.iter().enumerate() {
            self.cap(&[path, &[&i.to_string()]].concat(), *cap);
        }
    }

    fn cap(&mut self, path: &[&str], cap: Cap) {
        if !(1..=Cap::MOST).contains(&cap.at_most) {
            self.add(&[path, &["at_most"]].concat(), format!("a cap is 1 to {}", Cap::MOST));
        }
        if cap.within.millis() > Cap::LONGEST {
            self.add(&[path, &["within"]].concat(), "a cap looks back 90 days at most");
        }
    }
}

/// The place that is meant by a name that is none, or all there are.
fn meant(name: &str) -> String {
    let edits = |place: &&str| strsim::damerau_levenshtein(name, place);
    match ProviderCall::PLACES.into_iter().min_by_key(edits).filter(|place| edits(place) <= 2) {
        Some(place) => format!("did you mean `{{{{ {place} }}}}`?"),
        None => format!("known: {}", ProviderCall::PLACES.join(", ")),
    }
}

/// `a@b.example` or `Name <a@b.example>` on one line.
fn is_mailbox(text: &str) -> bool {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    !text.contains(char::is_control) && Email::of_any_domain(address).is_ok()
}
