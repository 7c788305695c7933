//! `POST /api/imports/{batch}/rows`: rows become leads, each once, however often and by however many they are sent.

use super::{answer, find_form, not_open};
use crate::{Call, Console, unavailable};
use futures::stream::{self, StreamExt};
use ring::digest;
use sluice_domain::customer::{AddressHash, HashKeys, Known, recognise};
use sluice_domain::id::LeadId;
use sluice_domain::import::{Imported, lead_id};
use sluice_domain::lead::{self, Facts, Flag, Lead, LeadState, Origin, Progress, consented};
use sluice_domain::policy::{Form, PolicySet};
use sluice_domain::routing::{Case, change, import};
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Accepted, Batch, BatchState, Chunk, Commit, StoreError, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::imports::{
    Fate, MAX_REQUEST, MAX_ROWS, Row, RowAnswer, RowAnswers, Rows, Sent, envelope, sent,
};
use sluice_wire::problem::Problem;
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Rows whose people are loaded together.
const GROUP: usize = 25;
/// Groups on their way at the same time.
const GROUPS: usize = 4;
/// Rows of a group on their way at the same time.
const AT_ONCE: usize = 8;
/// Passes in a row that brought nothing in before the caller is told to come again.
const ATTEMPTS: u32 = 8;
/// After this many milliseconds no further pass begins: a function runs for 29 seconds at most.
const LONG_ENOUGH: i64 = 12_000;

/// When rows were begun with that nobody works on any more.
pub(super) const ENDED: Timestamp = Timestamp(0);

/// A row on its way into the ledger.
pub(super) struct Task {
    pub(super) n: u64,
    pub(super) lead: Lead,
    pub(super) facts: Facts,
    /// When it was sent is said in no way that can be read.
    time_unread: bool,
}

/// What all rows of a request have in common.
#[derive(Clone, Copy)]
struct Common<'a> {
    policies: &'a PolicySet,
    keys: &'a HashKeys,
    now: Timestamp,
    /// Rows that are in the ledger now.
    stored: &'a AtomicUsize,
}

impl Console {
    pub(crate) async fn import_rows(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked = Rows { columns: Vec::new(), ..call.read_unseen()? };
        check(call, &asked)?;
        let batch = self.find_batch(call.part(0)).await?;
        if batch.state != BatchState::Open {
            return Err(not_open(&batch));
        }
        let now = self.env.clock.now();
        let (mut chunk, is_fresh, digest) = self.begin_chunk(&batch.name, &asked.rows, now).await?;
        // Looked at once more now that the rows are written down: whoever takes the batch back from here on sees them.
        let batch = self.find_batch(&batch.name).await?;
        if batch.state != BatchState::Open {
            return Err(not_open(&batch));
        }
        if chunk.done.as_ref() == Some(&digest) {
            let policies = self.current().await?;
            let form = policies.forms.get(&batch.form);
            let known = |row: &Row| RowAnswer {
                lead: Some(lead_id(&batch.form, &batch.name, row.n)),
                time_unread: form.is_some_and(|form| sent(form, &row.fields, now) == Sent::Unread),
                ..RowAnswer::new(row.n, Fate::Known)
            };
            return answer(&RowAnswers {
                rows: asked.rows.iter().map(known).collect(),
                ..RowAnswers::default()
            });
        }
        let policies = self.current().await?;
        let form = find_form(&policies, &batch.form)?;
        let (tasks, mut answers) = prepare(&batch, form, &policies, asked.rows, now);
        let done = match batch.route {
            true => self.accept_rows(&batch.form, tasks, now).await?,
            false => self.take_in(&batch.form, tasks, &policies, is_fresh, now).await?,
        };
        answers.extend(done);
        answers.sort_by_key(|row| row.n);
        // Rows that were refused are told of each time; the others need no second look.
        match answers.iter().any(|row| row.fate == Fate::Refused) {
            true => chunk.at = ENDED,
            false => chunk.done = Some(digest),
        }
        // If somebody else sends the same rows, one of us says that they are in.
        let _: Written = self.store.update_chunk(&batch.name, &chunk).await.map_err(unavailable)?;
        answer(&RowAnswers { rows: answers, ..RowAnswers::default() })
    }

