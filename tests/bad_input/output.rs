//! Output folders that cannot be written, or hold something else.

use crate::workplace::{Case, RUN, Workplace, all_refused};

pub const CASES: &[Case] = &[
    Case { name: "output-below-a-file", args: RUN, spoil: |at| folder(at, "world.ttl/out") },
    Case { name: "output-is-a-file", args: RUN, spoil: |at| folder(at, "subjects.csv") },
    // Permissions do not bind root; this file system binds all.
    Case { name: "output-read-only", args: RUN, spoil: |at| folder(at, "/proc/kgbuild") },
    Case { name: "store-is-a-file", args: RUN, spoil: |at| at.write("out/store", "mine") },
    Case {
        name: "store-of-something-else",
        args: RUN,
        spoil: |at| at.write("out/store/notes.txt", "mine"),
    },
    Case {
        name: "fresh-over-something-else",
        args: &["run", "--fresh", "pipeline.toml"],
        spoil: |at| at.write("out/store/notes.txt", "mine"),
    },
    Case {
        name: "report-of-something-else",
        args: RUN,
        spoil: |at| at.write("out/report.json", "{\"complete\": true}\n"),
    },
    Case {
        name: "report-is-a-folder",
        args: RUN,
        spoil: |at| at.write("out/report.json/mine.txt", "mine"),
    },
    Case {
        name: "report-is-a-link",
        args: &["run", "--fresh", "pipeline.toml"],
        spoil: |at| {
            at.write("mine.json", "mine");
            at.write("out/notes.txt", "mine");
            std::os::unix::fs::symlink(at.path("mine.json"), at.path("out/report.json")).unwrap();
        },
    },
    Case { name: "init-over-a-pipeline", args: &["init"], spoil: |_| {} },
    Case { name: "init-below-a-file", args: &["init", "world.ttl/new"], spoil: |_| {} },
    Case { name: "tuned-over-the-pipeline", args: TUNE, spoil: |at| tuning(at, "pipeline.toml") },
    Case {
        name: "tuned-over-an-input",
        args: TUNE,
        spoil: |at| tuning(at, "base/../subjects.csv"),
    },
    Case { name: "tuned-over-its-facts", args: TUNE, spoil: |at| tuning(at, "held-out.csv") },
    Case {
        name: "tuned-over-something-else",
        args: TUNE,
        spoil: |at| {
            at.write("notes.toml", "[notes]\nmine = true\n");
            tuning(at, "notes.toml");
        },
    },
    Case { name: "tuned-below-nothing", args: TUNE, spoil: |at| tuning(at, "gone/tuned.toml") },
    Case { name: "too-few-facts", args: TUNE, spoil: |at| tuning(at, "tuned.toml") },
    Case {
        name: "two-reports-in-one-file",
        args: &["shock", "pipeline.toml", "--html", "new.html", "-o", "base/../new.html"],
        spoil: |at| tuning(at, "tuned.toml"),
    },
    Case {
        name: "reports-below-nothing-and-over-a-folder",
        args: &["shock", "pipeline.toml", "--html", "gone/new.html", "-o", "base"],
        spoil: |at| tuning(at, "tuned.toml"),
    },
    Case {
        name: "reports-over-inputs",
        args: &["shock", "pipeline.toml", "--html", "held-out.csv", "-o", "pipeline.toml"],
        spoil: |at| tuning(at, "tuned.toml"),
    },
    Case {
        name: "scores-over-gold",
        args: &["eval", "out", "--gold", "subjects.csv", "-o", "./subjects.csv"],
        spoil: |_| {},
    },
];

const TUNE: &[&str] = &["tune", "pipeline.toml", "--library", "world.ttl"];

/// Tuning on two facts, without ONNX Runtime: what is wrong is said before a model is loaded.
fn tuning(at: &Workplace, file: &str) {
    let fact = |s, o| {
        format!("http://example.org/{s},http://example.org/capital,http://example.org/{o}\n")
    };
    let facts = fact("france", "paris") + &fact("italy", "rome") + &fact("japan", "nowhere");
    at.write("held-out.csv", format!("subject,relation,object\n{facts}"));
    let section = format!("[tuning]\nfacts = \"held-out.csv\"\nfile = \"{file}\"\n\n[output]");
    at.edit("pipeline.toml", "[output]", &section);
}

fn folder(at: &Workplace, path: &str) {
    at.edit("pipeline.toml", "\"out\"", &format!("\"{path}\""));
}

#[test]
fn are_refused() {
    all_refused(CASES);
}

/// How often the graph is brought to the disk makes no other run, and the report of one is replaced
/// by that of the next.
#[test]
fn another_durability_goes_on_with_the_same_graph() {
    let at = Workplace::new();
    at.done(RUN);
    let before = at.graph();
    at.edit("pipeline.toml", "folder = \"out\"", "folder = \"out\"\ndurability = \"chunk\"");
    assert!(at.done(RUN).contains("nothing was left to do"));
    at.done(&["run", "--fresh", "pipeline.toml"]);
    assert_eq!(at.graph(), before);
    assert!(at.read("out/report.json").contains("\"complete\": true"));
}

#[test]
fn files_that_cannot_grow_leave_what_was_there() {
    let at = Workplace::new();
    at.many_subjects(500);
    at.done(RUN);
    at.write("graph.ttl", "mine");
    at.refuses_command(at.limited(20, &["export", "out", "-o", "graph.ttl"]), "output/full-export");
    // A checkpoint is made into an ONNX folder in the cache, whole or not at all.
    crate::model::write_checkpoint(&at.path("llama"));
    at.edit("pipeline.toml", "\"base\"", "\"llama\"");
    at.refuses_command(at.limited(4, RUN), "output/full-cache");
    // What the first run prepared is there, and nothing else.
    for entry in std::fs::read_dir(at.path("cache/models")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(name == ".lock" || name.to_string_lossy().contains("-prepared-"), "{name:?}");
    }
}
