//! Contact Form 7 through its webhook plugin: JSON with every field, or the same as the query of a GET. Nothing is
//! signed or numbered. A body made from a template of one's own comes as `text/plain` and may be anything.

use super::draft::Draft;
use super::{Delivery, KEY_PARAMETER, Source, SourceLead};
use crate::body::{parse_now, parse_query};
use crate::problem::Problem;
use sluice_domain::policy::Auth;

/// The source `contact_form_7`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContactForm7;

impl Source for ContactForm7 {
    fn kind(&self) -> &'static str {
        "contact_form_7"
    }

    fn setup(&self) -> &'static str {
        "WordPress: Contact, Contact Forms, the form, Webhook: Webhook URL. Leave the method at POST."
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
        for (name, value) in fields.iter().filter(|(name, _)| !is_get || name != KEY_PARAMETER) {
            let name = if is_get { unnumbered(name) } else { name };
            match tag(name) {
                "email" | "your-email" => draft.known_text("email", name, value),
                "tel" | "your-tel" | "your-phone" => draft.known_text("phone", name, value),
                "your-name" => draft.known_text("full_name", name, value),
                _ => draft.text(name, value),
            }
        }
        draft.note_text("user_agent", delivery.request.header("user-agent").unwrap_or_default());
        Ok(vec![draft.finish_by_look()])
    }
}

/// PHP numbers the items of a list in a query: `a[0]`, which was read as `a.0`.
fn unnumbered(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((list, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => list,
        _ => name,
    }
}

/// The form editor calls a new field after its type, with a number: `email-123`.
fn tag(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((tag, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => tag,
        _ => name,
    }
}
