//! How a file is written: syntax, places, aliases, and what is never shown.

use super::{accepted, errors, refused, routing};
use expect_test::expect;

#[test]
fn text_stays_as_it_was_written() {
    let documents =
        accepted("kind: settings\nname: default\njunk:\n  phones: [+14155550100, 007]\n  emails: [no]");
    assert_eq!(documents[0].to_json()["junk"]["phones"], serde_json::json!(["+14155550100", "007"]));
    assert_eq!(documents[0].to_json()["junk"]["emails"], serde_json::json!(["no"]));
}

#[test]
fn a_file_of_comments_or_of_nothing_holds_no_document() {
    assert_eq!(accepted("# later\n---\n---\n"), []);
    assert_eq!(accepted(""), []);
}

#[test]
fn an_alias_stands_for_what_it_names() {
    let documents = accepted(
        "kind: form\nname: a\nfields: &map { email: [mail] }\n---\nkind: form\nname: b\nfields: { email: &e [m], phone: *e }",
    );
    assert_eq!(documents[1].to_json()["fields"]["phone"], serde_json::json!(["m"]));
}

#[test]
fn a_repeated_key_is_an_error() {
    refused(
        "kind: rep\nname: a\nname: b\n",
        &expect![[r#"
        p.yaml:3:1: `name` is here twice; the first is on line 2
            3 | name: b
              | ^
    "#]],
    );
}

#[test]
fn a_condition_in_flow_style_ends_at_a_bracket() {
    refused(
        &routing("  - { name: a, when: lead.country in [\"DE\", \"AT\"], assign: { team: dach } }"),
        &expect![[r#"
            p.yaml:12:38: not YAML: while parsing a flow mapping, did not find expected ',' or '}' (inside { } a condition ends at the first bracket or comma: put the whole condition in quotes, or write the rule in block style)
               12 |   - { name: a, when: lead.country in ["DE", "AT"], assign: { team: dach } }
                  |                                      ^
        "#]],
    );
    refused(
        &routing("  - { name: a, when: lead.a.startsWith(b, c), end: spam }"),
        &expect![[r#"
            p.yaml:12:41: not a condition: it ends too early, expecting ')' (a condition is CEL over `lead`, `customer`: see Policies in the README)
               12 |   - { name: a, when: lead.a.startsWith(b, c), end: spam }
                  |                                         ^
            p.yaml:12:43: unknown field `c)` (inside { } a comma ends a value: put a condition that holds one in quotes)
               12 |   - { name: a, when: lead.a.startsWith(b, c), end: spam }
                  |                                           ^
        "#]],
    );
    refused(
        &routing("  - name: a\n    when: \"a\" == lead.source"),
        &expect![[r#"
        p.yaml:13:15: not YAML: invalid trailing content after double-quoted scalar (put the whole condition in single quotes: without them it may not hold `: `, and nothing may follow a closing quote)
           13 |     when: "a" == lead.source
              |               ^
    "#]],
    );
    refused(
        &routing("  - name: a\n    when: !has(lead.email)"),
        &expect![[r#"
        p.yaml:13:11: what starts with `!` is a YAML tag, and policies have none (a condition that starts with `!` goes in quotes)
           13 |     when: !has(lead.email)
              |           ^
    "#]],
    );
}

#[test]
fn a_secret_written_down_is_refused_and_never_shown() {
    let cases = [
        "kind: source\nname: a\ntype: meta\nsecrets: { app_secret: [hunter2] }\n",
        "kind: source\nname: a\ntype: meta\nsecrets:\n  app_secret: hunter2\n",
        "kind: source\nname: a\ntype: meta\nsecrets:\n  app_secret:\n    - |\n      hunter2\n",
        "kind: source\nname: a\ntype: meta\nsecrets: hunter2\n",
        "kind: source\nname: a\ntype: meta\nsecrets: { app_secret: [hunter2 }\n",
        "kind: source\nname: a\ntype: meta\nsecrets:\n  app_secret:\n    - [hunter2\n",
        "kind: source\nname: a\ntype: meta\nsecrets:\n  verify_token: [env:A]\n  verify_token: [hunter2]\n",
        "kind: source\nname: a\ntype: meta\nsecrets:\n  verify_token: !x hunter2\n",
        "kind: source\nname: a\ntype: meta\nsecret: hunter2\n",
        "kind: rep\nname: a\nwebhook: { url: 'https://example.com', secrets: [hunter2], evnts: [] }\n",
    ];
    for text in cases {
        for error in errors(text) {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
    refused(
        cases[cases.len() - 1],
        &expect![[r#"
        p.yaml:3:49: a secret is a reference, `env:NAME` or `secret:NAME`, never the value
        p.yaml:3:60: unknown field `evnts` (known: url, secrets)
    "#]],
    );
}

#[test]
fn a_file_that_is_not_yaml_says_where() {
    refused(
        "kind: rep\nname: \"a\n",
        &expect![[r#"
        p.yaml:2:7: not YAML: while scanning a quoted scalar, found unexpected end of stream (look at the indentation, and put a text with `: `, ` #` or a leading `*` in quotes)
            2 | name: "a
              |       ^
    "#]],
    );
    refused(
        "kind: rep\n\tname: a\n",
        &expect![[r#"
        p.yaml:1:7: not YAML: while scanning a plain scalar, found a tab (indent with blanks, not with tabs)
            1 | kind: rep
              |       ^
    "#]],
    );
    refused(
        "kind: rep\nname: *nobody\n",
        &expect![[r#"
        p.yaml:2:7: not YAML: while parsing node, found unknown anchor (look at the indentation, and put a text with `: `, ` #` or a leading `*` in quotes)
            2 | name: *nobody
              |       ^
    "#]],
    );
    refused(
        "kind: rep\n[a]: b\nname: a\n",
        &expect![[r#"
        p.yaml:2:1: a key is a word, not a list or a mapping
            2 | [a]: b
              | ^
    "#]],
    );
    refused(
        "kind: form\nname: a\nfields:\n  <<: { email: [x] }\n",
        &expect![[r#"
        p.yaml:4:3: mappings are not merged here (write the fields out)
            4 |   <<: { email: [x] }
              |   ^
    "#]],
    );
}

#[test]
fn what_was_read_before_a_syntax_error_is_checked_too() {
    refused(
        "kind: rep\nname: a\nage: 3\n---\nkind: team\nname: t\nmembers: [ { rep: b } ]\n---\nkind: [\n",
        &expect![[r#"
            p.yaml:3:1: unknown field `age` (known: name, full_name, email, webhook, available, hours, leave, languages, skills, capacity, reports_to)
                3 | age: 3
                  | ^
            p.yaml:10:1: not YAML: while parsing a node, did not find expected node content (look at the indentation, and put a text with `: `, ` #` or a leading `*` in quotes)
        "#]],
    );
}

#[test]
fn aliases_cannot_blow_up_a_file() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let repeated = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{repeated}]\n"));
    }
    refused(
        &text,
        &expect![[r#"
        p.yaml:4:5: a file holds at most 20000 keys and values, repeated ones included (split the file, or use fewer aliases)
            4 | a3: &a3 [*a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2]
              |     ^
    "#]],
    );
    refused(
        "kind: &a [*a]\n",
        &expect![[r#"
        p.yaml:1:11: this alias stands for something that holds itself
            1 | kind: &a [*a]
              |           ^
    "#]],
    );
    for deep in ["[", "- ", "{ a: ", "? "] {
        let message = &errors(&deep.repeat(100_000))[0].message;
        assert!(message.contains("32 deep") || message.contains("recursion limit"), "{message}");
    }
}

#[test]
fn the_caret_stands_below_its_place_whatever_is_before_it() {
    refused(
        "{ kind: rep, name: a, full_name: 李伟\u{1b}\t, emial: b }\n",
        &expect![[r#"
        p.yaml:1:40: unknown field `emial` (did you mean `email`?)
            1 | { kind: rep, name: a, full_name: 李伟  , emial: b }
              |                                          ^
    "#]],
    );
    refused(
        &format!("{{ kind: rep, name: a, full_name: {}, emial: {} }}", "x".repeat(200), "y".repeat(200)),
        &expect![[r#"
        p.yaml:1:236: unknown field `emial` (did you mean `email`?)
            1 | …xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, emial: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…
              |                                                              ^
    "#]],
    );
}

#[test]
fn lines_count_from_one_behind_a_byte_order_mark_and_crlf() {
    let error = &errors("\u{feff}kind: rep\r\nname: a\r\nemial: b\r\n")[0];
    assert_eq!((error.line, error.column), (3, 1));
}

/// As most libraries write JSON: whatever is not ASCII in escapes.
#[test]
fn an_emoji_in_json_is_one_character_and_what_stands_behind_it_keeps_its_place() {
    let documents = accepted(
        r#"{"kind": "rep", "name": "a", "full_name": "Ada \ud83d\ude00\uD83D\uDC4D \u00e9 \\ud83d\\ude00 \"\ud83d\ude00\""}"#,
    );
    let name = r#"Ada 😀👍 é \ud83d\ude00 "😀""#;
    assert_eq!(documents[0].to_json()["full_name"], name);
    refused(
        r#"{"kind": "rep", "name": "a", "full_name": "\ud83d\ude00\ud83d\ude00", "emial": "b"}"#,
        &expect![[r#"
            p.yaml:1:71: unknown field `emial` (did you mean `email`?)
                1 | …rep", "name": "a", "full_name": "\ud83d\ude00\ud83d\ude00", "emial": "b"}
                  |                                                              ^
        "#]],
    );
    let error = &errors(
        "{\n \"kind\": \"rep\", \"full_name\": \"\\ud83d\\ude00\",\n \"name\": \"a\", \"emial\": \"b\"}",
    )[0];
    assert_eq!((error.line, error.column), (3, 15), "of another line nothing is counted");
    let error = &errors(r#"{"kind": "rep", "name": "a", "full_name": "\ud83d\ude00", "email" "b"}"#)[0];
    assert!(error.message.contains("not YAML") && error.column > 58, "{error}");
    // Half of one is no character, in JSON neither.
    assert!(errors(r#"{"kind": "rep", "name": "a", "full_name": "\ud83d!"}"#)[0].message.contains("Unicode"));
    // In single quotes, which are YAML's, nothing is an escape.
    let documents = accepted(r"{ kind: rep, name: a, full_name: '\ud83d\ude00' }");
    assert_eq!(documents[0].to_json()["full_name"], r"\ud83d\ude00");
    // However it is laid out.
    let text = "[\n\t1\n]\n".replace('1', "\"x\"");
    assert_eq!(errors(&text)[0].message, "a document is a mapping");
    assert_eq!(accepted("{\n\t\"kind\":\"rep\",\n\t\"name\":\"a\"\n}").len(), 1);
}
