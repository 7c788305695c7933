//! The text of a mail that has none of its own.

use crate::template::text::from_html;

#[test]
fn html_becomes_text_that_one_likes_to_read() {
    let html = "<head><style>p { color: red }</style><title>T</title></head>\n<body>\n\
        <div style=\"display: none\">Preheader<br>more</div>\n<h1>Good  to\n meet you</h1>\n\
        <p>First line<br>second &amp; third&nbsp;line</p>\n<ul>\n<li>One</li><li><a href=\"https://a.example/\">Two</a>\n\
        <ol start=3><li>inner</li><li>other</li></ol></li></ul>\n<h2>报价 2026</h2><p>你好\n世界 and more</p>\
        <blockquote><p>They said</p><p>so</p></blockquote><table><tr><td>Price</td><td>12 €</td></tr><tr><td>Sum</td>\
        <td>24 €</td></tr></table><hr><pre>a\n  b</pre><p><img src=\"x\" alt=\"Our logo\"> &copy; us</p></body>";
    let expected = "\
Good to meet you
================

First line
second & third line

- One
- Two (https://a.example/)
  3. inner
  4. other

报价 2026
---------

你好世界 and more

> They said
>
> so

Price 12 €
Sum 24 €

----------

a
  b

Our logo © us";
    assert_eq!(from_html(html), expected);
}

#[test]
fn the_address_of_a_link_stands_behind_its_label() {
    for (html, text) in [
        ("<a href=\"https://a.example/x\">Here</a>.", "Here (https://a.example/x)."),
        ("<a href=\"https://a.example/x\">https://a.example/x</a>", "https://a.example/x"),
        ("<a href=\"https://a.example/\">a.example</a>", "a.example (https://a.example/)"),
        ("<a href=\"mailto:a@b.example\">a@b.example</a>", "a@b.example"),
        ("<a href=\"mailto:a@b.example\">Write</a>", "Write (a@b.example)"),
        ("<a href=\"tel:+49123\">Call</a>", "Call (+49123)"),
        ("<a href=\"#x\">Up</a>", "Up"),
        ("<a href=\"https://a.example\"><img alt=\"Logo\"></a>", "Logo (https://a.example)"),
        ("<a href=\"https://a.example\"><img></a>", "https://a.example"),
        ("<a href=\"https://a.example/漢 x\">L</a>", "L (https://a.example/%E6%BC%A2%20x)"),
        ("<a href=\"https://a.example\">open", "open (https://a.example)"),
    ] {
        assert_eq!(from_html(html), text, "{html}");
    }
}

#[test]
fn what_is_not_for_reading_is_left_out() {
    for html in [
        "<p>a<span hidden>b</span></p>",
        "<div style=\"DISPLAY : none\"><div>b</div>c</div>a",
        "a<script>b</script><style>c</style>",
        "a<!-- b -->",
        "\u{200b}a&#847;&shy;",
    ] {
        assert_eq!(from_html(html), "a", "{html}");
    }
}

#[test]
fn a_button_that_one_mail_program_alone_does_not_show_is_in_the_text() {
    let html = "<!--[if mso]><v:roundrect href=\"https://a.example/x\">Go</v:roundrect><![endif]-->\
        <a href=\"https://a.example/x\" style=\"padding:9px; mso-hide:all;\">Go</a>";
    assert_eq!(from_html(html), "Go (https://a.example/x)");
}
