//! Journeys as people write them.

use super::{accepted, errors, refused};
use expect_test::expect;
use sluice_domain::policy::{Document, PolicySet};

const BESIDE: &str = "\
kind: template
name: welcome
subject: Welcome
text: Hello.
---
kind: template
name: reminder
channel: sms
text: Hello.
---
kind: channel
name: sms
via: webhook
webhook: { url: 'https://sms.example', body: { to: '{{ to }}', text: '{{ text }}' } }
---
kind: topic
name: product
---
kind: lifecycle
name: default
stages: [potential, active, lost]
---
kind: form
name: contact
---
kind: rep
name: li.wei
---
kind: team
name: sdr
members: [{ rep: li.wei }]
hours: { zone: Europe/Berlin, mon-fri: '09:00-17:00' }
---
kind: calendar
name: de
days: [{ date: 2027-01-01, name: New Year }]
---
";

/// Every kind of step, and whatever else a journey can say.
const WHOLE: &str = "\
kind: journey
name: all
trigger:
  - event: lead_captured
    when: event.properties.form == 'contact'
  - form: contact
  - { stage: active }
  - { date: { fact: birth_date, yearly: true, days: 3 days before, at: '08:30' } }
entry:
  when: has(customer.email)
  again: { at_most: 2, per: 30d }
exit:
  - event: unsubscribed
  - when: stage == 'lost'
goal: { event: order_completed, when: event.properties.total > 10, within: 30d }
hold_out: 2.5%
on_publish:
  migrate: { hello: first }
paused: true
steps:
  - first: { send: { template: welcome, topic: product, at_cap: replace, in_quiet_hours: skip, unknown: resend,
      replacement: { channel: sms, template: reminder }, within: 2d } }
  - wait: 2d
  - until_hours: { mon-fri: '09:00-18:00', calendar: de }
  - until_hours: sdr
  - wait_for: { event: email_clicked, when: event.properties.link > 1, within: 3d, else: nudge }
  - branch:
      - { when: customer.country == 'DE', then: german }
      - else: lottery
  - german: { set: { vip: true, greeting: Moin } }
  - tag: { name: warm, for: 30d }
  - untag: cold
  - stage: active
  - score: { interest: -2 }
  - notify: owner
  - notify: { team: sdr, text: They clicked. }
  - task: Call them
  - task: { title: Call them, rep: li.wei, within: 2d }
  - webhook: { url: 'https://crm.example/hook', secrets: ['env:HOOK'], facts: [email] }
  - lottery: { split: { nudge: 30, done: 70 } }
  - nudge: { wait: 1h }
  - enrol: other
  - goto: first
  - done: end
---
kind: journey
name: other
steps: [end]
";

#[test]
fn a_journey_can_say_all_of_this_and_is_the_same_after_it_was_stored() {
    let documents = accepted(&format!("{BESIDE}{WHOLE}"));
    for document in &documents {
        let stored = Document::from_json(document.to_json()).unwrap();
        assert_eq!(&stored, document);
        assert_eq!(stored.to_json(), document.to_json());
    }
    let policies = PolicySet::build(7, documents).unwrap();
    let flow = &policies.journeys["all"];
    assert_eq!(
        flow.names().join(" "),
        "first wait.2d until_hours until_hours.sdr wait_for.email_clicked branch german tag.warm untag.cold \
         stage.active score notify.owner notify.sdr task.owner task.li.wei webhook lottery nudge \
         enrol.other goto.first done"
    );
}

#[test]
fn a_pause_is_no_other_version_and_everything_else_is() {
    let version = |text: &str| {
        let documents = accepted(&format!("{BESIDE}{text}"));
        PolicySet::build(1, documents).unwrap().journeys["all"].version().to_owned()
    };
    let first = version(WHOLE);
    assert_eq!(version(&WHOLE.replace("paused: true\n", "")), first);
    assert_eq!(version(&WHOLE.replace("migrate: { hello: first }", "migrate: { hi: first }")), first);
    assert_ne!(version(&WHOLE.replace("wait: 2d", "wait: 3d")), first);
}

fn journey(rest: &str) -> String {
    format!("{BESIDE}kind: journey\nname: j\ntrigger: {{ event: lead_captured }}\n{rest}")
}

