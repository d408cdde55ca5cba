//! Text to tokens: prompts, and candidates that continue them.

use std::fs;
use std::path::{Path, PathBuf};

use tokenizers::{Encoding, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use super::prompter::TokenisedCandidate;
use crate::diagnostic::{Explain, caught};
use crate::onnx::tokenizer_json;

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
    /// It can be read, but would not do what is asked of it.
    #[error("{file} cannot be used: {problem}")]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What it would do.
        problem: String,
        /// How to mend it.
        help: &'static str,
    },
    /// A text that this tokenizer cannot encode.
    #[error("{file} cannot encode {text:?}: {problem}")]
    Encode {
        /// The tokenizer's file.
        file: PathBuf,
        /// The text.
        text: String,
        /// What the tokenizer says.
        problem: String,
    },
}

/// A model's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Where it was read from.
    file: PathBuf,
    /// A word and its tokens: what a candidate is put behind, to see which tokens it adds.
    probe: Vec<u32>,
    /// How many tokens the model expects behind a text.
    behind: usize,
    /// Bytes that the vocabulary has no letter for.
    lacking: Vec<u8>,
}

impl Explain for TokenizerError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Unusable { help, .. } => Some((*help).to_owned()),
            _ => None,
        }
    }
}

impl Tokenizer {
    const PROBE: &str = "is";

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// Where it is missing or broken, or cannot be used.
    pub fn read(file: &Path) -> Result<Self, TokenizerError> {
        let unreadable = |problem| TokenizerError::Read { file: file.to_owned(), problem };
        let bytes = fs::read(file).map_err(|error| unreadable(error.to_string()))?;
        Self::new(tokenizer_json::parse(&bytes).map_err(unreadable)?, file)
    }

    /// A tokenizer that was read from `file`, which messages name.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub fn new(mut inner: tokenizers::Tokenizer, file: &Path) -> Result<Self, TokenizerError> {
        let unusable =
            |(problem, help)| TokenizerError::Unusable { file: file.to_owned(), problem, help };
        // Exports often keep the trainer's padding and truncation, which would cut prompts.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| TokenizerError::Read { file: file.to_owned(), problem: e.to_string() })?;
        check_model(&inner).map_err(unusable)?;
        let lacking = lacking(&inner);
        let file = file.to_owned();
        let mut tokenizer = Self { inner, file, probe: Vec::new(), behind: 0, lacking };
        tokenizer.probe = tokenizer.encode(Self::PROBE, false)?;
        // Of no text at all it cannot be told what is put before and what behind it.
        let probed = tokenizer.encoding(Self::PROBE, true)?;
        tokenizer.check_added(probed.get_ids()).map_err(unusable)?;
        let special = probed.get_special_tokens_mask();
        tokenizer.behind = special.iter().rev().take_while(|&&special| special == 1).count();
        Ok(tokenizer)
    }

    /// Holds that a text with what is put around it has only tokens of the vocabulary.
    fn check_added(&self, tokens: &[u32]) -> Result<(), Unusable> {
        match tokens.iter().find(|&&token| self.inner.id_to_token(token).is_none()) {
            Some(token) => Err((
                format!("it puts token number {token} beside texts, and has no such token"),
                "export the model's tokenizer.json anew",
            )),
            None => Ok(()),
        }
    }

    /// The tokens of a prompt, with what the model expects in front of a text.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode(text, true)
    }

    /// The tokens of a text that has itself what the model expects in front.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn whole(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode(text, false)
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
    pub fn words(&self, text: &str) -> Result<TokenisedCandidate, TokenizerError> {
        self.added(Self::PROBE, &self.probe, text)
    }

    /// The same behind a text that is known.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn words_behind(
        &self,
        before: &str,
        text: &str,
    ) -> Result<TokenisedCandidate, TokenizerError> {
        self.added(before, &self.whole(before)?, text)
    }

    /// What `text` adds to the tokens of the text `before`.
    fn added(
        &self,
        before: &str,
        tokens: &[u32],
        text: &str,
    ) -> Result<TokenisedCandidate, TokenizerError> {
        let encoding = self.encoding(&format!("{before}{text}"), false)?;
        if encoding.get_ids().starts_with(tokens) {
            Ok(candidate(&encoding, tokens.len(), text, before.len()))
        } else {
            // The text melts into the word before it: only its own encoding is left.
            self.beginning(text)
        }
    }

    /// The tokens of a text at the very beginning, with their words.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn beginning(&self, text: &str) -> Result<TokenisedCandidate, TokenizerError> {
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
        let encoding = self.encoded(text, || self.inner.encode_fast(text, special))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn encoding(&self, text: &str, special: bool) -> Result<Encoding, TokenizerError> {
        self.encoded(text, || self.inner.encode(text, special))
    }

    /// What `encode` makes of `text`; its panic, which an odd file can bring about, is an error.
    fn encoded(
        &self,
        text: &str,
        encode: impl FnOnce() -> tokenizers::Result<Encoding>,
    ) -> Result<Encoding, TokenizerError> {
        let lacking = text.bytes().find(|byte| self.lacking.contains(byte));
        let problem = match (lacking, caught(encode)) {
            (Some(byte), _) => {
                format!(
                    "its vocabulary has no letter for the byte {byte:#04x}, and would leave it out"
                )
            }
            (None, Ok(Ok(encoding))) => return Ok(encoding),
            (None, Ok(Err(error))) => error.to_string(),
            (None, Err(panic)) => format!("the tokenizers library panics at it: {panic}"),
        };
        Err(TokenizerError::Encode { file: self.file.clone(), text: text.to_owned(), problem })
    }
}

