//! Receivers of webhooks: which of them said that they are gone. One without a record takes what it is sent.

use crate::item::{Item, document, get_document, get_number, get_text, key, number};
use crate::{Store, StoreError, Written, keys};
use serde::{Deserialize, Serialize};
use sluice_domain::id::EndpointId;
use sluice_domain::time::Timestamp;

/// What is known of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Made of its URL: another URL is another receiver.
    pub id: EndpointId,
    /// Counted up by each write; 0 is "not stored".
    pub version: u64,
    /// Since when nothing is sent to it, because it answered 410.
    pub gone: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    gone: Option<Timestamp>,
}

impl Store {
    /// One receiver.
    pub async fn endpoint(&self, id: &EndpointId) -> Result<Endpoint, StoreError> {
        let unknown = Endpoint { id: id.clone(), version: 0, gone: None };
        self.get(id.as_str(), keys::ENDPOINT).await?.as_ref().map_or(Ok(unknown), read_endpoint)
    }

    /// Those of these receivers that there is a record of.
    pub async fn endpoints(&self, ids: &[EndpointId]) -> Result<Vec<Endpoint>, StoreError> {
        let keys = ids.iter().map(|id| key(id.as_str(), keys::ENDPOINT)).collect();
        self.get_many(keys).await?.iter().map(read_endpoint).collect()
    }

    /// Sends it nothing more. A conflict is somebody who said the same, or a person who turned it on again meanwhile.
    pub async fn disable_endpoint(&self, read: &Endpoint, now: Timestamp) -> Result<Written, StoreError> {
        self.put_endpoint(&Endpoint { gone: Some(now), ..read.clone() }).await
    }

    /// Sends to it again.
    pub async fn enable_endpoint(&self, read: &Endpoint) -> Result<Written, StoreError> {
        self.put_endpoint(&Endpoint { gone: None, ..read.clone() }).await
    }

    async fn put_endpoint(&self, endpoint: &Endpoint) -> Result<Written, StoreError> {
        let mut item = key(endpoint.id.as_str(), keys::ENDPOINT);
        item.insert("v".to_owned(), number(endpoint.version + 1));
        item.insert("d".to_owned(), document(&Stored { gone: endpoint.gone })?);
        match endpoint.version {
            0 => Ok(if self.put_once(item).await?.is_none() { Written::Done } else { Written::Conflict }),
            version => self.replace(item, version).await,
        }
    }
}

fn read_endpoint(item: &Item) -> Result<Endpoint, StoreError> {
    let id = EndpointId::parse(get_text(item, "pk")?);
    let stored: Stored = get_document(item, "d")?;
    Ok(Endpoint {
        id: id.ok_or_else(|| StoreError::Corrupt("not the id of a webhook's receiver".to_owned()))?,
        version: get_number(item, "v")?,
        gone: stored.gone,
    })
}
