//! Random lives of a team, and the checker that follows them from outside: it counts leads, never passes.

use super::super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What happens to a team. Numbers pick among what is there.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// New leads in one batch; `lost` if the write fails the first time and the batch is decided again.
    Batch {
        leads: u8,
        lost: bool,
    },
    /// A new lead that one member must not get.
    Barred {
        member: usize,
    },
    /// A lead that was granted, but whose worker died, comes again.
    Redelivered {
        lead: usize,
    },
    GivenBack {
        lead: usize,
    },
    /// Some of the granted leads were committed.
    Settled {
        leads: usize,
    },
    Closed {
        member: usize,
    },
    Sticky {
        member: usize,
        may_exceed: bool,
    },
    Presence {
        member: usize,
        available: bool,
    },
    Weight {
        member: usize,
        weight: u32,
    },
    Capacity {
        member: usize,
        capacity: Option<u32>,
    },
    /// Leaves the team's document, or comes back into it.
    Membership {
        member: usize,
        listed: bool,
    },
}

/// A known-bad scheduler: the real one with something taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    IgnoresWeights,
    NoRaiseOnReturn,
    GrantsTwice,
    IgnoresCapacity,
    RefundsNothing,
    KeepsRefundsOpen,
}

/// Two to five members and up to 100 steps.
pub(super) fn team() -> impl Strategy<Value = (Vec<Member>, Vec<Step>)> {
    let capacity = || proptest::option::weighted(0.4, 1u32..12);
    let members = proptest::collection::vec((1u32..=20, capacity()), 2..=5).prop_map(|members| {
        let named = members.into_iter().enumerate();
        named.map(|(i, (weight, capacity))| super::member(&format!("r{i}"), weight, capacity)).collect()
    });
    let pick = || any::<usize>();
    let step = prop_oneof![
        12 => (1u8..12, any::<bool>()).prop_map(|(leads, lost)| Step::Batch { leads, lost }),
        1 => pick().prop_map(|member| Step::Barred { member }),
        3 => pick().prop_map(|lead| Step::Redelivered { lead }),
        4 => pick().prop_map(|lead| Step::GivenBack { lead }),
        6 => (1usize..20).prop_map(|leads| Step::Settled { leads }),
        8 => pick().prop_map(|member| Step::Closed { member }),
        1 => (pick(), any::<bool>()).prop_map(|(member, may_exceed)| Step::Sticky { member, may_exceed }),
        3 => (pick(), any::<bool>()).prop_map(|(member, available)| Step::Presence { member, available }),
        1 => (pick(), 1u32..=20).prop_map(|(member, weight)| Step::Weight { member, weight }),
        1 => (pick(), capacity()).prop_map(|(member, capacity)| Step::Capacity { member, capacity }),
        1 => (pick(), any::<bool>()).prop_map(|(member, listed)| Step::Membership { member, listed }),
    ];
    (members, proptest::collection::vec(step, 1..100))
}

/// Lives one life; the first thing that is not as promised is the error.
pub(super) fn live(members: Vec<Member>, steps: &[Step], bug: Option<Bug>) -> Result<(), String> {
    let books = Books::new(members.len());
    let listed = vec![true; members.len()];
    let mut life =
        Life { members, listed, bug, state: TeamState::default(), leads: 0, held: Vec::new(), books };
    for (number, step) in steps.iter().enumerate() {
        life.step(step)
            .and_then(|()| life.check())
            .map_err(|found| format!("step {number}, {step:?}: {found}"))?;
    }
    Ok(())
}

struct Life {
    members: Vec<Member>,
    listed: Vec<bool>,
    bug: Option<Bug>,
    state: TeamState,
    leads: u32,
    /// Outstanding grants: the lead, the member, and what it counts (0 if sticky).
    held: Vec<(LeadId, usize, i128)>,
    books: Books,
}