    /// Writes down that these rows come in. Whether nobody has begun with them before, and their fingerprint.
    async fn begin_chunk(
        &self,
        batch: &str,
        rows: &[Row],
        now: Timestamp,
    ) -> Result<(Chunk, bool, String), Problem> {
        let numbers: BTreeSet<u64> = rows.iter().map(|row| row.n).collect();
        let text = serde_json::to_vec(rows).unwrap_or_default();
        let digest = digest::digest(&digest::SHA256, &text);
        let digest = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let new = Chunk::new(&Vec::from_iter(numbers.iter().copied()), now);
        let Some(there) = self.store.begin_chunk(batch, &new).await.map_err(unavailable)? else {
            return Ok((new, true, digest));
        };
        if there.done.as_ref() == Some(&digest) {
            return Ok((there, false, digest));
        }
        // Other rows may lie between the same two: whoever takes the batch back has to find all of them.
        let all: BTreeSet<u64> = there.rows().into_iter().chain(numbers).collect();
        let again = Chunk { version: there.version, ..Chunk::new(&Vec::from_iter(all), now) };
        match self.store.update_chunk(batch, &again).await.map_err(unavailable)? {
            Written::Done => Ok((Chunk { version: again.version + 1, ..again }, false, digest)),
            // Others work on the same rows, or took them back: they have to be seen as begun by us.
            Written::Conflict => Err(busy()),
        }
    }

    /// Rows that are routed: into the ledger and onto the queue, as a form's posts.
    async fn accept_rows(
        &self,
        form: &str,
        tasks: Vec<Task>,
        now: Timestamp,
    ) -> Result<Vec<RowAnswer>, Problem> {
        let puts = tasks.iter().map(|task| async move {
            Ok(match self.store.accept_named_lead(&task.lead).await? {
                Accepted::New => task.answer(Fate::New),
                Accepted::Known { fingerprint } => task.known(&fingerprint),
                Accepted::Erased => task.erased(),
            })
        });
        let puts: Vec<_> = puts.collect();
        let answers: Vec<Result<RowAnswer, StoreError>> =
            stream::iter(puts).buffered(GROUPS * AT_ONCE).collect().await;
        let new = answers.iter().flatten().filter(|row| row.fate == Fate::New).count();
        self.count_new(form, new, now);
        let answers: Vec<RowAnswer> = answers.into_iter().collect::<Result<_, _>>().map_err(unavailable)?;
        let messages = answers.iter().filter(|row| row.fate != Fate::Refused).filter_map(|row| {
            let id = row.lead.clone()?;
            let body = encode(&LeadMessage::Lead(id.clone()));
            Some(Outgoing { queue: QueueName::Lead, id: id.to_string(), body, not_before: now })
        });
        self.outbox.hand_over(messages.collect(), now).await.map_err(unavailable)?;
        Ok(answers)
    }

    /// Counts rows that are new, as soon as they are in the ledger: whatever fails then, they are known when they come again.
    fn count_new(&self, form: &str, new: usize, now: Timestamp) {
        if new > 0 {
            Metrics::new().count("Accepted", new).by("Source", form).emit(&self.env, now);
        }
    }

    /// Rows that are not routed: recognised and into the ledger with their end, in one commit each.
    async fn take_in(
        &self,
        form: &str,
        mut left: Vec<Task>,
        policies: &PolicySet,
        mut is_fresh: bool,
        began: Timestamp,
    ) -> Result<Vec<RowAnswer>, Problem> {
        let keys = self.secrets.hash_keys().await.map_err(|error| {
            tracing::warn!(%error, "hash key not read");
            busy()
        })?;
        let (mut answers, mut fruitless) = (Vec::new(), 0);
        loop {
            if !is_fresh {
                let (known, open) = self.known_rows(left, policies, &keys).await.map_err(unavailable)?;
                answers.extend(known);
                left = open;
            }
            is_fresh = false;
            if left.is_empty() {
                return Ok(answers);
            }
            let now = self.env.clock.now();
            if fruitless >= ATTEMPTS || now.since(began) > LONG_ENOUGH {
                return Err(busy());
            }
            let (turn, mut later) = one_a_person(left, &keys);
            let stored = AtomicUsize::new(0);
            let common = Common { policies, keys: &keys, now, stored: &stored };
            let before = answers.len();
            let done = self.pass(turn, common).await;
            self.count_new(form, stored.into_inner(), now);
            for (task, done) in done {
                match done {
                    Ok(Some(row)) => answers.push(row),
                    Ok(None) | Err(StoreError::Unavailable(_)) => later.push(task),
                    Err(error) => return Err(unavailable(error)),
                }
            }
            fruitless = if answers.len() > before { 0 } else { fruitless + 1 };
            if fruitless > 0 {
                self.pause(fruitless).await;
            }
            left = later;
        }
    }

