//! Which parts templates, layouts and partials have in each language, and where in HTML a field may stand.

use super::check::Checker;
use super::html::{Tag as HtmlTag, Token, tokens};
use super::library::{Part, Parts, parts, parts_of_piece};
use super::scan::{Sort, Tag};
use crate::message::Channel;
use crate::policy::{Piece, Template};

fn has(parts: &Parts<'_>, part: Part) -> bool {
    parts.iter().any(|(one, _)| *one == part)
}

/// A template has what its channel needs and nothing else, and each translation has what the template has.
pub(super) fn template(checker: &mut Checker, template: &Template) {
    let own = parts(template, None);
    let channel = template.channel.name();
    if template.channel == Channel::Email {
        if !has(&own, Part::Subject) {
            checker.add(&[], "a mail needs a `subject`");
        }
        if !has(&own, Part::Html) && !has(&own, Part::Text) {
            checker.add(&[], "a mail needs `html`, `text` or both");
        }
    } else {
        for (part, _) in own.iter().filter(|(part, _)| *part != Part::Text) {
            checker.add(
                &[part.name()],
                format!("a template for {channel} has a `text` and no `{}`", part.name()),
            );
        }
        if !has(&own, Part::Text) {
            checker.add(&[], format!("a template for {channel} needs a `text`"));
        }
    }
    if let Some(layout) = &template.layout
        && !checker.templates.layouts.contains_key(layout)
    {
        let known: Vec<String> = checker.templates.layouts.keys().cloned().collect();
        checker.add_absent(&["layout"], None, ("layout", layout), &known);
    }
    for (tag, translation) in &template.translations {
        let name = tag.to_string();
        let at = ["translations", name.as_str()];
        if template.language.as_ref() == Some(tag) {
            checker.add(&at, format!("{tag} is the language of the template itself"));
        }
        complete(checker, &at, &own, &parts(template, Some(translation)), true);
    }
}

/// A layout or partial has a part, and each translation the same ones.
pub(super) fn piece(checker: &mut Checker, piece: &Piece) {
    let own = parts_of_piece(piece, None);
    if own.is_empty() {
        checker.add(&[], "this needs `html`, `text` or both");
    }
    for (tag, body) in &piece.translations {
        complete(
            checker,
            &["translations", &tag.to_string()],
            &own,
            &parts_of_piece(piece, Some(body)),
            false,
        );
    }
}

/// Half a translation would be a message in two languages.
fn complete(checker: &mut Checker, at: &[&str], own: &Parts<'_>, translated: &Parts<'_>, text_is_made: bool) {
    for (part, _) in own.iter().filter(|(part, _)| !has(translated, *part)) {
        // The text may be made of the HTML, and who writes and where answers go is the same in every language.
        let is_made =
            text_is_made && *part == Part::Text && has(translated, Part::Html) && has(own, Part::Html);
        if !is_made && !matches!(part, Part::FromName | Part::ReplyTo) {
            checker.add(at, format!("this translation has no `{}`", part.name()));
        }
    }
    for (part, _) in translated.iter().filter(|(part, _)| !has(own, *part)) {
        let path = [at, &[part.name()]].concat();
        checker.add(&path, format!("only this translation has a `{}`", part.name()));
    }
}

/// What stands for tag number `n` where HTML is read.
fn mark(n: usize) -> String {
    format!("zq{n}qz")
}

/// Places in the HTML of a source at which what is printed could be more than text, with the reason: in a tag outside
/// quotes, in scripts and style sheets. There escaping does not help.
pub(super) fn misplaced(source: &str, tags: &[Tag<'_>]) -> Vec<(usize, String)> {
    let mut html = String::with_capacity(source.len());
    let mut from = 0;
    for (n, tag) in tags.iter().enumerate() {
        html.push_str(source.get(from..tag.span.start).unwrap_or_default());
        if tag.sort == Sort::Print || tag.include().is_some() {
            html.push_str(&mark(n));
        }
        from = tag.span.end;
    }
    html.push_str(source.get(from..).unwrap_or_default());

    let mut found = Vec::new();
    let mut add = |text: &str, why: &str| {
        let marked = tags.iter().enumerate().filter(|(n, _)| text.contains(&mark(*n)));
        found.extend(marked.map(|(_, tag)| (tag.span.start, why.to_owned())));
    };
    let mut inside = None;
    let mut runs = Vec::new();
    for token in tokens(&html) {
        match token {
            Token::Start(tag) => {
                add(&tag.name, "a field is no name of a tag");
                for attribute in &tag.attributes {
                    add(
                        &attribute.name,
                        "inside a tag a field stands in the quotes of an attribute: `title=\"{{ … }}\"`",
                    );
                    let before = html.get(..attribute.at.start).unwrap_or_default();
                    if !before.ends_with(['"', '\'']) {
                        add(&attribute.value, "inside a tag a field stands in quotes: `href=\"{{ … }}\"`");
                    }
                    if attribute.name.starts_with("on") {
                        add(&attribute.value, "what an attribute such as `onclick` runs has no fields in it");
                    }
                }
                runs.extend(runs_something(&tag));
                inside = Some(tag.name).filter(|name| matches!(name.as_str(), "style" | "script"));
            }
            Token::End(name) => {
                add(&name, "a field is no name of a tag");
                inside = None;
            }
            Token::Text(text) if inside.is_some() => add(&text, "a style sheet has no fields in it"),
            Token::Text(_) | Token::Comment(_) => {}
        }
    }
    found.extend(runs.into_iter().map(|name| (0, format!("mail programs run no `<{name}>`: leave it out"))));
    found
}

fn runs_something(tag: &HtmlTag) -> Option<String> {
    matches!(tag.name.as_str(), "script" | "iframe" | "object" | "embed" | "form").then(|| tag.name.clone())
}
