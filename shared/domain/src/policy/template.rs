//! What goes out to customers, as documents: templates, the layouts around them and the partials inside.

use super::{Document, is_default};
use crate::identity::LanguageTag;
use crate::message::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Values for fields that somebody has nothing for, by the field's path: `customer.first_name`.
pub type Defaults = BTreeMap<String, Value>;

/// One message, in one wording for everybody and others for readers of other languages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// What journeys, campaigns and people call it.
    pub name: String,
    /// What it is sent through.
    #[serde(default, skip_serializing_if = "is_default")]
    pub channel: Channel,
    /// The language of the wording that stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageTag>,
    /// The layout its parts are put into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// A mail's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What lists of mails show behind the subject; the layout puts it in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preheader: Option<String>,
    /// The sender's name, in place of the stack's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// Where answers go, in place of the sender's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// A mail's HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The text; a mail without one gets it from its HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Values for fields that somebody has nothing for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: Defaults,
    /// The same for readers of other languages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<LanguageTag, Translation>,
}

/// A template's wording in another language: whatever part the template has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Translation {
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What stands behind the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preheader: Option<String>,
    /// The sender's name; absent is the template's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Values in this language, before those of the template.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: Defaults,
}

/// A layout, which is around the content of many templates (`{{ content }}` marks the place), or a partial, a piece that
/// several share (`{% include "name" %}`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// What templates call it.
    pub name: String,
    /// In HTML. A layout without it leaves HTML as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// In text. A layout without it leaves text as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The same for readers of other languages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<LanguageTag, Body>,
}

/// Both parts of a layout or partial in another language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Body {
    /// In HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// In text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Everything of a set of documents that messages are made of, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Templates {
    /// The messages.
    pub templates: BTreeMap<String, Template>,
    /// What is around them.
    pub layouts: BTreeMap<String, Piece>,
    /// What is inside them.
    pub partials: BTreeMap<String, Piece>,
}

impl Templates {
    /// Takes a document in that belongs here; gives back any other.
    pub fn take(&mut self, document: Document) -> Option<Document> {
        match document {
            Document::Template(template) => drop(self.templates.insert(template.name.clone(), template)),
            Document::Layout(layout) => drop(self.layouts.insert(layout.name.clone(), layout)),
            Document::Partial(partial) => drop(self.partials.insert(partial.name.clone(), partial)),
            other => return Some(other),
        }
        None
    }
}