impl Life {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let count = self.members.len();
        match *step {
            Step::Batch { leads, lost } => {
                if lost {
                    let mut once = self.state.clone();
                    let first = self.scheduled(&mut once, &super::lead(self.leads), &|_| None);
                    let mut again = self.state.clone();
                    if self.scheduled(&mut again, &super::lead(self.leads), &|_| None) != first
                        || once != again
                    {
                        return Err("decided otherwise the second time".to_owned());
                    }
                }
                for _ in 0..leads {
                    self.new_lead(None)?;
                }
                let stored = serde_json::to_string(&self.state).unwrap();
                self.state = serde_json::from_str(&stored).unwrap();
            }
            Step::Barred { member } => self.new_lead(Some(member % count))?,
            Step::Redelivered { lead } if !self.held.is_empty() => {
                let (lead, member, _) = self.held[lead % self.held.len()].clone();
                let mut state = self.state.clone();
                let answer = self.scheduled(&mut state, &lead, &|_| None);
                let same =
                    matches!(&answer, Assignment::Granted { rep, .. } if *rep == self.members[member].rep);
                if !same || state != self.state {
                    return Err("a lead was granted twice".to_owned());
                }
            }
            Step::GivenBack { lead } if !self.held.is_empty() => {
                let (lead, member, paid) = self.held.swap_remove(lead % self.held.len());
                self.refund(&lead);
                self.books.open[member] -= 1;
                self.books.refunded(member, paid);
            }
            Step::Redelivered { .. } | Step::GivenBack { .. } => {}
            Step::Settled { leads } => {
                for _ in 0..leads.min(self.held.len()) {
                    let (lead, _, _) = self.held.swap_remove(leads % self.held.len());
                    if !settle(&mut self.state, &lead) {
                        return Err("a grant was lost".to_owned());
                    }
                }
            }
            Step::Closed { member } => {
                let member = member % count;
                let outstanding = self.held.iter().filter(|(_, holder, _)| *holder == member).count() as i64;
                if self.books.open[member] > outstanding {
                    close(&mut self.state, &self.members[member].rep);
                    self.books.open[member] -= 1;
                }
            }
            Step::Sticky { member, may_exceed } => {
                let member = member % count;
                let lead = self.next_lead();
                let open = self.books.open[member];
                let full = self.members[member].capacity.is_some_and(|capacity| open >= i64::from(capacity));
                let taken =
                    take_sticky(&mut self.state, &self.members[member], &lead, Timestamp(0), may_exceed);
                if taken.is_ok() == (full && !may_exceed) {
                    return Err(format!(
                        "sticky at {open} open: {taken:?}, past capacity or refused below it"
                    ));
                }
                if taken.is_ok() {
                    self.books.open[member] += 1;
                    self.held.push((lead, member, 0));
                }
            }
            Step::Presence { member, available } => self.members[member % count].available = available,
            Step::Weight { member, weight } => {
                self.members[member % count].weight = weight;
                self.books.start_afresh(member % count);
            }
            Step::Capacity { member, capacity } => self.members[member % count].capacity = capacity,
            Step::Membership { member, listed } => {
                self.listed[member % count] = listed;
            }
        }
        Ok(())
    }

    fn next_lead(&mut self) -> LeadId {
        self.leads += 1;
        super::lead(self.leads - 1)
    }

    fn new_lead(&mut self, barred: Option<usize>) -> Result<(), String> {
        let lead = self.next_lead();
        let standing: Vec<Standing> = (0..self.members.len()).map(|i| self.standing(i, barred)).collect();
        self.books.looked(&standing, &self.members);
        let bar = |rep: &str| barred.filter(|i| self.members[*i].rep == rep).map(|_| PassedOver::Excluded);
        let mut state = std::mem::take(&mut self.state);
        let answer = self.scheduled(&mut state, &lead, &bar);
        self.state = state;
        let Assignment::Granted { rep, seen } = answer else {
            let somebody = standing.contains(&Standing::Eligible);
            return if somebody { Err("nobody, though somebody was eligible".to_owned()) } else { Ok(()) };
        };
        if choose(&seen) != seen.chosen {
            return Err("the snapshot decides otherwise".to_owned());
        }
        let winner = self.members.iter().position(|member| member.rep == rep).ok_or("a stranger")?;
        match standing[winner] {
            Standing::Eligible => {}
            Standing::Full => return Err(format!("{rep} was granted a lead past capacity")),
            other => return Err(format!("{rep} was granted a lead, though {other:?}")),
        }
        self.books.open[winner] += 1;
        self.held.push((lead, winner, share(&self.members[winner])));
        self.books.granted(winner, &self.members)
    }

    fn standing(&self, member: usize, barred: Option<usize>) -> Standing {
        let capacity = self.members[member].capacity;
        if !self.listed[member] || !self.members[member].available {
            Standing::Gone
        } else if barred == Some(member) {
            Standing::Barred
        } else if capacity.is_some_and(|capacity| self.books.open[member] >= i64::from(capacity)) {
            Standing::Full
        } else {
            Standing::Eligible
        }
    }

    /// Open leads are those granted or taken, less those given back or closed.
    fn check(&self) -> Result<(), String> {
        for (i, open) in self.books.open.iter().enumerate() {
            let counted = self.state.members.get(&self.members[i].rep).map_or(0, |place| place.open);
            if i64::from(counted) != *open {
                return Err(format!("r{i} has {open} open, the team counts {counted}"));
            }
        }
        if self.state.grants.len() != self.held.len() {
            return Err("outstanding grants were lost".to_owned());
        }
        Ok(())
    }

    fn scheduled(
        &self,
        state: &mut TeamState,
        lead: &LeadId,
        bar: &dyn Fn(&str) -> Option<PassedOver>,
    ) -> Assignment {
        let mut members: Vec<Member> = self
            .members
            .iter()
            .zip(&self.listed)
            .filter(|(_, listed)| **listed)
            .map(|(m, _)| m.clone())
            .collect();
        match self.bug {
            Some(Bug::IgnoresWeights) => members.iter_mut().for_each(|member| member.weight = 1),
            Some(Bug::IgnoresCapacity) => members.iter_mut().for_each(|member| member.capacity = None),
            Some(Bug::GrantsTwice) => drop(state.grants.remove(lead)),
            Some(Bug::NoRaiseOnReturn) if !state.grants.contains_key(lead) => {
                state.members.values_mut().for_each(|place| place.away = false);
            }
            _ => {}
        }
        let found = state.grants.contains_key(lead);
        let answer = grant(state, &members, lead, Timestamp(0), bar);
        if self.bug == Some(Bug::NoRaiseOnReturn) && !found {
            // The others' passes move on by this much; whoever is not there stays behind by it.
            let weights: u32 = members.iter().map(|member| member.weight).sum();
            let missed = SCALE / u64::from(weights);
            state.members.values_mut().filter(|place| place.away).for_each(|place| place.credit += missed);
        }
        answer
    }

    fn refund(&mut self, lead: &LeadId) {
        match self.bug {
            Some(Bug::RefundsNothing) => {
                if let Some(grant) = self.state.grants.get_mut(lead) {
                    grant.paid = 0;
                }
                give_back(&mut self.state, lead);
            }
            Some(Bug::KeepsRefundsOpen) => drop(self.state.grants.remove(lead)),
            _ => drop(give_back(&mut self.state, lead)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Eligible,
    Full,
    Gone,
    Barred,
}

/// One lead of this member in shares: 1 / weight, exact in units of 1 / [`SCALE`].
fn share(member: &Member) -> i128 {
    i128::from(SCALE / u64::from(member.weight))
}

/// What was received, counted from outside in exact shares.
struct Books {
    open: Vec<i64>,
    /// Received and kept, in shares.
    kept: Vec<i128>,
    /// Given back and not yet followed by as much, in shares. Forgotten when a member returns.
    owed: Vec<i128>,
    gone: Vec<bool>,
    /// For pairs eligible at every decision since: see [`Since`].
    pairs: BTreeMap<(usize, usize), Since>,
    /// For members that came (back): how it has gone since, while the same members were there.
    returned: BTreeMap<usize, Returned>,
    decisions: u64,
}

/// Where a pair's count began.
#[derive(Clone, Copy)]
struct Since {
    /// Both were there from the first decision on, so neither had a lead's head start.
    clean: bool,
    /// `kept` of the first less `kept` of the second.
    ahead: i128,
    owed: (i128, i128),
}

struct Returned {
    among: Vec<usize>,
    leads: i128,
    received: i128,
}

impl Books {
    fn new(count: usize) -> Self {
        Self {
            open: vec![0; count],
            kept: vec![0; count],
            owed: vec![0; count],
            gone: vec![true; count],
            pairs: BTreeMap::new(),
            returned: BTreeMap::new(),
            decisions: 0,
        }
    }

    fn start_afresh(&mut self, member: usize) {
        self.pairs.retain(|(i, j), _| *i != member && *j != member);
        self.returned.clear();
    }

    fn looked(&mut self, standing: &[Standing], members: &[Member]) {
        let among: Vec<usize> = (0..members.len()).filter(|i| standing[*i] == Standing::Eligible).collect();
        self.returned.retain(|_, returned| returned.among == among);
        for &i in &among {
            if std::mem::take(&mut self.gone[i]) {
                self.owed[i] = 0;
                self.returned.insert(i, Returned { among: among.clone(), leads: 0, received: 0 });
            }
        }
        for (i, standing) in standing.iter().enumerate() {
            self.gone[i] |= matches!(standing, Standing::Full | Standing::Gone);
            for j in 0..i {
                if !among.contains(&i) || !among.contains(&j) {
                    self.pairs.remove(&(i, j));
                    continue;
                }
                let ahead = self.kept[i] - self.kept[j];
                let owed = (self.owed[i], self.owed[j]);
                self.pairs.entry((i, j)).or_insert(Since { clean: self.decisions == 0, ahead, owed });
            }
        }
        self.decisions += 1;
    }

    fn refunded(&mut self, member: usize, paid: i128) {
        self.kept[member] -= paid;
        self.owed[member] += paid;
        if paid > 0 {
            self.returned.clear();
        }
    }

    fn granted(&mut self, winner: usize, members: &[Member]) -> Result<(), String> {
        self.kept[winner] += share(&members[winner]);
        self.owed[winner] = (self.owed[winner] - share(&members[winner])).max(0);
        self.shares_are_even(members)?;
        for (i, returned) in &mut self.returned {
            returned.leads += 1;
            returned.received += i128::from(*i == winner);
            let (weight, others) = (i128::from(members[*i].weight), returned.among.len() as i128 - 1);
            let weights: i128 = returned.among.iter().map(|i| i128::from(members[*i].weight)).sum();
            if (returned.received - 1) * weights > (returned.leads - 1 + others) * weight {
                return Err(format!("r{i} was flooded: {} of {} leads", returned.received, returned.leads));
            }
        }
        Ok(())
    }

    /// Nobody is ahead of another by more than its own lead, plus what the other is owed; for a pair that did not
    /// begin together, plus the head start the other may have had.
    fn shares_are_even(&self, members: &[Member]) -> Result<(), String> {
        for ((i, j), since) in &self.pairs {
            let ahead = self.kept[*i] - self.kept[*j] - since.ahead;
            let start = |share: i128, owed: i128| if since.clean { 0 } else { share + owed };
            let (mine, theirs) = (share(&members[*i]), share(&members[*j]));
            let most = mine + self.owed[*j] + start(theirs, since.owed.0);
            let least = theirs + self.owed[*i] + start(mine, since.owed.1);
            if ahead > most || -ahead > least {
                return Err(format!(
                    "r{i} is {ahead} ahead of r{j}, more than a fair share ({least}, {most})"
                ));
            }
        }
        Ok(())
    }
}
