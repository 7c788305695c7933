//! The tags of a template's source with their places: what minijinja's own analysis does not tell.
//!
//! Read by minijinja's rules, whether it will accept the source or not: strings, comments and `raw` blocks hold no tags.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

/// What is not printed as it stands.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    /// What it is.
    pub(super) sort: Sort,
    /// Where it stands, in bytes.
    pub(super) span: Range<usize>,
    /// Its words and signs.
    pub(super) tokens: Vec<Token<'a>>,
}

/// What a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// `{{ … }}`
    Print,
    /// `{% … %}`
    Statement,
    /// `{# … #}`
    Comment,
}

/// A word or sign of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// As it is written; of a string, what is between the quotes.
    pub(super) text: &'a str,
    /// Where it begins, in bytes.
    pub(super) at: usize,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `customer`, `if`
    Name,
    /// `"there"`
    Text,
    /// `17`
    Number,
    /// `|`, `.`, `==`
    Sign,
}

impl Token<'_> {
    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        self.kind == Kind::Name && self.text == name
    }
}

/// A name and those after it: `customer.first_name`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// With dots.
    pub(super) text: String,
    /// Where it begins, in bytes.
    pub(super) at: usize,
    /// Whether it is called: `range(3)`.
    pub(super) is_called: bool,
}

/// Every tag of a source, in order.
pub(super) fn tags(source: &str) -> Vec<Tag<'_>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(open) = source[at..].find('{').map(|found| at + found) {
        let rest = &source[open..];
        let sort = match rest.as_bytes().get(1) {
            Some(b'#') => Sort::Comment,
            Some(b'{') => Sort::Print,
            Some(b'%') => Sort::Statement,
            _ => {
                at = open + 1;
                continue;
            }
        };
        let (tokens, end) = match sort {
            Sort::Comment => (Vec::new(), rest.find("#}").map_or(source.len(), |end| open + end + 2)),
            Sort::Print => inside(source, open, "}}"),
            Sort::Statement => inside(source, open, "%}"),
        };
        let is_raw = sort == Sort::Statement && matches!(tokens.as_slice(), [one] if one.is_name("raw"));
        all.push(Tag { sort, span: open..end, tokens });
        at = if is_raw { end_of_raw(source, end) } else { end };
    }
    all
}

/// The most words and signs of one tag.
const MOST_TOKENS: usize = 200;
/// The most blocks within each other, each `elif` counted as one more.
const MOST_BLOCKS: usize = 50;

/// Where a source is deeper than people write, and why: what reads it calls itself for each link of a chain and each block
/// within a block, and would run out of stack.
pub(super) fn too_deep(tags: &[Tag<'_>]) -> Option<(usize, String)> {
    let mut open: Vec<usize> = Vec::new();
    let mut depth = 0;
    for tag in tags {
        if tag.tokens.len() > MOST_TOKENS {
            return Some((tag.span.start, format!("a tag has at most {MOST_TOKENS} words and signs")));
        }
        match tag.statement().map(|word| word.text) {
            Some("elif" | "else") => {
                depth += 1;
                if let Some(last) = open.last_mut() {
                    *last += 1;
                }
            }
            Some("raw" | "include" | "set" | "import" | "from" | "extends" | "do" | "continue" | "break")
            | None => {}
            Some(word) if word.starts_with("end") => depth -= open.pop().unwrap_or(depth),
            Some(_) => {
                depth += 1;
                open.push(1);
            }
        }
        if depth > MOST_BLOCKS {
            return Some((
                tag.span.start,
                format!("blocks stand within at most {MOST_BLOCKS} others, with each `elif`"),
            ));
        }
    }
    None
}

/// The tokens of the tag that opens at `open`, and the place behind it.
fn inside<'a>(source: &'a str, open: usize, close: &str) -> (Vec<Token<'a>>, usize) {
    // A sign for blanks may stand at either end: `{%- if a +%}`.
    let at = open + if source[open + 2..].starts_with(['-', '+']) { 3 } else { 2 };
    let mut tokens = Vec::new();
    let mut depth = 0usize;
    let mut chars = source[at..].char_indices().peekable();
    while let Some(&(offset, c)) = chars.peek() {
        let start = at + offset;
        let rest = &source[start..];
        if depth == 0 && rest.strip_prefix(['-', '+']).unwrap_or(rest).starts_with(close) {
            return (tokens, start + rest.find(close).unwrap_or(0) + close.len());
        }
        let (kind, range) = match c {
            _ if c.is_whitespace() => {
                chars.next();
                continue;
            }
            '"' | '\'' => (Kind::Text, text(&mut chars)),
            _ if c.is_alphabetic() || c == '_' => {
                (Kind::Name, run(&mut chars, |c| c.is_alphanumeric() || c == '_'))
            }
            _ if c.is_ascii_digit() => {
                (Kind::Number, run(&mut chars, |c| c.is_ascii_alphanumeric() || c == '_'))
            }
            _ => {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                let two = ["==", "!=", "<=", ">=", "**", "//"].iter().any(|sign| rest.starts_with(sign));
                chars.next();
                if two {
                    chars.next();
                }
                (Kind::Sign, offset..offset + if two { 2 } else { c.len_utf8() })
            }
        };
        tokens.push(Token { kind, text: &source[at + range.start..at + range.end], at: at + range.start });
    }
    (tokens, source.len())
}

