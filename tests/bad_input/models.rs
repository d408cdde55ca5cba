//! Models that are damaged, incomplete, do not fit each other, or are none.

use std::fs;

use crate::model;
use crate::workplace::{Case, RUN, Workplace, all_refused};

pub const CASES: &[Case] = &[
    Case { name: "onnx-cut-off", args: RUN, spoil: |at| at.cut("base/model.onnx", 200) },
    Case {
        name: "onnx-flipped",
        args: RUN,
        spoil: |at| {
            let mut bytes = fs::read(at.path("base/model.onnx")).unwrap();
            let gather = bytes.windows(6).position(|w| w == b"Gather").unwrap();
            bytes[gather] ^= 0x20;
            at.write("base/model.onnx", bytes);
        },
    },
    Case { name: "onnx-empty", args: RUN, spoil: |at| at.write("base/model.onnx", "") },
    Case {
        name: "onnx-is-a-pointer",
        args: RUN,
        spoil: |at| {
            let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n";
            at.write("base/model.onnx", pointer);
        },
    },
    Case { name: "weights-cut-off", args: RUN, spoil: |at| at.cut("base/model.onnx.data", 5000) },
    Case { name: "weights-missing", args: RUN, spoil: |at| at.remove("base/model.onnx.data") },
    Case {
        name: "not-a-language-model",
        args: RUN,
        spoil: |at| at.write("base/model.onnx", kgbuild::onnx::probe::smallest_model()),
    },
    Case { name: "tokenizer-missing", args: RUN, spoil: |at| at.remove("base/tokenizer.json") },
    Case { name: "tokenizer-cut-off", args: RUN, spoil: |at| at.cut("base/tokenizer.json", 300) },
    Case {
        name: "tokenizer-of-another-kind",
        args: RUN,
        spoil: |at| at.write("base/tokenizer.json", "{\"model\": {\"type\": \"Sentence\"}}"),
    },
    Case {
        name: "tokenizer-with-dropout",
        args: RUN,
        spoil: |at| {
            at.edit("base/tokenizer.json", "\"merges\":[]", "\"dropout\":0.1,\"merges\":[]");
        },
    },
    Case {
        name: "tokenizer-with-a-merge-into-nothing",
        args: RUN,
        spoil: |at| {
            at.edit("base/tokenizer.json", "\"merges\":[]", "\"merges\":[[\"a\",\"b\"]]");
        },
    },
    Case {
        name: "tokenizer-with-tokens-it-has-not",
        args: RUN,
        spoil: |at| {
            let processor = r#""post_processor":{"type":"BertProcessing","sep":["~",94],
                "cls":["x",4000000000]},"added_tokens""#;
            at.edit("base/tokenizer.json", "\"added_tokens\"", processor);
        },
    },
    Case {
        name: "checkpoint-with-tokens-beyond-its-rows",
        args: RUN,
        spoil: |at| {
            checkpoint(at);
            at.edit("llama/tokenizer.json", "\"~\":94", "\"~\":4000000000");
        },
    },
    Case {
        name: "checkpoint-of-another-family-checked",
        args: &["check", "pipeline.toml"],
        spoil: |at| {
            checkpoint(at);
            at.edit("llama/config.json", "\"model_type\":\"llama\"", "\"model_type\":\"gpt2\"");
        },
    },
    Case {
        name: "tokenizer-larger-than-the-model",
        args: RUN,
        spoil: |at| {
            for model in ["base", "finetuned"] {
                at.edit(&format!("{model}/tokenizer.json"), "\"~\":94", "\"~\":94,\"\u{a7}\":95");
            }
        },
    },
    Case {
        name: "different-vocabularies",
        args: RUN,
        spoil: |at| {
            at.edit("finetuned/tokenizer.json", "\"a\":65,\"b\":66", "\"a\":66,\"b\":65");
        },
    },
    Case {
        name: "vocabularies-of-different-size",
        args: RUN,
        spoil: |at| at.edit("finetuned/tokenizer.json", ",\"~\":94", ""),
    },
    Case { name: "config-cut-off", args: RUN, spoil: |at| at.cut("base/config.json", 10) },
    Case {
        name: "gguf-is-text",
        args: RUN,
        spoil: |at| {
            at.write("base.gguf", "<!doctype html><title>404</title>");
            at.edit("pipeline.toml", "\"base\"", "\"base.gguf\"");
        },
    },
    Case { name: "gguf-header-cut-off", args: RUN, spoil: |at| gguf(at, 60) },
    Case { name: "gguf-data-cut-off", args: RUN, spoil: |at| gguf(at, 150) },
    Case { name: "gguf-without-its-model", args: RUN, spoil: |at| gguf(at, usize::MAX) },
    Case {
        name: "safetensors-cut-off",
        args: RUN,
        spoil: |at| {
            checkpoint(at);
            at.cut("llama/model.safetensors", 1000);
        },
    },
    Case {
        name: "safetensors-flipped",
        args: RUN,
        spoil: |at| {
            checkpoint(at);
            let mut bytes = fs::read(at.path("llama/model.safetensors")).unwrap();
            bytes[9] ^= 0xff;
            at.write("llama/model.safetensors", bytes);
        },
    },
    Case {
        name: "checkpoint-of-another-size",
        args: RUN,
        spoil: |at| {
            checkpoint(at);
            at.edit("llama/config.json", "\"hidden_size\":8", "\"hidden_size\":16");
        },
    },
    Case {
        name: "checkpoint-of-another-family",
        args: RUN,
        spoil: |at| {
            checkpoint(at);
            at.edit("llama/config.json", "\"model_type\":\"llama\"", "\"model_type\":\"gpt2\"");
        },
    },
    Case {
        name: "checkpoint-without-config",
        args: RUN,
        spoil: |at| {
            checkpoint(at);
            at.remove("llama/config.json");
        },
    },
    Case { name: "adapter-of-another-base", args: RUN, spoil: |at| adapter(at, model::WIDTH + 1) },
    Case {
        name: "adapter-cut-off",
        args: RUN,
        spoil: |at| {
            adapter(at, model::WIDTH);
            at.cut("adapter/adapter_model.safetensors", 300);
        },
    },
    Case {
        name: "adapter-without-weights",
        args: RUN,
        spoil: |at| {
            adapter(at, model::WIDTH);
            at.remove("adapter/adapter_model.safetensors");
        },
    },
    Case {
        name: "adapter-of-another-kind",
        args: RUN,
        spoil: |at| {
            adapter(at, model::WIDTH);
            at.edit("adapter/adapter_config.json", "LORA", "IA3");
        },
    },
    Case {
        name: "adapter-config-cut-off",
        args: RUN,
        spoil: |at| {
            adapter(at, model::WIDTH);
            at.cut("adapter/adapter_config.json", 20);
        },
    },
    Case {
        name: "adapter-without-base",
        args: RUN,
        spoil: |at| {
            adapter(at, model::WIDTH);
            at.edit("pipeline.toml", "base = \"base\"\n", "");
        },
    },
    Case {
        name: "adapter-as-base",
        args: RUN,
        spoil: |at| {
            adapter(at, model::WIDTH);
            at.edit("pipeline.toml", "base = \"base\"", "base = \"adapter\"");
        },
    },
    Case {
        name: "folder-without-model",
        args: RUN,
        spoil: |at| {
            at.remove("base/model.onnx");
            at.remove("base/model.onnx.data");
        },
    },
    Case {
        name: "file-that-is-no-model",
        args: RUN,
        spoil: |at| at.edit("pipeline.toml", "\"base\"", "\"subjects.csv\""),
    },
    Case {
        name: "the-graph-named-instead-of-its-folder",
        args: RUN,
        spoil: |at| at.edit("pipeline.toml", "\"base\"", "\"base/model.onnx\""),
    },
    Case {
        name: "wrong-hash",
        args: RUN,
        spoil: |at| {
            at.write("base.gguf", "GGUF");
            let hash = "0".repeat(64);
            let pinned = format!("{{ source = \"base.gguf\", sha256 = \"{hash}\" }}");
            at.edit("pipeline.toml", "\"base\"", &pinned);
        },
    },
];

