//! What one step of training sees.

use super::EngineError;
use crate::onnx::DecoderConfig;

/// Sequences that are trained on together, laid end to end without padding.
///
/// A token sees those before it in its own sequence, and no others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The tokens of all sequences.
    pub tokens: Vec<u32>,
    /// How many of them each sequence has; their sum is the number of tokens.
    pub lengths: Vec<usize>,
    /// What should be predicted. Their loss is Σ weight · -ln p(token | tokens up to position).
    pub targets: Vec<Target>,
}

/// After position `position` of `tokens`, `token` should come; `weight` is its share of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Index into [`Batch::tokens`].
    pub position: usize,
    /// A token of the vocabulary.
    pub token: u32,
    /// Finite; a mean over n targets has 1 / n each.
    pub weight: f32,
}

impl Batch {
    /// Checks that a model can be asked about this batch.
    pub(super) fn check(&self, config: &DecoderConfig) -> Result<(), EngineError> {
        let tokens = self.tokens.len();
        let refuse = |problem: String| Err(EngineError::Batch { problem });
        if self.lengths.iter().sum::<usize>() != tokens {
            return refuse(format!("its sequences' lengths do not add up to {tokens} tokens"));
        }
        if let Some(length) =
            self.lengths.iter().find(|&&length| length == 0 || length > config.context)
        {
            let context = config.context;
            return refuse(format!(
                "a sequence has {length} tokens, the model takes 1 to {context}"
            ));
        }
        if self.targets.is_empty() {
            return refuse("it has no target".to_owned());
        }
        let vocabulary = config.vocabulary;
        let mut ids = self.tokens.iter().chain(self.targets.iter().map(|target| &target.token));
        if let Some(id) = ids.find(|&&id| id as usize >= vocabulary) {
            return refuse(format!("token {id} is beyond the vocabulary of {vocabulary}"));
        }
        if let Some(target) = self.targets.iter().find(|target| target.position >= tokens) {
            return refuse(format!("a target is at {} of {tokens} tokens", target.position));
        }
        if let Some(target) = self.targets.iter().find(|target| !target.weight.is_finite()) {
            return refuse(format!("a target has the weight {}", target.weight));
        }
        Ok(())
    }

    /// Where each sequence begins, and its length.
    pub(super) fn spans(&self) -> Vec<(usize, usize)> {
        let mut start = 0;
        let spans = self.lengths.iter().map(|&length| {
            let span = (start, length);
            start += length;
            span
        });
        spans.collect()
    }
}
