//! Language models that score candidates: one trait, the families behind it, and the exact
//! search of an answer space's token trie.
//!
//! Probabilities are natural logarithms in `f64` once they leave a model.

mod branch;
mod causal;
mod exhaustive;
mod logits;
mod mix;
mod search;
mod tokenizer;
pub mod trie;

use std::borrow::Cow;

pub use branch::{AnswerSpace, Normalise};
pub use causal::CausalModel;
pub use exhaustive::{distributions, exhaustive};
pub use mix::mix;
pub use search::{Answer, Demand, Excluded, Rankings, Scored, search};
pub use tokenizer::{Tokenizer, TokenizerError};

/// What a model is asked: how probable are the `wanted` tokens after a prompt and the beginning
/// of a candidate.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Index among the prompts given to [`LanguageModel::open`].
    pub prompt: usize,
    /// Tokens between the prompt and the asked ones; may be empty.
    pub continuation: Cow<'a, [u32]>,
    /// The tokens asked for; may hold one twice.
    pub wanted: Cow<'a, [u32]>,
}

/// For each model, its answers to the same rows: for each row in order, for each wanted token in
/// order, ln p.
pub type Answers = Vec<Vec<f64>>;

/// A language model that says what may come next within a candidate.
///
/// What a row is answered must not depend on the rows beside it.
pub trait LanguageModel: Send {
    /// How many tokens its vocabulary has.
    fn vocabulary(&self) -> usize;

    /// How many tokens a prompt with its candidate may have, where the model says so.
    fn context(&self) -> Option<usize>;

    /// Takes prompts that the following rows refer to, and forgets earlier ones.
    fn open(&mut self, prompts: &[Vec<u32>]);

    /// ln p(token | prompt, continuation) over the whole vocabulary: for each row in order, for
    /// each of its wanted tokens in order.
    ///
    /// # Errors
    /// Where the model cannot be run or gives something that is no probability.
    fn next_log_probabilities(&mut self, rows: &[Row<'_>]) -> Result<Vec<f64>, Error>;
}

/// Why a language model cannot be used or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The graph is not one that this family understands.
    #[error(
        "{model}: {problem}\n  = help: export the model for text generation (a causal language \
         model) and name that folder"
    )]
    Graph {
        /// The model's file.
        model: String,
        /// What does not fit.
        problem: String,
    },
    /// The model gave NaN or infinity.
    #[error(
        "{model} gave a logit that is not a number for the prompt with tokens {prompt:?}\n  = help: \
         its weights are broken: fetch or export it again; what was written before is kept"
    )]
    NotANumber {
        /// The model's file.
        model: String,
        /// The prompt's tokens.
        prompt: Vec<u32>,
    },
    /// ONNX Runtime failed.
    #[error("ONNX Runtime failed on {model}")]
    Runtime {
        /// The model's file.
        model: String,
        /// Its own words.
        #[source]
        source: ort::Error,
    },
}
