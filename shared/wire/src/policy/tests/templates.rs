//! Templates as people write them.

use super::{accepted, refused};
use expect_test::expect;
use sluice_domain::policy::Document;

#[test]
fn a_template_is_read_and_written_back() {
    let text = "\
kind: layout
name: letter
html: |
  <body>{{ content }}</body>
---
kind: template
name: welcome
language: en
layout: letter
subject: Hello {{ customer.first_name }}
html: |
  <p>Hello</p>
defaults: { customer.first_name: there, data.count: 3 }
translations:
  zh_hant: { subject: 您好, html: <p>您好</p> }
";
    let documents = accepted(text);
    let [_, Document::Template(template)] = documents.as_slice() else { panic!("two documents") };
    assert_eq!(template.html.as_deref(), Some("<p>Hello</p>\n"));
    assert_eq!(template.defaults["data.count"], 3);
    assert_eq!(template.translations.keys().map(ToString::to_string).collect::<Vec<_>>(), ["zh-Hant"]);
    for document in documents {
        assert_eq!(Document::from_json(document.to_json()).unwrap(), document);
    }
}

#[test]
fn a_mistake_inside_a_block_is_pointed_at() {
    refused(
        "\
kind: template
name: a
subject: Hi {{ customer.frist_name }}
text: |-
  Dear {{ customer.last_name | uper }},

    your company {{ customer.company }} …
translations:
  zh:
    subject: '你好 {{ customer. }}'
    text: |
      你好，{% set a = 1 %}
  de:
    subject: >
      Guten Tag
      {{ foo }}
    text: \"{{ foo }}\"
",
        &expect![[r#"
            p.yaml:3:16: there is no `customer.frist_name`; did you mean `customer.first_name`?
                3 | subject: Hi {{ customer.frist_name }}
                  |                ^
            p.yaml:5:32: there is no filter `uper`; usual ones are default, upper, lower, title, capitalize, trim, replace, join, first, last, length, round, urlencode
                5 |   Dear {{ customer.last_name | uper }},
                  |                                ^
            p.yaml:10:31: not a template: unexpected end of variable block, expected identifier or integer
               10 |     subject: '你好 {{ customer. }}'
                  |                                 ^
            p.yaml:12:13: `set` is not for templates: a template sets nothing; write a value where it is printed
               12 |       你好，{% set a = 1 %}
                  |                ^
            p.yaml:15:7: there is no `foo`; fields begin with `customer`, `owner`, `company`, `link`, `lead`, `event`, `data` (line 1, column 14 of the value)
               15 |       Guten Tag
                  |       ^
            p.yaml:17:15: there is no `foo`; fields begin with `customer`, `owner`, `company`, `link`, `lead`, `event`, `data`
               17 |     text: "{{ foo }}"
                  |               ^
        "#]],
    );
}

#[test]
fn braces_at_the_beginning_want_quotes() {
    refused(
        "kind: template\nname: a\nsubject: {{ customer.email }}, welcome\ntext: a\n",
        &expect![[r#"
            p.yaml:3:11: a key is a word, not a list or a mapping (a text that begins with `{` goes in quotes: "{{ … }}")
                3 | subject: {{ customer.email }}, welcome
                  |           ^
            p.yaml:3:30: not YAML: while parsing a block mapping, did not find expected key (a text that begins with `{` goes in quotes: "{{ … }}")
                3 | subject: {{ customer.email }}, welcome
                  |                              ^
        "#]],
    );
    refused(
        "kind: template\nname: a\nsubject: Hello\ntext: {{ customer.email }}\n",
        &expect![[r#"
            p.yaml:4:7: expected text, found a mapping
                4 | text: {{ customer.email }}
                  |       ^
            p.yaml:4:8: a key is a word, not a list or a mapping (a text that begins with `{` goes in quotes: "{{ … }}")
                4 | text: {{ customer.email }}
                  |        ^
        "#]],
    );
    refused(
        "kind: template\nname: a\nsubject: {% if customer.email %}Hello{% endif %}\ntext: a\n",
        &expect![[r#"
            p.yaml:3:11: not YAML: unexpected character: `%' (a text that begins with `{` goes in quotes: "{{ … }}")
                3 | subject: {% if customer.email %}Hello{% endif %}
                  |           ^
        "#]],
    );
}

#[test]
fn what_is_misspelt_is_told_with_what_was_meant() {
    refused(
        "kind: template\nname: a\nsubjct: a\nlayout: letter\nchannel: mail\nlanguage: english\ntext: a\ntranslations:\n  klingon: { text: a }\n  de: { reply_to: a, htlm: b }\n",
        &expect![[r#"
            p.yaml:3:1: unknown field `subjct` (did you mean `subject`?)
                3 | subjct: a
                  | ^
            p.yaml:4:9: there is no layout `letter` (known: none)
                4 | layout: letter
                  |         ^
            p.yaml:5:10: `mail` is none of the words for this (did you mean `email`?)
                5 | channel: mail
                  |          ^
            p.yaml:6:11: `english` is no language; write a tag such as `de`, `pt-BR` or `zh-Hant`
                6 | language: english
                  |           ^
            p.yaml:9:3: `klingon` is no language; write a tag such as `de`, `pt-BR` or `zh-Hant`
                9 |   klingon: { text: a }
                  |   ^
            p.yaml:10:9: unknown field `reply_to` (known: subject, preheader, from_name, html, text, defaults)
               10 |   de: { reply_to: a, htlm: b }
                  |         ^
            p.yaml:10:22: unknown field `htlm` (did you mean `html`?)
               10 |   de: { reply_to: a, htlm: b }
                  |                      ^
        "#]],
    );
}
