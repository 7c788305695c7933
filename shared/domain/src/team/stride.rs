//! Grants, refunds and the order between members. The invariant everything rests on: after each grant the least pass
//! of the eligible members is 0 and no pass exceeds its member's stride, so passes never drift and never overflow.

use super::{Assignment, Grant, Load, Member, MemberState, PassedOver, SCALE, Seen, Snapshot, TeamState};
use crate::id::LeadId;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// Grants `lead` to the eligible member whose turn it is, or finds the grant it already has.
///
/// `passed_over` gives the reasons that are about the lead (a language, a rep that it must not go to again); absence
/// and capacity are looked at here. Call it for each lead of a batch on one state, then write
/// the state once. A grant that was found is returned as it was made, whatever has changed since: to move the lead
/// elsewhere, [`give_back`] first.
pub fn grant(
    state: &mut TeamState,
    members: &[Member],
    lead: &LeadId,
    at: Timestamp,
    passed_over: &dyn Fn(&str) -> Option<PassedOver>,
) -> Assignment {
    if let Some(found) = state.grants.get(lead) {
        return Assignment::Granted { rep: found.rep.clone(), seen: found.seen.clone() };
    }
    forget_who_left(state, members);
    for member in members {
        enrol(state, &member.rep);
    }
    let seen = look(state, members, passed_over);
    take_note(state, members, &seen);
    let Some(member) = seen.chosen.and_then(|index| members.get(index)) else {
        return Assignment::Nobody { seen };
    };
    let paid = stride(member.weight);
    let place = enrol(state, &member.rep);
    let from_credit = place.credit.min(paid);
    place.credit -= from_credit;
    place.owed = place.owed.saturating_sub(paid);
    place.pass = place.pass.saturating_add(paid - from_credit);
    place.open = place.open.saturating_add(1);
    to_the_back(state, &member.rep);
    renormalise(state, members, &seen);
    let rep = member.rep.clone();
    state.grants.insert(lead.clone(), Grant { rep: rep.clone(), paid, at, seen: seen.clone() });
    Assignment::Granted { rep, seen }
}

/// What [`grant`] would see now. Changes nothing.
pub fn peek(
    state: &TeamState,
    members: &[Member],
    passed_over: &dyn Fn(&str) -> Option<PassedOver>,
) -> Snapshot {
    look(state, members, passed_over)
}

/// Whose turn it is: of the eligible members the one with the lowest pass; between equals the one not served for
/// longest; then the document's order.
///
/// Neither chance nor a clock decides, so the decision can be made again from what it saw. The document's order alone
/// would starve a member who is here for one lead at a time (each time they return level with the others, and lose),
/// and putting whoever returns first would let a rep collect leads by going away and coming back.
pub fn choose(seen: &Snapshot) -> Option<usize> {
    let eligible = seen.members.iter().enumerate().filter(|(_, member)| member.passed_over.is_none());
    eligible.min_by_key(|(index, member)| (member.pass, member.turn, *index)).map(|(index, _)| index)
}

/// Records that `lead` goes to `member` because the customer is theirs already. It counts as open, and may exceed the
/// capacity if `may_exceed`; otherwise a full member is refused and nothing changes.
///
/// The pass does not advance: such a lead is no share of the new ones, and charging it would make whoever looks after
/// many customers lose the new leads to the rest. A grant the lead had with somebody else is given back first.
pub fn take_sticky(
    state: &mut TeamState,
    member: &Member,
    lead: &LeadId,
    at: Timestamp,
    may_exceed: bool,
) -> Result<(), PassedOver> {
    if state.grants.get(lead).is_some_and(|found| found.rep == member.rep) {
        return Ok(());
    }
    let open = state.members.get(&member.rep).map_or(0, |place| place.open);
    let no_room = full(open, member.capacity).or_else(|| loaded(open, member.load));
    if let Some(full) = no_room.filter(|_| !may_exceed) {
        return Err(full);
    }
    give_back(state, lead);
    let place = enrol(state, &member.rep);
    place.open = place.open.saturating_add(1);
    let grant = Grant { rep: member.rep.clone(), paid: 0, at, seen: Snapshot::default() };
    state.grants.insert(lead.clone(), grant);
    Ok(())
}

/// Undoes the outstanding grant of `lead`, and says whose it was: the lead is no longer open, what it cost is
/// refunded, and between equals its member comes first again. `None` if there is no such grant.
pub fn give_back(state: &mut TeamState, lead: &LeadId) -> Option<String> {
    let grant = state.grants.remove(lead)?;
    close(state, &grant.rep);
    refund(state, &grant.rep, grant.paid);
    Some(grant.rep)
}

/// Leads that are owed to whoever comes back, at most: they are not flooded.
const OWED: u64 = 2;

/// A lead that a member of this weight was granted was none: what it costs now is refunded, so that another comes in its
/// place, if they are away once they are back. Whether it is still open is another matter, see [`close`].
pub fn credit(state: &mut TeamState, rep: &str, weight: u32) {
    let paid = stride(weight);
    let Some(place) = state.members.get_mut(rep) else { return };
    place.owed = place.owed.saturating_add(paid).min(OWED * paid);
    if !place.away {
        refund(state, rep, paid);
    }
}

fn refund(state: &mut TeamState, rep: &str, paid: u64) {
    if let Some(place) = state.members.get_mut(rep).filter(|_| paid > 0) {
        let from_pass = place.pass.min(paid);
        place.pass -= from_pass;
        place.credit = place.credit.saturating_add(paid - from_pass);
        to_the_front(state, rep);
    }
}