/// What a tokenizer would do, and how to mend it.
type Unusable = (String, &'static str);

/// Holds that a text's tokens are the same each time.
fn check_model(tokenizer: &tokenizers::Tokenizer) -> Result<(), Unusable> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return Ok(()) };
    if let Some(dropout) = model.dropout.filter(|&dropout| dropout > 0.0) {
        let problem = format!(
            "its `dropout` is {dropout}: it would split the same text at random, another way each time"
        );
        return Err((
            problem,
            "write `\"dropout\": null` in it, which is how a trained model is asked",
        ));
    }
    Ok(())
}

/// The bytes that a tokenizer would leave out of a text in silence. Vocabularies that were trained on
/// few letters lack some, as of rare planes of Unicode.
fn lacking(tokenizer: &tokenizers::Tokenizer) -> Vec<u8> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return Vec::new() };
    // What has no letter becomes the unknown token, or else nothing.
    if !is_byte_level(tokenizer) || model.unk_token.is_some() || model.byte_fallback {
        return Vec::new();
    }
    let known = |byte: &u8| tokenizer.token_to_id(&letter(*byte).to_string()).is_some();
    (0..=u8::MAX).filter(|byte| !known(byte)).collect()
}

/// The letter that stands for a byte (Radford et al. 2019, GPT-2): itself where it is printed, else
/// one of those from number 256 on, in the order of the bytes.
fn letter(byte: u8) -> char {
    let printed = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printed(byte) {
        return byte.into();
    }
    let before = (0..byte).filter(|&other| !printed(other)).count();
    char::from_u32(256 + before as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Whether text becomes letters for its bytes before it is looked up.
fn is_byte_level(tokenizer: &tokenizers::Tokenizer) -> bool {
    fn splits(by: &PreTokenizerWrapper) -> bool {
        match by {
            PreTokenizerWrapper::ByteLevel(_) => true,
            PreTokenizerWrapper::Sequence(several) => several.as_ref().iter().any(splits),
            _ => false,
        }
    }
    fn normalises(by: &NormalizerWrapper) -> bool {
        match by {
            NormalizerWrapper::ByteLevel(_) => true,
            NormalizerWrapper::Sequence(several) => several.as_ref().iter().any(normalises),
            _ => false,
        }
    }
    tokenizer.get_pre_tokenizer().is_some_and(splits)
        || tokenizer.get_normalizer().is_some_and(normalises)
}

/// The tokens of `text` from number `from` on, which begins at byte `start` of what was encoded; a
/// token belongs to the word of the first letter at or after its beginning.
fn candidate(encoding: &Encoding, from: usize, text: &str, start: usize) -> TokenisedCandidate {
    let mut ends = Vec::new();
    for word in text.split_whitespace() {
        // A word is a part of the text.
        ends.push(word.as_ptr() as usize - text.as_ptr() as usize + word.len());
    }
    let word = |&(begin, _): &(usize, usize)| {
        let begin = begin.saturating_sub(start);
        ends.partition_point(|&end| end <= begin).min(ends.len().saturating_sub(1)) as u32
    };
    TokenisedCandidate {
        tokens: encoding.get_ids()[from..].to_vec(),
        words: encoding.get_offsets()[from..].iter().map(word).collect(),
    }
}

#[cfg(test)]
mod tests;
