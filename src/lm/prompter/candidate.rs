//! A candidate's place and its tokens.

/// What stands before the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// A space.
    Space,
    /// Text without a space at its end, or nothing.
    Text,
    /// What opens an answer in a conversation.
    Opening,
}

/// A candidate's tokens, and for each the number of its word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenisedCandidate {
    /// As they stand after a prompt.
    pub tokens: Vec<u32>,
    /// As many as there are tokens, counted from 0 and never falling.
    pub words: Vec<u32>,
}
