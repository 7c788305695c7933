//! What happens on the day: lines of `*.ndjson` files, in the order of their times.

use serde::Deserialize;
use serde_json::{Map, Value};
use sluice_domain::time::Timestamp;
use std::path::Path;

/// Milliseconds.
const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

/// A whole day.
#[derive(Clone, Debug)]
pub struct Script {
    /// In the order of their times.
    pub lines: Vec<Line>,
}

/// One thing that somebody does.
#[derive(Clone, Debug)]
pub struct Line {
    /// When, in milliseconds since the day's midnight in UTC.
    pub at: i64,
    /// Where it stands, `website.ndjson:3`: what it sends is known again by it.
    pub key: String,
    /// What.
    pub deed: Deed,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Fills in a form in a browser.
    Form {
        /// The form.
        form: String,
        /// What was filled in.
        fields: Map<String, Value>,
        /// What the browser asks for as language.
        language: Option<String>,
        /// The page with the form.
        page: Option<String>,
    },
    /// An ad platform or form tool calls.
    Hook {
        /// The source document.
        source: String,
        /// The call's body, without what proves it.
        body: Value,
        /// What the sender's own API answers, by the lead's id.
        answers: Map<String, Value>,
    },
    /// A tracking library calls.
    Call {
        /// The source document whose key it has.
        source: String,
        /// Its calls, as in Segment's `batch`.
        batch: Vec<Value>,
    },
    /// Somebody opens a mail.
    Open {
        /// The reader's address.
        reader: String,
        /// The template of the mail.
        mail: String,
    },
    /// Somebody follows a link of a mail.
    Click {
        /// The reader's address.
        reader: String,
        /// The template of the mail.
        mail: String,
        /// The path that the link leads to.
        link: String,
    },
    /// Somebody presses their mail program's "unsubscribe".
    Unsubscribe {
        /// The reader's address.
        reader: String,
        /// The template of the mail.
        mail: String,
    },
    /// Whoever has a lead does something with it.
    Rep {
        /// The person whose newest lead it is.
        lead_of: String,
        /// The last part of the route: `accept`, `contacts`, `close`, ….
        does: String,
        /// The body.
        body: Value,
    },
    /// The office writes down what a person wants.
    Consent {
        /// Who.
        person: String,
        /// The body.
        body: Value,
    },
    /// The office erases a person.
    Erase {
        /// Who.
        person: String,
    },
}

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Written {
    at: String,
    form: Option<String>,
    fields: Map<String, Value>,
    language: Option<String>,
    page: Option<String>,
    hook: Option<String>,
    answers: Map<String, Value>,
    call: Option<String>,
    batch: Vec<Value>,
    reader: Option<String>,
    mail: Option<String>,
    link: Option<String>,
    lead_of: Option<String>,
    does: Option<String>,
    office: Option<String>,
    person: Option<String>,
    body: Option<Value>,
}

impl Script {
    /// The last second of a day, in milliseconds since its midnight.
    pub const END: i64 = DAY - 1_000;

    /// The `*.ndjson` files of a folder. The error says file, line and what is wrong.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "ndjson") {
                files.push(path);
            }
        }
        files.sort();
        let mut lines = Vec::new();
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text =
                std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            lines.extend(Self::lines(&name, &text)?);
        }
        if lines.is_empty() {
            return Err(format!("{}: no .ndjson files with a day here", folder.display()));
        }
        // Of one instant the files' order holds.
        lines.sort_by_key(|line| line.at);
        Ok(Self { lines })
    }

    fn lines(file: &str, text: &str) -> Result<Vec<Line>, String> {
        let mut lines = Vec::new();
        for (number, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let key = format!("{file}:{}", number + 1);
            let written: Written = serde_json::from_str(text).map_err(|error| format!("{key}: {error}"))?;
            let at = time_of_day(&written.at)
                .ok_or_else(|| format!("{key}: `at` is a time of the day such as 09:30"))?;
            let deed = deed(written).ok_or_else(|| {
                format!("{key}: a line has one of form, hook, call, reader, lead_of and office, and what goes with it")
            })?;
            lines.push(Line { at, key, deed });
        }
        Ok(lines)
    }
}

