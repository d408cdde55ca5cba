//! A pipeline in a folder of its own, made from the quickstart's, and what its runs left there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub const BORDER: &str = "http://www.wikidata.org/prop/direct/P47";
pub const CAPITAL: &str = "http://www.wikidata.org/prop/direct/P36";
pub const CONTINENT: &str = "http://www.wikidata.org/prop/direct/P30";
pub const COUNTRY: &str = "http://www.wikidata.org/prop/direct/P17";
pub const LANGUAGE: &str = "http://www.wikidata.org/prop/direct/P37";

/// A pipeline.toml with its output folder, deleted when dropped.
pub struct Job {
    folder: TempDir,
}

impl Job {
    /// The quickstart, writing to a folder of its own.
    pub fn quickstart() -> Self {
        let pipelines = repository().join("pipelines");
        let text = fs::read_to_string(pipelines.join("quickstart.toml")).unwrap();
        let mut pipeline: toml::Table = text.parse().unwrap();
        let absolute = |value: &mut toml::Value| {
            let paths = match value {
                toml::Value::Array(paths) => paths.as_mut_slice(),
                path => std::slice::from_mut(path),
            };
            for path in paths {
                let there = pipelines.join(path.as_str().unwrap()).canonicalize().unwrap();
                *path = there.to_str().unwrap().into();
            }
        };
        absolute(&mut pipeline["models"]["finetuned"]);
        for section in ["inputs", "tuning"] {
            let section = pipeline[section].as_table_mut().unwrap();
            section.iter_mut().for_each(|(_, value)| absolute(value));
        }
        let job = Self { folder: tempfile::tempdir().unwrap() };
        pipeline["output"]["folder"] = job.output().to_str().unwrap().into();
        job.write(&pipeline);
        job
    }

    /// The quickstart with only these relations and `subjects` subjects of each class.
    pub fn small(relations: &[&str], subjects: usize) -> Self {
        let job = Self::quickstart();
        job.set("inputs", "relations", relations.to_vec());
        job.keep_subjects(subjects);
        job
    }

    /// The quickstart without its tuned numbers, of which the relation with the fewest candidates has its
    /// mean prediction removed: each process takes it anew.
    pub fn without_a_mean() -> Self {
        let job = Self::quickstart();
        job.untune();
        let mean = toml::Table::from_iter([("mean".to_owned(), toml::Value::from(0.2))]);
        let relations = toml::Table::from_iter([(CONTINENT.to_owned(), mean.into())]);
        job.set("correction", "relations", relations);
        job
    }

    /// Keeps the first `most` subjects of each class.
    pub fn keep_subjects(&self, most: usize) {
        let table = fs::read_to_string(repository().join("pipelines/quickstart/subjects.csv"));
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut kept = String::new();
        for line in table.unwrap().lines() {
            let class = line.rsplit(',').next().unwrap();
            let seen = seen.entry(class.to_owned()).or_default();
            *seen += 1;
            if *seen <= most {
                kept += &format!("{line}\n");
            }
        }
        self.set_subjects(&kept);
    }

    /// Replaces the subjects by a CSV table.
    pub fn set_subjects(&self, table: &str) {
        let file = self.folder.path().join("subjects.csv");
        fs::write(&file, table).unwrap();
        self.set("inputs", "subjects", file.to_str().unwrap());
    }

    /// The table of [`Self::set_subjects`].
    pub fn subjects(&self) -> String {
        fs::read_to_string(self.folder.path().join("subjects.csv")).unwrap()
    }

    /// Replaces the ontology, and gives its file.
    pub fn set_ontology(&self, text: &str) -> PathBuf {
        let file = self.folder.path().join("ontology.ttl");
        fs::write(&file, text).unwrap();
        self.set("inputs", "ontology", file.to_str().unwrap());
        file
    }

    /// The same pipeline, writing to a folder of its own.
    pub fn elsewhere(&self) -> Self {
        let other = Self { folder: tempfile::tempdir().unwrap() };
        fs::copy(self.pipeline(), other.pipeline()).unwrap();
        other.set("output", "folder", other.output().to_str().unwrap());
        other
    }

    /// Writes a key of the pipeline.
    pub fn set(&self, table: &str, key: &str, value: impl Into<toml::Value>) {
        let mut pipeline: toml::Table =
            fs::read_to_string(self.pipeline()).unwrap().parse().unwrap();
        let table = pipeline.entry(table).or_insert(toml::Table::new().into());
        table.as_table_mut().unwrap().insert(key.to_owned(), value.into());
        self.write(&pipeline);
    }

    /// Takes the tuned numbers out, so that the pipeline's own count.
    pub fn untune(&self) {
        self.remove("tuning");
    }

    /// Takes a table out of the pipeline.
    pub fn remove(&self, table: &str) {
        let mut pipeline: toml::Table =
            fs::read_to_string(self.pipeline()).unwrap().parse().unwrap();
        pipeline.remove(table);
        self.write(&pipeline);
    }

