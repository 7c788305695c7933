//! A lead while a source reads it: fields under our names, notes on where it came from.

use super::{Delivery, SourceLead, names, signature};
use crate::body::json::{self, Node};
use crate::body::{BodyFlag, FileNote, Json, Submission};
use crate::capture::MAX_WORDING;
use bytes::Bytes;
use ring::digest;
use sluice_domain::identity::Email;
use sluice_domain::lead::names::{last_part, usual};
use sluice_domain::lead::{ATTRIBUTION, names_somebody, standard_field};
use sluice_domain::policy::FieldMap;
use sluice_domain::time::Timestamp;

/// Longest id of a sender's that is kept as it is, in bytes.
const MAX_ID: usize = 400;

/// Standard fields by which somebody is found again.
const OF_SOMEBODY: [&str; 7] =
    ["email", "phone", "external_id", "wechat_unionid", "wechat_openid", "wechat_id", "ad_user_id"];

pub(super) struct Draft<'a> {
    map: &'a FieldMap,
    submission: Submission,
    /// The body, to be kept if it turns out that not all of it can be.
    whole: Option<Bytes>,
    pub(super) lead: SourceLead,
}

impl<'a> Draft<'a> {
    pub(super) fn new(delivery: &Delivery<'a>) -> Self {
        Self {
            map: &delivery.document.fields,
            submission: Submission::default(),
            whole: None,
            lead: SourceLead::default(),
        }
    }

    /// The same for a body that was read as a form: its flags, files and raw bytes are kept, its fields are handed out.
    pub(super) fn of(delivery: &Delivery<'a>, mut body: Submission) -> (Self, Vec<(String, String)>) {
        let fields = std::mem::take(&mut body.fields);
        (Self { submission: body, ..Self::new(delivery) }, fields)
    }

    /// The same for a body that is JSON: what could not be read as sent is flagged, and the body kept with it.
    pub(super) fn json(delivery: &Delivery<'a>, body: &Json) -> Self {
        Self { submission: body.submission(), whole: Some(body.raw().clone()), ..Self::new(delivery) }
    }

    /// The sender's own id; an empty one is none, and of an endless one its hash is kept, which tells it from others as well.
    pub(super) fn id(&mut self, id: Option<&str>) {
        let id = id.map(str::trim).filter(|id| !id.is_empty());
        self.lead.external_id = id.map(|id| match id.len() {
            ..=MAX_ID => id.to_owned(),
            _ => {
                format!("sha256-{}", signature::hex(digest::digest(&digest::SHA256, id.as_bytes()).as_ref()))
            }
        });
    }

