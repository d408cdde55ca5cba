//! One question's way through the trie: what is open, what is complete, what is settled.

use std::collections::{BinaryHeap, HashMap};

use super::leaders::{Leaders, Ranked};
use super::list::totals;
use super::settle::Needs;
use super::task::Whole;
use super::{Answer, Excluded, Mass, SearchTask, Weighed, answer};
use crate::lm::branch::Normalise;
use crate::lm::names::CandidateIndex;
use crate::lm::trie::{NameIndex, NodeId, Trie};
use crate::shock::Pair;
use crate::shock::logspace::{log_add_exp, log_sum_exp};

/// A prefix that can be opened, or a name of a candidate that is complete.
#[derive(Clone, Copy)]
enum Place {
    Node(NodeId),
    Candidate(CandidateIndex),
}

pub(super) struct Entry {
    place: Place,
    /// ln mass, which bounds all below.
    keys: Keys,
    /// A prefix that has not been asked about.
    pub(super) open: bool,
}

/// A way on from a node.
struct Way {
    place: Place,
    /// Which of the node's ways it is: its children, then the name that ends there.
    option: usize,
    /// ln of the part of a name's mass that each of its candidates has.
    ln_part: f64,
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
    pub(super) entries: Vec<Entry>,
    /// By entry, then by model, then by template: ln mass as the model gives it.
    masses: Vec<f64>,
    /// By model and template: what the keys are relative to, so that templates weigh the same.
    scale: Vec<f64>,
    /// By ranking, the open entries.
    pub(super) frontiers: Vec<BinaryHeap<Ranked>>,
    /// The candidates of which names are complete.
    pub(super) leaders: Leaders<'a>,
    /// Where candidates have several names: the entry of a node.
    pub(super) entry_of: HashMap<NodeId, u32>,
    /// ln of the sum of the mixture's keys over complete entries.
    pub(super) explored: f64,
    /// The sum of exp(mixture's key) over open entries; it drifts by rounding and so only says when
    /// it is worth summing anew.
    pub(super) open_mass: f64,
    /// From here on that sum is not all rounding.
    pub(super) reliable: f64,
    pub(super) expansions: usize,
    /// Under `list`: when to sum anew.
    pub(super) next_check: usize,
    /// Found to be settled: asked again while other questions go on, it must stay so.
    pub(super) settled: bool,
}

