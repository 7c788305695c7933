//! The one table that is printed.

/// A block of rows.
pub(crate) struct Section {
    title: String,
    rows: Vec<[String; 3]>,
    notes: Vec<String>,
}

impl Section {
    /// An empty block.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new(), notes: Vec::new() }
    }

    /// A row: what, how much with its unit, and how it was measured or what it is compared with.
    pub(crate) fn row(&mut self, what: impl Into<String>, value: impl Into<String>, note: impl Into<String>) {
        self.rows.push([what.into(), value.into(), note.into()]);
    }

    /// A line below the rows.
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }
}

/// Prints blocks with their columns under each other.
#[expect(clippy::print_stdout, reason = "the benchmark's own output")]
pub(crate) fn print(sections: &[Section]) {
    let width = |column: usize| {
        sections
            .iter()
            .flat_map(|section| &section.rows)
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    for section in sections {
        println!("\n{}", section.title);
        for [what, value, note] in &section.rows {
            println!("{}", format!("  {what:first$}  {value:>second$}  {note}").trim_end());
        }
        for note in &section.notes {
            println!("  {note}");
        }
    }
}

/// Says what is being measured, on stderr.
#[expect(clippy::print_stderr, reason = "the benchmark's own output")]
pub(crate) fn progress(line: &str) {
    eprintln!("{line}");
}

/// Prints one line for the process that started this one.
#[expect(clippy::print_stdout, reason = "the benchmark's own output")]
pub(crate) fn hand_back(line: &str) {
    println!("{line}");
}

/// The value below which `share` of sorted values lie.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// `p50 / p99` in milliseconds.
pub(crate) fn spread(sorted: &[f64]) -> String {
    format!("{:.1} / {:.1} ms", quantile(sorted, 0.5), quantile(sorted, 0.99))
}

/// Share of the processors that others may use before times say nothing.
const DISTURBED: f64 = 0.05;

/// PASS or FAIL of something timed, unless other programs had the processors.
pub(crate) fn timed_verdict(passed: bool, others: f64) -> &'static str {
    if others > DISTURBED { "not judged, other programs were running" } else { verdict(passed) }
}

/// PASS or FAIL.
pub(crate) fn verdict(passed: bool) -> &'static str {
    if passed { "PASS" } else { "FAIL" }
}
