//! When a question's rankings are settled, and what has to be opened until they are.

use super::Mass;
use super::question::{MIXED, Question};
use super::task::Whole;
use crate::shock::logspace::{log_add_exp, log_sum_exp};

/// What a ranking needs to be known.
pub(super) enum Needs {
    Nothing,
    /// The largest open prefixes.
    More,
    /// These entries, on the way to other names of its best candidates.
    Names(Vec<u32>),
}

/// What a candidate may have: ln of its key at most, and of what of that was not found.
#[derive(Clone, Copy)]
struct AtMost {
    key: f64,
    open: f64,
}

impl Question<'_> {
    /// What `ranking` needs of what is open, of which `bound` is the largest.
    pub(super) fn needs(&mut self, ranking: usize, bound: f64) -> Needs {
        if ranking != MIXED {
            return self.lead(ranking, 1, bound, &|_| false);
        }
        if self.settled {
            return Needs::Nothing;
        }
        if let Some(near) = self.task.near {
            self.settled = self.window_settled(near);
            return if self.settled { Needs::Nothing } else { Needs::More };
        }
        let needs = match self.task.whole() {
            Whole::Models if self.lists_settled() => Needs::Nothing,
            Whole::Models => Needs::More,
            Whole::One | Whole::Mixture => self.mixture_needs(bound),
        };
        self.settled = matches!(needs, Needs::Nothing);
        needs
    }

    /// What the mixture's ranking needs, and the confidences of its best.
    fn mixture_needs(&mut self, bound: f64) -> Needs {
        let demand = self.task.rankings.mixed;
        let (task, mass) = (self.task, self.mass(f64::NEG_INFINITY));
        let is_low = |AtMost { key, open }: AtMost| {
            let share =
                if task.whole() == Whole::Mixture { mass.largest_with(key, open) } else { key };
            !demand.takes(task.evidence(key, share))
        };
        match self.lead(MIXED, demand.most, bound, &is_low) {
            Needs::Nothing => {}
            needs => return needs,
        }
        if task.rankings.best {
            match self.lead(MIXED, 1, bound, &|_| false) {
                Needs::Nothing => {}
                needs => return needs,
            }
        }
        if self.shares_settled() { Needs::Nothing } else { Needs::More }
    }

    /// What is needed to know that a ranking's first `most` candidates are those that were found, and
    /// all their names, or that all others are low.
    fn lead(
        &mut self,
        ranking: usize,
        most: usize,
        bound: f64,
        is_low: &dyn Fn(AtMost) -> bool,
    ) -> Needs {
        let last = self.leaders.last_of(ranking, most);
        let is_no_rival =
            |other: AtMost| last.is_some_and(|last| last > other.key) || is_low(other);
        if !is_no_rival(AtMost { key: bound, open: bound }) {
            return Needs::More;
        }
        if self.task.space.names().is_one_each() {
            return Needs::Nothing;
        }
        let on_the_way = self.on_the_way_to_names(ranking, most);
        if !on_the_way.is_empty() {
            return Needs::Names(on_the_way);
        }
        // What a candidate can have that is not among them: of the names that were not found as much as
        // as many prefixes, and what was found.
        let open = self.largest_open(ranking, self.task.space.names().most());
        let mut others = self.leaders.of(ranking).skip(most);
        let other = others.find(|other| self.leaders.lacks_names(other.number));
        let key = other.map_or(open, |other| log_add_exp(open, other.key));
        if is_no_rival(AtMost { key, open }) { Needs::Nothing } else { Needs::More }
    }

    /// The open entries on the way to names that were not found of a ranking's first `most` candidates.
    fn on_the_way_to_names(&self, ranking: usize, most: usize) -> Vec<u32> {
        let space = self.task.space;
        let mut entries = Vec::new();
        for leader in self.leaders.of(ranking).take(most) {
            if !self.leaders.lacks_names(leader.number) {
                continue;
            }
            for name in space.names().of(leader.number) {
                let nodes = space.trie().ways_to(name);
                let on_way = nodes.iter().filter_map(|node| self.entry_of.get(node));
                entries.extend(on_way.filter(|&&entry| self.entries[entry as usize].open));
            }
        }
        entries.sort_unstable();
        entries.dedup();
        entries
    }

    /// ln of the most that names have together that begin with so many of the open prefixes.
    fn largest_open(&mut self, ranking: usize, most: usize) -> f64 {
        let mut taken = Vec::with_capacity(most);
        while taken.len() < most && self.bound(ranking).is_some() {
            taken.extend(self.frontiers[ranking].pop());
        }
        let keys: Vec<f64> = taken.iter().map(|ranked| ranked.key).collect();
        self.frontiers[ranking].extend(taken);
        log_sum_exp(&keys) + self.task.space.overlap().ln()
    }

    /// Whether it is known of each complete candidate that is demanded if its confidence reaches the
    /// threshold, and what it is, within the tolerance.
    fn shares_settled(&self) -> bool {
        if self.task.whole() != Whole::Mixture {
            return true;
        }
        let demand = self.task.rankings.mixed;
        let settled = |mass: Mass, key: f64| {
            let (least, most) = demand.bounds(key, self.task.evidence(key, 0.0), mass);
            most < demand.threshold
                || (least >= demand.threshold && most - least <= self.task.tolerance)
        };
        // The sum that drifts is near enough to say that it is far too early.
        let drifting = self.mass((self.open_mass.max(0.0) * self.task.space.overlap() / 2.0).ln());
        let best = self.leaders.of(MIXED).next().map_or(f64::NEG_INFINITY, |best| best.key);
        if self.open_mass > self.reliable && !settled(drifting, best) {
            return false;
        }
        let mass = self.mass(self.open_bound());
        self.leaders.of(MIXED).take(demand.most).all(|leader| settled(mass, leader.key))
    }
}
