//! Calls of tracking libraries, which repeat what is not answered with success.

use super::{Event, Post, Prepare};
use crate::events::http_event;
use crate::wire::Headers;
use crate::world::World;
use serde_json::{Value, json};
use sluice_domain::id::EventId;

/// What is published for them.
pub(super) fn documents() -> Vec<Value> {
    vec![json!({
        "kind": "source", "name": "site", "type": "segment", "secrets": { "write_key": ["secret:page-token"] },
    })]
}

/// Somebody who becomes known, somebody who is, and a browser that is nobody's; one event twice.
pub(super) fn batch(_: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let batch = json!([
            { "type": "track", "event": "Pricing Viewed", "anonymousId": "b-1", "messageId": "1" },
            {
                "type": "identify", "userId": "u-1", "anonymousId": "b-1", "messageId": "2",
                "traits": { "email": "ada@example.org" },
            },
            { "type": "track", "event": "Order Completed", "userId": "u-2", "messageId": "3" },
            { "type": "page", "anonymousId": "b-2", "messageId": "4" },
            { "type": "page", "anonymousId": "b-2", "messageId": "4" },
        ]);
        let body = json!({ "writeKey": "token", "batch": batch }).to_string();
        let headers = Headers::from([("content-type".to_owned(), "application/json".to_owned())]);
        let payload = http_event("POST", "/v1/batch", &headers, &body);
        let fields = (1..=4)
            .map(|n: u32| ("event".to_owned(), EventId::derived(&["site", &n.to_string()]).to_string()))
            .collect();
        let post = Post { payload, fields, again: None, clash: None };
        (Event::Http(Post { again: Some(Box::new(post.clone())), ..post }), Vec::new())
    })
}