type Chars<'a> = Peekable<CharIndices<'a>>;

fn run(chars: &mut Chars<'_>, belongs: impl Fn(char) -> bool) -> Range<usize> {
    let start = chars.peek().map_or(0, |(at, _)| *at);
    let mut end = start;
    while let Some((at, c)) = chars.next_if(|(_, c)| belongs(*c)) {
        end = at + c.len_utf8();
    }
    start..end
}

/// A string's content; a backslash takes the next character along.
fn text(chars: &mut Chars<'_>) -> Range<usize> {
    let (quote_at, quote) = chars.next().unwrap_or_default();
    let start = quote_at + quote.len_utf8();
    let mut end = start;
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return start..at;
        }
        end = at + c.len_utf8();
        if c == '\\'
            && let Some((at, c)) = chars.next()
        {
            end = at + c.len_utf8();
        }
    }
    start..end
}

fn end_of_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(open) = source[at..].find("{%").map(|found| at + found) {
        let (tokens, end) = inside(source, open, "%}");
        if matches!(tokens.as_slice(), [one] if one.is_name("endraw")) {
            return end;
        }
        at = open + 2;
    }
    source.len()
}

impl<'a> Tag<'a> {
    /// The word a `{% … %}` begins with.
    pub(super) fn statement(&self) -> Option<Token<'a>> {
        self.tokens.first().copied().filter(|token| self.sort == Sort::Statement && token.kind == Kind::Name)
    }

    /// Its tokens without the statement.
    pub(super) fn rest(&self) -> &[Token<'a>] {
        self.tokens.get(usize::from(self.statement().is_some())..).unwrap_or_default()
    }

    /// The filters behind `|`.
    pub(super) fn filters(&self) -> impl Iterator<Item = Token<'a>> {
        self.tokens.windows(2).filter_map(|pair| match pair {
            [bar, name] if bar.is_sign("|") && name.kind == Kind::Name => Some(*name),
            _ => None,
        })
    }

    /// The tests behind `is`.
    pub(super) fn tests(&self) -> impl Iterator<Item = Token<'a>> {
        let behind = |(at, token): (usize, &Token<'a>)| {
            let next = self.tokens.get(at + 1).filter(|_| token.is_name("is"))?;
            if next.is_name("not") { self.tokens.get(at + 2) } else { Some(next) }
        };
        self.tokens.iter().enumerate().filter_map(behind).copied().filter(|token| token.kind == Kind::Name)
    }

    /// The names that a loop gives to what it goes through.
    pub(super) fn targets(&self) -> impl Iterator<Item = Token<'a>> {
        let is_loop = self.statement().is_some_and(|word| word.is_name("for"));
        let names = self
            .rest()
            .iter()
            .take_while(|token| !token.is_name("in"))
            .filter(|token| token.kind == Kind::Name);
        names.copied().filter(move |_| is_loop)
    }

    /// The partial it includes: its name, or nothing if it is no plain name.
    pub(super) fn include(&self) -> Option<Option<Token<'a>>> {
        self.statement().filter(|word| word.is_name("include"))?;
        Some(match self.rest() {
            [one] if one.kind == Kind::Text => Some(*one),
            _ => None,
        })
    }

    /// What it looks up: names that are no filter, test, statement or word of the language, with those after them.
    pub(super) fn paths(&self) -> Vec<Path> {
        let tests: Vec<Token<'_>> = self.tests().collect();
        let mut paths = Vec::new();
        let tokens = self.rest();
        let mut at = 0;
        // The names a loop gives to what it goes through.
        if self.statement().is_some_and(|word| word.is_name("for")) {
            at = tokens.iter().position(|token| token.is_name("in")).unwrap_or(0);
        }
        while let Some(token) = tokens.get(at) {
            let before = at.checked_sub(1).and_then(|before| tokens.get(before));
            at += 1;
            let is_other = token.kind != Kind::Name
                || WORDS.contains(&token.text)
                || tests.contains(token)
                || before.is_some_and(|before| before.is_sign("|") || before.is_sign("."));
            if is_other {
                continue;
            }
            let mut text = token.text.to_owned();
            while let [dot, name, ..] = tokens.get(at..).unwrap_or_default()
                && dot.is_sign(".")
                && name.kind == Kind::Name
            {
                text.push('.');
                text.push_str(name.text);
                at += 2;
            }
            let is_called = tokens.get(at).is_some_and(|next| next.is_sign("("));
            let is_argument = tokens.get(at).is_some_and(|next| next.is_sign("="));
            if !is_argument {
                paths.push(Path { text, at: token.at, is_called });
            }
        }
        paths
    }
}

/// Words of the language.
const WORDS: [&str; 19] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "for",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "recursive",
    "ignore",
    "missing",
    "loop",
];
