//! A folder with a sound pipeline over tiny models, to be spoiled in one way by each case, and
//! the program run in it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{Cache, runtime_library, sha256_of};
use tempfile::TempDir;

use crate::ended::Ended;
use crate::model;

pub const PIPELINE: &str = r#"[models]
base = "base"
finetuned = "finetuned"

[inputs]
ontology = "world.ttl"
subjects = "subjects.csv"
candidates = "candidates.csv"

[selection]
threshold = 0.0
max_objects = 1

[output]
folder = "out"

[runtime]
device = "cpu"
"#;

const ONTOLOGY: &str = include_str!("../support/capital.ttl");

const SUBJECTS: &str = "iri,label,aliases,types
http://example.org/france,France,,http://example.org/Country
http://example.org/italy,Italy,,http://example.org/Country
http://example.org/japan,Japan,,http://example.org/Country
";

const CANDIDATES: &str = "iri,label,aliases,types
http://example.org/paris,Paris,,http://example.org/City
http://example.org/rome,Rome,,http://example.org/City
http://example.org/tokyo,Tokyo,,http://example.org/City
http://example.org/lyon,Lyon,,http://example.org/City
";

/// The command that most cases run.
pub const RUN: &[&str] = &["run", "pipeline.toml"];

/// Where the program writes in a workplace without being asked about: not an input, not an output.
const CACHE: &str = "cache";

/// One way to spoil a sound workplace, and the command that must refuse it.
pub struct Case {
    /// Of the file that holds what is said.
    pub name: &'static str,
    pub args: &'static [&'static str],
    pub spoil: fn(&Workplace),
}

