//! Costs, alerts and how orders are credited: good ones, and what is wrong with bad ones.

use super::{accepted, refused};
use expect_test::expect;
use sluice_domain::policy::Document;

const OTHERS: &str = "\
kind: form
name: contact
---
kind: rep
name: ann
---
kind: team
name: sales
members: [{ rep: ann }]
---
kind: topic
name: news
---
kind: template
name: hello
subject: Hello
text: Hello.
---
kind: journey
name: welcome
trigger: { event: signed_up }
steps:
  - send: { template: hello, topic: news }
---
";

#[test]
fn costs_and_alerts_are_the_same_after_they_were_stored() {
    let documents = accepted(&format!(
        "{OTHERS}\
kind: cost
name: one
of: source/contact
amount: 1200.50
currency: EUR
from: 2026-11-01
to: 2026-11-30
---
kind: alert
name: two
of: step/welcome/send.hello
measure: bounce_rate
above: 2.5%
within: 7d
least: 50
tell: [ann]
---
kind: alert
name: three
of: rep/ann
measure: revenue
below: 1000
within: 31d
---
kind: settings
name: default
rfm: {{ currency: EUR }}
attribution: {{ window: 60d, half_life: 14d }}
"
    ));
    for document in &documents {
        assert_eq!(Document::from_json(document.to_json()).unwrap(), *document);
    }
    assert_eq!(documents.iter().filter(|document| matches!(document.kind(), "cost" | "alert")).count(), 3);
}

#[test]
fn what_is_wrong_with_them_is_said_at_its_place() {
    refused(
        &format!(
            "{OTHERS}\
kind: cost
name: one
of: source/contakt
amount: 0
currency: USD
from: 2026-11-30
to: 2026-11-01
---
kind: cost
name: two
of: team/sales
amount: many
from: 2026-11-30
---
kind: alert
name: three
of: step/welcome/send.hallo
measure: bounce_rate
above: 2
within: 36h
tell: [bo]
---
kind: alert
name: four
of: source/contact
measure: open_rate
within: 60d
least: 5
---
kind: alert
name: five
of: team/sales
measure: orders
above: 2
below: 3
within: 1d
least: 5
---
kind: alert
name: six
of: page/x
measure: clicks
within: 1d
---
kind: settings
name: default
rfm: {{ currency: EUR }}
attribution: {{ window: 2h, half_life: 1m }}
"
        ),
        &expect![[r#"
            p.yaml:28:9: an amount is more than 0
               28 | amount: 0
                  |         ^
            p.yaml:29:11: orders are counted in EUR; write what it comes to in EUR
               29 | currency: USD
                  |           ^
            p.yaml:31:5: 2026-11-01 is before 2026-11-30
               31 | to: 2026-11-01
                  |     ^
            p.yaml:36:9: an amount is a number, such as 1200.50
               36 | amount: many
                  |         ^
            p.yaml:43:8: this is a part of a hundred; write it like `2.5%`
               43 | above: 2
                  |        ^
            p.yaml:44:9: whole days, `1d` to `31d`
               44 | within: 36h
                  |         ^
            p.yaml:47:1: an alert has a bound: `above`, `below` or both
               47 | kind: alert
                  | ^
            p.yaml:50:10: `open_rate` is measured of: journey, step
               50 | measure: open_rate
                  |          ^
            p.yaml:51:9: whole days, `1d` to `31d`
               51 | within: 60d
                  |         ^
            p.yaml:58:8: no number is right: `above` is less than `below`
               58 | above: 2
                  |        ^
            p.yaml:61:8: `least` is only read where the measure is a part of a hundred
               61 | least: 5
                  |        ^
            p.yaml:65:5: `page/x` is nothing that is counted; write it like `source/contact`, `ad/google/spring`, `journey/welcome`, `step/welcome/send.hello`, `campaign/spring`, `team/dach` or `rep/ann`
               65 | of: page/x
                  |     ^
            p.yaml:66:10: `clicks` is none of the words for this (known: leads, assigned, disqualified_rate, entered, goal_rate, sent, bounce_rate, complaint_rate, unsubscribe_rate, open_rate, click_rate, orders, revenue, cost_per_lead)
               66 | measure: clicks
                  |          ^
            p.yaml:72:24: people are given at least a day, `1d`
               72 | attribution: { window: 2h, half_life: 1m }
                  |                        ^
            p.yaml:72:39: a half-life is at least an hour
               72 | attribution: { window: 2h, half_life: 1m }
                  |                                       ^
        "#]],
    );
}

#[test]
fn what_they_are_about_has_to_be_there() {
    refused(
        &format!(
            "{OTHERS}\
kind: cost
name: one
of: source/contakt
amount: 5
from: 2026-11-30
---
kind: cost
name: two
of: team/sales
amount: 5
from: 2026-11-30
---
kind: alert
name: three
of: step/welcome/send.hallo
measure: bounce_rate
above: 2%
within: 1d
tell: [bo]
"
        ),
        &expect![[r#"
            p.yaml:27:5: there is no form or source `contakt` (did you mean `contact`?)
               27 | of: source/contakt
                  |     ^
            p.yaml:33:5: costs are those of a `source/NAME` or of an `ad/UTM_SOURCE/UTM_CAMPAIGN`
               33 | of: team/sales
                  |     ^
            p.yaml:39:5: there is no step `send.hallo` (did you mean `send.hello`?)
               39 | of: step/welcome/send.hallo
                  |     ^
            p.yaml:43:8: there is no rep `bo` (known: ann)
               43 | tell: [bo]
                  |        ^
        "#]],
    );
}
