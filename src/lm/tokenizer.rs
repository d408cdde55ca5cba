//! Text to tokens: prompts, and candidates that continue them.

use std::path::{Path, PathBuf};

/// A `tokenizer.json` that cannot be read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The file is missing, truncated or not a tokenizer.
    #[error(
        "{file} is no tokenizer that can be read: {problem}; export the model's tokenizer.json anew"
    )]
    Read {
        /// The file.
        file: PathBuf,
        /// What the parser says.
        problem: String,
    },
    /// A text that this tokenizer cannot encode.
    #[error("the tokenizer cannot encode {text:?}: {problem}")]
    Encode {
        /// The text.
        text: String,
        /// What the tokenizer says.
        problem: String,
    },
}

/// A model's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// A word and its tokens: what a candidate is put behind, to see which tokens it adds.
    probe: Vec<u32>,
}

impl Tokenizer {
    const PROBE: &str = "is";

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// Where it is missing or broken.
    pub fn read(file: &Path) -> Result<Self, TokenizerError> {
        let inner = tokenizers::Tokenizer::from_file(file)
            .map_err(|e| TokenizerError::Read { file: file.to_owned(), problem: e.to_string() })?;
        Self::new(inner, file)
    }

    /// A tokenizer that was read from `file`, which messages name.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub fn new(mut inner: tokenizers::Tokenizer, file: &Path) -> Result<Self, TokenizerError> {
        // Exports often keep the trainer's padding and truncation, which would cut prompts.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| TokenizerError::Read { file: file.to_owned(), problem: e.to_string() })?;
        let mut tokenizer = Self { inner, probe: Vec::new() };
        tokenizer.probe = tokenizer.encode(Self::PROBE, false)?;
        Ok(tokenizer)
    }

    /// The tokens of a prompt, with what the model expects in front of a text.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode(text, true)
    }

    /// The tokens that `text` adds when it follows other text, its leading space included.
    ///
    /// Encoded behind a word, because some tokenizers treat a text's beginning in their own way.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn continuation(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = self.encode(&format!("{}{text}", Self::PROBE), false)?;
        if ids.starts_with(&self.probe) {
            Ok(ids.split_off(self.probe.len()))
        } else {
            // The text melts into the word before it: only its own encoding is left.
            self.encode(text, false)
        }
    }

    /// Every token with its number, sorted: two models with equal vocabularies can be mixed.
    pub fn vocabulary(&self) -> Vec<(u32, String)> {
        let mut tokens: Vec<(u32, String)> =
            self.inner.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
        tokens.sort();
        tokens
    }

    fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, TokenizerError> {
        self.inner
            .encode_fast(text, special)
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|e| TokenizerError::Encode { text: text.to_owned(), problem: e.to_string() })
    }
}
