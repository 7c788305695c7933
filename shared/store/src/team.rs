//! Teams: each one item, one conditional write a batch.

use crate::item::{document, key, number};
use crate::{Store, StoreError, Written, keys};
use sluice_domain::team::TeamState;

/// A team's shares and the version they were read at (0: not stored yet).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TeamRecord {
    /// Shares, open counts, outstanding grants.
    pub state: TeamState,
    /// Version read.
    pub version: u64,
}

impl Store {
    /// Stores a team if nobody changed it since it was read.
    pub async fn put_team(&self, name: &str, team: &TeamRecord) -> Result<Written, StoreError> {
        let mut item = key(keys::team(name), keys::TEAM);
        item.insert("v".to_owned(), number(team.version + 1));
        item.insert("d".to_owned(), document(&team.state)?);
        match team.version {
            0 => Ok(if self.put_once(item).await?.is_none() { Written::Done } else { Written::Conflict }),
            version => self.replace(item, version).await,
        }
    }
}