    fn write(&self, pipeline: &toml::Table) {
        fs::write(self.pipeline(), toml::to_string(pipeline).unwrap()).unwrap();
    }

    pub fn pipeline(&self) -> PathBuf {
        self.folder.path().join("pipeline.toml")
    }

    pub fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    /// `kgbuild run` on the pipeline, not started yet.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = kgbuild();
        command.arg("run").arg(self.pipeline()).args(options);
        command
    }

    /// Runs to the end, which must be reached.
    pub fn run(&self, options: &[&str]) -> Output {
        succeed(&mut self.command(options))
    }

    /// All that the graph has as sorted N-Quads, without the times of the run.
    pub fn graph(&self) -> String {
        let mut command = kgbuild();
        command.arg("export").arg(self.output()).args(["--format", "n-quads"]);
        command.args(["--include", "schema,labels,aliases,provenance"]);
        without_times(&stdout(&succeed(&mut command)))
    }

    /// The graph as it is now, `None` where there is no store yet.
    pub fn graph_so_far(&self) -> Option<String> {
        self.output().join("store").exists().then(|| self.graph())
    }

    /// What `kgbuild export` gives.
    pub fn export(&self, format: &str) -> String {
        let mut command = kgbuild();
        command.arg("export").arg(self.output()).args(["--format", format]);
        stdout(&succeed(&mut command))
    }

    /// What `kgbuild query` gives, as JSON.
    pub fn query(&self, sparql: &str) -> serde_json::Value {
        let mut command = kgbuild();
        command.arg("query").arg(self.output()).args([sparql, "--format", "json"]);
        serde_json::from_str(&stdout(&succeed(&mut command))).unwrap()
    }

    /// How many chunks the ledger has; 0 where there is no store yet.
    pub fn chunks_done(&self) -> usize {
        if !self.output().join("store").exists() {
            return 0;
        }
        let found = self
            .query("SELECT ?relation ?json { GRAPH kgb:ledger { ?relation kgb:progress ?json } }");
        // Of a relation's lines the one with the most chunks counts.
        let mut done: BTreeMap<String, u64> = BTreeMap::new();
        for line in found["results"]["bindings"].as_array().unwrap() {
            let text = |name: &str| line[name]["value"].as_str().unwrap();
            let json: serde_json::Value = serde_json::from_str(text("json")).unwrap();
            let ranges: Vec<[u64; 2]> = serde_json::from_value(json["chunks"].clone()).unwrap();
            let chunks: u64 = ranges.iter().map(|[first, last]| last - first + 1).sum();
            let most = done.entry(text("relation").to_owned()).or_default();
            *most = chunks.max(*most);
        }
        done.values().sum::<u64>() as usize
    }

    /// report.json.
    pub fn report(&self) -> serde_json::Value {
        let text = fs::read_to_string(self.output().join("report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// What report.json says that must not depend on how often the run was interrupted.
    pub fn counts(&self) -> [serde_json::Value; 3] {
        let report = self.report();
        ["relations", "total", "complete"].map(|key| report[key].clone())
    }
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, without standard input and with nothing of what it prints going to the terminal.
pub fn kgbuild() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    output
}

/// Runs a command that must end with exit code `code`, and gives what it says.
pub fn refuse(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?}:\n{said}");
    said
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The graph in a folder as sorted N-Quads, without the times of the run.
pub fn exported(folder: &Path) -> String {
    let mut text = Vec::new();
    let store = kgbuild::graph::open_for_reading(folder).unwrap();
    kgbuild::graph::export(
        &store,
        &kgbuild::graph::ExportOptions::of(kgbuild::graph::ExportFormat::NQuads),
        &mut text,
    )
    .unwrap();
    without_times(&String::from_utf8(text).unwrap())
}

/// N-Quads without the lines that say when the run started and ended.
pub fn without_times(quads: &str) -> String {
    let time = |line: &&str| {
        line.contains("<http://www.w3.org/ns/prov#startedAtTime>")
            || line.contains("<http://www.w3.org/ns/prov#endedAtTime>")
    };
    quads.lines().filter(|line| !time(line)).map(|line| format!("{line}\n")).collect()
}

/// Panics with the first lines that differ.
pub fn assert_same_graph(is: &str, expected: &str, what: &str) {
    if is == expected {
        return;
    }
    let (a, b): (BTreeSet<&str>, BTreeSet<&str>) =
        (is.lines().collect(), expected.lines().collect());
    let show = |lines: Vec<&&str>| {
        let shown: Vec<&str> = lines.iter().take(10).map(|line| **line).collect();
        format!("{} lines:\n{}", lines.len(), shown.join("\n"))
    };
    panic!(
        "{what}: the graphs differ\nonly here, {}\nonly expected, {}",
        show(a.difference(&b).collect()),
        show(b.difference(&a).collect())
    );
}
