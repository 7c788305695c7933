//! The links of a message: found, replaced by others, and kept from doing anything but leading somewhere.

use super::html::{Attribute, Tag, Token, escape, tokens};
use super::text::is_east_asian;
use std::collections::BTreeMap;
use std::ops::Range;

/// Longest address that is counted, in bytes.
const MAX_URL: usize = 2_000;
/// Most addresses of a message that are counted.
const MAX_LINKS: usize = 500;
/// Most bytes that the counted addresses of a message have together: they are written down with it, as JSON that may take two
/// bytes for one, and an item of DynamoDB's has 400 KB at most. What is beyond leads where it leads, and is not counted.
const MAX_LINK_BYTES: usize = 150_000;

/// Schemes that run something instead of leading somewhere.
const RUNS: [&str; 3] = ["javascript:", "vbscript:", "data:"];

/// An address as a program that opens it reads it: blanks around it and line ends in it do not count, and what is not
/// ASCII is written in per cent. None for anchors and for what leads nowhere.
pub(super) fn address(href: &str) -> Option<String> {
    let url = in_ascii(href);
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https" | "mailto" | "tel" | "sms") => Some(url),
        _ => None,
    }
}

/// The same of http(s) addresses only: what can be counted.
pub(super) fn web_address(href: &str) -> Option<String> {
    address(href).filter(|url| is_web(url) && url.len() <= MAX_URL)
}

fn is_web(url: &str) -> bool {
    let starts =
        |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    starts("http://") || starts("https://")
}

/// An address as browsers write it: without blanks around it and line ends in it, and what is not ASCII in per cent (WHATWG URL).
pub fn in_ascii(href: &str) -> String {
    let trimmed = href.trim_matches(|c: char| c.is_ascii_control() || c == ' ');
    let mut url = String::with_capacity(trimmed.len());
    for c in trimmed.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')) {
        if c.is_ascii_graphic() {
            url.push(c);
        } else {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| url.push_str(&format!("%{byte:02X}")));
        }
    }
    url
}

/// Whether an address would run something where it is opened.
fn runs(href: &str) -> bool {
    let url = in_ascii(href).to_ascii_lowercase();
    // A space before the scheme is written in per cent by now only if it is no ASCII blank.
    RUNS.iter().any(|scheme| url.starts_with(scheme))
}

/// The attribute that holds a link's address.
fn href(tag: &Tag) -> Option<&Attribute> {
    tag.attribute("href").filter(|_| matches!(tag.name.as_str(), "a" | "area"))
}

/// HTML in which no link runs anything: such addresses are gone, and how many there were.
pub(super) fn disarm(html: &str) -> (String, usize) {
    let mut cuts = Vec::new();
    for token in tokens(html) {
        let Token::Start(tag) = token else { continue };
        // A picture may be written out where its address would be.
        let is_picture = |one: &Attribute| {
            one.name == "src"
                && tag.name == "img"
                && in_ascii(&one.value).to_ascii_lowercase().starts_with("data:image/")
        };
        for one in &tag.attributes {
            let is_address =
                matches!(one.name.as_str(), "href" | "src" | "action" | "formaction" | "background");
            if is_address && runs(&one.value) && !is_picture(one) {
                cuts.push((one.at.clone(), "#".to_owned()));
            }
        }
    }
    let found = cuts.len();
    (splice(html, cuts), found)
}

/// Puts an address behind the others of a message, unless it is among them or they are as many as are counted.
pub(crate) fn add_link(links: &mut Vec<String>, url: &str) {
    let bytes = links.iter().map(String::len).sum::<usize>() + url.len();
    if links.len() < MAX_LINKS && bytes <= MAX_LINK_BYTES && !links.iter().any(|known| known == url) {
        links.push(url.to_owned());
    }
}

/// The web addresses of a message in the order in which they first appear, each once, without those that are `own`.
pub(super) fn collect(html: Option<&str>, text: &str, own: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for token in html.map(tokens).unwrap_or_default() {
        if let Token::Start(tag) = token
            && let Some(url) = href(&tag).and_then(|href| web_address(&href.value))
            && !own.contains(&url)
        {
            add_link(&mut found, &url);
        }
    }
    let known: Vec<String> = found.iter().chain(own).cloned().collect();
    for at in in_text(text, &known) {
        let url = &text[at];
        if !own.iter().any(|own| own == url) {
            add_link(&mut found, url);
        }
    }
    found
}

