//! The tokenizer inside a GGUF file, as a `tokenizer.json`.
//!
//! Byte-level BPE only. How text is split before merging is not in the file but named in
//! `tokenizer.ggml.pre`; each name is spelt out in [`splitting`].

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

use super::Error;
use super::gguf::{Gguf, Value};

/// `tokenizer.ggml.token_type` of a token that is never made from text.
const CONTROL: u64 = 3;
/// The same of a token that a model's maker added and that is found in text whole.
const USER_DEFINED: u64 = 4;

/// Words, numbers of `digits` digits, punctuation, spaces: the split of Llama 3 and Qwen 2.
fn words(digits: &str) -> String {
    format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
}

/// How text is split, as the model's family does it.
struct Splitting {
    pre_tokenizer: PreTokenizerWrapper,
    normalised: bool,
    /// A word that is a token is that token, whatever the merges make of it.
    whole_words_first: bool,
    begins_by_default: bool,
}

fn splitting(name: &str) -> Result<Option<Splitting>, tokenizers::Error> {
    let byte_level = |splits: bool| ByteLevel::new(false, true, splits);
    let by_regex = |regex: String| -> Result<PreTokenizerWrapper, tokenizers::Error> {
        let pattern = SplitPattern::Regex(regex);
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
        Ok(Sequence::new(vec![split.into(), byte_level(false).into()]).into())
    };
    let plain = |pre_tokenizer| Splitting {
        pre_tokenizer,
        normalised: false,
        whole_words_first: false,
        begins_by_default: false,
    };
    Ok(Some(match name {
        "gpt-2" | "default" => plain(byte_level(true).into()),
        "smollm" => {
            plain(Sequence::new(vec![Digits::new(true).into(), byte_level(true).into()]).into())
        }
        "llama-bpe" => Splitting {
            whole_words_first: true,
            begins_by_default: true,
            ..plain(by_regex(words("{1,3}"))?)
        },
        "qwen2" => Splitting { normalised: true, ..plain(by_regex(words(""))?) },
        _ => return Ok(None),
    }))
}

/// Builds the tokenizer, with as many tokens as the model's vocabulary.
///
/// # Errors
/// [`Error::Corrupt`] where lists are missing or contradict each other, [`Error::Unsupported`] for
/// another kind of tokenizer.
pub(super) fn tokenizer(gguf: &Gguf, vocabulary: usize) -> Result<Tokenizer, Error> {
    let corrupt = |problem: String| Error::corrupt(gguf.path(), "GGUF", problem);
    let broken = |error: tokenizers::Error| corrupt(format!("its tokenizer is unsound: {error}"));
    let help = "name a folder with the same model and a tokenizer.json";

    let model = text(gguf, "tokenizer.ggml.model").unwrap_or_default();
    if model != "gpt2" {
        let problem = format!("its tokenizer is `{model}`, and only byte-level BPE can be read");
        return Err(Error::unsupported(gguf.path(), problem, help));
    }
    let name = text(gguf, "tokenizer.ggml.pre").unwrap_or("default");
    let Some(splitting) = splitting(name).map_err(broken)? else {
        let problem = format!(
            "its tokenizer splits text as `{name}`; known are gpt-2, default, smollm, llama-bpe \
             and qwen2"
        );
        return Err(Error::unsupported(gguf.path(), problem, help));
    };

    let tokens = texts(gguf, "tokenizer.ggml.tokens")
        .ok_or_else(|| corrupt("it has no list `tokenizer.ggml.tokens`".to_owned()))?;
    if tokens.len() != vocabulary {
        let problem = format!("{} tokens, but {vocabulary} rows of embeddings", tokens.len());
        return Err(corrupt(problem));
    }
    let merges = merges(gguf)?;
    let ids = tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id as u32));
    let bpe = BPE::builder()
        .vocab_and_merges(ids.collect::<Vocab>(), merges)
        .ignore_merges(splitting.whole_words_first)
        .build()
        .map_err(broken)?;
    let mut tokenizer = Tokenizer::new(bpe);
    if splitting.normalised {
        tokenizer.with_normalizer(Some(NFC)).map_err(broken)?;
    }
    tokenizer.with_pre_tokenizer(Some(splitting.pre_tokenizer));
    tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
    add_whole_tokens(&mut tokenizer, gguf, &tokens).map_err(broken)?;
    if tokenizer.get_vocab_size(true) != vocabulary {
        return Err(corrupt("two of its tokens are the same".to_owned()));
    }

    if let Some(template) = beginning(gguf, &tokens, splitting.begins_by_default)? {
        tokenizer.with_post_processor(Some(template));
    }
    Ok(tokenizer)
}

