//! What a template may cost, whoever wrote it.

use super::*;
use crate::template::library::environment;
use minijinja::{ErrorKind, context};

/// Lists are not printed, however long they would be.
#[test]
fn what_fuel_does_not_see_is_refused() {
    for source in ["{{ [1] }}", "{{ {'a': 1} }}", "{{ range(9) }}"] {
        let tried = environment().template_from_named_str("html:a", source).unwrap().render(context! {});
        assert_eq!(tried.map_err(|error| error.kind()), Err(ErrorKind::InvalidOperation), "{source}");
    }
    let list = json!([{"kind": "template", "name": "a", "subject": "s", "html": "{{ ('' ~ [1] * 90000000) | length }}"}]);
    assert_eq!(findings(list).len(), 1);
}

/// What reads a template calls itself for each link of a chain and each block in a block: neither may take the stack.
#[test]
fn chains_and_blocks_that_nobody_writes_are_refused_before_they_are_read() {
    let chains = ["|upper", "+1", "~'a'", ".a", "[0]", "-1", " or a"]
        .map(|link| format!("{{{{ a{} }}}}", link.repeat(50_000 / link.len())));
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(3_000), close.repeat(3_000));
    let blocks = [
        format!("{{{{ {}a }}}}", "not ".repeat(10_000)),
        format!("{{{{ {}a }}}}", "-".repeat(50_000)),
        format!("{{{{ {}a{} }}}}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(3_000)),
        nested("{% if a %}", "{% endif %}"),
        nested("{% for a in b %}", "{% endfor %}"),
        nested("{% with a = 1 %}", "{% endwith %}"),
        nested("{% filter upper %}", "{% endfilter %}"),
    ];
    for source in chains.iter().chain(&blocks) {
        let list = json!([{"kind": "template", "name": "a", "subject": "s", "text": source}]);
        let found: Vec<String> = findings(list).iter().map(|finding| finding.message.clone()).collect();
        assert!(found.len() == 1 && found[0].contains("at most"), "{}: {found:?}", &source[..40]);
    }
    let fine = format!("{}{{{{ data.a }}}}{}", "{% if data.a %}".repeat(40), "{% endif %}".repeat(40));
    let many = "{% if data.a %}{{ data.a|upper }}{% elif data.b %}b{% endif %}".repeat(500);
    for source in [fine, many] {
        let list = json!([{"kind": "template", "name": "a", "subject": "s", "text": source}]);
        assert_eq!(findings(list), [], "{}", &source[..40]);
    }
}

#[test]
fn numbers_are_multiplied() {
    let env = environment();
    for (source, result) in [
        ("{{ 3 | times(4) }}", "12"),
        ("{{ 2.5 | times(2) }}", "5.0"),
        ("{{ 2 | times(9223372036854775807) }}", "18446744073709552000.0"),
    ] {
        assert_eq!(
            env.template_from_named_str("text:a", source).unwrap().render(context! {}).unwrap(),
            result
        );
    }
    assert!(
        env.template_from_named_str("text:a", "{{ 'a' | times(2) }}").unwrap().render(context! {}).is_err()
    );
}

/// Templates that publication refuses, in an environment of ours all the same: fuel is what is left.
#[test]
fn fuel_bounds_time_and_memory() {
    let doubling =
        (0..40).fold("{% with a = 'aaaaaaaa' %}".to_owned(), |all, _| format!("{all}{{% with a = a ~ a %}}"));
    let doubling = format!("{doubling}{{{{ a }}}}{}", "{% endwith %}".repeat(41));
    let bombs = [
        "{% for i in range(100000) %}{% for j in range(100000) %}xxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
        "{{ 'a' * 90000000 }}",
        "{{ ('a' * 1000)|replace('a', 'b' * 1000)|replace('b', 'c' * 1000) }}",
        "{{ '%0900000000d'|format(1) }}",
        "{{ 'a'|indent(900000000) }}",
        "{{ range(100000)|list|join('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') }}",
        "{% filter upper %}{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}{% endfilter %}",
        &doubling,
    ];
    let env = environment();
    for bomb in bombs {
        let rendered = env.template_from_named_str("html:bomb", bomb).unwrap().render(context! {});
        let short: String = bomb.chars().take(80).collect();
        assert_eq!(
            rendered.map(|text| text.len()).map_err(|error| error.kind()),
            Err(ErrorKind::OutOfFuel),
            "{short}"
        );
    }
}

#[test]
fn a_message_that_grows_too_large_is_a_reason_with_a_place() {
    let shop = published(json!([
        {"kind": "template", "name": "list", "subject": "s", "html": "<ul>\n{% for a in data.all %}<li>{{ a }}</li>{% endfor %}"},
    ]));
    let given =
        |n: usize| Given { data: json!({"all": vec!["a thousand".repeat(100); n]}), ..Given::default() };
    let message = render_given(&shop, "list", &[], given(200)).unwrap();
    assert!(message.html.unwrap().len() > 200_000);
    let failure = render_given(&shop, "list", &[], given(5_000)).unwrap_err();
    assert_eq!((failure.reason, failure.place.unwrap().line), (Reason::TooMuch, 2));
}

#[test]
fn escaping_cannot_be_turned_off() {
    let env = environment();
    for source in [
        "{% autoescape false %}{{ x }}{% endautoescape %}",
        "{{ x|e|string }}",
        "{% filter upper %}{{ x }}{% endfilter %}",
        "{{ [x]|join(x) }}",
        "{{ x|replace('b', x) }}",
        "{{ x ~ x }}",
    ] {
        let html =
            env.template_from_named_str("html:a", source).unwrap().render(context! { x => "<b>&" }).unwrap();
        assert!(!html.contains('<') && !html.contains("&&"), "{source}: {html}");
    }
    for source in ["{{ x|safe }}", "{{ x|pprint }}", "{{ namespace() }}", "{{ debug() }}"] {
        let tried = env.template_from_named_str("html:a", source).unwrap().render(context! { x => 1 });
        assert!(tried.is_err(), "{source}");
    }
}

#[test]
fn deep_sources_are_refused_and_do_no_harm() {
    for source in
        ["{% if 1 %}".repeat(30_000), format!("{{{{ {}1 }}}}", "(".repeat(90_000)), "{{ 1 + ".repeat(20_000)]
    {
        let list = json!([{"kind": "template", "name": "a", "subject": "s", "html": source}]);
        assert_eq!(findings(list).len(), 1);
    }
}
