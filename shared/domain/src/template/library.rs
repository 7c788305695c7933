//! Templates made ready: the wording for a reader chosen, everything it includes found, all of it compiled.

use super::failure::{Failure, Place, Reason};
use super::html::escape;
use super::{fields, scan};
use crate::identity::LanguageTag;
use crate::message::Channel;
use crate::policy::{Body, Defaults, Piece, Template, Templates, Translation};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What rendering one part may cost. A unit is an instruction or 64 bytes written or made on the way, so that it bounds
/// time and memory: about a megabyte, ten times what mail programs show of a mail.
const FUEL: u64 = 20_000;

/// A part of a message. The word is the key of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Subject,
    Preheader,
    FromName,
    ReplyTo,
    Html,
    Text,
}

impl Part {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Preheader => "preheader",
            Self::FromName => "from_name",
            Self::ReplyTo => "reply_to",
            Self::Html => "html",
            Self::Text => "text",
        }
    }

    /// Whether it is one line.
    pub(super) const fn is_line(self) -> bool {
        !matches!(self, Self::Html | Self::Text)
    }
}

/// The parts that a wording has.
pub(super) type Parts<'a> = Vec<(Part, &'a str)>;

/// The parts of a template's wording: of its own, or of a translation.
pub(super) fn parts<'a>(template: &'a Template, translation: Option<&'a Translation>) -> Parts<'a> {
    let t = template;
    let all = match translation {
        None => [
            (Part::Subject, &t.subject),
            (Part::Preheader, &t.preheader),
            (Part::FromName, &t.from_name),
            (Part::ReplyTo, &t.reply_to),
            (Part::Html, &t.html),
            (Part::Text, &t.text),
        ],
        Some(it) => [
            (Part::Subject, &it.subject),
            (Part::Preheader, &it.preheader),
            (Part::FromName, &it.from_name),
            (Part::ReplyTo, &None),
            (Part::Html, &it.html),
            (Part::Text, &it.text),
        ],
    };
    all.into_iter().filter_map(|(part, source)| Some((part, source.as_deref()?))).collect()
}

/// The parts of a layout or partial.
pub(super) fn parts_of_piece<'a>(piece: &'a Piece, translation: Option<&'a Body>) -> Parts<'a> {
    let (html, text) = match translation {
        None => (&piece.html, &piece.text),
        Some(body) => (&body.html, &body.text),
    };
    [(Part::Html, html), (Part::Text, text)]
        .into_iter()
        .filter_map(|(part, source)| Some((part, source.as_deref()?)))
        .collect()
}

/// An environment in which a template can do nothing but print what it is given.
pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_debug(true); // the places of mistakes
    env.set_fuel(Some(FUEL));
    env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    let mut syntax = SyntaxConfig::builder();
    // A tag on a line of its own leaves no empty line.
    if let Ok(syntax) = syntax.trim_blocks(true).lstrip_blocks(true).build() {
        env.set_syntax(syntax);
    }
    // What is printed into HTML is escaped by the part it is in, not by what a template says.
    let is_html = |name: &str| name.starts_with("html:");
    env.set_auto_escape_callback(move |name| if is_html(name) { AutoEscape::Html } else { AutoEscape::None });
    env.set_formatter(move |out, state, value| {
        // A list may be longer than fuel sees.
        if matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
            return Err(Error::new(ErrorKind::InvalidOperation, "a list is not printed"));
        }
        let text = value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
        let written = match value.is_safe() || !is_html(state.name()) {
            true => out.write_str(&text),
            false => escape(&text, out),
        };
        written.map_err(Error::from)
    });
    env.set_path_join_callback(|name, parent| {
        let part = if parent.starts_with("html:") { Part::Html } else { Part::Text };
        key(part, "partial", name).into()
    });
    // `safe` turns escaping off, the others show more than a field.
    ["safe", "pprint", "attr"].into_iter().for_each(|filter| env.remove_filter(filter));
    ["namespace", "debug", "dict"].into_iter().for_each(|global| env.remove_global(global));
    env.add_filter("times", times);
    env
}

