//! One question's way through the trie: what is open, what is complete, what is settled.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::list::totals;
use super::task::Whole;
use super::{Answer, Excluded, Mass, SearchTask, Weighed, answer_from};
use crate::lm::branch::Normalise;
use crate::lm::trie::{CandidateIndex, NodeId, Trie};
use crate::shock::logspace::{log_add_exp, log_sum_exp};
use crate::shock::{Pair, Shift};

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

/// ln mass of the mixture, the finetuned and the base model, then of the finetuned model without its
/// shift, and of the mixture before its mean prediction is removed. There are rankings by the first
/// three.
type Keys = [f64; 5];

pub(super) const MIXED: usize = 0;

/// The share of a sum that may be rounding, once most of it was taken away.
const RELIABLE: f64 = 1e-9;

/// Expansions after which each round opens one prefix more of a question: most will have to be opened,
/// and rounds of few prefixes take as long as fuller ones.
const WIDEN_AFTER: usize = 3;

/// A question that is being answered.
pub(super) struct Question<'a> {
    pub(super) task: &'a SearchTask<'a>,
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
    /// ln of the sum of the mixture's keys over complete entries.
    explored: f64,
    /// The sum of exp(mixture's key) over open entries; it drifts by rounding and so only says when
    /// it is worth summing anew.
    open_mass: f64,
    /// From here on that sum is not all rounding.
    reliable: f64,
    pub(super) expansions: usize,
    /// Under `list`: when to sum anew.
    pub(super) next_check: usize,
    /// Found to be settled: asked again while other questions go on, it must stay so.
    settled: bool,
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
            if task.rankings.best && task.whole() != Whole::Models { 1 + task.models } else { 1 };
        let mut question = Self {
            task,
            excluded,
            entries: Vec::new(),
            masses: Vec::new(),
            scale: vec![0.0; task.parts()],
            frontiers: (0..rankings).map(|_| BinaryHeap::new()).collect(),
            top: BinaryHeap::new(),
            best: [f64::NEG_INFINITY; 3],
            explored: f64::NEG_INFINITY,
            open_mass: 0.0,
            reliable: 0.0,
            expansions: 0,
            next_check: 1,
            settled: false,
        };
        let lambda = task.correction.rule.lambda();
        let lowered = task.correction.active_mean().map(|mean| mean.below(lambda, Trie::ROOT));
        let mut keys = [0.0; 5];
        keys[MIXED] -= lowered.unwrap_or(0.0);
        question.reliable = RELIABLE * keys[MIXED].exp();
        let masses: Vec<f64> =
            (0..task.parts()).map(|part| task.space.text_below(part, Trie::ROOT)).collect();
        question.discover(question.place(Trie::ROOT), keys, &masses);
        question
    }

    /// The node of an open entry.
    pub(super) fn node(&self, entry: u32) -> NodeId {
        match self.entries[entry as usize].place {
            Place::Node(node) => node,
            Place::Candidate(_) => unreachable!("a complete candidate is never opened"),
        }
    }

    pub(super) fn masses(&self, entry: usize) -> &[f64] {
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
        self.explored = log_add_exp(self.explored, keys[MIXED]);
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
        let most = 1 + self.expansions / WIDEN_AFTER;
        for ranking in 0..self.frontiers.len() {
            let Some(bound) = self.bound(ranking) else { continue };
            if self.is_settled(ranking, bound) {
                continue;
            }
            for _ in 0..most {
                if self.bound(ranking).is_none() {
                    break;
                }
                let Some(Ranked { entry, .. }) = self.frontiers[ranking].pop() else { break };
                self.entries[entry as usize].open = false;
                self.open_mass -= self.entries[entry as usize].keys[MIXED].exp();
                picked.push(entry);
            }
        }
        self.expansions += picked.len();
        picked
    }

    /// The largest key of an open entry, which is then the first in a ranking's frontier.
    fn bound(&mut self, ranking: usize) -> Option<f64> {
        let frontier = &mut self.frontiers[ranking];
        while frontier.peek().is_some_and(|r| !self.entries[r.entry as usize].open) {
            frontier.pop();
        }
        frontier.peek().map(|r| r.key)
    }

    /// Whether nothing below `bound`, the largest that is open, can change what `ranking` has to give.
    fn is_settled(&mut self, ranking: usize, bound: f64) -> bool {
        if ranking != MIXED {
            return self.best[ranking] > bound;
        }
        self.settled = self.settled
            || match self.task.whole() {
                Whole::Models => self.lists_settled(),
                Whole::One | Whole::Mixture => self.ranking_settled(bound) && self.shares_settled(),
            };
        self.settled
    }

    /// Whether the candidates that the mixture's ranking demands are among the complete ones.
    fn ranking_settled(&self, bound: f64) -> bool {
        let demand = self.task.rankings.mixed;
        let full = self.top.len() == demand.most && self.top.peek().is_none_or(|t| t.0.key > bound);
        let below = || {
            let share = match self.task.whole() {
                Whole::Mixture => self.mass(f64::NEG_INFINITY).largest_unscored(bound),
                Whole::One | Whole::Models => bound,
            };
            !demand.takes(self.task.evidence(bound, share))
        };
        (full || below()) && (!self.task.rankings.best || self.best[MIXED] > bound)
    }

    /// Whether it is known of each complete candidate that is demanded if its confidence reaches the
    /// threshold, and what it is, within the tolerance.
    fn shares_settled(&self) -> bool {
        if self.task.whole() != Whole::Mixture {
            return true;
        }
        let demand = self.task.rankings.mixed;
        let least = match self.top.peek() {
            Some(worst) if self.top.len() == demand.most => worst.0.key,
            _ => f64::NEG_INFINITY,
        };
        let settled = |mass: Mass, key: f64| {
            let (least, most) = demand.bounds(key, self.task.evidence(key, 0.0), mass);
            most < demand.threshold
                || (least >= demand.threshold && most - least <= self.task.tolerance)
        };
        // The sum that drifts is near enough to say that it is far too early.
        let drifting = self.mass((self.open_mass.max(0.0) * self.task.space.overlap() / 2.0).ln());
        if self.open_mass > self.reliable && !settled(drifting, self.best[MIXED]) {
            return false;
        }
        let mass = self.mass(self.open_bound());
        let complete = self.complete().map(|(entry, _)| self.entries[entry].keys[MIXED]);
        complete.filter(|&key| key >= least).all(|key| settled(mass, key))
    }

    /// What is known of the mixture's mass, of which `open` is open.
    fn mass(&self, open: f64) -> Mass {
        Mass { explored: self.explored, open }
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
                // What bounds the node has the text of its best candidate in it, each way its own.
                let mass = parent[part] - space.text_below(part, node);
                let children = space.trie().children(node);
                let texts = children.map(|child| space.text_below(part, child));
                let end = space.trie().end(node).map(|c| space.text_of(part, c));
                let ways = space.conditionals(node, template, own);
                for (way, (x, text)) in ways.into_iter().zip(texts.chain(end)).enumerate() {
                    masses[way * parts + part] = mass + x + text;
                }
            }
        }
        if entry == 0 && space.normalise() == Normalise::List {
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
        let [_, _, base_here, corrected_here, mixed_here] = self.entries[entry as usize].keys;
        let (space, rule) = (self.task.space, self.task.correction.rule);
        let node = self.node(entry);
        let corrected: Vec<f64> = match self.task.correction.active_prior() {
            None => finetuned.clone(),
            Some(prior) if space.shifts_candidates(rule) => {
                let shifts = least_shifts(space.trie(), node, &prior.shift);
                finetuned.iter().zip(shifts).map(|(&f, shift)| f - prior.tau * shift).collect()
            }
            Some(prior) => {
                let on = prior.remove(&finetuned, space.shifts(node, &prior.shift));
                on.into_iter().map(|x| corrected_here + x).collect()
            }
        };
        let mixed: Vec<f64> = if space.mixes_at_branchings(rule) {
            let on = rule.mix_branching((corrected_here, &corrected), (base_here, &base));
            on.into_iter().map(|x| mixed_here + x).collect()
        } else {
            corrected.iter().zip(&base).map(|(&f, &b)| rule.mix(f, b)).collect()
        };
        let ranked = self.without_mean(node, &mixed);
        (0..mixed.len())
            .map(|way| [ranked[way], finetuned[way], base[way], corrected[way], mixed[way]])
            .collect()
    }

    /// The mixture's masses of the ways on from a node without its mean prediction: what bounds the
    /// candidates below each.
    fn without_mean(&self, node: NodeId, mixed: &[f64]) -> Vec<f64> {
        let Some(mean) = self.task.correction.active_mean() else { return mixed.to_vec() };
        let (trie, lambda) = (self.task.space.trie(), self.task.correction.rule.lambda());
        let end = trie.end(node).map(|c| mean.of_candidate(lambda, c));
        let lowered = trie.children(node).map(|child| mean.below(lambda, child)).chain(end);
        mixed.iter().zip(lowered).map(|(x, lowered)| x - lowered).collect()
    }

    /// The complete candidates with their entries.
    pub(super) fn complete(&self) -> impl Iterator<Item = (usize, CandidateIndex)> {
        self.entries.iter().enumerate().filter_map(|(entry, e)| match e.place {
            Place::Candidate(candidate) => Some((entry, candidate)),
            Place::Node(_) => None,
        })
    }

    /// The open entries.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().enumerate().filter(|(_, e)| e.open).map(|(entry, _)| entry)
    }

    /// ln of the sum of the mixture's keys over entries.
    fn sum(&self, entries: impl Iterator<Item = usize>) -> f64 {
        log_sum_exp(&entries.map(|entry| self.entries[entry].keys[MIXED]).collect::<Vec<_>>())
    }

    /// ln of what the candidates below the open entries have at most.
    fn open_bound(&self) -> f64 {
        self.sum(self.open()) + self.task.space.overlap().ln()
    }

    /// What was found.
    pub(super) fn answer(self) -> Answer {
        if self.task.whole() == Whole::Models {
            let (weighed, unexplored) = self.lists();
            return answer_from(self.task, weighed, Mass { open: unexplored.ln(), ..Mass::ONE });
        }
        let weighed = self.complete().map(|(entry, candidate)| {
            let [mixed, finetuned, base, ..] = self.entries[entry].keys;
            Weighed { candidate, mixed, models: Pair { finetuned, base } }
        });
        let mass = match self.task.whole() {
            Whole::Mixture => Mass {
                explored: self.sum(self.complete().map(|(entry, _)| entry)),
                open: self.open_bound(),
            },
            Whole::One | Whole::Models => Mass::ONE,
        };
        answer_from(self.task, weighed.collect(), mass)
    }
}

/// For each way on from a node the least shift of a candidate below it: its children, then the
/// candidate that ends there.
fn least_shifts(trie: &Trie, node: NodeId, shift: &Shift) -> impl Iterator<Item = f64> {
    let end = trie.end(node).map(|c| shift.candidates[c as usize]);
    trie.children(node).map(|c| shift.least[c as usize]).chain(end)
}
