//! Contacts: what somebody noted about being in touch, each an item of its own beside its lead.

use crate::item::{Item, document, get_document, get_text, key, text};
use crate::{Store, StoreError, keys};
use serde::{Deserialize, Serialize};
use sluice_domain::id::LeadId;
use sluice_domain::time::Timestamp;

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The lead; half of the key.
    #[serde(skip, default = "no_lead")]
    pub lead: LeadId,
    /// Hash of the idempotency key; the other half.
    #[serde(skip)]
    pub hash: String,
    /// Who: a rep, or the role of a token.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Over what: `phone`, `email`, …
    pub channel: String,
    /// What was said, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

fn no_lead() -> LeadId {
    LeadId::derived(&[])
}

impl Store {
    /// One contact.
    pub async fn contact(&self, lead: &LeadId, hash: &str) -> Result<Option<Contact>, StoreError> {
        self.get(lead.as_str(), &keys::contact(hash)).await?.as_ref().map(read_contact).transpose()
    }

    /// The contacts of a lead by their time, at most `limit`.
    pub async fn contacts(&self, lead: &LeadId, limit: usize) -> Result<Vec<Contact>, StoreError> {
        let mut contacts: Vec<Contact> = Vec::new();
        let mut from = None;
        loop {
            let left = i32::try_from(limit - contacts.len()).unwrap_or(i32::MAX);
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                .expression_attribute_values(":pk", text(lead.as_str()))
                .expression_attribute_values(":sk", text(keys::CONTACTS))
                .limit(left)
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await?;
            for item in &answer.items.unwrap_or_default() {
                contacts.push(read_contact(item)?);
            }
            from = answer.last_evaluated_key.filter(|_| contacts.len() < limit);
            if from.is_none() {
                break;
            }
        }
        contacts.sort_by(|a, b| (a.at, &a.hash).cmp(&(b.at, &b.hash)));
        Ok(contacts)
    }
}

pub(crate) fn contact_item(contact: &Contact) -> Result<Item, StoreError> {
    let mut item = key(contact.lead.as_str(), keys::contact(&contact.hash));
    item.insert("d".to_owned(), document(contact)?);
    Ok(item)
}

fn read_contact(item: &Item) -> Result<Contact, StoreError> {
    let mut contact: Contact = get_document(item, "d")?;
    let wrong = |what: &str| StoreError::Corrupt(what.to_owned());
    contact.lead = LeadId::parse(get_text(item, "pk")?).ok_or_else(|| wrong("not a lead id"))?;
    contact.hash =
        keys::parse_contact(get_text(item, "sk")?).ok_or_else(|| wrong("not a contact"))?.to_owned();
    Ok(contact)
}
