//! A mail as mail programs read it.

use super::*;
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

struct Letter {
    from: Email,
    to: Email,
}

impl Letter {
    fn new() -> Self {
        Self { from: email("news@shop.example"), to: email("peter@example.com") }
    }

    fn mail<'a>(&'a self, subject: &'a str, text: &'a str, html: Option<&'a str>) -> Mail<'a> {
        Mail {
            id: "ld_1_assigned_1_li.wei",
            from: Mailbox { name: Some("Shop – News"), email: &self.from },
            to: Mailbox { name: None, email: &self.to },
            reply_to: None,
            subject,
            text,
            html,
            unsubscribe: None,
            at: Timestamp::from_seconds(1_795_283_353),
        }
    }
}

fn head(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n").map(str::to_owned).collect()
}

#[test]
fn a_mail_has_both_parts_and_every_header_once() {
    let letter = Letter::new();
    let help = email("help@shop.example");
    let mail = Mail {
        reply_to: Some(Mailbox { name: None, email: &help }),
        unsubscribe: Some("https://shop.example/u/abc"),
        ..letter.mail("Ihr Angebot – März 🙂", "Hallo Jürgen", Some("<p>Hallo Jürgen</p>"))
    };
    let bytes = mail.write().unwrap();
    assert!(bytes.is_ascii(), "any server takes it");
    let head = head(&bytes);
    for line in [
        "List-Unsubscribe: <https://shop.example/u/abc>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "To: <peter@example.com>",
        "Reply-To: <help@shop.example>",
        "Date: Sat, 21 Nov 2026 17:49:13 +0000",
        "Message-ID: <ld_1_assigned_1_li=2ewei@shop.example>",
        "MIME-Version: 1.0",
    ] {
        assert_eq!(head.iter().filter(|found| *found == line).count(), 1, "{line} in {head:#?}");
    }
    let parsed = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(parsed.subject(), Some("Ihr Angebot – März 🙂"));
    let from = parsed.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Shop – News"), Some("news@shop.example")));
    assert_eq!(parsed.body_text(0).unwrap(), "Hallo Jürgen");
    assert_eq!(parsed.body_html(0).unwrap(), "<p>Hallo Jürgen</p>");
    assert_eq!(parsed.content_type().unwrap().subtype(), Some("alternative"));
    assert_eq!(mail.write().unwrap(), bytes, "the same mail, the same bytes");
}

#[test]
fn a_mail_without_html_is_plain_text_and_has_no_unsubscribe_headers() {
    let letter = Letter::new();
    let bytes = letter.mail("Hello", "one\r\ntwo\rthree\n", None).write().unwrap();
    let head = head(&bytes);
    assert!(head.iter().any(|line| line.starts_with("Content-Type: text/plain")), "{head:#?}");
    assert!(!head.iter().any(|line| line.starts_with("List-Unsubscribe")));
    let parsed = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n"), "one\ntwo\nthree\n");
}

#[test]
fn an_address_that_no_server_can_be_given_is_refused_and_one_of_a_domain_in_other_letters_is_not() {
    let mut letter = Letter::new();
    letter.to = email("jürgen@example.com");
    assert_eq!(letter.mail("s", "t", None).write(), Err(Unfit::Address));
    letter.to = email("info@müller.example");
    let bytes = letter.mail("s", "t", None).write().unwrap();
    assert!(head(&bytes).contains(&"To: <info@xn--mller-kva.example>".to_owned()));
}

#[test]
fn an_unsubscribe_address_that_would_leave_its_header_is_refused() {
    let letter = Letter::new();
    let long = format!("https://shop.example/u/{}", "a".repeat(1000));
    for url in [
        "https://shop.example/u/a\r\nBcc: all@example.com",
        "https://shop.example/u/a>, <https://evil.example/",
        "https://shop.example/u/a b",
        "https://shop.example/ü",
        "mailto:a@shop.example",
        "javascript:alert(1)",
        "",
        &long,
    ] {
        let mail = Mail { unsubscribe: Some(url), ..letter.mail("s", "t", None) };
        assert_eq!(mail.write(), Err(Unfit::Unsubscribe), "{url}");
    }
}

#[test]
fn an_encoded_word_that_somebody_typed_is_not_decoded_into_a_header() {
    let letter = Letter::new();
    for word in [
        "=?utf-8?b?8J+kkSBZb3Ugd29uDQpCY2M6IHg=?=",
        "=?utf-8?q?PayPal_Security?=",
        "==?utf-8?q?PayPal_Security?=",
        "für =?utf-8?q?PayPal_Security?= 🙂",
        "=\u{0}?utf-8?q?PayPal_Security?=",
    ] {
        let subject = format!("New lead: {word} (contact)");
        let from = Mailbox { name: Some(word), email: &letter.from };
        let mail = Mail { from, ..letter.mail(&subject, "t", None) };
        let bytes = mail.write().unwrap();
        let head = head(&bytes).join("\n");
        assert!(!head.contains("=?utf-8?q?PayPal") && !head.contains("=?utf-8?b?8J"), "{head}");
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(parsed.subject().unwrap(), phrase(&subject));
        assert_eq!(parsed.from().unwrap().first().unwrap().name(), Some(phrase(word).as_str()));
        // Nor by a program that decodes what it has decoded.
        assert!(!phrase(word).contains("=?"), "{word}");
    }
}

#[test]
fn content_cannot_end_its_part() {
    let letter = Letter::new();
    let first = letter.mail("s", "t", Some("h")).write().unwrap();
    let parsed = MessageParser::default().parse(&first).unwrap();
    let boundary = parsed.content_type().unwrap().attribute("boundary").unwrap().to_owned();
    let text =
        format!("hello\n--{boundary}\nContent-Type: text/html\n\n<script>evil</script>\n--{boundary}--\n");
    let bytes = letter.mail("s", &text, Some("h")).write().unwrap();
    let parsed = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!((parsed.text_body_count(), parsed.html_body_count()), (1, 1));
    assert_eq!(parsed.body_html(0).unwrap(), "h");
    assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n"), text);
}

proptest! {
    /// Whatever stands in subject, name and bodies: the headers are ours, lines are short, and it reads back.
    #[test]
    fn nothing_typed_becomes_a_header(
        subject in "\\PC{0,40}([\r\n\t\0]{0,3}Bcc: x@y.example)?[\\PC\r\n]{0,300}",
        name in "(\\PC|[\r\n\"<>\\\\]){0,60}",
        text in "(\\PC|[\r\n.\0]){0,200}",
        html in "(\\PC|[\r\n.\0]){0,200}",
    ) {
        let letter = Letter::new();
        let mail = Mail {
            from: Mailbox { name: Some(&name), email: &letter.from },
            ..letter.mail(&subject, &text, Some(&html))
        };
        let bytes = mail.write().unwrap();
        prop_assert!(bytes.is_ascii() && !bytes.contains(&0));
        prop_assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 998 && (line.is_empty() || line.ends_with(b"\r"))));
        let mut names: Vec<String> =
            head(&bytes).iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
        names.sort();
        prop_assert_eq!(names, ["Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]);
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        prop_assert_eq!(parsed.from().unwrap().first().unwrap().address(), Some("news@shop.example"));
        let subject = phrase(&subject);
        prop_assert_eq!(parsed.subject().unwrap_or_default().trim(), subject.trim());
        let read = parsed.body_text(0).unwrap().replace("\r\n", "\n");
        prop_assert_eq!(read, lines(&text));
    }
}
