//! Events as PostHog's libraries send them: names of their own begin with `$`, and there is one id, `distinct_id`, for
//! people that are known and for browsers alike.

use super::item::{About, Said, Why, id, object, text_of, time};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sluice_domain::event::{EventKind, Happened, Ids};
use sluice_domain::id::EventId;
use sluice_domain::pii::Pii;

/// What the libraries tell of themselves, many times for each thing that somebody does.
const MACHINERY: [&str; 7] = [
    "$snapshot",
    "$performance_event",
    "$web_vitals",
    "$$heatmap",
    "$feature_flag_called",
    "$$client_ingestion_warning",
    "$opt_in",
];

/// The key as a single event carries it.
pub(super) fn token(item: &RawValue) -> Option<String> {
    let item: Map<String, Value> = serde_json::from_str(item.get()).ok()?;
    let properties = item.get("properties").and_then(Value::as_object);
    let within = properties.and_then(|it| text_of(it.get("token")).or_else(|| text_of(it.get("api_key"))));
    text_of(item.get("token")).or_else(|| text_of(item.get("api_key"))).or(within)
}

/// Reads one event.
pub(super) fn event(
    mut item: Map<String, Value>,
    about: &About<'_>,
    event_id: impl FnOnce(Option<&str>, bool) -> EventId,
) -> Result<Happened, Why> {
    let name = text_of(item.get("event")).ok_or(Why::NoName)?;
    if MACHINERY.contains(&name.as_str()) {
        return Err(Why::Machinery);
    }
    let mut properties = object(&mut item, "properties");
    let message_id = ["uuid", "messageId"].iter().find_map(|name| text_of(item.get(*name)));
    let message_id = message_id.or_else(|| text_of(properties.get("$insert_id")));
    // From a page an event says how long ago it happened, from a server when.
    let ago = item.get("offset").and_then(Value::as_f64).filter(|ago| *ago >= 0.0);
    let (at, sent_at) = match ago {
        Some(ago) => (Some(about.received.plus_millis(-(ago as i64))), None),
        None => (time(item.get("timestamp")), about.sent_at),
    };
    let distinct = id(item.get("distinct_id")).or_else(|| id(properties.get("distinct_id")));
    let kind = match name.as_str() {
        "$identify" | "$set" => EventKind::Identify,
        "$create_alias" | "$merge_dangerously" => EventKind::Alias,
        "$pageview" => EventKind::Page,
        "$screen" => EventKind::Screen,
        "$groupidentify" => EventKind::Group,
        _ => EventKind::Track,
    };
    let ids = match kind {
        EventKind::Alias => aliases(distinct, &properties)?,
        EventKind::Group if is_made_up(distinct.as_ref(), &properties) => return Err(Why::NoId),
        _ => of_person(distinct, &properties, name == "$identify"),
    };
    let mut traits = Map::new();
    for set in ["$set_once", "$set"] {
        traits.extend(object(&mut properties, set));
        traits.extend(object(&mut item, set));
    }
    let context = context(&properties);
    let page = context.get("page").and_then(Value::as_object).cloned().unwrap_or_default();
    let shown = |name: &str| text_of(properties.get(name)).unwrap_or_default();
    let name = match kind {
        EventKind::Track => name,
        EventKind::Page => text_of(page.get("title")).unwrap_or_default(),
        EventKind::Screen => shown("$screen_name"),
        _ => String::new(),
    };
    let mut kept = own(properties.clone());
    match kind {
        EventKind::Group => {
            let group = text_of(properties.get("$group_key")).ok_or(Why::NoGroup)?;
            kept.insert("groupId".to_owned(), Value::String(group));
            traits = object(&mut properties, "$group_set");
        }
        EventKind::Page => {
            for (name, value) in page {
                kept.entry(name).or_insert(value);
            }
        }
        EventKind::Alias => kept.clear(),
        _ => {}
    }
    let said = Said { kind, name, ids, time: at, properties: kept, traits, context };
    said.happened(event_id(message_id.as_deref(), at.is_some()), &About { sent_at, ..*about })
}

/// Whose event it is. A browser that nobody has named yet goes by its device's id, or says that it is nobody's.
fn of_person(distinct: Option<Pii<String>>, properties: &Map<String, Value>, identifies: bool) -> Ids {
    let device = id(properties.get("$anon_distinct_id")).or_else(|| id(properties.get("$device_id")));
    let flag = |name: &str| properties.get(name).and_then(Value::as_bool);
    let is_browser = !identifies
        && (flag("$is_identified") == Some(false)
            || flag("$process_person_profile") == Some(false)
            || (distinct.is_some() && distinct == device));
    if is_browser {
        return Ids { user: None, anonymous: distinct.or(device), previous: None };
    }
    let user = distinct.or_else(|| id(properties.get("$user_id")));
    Ids { anonymous: device.filter(|device| Some(device) != user.as_ref()), user, previous: None }
}

/// The two ids of an alias. The libraries disagree which of them is the older: a browser's looks like one, and else it is
/// `distinct_id`, but for the library of Node.
fn aliases(distinct: Option<Pii<String>>, properties: &Map<String, Value>) -> Result<Ids, Why> {
    let distinct = distinct.ok_or(Why::NoId)?;
    let alias = id(properties.get("alias")).ok_or(Why::NoPrevious)?;
    let alias_is_older = match (is_uuid(distinct.reveal()), is_uuid(alias.reveal())) {
        (false, true) => true,
        (true, false) => false,
        _ => properties.get("$lib").and_then(Value::as_str) == Some("posthog-node"),
    };
    let (user, previous) = if alias_is_older { (distinct, alias) } else { (alias, distinct) };
    Ok(Ids { user: Some(user), anonymous: None, previous: Some(previous) })
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// Libraries for servers make a person up for what they say of a group.
fn is_made_up(distinct: Option<&Pii<String>>, properties: &Map<String, Value>) -> bool {
    let part = |name: &str| text_of(properties.get(name)).unwrap_or_default();
    let made_up = format!("${}_{}", part("$group_type"), part("$group_key"));
    distinct.is_some_and(|distinct| *distinct.reveal() == made_up)
}

/// Properties that somebody gave; those of the library's own begin with `$`.
fn own(mut properties: Map<String, Value>) -> Map<String, Value> {
    properties.retain(|name, _| !name.starts_with('$') && name != "token" && name != "distinct_id");
    properties
}

/// Where it happened, in the words of Segment's specification.
fn context(properties: &Map<String, Value>) -> Map<String, Value> {
    let group = |names: &[(&str, &str)]| -> Map<String, Value> {
        let of = |(ours, theirs): &(&str, &str)| Some(((*ours).to_owned(), properties.get(*theirs)?.clone()));
        names.iter().filter_map(of).filter(|(_, value)| value.is_string()).collect()
    };
    let mut context = group(&[("timezone", "$timezone"), ("locale", "$browser_language")]);
    for (name, members) in [
        (
            "page",
            group(&[
                ("url", "$current_url"),
                ("path", "$pathname"),
                ("referrer", "$referrer"),
                ("title", "title"),
            ]),
        ),
        (
            "campaign",
            group(&[
                ("source", "utm_source"),
                ("medium", "utm_medium"),
                ("name", "utm_campaign"),
                ("content", "utm_content"),
                ("term", "utm_term"),
            ]),
        ),
        ("os", group(&[("name", "$os"), ("version", "$os_version")])),
        ("device", group(&[("type", "$device_type")])),
    ] {
        if !members.is_empty() {
            context.insert(name.to_owned(), Value::Object(members));
        }
    }
    context
}
