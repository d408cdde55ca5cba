//! The token trie of an answer space: what a model may say next after a prefix of a name.
//!
//! Of names that are listed it is built; of the numbers of a range too large for that it is worked out
//! node by node, from a grammar. A search walks both alike.
//!
//! Invariants: a node's children differ in the token that leads to them, and are sorted by it; every leaf
//! is the end of a name; a node may be both an end and a prefix of others.

mod listed;
mod numbers;

use std::borrow::Cow;
use std::ops::Range;

pub use listed::{ListedTrie, Nodes, Sequences, TrieError};
pub use numbers::{NumberTrie, UnwritableNumbers};

/// A node; the root is [`Trie::ROOT`].
pub type NodeId = u64;
/// Index of a name, a token sequence, in its answer space.
pub type NameIndex = u64;

/// The trie. See the module's invariants.
#[derive(Clone, Debug)]
pub enum Trie {
    /// Of names that are listed.
    Listed(ListedTrie),
    /// Of numbers that follow a grammar.
    Numbers(NumberTrie),
}

impl Trie {
    /// The empty prefix.
    pub const ROOT: NodeId = 0;

    /// The tokens from the root to `node`.
    pub fn path(&self, node: NodeId) -> Cow<'_, [u32]> {
        match self {
            Self::Listed(trie) => Cow::Borrowed(trie.path(node)),
            Self::Numbers(trie) => Cow::Owned(trie.path(node)),
        }
    }

    /// The children of `node`.
    pub fn children(&self, node: NodeId) -> Children {
        match self {
            Self::Listed(trie) => Children::Listed(trie.children(node)),
            Self::Numbers(trie) => {
                let children: Vec<NodeId> = trie.children(node).into_iter().map(|c| c.1).collect();
                Children::Numbers(children.into_iter())
            }
        }
    }

    /// The tokens that lead from `node` to its children, in their order.
    pub fn child_tokens(&self, node: NodeId) -> Cow<'_, [u32]> {
        match self {
            Self::Listed(trie) => Cow::Borrowed(trie.child_tokens(node)),
            Self::Numbers(trie) => trie.children(node).into_iter().map(|c| c.0).collect(),
        }
    }

    /// The name that ends at `node`.
    pub fn end(&self, node: NodeId) -> Option<NameIndex> {
        match self {
            Self::Listed(trie) => trie.end(node),
            Self::Numbers(trie) => trie.end(node),
        }
    }

    /// How many ways lead on from `node`: children, and one if a name ends here.
    pub fn options(&self, node: NodeId) -> usize {
        self.children(node).len() + usize::from(self.end(node).is_some())
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Listed(trie) => trie.names() == 0,
            Self::Numbers(_) => false,
        }
    }

    /// The nodes from the root to where a name ends.
    pub fn ways_to(&self, name: NameIndex) -> Vec<NodeId> {
        match self {
            Self::Listed(trie) => trie.ways_to(name).collect(),
            Self::Numbers(trie) => trie.ways_to(name),
        }
    }

    /// The trie of names that are listed, of which everything can be gone through.
    ///
    /// # Panics
    /// Where they are not: a plan lets nothing be asked of such names that takes all of them.
    pub fn listed(&self) -> &ListedTrie {
        match self {
            Self::Listed(trie) => trie,
            Self::Numbers(_) => panic!("all names were asked for, of numbers that are not listed"),
        }
    }
}

/// The children of a node, in their order.
#[derive(Clone, Debug)]
pub enum Children {
    /// Their numbers follow each other.
    Listed(Range<u32>),
    /// They were worked out.
    Numbers(std::vec::IntoIter<NodeId>),
}

impl Iterator for Children {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        match self {
            Self::Listed(range) => range.next().map(NodeId::from),
            Self::Numbers(nodes) => nodes.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Listed(range) => range.size_hint(),
            Self::Numbers(nodes) => nodes.size_hint(),
        }
    }
}

impl ExactSizeIterator for Children {}
