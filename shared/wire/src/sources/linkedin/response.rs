//! The Lead Sync API: what to ask for a lead and its form, how to read the answers, and what refusals mean.

use super::super::names;
use crate::body::json::{self, Node};
use sluice_domain::identity::Email;
use sluice_domain::policy::FieldMap;
use sluice_domain::time::Timestamp;
use std::fmt;

/// A lead as the Lead Sync API tells it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Name and value in the order of the answers; standard names where LinkedIn's predefined field has one.
    pub fields: Vec<(String, String)>,
    /// Campaign, creative, consents and the like.
    pub attribution: Vec<(String, String)>,
    /// When the person submitted the form.
    pub created_at: Option<Timestamp>,
    /// Made with LinkedIn's own test tool.
    pub test: bool,
    /// The form whose questions are still needed to name the answers.
    pub lacks_form: Option<String>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("fields", &self.fields.len())
            .field("attribution", &self.attribution)
            .field("test", &self.test)
            .field("lacks_form", &self.lacks_form)
            .finish_non_exhaustive()
    }
}

/// Why a lead was not told. The text says what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkedinError {
    /// Too many calls for now.
    #[error("LinkedIn limits the rate of calls; the lead is fetched again later")]
    RateLimited,
    /// LinkedIn's own trouble.
    #[error("LinkedIn is unavailable (status {0}); the lead is fetched again later")]
    Unavailable(u16),
    /// The access token is expired, revoked or not one.
    #[error("LinkedIn refuses the access token; put a new one into access_token")]
    Token,
    /// The token is good and may not read this lead.
    #[error(
        "LinkedIn denies access; the token needs r_marketing_leadgen_automation, and its member a role on the ad \
         account or page that owns the form"
    )]
    Permission,
    /// No such lead.
    #[error("LinkedIn knows no such lead; it was deleted, or belongs to another account")]
    Unknown,
    /// Anything else that asking again will not change.
    #[error("LinkedIn refuses the call (status {0}); the API version may have been retired")]
    Refused(u16),
    /// The answer is not one of the Lead Sync API.
    #[error("the answer is not one of the Lead Sync API; the lead is fetched again later")]
    Unreadable,
}

impl LinkedinError {
    /// Reads a failed answer by its HTTP status. LinkedIn's own text is not kept: it may quote what was asked.
    pub const fn classify(status: u16) -> Self {
        match status {
            429 => Self::RateLimited,
            500.. => Self::Unavailable(status),
            401 => Self::Token,
            403 => Self::Permission,
            404 | 410 => Self::Unknown,
            _ => Self::Refused(status),
        }
    }
}

