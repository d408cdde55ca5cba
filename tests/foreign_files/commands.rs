//! The other commands that write: `run` with `--fresh` and without, `tune`, `shock`, `eval`,
//! `export`, `init` and `fetch`.

use std::fs;

use crate::mine::{KINDS, Kind, Mine};
use crate::workplace::Workplace;

const RUN: &[&str] = &["run", "-q", "pipeline.toml"];
const FRESH: &[&str] = &["run", "-q", "--fresh", "pipeline.toml"];

/// Without the numbers that are not tuned yet.
fn untuned() -> Workplace {
    let at = Workplace::new();
    let tuning = "[tuning]\nfacts = \"tuning.csv\"\nfile = \"made/tuned.toml\"\nmin_facts = 10\n";
    at.edit("pipeline.toml", tuning, "");
    at
}

#[test]
fn a_run_refuses_to_replace_any_of_its_names() {
    let at = untuned();
    for (name, kinds) in
        [("report.json", &KINDS[..]), ("store", &KINDS[..]), ("store/CURRENT", &KINDS[..2])]
    {
        let path = format!("out/{name}");
        let named = format!("out/{}", name.split('/').next().unwrap());
        for &kind in kinds {
            for args in [RUN, FRESH] {
                let mine = at.mine(&[&*path], kind);
                at.refused(args, &named, &mine);
                at.clear("out");
            }
        }
    }
}

#[test]
fn a_run_leaves_alone_what_lies_beside_its_files() {
    let at = untuned();
    let mine = at.mine(
        &[
            "out/notes.txt",
            "out/.lock",
            "out/.kgbuild",
            "out/.kgbuild-abc123",
            "out/training.json",
            "out/model.onnx",
            "out/.store-new/CURRENT",
            "out/.store-old/000001.sst",
            "out/.store-abc123/new/CURRENT",
            "out/.store-abc124",
        ],
        Kind::File,
    );
    for args in [RUN, RUN, FRESH] {
        at.done(args, &mine);
    }
    // A store with someone's file in it goes on, and is not deleted.
    let mut inside = at.mine(&["out/store/notes.txt"], Kind::File);
    at.done(RUN, &inside);
    inside.remember(&at.path("out/report.json"));
    at.refused(FRESH, "out/store/notes.txt", &inside);
    fs::remove_file(at.path("out/store/notes.txt")).unwrap();
    // Nor is one that is elsewhere.
    fs::rename(at.path("out/store"), at.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(at.path("elsewhere"), at.path("out/store")).unwrap();
    let mut linked = Mine::default();
    linked.remember(&at.path("out/store"));
    at.done(RUN, &linked);
    linked.remember(&at.path("elsewhere/CURRENT"));
    at.refused(FRESH, "out/store", &linked);
    mine.assert_unchanged("all");
}

#[test]
fn tuned_numbers_replace_only_tuned_numbers() {
    let at = Workplace::new();
    let tune = &["tune", "-q", "pipeline.toml"];
    for kind in KINDS {
        let mine = at.mine(&["made/tuned.toml"], kind);
        at.refused(tune, "made/tuned.toml", &mine);
        at.clear("made");
    }
    let mine = at.mine(
        &["made/.kgbuild-abc123", "made/tuned.toml.partial", "made/tuned.json", "made/.lock"],
        Kind::File,
    );
    at.done(tune, &mine);
    at.done(tune, &mine);
}

/// Files that `-o` and `--html` name are replaced, as said; what lies beside them is not.
#[test]
fn reports_and_exports_replace_only_what_is_named() {
    let at = untuned();
    at.done(RUN, &Mine::default());
    let mut mine = at.mine(
        &[
            "made/.kgbuild-abc123",
            "made/page.htm",
            "made/page.html.partial",
            "made/page.json",
            "made/text.tmp",
            "out/notes.txt",
            "out/store/notes.txt",
        ],
        Kind::File,
    );
    mine.remember(&at.path("out/report.json"));
    mine.remember(&at.path("gold.csv"));
    for args in [
        &["shock", "-q", "pipeline.toml", "--html", "made/page.html", "-o", "made/text"][..],
        &["eval", "out", "--gold", "gold.csv", "--html", "made/page.html", "-o", "made/text"],
        &["export", "out", "-o", "made/text"],
    ] {
        for name in ["made/page.html", "made/text"] {
            at.write(name, "to be replaced");
        }
        at.done(args, &mine);
        assert_ne!(fs::read(at.path("made/text")).unwrap(), b"to be replaced");
        // A link to nothing is someone's, and a folder is.
        for kind in [Kind::LinkToNothing, Kind::Folder] {
            fs::remove_file(at.path("made/text")).unwrap();
            let named = at.mine(&["made/text"], kind);
            at.refused(args, "made/text", &named);
            mine.assert_unchanged(&format!("{args:?}"));
            match kind {
                Kind::Folder => fs::remove_dir_all(at.path("made/text")).unwrap(),
                _ => fs::remove_file(at.path("made/text")).unwrap(),
            }
            at.write("made/text", "");
        }
    }
}

#[test]
fn a_starter_replaces_nothing() {
    let at = Workplace::new();
    for name in ["pipeline.toml", "ontology.ttl", "subjects.csv", "candidates.csv"] {
        let name = format!("out/{name}");
        for kind in KINDS {
            let mine = at.mine(&[&*name], kind);
            at.refused(&["init", "out"], &name, &mine);
            at.clear("out");
        }
    }
    let mine = at.mine(&["out/notes.txt", "out/tuned.toml", "out/output/report.json"], Kind::File);
    at.done(&["init", "out"], &mine);
}

/// The cache is kgbuild's, but for what has other names.
#[test]
fn fetching_leaves_alone_what_others_put_into_the_cache() {
    let at = untuned();
    let names = [
        "cache/notes.txt",
        "cache/store/CURRENT",
        "cache/models/notes.txt",
        "cache/models/mine/model.onnx",
        "cache/models/mine/config.json",
    ];
    let mine = at.mine(&names, Kind::File);
    for args in [&["fetch", "pipeline.toml"][..], &["fetch", "pipeline.toml"], RUN] {
        at.done(args, &mine);
    }
}
