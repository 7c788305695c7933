//! Gates: one item for each address and channel.

use crate::commit::{check_version, versioned_put};
use crate::item::{Item, document, get_document, get_number, get_text, key, number};
use crate::{Commit, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::TransactWriteItem;
use sluice_domain::customer::AddressHash;
use sluice_domain::gate::Gate;
use sluice_domain::message::Channel;
use std::collections::BTreeMap;

/// A gate as it was read. Since the hash key was rotated an address has several items, and what they say counts together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRecord {
    /// The channel.
    pub channel: Channel,
    /// What it says.
    pub gate: Gate,
    /// The address under each key with the version read, 0 for "not stored yet"; the first is the one to write.
    rows: Vec<(AddressHash, u64)>,
    /// What it is changed to takes the place of each item.
    everywhere: bool,
}

impl GateRecord {
    /// The address as gates are written under.
    pub fn address(&self) -> Option<&AddressHash> {
        self.rows.first().map(|(hash, _)| hash)
    }

    /// Items that a transaction with it touches.
    pub const fn items(&self) -> usize {
        self.rows.len()
    }

    /// Whether anything is stored of it.
    pub fn is_stored(&self) -> bool {
        self.rows.iter().any(|(_, version)| *version > 0)
    }

    /// To be changed in each of its items: something is taken out of it, that the others would still say.
    #[must_use]
    pub fn everywhere(self) -> Self {
        Self { everywhere: true, ..self }
    }

    /// The writes that store `gate` in place of what was read.
    pub(crate) fn writes(&self, gate: &Gate, table: &str) -> Result<Vec<TransactWriteItem>, StoreError> {
        let write = |(place, (hash, version)): (usize, &(AddressHash, u64))| {
            if place > 0 && !(self.everywhere && *version > 0) {
                return self.check(hash, *version, table);
            }
            let put = versioned_put(table, gate_item(self.channel, hash, *version + 1, gate)?, *version)?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        self.rows.iter().enumerate().map(write).collect()
    }

    /// Conditions that its items are as they were read.
    pub(crate) fn checks(&self, table: &str) -> Result<Vec<TransactWriteItem>, StoreError> {
        self.rows.iter().map(|(hash, version)| self.check(hash, *version, table)).collect()
    }

    fn check(&self, hash: &AddressHash, version: u64, table: &str) -> Result<TransactWriteItem, StoreError> {
        check_version(table, key(keys::gate(self.channel, hash), keys::GATE), version)
    }
}

impl Store {
    /// Gates by channel and address, each address with its hashes, the one to write first. In order; what is not
    /// stored says nothing.
    pub async fn gates(&self, wanted: &[(Channel, Vec<AddressHash>)]) -> Result<Vec<GateRecord>, StoreError> {
        let all = wanted
            .iter()
            .flat_map(|(channel, hashes)| hashes.iter().map(|hash| keys::gate(*channel, hash)))
            .collect::<std::collections::BTreeSet<_>>();
        let all: Vec<Item> = all.into_iter().map(|pk| key(pk, keys::GATE)).collect();
        let mut found: BTreeMap<(Channel, AddressHash), (Gate, u64)> = BTreeMap::new();
        for item in self.get_many(all).await? {
            let named = keys::parse_gate(get_text(&item, "pk")?)
                .ok_or_else(|| StoreError::Corrupt("not a gate".to_owned()))?;
            found.insert(named, (get_document(&item, "d")?, get_number(&item, "v")?));
        }
        let record = |(channel, hashes): &(Channel, Vec<AddressHash>)| {
            let (gate, rows) = (Gate::default(), Vec::new());
            let mut record = GateRecord { channel: *channel, gate, rows, everywhere: false };
            for hash in hashes {
                let (gate, version) = found.get(&(*channel, hash.clone())).cloned().unwrap_or_default();
                record.gate = record.gate.together(&gate);
                record.rows.push((hash.clone(), version));
            }
            record
        };
        Ok(wanted.iter().map(record).collect())
    }

    /// Stores a gate as it shall be, if nobody changed it since it was read.
    pub async fn update_gate(&self, read: &GateRecord, gate: &Gate) -> Result<Written, StoreError> {
        match read.rows.as_slice() {
            [(hash, 0)] => {
                let put = self.put_once(gate_item(read.channel, hash, 1, gate)?).await?;
                Ok(if put.is_none() { Written::Done } else { Written::Conflict })
            }
            [(hash, version)] => {
                self.replace(gate_item(read.channel, hash, version + 1, gate)?, *version).await
            }
            _ => self.commit(Commit::default().gate(read.clone(), gate.clone())).await,
        }
    }
}

fn gate_item(channel: Channel, hash: &AddressHash, version: u64, gate: &Gate) -> Result<Item, StoreError> {
    let mut item = key(keys::gate(channel, hash), keys::GATE);
    item.insert("v".to_owned(), number(version));
    item.insert("d".to_owned(), document(gate)?);
    Ok(item)
}
