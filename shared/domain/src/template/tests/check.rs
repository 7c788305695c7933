//! What publication finds.

use super::*;

/// Findings as `document path line:column: message`.
fn said(list: Value) -> Vec<String> {
    let documents = documents(list);
    let found = crate::policy::check(&documents);
    found
        .iter()
        .map(|finding| {
            let at = finding.within.map_or(String::new(), |(line, column)| format!(" {line}:{column}"));
            let document = documents[finding.document].path();
            format!("{document} {}{at}: {}", finding.path.join("."), finding.words())
        })
        .collect()
}

fn html(html: &str) -> Vec<String> {
    said(json!([{"kind": "template", "name": "a", "subject": "s", "html": html}]))
        .into_iter()
        .map(|said| said.replace("template/a html ", ""))
        .collect()
}

#[test]
fn a_mistake_is_told_at_its_place() {
    for (source, expected) in [
        (
            "<p>\n  {{ customer.name | }}",
            "2:22: not a template: unexpected end of variable block, expected identifier",
        ),
        ("{% if customer.name %}", "1:21: not a template: unexpected end of input, expected end of block"),
        ("<b>日本 {{ 'x }}", "1:15: not a template: unexpected end of string"),
        (
            "a\n{{ customer.frist_name }}",
            "2:4: there is no `customer.frist_name`; did you mean `customer.first_name`?",
        ),
        ("{{ first_name }}", "1:4: there is no `first_name`; did you mean `customer.first_name`?"),
        ("{{ customer }}", "1:4: `customer` is no text; name one of its fields, such as `customer.email`"),
        (
            "{{ customer['email'] }}",
            "1:4: `customer` is no text; name one of its fields, such as `customer.email`",
        ),
        ("{{ customer.email }}{% for fact in customer %}x{% endfor %}", "1:4: `customer` is no text"),
        ("{{ content }}", "1:4: only a layout has `content`"),
        ("{{ customer.password[0:3] }}", "1:4: there is no `customer.password`; customer has"),
        ("{{ 'a' | uper }}", "1:10: there is no filter `uper`; usual ones are default, upper"),
        ("{{ customer.email | safe }}", "1:21: there is no filter `safe`"),
        ("{% if customer.email is emtpy %}{% endif %}", "1:25: there is no test `emtpy`"),
        ("{% if 1 is not nothing %}{% endif %}", "1:16: there is no test `nothing`"),
        ("{{ customer.email.upper() }}", "1:4: `customer.email.upper` cannot be called"),
        ("{{ debug() }}", "1:4: `debug` cannot be called"),
        ("{% include 'foot' %}", "1:13: there is no partial `foot` (known: none)"),
        ("{% include data.x %}", "1:1: an include names one partial"),
        ("{% include ['a', 'b'] %}", "1:1: an include names one partial"),
        ("{% include 'a' ignore missing %}", "1:1: an include names one partial"),
        ("{% set a = 1 %}", "1:4: `set` is not for templates: a template sets nothing"),
        ("{%- set a %}{% endset -%}", "1:5: `set` is not for templates"),
        ("{% with a = 1 %}{% endwith %}", "1:4: `with` is not for templates"),
        ("{% macro a() %}{% endmacro %}", "1:4: `macro` is not for templates: what several templates share"),
        (
            "{% extends 'a' %}",
            "1:4: `extends` is not for templates: what is around a template is its `layout:`",
        ),
        ("{% autoescape false %}{{ 1 }}{% endautoescape %}", "1:4: `autoescape` is not for templates"),
        ("{% filter upper %}{% endfilter %}", "1:4: `filter` is not for templates"),
        ("{% import 'a' as b %}", "1:4: `import` is not for templates"),
        ("{{ [1] * 9 }}", "1:8: `*` is not for templates"),
        ("{{ range(*data.x) }}", "1:10: `*` is not for templates"),
        ("{% foo %}", "1:4: `foo` is not for templates: there are if, for and include"),
        ("{% for data in event.all %}{{ data }}{% endfor %}", "1:8: `data` has a meaning already"),
    ] {
        let found = html(source);
        assert!(found.first().is_some_and(|first| first.starts_with(expected)), "{source}: {found:#?}");
    }
}

