//! Text: a mail's text part from its HTML, and what keeps any text tidy and on its line.

use super::html::{Tag, Token, tokens};
use super::link;

/// Longest line that a subject or name may be, in characters.
pub(super) const MAX_LINE: usize = 250;

/// One line without control characters, whatever a fact holds: nothing in it can become a header of its own.
pub(super) fn one_line(text: &str) -> String {
    let clean: String =
        text.chars().map(|c| if is_break(c) { ' ' } else { c }).filter(|c| is_fit(*c)).collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    words.join(" ").chars().take(MAX_LINE).collect()
}

/// Lines without blanks at their ends, at most one empty line in a row, no control characters.
pub(super) fn tidy(text: &str) -> String {
    let clean: String = text
        .replace("\r\n", "\n")
        .chars()
        .map(|c| if is_break(c) { '\n' } else { c })
        .filter(|c| matches!(c, '\n' | '\t') || is_fit(*c))
        .collect();
    let mut lines: Vec<&str> = Vec::new();
    for line in clean.lines().map(str::trim_end) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    while lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines.join("\n")
}

/// HTML without control characters, with plain line ends.
pub(super) fn tidy_html(html: &str) -> String {
    let clean = html.replace("\r\n", "\n").replace('\r', "\n");
    clean.trim().chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

/// What ends a line for some program or other.
const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Neither control characters nor those that turn the direction of what follows.
fn is_fit(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Writing without blanks between words.
pub(super) const fn is_east_asian(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

/// The text of a document: paragraphs, underlined headings, lists, quotes, and links with their addresses.
pub(super) fn from_html(html: &str) -> String {
    let mut writer = Writer::default();
    for token in tokens(html) {
        match token {
            Token::Start(tag) => writer.start(&tag),
            Token::End(name) => writer.end(&name),
            Token::Text(text) => writer.text(&text),
            Token::Comment(_) => {}
        }
    }
    writer.finish()
}

/// What is not for reading.
const UNREAD: [&str; 9] =
    ["head", "style", "script", "title", "template", "noscript", "iframe", "object", "textarea"];

/// Tags without an end.
const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

#[derive(Default)]
struct Writer {
    done: String,
    line: String,
    /// A blank is due before the next word.
    is_apart: bool,
    /// The blank that is due was a line's end in the source.
    was_break: bool,
    /// An empty line is due before the next, this deep in quotes.
    gap: Option<usize>,
    /// Names of open tags whose content is not shown, the outermost first.
    hidden: Vec<String>,
    lists: Vec<List>,
    quotes: usize,
    link: Option<Link>,
    heading: Option<Heading>,
    is_plain: bool,
}

struct List {
    /// Number of the next item; none for bullets.
    next: Option<u32>,
}

/// A link whose end has not come yet.
struct Link {
    url: String,
    label: String,
}

/// A heading whose end has not come yet.
struct Heading {
    mark: char,
    text: String,
}

impl Writer {
    fn start(&mut self, tag: &Tag) {
        let name = tag.name.as_str();
        if !self.hidden.is_empty() || UNREAD.contains(&name) || tag.is_hidden() {
            if !VOID.contains(&name) {
                self.hidden.push(tag.name.clone());
            }
            return;
        }
        match name {
            "br" => self.break_line(),
            "hr" => {
                self.paragraph();
                self.word("----------");
                self.paragraph();
            }
            "img" => self.text(&format!(" {} ", tag.value("alt"))),
            "a" => {
                self.end_link();
                self.link = link::address(tag.value("href")).map(|url| Link { url, label: String::new() });
            }
            "ul" | "ol" => {
                if self.lists.is_empty() {
                    self.paragraph()
                } else {
                    self.break_line()
                }
                let next = (name == "ol").then(|| tag.value("start").parse().unwrap_or(1));
                self.lists.push(List { next });
            }
            "li" => {
                self.break_line();
                let mark = match self.lists.last_mut().and_then(|list| list.next.as_mut()) {
                    Some(next) => {
                        *next = next.saturating_add(1);
                        format!("{}. ", next.saturating_sub(1))
                    }
                    None => "- ".to_owned(),
                };
                self.flush_gap();
                let indent = "  ".repeat(self.lists.len().clamp(1, 8) - 1);
                self.line.push_str(&indent);
                self.line.push_str(&mark);
            }
            "blockquote" => {
                self.paragraph();
                self.quotes = (self.quotes + 1).min(8);
            }
            "h1" | "h2" => {
                self.paragraph();
                self.heading =
                    Some(Heading { mark: if name == "h1" { '=' } else { '-' }, text: String::new() });
            }
            "pre" => {
                self.paragraph();
                self.is_plain = true;
            }
            "td" | "th" => self.is_apart = true,
            _ if is_paragraph(name) => self.paragraph(),
            _ if is_block(name) => self.break_line(),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if let Some(at) = self.hidden.iter().rposition(|open| open == name) {
            self.hidden.truncate(at);
            return;
        }
        if !self.hidden.is_empty() {
            return;
        }
        match name {
            "a" => self.end_link(),
            "ul" | "ol" => {
                self.lists.pop();
                if self.lists.is_empty() { self.paragraph() } else { self.break_line() }
            }
            "li" => self.break_line(),
            "blockquote" => {
                self.paragraph();
                self.quotes = self.quotes.saturating_sub(1);
            }
            "h1" | "h2" => {
                self.end_link();
                self.break_line();
                if let Some(Heading { mark, text }) = self.heading.take()
                    && !text.trim().is_empty()
                {
                    let width: usize =
                        text.trim().chars().map(|c| if is_east_asian(c) { 2 } else { 1 }).sum();
                    self.word(&mark.to_string().repeat(width.min(72)));
                }
                self.paragraph();
            }
            "pre" => {
                self.paragraph();
                self.is_plain = false;
            }
            "td" | "th" => self.is_apart = true,
            _ if is_paragraph(name) => self.paragraph(),
            _ if is_block(name) => self.break_line(),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if !self.hidden.is_empty() {
            return;
        }
        if self.is_plain {
            for (at, line) in text.split('\n').enumerate() {
                if at > 0 {
                    self.break_line();
                }
                self.flush_gap();
                self.line.push_str(line);
            }
            return;
        }
        let mut word = String::new();
        for c in text.chars() {
            if c.is_whitespace() {
                self.word(&word);
                word.clear();
                self.is_apart = true;
                self.was_break |= c == '\n';
            } else if !matches!(c, '\u{200b}' | '\u{34f}' | '\u{ad}' | '\u{feff}') {
                word.push(c);
            }
        }
        self.word(&word);
    }

    fn word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        self.flush_gap();
        let (before, after) = (self.line.chars().next_back(), word.chars().next());
        // A line's end inside such writing is no blank.
        let runs_on = self.was_break && before.is_some_and(is_east_asian) && after.is_some_and(is_east_asian);
        let blank = self.is_apart && !runs_on && before.is_some_and(|c| !c.is_whitespace());
        (self.is_apart, self.was_break) = (false, false);
        for out in [
            Some(&mut self.line),
            self.link.as_mut().map(|link| &mut link.label),
            self.heading.as_mut().map(|heading| &mut heading.text),
        ]
        .into_iter()
        .flatten()
        {
            if blank && !out.is_empty() {
                out.push(' ');
            }
            out.push_str(word);
        }
    }

    /// The address behind the label, unless the label says it.
    fn end_link(&mut self) {
        let Some(Link { url, label }) = self.link.take() else { return };
        let plain = |text: &str| {
            let text = text.trim().to_lowercase();
            let text = ["https://", "http://", "mailto:", "tel:"]
                .iter()
                .find_map(|scheme| text.strip_prefix(scheme));
            text.map(|text| text.trim_end_matches('/').to_owned())
        };
        let said = plain(&label).unwrap_or_else(|| label.trim().trim_end_matches('/').to_lowercase());
        let shown =
            url.strip_prefix("mailto:").or_else(|| url.strip_prefix("tel:")).unwrap_or(&url).to_owned();
        let is_web = shown == url;
        if label.trim().is_empty() {
            self.is_apart = true;
            self.word(&shown);
        } else if plain(&url).is_some_and(|url| url == said) {
            // A web address without its scheme is none that a program would recognise.
            if is_web && !label.contains("://") {
                self.is_apart = true;
                self.word(&format!("({shown})"));
            }
        } else {
            self.is_apart = true;
            self.word(&format!("({shown})"));
        }
    }

    fn break_line(&mut self) {
        (self.is_apart, self.was_break) = (false, false);
        if self.line.trim().is_empty() {
            self.line.clear();
            return;
        }
        self.write_line();
    }

    fn write_line(&mut self) {
        self.done.push_str(&"> ".repeat(self.quotes));
        self.done.push_str(self.line.trim_end());
        self.done.push('\n');
        self.line.clear();
    }

    fn paragraph(&mut self) {
        self.break_line();
        self.gap = Some(self.gap.unwrap_or(self.quotes).min(self.quotes));
    }

    fn flush_gap(&mut self) {
        if let Some(quotes) = self.gap.take()
            && !self.done.is_empty()
        {
            self.done.push_str("> ".repeat(quotes.min(self.quotes)).trim_end());
            self.done.push('\n');
        }
    }

    fn finish(mut self) -> String {
        self.end_link();
        self.break_line();
        tidy(&self.done)
    }
}

fn is_paragraph(name: &str) -> bool {
    matches!(
        name,
        "p" | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "table"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "dl"
            | "figure"
            | "form"
            | "fieldset"
    )
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "div"
            | "tr"
            | "tbody"
            | "thead"
            | "tfoot"
            | "caption"
            | "dt"
            | "dd"
            | "figcaption"
            | "center"
            | "main"
            | "nav"
            | "aside"
            | "address"
            | "body"
            | "html"
            | "li"
    )
}
