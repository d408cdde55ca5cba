//! ONNX Runtime that is missing, is something else, is too old, or has no GPU.

use std::process::Command;

use crate::workplace::{Case, RUN, Workplace, all_refused};

pub const CASES: &[Case] = &[
    Case {
        name: "cuda-without-a-gpu",
        args: RUN,
        spoil: |at| at.edit("pipeline.toml", "\"cpu\"", "\"cuda\""),
    },
    Case {
        name: "library-is-text",
        args: &["run", "pipeline.toml", "--library", "world.ttl"],
        spoil: |_| {},
    },
    Case {
        name: "library-missing",
        args: &["run", "pipeline.toml", "--library", "libonnxruntime.so"],
        spoil: |_| {},
    },
    Case {
        name: "library-is-a-folder",
        args: &["run", "pipeline.toml", "--library", "base"],
        spoil: |_| {},
    },
    Case {
        name: "library-in-the-pipeline",
        args: RUN,
        spoil: |at| {
            let mine = "[runtime]\nlibrary = \"library.so\"\n";
            at.edit("pipeline.toml", "[runtime]\n", mine);
        },
    },
    Case {
        name: "library-of-something-else",
        args: &["run", "pipeline.toml", "--library", "library.so"],
        spoil: |at| compile(at, "int nothing(void) { return 0; }"),
    },
    Case {
        name: "library-too-old",
        args: &["run", "pipeline.toml", "--library", "library.so"],
        spoil: |at| {
            let old = r#"
                struct base { const void *(*api)(unsigned); const char *(*version)(void); };
                static const void *api(unsigned version) { return 0; }
                static const char *version(void) { return "1.10.0"; }
                const struct base *OrtGetApiBase(void) {
                    static const struct base base = { api, version };
                    return &base;
                }"#;
            compile(at, old);
        },
    },
];

/// Makes `library.so` with the C compiler that the build needs too.
fn compile(at: &Workplace, source: &str) {
    at.write("library.c", source);
    let args = ["-shared", "-fPIC", "-w", "-o", "library.so", "library.c"];
    assert!(Command::new("cc").args(args).current_dir(at.root()).status().unwrap().success());
}

#[test]
fn are_refused() {
    all_refused(CASES);
}

#[test]
fn a_library_named_by_the_environment_is_refused_like_one_of_the_command_line() {
    let at = Workplace::new();
    let mut command = at.command(RUN);
    command.env("ORT_DYLIB_PATH", "world.ttl");
    at.refuses_command(command, "environment/library-is-text");
    let mut command = at.command(RUN);
    command.env("ORT_DYLIB_PATH", "/usr/lib/libonnxruntime.so.0");
    at.refuses_command(command, "environment/library-missing");
}

/// A library that says so when it is loaded is loaded where the command line names it, and not where
/// the pipeline does.
#[test]
fn no_code_is_loaded_that_only_the_pipeline_names() {
    let loads = "#include <stdio.h>\n__attribute__((constructor)) static void loaded(void) { \
                 fclose(fopen(\"loaded\", \"w\")); }";
    let at = Workplace::new();
    compile(&at, loads);
    let args = ["run", "pipeline.toml", "--library", "library.so"];
    assert_eq!(at.kgbuild(&args).code, Some(2));
    assert!(at.path("loaded").exists(), "the library tells that it is loaded");

    at.remove("loaded");
    at.edit("pipeline.toml", "[runtime]\n", "[runtime]\nlibrary = \"library.so\"\n");
    for command in ["check", "fetch", "run", "tune", "shock"] {
        let ended = at.kgbuild(&[command, "pipeline.toml"]);
        assert_eq!(ended.code, Some(2), "{command}: {}", ended.err);
        assert!(ended.err.contains("removed-key"), "{command}: {}", ended.err);
        assert!(!at.path("loaded").exists(), "{command}");
    }
}

#[test]
fn auto_without_a_gpu_says_so_once_and_works() {
    let at = Workplace::new();
    at.edit("pipeline.toml", "\"cpu\"", "\"auto\"");
    let ended = at.kgbuild(RUN);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(ended.err.matches("run on the CPU").count(), 1, "{}", ended.err);
    let mut relative = at.command(&["run", "--fresh", "pipeline.toml"]);
    std::os::unix::fs::symlink(crate::workplace::library(), at.path("runtime.so")).unwrap();
    relative.env("ORT_DYLIB_PATH", "runtime.so");
    assert!(relative.status().unwrap().success(), "a relative path is the caller's");
    let mut named = at.command(&["run", "--fresh", "pipeline.toml", "--library", "runtime.so"]);
    named.env("ORT_DYLIB_PATH", "/nowhere");
    assert!(named.status().unwrap().success(), "the command line goes before the environment");
}