impl<'a> Question<'a> {
    /// A question of which nothing is known yet.
    pub(super) fn new(task: &'a SearchTask<'a>, excluded: Excluded) -> Self {
        let rankings =
            match task.rankings.best && task.whole() != Whole::Models && task.near.is_none() {
                true => 1 + task.models,
                false => 1,
            };
        let mut question = Self {
            task,
            excluded,
            entries: Vec::new(),
            masses: Vec::new(),
            scale: vec![0.0; task.parts()],
            frontiers: (0..rankings).map(|_| BinaryHeap::new()).collect(),
            leaders: Leaders::new(task.space.names(), rankings),
            entry_of: HashMap::new(),
            explored: f64::NEG_INFINITY,
            open_mass: 0.0,
            reliable: 0.0,
            expansions: 0,
            next_check: 1,
            settled: false,
        };
        let mut ways = Vec::new();
        question.ways_by(Trie::ROOT, 0, &mut ways);
        let mixed: Vec<f64> = ways.iter().map(|way| way.ln_part).collect();
        let ranked = question.without_mean(&ways, &mixed);
        question.reliable = RELIABLE * ranked[0].exp();
        let of_root = |part: usize| task.space.text_below(part, Trie::ROOT);
        for (way, key) in ways.iter().zip(ranked) {
            let masses: Vec<f64> =
                (0..task.parts()).map(|part| of_root(part) + way.ln_part).collect();
            let mut keys = [way.ln_part; 5];
            keys[MIXED] = key;
            question.discover(way.place, keys, &masses);
        }
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

    /// The ways on from a node.
    fn ways(&self, node: NodeId) -> Vec<Way> {
        let trie = self.task.space.trie();
        let mut ways = Vec::with_capacity(trie.options(node));
        for (option, child) in trie.children(node).enumerate() {
            self.ways_by(child, option, &mut ways);
        }
        if let Some(name) = trie.end(node) {
            self.ways_to_owners(name, trie.options(node) - 1, &mut ways);
        }
        ways
    }

    /// The ways that begin with a node: itself, or what it leads to where there is nothing to ask.
    fn ways_by(&self, mut node: NodeId, option: usize, ways: &mut Vec<Way>) {
        let space = self.task.space;
        while !space.asks(node) {
            match (space.trie().end(node), space.trie().children(node).next()) {
                (Some(name), _) => return self.ways_to_owners(name, option, ways),
                (None, Some(child)) => node = child,
                (None, None) => break, // the root of no candidates
            }
        }
        ways.push(Way { place: Place::Node(node), option, ln_part: 0.0 });
    }

    fn ways_to_owners(&self, name: NameIndex, option: usize, ways: &mut Vec<Way>) {
        let names = self.task.space.names();
        let ln_part = names.ln_part(name);
        ways.extend(names.owners(name).map(|candidate| Way {
            place: Place::Candidate(candidate),
            option,
            ln_part,
        }));
    }

    fn discover(&mut self, place: Place, keys: Keys, masses: &[f64]) {
        let entry = self.entries.len() as u32;
        let mut open = false;
        match place {
            Place::Candidate(candidate) if Some(candidate) == self.excluded => return,
            Place::Candidate(candidate) => {
                self.explored = log_add_exp(self.explored, keys[MIXED]);
                self.leaders.add(candidate, &keys);
            }
            Place::Node(node) => {
                open = !self.task.space.trie().is_empty();
                if !self.task.space.names().is_one_each() {
                    self.entry_of.insert(node, entry);
                }
            }
        }
        self.entries.push(Entry { place, keys, open });
        self.masses.extend_from_slice(masses);
        if open {
            self.open_mass += keys[MIXED].exp();
            for (frontier, key) in self.frontiers.iter_mut().zip(keys) {
                frontier.push(Ranked { key, number: entry });
            }
        }
    }

    /// Closes and returns the entries whose nodes have to be opened next; none when all is found.
    pub(super) fn pick(&mut self) -> Vec<u32> {
        let mut picked = Vec::new();
        let most = 1 + self.expansions / WIDEN_AFTER;
        for ranking in 0..self.frontiers.len() {
            let Some(bound) = self.bound(ranking) else { continue };
            match self.needs(ranking, bound) {
                Needs::Nothing => {}
                Needs::Names(entries) => {
                    entries.into_iter().for_each(|entry| self.close(entry, &mut picked));
                }
                Needs::More => {
                    for _ in 0..most {
                        if self.bound(ranking).is_none() {
                            break;
                        }
                        let Some(first) = self.frontiers[ranking].pop() else { break };
                        self.close(first.number, &mut picked);
                    }
                }
            }
        }
        self.expansions += picked.len();
        picked
    }

    fn close(&mut self, entry: u32, picked: &mut Vec<u32>) {
        let own = &mut self.entries[entry as usize];
        if own.open {
            own.open = false;
            self.open_mass -= own.keys[MIXED].exp();
            picked.push(entry);
        }
    }

    /// The largest key of an open entry, which is then the first in a ranking's frontier.
    pub(super) fn bound(&mut self, ranking: usize) -> Option<f64> {
        let frontier = &mut self.frontiers[ranking];
        while frontier.peek().is_some_and(|r| !self.entries[r.number as usize].open) {
            frontier.pop();
        }
        frontier.peek().map(|r| r.key)
    }

    /// What is known of the mixture's mass, of which `open` is open.
    pub(super) fn mass(&self, open: f64) -> Mass {
        Mass { explored: self.explored, open }
    }

    /// Opens an entry with each model's answers, which are taken off the front of `answers`.
    pub(super) fn expand(&mut self, entry: u32, answers: &mut [&[f64]]) {
        let (task, parts) = (self.task, self.task.parts());
        let (space, templates) = (task.space, task.space.templates());
        let node = self.node(entry);
        let parent = self.masses(entry as usize).to_vec();
        let mut options = vec![0.0; space.trie().options(node) * parts];
        for (model, answers) in answers.iter_mut().enumerate() {
            for template in 0..templates {
                let (own, rest) = answers.split_at(space.answers(node, template));
                *answers = rest;
                let part = model * templates + template;
                // What bounds the node has the text of its best candidate in it, each way its own.
                let mass = parent[part] - space.text_below(part, node);
                let children = space.trie().children(node);
                let texts = children.map(|child| space.text_below(part, child));
                let end = space.trie().end(node).map(|name| space.text_of(part, name));
                let on = space.conditionals(node, template, own);
                for (option, (x, text)) in on.into_iter().zip(texts.chain(end)).enumerate() {
                    options[option * parts + part] = mass + x + text;
                }
            }
        }
        let ways = self.ways(node);
        let of_way = |way: &Way| {
            let own = way.option * parts;
            options[own..own + parts].iter().map(|mass| mass + way.ln_part).collect::<Vec<_>>()
        };
        let masses: Vec<f64> = ways.iter().flat_map(of_way).collect();
        if entry == 0 && space.normalise() == Normalise::List {
            self.scale = totals(masses.chunks_exact(parts), parts);
        }
        let keys = self.keys(entry, &ways, &masses);
        for ((way, keys), masses) in ways.iter().zip(keys).zip(masses.chunks_exact(parts)) {
            self.discover(way.place, keys, masses);
        }
    }

    /// The keys of the ways on from an entry.
    fn keys(&self, entry: u32, ways: &[Way], masses: &[f64]) -> Vec<Keys> {
        let (finetuned, base): (Vec<f64>, Vec<f64>) = masses
            .chunks_exact(self.task.parts())
            .map(|way| self.task.model_masses(way, &self.scale))
            .map(|Pair { finetuned, base }| (finetuned, base))
            .unzip();
        let [_, _, base_here, corrected_here, mixed_here] = self.entries[entry as usize].keys;
        let (space, rule) = (self.task.space, self.task.correction.rule);
        let corrected: Vec<f64> = match self.task.correction.active_prior() {
            None => finetuned.clone(),
            Some(prior) if space.shifts_candidates(rule) => {
                let shifts = ways.iter().map(|way| match way.place {
                    Place::Node(node) => prior.shift.least[node as usize],
                    Place::Candidate(candidate) => prior.shift.candidates[candidate as usize],
                });
                finetuned.iter().zip(shifts).map(|(&f, shift)| f - prior.tau * shift).collect()
            }
            Some(prior) => {
                let options: Vec<f64> = space.shifts(self.node(entry), &prior.shift).collect();
                let on = prior.remove(&finetuned, ways.iter().map(|way| options[way.option]));
                on.into_iter().map(|x| corrected_here + x).collect()
            }
        };
        let mixed: Vec<f64> = if space.mixes_at_branchings(rule) {
            let on = rule.mix_branching((corrected_here, &corrected), (base_here, &base));
            on.into_iter().map(|x| mixed_here + x).collect()
        } else {
            corrected.iter().zip(&base).map(|(&f, &b)| rule.mix(f, b)).collect()
        };
        let ranked = self.without_mean(ways, &mixed);
        (0..mixed.len())
            .map(|way| [ranked[way], finetuned[way], base[way], corrected[way], mixed[way]])
            .collect()
    }

    /// The mixture's masses of ways on without their mean prediction: what bounds the candidates
    /// below each.
    fn without_mean(&self, ways: &[Way], mixed: &[f64]) -> Vec<f64> {
        let Some(mean) = self.task.correction.active_mean() else { return mixed.to_vec() };
        let lambda = self.task.correction.rule.lambda();
        let lowered = ways.iter().map(|way| match way.place {
            Place::Node(node) => mean.below(lambda, node),
            Place::Candidate(candidate) => mean.of_candidate(lambda, candidate),
        });
        mixed.iter().zip(lowered).map(|(x, lowered)| x - lowered).collect()
    }

    /// The names of complete candidates: their entries and whose they are.
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
    pub(super) fn open_bound(&self) -> f64 {
        self.sum(self.open()) + self.task.space.overlap().ln()
    }

    /// What was found.
    pub(super) fn answer(self) -> Answer {
        if self.task.whole() == Whole::Models {
            let (names, unexplored) = self.lists();
            return answer(self.task, names, Mass { open: unexplored.ln(), ..Mass::ONE });
        }
        let mass = match self.task.whole() {
            Whole::Mixture => Mass {
                explored: self.sum(self.complete().map(|(entry, _)| entry)),
                open: self.open_bound(),
            },
            Whole::One | Whole::Models => Mass::ONE,
        };
        answer(self.task, self.weighed(), mass)
    }

    /// The names of complete candidates, with their masses.
    pub(super) fn weighed(&self) -> Vec<Weighed> {
        let names = self.complete().map(|(entry, candidate)| {
            let [mixed, finetuned, base, ..] = self.entries[entry].keys;
            Weighed { candidate, mixed, models: Pair { finetuned, base } }
        });
        names.collect()
    }
}
