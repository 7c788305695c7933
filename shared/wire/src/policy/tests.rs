//! Policy documents, good and bad.

mod behaviour;
mod calendars;
mod channels;
mod doubts;
mod identity;
mod insight;
mod journeys;
mod response;
mod senders;
mod templates;
mod topics;
mod written;

use super::{PolicyError, SourceText, load, parse};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use sluice_domain::policy::Document;

fn file(name: &str, text: &str) -> SourceText {
    SourceText { file: name.to_owned(), text: text.to_owned() }
}

fn errors(text: &str) -> Vec<PolicyError> {
    load(&[file("p.yaml", text)]).expect_err("no error was found")
}

/// The errors as a person sees them.
fn refused(text: &str, expected: &Expect) {
    let shown: Vec<String> = errors(text).iter().map(PolicyError::to_string).collect();
    expected.assert_eq(&(shown.join("\n") + "\n"));
}

fn accepted(text: &str) -> Vec<Document> {
    load(&[file("p.yaml", text)]).unwrap_or_else(|errors| panic!("{}", errors[0]))
}

const TEAM: &str = "\
kind: rep
name: li.wei
---
kind: team
name: dach
members:
  - { rep: li.wei, weight: 2 }
---
";

fn routing(rule: &str) -> String {
    format!("{TEAM}kind: routing\nname: default\nrules:\n{rule}\n")
}

#[test]
fn documents_are_the_same_after_they_were_stored() {
    let documents =
        accepted(&routing("  - { name: all, when: \"lead.country in ['DE']\", assign: { team: dach } }"));
    assert_eq!(documents.len(), 3);
    for document in documents {
        assert_eq!(Document::from_json(document.to_json()).unwrap(), document);
    }
}

#[test]
fn json_is_read_and_kind_may_stand_anywhere() {
    let documents = accepted("{\"name\": \"li.wei\",\n\t\"full_name\": \"L\\u00ed\", \"kind\": \"rep\"}");
    assert_eq!(documents[0].path(), "rep/li.wei");
    assert_eq!(documents[0].to_json()["full_name"], "Lí");
}

