//! The end of a day as a person reads it.

use super::summary::{JourneyMail, SourceRow, Summary};
use super::words;
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write;

impl Summary {
    /// The page, line by line. Names of people are theirs; times are of the day in UTC.
    pub fn page(&self) -> String {
        let mut page = format!("The day of {}\n", self.day);
        let total: usize = self.leads.values().sum();
        let states = self.leads.iter().map(|(state, n)| format!("{n} {state}")).collect::<Vec<_>>();
        put(&mut page, &format!("\n{total} leads: {}", states.join(", ")));
        table(&mut page, "Where they came from", &self.sources);
        table(&mut page, "Who looks after them", &self.owners);
        if !self.waited.is_empty() {
            put(&mut page, "\nKept waiting");
        }
        for waited in &self.waited {
            let long = waited.millis.map_or_else(|| "still".to_owned(), words::length);
            put(&mut page, &format!("  {}  {}, {long}: {}", time(&waited.since), waited.who, waited.why));
        }
        self.mails(&mut page);
        if !self.unsubscribed.is_empty() {
            put(&mut page, "\nWant no more mail");
        }
        for left in &self.unsubscribed {
            put(&mut page, &format!("  {}  {} (of {})", time(&left.at), left.who, left.topic));
        }
        self.orders(&mut page);
        if let Some(story) = &self.story {
            put(&mut page, &format!("\nThe way of {}", story.who));
            for step in &story.steps {
                put(&mut page, &format!("  {}  {}", time(&step.at), step.what));
            }
        }
        put(&mut page, &format!("\nThe ledger: {}", self.balance()));
        page
    }

    /// Whether all accepted leads are somewhere, in words.
    fn balance(&self) -> String {
        let sum = |part: &str| -> u64 {
            let part = self.ledger[part].as_object().into_iter().flatten();
            part.filter_map(|(_, n)| n.as_u64()).sum()
        };
        let accepted = self.ledger["accepted"].as_u64().unwrap_or(0);
        let verdict = if self.ledger["adds_up"] == true { "it adds up" } else { "IT DOES NOT ADD UP" };
        format!("{accepted} accepted = {} ended + {} in flight; {verdict}.", sum("ended"), sum("in_flight"))
    }

    fn mails(&self, page: &mut String) {
        if self.mails.is_empty() {
            return;
        }
        let head = ["sent", "opened", "clicked", "later", "left out"];
        let head: String = head.iter().fold(String::new(), |head, word| format!("{head}{word:>9}"));
        put(page, &format!("\n{:<34}{head}", "Messages to customers"));
        for JourneyMail { journey, template, sent, opened, clicked, waits, left_out } in &self.mails {
            let out: usize = left_out.values().sum();
            let name = format!("  {journey:<12}{template}");
            put(page, &format!("{name:<34}{sent:>9}{opened:>9}{clicked:>9}{waits:>9}{out:>9}"));
            for (why, n) in left_out {
                put(page, &format!("  {:<12}  {n} x {why}", ""));
            }
        }
        for (journey, n) in &self.held_out {
            put(page, &format!("  {journey:<12}gives {n} of those who would enter nothing, to compare with"));
        }
    }

    fn orders(&self, page: &mut String) {
        if self.conversions.is_empty() {
            return;
        }
        put(page, "\nOrders");
        for order in &self.conversions {
            let from = match (&order.source, &order.owner) {
                (Some(source), Some(owner)) => format!("lead of {source}, customer of {owner}"),
                (Some(source), None) => format!("lead of {source}"),
                (None, Some(owner)) => format!("customer of {owner}"),
                (None, None) => "came back without being asked".to_owned(),
            };
            let sum = format!("{} {}", order.total, order.currency);
            put(page, &format!("  {}  {}, {}: {sum} ({from})", time(&order.at), order.who, order.order));
        }
        let revenue = self.revenue.iter().map(|(currency, sum)| format!("{sum} {currency}"));
        let mut line = format!("  Together {}", revenue.collect::<Vec<_>>().join(", "));
        if !self.goals.is_empty() {
            let goals = self.goals.iter().map(|(journey, n)| format!("{journey} {n}"));
            let _ = write!(line, "; goals of journeys reached: {}", goals.collect::<Vec<_>>().join(", "));
        }
        put(page, &line);
    }

    /// What a person may want to look at, as commands and addresses for the stack at `url`.
    pub fn links(&self, url: &str) -> BTreeMap<&'static str, String> {
        let mut links = BTreeMap::from([("mail", format!("{url}/_local/mail"))]);
        if let Some(story) = &self.story {
            links.insert("customer", story.customer.clone());
        }
        if let Some(waited) = self.waited.iter().find(|waited| waited.why.contains("did not answer")) {
            links.insert("lead", waited.lead.clone());
        } else if let Some(lead) = self.shown.first() {
            links.insert("lead", words::text(lead, "/id"));
        }
        links
    }
}

fn put(page: &mut String, line: &str) {
    page.push_str(line);
    page.push('\n');
}

fn table(page: &mut String, title: &str, rows: &[SourceRow]) {
    if rows.is_empty() {
        return;
    }
    put(page, &format!("\n{title:<26}{:>9}{:>11}{:>13}{:>9}", "leads", "answered", "after", "ordered"));
    for row in rows {
        let median = row.median_ms.map(words::length).unwrap_or_default();
        put(
            page,
            &format!("  {:<24}{:>9}{:>11}{median:>13}{:>9}", row.name, row.leads, row.contacted, row.ordered),
        );
    }
}

/// The time of the day of a time in RFC 3339.
fn time(at: &str) -> String {
    Timestamp::parse(at).map(words::clock).unwrap_or_default()
}