    /// Rows that are leads already, and the others. Whoever brought a row in may have ended before its consent was noted.
    async fn known_rows(
        &self,
        tasks: Vec<Task>,
        policies: &PolicySet,
        keys: &HashKeys,
    ) -> Result<(Vec<RowAnswer>, Vec<Task>), StoreError> {
        let ids: Vec<LeadId> = tasks.iter().map(|task| task.lead.id.clone()).collect();
        let there = self.store.leads(&ids).await?;
        let (mut known, mut open) = (Vec::new(), Vec::new());
        for task in tasks {
            let Some(lead) = there.get(&task.lead.id) else {
                open.push(task);
                continue;
            };
            let state = lead.progress.state;
            if lead.envelope.consent.as_ref().is_some_and(|consent| consent.given) {
                let captured = self.policies.at(lead.manifest).await?;
                let wishes = consented(lead, state, &task.facts, &captured, policies);
                self.store.record_consent(&wishes, keys, true).await?;
            }
            let answer = task.known_lead(lead);
            known.push(RowAnswer { state: Some(state.name().to_owned()), ..answer });
        }
        Ok((known, open))
    }

    async fn pass(
        &self,
        tasks: Vec<Task>,
        common: Common<'_>,
    ) -> Vec<(Task, Result<Option<RowAnswer>, StoreError>)> {
        let mut groups: Vec<Vec<Task>> = Vec::new();
        for task in tasks {
            match groups.last_mut().filter(|group| group.len() < GROUP) {
                Some(group) => group.push(task),
                None => groups.push(vec![task]),
            }
        }
        let groups: Vec<_> = groups.into_iter().map(|group| self.group(group, common)).collect();
        stream::iter(groups)
            .buffer_unordered(GROUPS)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    async fn group(
        &self,
        tasks: Vec<Task>,
        common: Common<'_>,
    ) -> Vec<(Task, Result<Option<RowAnswer>, StoreError>)> {
        let identities: Vec<_> = tasks.iter().map(|task| task.facts.identities.as_slice()).collect();
        match self.store.known(&identities, common.keys).await {
            Ok(known) => {
                let rows = tasks.into_iter().zip(known).map(|(task, known)| async move {
                    let done = self.one(&task, &known, common).await;
                    (task, done)
                });
                stream::iter(rows.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await
            }
            Err(StoreError::Corrupt(what)) => {
                let corrupt = |task| (task, Err(StoreError::Corrupt(what.clone())));
                tasks.into_iter().map(corrupt).collect()
            }
            Err(StoreError::Unavailable(_) | StoreError::Cursor) => {
                tasks.into_iter().map(|task| (task, Ok(None))).collect()
            }
        }
    }

    /// One row into the ledger; nothing if somebody was faster and it is to be looked at again.
    async fn one(
        &self,
        task: &Task,
        known: &Known,
        common: Common<'_>,
    ) -> Result<Option<RowAnswer>, StoreError> {
        let Common { policies, now, .. } = common;
        let Task { lead, facts, .. } = task;
        let who = recognise(&lead.id, &facts.identities, known, policies.settings.shared_after as usize);
        if !self.store.claim_all(&who, known).await? {
            return Ok(None);
        }
        let case = Case { lead, facts, known, who: Some(&who) };
        let receipt = import(case, policies, now);
        let new_customer = receipt.new_customer;
        let (after, customers) = change(case, receipt, policies);
        let state = after.state;
        let mut commit = Commit::default().ended(lead, after);
        for customer in customers {
            commit = commit.customer(customer);
        }
        for address in &who.seen_with {
            commit = commit.seen_with(address.clone(), who.customer.clone());
        }
        if self.store.commit(commit).await? == Written::Conflict {
            return Ok(None);
        }
        common.stored.fetch_add(1, Ordering::Relaxed);
        let wishes = consented(lead, state, facts, policies, policies);
        self.store.record_consent(&wishes, common.keys, false).await?;
        Ok(Some(RowAnswer {
            state: Some(state.name().to_owned()),
            new_customer: Some(new_customer),
            ..task.about(known, Fate::New)
        }))
    }

    /// Lets whoever was faster finish, and a busy store rest; random, so that two do not meet again.
    pub(super) async fn pause(&self, attempt: u32) {
        let mut byte = [0];
        self.env.random.fill(&mut byte);
        let ms = (1u64 << attempt.min(8)) * (8 + u64::from(byte[0]) / 16);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

impl Task {
    pub(super) fn answer(&self, fate: Fate) -> RowAnswer {
        RowAnswer {
            lead: Some(self.lead.id.clone()),
            flags: self.facts.flags.iter().map(|flag| flag.name().to_owned()).collect(),
            time_unread: self.time_unread,
            ..RowAnswer::new(self.n, fate)
        }
    }

    /// The same with what a person should look at of whom it is about: somebody who was erased comes in again.
    pub(super) fn about(&self, known: &Known, fate: Fate) -> RowAnswer {
        let mut answer = self.answer(fate);
        if known.erased.iter().any(Option::is_some) {
            answer.flags.push("erased_before".to_owned());
        }
        answer
    }

    /// The answer for a row whose lead was erased with its person: it does not come in again.
    pub(super) fn erased(&self) -> RowAnswer {
        RowAnswer { state: Some(LeadState::Erased.name().to_owned()), ..self.answer(Fate::Known) }
    }

    /// The answer for a row that is this lead already.
    pub(super) fn known_lead(&self, lead: &Lead) -> RowAnswer {
        match lead.progress.state {
            LeadState::Erased => self.erased(),
            _ => self.known(&lead.envelope.fingerprint()),
        }
    }

    /// The answer for a row that is a lead already, by what that one says.
    fn known(&self, fingerprint: &str) -> RowAnswer {
        if *fingerprint == self.lead.envelope.fingerprint() {
            return self.answer(Fate::Known);
        }
        let why = "This row of the batch was imported before with other fields; name another batch for a changed file.";
        RowAnswer { lead: Some(self.lead.id.clone()), ..RowAnswer::refused(self.n, why) }
    }
}

/// Rows as leads that are not stored yet, and the answers for those that cannot become one.
pub(super) fn prepare(
    batch: &Batch,
    form: &Form,
    policies: &PolicySet,
    rows: Vec<Row>,
    now: Timestamp,
) -> (Vec<Task>, Vec<RowAnswer>) {
    let origin = Origin { kind: "form".to_owned(), name: form.name.clone() };
    let reading = policies.reading(&origin);
    let (mut tasks, mut refused) = (Vec::new(), Vec::new());
    for Row { n, fields } in rows {
        let sent = sent(form, &fields, now);
        let envelope = match envelope(form, fields, sent) {
            Ok(envelope) => envelope,
            Err(problem) => {
                refused.push(RowAnswer::refused(n, problem.detail));
                continue;
            }
        };
        let facts = lead::read(&origin, &envelope, &reading, &policies.settings);
        if facts.flags.contains(&Flag::Empty) {
            refused.push(RowAnswer::refused(n, "There is nothing in this row."));
            continue;
        }
        let import = Imported { batch: batch.name.clone(), row: n, quiet: !batch.notify };
        let lead = Lead {
            id: lead_id(&form.name, &batch.name, n),
            origin: origin.clone(),
            external_id: None,
            received: now,
            envelope,
            needs_enrichment: false,
            manifest: policies.version,
            progress: Progress { import: Some(import), ..Progress::default() },
            version: 0,
        };
        tasks.push(Task { n, lead, facts, time_unread: sent == Sent::Unread });
    }
    (tasks, refused)
}

/// Rows of people that no row before them is about, and the others: they come after those.
fn one_a_person(tasks: Vec<Task>, keys: &HashKeys) -> (Vec<Task>, Vec<Task>) {
    let mut taken: BTreeSet<AddressHash> = BTreeSet::new();
    tasks.into_iter().partition(|task| {
        let hashes: Vec<AddressHash> = task.facts.identities.iter().flat_map(|id| keys.hashes(id)).collect();
        let is_first = !hashes.iter().any(|hash| taken.contains(hash));
        // What waits keeps its people from those behind it, so that rows of one person come in the file's order.
        taken.extend(hashes);
        is_first
    })
}

/// Whether a request is one that can be carried out in time.
pub(super) fn check(call: &Call, asked: &Rows) -> Result<(), Problem> {
    let is_ascending = asked.rows.windows(2).all(|pair| matches!(pair, [a, b] if a.n < b.n));
    if asked.rows.len() > MAX_ROWS || call.request.body.len() > MAX_REQUEST {
        let detail = format!("Send at most {MAX_ROWS} rows and {} KB at once.", MAX_REQUEST / 1024);
        return Err(Problem::new(413, "too-many-rows", detail).about("rows"));
    }
    let is_numbered = match asked.rows.first() {
        Some(row) => row.n > 0,
        // Only columns are asked about.
        None => !asked.columns.is_empty(),
    };
    if !is_numbered || !is_ascending {
        let detail = "Send at least one row; rows are numbered from 1 and come in that order.";
        return Err(Problem::new(422, "row-numbers", detail).about("rows"));
    }
    Ok(())
}

fn busy() -> Problem {
    Problem::new(503, "busy", "Not all rows came in. Send them again: none comes in twice.").retry_after(1)
}
