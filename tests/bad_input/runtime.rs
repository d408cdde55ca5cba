//! ONNX Runtime that is missing, is something else, is too old, or has no GPU.

use std::process::Command;

use crate::workplace::{Case, RUN, Workplace, all_refused};

pub const CASES: &[Case] = &[
    Case {
        name: "cuda-without-a-gpu",
        args: RUN,
        spoil: |at| at.edit("pipeline.toml", "\"cpu\"", "\"cuda\""),
    },
    Case { name: "library-is-text", args: RUN, spoil: |at| library(at, "world.ttl") },
    Case { name: "library-missing", args: RUN, spoil: |at| library(at, "libonnxruntime.so") },
    Case { name: "library-is-a-folder", args: RUN, spoil: |at| library(at, "base") },
    Case {
        name: "library-of-something-else",
        args: RUN,
        spoil: |at| {
            compile(at, "int nothing(void) { return 0; }");
            library(at, "library.so");
        },
    },
    Case {
        name: "library-too-old",
        args: RUN,
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
            library(at, "library.so");
        },
    },
];

fn library(at: &Workplace, name: &str) {
    at.edit("pipeline.toml", "[runtime]\n", &format!("[runtime]\nlibrary = \"{name}\"\n"));
}

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
fn a_library_named_by_the_environment_is_refused_like_one_of_the_pipeline() {
    let at = Workplace::new();
    let mut command = at.command(RUN);
    command.env("ORT_DYLIB_PATH", "world.ttl");
    at.refuses_command(command, "environment/library-is-text");
    let mut command = at.command(RUN);
    command.env("ORT_DYLIB_PATH", "/usr/lib/libonnxruntime.so.0");
    at.refuses_command(command, "environment/library-missing");
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
}
