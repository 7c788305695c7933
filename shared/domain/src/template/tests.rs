//! Templates as people write them, for people as they are.

mod check;
mod limits;
mod links;
mod proof;
mod texts;

use super::html::{Token, tokens};
use super::{Failure, Given, Library, Links, Preview, Reason, Rendered, context, preview};
use crate::customer::{Customer, Fact, Ownership, Whole};
use crate::id::CustomerId;
use crate::identity::LanguageTag;
use crate::policy::{Document, Finding, PolicySet};
use crate::time::Timestamp;
use serde_json::{Value, json};

fn documents(list: Value) -> Vec<Document> {
    list.as_array().unwrap().iter().map(|document| Document::from_json(document.clone()).unwrap()).collect()
}

fn findings(list: Value) -> Vec<Finding> {
    crate::policy::check(&documents(list))
}

/// Documents that may be published.
fn published(list: Value) -> PolicySet {
    let documents = documents(list);
    let findings = crate::policy::check(&documents);
    assert!(findings.is_empty(), "{findings:#?}");
    PolicySet::build(1, documents).unwrap()
}

/// A customer with these facts, owned by `li`.
fn customer(facts: &[(&str, &str)]) -> Customer {
    let mut customer = Customer::new(CustomerId::derived(&["c"]), Timestamp(0));
    for (name, value) in facts {
        let fact = Fact { value: (*value).to_owned().into(), at: Timestamp(0), said: None, tie: None };
        customer.facts.insert((*name).to_owned(), fact);
    }
    customer.owner = Some(Ownership { rep: "li".to_owned(), team: None, since: Timestamp(0) });
    customer
}

fn links() -> Links {
    let url = |path: &str| Some(format!("https://go.example/{path}"));
    Links { unsubscribe: url("u/1?a=1&b=2"), preferences: url("u/1"), confirm: url("k/1") }
}

fn render_given(
    policies: &PolicySet,
    template: &str,
    facts: &[(&str, &str)],
    given: Given,
) -> Result<Rendered, Failure> {
    let customer = customer(facts);
    let whole = Whole { root: &customer, halves: Vec::new() };
    let context = context(Some(&whole), policies, given);
    Library::default().render(policies, template, None, &context)
}

fn render(policies: &PolicySet, template: &str, facts: &[(&str, &str)]) -> Result<Rendered, Failure> {
    render_given(policies, template, facts, Given { links: links(), ..Given::default() })
}

/// What a document is built of: its tags with the names of their attributes, its comments, and where text is. Values
/// and text may change without it; anything that breaks out of them changes it.
fn structure(html: &str) -> Vec<String> {
    let piece = |token| match token {
        Token::Start(tag) => {
            let names: Vec<&str> = tag.attributes.iter().map(|one| one.name.as_str()).collect();
            format!("<{} {}>", tag.name, names.join(" "))
        }
        Token::End(name) => format!("</{name}>"),
        Token::Text(_) => "text".to_owned(),
        Token::Comment(_) => "comment".to_owned(),
    };
    tokens(html).into_iter().map(piece).collect()
}

