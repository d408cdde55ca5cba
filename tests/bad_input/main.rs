//! What bad input gets: the real program, run in a folder that is spoilt in one way at a time.
//!
//! Each case must end with exit code 2 and a message that says what is wrong, where, and how to
//! mend it; nothing may be lost or half written. The messages are stored in `expected/`, one file
//! a case; `KGBUILD_BLESS=1 cargo nextest run --release --test bad_input` writes them anew.

mod command_line;
#[path = "../support/ended.rs"]
mod ended;
mod families;
mod fetching;
mod locking;
mod midway;
mod model;
mod models;
mod newcomer;
mod output;
mod pipeline_file;
mod runtime;
mod signals;
mod steering;
mod store;
mod tables;
#[path = "../support/terminal.rs"]
mod terminal;
mod workplace;

use std::collections::BTreeSet;
use std::path::Path;

use workplace::{Case, RUN, Workplace};

/// Without this, the cases would show nothing: what is not spoilt runs.
#[test]
fn a_sound_workplace_runs() {
    let at = Workplace::new();
    let out = at.done(RUN);
    assert!(out.contains("kgbuild query out"), "{out}");
    let graph = at.graph();
    let capitals = graph.iter().filter(|line| line.contains("> <http://example.org/capital> <"));
    assert_eq!(capitals.filter(|line| !line.contains("<<(")).count(), 3, "{graph:#?}");
    assert_eq!(at.done(&["check", "pipeline.toml"]), "pipeline.toml is sound\n");
}

#[test]
fn every_stored_message_is_that_of_a_case() {
    let tables: [&[Case]; 8] = [
        command_line::CASES,
        families::CASES,
        models::CASES,
        newcomer::CASES,
        output::CASES,
        pipeline_file::CASES,
        runtime::CASES,
        tables::CASES,
    ];
    let cases: Vec<String> =
        tables.iter().flat_map(|t| t.iter()).map(|c| format!("{}.txt", c.name)).collect();
    let names: BTreeSet<&String> = cases.iter().collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input/expected");
    for entry in folder.read_dir().unwrap().map(Result::unwrap) {
        let name = entry.file_name().display().to_string();
        // Folders hold the messages of tests that are no simple cases.
        assert!(entry.path().is_dir() || names.contains(&name), "{name} belongs to no case");
    }
}
