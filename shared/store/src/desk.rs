//! What a decision needs of teams, reps and companies, read in one call.

use crate::item::{get_document, get_number, get_text, key};
use crate::{Store, StoreError, TeamRecord, keys};
use sluice_domain::calendar::Leave;
use sluice_domain::customer::Ownership;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

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
    /// The owner; since the lead was decided by which the company was found.
    pub owner: Ownership,
    /// Version read.
    pub version: u64,
}

/// Absences as they were when so many changes of absences had been made. Every change of one counts up: as long as the
/// count is the same, so are all of them.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    changes: u64,
    of: BTreeMap<String, LeaveRecord>,
}

impl Store {
    /// Everything wanted, strongly consistent. Of absences only the count of their changes is read, one unit however
    /// many members a team has; those that are not at hand as of that count are read after it.
    pub async fn desk(&self, wanted: &Wanted) -> Result<Desk, StoreError> {
        let mut desk = Desk {
            teams: wanted.teams.iter().map(|name| (name.clone(), TeamRecord::default())).collect(),
            ..Desk::default()
        };
        if wanted.is_empty() {
            return Ok(desk);
        }
        let teams = wanted.teams.iter().map(|name| key(keys::team(name), keys::TEAM));
        let companies = wanted.companies.iter().map(|domain| key(keys::company(domain), keys::COMPANY));
        let count = (!wanted.reps.is_empty()).then(|| key(keys::LEAVES, keys::COUNT));
        let mut changes = 0;
        for item in self.get_many(teams.chain(companies).chain(count).collect()).await? {
            let (pk, version) = (get_text(&item, "pk")?, get_number(&item, "v")?);
            if let Some(name) = keys::parse_team(pk) {
                let state = get_document(&item, "d")?;
                desk.teams.insert(name.to_owned(), TeamRecord { state, version });
            } else if let Some(domain) = keys::parse_company(pk) {
                let owner = get_document(&item, "d")?;
                desk.companies.insert(domain.to_owned(), CompanyRecord { owner, version });
            } else if pk == keys::LEAVES {
                changes = version;
            }
        }
        desk.leave = self.absences(&wanted.reps, changes).await?;
        Ok(desk)
    }

    /// The absences of these reps after `changes` changes, or newer ones.
    async fn absences(
        &self,
        reps: &BTreeSet<String>,
        changes: u64,
    ) -> Result<BTreeMap<String, LeaveRecord>, StoreError> {
        let mut found = BTreeMap::new();
        {
            let at_hand = self.absences.lock().unwrap_or_else(PoisonError::into_inner);
            if at_hand.changes == changes {
                let of = |rep: &String| Some((rep.clone(), at_hand.of.get(rep)?.clone()));
                found.extend(reps.iter().filter_map(of));
            }
        }
        let unknown: Vec<&String> = reps.iter().filter(|rep| !found.contains_key(*rep)).collect();
        if unknown.is_empty() {
            return Ok(found);
        }
        let mut read: BTreeMap<String, LeaveRecord> =
            unknown.iter().map(|rep| ((*rep).clone(), LeaveRecord::default())).collect();
        let wanted = unknown.iter().map(|rep| key(keys::leave(rep), keys::LEAVE)).collect();
        for item in self.get_many(wanted).await? {
            let record = LeaveRecord { leave: get_document(&item, "d")?, version: get_number(&item, "v")? };
            let rep = keys::parse_leave(get_text(&item, "pk")?).unwrap_or_default();
            read.insert(rep.to_owned(), record);
        }
        let mut at_hand = self.absences.lock().unwrap_or_else(PoisonError::into_inner);
        if at_hand.changes < changes {
            *at_hand = Absences { changes, of: BTreeMap::new() };
        }
        // What was read after a count is as of that count or newer: good for it, never for a later one.
        if at_hand.changes == changes {
            at_hand.of.extend(read.clone());
        }
        found.extend(read);
        Ok(found)
    }
}
