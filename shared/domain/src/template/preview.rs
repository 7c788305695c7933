//! A message as it would be sent, with what a person should know about it.

use super::context::{Context, Origin};
use super::failure::Failure;
use super::library::{Compiled, Library, Part, key};
use super::{Sms, fields, link, rendered, sms};
use crate::identity::LanguageTag;
use crate::message::Channel;
use crate::policy::{Defaults, PolicySet};
use serde::Serialize;
use serde_json::Value;

/// Larger HTML is cut off by Gmail, in bytes.
const CLIPPED: usize = 102_000;

/// A message as it would be sent.
#[derive(Serialize)]
pub struct Preview {
    /// The template.
    pub template: String,
    /// Its channel.
    pub channel: Channel,
    /// The language of the wording, where its documents say it.
    pub language: Option<LanguageTag>,
    /// The sender's name, if the template has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// Where answers go, if the template says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: Option<String>,
    /// The text part.
    pub text: String,
    /// Where its links lead, the recipient's own ones left out.
    pub links: Vec<String>,
    /// The fields it may read.
    pub used: Vec<Used>,
    /// What does not keep it from being sent and should be looked at.
    pub problems: Vec<String>,
    /// How phones count it, for text messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms: Option<Sms>,
}

/// A field that a template may read.
#[derive(Serialize)]
pub struct Used {
    /// Its path.
    pub field: String,
    /// What it is for this recipient.
    pub value: Option<Value>,
    /// Where that comes from.
    pub from: Origin,
}

/// Renders a template as [`Library::render`] does. What whoever sends it would give and `context` lacks is made up.
///
/// # Errors
/// As [`Library::render`].
pub fn preview(
    policies: &PolicySet,
    template: &str,
    language: Option<LanguageTag>,
    mut context: Context,
) -> Result<Preview, Failure> {
    let wanted = language.or(context.language);
    let compiled = Library::default().get(policies.version, &policies.templates, template, wanted)?;
    let defaults: Vec<&Defaults> = compiled.defaults.iter().collect();
    let reads = compiled.reads();
    let mut problems = Vec::new();
    let samples = Context { values: fields::sample(), ..Context::default() };
    for path in reads.iter().filter(|path| fields::is_given(path) && path.contains('.')) {
        if context.origin(path, &defaults).0 == Origin::Missing {
            let made_up = samples.get(path).cloned();
            if made_up.is_none() {
                problems.push(format!("`{path}` was not given, so [{path}] stands in its place"));
            }
            context.make_up(path, made_up.unwrap_or_else(|| format!("[{path}]").into()));
        }
    }
    let message = rendered(&compiled, &context)?;
    let has_html = message.html.as_deref();
    problems.extend(of_language(&compiled, policies, wanted));
    if message.channel == Channel::Email {
        if message.subject.is_empty() {
            problems.push("the subject is empty".to_owned());
        }
        if !reads.iter().any(|path| path.starts_with("link.")) {
            problems.push(
                "it has no link to stop such mails: put `link.unsubscribe` or `link.preferences` into it or its layout"
                    .to_owned(),
            );
        }
    }
    if compiled.has(&key(Part::Preheader, "template", template)) && !reads.contains("preheader") {
        problems.push("nothing shows the preheader: put `{{ preheader }}` into the layout".to_owned());
    }
    if has_html.is_some_and(|html| html.len() > CLIPPED) {
        problems.push("Gmail cuts off HTML of more than 102 KB".to_owned());
    }
    problems.extend(
        has_html.into_iter().flat_map(link::relative).map(|address| {
            format!("`{address}` leads nowhere from a mail: write a whole address, https://…")
        }),
    );
    match message.disarmed {
        0 => {}
        1 => problems
            .push("1 address that would run something instead of leading somewhere was taken out".to_owned()),
        n => problems.push(format!(
            "{n} addresses that would run something instead of leading somewhere were taken out"
        )),
    }
    let answers_go = compiled.has(&key(Part::ReplyTo, "template", template));
    if answers_go && message.reply_to.is_none() {
        problems.push("`reply_to` comes out as no e-mail address, so answers go to the sender".to_owned());
    }
    let is_field = |path: &&String| !fields::OWN.contains(&path.as_str()) && *path != fields::CONTENT;
    let used = reads.iter().filter(is_field).map(|field| {
        let (from, value) = context.origin(field, &defaults);
        Used { field: field.clone(), value, from }
    });
    let used = used.collect();
    Ok(Preview {
        template: template.to_owned(),
        channel: message.channel,
        language: message.language,
        from_name: message.from_name,
        reply_to: message.reply_to.map(|address| address.as_sent().to_owned()),
        subject: message.subject,
        sms: (message.channel == Channel::Sms).then(|| sms(&message.text)),
        html: message.html,
        text: message.text,
        links: message.links,
        used,
        problems,
    })
}

/// Wordings that are not in the language that was asked for.
fn of_language(template: &Compiled, policies: &PolicySet, wanted: Option<LanguageTag>) -> Vec<String> {
    let mut problems = Vec::new();
    let has_others =
        policies.templates.templates.get(&template.name).is_some_and(|it| !it.translations.is_empty());
    if let Some(wanted) = wanted
        && (has_others || template.language.is_some())
        && template.language.is_none_or(|shown| shown.language() != wanted.language())
    {
        problems.push(format!("there is no wording for {wanted}, so the template's own is used"));
    }
    if let Some(language) = template.language {
        let unlike = |piece: &String| format!("{piece} has no wording for {language}, so its own is used");
        problems.extend(template.untranslated.iter().map(unlike));
    }
    problems
}
