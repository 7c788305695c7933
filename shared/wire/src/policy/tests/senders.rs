//! Source documents: how senders may prove themselves, and which settings belong to which type.

use super::refused;
use expect_test::expect;

#[test]
fn a_type_that_can_sign_has_to_and_one_that_cannot_says_what_else() {
    refused(
        "kind: source\nname: a\ntype: typeform\nauth: url_key\nsecrets:\n  url_key: [env:A]\n",
        &expect![[r#"
            p.yaml:4:7: typeform proves itself in each call, so it has to: write `auth: signature`
                4 | auth: url_key
                  |       ^
        "#]],
    );
    refused(
        "kind: source\nname: a\ntype: jotform\n",
        &expect![[r#"
        p.yaml:1:1: jotform cannot sign; write `auth: url_key` or `auth: public`
            1 | kind: source
              | ^
    "#]],
    );
    refused(
        "kind: source\nname: a\ntype: jotform\nauth: url_key\n",
        &expect![[r#"
        p.yaml:1:1: the secret `url_key` is missing. A long random text of your own, such as `openssl rand -hex 24` prints: the ?key= of the address, or the bearer token.
            1 | kind: source
              | ^
    "#]],
    );
    refused(
        "kind: source\nname: a\ntype: hubspot\nauth: public\nsecrets:\n  url_key: [env:A]\n",
        &expect![[r#"
            p.yaml:6:12: a source with `auth: public` uses no secret
                6 |   url_key: [env:A]
                  |            ^
        "#]],
    );
}

#[test]
fn settings_belong_to_their_type() {
    refused(
        "kind: source\nname: a\ntype: jotform\nauth: public\nid: lead.id\nform: 1/2\n",
        &expect![[r#"
        p.yaml:5:5: a source of type jotform has no `id`
            5 | id: lead.id
              |     ^
        p.yaml:6:7: a source of type jotform has no `form`
            6 | form: 1/2
              |       ^
    "#]],
    );
    refused(
        "kind: source\nname: a\ntype: json\nauth: public\nsignature:\n  header: x y\n",
        &expect![[r#"
        p.yaml:6:3: how it signs is said only with `auth: signature`
            6 |   header: x y
              |   ^
        p.yaml:6:11: a header's name is letters, digits and dashes
            6 |   header: x y
              |           ^
    "#]],
    );
    refused(
        "kind: source\nname: a\ntype: hubspot\nauth: public\nform: 12\nredirect: thanks\n",
        &expect![[r#"
            p.yaml:5:7: a HubSpot form is named as PORTAL/FORM, as at the end of its address
                5 | form: 12
                  |       ^
            p.yaml:6:11: a redirect is an http(s) URL
                6 | redirect: thanks
                  |           ^
        "#]],
    );
}

#[test]
fn a_source_of_type_sns_names_its_topics_and_perhaps_a_certificate() {
    refused(
        "kind: source\nname: a\ntype: sns\n",
        &expect![[r#"
            p.yaml:1:1: list the ARNs of your topics: SNS signs for everybody's, so without them nothing is believed
                1 | kind: source
                  | ^
        "#]],
    );
    refused(
        "kind: source\nname: a\ntype: sns\ntopics: [ses-events, \"arn:aws:sns:eu-central-1::x\"]\ncertificate: none\nsecrets: { key: [env:A] }\n",
        &expect![[r#"
            p.yaml:4:10: a topic is named by its ARN, such as arn:aws:sns:eu-central-1:123456789012:ses-events
                4 | topics: [ses-events, "arn:aws:sns:eu-central-1::x"]
                  |          ^
            p.yaml:4:22: a topic is named by its ARN, such as arn:aws:sns:eu-central-1:123456789012:ses-events
                4 | topics: [ses-events, "arn:aws:sns:eu-central-1::x"]
                  |                      ^
            p.yaml:5:14: this is not a certificate; expected one that begins with -----BEGIN CERTIFICATE-----
                5 | certificate: none
                  |              ^
            p.yaml:6:17: a source with `auth: signature` uses no secret
                6 | secrets: { key: [env:A] }
                  |                 ^
        "#]],
    );
    refused(
        "kind: source\nname: a\ntype: sns\nauth: public\ntopics: [\"arn:aws:sns:eu-central-1:1:x\"]\n",
        &expect![[r#"
            p.yaml:4:7: write `auth: signature` or `auth: url_key`
                4 | auth: public
                  |       ^
        "#]],
    );
    refused(
        "kind: source\nname: a\ntype: tally\ntopics: [x]\nsecrets: { signing_secret: [env:A] }\n",
        &expect![[r#"
            p.yaml:4:9: a source of type tally has no `topics`
                4 | topics: [x]
                  |         ^
        "#]],
    );
}

#[test]
fn a_tracking_library_is_trusted_or_in_a_page_and_has_its_key() {
    refused(
        "kind: source\nname: a\ntype: segment\norigins: [\"https://shop.example\"]\ntrusted: true\nsecrets: { write_key: [env:A] }\n",
        &expect![[r#"
            p.yaml:5:10: a key that pages hold is everybody's: leave out `origins`, or `trusted` and use a source of its own for your servers
                5 | trusted: true
                  |          ^
        "#]],
    );
    refused(
        "kind: source\nname: a\ntype: posthog\norigins: [shop.example, \"https://shop.example/p\"]\nsecrets: { write_key: [env:A] }\n",
        &expect![[r#"
            p.yaml:4:11: an origin is scheme://host[:port] without a path
                4 | origins: [shop.example, "https://shop.example/p"]
                  |           ^
            p.yaml:4:25: an origin is scheme://host[:port] without a path
                4 | origins: [shop.example, "https://shop.example/p"]
                  |                         ^
            p.yaml:5:10: the secret `api_key` is missing. The key that the library is given as project API key. A long random text of your own; in a page everybody reads it.
                5 | secrets: { write_key: [env:A] }
                  |          ^
            p.yaml:5:23: posthog with `auth: signature` uses no secret `write_key`, only api_key
                5 | secrets: { write_key: [env:A] }
                  |                       ^
        "#]],
    );
    refused(
        "kind: source\nname: a\ntype: rudderstack\nauth: public\n",
        &expect![[r#"
        p.yaml:4:7: rudderstack proves itself in each call, so it has to: write `auth: signature`
            4 | auth: public
              |       ^
    "#]],
    );
    refused(
        "kind: source\nname: a\ntype: tally\ntrusted: true\norigins: [\"*\"]\nsecrets: { signing_secret: [env:A] }\n",
        &expect![[r#"
            p.yaml:4:10: a source of type tally has no `trusted`
                4 | trusted: true
                  |          ^
            p.yaml:5:10: a source of type tally has no `origins`
                5 | origins: ["*"]
                  |          ^
        "#]],
    );
}

#[test]
fn two_tracking_libraries_with_one_key_are_refused() {
    refused(
        "kind: source\nname: page\ntype: posthog\norigins: [\"*\"]\nsecrets: { api_key: [env:A] }\n---\nkind: source\nname: server\n\
         type: segment\ntrusted: true\nsecrets:\n  write_key: [env:B, env:A]\n",
        &expect![[r#"
            p.yaml:12:22: `env:A` is the key of the source `page` already: nobody could tell whose a call is, so give each a key of its own; the first is p.yaml:1
               12 |   write_key: [env:B, env:A]
                  |                      ^
        "#]],
    );
    // Each call of these says in its address whose it is.
    let accepted = "kind: source\nname: one\ntype: tally\nsecrets: { signing_secret: [env:A] }\n---\nkind: source\nname: two\n\
                    type: tally\nsecrets: { signing_secret: [env:A] }\n";
    assert_eq!(super::accepted(accepted).len(), 2);
}
