//! What documents say about who is who: namespaces of ids, which value stands.

use super::{accepted, refused};
use expect_test::expect;
use sluice_domain::customer::Survivor;
use sluice_domain::policy::Document;

#[test]
fn survivorship_rules_are_read_by_field() {
    let text = "\
kind: form
name: contact
fields: { external_id.crm: [contact_id] }
---
kind: settings
name: default
survivorship:
  default: newest
  company: most_frequent
  phone: [contact]
";
    let documents = accepted(text);
    let Some(Document::Settings(settings)) = documents.iter().find(|d| d.kind() == "settings") else {
        panic!()
    };
    assert_eq!(settings.survivorship.rule("company"), Survivor::MostFrequent);
    assert_eq!(settings.survivorship.rule("phone"), Survivor::Sources(vec!["contact".to_owned()]));
    assert_eq!(settings.survivorship.rule("city"), Survivor::Newest);
}

#[test]
fn a_rule_that_cannot_work_is_shown_in_its_place() {
    let settings = |rules: &str| format!("kind: settings\nname: default\nsurvivorship:\n{rules}\n");
    refused(
        &settings("  company: best"),
        &expect![[r#"
        p.yaml:4:12: `best` is none of the words for this (known: kept, newest, oldest, most_frequent, longest)
            4 |   company: best
              |            ^
    "#]],
    );
    refused(
        &settings("  company: { newest: true }"),
        &expect![[r#"
        p.yaml:4:12: expected one of kept, newest, oldest, most_frequent, longest, or a list of sources, found a mapping
            4 |   company: { newest: true }
              |            ^
    "#]],
    );
    refused(
        &settings("  companny: newest\n  phone: [crm]"),
        &expect![[r#"
            p.yaml:4:13: a customer has no `companny` (did you mean `company`?)
                4 |   companny: newest
                  |             ^
            p.yaml:5:11: there is no form or source `crm` (known: none)
                5 |   phone: [crm]
                  |           ^
        "#]],
    );
    let form = "kind: form\nname: contact\nfields:\n  external_id.my crm: [id]\n";
    refused(
        form,
        &expect![[r#"
        p.yaml:4:23: a namespace is 1 to 64 letters, digits, dots, dashes or underscores
            4 |   external_id.my crm: [id]
              |                       ^
    "#]],
    );
}
