//! Jotform's webhook: a multipart form whose part `rawRequest` holds the answers as JSON. Nothing is signed.

use super::draft::Draft;
use super::{Delivery, KEY_PARAMETER, Source, SourceLead, unwritten};
use crate::body::json::{self, Node};
use crate::body::{BodyFlag, gzip, most_bytes, parse_uncut};
use crate::problem::Problem;
use sluice_domain::policy::Auth;

/// The source `jotform`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jotform;

/// What `rawRequest` holds besides answers.
const NOT_ANSWERS: [&str; 19] = [
    "slug",
    "jsExecutionTracker",
    "submitSource",
    "submitDate",
    "buildDate",
    "uploadServerUrl",
    "eventObserver",
    "event_id",
    "timeToSubmit",
    "validatedNewRequiredFieldIDs",
    "path",
    "temp_upload",
    "file_server",
    "target_env",
    "website",
    "simple_spc",
    "embedUrl",
    "jsBrowser",
    "formID",
];

impl Source for Jotform {
    fn kind(&self) -> &'static str {
        "jotform"
    }

    fn setup(&self) -> &'static str {
        "Jotform: the form, Settings, Integrations, Webhooks, Add webhook."
    }

    fn proofs(&self) -> &'static [Auth] {
        &[Auth::UrlKey, Auth::Public]
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        // The part holds all answers, a signature as large as a picture too: it is read whole, and each answer cut by itself.
        let body = parse_uncut(delivery.request)?;
        let raw = body.value("rawRequest").map(|text| json::read(text).map(|(node, _)| node));
        let (mut draft, parts) = Draft::of(delivery, body);
        draft.keep(gzip::undo(delivery.request, most_bytes(delivery.request))?);
        let part = |name: &str| parts.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        draft.id(part("submissionID"));
        match &raw {
            Some(Ok(answers)) => {
                for (name, value) in
                    answers.members().iter().filter(|(name, _)| !NOT_ANSWERS.contains(&name.as_str()))
                {
                    let is_named = draft.is_named_in_part(name);
                    answer(&mut draft, if is_named { name } else { question(name) }, value);
                }
            }
            _ => {
                if raw.is_some() {
                    draft.flag(BodyFlag::NotFields);
                }
                let known = ["submissionID", "formID", "ip", "webhookURL", "formTitle", "username"];
                for (name, value) in parts.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
                    draft.text(if draft.is_named(name) { name } else { question(name) }, value);
                }
            }
        }
        for (name, key) in [("form_id", "formID"), ("form_name", "formTitle"), ("ip", "ip")] {
            draft.note_text(name, part(key).unwrap_or_default());
        }
        let mut lead = draft.finish_by_look();
        // Jotform repeats our address, and with it the key by which it is believed.
        let query = &delivery.request.query;
        lead.raw = lead.raw.map(|raw| unwritten::without_query_value(&raw, query, KEY_PARAMETER));
        Ok(vec![lead])
    }
}

/// `q3_email` is the third question, called `email`; the form builder likes to say the number twice, `q3_email3`.
fn question(name: &str) -> &str {
    let numbered = name.strip_prefix('q').and_then(|rest| rest.split_once('_'));
    match numbered {
        Some((number, question))
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            question.strip_suffix(number).filter(|rest| !rest.is_empty()).unwrap_or(question)
        }
        _ => name,
    }
}

/// Names, numbers and addresses come in parts; a part that has no name of ours is kept as `question.part`.
fn answer(draft: &mut Draft<'_>, name: &str, value: &Node) {
    let part = |part: &str| value.get(part).text();
    let is = |part: &str| part_of(value, part);
    let known: &[(&str, &str)] = if is("first") || is("last") {
        &[("first_name", "first"), ("last_name", "last")]
    } else if is("full") {
        draft.known("phone", name, value.get("full"));
        &[("", "full")]
    } else if is("area") && is("phone") {
        let said = |name: &str| part(name).map(str::trim).filter(|text| !text.is_empty());
        let number = ["country", "area", "phone"].into_iter().filter_map(said).collect::<Vec<_>>().join(" ");
        // A country code that is one, `49` as well as `+49`.
        let is_code = said("country").is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        let plus = if is_code && !number.starts_with("00") { "+" } else { "" };
        draft.known_text("phone", name, &format!("{plus}{number}"));
        &[("", "country"), ("", "area"), ("", "phone")]
    } else if is("postal") || is("addr_line1") {
        &[
            ("street", "addr_line1"),
            ("city", "city"),
            ("region", "state"),
            ("postal_code", "postal"),
            ("country", "country"),
        ]
    } else {
        return draft.field(name, value);
    };
    for (standard, part) in known.iter().filter(|(standard, _)| !standard.is_empty()) {
        draft.known(standard, &format!("{name}.{part}"), value.get(part));
    }
    let is_said = |value: &Node| value.text().is_none_or(|text| !text.trim().is_empty());
    for (part, value) in value.members().iter().filter(|(_, value)| is_said(value)) {
        if !known.iter().any(|(_, known)| known == part) {
            draft.field(&format!("{name}.{part}"), value);
        }
    }
}

fn part_of(value: &Node, part: &str) -> bool {
    value.get(part).text().is_some()
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn a_question_is_called_by_its_name_without_its_number() {
        for (sent, name) in [
            ("q3_email", "email"),
            ("q3_email3", "email"),
            ("q12_address2", "address2"),
            ("q7_7", "7"),
            ("quote_1", "quote_1"),
            ("q_1", "q_1"),
            ("website", "website"),
        ] {
            assert_eq!(question(sent), name);
        }
    }
}
