//! Trees of tokens behind a cached text: what a packed graph computes together.
//!
//! Prompts that begin alike make a tree in which each prefix stands once, and so do the continuations
//! that are asked of one prompt. Trees of one *shape* ride in one run, their places filled up; the
//! shapes of a call depend on its trees alone, never on the token budget, so that neither do the
//! numbers.

use std::collections::BTreeMap;

/// Tokens of a tree of several texts; one with more is cut in two.
pub(super) const MOST_TOKENS: usize = 64;

/// A shape with fewer tokens in all rides with the next larger one: a run of few tokens takes as
/// long as reading the model's weights does.
const FEW_TOKENS: usize = 48;

/// Tokens that one model reads behind a text in the cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tree {
    /// Which model reads it.
    pub model: usize,
    /// Which of that model's texts it continues.
    pub text: usize,
    /// The branch of that text that it goes on from, if it is not the text itself.
    pub behind: Option<u32>,
    /// Where the keys and values of the text before it are.
    pub past: Vec<u32>,
    pub tokens: Vec<u32>,
    /// Each token's place in its tree, where it is not behind the past itself.
    pub parents: Vec<Option<u32>>,
    /// Rows, each with the place of the token after which it asks.
    pub asks: Vec<(u32, usize)>,
}

impl Tree {
    /// A tree without branches.
    pub(super) fn chain(model: usize, text: usize, past: &[u32], tokens: &[u32]) -> Self {
        let parents = (0..tokens.len() as u32).map(|at| at.checked_sub(1)).collect();
        let (past, tokens) = (past.to_vec(), tokens.to_vec());
        Self { model, text, behind: None, past, tokens, parents, asks: Vec::new() }
    }

    /// How many tokens of the tree stand before each, on its way from the past.
    pub(super) fn depths(&self) -> Vec<u32> {
        let mut depths: Vec<u32> = Vec::with_capacity(self.tokens.len());
        for parent in &self.parents {
            depths.push(parent.map_or(0, |parent| depths[parent as usize] + 1));
        }
        depths
    }

    /// The places from the past to one of the tree's tokens.
    pub(super) fn way(&self, last: u32) -> Vec<u32> {
        let mut way: Vec<u32> =
            std::iter::successors(Some(last), |&place| self.parents[place as usize]).collect();
        way.reverse();
        way
    }

    /// The width and past that its shape has at least.
    fn shape(&self) -> Shape {
        let width = match self.tokens.len() {
            ..=4 => 4,
            more => more.next_multiple_of(16),
        };
        Shape { width, past: self.past.len().next_multiple_of(16) }
    }
}

/// A tree to which texts are added, in which each prefix stands once.
struct Growing {
    tree: Tree,
    /// By parent and token: the place.
    places: BTreeMap<(Option<u32>, u32), u32>,
}

impl Growing {
    fn new(tree: Tree) -> Self {
        Self { tree, places: BTreeMap::new() }
    }

    /// Whether it has room for a text.
    fn fits(&self, text: &[u32]) -> bool {
        self.tree.tokens.is_empty() || self.tree.tokens.len() + text.len() <= MOST_TOKENS
    }

    /// Adds a text, and gives the place of its last token.
    fn add(&mut self, text: &[u32]) -> Option<u32> {
        let Self { tree, places } = self;
        text.iter().fold(None, |parent, &token| {
            Some(*places.entry((parent, token)).or_insert_with(|| {
                tree.tokens.push(token);
                tree.parents.push(parent);
                tree.tokens.len() as u32 - 1
            }))
        })
    }
}

/// The trees of what is asked behind `root`, a tree without tokens; `asked` has what each row's
/// continuation has beyond it, of which none is empty.
pub(super) fn branches(root: &Tree, asked: &[(usize, &[u32])]) -> Vec<Tree> {
    let mut trees: Vec<Tree> = Vec::new();
    let mut growing = Growing::new(root.clone());
    for &(row, continuation) in asked {
        if !growing.fits(continuation) {
            trees.push(std::mem::replace(&mut growing, Growing::new(root.clone())).tree);
        }
        let last = growing.add(continuation);
        growing.tree.asks.extend(last.map(|place| (place, row)));
    }
    trees.push(growing.tree);
    trees
}

