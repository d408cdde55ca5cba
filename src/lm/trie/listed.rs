//! The trie of names that are listed.
//!
//! Beside the invariants of every trie: a node's children follow each other, and parents come before their
//! children.

use std::ops::Range;

use super::{NameIndex, NodeId, Trie};
use crate::diagnostic::Explain;

/// Lists of numbers, such as token sequences, held in one allocation, as a million candidates need.
///
/// Tokens and sequences are fewer than 2^32 - 1, so that a trie can number its nodes, one more than
/// there are tokens, and their ends.
#[derive(Clone, Debug)]
pub struct Sequences {
    tokens: Vec<u32>,
    ends: Vec<u32>,
}

impl Sequences {
    /// No sequence yet.
    pub fn new() -> Self {
        Self { tokens: Vec::new(), ends: Vec::new() }
    }

    /// Adds a sequence, which becomes number `len()`.
    ///
    /// # Panics
    /// Where there are too many for memory of some 16 GB.
    pub fn push(&mut self, sequence: &[u32]) {
        let sequences = self.ends.len().checked_add(1);
        let end = self.tokens.len().checked_add(sequence.len());
        let (Some(_), Some(end)) = (sequences.and_then(number), end.and_then(number)) else {
            panic!("an answer space has fewer than 2^32 - 1 tokens and candidates");
        };
        self.tokens.extend_from_slice(sequence);
        self.ends.push(end);
    }

    /// How many sequences there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Sequence number `index`.
    pub fn get(&self, index: usize) -> &[u32] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.tokens[start..self.ends[index] as usize]
    }
}

/// A count of tokens or sequences as it is kept, if it can be.
fn number(count: usize) -> Option<u32> {
    u32::try_from(count).ok().filter(|&count| count < u32::MAX)
}

impl Default for Sequences {
    fn default() -> Self {
        Self::new()
    }
}

/// Which prefixes become nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Only where names part or end (a radix tree): what renormalisation at branchings asks.
    Branchings,
    /// Every prefix: what the probability of a whole token sequence asks.
    Prefixes,
}

#[derive(Clone, Debug)]
struct Node {
    /// Range of the trie's `paths`: the tokens from the root to here.
    path: Range<u32>,
    first_child: u32,
    children: u32,
    end: Option<u32>,
}

/// The trie.
#[derive(Clone, Debug)]
pub struct ListedTrie {
    nodes: Vec<Node>,
    /// By node, the token that leads from its parent towards it; 0 at the root.
    first_tokens: Vec<u32>,
    sequences: Sequences,
    names: usize,
}

/// Two names have the same token sequence, or one has none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrieError {
    /// A name without a token.
    #[error("name {0} has no token")]
    Empty(NameIndex),
    /// Two names that are one to the model.
    #[error("names {0} and {1} have the same tokens")]
    Same(NameIndex, NameIndex),
}

impl Explain for TrieError {}

impl ListedTrie {
    /// Builds the trie of `sequences` in O(n log n).
    ///
    /// # Errors
    /// Where a sequence is empty or occurs twice.
    pub fn new(sequences: Sequences, nodes: Nodes) -> Result<Self, TrieError> {
        let mut order: Vec<u32> = (0..sequences.len() as u32).collect();
        order.sort_by(|&a, &b| sequences.get(a as usize).cmp(sequences.get(b as usize)));
        if let Some(&first) = order.first()
            && sequences.get(first as usize).is_empty()
        {
            return Err(TrieError::Empty(first.into()));
        }
        for pair in order.windows(2) {
            if sequences.get(pair[0] as usize) == sequences.get(pair[1] as usize) {
                let [first, last] =
                    [pair[0].min(pair[1]), pair[0].max(pair[1])].map(NameIndex::from);
                return Err(TrieError::Same(first, last));
            }
        }
        let mut trie = Self {
            nodes: vec![Node { path: 0..0, first_child: 0, children: 0, end: None }],
            first_tokens: vec![0],
            names: sequences.len(),
            sequences,
        };
        // Each entry: a node and the names below it, as a range of `order`.
        let mut open = std::collections::VecDeque::from([(Trie::ROOT, 0..order.len())]);
        while let Some((node, below)) = open.pop_front() {
            trie.grow(node, below, &order, nodes, &mut open);
        }
        Ok(trie)
    }

