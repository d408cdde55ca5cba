//! Wrong words on the command line, and standard output that takes nothing.

use std::fs::File;
use std::io;
use std::process::Stdio;

use crate::workplace::{Case, RUN, Workplace, all_refused};

pub const CASES: &[Case] = &[
    Case { name: "no-command", args: &[], spoil: |_| {} },
    Case { name: "misspelt-command", args: &["rnu", "pipeline.toml"], spoil: |_| {} },
    Case { name: "misspelt-inner-command", args: &["models", "inspct", "base"], spoil: |_| {} },
    Case { name: "no-such-command", args: &["merg"], spoil: |_| {} },
    Case { name: "no-pipeline", args: &["run"], spoil: |_| {} },
    Case { name: "unknown-option", args: &["run", "--dryrun", "pipeline.toml"], spoil: |_| {} },
    Case {
        name: "no-probability",
        args: &["export", "--min-confidence", "90%", "out"],
        spoil: |_| {},
    },
    Case { name: "no-query", args: &["query", "out"], spoil: |_| {} },
];

#[test]
fn are_refused() {
    all_refused(CASES);
}

/// `kgbuild export out | head -1`: the reader has seen enough, which is no error.
#[test]
fn a_closed_pipe_ends_a_command_in_silence() {
    let at = Workplace::new();
    at.done(RUN);
    let all = "SELECT * { ?s ?p ?o }";
    let commands: [&[&str]; 4] = [
        &["export", "out"],
        &["query", "out", all],
        &["query", "--format", "json", "out", all],
        RUN,
    ];
    for args in commands {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = at.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let at = Workplace::new();
    at.done(RUN);
    let commands: [(&str, &[&str]); 5] = [
        ("export", &["export", "out"]),
        ("query", &["query", "out", "SELECT * { ?s ?p ?o }"]),
        ("run", RUN),
        ("check", &["check", "pipeline.toml"]),
        ("dry-run", &["run", "--dry-run", "pipeline.toml"]),
    ];
    for (name, args) in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = at.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        at.said(&format!("stdout/full-{name}"), &String::from_utf8_lossy(&output.stderr)).unwrap();
    }
}

/// A terminal that is gone is no reason to stop.
#[test]
fn a_run_goes_on_where_nobody_listens() {
    let at = Workplace::new();
    at.edit("pipeline.toml", "\"cpu\"", "\"auto\"");
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(at.command(RUN).stderr(full).output().unwrap().status.code(), Some(0));
    assert!(!at.graph().is_empty());
}

/// Colours are for terminals that want them.
#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let at = Workplace::new();
    at.edit("pipeline.toml", "finetuned =", "fintuned =");
    let said = |variables: &[(&str, &str)]| {
        let output = at.command(RUN).envs(variables.iter().copied()).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(&[("CLICOLOR_FORCE", "1")]).contains('\x1b'));
    assert!(!said(&[]).contains('\x1b'));
    assert!(!said(&[("NO_COLOR", "1")]).contains('\x1b'));
}

/// `-q`, before or behind the command: what was asked for is printed, and nothing else said.
#[test]
fn quiet_leaves_results_and_warnings() {
    let at = Workplace::new();
    let silent: [&[&str]; 5] = [
        &["check", "-q", "pipeline.toml"],
        &["--quiet", "fetch", "pipeline.toml"],
        &["run", "-q", "pipeline.toml"],
        &["-q", "init", "new"],
        &["man", "pages", "--quiet"],
    ];
    for args in silent {
        let ended = at.kgbuild(args);
        assert_eq!((ended.code, &*ended.out, &*ended.err), (Some(0), "", ""), "{args:?}");
    }
    assert!(at.path("out/report.json").exists() && at.path("new/pipeline.toml").exists());
    let results: [&[&str]; 4] = [
        &["query", "-q", "out", "ASK { ?s ?p ?o }"],
        &["export", "-q", "out"],
        &["-q", "run", "--dry-run", "pipeline.toml"],
        &["models", "inspect", "-q", "base"],
    ];
    for args in results {
        assert!(!at.done(args).is_empty(), "{args:?}");
    }
    at.edit("pipeline.toml", "[output]", "[output]\nbase_iri = \"urn:x\"");
    assert!(at.kgbuild(&["check", "-q", "pipeline.toml"]).err.contains("base-iri-end"));
    assert!(at.kgbuild(&["run", "-q", "pipelin.toml"]).err.contains("unreadable"));
}

#[test]
fn shells_complete_every_command() {
    let at = Workplace::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = at.done(&["completions", shell]);
        for word in ["reproduce", "inspect", "--min-confidence", "--library"] {
            // Fish names long options without their dashes.
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.contains(word), "{word} is not in the script for {shell}");
        }
    }
}

#[test]
fn every_command_has_a_page_and_no_file_of_others_is_replaced() {
    let at = Workplace::new();
    at.done(&["man", "share/man1"]);
    let page = |name: &str| at.read(&format!("share/man1/{name}.1"));
    assert!(page("kgbuild").contains("Exit codes: 0 done"));
    assert!(page("kgbuild-run").contains("dry"), "{}", page("kgbuild-run"));
    assert!(page("kgbuild-models-inspect").contains("hf:owner/name"));
    // Pages are made anew, and where one is something else none is.
    at.write("share/man1/kgbuild-run.1", page("kgbuild-run") + "older");
    at.done(&["man", "share/man1"]);
    assert!(!page("kgbuild-run").ends_with("older"));
    at.write("share/man1/kgbuild-run.1", "my own");
    at.remove("share/man1/kgbuild.1");
    let ended = at.kgbuild(&["man", "share/man1"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("share/man1/kgbuild-run.1 is no page"), "{}", ended.err);
    assert_eq!(page("kgbuild-run"), "my own");
    assert!(!at.path("share/man1/kgbuild.1").exists());
}
