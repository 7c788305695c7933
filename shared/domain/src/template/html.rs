//! HTML as its tokens, as a browser would read them. Anything is HTML: nothing here can fail.

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};
use std::convert::Infallible;
use std::ops::Range;

/// A piece of HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `<a href="…">`
    Start(Tag),
    /// `</a>`
    End(String),
    /// Text between tags, entities read.
    Text(String),
    /// `<!-- … -->`; mail programs read some of them.
    Comment(String),
}

/// A start tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    /// In lower case.
    pub(super) name: String,
    /// In order; of several with one name the first counts.
    pub(super) attributes: Vec<Attribute>,
}

impl Tag {
    /// The attribute that counts.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Its value, or nothing.
    pub(super) fn value(&self, name: &str) -> &str {
        self.attribute(name).map_or("", |attribute| attribute.value.as_str())
    }

    /// Whether people do not see what is inside. `mso-hide` is no sign of it: what one mail program hides, most often because
    /// another element stands for it there, all others show.
    pub(super) fn is_hidden(&self) -> bool {
        let style: String =
            self.value("style").chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
        self.attribute("hidden").is_some()
            || ["display:none", "visibility:hidden"].iter().any(|word| style.contains(word))
    }
}

/// An attribute of a start tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attribute {
    /// In lower case.
    pub(super) name: String,
    /// Entities read.
    pub(super) value: String,
    /// Where the value is written, in bytes, quotes not included; empty if there is none.
    pub(super) at: Range<usize>,
}

/// The tokens of a document.
pub(super) fn tokens(html: &str) -> Vec<Token> {
    let mut all = Vec::new();
    let mut open: Option<Tag> = None;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let take = |event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                open = Some(Tag { name: text(name), attributes: Vec::new() });
            }
            // An end tag may have attributes, which mean nothing: no tag is open then.
            CallbackEvent::AttributeName { name } => {
                if let Some(tag) = &mut open {
                    tag.attributes.push(Attribute { name: text(name), ..Attribute::default() });
                }
            }
            CallbackEvent::AttributeValue { value } => {
                if let Some(attribute) = open.as_mut().and_then(|tag| tag.attributes.last_mut()) {
                    attribute.value = text(value);
                    attribute.at = span.start..span.end;
                }
            }
            CallbackEvent::CloseStartTag { .. } => all.extend(open.take().map(Token::Start)),
            CallbackEvent::EndTag { name } => all.push(Token::End(text(name))),
            CallbackEvent::String { value } => all.push(Token::Text(text(value))),
            CallbackEvent::Comment { value } => all.push(Token::Comment(text(value))),
            CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => {}
        }
        None
    };
    let mut emitter = CallbackEmitter::new(take);
    emitter.naively_switch_states(true);
    match Tokenizer::new_with_emitter(html, emitter).finish() {
        Ok(()) => all,
    }
}

/// Writes text so that it is text in HTML, and in an attribute's quotes.
pub fn escape(text: &str, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let entity = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ => continue,
        };
        out.write_str(&text[from..at])?;
        out.write_str(entity)?;
        from = at + c.len_utf8();
    }
    out.write_str(&text[from..])
}