/// Numbers multiplied. The sign for it also multiplies texts and lists.
fn times(one: &Value, other: &Value) -> Result<Value, Error> {
    if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64())
        && let Some(whole) = one.checked_mul(other)
    {
        return Ok(Value::from(whole));
    }
    Ok(Value::from(f64::try_from(one.clone())? * f64::try_from(other.clone())?))
}

/// What the environment calls a part of a document.
pub(super) fn key(part: Part, kind: &str, name: &str) -> String {
    format!("{}:{kind}/{name}", part.name())
}

/// A template for readers of one language.
#[derive(Debug)]
pub(super) struct Compiled {
    env: Environment<'static>,
    /// Where each part stands, by the environment's name for it.
    pub(super) places: BTreeMap<String, Place>,
    /// The language of the wording, where it is said.
    pub(super) language: Option<LanguageTag>,
    /// The translation's defaults and the template's.
    pub(super) defaults: Vec<Defaults>,
    /// Whether it is a translation's.
    is_translated: bool,
    /// Documents that have wordings in other languages and none in that one.
    pub(super) untranslated: Vec<String>,
    pub(super) channel: Channel,
    pub(super) name: String,
    pub(super) layout: Option<String>,
}

/// Which wording a reader sees: a translation's language, or none for the template's own; and the language to choose
/// the wording of layouts and partials by.
fn choose(template: &Template, wanted: Option<&LanguageTag>) -> (Option<LanguageTag>, Option<LanguageTag>) {
    let available = template.translations.keys().chain(&template.language);
    match wanted.and_then(|wanted| Some((wanted, wanted.best_of(available)?))) {
        Some((wanted, best)) => {
            (Some(*best).filter(|best| template.translations.contains_key(best)), Some(*wanted))
        }
        None => (None, template.language),
    }
}

impl Compiled {
    /// Compiles a template for a reader of `wanted`.
    pub(super) fn new(
        templates: &Templates,
        template: &Template,
        wanted: Option<&LanguageTag>,
    ) -> Result<Self, Failure> {
        let (chosen, around) = choose(template, wanted);
        let translation = chosen.and_then(|tag| template.translations.get(&tag));
        let mut compiled = Self {
            env: environment(),
            places: BTreeMap::new(),
            language: chosen.or(template.language),
            is_translated: chosen.is_some(),
            defaults: translation
                .map(|it| it.defaults.clone())
                .into_iter()
                .chain([template.defaults.clone()])
                .collect(),
            untranslated: Vec::new(),
            channel: template.channel,
            name: template.name.clone(),
            layout: template.layout.clone(),
        };
        let own = parts(template, translation);
        compiled.add("template", &template.name, chosen, &own)?;
        // What says nothing in any language: where mails come from and go back to.
        let shared = parts(template, None).into_iter().filter(|(part, _)| {
            matches!(part, Part::FromName | Part::ReplyTo) && own.iter().all(|(own, _)| own != part)
        });
        compiled.add("template", &template.name, None, &shared.collect::<Parts<'_>>())?;
        if let Some(name) = &template.layout {
            let layout = templates.layouts.get(name);
            let layout =
                layout.ok_or_else(|| Failure::new(Reason::Broken, format!("there is no layout `{name}`")))?;
            compiled.add_piece("layout", layout, around.as_ref())?;
        }
        compiled.add_included(templates, around.as_ref())?;
        Ok(compiled)
    }

    fn add(
        &mut self,
        kind: &str,
        name: &str,
        translation: Option<LanguageTag>,
        parts: &Parts<'_>,
    ) -> Result<(), Failure> {
        for (part, source) in parts {
            let key = key(*part, kind, name);
            let place = Place {
                document: format!("{kind}/{name}"),
                path: match translation {
                    None => vec![part.name().to_owned()],
                    Some(tag) => vec!["translations".to_owned(), tag.to_string(), part.name().to_owned()],
                },
                line: 1,
                column: 1,
            };
            self.places.insert(key.clone(), place);
            self.env
                .add_template_owned(key, (*source).to_owned())
                .map_err(|error| Failure::of_syntax(&error, source, &self.places))?;
        }
        Ok(())
    }

    fn add_piece(&mut self, kind: &str, piece: &Piece, around: Option<&LanguageTag>) -> Result<(), Failure> {
        let chosen = around.and_then(|tag| tag.best_of(piece.translations.keys())).copied();
        if self.is_translated && chosen.is_none() && !piece.translations.is_empty() {
            self.untranslated.push(format!("{kind}/{}", piece.name));
        }
        let translation = chosen.and_then(|tag| piece.translations.get(&tag));
        let own = parts_of_piece(piece, translation);
        self.add(kind, &piece.name, chosen, &own)
    }

    /// Adds the partials that parts include, and those that these include.
    fn add_included(&mut self, templates: &Templates, around: Option<&LanguageTag>) -> Result<(), Failure> {
        let mut added: BTreeSet<String> = BTreeSet::new();
        loop {
            let wanted: BTreeSet<String> = self
                .env
                .templates()
                .flat_map(|(_, template)| included(template.source()))
                .filter(|name| !added.contains(name))
                .collect();
            if wanted.is_empty() {
                return Ok(());
            }
            for name in wanted {
                // One that is not there is a mistake where it is included.
                if let Some(partial) = templates.partials.get(&name) {
                    self.add_piece("partial", partial, around)?;
                }
                added.insert(name);
            }
        }
    }

    /// Whether a document has a part.
    pub(super) fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Renders one part.
    pub(super) fn render(&self, key: &str, values: Value) -> Result<String, Failure> {
        let rendered = self.env.get_template(key).and_then(|template| template.render(values));
        rendered.map_err(|error| Failure::of_rendering(&error, &self.places))
    }

    /// The fields that any of its parts may read.
    pub(super) fn reads(&self) -> BTreeSet<String> {
        self.env.templates().flat_map(|(_, template)| reads(&template)).collect()
    }
}

/// The fields that a source may read: as minijinja sees them, and where it does not look (slices), as they are written.
pub(super) fn reads(template: &minijinja::Template<'_, '_>) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
    for tag in scan::tags(template.source()) {
        let fields = tag.paths().into_iter().filter(|path| !path.is_called);
        all.extend(
            fields
                .map(|path| path.text)
                .filter(|path| path.split_once('.').is_some_and(|(root, _)| fields::ROOTS.contains(&root))),
        );
    }
    all.remove("range");
    all
}

