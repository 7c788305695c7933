//! What admins do: publish, give and take tokens, turn receivers of webhooks on again, have a delivery made once more.

use super::advance::watched;
use super::console::{REP_TOKEN, act, call, full, once, request, token_of_a_rep};
use super::erase::asked;
use super::messages::ada;
use super::{Prepare, accept, lead_body};
use crate::wire::{document, text};
use crate::world::{ADMIN_TOKEN, World};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sluice_domain::id::EndpointId;
use sluice_domain::time::Timestamp;
use sluice_store::{NoticeRecord, Written};
use sluice_wire::queue::{TellMessage, encode};

/// A segment that everybody with an address is in, and a journey for whoever enters it.
const MET: &str = "kind: segment\nname: reachable\nwhen: has(customer.email)\ntrigger: true\n---\n\
                   kind: journey\nname: met\ntrigger: [{ segment: reachable }]\n\
                   steps: [{ notify: { rep: ann, text: Met. } }]\n";

/// Documents about everybody's behaviour are published, while somebody else publishes another one and a lead comes in.
pub(super) fn publish(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        ada(world).await;
        world.clock.advance(86_400_000);
        let lead = accept(world, "web", "2", &[("email", "grace@example.org")], 0).await;
        let files = json!({ "files": [{ "file": "met.yaml", "text": MET }] });
        let event = call("POST", ADMIN_TOKEN, "/api/policies/apply", &files);
        let topic = "kind: topic\nname: more\n";
        let other = request("PUT", ADMIN_TOKEN, "/api/policies/topic/more", topic, None);
        (event, vec![("lead", lead_body(&lead)), asked(other)])
    })
}

/// A token is revoked while whoever has it claims a lead.
pub(super) fn revoke_token(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let [.., waiting] = full(world).await;
        let token = token_of_a_rep(world).await;
        let event = call("DELETE", ADMIN_TOKEN, &format!("/api/tokens/{}", token.id()), &json!({}));
        let claim = act(REP_TOKEN, &format!("/api/leads/{waiting}/claim"), &json!({}));
        (event, vec![asked(claim)])
    })
}

/// A token is made, while a lead comes in. Whoever got no answer asks for another one.
pub(super) fn new_token(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let lead = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        (call("POST", ADMIN_TOKEN, "/api/tokens", &phone()), vec![("lead", lead_body(&lead))])
    })
}

/// The same under a key: whoever got no answer is told that it was made.
pub(super) fn new_token_once(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let lead = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        (once("/api/tokens", &phone()), vec![("lead", lead_body(&lead))])
    })
}

fn phone() -> Value {
    json!({ "role": "rep", "rep": "ann", "note": "a phone" })
}

/// A receiver that was gone is back, while a journey tells it something.
pub(super) fn enable(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (_, came) = watched(world).await;
        let id = EndpointId::derived(&["https://hook.test/in"]);
        let store = world.store();
        let receiver = store.endpoint(&id).await.unwrap();
        let now = Timestamp(world.clock.millis());
        assert_eq!(store.disable_endpoint(&receiver, now).await.unwrap(), Written::Done);
        let path = format!("/api/webhooks/{id}/enable");
        (act(ADMIN_TOKEN, &path, &json!({})), vec![("event", came)])
    })
}

/// What a journey told is told once more, while its message comes again.
pub(super) fn redeliver(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (_, came) = watched(world).await;
        world.send("event", &came);
        world.settle(600_000).await.unwrap();
        world.deliveries = 0;
        let rows = world.rows();
        let told = rows.iter().find(|item| text(item, "pk") == "rep#journey/care").unwrap();
        let record: NoticeRecord = document(told, "d").unwrap();
        let made = record.call.unwrap();
        let place = URL_SAFE_NO_PAD.encode(format!("journey/care\n{}", text(told, "sk")));
        let path = format!("/api/webhooks/{}/redeliver", made.to.endpoint());
        let event = act(ADMIN_TOKEN, &path, &json!({ "delivery": place }));
        (event, vec![("notice", encode(&TellMessage::Call(made)))])
    })
}
