//! Language models that score candidates: one trait, the families behind it, and the exact
//! search of an answer space's token trie.
//!
//! Probabilities are natural logarithms in `f64` once they leave a model.

mod branch;
mod causal;
mod chat;
mod exhaustive;
mod export;
mod logits;
mod masked;
mod masks;
mod mix;
mod names;
mod open;
mod output;
mod packed;
mod prefixes;
mod prompter;
mod remember;
mod search;
mod seq2seq;
mod text;
mod tokenizer;
pub mod trie;

use std::borrow::Cow;

use crate::diagnostic::{Explain, Fault};

pub use branch::{AnswerSpace, Normalise};
pub use causal::CausalModel;
pub use chat::{Chat, ChatError};
pub use exhaustive::{Ways, distributions, exhaustive, ways};
pub use export::Batching;
pub use masked::MaskedModel;
pub use masks::Scoring;
pub use mix::mix;
pub use names::{CandidateIndex, Names};
pub use open::{OpenError, open};
pub use packed::PackedModel;
pub use prompter::{After, Before, Prompter, PrompterError, TokenisedCandidate};
pub use remember::{EvaluateSome, Memory, Remembered};
pub use search::{
    Answer, Asked, Best, Demand, Excluded, Found, Mass, Method, Rankings, ScoredCandidate,
    SearchTask, found, search,
};
pub use seq2seq::Seq2SeqModel;
pub use text::text_after;
pub use tokenizer::{Tokenizer, TokenizerError};

/// A prompt as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// What an encoder reads; empty for models without one.
    pub encoder: Vec<u32>,
    /// The tokens before the object.
    pub before: Vec<u32>,
    /// The tokens after the object, of models that read both sides of it.
    pub after: Vec<u32>,
}

impl Prompt {
    /// A prompt that the object follows.
    pub fn before(tokens: Vec<u32>) -> Self {
        Self { before: tokens, ..Self::default() }
    }

    /// How many tokens it has.
    pub fn tokens(&self) -> usize {
        self.encoder.len() + self.before.len() + self.after.len()
    }

    /// How many tokens a model reads at once with a candidate of so many.
    pub fn longest_with(&self, candidate: usize) -> usize {
        self.encoder.len().max(self.before.len() + self.after.len() + candidate)
    }
}

/// What a model is asked: how probable are the `wanted` tokens after a prompt and the beginning
/// of a candidate.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Index among the prompts given to [`LanguageModel::open`].
    pub prompt: usize,
    /// Tokens between the prompt and the asked ones; may be empty. For a masked model, what stands
    /// in the object's place, masks among it.
    pub continuation: Cow<'a, [u32]>,
    /// For a masked model: at which place of the continuation is asked.
    pub place: usize,
    /// The tokens asked for; may hold one twice.
    pub wanted: Cow<'a, [u32]>,
    /// Whether only the wanted tokens' probabilities relative to each other matter.
    pub relative: bool,
}

/// For each model, its answers to the same rows: for each row in order, for each wanted token in
/// order, ln p; of a relative row, ln p and the same number more or less for all its tokens.
pub type Answers = Vec<Vec<f64>>;

/// How a model uses a cache of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// It has none, or none that gives the right numbers.
    Unused,
    /// A token at a time is computed behind it.
    OneByOne,
    /// Any number of tokens at a time.
    AnyNumber,
}

impl CacheUse {
    /// By how many tokens at a time give the right numbers behind the cache; none where none do.
    fn of_step(step: Option<usize>) -> Self {
        match step {
            None => Self::Unused,
            Some(1) => Self::OneByOne,
            Some(_) => Self::AnyNumber,
        }
    }
}

/// How continuations are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Each in one call, with all others of its prompt: nothing has to be kept of them.
    Once,
    /// A few at a time, going on from those of earlier calls.
    Stepwise,
}

/// One language model, or a finetuned one and its base, which say what may come next within a
/// candidate.
///
/// What a row is answered must not depend on the rows and prompts beside it, nor on how a call is cut into
/// batches, by not a bit: it is kept, and taken for the answer to the same row in another run.
pub trait LanguageModel: Send {
    /// How many models answer: one, or the finetuned and the base model in this order.
    fn models(&self) -> usize {
        1
    }

    /// How many tokens its vocabulary has.
    fn vocabulary(&self) -> usize;

    /// How many tokens it computed until now.
    fn tokens(&self) -> u64 {
        0
    }

    /// How it uses a cache of keys and values.
    fn cache(&self) -> CacheUse {
        CacheUse::Unused
    }

    /// Takes prompts that the following rows refer to, a list for each model, and forgets earlier
    /// ones. The lists are equally long.
    fn open(&mut self, prompts: &[&[Prompt]], asking: Asking);

    /// Answers rows over the whole vocabulary.
    ///
    /// # Errors
    /// Where a model cannot be run or gives something that is no probability.
    fn answer(&mut self, rows: &[Row<'_>]) -> Result<Answers, Error>;

    /// Answers of rows those that `asked` says, by model and row; what stands in the place of the others means
    /// nothing.
    ///
    /// # Errors
    /// Those of [`Self::answer`].
    fn answer_some(&mut self, rows: &[Row<'_>], asked: &[Vec<bool>]) -> Result<Answers, Error> {
        // Of several models in one, some answers too many are better than several calls.
        let is_asked = |row: usize| asked.iter().any(|asked| asked[row]);
        let own: Vec<Row<'_>> =
            (0..rows.len()).filter(|&row| is_asked(row)).map(|row| rows[row].clone()).collect();
        if own.is_empty() {
            let all = rows.iter().map(|row| row.wanted.len()).sum();
            return Ok(vec![vec![f64::NAN; all]; asked.len()]);
        }
        let spread = |answers: Vec<f64>| {
            let mut answers = answers.into_iter();
            let mut all = Vec::new();
            for (number, row) in rows.iter().enumerate() {
                match is_asked(number) {
                    true => all.extend(answers.by_ref().take(row.wanted.len())),
                    false => all.extend(row.wanted.iter().map(|_| f64::NAN)),
                }
            }
            all
        };
        Ok(self.answer(&own)?.into_iter().map(spread).collect())
    }
}

/// Why a language model cannot be used or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The graph is not one that this family understands.
    #[error("{model}: {problem}")]
    Graph {
        /// The model's file.
        model: String,
        /// What does not fit.
        problem: String,
    },
    /// The model gave NaN or infinity.
    #[error("{model} gave a logit that is not a number for the prompt with tokens {prompt:?}")]
    NotANumber {
        /// The model's file.
        model: String,
        /// The prompt's tokens.
        prompt: Vec<u32>,
    },
    /// Its weights cannot be read.
    #[error(transparent)]
    Weights(Box<crate::onnx::Error>),
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

impl Explain for Error {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Weights(error) => Some(error.as_ref()),
            _ => None,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Runtime { .. } => Fault::Machine,
            _ => self.inner().map_or(Fault::User, Explain::fault),
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Graph { .. } => {
                "export the model for text generation (causal), fill-mask or \
                 text2text-generation, and name that folder"
            }
            Self::NotANumber { .. } => {
                "its weights are broken: fetch or export it again; what was written before is kept"
            }
            _ => return self.inner()?.help(),
        };
        Some(help.to_owned())
    }
}
