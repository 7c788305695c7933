//! What holds at the end of every scenario, whatever it did.

use super::{Running, log};
use serde_json::Value;

impl Running {
    /// Names of all queues.
    pub fn queues(&self) -> Vec<String> {
        [
            "LeadQueue",
            "EnrichQueue",
            "NoticeQueue",
            "MessageQueue",
            "BulkQueue",
            "EraseQueue",
            "LeadDeadLetters",
            "EnrichDeadLetters",
            "NoticeDeadLetters",
            "EraseDeadLetters",
            "FeedbackQueue",
            "EventQueue",
            "MessageDeadLetters",
            "BulkDeadLetters",
            "FeedbackDeadLetters",
            "EventDeadLetters",
        ]
        .map(sluice::host::spec::named)
        .to_vec()
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
        // No address of a person, a rep or anybody else belongs in a log.
        for line in log::lines().into_iter().chain(self.metrics.lines()) {
            assert!(!line.contains('@'), "{line}");
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
