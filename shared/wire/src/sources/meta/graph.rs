//! The Graph API: what to ask for a lead, how to read the answer, and what its errors mean.

use super::{super::names, id};
use crate::body::json::{self, Node};
use sluice_domain::policy::FieldMap;
use sluice_domain::time::Timestamp;
use std::fmt;

/// A lead as the Graph API tells it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GraphLead {
    /// The `leadgen_id`.
    pub id: String,
    /// Name and value in the order of the form; a question with several answers repeats its name, one without any is
    /// absent. Standard names where Meta's field has one.
    pub fields: Vec<(String, String)>,
    /// `ad_id`, `ad_name`, `campaign_id`, `form_id`, `platform`, `is_organic` and the like, as far as told, and whether each
    /// box of the form's own disclaimer was ticked, `consent_optional_1`.
    pub attribution: Vec<(String, String)>,
    /// When the person submitted the form.
    pub created_at: Option<Timestamp>,
    /// Made with Meta's testing tool, which fills each answer with a dummy text.
    pub test: bool,
}

impl fmt::Debug for GraphLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphLead")
            .field("id", &self.id)
            .field("fields", &self.fields.len())
            .field("attribution", &self.attribution)
            .field("created_at", &self.created_at)
            .field("test", &self.test)
            .finish()
    }
}

/// Why a lead was not told. The text says what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Too many calls for now.
    #[error("Meta limits the rate of calls (code {0}); the lead is fetched again later")]
    RateLimited(i64),
    /// Meta's own trouble.
    #[error("Meta is unavailable (code {0}); the lead is fetched again later")]
    Unavailable(i64),
    /// The access token is expired, revoked or not one.
    #[error("Meta refuses the access token (code {0}); put a new long-lived Page token into page_token")]
    Token(i64),
    /// The token is good and may not read this lead.
    #[error(
        "Meta denies access (code {0}); the token needs leads_retrieval, pages_read_engagement and ads_management, and \
         its user needs leads access for the Page in Business Settings"
    )]
    Permission(i64),
    /// No such lead for this token.
    #[error(
        "Meta knows no such lead for this token; give the app's system user leads access for the Page, or the lead was \
         deleted (Meta keeps leads for 90 days)"
    )]
    Unknown,
    /// Anything else that asking again will not change.
    #[error("Meta refuses the call (code {0}); look the code up in the Graph API's error reference")]
    Refused(i64),
    /// The answer is not one of the Graph API.
    #[error("the answer is not one of the Graph API; the lead is fetched again later")]
    Unreadable,
}

impl GraphError {
    /// Reads a failed answer by its HTTP status and body. Meta's own text is not kept: it may quote what was asked.
    /// Codes: Graph API "Handling errors" and "Rate limits" (80000-80014 are the limits per business use case, 80005
    /// that of leads).
    pub fn classify(status: u16, body: &[u8]) -> Self {
        match json::read(&String::from_utf8_lossy(body)) {
            Ok((answer, _)) if answer.get("error") != &Node::Null => Self::of(status, answer.get("error")),
            _ if status == 429 => Self::RateLimited(0),
            _ if (400..500).contains(&status) => Self::Refused(0),
            _ => Self::Unreadable,
        }
    }

    /// Whether asking again later may succeed without anybody doing anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited(_) | Self::Unavailable(_) | Self::Unreadable)
    }

    fn of(status: u16, error: &Node) -> Self {
        let number = |name| error.get(name).text().and_then(|text| text.parse::<i64>().ok());
        let code = number("code").unwrap_or_default();
        match (code, number("error_subcode")) {
            (4 | 17 | 32 | 341 | 368 | 613 | 80_000..=80_014, _) => Self::RateLimited(code),
            (102 | 190, _) => Self::Token(code),
            (3 | 10 | 200..=299, _) => Self::Permission(code),
            (100, Some(33)) => Self::Unknown,
            (1 | 2, _) => Self::Unavailable(code),
            _ if status == 429 => Self::RateLimited(code),
            _ if status >= 500 || error.get("is_transient").text() == Some("true") => Self::Unavailable(code),
            _ => Self::Refused(code),
        }
    }
}

const ATTRIBUTION: [&str; 9] = [
    "form_id",
    "ad_id",
    "ad_name",
    "adset_id",
    "adset_name",
    "campaign_id",
    "campaign_name",
    "platform",
    "is_organic",
];

/// Path and query of the call that tells a lead, below the API's version: `/{leadgen_id}?fields=…`.
pub fn graph_path(leadgen_id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(leadgen_id.as_bytes()).collect();
    format!("/{id}?fields=id,created_time,field_data,custom_disclaimer_responses,{}", ATTRIBUTION.join(","))
}

/// Reads the answer to [`graph_path`], or the error it holds instead. Forms of other languages have names in these for the
/// same fields. `map` is the source's: a name that it uses is kept.
pub fn read_graph(json: &[u8], map: &FieldMap) -> Result<GraphLead, GraphError> {
    let (answer, _) = json::read(&String::from_utf8_lossy(json)).map_err(|_| GraphError::Unreadable)?;
    if answer.get("error") != &Node::Null {
        return Err(GraphError::of(0, answer.get("error")));
    }
    let lead_id = id(answer.get("id")).ok_or(GraphError::Unreadable)?.to_owned();
    let mut answers = Vec::new();
    for question in answer.get("field_data").items() {
        let Some(name) = question.get("name").text() else { continue };
        let values = question.get("values").items().iter().filter_map(Node::text);
        answers.extend(values.map(|value| (name, value)));
    }
    names::best_first(&mut answers, map);
    let named = |(name, value): (&str, &str)| (names::called(name, map), value.to_owned());
    let mut fields: Vec<(String, String)> = answers.into_iter().map(named).collect();
    names::by_look(&mut fields, map);
    let attribution = ATTRIBUTION.iter().filter_map(|name| {
        let value = match name.ends_with("_id") {
            true => id(answer.get(name)),
            false => answer.get(name).text().filter(|text| !text.is_empty()),
        };
        Some(((*name).to_owned(), value?.to_owned()))
    });
    Ok(GraphLead {
        id: lead_id,
        attribution: attribution.chain(consents(&answer)).collect(),
        created_at: answer.get("created_time").text().and_then(Timestamp::parse),
        test: fields.iter().any(|(_, answer)| answer.trim_start().starts_with("<test lead: dummy data for")),
        fields,
    })
}

/// The boxes beside the questions, whose wording is the form's: `is_checked` is `1`, or empty.
fn consents(answer: &Node) -> impl Iterator<Item = (String, String)> {
    answer.get("custom_disclaimer_responses").items().iter().filter_map(|response| {
        let key = response.get("checkbox_key").text().filter(|key| !key.trim().is_empty())?;
        let is_ticked = matches!(response.get("is_checked").text(), Some("1" | "true"));
        Some((format!("consent_{key}"), is_ticked.to_string()))
    })
}
