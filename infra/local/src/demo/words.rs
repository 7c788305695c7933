//! Small words: names of people, times and sums as a person reads them.

use serde_json::{Map, Value};
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write;

/// So many people of one call are named, more are counted.
const MANY: usize = 3;

/// A text inside a value, by its pointer; empty if there is none.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// `2026-12-02`.
pub(super) fn date(at: Timestamp) -> String {
    at.rfc3339().chars().take(10).collect()
}

/// `09:30`, in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.rfc3339().chars().skip(11).take(5).collect()
}

/// `4 min`, `1 h 20 min`.
pub(crate) fn length(millis: i64) -> String {
    let minutes = (millis + 30_000).div_euclid(60_000);
    match (minutes.div_euclid(60), minutes.rem_euclid(60)) {
        (0, 0) => format!("{} s", millis.div_euclid(1_000)),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// What a form's fields say of who filled it in.
pub(super) fn who(fields: &Map<String, Value>) -> String {
    let field = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let whole = field("name").or_else(|| field("your_full_name")).map(str::to_owned);
    let both = field("first_name").map(|first| format!("{first} {}", field("last_name").unwrap_or_default()));
    let name = whole.or(both).unwrap_or_else(|| "somebody".to_owned());
    match field("company") {
        Some(company) => format!("{}, {company}", name.trim()),
        None => name.trim().to_owned(),
    }
}

/// A customer's name, else what they can be reached by.
pub(crate) fn name(customer: &Value) -> String {
    let fact = |name: &str| text(customer, &format!("/profile/{name}/value"));
    let both = [fact("first_name"), fact("last_name")].join(" ");
    let known = [fact("full_name"), fact("name"), both.trim().to_owned(), fact("email"), fact("phone")];
    known.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}

/// The e-mail address, else the phone number, that a sender's body holds.
pub(super) fn person(body: &Value) -> Option<String> {
    let mut texts = Vec::new();
    collect(body, "", &mut texts);
    let is_email = |text: &str| text.contains('@') && !text.contains([' ', '/']) && !text.starts_with('@');
    let email = texts.iter().find(|(_, text)| is_email(text)).map(|(_, text)| text.clone());
    email.or_else(|| {
        let (_, phone) = texts.into_iter().find(|(name, _)| name.ends_with("phone"))?;
        Some(if phone.starts_with('+') { phone } else { format!("+86{phone}") })
    })
}

fn collect(value: &Value, name: &str, texts: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => texts.push((name.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, texts)),
        Value::Object(members) => members.iter().for_each(|(name, member)| collect(member, name, texts)),
        _ => {}
    }
}

/// What the calls of a tracking library say; of many people at once, how often what was said.
pub(super) fn calls(batch: &[Value]) -> String {
    let said = batch.iter().filter_map(|call| match call["type"].as_str()? {
        "track" => Some(text(call, "/event")),
        "page" => Some(format!("looks at {}", text(call, "/properties/path"))),
        "identify" => Some(format!("identify {}", text(call, "/traits/email"))),
        _ => None,
    });
    let said: Vec<String> = said.collect();
    let people = said.iter().filter(|said| said.starts_with("identify ")).count();
    if people <= MANY {
        return said.join(", ");
    }
    let mut others: BTreeMap<&String, usize> = BTreeMap::new();
    for one in said.iter().filter(|said| !said.starts_with("identify ")) {
        *others.entry(one).or_default() += 1;
    }
    let others = others.into_iter().map(|(what, n)| format!(", {n} x {what}"));
    format!("identify {people} people{}", others.collect::<String>())
}

/// The numbers of a campaign's newest broadcast that began, as the API shows it.
pub(super) fn counts(campaign: &Value) -> String {
    let mut broadcasts = campaign["broadcasts"].as_array().into_iter().flatten();
    let Some(newest) = broadcasts.find(|one| !one["began"].is_null()) else {
        return "it has not begun".to_owned();
    };
    let n = |name: &str| newest["counts"][name].as_i64().unwrap_or(0);
    let mut words = format!("{} of {} sent", n("sent"), n("planned"));
    for name in ["opened", "clicked", "unsubscribed"].into_iter().filter(|name| n(name) > 0) {
        let _ = write!(words, ", {} {name}", n(name));
    }
    words
}

/// What a rep does, by the last part of its route.
pub(super) fn act(does: &str) -> &str {
    match does {
        "accept" => "accepts",
        "contacts" => "is in touch with",
        "close" => "closes",
        "disqualify" => "gives up on",
        other => other,
    }
}

/// Path and query of an address, without the query's mark if there is none.
pub(super) fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.find('/').and_then(|at| rest.get(at..))
}

/// The first address of ours below `prefix` in a mail: its path.
pub(super) fn own_path(html: &str, prefix: &str) -> Option<String> {
    own_paths(html, prefix).into_iter().next()
}

/// All of them, each once, in the order of the mail.
pub(super) fn own_paths(html: &str, prefix: &str) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for address in html.split(['"', '\'']).filter(|part| part.starts_with("http")) {
        let path = path_of(address).filter(|path| path.starts_with(prefix));
        if let Some(path) = path.filter(|path| !paths.iter().any(|known| known == path)) {
            paths.push(path.to_owned());
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lengths_are_rounded_to_what_a_person_says() {
        let shown = [29_000, 31_000, 3_600_000, 4_830_000].map(length);
        assert_eq!(shown, ["29 s", "1 min", "1 h", "1 h 21 min"]);
    }

    #[test]
    fn a_body_names_its_person() {
        let body = json!({"a": [{"name": "PHONE", "v": "x"}], "b": {"email": "ada@x.example"}});
        assert_eq!(person(&body).as_deref(), Some("ada@x.example"));
        assert_eq!(person(&json!({"address.phone": "13800138000"})).as_deref(), Some("+8613800138000"));
        assert_eq!(person(&json!({"name": "Ada"})), None);
    }

    #[test]
    fn addresses_of_ours_are_found_in_the_order_of_the_mail() {
        let html = r#"<img src="http://h/o/1"><a href="http://h/c/b">x</a><a href='http://h/c/a'>y</a><a href="http://h/c/b">z</a>"#;
        assert_eq!(own_paths(html, "/c/"), ["/c/b", "/c/a"]);
    }
}
