//! Links: found, replaced, left alone.

use super::*;
use crate::template::{rewrite_links, with_open_pixel};
use proptest::prelude::*;

fn mail(html: &str) -> Rendered {
    let shop = PolicySet::build(
        1,
        documents(json!([{"kind": "template", "name": "a", "subject": "s", "html": format!("{{% raw %}}{html}{{% endraw %}}")}])),
    )
    .unwrap();
    render(&shop, "a", &[]).unwrap()
}

#[test]
fn each_address_is_asked_for_once_and_replaced_everywhere() {
    let mut message = mail(
        "<A HREF='https://a.example/?x=1&amp;y=2'>A</A> <a href=https://b.example>B</a> <a href=\" https://a.example/?x=1&y=2\n\">A</a>\
         <map><area href=\"http://c.example/#part\"></map> See https://d.example/x, please.",
    );
    assert_eq!(
        message.links,
        ["https://a.example/?x=1&y=2", "https://b.example", "http://c.example/#part", "https://d.example/x"]
    );
    let mut asked = Vec::new();
    rewrite_links(&mut message, |at, url| {
        asked.push((at, url.to_owned()));
        format!("https://go.example/c/{at}?q=\"<&'")
    });
    assert_eq!(asked.len(), 4);
    let html = message.html.unwrap();
    let to = |n: usize| format!("https://go.example/c/{n}?q=&quot;&lt;&amp;&#39;");
    assert_eq!(
        html,
        format!(
            "<A HREF='{}'>A</A> <a href=\"{}\">B</a> <a href=\"{}\">A</a><map><area href=\"{}\"></map> See https://d.example/x, please.",
            to(0),
            to(1),
            to(0),
            to(2)
        )
    );
    let text = |n: usize| format!("https://go.example/c/{n}?q=\"<&'");
    assert_eq!(
        message.text,
        format!("A ({}) B ({}) A ({}) See {}, please.", text(0), text(1), text(0), text(3))
    );
}

#[test]
fn addresses_beyond_what_is_written_down_with_a_message_are_not_counted() {
    let url = |n: usize| format!("https://shop.example/{n:0>1479}");
    assert_eq!(url(7).len(), 1_500);
    let html: String = (0..60).map(|n| format!("<a href=\"{}\">x</a>", url(n))).collect();
    let text: String = (20..110).map(|n| format!("{} ", url(n))).collect();
    let counted: Vec<String> = (0..100).map(url).collect();
    assert_eq!(
        super::super::link::collect(Some(&html), &format!("{text}https://shop.example/"), &[]),
        counted
    );
    let short: String = (0..600).map(|n| format!("https://shop.example/{n} ")).collect();
    assert_eq!(super::super::link::collect(None, &short, &[]).len(), 500);
}

#[test]
fn what_leads_to_no_page_and_the_recipients_own_links_stay() {
    let html = "<a href=\"mailto:a@shop.example\">m</a><a href=\"tel:+491\">t</a><a href=\"#top\">u</a><a name=\"x\">n</a>\
                <a href=\"\">e</a><a href>e</a><a href=\"https://go.example/u/1?a=1&amp;b=2\">stop</a><link href=\"https://css.example\">\
                <img src=\"https://img.example/a.png\"><!-- <a href=\"https://comment.example\"> --><a href=\"/x\">r</a>";
    let mut message = mail(html);
    let before = message.clone();
    rewrite_links(&mut message, |_, url| panic!("{url}"));
    assert_eq!(message, before);
}

