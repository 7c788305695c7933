//! Which of several values of one field comes first: the first counts.

use super::reading::{JSON, lead, pairs};
use serde_json::json;

#[test]
fn what_somebody_typed_comes_before_what_the_page_knew() {
    let typeform = json!({"form_response": {
        "token": "t",
        "hidden": {"email": "old@person.example", "page": "spring"},
        "definition": {"fields": [{"id": "1", "title": "Where do we write to?"}]},
        "answers": [{"type": "email", "email": "ada@person.example", "field": {"id": "1"}}],
    }});
    let field = |kind: &str, label: &str, value: &str| json!({"type": kind, "label": label, "value": value});
    let tally = json!({"data": {"submissionId": "s", "fields": [
        field("HIDDEN_FIELDS", "email", "old@person.example"),
        field("HIDDEN_FIELDS", "page", "spring"),
        field("INPUT_EMAIL", "Where do we write to?", "ada@person.example"),
    ]}});
    for (kind, body) in [("typeform", typeform), ("tally", tally)] {
        let read = lead(kind, JSON, body.to_string());
        let expected = [("email", "ada@person.example"), ("email", "old@person.example"), ("page", "spring")];
        assert_eq!(pairs(&read), expected, "{kind}");
    }
}

#[test]
fn of_two_columns_of_google_the_one_whose_name_says_more_comes_first() {
    let column = |id: &str, value: &str| json!({"column_id": id, "string_value": value});
    let body = json!({"lead_id": "1", "user_column_data": [
        column("WORK_EMAIL", "office@person.example"), column("WORK_PHONE", "+49301"), column("CITY", "Ulm"),
        column("EMAIL", "ada@person.example"), column("PHONE_NUMBER", "+49302"),
    ]});
    let expected = [
        ("email", "ada@person.example"),
        ("phone", "+49302"),
        ("city", "Ulm"),
        ("email", "office@person.example"),
        ("phone", "+49301"),
    ];
    assert_eq!(pairs(&lead("google", JSON, body.to_string())), expected);
}
