//! A person's record: erase it, and write out all that is kept.

use super::StackArgs;
use super::output::{Failure, Output, note, pretty, say};
use serde_json::{Map, Value, json};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// How long is waited between two looks at an erasure.
const LOOK: Duration = Duration::from_millis(500);
/// How often is said that it goes on.
const SAY: Duration = Duration::from_secs(30);
/// How long is waited for an erasure in all. Each of its steps takes minutes at most, for whoever has very much.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Erases and waits until everything is gone; asked for again, it goes on waiting.
pub(crate) async fn erase(id: &str, no_wait: bool, stack: &StackArgs) -> Result<(), Failure> {
    let mut answer = stack.insist("DELETE", &format!("/api/customers/{id}"), &Value::Null).await?;
    let look = format!("/api/customers/{id}/erasure");
    if !no_wait && answer["state"] != "erased" {
        note(
            "Nothing is sent to this person any more. What is kept is being deleted; this may be stopped and asked for again.",
        );
    }
    let mut waited = Duration::ZERO;
    while !no_wait && answer["state"] != "erased" {
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
        answer = stack.insist("GET", &look, &Value::Null).await?;
        if waited >= PATIENCE {
            return Err(format!(
                "not everything is deleted after {} minutes; nothing is sent to this person all the same. It goes on by \
                 itself: GET {look} says how far it is. If it stays, look into the dead letters of the erase queue.",
                PATIENCE.as_secs() / 60
            )
            .into());
        }
        if waited.as_millis().is_multiple_of(SAY.as_millis()) {
            note(&format!("Still deleting, after {} s.", waited.as_secs()));
        }
    }
    if stack.json {
        say(&pretty(&answer));
        return Ok(());
    }
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    match answer["state"].as_str() {
        Some("erased") => {
            say(&format!(
                "{} is erased, with {} leads, since {}.",
                text("customer"),
                answer["leads"],
                text("done")
            ));
            say("Backups and logs keep what they have until they run out: 35 and 30 days on AWS.");
        }
        _ => say(&format!("{} is being erased; GET {look} says how far it is.", text("customer"))),
    }
    Ok(())
}

/// Writes one JSON document, part by part: what a part lists is written before the next is asked for.
pub(crate) async fn export(id: &str, out: Option<&Path>, stack: &StackArgs) -> Result<(), Failure> {
    let path = format!("/api/customers/{id}/export");
    let first = stack.insist("GET", &path, &Value::Null).await?;
    let failed = |error: io::Error| match out {
        Some(file) => format!("{}: {error}", file.display()),
        None => format!("stdout: {error}"),
    };
    match out {
        Some(file) => {
            // For nobody else to read, and there once it is whole.
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut beside = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
            let mut document = Writer::new(BufWriter::new(beside.as_file_mut()));
            put_together(&mut document, first, &path, stack, failed).await?;
            document.to.flush().map_err(failed)?;
            drop(document);
            beside.persist(file).map_err(|error| failed(error.error))?;
            let file = file.display().to_string();
            match stack.json {
                true => say(&json!({ "written": file }).to_string()),
                false => note(&format!("Written to {file}.")),
            }
            Ok(())
        }
        None => put_together(&mut Writer::new(Output::default()), first, &path, stack, failed).await,
    }
}

async fn put_together(
    document: &mut Writer<impl Write>,
    mut part: Value,
    path: &str,
    stack: &StackArgs,
    failed: impl Fn(io::Error) -> String,
) -> Result<(), Failure> {
    loop {
        let next = part["next"].as_str().map(str::to_owned);
        document.add(part.as_object().cloned().unwrap_or_default()).map_err(&failed)?;
        let Some(cursor) = next else { break };
        part = stack.insist("GET", &format!("{path}?cursor={cursor}"), &Value::Null).await?;
    }
    document.finish().map_err(&failed)?;
    Ok(())
}

/// The lists that go on from part to part, in the order in which parts fill them.
const LISTS: [&str; 4] = ["consents", "leads", "messages", "events"];

/// A document that is written as its parts arrive.
struct Writer<W: Write> {
    to: W,
    /// How many of the lists are begun.
    begun: usize,
    /// Whether the list that is being written has a row.
    has_rows: bool,
    is_fresh: bool,
}

impl<W: Write> Writer<W> {
    const fn new(to: W) -> Self {
        Self { to, begun: 0, has_rows: false, is_fresh: true }
    }

    fn add(&mut self, mut part: Map<String, Value>) -> io::Result<()> {
        part.remove("next");
        let lists: Vec<Value> =
            LISTS.iter().map(|name| part.remove(*name).unwrap_or_else(|| json!([]))).collect();
        if self.is_fresh {
            self.to.write_all(b"{")?;
            for (name, value) in &part {
                write!(self.to, "{}:{value},", Value::from(name.as_str()))?;
            }
            self.is_fresh = false;
        }
        for (at, (name, rows)) in LISTS.iter().zip(&lists).enumerate() {
            let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
            // A list ends when the next has its first row.
            while self.begun <= at && !rows.is_empty() {
                self.begin()?;
            }
            for row in rows.iter().filter(|_| LISTS.get(self.begun.wrapping_sub(1)) == Some(name)) {
                self.to.write_all(if self.has_rows { b"," } else { b"" })?;
                write!(self.to, "{row}")?;
                self.has_rows = true;
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        let name = LISTS[self.begun];
        self.to.write_all(if self.begun > 0 { b"]," } else { b"" })?;
        write!(self.to, "\"{name}\":[")?;
        (self.begun, self.has_rows) = (self.begun + 1, false);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        while self.begun < LISTS.len() {
            self.begin()?;
        }
        self.to.write_all(b"]}\n")?;
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[Value]) -> Value {
        let mut document = Writer::new(Vec::new());
        for part in parts {
            document.add(part.as_object().cloned().unwrap()).unwrap();
        }
        document.finish().unwrap();
        serde_json::from_slice(&document.to).unwrap()
    }

    #[test]
    fn parts_become_one_document() {
        let head = json!({"version": 1, "profile": {"email": {"value": "a\"b"}}, "consents": [1], "leads": [2], "messages": [], "next": "x"});
        let more = json!({"version": 1, "consents": [], "leads": [3, 4], "messages": [5], "next": "y"});
        let last =
            json!({"version": 1, "consents": [], "leads": [], "messages": [6], "events": [8], "next": "z"});
        let end = json!({"events": [9], "next": null});
        let whole = json!({"version": 1, "profile": {"email": {"value": "a\"b"}}, "consents": [1], "leads": [2, 3, 4], "messages": [5, 6], "events": [8, 9]});
        assert_eq!(written(&[head, more, last, end]), whole);
        let empty = json!({"consents": [], "leads": [], "messages": [], "next": null});
        assert_eq!(written(&[empty]), json!({"consents": [], "leads": [], "messages": [], "events": []}));
        let late = json!({"consents": [], "leads": [], "messages": [7], "next": null});
        assert_eq!(written(&[late]), json!({"consents": [], "leads": [], "messages": [7], "events": []}));
    }
}
