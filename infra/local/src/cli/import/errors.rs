//! Rows that could not be imported, in a file of the same kind: mended, it can be imported as it is.

use super::super::FileFormat;
use super::rows::{LINE, Original, REASON, ROW, Read1};
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file, made when the first row comes.
pub(super) struct ErrorFile {
    path: PathBuf,
    format: FileFormat,
    columns: Vec<String>,
    out: Option<Out>,
    /// Rows written.
    pub(super) rows: u64,
}

enum Out {
    Csv(Box<csv::Writer<File>>),
    Ndjson(File),
}

impl ErrorFile {
    /// To be at `path`. What is there from before is put aside when the first row comes: somebody may have mended it.
    pub(super) fn new(path: PathBuf, format: FileFormat, columns: &[String]) -> Self {
        let columns = columns.iter().filter(|name| *name != ROW && *name != REASON).cloned().collect();
        Self { path, format, columns, out: None, rows: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a row with its number and why it was not imported.
    pub(super) fn add(&mut self, read: &Read1, all_columns: &[String], why: &str) -> Result<(), String> {
        let failed = |path: &Path, error: String| format!("{}: {error}", path.display());
        self.rows += 1;
        if self.out.is_none() {
            if self.path.exists() {
                put_aside(&self.path).map_err(|error| failed(&self.path, error.to_string()))?;
            }
            // Rows of people: for nobody else to read.
            let file =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&self.path);
            let file = file.map_err(|error| failed(&self.path, error.to_string()))?;
            self.out = Some(match self.format {
                FileFormat::Csv => {
                    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                    let headers = [ROW, REASON].into_iter().chain(self.columns.iter().map(String::as_str));
                    writer.write_record(headers).map_err(|error| failed(&self.path, error.to_string()))?;
                    Out::Csv(Box::new(writer))
                }
                FileFormat::Ndjson => Out::Ndjson(file),
            });
        }
        let n = read.row.n.to_string();
        let written = match (&mut self.out, &read.original) {
            (Some(Out::Csv(writer)), Original::Cells(cells)) => {
                let ours = |at: usize| all_columns.get(at).is_some_and(|name| name == ROW || name == REASON);
                let cells =
                    cells.iter().enumerate().filter(|(at, _)| !ours(*at)).map(|(_, cell)| cell.as_str());
                let record = [n.as_str(), why].into_iter().chain(cells);
                writer.write_record(record).map_err(|error| error.to_string())
            }
            (Some(Out::Ndjson(file)), Original::Line(line)) => {
                let mut object = Map::from_iter([
                    (ROW.to_owned(), Value::from(read.row.n)),
                    (REASON.to_owned(), Value::from(why)),
                ]);
                match serde_json::from_str::<Map<String, Value>>(line) {
                    Ok(fields) => {
                        let fields = fields.into_iter().filter(|(name, _)| name != ROW && name != REASON);
                        object.extend(fields);
                    }
                    Err(_) => drop(object.insert(LINE.to_owned(), Value::from(line.as_str()))),
                }
                writeln!(file, "{}", Value::Object(object)).map_err(|error| error.to_string())
            }
            _ => Ok(()),
        };
        written.map_err(|error| failed(&self.path, error))
    }

    /// Ends the file.
    pub(super) fn end(self) -> Result<(), String> {
        match self.out {
            Some(Out::Csv(mut writer)) => {
                writer.flush().map_err(|error| format!("{}: {error}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Names a file `.before`, or `.before.2` and so on if files of earlier times are there.
fn put_aside(path: &Path) -> io::Result<()> {
    let mut n = 1;
    loop {
        let mut aside = path.as_os_str().to_owned();
        aside.push(if n == 1 { ".before".to_owned() } else { format!(".before.{n}") });
        // Whoever makes the name has it, so that nothing is written over.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside) {
            Ok(_) => return std::fs::rename(path, aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::put_aside;
    use std::fs;

    #[test]
    fn what_is_put_aside_is_written_over_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leads.errors.csv");
        let texts = ["first", "second", "third"];
        for text in texts {
            fs::write(&path, text).unwrap();
            put_aside(&path).unwrap();
        }
        let read = |end: &str| fs::read_to_string(folder.path().join(format!("leads.errors.csv{end}")));
        assert_eq!([".before", ".before.2", ".before.3"].map(|end| read(end).unwrap()), texts);
        assert!(!path.exists());
    }
}
