//! Hours and holiday calendars as people write them.

use super::{accepted, refused};
use expect_test::expect;

#[test]
fn mistakes_in_hours_have_their_place() {
    refused(
        "kind: rep\nname: a\nhours: { zone: Europe/Berln, mon-fri: \"09:00-18:00\" }\n---\n\
         kind: rep\nname: b\nhours:\n  zone: Europe/Berlin\n  mon-fri: 9-18\n  sta: 10:00-14:00\n---\n\
         kind: rep\nname: c\nhours: { zone: UTC, daily: \"09:00-18:00\", calendar: cn }\n",
        &expect![[r#"
            p.yaml:3:16: there is no time zone `Europe/Berln`; zones are called like `Europe/Berlin`
                3 | hours: { zone: Europe/Berln, mon-fri: "09:00-18:00" }
                  |                ^
            p.yaml:9:12: `9-18` is no span of time; write it like `09:00-18:30`
                9 |   mon-fri: 9-18
                  |            ^
            p.yaml:10:3: unknown field `sta` (did you mean `sat`?)
               10 |   sta: 10:00-14:00
                  |   ^
            p.yaml:14:53: there is no calendar `cn` (known: none)
               14 | hours: { zone: UTC, daily: "09:00-18:00", calendar: cn }
                  |                                                     ^
        "#]],
    );
}

#[test]
fn mistakes_in_a_calendar_have_their_place() {
    refused(
        "kind: calendar\nname: cn\ndays:\n  - { date: 2026-13-01, name: a }\n  - { date: 2026-10-01, to: 2025-10-07, name: b }\n\
         \x20 - { date: 2026-10-02, to: 2027-10-07, name: c }\n  - { date: 2026-10-05, name: d, open: \"from 12:00\" }\n\
         \x20 - { date: 2026-10-05, name: e }\n",
        &expect![[r#"
            p.yaml:4:13: failed to parse two digit integer as month: parameter 'month' is not in the required range of 1..=12
                4 |   - { date: 2026-13-01, name: a }
                  |             ^
            p.yaml:5:29: 2025-10-07 is not after 2026-10-01
                5 |   - { date: 2026-10-01, to: 2025-10-07, name: b }
                  |                             ^
            p.yaml:6:29: more than 62 days in a row: is the year right?
                6 |   - { date: 2026-10-02, to: 2027-10-07, name: c }
                  |                             ^
            p.yaml:7:13: 2026-10-05 is in the calendar twice
                7 |   - { date: 2026-10-05, name: d, open: "from 12:00" }
                  |             ^
            p.yaml:7:40: `from 12:00` is no opening; write `until 12:00` for a half day, `like mon` for an extra working day, or leave it out
                7 |   - { date: 2026-10-05, name: d, open: "from 12:00" }
                  |                                        ^
            p.yaml:8:13: 2026-10-05 is in the calendar twice
                8 |   - { date: 2026-10-05, name: e }
                  |             ^
        "#]],
    );
    let documents =
        accepted("kind: calendar\nname: cn\ndays:\n  - { date: 2026-10-10, name: a, open: like fri }\n");
    assert_eq!(documents[0].path(), "calendar/cn");
}

#[test]
fn mistakes_in_territories_and_in_whom_a_rule_names_have_their_place() {
    refused(
        "kind: territory\nname: south\nareas:\n  - { country: DE, postal: [\"80-87, 9x-91\", 87-80] }\n  - { country: Bavaria }\n---\n\
         kind: territory\nname: a\nareas: [{ country: AT, regions: [Tirol] }, { country: AT, postal: [60] }]\n---\n\
         kind: territory\nname: b\nareas:\n  - country: AT\n    regions: [tirol]\n    postal: [60]\n---\n\
         kind: rep\nname: ann\nlanguages: [de, klingonish]\n---\n\
         kind: team\nname: t\nmembers: [{ rep: ann }]\noff_hours: sleep\nneed: { language: mumble }\n---\n\
         kind: routing\nname: default\nrules:\n  - { name: a, assign: { team: t, rep: ann } }\n\
         \x20 - { name: b, assign: { queue: t, need: { skills: [x] } } }\n  - { name: c, assign: { team: t, by: round } }\n\
         \x20 - { name: d, assign: { teams: [t, t] } }\n  - { name: e, assign: { queue: u } }\n\
         \x20 - { name: f, when: lead.teritory == \"a\", assign: { owner: company } }\n",
        &expect![[r#"
            p.yaml:4:29: `9x-91` is no range: both ends have as many characters, the smaller comes first
                4 |   - { country: DE, postal: ["80-87, 9x-91", 87-80] }
                  |                             ^
            p.yaml:4:45: `87-80` is no range: both ends have as many characters, the smaller comes first
                4 |   - { country: DE, postal: ["80-87, 9x-91", 87-80] }
                  |                                             ^
            p.yaml:5:16: not a country: use a code such as "DE"
                5 |   - { country: Bavaria }
                  |                ^
            p.yaml:15:15: tirol in AT is in territory a already
               15 |     regions: [tirol]
                  |               ^
            p.yaml:16:14: 60 in AT is in territory a already
               16 |     postal: [60]
                  |              ^
            p.yaml:20:17: `klingonish` is no language; write a code such as `de`
               20 | languages: [de, klingonish]
                  |                 ^
            p.yaml:25:12: `sleep` is none of the words for this (known: escalate, wait, anyway)
               25 | off_hours: sleep
                  |            ^
            p.yaml:26:19: `mumble` is no language; write `lead.language` or a code such as `de`
               26 | need: { language: mumble }
                  |                   ^
            p.yaml:31:24: expected exactly one of `owner`, `team`, `teams`, `rep` and `queue`
               31 |   - { name: a, assign: { team: t, rep: ann } }
                  |                        ^
            p.yaml:32:24: `need` chooses among the members of a team: it goes with `team` or `teams`
               32 |   - { name: b, assign: { queue: t, need: { skills: [x] } } }
                  |                        ^
            p.yaml:33:24: `by` goes with `teams`
               33 |   - { name: c, assign: { team: t, by: round } }
                  |                        ^
            p.yaml:34:37: t is here twice
               34 |   - { name: d, assign: { teams: [t, t] } }
                  |                                     ^
            p.yaml:35:33: there is no team `u` (known: t)
               35 |   - { name: e, assign: { queue: u } }
                  |                                 ^
            p.yaml:36:22: a lead has no `teritory` (did you mean `lead.territory`?)
               36 |   - { name: f, when: lead.teritory == "a", assign: { owner: company } }
                  |                      ^
        "#]],
    );
}
