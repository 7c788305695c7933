//! What a decision needs of teams, reps and companies, read in one call.

use crate::item::{Item, document, get_document, get_number, get_text, key, number};
use crate::{Store, StoreError, TeamRecord, Written, keys};
use sluice_domain::calendar::Leave;
use sluice_domain::customer::Ownership;
use std::collections::{BTreeMap, BTreeSet};

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Teams and rounds by name.
    pub teams: BTreeSet<String>,
    /// Reps whose absences matter.
    pub reps: BTreeSet<String>,
    /// Companies by their domain.
    pub companies: BTreeSet<String>,
}

impl Wanted {
    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.teams.is_empty() && self.reps.is_empty() && self.companies.is_empty()
    }
}

/// What was read. Teams and reps that were never written are there, empty; companies without an owner are not.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    /// By name.
    pub teams: BTreeMap<String, TeamRecord>,
    /// By rep.
    pub leave: BTreeMap<String, LeaveRecord>,
    /// By domain.
    pub companies: BTreeMap<String, CompanyRecord>,
}

/// Absences a rep has set, and the version they were read at (0: none stored yet).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeaveRecord {
    /// The absences.
    pub leave: Leave,
    /// Version read.
    pub version: u64,
}

/// Who owns a company, and the version it was read at.
#[derive(Clone, Debug, PartialEq)]
pub struct CompanyRecord {
    /// The owner.
    pub owner: Ownership,
    /// Version read.
    pub version: u64,
}

impl Store {
    /// Everything wanted, strongly consistent.
    pub async fn desk(&self, wanted: &Wanted) -> Result<Desk, StoreError> {
        let mut desk = Desk {
            teams: wanted.teams.iter().map(|name| (name.clone(), TeamRecord::default())).collect(),
            leave: wanted.reps.iter().map(|name| (name.clone(), LeaveRecord::default())).collect(),
            companies: BTreeMap::new(),
        };
        if wanted.is_empty() {
            return Ok(desk);
        }
        let teams = wanted.teams.iter().map(|name| key(keys::team(name), keys::TEAM));
        let reps = wanted.reps.iter().map(|name| key(keys::leave(name), keys::LEAVE));
        let companies = wanted.companies.iter().map(|domain| key(keys::company(domain), keys::COMPANY));
        for item in self.get_many(teams.chain(reps).chain(companies).collect()).await? {
            let (pk, version) = (get_text(&item, "pk")?, get_number(&item, "v")?);
            if let Some(name) = keys::parse_team(pk) {
                let state = get_document(&item, "d")?;
                desk.teams.insert(name.to_owned(), TeamRecord { state, version });
            } else if let Some(name) = keys::parse_leave(pk) {
                let leave = get_document(&item, "d")?;
                desk.leave.insert(name.to_owned(), LeaveRecord { leave, version });
            } else if let Some(domain) = keys::parse_company(pk) {
                let owner = get_document(&item, "d")?;
                desk.companies.insert(domain.to_owned(), CompanyRecord { owner, version });
            }
        }
        Ok(desk)
    }

    /// Stores a rep's absences if nobody changed them since they were read.
    pub async fn put_leave(&self, rep: &str, record: &LeaveRecord) -> Result<Written, StoreError> {
        let mut item: Item = key(keys::leave(rep), keys::LEAVE);
        item.insert("v".to_owned(), number(record.version + 1));
        item.insert("d".to_owned(), document(&record.leave)?);
        match record.version {
            0 => Ok(if self.put_once(item).await?.is_none() { Written::Done } else { Written::Conflict }),
            version => self.replace(item, version).await,
        }
    }
}
