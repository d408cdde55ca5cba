//! What the candidates of an answer space are called.
//!
//! A model says names, and a name may be that of several candidates. A candidate's probability is the
//! sum over its names; a name that several share gives each of them the same part of its own.

use super::trie::{NameIndex, Sequences};
use crate::ontology::NumberGrammar;
use crate::shock::logspace::log_add_exp;

/// Index of a candidate in its answer space.
pub type CandidateIndex = u32;

/// Which names are whose.
#[derive(Clone, Debug)]
pub struct Names {
    candidates: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Each candidate has one name, with its own number.
    OneEach,
    /// They are listed.
    Lists(Lists),
    /// They are the ways to write numbers: [`WAYS`] times the number, and the way.
    Numbers { grammar: NumberGrammar, most: usize },
}

/// In how many ways a number is written at most.
const WAYS: NameIndex = 3;

#[derive(Clone, Debug)]
struct Lists {
    /// By candidate, its names.
    names: Sequences,
    /// By name, its candidates.
    owners: Sequences,
    /// How many names a candidate has at most.
    most: usize,
}

impl Names {
    /// Each of so many candidates has one name, with its own number.
    pub fn one_each(candidates: usize) -> Self {
        Self { candidates, kind: Kind::OneEach }
    }

    /// Candidates with the names that `of` lists for each, of `names` that there are. Each candidate has
    /// one at least and none twice, and each name is someone's.
    ///
    /// # Panics
    /// Where a name has no candidate, or there is none with its number.
    pub fn new(of: Sequences, names: usize) -> Self {
        let candidates = of.len();
        let is_own = |candidate: usize| of.get(candidate) == [candidate as u32];
        if names == candidates && (0..candidates).all(is_own) {
            return Self::one_each(candidates);
        }
        let mut owners = vec![Vec::new(); names];
        for candidate in 0..candidates {
            for &name in of.get(candidate) {
                owners[name as usize].push(candidate as CandidateIndex);
            }
        }
        assert!(owners.iter().all(|own| !own.is_empty()), "a name is someone's");
        let mut all = Sequences::new();
        owners.iter().for_each(|own| all.push(own));
        let most = (0..candidates).map(|candidate| of.get(candidate).len()).max().unwrap_or(0);
        Self { candidates, kind: Kind::Lists(Lists { names: of, owners: all, most }) }
    }

    /// The candidates are the numbers of a grammar, their names the ways to write them.
    pub fn of_numbers(grammar: NumberGrammar) -> Self {
        let kind = Kind::Numbers { grammar, most: grammar.most_ways() };
        Self { candidates: grammar.numbers() as usize, kind }
    }

    /// The name of a number, written in one of its ways.
    pub(super) fn of_way(number: CandidateIndex, way: usize) -> NameIndex {
        NameIndex::from(number) * WAYS + way as NameIndex
    }

    /// The number that has a name, and in which of its ways.
    pub(super) fn way_of(name: NameIndex) -> (CandidateIndex, usize) {
        // A number is a candidate, by how its names are numbered.
        ((name / WAYS) as CandidateIndex, (name % WAYS) as usize)
    }

    /// How many candidates there are.
    pub fn candidates(&self) -> usize {
        self.candidates
    }

    /// How many names there are, where they are listed.
    pub fn names(&self) -> usize {
        match &self.kind {
            Kind::Lists(lists) => lists.owners.len(),
            Kind::OneEach | Kind::Numbers { .. } => self.candidates,
        }
    }

    /// Whether each candidate has one name, which is no other's.
    pub fn is_one_each(&self) -> bool {
        matches!(self.kind, Kind::OneEach | Kind::Numbers { most: 1, .. })
    }

    /// How many names a candidate has at most.
    pub fn most(&self) -> usize {
        match &self.kind {
            Kind::OneEach => 1,
            Kind::Lists(lists) => lists.most,
            Kind::Numbers { most, .. } => *most,
        }
    }

