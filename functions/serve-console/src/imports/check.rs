//! `POST /api/imports/try`: what would become of rows. Writes nothing.

use super::rows::{check, prepare};
use super::{answer, check_name, find_form};
use crate::{Call, Console, unavailable};
use sluice_domain::customer::recognise;
use sluice_domain::id::LeadId;
use sluice_store::{Batch, BatchState};
use sluice_wire::http::HttpResponse;
use sluice_wire::imports::{Fate, RowAnswer, RowAnswers, Rows, columns};
use sluice_wire::problem::Problem;

/// Rows whose people are loaded together.
const GROUP: usize = 25;

impl Console {
    pub(crate) async fn try_rows(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked: Rows = call.read_unseen()?;
        check(call, &asked)?;
        let name = asked.batch.clone().unwrap_or_else(|| "try".to_owned());
        check_name(&name)?;
        let policies = self.current().await?;
        let form = find_form(&policies, asked.form.as_deref().unwrap_or_default())?;
        let columns = columns(form, &asked.columns);
        let now = self.env.clock.now();
        let batch = Batch {
            name,
            version: 0,
            form: form.name.clone(),
            route: false,
            notify: false,
            state: BatchState::Open,
            by: call.who.name(),
            at: now,
        };
        let (tasks, mut answers) = prepare(&batch, form, &policies, asked.rows, now);
        let keys = self.secrets.hash_keys().await.map_err(|error| {
            tracing::warn!(%error, "hash key not read");
            Problem::new(503, "unavailable", "People cannot be looked up just now. Try again.").retry_after(2)
        })?;
        for group in tasks.chunks(GROUP) {
            let ids: Vec<LeadId> = group.iter().map(|task| task.lead.id.clone()).collect();
            let there = self.store.leads(&ids).await.map_err(unavailable)?;
            let identities: Vec<_> = group.iter().map(|task| task.facts.identities.as_slice()).collect();
            let known = self.store.known(&identities, &keys).await.map_err(unavailable)?;
            for (task, known) in group.iter().zip(known) {
                let row = match there.get(&task.lead.id) {
                    Some(lead) => task.known_lead(lead),
                    None => task.about(&known, Fate::New),
                };
                let shared_after = policies.settings.shared_after as usize;
                let who = recognise(&task.lead.id, &task.facts.identities, &known, shared_after);
                let new_customer = !known.customers.contains_key(&who.customer);
                answers.push(RowAnswer { new_customer: Some(new_customer), lead: None, ..row });
            }
        }
        answers.sort_by_key(|row| row.n);
        answer(&RowAnswers { rows: answers, columns })
    }
}
