//! What became of the rows, or would: counted, and said.

use super::super::output::{pretty, say};
use super::rows::{Read1, Reading, Rows, UNCLOSED};
use serde_json::{Value, json};
use sluice_wire::imports::{Fate, RowAnswer, RowAnswers};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::{self, Display};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Rows whose likeness to earlier ones is looked at: what is remembered of each is 8 bytes.
const MOST_REMEMBERED: usize = 5_000_000;
/// Rows to mend that are named.
const NAMED: usize = 20;

/// Where a row is in its file: its number, and the line on which it begins.
#[derive(Clone, Copy)]
struct Place(u64, u64);

impl Place {
    const fn of(read: &Read1) -> Self {
        Self(read.row.n, read.line)
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, line {}", self.0, self.1)
    }
}

/// Everything counted.
pub(super) struct Totals {
    batch: String,
    form: String,
    read_as: Value,
    /// Rows answered.
    pub(super) rows: u64,
    new: u64,
    known: u64,
    refused: u64,
    new_customers: u64,
    known_customers: u64,
    flags: BTreeMap<String, u64>,
    /// Rows whose time of submission was not read, and the first of them.
    times_unread: u64,
    first_unread: Option<Place>,
    columns: BTreeMap<String, String>,
    identical: u64,
    same_email: u64,
    seen: HashSet<u64>,
    named: Vec<(Place, String)>,
    /// The row whose quote takes in the rest of the file.
    unclosed: Option<Place>,
    /// Names that more than one column has.
    twice_named: Vec<String>,
}

impl Totals {
    pub(super) fn new(batch: &str, form: &str, rows: &Rows, reading: Reading) -> Self {
        Self {
            batch: batch.to_owned(),
            form: form.to_owned(),
            read_as: rows.describe(reading),
            rows: 0,
            new: 0,
            known: 0,
            refused: 0,
            new_customers: 0,
            known_customers: 0,
            flags: BTreeMap::new(),
            times_unread: 0,
            first_unread: None,
            columns: BTreeMap::new(),
            identical: 0,
            same_email: 0,
            seen: HashSet::new(),
            named: Vec::new(),
            unclosed: None,
            twice_named: rows.twice_named(),
        }
    }

