//! A folder with all that the commands read, over a tiny Llama and an adapter of it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{Cache, runtime_library};
use tempfile::TempDir;

use crate::ended::Ended;
use crate::mine::{Kind, Mine};

const PIPELINE: &str = r#"[models]
base = "base"
finetuned = "adapter"
[inputs]
ontology = "world.ttl"
subjects = "countries.csv"
candidates = "cities.csv"
gold = "gold.csv"
[correction]
method = "log-linear"
[tuning]
facts = "tuning.csv"
file = "made/tuned.toml"
min_facts = 10
[output]
folder = "out"
[runtime]
device = "cpu"
"#;

const FINETUNE: &str = r#"[model]
base = "base"
[facts]
train = "tuning.csv"
held_out = "gold.csv"
[inputs]
ontology = "world.ttl"
entities = ["countries.csv", "cities.csv"]
[training]
epochs = 1
batch_size = 8
checkpoint_every = 1
device = "cpu"
[output]
folder = "out"
"#;

const EXPERIMENT: &str = r#"[model]
base = "base"
[facts]
folder = "world"
train = 10
tune = 8
test = 8
least = 30
[vary]
seeds = [1]
skews = ["natural"]
passes = [1]
[training]
batch_size = 8
device = "cpu"
[mixture]
weight = 0.3
text = "text.txt"
sequence_length = 12
[output]
folder = "out"
"#;

const ONTOLOGY: &str = include_str!("../support/capital.ttl");

const KINDS: [(&str, &str); 4] =
    [("France", "Paris"), ("Italy", "Rome"), ("Japan", "Tokyo"), ("Chad", "Lyon")];

pub struct Workplace(TempDir);

impl Workplace {
    pub fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for (name, text) in [
            ("pipeline.toml", PIPELINE),
            ("finetune.toml", FINETUNE),
            ("experiment.toml", EXPERIMENT),
            ("world.ttl", ONTOLOGY),
            ("world/patterns/capital.jsonl", "{\"pattern\": \"The capital of [X] is [Y].\"}\n"),
        ] {
            this.write(name, text);
        }
        fs::create_dir(this.path("made")).unwrap();
        let entity = |label: &str, class: &str| {
            format!("http://example.org/{label},{label},http://example.org/{class}\n")
        };
        let (mut countries, mut cities) = (String::new(), String::new());
        let mut facts = [(); 2].map(|()| "subject,relation,object\n".to_owned());
        let (mut lines, mut text) = (String::new(), String::new());
        for (kind, capital) in KINDS {
            cities += &entity(capital, "City");
            for number in 0..10 {
                let country = format!("{kind}{number}");
                countries += &entity(&country, "Country");
                let iri = |name: &str| format!("http://example.org/{name}");
                let fact = [iri(&country), iri("capital"), iri(capital)];
                facts[number % 2] += &format!("{}\n", fact.join(","));
                let line = serde_json::json!({ "sub_label": country, "obj_label": capital });
                lines += &format!("{line}\n");
                text += &format!("There is a land {country}. It has a river.\n\n");
            }
        }
        this.write("countries.csv", format!("iri,label,types\n{countries}"));
        this.write("cities.csv", format!("iri,label,types\n{cities}"));
        for (name, facts) in ["tuning.csv", "gold.csv"].iter().zip(facts) {
            this.write(name, facts);
        }
        this.write("world/facts/capital.jsonl", lines);
        this.write("text.txt", text);
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/llama");
        for (from, to) in [("checkpoint", "base"), ("adapter", "adapter")] {
            for file in fs::read_dir(models.join(from)).unwrap() {
                let file = file.unwrap();
                let name = format!("{to}/{}", file.file_name().to_str().unwrap());
                this.write(&name, fs::read(file.path()).unwrap());
            }
        }
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Puts `to` in the place of the one `from` of a text file.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}:\n{text}");
        self.write(name, text.replace(from, to));
    }

    /// Puts someone's files there.
    pub fn mine(&self, names: &[&str], kind: Kind) -> Mine {
        let mut mine = Mine::default();
        names.iter().for_each(|name| mine.put(self.0.path(), name, kind));
        mine
    }

    /// Runs the program with nothing of the caller's environment that it would heed.
    pub fn kgbuild(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
        command.args(args).current_dir(self.0.path()).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("KGBUILD_CACHE", self.path("cache"));
        command.env("ORT_DYLIB_PATH", library()).output().unwrap().into()
    }

    /// Runs the program, which must end well and leave someone's files alone.
    pub fn done(&self, args: &[&str], mine: &Mine) {
        let ended = self.kgbuild(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {}{}", ended.out, ended.err);
        mine.assert_unchanged(&format!("{args:?}"));
    }

    /// Runs the program, which must name what is in its way and leave it alone.
    pub fn refused(&self, args: &[&str], named: &str, mine: &Mine) {
        let ended = self.kgbuild(args);
        mine.assert_unchanged(&format!("{args:?} for {named}"));
        assert_eq!(ended.code, Some(2), "{args:?} for {named}: {}", ended.err);
        assert!(
            ended.err.contains(named),
            "{args:?}: {named} is not named in {}{}",
            ended.err,
            ended.out
        );
    }

    /// Deletes what a command and someone put below a folder.
    pub fn clear(&self, folder: &str) {
        let path = self.path(folder);
        if path.exists() {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

/// ONNX Runtime's library, from the user's cache.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let cache = Cache::from_environment().unwrap();
        runtime_library(&cache, &Silent).unwrap()
    })
}
