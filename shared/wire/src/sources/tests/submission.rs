//! What Netlify says of a submission beside what was filled in.

use super::reading::{JSON, lead, lead_of, pairs};
use super::*;
use serde_json::{Value, json};

#[test]
fn the_name_that_netlify_took_counts_where_the_form_has_none() {
    let body = |name: Value, first: Value, data: Value| {
        json!({"id": "1", "name": name, "first_name": first, "data": data}).to_string()
    };
    let read = |body: String| {
        let lead = lead("netlify", JSON, body);
        pairs(&lead).into_iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>()
    };
    let wer = json!({"wer": "Ola N"});
    assert_eq!(read(body(json!("Ola N"), Value::Null, wer.clone())), ["wer Ola N", "full_name Ola N"]);
    assert_eq!(read(body(json!("Ola N"), json!("Ola"), wer.clone())), ["wer Ola N", "first_name Ola"]);
    assert_eq!(read(body(json!("Ola N"), Value::Null, json!({"name": "Ola"}))), ["full_name Ola"]);
    let lasts = json!({"last_name": "N"});
    assert_eq!(read(body(json!("Ola N"), Value::Null, lasts)), ["last_name N"]);
    assert_eq!(read(body(Value::Null, Value::Null, wer.clone())), ["wer Ola N"]);
    let mapped =
        Document { fields: [("full_name".to_owned(), vec!["wer".to_owned()])].into(), ..document("netlify") };
    let read = lead_of(&mapped, JSON, body(json!("Ola"), Value::Null, wer));
    assert_eq!(pairs(&read), [("wer", "Ola N")]);
}

#[test]
fn a_file_of_netlify_is_described_and_can_be_fetched() {
    let file = |name: &str, size: Value| {
        let url = format!("https://n.example/{name}");
        json!({"filename": name, "type": "application/pdf", "size": size, "url": url})
    };
    let data = json!({"cv": file("cv.pdf", json!(9)), "more": [file("a.pdf", json!("7")), file("b.pdf", Value::Null)]});
    let read = lead("netlify", JSON, json!({"id": "1", "data": data}).to_string());
    let files: Vec<_> =
        read.files.iter().map(|file| (file.field.as_str(), file.file_name.as_str(), file.size)).collect();
    assert_eq!(files, [("cv", "cv.pdf", 9), ("more", "a.pdf", 7), ("more", "b.pdf", 0)]);
    let expected = [
        ("cv", "https://n.example/cv.pdf"),
        ("more", "https://n.example/a.pdf"),
        ("more", "https://n.example/b.pdf"),
    ];
    assert_eq!(pairs(&read), expected);
    let list = lead("netlify", JSON, r#"{"id":"1","data":{"n":["x","y"],"o":{"url":"u"},"e":[]}}"#);
    assert_eq!(pairs(&list), [("n", "x"), ("n", "y"), ("o.url", "u")], "no files");
}
