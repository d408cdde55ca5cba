//! `finetune` and `reproduce`, with `--fresh` and without.

use std::fs;

use crate::mine::{KINDS, Kind, Mine};
use crate::workplace::Workplace;

const FINETUNE: &[&str] = &["finetune", "-q", "finetune.toml"];
const FINETUNE_FRESH: &[&str] = &["finetune", "-q", "--fresh", "finetune.toml"];
const REPRODUCE: &[&str] = &["reproduce", "-q", "experiment.toml"];
const REPRODUCE_FRESH: &[&str] = &["reproduce", "-q", "--fresh", "experiment.toml"];

/// The names that a training writes to.
const OF_A_TRAINING: [&str; 10] = [
    "adapter_config.json",
    "adapter_model.safetensors",
    "model.onnx",
    "model.onnx.data",
    "config.json",
    "tokenizer.json",
    "training.json",
    "checkpoint/latest.safetensors",
    "checkpoint/.partial-abc123",
    "checkpoint/run-1/data.txt",
];

/// Names that mean nothing to a training, or that it gives only to what it knows again.
const BESIDE_A_TRAINING: [&str; 8] = [
    "out/notes.txt",
    "out/report.json",
    "out/store/CURRENT",
    "out/.lock",
    "out/.kgbuild",
    "out/.result-abc123/model.onnx",
    "out/.result-abc124/training.json",
    "out/.result-abc125",
];

#[test]
fn a_training_refuses_to_replace_any_of_its_names() {
    let at = Workplace::new();
    for (number, name) in OF_A_TRAINING.into_iter().enumerate() {
        let path = format!("out/{name}");
        let named = if name.contains("run-1") { "out/checkpoint/run-1" } else { &path };
        // Half of the kinds for one command, half for the other, by turns.
        for (turn, kind) in KINDS.into_iter().enumerate() {
            let mine = at.mine(&[&*path], kind);
            let args = if (number + turn) % 2 == 0 { FINETUNE } else { FINETUNE_FRESH };
            at.refused(args, named, &mine);
            at.clear("out");
        }
        for args in [FINETUNE, FINETUNE_FRESH] {
            let mine = at.mine(&[&*path], Kind::File);
            at.refused(args, named, &mine);
            at.clear("out");
        }
    }
}

#[test]
fn a_training_leaves_alone_what_lies_beside_its_files() {
    for method in ["lora", "all"] {
        let at = Workplace::new();
        at.edit("finetune.toml", "epochs = 1", &format!("epochs = 1\nmethod = \"{method}\""));
        let mut mine = at.mine(&BESIDE_A_TRAINING, Kind::File);
        at.done(FINETUNE, &mine);
        // A folder of checkpoints without one is someone's, and the model is kept as well.
        let data = "out/checkpoint/data.txt";
        mine.put(&at.path(""), data, Kind::File);
        mine.remember(&at.path("out/training.json"));
        at.done(FINETUNE, &mine);
        at.refused(FINETUNE_FRESH, data, &mine);
        fs::rename(at.path(data), at.path("out/data.txt")).unwrap();

        let mine = {
            let mut mine = Mine::default();
            BESIDE_A_TRAINING.iter().for_each(|name| mine.remember(&at.path(name)));
            mine.remember(&at.path("out/data.txt"));
            mine
        };
        at.done(FINETUNE_FRESH, &mine);
        // What was changed since is no longer the training's.
        let model = if method == "all" { "out/config.json" } else { "out/adapter_config.json" };
        let mut changed = at.mine(&[model], Kind::File);
        changed.remember(&at.path("out/training.json"));
        at.refused(FINETUNE_FRESH, model, &changed);
        mine.assert_unchanged("all");
    }
}

/// The names that an experiment writes to.
const OF_AN_EXPERIMENT: [&str; 20] = [
    ".kgbuild.json",
    "results.json",
    "frequency-shock.html",
    "frequency-shock.svg",
    "seed-1/ontology.ttl",
    "seed-1/subjects.csv",
    "seed-1/candidates.csv",
    "seed-1/test.csv",
    "seed-1/tune.csv",
    "seed-1/held-out.csv",
    "seed-1/train-natural.csv",
    "seed-1/base.toml",
    "seed-1/natural-vanilla-1/finetune.toml",
    "seed-1/natural-mixture-1/pipeline.toml",
    "seed-1/natural-vanilla-1/result.json",
    "seed-1/natural-vanilla-1/model/training.json",
    "seed-1/natural-vanilla-1/model/adapter_model.safetensors",
    "seed-1/natural-mixture-1/model/config.json",
    "seed-1/natural-mixture-1/model/checkpoint/latest.safetensors",
    "seed-1/natural-mixture-1/model/checkpoint/.partial-abc123",
];

const BESIDE_AN_EXPERIMENT: [&str; 9] = [
    "out/notes.txt",
    "out/.lock",
    "out/.draft/data.txt",
    "out/.draft-abc123/seed-1/test.csv",
    "out/seed-1/notes.txt",
    "out/seed-2/test.csv",
    "out/seed-1/natural-vanilla-1/notes.txt",
    "out/seed-1/natural-vanilla-1/tuned.toml",
    "out/seed-1/natural-vanilla-1/model/.result-abc123/model.onnx",
];

#[test]
fn an_experiment_refuses_to_replace_any_of_its_names() {
    let at = Workplace::new();
    for (number, name) in OF_AN_EXPERIMENT.into_iter().enumerate() {
        let path = format!("out/{name}");
        for (turn, kind) in [Kind::File, Kind::Link].into_iter().enumerate() {
            let mine = at.mine(&[&*path], kind);
            let args = if (number + turn) % 2 == 0 { REPRODUCE } else { REPRODUCE_FRESH };
            at.refused(args, &path, &mine);
            at.clear("out");
        }
    }
}

#[test]
fn an_experiment_leaves_alone_what_lies_beside_its_files() {
    let at = Workplace::new();
    let mine = at.mine(&BESIDE_AN_EXPERIMENT, Kind::File);
    for args in [REPRODUCE, REPRODUCE, REPRODUCE_FRESH] {
        at.done(args, &mine);
    }
    // What someone changed is theirs, also among what was made; nothing of the rest goes with it.
    for name in [
        "out/results.json",
        "out/seed-1/natural-mixture-1/pipeline.toml",
        "out/seed-1/natural-mixture-1/result.json",
        "out/seed-1/natural-mixture-1/model/adapter_config.json",
        "out/seed-1/natural-mixture-1/model/training.json",
    ] {
        let before = fs::read(at.path(name)).unwrap();
        let mut changed = at.mine(&[name], Kind::File);
        for made in ["result.json", "model/training.json", "model/adapter_model.safetensors"] {
            changed.remember(&at.path(&format!("out/seed-1/natural-vanilla-1/{made}")));
        }
        at.refused(REPRODUCE_FRESH, name, &changed);
        at.write(name, before);
    }
    at.done(REPRODUCE_FRESH, &mine);
}
