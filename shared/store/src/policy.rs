//! Policy documents, stored by content, and the manifests that name the documents of each version.

use crate::audit::audit_put;
use crate::commit::versioned_put;
use crate::item::{document, get_document, get_text, key, number, text};
use crate::{Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};
use sluice_domain::access::Note;
use sluice_domain::policy::{BEHAVIOUR, Document, Left, PolicySet};
use sluice_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a document in one item; DynamoDB takes 400 KB.
const CHUNK: usize = 300_000;

/// Bytes of a manifest at most, and of what the audit says of a publication: each is one item, of which DynamoDB takes 400 KB.
pub const MAX_MANIFEST: usize = 390_000;

/// How long a function trusts the manifest it has, in milliseconds.
const FRESH_MS: i64 = 2_000;

/// One document of a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// `form`, `team`, …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// SHA-256 (hex) of the stored text.
    pub sha: String,
    /// The version since which it is as it is; 0 is not known.
    #[serde(default)]
    pub since: u64,
}

/// The documents of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Counted up by each publication; 0 is "nothing published".
    #[serde(skip)]
    pub version: u64,
    /// Published when.
    pub at: Timestamp,
    /// Sorted by kind and name.
    pub documents: Vec<ManifestEntry>,
    /// Names of topics that had a document once and have none: messages about them wait, or are still asked for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gone_topics: BTreeSet<String>,
    /// Who is in a team no longer and may still have open leads of it. Whoever publishes looks, see [`sluice_domain::policy::left`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: Left,
    /// When the latest version was published with which other documents say what is counted of behaviour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_since: Option<Timestamp>,
}

impl Manifest {
    /// What is published in its place.
    #[must_use]
    pub fn next(&self, at: Timestamp, documents: Vec<ManifestEntry>) -> Self {
        let topics = |documents: &[ManifestEntry]| -> BTreeSet<String> {
            let topics = documents.iter().filter(|entry| entry.kind == "topic");
            topics.map(|entry| entry.name.clone()).collect()
        };
        let ever: BTreeSet<String> = &topics(&self.documents) | &self.gone_topics;
        let (gone_topics, left) = (&ever - &topics(&documents), self.left.clone());
        // What a campaign asks of people's behaviour is counted as well.
        let counts =
            |entry: &&ManifestEntry| entry.kind == "campaign" || BEHAVIOUR.contains(&entry.kind.as_str());
        let is_same = self.documents.iter().filter(counts).eq(documents.iter().filter(counts));
        let counts_since = if is_same { self.counts_since } else { Some(at) };
        Self { version: self.version, at, gone_topics, left, counts_since, documents }
    }

    /// Bytes of the larger of the two items that its publication is, with what the audit says of it.
    ///
    /// # Errors
    /// They cannot be written as JSON.
    pub fn bytes(&self, note: &Note) -> Result<usize, StoreError> {
        Ok(serde_json::to_string(self)?.len().max(serde_json::to_string(note)?.len()))
    }
}

