//! The browser, and what drives it: installed by npm into kgbuild's cache, once for all checkouts that pin the same.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::file;
use crate::python::said;

/// What says which packages there are, and how npm takes them.
const PINNED: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
/// Where an installed folder has the text of what it was installed from: written last, so that it is whole.
const MARK: &str = "installed-from.txt";

/// An installed browser, which no one exchanges for another as long as this is held.
pub struct Browser {
    folder: PathBuf,
    _held: File,
}

impl Browser {
    /// The browser, installed where it is not yet; none where it cannot be had, which is told.
    pub fn installed() -> Option<Self> {
        match install_once() {
            Ok(browser) => Some(browser),
            Err(why) => {
                // Not `eprintln!`, which a test that passes keeps to itself.
                let _untold = writeln!(
                    io::stderr(),
                    "SKIPPED: THERE IS NO BROWSER, NO PAGE WAS LOOKED AT: {why}\n  mend: install Node.js 20 \
                     or later with npm, on Linux on x86-64, and connect to the network once"
                );
                None
            }
        }
    }

    /// The folder that it was installed into.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Installs it, or finds it installed.
fn install_once() -> Result<Browser, Box<dyn Error>> {
    let cache =
        cache().ok_or("there is no folder for it: neither KGBUILD_CACHE nor HOME is set")?;
    fs::create_dir_all(&cache)?;
    done(Command::new("node").arg("--version"))?;
    let folder = cache.join("browser");
    let mut wanted = fs::read_to_string(file("package-lock.json"))?;
    wanted += &fs::read_to_string(file("unpack.mjs"))?;
    let is_there = || fs::read_to_string(folder.join(MARK)).is_ok_and(|has| has == wanted);
    // Those who use it share the lock, who installs it has it alone. Between the two another may install what an
    // older checkout pins: then it is installed again.
    let lock = File::create(cache.join("browser.lock"))?;
    loop {
        lock.lock_shared()?;
        if is_there() {
            return Ok(Browser { folder, _held: lock });
        }
        lock.unlock()?;
        lock.lock()?;
        if !is_there() {
            install(&folder, &wanted)?;
        }
        lock.unlock()?;
    }
}

/// Installs it into a folder, whatever was there.
fn install(folder: &Path, wanted: &str) -> Result<(), Box<dyn Error>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for name in PINNED {
        fs::copy(file(name), folder.join(name))?;
    }
    done(Command::new("npm").arg("ci").current_dir(folder))?;
    done(Command::new("node").arg(file("unpack.mjs")).arg(folder))?;
    fs::write(folder.join(MARK), wanted)?;
    Ok(())
}

/// Runs a program that must succeed.
fn done(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{name}: {}", said(&output)).into()) }
}

/// kgbuild's cache, as the program finds it.
fn cache() -> Option<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let folder = set("KGBUILD_CACHE").or_else(|| Some(user()?.join("kgbuild")))?;
    std::path::absolute(folder).ok()
}
