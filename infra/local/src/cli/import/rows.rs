//! A file, row by row: CSV in its dialects, and NDJSON. Never more than one row is held.

use super::super::FileFormat;
use super::marks::Marks;
use super::text::{self, SAMPLE, Utf8};
use encoding_rs::Encoding;
use serde_json::error::Category;
use serde_json::{Map, Value, json};
use sluice_wire::body::{self, BodyFlag, MAX_FIELDS, MAX_NAME, MAX_VALUE};
use sluice_wire::imports::Row;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The column that carries a row's own number through a file of rows to mend.
pub(super) const ROW: &str = "sluice_row";
/// The column that says why it has to be mended.
pub(super) const REASON: &str = "sluice_reason";
/// Where a line that is no JSON object is kept in a file of rows to mend.
pub(super) const LINE: &str = "sluice_line";
/// Bytes within which a row ends; a missing quote would run to the end of the file.
const LONGEST: u64 = 8 * 1024 * 1024;
/// What is wrong with a row whose last cell took in the rest of the file.
pub(super) const UNCLOSED: &str =
    "A quote is opened in this row and never closed: what follows it in the file is not read as rows.";

/// One row as it stood in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Original {
    /// Cells, in the order of the headers; may be too few or too many.
    Cells(Vec<String>),
    /// A line of NDJSON.
    Line(String),
}

/// A row read, with what it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read1 {
    pub(super) row: Row,
    /// The line of the file on which it begins.
    pub(super) line: u64,
    pub(super) original: Original,
    /// Why it cannot be sent.
    pub(super) flaw: Option<String>,
}

/// How a file is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) format: FileFormat,
    pub(super) encoding: Option<&'static Encoding>,
    pub(super) delimiter: Option<u8>,
}

/// A file being read.
pub(super) struct Rows {
    kind: Kind,
    /// Column names; of NDJSON, those of the first line.
    pub(super) columns: Vec<String>,
    encoding: &'static Encoding,
    delimiter: u8,
    next: u64,
    since_row: Arc<AtomicU64>,
    /// Bytes of lines of NDJSON handed out.
    lines: u64,
}

type Text = Limited<Utf8<io::Chain<Cursor<Vec<u8>>, File>>>;

enum Kind {
    Csv(Box<csv::Reader<Text>>),
    /// The line read ahead for its columns, and the number of the line read last.
    Ndjson {
        lines: Box<BufReader<Text>>,
        first: Option<String>,
        at: u64,
    },
}

impl Rows {
    /// Begins with a file.
    pub(super) fn open(mut file: File, reading: Reading) -> Result<Self, String> {
        let mut sample = Vec::new();
        let limit = SAMPLE as u64;
        (&mut file).take(limit).read_to_end(&mut sample).map_err(|error| error.to_string())?;
        let encoding = reading.encoding.unwrap_or_else(|| match reading.format {
            FileFormat::Csv => text::detect(&sample),
            FileFormat::Ndjson => text::of_json(&sample),
        });
        let said = said_delimiter(&sample, encoding).filter(|_| reading.format == FileFormat::Csv);
        let delimiter = reading.delimiter.or(said).unwrap_or_else(|| delimiter(&sample, encoding));
        let since_row = Arc::<AtomicU64>::default();
        let mut text = Limited {
            inner: Utf8::new(Cursor::new(sample).chain(file), encoding),
            since_row: since_row.clone(),
            marks: None,
        };
        if said.is_some() {
            skip_line(&mut text).map_err(|error| error.to_string())?;
        }
        if reading.format == FileFormat::Csv {
            text.marks = Some(Marks::new(delimiter, if said.is_some() { 2 } else { 1 }));
        }
        let (kind, columns) = match reading.format {
            FileFormat::Csv => csv(text, delimiter)?,
            FileFormat::Ndjson => ndjson(text)?,
        };
        Ok(Self { kind, columns, encoding, delimiter, next: 1, since_row, lines: 0 })
    }

    /// How many of the file's bytes the rows took that were handed out, about; what is read is ahead of them.
    pub(super) fn bytes(&self) -> u64 {
        match &self.kind {
            Kind::Csv(reader) => reader.get_ref().inner.bytes_of(reader.position().byte()),
            Kind::Ndjson { lines, .. } => lines.get_ref().inner.bytes_of(self.lines),
        }
    }