/// Addresses of links and pictures that are not whole, each once.
pub(super) fn relative(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens(html) {
        let Token::Start(tag) = token else { continue };
        let one = if tag.name == "img" { tag.attribute("src") } else { href(&tag) };
        let Some(url) = one.map(|one| in_ascii(&one.value)) else { continue };
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        let is_whole =
            !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !is_whole && !url.starts_with('#') && !found.contains(&url) && found.len() < 20 {
            found.push(url);
        }
    }
    found
}

/// The HTML with other addresses in the places of some.
pub(super) fn replace_in_html(html: &str, new: &BTreeMap<String, String>) -> String {
    let mut cuts = Vec::new();
    for token in tokens(html) {
        if let Token::Start(tag) = token
            && let Some(href) = href(&tag)
            && let Some(to) = web_address(&href.value).and_then(|url| new.get(&url))
        {
            cuts.push((href.at.clone(), to.clone()));
        }
    }
    splice(html, cuts)
}

/// The text with other addresses in the places of some; `known` are all that are in the message.
pub(super) fn replace_in_text(text: &str, new: &BTreeMap<String, String>, known: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for at in in_text(text, known) {
        if let Some(to) = new.get(&text[at.clone()]) {
            out.push_str(&text[from..at.start]);
            out.push_str(to);
            from = at.end;
        }
    }
    out.push_str(&text[from..]);
    out
}

/// Puts values of attributes in the places of others, in quotes, with what would end them escaped.
fn splice(html: &str, cuts: Vec<(Range<usize>, String)>) -> String {
    let mut out = String::with_capacity(html.len());
    let mut from = 0;
    for (at, value) in cuts {
        let (Some(before), Some(_)) = (html.get(from..at.start), html.get(at.clone())) else { continue };
        out.push_str(before);
        let is_quoted = before.ends_with(['"', '\'']);
        let quote = if is_quoted { "" } else { "\"" };
        out.push_str(quote);
        // Writing to a string cannot fail.
        let _ = escape(&value, &mut out);
        out.push_str(quote);
        from = at.end;
    }
    out.push_str(html.get(from..).unwrap_or_default());
    out
}

/// Where web addresses stand in a text. What is not known as an address ends before signs of the sentence, and before
/// writing without blanks.
fn in_text(text: &str, known: &[String]) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = lower[from..].find("http").map(|at| from + at) {
        from = start + "http".len();
        let is_inside_word = text[..start].chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric());
        if is_inside_word || !is_web(&text[start..]) {
            continue;
        }
        let ends = |c: char| {
            c.is_whitespace()
                || c.is_control()
                || is_east_asian(c)
                || matches!(c, '<' | '>' | '"' | '`' | '“' | '”')
        };
        let length = text[start..].find(ends).unwrap_or(text.len() - start);
        let written = &text[start..start + length];
        if written.len() > MAX_URL {
            from = start + length;
            continue;
        }
        let is_whole =
            |url: &&String| written.strip_prefix(url.as_str()).is_some_and(|rest| rest.chars().all(trails));
        let url = known
            .iter()
            .filter(is_whole)
            .map(String::len)
            .max()
            .unwrap_or_else(|| sentence_off(written).len());
        if written.get(..url).and_then(|url| url.split_once("://")).is_some_and(|(_, rest)| !rest.is_empty())
        {
            found.push(start..start + url);
            from = start + url;
        }
    }
    found
}

/// Signs that may follow an address without belonging to it.
fn trails(c: char) -> bool {
    matches!(
        c,
        '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '’' | '…' | ')' | ']' | '}' | '»' | '›' | '–' | '—'
    )
}

/// An address without the signs of the sentence behind it; a bracket that it opened itself is its own.
fn sentence_off(written: &str) -> &str {
    let mut url = written;
    while let Some(last) = url.chars().next_back().filter(|c| trails(*c)) {
        let open = match last {
            ')' => '(',
            ']' => '[',
            '}' => '{',
            _ => '\0',
        };
        if open != '\0' && url.matches(last).count() <= url.matches(open).count() {
            break;
        }
        url = url.strip_suffix(last).unwrap_or_default();
    }
    url
}

/// The HTML with a picture at its end that tells that it was opened.
pub(super) fn with_pixel(html: &str, url: &str) -> String {
    let mut pixel = "<img src=\"".to_owned();
    let _ = escape(url, &mut pixel);
    pixel.push_str(
        "\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0;width:1px;height:1px\">",
    );
    match html.to_ascii_lowercase().rfind("</body") {
        Some(at) => format!("{}{pixel}{}", &html[..at], &html[at..]),
        None => format!("{html}{pixel}"),
    }
}
