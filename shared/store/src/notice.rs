//! Notices, which are messages to reps: READY -> CLAIMED -> SENT / UNKNOWN / FAILED / SKIPPED. A rep's notices are the rep's list.

use crate::item::{Item, document, get_document, get_number, get_text, key, number, text};
use crate::lead::{read_start, write_cursor};
use crate::{Page, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use serde::{Deserialize, Serialize};
use sluice_domain::event::{Call, Heard};
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::message::MessageState;
use sluice_domain::time::Timestamp;
use std::collections::BTreeSet;

/// One message to one rep over one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// The rep; half of the key.
    #[serde(skip)]
    pub rep: String,
    /// Sort key: time, lead, kind, channel.
    #[serde(skip)]
    pub sort_key: String,
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// The lead it is about, if it is about one.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<LeadId>,
    /// The customer it is about, where a journey tells.
    #[serde(rename = "cu", default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// What the journey's document says.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of a task: by when it is to be done.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The event that another system is told of: what is needed to tell it again.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Heard>,
    /// What a journey tells another system: what is needed to tell it again.
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Box<Call>>,
    /// What it says: `assigned`, `escalated`, `reminder`, `notify`, `task`, `webhook`, `halt`, `alert`; the event's name where another
    /// system is told of one.
    #[serde(rename = "k")]
    pub kind: String,
    /// `email`, `webhook` or `none`.
    #[serde(rename = "c")]
    pub channel: String,
    /// Where it stands.
    #[serde(rename = "s")]
    pub state: MessageState,
    /// Hand-overs begun.
    #[serde(rename = "a")]
    pub attempts: u32,
    /// While claimed: nobody else may send before this.
    #[serde(rename = "u")]
    pub claimed_until: Timestamp,
    /// Hand-overs whose outcome is unknown.
    #[serde(rename = "x", default, skip_serializing_if = "is_zero")]
    pub unknown: u32,
    /// The provider's id, or the reason.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A lead that a rep was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The lead.
    pub lead: LeadId,
    /// What the notice says: `assigned`.
    pub kind: String,
    /// Number of the assignment.
    pub n: u32,
    /// Before which notices it stands: the list goes on from here.
    pub place: String,
}

/// Where a list of what several reps were told goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldPlace {
    /// The rep.
    pub rep: String,
    /// Behind what of the rep's, newest first; nothing is from the newest on.
    pub before: Option<String>,
}

impl ToldPlace {
    /// As a cursor.
    pub fn cursor(&self) -> Result<String, StoreError> {
        let before = self.before.as_deref().unwrap_or(keys::AFTER_NOTICES);
        write_cursor(&key(keys::rep(&self.rep), before))
    }

    /// The place that a cursor names.
    pub fn parse(cursor: &str) -> Result<Self, StoreError> {
        let start = read_start(Some(cursor), None)?.ok_or(StoreError::Cursor)?;
        let rep = keys::parse_rep(get_text(&start, "pk")?).ok_or(StoreError::Cursor)?.to_owned();
        Ok(Self { rep, before: Some(get_text(&start, "sk")?.to_owned()) })
    }
}

/// What became of claiming a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Ours: send it.
    Ours,
    /// As it stands: somebody else was first.
    Held(Box<NoticeRecord>),
}

impl Store {
    /// Puts a message that is not there yet. Otherwise answers what is there.
    pub async fn put_new_notice(&self, message: &NoticeRecord) -> Result<Claim, StoreError> {
        match self.put_once(notice_item(message, 1)?).await? {
            None => Ok(Claim::Ours),
            Some(old) => Ok(Claim::Held(Box::new(read_notice(&old)?))),
        }
    }

    /// Stores a message as it shall be if nobody changed it since `message.version` was read.
    pub async fn update_notice(&self, message: &NoticeRecord) -> Result<Written, StoreError> {
        self.replace(notice_item(message, message.version + 1)?, message.version).await
    }

