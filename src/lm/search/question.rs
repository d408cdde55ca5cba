//! One question's way through the trie: what is open, what is complete, what is settled.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::{Answer, Demand, Excluded, ScoredCandidate, SearchTask, answer_from};
use crate::lm::branch::Normalise;
use crate::lm::trie::{CandidateIndex, NodeId, Trie};
use crate::shock::Pair;
use crate::shock::logspace::log_sum_exp;

/// A prefix that can be opened, or a candidate that is complete.
#[derive(Clone, Copy)]
enum Place {
    Node(NodeId),
    Candidate(CandidateIndex),
}

struct Entry {
    place: Place,
    /// ln mass, which bounds all below.
    keys: Keys,
    /// A prefix that has not been asked about.
    open: bool,
}

/// ln mass of the mixture, the finetuned and the base model, then of the finetuned model without
/// its shift. There are rankings by the first three.
type Keys = [f64; 4];

const MIXED: usize = 0;

/// A question that is being answered.
pub(super) struct Question<'a> {
    task: &'a SearchTask<'a>,
    excluded: Excluded,
    entries: Vec<Entry>,
    /// By entry, then by model, then by template: ln mass as the model gives it.
    masses: Vec<f64>,
    /// By model and template: what the keys are relative to, so that templates weigh the same.
    scale: Vec<f64>,
    /// By ranking, the open entries.
    frontiers: Vec<BinaryHeap<Ranked>>,
    /// The largest keys of complete candidates in the mixture's ranking, as many as demanded.
    top: BinaryHeap<Reverse<Ranked>>,
    /// By ranking, the largest key of a complete candidate.
    best: [f64; 3],
    /// Sums of exp(mixture's key) over open and complete entries; they drift by rounding and so
    /// only say when it is worth summing anew.
    open_mass: f64,
    complete_mass: f64,
    expansions: usize,
    next_check: usize,
    /// Found to be settled: asked again while other questions go on, it must stay so.
    normalised: bool,
}

/// An entry in a heap: by its key, then the older one first.
#[derive(PartialEq)]
struct Ranked {
    key: f64,
    entry: u32,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.total_cmp(&other.key).then(other.entry.cmp(&self.entry))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Question<'a> {
    /// A question of which nothing is known yet.
    pub(super) fn new(task: &'a SearchTask<'a>, excluded: Excluded) -> Self {
        let rankings =
            if task.rankings.best && !task.needs_normaliser() { 1 + task.models } else { 1 };
        let mut question = Self {
            task,
            excluded,
            entries: Vec::new(),
            masses: Vec::new(),
            scale: vec![0.0; task.parts()],
            frontiers: (0..rankings).map(|_| BinaryHeap::new()).collect(),
            top: BinaryHeap::new(),
            best: [f64::NEG_INFINITY; 3],
            open_mass: 0.0,
            complete_mass: 0.0,
            expansions: 0,
            next_check: 1,
            normalised: false,
        };
        question.discover(question.place(Trie::ROOT), [0.0; 4], &vec![0.0; task.parts()]);
        question
    }

    /// The node of an open entry.
    pub(super) fn node(&self, entry: u32) -> NodeId {
        match self.entries[entry as usize].place {
            Place::Node(node) => node,
            Place::Candidate(_) => unreachable!("a complete candidate is never opened"),
        }
    }

    fn masses(&self, entry: usize) -> &[f64] {
        let parts = self.task.parts();
        &self.masses[entry * parts..(entry + 1) * parts]
    }

    /// A node, or what it leads to where there is nothing to ask.
    fn place(&self, mut node: NodeId) -> Place {
        let space = self.task.space;
        while !space.asks(node) {
            match (space.trie().end(node), space.trie().children(node).next()) {
                (Some(candidate), _) => return Place::Candidate(candidate),
                (None, Some(child)) => node = child,
                (None, None) => break, // the root of no candidates
            }
        }
        Place::Node(node)
    }

    fn discover(&mut self, place: Place, keys: Keys, masses: &[f64]) {
        if matches!(place, Place::Candidate(c) if Some(c) == self.excluded) {
            return;
        }
        let entry = self.entries.len() as u32;
        let open = matches!(place, Place::Node(_)) && self.task.space.trie().candidates() > 0;
        self.entries.push(Entry { place, keys, open });
        self.masses.extend_from_slice(masses);
        if open {
            self.open_mass += keys[MIXED].exp();
            for (frontier, key) in self.frontiers.iter_mut().zip(keys) {
                frontier.push(Ranked { key, entry });
            }
            return;
        }
        self.complete_mass += keys[MIXED].exp();
        for (best, key) in self.best.iter_mut().zip(keys) {
            *best = best.max(key);
        }
        if self.task.rankings.mixed.most < self.task.space.trie().candidates() {
            self.top.push(Reverse(Ranked { key: keys[MIXED], entry }));
            if self.top.len() > self.task.rankings.mixed.most {
                self.top.pop();
            }
        }
    }

