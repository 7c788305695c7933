//! Response clocks as people write them.

use super::{accepted, refused};
use expect_test::expect;
use sluice_domain::policy::Document;

const REPS: &str = "kind: rep\nname: a\n---\nkind: rep\nname: boss\n---\n";

fn team(response: &str) -> String {
    format!("{REPS}kind: team\nname: sdr\nmembers: [{{ rep: a }}]\nresponse: {response}\n")
}

#[test]
fn a_response_is_read_and_written_back() {
    let text = team("{ within: 90m, remind: [\"50%\", \"80%\"], limit: 2, catch_all: { rep: boss } }");
    let Some(Document::Team(read)) = accepted(&text).pop() else { panic!("the team is the last") };
    let response = read.response.as_ref().unwrap();
    assert_eq!((response.within.to_string().as_str(), response.limit), ("1h30m", 2));
    let again = Document::from_json(Document::Team(read.clone()).to_json()).unwrap();
    assert_eq!(again, Document::Team(read));
    accepted(&team("{ within: 5m }"));
    accepted(&team("{ within: 5m, remind: [\"50%\"], then: remind_only }"));
}

#[test]
fn mistakes_in_a_response_have_their_place() {
    refused(
        &team("{ within: 5 minutes, remind: [\"120%\"], then: wait, limits: 3 }"),
        &expect![[r#"
            p.yaml:10:21: `5 minutes` is no length of time; write it like `5m`, `90s` or `1h30m`
               10 | response: { within: 5 minutes, remind: ["120%"], then: wait, limits: 3 }
                  |                     ^
            p.yaml:10:41: `120%` is no point of the window; write it like `50%`, 1 to 99
               10 | response: { within: 5 minutes, remind: ["120%"], then: wait, limits: 3 }
                  |                                         ^
            p.yaml:10:56: `wait` is none of the words for this (known: reassign, remind_only, escalate)
               10 | response: { within: 5 minutes, remind: ["120%"], then: wait, limits: 3 }
                  |                                                        ^
            p.yaml:10:62: unknown field `limits` (did you mean `limit`?)
               10 | …esponse: { within: 5 minutes, remind: ["120%"], then: wait, limits: 3 }
                  |                                                              ^
        "#]],
    );
    refused(
        &team("{ within: 5m, remind: [\"80%\", \"50%\"], limit: 0, catch_all: { rep: nobody } }"),
        &expect![[r#"
            p.yaml:10:41: 50% does not come after 80%
               10 | response: { within: 5m, remind: ["80%", "50%"], limit: 0, catch_all: { rep: nobody } }
                  |                                         ^
            p.yaml:10:56: a limit is a whole number from 1 to 20
               10 | response: { within: 5m, remind: ["80%", "50%"], limit: 0, catch_all: { rep: nobody } }
                  |                                                        ^
            p.yaml:10:77: there is no rep `nobody` (known: a, boss)
               10 | …in: 5m, remind: ["80%", "50%"], limit: 0, catch_all: { rep: nobody } }
                  |                                                              ^
        "#]],
    );
    refused(
        &team("{ within: 5m, then: remind_only, catch_all: { team: sdr } }"),
        &expect![[r#"
            p.yaml:10:31: with `remind_only` there is something to do only with `remind`
               10 | response: { within: 5m, then: remind_only, catch_all: { team: sdr } }
                  |                               ^
            p.yaml:10:55: a lead gets to the catch-all only with `then: reassign`
               10 | response: { within: 5m, then: remind_only, catch_all: { team: sdr } }
                  |                                                       ^
        "#]],
    );
    refused(
        &team("{ within: 1d, catch_all: { team: sdr } }"),
        &expect![[r#"
            p.yaml:10:21: `1d`: write hours, a day of work has no fixed length
               10 | response: { within: 1d, catch_all: { team: sdr } }
                  |                     ^
        "#]],
    );
}