    /// Adds the children of `node`, whose names are `order[below]`.
    fn grow(
        &mut self,
        node: NodeId,
        mut below: Range<usize>,
        order: &[u32],
        nodes: Nodes,
        open: &mut std::collections::VecDeque<(NodeId, Range<usize>)>,
    ) {
        let depth = self.path(node).len();
        if !below.is_empty() && self.sequences.get(order[below.start] as usize).len() == depth {
            self.nodes[node as usize].end = Some(order[below.start]);
            below.start += 1;
        }
        self.nodes[node as usize].first_child = self.nodes.len() as u32;
        while !below.is_empty() {
            let first = self.sequences.get(order[below.start] as usize);
            let token = first[depth];
            let same = order[below.clone()]
                .partition_point(|&c| self.sequences.get(c as usize)[depth] == token);
            let group = below.start..below.start + same;
            below.start = group.end;
            let last = self.sequences.get(order[group.end - 1] as usize);
            let length = match nodes {
                Nodes::Prefixes => depth + 1,
                // The names are sorted: what the first and the last share, all share.
                Nodes::Branchings => first.iter().zip(last).take_while(|(a, b)| a == b).count(),
            };
            let representative = order[group.start] as usize;
            let start =
                if representative == 0 { 0 } else { self.sequences.ends[representative - 1] };
            let child = self.nodes.len() as u32;
            self.nodes.push(Node {
                path: start..start + length as u32,
                first_child: 0,
                children: 0,
                end: None,
            });
            self.first_tokens.push(token);
            self.nodes[node as usize].children += 1;
            open.push_back((child.into(), group));
        }
    }

    /// The tokens from the root to `node`.
    pub fn path(&self, node: NodeId) -> &[u32] {
        let path = &self.nodes[node as usize].path;
        &self.sequences.tokens[path.start as usize..path.end as usize]
    }

    /// The children of `node`.
    pub fn children(&self, node: NodeId) -> Range<u32> {
        let node = &self.nodes[node as usize];
        node.first_child..node.first_child + node.children
    }

    /// The tokens that lead from `node` to its children, in their order.
    pub fn child_tokens(&self, node: NodeId) -> &[u32] {
        let children = self.children(node);
        &self.first_tokens[children.start as usize..children.end as usize]
    }

    /// The name that ends at `node`.
    pub fn end(&self, node: NodeId) -> Option<NameIndex> {
        self.nodes[node as usize].end.map(NameIndex::from)
    }

    /// All nodes, parents before their children.
    pub fn nodes(&self) -> Range<NodeId> {
        0..self.nodes.len() as NodeId
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// All nodes, each right after its parent or what is below a sibling before it.
    pub fn depth_first(&self) -> Vec<NodeId> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut next = vec![Trie::ROOT];
        while let Some(node) = next.pop() {
            order.push(node);
            next.extend(self.children(node).rev().map(NodeId::from));
        }
        order
    }

    /// How many names there are.
    pub fn names(&self) -> usize {
        self.names
    }

    /// The tokens of a name.
    pub fn tokens(&self, name: NameIndex) -> &[u32] {
        self.sequences.get(name as usize)
    }

