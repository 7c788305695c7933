//! Messages to customers: templates rendered for a person, in their language.
//!
//! A template prints fields and does little else: it has conditions, loops over what it is given, and partials. What
//! it prints into HTML is escaped; it can set nothing, call nothing and read no field that [`fields`] does not list, so
//! that a published template can be judged by reading it. minijinja's fuel bounds the time and the memory.
//!
//! [`Library::render`] is what sends: pure, the same for the same documents and [`Context`]. [`preview`] shows the same
//! with what a person should know about it.

mod check;
mod context;
mod failure;
mod fields;
mod html;
mod library;
mod link;
mod preview;
mod scan;
mod shape;
mod sms;
#[cfg(test)]
mod tests;
mod text;
mod trial;

pub(crate) use check::check;
pub use context::{Context, Given, Links, Origin, context, context_of_address, language_of};
pub use failure::{Failure, Place, Reason};
pub use html::escape;
pub use library::Library;
pub(crate) use link::add_link;
pub use link::in_ascii;
pub use preview::{Preview, Used, preview};
pub use sms::{Sms, sms};

use crate::identity::{Email, LanguageTag};
use crate::message::Channel;
use crate::policy::{Defaults, PolicySet};
use library::{Compiled, Part, key};
use minijinja::value::{Serde, Value, merge_maps};
use std::collections::BTreeMap;
use std::fmt;

/// A message, ready to be put into its channel. Shows nothing of it in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What it is for.
    pub channel: Channel,
    /// The language of the wording, where its documents say it.
    pub language: Option<LanguageTag>,
    /// One line without control characters, at most 250 characters; empty in channels without one.
    pub subject: String,
    /// The sender's name, if the template has one; one line like the subject.
    pub from_name: Option<String>,
    /// Where answers go, if the template says so and it came out as an address.
    pub reply_to: Option<Email>,
    /// A mail's HTML part, if it has one.
    pub html: Option<String>,
    /// The text part.
    pub text: String,
    /// The web addresses that it leads to, each once, in the order in which they appear: first in the HTML, then in the
    /// text. The recipient's own links are not among them.
    pub links: Vec<String>,
    /// The recipient's own links: to stop, to choose, to confirm.
    own: Vec<String>,
    /// Addresses that would have run something where they were opened, and were taken out.
    disarmed: usize,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("channel", &self.channel)
            .field("language", &self.language)
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

impl Library {
    /// Renders a template for a recipient: in `language`, or where that is none, in the recipient's own; in the
    /// template's own wording where there is none in that language.
    ///
    /// # Errors
    /// Why there is no message. A field that is missing is an outcome of this recipient, anything else a mistake in
    /// the documents that publication did not find.
    pub fn render(
        &self,
        policies: &PolicySet,
        template: &str,
        language: Option<LanguageTag>,
        context: &Context,
    ) -> Result<Rendered, Failure> {
        let wanted = language.or(context.language);
        rendered(&*self.get(policies.version, &policies.templates, template, wanted)?, context)
    }
}

/// All parts of a message.
fn rendered(template: &Compiled, context: &Context) -> Result<Rendered, Failure> {
    rendered_with(template, context, None)
}

