//! Tokenizers that would panic, lose text or differ from run to run.

use serde_json::{Value, json};

use super::*;

/// A sound file of `tests/data/models/tokenizers`.
fn sound(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/tokenizers");
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn read(json: &Value) -> Result<Tokenizer, TokenizerError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenizer.json");
    fs::write(&file, json.to_string()).unwrap();
    Tokenizer::read(&file)
}

/// What is said of a sound file that was changed.
#[track_caller]
fn refused(name: &str, change: impl FnOnce(&mut Value), part: &str) {
    let mut json = sound(name);
    change(&mut json);
    let Err(error) = read(&json) else { panic!("accepted, not: {part}") };
    let said = error.to_string();
    assert!(said.contains("tokenizer.json") && said.contains(part), "{said}");
}

const BYTES: &str = "byte-level.json";
const UNIGRAM: &str = "unigram.json";

#[test]
fn sound_files_are_accepted() {
    for name in [BYTES, UNIGRAM, "byte-level-prefix-space.json", "sentencepiece-metaspace.json"] {
        let tokenizer = read(&sound(name)).unwrap();
        assert!(!tokenizer.prompt("The capital of France is").unwrap().is_empty(), "{name}");
    }
}

#[test]
fn merges_that_make_no_token_are_refused() {
    // Longer than any token: there would be no room for it.
    refused(
        BYTES,
        |json| {
            let model = &mut json["model"];
            let longest = model["vocab"].as_object().unwrap().keys().max_by_key(|k| k.len());
            let longest = longest.unwrap().clone();
            model["merges"].as_array_mut().unwrap().push(json!([longest, longest]));
        },
        "which is no token",
    );
    refused(
        BYTES,
        |json| json["model"]["merges"] = json!(["a unheard"]),
        "\"unheard\", which is no",
    );
    refused(BYTES, |json| json["model"]["merges"] = json!(["a"]), "does not have two parts");
}

#[test]
fn a_prefix_that_ends_within_a_letter_is_refused() {
    // One byte in front of three that are a letter: two thirds of it would be taken for text.
    let within = |prefix: &'static str, right: &'static str| {
        move |json: &mut Value| {
            let model = &mut json["model"];
            model["continuing_subword_prefix"] = json!(prefix);
            model["vocab"][right] = json!(9_000);
            model["merges"] = json!([["a", right]]);
        }
    };
    refused(BYTES, within("#", "\u{6771}x"), "does not begin its second part");
    refused(BYTES, within("####", "b"), "does not begin its second part");
}

#[test]
fn a_unigram_token_as_long_as_a_book_is_refused() {
    // Three pieces of 100,000 bytes: the tree of them is as deep.
    let long = |json: &mut Value| {
        json["model"]["vocab"].as_array_mut().unwrap().push(json!(["e".repeat(100_000), -9.0]));
    };
    refused(UNIGRAM, long, "a token has 100000 bytes");
}

#[test]
fn panics_of_the_library_are_errors() {
    let charsmap = |map: &'static str| {
        move |json: &mut Value| {
            json["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": map});
        }
    };
    refused(UNIGRAM, charsmap("AA=="), "the tokenizers library panics at it");
    // A table of no entries, in which every text is looked up.
    refused(UNIGRAM, charsmap("AAAAAA=="), "cannot encode \"is\": the tokenizers library panics");
    let pieces =
        |json: &mut Value| json["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0});
    refused(UNIGRAM, pieces, "cannot encode \"is\": the tokenizers library panics");
    for single in [
        json!([{"Sequence": {"id": "B", "type_id": 0}}]),
        json!([{"SpecialToken": {"id": "<gone>", "type_id": 0}}]),
    ] {
        let template = json!({
            "type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {},
        });
        let part = "cannot encode \"is\": the tokenizers library panics";
        refused(UNIGRAM, |json| json["post_processor"] = template, part);
    }
}

#[test]
fn tokens_beyond_the_vocabulary_are_refused() {
    for kind in ["BertProcessing", "RobertaProcessing"] {
        let processor = json!({
            "type": kind, "sep": ["</s>", 2], "cls": ["<s>", 4_000_000_000_u32],
            "trim_offsets": true, "add_prefix_space": false,
        });
        refused(
            BYTES,
            |json| json["post_processor"] = processor,
            "it puts token number 4000000000",
        );
    }
}

#[test]
fn dropout_is_refused() {
    refused(BYTES, |json| json["model"]["dropout"] = json!(0.1), "its `dropout` is 0.1");
    let mut none = sound(BYTES);
    none["model"]["dropout"] = json!(0.0);
    assert!(read(&none).is_ok());
}

#[test]
fn texts_whose_bytes_have_no_letter_are_refused() {
    let without = |letter: &str, unknown: Value| {
        let mut json = sound(BYTES);
        let model = &mut json["model"];
        model["vocab"].as_object_mut().unwrap().remove(letter).unwrap();
        model["merges"] = json!([]);
        model["unk_token"] = unknown;
        read(&json).unwrap()
    };
    // The first byte of Cyrillic letters.
    let tokenizer = without("\u{d0}", Value::Null);
    let error = tokenizer.prompt("\u{414}a").unwrap_err().to_string();
    assert!(error.contains("has no letter for the byte 0xd0"), "{error}");
    assert!(tokenizer.prompt("Guinea").is_ok());
    // It becomes the unknown token.
    assert!(without("\u{d0}", json!("<s>")).prompt("\u{414}a").is_ok());
}

#[test]
fn a_byte_has_the_letter_that_the_library_gives_it() {
    let alphabet = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
    let letters: std::collections::HashSet<char> = (0..=u8::MAX).map(letter).collect();
    assert!(letters == alphabet.into_iter().collect());
    assert_eq!([letter(b' '), letter(b'\n'), letter(b'a'), letter(0xd0)], ['Ġ', 'Ċ', 'a', 'Ð']);
}
