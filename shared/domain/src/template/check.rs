//! What is wrong with templates, layouts and partials: found when they are published, so that a message to a customer
//! fails for nothing but what is not known of that customer.

use super::failure::Failure;
use super::library::{Compiled, Part, Parts, environment, parts, parts_of_piece, reads};
use super::scan::{self, Tag};
use super::{fields, shape, trial};
use crate::condition::line_and_column;
use crate::policy::{Company, Defaults, Document, Finding, Other, Piece, Template, Templates, one_of};
use minijinja::{Environment, Error};
use std::collections::{BTreeMap, BTreeSet};

/// Longest source of a part, in bytes.
const MAX_SOURCE: usize = 200_000;

/// What a template may say in `{% … %}`.
const STATEMENTS: [&str; 9] = ["if", "elif", "else", "endif", "for", "endfor", "include", "raw", "endraw"];

/// Checks these documents against themselves and each other.
pub(crate) fn check(documents: &[Document]) -> Vec<Finding> {
    let mut templates = Templates::default();
    let mut company = Company::default();
    for document in documents {
        match document {
            Document::Settings(settings) => company = settings.company.clone(),
            Document::Template(_) | Document::Layout(_) | Document::Partial(_) => {
                drop(templates.take(document.clone()));
            }
            _ => {}
        }
    }
    let mut checker = Checker { templates, company, at: 0, findings: Vec::new() };
    for (at, document) in documents.iter().enumerate() {
        checker.at = at;
        match document {
            Document::Template(template) => checker.template(template),
            Document::Layout(layout) => checker.piece(layout, true),
            Document::Partial(partial) => checker.piece(partial, false),
            _ => {}
        }
    }
    checker.circles(documents);
    let bad: BTreeSet<String> = checker
        .findings
        .iter()
        .filter_map(|finding| documents.get(finding.document))
        .map(Document::path)
        .collect();
    let places: BTreeMap<String, usize> =
        documents.iter().enumerate().map(|(at, document)| (document.path(), at)).collect();
    for document in documents {
        if let Document::Template(template) = document {
            checker.try_out(template, &bad, &places);
        }
    }
    let mut seen = Vec::new();
    checker.findings.retain(|finding| {
        let is_new = !seen.contains(finding);
        seen.push(finding.clone());
        is_new
    });
    checker.findings
}

pub(super) struct Checker {
    pub(super) templates: Templates,
    company: Company,
    at: usize,
    findings: Vec<Finding>,
}

impl Checker {
    pub(super) fn add(&mut self, path: &[&str], message: impl Into<String>) {
        self.add_at(path, None, message, None);
    }

    /// What a name leads to is not among the documents; these of its kind are.
    pub(super) fn add_absent(
        &mut self,
        path: &[&str],
        within: Option<(usize, usize)>,
        (kind, name): (&str, &str),
        known: &[String],
    ) {
        self.add_at(path, within, format!("there is no {kind} `{name}`"), Some(Other::Absent));
        if let Some(finding) = self.findings.last_mut() {
            finding.hint = Some(one_of(name, known.iter().map(String::as_str)));
        }
    }