    /// The candidate's names, its label first.
    pub fn of(&self, candidate: CandidateIndex) -> impl ExactSizeIterator<Item = NameIndex> + '_ {
        let (own, first, names) = match &self.kind {
            Kind::OneEach => (None, candidate.into(), 1),
            Kind::Lists(lists) => {
                let own = lists.names.get(candidate as usize);
                (Some(own), 0, own.len())
            }
            Kind::Numbers { grammar, .. } => {
                (None, Self::of_way(candidate, 0), grammar.ways(candidate))
            }
        };
        let name = move |at: usize| own.map_or(first + at as NameIndex, |own| own[at].into());
        (0..names).map(name)
    }

    /// The candidates that have a name.
    pub fn owners(&self, name: NameIndex) -> impl ExactSizeIterator<Item = CandidateIndex> + '_ {
        let (own, first) = match &self.kind {
            Kind::OneEach => (None, name as CandidateIndex),
            Kind::Lists(lists) => (Some(lists.owners.get(name as usize)), 0),
            Kind::Numbers { .. } => (None, Self::way_of(name).0),
        };
        (0..own.map_or(1, <[u32]>::len)).map(move |at| own.map_or(first, |own| own[at]))
    }

    /// ln of the part of a name's probability that each of its candidates has.
    pub fn ln_part(&self, name: NameIndex) -> f64 {
        match self.owners(name).len() {
            1 => 0.0,
            owners => -(owners as f64).ln(),
        }
    }

    /// Whether a candidate has no name of its own.
    pub fn is_ambiguous(&self, candidate: CandidateIndex) -> bool {
        self.of(candidate).all(|name| self.owners(name).len() > 1)
    }

    /// By candidate, ln of the sum of its parts of what `names` has by name.
    pub fn sum(&self, names: &[f64]) -> Vec<f64> {
        self.sum_of(|name, _| names[name as usize])
    }

    /// By candidate, ln of the sum over its names of what `of` gives, less what other candidates of the
    /// name have.
    pub fn sum_of(&self, of: impl Fn(NameIndex, CandidateIndex) -> f64) -> Vec<f64> {
        let sum = |candidate| {
            let parts = self.of(candidate).map(|name| of(name, candidate) + self.ln_part(name));
            parts.fold(f64::NEG_INFINITY, log_add_exp)
        };
        (0..self.candidates as CandidateIndex).map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&[u32]], names: usize) -> Names {
        let mut lists = Sequences::new();
        of.iter().for_each(|own| lists.push(own));
        Names::new(lists, names)
    }

    #[test]
    fn sums_by_hand() {
        // Candidate 0 has names 0 and 2, candidate 1 names 1 and 2.
        let names = names(&[&[0, 2], &[1, 2]], 3);
        assert_eq!((names.candidates(), names.names(), names.most()), (2, 3, 2));
        assert_eq!(names.owners(2).collect::<Vec<_>>(), [0, 1]);
        let sums = names.sum(&[0.1, 0.3, 0.4].map(f64::ln));
        assert!((sums[0].exp() - 0.3).abs() < 1e-15 && (sums[1].exp() - 0.5).abs() < 1e-15);
    }

    #[test]
    fn who_has_no_name_of_its_own_is_ambiguous() {
        let names = names(&[&[0], &[0, 1], &[0]], 2);
        assert_eq!([0, 1, 2].map(|candidate| names.is_ambiguous(candidate)), [true, false, true]);
        assert!((names.ln_part(0).exp() - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn one_name_each_needs_no_lists() {
        let names = names(&[&[0], &[1]], 2);
        assert!(names.is_one_each());
        assert_eq!((names.of(1).next(), names.owners(1).next()), (Some(1), Some(1)));
        assert_eq!(names.sum(&[-1.0, -2.0]), [-1.0, -2.0]);
        assert!(!names.is_ambiguous(0));
    }
}