/// The commit of `lead` is durable: its grant is no longer needed, the lead stays open. Says whether there was one.
///
/// From here on the lead's receipt answers a redelivery; a settled lead must not be asked for again.
pub fn settle(state: &mut TeamState, lead: &LeadId) -> bool {
    state.grants.remove(lead).is_some()
}

/// A lead of `rep` was closed or disqualified, which frees its place. Never below zero.
pub fn close(state: &mut TeamState, rep: &str) {
    if let Some(place) = state.members.get_mut(rep) {
        place.open = place.open.saturating_sub(1);
    }
}

fn stride(weight: u32) -> u64 {
    SCALE / u64::from(weight.max(1))
}

fn full(open: u32, capacity: Option<u32>) -> Option<PassedOver> {
    capacity.filter(|capacity| open >= *capacity).map(|capacity| PassedOver::Full { open, capacity })
}

fn loaded(open: u32, load: Option<Load>) -> Option<PassedOver> {
    let Load { elsewhere, capacity } = load?;
    let open = open.saturating_add(elsewhere);
    (open >= capacity).then_some(PassedOver::Loaded { open, capacity })
}

/// The member's place; somebody new comes last between equals and counts as returning.
fn enrol<'a>(state: &'a mut TeamState, rep: &str) -> &'a mut MemberState {
    let turn = state.members.values().map(|place| place.turn.saturating_add(1)).max().unwrap_or(0);
    state.members.entry(rep.to_owned()).or_insert_with(|| MemberState {
        turn,
        away: true,
        ..MemberState::default()
    })
}

fn forget_who_left(state: &mut TeamState, members: &[Member]) {
    let holds_grants: BTreeSet<&str> = state.grants.values().map(|grant| grant.rep.as_str()).collect();
    state.members.retain(|rep, place| {
        if members.iter().any(|member| member.rep == *rep) {
            return true;
        }
        place.away = true;
        place.open > 0 || holds_grants.contains(rep.as_str())
    });
}

/// What the decision compares. A pass above the stride is left from a smaller weight and is cut to it.
fn look(state: &TeamState, members: &[Member], passed_over: &dyn Fn(&str) -> Option<PassedOver>) -> Snapshot {
    let nobody = MemberState::default();
    let place = |member: &Member| state.members.get(&member.rep).unwrap_or(&nobody);
    let pass = |member: &Member| place(member).pass.min(stride(member.weight));
    let verdicts: Vec<Option<PassedOver>> = members
        .iter()
        .map(|member| {
            let about_the_lead = passed_over(&member.rep);
            // Whoever lacks what is asked lacks it at work as well.
            let lacks = |reason: &PassedOver| matches!(reason, PassedOver::Language | PassedOver::Skill);
            (!member.available)
                .then_some(PassedOver::Away)
                .or_else(|| about_the_lead.filter(lacks))
                .or_else(|| member.off_duty.filter(|_| !member.is_on_duty()).map(PassedOver::OffDuty))
                .or(about_the_lead)
                .or_else(|| full(place(member).open, member.capacity))
                .or_else(|| loaded(place(member).open, member.load))
        })
        .collect();
    let stayed =
        members.iter().zip(&verdicts).filter(|(member, verdict)| verdict.is_none() && !place(member).away);
    let least = stayed.map(|(member, _)| pass(member)).min().unwrap_or(0);
    let rows = members.iter().zip(verdicts).map(|(member, passed_over)| Seen {
        rep: member.rep.clone(),
        pass: match passed_over {
            None if place(member).away => pass(member).max(least),
            _ => pass(member),
        },
        open: place(member).open,
        turn: place(member).turn,
        weight: member.weight,
        capacity: member.capacity,
        passed_over,
        off_duty: member.off_duty.filter(|_| passed_over.is_none()),
    });
    let mut seen = Snapshot { members: rows.collect(), chosen: None };
    seen.chosen = choose(&seen);
    seen
}

/// Carries what was seen into the state: raised passes, who is away, and that whoever returns is owed nothing but what
/// came in place of no lead that was none.
fn take_note(state: &mut TeamState, members: &[Member], seen: &Snapshot) {
    for (member, row) in members.iter().zip(&seen.members) {
        let place = enrol(state, &member.rep);
        place.pass = row.pass;
        match row.passed_over {
            None => {
                place.credit = if place.away { place.owed } else { place.credit };
                place.away = false;
            }
            Some(reason) if reason.is_about_the_lead() && member.is_on_duty() => {}
            Some(_) => place.away = true,
        }
    }
}

/// Counts all passes from the least of the eligible again. Whoever is passed over drifts down to it at most.
fn renormalise(state: &mut TeamState, members: &[Member], seen: &Snapshot) {
    let eligible =
        members.iter().zip(&seen.members).filter(|(_, row)| row.passed_over.is_none()).map(|(m, _)| &m.rep);
    let least = eligible.filter_map(|rep| state.members.get(rep)).map(|place| place.pass).min().unwrap_or(0);
    state.members.values_mut().for_each(|place| place.pass = place.pass.saturating_sub(least));
}

fn to_the_back(state: &mut TeamState, rep: &str) {
    renumber(state, |other| other == rep);
}

fn to_the_front(state: &mut TeamState, rep: &str) {
    renumber(state, |other| other != rep);
}

/// Numbers the turns afresh, from 0: those that `comes_last` after all others, otherwise as they were.
fn renumber(state: &mut TeamState, comes_last: impl Fn(&str) -> bool) {
    let mut order: Vec<(&String, &mut MemberState)> = state.members.iter_mut().collect();
    order.sort_by_key(|(rep, place)| (comes_last(rep), place.turn));
    for (turn, (_, place)) in (0u32..).zip(order) {
        place.turn = turn;
    }
}
