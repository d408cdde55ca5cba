//! Python with what a file of requirements pins: the real readers of exports, or the package's own needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers")
}

pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Python with the readers; none where pip cannot fetch them, which is told.
pub fn python() -> Option<PathBuf> {
    environment("readers", &here().join("requirements.txt"))
}

/// Python in a folder of this name for all tests, with what a file of requirements pins; none where pip cannot
/// fetch it, which is told.
pub fn environment(name: &str, requirements: &Path) -> Option<PathBuf> {
    let wanted = fs::read_to_string(requirements).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Tests run beside each other, in one process or in several.
    let lock = fs::File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let (python, mark) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if fs::read_to_string(&mark).is_ok_and(|has| has == wanted) {
        return Some(python);
    }
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).output();
    let installed = made.ok().filter(|made| made.status.success()).and_then(|_| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        pip.arg(requirements).stdin(Stdio::null()).output().ok()
    });
    match installed {
        Some(done) if done.status.success() => {
            fs::write(&mark, wanted).unwrap();
            Some(python)
        }
        failed => {
            let why = failed.map_or("python3 -m venv failed".to_owned(), |done| said(&done));
            let file = requirements.display();
            println!("SKIPPED: {file} COULD NOT BE INSTALLED, NOTHING WAS TESTED: {why}");
            None
        }
    }
}

/// Runs a Python script of tests/readers/ on a folder, which must succeed.
pub fn run_script(python: &Path, script: &str, folder: &Path) {
    let output = Command::new(python).arg("-I").arg(here().join(script)).arg(folder).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    println!("{}", said(&output));
}
