//! Boxes and the ways between them.

use super::super::Flow;
use super::super::words::{details, title, triggers};
use super::svg::wrapped;
use crate::policy::journey::{Act, Step};
use std::collections::BTreeMap;

/// What is drawn.
pub(super) struct Graph {
    /// The first is where people enter.
    pub(super) boxes: Vec<Box>,
    pub(super) ways: Vec<Way>,
}

/// One box.
pub(super) struct Box {
    /// A class of the style sheet.
    pub(super) class: &'static str,
    /// The step's label.
    pub(super) label: Option<String>,
    pub(super) lines: Vec<String>,
}

/// A way from one box to another.
pub(super) struct Way {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) words: String,
}

/// A `goto` is a way and no box; behind the last step there is an end.
pub(super) fn of(flow: &Flow) -> Graph {
    let steps = &flow.journey().steps;
    let starts = triggers(flow.journey()).iter().flat_map(|line| wrapped(line)).collect();
    let mut boxes = vec![Box { class: "start", label: None, lines: starts }];
    let mut number = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        if !matches!(step.act, Act::Goto(_)) {
            number.insert(at, boxes.len());
            boxes.push(boxed(step));
        }
    }
    let behind = boxes.len();
    let place = |at: usize| number.get(&passed(flow, at)).copied().unwrap_or(behind);
    let mut ways = vec![Way { from: 0, to: place(0), words: String::new() }];
    for (at, step) in steps.iter().enumerate() {
        let Some(from) = number.get(&at).copied() else { continue };
        let mut lead =
            |to: usize, words: String| match ways.iter_mut().find(|way| (way.from, way.to) == (from, to)) {
                Some(way) if words.is_empty() || way.words.is_empty() => way.words.push_str(&words),
                Some(way) => way.words = format!("{} / {words}", way.words),
                None => ways.push(Way { from, to, words }),
            };
        let at_label = |label: &str| place(flow.position(label).unwrap_or(steps.len()));
        match &step.act {
            Act::WaitFor(wait) => {
                lead(place(at + 1), "it happened".to_owned());
                let to = wait.otherwise.as_deref().map_or_else(|| place(at + 1), at_label);
                lead(to, format!("not within {}", wait.within));
            }
            Act::Branch(cases) => {
                for case in cases {
                    if let Some(label) = case.label() {
                        lead(at_label(label), case.when.clone().unwrap_or_else(|| "else".to_owned()));
                    }
                }
                if step.act.falls_through() {
                    lead(place(at + 1), "else".to_owned());
                }
            }
            Act::Split(arms) => {
                let total = f64::from(arms.values().sum::<u32>().max(1));
                for (label, weight) in arms {
                    let part = f64::from(*weight) * 100.0 / total;
                    lead(at_label(label), format!("{}%", (part * 10.0).round() / 10.0));
                }
            }
            Act::End(_) => {}
            _ => lead(place(at + 1), String::new()),
        }
    }
    if ways.iter().any(|way| way.to == behind) {
        boxes.push(Box { class: "end", label: None, lines: vec!["End".to_owned()] });
    }
    Graph { boxes, ways }
}

/// The step one is really at: `goto` leads on.
fn passed(flow: &Flow, mut at: usize) -> usize {
    let steps = &flow.journey().steps;
    for _ in 0..steps.len() {
        match steps.get(at).map(|step| &step.act) {
            Some(Act::Goto(label)) => at = flow.position(label).unwrap_or(steps.len()),
            _ => break,
        }
    }
    at
}

fn boxed(step: &Step) -> Box {
    let class = match &step.act {
        Act::Send(_) => "send",
        Act::Wait(_) | Act::WaitFor(_) | Act::UntilHours(_) => "wait",
        Act::Branch(_) | Act::Split(_) => "choose",
        Act::End(_) => "end",
        _ => "act",
    };
    let more = details(&step.act);
    let lines = [title(&step.act)].into_iter().chain(more.iter().flat_map(|line| wrapped(line))).collect();
    Box { class, label: step.label.clone(), lines }
}
