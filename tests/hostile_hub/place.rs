//! A place with the caches, beside files that are none of the program's, and the program run in it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::ended::Ended;
use crate::hub::{COMMIT, Hub, PATIENCE};

/// What the program may not touch.
const SENTINEL: &str = "a file of somebody else's";

pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(this.path("outside")).unwrap();
        fs::write(this.sentinel(), SENTINEL).unwrap();
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that is none of the program's.
    pub fn sentinel(&self) -> PathBuf {
        self.path("outside/sentinel")
    }

    /// The model's folder in the hub's cache.
    pub fn model(&self, name: &str) -> PathBuf {
        self.path("hub/models--owner--name").join(name)
    }

    /// A file of the commit's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.model("snapshots").join(COMMIT).join(name)
    }

    /// The program, with nothing of the caller's environment that it would heed.
    pub fn command(&self, hub: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("KGBUILD_CACHE", self.path("cache"));
        command.env("HF_ENDPOINT", hub).env("HF_HUB_CACHE", self.path("hub"));
        command.env("HF_HUB_DOWNLOAD_TIMEOUT", "1");
        command
    }

    /// The program fetching the hub's model, and looking what it is.
    pub fn fetch(&self, hub: &Hub) -> Command {
        self.command(&hub.url(), &["models", "inspect", "hf:owner/name"])
    }

    /// Asserts that the model is fetched.
    pub fn fetches(&self, mut command: Command) {
        let Ended { code, out, err } = command.output().unwrap().into();
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains("LoRA adapter"), "{out}");
        self.is_clean();
    }

    /// Asserts that the hub is refused soon with words that hold each of `parts`, and that no file
    /// is taken over.
    pub fn refuses(&self, hub: &Hub, parts: &[&str]) {
        let start = Instant::now();
        let Ended { code, out, err } = self.fetch(hub).output().unwrap().into();
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
        assert_eq!(code, Some(2), "{out}{err}");
        for part in parts.iter().chain(&["hf:owner/name@main", "help:"]) {
            assert!(err.contains(part), "no `{part}` in: {err}");
        }
        assert!(!err.contains("secret"), "{err}");
        self.is_clean();
        assert!(!self.model("refs/main").exists() && !self.path("cache/hf").exists());
    }

    /// Asserts that nothing was written but into the caches, and that the file outside is as it was.
    pub fn is_clean(&self) {
        let files = files(self.folder.path());
        let beside: Vec<_> = files
            .keys()
            .filter(|name| !["hub/", "cache/"].iter().any(|cache| name.starts_with(cache)))
            .collect();
        assert_eq!(beside, ["outside/sentinel"]);
        assert_eq!(fs::read_to_string(self.sentinel()).unwrap(), SENTINEL);
    }

    /// The contents that bear their final name.
    pub fn blobs(&self) -> Vec<String> {
        let files = files(&self.model("blobs"));
        files.into_keys().filter(|name| !name.ends_with("incomplete")).collect()
    }
}

/// The files below a folder by their paths, links not followed.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, path);
            }
        }
    }
    found
}
