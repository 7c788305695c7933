//! Messages that are asked for under an `Idempotency-Key`: the same call again is answered as the first one was, whatever has become since
//! of what it names.

use crate::acts::ATTEMPTS;
use crate::{Call, Console, auth, unavailable};
use futures::future::try_join_all;
use serde_json::{Value, json};
use sluice_domain::customer::Known;
use sluice_domain::id::CustomerId;
use sluice_domain::message::Message;
use sluice_store::{Asked, Commit, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Whom a call asks for a message to, and under which key.
pub(crate) struct Asking {
    /// The live record of the person.
    pub(crate) root: CustomerId,
    /// All records of the person.
    pub(crate) known: Known,
    /// The call under its key, if it has one.
    pub(crate) once: Option<Once>,
}

/// A call under a key.
pub(crate) struct Once {
    /// Hash of the key.
    pub(crate) key: String,
    /// Hash of what is asked for.
    fingerprint: String,
    /// Beside which records what it asked for is kept: the one that it names, whoever that is of by now, and the live one.
    beside: BTreeSet<CustomerId>,
    /// Beside which it may have been kept: every record of the person, who may be named by another the next time. The one that it names
    /// comes first: two who turned out to be one may both have been sent something.
    places: Vec<CustomerId>,
}

impl Once {
    fn new(call: &Call, what: &str, key: &str, named: &CustomerId, root: &CustomerId, known: &Known) -> Self {
        let mut asked: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
        if let Some(asked) = asked.as_object_mut() {
            asked.remove("customer");
        }
        let beside = BTreeSet::from([named.clone(), root.clone()]);
        let mut places: Vec<CustomerId> = records_of(root, known).union(&beside).cloned().collect();
        places.sort_by_key(|record| record != named);
        Self { key: auth::hash(key), fingerprint: auth::hash(&format!("{what}{asked}")), beside, places }
    }
}

impl Console {
    /// Whom the call asks for a message to; or what the same call under its key was answered. It is looked for before anything is said of
    /// what is asked for: documents may be others by now. `what` says what kind of call it is besides its body.
    pub(crate) async fn asking(
        &self,
        call: &Call,
        what: &str,
        named: &CustomerId,
        key: Option<&str>,
    ) -> Result<ControlFlow<HttpResponse, Asking>, Problem> {
        let (root, known) = self.find_person(call, named.as_str()).await?;
        let once = key.map(|key| Once::new(call, what, key, named, &root, &known));
        if let Some(once) = &once
            && let Some(answer) = self.asked_before(once).await?
        {
            return Ok(ControlFlow::Break(answer));
        }
        Ok(ControlFlow::Continue(Asking { root, known, once }))
    }

    /// Asks for the message, under a key for ever once.
    pub(crate) async fn put_once(
        &self,
        call: &Call,
        message: Message,
        once: Option<&Once>,
    ) -> Result<HttpResponse, Problem> {
        let Some(once) = once else { return self.accept_message(call, message).await };
        let (customer, id) = (&message.order.customer, message.id());
        for _ in 0..ATTEMPTS {
            let commit = Commit::default().message(message.clone()).standing_customer(customer);
            let commit = once.beside.iter().fold(commit, |commit, record| {
                let asked = Asked { message: id.clone(), fingerprint: once.fingerprint.clone() };
                commit.asked(record, &once.key, asked)
            });
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Done {
                self.queue(&message.order).await?;
                return Ok(HttpResponse::json(202, &json!({ "message_id": id })));
            }
            if let Some(answer) = self.asked_before(once).await? {
                return Ok(answer);
            }
        }
        // Erased at this moment, or the same call is being made elsewhere.
        self.find_person(call, customer.as_str()).await?;
        Err(Problem::new(409, "busy", "The same call is being made elsewhere. Try again.").retry_after(1))
    }

    /// The answer of the call that came first under the key; its message is handed on again, since that call may have died before.
    async fn asked_before(&self, once: &Once) -> Result<Option<HttpResponse>, Problem> {
        let asked = once.places.iter().map(|record| self.store.asked(record, &once.key));
        let asked = try_join_all(asked).await.map_err(unavailable)?;
        let Some(asked) = asked.into_iter().flatten().next() else { return Ok(None) };
        if asked.fingerprint != once.fingerprint {
            return Err(idempotency::reused("another message"));
        }
        if let Some(stored) = self.store.message(&asked.message).await.map_err(unavailable)? {
            self.queue(&stored.order).await?;
        }
        Ok(Some(HttpResponse::json(202, &json!({ "message_id": asked.message }))))
    }
}

/// Every record of a person.
fn records_of(root: &CustomerId, known: &Known) -> BTreeSet<CustomerId> {
    let whole = known.customers.get(root).map(|record| known.whole(record));
    whole.iter().flat_map(|whole| whole.parts()).map(|part| part.id.clone()).collect()
}
