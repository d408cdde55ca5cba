//! The Python package, built and installed as a user does it: its own tests, its types, the notebook. And what runs
//! it on a cluster: Slurm's scripts under a stand-in, Kubernetes' manifests by their schemas.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

#[path = "support/python.rs"]
#[expect(dead_code, reason = "the readers are for other tests")]
mod support;

use support::said;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scripts() -> PathBuf {
    repository().join("tests/python")
}

fn succeed(command: &mut Command) -> String {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    println!("{:.0} s: {command:?}", start.elapsed().as_secs_f64());
    said
}

/// Python with what the tests need; none where pip cannot fetch it. The package is not in it yet.
fn python() -> Option<PathBuf> {
    support::environment("package", &scripts().join("requirements.txt"))
}

#[test]
fn the_package_is_built_installed_and_used() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    succeed(pip.arg("--wheel-dir").arg(folder.path()).arg(repository()));
    let wheels: Vec<PathBuf> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [wheel] = &wheels[..] else { panic!("{wheels:?}") };
    println!("{}: {} kB", wheel.display(), fs::metadata(wheel).unwrap().len() / 1000);
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    succeed(pip.arg("--force-reinstall").arg(wheel));

    let here = folder.path();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        succeed(command.args(arguments).current_dir(here))
    };
    let script = |name: &str| scripts().join(name).to_str().unwrap().to_owned();
    // What the notebook and the quickstart read, so that they write their graphs there.
    let mut copy = Command::new("cp");
    copy.arg("-r")
        .args(["pipelines", "ontologies", "examples"].map(|name| repository().join(name)));
    succeed(copy.arg(here));
    for tests in ["test_package.py", "test_rows.py", "test_ray.py"] {
        println!("{}", run(&[&script(tests)]));
    }

    let notebook = repository().join("examples/quickstart.ipynb");
    let cells = run(&[&script("cells.py"), notebook.to_str().unwrap()]);
    fs::write(here.join("cells.py"), cells).unwrap();
    println!("{}", run(&["-m", "mypy", "--strict", "-p", "kgbuild"]));
    println!("{}", run(&["-m", "mypy", "--strict", "cells.py"]));

    let copied = here.join("examples/quickstart.ipynb");
    let examples = here.join("examples");
    let [copied, examples] = [&copied, &examples].map(|path| path.to_str().unwrap());
    println!("{}", run(&[&script("run_notebook.py"), copied, examples]));
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let blocks = readme.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<&str> = blocks.filter(|block| block.contains("import kgbuild\n")).collect();
    let [shown] = &blocks[..] else { panic!("README shows the package once") };
    println!("{}", run(&["-c", shown]));
    let drawn = fs::metadata(here.join("outputs/quickstart/quickstart.png")).unwrap();
    assert!(drawn.len() > 20_000, "an empty drawing");
}

#[test]
fn kubernetes_knows_the_manifests() {
    let Some(python) = python() else { return };
    let folder = repository().join("deploy/kubernetes");
    let mut manifests: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    manifests.sort();
    assert_eq!(manifests.len(), 4);
    let validate = python.with_file_name("kubernetes-validate");
    let check = |manifests: &[PathBuf]| {
        Command::new(&validate).arg("--strict").args(manifests).output().unwrap()
    };
    let output = check(&manifests);
    assert!(output.status.success(), "{}", said(&output));
    // It is no check that passes whatever is there.
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.yaml");
    let text = fs::read_to_string(&manifests[2]).unwrap();
    fs::write(&wrong, text.replace("completionMode:", "completionMod:")).unwrap();
    assert!(!check(&[wrong]).status.success());
    // The shards that are asked for are those that there are.
    let number =
        |line: &str| line.rsplit([' ', '/', ']']).find(|word| !word.is_empty()).unwrap().to_owned();
    let line = |start: &str| text.lines().find(|line| line.trim().starts_with(start)).unwrap();
    let counts = ["completions:", "parallelism:", "args:"].map(|start| number(line(start)));
    assert_eq!(counts, ["16", "16", "16"]);
}

/// `sbatch` that runs what is submitted at once, one task of an array after the other.
const SBATCH: &str = r#"#!/usr/bin/env bash
set -euo pipefail
array="" wrap="" script=()
while [ $# -gt 0 ]; do
    case "$1" in
        --array=*) array="${1#--array=}" ;;
        --wrap) wrap="$2"; shift ;;
        --*) ;;
        *) script=("$@"); break ;;
    esac
    shift
done
if [ -n "$wrap" ]; then bash -c "$wrap" >&2; else
    first="${array%-*}" last="${array#*-}"
    export SLURM_ARRAY_TASK_COUNT=$((last - first + 1)) SLURM_ARRAY_TASK_MIN="$first" SLURM_ARRAY_TASK_MAX="$last"
    for ((task = first; task <= last; task++)); do
        SLURM_ARRAY_TASK_ID="$task" bash "${script[@]}" >&2
    done
fi
echo "$RANDOM"
"#;

#[test]
fn slurm_s_scripts_make_a_graph() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let kgbuild = env!("CARGO_BIN_EXE_kgbuild");
    succeed(Command::new(kgbuild).args(["init", "."]).current_dir(here));
    let sbatch = here.join("sbatch");
    fs::write(&sbatch, SBATCH).unwrap();
    fs::set_permissions(&sbatch, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap());
    let submit = repository().join("deploy/slurm/submit.sh");
    let pipeline = fs::read_to_string(here.join("pipeline.toml")).unwrap();
    let output = pipeline.lines().find_map(|line| line.strip_prefix("folder = \"")).unwrap();
    let output = output.split('"').next().unwrap();
    let mut command = Command::new(submit);
    command.args(["pipeline.toml", output, "3", "--partition=cpu"]);
    let said = succeed(command.env("PATH", &path).env("KGBUILD", kgbuild).current_dir(here));
    assert!(said.contains("3 shards merged") && said.contains("plan "), "{said}");
    let graph = || {
        let mut export = Command::new(kgbuild);
        export.args(["export", output, "--format", "n-quads"]);
        let text = succeed(export.current_dir(here));
        text.lines().filter(|line| !line.contains("AtTime>")).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_shards = graph();
    fs::remove_dir_all(here.join(output)).unwrap();
    succeed(Command::new(kgbuild).args(["run", "pipeline.toml"]).current_dir(here));
    assert_eq!(graph(), of_shards);
    let few = Command::new(repository().join("deploy/slurm/submit.sh")).output().unwrap();
    assert_eq!(few.status.code(), Some(2));
}
