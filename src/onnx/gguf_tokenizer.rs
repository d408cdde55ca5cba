//! The tokenizer inside a GGUF file, as a `tokenizer.json`.
//!
//! Byte-level BPE, which brings its merges and names how text is split ([`super::gguf_pre_tokenizer`]),
//! and SentencePiece, whose merges are told by the pieces' scores.

use std::collections::HashMap;

use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::replace::Replace;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::normalizers::utils::Sequence as Normalizers;
use tokenizers::normalizers::{NormalizerWrapper, Prepend};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, DecoderWrapper, Tokenizer};

use super::Error;
use super::gguf::{Gguf, Value};
use super::gguf_pre_tokenizer::{names, splitting};
use super::tokenizer_json::{built, check_merge};

/// `tokenizer.ggml.token_type` of a token for what no other token covers.
const UNKNOWN: u64 = 2;
/// The same of a token that is never made from text.
const CONTROL: u64 = 3;
/// The same of a token that a model's maker added and that is found in text whole.
const USER_DEFINED: u64 = 4;
/// The same of a token that stands for a byte.
const BYTE: u64 = 6;

/// Bytes of the longest piece that is taken: of what models have, runs of signs are the longest.
const LONGEST_PIECE: usize = 512;
/// In how many ways pieces are made of two others, on average at most; Gemma's are in two or three.
const MOST_WAYS: usize = 32;

/// SentencePiece's letter for a space.
const MARK: &str = "▁";

/// Builds the tokenizer, with as many tokens as the model's vocabulary.
///
/// # Errors
/// [`Error::Corrupt`] where lists are missing or contradict each other, [`Error::Unsupported`] for
/// another kind of tokenizer.
pub(super) fn tokenizer(gguf: &Gguf, vocabulary: usize) -> Result<Tokenizer, Error> {
    Reader::new(gguf, vocabulary)?.tokenizer()
}

struct Reader<'a> {
    gguf: &'a Gguf,
    tokens: Vec<&'a str>,
    /// By token; empty where the file does not say.
    types: Vec<u64>,
}

impl<'a> Reader<'a> {
    fn new(gguf: &'a Gguf, vocabulary: usize) -> Result<Self, Error> {
        let corrupt = |problem: String| Error::corrupt(gguf.path(), "GGUF", problem);
        let tokens = texts(gguf, "tokenizer.ggml.tokens")
            .ok_or_else(|| corrupt("it has no list `tokenizer.ggml.tokens`".to_owned()))?;
        if tokens.len() != vocabulary {
            let problem = format!("{} tokens, but {vocabulary} rows of embeddings", tokens.len());
            return Err(corrupt(problem));
        }
        let types = match gguf.metadata("tokenizer.ggml.token_type") {
            Some(Value::Array(types)) => types.iter().map(number).collect(),
            _ => Vec::new(),
        };
        Ok(Self { gguf, tokens, types })
    }

    fn corrupt(&self, problem: impl Into<String>) -> Error {
        Error::corrupt(self.gguf.path(), "GGUF", problem.into())
    }

    fn unsound(&self, problem: impl std::fmt::Display) -> Error {
        self.corrupt(format!("its tokenizer is unsound: {problem}"))
    }

    fn tokenizer(&self) -> Result<Tokenizer, Error> {
        let (mut tokenizer, begins) = match text(self.gguf, "tokenizer.ggml.model") {
            Some("gpt2") => self.byte_level()?,
            Some("llama") => (self.sentencepiece()?, true),
            other => {
                let name = other.unwrap_or_default();
                let problem = format!(
                    "its tokenizer is `{name}`; byte-level BPE (`gpt2`) and SentencePiece (`llama`) can \
                     be read"
                );
                return Err(Error::unsupported(self.gguf.path(), problem, HELP));
            }
        };
        self.add_whole_tokens(&mut tokenizer).map_err(|error| self.unsound(error))?;
        if tokenizer.get_vocab_size(true) != self.tokens.len() {
            return Err(self.corrupt("two of its tokens are the same"));
        }
        self.add_first_token(&mut tokenizer, begins)?;
        Ok(tokenizer)
    }

