//! `DELETE /api/customers/{id}`: puts an erasure in place of a person's records and closes the gates of their addresses. The
//! rest is done by erase-customer, whatever becomes of this call; `GET …/erasure` says how far it is.

use crate::customers::{check_person, no_such_customer};
use crate::{Call, Console, unavailable};
use serde_json::{Value, json};
use sluice_domain::erasure::Erasure;
use sluice_domain::id::CustomerId;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::Written;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use sluice_wire::queue::{EraseMessage, encode};
use std::collections::BTreeSet;

/// How often the person is looked at again because somebody else was faster.
const ATTEMPTS: usize = 8;

impl Console {
    /// Again and again with the same answer. A record of the person that gave way names the whole person.
    pub(crate) async fn erase_customer(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let id = CustomerId::parse(call.part(0)).ok_or_else(no_such_customer)?;
        for _ in 0..ATTEMPTS {
            let known = self.store.people(BTreeSet::from([id.clone()])).await.map_err(unavailable)?;
            let Some(root) = known.customers.get(&known.root(&id)) else {
                let erasure = self.find_erasure(call, &id).await?;
                if erasure.done.is_none() {
                    // Whoever began it may have died before they were closed, and from this answer on nothing is sent.
                    self.store.close_gates(&erasure.gates, erasure.at).await.map_err(unavailable)?;
                    self.drive(&erasure.id).await?;
                }
                return Ok(accepted(&erasure));
            };
            check_person(call, &known, &root.id)?;
            let (now, keys) = (self.asked_at(call), self.hash_keys().await?);
            let policies = self.policies.current(now).await.map_err(unavailable)?;
            let junk = &policies.settings.junk;
            let erasures = Erasure::begin(root, &known, &keys, junk, &call.who.name(), now);
            let Some(whole) = erasures.first().cloned() else { return Err(no_such_customer()) };
            if self.store.begin_erasure(erasures, now).await.map_err(unavailable)? == Written::Conflict {
                continue;
            }
            self.drive(&whole.id).await?;
            return Ok(accepted(&whole));
        }
        Err(Problem::new(409, "busy", "Others are changing this customer. Try again.").retry_after(1))
    }

    /// When the person's erasure was asked for: not before the front door took the question, so that a lead that came earlier is
    /// theirs also where the clock of this machine is behind.
    fn asked_at(&self, call: &Call) -> Timestamp {
        let now = self.env.clock.now();
        call.request.arrived.map_or(now, |arrived| now.max(arrived))
    }

    pub(crate) async fn show_erasure(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let id = CustomerId::parse(call.part(0)).ok_or_else(no_such_customer)?;
        Ok(HttpResponse::json(200, &view(&self.find_erasure(call, &id).await?)))
    }

    /// The erasure of the whole person, also by a record that gave way. Whose the person was is gone with them: who does not
    /// reach everybody sees what they asked for themselves.
    async fn find_erasure(&self, call: &Call, id: &CustomerId) -> Result<Erasure, Problem> {
        let found = self.store.erasure(id).await.map_err(unavailable)?.ok_or_else(no_such_customer)?;
        let whole = match &found.root {
            Some(root) => {
                self.store.erasure(root).await.map_err(unavailable)?.ok_or_else(no_such_customer)?
            }
            None => found,
        };
        let is_seen = call.sight.reach.is_everybody() || whole.by == call.who.name();
        if is_seen { Ok(whole) } else { Err(no_such_customer()) }
    }

    async fn drive(&self, id: &CustomerId) -> Result<(), Problem> {
        let now = self.env.clock.now();
        let body = encode(&EraseMessage::Customer(id.clone()));
        let message = Outgoing { queue: QueueName::Erase, id: format!("erase-{id}"), body, not_before: now };
        self.outbox.hand_over(vec![message], now).await.map_err(unavailable)
    }
}

fn accepted(erasure: &Erasure) -> HttpResponse {
    HttpResponse::json(202, &view(erasure)).with_header("location", place(erasure))
}

fn place(erasure: &Erasure) -> String {
    format!("/api/customers/{}/erasure", erasure.id)
}

fn view(erasure: &Erasure) -> Value {
    json!({
        "customer": erasure.id,
        "state": if erasure.done.is_some() { "erased" } else { "erasing" },
        "asked": erasure.at.rfc3339(),
        "by": erasure.by,
        "done": erasure.done.map(|at| at.rfc3339()),
        "leads": erasure.leads,
        "look": place(erasure),
    })
}