    /// Closes and returns the entries whose nodes have to be opened next; none when all is found.
    pub(super) fn pick(&mut self) -> Vec<u32> {
        let mut picked = Vec::new();
        for ranking in 0..self.frontiers.len() {
            let frontier = &mut self.frontiers[ranking];
            while frontier.peek().is_some_and(|r| !self.entries[r.entry as usize].open) {
                frontier.pop();
            }
            let Some((entry, bound)) = frontier.peek().map(|r| (r.entry, r.key)) else { continue };
            if self.settled(ranking, bound) {
                continue;
            }
            self.frontiers[ranking].pop();
            self.entries[entry as usize].open = false;
            self.open_mass -= self.entries[entry as usize].keys[MIXED].exp();
            self.expansions += 1;
            picked.push(entry);
        }
        picked
    }

    /// Whether nothing below `bound` can change what `ranking` has to give.
    fn settled(&mut self, ranking: usize, bound: f64) -> bool {
        if self.task.needs_normaliser() {
            self.normalised = self.normalised || self.normalisers_settled();
            return self.normalised;
        }
        let best = self.best[ranking] > bound;
        if ranking != MIXED {
            return best;
        }
        let Demand { most, floor } = self.task.rankings.mixed;
        let full = self.top.len() == most && self.top.peek().is_none_or(|t| t.0.key > bound);
        (bound < floor || full) && (best || !self.task.rankings.best)
    }

    /// Opens an entry with each model's answers, which are taken off the front of `answers`.
    pub(super) fn expand(&mut self, entry: u32, answers: &mut [&[f64]]) {
        let (task, parts) = (self.task, self.task.parts());
        let (space, templates) = (task.space, task.space.templates());
        let node = self.node(entry);
        let parent = self.masses(entry as usize).to_vec();
        let mut masses = vec![0.0; space.trie().options(node) * parts];
        for (model, answers) in answers.iter_mut().enumerate() {
            for template in 0..templates {
                let (own, rest) = answers.split_at(space.answers(node, template));
                *answers = rest;
                let part = model * templates + template;
                for (way, x) in space.conditionals(node, template, own).iter().enumerate() {
                    masses[way * parts + part] = parent[part] + x;
                }
            }
        }
        if entry == 0 && space.normalise() == Normalise::Sequence {
            self.scale = totals(masses.chunks_exact(parts), parts);
        }
        let keys = self.keys(entry, &masses);
        let end = space.trie().end(node).map(Place::Candidate);
        let places: Vec<Place> =
            space.trie().children(node).map(|child| self.place(child)).chain(end).collect();
        for ((place, keys), masses) in places.into_iter().zip(keys).zip(masses.chunks_exact(parts))
        {
            self.discover(place, keys, masses);
        }
    }

    /// The keys of the ways on from an entry.
    fn keys(&self, entry: u32, masses: &[f64]) -> Vec<Keys> {
        let (finetuned, base): (Vec<f64>, Vec<f64>) = masses
            .chunks_exact(self.task.parts())
            .map(|way| self.task.model_masses(way, &self.scale))
            .map(|Pair { finetuned, base }| (finetuned, base))
            .unzip();
        let [mixed_here, _, base_here, corrected_here] = self.entries[entry as usize].keys;
        let (space, rule) = (self.task.space, self.task.correction.rule);
        let corrected = match self.task.correction.active_prior() {
            None => finetuned.clone(),
            Some(prior) => {
                let on = prior.remove(&finetuned, space.shifts(self.node(entry), &prior.shift));
                on.into_iter().map(|x| corrected_here + x).collect()
            }
        };
        let mixed: Vec<f64> = if space.mixes_at_branchings(rule) {
            let on = rule.mix_branching((corrected_here, &corrected), (base_here, &base));
            on.into_iter().map(|x| mixed_here + x).collect()
        } else {
            corrected.iter().zip(&base).map(|(&f, &b)| rule.mix(f, b)).collect()
        };
        let models = finetuned.into_iter().zip(base);
        let keys = mixed.into_iter().zip(corrected).zip(models);
        keys.map(|((mixed, corrected), (f, b))| [mixed, f, b, corrected]).collect()
    }

    /// Whether what is unexplored is within the tolerance and cannot change the ranking.
    fn normalisers_settled(&mut self) -> bool {
        let tolerance = self.task.tolerance;
        let unlikely = self.open_mass > 2.0 * tolerance * self.complete_mass;
        // The sums drift: now and then they are not believed.
        let due = if unlikely { 2 * self.next_check } else { self.next_check };
        if self.expansions < due {
            return false;
        }
        // Summing anew costs as much as all that is explored: not at every expansion.
        self.next_check = self.expansions + self.expansions / 8 + 1;
        let scored = self.scored();
        let frontier = self.bounds(&scored);
        let enough = self.unexplored(&scored, &frontier) <= tolerance;
        if !enough {
            return false;
        }
        let bounds =
            |key: fn(&[f64; 3]) -> f64| frontier.iter().map(key).fold(f64::NEG_INFINITY, f64::max);
        let best = |key: fn(&ScoredCandidate) -> f64| {
            scored.iter().map(key).fold(f64::NEG_INFINITY, f64::max)
        };
        let Demand { most, floor } = self.task.rankings.mixed;
        let bound = bounds(|b| b[MIXED]);
        let above = scored.iter().filter(|s| s.mixed > bound).count();
        (bound < floor || above >= most)
            && (!self.task.rankings.best
                || (best(|s| s.mixed) > bound
                    && best(|s| s.models.finetuned) > bounds(|b| b[1])
                    && best(|s| s.models.base) > bounds(|b| b[2])))
    }

