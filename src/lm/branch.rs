//! One step in an answer space: what to ask a model at a node of the trie, and what its answer
//! means for the ways that lead on.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Row;
use super::masks::{Masks, Scoring};
use super::names::{CandidateIndex, Names};
use super::text::TextAfter;
use super::trie::{ListedTrie, NameIndex, NodeId, Nodes, NumberTrie, Sequences, Trie, TrieError};
use crate::shock::logspace::{log_sum_exp, normalise};
use crate::shock::{Correction, Mixing, MixingRule};

/// By what a model's probability of a candidate is divided, before templates are averaged and models
/// mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalise {
    /// By nothing: it is the model's own probability of the candidate's whole token sequence with the
    /// template's text after the object; where no text is after it, of a candidate that begins
    /// others, that none of these follows. The best are found without a sum over all candidates.
    None,
    /// By its sum over all candidates, template by template: no template and no model weighs more
    /// because it expects the candidates more. All of them are looked at, as far as `tolerance` says.
    List,
    /// At each branching of the candidates' token trie, over the tokens allowed there: tokens without
    /// a choice cost nothing, and names that begin with a frequent word gain by it (label bias).
    Trie,
}

/// The candidates of one relation by their names as token sequences, and the templates' text after the
/// object.
#[derive(Clone, Debug)]
pub struct AnswerSpace {
    /// Shared by the spaces of the same candidates, as are the names and masks.
    trie: Arc<Trie>,
    names: Arc<Names>,
    normalise: Normalise,
    /// For each template, the tokens of its text after the object; often empty.
    suffixes: Vec<Vec<u32>>,
    /// Of a masked model: what the sequences' first numbers mean.
    masks: Option<Arc<Masks>>,
    /// How many times its mass a prefix has below it at most.
    overlap: f64,
    /// What the text after the object adds, where it is not scored question by question.
    pub(super) text: Option<TextAfter>,
}

impl AnswerSpace {
    /// An answer space of token sequences, each the one name of a candidate, asked for through as many
    /// templates as `suffixes`.
    ///
    /// # Errors
    /// Where a name has no token or the same tokens as another.
    pub fn new(
        names: Sequences,
        suffixes: Vec<Vec<u32>>,
        normalise: Normalise,
    ) -> Result<Self, TrieError> {
        let nodes = match normalise {
            Normalise::Trie => Nodes::Branchings,
            Normalise::None | Normalise::List => Nodes::Prefixes,
        };
        let trie = ListedTrie::new(names, nodes)?;
        let overlap = overlap(&trie, &suffixes);
        let names = Arc::new(Names::one_each(trie.names()));
        let trie = Arc::new(Trie::Listed(trie));
        Ok(Self { trie, names, normalise, suffixes, masks: None, overlap, text: None })
    }

    /// An answer space of the numbers of a grammar, asked for through as many templates as `suffixes`.
    pub fn of_numbers(trie: NumberTrie, suffixes: Vec<Vec<u32>>, normalise: Normalise) -> Self {
        let names = Names::of_numbers(trie.grammar());
        let mut firsts = suffixes.iter().filter_map(|suffix| suffix.first());
        // A number may end at each token of a longer one.
        let most = if firsts.any(|&first| trie.follows_some(first)) { trie.longest() } else { 0 };
        let overlap = 1.0 + most as f64;
        let (trie, names) = (Arc::new(Trie::Numbers(trie)), Arc::new(names));
        Self { trie, names, normalise, suffixes, masks: None, overlap, text: None }
    }

    /// The same names, but those of other candidates.
    ///
    /// # Panics
    /// Where there are not as many names.
    #[must_use]
    pub fn with_names(self, names: Names) -> Self {
        assert_eq!(names.names(), self.trie.listed().names(), "names of this space");
        Self { names: Arc::new(names), ..self }
    }

    /// The same listed candidates, asked for through as many templates as `suffixes`. What is large is shared.
    #[must_use]
    pub fn through(&self, suffixes: Vec<Vec<u32>>) -> Self {
        let overlap = overlap(self.trie.listed(), &suffixes);
        Self { suffixes, overlap, text: None, ..self.clone() }
    }

    /// An answer space of token sequences that a masked model is asked for, through as many
    /// `templates`. `words` has for each token of each name the number of its word. Names
    /// of different lengths are not comparable before the end, and so never normalised at branchings.
    ///
    /// # Errors
    /// Where a name has no token or the same tokens as another.
    pub fn masked(
        names: &Sequences,
        words: &Sequences,
        templates: usize,
        mask: u32,
        scoring: Scoring,
        normalise: Normalise,
    ) -> Result<Self, TrieError> {
        let empty = (0..names.len()).find(|&at| names.get(at).is_empty());
        if let Some(empty) = empty {
            return Err(TrieError::Empty(empty as NameIndex));
        }
        let (masks, framed) = Masks::new(mask, scoring, names, words);
        let suffixes = vec![Vec::new(); templates];
        let normalise = match normalise {
            Normalise::Trie => Normalise::None,
            other => other,
        };
        let space = Self::new(framed, suffixes, normalise)?;
        Ok(Self { masks: Some(Arc::new(masks)), ..space })
    }