    fn add_at(
        &mut self,
        path: &[&str],
        within: Option<(usize, usize)>,
        message: impl Into<String>,
        other: Option<Other>,
    ) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        let (document, message) = (self.at, message.into());
        self.findings.push(Finding { document, path, message, hint: None, within, other });
    }

    fn template(&mut self, template: &Template) {
        shape::template(self, template);
        self.defaults(&["defaults"], &template.defaults);
        self.parts(&[], &parts(template, None), false);
        for (tag, translation) in &template.translations {
            let tag = tag.to_string();
            self.defaults(&["translations", &tag, "defaults"], &translation.defaults);
            self.parts(&["translations", &tag], &parts(template, Some(translation)), false);
        }
    }

    fn piece(&mut self, piece: &Piece, is_layout: bool) {
        shape::piece(self, piece);
        self.parts(&[], &parts_of_piece(piece, None), is_layout);
        for (tag, body) in &piece.translations {
            self.parts(&["translations", &tag.to_string()], &parts_of_piece(piece, Some(body)), is_layout);
        }
    }

    fn defaults(&mut self, path: &[&str], defaults: &Defaults) {
        for field in defaults.keys() {
            let at = [path, &[field.as_str()]].concat();
            let whole = field.contains('.') && !field.starts_with("link.");
            match fields::find(field, false) {
                Err(message) => self.add(&at, message),
                Ok(()) if !whole => {
                    self.add(&at, format!("`{field}` has no default; a default is of a field, as `customer.first_name: there`"));
                }
                Ok(()) => {}
            }
        }
    }

    fn parts(&mut self, path: &[&str], parts: &Parts<'_>, is_layout: bool) {
        for (part, source) in parts {
            let at = [path, &[part.name()]].concat();
            self.source(&at, *part, source, is_layout);
        }
    }

    /// One part by itself: syntax, what it says, what it reads, where it prints.
    fn source(&mut self, path: &[&str], part: Part, source: &str, is_layout: bool) {
        if source.len() > MAX_SOURCE {
            return self.add(path, format!("a part has at most {MAX_SOURCE} bytes"));
        }
        let tags = scan::tags(source);
        if let Some((at, why)) = scan::too_deep(&tags) {
            return self.add_at(path, Some(line_and_column(source, at)), why, None);
        }
        let stars = tags.iter().flat_map(|tag| &tag.tokens).filter(|token| matches!(token.text, "*" | "**"));
        let stars: Vec<_> = stars.filter(|token| token.kind == scan::Kind::Sign).collect();
        for star in &stars {
            // Lists can be multiplied too, in no time that fuel would bound, and some of it while it is read.
            let message =
                format!("`{}` is not for templates: `{{{{ data.price | times(2) }}}}` multiplies", star.text);
            self.add_at(path, Some(line_and_column(source, star.at)), message, None);
        }
        if !stars.is_empty() {
            return;
        }
        let env = environment();
        match env.template_from_named_str("part", source) {
            Err(error) => self.syntax(path, source, &error),
            Ok(template) => {
                let mut said = Said { checker: self, env: &env, path, source };
                tags.iter().for_each(|tag| said.tag(tag, part));
                let reads = reads(&template);
                reads.iter().for_each(|field| said.field(field, &tags, part, is_layout));
                if part == Part::Html {
                    shape::misplaced(source, &tags).into_iter().for_each(|(at, why)| said.at(at, why));
                }
                if is_layout && !reads.contains(fields::CONTENT) {
                    self.add(path, "a layout says where what it is around stands: `{{ content }}`");
                }
            }
        }
    }

    fn syntax(&mut self, path: &[&str], source: &str, error: &Error) {
        let place = error.range().map(|range| line_and_column(source, range.start));
        let mut message = format!("not a template: {}", error.detail().unwrap_or("it cannot be read"));
        if let Some(word) = message.strip_prefix("not a template: unknown statement ") {
            message = refusal(word);
        }
        self.add_at(path, Some(place.unwrap_or((error.line().unwrap_or(1), 1))), message, None);
    }

    /// Partials that include themselves, over others or not.
    fn circles(&mut self, documents: &[Document]) {
        for (at, document) in documents.iter().enumerate() {
            let Document::Partial(partial) = document else { continue };
            let mut open = vec![partial.name.clone()];
            let mut seen = BTreeSet::new();
            while let Some(name) = open.pop() {
                for next in self.includes(&name) {
                    if next == partial.name {
                        self.at = at;
                        self.add(&["name"], format!("{} includes itself", partial.name));
                        open.clear();
                        break;
                    }
                    if seen.insert(next.clone()) {
                        open.push(next);
                    }
                }
            }
        }
    }

    fn includes(&self, partial: &str) -> Vec<String> {
        let Some(partial) = self.templates.partials.get(partial) else { return Vec::new() };
        let bodies = partial.translations.values().map(Some).chain([None]);
        let sources = bodies.flat_map(|body| parts_of_piece(partial, body));
        sources.flat_map(|(_, source)| super::library::included(source)).collect()
    }

    /// Renders a template in each language for a made-up customer, then for one who lacks each of the fields it reads.
    fn try_out(&mut self, template: &Template, bad: &BTreeSet<String>, places: &BTreeMap<String, usize>) {
        if bad.contains(&format!("template/{}", template.name)) {
            return;
        }
        let languages: Vec<_> = template.translations.keys().copied().map(Some).chain([None]).collect();
        for language in languages {
            let compiled = match Compiled::new(&self.templates, template, language.as_ref()) {
                Ok(compiled) => compiled,
                // Said where the other document is checked.
                Err(_) => continue,
            };
            if compiled.places.values().any(|place| bad.contains(&place.document)) {
                continue;
            }
            for failure in trial::failures(&compiled, &self.company) {
                self.failed(failure, places);
            }
        }
    }

    fn failed(&mut self, failure: Failure, places: &BTreeMap<String, usize>) {
        let Some(place) = failure.place else { return };
        let Some(at) = places.get(&place.document) else { return };
        self.at = *at;
        let path: Vec<&str> = place.path.iter().map(String::as_str).collect();
        self.add_at(&path, Some((place.line, place.column)), failure.message, None);
    }
}