    /// What the file is taken for.
    pub(super) fn describe(&self, reading: Reading) -> Value {
        match reading.format {
            FileFormat::Csv => json!({
                "format": "csv", "encoding": self.encoding.name(), "delimiter": char::from(self.delimiter).to_string(),
            }),
            FileFormat::Ndjson => json!({"format": "ndjson", "encoding": self.encoding.name()}),
        }
    }

    /// Names that more than one column of a CSV file has. (In JSON such names are a list of values.)
    pub(super) fn twice_named(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let again = self.columns.iter().filter(|name| !seen.insert(*name)).cloned();
        let again: BTreeSet<String> = again.filter(|_| matches!(self.kind, Kind::Csv(_))).collect();
        again.into_iter().collect()
    }

    fn read(&mut self) -> Result<Option<Read1>, String> {
        self.since_row.store(0, Ordering::Relaxed);
        let n = self.next;
        let found = match &mut self.kind {
            Kind::Csv(reader) => {
                let mut record = csv::StringRecord::new();
                match reader.read_record(&mut record) {
                    Ok(true) => {
                        let marks = reader.get_mut().marks.as_mut();
                        let (line, is_open) = marks.map_or((0, false), Marks::handed_out);
                        let read = of_cells((n, line), &self.columns, &record);
                        Some(if is_open { unclosed(read) } else { read })
                    }
                    Ok(false) => None,
                    Err(error) => {
                        let marks = reader.get_mut().marks.as_mut();
                        let (line, _) = marks.map_or((0, false), Marks::handed_out);
                        return Err(format!("row {n}, line {line}: {}", error_words(&error)));
                    }
                }
            }
            Kind::Ndjson { lines, first, at } => next_line(lines, first, n, at)?.map(|line| {
                self.lines += line.len() as u64 + 1;
                of_line((n, *at), line)
            }),
        };
        self.next += 1;
        Ok(found.map(|mut read| {
            if read.flaw.is_none() && read.row.fields.iter().any(|(_, value)| value.contains('\u{fffd}')) {
                let name = self.encoding.name();
                read.flaw = Some(format!(
                    "There are bytes in it that are not {name}; --encoding says what they are."
                ));
            }
            read
        }))
    }
}

impl Iterator for Rows {
    type Item = Result<Read1, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn csv(text: Text, delimiter: u8) -> Result<(Kind, Vec<String>), String> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let headers = reader.headers().map_err(|error| format!("headers: {}", error_words(&error)))?;
    let name = |(at, name): (usize, &str)| match name.trim() {
        "" => format!("column {}", at + 1),
        name => name.to_owned(),
    };
    let columns: Vec<String> = headers.iter().enumerate().map(name).collect();
    if columns.is_empty() {
        return Err("the file is empty: its first row has to name the columns".to_owned());
    }
    if reader.get_mut().marks.as_mut().is_some_and(|marks| marks.handed_out().1) {
        return Err("headers: a quote is opened there and never closed".to_owned());
    }
    Ok((Kind::Csv(Box::new(reader)), columns))
}

fn ndjson(text: Text) -> Result<(Kind, Vec<String>), String> {
    let mut lines = BufReader::new(text);
    let mut at = 0;
    let first = next_line(&mut lines, &mut None, 1, &mut at)?;
    let columns = match first.as_deref().map(of_json) {
        Some(Ok((_, fields))) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    };
    Ok((Kind::Ndjson { lines: Box::new(lines), first, at }, columns))
}

/// The next line that is not blank; its number is in `at` then.
fn next_line(
    lines: &mut impl BufRead,
    first: &mut Option<String>,
    n: u64,
    at: &mut u64,
) -> Result<Option<String>, String> {
    if let Some(line) = first.take() {
        return Ok(Some(line));
    }
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line);
        *at += 1;
        match read {
            Ok(0) => return Ok(None),
            Ok(_) if line.trim().is_empty() => {}
            Ok(_) => return Ok(Some(line.trim().to_owned())),
            Err(error) => return Err(format!("row {n}, line {at}: {error}")),
        }
    }
}

