//! Output folders that cannot be written, or hold something else.

use crate::workplace::{Case, RUN, Workplace, all_refused};

pub const CASES: &[Case] = &[
    Case { name: "output-below-a-file", args: RUN, spoil: |at| folder(at, "world.ttl/out") },
    Case { name: "output-is-a-file", args: RUN, spoil: |at| folder(at, "subjects.csv") },
    // Permissions do not bind root; this file system binds all.
    Case { name: "output-read-only", args: RUN, spoil: |at| folder(at, "/proc/kgbuild") },
    Case {
        name: "store-is-a-file",
        args: RUN,
        spoil: |at| {
            at.write("out/store", "mine");
            at.write("out/.lock", "");
        },
    },
    Case {
        name: "store-of-something-else",
        args: RUN,
        spoil: |at| {
            at.write("out/store/notes.txt", "mine");
            at.write("out/.lock", "");
        },
    },
    Case {
        name: "fresh-over-something-else",
        args: &["run", "--fresh", "pipeline.toml"],
        spoil: |at| {
            at.write("out/store/notes.txt", "mine");
            at.write("out/.lock", "");
        },
    },
    Case { name: "init-over-a-pipeline", args: &["init"], spoil: |_| {} },
    Case { name: "init-below-a-file", args: &["init", "world.ttl/new"], spoil: |_| {} },
];

fn folder(at: &Workplace, path: &str) {
    at.edit("pipeline.toml", "\"out\"", &format!("\"{path}\""));
}

#[test]
fn are_refused() {
    all_refused(CASES);
}
