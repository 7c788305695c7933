//! Channel documents: the call that hands a message to a provider.

use super::{accepted, refused};
use expect_test::expect;

const MAIL: &str = "kind: channel\nname: email\nvia: webhook\nwebhook:\n  url: https://api.example.net/send\n  body:\n    to: '{{ to }}'\n    \
                    text: '{{ text }}'\n    html: '{{ html }}'\n";

#[test]
fn mail_by_a_providers_webhook_needs_a_way_to_be_refused() {
    accepted(&format!("{MAIL}    headers.List-Unsubscribe: '<{{{{ unsubscribe }}}}>'\n"));
    refused(MAIL, &expect![[r#""#]]);
}

#[test]
fn a_place_that_nothing_is_put_into_is_refused_with_what_was_meant() {
    let sms = "kind: channel\nname: sms\nvia: webhook\nwebhook:\n  url: https://api.example.net/send\n";
    accepted(&format!(
        "{sms}  body: {{ to: '{{{{to}}}}', text: '{{{{ text }}}}', from: '{{{{ from }}}}' }}\n"
    ));
    refused(
        &format!(
            "{sms}  body:\n    to: '{{{{ to }}}}'\n    text: '{{{{ text }}}}'\n    html: '{{{{ htlm }}}}'\n"
        ),
        &expect![[r#""#]],
    );
    refused(
        &format!(
            "{sms}  headers:\n    x-id: '{{{{ message_number }}}}'\n  body:\n    text: '{{{{ text }}}}'\n    to: '{{{{ to'\n"
        ),
        &expect![[r#""#]],
    );
}

#[test]
fn nothing_is_told_in_the_clear() {
    refused(
        "kind: channel\nname: sms\nvia: webhook\nwebhook: { url: http://api.example.net/send, body: { text: '{{ text }}' } }\n",
        &expect![[r#""#]],
    );
    refused(
        "kind: webhook\nname: hook\nurl: http://hooks.example.net/in\nsecrets: [secret:hook]\nevents: [lead_assigned]\n",
        &expect![[r#""#]],
    );
}
