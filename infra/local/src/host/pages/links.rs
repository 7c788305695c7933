//! Every link of a mail, with its text.

use html5gum::{Token, Tokenizer};

/// Characters of a link's text that are kept.
const LONGEST_TEXT: usize = 200;

/// One link.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// What people read; the description of an image where there is no text.
    pub(super) text: String,
    /// Where it leads, as written.
    pub(super) url: String,
}

/// The links of HTML, in order.
pub(super) fn of_html(html: &str) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut is_open = false;
    for token in Tokenizer::new(html).flatten() {
        match token {
            Token::StartTag(tag) => {
                let attribute = |name: &[u8]| {
                    let value = tag.attributes.iter().find(|(found, _)| found.as_slice() == name);
                    value.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
                };
                match (tag.name.as_slice(), is_open) {
                    (b"a" | b"area", _) => {
                        is_open = false;
                        if let Some(url) = attribute(b"href") {
                            is_open = tag.name.as_slice() == b"a";
                            links.push(Link {
                                text: attribute(b"alt").unwrap_or_default(),
                                url: url.trim().to_owned(),
                            });
                        }
                    }
                    (b"img", true) => add(links.last_mut(), &attribute(b"alt").unwrap_or_default()),
                    _ => {}
                }
            }
            Token::EndTag(tag) if tag.name.as_slice() == b"a" => is_open = false,
            Token::String(text) if is_open => add(links.last_mut(), &String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    links
}

/// The addresses in plain text, in order: each is its own text.
pub(super) fn of_text(text: &str) -> Vec<Link> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'));
    let found = words.filter_map(|word| {
        let start = word.find("https://").or_else(|| word.find("http://"))?;
        let url = word.get(start..)?.trim_end_matches(['.', ',', ';', ':', ')', ']', '!', '?', '\'']);
        Some(Link { text: url.to_owned(), url: url.to_owned() })
    });
    found.collect()
}

fn add(link: Option<&mut Link>, text: &str) {
    let Some(link) = link else { return };
    for word in text.split_whitespace() {
        if link.text.chars().count() >= LONGEST_TEXT {
            return;
        }
        if !link.text.is_empty() {
            link.text.push(' ');
        }
        link.text.extend(word.chars().take(LONGEST_TEXT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(links: &[Link]) -> Vec<(&str, &str)> {
        links.iter().map(|link| (link.text.as_str(), link.url.as_str())).collect()
    }

    #[test]
    fn links_of_html_have_the_text_that_people_read() {
        let links = of_html(
            "<a href=\"https://a.example/?x=1&amp;y=2\">See  <b>the\n offer</b></a> and <A HREF='/b'><img alt='Shop'></a>\
             <a name=x>no link</a><!-- <a href=no>no</a> --> <a href=\"mailto:a@b.example\">write",
        );
        assert_eq!(
            pairs(&links),
            [
                ("See the offer", "https://a.example/?x=1&y=2"),
                ("Shop", "/b"),
                ("write", "mailto:a@b.example")
            ]
        );
    }

    #[test]
    fn links_of_text_end_before_the_sentence_does() {
        let links = of_text("Look at https://a.example/x?y=1, or (http://b.example/). <https://c.example>");
        let urls: Vec<&str> = links.iter().map(|link| link.url.as_str()).collect();
        assert_eq!(urls, ["https://a.example/x?y=1", "http://b.example/", "https://c.example"]);
    }
}
