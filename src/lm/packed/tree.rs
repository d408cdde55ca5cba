//! Trees of tokens behind a cached text: what a packed graph computes together.
//!
//! A prompt is a tree without branches; the continuations that are asked of one prompt make one in
//! which each prefix stands once. Trees of one *shape* ride in one run, their places filled up; the
//! shapes of a call depend on its trees alone, never on the token budget, so that neither do the
//! numbers.

use std::collections::BTreeMap;

/// Tokens of a tree of continuations; one with more is cut in two.
const MOST_TOKENS: usize = 64;

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

    /// The width and past that its shape has at least.
    fn shape(&self) -> Shape {
        let width = match self.tokens.len() {
            ..=4 => 4,
            more => more.next_multiple_of(16),
        };
        Shape { width, past: self.past.len().next_multiple_of(16) }
    }
}

/// The trees of what is asked behind `root`, a tree without tokens; `asked` has what each row's
/// continuation has beyond it, of which none is empty.
pub(super) fn branches(root: &Tree, asked: &[(usize, &[u32])]) -> Vec<Tree> {
    let mut trees: Vec<Tree> = Vec::new();
    // Of the last tree, by parent and token: the place.
    let mut places: BTreeMap<(Option<u32>, u32), u32> = BTreeMap::new();
    for &(row, continuation) in asked {
        let full = trees.last().is_none_or(|tree| {
            tree.tokens.len() + continuation.len() > MOST_TOKENS && !tree.tokens.is_empty()
        });
        if full {
            places.clear();
            trees.push(root.clone());
        }
        let Some(tree) = trees.last_mut() else { unreachable!("one was made") };
        let mut parent = None;
        for &token in continuation {
            let place = *places.entry((parent, token)).or_insert_with(|| {
                tree.tokens.push(token);
                tree.parents.push(parent);
                tree.tokens.len() as u32 - 1
            });
            parent = Some(place);
        }
        tree.asks.extend(parent.map(|place| (place, row)));
    }
    trees
}

/// How many places each tree of a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub width: usize,
    pub past: usize,
}

/// Keys that the trees of a run may see together, for each token of the budget: they are gathered.
const KEYS_PER_TOKEN: usize = 32;

/// Rows that a run answers: each may get the logits of a whole vocabulary.
const MOST_ASKS: usize = 256;

/// The runs that compute `trees`, each with its shape and at most `budget` tokens where a single
/// tree has no more; within a shape in the given order.
pub(super) fn runs(trees: Vec<Tree>, budget: usize) -> Vec<(Shape, Vec<Tree>)> {
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
                    (left, asks) = (budget.max(tokens), MOST_ASKS.max(own_asks));
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
        let path = |place: u32| {
            let mut tokens = Vec::new();
            let mut at = Some(place);
            while let Some(place) = at {
                tokens.insert(0, tree.tokens[place as usize]);
                at = tree.parents[place as usize];
            }
            tokens
        };
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
    fn few_tokens_ride_with_more() {
        let chain = |past: u32, tokens: u32| {
            let upto = |n: u32| (0..n).collect::<Vec<u32>>();
            Tree::chain(0, 0, &upto(past), &upto(tokens))
        };
        let shapes = |trees: Vec<Tree>| -> Vec<(usize, usize, usize)> {
            let runs = runs(trees, 1000);
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
            for (shape, trees) in runs(trees, budget) {
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