    /// The explored mass by which each part is divided: all it has under `sequence`, else one.
    fn normalisers(&self) -> Vec<f64> {
        if self.task.space.normalise() == Normalise::Trie {
            return vec![0.0; self.task.parts()];
        }
        let complete = self.complete().map(|(entry, _)| self.masses(entry));
        totals(complete, self.task.parts())
    }

    fn complete(&self) -> impl Iterator<Item = (usize, CandidateIndex)> {
        self.entries.iter().enumerate().filter_map(|(entry, e)| match e.place {
            Place::Candidate(candidate) => Some((entry, candidate)),
            Place::Node(_) => None,
        })
    }

    /// The complete candidates with their probabilities, as far as what is explored tells.
    fn scored(&self) -> Vec<ScoredCandidate> {
        let keys = |entry: usize| self.entries[entry].keys;
        if !self.task.needs_normaliser() {
            return self
                .complete()
                .map(|(entry, candidate)| {
                    let [mixed, finetuned, base, _] = keys(entry);
                    ScoredCandidate { candidate, mixed, models: Pair { finetuned, base } }
                })
                .collect();
        }
        let normalisers = self.normalisers();
        let mix = |of: Pair<f64>| self.task.correction.rule.mix(of.finetuned, of.base);
        let mut scored: Vec<ScoredCandidate> = self
            .complete()
            .map(|(entry, candidate)| {
                let models = self.task.model_masses(self.masses(entry), &normalisers);
                ScoredCandidate { candidate, mixed: mix(models), models }
            })
            .collect();
        if self.task.mixes_candidates() {
            let (finetuned, base): (Vec<f64>, Vec<f64>) =
                scored.iter().map(|s| (s.models.finetuned, s.models.base)).unzip();
            let mixed = self.task.correction.rule.mix_all(&finetuned, &base);
            scored.iter_mut().zip(mixed).for_each(|(s, mixed)| s.mixed = mixed);
        }
        scored
    }

    /// What each open entry can at most hold: mixture, finetuned, base, relative to the explored.
    fn bounds(&self, scored: &[ScoredCandidate]) -> Vec<[f64; 3]> {
        let normalisers = self.normalisers();
        let mix = |of: Pair<f64>| self.task.correction.rule.mix(of.finetuned, of.base);
        let total = if self.task.mixes_candidates() {
            log_sum_exp(&scored.iter().map(|s| mix(s.models)).collect::<Vec<_>>())
        } else {
            0.0
        };
        let open = self.entries.iter().enumerate().filter(|(_, e)| e.open);
        open.map(|(entry, _)| {
            let models = self.task.model_masses(self.masses(entry), &normalisers);
            // While the models exclude all of each other's explored candidates, nothing is known
            // of the mixture.
            let mixed =
                if total == f64::NEG_INFINITY { f64::INFINITY } else { mix(models) - total };
            [mixed, models.finetuned, models.base]
        })
        .collect()
    }

    /// The largest share, of a model's or the mixture's mass, that the open entries can hold.
    fn unexplored(&self, scored: &[ScoredCandidate], bounds: &[[f64; 3]]) -> f64 {
        if bounds.is_empty() {
            return 0.0;
        }
        if scored.is_empty() {
            return f64::INFINITY;
        }
        let share = |key: usize| bounds.iter().fold(0.0, |sum, b| sum + b[key].exp());
        let mixed = share(MIXED);
        if self.task.space.normalise() == Normalise::Sequence {
            mixed.max(share(1)).max(share(2))
        } else {
            mixed
        }
    }

    /// What was found.
    pub(super) fn answer(self) -> Answer {
        let scored = self.scored();
        let unexplored = if self.task.needs_normaliser() {
            self.unexplored(&scored, &self.bounds(&scored))
        } else {
            0.0
        };
        answer_from(scored, self.task.rankings, unexplored)
    }
}

/// ln of the sum over entries, by part.
fn totals<'m>(entries: impl Iterator<Item = &'m [f64]>, parts: usize) -> Vec<f64> {
    let mut columns = vec![Vec::new(); parts];
    for masses in entries {
        columns.iter_mut().zip(masses).for_each(|(column, &mass)| column.push(mass));
    }
    columns.iter().map(|column| log_sum_exp(column)).collect()
}
