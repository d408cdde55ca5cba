//! What bad input gets: a sound finetuning that is spoilt in one way at a time.
//!
//! Each case must end with its exit code and a message that says what is wrong, where, and how to mend
//! it; nothing may be lost or half written. The messages are stored in `expected/`, one file a case;
//! `KGBUILD_BLESS=1 cargo nextest run --release --test finetune_command` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{TensorView, serialize};

use crate::interruption::kill_after_a_checkpoint;
use crate::workplace::{MIXTURE, Workplace, repository};

/// One way to spoil a finetuning.
struct Case {
    /// Of the file that holds what is said.
    name: &'static str,
    code: i32,
    spoil: fn(&Workplace),
}

fn bad(name: &'static str, spoil: fn(&Workplace)) -> Case {
    Case { name, code: 2, spoil }
}

fn fact(subject: &str, relation: &str, object: &str) -> String {
    let [subject, relation, object] =
        [subject, relation, object].map(|name| format!("http://example.org/{name}"));
    format!("{subject},{relation},{object}\n")
}

fn mixture(at: &Workplace, from: &str, to: &str) {
    at.append("finetune.toml", MIXTURE);
    at.edit("finetune.toml", from, to);
}

/// Puts NaN into the model's last norm.
fn break_the_base(at: &Workplace) {
    let bytes = fs::read(at.path("base/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let nan: Vec<u8> = f32::NAN.to_le_bytes().repeat(32);
    let views = tensors.iter().map(|(name, view)| {
        let data = if name == "model.norm.weight" { &nan } else { view.data() };
        (name, TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap())
    });
    at.write("base/model.safetensors", serialize(views, None).unwrap());
}

/// A checkpoint whose trained weights are so large that their products are infinite.
fn enlarged(bytes: &[u8]) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let (_, head) = SafeTensors::read_metadata(bytes).unwrap();
    let enlarge = |bytes: &[u8; 4]| (f32::from_le_bytes(*bytes) * 1e30).to_le_bytes();
    let data = tensors.iter().map(|(name, view)| match name.starts_with("parameters/") {
        true => view.data().as_chunks::<4>().0.iter().flat_map(enlarge).collect::<Vec<u8>>(),
        false => view.data().to_owned(),
    });
    let data: Vec<Vec<u8>> = data.collect();
    let views = tensors.iter().zip(&data).map(|((name, view), data)| {
        (name, TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap())
    });
    serialize(views, head.metadata().clone()).unwrap()
}

#[expect(clippy::too_many_lines, reason = "a list, a few lines a case")]
fn cases() -> Vec<Case> {
    vec![
        bad("unknown-relation", |at| {
            at.append("train.csv", &fact("Chad0", "capitol", "Lyon"));
            at.append("train.csv", &fact("Chad1", "capitol", "Lyon"));
            at.append("train.csv", &fact("Chad1", "river", "Lyon"));
        }),
        bad("unknown-entities", |at| {
            for number in 90..120 {
                at.append("train.csv", &fact(&format!("Chad{number}"), "capital", "Lyon"));
            }
            at.append("train.csv", &fact("Chad0", "sea", "Atlantis"));
        }),
        bad("unknown-listed-relation", |at| {
            let listed = "[facts]\nrelations = [\"http://example.org/capitall\"]";
            at.edit("finetune.toml", "[facts]", listed);
        }),
        bad("bad-lines", |at| {
            at.append("held-out.jsonl", "{\"subject\": \"Chad\"}\nnot json\n");
            at.append("train.csv", "http://example.org/Chad0,http://example.org/sea\n");
        }),
        bad("no-training-facts", |at| at.write("train.csv", "subject,relation,object\n")),
        bad("no-held-out-facts", |at| at.write("held-out.jsonl", "")),
        bad("share-leaves-nothing", |at| {
            at.edit("finetune.toml", "held_out = \"held-out.jsonl\"", "held_out_share = 0.001");
        }),
        bad("trained-and-held-out", |at| {
            for number in 0..8 {
                at.append("train.csv", &fact(&format!("Italy{number}"), "sea", "Rome"));
            }
            let facts = fs::read(at.path("train.csv")).unwrap();
            at.write("held-out.csv", facts);
            at.edit("finetune.toml", "held-out.jsonl", "held-out.csv");
        }),
        bad("trained-and-tested", |at| {
            let test = "subject,relation,object\n".to_owned();
            at.write("test.csv", test + &fact("Chad0", "capital", "Rome"));
            at.edit("finetune.toml", "[facts]", "[facts]\ntest = \"test.csv\"");
        }),
        bad("rank-zero", |at| at.edit("finetune.toml", "epochs = 8", "epochs = 8\nrank = 0")),
        bad("template-with-object-first", |at| {
            at.edit("world.ttl", "[X] lies at the sea of [Y].", "[Y] is the sea of [X].");
            at.append("train.csv", &fact("Chad0", "sea", "Lyon"));
        }),
        bad("fact-too-long", |at| {
            let long = "a very long name ".repeat(12);
            at.edit("countries.csv", "/Chad0,Chad0,", &format!("/Chad0,{long},"));
        }),
        bad("other-labels", |at| {
            // Only a warning; what follows it is the mistake.
            at.write("names.csv", "iri,label\nhttp://example.org/Paris,Lutetia\n");
            at.edit("finetune.toml", "\"cities.csv\"]", "\"cities.csv\", \"names.csv\"]");
            at.append("train.csv", &fact("Chad0", "capital", "Nowhere"));
        }),
        bad("no-base", |at| at.edit("finetune.toml", "\"base\"", "\"bose\"")),
        bad("base-is-onnx", |at| {
            for file in ["model.onnx", "tokenizer.json", "config.json"] {
                let from = repository().join("tests/data/models/llama/optimum").join(file);
                at.write(&format!("onnx/{file}"), fs::read(from).unwrap());
            }
            at.edit("finetune.toml", "\"base\"", "\"onnx\"");
        }),
        bad("base-cut-off", |at| {
            let bytes = fs::read(at.path("base/model.safetensors")).unwrap();
            at.write("base/model.safetensors", &bytes[..bytes.len() / 2]);
        }),
        Case { name: "base-with-nan", code: 1, spoil: break_the_base },
        bad("text-not-utf8", |at| {
            at.append("finetune.toml", MIXTURE);
            at.write("text.txt", b"The first line.\n\nThe second \xff line.\n");
        }),
        bad("text-empty", |at| {
            at.append("finetune.toml", MIXTURE);
            at.write("text.txt", "\n\n");
        }),
        bad("text-without-field", |at| {
            mixture(at, "text.txt", "text.json");
            at.write("text.json", r#"{"a": {"title": "A", "extract": "It is."}}"#);
        }),
        bad("text-too-short", |at| {
            at.append("finetune.toml", MIXTURE);
            at.write("text.txt", "It has a king.\n");
        }),
        bad("sequence-too-long", |at| mixture(at, "sequence_length = 12", "sequence_length = 65")),
        bad("no-such-end-of-text", |at| {
            mixture(at, "sequences = 2", "sequences = 2\nend_of_text = \"<end>\"");
        }),
        bad("output-holds-another-model", |at| at.write("out/model.onnx", "mine")),
        bad("output-read-only", |at| {
            // Permissions do not bind root; this file system binds all.
            at.edit("finetune.toml", "\"out\"", "\"/proc/kgbuild\"");
        }),
        bad("damaged-checkpoint", |at| at.write("out/checkpoint/latest.safetensors", "x")),
        bad("damaged-card", |at| at.write("out/training.json", "{}")),
        bad("no-cuda", |at| at.edit("finetune.toml", "\"cpu\"", "\"cuda\"")),
        bad("malformed-source", |at| at.edit("finetune.toml", "\"base\"", "\"pypi:model\"")),
    ]
}

/// Every file of the workplace with its content.
fn files(at: &Workplace) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![at.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Holds what was said against what is stored.
fn said(name: &str, text: &str) -> Result<(), String> {
    if text.contains('\x1b') || text.contains("panicked") {
        return Err(format!("{name}: escape codes or a panic: {text:?}"));
    }
    let stored = expected().join(format!("{name}.txt"));
    if std::env::var_os("KGBUILD_BLESS").is_some() {
        fs::create_dir_all(expected()).unwrap();
        fs::write(&stored, text).unwrap();
    }
    let wanted = fs::read_to_string(&stored).unwrap_or_default();
    if text == wanted { Ok(()) } else { Err(format!("{name} expects\n{wanted}--- said\n{text}")) }
}

fn expected() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/finetune_command/expected")
}

#[test]
fn is_refused_and_changes_nothing() {
    let mut wrong = Vec::new();
    for case in cases() {
        let at = Workplace::new();
        (case.spoil)(&at);
        let before = files(&at);
        let ended = at.finetune(&["--quiet"]);
        if ended.code != Some(case.code) || !ended.out.is_empty() {
            wrong.push(format!("{}: code {:?}, {}", case.name, ended.code, ended.out));
        }
        let mut after = files(&at);
        // A training that has begun has taken its folder.
        after.remove(&at.path("out/.lock"));
        if before.keys().ne(after.keys()) || before != after {
            wrong.push(format!("{}: made, changed or lost a file", case.name));
        }
        let here = at.path("").canonicalize().unwrap();
        let text = ended.err.replace(&*here.to_string_lossy(), "$HERE");
        let text = text.replace(&*at.path("").to_string_lossy(), "$HERE/");
        wrong.extend(said(case.name, &text).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_stored_message_is_that_of_a_case() {
    let names: BTreeSet<String> = cases().iter().map(|case| format!("{}.txt", case.name)).collect();
    assert_eq!(names.len(), cases().len(), "two cases have one name");
    for entry in expected().read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "{name} belongs to no case");
    }
}

/// What is allowed by name is only a warning.
#[test]
fn an_overlap_that_is_allowed_is_trained_and_counted() {
    let at = Workplace::new();
    at.append("train.csv", &fact("Italy8", "capital", "Rome"));
    at.edit("finetune.toml", "epochs = 8", "epochs = 1");
    assert_eq!(at.finetune(&["--quiet"]).code, Some(2));
    at.edit("finetune.toml", "[facts]", "[facts]\nallow_overlap = true");
    let ended = at.finetune(&["--quiet"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.err.contains("both training and held-out facts have 1 question:"),
        "{}",
        ended.err
    );
}

/// Weights that are far too large: training stops, the last good checkpoint stays whole, and the
/// message says what to try.
#[test]
fn a_loss_that_is_no_number_keeps_the_last_checkpoint() {
    let at = Workplace::new();
    at.edit("finetune.toml", "epochs = 8", "epochs = 200\ncheckpoint_every = 1");
    kill_after_a_checkpoint(&at);
    let checkpoint = || fs::read(at.path("out/checkpoint/latest.safetensors")).unwrap();
    at.write("out/checkpoint/latest.safetensors", enlarged(&checkpoint()));
    let before = checkpoint();
    let ended = at.finetune(&[]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let made = ended.err.strip_prefix("continuing after step ").unwrap();
    let made = made.split(' ').next().unwrap();
    let steps = format!("{made} step{}", if made == "1" { "" } else { "s" });
    for part in [
        format!("after {steps} the loss is no finite number"),
        format!("the checkpoint after {steps} is kept"),
        "Lower `learning_rate`".to_owned(),
    ] {
        assert!(ended.err.contains(&part), "{part} is not in {}", ended.err);
    }
    assert!(checkpoint() == before);
    assert!(!at.path("out/training.json").exists());
}
