//! Bodies as the types that calls take; where one does not fit, the field is named.

use crate::Call;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, deserialize};
use sluice_wire::problem::Problem;
use std::fmt::Display;

impl Call {
    /// The JSON body as what this call takes; an empty one is an empty object.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body = self.json()?;
        if !body.is_object() {
            // A list would be read as the fields in their order.
            return Err(Problem::new(422, "body-unfit", "The body has to be a JSON object."));
        }
        deserialize(body).map_err(|error| {
            let detail = format!("The body does not say what is needed: {}.", error.inner());
            Problem {
                field: field_of(error.path(), error.inner()),
                ..Problem::new(422, "body-unfit", detail)
            }
        })
    }

    /// The same of a body that is full of what people said: where it is wrong is told, what stands there is not.
    pub(crate) fn read_unseen<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let mut json = serde_json::Deserializer::from_slice(&self.request.body);
        let wrong = |error: &serde_json::Error, field| {
            let at = format!("line {} column {}", error.line(), error.column());
            let detail = format!("The body is not what this call takes ({at}).");
            Problem { field, ..Problem::new(422, "malformed-request", detail) }
        };
        let asked = deserialize(&mut json)
            .map_err(|error| wrong(error.inner(), field_of(error.path(), error.inner())))?;
        json.end().map_err(|error| wrong(&error, None))?;
        Ok(asked)
    }
}

/// The field that an error is about. One that is missing is named by the error alone.
fn field_of(path: &Path, error: &impl Display) -> Option<String> {
    let path = Some(path.to_string()).filter(|path| path != ".");
    let error = error.to_string();
    let missing = error.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
    match (path, missing) {
        (Some(path), Some((missing, _))) => Some(format!("{path}.{missing}")),
        (None, Some((missing, _))) => Some(missing.to_owned()),
        (path, None) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Asked {
        customer: String,
        #[serde(default)]
        replace_by: Option<Inner>,
        #[serde(default)]
        rows: Vec<(u32, String)>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        channel: String,
    }

    #[test]
    fn whatever_does_not_fit_is_named_by_its_place() {
        for (body, field) in [
            (json!({}), Some("customer")),
            (json!({"customer": 1}), Some("customer")),
            (json!({"customer": "c", "to": "x"}), Some("to")),
            (json!({"customer": "c", "replace_by": {}}), Some("replace_by.channel")),
            (json!({"customer": "c", "replace_by": {"channel": []}}), Some("replace_by.channel")),
            (json!({"customer": "c", "rows": [[1, "a"], [2, 3]]}), Some("rows[1][1]")),
            (json!([]), None),
        ] {
            let error = deserialize::<_, Asked>(&body).unwrap_err();
            assert_eq!(field_of(error.path(), error.inner()).as_deref(), field, "{body}: {error}");
        }
    }
}
