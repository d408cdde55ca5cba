//! How far a run is: which chunks of each relation are done, and what was counted of them.
//!
//! The ledger has a line a relation, so that what is read at a start grows with the relations and not with
//! their chunks. Chunks are done nearly in order: their numbers make few ranges. Each chunk brings a new line;
//! those before it are removed some thousands together, and of several the one with the most chunks counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

/// A stretch of the work that is done or not done as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chunk {
    /// The relation's IRI.
    pub relation: Arc<str>,
    /// The number of the chunk within its relation, from 0.
    pub index: u64,
}

/// The chunks that are done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DoneChunks {
    relations: BTreeMap<Arc<str>, RelationDone>,
}

/// Which chunks of a relation are done, and what was counted of all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RelationDone {
    /// By the first number of a range of chunks, the last.
    ranges: BTreeMap<u64, u64>,
    statistics: Value,
}

impl DoneChunks {
    /// Whether a chunk is done.
    pub fn contains(&self, chunk: &Chunk) -> bool {
        self.of(&chunk.relation).is_some_and(|own| own.contains(chunk.index))
    }

    /// How many chunks are done.
    pub fn len(&self) -> usize {
        self.relations.values().map(RelationDone::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was counted of a relation's chunks, as the last of them was given with; none where none is done.
    pub fn statistics(&self, relation: &str) -> Option<&Value> {
        self.of(relation).map(|own| &own.statistics)
    }

    /// What is done of each relation, by its IRI.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &RelationDone)> {
        self.relations.iter().map(|(relation, own)| (&**relation, own))
    }

    pub(super) fn of(&self, relation: &str) -> Option<&RelationDone> {
        self.relations.get(relation)
    }

    pub(super) fn set(&mut self, relation: Arc<str>, own: RelationDone) {
        self.relations.insert(relation, own);
    }
}

impl RelationDone {
    /// So many chunks from the first on, of which there is at least one, and what was counted of them.
    pub(super) fn first(chunks: u64, statistics: Value) -> Option<Self> {
        Some(Self { ranges: [(0, chunks.checked_sub(1)?)].into(), statistics })
    }

    fn contains(&self, index: u64) -> bool {
        self.ranges.range(..=index).next_back().is_some_and(|(_, &last)| index <= last)
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.iter().map(|(first, last)| (last - first + 1) as usize).sum()
    }

    /// The same with one chunk more, and what is then counted.
    pub(super) fn with(&self, index: u64, statistics: Value) -> Self {
        let mut ranges = self.ranges.clone();
        if !self.contains(index) {
            let before = ranges.range(..index).next_back().filter(|(_, last)| **last + 1 == index);
            let first = before.map_or(index, |(&first, _)| first);
            let last = ranges.remove(&(index + 1)).unwrap_or(index);
            ranges.insert(first, last);
        }
        Self { ranges, statistics }
    }

    /// As the ledger has it.
    pub(super) fn to_json(&self) -> Value {
        let ranges: Vec<[u64; 2]> = self.ranges.iter().map(|(&from, &to)| [from, to]).collect();
        json!({ "chunks": ranges, "statistics": self.statistics })
    }

    /// From what the ledger has; none where kgbuild writes no such thing.
    pub(super) fn from_json(mut value: Value) -> Option<Self> {
        let statistics = value.get_mut("statistics")?.take();
        let chunks: Vec<[u64; 2]> = serde_json::from_value(value.get_mut("chunks")?.take()).ok()?;
        let is_sorted = chunks.windows(2).all(|pair| pair[0][1] < pair[1][0]);
        let are_ranges = chunks.iter().all(|[first, last]| first <= last && *last < u64::MAX);
        let ranges = chunks.into_iter().map(|[first, last]| (first, last)).collect();
        (is_sorted && are_ranges).then_some(Self { ranges, statistics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_are_a_set_of_numbers(numbers in prop::collection::vec(0_u64..40, 0..60)) {
            let mut set = std::collections::BTreeSet::new();
            let mut done = RelationDone::default();
            for number in numbers {
                set.insert(number);
                done = done.with(number, json!(set.len()));
                prop_assert_eq!(done.len(), set.len());
                prop_assert_eq!(&done.statistics, &json!(set.len()));
            }
            prop_assert!((0..42).all(|number| done.contains(number) == set.contains(&number)));
            let gaps = set.iter().filter(|&&number| number > 0 && !set.contains(&(number - 1)));
            let ranges = gaps.count() + usize::from(set.contains(&0));
            prop_assert_eq!(done.ranges.len(), ranges, "ranges that touch are one");
            prop_assert_eq!(RelationDone::from_json(done.to_json()), Some(done));
        }
    }

    #[test]
    fn what_is_no_list_of_ranges_is_refused() {
        for wrong in [
            json!({ "statistics": null }),
            json!({ "chunks": [[2, 1]], "statistics": null }),
            json!({ "chunks": [[0, u64::MAX]], "statistics": null }),
            json!({ "chunks": [[0, 5], [5, 6]], "statistics": null }),
            json!({ "chunks": [[0]], "statistics": null }),
            json!({ "chunks": [[0, 1]] }),
            json!([]),
        ] {
            assert_eq!(RelationDone::from_json(wrong.clone()), None, "{wrong}");
        }
    }
}