/// The partials that a source includes.
pub(super) fn included(source: &str) -> Vec<String> {
    scan::tags(source).iter().filter_map(|tag| Some(tag.include()??.text.to_owned())).collect()
}

/// Templates as they were compiled last, of the newest policies asked for.
#[derive(Debug, Default)]
pub struct Library {
    shelf: Mutex<Shelf>,
}

type Shelf = (u64, BTreeMap<(String, Option<LanguageTag>), Arc<Compiled>>);

/// Readers' languages times templates that are kept; all go when there are more.
const KEPT: usize = 200;

impl Library {
    /// The template for readers of a language, compiled once for each version of the policies.
    pub(super) fn get(
        &self,
        version: u64,
        templates: &Templates,
        name: &str,
        wanted: Option<LanguageTag>,
    ) -> Result<Arc<Compiled>, Failure> {
        let key = (name.to_owned(), wanted);
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.0 != version || shelf.1.len() >= KEPT {
            *shelf = (version, BTreeMap::new());
        }
        if let Some(found) = shelf.1.get(&key) {
            return Ok(found.clone());
        }
        let template = templates.templates.get(name);
        let template = template
            .ok_or_else(|| Failure::new(Reason::NoTemplate, format!("there is no template `{name}`")))?;
        let compiled = Arc::new(Compiled::new(templates, template, wanted.as_ref())?);
        shelf.1.insert(key, compiled.clone());
        Ok(compiled)
    }
}

/// What kind of mistake minijinja found, in the words of whoever writes templates.
pub(super) fn reason_of(error: &Error) -> Reason {
    match error.kind() {
        ErrorKind::UndefinedError => Reason::MissingField,
        ErrorKind::OutOfFuel => Reason::TooMuch,
        _ => Reason::Broken,
    }
}
