//! Text to tokens: prompts, and candidates that continue them.

use std::path::{Path, PathBuf};

use tokenizers::Encoding;

use super::prompter::Candidate;
use crate::diagnostic::Explain;

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
    /// How many tokens the model expects behind a text.
    behind: usize,
}

impl Explain for TokenizerError {}

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
        let mut tokenizer = Self { inner, probe: Vec::new(), behind: 0 };
        tokenizer.probe = tokenizer.encode(Self::PROBE, false)?;
        // Of no text at all it cannot be told what is put before and what behind it.
        let probed = tokenizer.encoding(Self::PROBE, true)?;
        let special = probed.get_special_tokens_mask();
        tokenizer.behind = special.iter().rev().take_while(|&&special| special == 1).count();
        Ok(tokenizer)
    }

    /// The tokens of a prompt, with what the model expects in front of a text.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode(text, true)
    }

    /// The tokens of a text that is gone on with: without what the model expects at its end.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn opening(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = self.prompt(text)?;
        ids.truncate(ids.len().saturating_sub(self.behind));
        Ok(ids)
    }

    /// The tokens that `text` adds when it follows other text, its leading space included.
    ///
    /// Encoded behind a word, because some tokenizers treat a text's beginning in their own way.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn continuation(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.words(text)?.tokens)
    }

    /// The tokens that `text` adds when it follows other text, with their words.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn words(&self, text: &str) -> Result<Candidate, TokenizerError> {
        let behind = format!("{}{text}", Self::PROBE);
        let encoding = self.encoding(&behind, false)?;
        let own = self.probe.len();
        if encoding.get_ids().starts_with(&self.probe) {
            Ok(candidate(&encoding, own, text, Self::PROBE.len()))
        } else {
            // The text melts into the word before it: only its own encoding is left.
            self.beginning(text)
        }
    }

    /// The tokens of a text at the very beginning, with their words.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn beginning(&self, text: &str) -> Result<Candidate, TokenizerError> {
        Ok(candidate(&self.encoding(text, false)?, 0, text, 0))
    }

    /// A token's number.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
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
            .map_err(|e| unencodable(text, e))
    }

    fn encoding(&self, text: &str, special: bool) -> Result<Encoding, TokenizerError> {
        self.inner.encode(text, special).map_err(|e| unencodable(text, e))
    }
}

fn unencodable(text: &str, error: tokenizers::Error) -> TokenizerError {
    TokenizerError::Encode { text: text.to_owned(), problem: error.to_string() }
}

/// The tokens of `text` from number `from` on, which begins at byte `start` of what was encoded; a
/// token belongs to the word of the first letter at or after its beginning.
fn candidate(encoding: &Encoding, from: usize, text: &str, start: usize) -> Candidate {
    let mut ends = Vec::new();
    for word in text.split_whitespace() {
        // A word is a part of the text.
        ends.push(word.as_ptr() as usize - text.as_ptr() as usize + word.len());
    }
    let word = |&(begin, _): &(usize, usize)| {
        let begin = begin.saturating_sub(start);
        ends.partition_point(|&end| end <= begin).min(ends.len().saturating_sub(1)) as u32
    };
    Candidate {
        tokens: encoding.get_ids()[from..].to_vec(),
        words: encoding.get_offsets()[from..].iter().map(word).collect(),
    }
}
