//! What senders say of leads after they announced them, or before: one item beside the lead for each kind, the first
//! wins.

use crate::item::{get_number, get_text, key, number};
use crate::{Store, StoreError, keys};
use sluice_domain::id::LeadId;
use sluice_domain::lead::MarkKind;
use sluice_domain::time::Timestamp;

/// A mark on a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What was said.
    pub kind: MarkKind,
    /// When it came.
    pub at: Timestamp,
}

impl Store {
    /// Marks a lead, whether it is in the ledger yet or not. A mark that is there stays as it is.
    pub async fn put_mark(&self, lead: &LeadId, mark: Mark) -> Result<(), StoreError> {
        let mut item = key(lead.as_str(), keys::mark(mark.kind));
        item.insert("r".to_owned(), number(mark.at.millis()));
        self.put_once(item).await.map(drop)
    }

    /// The marks on a lead.
    pub async fn marks(&self, lead: &LeadId) -> Result<Vec<Mark>, StoreError> {
        let wanted = MarkKind::ALL.map(|kind| key(lead.as_str(), keys::mark(kind))).to_vec();
        let mut marks = Vec::new();
        for item in self.get_many(wanted).await? {
            let kind = keys::parse_mark(get_text(&item, "sk")?);
            let kind = kind.ok_or_else(|| StoreError::Corrupt("not a mark".to_owned()))?;
            marks.push(Mark { kind, at: Timestamp(get_number(&item, "r")?) });
        }
        marks.sort_by_key(|mark| (mark.at, mark.kind));
        Ok(marks)
    }
}
