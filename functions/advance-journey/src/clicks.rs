//! Clicks that are settled: each is an event if a person made it, and nothing if its message has found out since that a program
//! did. One that comes again is the same event.

use crate::Advancer;
use serde_json::json;
use sluice_domain::event::{Happened, Teller};
use sluice_domain::message::Message;
use sluice_wire::queue::Click;
use std::collections::BTreeSet;

/// Who saw the click, which is what its event has as its source.
const SEEN_BY: &str = "record-engagement";

/// What a click came to, or why that cannot be said now, with the place of its record.
type Told = (usize, Result<Option<Happened>, String>);

impl Advancer {
    /// What clicks tell of, by their places. Their messages are read together.
    pub(crate) async fn told_by(&self, clicks: Vec<(usize, Click)>) -> Vec<Told> {
        let ids: BTreeSet<_> = clicks.iter().map(|(_, click)| click.message.clone()).collect();
        let messages = match self.store.messages(&ids).await {
            Ok(messages) => messages,
            Err(why) => return clicks.into_iter().map(|(at, _)| (at, Err(why.to_string()))).collect(),
        };
        let told = |click: &Click| match messages.get(&click.message) {
            // Its person was erased.
            None => Ok(None),
            Some(Ok(message)) => Ok(self.told(message, click)),
            Some(Err(why)) => Err(why.to_string()),
        };
        clicks.iter().map(|(at, click)| (*at, told(click))).collect()
    }

    fn told(&self, message: &Message, click: &Click) -> Option<Happened> {
        let Click { link, at, nonce, .. } = *click;
        let is_first = message.trail.settled(nonce)?;
        let mut more = json!({"link": link, "url": message.links.get(usize::from(link))});
        if is_first {
            more["first"] = true.into();
        }
        let teller = Teller { function: SEEN_BY, now: self.env.clock.now() };
        teller.message(message, "message_clicked", &nonce.to_string(), at, more)
    }
}
