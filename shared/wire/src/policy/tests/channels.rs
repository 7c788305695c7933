//! Channel documents: the call that hands a message to a provider.

use super::{accepted, errors, file};
use crate::policy::examine;

/// What is said of a document that is refused.
fn says(text: &str) -> String {
    errors(text).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const MAIL: &str = "kind: channel\nname: email\nvia: webhook\nwebhook:\n  url: https://api.example.net/send\n  body:\n    to: '{{ to }}'\n    \
                    text: '{{ text }}'\n    html: '{{ html }}'\n";

#[test]
fn mail_by_a_providers_webhook_needs_a_way_to_be_refused() {
    accepted(&format!("{MAIL}    headers.List-Unsubscribe: '<{{{{ unsubscribe }}}}>'\n"));
    assert!(says(MAIL).contains("no field says `{{ unsubscribe }}`"), "{}", says(MAIL));
}

#[test]
fn a_place_that_nothing_is_put_into_is_refused_with_what_was_meant() {
    let sms = |more: &str| {
        format!(
            "kind: channel\nname: sms\nvia: webhook\nwebhook:\n  url: https://api.example.net/send\n{more}"
        )
    };
    accepted(&sms("  body: { to: '{{to}}', text: '{{ text }}', from: '{{ from }}' }\n"));
    for (more, said) in [
        (
            "  body: { text: '{{ text }}', html: '{{ htlm }}' }\n",
            "no `{{ htlm }}`; did you mean `{{ html }}`?",
        ),
        (
            "  body: { text: '{{ text }}' }\n  headers: { x-id: '{{ message_number }}' }\n",
            "known: to, text, html",
        ),
        ("  body: { text: '{{ text }}', to: '{{ to' }\n", "`{{` is not closed by `}}`"),
        ("  body: { text: the text }\n", "no field says `{{ text }}`"),
    ] {
        let found = says(&sms(more));
        assert!(found.contains(said), "{found}");
    }
}

#[test]
fn an_answer_is_judged_somewhere_by_something_and_by_nothing_twice() {
    let sms = |success: &str| {
        format!(
            "kind: channel\nname: sms\nvia: webhook\nwebhook:\n  url: https://api.example.net/send\n  \
             body: {{ to: '{{{{ to }}}}', text: '{{{{ text }}}}' }}\n  success: {success}\n"
        )
    };
    accepted(&sms("{ at: messages.0.status, is: ['0'] }"));
    accepted(&sms("{ at: errcode, is: ['0', ''], later: ['-1', '45009'] }"));
    for (success, said) in [
        ("{ at: '', is: ['0'] }", "a path into the answer's JSON"),
        ("{ at: messages..status, is: ['0'] }", "a path into the answer's JSON"),
        ("{ at: status, is: [] }", "every message would fail"),
        ("{ at: status, is: ['0'], later: ['1', '0'] }", "says already that the message was taken"),
        ("{ is: ['0'] }", "`at` is missing"),
    ] {
        let found = says(&sms(success));
        assert!(found.contains(said), "{success}: {found}");
    }
}

#[test]
fn a_channel_writes_to_ids_of_any_app_or_of_one_that_gives_some() {
    let chat = |address: &str| {
        format!(
            "kind: form\nname: shop\nfields: {{ wechat_openid.official: [follower] }}\n---\nkind: channel\nname: chat\n\
             address: {address}\nvia: webhook\nwebhook: {{ url: 'https://api.example.net', body: {{ text: '{{{{ text }}}}' }} }}\n"
        )
    };
    let warned = |address: &str| examine(&[file("p.yaml", &chat(address))]).unwrap().warnings.len();
    for address in ["phone", "wechat_openid", "wechat_openid.official", "wechat_openid.shop"] {
        accepted(&chat(address));
        assert_eq!(warned(address), 0, "{address}");
    }
    assert_eq!(warned("wechat_openid.ofical"), 1);
    for (address, said) in [
        ("fax", "`fax` is none of the words for this"),
        ("phone.shop", "`phone` is the same whoever gave it"),
        ("wechat_openid.", "behind the dot stands who gave it"),
    ] {
        let found = says(&chat(address));
        assert!(found.contains(said), "{found}");
    }
}

#[test]
fn nothing_is_told_in_the_clear() {
    for text in [
        "kind: channel\nname: sms\nvia: webhook\nwebhook: { url: http://api.example.net/send, body: { text: '{{ text }}' } }\n",
        "kind: webhook\nname: hook\nurl: http://hooks.example.net/in\nsecrets: [secret:hook]\nevents: [lead_assigned]\n",
    ] {
        let found = says(text);
        assert!(found.contains("URL starts with https://"), "{found}");
    }
}