fn deed(line: Written) -> Option<Deed> {
    let Written { form, fields, language, page, hook, answers, call, batch, reader, mail, link, .. } = line;
    let Written { lead_of, does, office, person, body, .. } = line;
    let body = || body.unwrap_or_else(|| Value::Object(Map::new()));
    let found = [
        form.is_some(),
        hook.is_some(),
        call.is_some(),
        reader.is_some(),
        lead_of.is_some(),
        office.is_some(),
    ];
    if found.iter().filter(|found| **found).count() != 1 {
        return None;
    }
    if let Some(form) = form {
        return Some(Deed::Form { form, fields, language, page });
    }
    if let Some(source) = hook {
        return Some(Deed::Hook { source, body: body(), answers });
    }
    if let Some(source) = call {
        return (!batch.is_empty()).then_some(Deed::Call { source, batch });
    }
    if let Some(reader) = reader {
        let mail = mail?;
        return match does.as_deref()? {
            "open" => Some(Deed::Open { reader, mail }),
            "click" => Some(Deed::Click { reader, mail, link: link? }),
            "unsubscribe" => Some(Deed::Unsubscribe { reader, mail }),
            _ => None,
        };
    }
    if let Some(lead_of) = lead_of {
        return Some(Deed::Rep { lead_of, does: does?, body: body() });
    }
    match (office?.as_str(), person?) {
        ("consent", person) => Some(Deed::Consent { person, body: body() }),
        ("erase", person) => Some(Deed::Erase { person }),
        _ => None,
    }
}

/// `09:30` or `09:30:05`, in milliseconds.
fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().ok().filter(|_| part.len() == 2));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let is_time = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    is_time.then_some((hour * 60 + minute) * MINUTE + second * 1_000)
}

/// Puts times in the place of texts such as `@-90d 08:30`, which are so many days before or after the day.
pub(super) fn dated(value: &Value, day: Timestamp) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('@').and_then(relative) {
            Some(millis) => day.plus_millis(millis).rfc3339().into(),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| dated(item, day)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), dated(member, day)))
            .collect::<Map<_, _>>()
            .into(),
        _ => value.clone(),
    }
}

fn relative(text: &str) -> Option<i64> {
    let (days, time) = text.split_once("d ")?;
    Some(days.parse::<i64>().ok()? * DAY + time_of_day(time)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_one_deed_at_a_time_of_the_day() {
        let lines = Script::lines("a.ndjson", "\n{\"at\": \"09:30:05\", \"form\": \"contact\"}\n").unwrap();
        assert_eq!((lines[0].at, lines[0].key.as_str()), (34_205_000, "a.ndjson:2"));
        for wrong in [
            "{\"at\": \"9:30\", \"form\": \"contact\"}",
            "{\"at\": \"24:00\", \"form\": \"contact\"}",
            "{\"at\": \"09:30\"}",
            "{\"at\": \"09:30\", \"form\": \"contact\", \"hook\": \"google\"}",
            "{\"at\": \"09:30\", \"reader\": \"ada@x.example\", \"does\": \"open\"}",
            "{\"at\": \"09:30\", \"office\": \"sleep\", \"person\": \"ada@x.example\"}",
            "{\"at\": \"09:30\", \"from\": \"contact\"}",
            "nothing",
        ] {
            let error = Script::lines("a.ndjson", wrong).unwrap_err();
            assert!(error.starts_with("a.ndjson:1: "), "{error}");
        }
    }

    #[test]
    fn times_are_reckoned_from_the_day() {
        let day = Timestamp::parse("2026-12-02T00:00:00Z").unwrap();
        let value = json!({"a": ["@-90d 08:30", "@1d 00:00:01"], "b": "@home", "c": 1});
        let expected = json!({
            "a": ["2026-09-03T08:30:00.000Z", "2026-12-03T00:00:01.000Z"], "b": "@home", "c": 1,
        });
        assert_eq!(dated(&value, day), expected);
    }
}
