//! Stages, scores and segments as people write them.

use super::{accepted, refused};
use expect_test::expect;

#[test]
fn a_lifecycle_names_its_stages_and_what_moves() {
    accepted(
        "kind: lifecycle\nname: default\nstages: [a, b]\nmoves:\n  - { to: b, on: Order Completed, where: 'event.properties.total > 5' }\n\
         \x20 - { to: a, from: [b], when: 'silent_for(\"90d\")' }\n",
    );
    refused(
        "kind: lifecycle\nname: default\nstages: [a, b, a]\nmoves:\n  - { to: c, from: [d], on: x }\n  - { to: b, from: [b], on: '!' }\n\
         \x20 - { to: b }\n  - to: b\n    when: 'true'\n    where: 'true'\n  - { to: a, on: x, where: 'customer.plan == \"pro\"' }\n",
        &expect![[r#"
            p.yaml:3:16: a is here twice
                3 | stages: [a, b, a]
                  |                ^
            p.yaml:5:11: there is no stage `c` (known: a, b)
                5 |   - { to: c, from: [d], on: x }
                  |           ^
            p.yaml:5:21: there is no stage `d` (known: a, b)
                5 |   - { to: c, from: [d], on: x }
                  |                     ^
            p.yaml:6:21: a move from b to b moves nobody
                6 |   - { to: b, from: [b], on: '!' }
                  |                     ^
            p.yaml:6:29: this is no event's name, such as `order_completed`
                6 |   - { to: b, from: [b], on: '!' }
                  |                             ^
            p.yaml:7:5: a move has either `on`, an event, or `when`, a condition over the person
                7 |   - { to: b }
                  |     ^
            p.yaml:10:12: `where` is only read with `on`
               10 |     where: 'true'
                  |            ^
            p.yaml:11:28: a condition here sees `event`, and no `customer` (see Customers in motion in the README)
               11 |   - { to: a, on: x, where: 'customer.plan == "pro"' }
                  |                            ^
        "#]],
    );
}

#[test]
fn a_condition_over_a_person_sees_what_there_is() {
    let segment = |when: &str| format!("kind: segment\nname: s\nwhen: '{when}'\n");
    for when in [
        "count_in(\"Order Completed\", \"30d\") >= 3 || since(\"page_viewed\") > 7",
        "customer.plan == \"pro\" && !(\"x\" in tags) && stage != \"\"",
        "has(rfm.recency) && rfm.recency < 30 && churn == \"high\"",
        "qualification.missing.exists(part, part == \"graded\")",
    ] {
        accepted(&segment(when));
    }
    for (when, expected) in [
        (
            "event.name == \"x\"",
            expect![[r#"
                p.yaml:3:7: a condition here sees `customer`, `tags`, `stage`, `score`, `rfm`, `churn`, `segments`, `qualification`, and no `event` (see Customers in motion in the README)
                    3 | when: 'event.name == "x"'
                      |       ^
            "#]],
        ),
        (
            "score.intrest > 5",
            expect![[r#"
            p.yaml:3:7: there is no `score.intrest` (did you mean `interest`?)
                3 | when: 'score.intrest > 5'
                  |       ^
        "#]],
        ),
        (
            "score.interest > score.fit",
            expect![[r#"
            p.yaml:3:8: not a condition: score.interest changes with time: compare it with a number that is written out, as in score.interest >= 10 (a condition is CEL over `customer`, `tags`, `stage`, `score`, `rfm`, `churn`, `segments`, `qualification`: see Customers in motion in the README)
                3 | when: 'score.interest > score.fit'
                  |        ^
        "#]],
        ),
        (
            "rfm[\"recency\"] > 5",
            expect![[r#"
            p.yaml:3:7: write one of `rfm.recency`, `rfm.frequency`, `rfm.money`, `rfm.tier`
                3 | when: 'rfm["recency"] > 5'
                  |       ^
        "#]],
        ),
        (
            "count_in(\"x\") > 1",
            expect![[r#"
            p.yaml:3:8: not a condition: count_in is written with its names and times in quotes, count_in("order_completed", "30d") (a condition is CEL over `customer`, `tags`, `stage`, `score`, `rfm`, `churn`, `segments`, `qualification`: see Customers in motion in the README)
                3 | when: 'count_in("x") > 1'
                  |        ^
        "#]],
        ),
        (
            "count_in(customer.event, \"30d\") > 1",
            expect![[r#"
            p.yaml:3:8: not a condition: count_in is written with its names and times in quotes, count_in("order_completed", "30d") (a condition is CEL over `customer`, `tags`, `stage`, `score`, `rfm`, `churn`, `segments`, `qualification`: see Customers in motion in the README)
                3 | when: 'count_in(customer.event, "30d") > 1'
                  |        ^
        "#]],
        ),
        (
            "true && silent_for(\"30 days\")",
            expect![[r#"
            p.yaml:3:16: not a condition: silent_for: `30 days` is no length of time; write it like `30m`, `24h`, `7d` or `2w` (a condition is CEL over `customer`, `tags`, `stage`, `score`, `rfm`, `churn`, `segments`, `qualification`: see Customers in motion in the README)
                3 | when: 'true && silent_for("30 days")'
                  |                ^
        "#]],
        ),
        (
            "churn == \"hihg\" || rfm.tier == \"vip\"",
            expect![[r#"
            p.yaml:3:7: there is no churn `hihg` (did you mean `high`?)
                3 | when: 'churn == "hihg" || rfm.tier == "vip"'
                  |       ^
            p.yaml:3:7: there is no tier `vip` (known: none)
                3 | when: 'churn == "hihg" || rfm.tier == "vip"'
                  |       ^
        "#]],
        ),
        (
            "count_in(\"x\", \"500d\") > 100",
            expect![[r#"
            p.yaml:3:7: count_in(x, 500d) looks back 400 days at most unless it is compared with a number below 20
                3 | when: 'count_in("x", "500d") > 100'
                  |       ^
        "#]],
        ),
        (
            "size(segments) > 1",
            expect![[r#"
            p.yaml:3:7: a segment names those it asks for, as in `"vip" in segments`
                3 | when: 'size(segments) > 1'
                  |       ^
        "#]],
        ),
        (
            "\"other\" in segments",
            expect![[r#"
            p.yaml:3:7: there is no segment `other` (known: s)
                3 | when: '"other" in segments'
                  |       ^
        "#]],
        ),
        (
            "\"s\" in segments",
            expect![[r#"
            p.yaml:3:7: s depends on itself
                3 | when: '"s" in segments'
                  |       ^
        "#]],
        ),
    ] {
        refused(&segment(when), &expected);
    }
}

#[test]
fn segments_do_not_depend_on_one_another_in_a_circle() {
    refused(
        "kind: segment\nname: a\nwhen: '\"b\" in segments'\n---\nkind: segment\nname: b\nwhen: '\"c\" in segments'\n---\n\
         kind: segment\nname: c\nwhen: 'stage == \"x\" || \"a\" in segments'\n---\nkind: segment\nname: d\nwhen: '\"a\" in segments'\n",
        &expect![[r#"
            p.yaml:3:7: a depends on itself
                3 | when: '"b" in segments'
                  |       ^
            p.yaml:7:7: b depends on itself
                7 | when: '"c" in segments'
                  |       ^
            p.yaml:11:7: c depends on itself
               11 | when: 'stage == "x" || "a" in segments'
                  |       ^
        "#]],
    );
}

#[test]
fn stages_that_do_not_exist_are_not_asked_for() {
    refused(
        "kind: lifecycle\nname: default\nstages: [new, old]\n---\nkind: segment\nname: s\nwhen: stage in [\"new\", \"odl\"]\n",
        &expect![[r#"
            p.yaml:7:7: there is no stage `odl` (did you mean `old`?)
                7 | when: stage in ["new", "odl"]
                  |       ^
        "#]],
    );
}

#[test]
fn scores_have_rules_with_points_and_grades() {
    refused(
        "kind: scoring\nname: sales\nfit:\n  rules:\n    - { name: '', when: stage == \"x\", points: 0 }\n    - { name: a, when: 'since(\"x\") > 1', points: 5 }\n\
         \x20 grades: [{ name: A, from: 5 }, { name: A, from: 3 }]\ninterest:\n  half_life: 5m\n  rules:\n    - { name: b, on: x, where: event.total > 5, points: 9999 }\n",
        &expect![[r#"
            p.yaml:2:7: the scoring document is called `default`
                2 | name: sales
                  |       ^
            p.yaml:5:15: a rule's name has 1 to 64 bytes
                5 |     - { name: '', when: stage == "x", points: 0 }
                  |               ^
            p.yaml:5:25: a condition here sees `customer` and `qualification`, and no `stage` (see Customers in motion in the README)
                5 |     - { name: '', when: stage == "x", points: 0 }
                  |                         ^
            p.yaml:5:47: points are 1 to 1000 or -1 to -1000
                5 |     - { name: '', when: stage == "x", points: 0 }
                  |                                               ^
            p.yaml:6:24: fit goes by what is known of somebody, and no `since(x)`
                6 |     - { name: a, when: 'since("x") > 1', points: 5 }
                  |                        ^
            p.yaml:7:42: A is here twice
                7 |   grades: [{ name: A, from: 5 }, { name: A, from: 3 }]
                  |                                          ^
            p.yaml:9:14: a half-life is at least an hour
                9 |   half_life: 5m
                  |              ^
            p.yaml:11:32: there is no `event.total` (known: name, kind, source, properties, traits)
               11 |     - { name: b, on: x, where: event.total > 5, points: 9999 }
                  |                                ^
            p.yaml:11:57: points are 1 to 1000 or -1 to -1000
               11 |     - { name: b, on: x, where: event.total > 5, points: 9999 }
                  |                                                         ^
        "#]],
    );
}

#[test]
fn tiers_and_churn_say_something() {
    refused(
        "kind: settings\nname: default\nrfm: { currency: euro, tiers: [{ name: a }] }\nchurn: { warning: 4, high: 4, least: 1 }\n",
        &expect![[r#"
            p.yaml:3:18: a currency is three letters, `EUR`
                3 | rfm: { currency: euro, tiers: [{ name: a }] }
                  |                  ^
            p.yaml:3:32: a tier asks for at least one of `recency`, `frequency` and `money`
                3 | rfm: { currency: euro, tiers: [{ name: a }] }
                  |                                ^
            p.yaml:4:28: `warning` is at least 1, and `high` is more
                4 | churn: { warning: 4, high: 4, least: 1 }
                  |                            ^
            p.yaml:4:38: this is 2 to 12 active days
                4 | churn: { warning: 4, high: 4, least: 1 }
                  |                                      ^
        "#]],
    );
}

#[test]
fn rules_of_routing_see_no_behaviour() {
    refused(
        "kind: routing\nname: default\nrules:\n  - name: a\n    when: count_in(\"x\", \"1d\") > 1\n    end: spam\n",
        &expect![[r#"
            p.yaml:5:11: a condition here does not see behaviour, and no `count_in(x, 1d)`
                5 |     when: count_in("x", "1d") > 1
                  |           ^
        "#]],
    );
}

#[test]
fn a_condition_that_gives_neither_yes_nor_no_is_refused() {
    refused(
        "kind: routing\nname: default\nrules:\n  - name: a\n    when: '\"abc\"'\n    end: spam\n",
        &expect![[r#"
            p.yaml:5:11: a condition is answered with yes or no, and this gives text; compare it with something (`==`, `>=`, `in`)
                5 |     when: '"abc"'
                  |           ^
        "#]],
    );
    refused(
        "kind: segment\nname: s\nwhen: '1 + 1'\n",
        &expect![[r#"
            p.yaml:3:7: a condition is answered with yes or no, and this gives a number; compare it with something (`==`, `>=`, `in`)
                3 | when: '1 + 1'
                  |       ^
        "#]],
    );
    accepted("kind: segment\nname: s\nwhen: customer.agreed\n");
}