/// A text of which the first tokens are in the cache, and the others are to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due<'a> {
    /// The slots of the first tokens.
    pub past: &'a [u32],
    /// The others, of which there is one at least.
    pub rest: &'a [u32],
    /// Its number.
    pub text: usize,
}

/// The trees of a model's texts, each with its texts and the places of their last tokens. Texts that go
/// on alike behind the same past are in one, as far as it has room.
pub(super) fn texts(model: usize, mut due: Vec<Due<'_>>) -> Vec<(Tree, Vec<(usize, u32)>)> {
    due.sort_unstable();
    let mut trees: Vec<(Growing, Vec<(usize, u32)>)> = Vec::new();
    let mut before: Option<Due<'_>> = None;
    for own in due {
        let alike =
            before.is_some_and(|b| b.past == own.past && b.rest.first() == own.rest.first());
        before = Some(own);
        if !alike || trees.last().is_none_or(|(growing, _)| !growing.fits(own.rest)) {
            let root = Tree::chain(model, trees.len(), own.past, &[]);
            trees.push((Growing::new(root), Vec::new()));
        }
        if let Some((growing, members)) = trees.last_mut() {
            members.extend(growing.add(own.rest).map(|last| (own.text, last)));
        }
    }
    trees.into_iter().map(|(growing, members)| (growing.tree, members)).collect()
}

/// How many places each tree of a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub width: usize,
    pub past: usize,
}

/// Keys that the trees of a run may see together, for each token of the budget: they are gathered.
const KEYS_PER_TOKEN: usize = 32;

/// Bytes of the logits of a run: each row that it answers may get those of a whole vocabulary, and a runtime
/// holds them two or three times.
const MOST_LOGITS: usize = 32 << 20;

/// How many rows a run answers, of models with so many tokens in their vocabulary.
pub(super) fn most_asks(vocabulary: usize) -> usize {
    (MOST_LOGITS / size_of::<f32>() / vocabulary.max(1)).clamp(1, 256)
}

/// The runs that compute `trees`, each with its shape and at most `budget` tokens and `most_asks` rows where a
/// single tree has no more; within a shape in the given order.
pub(super) fn runs(trees: Vec<Tree>, budget: usize, most_asks: usize) -> Vec<(Shape, Vec<Tree>)> {
    let mut by_shape: BTreeMap<Shape, Vec<Tree>> = BTreeMap::new();
    for tree in trees {
        by_shape.entry(tree.shape()).or_default().push(tree);
    }
    let mut shapes: Vec<(Shape, Vec<Tree>)> = Vec::new();
    for (shape, trees) in by_shape {
        match shapes.last_mut() {
            Some((last, before)) if few(before) => {
                *last = Shape { width: shape.width, past: shape.past.max(last.past) };
                before.extend(trees);
            }
            _ => shapes.push((shape, trees)),
        }
    }
    // The largest shape may be left with few.
    if shapes.len() > 1
        && let Some((last, trees)) = shapes.pop_if(|(_, trees)| few(trees))
        && let Some((shape, before)) = shapes.last_mut()
    {
        *shape = Shape { width: last.width, past: shape.past.max(last.past) };
        before.extend(trees);
    }
    let mut runs: Vec<(Shape, Vec<Tree>)> = Vec::new();
    for (shape, trees) in shapes {
        let (mut left, mut asks) = (0, 0);
        let most = (KEYS_PER_TOKEN * budget / (shape.past + shape.width)).max(1);
        for tree in trees {
            let (tokens, own_asks) = (tree.tokens.len(), tree.asks.len());
            let fits = tokens <= left && own_asks <= asks;
            match runs.last_mut() {
                Some((_, run)) if fits && run.len() < most => run.push(tree),
                _ => {
                    (left, asks) = (budget.max(tokens), most_asks.max(own_asks));
                    runs.push((shape, vec![tree]));
                }
            }
            (left, asks) = (left - tokens, asks - own_asks);
        }
    }
    runs
}