    /// The nodes from the root to where a name ends.
    pub fn ways_to(&self, name: NameIndex) -> impl Iterator<Item = NodeId> + '_ {
        let tokens = self.tokens(name);
        std::iter::successors(Some(Trie::ROOT), move |&node| {
            let token = tokens.get(self.path(node).len())?;
            let at = self.child_tokens(node).binary_search(token).ok()?;
            self.children(node).nth(at).map(NodeId::from)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn trie(sequences: &[&[u32]], nodes: Nodes) -> ListedTrie {
        let mut s = Sequences::new();
        sequences.iter().for_each(|x| s.push(x));
        ListedTrie::new(s, nodes).unwrap()
    }

    #[test]
    fn chains_are_one_edge_at_branchings_and_many_at_prefixes() {
        let words: &[&[u32]] = &[&[7], &[7, 8, 9], &[1, 2, 3]];
        let radix = trie(words, Nodes::Branchings);
        assert_eq!(radix.size(), 4); // root, 7, 789, 123
        let root: Vec<_> =
            radix.children(Trie::ROOT).map(|c| radix.path(c.into()).to_vec()).collect();
        assert_eq!(root, [vec![1, 2, 3], vec![7]]);
        let seven = radix.children(Trie::ROOT).nth(1).unwrap().into();
        assert_eq!((radix.end(seven), radix.children(seven).len()), (Some(0), 1));
        assert_eq!(trie(words, Nodes::Prefixes).size(), 7);
    }

    #[test]
    fn names_that_cannot_be_told_apart_are_refused() {
        let mut same = Sequences::new();
        [&[1, 2][..], &[3], &[1, 2]].iter().for_each(|x| same.push(x));
        assert_eq!(ListedTrie::new(same, Nodes::Branchings).unwrap_err(), TrieError::Same(0, 2));
        let mut empty = Sequences::new();
        [&[1, 2][..], &[]].iter().for_each(|x| empty.push(x));
        assert_eq!(ListedTrie::new(empty, Nodes::Branchings).unwrap_err(), TrieError::Empty(1));
    }

    #[test]
    fn what_cannot_be_numbered_is_not_taken() {
        let most = u32::MAX as usize;
        assert_eq!(number(most - 1), Some(u32::MAX - 1));
        assert_eq!([most, most + 1, most + 8].map(number), [None; 3]);
    }

    proptest! {
        #[test]
        fn every_name_is_found_once_by_its_tokens(
            words in prop::collection::btree_set(prop::collection::vec(0u32..4, 1..6), 0..60),
            prefixes in any::<bool>(),
        ) {
            let words: Vec<Vec<u32>> = words.into_iter().collect();
            let mut sequences = Sequences::new();
            words.iter().for_each(|w| sequences.push(w));
            let nodes = if prefixes { Nodes::Prefixes } else { Nodes::Branchings };
            let trie = ListedTrie::new(sequences, nodes).unwrap();
            let mut seen = BTreeSet::new();
            for node in trie.nodes() {
                if let Some(name) = trie.end(node) {
                    prop_assert_eq!(trie.path(node), &words[name as usize][..]);
                    prop_assert!(seen.insert(name));
                    let ways: Vec<NodeId> = trie.ways_to(name).collect();
                    prop_assert_eq!((ways[0], ways[ways.len() - 1]), (Trie::ROOT, node));
                    let child = |pair: &[NodeId]| trie.children(pair[0]).contains(&(pair[1] as u32));
                    prop_assert!(ways.windows(2).all(child));
                }
                for (child, &token) in trie.children(node).zip(trie.child_tokens(node)) {
                    let child = child.into();
                    prop_assert!(trie.path(child).starts_with(trie.path(node)));
                    prop_assert_eq!(trie.path(child)[trie.path(node).len()], token);
                }
                prop_assert!(trie.child_tokens(node).is_sorted_by(|a, b| a < b));
                let inner = node != Trie::ROOT && nodes == Nodes::Branchings;
                prop_assert!(!inner || trie.children(node).len() >= 2 || trie.end(node).is_some());
            }
            prop_assert_eq!(seen.len(), words.len());
            let order = trie.depth_first();
            prop_assert!(order.is_sorted_by_key(|&node| trie.path(node)));
            prop_assert_eq!(order.len(), trie.size());
        }
    }
}
