//! A folder with a sound finetuning over a tiny Llama, and the program run in it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{Cache, runtime_library};
use kgbuild::finetune::Card;
use tempfile::TempDir;

use crate::ended::Ended;

pub const FINETUNE: &str = r#"[model]
base = "base"

[facts]
train = "train.csv"
held_out = "held-out.jsonl"

[inputs]
ontology = "world.ttl"
entities = ["countries.csv", "cities.csv"]

[training]
epochs = 8
batch_size = 6
learning_rate = 0.02
seed = 1
device = "cpu"

[output]
folder = "out"
"#;

/// What makes it mixture finetuning.
pub const MIXTURE: &str = r#"
[mixture]
weight = 0.3
text = "text.txt"
sequence_length = 12
sequences = 2
"#;

const ONTOLOGY: &str = r#"@prefix ex: <http://example.org/> .
@prefix kgb: <https://w3id.org/kgbuild#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .

ex:capital rdfs:label "capital" ;
    rdfs:domain ex:Country ;
    rdfs:range ex:City ;
    kgb:template "The capital of [X] is [Y].", "[X] has the capital [Y]" .

ex:sea rdfs:label "sea" ;
    rdfs:domain ex:Country ;
    rdfs:range ex:City ;
    kgb:template "[X] lies at the sea of [Y]." .
"#;

/// Countries are made of a kind and a number; the kind decides the capital, so that there is
/// something to learn that holds for held-out countries too.
const KINDS: [(&str, &str); 4] =
    [("France", "Paris"), ("Italy", "Rome"), ("Japan", "Tokyo"), ("Chad", "Lyon")];
/// Countries of a kind.
const OF_A_KIND: usize = 10;
/// Of these, the trained ones.
const TRAINED: usize = 8;

pub const CAPITAL: &str = "http://example.org/capital";

/// The folder.
pub struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// A sound one, whose finetuning ends well.
    pub fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        this.write("finetune.toml", FINETUNE);
        this.write("world.ttl", ONTOLOGY);
        let (mut countries, mut cities) = (String::new(), String::new());
        let (mut train, mut held_out) = ("subject,relation,object\n".to_owned(), String::new());
        let mut text = String::new();
        let entity = |label: &str, class: &str| {
            format!("http://example.org/{label},{label},http://example.org/{class}\n")
        };
        for (kind, capital) in KINDS {
            cities += &entity(capital, "City");
            for number in 0..OF_A_KIND {
                let country = format!("{kind}{number}");
                countries += &entity(&country, "Country");
                text += &format!("There is a land {country}. It has a river and a king.\n\n");
                let [subject, object] =
                    [&country[..], capital].map(|name| format!("http://example.org/{name}"));
                if number < TRAINED {
                    train += &format!("{subject},{CAPITAL},{object}\n");
                } else {
                    let fact = serde_json::json!({
                        "subject": subject, "relation": CAPITAL, "object": object,
                    });
                    held_out += &format!("{fact}\n");
                }
            }
        }
        this.write("countries.csv", format!("iri,label,types\n{countries}"));
        this.write("cities.csv", format!("iri,label,types\n{cities}"));
        this.write("train.csv", train);
        this.write("held-out.jsonl", held_out);
        this.write("text.txt", text);
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            let from = repository().join("tests/data/models/llama/checkpoint").join(file);
            this.write(&format!("base/{file}"), fs::read(from).unwrap());
        }
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn append(&self, name: &str, content: &str) {
        self.write(name, fs::read_to_string(self.path(name)).unwrap() + content);
    }

    /// Puts `to` in the place of the one `from` of a text file.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}:\n{text}");
        self.write(name, text.replace(from, to));
    }

    /// The program with `args`, in this folder, with nothing of the caller's environment that it
    /// would heed.
    pub fn command(&self, args: &[&str]) -> Command {
        self.like(Command::new(env!("CARGO_BIN_EXE_kgbuild")), args)
    }

    /// Another program with `args` and this folder and environment.
    pub fn like(&self, mut command: Command, args: &[&str]) -> Command {
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("KGBUILD_CACHE", self.path("cache"));
        command
    }

    /// `kgbuild finetune finetune.toml` with options.
    pub fn finetune(&self, options: &[&str]) -> Ended {
        let args = [&["finetune", "finetune.toml"], options].concat();
        self.command(&args).output().unwrap().into()
    }

    /// The same, which must end well; gives standard output.
    pub fn trained(&self, options: &[&str]) -> String {
        let Ended { code, out, err } = self.finetune(options);
        assert_eq!(code, Some(0), "{err}");
        out
    }

    /// The card of the finetuned model.
    pub fn card(&self) -> Card {
        Card::read(&self.path("out")).unwrap()
    }

    /// The bytes of the adapter's weights.
    pub fn adapter(&self) -> Vec<u8> {
        fs::read(self.path("out/adapter_model.safetensors")).unwrap()
    }

    /// What `kgbuild run` reports with the finetuned model over all countries, with the training
    /// facts as gold.
    pub fn run(&self) -> serde_json::Value {
        self.write(
            "pipeline.toml",
            r#"[models]
base = "base"
finetuned = "out"
[inputs]
ontology = "world.ttl"
subjects = "countries.csv"
candidates = "cities.csv"
gold = "train.csv"
relations = ["http://example.org/capital"]
[output]
folder = "graph"
[runtime]
device = "cpu"
"#,
        );
        let library = runtime_library(&Cache::from_environment().unwrap(), &Silent);
        let mut command = self.command(&["run", "--quiet", "pipeline.toml"]);
        let ended: Ended = command.env("ORT_DYLIB_PATH", library.unwrap()).output().unwrap().into();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        serde_json::from_slice(&fs::read(self.path("graph/report.json")).unwrap()).unwrap()
    }
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