#[test]
fn nothing_runs_where_it_is_opened() {
    for (html, stays) in [
        ("<a href=\"javascript:alert(1)\">", false),
        ("<a href=\" java\nscript:alert(1)\">", false),
        ("<a href=\"&#106;avascript&colon;alert(1)\">", false),
        ("<a href=JaVaScRiPt:alert(1)>", false),
        ("<a href=\"\u{1}javascript:alert(1)\">", false),
        ("<img src=\"vbscript:x\">", false),
        ("<a href=\"data:text/html,x\">", false),
        ("<img src=\"data:image/png;base64,AA\">", true),
        ("<a href=\"https://a.example/javascript:\">", true),
    ] {
        let out = mail(html).html.unwrap();
        assert_eq!(out == html.replace('\u{1}', ""), stays, "{html}: {out}");
        assert!(stays || out.contains("\"#\""), "{html}: {out}");
    }
    let shop = published(json!([{"kind": "template", "name": "a", "subject": "s",
        "html": "<a href=\"{{ customer.website }}\">your site</a>", "defaults": {"customer.website": "https://shop.example"}}]));
    let message = render(&shop, "a", &[("website", "javascript:alert(document.cookie)//")]).unwrap();
    assert_eq!(message.html.as_deref(), Some("<a href=\"#\">your site</a>"));
    assert_eq!((message.text.as_str(), message.links.len()), ("your site", 0));
}

#[test]
fn addresses_in_text_end_where_people_see_their_end() {
    let text = "见https://a.example/x。(https://b.example/w_(y)) [https://c.example/]! https://d.example/a_b_, \
                xhttps://no.example HTTP://e.example/? http:// https://f.example/straße";
    let shop = published(json!([{"kind": "template", "name": "a", "channel": "sms", "text": text}]));
    let mut message = render(&shop, "a", &[]).unwrap();
    assert_eq!(
        message.links,
        [
            "https://a.example/x",
            "https://b.example/w_(y)",
            "https://c.example/",
            "https://d.example/a_b_",
            "HTTP://e.example/",
            "https://f.example/straße"
        ]
    );
    rewrite_links(&mut message, |at, _| format!("<{at}>"));
    assert_eq!(message.text, "见<0>。(<1>) [<2>]! <3>, xhttps://no.example <4>? http:// <5>");
}

#[test]
fn a_picture_at_the_end_tells_that_it_was_opened() {
    let pixel = |html: &str| with_open_pixel(html, "https://go.example/o/1?a=1&b=2");
    let img = "<img src=\"https://go.example/o/1?a=1&amp;b=2\" width=\"1\" height=\"1\" alt=\"\"";
    assert!(pixel("<body><p>a</p></BODY></html>").starts_with(&format!("<body><p>a</p>{img}")));
    assert!(pixel("<body><p>a</p></BODY></html>").ends_with("</BODY></html>"));
    assert!(pixel("<p>a</p>").starts_with(&format!("<p>a</p>{img}")));
}

/// HTML as nobody should write it.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<a href=\"https://a.example/?a=1&amp;b=2\">"),
        Just("<a href='http://b.example'>"),
        Just("<a href=https://c.example/d>"),
        Just("<a href=\"https://e.example"),
        Just("<a title=\"x>\" href = \"https://f.example\" href='https://g.example'>"),
        Just("</a href=\"https://h.example\">"),
        Just("<a/href=https://i.example/>"),
        Just("<!-- "),
        Just("-->"),
        Just("<style>"),
        Just("</style>"),
        Just("<![CDATA["),
        Just("<title>"),
        Just("&lt;a href=&quot;"),
        Just("\""),
        Just("'"),
        Just(">"),
        Just("<"),
        Just("ß漢\u{0}\r\n"),
        Just("=\t"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn hostile_html_keeps_its_structure_when_links_are_replaced(html in soup()) {
        let mut message = mail(&html);
        let before = message.html.clone().unwrap();
        let links = message.links.len();
        let in_html = super::super::link::collect(Some(&before), "", &[]).len();
        rewrite_links(&mut message, |at, _| format!("https://go.example/c/{at}\"'<>"));
        let after = message.html.unwrap();
        prop_assert_eq!(structure(&before), structure(&after));
        let again = super::super::link::collect(Some(&after), "", &[]);
        prop_assert_eq!(again.len(), in_html, "{} -> {}", before, after);
        prop_assert!(again.iter().all(|url| url.starts_with("https://go.example/c/")), "{:?}", again);
        prop_assert!(links >= in_html);
    }

    #[test]
    fn any_html_becomes_text(html in any::<String>()) {
        let text = super::super::text::from_html(&html);
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    }
}