/// What a source says, tag by tag.
struct Said<'a> {
    checker: &'a mut Checker,
    env: &'a Environment<'static>,
    path: &'a [&'a str],
    source: &'a str,
}

impl Said<'_> {
    fn at(&mut self, at: usize, message: impl Into<String>) {
        self.checker.add_at(self.path, Some(line_and_column(self.source, at)), message, None);
    }

    fn tag(&mut self, tag: &Tag<'_>, part: Part) {
        if let Some(word) = tag.statement()
            && !STATEMENTS.contains(&word.text)
        {
            self.at(word.at, refusal(word.text));
        }
        for filter in tag.filters().filter(|name| !knows(self.env, "filter", name.text)) {
            let message = format!(
                "there is no filter `{}`; usual ones are default, upper, lower, title, capitalize, trim, replace, join, \
                 first, last, length, round, urlencode",
                filter.text
            );
            self.at(filter.at, message);
        }
        for test in tag.tests().filter(|name| !knows(self.env, "test", name.text)) {
            self.at(test.at, format!("there is no test `{}`", test.text));
        }
        for path in tag.paths().into_iter().filter(|path| path.is_called && path.text != "range") {
            self.at(
                path.at,
                format!("`{}` cannot be called: filters change values, as `{{{{ … | upper }}}}`", path.text),
            );
        }
        for name in tag
            .targets()
            .filter(|name| fields::ROOTS.contains(&name.text) || fields::OWN.contains(&name.text))
        {
            self.at(
                name.at,
                format!(
                    "`{}` has a meaning already; call what the loop goes through something else",
                    name.text
                ),
            );
        }
        if let Some(include) = tag.include() {
            self.include(tag, include, part);
        }
    }

    fn include(&mut self, tag: &Tag<'_>, name: Option<scan::Token<'_>>, part: Part) {
        let Some(name) = name else {
            return self.at(tag.span.start, "an include names one partial: `{% include \"footer\" %}`");
        };
        if part.is_line() {
            return self.at(tag.span.start, "partials are for `html` and `text`");
        }
        let partials = &self.checker.templates.partials;
        let Some(partial) = partials.get(name.text) else {
            let known: Vec<String> = partials.keys().cloned().collect();
            let within = Some(line_and_column(self.source, name.at));
            return self.checker.add_absent(self.path, within, ("partial", name.text), &known);
        };
        let has_part = parts_of_piece(partial, None).iter().any(|(has, _)| *has == part);
        if !has_part {
            self.at(name.at, format!("the partial `{}` has no `{}`", name.text, part.name()));
        }
    }

    fn field(&mut self, field: &str, tags: &[Tag<'_>], part: Part, is_layout: bool) {
        let found = match field {
            "subject" | "preheader" if part.is_line() => Err(format!("`{field}` is for `html` and `text`")),
            _ => fields::find(field, is_layout),
        };
        if let Err(message) = found {
            let read = tags.iter().flat_map(Tag::paths).filter(|path| !path.is_called);
            let below = |path: &scan::Path| {
                path.text.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let at = read.into_iter().find(below).map_or(0, |path| path.at);
            self.at(at, message);
        }
    }
}

/// Whether there is a filter or test of a name.
fn knows(env: &Environment<'_>, what: &str, name: &str) -> bool {
    let asked = env.compile_expression_owned(format!("'{name}' is {what}")).and_then(|asked| asked.eval(()));
    asked.is_ok_and(|answer| answer.is_true())
}

/// Why a statement is not for templates, and what is.
fn refusal(word: &str) -> String {
    let instead = match word {
        "set" | "with" => "a template sets nothing; write a value where it is printed",
        "macro" | "call" | "import" | "from" => {
            "what several templates share is a partial: `{% include \"name\" %}`"
        }
        "extends" | "block" | "endblock" => "what is around a template is its `layout:`",
        "autoescape" | "endautoescape" => "what is printed into HTML is always escaped",
        "filter" | "endfilter" => "a filter stands in the tag that prints: `{{ … | upper }}`",
        _ => "there are if, for and include",
    };
    format!("`{word}` is not for templates: {instead}")
}
