//! 飞鱼CRM of Ocean Engine: leads pushed as JSON. Nothing is known of a signature. It can be asked for leads as well, by calls
//! that are signed; nobody does here, since a push rule brings the same leads the moment they are made.
//!
//! The advertiser's push rule may rename every key and decides which answer is success, so the document's field map has
//! the last word, and the rule is to take our answer. Keys hold literal dots (`address.phone`).

use super::draft::Draft;
use super::{Delivery, Source, SourceLead};
use crate::body::json::{self, Node};
use crate::body::{Submission, parse_json, parse_now};
use crate::http::HttpResponse;
use crate::problem::Problem;
use serde_json::json;
use sluice_domain::id::LeadId;
use sluice_domain::identity::{Country, ascii_digits};
use sluice_domain::lead::standard_field;
use sluice_domain::policy::Auth;
use sluice_domain::time::Timestamp;
use std::collections::HashSet;

/// The source `feiyu`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feiyu;

/// `clue_convert_status` of a lead that somebody made while looking at the ad before it was published.
const PREVIEW: &str = "广告预览";

impl Source for Feiyu {
    fn kind(&self) -> &'static str {
        "feiyu"
    }

    fn setup(&self) -> &'static str {
        "飞鱼CRM: 线索推送 rule, POST as JSON, with this address. Success there is key `code` with value 0, message key `message`."
    }

    fn proofs(&self) -> &'static [Auth] {
        &[Auth::UrlKey, Auth::Public]
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let Ok(body) = parse_json(delivery.request) else {
            return Ok(posted(delivery)?.into_iter().collect());
        };
        let clues = match unwrapped(&body) {
            Node::List(clues) => clues.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut seen = HashSet::new();
        let leads = clues.iter().filter(|clue| !clue.members().is_empty()).map(|clue| {
            let (draft, _) = Draft::of(delivery, body.submission_of(clue, clues.len()));
            lead(delivery, draft, clue)
        });
        Ok(leads.filter(|lead| lead.external_id.as_ref().is_none_or(|id| seen.insert(id.clone()))).collect())
    }

    fn answer(&self, _delivery: &Delivery<'_>, _accepted: &[LeadId]) -> HttpResponse {
        HttpResponse::json(200, &json!({"code": 0, "message": "success"}))
    }
}

/// What is told, without a `data` around all of it.
fn unwrapped(body: &Node) -> &Node {
    match body.members() {
        [(name, data)] if name == "data" && (!data.members().is_empty() || !data.items().is_empty()) => data,
        _ => body,
    }
}

/// The members of a clue; those of its `address` by both names, `address.phone`, as most rules write them.
fn members(clue: &Node) -> Vec<(String, Node)> {
    let mut members = Vec::new();
    for (name, value) in clue.members() {
        match dictionary(value) {
            Node::Object(parts) if name == "address" => {
                members.extend(parts.into_iter().map(|(part, value)| (format!("{name}.{part}"), value)));
            }
            _ => members.push((name.clone(), value.clone())),
        }
    }
    members
}

/// A dictionary comes as an object or as the text of one.
fn dictionary(value: &Node) -> Node {
    match value.text().filter(|text| text.starts_with('{')).map(json::read) {
        Some(Ok((dictionary, _))) => dictionary,
        _ => value.clone(),
    }
}

/// The rule may say that a form is posted.
fn posted(delivery: &Delivery<'_>) -> Result<Option<SourceLead>, Problem> {
    let body: Submission = parse_now(delivery.request)?;
    let (draft, fields) = Draft::of(delivery, body);
    let clue = Node::Object(fields.into_iter().map(|(name, value)| (name, Node::Text(value))).collect());
    let lead = lead(delivery, draft, &clue);
    Ok((!clue.members().is_empty() || lead.raw.is_some()).then_some(lead))
}

fn lead(delivery: &Delivery<'_>, mut draft: Draft<'_>, clue: &Node) -> SourceLead {
    let members = members(clue);
    let standard = |name: &str| standard_field(name, &delivery.document.fields);
    let is_country = |name: &str, value: &Node| {
        standard(name) == Some("country") && value.text().and_then(Country::parse).is_some()
    };
    let is_anywhere = delivery.document.default_country.is_none()
        && !members.iter().any(|(name, value)| is_country(name, value));
    for (name, value) in members.iter().filter(|(_, value)| value.text() != Some("")) {
        match name.as_str() {
            "id" if !draft.is_named(name) => draft.id(value.text()),
            "address.phone" => phone(&mut draft, is_anywhere, name, value),
            _ if standard(name) == Some("phone") => phone(&mut draft, is_anywhere, name, value),
            "address.wechat" | "weixin" | "wechat" => draft.known("wechat_id", name, value),
            "name" => draft.known("full_name", name, value),
            "external_url" => draft.page(value.text().unwrap_or_default()),
            "create_time" => {
                draft.at(value);
                draft.lead.created_at = draft.lead.created_at.or_else(|| beijing(value.text()?));
            }
            "clue_convert_status" => {
                draft.lead.test = value.text() == Some(PREVIEW);
                draft.note(name, value);
            }
            "adv_id" | "adv_name" | "ad_id" | "ad_name" | "cid" | "module_id" | "module_name"
            | "site_name" | "site_id" | "app_name" | "clue_source" | "source" | "req_id" | "store_id"
            | "store_name" | "convert_status"
                if !draft.is_named(name) =>
            {
                draft.note(name, value);
            }
            _ => draft.field(name, &dictionary(value)),
        }
    }
    draft.finish()
}

/// A time without a zone, `2026-01-05 17:30:00`, is that of Beijing.
fn beijing(text: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{}+08:00", text.trim().replace(' ', "T")))
}

fn phone(draft: &mut Draft<'_>, is_anywhere: bool, name: &str, value: &Node) {
    let phone = value.text().map(|text| if is_anywhere { mainland(text) } else { text.trim().to_owned() });
    draft.known("phone", name, &phone.map_or(Node::Null, Node::Text));
}

/// Mobile numbers of the mainland come without their country or without its plus, and maybe in groups: a rep sees them whole. All
/// others are read in the mainland as they are.
fn mainland(text: &str) -> String {
    let text = text.trim();
    let digits: String = ascii_digits(text).chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = match digits.len() {
        11 if is_number && digits.starts_with('1') => "+86",
        13 if is_number && digits.starts_with("861") => "+",
        _ => "",
    };
    format!("{prefix}{text}")
}