    /// One notice.
    pub async fn notice(&self, rep: &str, sort_key: &str) -> Result<Option<NoticeRecord>, StoreError> {
        self.get(&keys::rep(rep), sort_key).await?.as_ref().map(read_notice).transpose()
    }

    /// Those of these notices that there are, each by whom it is to and its sort key.
    pub async fn notices(
        &self,
        wanted: &BTreeSet<(String, String)>,
    ) -> Result<Vec<NoticeRecord>, StoreError> {
        let wanted = wanted.iter().map(|(rep, sort_key)| key(keys::rep(rep), sort_key.as_str())).collect();
        self.get_many(wanted).await?.iter().map(read_notice).collect()
    }

    /// What a rep or another system was told before the notice of this sort key, newest first; `None` is from the newest on.
    pub async fn notices_before(
        &self,
        rep: &str,
        before: Option<&str>,
        limit: i32,
    ) -> Result<Vec<NoticeRecord>, StoreError> {
        let answer = self.notices_back(rep, before, limit).send().await?;
        answer.items.unwrap_or_default().iter().map(read_notice).collect()
    }

    /// A page of what somebody was told, newest first.
    fn notices_back(&self, rep: &str, before: Option<&str>, limit: i32) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk < :sk")
            .expression_attribute_values(":pk", text(keys::rep(rep)))
            .expression_attribute_values(":sk", text(before.unwrap_or(keys::AFTER_NOTICES)))
            .scan_index_forward(false)
            .limit(limit)
    }

    /// The leads that a rep was told of by notices of these kinds, newest first, each assignment once over however many channels:
    /// of at most `limit` notices before a place, by their keys alone.
    pub async fn told_of(
        &self,
        rep: &str,
        kinds: &[&str],
        before: Option<&str>,
        limit: i32,
    ) -> Result<Page<Told>, StoreError> {
        let notices = self.notices_back(rep, before, limit);
        let answer = notices.projection_expression("pk, sk").send().await?;
        let mut items: Vec<Told> = Vec::new();
        for item in answer.items.unwrap_or_default() {
            let sort_key = get_text(&item, "sk")?;
            let Some((lead, kind, n)) =
                keys::parse_notice(sort_key).filter(|(_, said, _)| kinds.contains(said))
            else {
                continue;
            };
            let place = keys::notices_of_one(sort_key).to_owned();
            if items.last().is_none_or(|last| last.place != place) {
                items.push(Told { lead, kind: kind.to_owned(), n, place });
            }
        }
        let last = answer.last_evaluated_key.as_ref();
        let next =
            last.map(|last| Ok::<_, StoreError>(keys::notices_of_one(get_text(last, "sk")?).to_owned()));
        Ok(Page { items, next: next.transpose()? })
    }

    /// What a rep was told, newest first.
    pub async fn notices_to(
        &self,
        rep: &str,
        cursor: Option<&str>,
        limit: i32,
    ) -> Result<Page<NoticeRecord>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::rep(rep)))
            .scan_index_forward(false)
            .limit(limit)
            .set_exclusive_start_key(read_start(cursor, Some(&keys::rep(rep)))?)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default().iter().map(read_notice).collect::<Result<_, _>>()?;
        Ok(Page { items, next: answer.last_evaluated_key.as_ref().map(write_cursor).transpose()? })
    }
}

fn notice_item(message: &NoticeRecord, version: u64) -> Result<Item, StoreError> {
    let mut item = key(keys::rep(&message.rep), message.sort_key.clone());
    item.insert("v".to_owned(), number(version));
    item.insert("d".to_owned(), document(message)?);
    Ok(item)
}

fn read_notice(item: &Item) -> Result<NoticeRecord, StoreError> {
    let mut message: NoticeRecord = get_document(item, "d")?;
    let pk = get_text(item, "pk")?;
    message.rep = keys::parse_rep(pk).unwrap_or(pk).to_owned();
    message.sort_key = get_text(item, "sk")?.to_owned();
    message.version = get_number(item, "v")?;
    Ok(message)
}
