//! 三定 of leads: saying what is settled, and which of the three their people lack. No index knows that: it would have to be written
//! with every lead. Lists look at the people.

use crate::acts::{ATTEMPTS, is_done, key_of};
use crate::auth;
use crate::leads::no_such_lead;
use crate::{Call, Console, teller, unavailable};
use serde_json::{Map, Value, json};
use sluice_domain::customer::Known;
use sluice_domain::id::CustomerId;
use sluice_domain::live::{Lacking, Qualification};
use sluice_host::outbox;
use sluice_store::Written;
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

impl Call {
    /// What the leads' people are to lack, by `missing`.
    pub(crate) fn missing(&self) -> Result<Option<Lacking>, Problem> {
        let read = |text: String| {
            Lacking::parse(&text).ok_or_else(|| {
                let words = Lacking::words().collect::<Vec<_>>().join(", ");
                let detail = format!("`missing` is one of {words}, or several with commas between them.");
                Problem::new(422, "missing-unknown", detail).about("missing")
            })
        };
        self.query("missing").map(read).transpose()
    }
}

impl Console {
    /// `{"need": …, "grade": …, "amount": …, "date": …}`, any of them: what was found out about whoever sent the lead. It is taken in
    /// as an event is, within a moment; under the same `Idempotency-Key` once, and under it nothing else.
    pub(crate) async fn qualify(&self, call: &Call) -> Result<HttpResponse, Problem> {
        for _ in 0..ATTEMPTS {
            let lead = self.find_lead(call.part(0)).await?;
            if !call.sight.reach.is_everybody() && !call.sight.works_on(&lead) {
                return Err(no_such_lead());
            }
            let said = read_said(&call.json()?)?;
            let key = key_of(call, &format!("qualify {}", Value::Object(said.clone())))?;
            let is_known = is_done(&lead, key.as_ref())?;
            let now = self.env.clock.now();
            let named = idempotency::key(&call.request)?.map_or_else(|| now.millis().to_string(), auth::hash);
            let told = teller(now).qualified(&lead, &named, said.clone(), &call.who.name());
            let told = told.ok_or_else(|| {
                let detail = "It is not known yet whose lead it is. Try again in a moment.";
                Problem::new(409, "out-of-place", detail)
            })?;
            // The key is kept before anything is told: what comes under it from then on is this call or a mistake.
            if let Some(key) = key.filter(|_| !is_known)
                && self.keep_key(&lead, key).await? == Written::Conflict
            {
                continue;
            }
            self.outbox.hand_over(outbox::events(vec![told], now), now).await.map_err(unavailable)?;
            return Ok(HttpResponse::json(202, &json!({"lead": lead.id, "said": said})));
        }
        Err(Problem::new(409, "busy", "Others are changing this lead. Try again.").retry_after(1))
    }

    /// What is settled of people, by the ids of their live records.
    pub(crate) async fn settled(
        &self,
        known: &Known,
        roots: impl IntoIterator<Item = CustomerId>,
    ) -> Result<BTreeMap<CustomerId, Qualification>, Problem> {
        let records: BTreeMap<CustomerId, BTreeSet<CustomerId>> = roots
            .into_iter()
            .filter_map(|root| {
                let parts =
                    known.whole(known.customers.get(&root)?).parts().map(|part| part.id.clone()).collect();
                Some((root, parts))
            })
            .collect();
        let all = records.values().flatten().cloned().collect();
        let states = self.store.states(&all).await.map_err(unavailable)?;
        let of = |parts: BTreeSet<CustomerId>| {
            Qualification::of(parts.iter().filter_map(|part| Some(&states.get(part)?.live)))
        };
        Ok(records.into_iter().map(|(root, parts)| (root, of(parts))).collect())
    }

    /// Which of the three the person of a lead lacks; nothing if nobody knows yet whose it is.
    pub(crate) async fn missing_of(&self, person: Option<&(CustomerId, Known)>) -> Result<Value, Problem> {
        let Some((root, known)) = person else { return Ok(Value::Null) };
        let settled = self.settled(known, [root.clone()]).await?;
        Ok(settled.get(root).map_or(Value::Null, |settled| json!(settled.missing_words())))
    }
}

/// The parts that are said, each usable.
fn read_said(body: &Value) -> Result<Map<String, Value>, Problem> {
    let parts = Qualification::PARTS.into_iter().filter_map(|part| {
        let value = body.get(part).filter(|value| !value.is_null())?;
        Some((part.to_owned(), value.clone()))
    });
    let said: Map<String, Value> = parts.collect();
    if said.is_empty() {
        let detail = "Say what is settled: `need`, `grade`, `amount` or `date`.";
        return Err(Problem::new(422, "nothing-settled", detail).about("need"));
    }
    match Qualification::unusable(&said) {
        None => Ok(said),
        Some(part) => {
            let detail = "A need and a grade have up to 120 bytes, an amount is a number, a date is written like 2027-03-31.";
            Err(Problem::new(422, "qualification-unusable", detail).about(part))
        }
    }
}
