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
use sluice_domain::identity::ascii_digits;
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
        let clues = match &*body {
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

/// The rule may say that a form is posted.
fn posted(delivery: &Delivery<'_>) -> Result<Option<SourceLead>, Problem> {
    let body: Submission = parse_now(delivery.request)?;
    let (draft, fields) = Draft::of(delivery, body);
    let clue = Node::Object(fields.into_iter().map(|(name, value)| (name, Node::Text(value))).collect());
    let lead = lead(delivery, draft, &clue);
    Ok((!clue.members().is_empty() || lead.raw.is_some()).then_some(lead))
}

fn lead(delivery: &Delivery<'_>, mut draft: Draft<'_>, clue: &Node) -> SourceLead {
    for (name, value) in clue.members().iter().filter(|(_, value)| value.text() != Some("")) {
        match name.as_str() {
            "id" if !draft.is_named(name) => draft.id(value.text()),
            "address.phone" => phone(&mut draft, delivery, name, value),
            _ if standard_field(name, &delivery.document.fields) == Some("phone") => {
                phone(&mut draft, delivery, name, value);
            }
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
            // A dictionary comes as an object or as the text of one.
            _ => match value.text().filter(|text| text.starts_with('{')).map(json::read) {
                Some(Ok((dictionary, _))) => draft.field(name, &dictionary),
                _ => draft.field(name, value),
            },
        }
    }
    draft.finish()
}

/// A time without a zone, `2026-01-05 17:30:00`, is that of Beijing.
fn beijing(text: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{}+08:00", text.trim().replace(' ', "T")))
}

fn phone(draft: &mut Draft<'_>, delivery: &Delivery<'_>, name: &str, value: &Node) {
    let phone = value.text().map(|text| mainland(delivery, text));
    draft.known("phone", name, &phone.map_or(Node::Null, Node::Text));
}

/// Mobile numbers of the mainland come without their country or without its plus, and maybe in groups; the document need not
/// name it for a Chinese platform.
fn mainland(delivery: &Delivery<'_>, text: &str) -> String {
    let text = text.trim();
    let digits: String = ascii_digits(text).chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = match (digits.len(), is_number && delivery.document.default_country.is_none()) {
        (11, true) if digits.starts_with('1') => "+86",
        (13, true) if digits.starts_with("861") => "+",
        _ => "",
    };
    format!("{prefix}{text}")
}
