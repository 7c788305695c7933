//! Where the rows come from: a file, or standard input by way of one.

use super::super::{FileFormat, ImportArgs};
use super::{Reading, beside};
use encoding_rs::Encoding;
use ring::digest;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that can be read more than once.
pub(super) struct Source {
    file: File,
    path: PathBuf,
    /// How it is to be read.
    pub(super) reading: Reading,
    /// Bytes.
    pub(super) size: u64,
}

impl Source {
    /// Standard input is put into a nameless file first: a batch is named by all of its content.
    pub(super) fn open(path: &Path, args: &ImportArgs) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let is_stdin = path == Path::new("-");
        let file = if is_stdin {
            let mut file = tempfile::tempfile().map_err(failed)?;
            std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(failed)?;
            file.flush().map_err(failed)?;
            file
        } else {
            File::open(path).map_err(failed)?
        };
        let size = file.metadata().map_err(failed)?.len();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let format = args.format.or(match ending.as_deref() {
            Some("csv" | "tsv" | "txt") => Some(FileFormat::Csv),
            Some("ndjson" | "jsonl") => Some(FileFormat::Ndjson),
            _ => None,
        });
        let format = format.ok_or("is it CSV or NDJSON? --format csv, or --format ndjson")?;
        let encoding = match &args.encoding {
            Some(label) => Some(Encoding::for_label(label.as_bytes()).ok_or_else(|| {
                format!("there is no encoding {label}; try utf-8, gbk, windows-1252, utf-16le")
            })?),
            None => None,
        };
        let delimiter = match args.delimiter {
            Some(sign) => Some(u8::try_from(sign).ok().filter(u8::is_ascii).ok_or_else(|| {
                format!("{sign} cannot separate cells: --delimiter takes one ASCII character")
            })?),
            None => None,
        };
        let path = if is_stdin { PathBuf::from("stdin") } else { path.to_owned() };
        Ok(Self { file, path, reading: Reading { format, encoding, delimiter }, size })
    }

    /// The name of a batch by its content and form: the same file is the same batch.
    pub(super) fn batch(&self, form: &str) -> Result<String, String> {
        let mut file = self.reopen()?;
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&(form.len() as u64).to_be_bytes());
        context.update(form.as_bytes());
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer).map_err(|error| format!("{}: {error}", self.path.display()))? {
                0 => break,
                n => context.update(buffer.get(..n).unwrap_or_default()),
            }
        }
        Ok(context.finish().as_ref()[..10].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The file from its beginning.
    pub(super) fn reopen(&self) -> Result<File, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.path.display());
        let mut file = self.file.try_clone().map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(file)
    }

    /// Where rows that cannot be imported go.
    pub(super) fn errors_path(&self) -> PathBuf {
        beside(
            &self.path,
            match self.reading.format {
                FileFormat::Csv => "csv",
                FileFormat::Ndjson => "ndjson",
            },
        )
    }
}
