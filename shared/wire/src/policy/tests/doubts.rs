//! What is published all the same and is warned of: events that nobody will ever tell of.

use super::file;
use crate::policy::examine;
use expect_test::{Expect, expect};
use sluice_domain::policy::doubts;
use std::collections::BTreeSet;

fn warnings(text: &str) -> Vec<String> {
    let examined = examine(&[file("p.yaml", text)]).unwrap_or_else(|errors| panic!("{}", errors[0]));
    examined.warnings.iter().map(ToString::to_string).collect()
}

fn warned(text: &str, expected: &Expect) {
    expected.assert_eq(&(warnings(text).join("\n") + "\n"));
}

#[test]
fn an_event_that_is_called_otherwise_here_is_named() {
    warned(
        "kind: segment
name: readers
when: count_in(\"email_clicked\", \"30d\") >= 1 && silent_for(\"page_view\", \"9d\")
---
kind: webhook
name: crm
url: https://crm.example
secrets: [env:CRM]
events: [lead_asigned, subscribed, survey_answered, order_refunded, '*']
---
kind: journey
name: hello
trigger: { event: newsletter_opened }
exit: { event: unsubscribe }
goal: { event: order_complete, within: 9d }
steps:
  - end
",
        &expect![[r#"
            p.yaml:3:7: `email_clicked` is told by nobody here; unless a source of yours sends it, you mean `message_clicked`
                3 | when: count_in("email_clicked", "30d") >= 1 && silent_for("page_view", "9d")
                  |       ^
            p.yaml:3:7: `page_view` is told by nobody here; unless a source of yours sends it, you mean `page_viewed`
                3 | when: count_in("email_clicked", "30d") >= 1 && silent_for("page_view", "9d")
                  |       ^
            p.yaml:9:10: `lead_asigned` is told by nobody here; unless a source of yours sends it, you mean `lead_assigned`
                9 | events: [lead_asigned, subscribed, survey_answered, order_refunded, '*']
                  |          ^
            p.yaml:13:19: `newsletter_opened` is told by nobody here; unless a source of yours sends it, you mean `message_opened`
               13 | trigger: { event: newsletter_opened }
                  |                   ^
            p.yaml:14:16: `unsubscribe` is told by nobody here; unless a source of yours sends it, you mean `unsubscribed`
               14 | exit: { event: unsubscribe }
                  |                ^
            p.yaml:15:16: `order_complete` is told by nobody here; unless a source of yours sends it, you mean `order_completed`
               15 | goal: { event: order_complete, within: 9d }
                  |                ^
        "#]],
    );
}

#[test]
fn what_nobody_counts_is_not_waited_for() {
    let beside = "kind: template
name: receipt
subject: Thanks
text: Hello.
---
kind: topic
name: product
---
";
    let journey = |steps: &str| {
        format!("{beside}kind: journey\nname: hello\ntrigger: {{ event: bought }}\nsteps:\n{steps}")
    };
    let waits = "  - wait: 1d\n  - wait_for: { event: message_clicked, within: 5d }\n";
    warned(
        &journey(&format!("  - send: {{ template: receipt, topic: service }}\n{waits}")),
        &expect![[r#"
            p.yaml:15:24: nobody counts openings and clicks of `receipt`, sent just before, so this waits for those of another message
               15 |   - wait_for: { event: message_clicked, within: 5d }
                  |                        ^
        "#]],
    );
    // One of two ways leads here from a mail whose clicks are counted.
    let two = "  - branch: [{ when: has(customer.email), then: news }]
  - send: { template: receipt, topic: service }
  - goto: look
  - news: { send: { template: receipt, topic: product } }
  - look: { wait_for: { event: message_clicked, within: 5d } }
";
    assert_eq!(warnings(&journey(two)), Vec::<String>::new());
    warned(
        &format!(
            "kind: settings\nname: default\nmessaging: {{ track_clicks: false }}\n---\n{}",
            journey(&format!("  - send: {{ template: receipt, topic: product }}\n{waits}"))
        ),
        &expect![[r#"
            p.yaml:19:24: the settings say that nobody counts this, so there is no `message_clicked`
               19 |   - wait_for: { event: message_clicked, within: 5d }
                  |                        ^
        "#]],
    );
    let campaign = "kind: campaign
name: spring
audience: { list: fair }
send: { template: receipt, topic: service }
variants: [{ name: a }, { name: b }]
winner: { by: opened, test: 20%, after: 2h }
";
    warned(
        &format!("{beside}{campaign}"),
        &expect![[r#"
        p.yaml:14:15: nobody counts this of these messages, so no variant will be better than another
           14 | winner: { by: opened, test: 20%, after: 2h }
              |               ^
    "#]],
    );
}

#[test]
fn who_is_told_of_nothing_and_leads_nobody_is_told_of_are_warned_of() {
    let rest = "kind: rep
name: ann
hours: { zone: UTC, daily: \"09:00-17:00\" }
---
kind: rep
name: bo
email: bo@company.example
---
kind: team
name: sdr
members: [{ rep: ann }, { rep: bo }]
---
kind: routing
name: default
rules:
  - { name: all, assign: { team: sdr } }
";
    warned(
        rest,
        &expect![[r#"
            p.yaml:2:7: ann is told of nothing, no lead and no escalation; give an `email` or a `webhook`
                2 | name: ann
                  |       ^
            p.yaml:14:7: nobody is told of a lead that nobody can take; name reps in `escalate_to` of a `settings` document
               14 | name: default
                  |       ^
        "#]],
    );
    let rest = rest.replace("hours: {", "email: ann@company.example\nhours: {");
    let settings = |more: &str| format!("kind: settings\nname: default\n{more}---\n{rest}");
    warned(
        &settings("escalate_to: []\n"),
        &expect![[r#"
            p.yaml:3:14: nobody is told of a lead that nobody can take; name reps in `escalate_to`
                3 | escalate_to: []
                  |              ^
        "#]],
    );
    assert_eq!(warnings(&settings("repeat_minutes: 10\n")).len(), 1);
    assert_eq!(warnings(&settings("escalate_to: [bo]\n")), Vec::<String>::new());
}

#[test]
fn a_topic_that_no_document_describes_is_named_where_others_are_described() {
    let topics = "kind: topic\nname: offers\nconsent: double_opt_in\n---\n";
    let form = |topic: &str| {
        format!(
            "kind: form\nname: signup\nconsent: {{ field: box, wording: \"Yes\", version: \"1\", topic: {topic} }}\n"
        )
    };
    let found = warnings(&format!("{topics}{}", form("ofers")));
    assert!(
        matches!(found.as_slice(), [one] if one.contains("no document describes the topic `ofers`")),
        "{found:?}"
    );
    for fine in [format!("{topics}{}", form("offers")), format!("{topics}{}", form("service")), form("ofers")]
    {
        assert_eq!(warnings(&fine), Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn a_topic_that_was_described_once_is_named_where_none_is_described() {
    let form = "kind: form\nname: signup\nconsent: { field: box, wording: \"Yes\", version: \"1\", topic: offers }\n";
    let examined = examine(&[file("p.yaml", form)]).unwrap_or_else(|errors| panic!("{}", errors[0]));
    let found = |gone: &str| doubts(&examined.documents, &BTreeSet::from([gone.to_owned()]));
    let offers = found("offers");
    assert!(
        matches!(offers.as_slice(), [one] if one.path == ["consent", "topic"]
            && one.message.contains("no document describes the topic `offers` any more")),
        "{offers:?}"
    );
    assert_eq!(found("news"), []);
}

#[test]
fn junk_that_nothing_is_compared_with_is_named_with_what_it_would_be() {
    let found = warnings(
        "kind: settings
name: default
junk:
  emails: [Test@Test.com, no, a@a.com]
  phones: ['+49 30 901820', 007, 030 901820, '+12345678900', '+11234567890']
",
    );
    let said = [
        "write `test@test.com`",
        "no address is compared with this",
        "write `+4930901820`",
        "no number is compared with this",
        "needs its country code",
    ];
    assert_eq!(found.len(), said.len(), "{found:#?}");
    for (found, said) in found.iter().zip(said) {
        assert!(found.contains(said), "{found}");
    }
}

#[test]
fn a_rule_for_leads_from_nowhere_is_named_where_such_documents_are() {
    let places = "kind: form
name: contact
---
kind: source
name: fair
type: jotform
auth: public
---
kind: territory
name: bavaria
areas: [{ country: DE, regions: [BY] }]
---
";
    let rules = |when: &str| {
        format!(
            "kind: settings\nname: default\nescalate_to: [bo]\n---\nkind: rep\nname: bo\nemail: bo@reps.example\n---
kind: routing\nname: default\nrules:\n  - {{ name: a, when: '{when}', end: spam }}\n"
        )
    };
    for (when, said) in [
        ("lead.territory == \"bavria\"", "no territory is called `bavria`"),
        ("\"saxony\" != lead.territory", "no territory is called `saxony`"),
        ("lead.source in [\"contact\", \"fare\"]", "no form or source is called `fare`"),
    ] {
        let found = warnings(&format!("{places}{}", rules(when)));
        assert!(matches!(found.as_slice(), [one] if one.contains(said)), "{when}: {found:?}");
        assert_eq!(warnings(&rules(when)), Vec::<String>::new(), "{when}: nothing says what there is");
    }
    for when in [
        "lead.territory == \"bavaria\" || lead.territory == \"\"",
        "lead.source in [\"contact\", \"fair\"]",
        "lead.kind == \"fare\"",
    ] {
        assert_eq!(warnings(&format!("{places}{}", rules(when))), Vec::<String>::new(), "{when}");
    }
}

#[test]
fn rules_that_explanations_cannot_tell_apart_are_named() {
    warned(
        "kind: settings
name: default
escalate_to: [bo]
---
kind: rep
name: bo
email: bo@reps.example
---
kind: routing
name: default
rules:
  - { name: bots, when: has(lead.fields.trap), end: spam }
  - { name: ours, when: has(lead.fields.ours), end: test }
  - { name: bots, when: has(lead.fields.links), end: spam }
",
        &expect![[r#"
            p.yaml:14:13: rule 1 is called `bots` too: explanations cannot tell them apart
               14 |   - { name: bots, when: has(lead.fields.links), end: spam }
                  |             ^
        "#]],
    );
}
