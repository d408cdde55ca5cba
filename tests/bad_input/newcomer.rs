//! What somebody does who has not read the manual.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::workplace::{Case, RUN, Workplace, all_refused};

pub const CASES: &[Case] = &[
    Case {
        name: "subjects-and-candidates-swapped",
        args: RUN,
        spoil: |at| {
            at.edit("pipeline.toml", "\"candidates.csv\"", "\"\"");
            at.edit("pipeline.toml", "\"subjects.csv\"", "\"candidates.csv\"");
            at.edit("pipeline.toml", "\"\"", "\"subjects.csv\"");
        },
    },
    Case {
        name: "ontology-and-table-swapped",
        args: RUN,
        spoil: |at| {
            at.edit("pipeline.toml", "\"subjects.csv\"", "\"\"");
            at.edit("pipeline.toml", "\"world.ttl\"", "\"subjects.csv\"");
            at.edit("pipeline.toml", "\"\"", "\"world.ttl\"");
        },
    },
    Case { name: "run-a-table", args: &["run", "subjects.csv"], spoil: |_| {} },
    Case { name: "run-a-folder", args: &["run", "base"], spoil: |_| {} },
    Case { name: "query-before-a-run", args: &["query", "out", "ASK {}"], spoil: |_| {} },
    Case { name: "export-a-file", args: &["export", "pipeline.toml"], spoil: |_| {} },
    Case {
        name: "query-from-a-missing-file",
        args: &["query", "out", "-f", "query.rq"],
        spoil: |_| {},
    },
    Case {
        name: "a-huge-label",
        args: RUN,
        spoil: |at| at.edit("subjects.csv", "Italy", &"Italy ".repeat(20_000)),
    },
    Case {
        name: "a-dangling-link",
        args: RUN,
        spoil: |at| {
            at.remove("subjects.csv");
            symlink("nowhere.csv", at.path("subjects.csv")).unwrap();
        },
    },
];

#[test]
fn are_refused() {
    all_refused(CASES);
}

/// A folder stands for the pipeline.toml in it.
#[test]
fn a_folder_finds_its_pipeline() {
    let at = Workplace::new();
    assert_eq!(at.done(&["check", "."]), "./pipeline.toml is sound\n");
    assert!(at.done(&["fetch", "."]).contains("base: base"));
    at.done(&["run", "."]);
    assert!(at.path("out/report.json").exists());
    for command in ["tune", "shock"] {
        let said = at.kgbuild(&[command, "."]).err;
        assert!(said.contains("--> ./pipeline.toml"), "{command}: {said}");
    }
}

/// Spaces in paths, links, and another folder than the pipeline's are no mistakes.
#[test]
fn odd_paths_work() {
    let at = Workplace::new();
    at.write("my files/one more.toml", at.read("pipeline.toml"));
    for name in ["world.ttl", "subjects.csv", "candidates.csv", "base", "finetuned"] {
        symlink(at.path(name), at.path("my files").join(name)).unwrap();
    }
    at.done(&["run", "my files/one more.toml"]);
    let out = at.done(&["query", "my files/out", "ASK { ?s ?p ?o }"]);
    assert_eq!(out, "true\n");
    let mut elsewhere = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
    elsewhere.current_dir("/").args(["check"]).arg(at.path("my files/one more.toml"));
    assert!(elsewhere.output().unwrap().status.success());
}