    /// Byte-level BPE, and whether a text begins with a token of its own if the file does not say.
    fn byte_level(&self) -> Result<(Tokenizer, bool), Error> {
        let name = match text(self.gguf, "tokenizer.ggml.pre") {
            Some(name) => name,
            // Files from before there was the key; what they split by, their architecture may tell.
            None => match text(self.gguf, "general.architecture") {
                Some("qwen2" | "qwen3") => "qwen2",
                _ => {
                    let problem = "it does not say how its tokenizer splits text";
                    return Err(Error::unsupported(self.gguf.path(), problem, HELP));
                }
            },
        };
        let Some(splitting) = splitting(name).map_err(|error| self.unsound(error))? else {
            let known = names();
            let problem = format!("its tokenizer splits text as `{name}`; known are {known}");
            return Err(Error::unsupported(self.gguf.path(), problem, HELP));
        };
        let bpe = self.byte_pairs(splitting.whole_words_first)?;
        let mut tokenizer = Tokenizer::new(bpe);
        if splitting.normalised {
            tokenizer.with_normalizer(Some(NFC)).map_err(|error| self.unsound(error))?;
        }
        tokenizer.with_pre_tokenizer(Some(splitting.pre_tokenizer));
        tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
        Ok((tokenizer, splitting.begins_by_default))
    }

    /// The tokens and how they are merged.
    fn byte_pairs(&self, whole_words_first: bool) -> Result<BPE, Error> {
        let ids = self.numbered();
        let texts = texts(self.gguf, "tokenizer.ggml.merges")
            .ok_or_else(|| self.corrupt("it has no list `tokenizer.ggml.merges`"))?;
        let mut merges = Vec::with_capacity(texts.len());
        for merge in texts {
            let (left, right) = merge
                .split_once(' ')
                .ok_or_else(|| self.corrupt("a merge does not have two parts"))?;
            check_merge(left, right, 0, |part| ids.contains_key(part))
                .map_err(|problem| self.corrupt(problem))?;
            merges.push((left.to_owned(), right.to_owned()));
        }
        let builder = BPE::builder().vocab_and_merges(ids, merges).ignore_merges(whole_words_first);
        built(|| builder.build()).map_err(|problem| self.unsound(problem))
    }

    /// BPE over a whole text, its spaces marked, with bytes for what is no token (Kudo and Richardson
    /// 2018).
    fn sentencepiece(&self) -> Result<Tokenizer, Error> {
        // Some files call it a control token.
        let unknown = self.of_type(UNKNOWN).next().or_else(|| self.named("unknown_token_id"));
        let has_bytes = self.of_type(BYTE).next().is_some();
        let mut builder = BPE::builder()
            .vocab_and_merges(self.numbered(), self.merges_by_score()?)
            .byte_fallback(has_bytes)
            .fuse_unk(true);
        if let Some(unknown) = unknown {
            builder = builder.unk_token(unknown.to_owned());
        }
        let bpe = built(|| builder.build()).map_err(|problem| self.unsound(problem))?;
        let prefix = match self.gguf.metadata("tokenizer.ggml.add_space_prefix") {
            Some(Value::Bool(prefix)) => *prefix,
            _ => true,
        };
        let unsound = |error: tokenizers::Error| self.unsound(error);
        let marked: NormalizerWrapper = Replace::new(" ", MARK).map_err(unsound)?.into();
        let normalizer = if prefix {
            Normalizers::new(vec![Prepend::new(MARK.to_owned()).into(), marked]).into()
        } else {
            marked
        };
        let spaced = Replace::new(MARK, " ").map_err(unsound)?;
        let mut decoders: Vec<DecoderWrapper> =
            vec![spaced.into(), ByteFallback::new().into(), Fuse::new().into()];
        if prefix {
            decoders.push(Strip::new(' ', 1, 0).into());
        }
        let mut tokenizer = Tokenizer::new(bpe);
        tokenizer.with_normalizer(Some(normalizer)).map_err(unsound)?;
        tokenizer.with_decoder(Some(Decoders::new(decoders)));
        Ok(tokenizer)
    }