#[test]
fn a_subject_cannot_hold_itself() {
    let found = said(
        json!([{"kind": "template", "name": "a", "subject": "{{ subject }} {{ data.x }}", "text": "{{ subject }}"}]),
    );
    assert_eq!(found, ["template/a subject 1:4: `subject` is for `html` and `text`"]);
}

#[test]
fn a_field_in_html_stands_where_it_can_only_be_text() {
    for (source, column) in [
        ("<a href={{ customer.email }}>", 9),
        ("<p {{ customer.email }}>", 4),
        ("<p {{ customer.email }}=\"1\">", 4),
        ("<{{ customer.email }}>", 2),
        ("<p data-{{ customer.email }}=\"1\">", 9),
        ("<style>a { color: {{ customer.email }} }</style>", 19),
        ("<p onclick=\"x('{{ customer.email }}')\">", 16),
        ("<a href={% include \"p\" %}>", 9),
    ] {
        let partial = json!({"kind": "partial", "name": "p", "html": "x"});
        let template = json!({"kind": "template", "name": "a", "subject": "s", "html": source});
        let found = said(json!([partial, template]));
        assert_eq!(found.len(), 1, "{source}: {found:#?}");
        assert!(found[0].starts_with(&format!("template/a html 1:{column}: ")), "{source}: {found:#?}");
    }
    for source in [
        "<a href=\"{{ customer.email }}\" title='{{ customer.email }}'>{{ customer.email }}</a>",
        "<a href=\"{% if customer.email == \"a\" %}https://a.example{% else %}https://b.example{% endif %}\">x</a>",
        "<!-- {{ customer.email }} --><title>{{ customer.email }}</title>",
        "{# {{ nothing.at.all }} #}{% raw %}{{ nothing }}{% endraw %}",
    ] {
        assert_eq!(html(source), Vec::<String>::new(), "{source}");
    }
    assert!(html("<script>x</script>")[0].contains("mail programs run no `<script>`"));
}

#[test]
fn a_field_that_somebody_may_lack_has_a_default_or_is_asked_for() {
    let lacking = |field: &str| format!("`{field}` may be missing: give it a default");
    for (source, fields) in [
        ("{{ customer.first_name }}", &["customer.first_name"][..]),
        ("{{ customer.first_name | upper }}", &["customer.first_name"]),
        ("{{ customer.first_name | default('you') }}", &[]),
        ("{% if customer.company %}{{ customer.company }}{% endif %}", &[]),
        ("{% if customer.company is defined %}{{ customer.company }}{% endif %}", &[]),
        ("{% if customer.company %}{{ customer.city }}{% endif %}", &["customer.city"]),
        ("{% if customer.company %}a{% else %}{{ customer.city }}{% endif %}", &["customer.city"]),
        ("{{ customer.email }} {{ link.confirm }} {{ data.x }} {{ event.a }}", &[]),
        ("{{ owner.full_name }}{{ lead.fields.size }}", &["owner.full_name", "lead.fields.size"]),
        ("{{ customer.external_id.crm }}", &["customer.external_id.crm"]),
        ("{% for x in data.list %}{{ x.name | upper }}{{ customer.city }}{% endfor %}", &["customer.city"]),
        ("{{ data.price | times(3) + 1 }}{{ customer.city }}", &["customer.city"]),
        (
            "{% for x in event.list if x.size > 3 %}{% if x.kind == 'a' %}{{ x.name }}{% endif %}{% endfor %}",
            &[],
        ),
    ] {
        let found = html(source);
        assert_eq!(found.len(), fields.len(), "{source}: {found:#?}");
        for field in fields {
            assert!(found.iter().any(|said| said.contains(&lacking(field))), "{source}: {found:#?}");
        }
    }
    let settings = json!({"kind": "settings", "company": {"name": "Shop"}});
    let template = json!({"kind": "template", "name": "a", "subject": "{{ company.name }}", "text": "{{ company.address }}"});
    assert_eq!(
        said(json!([settings, template])),
        [
            "template/a text 1:4: `company.address` is not in the settings: write it there (`company: { address: … }`)"
        ]
    );
}

