//! The mails that were taken, and what is kept beside them: in memory, or as files with an index.

use super::is_message_id;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file that lists the mails, one JSON object a line, oldest first.
const INDEX: &str = "index.jsonl";

/// One kept mail, or a message of another channel that is kept beside the mails.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// The message id that SES answered.
    pub id: String,
    /// When it was taken, in milliseconds since the epoch.
    pub at: i64,
    /// The sender as the call gave it, else as the content does.
    #[serde(default)]
    pub from: String,
    /// Recipients: to, cc and bcc.
    pub to: Vec<String>,
    /// Subject, decoded; of another channel's message how its text begins.
    pub subject: String,
    /// The channel, unless it is a mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The tags that events about it would carry.
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    /// The configuration set that would have decided where events go.
    #[serde(default)]
    pub configuration_set: Option<String>,
    /// The file: `.eml`, or `.json` of another channel. None if mails are kept in memory.
    pub path: Option<PathBuf>,
}

impl Mail {
    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.id, if self.channel.is_some() { "json" } else { "eml" })
    }
}

/// Where mails are kept.
pub(super) struct Mailbox {
    folder: Option<PathBuf>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Oldest first, with the content of those that are not in a file.
    mails: Vec<(Mail, Bytes)>,
    index: Option<File>,
}

impl Mailbox {
    pub(super) fn memory() -> Self {
        Self { folder: None, kept: Mutex::default() }
    }

    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(INDEX);
        let listed = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        // A line cut off by a crash belongs to a mail whose caller got no answer.
        let read = |line: &str| {
            let mut mail: Mail = serde_json::from_str(line).ok()?;
            // The folder may have been moved, or be named by another path than before.
            mail.path = Some(folder.join(mail.file_name()));
            Some((mail, Bytes::new()))
        };
        let mails: Vec<(Mail, Bytes)> = listed.lines().filter_map(read).collect();
        remove_unlisted(folder, &mails)?;
        let mut index = append_to(&path)?;
        if !listed.is_empty() && !listed.ends_with('\n') {
            index.write_all(b"\n")?;
        }
        Ok(Self { folder: Some(folder.to_owned()), kept: Mutex::new(Kept { mails, index: Some(index) }) })
    }

    pub(super) fn list(&self) -> Vec<Mail> {
        self.kept().mails.iter().rev().map(|(mail, _)| mail.clone()).collect()
    }

    pub(super) fn read(&self, id: &str) -> Option<(Mail, Bytes)> {
        let kept = self.kept();
        let (mail, content) = kept.mails.iter().find(|(mail, _)| mail.id == id)?;
        let content = match &mail.path {
            Some(path) => Bytes::from(fs::read(path).ok()?),
            None => content.clone(),
        };
        Some((mail.clone(), content))
    }

    pub(super) fn keep(&self, mut mail: Mail, content: Vec<u8>) -> io::Result<()> {
        let mut content = Bytes::from(content);
        if let Some(folder) = &self.folder {
            let path = folder.join(mail.file_name());
            fs::write(&path, &content)?;
            content = Bytes::new();
            mail.path = Some(path);
        }
        let mut kept = self.kept();
        if let Some(index) = &mut kept.index {
            index.write_all(&line(&mail)?)?;
        }
        kept.mails.push((mail, content));
        Ok(())
    }

    /// Removes mails, their files and their lines of the index. How many.
    pub(super) fn remove(&self, is_meant: impl Fn(&Mail) -> bool) -> io::Result<usize> {
        let mut kept = self.kept();
        // The files first: what the index lists after a crash in between is shown as gone, and removed the next time. So is
        // what has a file that cannot be removed.
        let (mut failed, before) = (None, kept.mails.len());
        kept.mails.retain(|(mail, _)| {
            let Some(path) = mail.path.as_ref().filter(|_| is_meant(mail)) else { return !is_meant(mail) };
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    failed = Some(error);
                    true
                }
                _ => false,
            }
        });
        let gone = before - kept.mails.len();
        if let Some(folder) = self.folder.as_ref().filter(|_| gone > 0) {
            let (path, next) = (folder.join(INDEX), folder.join("index.next"));
            let lines: Vec<Vec<u8>> =
                kept.mails.iter().map(|(mail, _)| line(mail)).collect::<Result<_, _>>()?;
            fs::write(&next, lines.concat())?;
            fs::rename(&next, &path)?;
            kept.index = Some(append_to(&path)?);
        }
        failed.map_or(Ok(gone), Err)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes the files of mails that a crash kept from being listed: no erasure would find them.
fn remove_unlisted(folder: &Path, mails: &[(Mail, Bytes)]) -> io::Result<()> {
    let listed: BTreeSet<String> = mails.iter().map(|(mail, _)| mail.file_name()).collect();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_of_a_mail(&name) && !listed.contains(&name) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file is named as [`Mail::file_name`] names it.
fn is_of_a_mail(name: &str) -> bool {
    let parts = name.rsplit_once('.');
    parts.is_some_and(|(id, kind)| matches!(kind, "eml" | "json") && is_message_id(id))
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn line(mail: &Mail) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(mail)?;
    line.push(b'\n');
    Ok(line)
}
