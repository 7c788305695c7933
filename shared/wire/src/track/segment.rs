//! Events as Segment's specification has them. RudderStack's libraries call the time `originalTimestamp` and keep what they
//! know of the person in `context.traits`.

use super::item::{About, Said, Why, id, object, text_of, time};
use serde_json::{Map, Value};
use sluice_domain::event::{EventKind, Happened, Ids};
use sluice_domain::id::EventId;

/// Reads one event; without a `kind` it says so itself.
pub(super) fn event(
    kind: Option<EventKind>,
    mut item: Map<String, Value>,
    about: &About<'_>,
    event_id: impl FnOnce(Option<&str>, bool) -> EventId,
) -> Result<Happened, Why> {
    let kind = kind.or_else(|| kind_of(&item)).ok_or(Why::Kind)?;
    let message_id = text_of(item.get("messageId"));
    let at = time(item.get("timestamp")).or_else(|| time(item.get("originalTimestamp")));
    let sent_at = about.sent_at.or_else(|| time(item.get("sentAt")));
    let mut context = about.context.clone();
    context.extend(object(&mut item, "context"));
    let known = object(&mut context, "traits");
    let traits = object(&mut item, "traits");
    let mut said = Said {
        kind,
        name: String::new(),
        ids: Ids { user: id(item.get("userId")), anonymous: id(item.get("anonymousId")), previous: None },
        time: at,
        properties: object(&mut item, "properties"),
        traits: Map::new(),
        context,
    };
    match kind {
        EventKind::Track => said.name = text_of(item.get("event")).ok_or(Why::NoName)?,
        EventKind::Identify => {
            said.traits = known;
            said.traits.extend(traits);
        }
        EventKind::Page | EventKind::Screen => {
            let name = text_of(item.get("name")).or_else(|| text_of(said.properties.get("name")));
            said.name = name.unwrap_or_default();
            if let Some(category) = text_of(item.get("category")) {
                said.properties.entry("category").or_insert(Value::String(category));
            }
        }
        EventKind::Group => {
            let group = text_of(item.get("groupId")).ok_or(Why::NoGroup)?;
            said.properties.insert("groupId".to_owned(), Value::String(group));
            said.traits = traits;
        }
        EventKind::Alias => said.ids.previous = Some(id(item.get("previousId")).ok_or(Why::NoPrevious)?),
        EventKind::Own => return Err(Why::Kind),
    }
    let event_id = event_id(message_id.as_deref(), at.is_some());
    said.happened(event_id, &About { sent_at, ..*about })
}

fn kind_of(item: &Map<String, Value>) -> Option<EventKind> {
    let name = item.get("type")?.as_str()?;
    EventKind::ALL.into_iter().find(|kind| kind.name() == name)
}
