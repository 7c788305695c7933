//! The fields that templates may read. Any other name would never be there, and nobody told.

use crate::message::Channel;
use crate::policy::{Company, FACTS, LEAD};
use serde_json::{Map, Value, json};

/// What a template reads of the rep who owns the customer.
const OWNER: [&str; 3] = ["name", "full_name", "email"];

/// Links that whoever sends makes for the recipient. They are never counted as clicks.
const LINKS: [&str; 3] = ["unsubscribe", "preferences", "confirm"];

/// What [`Company`] has.
const COMPANY: [&str; 8] = ["name", "address", "website", "email", "phone", "logo", "privacy", "imprint"];

/// Words about the message itself, besides `content` in layouts.
pub(super) const OWN: [&str; 3] = ["subject", "preheader", "language"];

/// Where a layout puts what it is around.
pub(super) const CONTENT: &str = "content";

/// The first parts of fields. Nothing else may have these names.
pub(super) const ROOTS: [&str; 7] = ["customer", "owner", "company", "link", "lead", "event", "data"];

/// Facts that have a namespace: `customer.external_id.crm`.
const NAMESPACED: [&str; 3] = ["external_id", "wechat_openid", "ad_user_id"];

/// How somebody is addressed: the first name, else the whole name.
pub(super) const ADDRESSED_AS: &str = "name";

/// Whether there is such a field; else why not.
pub(super) fn find(path: &str, in_layout: bool) -> Result<(), String> {
    let mut parts = path.split('.');
    let (root, member, deeper) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let members: Vec<&str> = match root {
        "data" | "event" => return Ok(()),
        CONTENT if in_layout => return Ok(()),
        CONTENT => return Err("only a layout has `content`".to_owned()),
        _ if OWN.contains(&root) && member.is_none() => return Ok(()),
        "customer" => FACTS.into_iter().chain([ADDRESSED_AS]).collect(),
        "lead" => LEAD.to_vec(),
        "owner" => OWNER.to_vec(),
        "company" => COMPANY.to_vec(),
        "link" => LINKS.to_vec(),
        _ => {
            let roots = ROOTS.join("`, `");
            return Err(match nearest(path, &all()) {
                Some(near) => format!("there is no `{path}`; did you mean `{near}`?"),
                None => format!("there is no `{root}`; fields begin with `{roots}`"),
            });
        }
    };
    let Some(member) = member else {
        return Err(format!("`{root}` is no text; name one of its fields, such as `{root}.{}`", members[0]));
    };
    let may_go_deeper = match root {
        "customer" => NAMESPACED.contains(&member),
        "lead" => matches!(member, "fields" | "attribution" | "flags"),
        _ => false,
    };
    match members.contains(&member) {
        true if deeper.is_none() || may_go_deeper => Ok(()),
        true => Err(format!("`{root}.{member}` has nothing below it")),
        false => Err(match nearest(&format!("{root}.{member}"), &all()) {
            Some(near) => format!("there is no `{root}.{member}`; did you mean `{near}`?"),
            None => format!("there is no `{root}.{member}`; {root} has {}", members.join(", ")),
        }),
    }
}

fn all() -> Vec<String> {
    let below = |root: &str, members: &[&str]| -> Vec<String> {
        members.iter().map(|member| format!("{root}.{member}")).collect()
    };
    let mut all = [
        below("customer", &FACTS),
        below("customer", &[ADDRESSED_AS]),
        below("owner", &OWNER),
        below("company", &COMPANY),
        below("link", &LINKS),
        below("lead", &LEAD),
    ]
    .concat();
    all.extend(OWN.map(str::to_owned));
    all
}

/// The field that was probably meant: mistyped, or without its first part.
fn nearest(path: &str, all: &[String]) -> Option<String> {
    let member = |field: &str| field.split_once('.').map_or("", |(_, member)| member).to_owned();
    if let Some(whole) = all.iter().find(|field| member(field) == path) {
        return Some(whole.clone());
    }
    let edits = |field: &str| strsim::damerau_levenshtein(path, field);
    all.iter().filter(|field| edits(field) <= 2).min_by_key(|field| edits(field)).cloned()
}

