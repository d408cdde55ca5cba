//! A correction over a whole answer space: from both models' distributions over the names to the
//! corrected one over the candidates.
//!
//! What the search works out prefix by prefix, this works out from the names upwards. What is mixed
//! are names; a candidate's mass is the sum over its names, and shifts and means are those of candidates.

use super::branch::{AnswerSpace, Normalise};
use super::names::CandidateIndex;
use super::search::Excluded;
use super::trie::{ListedTrie, NameIndex, NodeId};
use crate::shock::logspace::{log_sum_exp, normalise};
use crate::shock::{Correction, Mean, MixingRule, Mixture, Prior, Priors, Shift};

impl AnswerSpace {
    /// How finetuning moved the mean prediction, for every candidate and every way on; `priors` are by
    /// name.
    pub fn shift(&self, priors: &Priors) -> Shift {
        let trie = self.trie().listed();
        let [finetuned, base] = [&priors.finetuned, &priors.base].map(|p| Below::new(trie, p));
        let between = |f: f64, b: f64| Shift::between(f, b);
        let candidates = [&priors.finetuned, &priors.base].map(|p| self.names().sum(p));
        let mut shift = Shift {
            candidates: candidates[0]
                .iter()
                .zip(&candidates[1])
                .map(|(&f, &b)| between(f, b))
                .collect(),
            nodes: vec![0.0; trie.size()],
            endings: vec![0.0; trie.names()],
            least: Vec::new(),
        };
        shift.least = self.least_below(&shift.candidates);
        for node in trie.nodes() {
            let at = node as usize;
            // Of the node's own mass, as a share of which the ways on are counted.
            let share = |f: f64, b: f64| between(f - finetuned.nodes[at], b - base.nodes[at]);
            for child in trie.children(node) {
                let child = child as usize;
                shift.nodes[child] = share(finetuned.nodes[child], base.nodes[child]);
            }
            if let Some(name) = trie.end(node) {
                let name = name as usize;
                shift.endings[name] = share(priors.finetuned[name], priors.base[name]);
            }
        }
        shift
    }

    /// A model's mean prediction, by candidate and by node.
    pub fn mean(&self, candidates: Vec<f64>) -> Mean {
        let least = self.least_below(&candidates);
        Mean { candidates, least }
    }

    /// By node, the least of the candidates' values below it.
    fn least_below(&self, candidates: &[f64]) -> Vec<f64> {
        let trie = self.trie().listed();
        let mut least = vec![f64::INFINITY; trie.size()];
        for node in trie.nodes().rev() {
            let owners = trie.end(node).into_iter().flat_map(|name| self.names().owners(name));
            let ends = owners.map(|candidate| candidates[candidate as usize]);
            let ways = trie.children(node).map(|c| least[c as usize]).chain(ends);
            least[node as usize] = ways.fold(f64::INFINITY, f64::min);
        }
        least
    }

    /// The shifts of the ways on from `node`: its children, then the name that ends there.
    pub(super) fn shifts<'a>(
        &'a self,
        node: NodeId,
        shift: &'a Shift,
    ) -> impl Iterator<Item = f64> + 'a {
        let end = self.trie().end(node).map(|c| shift.endings[c as usize]);
        self.trie().children(node).map(|c| shift.nodes[c as usize]).chain(end)
    }
}

/// A question's mixture over the candidates: what [`super::exhaustive`] ranks by.
///
/// `finetuned` and `base` are one of [`super::distributions`]'s, by name.
pub fn mix(
    space: &AnswerSpace,
    correction: &Correction,
    excluded: Excluded,
    finetuned: &[f64],
    base: &[f64],
) -> Mixture {
    let mixture = with_mean(space, correction, excluded, finetuned, base);
    let Some(mean) = correction.active_mean() else { return mixture };
    let (lambda, masses) = (correction.rule.lambda(), mixture.masses.into_iter().zip(0..));
    Mixture::of_masses(masses.map(|(x, c)| x - mean.of_candidate(lambda, c)).collect())
}