    /// The first of these ids that is not empty.
    pub(super) fn first_id<'n>(&mut self, ids: impl IntoIterator<Item = Option<&'n str>>) {
        self.id(ids.into_iter().flatten().find(|id| !id.trim().is_empty()));
    }

    /// When the person submitted it.
    pub(super) fn at(&mut self, time: &Node) {
        self.lead.created_at = time.text().and_then(Timestamp::parse);
    }

    /// A value under the sender's name for it, which becomes ours where it has one.
    pub(super) fn field(&mut self, name: &str, value: &Node) {
        let name = names::called(name, self.map);
        json::push(&name, value, &mut self.submission);
    }

    /// A value of which is known what it is.
    pub(super) fn known(&mut self, standard: &str, name: &str, value: &Node) {
        let name = names::known(standard, name, self.map);
        json::push(&name, value, &mut self.submission);
    }

    /// Text under the sender's name for it.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        let name = names::called(name, self.map);
        self.submission.push(&name, value.to_owned());
    }

    /// Text of which is known what it is.
    pub(super) fn known_text(&mut self, standard: &str, name: &str, value: &str) {
        let name = names::known(standard, name, self.map);
        self.submission.push(&name, value.to_owned());
    }

    /// Whether the document says under which name this is found.
    pub(super) fn is_mapped(&self, standard: &str) -> bool {
        self.map.contains_key(standard)
    }

    /// Whether it is the standard name of a field, and the document does not find that elsewhere.
    pub(super) fn is_standard(&self, name: &str) -> bool {
        standard_field(name, self.map) == Some(name)
    }

    /// Whether the document uses this name of the sender's.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.map.values().flatten().any(|named| named == name)
    }

    /// The same, but for case, blanks and punctuation.
    pub(super) fn is_used(&self, name: &str) -> bool {
        names::is_used(name, self.map)
    }

    /// Whether the document uses this name or that of a part of it: `name.first`.
    pub(super) fn is_named_in_part(&self, name: &str) -> bool {
        let is_part = |named: &str| named.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.map.values().flatten().any(|named| named == name || is_part(named))
    }

    /// Of the sender's names for one field the first that the document uses, for all of it or for a part.
    pub(super) fn used_of<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        names.into_iter().find(|name| self.is_used(name) || self.is_named_in_part(name))
    }

    /// The body, to be kept if it turns out that not all of it can be.
    pub(super) fn keep(&mut self, body: Bytes) {
        self.whole = Some(body);
    }

    /// Something about the body that a person should know.
    pub(super) fn flag(&mut self, flag: BodyFlag) {
        self.submission.flag(flag);
    }

    /// Whether there is a value under that name already.
    pub(super) fn has(&self, name: &str) -> bool {
        self.submission.value(name).is_some_and(|value| !value.trim().is_empty())
    }

    /// Whether any field says something.
    pub(super) fn says_anything(&self) -> bool {
        self.submission.fields.iter().any(|(_, value)| !value.trim().is_empty())
    }

    /// Whether some field says who it is: an address, a number, an id, or what the document uses.
    pub(super) fn names_somebody(&self) -> bool {
        let is_said = |name: &str| {
            let last = last_part(name).map_or(name, |(_, last)| last);
            let standard = standard_field(name, self.map).or_else(|| Some(usual(last)?.field));
            self.is_used(name) || standard.is_some_and(|standard| OF_SOMEBODY.contains(&standard))
        };
        let says =
            |name: &str, value: &str| is_said(name) && names_somebody(value) || Email::parse(value).is_ok();
        self.submission.fields.iter().any(|(name, value)| says(name, value))
    }

    /// A file, described.
    pub(super) fn file(&mut self, field: &str, name: &str, size: u64) {
        let (field, file_name) = (field.to_owned(), name.to_owned());
        self.submission.files.push(FileNote { field, file_name, content_type: None, size });
    }

    /// Something about where it came from.
    pub(super) fn note(&mut self, name: &str, value: &Node) {
        if let Some(value) = value.text() {
            self.note_text(name, value);
        }
    }

    /// The same, as text.
    pub(super) fn note_text(&mut self, name: &str, value: &str) {
        if !value.trim().is_empty() {
            self.lead.attribution.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The words that somebody agreed to, kept whole: they are the proof. What is too long even for that is cut and flagged.
    pub(super) fn wording(&mut self, name: &str, text: &str) {
        let text = text.trim();
        if text.len() > MAX_WORDING {
            self.submission.flag(BodyFlag::ValueCut);
        }
        self.note_text(name, &text[..text.floor_char_boundary(MAX_WORDING)]);
    }

    /// The page it was on, with the campaign parameters of its address.
    pub(super) fn page(&mut self, url: &str) {
        self.note_text("page_url", url);
        let query = url.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if ATTRIBUTION.contains(&name.as_ref()) {
                self.note_text(&name, &value);
            }
        }
    }

    /// The lead of a sender whose fields are called as their author pleased, in any language.
    pub(super) fn finish_by_look(mut self) -> SourceLead {
        names::by_look(&mut self.submission.fields, self.map);
        self.finish()
    }

    pub(super) fn finish(self) -> SourceLead {
        let Submission { fields, files, flags, raw } = self.submission;
        let raw = raw.or(self.whole.filter(|_| !flags.is_empty()));
        SourceLead { fields, files, flags, raw, ..self.lead }
    }
}
