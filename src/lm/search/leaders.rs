//! The candidates of which a search has found names, by what these have together.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use crate::lm::names::{CandidateIndex, Names};
use crate::shock::logspace::log_add_exp;

/// Something with a key, in the order of the keys; of equals the smaller number is the larger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ranked {
    pub key: f64,
    pub number: u32,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.total_cmp(&other.key).then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The candidates found, in each ranking.
pub(super) struct Leaders<'a> {
    names: &'a Names,
    /// By ranking.
    order: Vec<BTreeSet<Ranked>>,
    /// Where candidates have several names: how many of them were found, and the sums of their keys.
    found: HashMap<CandidateIndex, (usize, Vec<f64>)>,
}

impl<'a> Leaders<'a> {
    pub(super) fn new(names: &'a Names, rankings: usize) -> Self {
        Self { names, order: vec![BTreeSet::new(); rankings], found: HashMap::new() }
    }

    /// Takes a name of a candidate, with its key in each ranking.
    pub(super) fn add(&mut self, candidate: CandidateIndex, keys: &[f64]) {
        let number = candidate;
        if self.names.is_one_each() {
            for (order, &key) in self.order.iter_mut().zip(keys) {
                order.insert(Ranked { key, number });
            }
            return;
        }
        let nothing = || (0, vec![f64::NEG_INFINITY; self.order.len()]);
        let (found, sums) = self.found.entry(candidate).or_insert_with(nothing);
        *found += 1;
        for ((order, sum), &key) in self.order.iter_mut().zip(sums).zip(keys) {
            order.remove(&Ranked { key: *sum, number });
            *sum = log_add_exp(*sum, key);
            order.insert(Ranked { key: *sum, number });
        }
    }

    /// The candidates of a ranking, best first.
    pub(super) fn of(&self, ranking: usize) -> impl Iterator<Item = Ranked> + '_ {
        self.order[ranking].iter().rev().copied()
    }

    /// The key of a ranking's last of so many candidates; none where fewer were found.
    pub(super) fn last_of(&self, ranking: usize, most: usize) -> Option<f64> {
        let is_full = self.order[ranking].len() >= most;
        is_full.then(|| self.of(ranking).nth(most.checked_sub(1)?)).flatten().map(|last| last.key)
    }

    /// Whether names of a candidate are still to be found.
    pub(super) fn lacks_names(&self, candidate: CandidateIndex) -> bool {
        let found = self.found.get(&candidate).map_or(1, |(found, _)| *found);
        found < self.names.of(candidate).len()
    }
}
