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
            p.yaml:14:53: there is no calendar `cn`; known: none
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
