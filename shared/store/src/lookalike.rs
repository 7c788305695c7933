//! Blocking keys: where customers who may be one person are found without an identity.

use crate::item::{Item, get_text, key};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::types::AttributeValue;
use sluice_domain::customer::{AddressHash, HashKeys, Known};
use sluice_domain::id::CustomerId;
use sluice_domain::matching::BlockingKey;
use std::collections::{BTreeMap, BTreeSet};

/// Customers listed under one key. A key that more share says too little, and its item stays below one write unit.
const MOST: u32 = 20;

/// Whom a lead may be one with.
#[derive(Clone, Debug, Default)]
pub struct Lookalikes {
    /// The lead's keys as they are written now, and who is listed there.
    pub keys: Vec<(AddressHash, BTreeSet<CustomerId>)>,
    /// Everybody found under them, also under those of the previous hash key.
    pub candidates: BTreeSet<CustomerId>,
}

impl Store {
    /// Finds whom leads may be one with and loads them into what is known of each lead: one read for all keys, then the
    /// customers. One [`Lookalikes`] a lead, in order.
    pub async fn lookalikes(
        &self,
        leads: &[Vec<BlockingKey>],
        hash_keys: &HashKeys,
        known: &mut [Known],
    ) -> Result<Vec<Lookalikes>, StoreError> {
        let hashes: Vec<Vec<Vec<AddressHash>>> =
            leads.iter().map(|keys| keys.iter().map(|key| hash_keys.block_hashes(key)).collect()).collect();
        let wanted: BTreeSet<AddressHash> = hashes.iter().flatten().flatten().cloned().collect();
        if wanted.is_empty() {
            return Ok(vec![Lookalikes::default(); leads.len()]);
        }
        let wanted = wanted.iter().map(|hash| key(keys::block(hash), keys::BLOCK)).collect();
        let listed = self.get_many(wanted).await?;
        let listed: BTreeMap<AddressHash, BTreeSet<CustomerId>> =
            listed.iter().map(read_block).collect::<Result<_, _>>()?;
        let found: Vec<Lookalikes> = hashes
            .into_iter()
            .map(|of_lead| {
                let at = |hash: &AddressHash| listed.get(hash).cloned().unwrap_or_default();
                let candidates = of_lead.iter().flatten().flat_map(at).collect();
                let keys = of_lead.into_iter().filter_map(|hashes| hashes.into_iter().next());
                Lookalikes { keys: keys.map(|hash| (hash.clone(), at(&hash))).collect(), candidates }
            })
            .collect();
        let everybody: BTreeSet<CustomerId> =
            found.iter().flat_map(|found| found.candidates.iter().cloned()).collect();
        let people = self.people(everybody).await?;
        for known in known {
            known.customers.extend(people.customers.clone());
        }
        Ok(found)
    }

    /// Lists a customer under a key, unless the list is full. Twice is once.
    pub async fn add_lookalike(&self, hash: &AddressHash, customer: &CustomerId) -> Result<(), StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(keys::block(hash), keys::BLOCK)))
            .update_expression("ADD w :w")
            .condition_expression("attribute_not_exists(w) OR size(w) < :most")
            .expression_attribute_values(":w", AttributeValue::Ss(vec![customer.to_string()]))
            .expression_attribute_values(":most", AttributeValue::N(MOST.to_string()))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn read_block(item: &Item) -> Result<(AddressHash, BTreeSet<CustomerId>), StoreError> {
    let hash = keys::parse_block(get_text(item, "pk")?)
        .ok_or_else(|| StoreError::Corrupt("not a blocking key".to_owned()))?;
    let ids = item.get("w").and_then(|value| value.as_ss().ok());
    Ok((hash, ids.into_iter().flatten().filter_map(|id| CustomerId::parse(id)).collect()))
}
