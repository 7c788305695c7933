//! The contract: what `infra/openapi.yaml` says of a call has to hold of it, and of its answer.

use super::http::Answer;
use super::schema;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// The document as it stands.
pub const TEXT: &str = include_str!("../../../infra/openapi.yaml");

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

/// The document, read.
pub struct Contract {
    /// As JSON.
    pub document: Value,
}

impl Contract {
    /// The one of this workspace.
    pub fn get() -> &'static Self {
        &CONTRACT
    }

    fn read() -> Self {
        let documents = Yaml::load_from_str(TEXT).expect("infra/openapi.yaml is YAML");
        let [document] = documents.as_slice() else { panic!("one document") };
        Self { document: json_of(document) }
    }

    /// Every operation, as `METHOD /path`.
    pub fn operations(&self) -> Vec<(String, &Value)> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let item = item.as_object().into_iter().flatten();
            let methods = item.filter(|(name, _)| METHODS.contains(&name.as_str()));
            methods.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
        });
        operations.collect()
    }

    /// What does not hold of a call and its answer; nothing of calls that the document does not speak of.
    pub fn check(&self, method: &str, target: &str, body: &[u8], answer: &Answer) -> Vec<String> {
        let path = target.split('?').next().unwrap_or_default();
        let Some((pattern, operation)) = self.find(method, path) else { return Vec::new() };
        let at =
            format!("#/paths/{}/{}", pattern.replace('~', "~0").replace('/', "~1"), method.to_lowercase());
        let status = answer.status.to_string();
        let responses = &operation["responses"];
        let name = if responses.get(&status).is_some() { status } else { "default".to_owned() };
        let Some(response) = responses.get(&name) else {
            return vec![format!("{method} {pattern} does not say that it answers {}", answer.status)];
        };
        let (response, at_response) = match response["$ref"].as_str() {
            Some(place) => (self.at(place), place.to_owned()),
            None => (response, format!("{at}/responses/{name}")),
        };
        let mut wrong = Vec::new();
        let kind =
            answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let contents = response["content"].as_object();
        match contents {
            None if answer.body.is_empty() => {}
            None => wrong.push(format!("{method} {pattern} {name}: there is no body, says the document")),
            Some(contents) if !answer.body.is_empty() => match contents.get(kind) {
                None => wrong.push(format!("{method} {pattern} {name}: `{kind}` is not in the document")),
                Some(_) if kind.ends_with("json") => {
                    let schema = format!("{at_response}/content/{}/schema", kind.replace('/', "~1"));
                    wrong.extend(self.errors(&schema, &answer.json()));
                }
                Some(_) => {}
            },
            Some(_) => {}
        }
        // What was done was asked for as the document says.
        let asked = operation["requestBody"]["content"].get("application/json");
        if let (200..300, Some(_), Ok(body)) = (answer.status, asked, serde_json::from_slice::<Value>(body)) {
            wrong.extend(self.errors(&format!("{at}/requestBody/content/application~1json/schema"), &body));
        }
        wrong.into_iter().map(|why| format!("{method} {target} {}: {why}", answer.status)).collect()
    }

    /// The operation of a path, fixed parts before placeholders.
    fn find(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |pattern: &str| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            pattern.len() == parts.len()
                && pattern
                    .iter()
                    .zip(&parts)
                    .all(|(want, have)| want.starts_with('{') && !have.is_empty() || want == have)
        };
        let paths = self.document["paths"].as_object()?;
        let mut found: Vec<(&String, &Value)> = paths.iter().filter(|(pattern, _)| fits(pattern)).collect();
        found.sort_by_key(|(pattern, _)| pattern.matches('{').count());
        let mut found = found.into_iter().map(|(pattern, item)| (pattern, &item[method.to_lowercase()]));
        found
            .find(|(_, operation)| operation.is_object())
            .map(|(pattern, operation)| (pattern.as_str(), operation))
    }

    fn at(&self, place: &str) -> &Value {
        self.document.pointer(place.trim_start_matches('#')).unwrap_or(&Value::Null)
    }

    fn errors(&self, place: &str, value: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        schema::check(&self.document, self.at(place), value, "", &mut wrong);
        wrong
    }
}

const METHODS: [&str; 7] = ["get", "head", "put", "post", "delete", "options", "patch"];

fn json_of(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => Value::String(value.to_string()),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        Yaml::Mapping(members) => {
            let members = members.iter().map(|(name, member)| {
                let name = match json_of(name) {
                    Value::String(name) => name,
                    other => other.to_string(),
                };
                (name, json_of(member))
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        _ => panic!("nothing else is in the document"),
    }
}
