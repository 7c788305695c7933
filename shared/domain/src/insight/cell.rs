//! Cells: the finest grain that is counted. What is asked for are keys, which cells are rolled up into when they are read; so an event
//! adds to one counter item, whatever it counts for.

use super::{Dimension, Key};
use std::collections::BTreeSet;
use std::fmt;

/// Keys that are counted together: whatever is counted of a cell counts for each of them. An advertisement is counted within the
/// source that it led to, a rep within the team that it was for; all else by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    key: Key,
    within: Option<Key>,
}

impl Cell {
    /// A key by itself; none of an advertisement, which lies within a source.
    pub const fn of(key: Key) -> Self {
        Self { key, within: None }
    }

    /// What brought somebody, and the advertisement that led to it.
    pub const fn origin(key: Key, ad: Option<Key>) -> Self {
        Self { key, within: ad }
    }

    /// Whose work something was; nothing if it was nobody's.
    pub fn work(team: Option<&str>, rep: Option<&str>) -> Option<Self> {
        let team = team.map(|team| Key::Team(team.to_owned()));
        let rep = rep.map(|rep| Key::Rep(rep.to_owned()));
        match (team, rep) {
            (Some(key), within) => Some(Self { key, within }),
            (None, rep) => rep.map(Self::of),
        }
    }

    /// Everything that it counts for.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.key).chain(&self.within)
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (key, within) = match text.split_once('#') {
            Some((key, within)) => (Key::parse(key)?, Some(Key::parse(within)?)),
            None => (Key::parse(text)?, None),
        };
        let is_one = match (key.dimension(), within.as_ref().map(Key::dimension)) {
            (Dimension::Source, Some(Dimension::Ad)) | (Dimension::Team, Some(Dimension::Rep)) => true,
            (dimension, within) => dimension != Dimension::Ad && within.is_none(),
        };
        is_one.then_some(Self { key, within })
    }

    /// What all cells begin with that count for a key, others among them. No cell begins with two of these.
    pub fn counting_for(key: &Key) -> Vec<String> {
        let own = format!("{key}#");
        match key {
            Key::Ad(..) => vec![Dimension::Source.prefix()],
            Key::Rep(_) => vec![own, Dimension::Team.prefix()],
            _ => vec![own],
        }
    }

    /// What all cells begin with that count for keys of these kinds. No cell begins with two of these.
    pub fn counting_for_all(dimensions: &[Dimension]) -> BTreeSet<String> {
        let begin = |dimension: &Dimension| match dimension {
            Dimension::Ad => vec![Dimension::Source],
            Dimension::Rep => vec![Dimension::Rep, Dimension::Team],
            other => vec![*other],
        };
        dimensions.iter().flat_map(begin).map(Dimension::prefix).collect()
    }
}

/// `source/contact`, `source/contact#ad/google/spring`, `team/dach#rep/ann`.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, within } = self;
        write!(f, "{key}")?;
        within.iter().try_for_each(|within| write!(f, "#{within}"))
    }
}
