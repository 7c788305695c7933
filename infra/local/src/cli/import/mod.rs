//! `sluice import`: leads from a file. What is done is known by the stack alone, so the command may be killed at any
//! moment and run again: rows that are leads already are leads already.

mod errors;
mod marks;
mod progress;
mod report;
mod revert;
mod rows;
mod source;
mod text;

use super::output::{Failure, note};
use super::remote::Refusal;
use super::{ImportArgs, ImportCommand, StackArgs};
use errors::ErrorFile;
use futures::stream::{self, StreamExt};
use progress::Progress;
use report::Totals;
use rows::{Read1, Reading, Rows};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_wire::imports::{self, Begin, Begun, RowAnswers};
use source::Source;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Rows of one request.
const ROWS: usize = 200;
/// Bytes of the rows of one request.
const BYTES: usize = 200_000;
/// Bytes of a row at most, as it is sent: well within a request, beside the names of its columns, and more than a lead may take.
const LONGEST_ROW: usize = 500_000;
/// Requests on their way at the same time.
const IN_FLIGHT: usize = 4;
/// Column names asked about: objects of NDJSON may differ without end.
const MOST_COLUMNS: usize = 1_000;

/// Rows that go together.
#[derive(Default)]
struct Chunk {
    rows: Vec<Read1>,
    /// Column names not seen before.
    columns: Vec<String>,
    /// Bytes of the file down to its last row.
    end: u64,
}

pub(crate) async fn run(args: ImportArgs) -> Result<(), Failure> {
    match args.command {
        Some(ImportCommand::Revert { batch, stack }) => revert::run(&batch, &stack).await,
        Some(ImportCommand::List { stack }) => revert::list(&stack).await,
        None => import(args).await,
    }
}

async fn import(args: ImportArgs) -> Result<(), Failure> {
    let (Some(file), Some(form)) = (&args.file, &args.form) else {
        return Err("say which file, and --form NAME".into());
    };
    let source = Source::open(file, &args)?;
    let batch = match &args.batch {
        Some(name) => name.clone(),
        None => source.batch(form)?,
    };
    let rows = Rows::open(source.reopen()?, source.reading)?;
    let columns = rows.columns.clone();
    if !args.dry_run {
        begin(&args, &batch, form, &columns).await?;
    }
    let path = args.errors.clone().unwrap_or_else(|| source.errors_path());
    let mut errors = ErrorFile::new(path, source.reading.format, &columns);
    let mut totals = Totals::new(&batch, form, &rows, source.reading);
    let mut progress = Progress::new(source.size, args.stack.json);

    let call = Call { stack: &args.stack, batch: &batch, form, dry_run: args.dry_run };
    let chunks = read_ahead(rows);
    let answered = chunks.map(|chunk| send(call, chunk)).buffered(IN_FLIGHT);
    let mut answered = std::pin::pin!(answered);
    while let Some(answer) = answered.next().await {
        let (chunk, answers) = match answer {
            Ok(answer) => answer,
            Err(why) => {
                progress.end();
                errors.end()?;
                let hint = match why.is_passing && !args.dry_run {
                    true => "\nRun the same command again: no row comes in twice.",
                    false => "",
                };
                return Err(why.failure.told(|why| format!("after {} rows: {why}{hint}", totals.rows)));
            }
        };
        for (row, why) in totals.count(&chunk.rows, &answers) {
            if !args.dry_run {
                errors.add(row, &columns, why)?;
            }
        }
        progress.at(totals.rows, chunk.end);
    }
    progress.end();
    let errors_file = (errors.rows > 0).then(|| errors.path().display().to_string());
    errors.end()?;
    report::say_all(&totals, args.dry_run, errors_file.as_deref(), args.stack.json);
    Ok(())
}

async fn begin(args: &ImportArgs, batch: &str, form: &str, columns: &[String]) -> Result<(), Failure> {
    let asked = Begin {
        batch: batch.to_owned(),
        form: form.to_owned(),
        route: args.route,
        notify: args.notify,
        columns: columns.to_vec(),
    };
    let begun: Begun = read(args.stack.insist("POST", "/api/imports", &json!(asked)).await?)?;
    if !args.stack.json {
        note(&format!("Batch {batch}. `sluice import revert {batch}` takes it back."));
    }
    let reads = |what: &str| begun.columns.values().any(|read_as| read_as == what);
    if !columns.is_empty() && !["email", "phone", "external_id"].into_iter().any(reads) {
        note(
            "No column is read as e-mail, phone or external id: nobody will be recognised. --dry-run says more.",
        );
    }
    Ok(())
}

