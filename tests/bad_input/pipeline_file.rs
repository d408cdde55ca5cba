//! Mistakes in pipeline.toml itself. `tests/config.rs` holds many more of these against the room
//! that reads it; here a few go through the whole program.

use crate::workplace::{Case, RUN, Workplace, all_refused};

pub const CASES: &[Case] = &[
    Case {
        name: "unknown-key",
        args: RUN,
        spoil: |at| at.edit("pipeline.toml", "finetuned =", "fintuned ="),
    },
    Case {
        name: "unknown-table-and-value",
        args: RUN,
        spoil: |at| {
            at.edit("pipeline.toml", "[selection]", "[selektion]");
            at.edit("pipeline.toml", "\"cpu\"", "\"gpu\"");
        },
    },
    Case {
        name: "missing-input-files",
        args: RUN,
        spoil: |at| {
            at.remove("world.ttl");
            at.edit("pipeline.toml", "\"subjects.csv\"", "\"subject.csv\"");
        },
    },
    Case {
        name: "check-missing-model",
        args: &["check", "pipeline.toml"],
        spoil: |at| at.edit("pipeline.toml", "\"finetuned\"", "\"finetune\""),
    },
    Case { name: "missing-pipeline", args: &["run", "pipelin.toml"], spoil: |_| {} },
    Case {
        name: "pipeline-not-utf8",
        args: RUN,
        spoil: |at| {
            let text = at.read("pipeline.toml").replace("[selection]", "# caf\u{e9}\n[selection]");
            let latin1: Vec<u8> = text.chars().map(|c| c as u8).collect();
            at.write("pipeline.toml", latin1);
        },
    },
    Case { name: "pipeline-empty", args: RUN, spoil: |at| at.write("pipeline.toml", "") },
    Case {
        name: "pipeline-utf16",
        args: RUN,
        spoil: |at| {
            let text = at.read("pipeline.toml");
            let utf16 = std::iter::once(0xfeff).chain(text.encode_utf16());
            at.write("pipeline.toml", utf16.flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
        },
    },
    Case {
        name: "unclosed-string",
        args: RUN,
        spoil: |at| at.edit("pipeline.toml", "\"world.ttl\"", "\"world.ttl"),
    },
    Case {
        name: "input-is-a-folder",
        args: RUN,
        spoil: |at| at.edit("pipeline.toml", "\"subjects.csv\"", "\"base\""),
    },
    Case {
        name: "unknown-relation-in-inputs",
        args: RUN,
        spoil: |at| {
            at.edit(
                "pipeline.toml",
                "candidates = \"candidates.csv\"",
                "candidates = \"candidates.csv\"\nrelations = [\"http://example.org/capitol\"]",
            );
        },
    },
    Case {
        name: "unknown-relation-in-correction",
        args: RUN,
        spoil: |at| {
            let table = "\n[correction.relations.\"http://example.org/capitel\"]\nlambda = 0.3\n";
            at.write("pipeline.toml", at.read("pipeline.toml") + table);
        },
    },
    Case {
        name: "malformed-sources",
        args: &["check", "pipeline.toml"],
        spoil: |at| {
            at.edit("pipeline.toml", "\"base\"", "\"hf:name-without-owner\"");
            at.edit("pipeline.toml", "\"finetuned\"", "\"pypi:package#model.gguf\"");
        },
    },
];

#[test]
fn are_refused() {
    all_refused(CASES);
}

/// What an editor on another system leaves is no mistake.
#[test]
fn crlf_and_a_byte_order_mark_are_read() {
    let at = Workplace::new();
    for name in ["pipeline.toml", "world.ttl", "subjects.csv", "candidates.csv"] {
        at.write(name, format!("\u{feff}{}", at.read(name).replace('\n', "\r\n")));
    }
    at.done(RUN);
    assert_eq!(at.graph().len(), {
        let sound = Workplace::new();
        sound.done(RUN);
        sound.graph().len()
    });
}