fn few(trees: &[Tree]) -> bool {
    trees.iter().map(|tree| tree.tokens.len()).sum::<usize>() < FEW_TOKENS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths(tree: &Tree) -> Vec<(usize, Vec<u32>)> {
        let path = |place| tree.way(place).iter().map(|&at| tree.tokens[at as usize]).collect();
        tree.asks.iter().map(|&(place, row)| (row, path(place))).collect()
    }

    #[test]
    fn what_continuations_share_stands_once() {
        let asked: [(usize, &[u32]); 4] = [(7, &[1]), (8, &[1, 2]), (9, &[3, 2]), (10, &[1, 4])];
        let trees = branches(&Tree::chain(1, 8, &[5, 6], &[]), &asked);
        assert_eq!(trees.len(), 1);
        assert_eq!(trees[0].tokens, [1, 2, 3, 2, 4]);
        assert_eq!(trees[0].parents, [None, Some(0), None, Some(2), Some(0)]);
        assert_eq!(trees[0].depths(), [0, 1, 0, 1, 1]);
        assert_eq!((trees[0].model, &trees[0].past[..]), (1, &[5, 6][..]));
    }

    #[test]
    fn texts_that_go_on_alike_share_what_they_share() {
        let due = |text, past, rest| Due { past, rest, text };
        let long: Vec<u32> = (0..63).collect();
        let trees = texts(
            0,
            vec![
                due(0, &[5], &[1, 2]),
                due(1, &[5], &[3]),
                due(2, &[6], &[1, 2]),
                due(3, &[5], &[1, 4]),
                due(4, &[6], &[1, 2]),
                due(5, &[6], &long),
                due(6, &[6], &[0, 9, 9]),
            ],
        );
        let found: Vec<_> = trees
            .into_iter()
            .map(|(tree, members)| (tree.past[0], tree.tokens.len(), members))
            .collect();
        let expected = [
            (5, 3, vec![(0, 1), (3, 2)]),
            (5, 1, vec![(1, 0)]),
            (6, 63, vec![(5, 62)]),
            (6, 3, vec![(6, 2)]),
            (6, 2, vec![(2, 1), (4, 1)]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn few_tokens_ride_with_more() {
        let chain = |past: u32, tokens: u32| {
            let upto = |n: u32| (0..n).collect::<Vec<u32>>();
            Tree::chain(0, 0, &upto(past), &upto(tokens))
        };
        let shapes = |trees: Vec<Tree>| -> Vec<(usize, usize, usize)> {
            let runs = runs(trees, 1000, 256);
            runs.iter().map(|(shape, trees)| (shape.width, shape.past, trees.len())).collect()
        };
        assert_eq!(shapes(vec![chain(40, 2), chain(0, 12), chain(0, 17)]), [(32, 48, 3)]);
        let mut many = vec![chain(0, 20)];
        many.extend(vec![chain(0, 12); 10]);
        assert_eq!(shapes(many), [(32, 0, 11)]);
        let mut both = vec![chain(0, 20); 3];
        both.extend(vec![chain(0, 12); 10]);
        assert_eq!(shapes(both), [(16, 0, 10), (32, 0, 3)]);
    }

    proptest! {
        #[test]
        fn every_row_is_asked_once_and_the_budget_is_kept(
            asked in prop::collection::vec(prop::collection::vec(0u32..4, 1..40), 1..60),
            budget in 1usize..200,
        ) {
            let rows: Vec<(usize, &[u32])> = asked.iter().map(Vec::as_slice).enumerate().collect();
            let trees = branches(&Tree::chain(0, 0, &[1], &[]), &rows);
            let mut found: Vec<_> = trees.iter().flat_map(paths).collect();
            found.sort();
            let expected: Vec<_> = asked.iter().cloned().enumerate().collect();
            prop_assert_eq!(found, expected);
            let count = trees.len();
            let mut seen = 0;
            for (shape, trees) in runs(trees, budget, 256) {
                let tokens: usize = trees.iter().map(|tree| tree.tokens.len()).sum();
                prop_assert!(tokens <= budget || trees.len() == 1);
                prop_assert!(trees.iter().all(|t| t.tokens.len() <= shape.width.max(4)));
                prop_assert!(trees.iter().all(|t| t.past.len() <= shape.past));
                seen += trees.len();
            }
            prop_assert_eq!(seen, count);
        }
    }
}