    /// Counts rows with their answers. The rows that are to be mended, each with why.
    pub(super) fn count<'a>(
        &mut self,
        rows: &'a [Read1],
        answers: &'a RowAnswers,
    ) -> Vec<(&'a Read1, &'a str)> {
        self.columns.extend(answers.columns.clone());
        let by_number: BTreeMap<u64, &RowAnswer> = answers.rows.iter().map(|row| (row.n, row)).collect();
        let mut to_mend = Vec::new();
        for read in rows {
            self.rows += 1;
            let answer = by_number.get(&read.row.n).copied();
            let why = match (&read.flaw, answer) {
                (Some(flaw), _) => Some(flaw.as_str()),
                (None, Some(answer)) if answer.fate != Fate::Refused => None,
                (None, answer) => {
                    Some(answer.and_then(|answer| answer.why.as_deref()).unwrap_or("There was no answer."))
                }
            };
            if let Some(why) = why {
                self.refused += 1;
                if why == UNCLOSED {
                    self.unclosed = Some(Place::of(read));
                }
                if self.named.len() < NAMED {
                    self.named.push((Place::of(read), why.to_owned()));
                }
                to_mend.push((read, why));
            } else if let Some(answer) = answer {
                self.count_one(Place::of(read), answer);
            }
            self.compare(read);
        }
        to_mend
    }

    fn count_one(&mut self, place: Place, answer: &RowAnswer) {
        match answer.fate {
            Fate::Known => self.known += 1,
            _ => self.new += 1,
        }
        match answer.new_customer {
            Some(true) => self.new_customers += 1,
            Some(false) => self.known_customers += 1,
            None => {}
        }
        for flag in &answer.flags {
            *self.flags.entry(flag.clone()).or_default() += 1;
        }
        if answer.time_unread {
            self.times_unread += 1;
            self.first_unread.get_or_insert(place);
        }
    }

    /// Rows like an earlier one, wholly or by their e-mail address.
    fn compare(&mut self, read: &Read1) {
        if self.seen.len() >= MOST_REMEMBERED || read.flaw.is_some() {
            return;
        }
        if !self.seen.insert(hash(&read.row.fields)) {
            self.identical += 1;
            return;
        }
        let is_email = |name: &str| self.columns.get(name).is_some_and(|read_as| read_as == "email");
        let email = read.row.fields.iter().find(|(name, _)| is_email(name));
        if let Some((_, email)) = email
            && !self.seen.insert(hash(&("email", email.trim().to_lowercase())))
        {
            self.same_email += 1;
        }
    }

    fn unknown_columns(&self) -> BTreeSet<&str> {
        let other = self.columns.iter().filter(|(_, read_as)| *read_as == "other");
        other.map(|(name, _)| name.as_str()).collect()
    }

    fn json(&self, dry_run: bool, errors: Option<&str>) -> Value {
        let mut value = json!({
            "batch": self.batch, "form": self.form, "read_as": self.read_as, "dry_run": dry_run,
            "rows": self.rows, "usable": self.new + self.known, "new": self.new, "known": self.known,
            "refused": self.refused, "flags": self.flags,
            "times_unread": {
                "rows": self.times_unread,
                "first": self.first_unread.map(|Place(row, line)| json!({"row": row, "line": line})),
            },
            "named_twice": self.twice_named,
            "customers": {"new": self.new_customers, "known": self.known_customers},
            "errors": errors,
        });
        if let (true, Some(object)) = (dry_run, value.as_object_mut()) {
            object.insert(
                "duplicates".to_owned(),
                json!({"identical": self.identical, "same_email": self.same_email}),
            );
            object.insert("columns".to_owned(), json!(self.columns));
            object.insert("unknown_columns".to_owned(), json!(self.unknown_columns()));
            let named = self
                .named
                .iter()
                .map(|(Place(row, line), why)| json!({"row": row, "line": line, "why": why}));
            object.insert("to_mend".to_owned(), named.collect());
        }
        value
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Says everything on stdout.
pub(super) fn say_all(totals: &Totals, dry_run: bool, errors: Option<&str>, json: bool) {
    if json {
        say(&pretty(&totals.json(dry_run, errors)));
    } else if dry_run {
        say_trial(totals);
    } else {
        say_done(totals, errors);
    }
}

fn say_done(totals: &Totals, errors: Option<&str>) {
    let Totals { batch, rows, new, known, refused, unclosed, .. } = totals;
    say(&format!("{rows} rows of batch {batch}: {new} new, {known} were there before, {refused} to mend."));
    if !totals.flags.is_empty() {
        say(&format!("Flagged: {}.", counts(&totals.flags)));
    }
    say_of_columns(totals);
    if let Some(words) = unread_words(totals) {
        say(&words);
    }
    let is_all = unclosed.is_some() && *refused == 1;
    if let Some(path) = errors.filter(|_| !is_all) {
        say(&format!(
            "The rows to mend are in {path}, each with the reason: mend them there and import that file."
        ));
    }
    if let Some(place) = unclosed {
        say(&format!(
            "What begins in {place}, is to be mended in the file itself, for the rows after it are in none of these numbers: {UNCLOSED} \
             Close the quote there and import the file with --batch {batch}."
        ));
    }
}

fn say_trial(totals: &Totals) {
    let line = |what: &str, n: u64, more: &str| say(format!("{what:<14}{n:>9}   {more}").trim_end());
    say(&format!("Dry run for form {}: nothing was written.", totals.form));
    let read_as = totals.read_as.as_object().into_iter().flatten();
    let read_as: Vec<String> =
        read_as.map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default())).collect();
    say(&format!("Read as {}.", read_as.join(", ")));
    line("rows", totals.rows, "");
    line(
        "  usable",
        totals.new + totals.known,
        &format!("{} new, {} imported before as batch {}", totals.new, totals.known, totals.batch),
    );
    line("  to mend", totals.refused, "");
    for (place, why) in &totals.named {
        say(&format!("    {place}: {why}"));
    }
    if totals.refused > totals.named.len() as u64 {
        say(&format!("    and {} more", totals.refused - totals.named.len() as u64));
    }
    let people = format!("people new, {} known", totals.known_customers);
    line("by customer", totals.new_customers, &people);
    if !totals.flags.is_empty() {
        say(&format!("flagged       {}", counts(&totals.flags)));
    }
    if let Some(words) = unread_words(totals) {
        say(&words);
    }
    line("twice here", totals.identical, "rows like an earlier one of the file");
    line("", totals.same_email, "others with the e-mail address of an earlier one");
    say_of_columns(totals);
    say("columns");
    for (name, read_as) in &totals.columns {
        say(&match read_as.as_str() {
            "other" => format!("  {name}: unknown, kept as lead.fields of that name"),
            read_as => format!("  {name}: {read_as}"),
        });
    }
}

fn say_of_columns(totals: &Totals) {
    for name in &totals.twice_named {
        say(&format!(
            "More than one column is called {name}: of each row the first of them is read that is not empty. Name the others differently."
        ));
    }
}

/// What is said of times of submission that are not kept.
fn unread_words(totals: &Totals) -> Option<String> {
    let first = totals.first_unread?;
    let rows =
        if totals.times_unread == 1 { "1 row".to_owned() } else { format!("{} rows", totals.times_unread) };
    Some(format!(
        "When it was sent is not read in {rows}, first in {first}: write it as 2026-01-05, 2026-01-05 10:00 or \
         2026-01-05T10:00:00+01:00, and as a time that has come (one without a zone is taken for UTC)."
    ))
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(what, n)| format!("{what} {n}")).collect::<Vec<_>>().join(", ")
}