/// Reads on a thread of its own, a few requests ahead.
fn read_ahead(mut rows: Rows) -> impl futures::Stream<Item = Result<Chunk, String>> {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        let (mut chunk, mut bytes) = (Chunk::default(), 0);
        for name in &rows.columns {
            seen.insert(name.clone());
            chunk.columns.push(name.clone());
        }
        while let Some(read) = rows.next() {
            let mut read = match read {
                Ok(read) => read,
                Err(why) => {
                    // What was read before is still imported.
                    let _ = sender.blocking_send(Ok(chunk));
                    let _ = sender.blocking_send(Err(why));
                    return;
                }
            };
            let size = serde_json::to_vec(&read.row).map_or(usize::MAX, |text| text.len());
            if size > LONGEST_ROW && read.flaw.is_none() {
                read.flaw = Some(format!("The row is longer than {} kB.", LONGEST_ROW / 1000));
            }
            if chunk.rows.len() >= ROWS || (size.saturating_add(bytes) > BYTES && !chunk.rows.is_empty()) {
                if sender.blocking_send(Ok(std::mem::take(&mut chunk))).is_err() {
                    return;
                }
                bytes = 0;
            }
            for (name, _) in &read.row.fields {
                if seen.len() < MOST_COLUMNS && seen.insert(name.clone()) {
                    chunk.columns.push(name.clone());
                }
            }
            bytes = size.saturating_add(bytes);
            chunk.rows.push(read);
            chunk.end = rows.bytes();
        }
        let _ = sender.blocking_send(Ok(chunk));
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// What every request says.
#[derive(Clone, Copy)]
struct Call<'a> {
    stack: &'a StackArgs,
    batch: &'a str,
    form: &'a str,
    dry_run: bool,
}

/// Why an import ends before its file does.
struct Broken {
    failure: Failure,
    /// The same command may come further.
    is_passing: bool,
}

impl From<String> for Broken {
    fn from(words: String) -> Self {
        Self { failure: words.into(), is_passing: false }
    }
}

impl From<Refusal> for Broken {
    fn from(refusal: Refusal) -> Self {
        Self { is_passing: refusal.is_passing(), failure: refusal.into_failure() }
    }
}

async fn send(call: Call<'_>, chunk: Result<Chunk, String>) -> Result<(Chunk, RowAnswers), Broken> {
    let mut chunk = chunk?;
    // Rows carry their own numbers through a mended file, whose order may be another.
    chunk.rows.sort_by_key(|read| read.row.n);
    for at in 1..chunk.rows.len() {
        if let [.., before, row] = chunk.rows.get_mut(..=at).unwrap_or_default()
            && before.row.n == row.row.n
        {
            row.flaw = Some("Another row of the file has the same number.".to_owned());
        }
    }
    let sound = chunk.rows.iter().filter(|read| read.flaw.is_none());
    let mut asked =
        imports::Rows { rows: sound.map(|read| read.row.clone()).collect(), ..Default::default() };
    if call.dry_run {
        asked.batch = Some(call.batch.to_owned());
        asked.form = Some(call.form.to_owned());
        asked.columns.clone_from(&chunk.columns);
    }
    if asked.rows.is_empty() && asked.columns.is_empty() {
        return Ok((chunk, RowAnswers::default()));
    }
    let path = match call.dry_run {
        true => "/api/imports/try".to_owned(),
        false => format!("/api/imports/{}/rows", call.batch),
    };
    let answers = read(call.stack.insist_or_hear("POST", &path, &json!(asked)).await?)?;
    Ok((chunk, answers))
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, String> {
    serde_json::from_value(answer).map_err(|_| "the stack answers as another version would".to_owned())
}

/// `leads.csv` to `leads.errors.csv`.
fn beside(file: &std::path::Path, ending: &str) -> PathBuf {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    file.with_file_name(format!("{stem}.errors.{ending}"))
}
