//! `tokenizer.json`, looked at before the `tokenizers` crate gets it.
//!
//! That crate trusts the file. Of one it cuts a letter in two and takes the pieces for text, of
//! another it builds a tree so deep that taking it apart overflows the stack: these must be found
//! before. Where it panics, that is caught.

use std::collections::HashSet;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokenizers::Tokenizer;

use crate::diagnostic::caught;

/// Longest token of a unigram model, in bytes: as deep is the tree of all its tokens, which is taken
/// apart by recursion. Real ones have some dozens.
const LONGEST_UNIGRAM: usize = 1024;

/// The tokenizer that a file's bytes describe.
///
/// # Errors
/// What is wrong with it, without the file's name.
pub(crate) fn parse(bytes: &[u8]) -> Result<Tokenizer, String> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if let Some(model) = file.model {
        model.check()?;
    }
    built(|| Tokenizer::from_bytes(bytes))
}

/// What the crate builds, or why it does not.
///
/// # Errors
/// Its error or the message of its panic.
pub(super) fn built<T>(build: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match caught(build) {
        Ok(built) => built.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("the tokenizers library panics at it: {panic}")),
    }
}

/// Holds that both parts of a merge are tokens, and what it makes of them: the left part and what of
/// the right one is behind its first `prefix` bytes.
///
/// # Errors
/// What is missing.
pub(super) fn check_merge(
    left: &str,
    right: &str,
    prefix: usize,
    is_token: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let Some(rest) = right.get(prefix..) else {
        return Err(format!(
            "its merge of {left:?} and {right:?} does not begin its second part with \
             `continuing_subword_prefix`"
        ));
    };
    let merged = format!("{left}{rest}");
    match [left, right, &merged].into_iter().find(|part| !is_token(part)) {
        Some(part) => {
            Err(format!("its merge of {left:?} and {right:?} needs {part:?}, which is no token"))
        }
        None => Ok(()),
    }
}

/// What is looked at.
#[derive(Deserialize)]
struct File {
    model: Option<Model>,
}

#[derive(Deserialize)]
struct Model {
    r#type: Option<String>,
    continuing_subword_prefix: Option<String>,
    vocab: Option<Vocabulary>,
    #[serde(default)]
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Parts(String, String),
    /// With a space between them.
    Joined(String),
}

enum Vocabulary {
    /// Tokens with their numbers.
    Numbered(HashSet<String>),
    /// Tokens with their scores, of a unigram model.
    Scored {
        /// The longest one's bytes.
        longest: usize,
    },
}

impl Model {
    fn check(&self) -> Result<(), String> {
        // Without a type the crate tries what fits, byte-pair encoding first.
        let is_bpe = self.r#type.as_deref().is_none_or(|name| name == "BPE");
        match &self.vocab {
            Some(Vocabulary::Scored { longest }) if *longest > LONGEST_UNIGRAM => Err(format!(
                "a token has {longest} bytes; more than {LONGEST_UNIGRAM} are not taken"
            )),
            Some(Vocabulary::Numbered(tokens)) if is_bpe => self.check_merges(tokens),
            _ => Ok(()),
        }
    }

    fn check_merges(&self, tokens: &HashSet<String>) -> Result<(), String> {
        let prefix = self.continuing_subword_prefix.as_ref().map_or(0, String::len);
        for merge in &self.merges {
            let (left, right) = match merge {
                Merge::Parts(left, right) => (left.as_str(), right.as_str()),
                Merge::Joined(text) if text.starts_with("#version") => continue,
                Merge::Joined(text) => match text.split_once(' ') {
                    Some(parts) => parts,
                    None => return Err(format!("its merge {text:?} does not have two parts")),
                },
            };
            check_merge(left, right, prefix, |part| tokens.contains(part))?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VocabularyVisitor)
    }
}

struct VocabularyVisitor;

impl<'de> Visitor<'de> for VocabularyVisitor {
    type Value = Vocabulary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens with their numbers or their scores")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
        let mut tokens = HashSet::new();
        while let Some((token, IgnoredAny)) = map.next_entry()? {
            tokens.insert(token);
        }
        Ok(Vocabulary::Numbered(tokens))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vocabulary, A::Error> {
        let mut longest = 0;
        while let Some((token, IgnoredAny)) = seq.next_element::<(String, IgnoredAny)>()? {
            longest = longest.max(token.len());
        }
        Ok(Vocabulary::Scored { longest })
    }
}
