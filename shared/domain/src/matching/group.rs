//! From scored pairs to people.

use super::block::Candidates;
use super::compare::compare;
use super::model::Model;
use super::profile::Profile;
use std::collections::{BTreeMap, BTreeSet};

/// A pair with its evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scored {
    /// Index of one record.
    pub(super) left: u32,
    /// Index of the other, which is larger.
    pub(super) right: u32,
    /// Binary logarithm of the odds that both are one person.
    pub(super) bits: f64,
}

/// Scores every candidate pair.
pub(super) fn score_all(model: &Model, list: &[Profile], candidates: &Candidates) -> Vec<Scored> {
    candidates
        .pairs
        .iter()
        .filter_map(|(a, b)| {
            let (one, other) = (list.get(usize::try_from(*a).ok()?)?, list.get(usize::try_from(*b).ok()?)?);
            Some(Scored { left: *a, right: *b, bits: model.bits(&compare(one, other), one) })
        })
        .collect()
}

/// A single pair speaks for or against with at most so many bits, so that one of them decides no cluster.
const MOST: f64 = 12.0;

/// The largest component that is compared pair by pair; a larger one is first cut at its weakest links.
const LARGEST: usize = 250;

/// Groups the records of one list. Records that any chain of likely pairs connects are looked at together, and joined
/// only while the evidence between whole groups, on average over all their pairs, is for it: one loose link does not
/// join two clusters.
pub(super) fn clusters(model: &Model, list: &[Profile], scored: &[Scored]) -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    let members: Vec<u32> = (0u32..).take(list.len()).collect();
    let mut open = vec![(members, 0.0)];
    while let Some((members, least)) = open.pop() {
        let inside: BTreeSet<u32> = members.iter().copied().collect();
        let links = scored
            .iter()
            .filter(|pair| pair.bits > least && inside.contains(&pair.left) && inside.contains(&pair.right));
        for component in components(&members, links) {
            if component.len() > LARGEST && least < 40.0 {
                open.push((component, least + 4.0));
            } else {
                all.extend(average_linkage(model, list, &component));
            }
        }
    }
    all.sort();
    all
}

fn components<'a>(members: &[u32], links: impl Iterator<Item = &'a Scored>) -> Vec<Vec<u32>> {
    fn root(parent: &mut BTreeMap<u32, u32>, of: u32) -> u32 {
        let mut at = of;
        while let Some(next) = parent.get(&at).copied().filter(|next| *next != at) {
            at = next;
        }
        parent.insert(of, at);
        at
    }
    let mut parent: BTreeMap<u32, u32> = members.iter().map(|member| (*member, *member)).collect();
    for link in links {
        let (a, b) = (root(&mut parent, link.left), root(&mut parent, link.right));
        parent.insert(a.max(b), a.min(b));
    }
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for member in members {
        groups.entry(root(&mut parent, *member)).or_default().push(*member);
    }
    groups.into_values().collect()
}

fn average_linkage(model: &Model, list: &[Profile], members: &[u32]) -> Vec<Vec<u32>> {
    let mut groups: Vec<Vec<u32>> = members.iter().map(|member| vec![*member]).collect();
    let profile = |at: u32| usize::try_from(at).ok().and_then(|at| list.get(at));
    // Sums of evidence between groups; a mean is one division away, and joining two groups adds their rows.
    let mut sums: Vec<Vec<f64>> = vec![vec![0.0; members.len()]; members.len()];
    for (i, a) in members.iter().enumerate() {
        for (j, b) in members.iter().enumerate().skip(i + 1) {
            if let (Some(one), Some(other)) = (profile(*a), profile(*b)) {
                let bits = model.bits(&compare(one, other), one).clamp(-MOST, MOST);
                sums[i][j] = bits;
                sums[j][i] = bits;
            }
        }
    }
    loop {
        let mut best: Option<(f64, usize, usize)> = None;
        for i in 0..groups.len() {
            for j in i + 1..groups.len() {
                let mean = sums[i][j] / (groups[i].len() * groups[j].len()) as f64;
                if mean > best.map_or(0.0, |(mean, _, _)| mean) {
                    best = Some((mean, i, j));
                }
            }
        }
        let Some((_, i, j)) = best else { break };
        let gone = groups.swap_remove(j);
        groups[i].extend(gone);
        let row = sums.swap_remove(j);
        for (k, sum) in row.iter().enumerate() {
            sums[i][k] += sum;
        }
        for (k, other) in sums.iter_mut().enumerate() {
            if k != i {
                other[i] += other[j];
            }
            other.swap_remove(j);
        }
    }
    for group in &mut groups {
        group.sort_unstable();
    }
    groups
}
