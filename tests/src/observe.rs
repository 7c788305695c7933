//! What is seen on the wire while a plan runs: each commit as it happens, each hand-over to a rep.

use crate::broadcasts;
use crate::scenarios::company::CAPPED;
use crate::wire::{Call, Host, document, text};
use crate::{runs, sends};
use bytes::Bytes;
use serde_json::Value;
use sluice_domain::customer::Customer;
use sluice_domain::lead::Progress;
use sluice_domain::message::MessageState;
use sluice_domain::team::TeamState;
use sluice_store::NoticeRecord;
use std::collections::BTreeMap;

/// Everything seen, and what was wrong with it at the moment it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Observed {
    /// Open leads a member may hold, by team and rep. Only teams whose returning customers may not exceed it.
    pub capacity: BTreeMap<(String, String), u32>,
    /// Hand-overs that a provider or receiver took, by channel and message id.
    pub handed: BTreeMap<(&'static str, String), u32>,
    /// Reps that each lead was ever assigned to, in order.
    pub assigned: BTreeMap<String, Vec<String>>,
    /// Leads in the order in which they were assigned.
    pub order: Vec<String>,
    /// Owners that each customer record ever had, in order.
    pub owners: BTreeMap<String, Vec<String>>,
    /// Deliveries that people asked for again, by log and place, and how often.
    pub again: BTreeMap<(String, String), u32>,
    /// Leads somebody was in touch about, with how often a clock had taken them by then.
    pub contacted: BTreeMap<String, usize>,
    /// Open leads by rep and team, as the latest commit of each team has them.
    pub open: BTreeMap<String, BTreeMap<String, u32>>,
    /// The version of each run, as it was written last, by record and journey.
    pub runs: BTreeMap<(String, String), u64>,
    /// Parts of broadcasts, and whether they let messages be claimed, as they were last told.
    pub tallies: BTreeMap<String, bool>,
    /// What broadcasts came to.
    pub campaigns: broadcasts::Seen,
    /// Whether people were told that nothing is sent to them any more.
    pub refused: bool,
    /// Broken invariants.
    pub broken: Vec<String>,
}

impl Observed {
    /// Looks at a call that was carried out and at its answer.
    pub fn see(&mut self, call: &Call, answer: &http::Response<Bytes>) {
        if !answer.status().is_success() {
            return;
        }
        if let Some((channel, id)) = call.handover() {
            *self.handed.entry((channel, id)).or_default() += 1;
            return;
        }
        if call.host != Host::Table {
            return;
        }
        match call.operation.as_str() {
            "PutItem" => self.put(&call.json()["Item"]),
            "UpdateItem" => broadcasts::hear(call.json(), &mut self.tallies),
            "TransactWriteItems" => {
                // Seen as a whole: within it a lead may leave one team for another.
                let body = call.json();
                let actions = body["TransactItems"].as_array().map(Vec::as_slice).unwrap_or_default();
                sends::see(actions, self.refused, &mut self.broken);
                broadcasts::see(actions, &self.tallies, &mut self.campaigns, &mut self.broken);
                for action in actions {
                    if action.get("Put").is_some() {
                        self.put(&action["Put"]["Item"]);
                    }
                    if action.get("Update").is_some() {
                        self.update(&action["Update"]);
                    }
                }
            }
            _ => {}
        }
        for (rep, capacity) in CAPPED {
            let open: u32 = self.open.get(rep).map_or(0, |teams| teams.values().sum());
            if open > capacity {
                self.broken.push(format!("I6: {rep} holds {open} open leads over all teams in a commit"));
            }
        }
    }

    fn put(&mut self, item: &Value) {
        let pk = text(item, "pk");
        if let Some(team) = pk.strip_prefix("team#")
            && let Some(state) = document::<TeamState>(item, "d")
        {
            for (rep, place) in &state.members {
                self.open.entry(rep.clone()).or_default().insert(team.to_owned(), place.open);
                let capacity = self.capacity.get(&(team.to_owned(), rep.clone()));
                if capacity.is_some_and(|capacity| place.open > *capacity) {
                    self.broken
                        .push(format!("I6: {rep} of {team} holds {} open leads in a commit", place.open));
                }
            }
        }
        if let Some(log) = pk.strip_prefix("rep#")
            && let Some(notice) = document::<NoticeRecord>(item, "d")
            && (notice.state, notice.attempts) == (MessageState::Ready, 0)
            // What was put there so waits for room.
            && item["v"]["N"] != "1"
        {
            *self.again.entry((log.to_owned(), text(item, "sk").to_owned())).or_default() += 1;
        }
        runs::see(item, &mut self.runs, &mut self.broken);
        broadcasts::put(item, &mut self.campaigns, &mut self.broken);
        if pk.starts_with("cu_")
            && let Some(customer) = document::<Customer>(item, "d")
            && let Some(owner) = customer.owner
        {
            let owners = self.owners.entry(pk.to_owned()).or_default();
            if owners.last() != Some(&owner.rep) {
                owners.push(owner.rep);
            }
        }
    }

    fn update(&mut self, update: &Value) {
        let pk = text(&update["Key"], "pk");
        let progress = document::<Progress>(&update["ExpressionAttributeValues"], ":d");
        if let Some(progress) = &progress {
            let taken = progress.silent().count();
            if progress.contact.is_some() {
                self.contacted.entry(pk.to_owned()).or_insert(taken);
            }
            // Also where the contact is not there any more.
            if self.contacted.get(pk).is_some_and(|before| taken > *before) {
                self.broken.push(format!("I15: {pk} was taken from its owner after a contact"));
            }
        }
        if let Some(assignment) = progress.and_then(|progress| progress.assignment) {
            let reps = self.assigned.entry(pk.to_owned()).or_default();
            let rep = format!("{}#{}", assignment.rep, assignment.n);
            if reps.last() == Some(&rep) {
                return;
            }
            reps.push(rep);
            self.order.retain(|lead| lead != pk);
            self.order.push(pk.to_owned());
        }
    }
}
