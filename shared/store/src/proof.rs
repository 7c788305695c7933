//! Proofs of what was said about addresses, beside the gates they changed: a word and its proof are one transaction.

use crate::item::{Item, document, get_document, get_text, key, text};
use crate::lead::{read_start, write_cursor};
use crate::{Commit, Page, Store, StoreError, Written, keys};
use sluice_domain::customer::{AddressHash, HashKeys};
use sluice_domain::gate::{Proof, Said};
use sluice_domain::id::CustomerId;
use sluice_domain::lead::Consented;
use sluice_domain::message::Channel;
use std::collections::{BTreeMap, BTreeSet};

/// How often a word is told again because the gate was changed meanwhile.
const ATTEMPTS: u32 = 12;

/// Proofs of one read.
const PAGE: i32 = 200;

/// What became of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is written down, and the gate knows it.
    New,
    /// It was written down before.
    Known,
    /// It counts no more: the person was erased since it was said.
    Forgotten,
}

impl Store {
    /// Writes down what was said about an address and changes its gate accordingly, both or neither. The address comes by
    /// its hashes, the one to write first. The same proof again changes nothing, for ever.
    pub async fn record_wish(
        &self,
        channel: Channel,
        address: &[AddressHash],
        proof: &Proof,
    ) -> Result<Recorded, StoreError> {
        self.record_of(None, channel, address, proof).await
    }

    /// The same of what is said about a customer whom the caller has looked up: nothing is written down once they are erased, and
    /// an erasure that is about to begin sees it.
    pub async fn record_of(
        &self,
        customer: Option<&CustomerId>,
        channel: Channel,
        address: &[AddressHash],
        proof: &Proof,
    ) -> Result<Recorded, StoreError> {
        for _ in 0..ATTEMPTS {
            let commit = customer.into_iter().fold(Commit::default(), Commit::touched_customer);
            let Some(commit) = self.with_told(commit, channel, address, vec![proof.clone()]).await? else {
                return Ok(Recorded::Forgotten);
            };
            if self.commit(commit).await? == Written::Done {
                return Ok(Recorded::New);
            }
            if self.is_recorded(channel, address, proof).await? {
                return Ok(Recorded::Known);
            }
        }
        Err(StoreError::Unavailable("too much contention on a gate".to_owned()))
    }

    /// The same of what may be told at several times and is one word all the same: whatever was told of this cause before, at
    /// whatever time, stands and is the answer.
    pub async fn record_once(
        &self,
        customer: &CustomerId,
        channel: Channel,
        address: &[AddressHash],
        proof: &Proof,
    ) -> Result<Option<Proof>, StoreError> {
        for _ in 0..ATTEMPTS {
            let commit = Commit::default().touched_customer(customer);
            let commit = self.with_told(commit, channel, address, vec![proof.clone()]).await?;
            // Read after the gate, which changes with each proof: what is committed at its version has seen them all.
            let told = self.all_proofs(channel, address).await?;
            if let Some(before) = told.into_iter().find(|before| before.id == proof.id) {
                return Ok(Some(before));
            }
            let Some(commit) = commit else { return Ok(None) };
            if self.commit(commit).await? == Written::Done {
                return Ok(None);
            }
        }
        Err(StoreError::Unavailable("too much contention on a gate".to_owned()))
    }

    /// Adds wishes to what is to be committed, with what they change in the gates of their addresses. They hold for as
    /// long as nobody else changes one of these gates.
    pub async fn with_wishes(
        &self,
        mut commit: Commit,
        wishes: &[Consented],
        keys: &HashKeys,
    ) -> Result<Commit, StoreError> {
        let mut told: BTreeMap<(Channel, Vec<AddressHash>), Vec<Proof>> = BTreeMap::new();
        for Consented { channel, address, proof } in wishes {
            let of_address = told.entry((*channel, keys.hashes(address))).or_default();
            if of_address.iter().all(|other| other.id != proof.id) {
                of_address.push(proof.clone());
            }
        }
        for ((channel, address), proofs) in told {
            if let Some(more) = self.with_told(commit.clone(), channel, &address, proofs).await? {
                commit = more;
            }
        }
        Ok(commit)
    }

