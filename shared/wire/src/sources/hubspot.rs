//! What scripts made for HubSpot's forms post (developers.hubspot.com, "Submit data to a form"): JSON without a proof or
//! an id, answered as HubSpot does.

use super::draft::Draft;
use super::{Delivery, Source, SourceLead};
use crate::body::json::{self, Node};
use crate::body::{not_fields, parse_json, parse_now};
use crate::http::HttpResponse;
use crate::problem::Problem;
use serde_json::json;
use sluice_domain::id::LeadId;
use sluice_domain::lead::ConsentProof;
use sluice_domain::policy::{Auth, Source as Document};

/// The source `hubspot`.
#[derive(Clone, Copy, Debug)]
pub struct Hubspot;

/// Where HubSpot's own address is served; the rest is `{portal}/{form}`.
pub const PATH: &str = "/submissions/v3/integration/submit/";
/// The same for programs that have a token. It is the source's key.
const SECURE_PATH: &str = "/submissions/v3/integration/secure/submit/";

/// The `{portal}/{form}` that a path of HubSpot's ends in.
pub fn form(path: &str) -> Option<&str> {
    path.strip_prefix(PATH).or_else(|| path.strip_prefix(SECURE_PATH))
}

/// The field of a form that says where it was submitted.
const CONTEXT: &str = "hs_context";

/// The object of a contact, which is what fields are about unless they say otherwise.
const CONTACT: &str = "0-1";
/// The object of a company.
const COMPANY: &str = "0-2";

/// The document that a `portal/form` of the submit route belongs to: the one that names it, else the one that names none.
pub fn document<'a>(
    documents: impl Iterator<Item = &'a Document> + Clone,
    form: &str,
) -> Option<&'a Document> {
    let mut hubspot = documents.filter(|document| document.sender == Hubspot.kind());
    let named = |document: &&Document| document.form.as_deref() == Some(form);
    hubspot.clone().find(named).or_else(|| hubspot.find(|document| document.form.is_none()))
}

impl Source for Hubspot {
    fn kind(&self) -> &'static str {
        "hubspot"
    }

    fn setup(&self) -> &'static str {
        "The script that posts to api.hsforms.com: put this address in its place, with your portal and form at the end."
    }

    fn proofs(&self) -> &'static [Auth] {
        &[Auth::Public, Auth::UrlKey]
    }

    fn settings(&self) -> &'static [&'static str] {
        &["form", "redirect"]
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = match parse_json(delivery.request) {
            Ok(body) => body,
            Err(problem) => return posted(delivery, problem).map(|lead| vec![lead]),
        };
        if !matches!(*body, Node::Object(_)) {
            return Err(not_fields("What is no object"));
        }
        let mut draft = Draft::json(delivery, &body);
        for field in body.get("fields").items() {
            let Some(name) = field.get("name").text() else { continue };
            match (field.get("objectTypeId").text().unwrap_or(CONTACT), name) {
                (COMPANY, "name") => draft.known("company", "company.name", field.get("value")),
                (COMPANY, name) => draft.field(&format!("company.{name}"), field.get("value")),
                (_, name) => draft.field(name, field.get("value")),
            }
        }
        let context = body.get("context");
        note_context(&mut draft, delivery, context);
        draft.at(body.get("submittedAt"));
        consent(&mut draft, body.get("legalConsentOptions"));
        Ok(vec![draft.finish()])
    }

    fn answer(&self, delivery: &Delivery<'_>, _accepted: &[LeadId]) -> HttpResponse {
        let answer = match &delivery.document.redirect {
            Some(url) => json!({"redirectUri": url}),
            None => json!({"inlineMessage": "Thanks for submitting the form."}),
        };
        HttpResponse::json(200, &answer)
    }
}

/// The older way, which many scripts still go: a form with what is known of the page as JSON in one of its fields
/// (developers.hubspot.com, "Submit data to a form", v2). What is no form either is what JSON it failed to be.
fn posted(delivery: &Delivery<'_>, problem: Problem) -> Result<SourceLead, Problem> {
    let content_type = delivery.request.header("content-type").unwrap_or_default();
    let is_form = content_type.to_ascii_lowercase().contains("form");
    let body = if is_form { parse_now(delivery.request)? } else { return Err(problem) };
    let (mut draft, fields) = Draft::of(delivery, body);
    for (name, value) in &fields {
        match json::read(value) {
            Ok((context, _)) if name == CONTEXT => note_context(&mut draft, delivery, &context),
            _ => draft.text(name, value),
        }
    }
    Ok(draft.finish())
}

/// Where somebody was when they submitted it.
fn note_context(draft: &mut Draft<'_>, delivery: &Delivery<'_>, context: &Node) {
    let page = ["pageUri", "pageUrl", "pageURL"].into_iter().find_map(|key| context.get(key).text());
    draft.page(page.unwrap_or_default());
    for (name, key) in [
        ("page_name", "pageName"),
        ("hubspot_cookie", "hutk"),
        ("ip", "ipAddress"),
        ("page_id", "pageId"),
        ("salesforce_campaign", "sfdcCampaignId"),
        ("webinar", "goToWebinarWebinarKey"),
    ] {
        draft.note(name, context.get(key));
    }
    draft.note_text("form_id", form(&delivery.request.path).unwrap_or_default());
}

/// Consent to be written to, with the words it was given to. Of several boxes those count that are ticked; where none is,
/// what is said is said of all of them.
fn consent(draft: &mut Draft<'_>, options: &Node) {
    let (consent, interest) = (options.get("consent"), options.get("legitimateInterest"));
    draft.note("consent_to_process", consent.get("consentToProcess"));
    draft.note("legal_basis", interest.get("legalBasis"));
    draft.note("legal_basis_type", interest.get("subscriptionTypeId"));
    draft.wording("legal_basis_text", interest.get("text").text().unwrap_or_default());
    let boxes: Vec<&Node> = consent.get("communications").items().iter().collect();
    let is_ticked = |one: &&Node| one.get("value").text() == Some("true");
    let ticked: Vec<&Node> = boxes.iter().copied().filter(is_ticked).collect();
    let given = !ticked.is_empty();
    let meant = if given { ticked } else { boxes };
    let mut texts: Vec<&str> = meant.iter().filter_map(|one| one.get("text").text()).collect();
    texts.dedup();
    let process = consent.get("text").text().unwrap_or_default();
    match texts.iter().any(|text| !text.trim().is_empty()) {
        true => {
            draft.wording("consent_text", &texts.join("\n"));
            draft.wording("consent_to_process_text", process);
        }
        false => draft.wording("consent_text", process),
    }
    if !meant.is_empty() {
        let types: Vec<&str> = meant.iter().filter_map(|one| one.get("subscriptionTypeId").text()).collect();
        draft.lead.consent =
            Some(ConsentProof { topic: "marketing".to_owned(), given, version: types.join(",") });
    }
}