    /// Whether the ways on from `node` are frames, which are certain.
    fn parts_frames(&self, node: NodeId) -> bool {
        self.masks.is_some() && node == Trie::ROOT
    }

    /// How many times its own mass a prefix's names have together at most: once, unless the text
    /// after the object goes on as a longer name does ("Bosnia", "Bosnia and Herzegovina" before
    /// " and"). Then the model's mass of that token counts for both.
    pub(super) fn overlap(&self) -> f64 {
        self.overlap
    }

    /// Whether its names are listed, so that all of them can be gone through.
    pub fn is_listed(&self) -> bool {
        matches!(*self.trie, Trie::Listed(_))
    }

    /// The token trie.
    pub fn trie(&self) -> &Trie {
        &self.trie
    }

    /// Which names are whose.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A name's tokens.
    pub fn tokens(&self, name: NameIndex) -> &[u32] {
        // A frame is none.
        &self.trie.listed().tokens(name)[usize::from(self.masks.is_some())..]
    }

    /// The tokens of a candidate's names together.
    pub fn tokens_of(&self, candidate: CandidateIndex) -> usize {
        self.names.of(candidate).map(|name| self.tokens(name).len()).sum()
    }

    /// How many tokens a candidate's longest name has.
    pub fn longest_of(&self, candidate: CandidateIndex) -> usize {
        self.names.of(candidate).map(|name| self.tokens(name).len()).max().unwrap_or(0)
    }

    /// How many templates ask for it.
    pub fn templates(&self) -> usize {
        self.suffixes.len()
    }

    /// How its distributions are normalised.
    pub fn normalise(&self) -> Normalise {
        self.normalise
    }

    /// Whether a rule mixes at each branching here. Where masses are not normalised there, all mixing is
    /// of whole candidates.
    pub fn mixes_at_branchings(&self, rule: MixingRule) -> bool {
        self.normalise == Normalise::Trie
            && matches!(rule, MixingRule::LogLinear { mixing: Mixing::Branching, .. })
    }

    /// Whether a rule mixes whole candidates log-linearly, and so leaves what sums to less than one.
    pub(super) fn mixes_candidates(&self, rule: MixingRule) -> bool {
        matches!(rule, MixingRule::LogLinear { .. }) && !self.mixes_at_branchings(rule)
    }

    /// Whether the shift that a correction removes is that of whole candidates, not of the ways on
    /// from each branching.
    pub(super) fn shifts_candidates(&self, rule: MixingRule) -> bool {
        self.normalise != Normalise::Trie
            || matches!(rule, MixingRule::LogLinear { mixing: Mixing::Candidate, .. })
    }

    /// Whether a correction can only be worked out from all candidates: where a distribution over
    /// the list is shifted, and so has to be normalised anew.
    pub fn needs_every_candidate(&self, correction: &Correction) -> bool {
        let shifted = correction.active_prior().is_some() || correction.active_mean().is_some();
        shifted && self.normalise == Normalise::List
    }

    /// Whether a model has to be asked how it goes on from `node`.
    pub fn asks(&self, node: NodeId) -> bool {
        match self.normalise {
            Normalise::Trie => self.trie.options(node) >= 2,
            Normalise::None | Normalise::List => {
                self.trie.children(node).len() > 0
                    || (self.trie.end(node).is_some()
                        && self.suffixes.iter().any(|s| !s.is_empty()))
            }
        }
    }

    /// Whether only the ways on from `node` relative to each other matter: they are normalised, and
    /// none is what the others leave of the whole vocabulary.
    fn is_relative(&self, node: NodeId, template: usize) -> bool {
        self.normalise == Normalise::Trie
            && (self.trie.end(node).is_none() || !self.suffixes[template].is_empty())
    }