/// Whether every recipient of a channel has it, so that it needs no default.
pub(super) fn is_always_known(path: &str, channel: Channel) -> bool {
    match channel {
        Channel::Email => path == "customer.email",
        Channel::Sms => path == "customer.phone",
        Channel::Chat => false,
    }
}

/// Whether it is given with each message by whoever sends it, and so cannot be missing for want of a fact.
pub(super) fn is_given(path: &str) -> bool {
    matches!(
        path.split('.').next(),
        Some("link" | "event" | "data" | "language" | "subject" | "preheader" | CONTENT)
    )
}

/// A made-up customer with an owner, for trying templates.
pub(super) fn sample() -> Map<String, Value> {
    let customer = json!({
        "name": "Ada", "first_name": "Ada", "last_name": "Lovelace", "full_name": "Ada Lovelace",
        "email": "ada@example.com", "phone": "+12015550123", "company": "Analytical Engines",
        "company_domain": "engines.example", "website": "https://engines.example", "street": "12 St James's Square",
        "postal_code": "SW1Y 4JH", "city": "London", "region": "London", "country": "GB", "language": "en",
        "birth_date": "1815-12-10", "time_zone": "Europe/London", "wechat_unionid": "o6_bmjrPTlm6_2sgVt7hMZOPfL2M", "wechat_id": "ada_lovelace",
    });
    let mut lead = customer.clone();
    if let (Some(lead), Some(customer)) = (lead.as_object_mut(), customer.as_object()) {
        lead.remove(ADDRESSED_AS);
        lead.extend(customer.get("company_domain").map(|domain| ("email_domain".to_owned(), domain.clone())));
        lead.extend([("source".to_owned(), "contact".into()), ("kind".to_owned(), "form".into())]);
    }
    let owner = json!({"name": "li.wei", "full_name": "Li Wei", "email": "li.wei@example.com"});
    let link = json!({
        "unsubscribe": "https://example.com/u/sample", "preferences": "https://example.com/u/sample",
        "confirm": "https://example.com/k/sample",
    });
    [("customer", customer), ("lead", lead), ("owner", owner), ("link", link)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The company as templates read it.
pub(super) fn company(company: &Company) -> Value {
    serde_json::to_value(company).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_field_has_a_sample_and_every_sample_is_a_field() {
        let everything = Company {
            name: Some(String::new()),
            address: Some(String::new()),
            website: Some(String::new()),
            email: Some(String::new()),
            phone: Some(String::new()),
            logo: Some(String::new()),
            privacy: Some(String::new()),
            imprint: Some(String::new()),
        };
        let mut sample = sample();
        sample.insert("company".to_owned(), company(&everything));
        let sampled: BTreeSet<String> = sample
            .iter()
            .flat_map(|(root, members)| {
                members.as_object().unwrap().keys().map(move |member| format!("{root}.{member}"))
            })
            .collect();
        for path in &sampled {
            assert_eq!(find(path, false), Ok(()), "{path}");
        }
        let without = ["fields", "attribution", "flags"].map(|name| format!("lead.{name}"));
        let namespaced = NAMESPACED.iter().flat_map(|id| [format!("customer.{id}"), format!("lead.{id}")]);
        let expected: BTreeSet<String> = all().into_iter().filter(|path| path.contains('.')).collect();
        let known: BTreeSet<String> = sampled.into_iter().chain(without).chain(namespaced).collect();
        assert_eq!(known, expected);
    }

    #[test]
    fn a_field_that_is_none_is_told_with_the_one_that_was_meant() {
        for (path, said) in [
            ("customer.frist_name", "did you mean `customer.first_name`?"),
            ("first_name", "did you mean `customer.first_name`?"),
            ("costumer.email", "did you mean `customer.email`?"),
            ("customer", "`customer` is no text"),
            ("customer.email.domain", "has nothing below it"),
            ("customer.shoe_size", "customer has email, phone"),
            ("password", "fields begin with `customer`"),
            ("content", "only a layout"),
            ("link.unsubscribe.x", "has nothing below it"),
        ] {
            let why = find(path, false).unwrap_err();
            assert!(why.contains(said), "{path}: {why}");
        }
        for path in
            ["data", "event.order.number", "lead.fields.employees", "customer.external_id.crm", "language"]
        {
            assert_eq!(find(path, false), Ok(()), "{path}");
        }
        assert_eq!(find("content", true), Ok(()));
    }
}