fn shop() -> PolicySet {
    published(json!([
        {"kind": "settings", "company": {"name": "Shop & Söhne", "website": "https://shop.example"}},
        {"kind": "rep", "name": "li", "full_name": "Li Wei", "email": "li@shop.example"},
        {"kind": "layout", "name": "letter",
         "html": "<html lang=\"{{ language }}\"><title>{{ subject }}</title><body><p style=\"display:none\">{{ preheader }}</p>\
                  {{ content }}<p><a href=\"{{ link.unsubscribe }}\">Stop</a></p></body></html>",
         "text": "{{ content }}\n\n--\n{% include \"foot\" %}",
         "translations": {"de": {"html": "<html><body>{{ content }}<p>Ade</p></body></html>", "text": "{{ content }}\nAde"}}},
        {"kind": "partial", "name": "foot", "html": "<p>{{ company.name }}</p>", "text": "{{ company.name }}",
         "translations": {"zh": {"html": "<p>再见</p>", "text": "再见"}}},
        {"kind": "template", "name": "hello", "language": "en", "layout": "letter",
         "from_name": "{{ owner.full_name }}", "reply_to": "{{ owner.email }}",
         "subject": "Hello {{ customer.first_name }}", "preheader": "For {{ customer.company }}",
         "html": "<h1>Hello {{ customer.first_name }}</h1><p title=\"{{ customer.company }}\">of {{ customer.company }}</p>\
                  {% include \"foot\" %}<a href=\"https://shop.example/a?b=1&amp;c={{ customer.country | urlencode }}\">Go</a>",
         "defaults": {"customer.first_name": "there", "customer.company": "you", "customer.country": "XX",
                      "owner.full_name": "Sales", "owner.email": "sales@shop.example"},
         "translations": {
            "de": {"subject": "Guten Tag {{ customer.first_name }}", "preheader": "Neu",
                   "html": "<p>Guten Tag {{ customer.first_name }}</p>", "defaults": {"customer.first_name": "Gast"}},
            "zh": {"subject": "{{ customer.full_name }}，您好", "preheader": "新", "html": "<p>您好</p>{% include \"foot\" %}",
                   "defaults": {"customer.full_name": "客户"}},
            "zh-Hant": {"subject": "{{ customer.full_name }}，您好", "preheader": "新", "html": "<p>您們好</p>",
                        "defaults": {"customer.full_name": "客戶"}}}},
        {"kind": "template", "name": "text", "channel": "sms", "text": "Hi {{ customer.name }}: {{ link.preferences }}",
         "defaults": {"customer.name": "there"}},
    ]))
}

#[test]
fn a_message_says_what_is_known_and_defaults_stand_where_nothing_is() {
    let shop = shop();
    let facts =
        [("first_name", "Ada"), ("company", "Engines"), ("country", "GB"), ("email", "ada@person.example")];
    let message = render(&shop, "hello", &facts).unwrap();
    assert_eq!(message.subject, "Hello Ada");
    assert_eq!(message.from_name.as_deref(), Some("Li Wei"));
    assert_eq!(message.reply_to.as_ref().map(|email| email.as_sent()), Some("li@shop.example"));
    let html = message.html.as_deref().unwrap();
    assert!(
        html.contains("<h1>Hello Ada</h1><p title=\"Engines\">of Engines</p><p>Shop &amp; Söhne</p>"),
        "{html}"
    );
    assert!(html.contains("<title>Hello Ada</title>") && html.contains("lang=\"en\""), "{html}");
    assert_eq!(
        message.text,
        "Hello Ada\n=========\n\nof Engines\n\nShop & Söhne\n\nGo (https://shop.example/a?b=1&c=GB)\n\n--\nShop & Söhne"
    );
    assert_eq!(message.links, ["https://shop.example/a?b=1&c=GB"]);

    let stranger = render(&shop, "hello", &[("first_name", " \t"), ("company", "")]).unwrap();
    assert_eq!(stranger.subject, "Hello there");
    assert!(stranger.html.unwrap().contains("of you"));
}

#[test]
fn the_reader_gets_the_wording_of_their_language() {
    let shop = shop();
    let of = |facts: &[(&str, &str)]| {
        let message = render(&shop, "hello", facts).unwrap();
        (message.language.map(|tag| tag.to_string()).unwrap_or_default(), message.subject, message.text)
    };
    let (language, subject, text) = of(&[("language", "de"), ("country", "AT")]);
    assert_eq!(
        (language.as_str(), subject.as_str(), text.as_str()),
        ("de", "Guten Tag Gast", "Guten Tag Gast\nAde")
    );
    // 再见 is the partial's own translation; what has none for the language stays as it is.
    let (language, subject, text) = of(&[("language", "zh"), ("first_name", "伟"), ("last_name", "李")]);
    assert_eq!((language.as_str(), subject.as_str()), ("zh", "李伟，您好"));
    assert!(text.contains("再见"), "{text}");
    let (language, subject, _) = of(&[("language", "zh"), ("country", "TW")]);
    assert_eq!((language.as_str(), subject.as_str()), ("zh-Hant", "客戶，您好"));
    for facts in [&[("language", "fr")][..], &[("language", "en")], &[]] {
        assert_eq!(of(facts).0, "en", "{facts:?}");
    }
    let customer = customer(&[("language", "de")]);
    let whole = Whole { root: &customer, halves: Vec::new() };
    let context = context(Some(&whole), &shop, Given { links: links(), ..Given::default() });
    let asked =
        Library::default().render(&shop, "hello", LanguageTag::parse("zh-Hant-HK"), &context).unwrap();
    assert_eq!(asked.language, LanguageTag::parse("zh-Hant"), "what is asked for comes before what is known");
}

