//! The lines of Python that README shows, run as they stand there.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::python::{python, said};
use crate::support::export_in;

/// What stands between fences of Python in README and says with a comment how its file is made; the rest is of
/// the package, whose own tests run it.
fn blocks() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```python\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.filter(|block| !block.starts_with("import kgbuild")).collect()
}

/// Runs the exports that the comments name, then the lines.
#[test]
fn readmes_lines_load_what_they_say() {
    let Some(readers) = python() else { return };
    let blocks = blocks();
    assert!(blocks.len() >= 2, "README shows how each file is read");
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        crate::graph(&folder.path().join("OUTPUT"));
        let commands: Vec<&str> =
            block.lines().filter_map(|line| line.split("# kgbuild export ").nth(1)).collect();
        assert!(!commands.is_empty(), "no command in {block}");
        for command in commands {
            let arguments: Vec<&str> = command.split_whitespace().collect();
            let output = export_in(folder.path(), &arguments);
            assert!(output.status.success(), "{command}: {}", said(&output));
        }
        let needs_torch = block.contains("torch");
        let python = match env::var_os("KGBUILD_TEST_TORCH_PYTHON") {
            Some(python) if needs_torch => python.into(),
            _ => readers.clone(),
        };
        let can = |module: &str| {
            let import = format!("import {module}");
            Command::new(&python).args(["-c", &import]).output().unwrap().status.success()
        };
        let lines = if needs_torch && !can("torch_geometric") {
            println!(
                "SKIPPED: NO PYG, WHICH TAKES GIGABYTES: name a python with torch_geometric, pandas and \
                 pyarrow by KGBUILD_TEST_TORCH_PYTHON; only the lines before it were tested"
            );
            let lines = block.lines().filter(|line| !line.contains("torch"));
            lines.collect::<Vec<&str>>().join("\n")
        } else {
            block.clone()
        };
        // Each variable that a line sets holds something.
        let check = "\nfor name, found in list(globals().items()):\n    \
                     if name in ('graph', 'edges', 'nodes') and not len(found):\n        \
                     raise SystemExit(f'{name} is empty')\n    \
                     if name in ('graph', 'edges', 'nodes'): print(name, type(found))\n";
        let output =
            Command::new(&python).arg("-c").arg(lines + check).current_dir(folder.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{block}: {}", said(&output));
        println!("{}", said(&output));
    }
}