/// A row by its number and its line.
fn of_cells((n, line): (u64, u64), columns: &[String], record: &csv::StringRecord) -> Read1 {
    let mut cells: Vec<String> = record.iter().map(str::to_owned).collect();
    while cells.len() > columns.len() && cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    let flaw = (cells.len() != columns.len())
        .then(|| format!("There are {} cells under {} headers.", cells.len(), columns.len()));
    let named = columns.iter().zip(&cells);
    let own = named.clone().find(|(name, _)| *name == ROW).and_then(|(_, cell)| cell.trim().parse().ok());
    // An empty cell says nothing.
    let fields = named
        .filter(|(name, cell)| !is_ours(name) && !cell.trim().is_empty())
        .map(|(name, cell)| (name.clone(), cell.clone()))
        .collect();
    Read1 { row: Row { n: own.unwrap_or(n), fields }, line, original: Original::Cells(cells), flaw }
}

/// A row whose last cell is all that follows it in the file: of that cell the first line is kept.
fn unclosed(mut read: Read1) -> Read1 {
    if let Original::Cells(cells) = &mut read.original
        && let Some(cell) = cells.last_mut()
    {
        let line = cell.lines().next().unwrap_or_default().len();
        cell.truncate(line);
    }
    read.row.fields.clear();
    Read1 { flaw: Some(UNCLOSED.to_owned()), ..read }
}

fn of_line((n, at): (u64, u64), line: String) -> Read1 {
    let (row, flaw) = match of_json(&line) {
        Ok((own, fields)) => (Row { n: own.unwrap_or(n), fields }, None),
        Err(flaw) => (Row { n, fields: Vec::new() }, Some(flaw)),
    };
    Read1 { row, line: at, original: Original::Line(line), flaw }
}

type NumberAndFields = (Option<u64>, Vec<(String, String)>);

/// The row's own number, if it carries one, and its fields as a form's post of the same object would have them.
fn of_json(line: &str) -> Result<NumberAndFields, String> {
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| no_object(line, &error))?;
    let own = object.get(ROW).and_then(Value::as_u64);
    if object.contains_key(LINE) {
        return Err("The line is still to be mended.".to_owned());
    }
    let read = body::of_json(line).map_err(|problem| problem.detail)?;
    if let Some(flag) = read.flags.first() {
        return Err(flag_words(*flag));
    }
    let fields = read.fields.into_iter();
    Ok((own, fields.filter(|(name, value)| !is_ours(name) && !value.trim().is_empty()).collect()))
}

/// Why a line is no JSON object, as far as a person can see it there.
fn no_object(line: &str, error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => "The line is JSON, but no object with names and values.".to_owned(),
        Category::Eof => "The line ends before its JSON object does.".to_owned(),
        _ => {
            let before = line.get(..error.column()).map_or(error.column(), |before| before.chars().count());
            format!("The line is not a JSON object: it goes wrong at its character {before}.")
        }
    }
}

/// What is in an object that would not be kept as it is.
fn flag_words(flag: BodyFlag) -> String {
    match flag {
        BodyFlag::ValueCut => format!("A value in it is longer than {} kB.", MAX_VALUE / 1024),
        BodyFlag::NameCut => format!("A name in it is longer than {MAX_NAME} characters."),
        BodyFlag::TooManyFields => format!("There are more than {MAX_FIELDS} names in it."),
        BodyFlag::NestedTooDeep => "Objects lie too deep in each other in it.".to_owned(),
        BodyFlag::NotFields => "There are no names and values in it.".to_owned(),
        BodyFlag::BadEncoding | BodyFlag::UnknownCharset | BodyFlag::RepairedJson => {
            "There are signs in it that are no text.".to_owned()
        }
    }
}

fn is_ours(name: &str) -> bool {
    matches!(name, ROW | REASON | LINE)
}

/// What Excel's first line says that separates cells: `sep=;`, which is no row.
fn said_delimiter(sample: &[u8], encoding: &'static Encoding) -> Option<u8> {
    let (text, _, _) = encoding.decode(sample.get(..64).unwrap_or(sample));
    let (line, _) = text.split_once('\n')?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    let line = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let sign = line.get(..4).filter(|word| word.eq_ignore_ascii_case("sep=")).and_then(|_| line.get(4..))?;
    match sign.as_bytes() {
        [sign] if sign.is_ascii() => Some(*sign),
        _ => None,
    }
}

fn skip_line(text: &mut impl Read) -> io::Result<()> {
    let mut byte = [0];
    while text.read(&mut byte)? == 1 && byte != *b"\n" {}
    Ok(())
}

