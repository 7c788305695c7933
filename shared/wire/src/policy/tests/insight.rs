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
        &expect![[r#""#]],
    );
}
