//! Mails as their readers' programs see them.

use mail_parser::{Message, MessageParser};

/// A mail that was sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// To whom.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The HTML part; empty if there is none.
    pub html: String,
    /// The text part.
    pub text: String,
    /// The head as it went over the wire, unfolded: lower-case name and value.
    pub headers: Vec<(String, String)>,
}

impl Mail {
    /// Reads a mail.
    pub fn read(to: &[String], raw: &str) -> Self {
        let parsed: Message<'_> = MessageParser::default().parse(raw.as_bytes()).expect("a mail");
        let head =
            raw.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
        Self {
            to: to.join(", "),
            subject: parsed.subject().unwrap_or_default().to_owned(),
            html: if parsed.html_body_count() > 0 && raw.contains("text/html") {
                parsed.body_html(0).unwrap_or_default().into_owned()
            } else {
                String::new()
            },
            text: parsed.body_text(0).unwrap_or_default().into_owned(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
        }
    }

    /// A header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The paths of our own in it, by the first letter of theirs: `o`, `c`, `u`, `k`. Each once, HTML first.
    pub fn paths(&self, letter: char) -> Vec<String> {
        let start = format!("/{letter}/{letter}");
        let mut paths = Vec::new();
        for text in [&self.html, &self.text] {
            for (at, _) in text.match_indices(&start) {
                let ends = |c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c));
                let rest = &text[at..];
                let path = rest[..rest.find(ends).unwrap_or(rest.len())].to_owned();
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        paths
    }

    /// Where a mail program's button posts to: the path of the one address in `List-Unsubscribe`.
    pub fn unsubscribe(&self) -> Option<String> {
        let url = self.header("list-unsubscribe")?.strip_prefix('<')?.strip_suffix('>')?;
        let (_, rest) = url.split_once("://")?;
        Some(rest[rest.find('/')?..].to_owned())
    }
}