/// Whatever separates most cells of the first line, outside of quotes.
fn delimiter(sample: &[u8], encoding: &'static Encoding) -> u8 {
    let (text, _, _) = encoding.decode(sample);
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '\n' if !quoted && counts.iter().any(|(_, n)| *n > 0) => break,
            c if !quoted => {
                for (_, n) in counts.iter_mut().filter(|(sign, _)| char::from(*sign) == c) {
                    *n += 1;
                }
            }
            _ => {}
        }
    }
    // Of equals the last is taken by max_by_key: the comma goes last.
    counts.iter().rev().max_by_key(|(_, n)| *n).map_or(b',', |(sign, _)| *sign)
}

/// What is wrong with a row, without what stands in it.
fn error_words(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => "it cannot be read".to_owned(),
    }
}

/// Ends with an error when a row does not end.
struct Limited<R> {
    inner: R,
    since_row: Arc<AtomicU64>,
    /// Of CSV.
    marks: Option<Marks>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if self.since_row.fetch_add(n as u64, Ordering::Relaxed) > LONGEST {
            let words = "it does not end within 8 MB: is a closing quote missing?";
            return Err(io::Error::other(words));
        }
        if let Some(marks) = &mut self.marks {
            marks.see(buffer.get(..n).unwrap_or_default());
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    fn open(bytes: &[u8], format: FileFormat) -> Rows {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        Rows::open(file, Reading { format, encoding: None, delimiter: None }).unwrap()
    }

    #[test]
    fn the_line_in_which_excel_names_the_delimiter_is_no_row() {
        for first in ["sep=;\r\n", "\u{feff}SEP=;\n", "\"sep=;\"\n"] {
            let rows = open(format!("{first}name;note\nJörg;a,b,c,d\n").as_bytes(), FileFormat::Csv);
            assert_eq!(
                (rows.columns.clone(), rows.delimiter),
                (vec!["name".to_owned(), "note".to_owned()], b';')
            );
            let rows: Vec<Read1> = rows.map(Result::unwrap).collect();
            assert_eq!((rows.len(), rows[0].row.n, rows[0].flaw.clone()), (1, 1, None));
        }
        assert_eq!(open(b"sep=name;email\na;b\n", FileFormat::Csv).columns, ["sep=name", "email"]);
    }

    #[test]
    fn the_row_with_a_bad_byte_is_put_aside_and_the_others_are_read() {
        let csv = [b"name\n".as_slice(), "Jörg 张伟\n".repeat(20).as_bytes(), b"Ren\xe9\n"].concat();
        let json = ["{\"name\":\"Jörg\"}\n".as_bytes(), b"{\"name\":\"Ren\xe9\"}\n"].concat();
        for (bytes, format) in [(csv, FileFormat::Csv), (json, FileFormat::Ndjson)] {
            let mut rows: Vec<Read1> = open(&bytes, format).map(Result::unwrap).collect();
            let bad = rows.pop().unwrap();
            assert!(bad.flaw.is_some_and(|why| why.contains("not UTF-8")), "{format:?}");
            let is_read = |row: &Read1| row.flaw.is_none() && row.row.fields[0].1.starts_with("Jörg");
            assert!(!rows.is_empty() && rows.iter().all(is_read), "{format:?}");
        }
    }

    #[test]
    fn how_far_it_is_counts_the_rows_that_were_handed_out() {
        let lines = "name,ort\n".to_owned() + &"Jörg,Köln\n".repeat(999);
        let (western, ..) = encoding_rs::WINDOWS_1252.encode(&lines);
        let json = "{\"n\":\"Jörg\"}\n".repeat(1000);
        for (bytes, format) in [
            (lines.as_bytes(), FileFormat::Csv),
            (&*western, FileFormat::Csv),
            (json.as_bytes(), FileFormat::Ndjson),
        ] {
            let mut rows = open(bytes, format);
            assert!(rows.by_ref().take(499).all(|row| row.is_ok()));
            let percent = rows.bytes() * 100 / bytes.len() as u64;
            assert!((48..=52).contains(&percent), "{percent}");
            assert!(rows.by_ref().all(|row| row.is_ok()));
            assert_eq!(rows.bytes(), bytes.len() as u64);
        }
    }
}