#[test]
fn what_people_typed_is_text_and_nothing_else() {
    let shop = shop();
    let nasty = "<script>alert(1)</script>\" onload=\"x' {{ 7 * 7 }} {% include \"foot\" %}";
    let facts = [("first_name", nasty), ("company", nasty), ("country", "&x=<y>"), ("full_name", nasty)];
    for language in ["en", "de", "zh"] {
        let facts = [&facts[..], &[("language", language)]].concat();
        let message = render(&shop, "hello", &facts).unwrap();
        let tame = render(&shop, "hello", &[("language", language)]).unwrap();
        let html = message.html.unwrap();
        assert_eq!(structure(&html), structure(&tame.html.unwrap()), "{html}");
        assert!(!html.contains("<script") && !html.contains("49"), "{html}");
        assert!(
            message.subject.contains("<script>alert(1)</script>"),
            "a subject is no HTML: {}",
            message.subject
        );
    }
}

#[test]
fn nothing_in_a_subject_or_a_name_begins_a_header() {
    let shop = shop();
    for nasty in [
        "a\r\nBcc: all@shop.example",
        "a\u{2028}b\u{85}c\u{b}d",
        "a\0\u{1b}[2Jb",
        "\u{202e}evil",
        "\u{feff}a\tb",
    ] {
        let message = render(&shop, "hello", &[("first_name", nasty), ("company", nasty)]).unwrap();
        let subject = &message.subject;
        assert!(
            !subject.chars().any(|c| c.is_control() || "\u{2028}\u{202e}\u{feff}".contains(c)),
            "{subject:?}"
        );
        assert!(
            !message.html.unwrap().chars().any(|c| c.is_control() && c != '\n' && c != '\t'),
            "{nasty:?}"
        );
        assert!(!message.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{nasty:?}");
    }
    let long = render(&shop, "hello", &[("first_name", &"ä".repeat(100_000))]).unwrap();
    assert_eq!(long.subject.chars().count(), 250);
}

#[test]
fn answers_go_only_to_an_address() {
    let with = |reply_to: &str| {
        published(
            json!([{"kind": "template", "name": "a", "subject": "s", "text": "t", "reply_to": reply_to}]),
        )
    };
    let reply_to = |text: &str| render(&with(text), "a", &[("email", "x@person.example")]).unwrap().reply_to;
    assert_eq!(reply_to("help@shop.example").unwrap().as_sent(), "help@shop.example");
    assert_eq!(reply_to("nobody"), None);
    assert_eq!(reply_to("{{ customer.email }}, spy@shop.example"), None);
}

#[test]
fn a_fact_that_is_missing_keeps_the_message_back_and_is_named_without_any_value() {
    let shop = published(json!([
        {"kind": "template", "name": "order", "subject": "Order {{ data.order.number }}",
         "html": "<p>\n  {% for item in data.items %}{{ item.name }}{% endfor %}</p>"},
    ]));
    let given = |data: Value| Given { data, ..Given::default() };
    let whole = json!({"order": {"number": 17}, "items": [{"name": "Tea"}, {"name": "<b>"}]});
    let message = render_given(&shop, "order", &[], given(whole)).unwrap();
    assert_eq!((message.subject.as_str(), message.text.as_str()), ("Order 17", "Tea<b>"));

    let failure = render_given(&shop, "order", &[], given(json!({"order": {}, "items": []}))).unwrap_err();
    assert_eq!(failure.reason, Reason::MissingField);
    assert_eq!(failure.message, "`data.order.number` is not known and has no default");
    assert_eq!(failure.place.unwrap().path, ["subject"]);

    let items = json!({"order": {"number": 17}, "items": [{"name": "secret"}, {}]});
    let failure = render_given(&shop, "order", &[], given(items)).unwrap_err();
    assert_eq!((failure.reason, failure.place.as_ref().unwrap().line), (Reason::MissingField, 2));
    assert!(!failure.to_string().contains("secret"));

    let wrong = json!({"order": {"number": 17}, "items": 4711});
    let failure = render_given(&shop, "order", &[], given(wrong)).unwrap_err();
    assert_eq!(failure.reason, Reason::Broken);
    assert!(!format!("{failure} {failure:?}").contains("4711"), "{failure}");

    let none = render(&shop, "nothing", &[]).unwrap_err();
    assert_eq!((none.reason, none.message.as_str()), (Reason::NoTemplate, "there is no template `nothing`"));
}

#[test]
fn other_channels_are_plain_text() {
    let message = render(&shop(), "text", &[("full_name", "Ada & <b>")]).unwrap();
    assert_eq!((message.html, message.subject.as_str()), (None, ""));
    assert_eq!(message.text, "Hi Ada & <b>: https://go.example/u/1");
    assert_eq!(message.links, Vec::<String>::new(), "the recipient's own link is not counted");
}

#[test]
fn what_is_compiled_is_compiled_again_for_other_policies() {
    let with = |version, text: &str| {
        let list = json!([{"kind": "template", "name": "a", "channel": "sms", "text": text}]);
        PolicySet::build(version, documents(list)).unwrap()
    };
    let library = Library::default();
    let text = |policies: &PolicySet| {
        let context = context(None, policies, Given::default());
        library.render(policies, "a", None, &context).unwrap().text
    };
    let (old, new) = (with(1, "old"), with(2, "new"));
    assert_eq!([text(&old), text(&new), text(&new), text(&old)], ["old", "new", "new", "old"]);
}

fn shown(policies: &PolicySet, template: &str, language: &str, facts: &[(&str, &str)]) -> Preview {
    let customer = customer(facts);
    let whole = Whole { root: &customer, halves: Vec::new() };
    let context = context(Some(&whole), policies, Given::default());
    preview(policies, template, LanguageTag::parse(language), context).unwrap()
}

#[test]
fn a_preview_says_where_each_value_comes_from() {
    let shop = shop();
    let shown = shown(&shop, "hello", "en", &[("first_name", "Ada")]);
    let used = serde_json::to_value(&shown.used).unwrap();
    let of = |field: &str| {
        let row = used.as_array().unwrap().iter().find(|row| row["field"] == field).cloned();
        let row = row.unwrap_or_else(|| panic!("{field}: {used:#}"));
        (row["from"].as_str().unwrap().to_owned(), row["value"].as_str().unwrap_or_default().to_owned())
    };
    let is = |from: &str, value: &str| (from.to_owned(), value.to_owned());
    assert_eq!(of("customer.first_name"), is("fact", "Ada"));
    assert_eq!(of("customer.company"), is("default", "you"));
    assert_eq!(of("owner.full_name"), is("owner", "Li Wei"));
    assert_eq!(of("company.name"), is("settings", "Shop & Söhne"));
    assert_eq!(of("link.unsubscribe"), is("sample", "https://example.com/u/sample"));
    assert_eq!(shown.problems, Vec::<String>::new());
}

#[test]
fn a_preview_names_what_should_be_looked_at() {
    let shop = shop();
    let problems = |template: &str, language: &str, facts: &[(&str, &str)]| {
        shown(&shop, template, language, facts).problems
    };
    assert_eq!(problems("hello", "fr", &[]), ["there is no wording for fr, so the template's own is used"]);
    assert_eq!(problems("hello", "zh", &[]), ["layout/letter has no wording for zh, so its own is used"]);
    let bare = published(json!([
        {"kind": "template", "name": "bare", "subject": "{{ data.title }}",
         "html": "<a href=\"/pricing\">a</a><a href=\"javascript:alert(1)\">b</a><img src=\"logo.png\"><a href=\"#x\">c</a>"},
        {"kind": "template", "name": "call", "channel": "sms", "text": "Grüße 你好"},
    ]));
    assert_eq!(
        shown(&bare, "bare", "", &[]).problems,
        [
            "`data.title` was not given, so [data.title] stands in its place",
            "it has no link to stop such mails: put `link.unsubscribe` or `link.preferences` into it or its layout",
            "`/pricing` leads nowhere from a mail: write a whole address, https://…",
            "`logo.png` leads nowhere from a mail: write a whole address, https://…",
            "1 address that would run something instead of leading somewhere was taken out",
        ]
    );
    let sms = shown(&bare, "call", "", &[]).sms.unwrap();
    assert_eq!((sms.encoding, sms.segments), ("ucs2", 1));
}
