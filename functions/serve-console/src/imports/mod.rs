//! Leads from files: batches, their rows, and taking a batch back.

mod check;
mod revert;
mod rows;

use crate::{Call, Console, unavailable};
use serde_json::{Value, json};
use sluice_domain::import::is_batch_name;
use sluice_domain::policy::{Form, PolicySet};
use sluice_store::{Batch, BatchState, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::imports::{Begin, Begun, columns};
use sluice_wire::problem::Problem;

/// Batches of one page.
const PAGE: i32 = 100;
/// How often a batch is looked at again because somebody else was faster.
const ATTEMPTS: u32 = 8;

impl Console {
    /// Begins a batch or goes on with it. Its form and what becomes of its leads stay as they were said first.
    pub(crate) async fn begin_batch(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked: Begin = call.read_unseen()?;
        check_name(&asked.batch)?;
        if asked.notify && !asked.route {
            let detail = "Nobody is told of leads that are not routed: `notify` goes with `route`.";
            return Err(Problem::new(422, "nobody-to-notify", detail).about("notify"));
        }
        let policies = self.current().await?;
        let form = find_form(&policies, &asked.form)?;
        let begun = Begun { batch: asked.batch.clone(), columns: columns(form, &asked.columns) };
        for _ in 0..ATTEMPTS {
            let new = Batch {
                name: asked.batch.clone(),
                version: 0,
                form: asked.form.clone(),
                route: asked.route,
                notify: asked.notify,
                state: BatchState::Open,
                by: call.who.name(),
                at: self.env.clock.now(),
            };
            let Some(there) = self.store.begin_batch(&new).await.map_err(unavailable)? else {
                return answer(&begun);
            };
            match there.state {
                BatchState::Reverting => return Err(not_open(&there)),
                BatchState::Open if is_same(&there, &new) => return answer(&begun),
                BatchState::Open => return Err(other_batch(&there)),
                BatchState::Reverted => {
                    let again = Batch { version: there.version, ..new };
                    if self.store.update_batch(&again).await.map_err(unavailable)? == Written::Done {
                        return answer(&begun);
                    }
                }
            }
        }
        Err(Problem::new(409, "busy", "Others are changing this batch. Try again.").retry_after(1))
    }

    pub(crate) async fn list_batches(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let cursor = call.query("cursor");
        let page = self.store.batches(cursor.as_deref(), PAGE).await.map_err(unavailable)?;
        let items: Vec<Value> = page.items.iter().map(view).collect();
        Ok(HttpResponse::json(200, &json!({"imports": items, "cursor": page.next})))
    }

    pub(crate) async fn show_batch(&self, call: &Call) -> Result<HttpResponse, Problem> {
        Ok(HttpResponse::json(200, &view(&self.find_batch(call.part(0)).await?)))
    }

    async fn find_batch(&self, name: &str) -> Result<Batch, Problem> {
        check_name(name)?;
        let batch = self.store.batch(name).await.map_err(unavailable)?;
        batch.ok_or_else(|| Problem::new(404, "no-such-batch", "There is no import of this name."))
    }
}

fn view(batch: &Batch) -> Value {
    json!({
        "batch": batch.name, "form": batch.form, "route": batch.route, "notify": batch.notify,
        "state": batch.state, "by": batch.by, "at": batch.at.rfc3339(),
    })
}

fn is_same(one: &Batch, other: &Batch) -> bool {
    (&one.form, one.route, one.notify) == (&other.form, other.route, other.notify)
}

fn other_batch(there: &Batch) -> Problem {
    let on = |yes: bool, word: &str| if yes { format!(" --{word}") } else { String::new() };
    let detail = format!(
        "A batch of this name was begun with --form {}{}{}. Go on with the same, or name another batch.",
        there.form,
        on(there.route, "route"),
        on(there.notify, "notify")
    );
    Problem::new(409, "other-batch", detail).about("batch")
}

fn not_open(batch: &Batch) -> Problem {
    let detail = match batch.state {
        BatchState::Reverting => {
            "This batch is being taken back, or some of its leads were kept. Revert it to the end, or name another."
        }
        _ => "This batch was taken back. Begin it again to import the file once more.",
    };
    Problem::new(409, "batch-reverted", detail).about("batch")
}

fn check_name(name: &str) -> Result<(), Problem> {
    if is_batch_name(name) {
        return Ok(());
    }
    let detail = "A batch is named with 1 to 64 of a-z, 0-9, `.`, `_` and `-`, a letter or digit first.";
    Err(Problem::new(422, "batch-name", detail).about("batch"))
}

fn find_form<'a>(policies: &'a PolicySet, name: &str) -> Result<&'a Form, Problem> {
    policies.forms.get(name).ok_or_else(|| {
        let forms = policies.forms.keys().cloned().collect::<Vec<_>>().join(", ");
        Problem::new(404, "no-such-form", format!("There is no form of this name; known: {forms}."))
            .about("form")
    })
}

fn answer(value: &impl serde::Serialize) -> Result<HttpResponse, Problem> {
    let value = serde_json::to_value(value)
        .map_err(|_| Problem::new(500, "answer-unwritable", "The answer cannot be written."))?;
    Ok(HttpResponse::json(200, &value))
}