    /// With what was said about one address; none if nothing of it counts.
    async fn with_told(
        &self,
        commit: Commit,
        channel: Channel,
        address: &[AddressHash],
        said: Vec<Proof>,
    ) -> Result<Option<Commit>, StoreError> {
        let Some(own) = address.first() else { return Ok(None) };
        let read = self.gates(&[(channel, address.to_vec())]).await?.into_iter().next();
        let mut read = read.ok_or_else(|| StoreError::Unavailable("no gate in the answer".to_owned()))?;
        let mut gate = read.gate.clone();
        let kept: Vec<Proof> = said.iter().filter_map(|proof| proof.beside(&gate)).collect();
        if kept.is_empty() {
            return Ok(None);
        }
        kept.iter().for_each(|proof| proof.tell(&mut gate));
        let back = kept.iter().filter_map(|proof| match &proof.said {
            Said::TakenBack { topic } => Some(topic),
            _ => None,
        });
        let back = BTreeSet::from_iter(back);
        if !back.is_empty() {
            // Read after the gate, which changes with each proof: what is committed at its version has seen them all.
            let mut proofs = self.all_proofs(channel, address).await?;
            proofs.extend(kept.iter().cloned());
            for topic in back {
                gate.leave_of_imports(topic, Proof::newest_import(&proofs, topic));
            }
            read = read.everywhere();
        }
        let commit = kept.iter().fold(commit, |commit, proof| commit.proof(channel, own, proof.clone()));
        Ok(Some(commit.gate(read, gate)))
    }

    /// Writes down the wishes that came with a lead. Of one that was decided `before`, whoever decided it may have done so:
    /// then a look is all it takes.
    pub async fn record_consent(
        &self,
        wishes: &[Consented],
        keys: &HashKeys,
        before: bool,
    ) -> Result<(), StoreError> {
        for Consented { channel, address, proof } in wishes {
            let hashes = keys.hashes(address);
            if before && self.is_recorded(*channel, &hashes, proof).await? {
                continue;
            }
            let _: Recorded = self.record_wish(*channel, &hashes, proof).await?;
        }
        Ok(())
    }

    /// Everything that was said about an address, under each of its hashes.
    pub async fn all_proofs(
        &self,
        channel: Channel,
        address: &[AddressHash],
    ) -> Result<Vec<Proof>, StoreError> {
        let mut proofs = Vec::new();
        for hash in address {
            let mut cursor = None;
            loop {
                let page = self.proofs(channel, hash, cursor.as_deref(), PAGE).await?;
                proofs.extend(page.items);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(proofs)
    }

    /// Whether it is written down, under any of the address's hashes.
    async fn is_recorded(
        &self,
        channel: Channel,
        address: &[AddressHash],
        proof: &Proof,
    ) -> Result<bool, StoreError> {
        Ok(!self.recorded(channel, address, vec![proof.clone()]).await?.is_empty())
    }

    /// Those of some proofs that are written down, under any of the address's hashes.
    pub async fn recorded(
        &self,
        channel: Channel,
        address: &[AddressHash],
        proofs: Vec<Proof>,
    ) -> Result<Vec<Proof>, StoreError> {
        let mut wanted = Vec::new();
        for proof in &proofs {
            let sk = keys::proof(proof.at, &proof.id);
            wanted.extend(address.iter().map(|hash| key(keys::consent(channel, hash), sk.as_str())));
        }
        let found = self.get_many(wanted).await?;
        let found = found.iter().map(|item| get_text(item, "sk")).collect::<Result<BTreeSet<&str>, _>>()?;
        let is_there = |proof: &Proof| found.contains(keys::proof(proof.at, &proof.id).as_str());
        Ok(proofs.into_iter().filter(is_there).collect())
    }

    /// What was said about an address, oldest first; of this hash alone.
    pub async fn proofs(
        &self,
        channel: Channel,
        address: &AddressHash,
        cursor: Option<&str>,
        limit: i32,
    ) -> Result<Page<Proof>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::consent(channel, address)))
            .consistent_read(true)
            .limit(limit)
            .set_exclusive_start_key(read_start(cursor, Some(&keys::consent(channel, address)))?)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default().iter().map(read_proof).collect::<Result<_, _>>()?;
        Ok(Page { items, next: answer.last_evaluated_key.as_ref().map(write_cursor).transpose()? })
    }
}

pub(crate) fn proof_item(channel: Channel, address: &AddressHash, proof: &Proof) -> Result<Item, StoreError> {
    let mut item = key(keys::consent(channel, address), keys::proof(proof.at, &proof.id));
    item.insert("d".to_owned(), document(proof)?);
    Ok(item)
}

fn read_proof(item: &Item) -> Result<Proof, StoreError> {
    let (at, id) = keys::parse_proof(get_text(item, "sk")?)
        .ok_or_else(|| StoreError::Corrupt("not a proof".to_owned()))?;
    let mut proof: Proof = get_document(item, "d")?;
    (proof.at, proof.id) = (at, id);
    Ok(proof)
}
