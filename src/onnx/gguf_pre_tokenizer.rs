//! How text is split before byte pairs are merged, for each name that GGUF has for it.
//!
//! The names are llama.cpp's, which finds them by what a tokenizer makes of a text. The splits here are
//! those of the tokenizers that bear the names, as their makers publish them for the tokenizers
//! library: llama.cpp's own come near them, but leave out normalisation and the cases of letters.

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

/// How text is split, as the model's family does it.
pub(super) struct Splitting {
    pub pre_tokenizer: PreTokenizerWrapper,
    /// Whether text is composed first (NFC).
    pub normalised: bool,
    /// A word that is a token is that token, whatever the merges make of it.
    pub whole_words_first: bool,
    /// Whether a text begins with a token of its own where the file does not say.
    pub begins_by_default: bool,
}

/// A row of the table: names, steps, and which of the three switches are on.
struct Row {
    names: &'static [&'static str],
    steps: &'static [Step],
    normalised: bool,
    whole_words_first: bool,
    begins_by_default: bool,
}

/// A part of a splitting; each splits what those before it left, bytes are mapped last.
enum Step {
    /// Pieces that match stand alone.
    Regex(&'static str),
    /// Every digit by itself.
    Digits,
    /// Runs of digits.
    Numbers,
    /// Runs of punctuation.
    Punctuation,
    /// GPT-2's words, with bytes mapped to letters.
    Words,
}

use Step::{Digits as EachDigit, Numbers, Punctuation as Marks, Regex, Words};

/// Words, numbers of `$digits` digits, punctuation, spaces: the split of GPT-4, Llama 3 and Qwen 2.
macro_rules! words {
    ($letters:literal, $other:literal, $digits:literal) => {
        concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?",
            $letters,
            r"+|\p{N}",
            $digits,
            r"| ?[^\s",
            $other,
            r"\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// Words that end where a capital follows, with what is behind them in `$behind`: the split of GPT-4o
/// and of Mistral's Tekken.
macro_rules! cased_words {
    ($behind:literal, $digits:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            $behind,
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            $behind,
            r"|\p{N}",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

const CL100K: &str = words!(r"\p{L}", r"\p{L}", "{1,3}");
const PLAIN: Row = Row {
    names: &[],
    steps: &[Words],
    normalised: false,
    whole_words_first: false,
    begins_by_default: false,
};

static TABLE: [Row; 17] = [
    Row { names: &["gpt-2", "default", "phi-2", "jais", "modern-bert"], ..PLAIN },
    Row { names: &["mpt", "olmo"], normalised: true, ..PLAIN },
    Row {
        names: &["smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b"],
        steps: &[EachDigit, Words],
        ..PLAIN
    },
    Row { names: &["command-r"], steps: &[EachDigit, Words], normalised: true, ..PLAIN },
    Row {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "lfm2"],
        steps: &[Regex(CL100K)],
        whole_words_first: true,
        begins_by_default: true,
        ..PLAIN
    },
    // Llama 3's and SmolLM3's without a token in front of texts.
    Row {
        names: &["smaug-bpe", "glm4"],
        steps: &[Regex(CL100K)],
        whole_words_first: true,
        ..PLAIN
    },
    Row { names: &["dbrx", "chatglm-bpe"], steps: &[Regex(CL100K)], ..PLAIN },
    Row {
        names: &["qwen2", "deepseek-r1-qwen"],
        steps: &[Regex(words!(r"\p{L}", r"\p{L}", ""))],
        normalised: true,
        ..PLAIN
    },
    Row {
        names: &["stablelm2", "megrez", "hunyuan", "grok-2"],
        steps: &[Regex(words!(r"\p{L}", r"\p{L}", ""))],
        ..PLAIN
    },
    Row {
        names: &["qwen35"],
        steps: &[Regex(words!(r"[\p{L}\p{M}]", r"\p{L}\p{M}", ""))],
        normalised: true,
        ..PLAIN
    },
    Row {
        names: &["gpt-4o", "llama4", "kanana2", "minimax-m2"],
        steps: &[Regex(cased_words!(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "{1,3}"))],
        ..PLAIN
    },
    Row {
        names: &["tekken"],
        steps: &[Regex(cased_words!("", ""))],
        whole_words_first: true,
        begins_by_default: true,
        ..PLAIN
    },
    Row {
        names: &["deepseek-coder"],
        steps: &[
            Regex(r"[\r\n]"),
            Regex(r"\s?\p{L}+"),
            Regex(r"\s?\p{P}+"),
            Regex("[一-龥\u{800}-一가-퟿]+"),
            EachDigit,
        ],
        ..PLAIN
    },
    Row {
        names: &["deepseek-v3", "hunyuan-dense"],
        steps: &[
            Regex(r"\p{N}{1,3}"),
            Regex("[一-龥぀-ゟ゠-ヿ]+"),
            Regex(concat!(
                r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##,
                r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*",
                r"|\s*[\r\n]+|\s+(?!\S)|\s+"
            )),
        ],
        ..PLAIN
    },
    Row { names: &["falcon"], steps: &[Marks, Words, Numbers, Regex("[0-9][0-9][0-9]")], ..PLAIN },
    Row {
        names: &["bloom", "poro-chat", "gpt3-finnish"],
        steps: &[Regex(r" ?[^(\s|.,!?…。，、।۔،)]+")],
        ..PLAIN
    },
    Row {
        names: &["seed-coder"],
        steps: &[Regex(concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}",
            r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
        ))],
        ..PLAIN
    },
];

/// The names that are known, for messages.
pub(super) fn names() -> String {
    TABLE.iter().flat_map(|row| row.names).copied().collect::<Vec<&str>>().join(", ")
}

/// The splitting of a name; none where it is not known.
///
/// # Errors
/// Where the tokenizers library does not take a pattern.
pub(super) fn splitting(name: &str) -> Result<Option<Splitting>, tokenizers::Error> {
    let Some(row) = TABLE.iter().find(|row| row.names.contains(&name)) else { return Ok(None) };
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for step in row.steps {
        steps.push(match step {
            Regex(regex) => {
                let pattern = SplitPattern::Regex((*regex).to_owned());
                Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?.into()
            }
            EachDigit => Digits::new(true).into(),
            Numbers => Digits::new(false).into(),
            Marks => Punctuation::new(SplitDelimiterBehavior::Contiguous).into(),
            Words => ByteLevel::new(false, true, true).into(),
        });
    }
    if !row.steps.iter().any(|step| matches!(step, Words)) {
        steps.push(ByteLevel::new(false, true, false).into());
    }
    let pre_tokenizer = match <[_; 1]>::try_from(steps) {
        Ok([only]) => only,
        Err(steps) => Sequence::new(steps).into(),
    };
    let Row { normalised, whole_words_first, begins_by_default, .. } = *row;
    Ok(Some(Splitting { pre_tokenizer, normalised, whole_words_first, begins_by_default }))
}

#[cfg(test)]
mod tests {
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;

    fn pieces(name: &str, text: &str) -> Vec<String> {
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
        assert_eq!(pieces("tekken", "camelCase's 12"), ["camel", "Case", "'s", "_", "1", "2"]);
        assert_eq!(pieces("gpt-4o", "camelCase's 12"), ["camel", "Case's", "_", "12"]);
        assert_eq!(pieces("deepseek-coder", "a 12!?\n"), ["a", "_", "1", "2", "!?", "Ċ"]);
        assert_eq!(pieces("deepseek-v3", "a 1234"), ["a", "_", "123", "4"]);
        assert_eq!(pieces("falcon", "he's 12345."), ["he", "'", "s", "_", "123", "45", "."]);
        assert_eq!(pieces("bloom", "one, two"), ["one", ",", "_two"]);
        assert!(splitting("unheard-of").unwrap().is_none());
    }

    #[test]
    fn every_name_is_known_once_and_loses_nothing() {
        let all = names();
        let names: Vec<&str> = all.split(", ").collect();
        for name in &names {
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
            // Every byte is a letter of the pieces.
            let text = "It's 2024—Zürich, 東京 is 12,345.6\tkm\n\n  away; naïve 👩‍🔬 ½!";
            let letters: usize = pieces(name, text).iter().map(|piece| piece.chars().count()).sum();
            assert_eq!(letters, text.len(), "{name}");
        }
    }
}