fn gguf(at: &Workplace, length: usize) {
    let file = model::gguf();
    at.write("base.gguf", &file[..length.min(file.len())]);
    at.edit("pipeline.toml", "\"base\"", "\"base.gguf\"");
}

fn checkpoint(at: &Workplace) {
    model::write_checkpoint(&at.path("llama"));
    at.edit("pipeline.toml", "\"base\"", "\"llama\"");
}

fn adapter(at: &Workplace, inner: usize) {
    model::write_adapter(&at.path("adapter"), inner);
    at.edit("pipeline.toml", "\"finetuned\"", "\"adapter\"");
}

#[test]
fn are_refused() {
    all_refused(CASES);
}

/// The cases above are refused for what is spoilt, not for what they have in common.
#[test]
fn sound_checkpoints_and_adapters_run() {
    let at = Workplace::new();
    checkpoint(&at);
    at.done(RUN);
    let at = Workplace::new();
    adapter(&at, model::WIDTH);
    at.done(RUN);
    // The base is an export: it is asked apart from the adapted model.
    let query = "SELECT ?f ?b WHERE { ?s ?r ?o {| kgb:finetunedProbability ?f ; kgb:baseProbability ?b |} }";
    let both = at.done(&["query", "out", query, "--format", "csv"]);
    let mut rows = both.lines().skip(1).map(|line| line.trim().split_once(',').unwrap());
    assert!(rows.clone().count() == 3 && rows.any(|(finetuned, base)| finetuned != base), "{both}");
}

/// What size and time of a file in the cache hide, `--verify` finds.
#[test]
fn what_changed_in_the_cache_is_made_again_where_all_is_verified() {
    let at = Workplace::new();
    checkpoint(&at);
    const DRY: &[&str] = &["run", "--dry-run", "pipeline.toml"];
    at.done(DRY);
    let models = fs::read_dir(at.path("cache/models")).unwrap();
    let mut files = models.map(|entry| entry.unwrap().path().join("model.onnx.data"));
    let file = files.find(|file| file.is_file()).unwrap();
    let whole = fs::read(&file).unwrap();
    for verifying in [
        &["run", "--dry-run", "--verify", "pipeline.toml"][..],
        &["fetch", "--verify", "pipeline.toml"],
    ] {
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        let mut bytes = whole.clone();
        bytes[100] ^= 1;
        fs::write(&file, bytes).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        for (args, again) in [(DRY, false), (verifying, true), (verifying, false)] {
            let ended = at.kgbuild(args);
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            assert_eq!(ended.err.contains("is damaged and is made again"), again, "{}", ended.err);
        }
        assert!(fs::read(&file).unwrap() == whole);
    }
}
