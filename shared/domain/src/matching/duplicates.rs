//! Who of a whole base is probably one person.

use super::block::Candidates;
use super::compare::compare;
use super::group::{clusters, score_all};
use super::model::{Model, Score};
use super::profile::Profile;
use std::collections::{BTreeMap, BTreeSet};

/// Records of a list that are probably of one person.
#[derive(Clone, Debug)]
pub struct Group {
    /// Indices into the list, ascending; two at least.
    pub members: Vec<u32>,
    /// What holds them together, surest first: one comparison fewer than there are members, which connect them all.
    pub links: Vec<Link>,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Link {
    /// Index of one record.
    pub one: u32,
    /// Index of the other, which is larger.
    pub other: u32,
    /// What it came to.
    pub score: Score,
}

/// What came of looking at a whole list.
#[derive(Clone, Debug)]
pub struct Duplicates {
    /// Pairs that were compared, of those that share anything worth comparing for.
    pub compared: usize,
    /// Groups of two records and more, in the order of their first members.
    pub groups: Vec<Group>,
}

/// Looks for records of one person in a whole list, by the weights that the list itself gives ([`Model::estimate`]). Two that
/// are in `apart` (indices, the smaller first) are two people, and nobody between them makes them one.
pub fn duplicates(list: &[Profile], apart: &BTreeSet<(u32, u32)>) -> Duplicates {
    let candidates = Candidates::of(list);
    let model = Model::estimate(list, &candidates);
    let mut scored = score_all(&model, list, &candidates);
    scored.retain(|pair| !apart.contains(&(pair.left, pair.right)));
    let groups = clusters(&model, list, &scored)
        .into_iter()
        .filter(|members| members.len() > 1)
        .flat_map(|members| connected(&model, list, &members, apart))
        .collect();
    Duplicates { compared: candidates.pairs.len(), groups }
}

/// The surest comparisons that connect a group, taken one after the other; none that would bring two together who are apart.
fn connected(model: &Model, list: &[Profile], members: &[u32], apart: &BTreeSet<(u32, u32)>) -> Vec<Group> {
    let profile = |at: u32| usize::try_from(at).ok().and_then(|at| list.get(at));
    let mut pairs: Vec<(f64, u32, u32)> = Vec::new();
    for (i, a) in members.iter().enumerate() {
        for b in members.iter().skip(i + 1) {
            if let (Some(one), Some(other)) = (profile(*a), profile(*b)) {
                let bits = model.bits(&compare(one, other), one);
                pairs.extend((bits > 0.0).then_some((bits, *a.min(b), *a.max(b))));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut of: BTreeMap<u32, usize> = members.iter().copied().zip(0..).collect();
    let mut groups: Vec<Group> =
        members.iter().map(|member| Group { members: vec![*member], links: Vec::new() }).collect();
    for (_, one, other) in pairs {
        let (a, b) = (of[&one], of[&other]);
        let are_apart = |x: &u32| groups[b].members.iter().any(|y| apart.contains(&(*x.min(y), *x.max(y))));
        if a == b || groups[a].members.iter().any(are_apart) {
            continue;
        }
        let Some(score) = profile(one).zip(profile(other)).map(|(one, other)| model.score(one, other)) else {
            continue;
        };
        let gone = std::mem::replace(&mut groups[b], Group { members: Vec::new(), links: Vec::new() });
        gone.members.iter().for_each(|member| {
            of.insert(*member, a);
        });
        groups[a].members.extend(gone.members);
        groups[a].links.extend(gone.links);
        groups[a].links.push(Link { one, other, score });
    }
    groups.retain(|group| group.members.len() > 1);
    for group in &mut groups {
        group.members.sort_unstable();
        group.links.sort_by(|a, b| b.score.bits.total_cmp(&a.score.bits));
    }
    groups.sort_by(|a, b| a.members.cmp(&b.members));
    groups
}
