//! Teams: each one item, one conditional write a batch.

use crate::item::{document, get_document, get_number, get_text, key, number};
use crate::{Store, StoreError, Written, keys};
use sluice_domain::team::TeamState;
use std::collections::{BTreeMap, BTreeSet};

/// A team's shares and the version they were read at (0: not stored yet).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TeamRecord {
    /// Shares, open counts, outstanding grants.
    pub state: TeamState,
    /// Version read.
    pub version: u64,
}

impl Store {
    /// Teams by name; one never written is empty at version 0.
    pub async fn teams(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, TeamRecord>, StoreError> {
        let mut teams: BTreeMap<String, TeamRecord> =
            names.iter().map(|name| (name.clone(), TeamRecord::default())).collect();
        if names.is_empty() {
            return Ok(teams);
        }
        let wanted = names.iter().map(|name| key(keys::team(name), keys::TEAM)).collect();
        for item in self.get_many(wanted).await? {
            let name = keys::parse_team(get_text(&item, "pk")?).unwrap_or_default().to_owned();
            let record = TeamRecord { state: get_document(&item, "d")?, version: get_number(&item, "v")? };
            teams.insert(name, record);
        }
        Ok(teams)
    }

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