#[test]
fn every_mistake_in_every_file_is_reported_once() {
    let rep = file("reps.yaml", "kind: rep\nname: ana.s\nemial: ana.s@example.com\navailable: yes\n");
    let team = file(
        "teams.yaml",
        "kind: team\nname: sdr\nmembers:\n  - { rep: ana.s, wight: 2, capacity: many }\n  - { rep: bob, weight: 0 }\n---\nkind: tem\n",
    );
    let shown: Vec<_> = load(&[rep, team]).unwrap_err().iter().map(ToString::to_string).collect();
    expect![[r#"
        reps.yaml:3:1: unknown field `emial` (did you mean `email`?)
            3 | emial: ana.s@example.com
              | ^
        reps.yaml:4:12: expected true or false, found text
            4 | available: yes
              |            ^
        teams.yaml:4:19: unknown field `wight` (did you mean `weight`?)
            4 |   - { rep: ana.s, wight: 2, capacity: many }
              |                   ^
        teams.yaml:4:39: expected a whole number, 0 or more, found text
            4 |   - { rep: ana.s, wight: 2, capacity: many }
              |                                       ^
        teams.yaml:5:25: a weight is a whole number from 1 to 100
            5 |   - { rep: bob, weight: 0 }
              |                         ^
        teams.yaml:7:7: unknown kind `tem` (did you mean `team`?)
            7 | kind: tem
              |       ^
    "#]]
    .assert_eq(&(shown.join("\n") + "\n"));
}

#[test]
fn an_unknown_field_gets_the_nearest_name_or_all() {
    refused(
        "kind: rep\nname: a\nemial: a@example.com\n",
        &expect![[r#"
        p.yaml:3:1: unknown field `emial` (did you mean `email`?)
            3 | emial: a@example.com
              | ^
    "#]],
    );
    refused(
        "kind: team\nname: a\nhuors: {}\nreaction: { within: 5m }\nmembers: []\n",
        &expect![[r#"
            p.yaml:3:1: unknown field `huors` (did you mean `hours`?)
                3 | huors: {}
                  | ^
            p.yaml:4:1: unknown field `reaction` (known: name, members, manager, sticky_may_exceed, hours, response, off_hours, need)
                4 | reaction: { within: 5m }
                  | ^
            p.yaml:5:10: a team needs at least one member
                5 | members: []
                  |          ^
        "#]],
    );
}

#[test]
fn kind_is_needed_and_known() {
    refused(
        "name: a\n",
        &expect![[r#"
            p.yaml:1:1: this document has no `kind` (known: form, source, rep, team, routing, settings, calendar, territory, channel, topic, template, layout, partial, lifecycle, scoring, segment, journey, access, webhook, campaign, cost, alert)
                1 | name: a
                  | ^
        "#]],
    );
    refused(
        "kind: widget\nname: a\n",
        &expect![[r#"
            p.yaml:1:7: unknown kind `widget` (known: form, source, rep, team, routing, settings, calendar, territory, channel, topic, template, layout, partial, lifecycle, scoring, segment, journey, access, webhook, campaign, cost, alert)
                1 | kind: widget
                  |       ^
        "#]],
    );
    refused(
        "kind: from\nname: a\n",
        &expect![[r#"
        p.yaml:1:7: unknown kind `from` (did you mean `form`?)
            1 | kind: from
              |       ^
    "#]],
    );
    refused(
        "kind: [rep]\nname: a\n",
        &expect![[r#"
            p.yaml:1:7: `kind` is one word (known: form, source, rep, team, routing, settings, calendar, territory, channel, topic, template, layout, partial, lifecycle, scoring, segment, journey, access, webhook, campaign, cost, alert)
                1 | kind: [rep]
                  |       ^
        "#]],
    );
    refused(
        "- kind: rep\n",
        &expect![[r#"
        p.yaml:1:1: a document is a mapping (it begins with `kind: form`)
            1 | - kind: rep
              | ^
    "#]],
    );
    refused(
        "hello\n",
        &expect![[r#"
        p.yaml:1:1: a document is a mapping (it begins with `kind: form`)
            1 | hello
              | ^
    "#]],
    );
}

#[test]
fn a_value_of_another_type_is_pointed_at() {
    refused(
        "kind: rep\nname: [a]\navailable: yes\nwebhook: https://example.com\n",
        &expect![[r#"
        p.yaml:2:7: expected text, found a list
            2 | name: [a]
              |       ^
        p.yaml:3:12: expected true or false, found text
            3 | available: yes
              |            ^
        p.yaml:4:10: expected a mapping, found text
            4 | webhook: https://example.com
              |          ^
    "#]],
    );
    refused(
        "kind: form\nname: a\norigins: https://shop.example\nfields: { email: mail }\n",
        &expect![[r#"
        p.yaml:3:10: expected a list, found text (write it as a list, even of one: `[…]`)
            3 | origins: https://shop.example
              |          ^
        p.yaml:4:18: expected a list, found text (write it as a list, even of one: `[…]`)
            4 | fields: { email: mail }
              |                  ^
    "#]],
    );
    refused(
        "kind: team\nname: a\nmembers:\n  - { rep: x, weight: -1 }\n  - { rep: x, weight: 1.5 }\n  - { rep: x, capacity: 5000000000 }\n  - { rep: x, capacity: \"5\" }\n",
        &expect![[r#"
            p.yaml:4:12: there is no rep `x` (known: none)
                4 |   - { rep: x, weight: -1 }
                  |            ^
            p.yaml:4:23: expected a whole number, 0 or more, found a negative number
                4 |   - { rep: x, weight: -1 }
                  |                       ^
            p.yaml:5:12: there is no rep `x` (known: none)
                5 |   - { rep: x, weight: 1.5 }
                  |            ^
            p.yaml:5:12: x is in the team twice
                5 |   - { rep: x, weight: 1.5 }
                  |            ^
            p.yaml:5:23: expected a whole number, 0 or more, found a number with a fraction
                5 |   - { rep: x, weight: 1.5 }
                  |                       ^
            p.yaml:6:12: there is no rep `x` (known: none)
                6 |   - { rep: x, capacity: 5000000000 }
                  |            ^
            p.yaml:6:12: x is in the team twice
                6 |   - { rep: x, capacity: 5000000000 }
                  |            ^
            p.yaml:6:25: this number is too large
                6 |   - { rep: x, capacity: 5000000000 }
                  |                         ^
            p.yaml:7:12: there is no rep `x` (known: none)
                7 |   - { rep: x, capacity: "5" }
                  |            ^
            p.yaml:7:12: x is in the team twice
                7 |   - { rep: x, capacity: "5" }
                  |            ^
            p.yaml:7:25: expected a whole number, 0 or more, found text
                7 |   - { rep: x, capacity: "5" }
                  |                         ^
        "#]],
    );
    refused(
        "kind: form\nname: a\ndefault_country: Atlantis\n",
        &expect![[r#"
        p.yaml:3:18: not a country: use a code such as "DE"
            3 | default_country: Atlantis
              |                  ^
    "#]],
    );
}

#[test]
fn a_required_field_is_missed_at_the_start_of_its_mapping() {
    refused(
        "kind: team\nmembers: []\n",
        &expect![[r#"
        p.yaml:1:1: `name` is missing here
            1 | kind: team
              | ^
    "#]],
    );
    refused(
        "kind: form\nname: a\nconsent:\n  field: ok\n  topic: news\n  wording: Yes\n",
        &expect![[r#"
        p.yaml:4:3: `version` is missing here
            4 |   field: ok
              |   ^
    "#]],
    );
    refused(
        "kind: rep\n",
        &expect![[r#"
        p.yaml:1:1: a document needs a `name`
            1 | kind: rep
              | ^
    "#]],
    );
}

#[test]
fn words_of_a_choice_are_listed() {
    refused(
        "kind: source\nname: meta\ntype: meta\nauth: sign\n",
        &expect![[r#"
        p.yaml:4:7: `sign` is none of the words for this (known: signature, url_key, public)
            4 | auth: sign
              |       ^
    "#]],
    );
    refused(
        &routing("  - { name: a, assign: { taem: dach } }"),
        &expect![[r#"
            p.yaml:12:26: unknown field `taem` (did you mean `team`?)
               12 |   - { name: a, assign: { taem: dach } }
                  |                          ^
        "#]],
    );
    refused(
        &routing("  - { name: a, assign: { team: dach, rep: li.wei } }"),
        &expect![[r#"
            p.yaml:12:24: expected exactly one of `owner`, `team`, `teams`, `rep` and `queue`
               12 |   - { name: a, assign: { team: dach, rep: li.wei } }
                  |                        ^
        "#]],
    );
    refused(
        &routing("  - { name: a, assign: { owner: me } }"),
        &expect![[r#"
            p.yaml:12:33: `me` is none of the words for this (known: customer, company)
               12 |   - { name: a, assign: { owner: me } }
                  |                                 ^
        "#]],
    );
    refused(
        &routing("  - { name: a, assign: owner }"),
        &expect![[r#"
            p.yaml:12:24: expected a mapping, found text
               12 |   - { name: a, assign: owner }
                  |                        ^
        "#]],
    );
    refused(
        &routing("  - { name: a, end: { spam: 1 } }"),
        &expect![[r#"
        p.yaml:12:23: expected a word, found a mapping
           12 |   - { name: a, end: { spam: 1 } }
              |                       ^
    "#]],
    );
}

#[test]
fn a_condition_is_pointed_into() {
    refused(
        &routing("  - name: a\n    when: lead.country ==\n    end: spam"),
        &expect![[r#"
            p.yaml:13:26: not a condition: it ends too early, expecting expression (a condition is CEL over `lead`, `customer`: see Policies in the README)
               13 |     when: lead.country ==
                  |                          ^
        "#]],
    );
    refused(
        &routing("  - name: a\n    when: 'lead.country === 1'\n    end: spam"),
        &expect![[r#"
        p.yaml:13:27: not a condition: unexpected token (a condition is CEL over `lead`, `customer`: see Policies in the README)
           13 |     when: 'lead.country === 1'
              |                           ^
    "#]],
    );
    refused(
        &routing(
            "  - name: a\n    when: |\n      lead.country == \"DE\"\n        && lead. == 1\n    end: spam",
        ),
        &expect![[r#"
        p.yaml:15:18: not a condition: expected identifier after '.' (a condition is CEL over `lead`, `customer`: see Policies in the README)
           15 |         && lead. == 1
              |                  ^
    "#]],
    );
    refused(
        &routing(
            "  - name: a\n    when: >\n      lead.country == \"DE\"\n      && lead. == 1\n    end: spam",
        ),
        &expect![[r#"
        p.yaml:14:7: not a condition: expected identifier after '.' (line 1, column 31 of the value) (a condition is CEL over `lead`, `customer`: see Policies in the README)
           14 |       lead.country == "DE"
              |       ^
    "#]],
    );
    refused(
        &routing("  - name: a\n    when: laed.country == \"DE\"\n    end: spam"),
        &expect![[r#"
        p.yaml:13:11: a condition here sees `lead` and `customer`, and no `laed` (did you mean `lead`?)
           13 |     when: laed.country == "DE"
              |           ^
    "#]],
    );
    refused(
        &routing("  - { name: a, when: 1 +, end: spam }\n  - { name: b, when: 2 +, end: spam }"),
        &expect![[r#"
            p.yaml:12:25: not a condition: it ends too early, expecting expression (a condition is CEL over `lead`, `customer`: see Policies in the README)
               12 |   - { name: a, when: 1 +, end: spam }
                  |                         ^
            p.yaml:13:25: not a condition: it ends too early, expecting expression (a condition is CEL over `lead`, `customer`: see Policies in the README)
               13 |   - { name: b, when: 2 +, end: spam }
                  |                         ^
        "#]],
    );
}

#[test]
fn a_condition_over_what_no_lead_has_is_refused() {
    refused(
        &routing("  - name: a\n    when: lead.employees >= 200\n    end: spam"),
        &expect![[r#"
            p.yaml:13:11: a lead has no `employees` (a field of the form is `lead.fields.employees`, and besides there are ad_user_id, attribution, birth_date, city, company, company_domain, country, email, email_domain, external_id, fields, first_name, flags, full_name, kind, language, last_name, phone, postal_code, region, source, street, territory, time_zone, website, wechat_id, wechat_openid, wechat_unionid)
               13 |     when: lead.employees >= 200
                  |           ^
        "#]],
    );
}

#[test]
fn documents_that_are_only_parsed_may_name_what_is_elsewhere() {
    let text = "kind: settings\nescalate_to: [bob]\n";
    let files = [file("p.yaml", text)];
    assert_eq!(parse(&files).unwrap().documents.len(), 1);
    assert!(load(&[file("p.yaml", text)]).is_err());
    assert!(parse(&[file("p.yaml", "kind: settings\nescalate: [bob]\n")]).is_err());
}

#[test]
fn a_team_and_the_memory_of_a_shared_address_have_a_size() {
    let team = |n: usize| {
        let reps: String = (0..n).map(|n| format!("kind: rep\nname: r{n}\n---\n")).collect();
        let members: Vec<String> = (0..n).map(|n| format!("{{ rep: r{n} }}")).collect();
        format!("{reps}kind: team\nname: t\nmembers: [{}]\n", members.join(", "))
    };
    accepted(&team(200));
    let Err(refusals) = load(&[file("p.yaml", &team(201))]) else { panic!("201 are too many") };
    let refusal = refusals[0].to_string();
    assert!(refusal.contains("a team has at most 200 members, this one 201"), "{refusal}");
    accepted("kind: settings\nshared_after: 100\n");
    assert!(load(&[file("p.yaml", "kind: settings\nshared_after: 101\n")]).is_err());
}

#[test]
fn names_lead_to_documents_that_exist() {
    refused(
        &routing(
            "  - name: a\n    assign: { team: dahc }\n  - name: b\n    assign: { rep: bob }\n  - name: c",
        ),
        &expect![[r#"
        p.yaml:13:21: there is no team `dahc` (did you mean `dach`?)
           13 |     assign: { team: dahc }
              |                     ^
        p.yaml:15:20: there is no rep `bob` (known: li.wei)
           15 |     assign: { rep: bob }
              |                    ^
        p.yaml:16:5: a rule has either `assign` or `end`
           16 |   - name: c
              |     ^
    "#]],
    );
    refused(
        "kind: settings\nname: other\nescalate_to: [bob]\n",
        &expect![[r#"
        p.yaml:2:7: the settings document is called `default`
            2 | name: other
              |       ^
        p.yaml:3:15: there is no rep `bob` (known: none)
            3 | escalate_to: [bob]
              |               ^
    "#]],
    );
    refused(
        "kind: team\nname: a b\nmembers: []\n",
        &expect![[r#"
        p.yaml:2:7: a name is 1 to 64 letters, digits, dots, dashes or underscores
            2 | name: a b
              |       ^
        p.yaml:3:10: a team needs at least one member
            3 | members: []
              |          ^
    "#]],
    );
}

#[test]
fn a_document_defined_twice_names_the_first() {
    let one = file("one.yaml", "kind: rep\nname: a\n");
    let two = file("two.yaml", "# again\nkind: rep\nname: a\n");
    let shown = load(&[one, two]).unwrap_err()[0].to_string();
    expect![[r#"
        two.yaml:3:7: rep/a is defined twice; rename one; the first is one.yaml:1
            3 | name: a
              |       ^
    "#]]
    .assert_eq(&(shown + "\n"));
}

#[test]
fn a_form_and_a_rep_are_checked_for_what_they_say() {
    refused(
        "kind: form\nname: a\nredirect: thanks\norigins: [shop.example, https://shop.example/a]\n---\nkind: rep\nname: b\nemail: nobody\nwebhook:\n  url: ftp://x\n  secrets: []\n",
        &expect![[r#"
            p.yaml:3:11: a redirect is an http(s) URL or a path that starts with /
                3 | redirect: thanks
                  |           ^
            p.yaml:4:11: an origin is scheme://host[:port] without a path
                4 | origins: [shop.example, https://shop.example/a]
                  |           ^
            p.yaml:4:25: an origin is scheme://host[:port] without a path
                4 | origins: [shop.example, https://shop.example/a]
                  |                         ^
            p.yaml:8:8: this is not an e-mail address
                8 | email: nobody
                  |        ^
            p.yaml:10:8: a webhook URL starts with https://
               10 |   url: ftp://x
                  |        ^
            p.yaml:11:12: a webhook needs a secret to sign with
               11 |   secrets: []
                  |            ^
        "#]],
    );
}

#[test]
fn a_source_brings_what_its_type_needs() {
    refused(
        "kind: source\nname: a\ntype: carrier-pigeon\n",
        &expect![[r#"
            p.yaml:3:7: there is no source of type `carrier-pigeon` (known: calendly, contact_form_7, douyin, elementor, feiyu, google, gravity_forms, hubspot, jotform, json, linkedin, meta, netlify, shopify, posthog, rudderstack, segment, sns, tally, tiktok, typeform, webflow, woocommerce)
                3 | type: carrier-pigeon
                  |       ^
        "#]],
    );
    refused(
        "kind: source\nname: a\ntype: meta\nsecrets:\n  app_secret: [env:A]\n  verify: [env:B]\n",
        &expect![[r#"
            p.yaml:5:3: the secret `verify_token` is missing. Verify Token: a text of your choice, typed again when subscribing.
                5 |   app_secret: [env:A]
                  |   ^
            p.yaml:5:3: the secret `page_token` is missing. Long-lived Page access token with leads_retrieval. It fetches the answers of each lead.
                5 |   app_secret: [env:A]
                  |   ^
            p.yaml:6:11: meta with `auth: signature` uses no secret `verify`, only app_secret, verify_token, page_token
                6 |   verify: [env:B]
                  |           ^
        "#]],
    );
}

/// Pieces that make up documents, right and wrong.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("kind: ".to_owned()),
        prop::sample::select(vec!["form", "source", "rep", "team", "routing", "settings"])
            .prop_map(str::to_owned),
        prop::sample::select(vec![
            "name: a", "when: ", "rules:", "members:", "assign: ", "secrets:", "fields:"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "\n", "\n  ", "\n    ", "\n---\n", "- ", "[", "]", "{", "}", ", ", ": ", "? ", "&a ", "*a",
            "!!str ", "|\n", ">\n ", "'", "\"", "\\", "#", "\t", "\r", "%", "@", "...\n", "\u{feff}",
            "\u{85}", "é", "李", "\u{0}",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = load(&[file("p.yaml", &text)]);
    }

    #[test]
    fn nothing_like_a_policy_makes_the_reader_panic(text in yaml_like()) {
        if let Err(errors) = load(&[file("p.yaml", &text)]) {
            for error in errors {
                prop_assert!(error.line >= 1 && error.column >= 1);
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn a_good_file_cut_anywhere_makes_no_reader_panic(at in 0usize..400) {
        let text = routing("  - name: a\n    when: |\n      lead.country == \"DE\"\n    assign: { team: dach }");
        let cut: String = text.chars().take(at).collect();
        let _ = load(&[file("p.yaml", &cut)]);
    }
}
