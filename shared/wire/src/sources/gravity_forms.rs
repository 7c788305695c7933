//! The webhooks add-on of Gravity Forms (docs.gravityforms.com, "Webhooks"): the whole entry under the numbers of its
//! inputs, or chosen fields under names of one's own; as JSON, as a form or as a query. Nothing is signed.
//!
//! What a numbered input means only the form knows, so the document says it: `email: ["2"]`. Where it does not, an
//! address and a number are known by their look, and the two halves of a name by their place. Names of one's own are in any
//! language.

use super::draft::Draft;
use super::{Delivery, KEY_PARAMETER, Source, SourceLead};
use crate::body::{parse_now, parse_query};
use crate::problem::Problem;
use sluice_domain::identity::{Email, Phone, ascii_digits};
use sluice_domain::policy::Auth;
use sluice_domain::time::Timestamp;

/// The source `gravity_forms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct GravityForms;

impl Source for GravityForms {
    fn kind(&self) -> &'static str {
        "gravity_forms"
    }

    fn setup(&self) -> &'static str {
        "WordPress: Forms, the form, Settings, Webhooks, Add New: Request URL, method POST, body All Fields."
    }

    fn proofs(&self) -> &'static [Auth] {
        &[Auth::UrlKey, Auth::Public]
    }

    fn takes_get(&self) -> bool {
        true
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let is_get = delivery.request.method == "GET";
        let body = if is_get { parse_query(&delivery.request.query) } else { parse_now(delivery.request)? };
        let (mut draft, fields) = Draft::of(delivery, body);
        let value = |name: &str| {
            fields
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, value)| value.as_str())
                .filter(|value| !value.is_empty())
        };
        // Entries are numbered over all forms of a site; a field that somebody called `id` comes without its form.
        if let Some((form, entry)) = value("form_id").zip(value("id")) {
            draft.id(Some(&format!("{form}/{entry}")));
        }
        for (name, value) in fields.iter().filter(|(name, _)| !is_get || name != KEY_PARAMETER) {
            match name.as_str() {
                _ if draft.is_named(name) => draft.text(name, value),
                "form_id" | "ip" | "user_agent" => draft.note_text(name, value),
                "source_url" => draft.page(value),
                "date_created" => {
                    draft.lead.created_at = Timestamp::parse(&format!("{}Z", value.trim().replace(' ', "T")));
                }
                "id" | "post_id" | "date_updated" | "is_starred" | "is_read" | "status" | "created_by"
                    if draft.lead.external_id.is_some() => {}
                _ => input(&mut draft, delivery, &fields, name, value),
            }
        }
        Ok(vec![draft.finish_by_look()])
    }
}

fn input(
    draft: &mut Draft<'_>,
    delivery: &Delivery<'_>,
    fields: &[(String, String)],
    name: &str,
    value: &str,
) {
    let is_numbered = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_phone = |value: &str| {
        let digits = ascii_digits(value).replace('＋', "+");
        digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-(). /".contains(&byte))
            && Phone::parse(value, delivery.document.default_country).is_ok()
    };
    match name.rsplit_once('.') {
        _ if !is_numbered || value.trim().is_empty() => draft.text(name, value),
        Some((field, "3")) if is_name(fields, field) => draft.known_text("first_name", name, value),
        Some((field, "6")) if is_name(fields, field) => draft.known_text("last_name", name, value),
        None if !draft.has("email") && Email::parse(value).is_ok() => draft.known_text("email", name, value),
        None if !draft.has("phone") && is_phone(value) => draft.known_text("phone", name, value),
        _ => draft.text(name, value),
    }
}

/// Whether a field of several inputs is a name: .2 to .8 without .1, .5 and .7, which addresses and lists have.
fn is_name(fields: &[(String, String)], field: &str) -> bool {
    fields
        .iter()
        .filter_map(|(name, _)| name.rsplit_once('.').filter(|(of, _)| *of == field))
        .all(|(_, part)| matches!(part, "2" | "3" | "4" | "6" | "8"))
}