/// Runs every case in a workplace of its own and shows all that went wrong.
pub fn all_refused(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        let at = Workplace::new();
        (case.spoil)(&at);
        wrong.extend(at.refusal(at.command(case.args), case.name).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The folder.
pub struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// A sound one, whose run ends well.
    pub fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        this.write("pipeline.toml", PIPELINE);
        this.write("world.ttl", ONTOLOGY);
        this.write("subjects.csv", SUBJECTS);
        this.write("candidates.csv", CANDIDATES);
        model::write(&this.path("base"), 1);
        model::write(&this.path("finetuned"), 2);
        this
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Puts `to` in the place of the one `from` of a text file.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}:\n{text}");
        self.write(name, text.replace(from, to));
    }

    /// Keeps only the first bytes of a file.
    pub fn cut(&self, name: &str, length: usize) {
        let bytes = fs::read(self.path(name)).unwrap();
        assert!(length < bytes.len());
        self.write(name, &bytes[..length]);
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// `count` subjects instead of three.
    pub fn many_subjects(&self, count: usize) {
        let row =
            |i| format!("http://example.org/country-{i},Country {i},,http://example.org/Country\n");
        let rows: String = (0..count).map(row).collect();
        self.write("subjects.csv", format!("iri,label,aliases,types\n{rows}"));
    }

    /// The program with `args`, in this folder, with nothing of the caller's environment that it
    /// would heed.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
        command.args(args).current_dir(self.root()).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("KGBUILD_CACHE", self.path(CACHE));
        command.env("ORT_DYLIB_PATH", library());
        command
    }

    /// The program where no file may grow beyond so many blocks of 512 bytes.
    pub fn limited(&self, blocks: usize, args: &[&str]) -> Command {
        let mut shell = Command::new("sh");
        let limit = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.arg("-c").arg(limit).arg(env!("CARGO_BIN_EXE_kgbuild")).args(args);
        self.like(shell)
    }

    /// Another program with this folder and environment.
    pub fn like(&self, mut other: Command) -> Command {
        let kgbuild = self.command(&[]);
        let variables = kgbuild.get_envs().filter_map(|(name, value)| Some((name, value?)));
        other.current_dir(self.root()).env_clear().envs(variables);
        other
    }

    /// Runs the program.
    pub fn kgbuild(&self, args: &[&str]) -> Ended {
        self.command(args).output().unwrap().into()
    }

    /// Runs the program, which must end well, and gives its standard output.
    pub fn done(&self, args: &[&str]) -> String {
        let Ended { code, out, err } = self.kgbuild(args);
        assert_eq!(code, Some(0), "{args:?}: {err}");
        out
    }

    /// The triples of the graph in `out` without times, sorted.
    pub fn graph(&self) -> Vec<String> {
        let all = self.done(&["export", "--format", "n-triples", "out"]);
        all.lines().filter(|line| !line.contains("AtTime")).map(str::to_owned).collect()
    }

    /// Asserts that the program refuses `args`; see [`Self::refusal`].
    pub fn refuses(&self, args: &[&str], name: &str) {
        self.refusal(self.command(args), name).unwrap_or_else(|wrong| panic!("{wrong}"));
    }

    /// Asserts that the program refuses what `command` asks; see [`Self::refusal`].
    pub fn refuses_command(&self, command: Command, name: &str) {
        self.refusal(command, name).unwrap_or_else(|wrong| panic!("{wrong}"));
    }

    /// Whether the command ends with code 2 and the message that is stored under `name`, with
    /// nothing on standard output, no file of the workplace made, changed or lost, and nothing
    /// half made in the cache. If not, what is wrong.
    fn refusal(&self, mut command: Command, name: &str) -> Result<(), String> {
        let before = self.files();
        let Ended { code, out, err } = command.output().unwrap().into();
        let mut wrong = Vec::new();
        if code != Some(2) {
            wrong.push(format!("exit code {code:?}"));
        }
        if !out.is_empty() {
            wrong.push(format!("standard output: {out}"));
        }
        let after = self.files();
        for path in before.keys().chain(after.keys()) {
            if before.get(path) != after.get(path) {
                wrong.push(format!("made, changed or lost: {}", path.display()));
            }
        }
        wrong.extend(self.half_made());
        wrong.extend(self.said(name, &err).err());
        if wrong.is_empty() {
            return Ok(());
        }
        Err(format!("{name}:\n{}\n--- standard error\n{err}", wrong.join("\n")))
    }

    /// Compares what was said with what is stored under `name`; writes it anew where
    /// `KGBUILD_BLESS` is set.
    pub fn said(&self, name: &str, text: &str) -> Result<(), String> {
        if text.contains('\x1b') || text.contains("panicked") {
            return Err(format!("escape codes or a panic: {text:?}"));
        }
        let folder = self.root().canonicalize().unwrap();
        let text = text
            .replace(&*folder.to_string_lossy(), "$HERE")
            .replace(&*self.root().to_string_lossy(), "$HERE")
            .replace(&*library().to_string_lossy(), "$ONNXRUNTIME")
            .replace(&format!("manylinux_2_28_{}", env::consts::ARCH), "$PLATFORM");
        let text = without_random_names(&without_numbers_of_files(&text));
        let stored = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/bad_input/expected")
            .join(format!("{name}.txt"));
        if env::var_os("KGBUILD_BLESS").is_some() {
            fs::create_dir_all(stored.parent().unwrap()).unwrap();
            fs::write(&stored, &text).unwrap();
        }
        let expected = fs::read_to_string(&stored).unwrap_or_default();
        if text == expected {
            return Ok(());
        }
        Err(format!("--- expected ({})\n{expected}--- said\n{text}", stored.display()))
    }

    /// Every file and folder but the cache's, with its hash.
    fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path == self.path(CACHE) {
                    continue;
                }
                let hash = if path.is_dir() && !path.is_symlink() {
                    folders.push(path.clone());
                    "folder".to_owned()
                } else {
                    sha256_of(&path).unwrap_or_default()
                };
                files.insert(path, hash);
            }
        }
        files
    }

    /// What is left of unfinished work in the cache.
    pub fn half_made(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path(CACHE)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().display().to_string());
        names.filter(|name| name.starts_with('.')).map(|n| format!("left in cache: {n}")).collect()
    }
}

/// ONNX Runtime's library, from the user's cache.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let cache = Cache::from_environment().unwrap();
        runtime_library(&cache, &Silent).unwrap()
    })
}

/// The text with the numbers by which RocksDB names its files replaced.
fn without_numbers_of_files(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        out += before;
        let is_name = end == 6 && before.ends_with(['/', '-']);
        out += if is_name { "$NUMBER" } else { &from[..end] };
        rest = &from[end..];
    }
    out + rest
}

/// The text with the six random letters at the end of names of unfinished work replaced.
fn without_random_names(text: &str) -> String {
    let mut out = text.to_owned();
    for prefix in [".kgbuild-", ".partial-"] {
        let mut at = 0;
        while let Some(found) = out[at..].find(prefix) {
            at += found + prefix.len();
            out.replace_range(at..at + 6, "$RANDOM");
        }
    }
    out
}