/// An id as LinkedIn makes them: nothing that could lead a path elsewhere.
pub(super) fn is_id(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Path and query, below the API's base, that tell a lead. The form's questions are asked for in the same call.
pub fn response_path(id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!(
        "/leadFormResponses/{id}?fields=id,leadType,submittedAt,testLead,versionedLeadGenFormUrn,leadMetadata,\
         associatedEntity,formResponse,form:(id,name,hiddenFields,content)"
    )
}

/// Path, below the API's base, of a form with its questions.
pub fn form_path(form_id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(form_id.as_bytes()).collect();
    format!("/leadForms/{id}")
}

/// The form in `urn:li:versionedLeadGenForm:(urn:li:leadGenForm:8186,1)`, and in the URN inside it.
pub fn form_id(urn: &str) -> Option<&str> {
    let (_, rest) = urn.split_once("leadGenForm:").or_else(|| urn.split_once("leadForm:"))?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    (!digits.is_empty()).then_some(digits)
}

/// Reads the answer to [`response_path`]; `form` is the answer to [`form_path`] where that had to be asked for. `map` is the
/// source's: a name that it uses is kept.
pub fn read(response: &[u8], form: Option<&[u8]>, map: &FieldMap) -> Result<Fetched, LinkedinError> {
    let parse = |bytes: &[u8]| json::read(&String::from_utf8_lossy(bytes)).map(|(node, _)| node);
    let response = parse(response).map_err(|_| LinkedinError::Unreadable)?;
    if response.get("id").text().is_none() {
        return Err(LinkedinError::Unreadable);
    }
    let asked = form.map(parse).transpose().map_err(|_| LinkedinError::Unreadable)?;
    let form = asked.as_ref().unwrap_or_else(|| response.get("form"));
    let questions = form.at(&["content", "questions"]).items();
    let mut fetched = Fetched {
        test: response.get("testLead").text() == Some("true"),
        created_at: response.get("submittedAt").text().and_then(Timestamp::parse),
        ..Fetched::default()
    };
    if asked.is_none() && questions.is_empty() {
        let urn = response.get("versionedLeadGenFormUrn").text().unwrap_or_default();
        fetched.lacks_form = form_id(urn).map(str::to_owned);
    }
    let mut answers = Vec::new();
    for answer in response.at(&["formResponse", "answers"]).items() {
        let id = answer.get("questionId");
        let question = questions.iter().find(|question| question.get("questionId") == id);
        let question = question.unwrap_or(&Node::Null);
        let theirs = theirs(question, answer);
        for value in values(answer.get("answerDetails"), question) {
            answers.push((theirs.unwrap_or_default(), (name(theirs, id, &value, map), value)));
        }
    }
    names::best_first(&mut answers, map);
    fetched.fields.extend(answers.into_iter().map(|(_, field)| field));
    for hidden in form.get("hiddenFields").items() {
        if let (Some(name), Some(value)) = (hidden.get("name").text(), hidden.get("value").text()) {
            fetched.fields.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut note = |name: String, node: &Node| {
        fetched
            .attribution
            .extend(node.text().filter(|text| !text.is_empty()).map(|text| (name, text.to_owned())));
    };
    note("form_name".to_owned(), form.get("name"));
    note("campaign".to_owned(), response.at(&["leadMetadata", "sponsoredLeadMetadata", "campaign"]));
    for (name, urn) in response.get("associatedEntity").members() {
        note(super::snake(name), urn);
    }
    for consent in response.at(&["formResponse", "consentResponses"]).items() {
        let id = consent.get("consentId").text().unwrap_or_default();
        note(format!("consent_{id}"), consent.get("accepted"));
    }
    Ok(fetched)
}

/// LinkedIn's name for what an answer is to: the predefined field, else the question.
fn theirs<'a>(question: &'a Node, answer: &'a Node) -> Option<&'a str> {
    let predefined = question.get("predefinedField").text();
    let named = predefined.or_else(|| question.get("name").text()).or_else(|| answer.get("name").text());
    named.or_else(|| question.at(&["question", "localized"]).members().iter().find_map(|(_, it)| it.text()))
}

/// What to call an answer: as LinkedIn does, or as last resort by its number, by which nobody would know an address.
fn name(theirs: Option<&str>, id: &Node, value: &str, map: &FieldMap) -> String {
    match theirs {
        Some(theirs) => names::called(theirs, map),
        None => {
            let number = format!("question_{}", id.text().unwrap_or_default());
            let is_address = !map.contains_key("email") && Email::parse(value).is_ok();
            names::known(if is_address { "email" } else { &number }, &number, map)
        }
    }
}

/// The texts of an answer; a choice is told by the ids of its options.
fn values(details: &Node, question: &Node) -> Vec<String> {
    let choice = details.get("multipleChoiceAnswer");
    let options = question.at(&["questionDetails", "multipleChoiceQuestionDetails", "options"]).items();
    let option = |id: &Node| {
        let named = options.iter().find(|option| option.get("id") == id)?;
        let text = named.get("text");
        text.text().or_else(|| text.get("localized").members().iter().find_map(|(_, it)| it.text()))
    };
    let text = details.at(&["textQuestionAnswer", "answer"]).text();
    let chosen = choice.get("options").items().iter().filter_map(|id| option(id).or_else(|| id.text()));
    text.into_iter().chain(chosen).map(str::to_owned).collect()
}
