//! 三定 of leads: saying what is settled, which of the three their people lack, and the list of those that somebody works on.
//!
//! No index knows what a person lacks: it would have to be written with every lead. The list goes through what the reps within reach
//! were given, rep by rep, and looks at the people; how much one call reads is bounded, so a page may be short and its cursor goes on.

use crate::auth;
use crate::leads::{LONG_ENOUGH, PAGE, Wanted, no_such_lead};
use crate::{Call, Console, teller, unavailable};
use serde_json::{Map, Value, json};
use sluice_domain::customer::Known;
use sluice_domain::id::CustomerId;
use sluice_domain::live::{Lacking, Qualification};
use sluice_host::outbox;
use sluice_store::{Told, ToldPlace};
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;
use sluice_wire::queue::NoticeKind;
use std::collections::{BTreeMap, BTreeSet};

/// Assignments looked at by one call: each costs a notice's key, a lead, a person and a state.
const LOOKED_AT: usize = 1_000;
/// Notices looked at together, and as how many assignments they count at least.
const AT_ONCE: i32 = 100;
const AT_LEAST: usize = 10;

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
    /// as an event is, within a moment; under the same `Idempotency-Key` once.
    pub(crate) async fn qualify(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let lead = self.find_lead(call.part(0)).await?;
        if !call.sight.reach.is_everybody() && !call.sight.works_on(&lead) {
            return Err(no_such_lead());
        }
        let said = read_said(&call.json()?)?;
        let key = idempotency::key(&call.request)?;
        let now = self.env.clock.now();
        let key = key.map_or_else(|| now.millis().to_string(), auth::hash);
        let told = teller(now).qualified(&lead, &key, said.clone(), &call.who.name()).ok_or_else(|| {
            Problem::new(409, "out-of-place", "It is not known yet whose lead it is. Try again in a moment.")
        })?;
        self.outbox.hand_over(outbox::events(vec![told], now), now).await.map_err(unavailable)?;
        Ok(HttpResponse::json(202, &json!({"lead": lead.id, "said": said})))
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

    /// Leads that somebody works on and that lack something: rep by rep in the order of their names, of each the newest first. A
    /// lead is where its assignment stands, so once, whoever had it before and whoever its customer belongs to meanwhile.
    pub(crate) async fn unsettled(
        &self,
        wanted: &Wanted<'_>,
        reps: BTreeSet<String>,
        cursor: Option<&str>,
    ) -> Result<HttpResponse, Problem> {
        let from = cursor.map(ToldPlace::parse).transpose().map_err(unavailable)?;
        let began = self.env.clock.now();
        let mut place = match from {
            Some(place) if reps.contains(&place.rep) => Some(place),
            // Whoever it was is not within reach any more: on with whoever comes next.
            Some(place) => next_of(&reps, &place.rep),
            None => reps.first().map(|rep| first_of(rep)),
        };
        let (mut items, mut looked_at) = (Vec::new(), 0);
        while let Some(at) = place.take() {
            let kind = NoticeKind::Assigned.label();
            let page = self
                .store
                .told_of(&at.rep, &kind, at.before.as_deref(), AT_ONCE)
                .await
                .map_err(unavailable)?;
            let rows = self.still_given(wanted, &at.rep, &page.items).await?;
            let room = PAGE - items.len();
            let cut =
                rows.get(room).is_some().then(|| rows.get(room - 1).map(|(told, _)| told.place.clone()));
            looked_at += page.items.len().max(AT_LEAST);
            items.extend(rows.into_iter().take(room).map(|(_, row)| row));
            place = match cut.flatten().or(page.next) {
                Some(before) => Some(ToldPlace { before: Some(before), rep: at.rep }),
                None => next_of(&reps, &at.rep),
            };
            let is_long = self.env.clock.now().since(began) > LONG_ENOUGH;
            if items.len() >= PAGE || looked_at >= LOOKED_AT || is_long {
                break;
            }
        }
        let next = place.map(|place| place.cursor()).transpose().map_err(unavailable)?;
        Ok(HttpResponse::json(200, &json!({"leads": items, "cursor": next})))
    }

    /// Of these assignments those that stand, as rows.
    async fn still_given<'t>(
        &self,
        wanted: &Wanted<'_>,
        rep: &str,
        told: &'t [Told],
    ) -> Result<Vec<(&'t Told, Value)>, Problem> {
        let ids: Vec<_> =
            told.iter().map(|told| told.lead.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        let rows: BTreeMap<_, _> = self.rows(wanted, &ids).await?.into_iter().collect();
        let stands = |told: &'t Told| {
            let row = rows.get(&told.lead)?;
            let assignment = &row["assignment"];
            (assignment["rep"] == rep && assignment["n"] == told.n).then(|| (told, row.clone()))
        };
        Ok(told.iter().filter_map(stands).collect())
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

fn first_of(rep: &str) -> ToldPlace {
    ToldPlace { rep: rep.to_owned(), before: None }
}

/// The beginning of the next rep's, if there is one.
fn next_of(reps: &BTreeSet<String>, rep: &str) -> Option<ToldPlace> {
    reps.iter().find(|next| next.as_str() > rep).map(|next| first_of(next))
}

#[cfg(test)]
mod tests {
    use super::{ToldPlace, next_of};
    use std::collections::BTreeSet;

    #[test]
    fn a_list_goes_on_with_the_next_rep_who_is_within_reach() {
        let reps: BTreeSet<String> = ["ann", "bo", "cy"].map(str::to_owned).into();
        let next = |rep: &str| next_of(&reps, rep).map(|place| (place.rep, place.before));
        assert_eq!(next("ann"), Some(("bo".to_owned(), None)));
        assert_eq!(next("bob"), Some(("cy".to_owned(), None)), "who is gone");
        assert_eq!(next("cy"), None);
    }

    #[test]
    fn a_place_is_read_from_the_cursor_that_names_it() {
        for before in [None, Some("m#0000000000001#ld_x#assigned1#".to_owned())] {
            let place = ToldPlace { rep: "li.wei".to_owned(), before };
            let read = ToldPlace::parse(&place.cursor().unwrap()).unwrap();
            assert_eq!(
                (read.rep, read.before.unwrap()),
                (place.rep, place.before.unwrap_or("m$".to_owned()))
            );
        }
        for wrong in ["", "x", "WyJ4IiwieSJd"] {
            assert!(ToldPlace::parse(wrong).is_err(), "{wrong}");
        }
    }
}
