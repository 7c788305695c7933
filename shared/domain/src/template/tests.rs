//! Templates as people write them, for people as they are.

use super::context::Context;
use crate::policy::{Document, PolicySet};
use serde_json::{Value, json};

fn documents(list: Value) -> Vec<Document> {
    list.as_array().unwrap().iter().map(|document| Document::from_json(document.clone()).unwrap()).collect()
}
#[test]
fn x() {
    let docs = documents(
        json!([{"kind": "settings", "company": {"name": "Shop"}}, {"kind":"template","name":"a","subject":"x {{ company.name }}","text":"y"}]),
    );
    println!("{:?}", crate::policy::check(&docs));
    println!("{:?}", Context::sample(&PolicySet::build(1, docs).unwrap().settings.company).values);
}