impl Store {
    /// The newest manifest.
    pub async fn manifest(&self) -> Result<Manifest, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::MANIFEST))
            .scan_index_forward(false)
            .limit(1)
            .consistent_read(true)
            .send()
            .await?;
        match answer.items.unwrap_or_default().first() {
            Some(item) => read_manifest(item),
            None => Ok(Manifest::default()),
        }
    }

    /// The manifest of a version.
    pub async fn manifest_at(&self, version: u64) -> Result<Manifest, StoreError> {
        // As documents are read, so that whoever reads policies needs no other right.
        match self.get_many(vec![key(keys::MANIFEST, keys::manifest(version))]).await?.first() {
            Some(item) => read_manifest(item),
            None if version == 0 => Ok(Manifest::default()),
            None => Err(StoreError::Corrupt(format!("manifest {version} is missing"))),
        }
    }

    /// Publishes a manifest as the next after `manifest.version`, together with what the audit says of it. The documents
    /// were stored before.
    pub async fn publish(&self, manifest: &Manifest, note: &Note) -> Result<Written, StoreError> {
        let mut item = key(keys::MANIFEST, keys::manifest(manifest.version + 1));
        item.insert("d".to_owned(), document(manifest)?);
        item.insert("v".to_owned(), number(manifest.version + 1));
        let put = TransactWriteItem::builder().put(versioned_put(&self.table, item, 0)?).build();
        self.transact(vec![put, audit_put(&self.table, note)?]).await
    }

    /// Stores a document's text under the hash of it, in chunks. The same text is stored once.
    pub async fn put_policy_text(&self, sha: &str, body: &str) -> Result<(), StoreError> {
        let mut rest = body;
        let mut chunk = 0;
        loop {
            let mut cut = rest.len().min(CHUNK);
            while !rest.is_char_boundary(cut) {
                cut -= 1;
            }
            let (now, later) = rest.split_at(cut);
            let mut item = key(keys::policy(sha), format!("{chunk:04}"));
            item.insert("b".to_owned(), text(now));
            // Content-addressed: if it is there, it is the same.
            self.put_once(item).await?;
            chunk += 1;
            rest = later;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// A document's text.
    pub async fn policy_text(&self, sha: &str) -> Result<Option<String>, StoreError> {
        let (mut body, mut from) = (None, None);
        loop {
            // Strongly consistent: its manifest may have been written just now, and a page ends after 1 MB.
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(keys::policy(sha)))
                .set_exclusive_start_key(from)
                .send()
                .await?;
            for item in answer.items.iter().flatten() {
                body.get_or_insert_with(String::new).push_str(get_text(item, "b")?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(body);
            }
        }
    }

    /// All documents of a manifest.
    pub async fn documents(&self, manifest: &Manifest) -> Result<Vec<Document>, StoreError> {
        // Nearly all documents are one chunk: one batch reads them, the rare longer one is read by itself.
        let wanted = manifest.documents.iter().map(|entry| key(keys::policy(&entry.sha), "0000")).collect();
        let mut bodies = BTreeMap::new();
        for item in self.get_many(wanted).await? {
            bodies.insert(get_text(&item, "pk")?.to_owned(), get_text(&item, "b")?.to_owned());
        }
        let mut documents = Vec::new();
        for entry in &manifest.documents {
            let first = bodies.get(&keys::policy(&entry.sha));
            let body = match first {
                Some(body) if body.len() < CHUNK - 4 => body.clone(),
                Some(_) => self.policy_text(&entry.sha).await?.unwrap_or_default(),
                None => {
                    return Err(StoreError::Corrupt(format!(
                        "document {}/{} is missing",
                        entry.kind, entry.name
                    )));
                }
            };
            documents.push(Document::from_json(serde_json::from_str(&body)?)?);
        }
        Ok(documents)
    }
}

fn read_manifest(item: &crate::item::Item) -> Result<Manifest, StoreError> {
    let mut manifest: Manifest = get_document(item, "d")?;
    let version = keys::parse_manifest(get_text(item, "sk")?);
    manifest.version = version.ok_or_else(|| StoreError::Corrupt("not a manifest version".to_owned()))?;
    Ok(manifest)
}

/// The policies a function decides with: the newest, asked for every two seconds, and older ones when a decision is
/// explained.
#[derive(Debug)]
pub struct Policies {
    store: Store,
    current: Mutex<Option<(Arc<PolicySet>, Timestamp)>>,
    older: Mutex<BTreeMap<u64, Arc<PolicySet>>>,
}

impl Policies {
    /// Nothing is loaded yet.
    pub const fn new(store: Store) -> Self {
        Self { store, current: Mutex::new(None), older: Mutex::new(BTreeMap::new()) }
    }

    /// The newest policies as of at most two seconds before `now`.
    pub async fn current(&self, now: Timestamp) -> Result<Arc<PolicySet>, StoreError> {
        let cached = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((set, read)) = &cached
            // Before the first publication every call looks, so that the first takes effect at once.
            && set.version > 0
            && now.since(*read).abs() < FRESH_MS
        {
            return Ok(set.clone());
        }
        let manifest = self.store.manifest().await?;
        let set = match cached {
            Some((set, _)) if set.version == manifest.version => set,
            _ => self.load(&manifest).await?,
        };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((set.clone(), now));
        Ok(set)
    }

    /// The policies of one version, for explanations.
    pub async fn at(&self, version: u64) -> Result<Arc<PolicySet>, StoreError> {
        if let Some(set) = self.older.lock().unwrap_or_else(PoisonError::into_inner).get(&version) {
            return Ok(set.clone());
        }
        let set = self.load(&self.store.manifest_at(version).await?).await?;
        let mut older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        if older.len() >= 16 {
            older.pop_first();
        }
        older.insert(version, set.clone());
        Ok(set)
    }

    async fn load(&self, manifest: &Manifest) -> Result<Arc<PolicySet>, StoreError> {
        let documents = self.store.documents(manifest).await?;
        let set = PolicySet::build(manifest.version, documents);
        let mut set =
            set.map_err(|_| StoreError::Corrupt("a stored condition does not compile".to_owned()))?;
        set.live.segments_since(|name| {
            let entry = manifest.documents.iter().find(|entry| entry.kind == "segment" && entry.name == name);
            entry.map_or(0, |entry| entry.since)
        });
        let behaviour = manifest.documents.iter().filter(|entry| BEHAVIOUR.contains(&entry.kind.as_str()));
        set.counts_since = manifest.counts_since;
        set.behaviour = behaviour.map(|entry| entry.since).max().unwrap_or(0);
        set.gone_topics.clone_from(&manifest.gone_topics);
        set.left.clone_from(&manifest.left);
        Ok(Arc::new(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_as_old_as_the_latest_change_of_a_document_that_says_it() {
        let entry = |kind: &str, since: u64| ManifestEntry {
            kind: kind.to_owned(),
            name: "a".to_owned(),
            sha: format!("{kind}-{since}"),
            since,
        };
        let mut manifest = Manifest::default();
        for (at, documents, counts_since) in [
            (1, vec![entry("form", 1)], None),
            (2, vec![entry("form", 1), entry("segment", 2)], Some(2)),
            (3, vec![entry("form", 3), entry("segment", 2), entry("template", 3)], Some(2)),
            (4, vec![entry("campaign", 4), entry("form", 3), entry("segment", 2)], Some(4)),
            (5, vec![entry("campaign", 4), entry("form", 3), entry("segment", 5)], Some(5)),
            (6, vec![entry("campaign", 4), entry("form", 3)], Some(6)),
            (7, vec![entry("campaign", 4)], Some(6)),
        ] {
            manifest = manifest.next(Timestamp(at), documents);
            assert_eq!(manifest.counts_since, counts_since.map(Timestamp), "version {at}");
            let stored: Manifest = serde_json::from_value(serde_json::to_value(&manifest).unwrap()).unwrap();
            assert_eq!(stored.counts_since, manifest.counts_since);
        }
    }

    #[test]
    fn a_topic_is_gone_from_the_version_that_lacks_it_to_the_one_that_has_it_again() {
        let entry = |kind: &str, name: &str| ManifestEntry {
            kind: kind.to_owned(),
            name: name.to_owned(),
            sha: String::new(),
            since: 1,
        };
        let publish = |before: &Manifest, names: &[&str]| {
            let topics = names.iter().map(|name| entry("topic", name));
            before.next(Timestamp(1), [entry("form", "contact")].into_iter().chain(topics).collect())
        };
        let gone = |manifest: &Manifest| manifest.gone_topics.iter().cloned().collect::<Vec<_>>().join(" ");
        let first = publish(&Manifest::default(), &["news", "offers"]);
        assert_eq!(gone(&first), "");
        let second = publish(&first, &["news"]);
        assert_eq!(gone(&second), "offers");
        let third = publish(&second, &[]);
        assert_eq!(gone(&third), "news offers");
        assert_eq!(gone(&publish(&third, &["offers"])), "news");
        let stored: Manifest = serde_json::from_value(serde_json::to_value(&third).unwrap()).unwrap();
        assert_eq!(gone(&stored), "news offers");
    }
}