/// What is wrong, each with line (of the journey) and column.
fn wrong(rest: &str, expected: &expect_test::Expect) {
    let before = journey("").lines().count();
    let lines: Vec<String> = errors(&journey(rest))
        .iter()
        .map(|error| format!("{}:{}: {}", error.line - before, error.column, error.message))
        .collect();
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn names_that_there_are_not_are_refused_where_they_stand() {
    wrong(
        "\
exit: { event: Order Completed }
steps:
  - send: { template: welcom, topic: products }
  - send: { template: reminder, channel: email, topic: service }
  - wait_for: { event: email_clicked, within: 3d, else: nugde }
  - branch:
      - { when: customer.country = 'DE', then: nudge }
      - { when: lead.country == 'DE', then: nowhere }
      - else: elsewhere
  - split: { nudge: 0, gone: 1 }
  - nudge: { goto: away }
  - notify: { rep: nobody }
  - task: { title: Call, team: nobody }
  - until_hours: nobody
  - until_hours: { mon: '09:00-10:00', calendar: fr }
  - enrol: nobody
  - enrol: j
",
        &expect![[r#"
            1:16: events are written in lower case with `_`: `order_completed`
            3:23: there is no template `welcom`
            3:38: there is no topic `products`
            4:42: the template `reminder` is for sms
            5:57: there is no step called `nugde`
            7:34: not a condition: mismatched input '=' expecting <EOF>
            8:17: a condition here sees `customer`, `tags`, `stage`, `score`, `rfm`, `churn`, `segments`, `qualification`, and no `lead`
            8:45: there is no step called `nowhere`
            9:15: there is no step called `elsewhere`
            10:21: a weight is a whole number from 1 to 1000
            10:30: there is no step called `gone`
            11:20: there is no step called `away`
            12:20: there is no rep `nobody`
            13:32: there is no team `nobody`
            14:18: there is no team `nobody`
            15:50: there is no calendar `fr`
            16:12: there is no journey `nobody`
            17:12: nobody enrols where they are; `goto` leads back to an earlier step
        "#]],
    );
}

#[test]
fn what_cannot_be_done_is_refused_where_it_stands() {
    wrong(
        "\
entry: { again: { at_most: 50, per: 1d } }
goal: { within: 1d }
on_publish: { migrate: { old: gone } }
steps:
  - send: { template: welcome, topic: product, at_cap: replace }
  - send: { template: welcome, topic: product, replacement: { channel: email, template: reminder } }
  - wait: 30s
  - set: { email: a@b.example, Bad: 1, list: [1] }
  - score: { interest: 0 }
  - webhook: { url: ftp://x, secrets: [] }
  - branch:
      - else: out
      - { when: 'true', then: out }
  - branch:
      - { when: event.name == 'x', then: out }
  - task: ''
  - tag: not good
  - out: end
  - out: end
",
        &expect![[r#"
            1:28: 1 to 20
            2:7: name an `event`, or a condition with `when`, or both
            3:31: there is no step `gone`
            5:11: `replace` needs `replacement: { channel: …, template: … }`
            6:61: this is only read with `at_cap: replace` or `in_quiet_hours: replace`
            7:11: at least 1m: timers fire once a minute
            8:19: this says who somebody is, which no journey can know
            8:37: a fact's name is 1 to 64 letters in lower case, digits or underscores
            8:46: a fact is text, a number, or true or false
            9:24: points are -1000 to 1000, and not 0
            10:21: a webhook URL starts with https://
            10:39: a webhook needs a secret to sign with
            12:9: `else` is the last way: nothing after it is tried
            14:5: nothing leads to this step (branch)
            15:17: a condition here sees `customer`, `tags`, `stage`, `score`, `rfm`, `churn`, `segments`, `qualification`, and no `event`
            16:5: nothing leads to this step (task)
            16:11: a text has 1 to 500 characters
            17:5: nothing leads to this step (tag)
            17:10: a name is 1 to 64 letters, digits, dots, dashes or underscores
            18:5: nothing leads to this step (end)
            19:5: there are two steps called `out`
        "#]],
    );
    wrong(
        "trigger: { event: a }\nsteps:\n  - send: { template: welcome, topic: product, at_cap: replace, \
         replacement: { channel: email, template: reminder } }\n",
        &expect![[r#"
            1:1: `trigger` is here twice; the first is on line 40
            3:89: what goes out instead has to go over another channel
            3:106: the template `reminder` is not for email
        "#]],
    );
    wrong(
        "trigger2: {}\nsteps:\n  - wiat: 2d\n  - wait: 2 days\n  - {}\n  - wait: 1d\n    end: {}\n  - over\n",
        &expect![[r#"
            1:1: unknown field `trigger2`
            3:11: `wiat` is no kind of step (send, wait, wait_for, until_hours, branch, split, set, tag, untag, stage, score, notify, task, webhook, enrol, goto, end); as the name of one it is followed by the step: `wiat: { wait: 2d }`
            4:11: `2 days` is no length of time; write it like `30m`, `24h`, `7d` or `2w`
            5:5: an empty step; one of send, wait, wait_for, until_hours, branch, split, set, tag, untag, stage, score, notify, task, webhook, enrol, goto, end
            6:5: a step does one thing: begin another with `- end: …`
            8:5: a step says what it does: `over: …`
        "#]],
    );
    let text =
        "kind: journey\nname: j\ntrigger: [{ event: a, form: b }, { change: left, stage: x }]\nsteps: []\n";
    refused(
        text,
        &expect![[r#"
            p.yaml:3:11: a trigger has exactly one of `event`, `form`, `segment`, `stage` and `date`
                3 | trigger: [{ event: a, form: b }, { change: left, stage: x }]
                  |           ^
            p.yaml:3:44: this is only read with `segment`
                3 | trigger: [{ event: a, form: b }, { change: left, stage: x }]
                  |                                            ^
            p.yaml:3:57: there is no `lifecycle` document, so there are no stages
                3 | trigger: [{ event: a, form: b }, { change: left, stage: x }]
                  |                                                         ^
            p.yaml:4:8: a journey needs at least one step
                4 | steps: []
                  |        ^
        "#]],
    );
}

#[test]
fn steps_that_nobody_reaches_and_circles_without_a_wait_are_refused() {
    wrong(
        "\
steps:
  - again: { tag: a }
  - until_hours: sdr
  - branch:
      - { when: \"'a' in tags\", then: again }
  - end: {}
  - tag: never
",
        &expect![[r#"
            2:5: this leads round in a circle without a `wait` or `wait_for` on the way
            7:5: nothing leads to this step (tag)
        "#]],
    );
    // With a wait on the way it is no circle.
    accepted(&journey("steps:\n  - again: { tag: a }\n  - wait: 1d\n  - goto: again\n"));
    wrong(
        "steps:\n  - enrol: k\n---\nkind: journey\nname: k\nsteps:\n  - enrol: j\n",
        &expect![[r#"
            2:12: `k` enrols people here again, without a wait on the way
            7:12: `j` enrols people here again, without a wait on the way
        "#]],
    );
    accepted(&journey(
        "steps:\n  - enrol: k\n---\nkind: journey\nname: k\nsteps:\n  - wait: 1d\n  - enrol: j\n",
    ));
}