/// The same with other values before those of the context.
fn rendered_with(template: &Compiled, context: &Context, given: Option<&Value>) -> Result<Rendered, Failure> {
    let defaults: Vec<&Defaults> = template.defaults.iter().collect();
    let mut values = context.filled(&defaults);
    let language = template.language.map(|tag| tag.to_string()).unwrap_or_default();
    values.insert("language".to_owned(), language.into());
    let values = Value::from(Serde(values));
    let values = given.map_or_else(|| values.clone(), |given| merge_maps([values.clone(), given.clone()]));
    let mut writer = Writer { template, values };

    let subject = writer.line(Part::Subject)?;
    writer.set("subject", subject.as_ref());
    let preheader = writer.line(Part::Preheader)?;
    writer.set("preheader", preheader.as_ref());
    let from_name = writer.line(Part::FromName)?.filter(|name| !name.is_empty());
    let reply_to = writer.line(Part::ReplyTo)?.and_then(|address| Email::of_any_domain(&address).ok());

    let content = writer.part(Part::Html, "template", &template.name)?;
    let own_text = writer.part(Part::Text, "template", &template.name)?;
    let html = content.as_ref().map(|content| writer.around(Part::Html, content)).transpose()?;
    let text = match (&own_text, &content, &html) {
        (Some(text), ..) => writer.around(Part::Text, text)?,
        (None, Some(content), _) if writer.layout(Part::Text).is_some() => {
            writer.around(Part::Text, &text::from_html(content))?
        }
        (None, _, html) => text::from_html(html.as_deref().unwrap_or_default()),
    };
    let text = text::tidy(&text);
    let (html, disarmed) = html.map(|html| link::disarm(&text::tidy_html(&html))).unzip();
    let own = own_links(context);
    Ok(Rendered {
        channel: template.channel,
        language: template.language,
        subject: subject.unwrap_or_default(),
        from_name,
        reply_to,
        links: link::collect(html.as_deref(), &text, &own),
        html,
        text,
        own,
        disarmed: disarmed.unwrap_or(0),
    })
}

fn own_links(context: &Context) -> Vec<String> {
    let links = context.values.get("link").and_then(serde_json::Value::as_object);
    links
        .into_iter()
        .flat_map(|links| links.values())
        .filter_map(|url| link::web_address(url.as_str()?))
        .collect()
}

/// What one rendering goes along with.
struct Writer<'a> {
    template: &'a Compiled,
    values: Value,
}

impl Writer<'_> {
    fn set(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.values = with(&self.values, name, Value::from(value.as_str()));
        }
    }

    /// A part of one line, empty or not; none if the template has none.
    fn line(&self, part: Part) -> Result<Option<String>, Failure> {
        Ok(self.part(part, "template", &self.template.name)?.map(|line| text::one_line(&line)))
    }

    fn part(&self, part: Part, kind: &str, name: &str) -> Result<Option<String>, Failure> {
        let key = key(part, kind, name);
        self.template.has(&key).then(|| self.template.render(&key, self.values.clone())).transpose()
    }

    /// The layout's part, if it has one.
    fn layout(&self, part: Part) -> Option<String> {
        let name = self.template.layout.as_deref()?;
        Some(key(part, "layout", name)).filter(|key| self.template.has(key))
    }

    /// A part put into the layout.
    fn around(&self, part: Part, content: &str) -> Result<String, Failure> {
        let Some(key) = self.layout(part) else { return Ok(content.to_owned()) };
        let content = match part {
            // Escaped where it was printed.
            Part::Html => Value::from_safe_string(content.to_owned()),
            _ => Value::from(content),
        };
        self.template.render(&key, with(&self.values, fields::CONTENT, content))
    }
}

fn with(values: &Value, name: &str, value: Value) -> Value {
    // The last one counts.
    merge_maps([values.clone(), Value::from_pairs([(name, value)])])
}

/// Puts other addresses in the places of a message's links, in HTML and text: `address` is asked once for each of
/// [`Rendered::links`], with its place among them. Mail and phone addresses, anchors and the recipient's own links stay
/// as they are.
pub fn rewrite_links(message: &mut Rendered, mut address: impl FnMut(usize, &str) -> String) {
    let new: BTreeMap<String, String> =
        message.links.iter().enumerate().map(|(at, url)| (url.clone(), address(at, url))).collect();
    let known: Vec<String> = message.links.iter().chain(&message.own).cloned().collect();
    message.html = message.html.as_deref().map(|html| link::replace_in_html(html, &new));
    message.text = link::replace_in_text(&message.text, &new, &known);
}

/// HTML with a picture at its end whose loading tells that the message was opened.
pub fn with_open_pixel(html: &str, url: &str) -> String {
    link::with_pixel(html, url)
}