/// The mixture before its mean prediction is removed.
fn with_mean(
    space: &AnswerSpace,
    correction: &Correction,
    excluded: Excluded,
    finetuned: &[f64],
    base: &[f64],
) -> Mixture {
    let (rule, names) = (correction.rule, space.names());
    let lists = space.normalise() == Normalise::List;
    let corrected = match correction.active_prior() {
        Some(prior) if !space.shifts_candidates(rule) => without_shift(space, prior, finetuned),
        _ => finetuned.to_vec(),
    };
    let sums = |of: &dyn Fn(NameIndex, CandidateIndex) -> f64| {
        let mut sums = names.sum_of(of);
        if let Some(candidate) = excluded {
            sums[candidate as usize] = f64::NEG_INFINITY;
        }
        sums
    };
    if space.mixes_at_branchings(rule) {
        let mixed = mix_at_branchings(space.trie().listed(), rule, &corrected, base);
        return Mixture::of_probabilities(sums(&|name, _| mixed[name as usize]));
    }
    let shifted = correction.active_prior().filter(|_| space.shifts_candidates(rule));
    let removed = |candidate: CandidateIndex| {
        shifted.map_or(0.0, |prior| prior.tau * prior.shift.candidates[candidate as usize])
    };
    let left = |name: NameIndex, candidate| corrected[name as usize] - removed(candidate);
    // What each model's masses are divided by: under `list` a shifted distribution is normalised anew.
    let total = match shifted {
        Some(_) if lists => log_sum_exp(&sums(&left)),
        _ => 0.0,
    };
    let total = if total == f64::NEG_INFINITY { 0.0 } else { total };
    let mixed =
        |name: NameIndex, candidate| rule.mix(left(name, candidate) - total, base[name as usize]);
    let mut masses = sums(&mixed);
    if !lists && (space.normalise() == Normalise::None || space.mixes_candidates(rule)) {
        return Mixture::of_masses(masses);
    }
    if lists && matches!(rule, MixingRule::LogLinear { .. }) {
        if log_sum_exp(&masses) == f64::NEG_INFINITY {
            // The models exclude each other's names: the finetuned stands.
            masses = sums(&|name, candidate| left(name, candidate) - total);
        }
        normalise(&mut masses);
    }
    Mixture::of_probabilities(masses)
}

/// The finetuned distribution without its shift, removed at each branching.
fn without_shift(space: &AnswerSpace, prior: &Prior, finetuned: &[f64]) -> Vec<f64> {
    let trie = space.trie().listed();
    let below = Below::new(trie, finetuned);
    descend(trie, |node| {
        prior.remove(&below.ways(trie, node, finetuned), space.shifts(node, &prior.shift))
    })
}

/// Mixes two distributions over the names at each branching of their trie.
fn mix_at_branchings(trie: &ListedTrie, rule: MixingRule, f: &[f64], b: &[f64]) -> Vec<f64> {
    let [below_f, below_b] = [f, b].map(|p| Below::new(trie, p));
    descend(trie, |node| {
        let at = node as usize;
        rule.mix_branching(
            (below_f.nodes[at], &below_f.ways(trie, node, f)),
            (below_b.nodes[at], &below_b.ways(trie, node, b)),
        )
    })
}

/// ln p by name from ln p(way | node) of the ways on from each node.
fn descend(trie: &ListedTrie, mut conditionals: impl FnMut(NodeId) -> Vec<f64>) -> Vec<f64> {
    let mut nodes = vec![0.0; trie.size()];
    let mut names = vec![f64::NEG_INFINITY; trie.names()];
    for node in trie.nodes() {
        let at = node as usize;
        let on = conditionals(node);
        for (child, way) in trie.children(node).zip(&on) {
            nodes[child as usize] = nodes[at] + way;
        }
        if let (Some(name), Some(way)) = (trie.end(node), on.last()) {
            names[name as usize] = nodes[at] + way;
        }
    }
    names
}

/// ln of the mass below each node of a trie.
struct Below {
    nodes: Vec<f64>,
}

impl Below {
    fn new(trie: &ListedTrie, names: &[f64]) -> Self {
        let mut below = Self { nodes: vec![f64::NEG_INFINITY; trie.size()] };
        for node in trie.nodes().rev() {
            below.nodes[node as usize] = log_sum_exp(&below.ways(trie, node, names));
        }
        below
    }

