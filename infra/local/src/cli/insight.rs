//! `sluice insight`: what things came to, as tables.

use super::StackArgs;
use super::output::{Failure, pretty, say};
use clap::{Args, ValueEnum};
use serde_json::Value;

/// What to look at.
#[derive(Debug, Args)]
pub(super) struct InsightArgs {
    /// Of what.
    #[arg(value_enum)]
    report: Report,
    /// The first day, such as 2027-03-01; the last 30 days unless told.
    #[arg(long)]
    from: Option<String>,
    /// The last day; today unless told.
    #[arg(long)]
    to: Option<String>,
    /// How orders are credited to what brought their buyers.
    #[arg(long, value_enum, default_value_t)]
    model: Model,
    #[command(flatten)]
    pub(super) stack: StackArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Report {
    Journeys,
    Campaigns,
    Sources,
    Teams,
    Reps,
    Attribution,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Model {
    First,
    #[default]
    Last,
    Linear,
    Position,
    #[value(name = "time_decay", alias = "time-decay")]
    TimeDecay,
}

/// How a number is shown.
#[derive(Clone, Copy)]
enum Shown {
    Text,
    Count,
    Money,
    Part,
    Time,
    Times,
}

type Column = (&'static str, &'static str, Shown);

const MESSAGES: [Column; 6] = [
    ("sent", "/sent", Shown::Count),
    ("delivered", "/delivered", Shown::Count),
    ("opened", "/open_rate", Shown::Part),
    ("clicked", "/click_rate", Shown::Part),
    ("out", "/unsubscribed", Shown::Count),
    ("revenue", "/revenue", Shown::Money),
];

pub(super) async fn run(args: &InsightArgs) -> Result<(), Failure> {
    let word = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
        value().map(|value| value.get_name().replace('-', "_")).unwrap_or_default()
    };
    let report = word(&|| args.report.to_possible_value());
    let mut path = format!("/api/insight/{report}?model={}", word(&|| args.model.to_possible_value()));
    for (name, value) in [("from", &args.from), ("to", &args.to)] {
        path.extend(value.iter().map(|value| format!("&{name}={value}")));
    }
    let answer = args.stack.call("GET", &path, None).await?;
    if args.stack.json {
        say(&pretty(&answer));
    } else {
        lines(args.report, &answer).iter().for_each(|line| say(line));
    }
    Ok(())
}

/// The report as people read it.
fn lines(report: Report, answer: &Value) -> Vec<String> {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let mut lines =
        vec![format!("{} from {} to {} (UTC)", text("report"), text("from"), text("to")), String::new()];
    match report {
        Report::Journeys => {
            lines.extend(with_parts(&rows, ("journey", "steps", "step"), ("entered", "/entered")));
        }
        Report::Campaigns => {
            lines.extend(with_parts(&rows, ("campaign", "variants", "variant"), ("held out", "/held_out")));
        }
        Report::Sources => lines.extend(table(
            &rows,
            &[
                ("", "/source", Shown::Text),
                ("leads", "/leads", Shown::Count),
                ("contact in", "/seconds_to_contact", Shown::Time),
                ("buyers", "/buyers", Shown::Count),
                ("conversion", "/conversion", Shown::Part),
                ("revenue", "/revenue", Shown::Money),
                ("cost", "/cost", Shown::Money),
                ("a lead", "/cost_per_lead", Shown::Money),
                ("return", "/return_on_cost", Shown::Times),
            ],
        )),
        Report::Teams | Report::Reps => lines.extend(table(
            &rows,
            &[
                ("", "/name", Shown::Text),
                ("leads", "/assigned", Shown::Count),
                ("closed", "/closed", Shown::Count),
                ("none", "/disqualified", Shown::Count),
                ("contact in", "/seconds_to_contact", Shown::Time),
                ("90 % in", "/seconds_to_contact_p90", Shown::Time),
                ("in time", "/within_window", Shown::Part),
                ("buyers", "/buyers", Shown::Count),
                ("conversion", "/conversion", Shown::Part),
                ("revenue", "/revenue", Shown::Money),
            ],
        )),
        Report::Attribution => lines.extend(table(
            &rows,
            &[
                ("revenue by", "/touch", Shown::Text),
                ("first", "/by/first/revenue", Shown::Money),
                ("last", "/by/last/revenue", Shown::Money),
                ("linear", "/by/linear/revenue", Shown::Money),
                ("position", "/by/position/revenue", Shown::Money),
                ("time decay", "/by/time_decay/revenue", Shown::Money),
                ("cost", "/cost", Shown::Money),
            ],
        )),
    }
    if rows.is_empty() {
        lines.push("Nothing was counted.".to_owned());
    }
    lines.push(String::new());
    if let Some(nothing) = answer["unattributed"].as_f64().filter(|money| *money != 0.0) {
        lines.push(format!("{nothing:.2} of revenue came of nothing that is known."));
    }
    let currency = answer["currency"].as_str().map(|code| format!(" in {code}")).unwrap_or_default();
    let late = match (answer["counted"]["until"].as_str(), answer["counted"]["late_seconds"].as_f64()) {
        (Some(until), Some(late)) => {
            format!("Counted until {until}, {late:.1} s after it came in.")
        }
        _ => String::new(),
    };
    lines.push(
        format!("Money{currency}, credited by {}. {late}", text("model").replace('_', " "))
            .trim_end()
            .to_owned(),
    );
    lines
}

/// Journeys or campaigns, each with its parts below it and what the hold-out says. By what rows name themselves, where their
/// parts are and what these are called by; and one more number of the whole.
fn with_parts(
    rows: &[Value],
    (name, parts, part): (&str, &str, &str),
    more: (&'static str, &'static str),
) -> Vec<String> {
    let mut flat = Vec::new();
    for row in rows {
        let mut whole = row.clone();
        whole["name"] = row[name].clone();
        flat.push(whole);
        for one in row[parts].as_array().into_iter().flatten() {
            let mut below = one.clone();
            below["name"] = format!("  {}", one[part].as_str().unwrap_or_default()).into();
            flat.push(below);
        }
    }
    let mut columns: Vec<Column> = vec![
        ("", "/name", Shown::Text),
        (more.0, more.1, Shown::Count),
        ("goal", "/conversion", Shown::Part),
    ];
    columns.extend(MESSAGES);
    let mut lines = table(&flat, &columns);
    for row in rows {
        if let (Some(name), Some(sentence)) = (row[name].as_str(), row["lift"]["sentence"].as_str()) {
            lines.push(String::new());
            lines.push(format!("{name}: {sentence}"));
        }
    }
    lines
}

/// Names to the left, numbers to the right.
fn table(rows: &[Value], columns: &[Column]) -> Vec<String> {
    let head = columns.iter().map(|(title, ..)| (*title).to_owned()).collect();
    let cells = |row: &Value| -> Vec<String> {
        columns.iter().map(|(_, at, how)| shown(row.pointer(at).unwrap_or(&Value::Null), *how)).collect()
    };
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |n: usize| all.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|n| width(n).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(n, (cell, width))| match n {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

fn shown(value: &Value, how: Shown) -> String {
    let Some(number) = value.as_f64() else {
        return match (how, value.as_str()) {
            (Shown::Text, Some(text)) => text.to_owned(),
            _ => "-".to_owned(),
        };
    };
    match how {
        Shown::Text | Shown::Count if number.fract() == 0.0 => format!("{number:.0}"),
        Shown::Text | Shown::Count => format!("{number:.1}"),
        Shown::Money => format!("{number:.2}"),
        Shown::Part => format!("{:.1} %", number * 100.0),
        Shown::Times => format!("{number:.2} x"),
        Shown::Time if number < 120.0 => format!("{number:.0} s"),
        Shown::Time if number < 7_200.0 => format!("{:.0} min", number / 60.0),
        Shown::Time => format!("{:.1} h", number / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_is_a_table_that_people_can_read() {
        let answer = json!({
            "report": "journeys", "from": "2027-03-01", "to": "2027-03-30", "model": "time_decay", "currency": "EUR",
            "unattributed": 12.5, "counted": {"until": "2027-03-30T10:00:00.000Z", "late_seconds": 0.23},
            "rows": [{
                "journey": "welcome", "entered": 1200, "conversion": 0.125, "sent": 2300, "delivered": 2290,
                "open_rate": 0.41, "click_rate": 0.1, "unsubscribed": 4, "revenue": 10250.5,
                "lift": {"sentence": "Of 1200 who entered …"},
                "steps": [{
                    "step": "send.hello", "sent": 1200, "delivered": 1195, "open_rate": 0.5, "click_rate": 0.15,
                    "unsubscribed": 1, "revenue": 9000,
                }],
            }],
        });
        let text = lines(Report::Journeys, &answer);
        let expected = [
            "journeys from 2027-03-01 to 2027-03-30 (UTC)",
            "",
            "              entered    goal  sent  delivered  opened  clicked  out   revenue",
            "welcome          1200  12.5 %  2300       2290  41.0 %   10.0 %    4  10250.50",
            "  send.hello        -       -  1200       1195  50.0 %   15.0 %    1   9000.00",
            "",
            "welcome: Of 1200 who entered …",
            "",
            "12.50 of revenue came of nothing that is known.",
            "Money in EUR, credited by time decay. Counted until 2027-03-30T10:00:00.000Z, 0.2 s after it came in.",
        ];
        assert_eq!(text, expected);
        let none = json!({"report": "reps", "from": "a", "to": "b", "model": "last", "rows": []});
        assert!(lines(Report::Reps, &none).contains(&"Nothing was counted.".to_owned()));
    }
}
