//! What holds at the end of every scenario, whatever it did.

use super::{Running, TEMPLATE, log};
use crate::canaries;
use serde_json::Value;
use sluice::host::spec::named;
use sluice_domain::message::SETTLED_MS;
use std::time::Duration;

impl Running {
    /// Names of all queues, those of dead letters included.
    pub fn queues(&self) -> Vec<String> {
        TEMPLATE.queues.iter().map(|queue| named(&queue.id)).collect()
    }

    /// Everything that queues hold, in whatever state: the queue and the body.
    pub fn queued(&self) -> Vec<(String, String)> {
        let held = |queue: String| {
            let messages = self.stack.sqs.contents(&queue).expect("a queue of the stack");
            messages.into_iter().map(move |message| (queue.clone(), message.body))
        };
        self.queues().into_iter().flat_map(held).collect()
    }

    /// Messages in a queue, in any state.
    pub fn depth(&self, queue: &str) -> u64 {
        let depth = self.stack.sqs.depth(queue).expect("a queue of the stack");
        depth.visible + depth.in_flight + depth.delayed
    }

    /// Everything that can be changed from outside: the table, what waits in the queues, the mails that went out.
    pub fn print(&self) -> String {
        let held = |queue: String| {
            let messages = self.stack.sqs.contents(&queue).expect("a queue of the stack");
            format!("{queue}: {messages:?}")
        };
        let queues: Vec<String> = self.queues().into_iter().map(held).collect();
        format!("{:?}\n{}\n{:?}", self.table(), queues.join("\n"), self.mails())
    }

    /// The depth of each queue, for people.
    pub fn depths(&self) -> String {
        let depths = self.queues().into_iter().map(|queue| {
            let depth = self.stack.sqs.depth(&queue).expect("a queue of the stack");
            format!("{queue}: {depth:?}")
        });
        depths.collect::<Vec<_>>().join(", ")
    }

    /// Checks the ledger, every decision, the queues and the log, and ends the stack.
    pub async fn finish(mut self) {
        // Clicks are told once nothing takes them back any more.
        let waits = |queue: String| self.stack.sqs.depth(&queue).is_ok_and(|depth| depth.delayed > 0);
        if self.queues().into_iter().any(waits) {
            self.stack.advance(Duration::from_millis(SETTLED_MS.unsigned_abs()));
        }
        self.settle().await;
        self.finished = true;
        let ledger = self.ledger().await;
        let leads = self.leads();
        assert_eq!(ledger["adds_up"], true, "{ledger:#}");
        assert_eq!(ledger["accepted"], leads.len(), "{ledger:#}");
        for id in &leads {
            let lead = self.show(id).await;
            self.check_lead(&lead).await;
        }
        for queue in self.queues() {
            assert_eq!(self.depth(&queue), 0, "{}", self.depths());
        }
        let due = self.table().into_keys().filter(|(pk, _)| pk.starts_with("due#")).count();
        assert_eq!(due, 0, "entries are due that nobody waits for");
        self.check_log();
    }

    /// No address of a person, a rep or anybody else belongs in a log, and nothing that a lead says of who somebody is.
    fn check_log(&self) {
        let table = self.table();
        let mut said = canaries::of_items(table.values());
        said.extend(self.posted.lock().expect("a lock").iter().cloned());
        // What documents say as well, a rep's name for one, may be said of them.
        let documents: Vec<&str> = table
            .iter()
            .filter(|((pk, _), _)| pk.starts_with("policy#"))
            .filter_map(|(_, item)| item["b"]["S"].as_str())
            .collect();
        said.retain(|value| !documents.iter().any(|text| text.contains(value.as_str())));
        for line in log::lines_since(self.logged).into_iter().chain(self.metrics.lines()) {
            assert!(!line.contains('@'), "{line}");
            let found = said.iter().find(|value| line.contains(value.as_str()));
            assert!(found.is_none(), "a line of the log says {found:?}: {line}");
        }
    }

    async fn check_lead(&self, lead: &Value) {
        let state = lead["state"].as_str().unwrap_or_default();
        match state {
            "waiting" | "erased" => assert!(lead["reproduced"].is_null(), "{lead:#}"),
            _ if lead["why"].to_string().contains("was erased together with") => {
                assert!(lead["reproduced"].is_null(), "{lead:#}");
            }
            // No rule decided about a robot's.
            "spam" if lead["why"].to_string().contains("that people cannot see") => {
                assert!(lead["reproduced"].is_null() && lead["customer"].is_null(), "{lead:#}");
            }
            _ => assert_eq!(lead["reproduced"], true, "decided again, it comes out otherwise: {lead:#}"),
        }
        assert!(lead["why"].as_array().is_some_and(|why| !why.is_empty()), "no why: {lead:#}");
        if state == "assigned" {
            let customer = self.customer(lead["customer"].as_str().expect("a customer")).await;
            assert_eq!(customer["owner"]["rep"], lead["owner"], "{lead:#} {customer:#}");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "a scenario ends with finish()");
    }
}