    /// Every way to make a piece from two others, in the order in which SentencePiece takes them: the
    /// piece with the highest score first.
    fn merges_by_score(&self) -> Result<Vec<(String, String)>, Error> {
        let key = "tokenizer.ggml.scores";
        let scores = match self.gguf.metadata(key) {
            Some(Value::Array(scores)) if scores.len() == self.tokens.len() => scores,
            _ => return Err(self.corrupt(format!("it has no list `{key}` as long as its tokens"))),
        };
        let mergeable = |id: usize| {
            let kind = self.types.get(id).copied().unwrap_or_default();
            ![UNKNOWN, CONTROL, USER_DEFINED, BYTE].contains(&kind)
        };
        let ids: HashMap<&str, usize> =
            self.tokens.iter().enumerate().map(|(id, token)| (*token, id)).collect();
        let is_piece = |part: &str| ids.get(part).is_some_and(|&id| mergeable(id));
        let mut merges: Vec<(f64, usize, &str, &str)> = Vec::new();
        for (id, (token, score)) in self.tokens.iter().zip(scores).enumerate() {
            let score = match score {
                Value::Float(score) if !score.is_nan() => *score,
                _ => return Err(self.corrupt(format!("a score of `{key}` is no number"))),
            };
            if !mergeable(id) {
                continue;
            }
            if token.len() > LONGEST_PIECE || merges.len() > MOST_WAYS * self.tokens.len() {
                let problem =
                    "its pieces are longer, or made in more ways, than those of any model";
                return Err(self.corrupt(problem));
            }
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if is_piece(left) && is_piece(right) {
                    merges.push((score, id, left, right));
                }
            }
        }
        // Where scores do not tell, pieces stand in the order in which they were found. Of one piece the
        // longer left part comes first.
        merges.sort_by(|(a, a_id, a_left, _), (b, b_id, b_left, _)| {
            b.total_cmp(a).then(a_id.cmp(b_id)).then(b_left.len().cmp(&a_left.len()))
        });
        Ok(merges.into_iter().map(|(_, _, l, r)| (l.to_owned(), r.to_owned())).collect())
    }

    fn numbered(&self) -> Vocab {
        let numbered = self.tokens.iter().enumerate();
        numbered.map(|(id, token)| ((*token).to_owned(), id as u32)).collect()
    }

    /// The token whose number a key of the file has.
    fn named(&self, key: &str) -> Option<&'a str> {
        match self.gguf.metadata(&format!("tokenizer.ggml.{key}"))? {
            Value::Unsigned(id) => self.tokens.get(usize::try_from(*id).ok()?).copied(),
            _ => None,
        }
    }

    fn of_type(&self, wanted: u64) -> impl Iterator<Item = &'a str> {
        let both = self.tokens.iter().zip(&self.types);
        both.filter(move |(_, kind)| **kind == wanted).map(|(token, _)| *token)
    }

    /// Puts the token in front of texts that the file wants there, if it wants one.
    fn add_first_token(&self, tokenizer: &mut Tokenizer, by_default: bool) -> Result<(), Error> {
        let begins = match self.gguf.metadata("tokenizer.ggml.add_bos_token") {
            Some(Value::Bool(begins)) => *begins,
            _ => by_default,
        };
        if !begins {
            return Ok(());
        }
        let token = self.named("bos_token_id").ok_or_else(|| {
            self.corrupt("it asks for a first token, but `tokenizer.ggml.bos_token_id` is none")
        })?;
        let template = TemplateProcessing::builder()
            .try_single(format!("{token} $A"))
            .map_err(|problem| self.corrupt(format!("its first token is `{token}`: {problem}")))?
            .special_tokens(vec![(token.to_owned(), tokenizer.token_to_id(token).unwrap_or(0))])
            .build()
            .map_err(|error| self.corrupt(format!("its first token is `{token}`: {error}")))?;
        tokenizer.with_post_processor(Some(template));
        Ok(())
    }

    /// Marks the tokens that text is searched for before anything is split.
    fn add_whole_tokens(&self, tokenizer: &mut Tokenizer) -> Result<(), tokenizers::Error> {
        let whole = |token: &str, special| AddedToken::from(token, special).normalized(false);
        let special = self.of_type(CONTROL).chain(self.of_type(UNKNOWN));
        let special: Vec<AddedToken> = special.map(|token| whole(token, true)).collect();
        let added: Vec<AddedToken> =
            self.of_type(USER_DEFINED).map(|token| whole(token, false)).collect();
        tokenizer.add_special_tokens(special)?;
        tokenizer.add_tokens(added)?;
        Ok(())
    }
}

/// What helps where a tokenizer cannot be read.
const HELP: &str = "name a folder with the same model and a tokenizer.json";

/// A type of a token; 0 is none.
fn number(value: &Value) -> u64 {
    match value {
        Value::Signed(kind) => u64::try_from(*kind).unwrap_or_default(),
        Value::Unsigned(kind) => *kind,
        _ => 0,
    }
}

fn text<'a>(gguf: &'a Gguf, key: &str) -> Option<&'a str> {
    match gguf.metadata(key)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn texts<'a>(gguf: &'a Gguf, key: &str) -> Option<Vec<&'a str>> {
    let Value::Array(values) = gguf.metadata(key)? else { return None };
    let text = |value: &'a Value| match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    };
    values.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any token is what the merge makes: the library would write beyond its room.
    #[test]
    fn a_merge_into_nothing_is_an_error() {
        use crate::onnx::tiny;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiny.gguf");
        for (merge, part) in
            [("<end> <end>", "\"<end><end>\", which is no token"), ("ab", "two parts")]
        {
            std::fs::write(&file, tiny::gguf_merging(merge)).unwrap();
            let gguf = Gguf::open(&file).unwrap();
            let said = tokenizer(&gguf, tiny::TOKENS.len()).unwrap_err().to_string();
            assert!(said.contains("tiny.gguf") && said.contains(part), "{said}");
        }
    }
}
