//! Customers that no identity leads to and that are described alike: found, considered, and made findable.

use crate::Router;
use crate::batch::Work;
use sluice_domain::customer::{HashKeys, Recognition, blocking_keys, consider};
use sluice_domain::lead::Flag;
use sluice_domain::policy::PolicySet;
use sluice_store::StoreError;

impl Router {
    /// Loads whom the leads may be one with, where the settings ask for it.
    pub(crate) async fn find_lookalikes(
        &self,
        works: &mut [Work],
        policies: &PolicySet,
        keys: &HashKeys,
    ) -> Result<(), StoreError> {
        if !policies.settings.matching.is_on() {
            return Ok(());
        }
        let blocks: Vec<_> = works.iter().map(|work| blocking_keys(&work.facts)).collect();
        let mut known: Vec<_> = works.iter_mut().map(|work| std::mem::take(&mut work.known)).collect();
        let found = self.store.lookalikes(&blocks, keys, &mut known).await?;
        for (work, (known, alike)) in works.iter_mut().zip(known.into_iter().zip(found)) {
            work.known = known;
            work.alike = alike;
        }
        Ok(())
    }

    /// Considers them, and lists the lead's own record under its keys: before the commit, as addresses are claimed, so
    /// that no crash leaves a customer who is never found. A list that names a customer who was never created does
    /// no harm.
    pub(crate) async fn resemble(
        &self,
        work: &Work,
        who: &mut Recognition,
        policies: &PolicySet,
    ) -> Result<(), StoreError> {
        consider(who, &work.facts, &work.known, &work.alike.candidates, &policies.settings);
        if work.facts.flags.contains(&Flag::Empty) {
            return Ok(());
        }
        // Another record of the person may be listed already: taken apart, each is to be found by itself.
        for (key, _) in work.alike.keys.iter().filter(|(_, listed)| !listed.contains(&who.home)) {
            self.store.add_lookalike(key, &who.home).await?;
        }
        Ok(())
    }
}