#[test]
fn defaults_are_of_fields() {
    let found = said(json!([{"kind": "template", "name": "a", "subject": "s", "text": "t", "defaults": {
        "customer.frist_name": "x", "customer": "x", "link.confirm": "x", "data": "x", "customer.city": "x"}}]));
    let paths: Vec<&str> = found.iter().filter_map(|said| said.split(": ").next()).collect();
    assert_eq!(
        paths,
        [
            "template/a defaults.customer",
            "template/a defaults.customer.frist_name",
            "template/a defaults.data",
            "template/a defaults.link.confirm"
        ]
    );
}

#[test]
fn a_translation_is_whole() {
    let found = said(json!([
        {"kind": "template", "name": "a", "language": "en", "subject": "s", "preheader": "p", "html": "h", "text": "t",
         "translations": {
            "en": {"subject": "s", "preheader": "p", "html": "h", "text": "t"},
            "de": {"subject": "s", "html": "h"},
            "fr": {"preheader": "p", "text": "t", "from_name": "x"}}},
        {"kind": "layout", "name": "l", "html": "{{ content }}", "text": "{{ content }}", "translations": {"de": {"html": "{{ content }}"}}},
    ]));
    assert_eq!(
        found,
        [
            "template/a translations.de: this translation has no `preheader`",
            "template/a translations.en: en is the language of the template itself",
            "template/a translations.fr: this translation has no `subject`",
            "template/a translations.fr: this translation has no `html`",
            "template/a translations.fr.from_name: only this translation has a `from_name`",
            "layout/l translations.de: this translation has no `text`",
        ]
    );
}

#[test]
fn a_template_has_what_its_channel_needs() {
    let found = said(json!([
        {"kind": "template", "name": "a"},
        {"kind": "template", "name": "b", "channel": "sms", "subject": "s", "html": "h"},
        {"kind": "template", "name": "c", "subject": "s", "text": "t", "layout": "none"},
        {"kind": "layout", "name": "l", "html": "<p>no place</p>"},
        {"kind": "partial", "name": "p"},
    ]));
    assert_eq!(
        found,
        [
            "template/a : a mail needs a `subject`",
            "template/a : a mail needs `html`, `text` or both",
            "template/b subject: a template for sms has a `text` and no `subject`",
            "template/b html: a template for sms has a `text` and no `html`",
            "template/b : a template for sms needs a `text`",
            "template/c layout: there is no layout `none` (known: l)",
            "layout/l html: a layout says where what it is around stands: `{{ content }}`",
            "partial/p : this needs `html`, `text` or both",
        ]
    );
}

#[test]
fn partials_are_there_have_the_part_and_go_in_no_circle() {
    let found = said(json!([
        {"kind": "template", "name": "a", "subject": "{% include 'one' %}", "html": "{% include 'one' %}", "text": "{% include 'one' %}"},
        {"kind": "partial", "name": "one", "html": "{% include 'two' %}"},
        {"kind": "partial", "name": "two", "html": "x", "translations": {"de": {"html": "{% include 'one' %}"}}},
        {"kind": "partial", "name": "self", "text": "{% include 'self' %}"},
    ]));
    assert_eq!(
        found,
        [
            "template/a subject 1:1: partials are for `html` and `text`",
            "template/a text 1:13: the partial `one` has no `text`",
            "partial/one name: one includes itself",
            "partial/two name: two includes itself",
            "partial/self name: self includes itself",
        ]
    );
}

#[test]
fn what_is_wrong_in_a_layout_or_partial_is_told_there_and_once() {
    let piece = |kind: &str, html: &str| json!({"kind": kind, "name": "p", "html": html});
    let template = |name: &str| json!({"kind": "template", "name": name, "subject": "s", "layout": "p", "html": "{% include 'p' %}"});
    let found = said(json!([
        template("a"),
        template("b"),
        piece("layout", "{{ content }}\n{{ owner.full_name }}"),
        piece("partial", "{{ customer.city }}")
    ]));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("partial/p html 1:4: `customer.city` may be missing"), "{found:#?}");
    assert!(found[1].starts_with("layout/p html 2:4: `owner.full_name` may be missing"), "{found:#?}");
}