/// The pairs of tokens that are merged, the first ones first.
fn merges(gguf: &Gguf) -> Result<Vec<(String, String)>, Error> {
    let corrupt = |problem: &str| Error::corrupt(gguf.path(), "GGUF", problem);
    let merges = texts(gguf, "tokenizer.ggml.merges")
        .ok_or_else(|| corrupt("it has no list `tokenizer.ggml.merges`"))?;
    let merges = merges.iter().map(|merge| {
        let (left, right) = merge.split_once(' ')?;
        Some((left.to_owned(), right.to_owned()))
    });
    merges.collect::<Option<Vec<_>>>().ok_or_else(|| corrupt("a merge does not have two parts"))
}

/// What puts a first token before every text, where the model wants one.
fn beginning(
    gguf: &Gguf,
    tokens: &[&str],
    by_default: bool,
) -> Result<Option<TemplateProcessing>, Error> {
    let corrupt = |problem: String| Error::corrupt(gguf.path(), "GGUF", problem);
    let begins = match gguf.metadata("tokenizer.ggml.add_bos_token") {
        Some(Value::Bool(begins)) => *begins,
        _ => by_default,
    };
    if !begins {
        return Ok(None);
    }
    let id = match gguf.metadata("tokenizer.ggml.bos_token_id") {
        Some(Value::Unsigned(id)) => usize::try_from(*id).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let token = tokens.get(id).ok_or_else(|| {
        corrupt("it asks for a first token, but `tokenizer.ggml.bos_token_id` is none".into())
    })?;
    let template = TemplateProcessing::builder()
        .try_single(format!("{token} $A"))
        .map_err(|problem| corrupt(format!("its first token is `{token}`: {problem}")))?
        .special_tokens(vec![((*token).to_owned(), id as u32)])
        .build()
        .map_err(|error| corrupt(format!("its first token is `{token}`: {error}")))?;
    Ok(Some(template))
}

/// Marks the tokens that text is searched for before anything is split.
fn add_whole_tokens(
    tokenizer: &mut Tokenizer,
    gguf: &Gguf,
    tokens: &[&str],
) -> Result<(), tokenizers::Error> {
    let Some(Value::Array(types)) = gguf.metadata("tokenizer.ggml.token_type") else {
        return Ok(());
    };
    let of_type = |wanted: u64, special: bool| -> Vec<AddedToken> {
        let both = tokens.iter().zip(types);
        let is_wanted = |kind: &Value| match kind {
            Value::Signed(kind) => u64::try_from(*kind) == Ok(wanted),
            Value::Unsigned(kind) => *kind == wanted,
            _ => false,
        };
        both.filter(|(_, kind)| is_wanted(kind))
            .map(|(token, _)| AddedToken::from(*token, special).normalized(false))
            .collect()
    };
    tokenizer.add_special_tokens(of_type(CONTROL, true))?;
    tokenizer.add_tokens(of_type(USER_DEFINED, false))?;
    Ok(())
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

    fn pieces(name: &str, text: &str) -> Vec<String> {
        use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

        let splitting = splitting(name).unwrap().unwrap();
        let mut pre_tokenized = PreTokenizedString::from(text);
        splitting.pre_tokenizer.pre_tokenize(&mut pre_tokenized).unwrap();
        let splits = pre_tokenized.get_splits(OffsetReferential::Original, OffsetType::Byte);
        splits.into_iter().map(|(piece, _, _)| piece.replace('Ġ', "_")).collect()
    }

    #[test]
    fn each_family_splits_in_its_way() {
        assert_eq!(pieces("gpt-2", "In 1984 he's"), ["In", "_1984", "_he", "'s"]);
        assert_eq!(pieces("smollm", "In 1984 he's"), ["In", "_", "1", "9", "8", "4", "_he", "'s"]);
        assert_eq!(pieces("llama-bpe", "In 1984 he's"), ["In", "_", "198", "4", "_he", "'s"]);
        assert_eq!(pieces("qwen2", "In 198"), ["In", "_", "1", "9", "8"]);
        assert!(splitting("unheard-of").unwrap().is_none());
    }
}