    /// Adds the rows that ask template `template`'s prompt about `node`.
    pub fn rows<'a>(
        &'a self,
        node: NodeId,
        template: usize,
        prompt: usize,
        rows: &mut Vec<Row<'a>>,
    ) {
        let path = self.trie.path(node);
        if let Some(masks) = &self.masks {
            rows.extend(masks.row(
                self.trie.listed().path(node),
                prompt,
                self.trie.listed().child_tokens(node),
            ));
            return;
        }
        let suffix = self.scored_suffix(node, template);
        let wanted = match suffix.first() {
            None => self.trie.child_tokens(node),
            Some(&first) => {
                let mut wanted = self.trie.child_tokens(node).into_owned();
                wanted.push(first);
                Cow::Owned(wanted)
            }
        };
        let relative = self.is_relative(node, template);
        let place = path.len();
        rows.push(Row { prompt, continuation: path.clone(), place, wanted, relative });
        for at in 1..suffix.len() {
            rows.push(Row {
                prompt,
                continuation: Cow::Owned([&path, &suffix[..at]].concat()),
                place: place + at,
                wanted: Cow::Owned(vec![suffix[at]]),
                relative: false,
            });
        }
    }

    /// ln p(way on | node) for each child in order and then the name that ends at `node`,
    /// if one does; `answer` is the model's for exactly [`Self::rows`].
    pub fn conditionals(&self, node: NodeId, template: usize, answer: &[f64]) -> Vec<f64> {
        let children = self.trie.children(node).len();
        if self.parts_frames(node) {
            return vec![0.0; children];
        }
        let (to_children, to_suffix) = answer.split_at(children);
        let mut ways = to_children.to_vec();
        if self.trie.end(node).is_none() {
            if self.normalise == Normalise::Trie {
                normalise(&mut ways);
            }
            return ways;
        }
        ways.push(match to_suffix {
            // Nothing follows the object in the template: whatever does not lead to a longer
            // name ends this one.
            [] => rest_of_one(log_sum_exp(&ways)),
            suffix => suffix.iter().sum(),
        });
        if self.normalise == Normalise::Trie {
            normalise(&mut ways);
        }
        debug_assert_eq!(ways.len(), self.trie.options(node), "template {template}");
        ways
    }

    /// How many values a model answers to [`Self::rows`].
    pub fn answers(&self, node: NodeId, template: usize) -> usize {
        if self.parts_frames(node) {
            return 0;
        }
        self.trie.children(node).len() + self.scored_suffix(node, template).len()
    }

    /// The tokens that have to follow a name that ends at `node`.
    fn scored_suffix(&self, node: NodeId, template: usize) -> &[u32] {
        let suffix = &self.suffixes[template];
        match (self.trie.end(node), self.normalise) {
            (None, _) => &[],
            (Some(_), Normalise::Trie) => &suffix[..suffix.len().min(1)],
            (Some(_), _) => suffix,
        }
    }
}

/// One, and how many names on a way through the trie at most go on both with a longer one and with
/// a template's text by the same token.
fn overlap(trie: &ListedTrie, suffixes: &[Vec<u32>]) -> f64 {
    let firsts: Vec<u32> = suffixes.iter().filter_map(|suffix| suffix.first().copied()).collect();
    let mut below = vec![0_u32; trie.size()];
    for node in trie.nodes().rev() {
        let tokens = trie.child_tokens(node);
        let both = trie.end(node).is_some() && firsts.iter().any(|first| tokens.contains(first));
        let most = trie.children(node).map(|child| below[child as usize]).max().unwrap_or(0);
        below[node as usize] = most + u32::from(both);
    }
    1.0 + f64::from(below[Trie::ROOT as usize])
}

/// ln(1 - exp(x)) for x ≤ 0; `-inf` where rounding took x to 0 or above.
fn rest_of_one(x: f64) -> f64 {
    if x >= 0.0 {
        f64::NEG_INFINITY
    } else if x > -std::f64::consts::LN_2 {
        (-x.exp_m1()).ln()
    } else {
        (-x.exp()).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(suffix: &[u32], normalise: Normalise) -> AnswerSpace {
        let mut sequences = Sequences::new();
        sequences.push(&[1]);
        sequences.push(&[1, 2]);
        sequences.push(&[3, 4]);
        AnswerSpace::new(sequences, vec![suffix.to_vec()], normalise).unwrap()
    }

    fn probabilities(space: &AnswerSpace, node: NodeId, answer: &[f64]) -> Vec<f64> {
        let ln: Vec<f64> = answer.iter().map(|p| p.ln()).collect();
        space.conditionals(node, 0, &ln).iter().map(|x| x.exp()).collect()
    }

    fn assert_close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} is not {b:?}");
    }

    #[test]
    fn a_candidate_that_begins_another_ends_with_what_is_left() {
        let space = space(&[], Normalise::Trie);
        // Node 1 is the prefix [1]: candidate 0 ends there, candidate 1 goes on with token 2.
        assert_eq!(*space.trie().path(1), [1]);
        assert_close(&probabilities(&space, 1, &[0.1]), &[0.1, 0.9]);
        assert_close(&probabilities(&space, Trie::ROOT, &[0.02, 0.06]), &[0.25, 0.75]);
    }

    #[test]
    fn the_text_after_the_object_decides_where_there_is_one() {
        let space = space(&[9, 8], Normalise::Trie);
        assert_eq!(space.answers(1, 0), 2);
        assert_close(&probabilities(&space, 1, &[0.1, 0.3]), &[0.25, 0.75]);
    }

    #[test]
    fn sequences_are_scored_with_their_whole_suffix() {
        let space = space(&[9, 8], Normalise::None);
        let mut rows = Vec::new();
        space.rows(1, 0, 5, &mut rows);
        let asked: Vec<_> =
            rows.iter().map(|r| (r.continuation.to_vec(), r.wanted.to_vec())).collect();
        assert_eq!(asked, [(vec![1], vec![2, 9]), (vec![1, 9], vec![8])]);
        assert_close(&probabilities(&space, 1, &[0.1, 0.3, 0.5]), &[0.1, 0.15]);
    }

    #[test]
    fn rounding_above_one_leaves_no_ending() {
        assert_eq!(rest_of_one(1e-12), f64::NEG_INFINITY);
        assert!((rest_of_one(0.3_f64.ln()).exp() - 0.7).abs() < 1e-15);
        assert!((rest_of_one(0.9_f64.ln()).exp() - 0.1).abs() < 1e-15);
    }
}
