//! Topics as people write them.

use super::{accepted, refused};
use expect_test::expect;

const ASK: &str = "---\nkind: template\nname: ask\nsubject: Really?\ntext: 'Yes: {{ link.confirm }}'\n";

#[test]
fn a_topic_with_double_opt_in_names_the_message_that_asks() {
    accepted(&format!("kind: topic\nname: news\nconsent: double_opt_in\nconfirm: ask\n{ASK}"));
    // The settings may say so for every topic.
    accepted(&format!("kind: topic\nname: news\nconfirm: ask\n{ASK}"));
    // Whoever was erased and comes back is asked whatever the topic asks of others.
    accepted(&format!("kind: topic\nname: news\nconsent: opt_in\nconfirm: ask\n{ASK}"));
}

#[test]
fn a_question_that_cannot_be_answered_is_refused() {
    refused(
        &format!("kind: topic\nname: news\nservice: true\nconfirm: ask\n{ASK}"),
        &expect![[r#"
        p.yaml:4:10: messages of a service topic need no consent: nobody is asked about it
            4 | confirm: ask
              |          ^
    "#]],
    );
    refused(
        "kind: topic\nname: news\nconsent: double_opt_in\nconfirm: ask\n",
        &expect![[r#"
        p.yaml:4:10: there is no template `ask` (known: none)
            4 | confirm: ask
              |          ^
    "#]],
    );
    refused(
        "kind: topic\nname: news\nconsent: double_opt_in\nconfirm: ask\n---\nkind: template\nname: ask\nsubject: Really?\n\
         text: Please say yes.\n",
        &expect![[r#"
            p.yaml:4:10: nothing in the template `ask` leads to `{{ link.confirm }}`
                4 | confirm: ask
                  |          ^
        "#]],
    );
}