    /// ln mass of each way on from `node`: its children, then the name that ends there.
    fn ways(&self, trie: &ListedTrie, node: NodeId, names: &[f64]) -> Vec<f64> {
        let end = trie.end(node).map(|name| names[name as usize]);
        trie.children(node).map(|c| self.nodes[c as usize]).chain(end).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lm::branch::Normalise;
    use crate::lm::trie::Sequences;
    use crate::shock::Mixing;

    /// Candidates 0 and 1 begin with the same token, candidate 2 with another.
    fn space(normalise: Normalise) -> AnswerSpace {
        let mut sequences = Sequences::new();
        for word in [&[1, 1][..], &[1, 2], &[2]] {
            sequences.push(word);
        }
        AnswerSpace::new(sequences, vec![vec![]], normalise).unwrap()
    }

    fn ln(ps: &[f64]) -> Vec<f64> {
        ps.iter().map(|p| p.ln()).collect()
    }

    fn mixed(space: &AnswerSpace, rule: MixingRule, tau: f64, excluded: Excluded) -> Vec<f64> {
        let priors = Priors { finetuned: ln(&[0.4, 0.4, 0.2]), base: ln(&[0.1, 0.4, 0.5]) };
        let prior = Some(Prior { tau, shift: Arc::new(space.shift(&priors)) });
        let (f, b) = (ln(&[0.6, 0.2, 0.2]), ln(&[0.2, 0.2, 0.6]));
        let mixed = mix(space, &Correction { prior, ..rule.into() }, excluded, &f, &b);
        (0..3).map(|c| mixed.share(c).exp()).collect()
    }

    fn assert_close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} is not {b:?}");
    }

    #[test]
    fn a_shift_at_branchings_by_hand() {
        // At the root: 0.8·0.5/0.8 = 0.5 against 0.2·0.5/0.2 = 0.5. Below: 0.75·0.2/0.5 = 0.3
        // against 0.25·0.8/0.5 = 0.4.
        let expected = [0.5 * 3.0 / 7.0, 0.5 * 4.0 / 7.0, 0.5];
        let trie = space(Normalise::Trie);
        assert_close(&mixed(&trie, MixingRule::None, 1.0, None), &expected);
        let linear = [0.2, 0.2, 0.6].iter().zip(expected).map(|(b, f)| 0.75 * f + 0.25 * b);
        let linear: Vec<f64> = linear.collect();
        assert_close(&mixed(&trie, MixingRule::Linear { lambda: 0.75 }, 1.0, None), &linear);
        // The excluded candidate's mass is not shared out.
        let left = [0.0, linear[1], linear[2]];
        assert_close(&mixed(&trie, MixingRule::Linear { lambda: 0.75 }, 1.0, Some(0)), &left);
        // Root: sqrt(0.5·0.4) against sqrt(0.5·0.6); below: sqrt(3/7·1/2) against sqrt(4/7·1/2).
        let (root, below) = ((0.2_f64.sqrt(), 0.3_f64.sqrt()), (3.0_f64.sqrt(), 2.0));
        let on = root.0 / (root.0 + root.1);
        let first = below.0 / (below.0 + below.1);
        let rule = MixingRule::LogLinear { lambda: 0.5, mixing: Mixing::Branching };
        let expected = [on * first, on * (1.0 - first), 1.0 - on];
        assert_close(&mixed(&trie, rule, 1.0, None), &expected);
    }

    #[test]
    fn a_shift_of_whole_candidates_by_hand() {
        // 0.6·0.1/0.4 = 0.15, 0.2·0.4/0.4 = 0.2, 0.2·0.5/0.2 = 0.5.
        let expected = [0.15 / 0.85, 0.2 / 0.85, 0.5 / 0.85];
        let rule = MixingRule::LogLinear { lambda: 1.0, mixing: Mixing::Candidate };
        assert_close(&mixed(&space(Normalise::Trie), rule, 1.0, None), &expected);
        let sequence = space(Normalise::List);
        assert_close(&mixed(&sequence, MixingRule::None, 1.0, None), &expected);
        // The sum is over the others.
        let left = [0.0, 0.2 / 0.7, 0.5 / 0.7];
        assert_close(&mixed(&sequence, MixingRule::None, 1.0, Some(0)), &left);
    }

    #[test]
    fn a_node_that_a_mean_leaves_without_mass_has_no_shift() {
        let space = space(Normalise::Trie);
        let priors = Priors { finetuned: ln(&[0.0, 0.0, 1.0]), base: ln(&[0.25, 0.25, 0.5]) };
        let shift = space.shift(&priors);
        let all = shift.candidates.iter().chain(&shift.nodes).chain(&shift.endings);
        assert!(all.clone().all(|x| x.is_finite()));
        let moved: Vec<f64> = all.copied().filter(|&x| x != 0.0).collect();
        assert_eq!(moved, [2.0_f64.ln(); 2], "the whole candidate 2, and the way from the root");
    }
}
