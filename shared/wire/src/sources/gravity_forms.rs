//! The webhooks add-on of Gravity Forms (docs.gravityforms.com, "Webhooks"): the whole entry under the numbers of its
//! inputs, or chosen fields under names of one's own; as JSON, as a form or as a query. Nothing is signed.
//!
//! What a numbered input means only the form knows, so the document says it: `email: ["2"]`. Where it does not, an
//! address and a number are known by their look, and the two halves of a name by their place. A number with its country is
//! looked for first; without it, dates, postcodes and amounts are none. Names of one's own are in any language.

use super::draft::Draft;
use super::{Delivery, KEY_PARAMETER, Source, SourceLead};
use crate::body::{parse_now, parse_query};
use crate::problem::Problem;
use sluice_domain::identity::{Country, Email, Phone, ascii_digits};
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
    let country = delivery.document.default_country;
    let is_best = |value: &str| is_international(value) || !says_international(draft, fields, country);
    match name.rsplit_once('.') {
        _ if !is_numbered(name) || value.trim().is_empty() => draft.text(name, value),
        Some((field, "3")) if is_name(fields, field) => draft.known_text("first_name", name, value),
        Some((field, "6")) if is_name(fields, field) => draft.known_text("last_name", name, value),
        None if !draft.has("email") && Email::parse(value).is_ok() => draft.known_text("email", name, value),
        None if !draft.has("phone") && is_phone(value, country) && is_best(value) => {
            draft.known_text("phone", name, value);
        }
        _ => draft.text(name, value),
    }
}

fn is_numbered(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Whether some input that the document does not use says a number with its country.
fn says_international(draft: &Draft<'_>, fields: &[(String, String)], country: Option<Country>) -> bool {
    let is_whole = |name: &str| is_numbered(name) && !name.contains('.') && !draft.is_named(name);
    fields.iter().any(|(name, value)| is_whole(name) && is_international(value) && is_phone(value, country))
}

/// Digits as ASCII has them, and a `+` of any width.
fn dialled(value: &str) -> String {
    ascii_digits(value.trim()).replace('＋', "+")
}

fn is_international(value: &str) -> bool {
    dialled(value).starts_with('+')
}

/// Whether it is a number of a telephone and looks like nothing else.
fn is_phone(value: &str, country: Option<Country>) -> bool {
    let text = dialled(value);
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-(). /".contains(&byte))
        && (is_international(value) || !is_date(&text) && !is_count(&text))
        && Phone::parse(value, country).is_ok()
}

/// Whether it is a date in figures, the year first or last: `2026-01-05`, `05/01/2026`.
fn is_date(text: &str) -> bool {
    let is_figure = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = |part: &str| matches!(part.len(), 1 | 2) && is_figure(part);
    let is_year =
        |part: &str| part.len() == 4 && is_figure(part) && (part.starts_with("19") || part.starts_with("20"));
    ['-', '/', '.'].into_iter().any(|sign| match text.split(sign).collect::<Vec<_>>().as_slice() {
        [first, middle, last] => {
            is_short(middle) && (is_year(first) && is_short(last) || is_short(first) && is_year(last))
        }
        _ => false,
    })
}

/// Whether it is a postcode, an amount or another count: fewer than eight digits in one piece, maybe with its thousands apart or
/// two decimals. Numbers as short as that which are dialled within a country begin with 0, or stand in other groups.
fn is_count(text: &str) -> bool {
    let parts = text.split_once('.').filter(|(_, decimals)| decimals.len() == 2);
    let whole = parts.map_or(text, |(whole, _)| whole);
    let mut groups = whole.split(['.', ' ']);
    let is_figure = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().unwrap_or_default();
    let digits = whole.bytes().filter(u8::is_ascii_digit).count();
    let are_thousands = groups.all(|group| group.len() == 3 && is_figure(group));
    digits < 8 && is_figure(first) && !first.starts_with('0') && are_thousands
}

/// Whether a field of several inputs is a name: .2 to .8 without .1, .5 and .7, which addresses and lists have.
fn is_name(fields: &[(String, String)], field: &str) -> bool {
    fields
        .iter()
        .filter_map(|(name, _)| name.rsplit_once('.').filter(|(of, _)| *of == field))
        .all(|(_, part)| matches!(part, "2" | "3" | "4" | "6" | "8"))
}
