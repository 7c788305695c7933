//! JSON Schema, as far as `infra/openapi.yaml` uses it. What is not known here fails, so that nothing is believed to be checked
//! that is not. A library for all of it would have `serde` and `hashbrown` built with other features for every test.

use serde_json::Value;

/// What is wrong before it is enough.
const ENOUGH: usize = 8;

/// Adds what does not hold of a value at `place` to `wrong`; references lead into `document`.
///
/// # Panics
/// If the schema says something that is not known here.
pub fn check(document: &Value, schema: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
    if wrong.len() >= ENOUGH {
        return;
    }
    let Some(schema) = schema.as_object() else {
        // `true` and `{}` allow everything.
        assert!(schema.as_bool() == Some(true), "no schema at {place}: {schema}");
        return;
    };
    for (word, said) in schema {
        match word.as_str() {
            "$ref" => {
                let at = said.as_str().and_then(|at| document.pointer(at.trim_start_matches('#')));
                check(document, at.unwrap_or_else(|| panic!("{said} leads nowhere")), value, place, wrong);
            }
            "type" => {
                let types = said.as_array().map_or_else(|| vec![said], |types| types.iter().collect());
                if !types.iter().filter_map(|one| one.as_str()).any(|one| is_a(one, value)) {
                    wrong.push(format!("{place} is no {said}: {value}"));
                }
            }
            "enum" if !said.as_array().is_some_and(|all| all.contains(value)) => {
                wrong.push(format!("{place} is none of the words: {value}"));
            }
            "const" if said != value => wrong.push(format!("{place} is not {said}: {value}")),
            "oneOf" => {
                let holds = |one: &&Value| {
                    let mut inner = Vec::new();
                    check(document, one, value, place, &mut inner);
                    inner.is_empty()
                };
                let all: Vec<&Value> = said.as_array().into_iter().flatten().collect();
                if all.iter().filter(|one| holds(one)).count() != 1 {
                    let mut inner = Vec::new();
                    if let Some(first) = all.first() {
                        check(document, first, value, place, &mut inner);
                    }
                    wrong.push(format!("{place} is not one of those: {}", inner.join("; ")));
                }
            }
            "properties" => {
                for (name, schema) in said.as_object().into_iter().flatten() {
                    if let Some(member) = value.get(name) {
                        check(document, schema, member, &format!("{place}/{name}"), wrong);
                    }
                }
            }
            "required" => {
                let missing = said.as_array().into_iter().flatten().filter_map(Value::as_str);
                let missing = missing.filter(|name| value.is_object() && value.get(name).is_none());
                wrong.extend(missing.map(|name| format!("{place} lacks {name}")));
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let others = value.as_object().into_iter().flatten();
                let others = others.filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
                for (name, member) in others {
                    match said {
                        Value::Bool(false) => {
                            wrong.push(format!("{place} has a member {name} that is not described"))
                        }
                        schema => check(document, schema, member, &format!("{place}/{name}"), wrong),
                    }
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, said, item, &format!("{place}/{n}"), wrong);
                }
            }
            "format" => {
                let is_time =
                    |text: &str| sluice_domain::time::Timestamp::parse(text).is_some() && text.contains('T');
                assert!(said == "date-time", "{place}: the format {said} is not known here");
                if value.as_str().is_some_and(|text| !is_time(text)) {
                    wrong.push(format!("{place} is no time: {value}"));
                }
            }
            "pattern" => {
                // Patterns are of ids only: `^ld_[…]{26}$`, or `^(ld|cu)_…`; and of the template's digest.
                let said = said.as_str().unwrap_or_default();
                if said == "^[0-9a-f]{12}$" {
                    let is_hex = |text: &str| {
                        text.len() == 12 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                    };
                    if value.as_str().is_some_and(|text| !is_hex(text)) {
                        wrong.push(format!("{place} is no digest: {value}"));
                    }
                    continue;
                }
                let kinds = said.trim_start_matches('^').split('_').next().unwrap_or_default();
                assert!(
                    said.ends_with("_[0-9a-hjkmnp-tv-z]{26}$"),
                    "{place}: the pattern {said} is not known here"
                );
                let mut kinds = kinds.trim_matches(['(', ')']).split('|');
                let mut is_id = |text: &str| {
                    text.split_once('_')
                        .is_some_and(|(kind, id)| kinds.any(|known| known == kind) && id.len() == 26)
                };
                if value.as_str().is_some_and(|text| !is_id(text)) {
                    wrong.push(format!("{place} is no id: {value}"));
                }
            }
            "minItems" | "maxItems" => {
                let n = value.as_array().map(|items| items.len() as u64);
                let bound = said.as_u64().unwrap_or_default();
                if n.is_some_and(|n| if word == "minItems" { n < bound } else { n > bound }) {
                    wrong.push(format!("{place} has too many or too few items"));
                }
            }
            "enum" | "const" | "description" => {}
            other => panic!("{place}: `{other}` is not known here"),
        }
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_hold_is_said_with_its_place() {
        let document =
            json!({"of": {"id": {"type": "string", "pattern": "^(ld|cu)_[0-9a-hjkmnp-tv-z]{26}$"}}});
        let schema = json!({
            "type": "object", "required": ["id", "n"], "additionalProperties": false,
            "properties": {
                "id": {"$ref": "#/of/id"}, "n": {"type": ["integer", "null"]}, "at": {"type": "string", "format": "date-time"},
                "all": {"type": "array", "maxItems": 1, "items": {"enum": ["a", "b"]}},
                "or": {"oneOf": [{"type": "object", "properties": {"x": {"const": 1}}}, {"type": "null"}]},
            },
        });
        let good = json!({"id": format!("ld_{}", "0".repeat(26)), "n": null, "at": "2027-01-01T00:00:00Z", "all": ["a"], "or": null});
        let errors = |value: &Value| {
            let mut wrong = Vec::new();
            check(&document, &schema, value, "", &mut wrong);
            wrong
        };
        assert_eq!(errors(&good), [""; 0]);
        for (name, value, said) in [
            ("id", json!("xx_1"), "/id is no id"),
            ("n", json!("1"), "/n is no"),
            ("n", json!(1.5), "/n is no"),
            ("at", json!("yesterday"), "/at is no time"),
            ("all", json!(["c"]), "/all/0 is none of the words"),
            ("all", json!(["a", "b"]), "too many"),
            ("or", json!({"x": 2}), "/or is not one of those"),
            ("other", json!(1), "other"),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(errors(&bad).iter().any(|error| error.contains(said)), "{name}: {:?}", errors(&bad));
        }
        assert!(errors(&json!({"n": 1})).contains(&" lacks id".to_owned()));
    }
}
