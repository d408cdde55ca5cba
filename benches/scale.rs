//! What large graphs take: prints seconds and the largest resident set of a process of its own for each step.
//!
//! `cargo bench --profile release --bench scale -- ledger [CHUNKS]` (10,000,000), `-- plan [SUBJECTS [RELATIONS]]`
//! (1,000,000 and 20; needs what `kgbuild fetch pipelines/quickstart.toml` fetches), `-- graph [FACTS]`
//! (1,000,000) or `-- shards [FACTS [SHARDS]]` (1,000,000 and 4), merged beside oxigraph's bulk loader alone.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use kgbuild::diagnostic::Silent;
use kgbuild::eval::{EvalReport, Gold, Predictions, Rules};
use kgbuild::files;
use kgbuild::graph::{
    self, Assertion, Chunk, ChunkRecord, EntityDescription, ExportFormat, ExportOptions,
    GraphWriter, Merge, Object, RunDescription, ShardDescription, Shards, export, export_tables,
    open_for_reading,
};
use kgbuild::pipeline::{Environment, Job};
use oxigraph::io::RdfFormat;
use oxigraph::store::Store;
use serde_json::{Value, json};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/quickstart.toml");
/// Relations of the ledger's chunks.
const RELATIONS: u64 = 640;
/// Facts of a chunk.
const CHUNK: u64 = 64;
/// Different objects of facts.
const OBJECTS: u64 = 10_000;

fn main() {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |at: usize, usual: u64| arguments.get(at).map_or(usual, |n| n.parse().unwrap());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    match arguments[..] {
        ["alone", step, folder] => alone(step, Path::new(folder)),
        ["ledger", ..] => {
            let chunks = number(1, 10_000_000);
            timed(&format!("{chunks} chunks written"), || write_chunks(folder, chunks));
            child("open", folder);
        }
        ["plan", ..] => {
            tables(folder, number(1, 1_000_000), number(2, 20));
            child("plan", folder);
        }
        ["graph", ..] => {
            let facts = number(1, 1_000_000);
            timed(&format!("{facts} facts written"), || write_facts(folder, facts));
            for step in ["turtle", "n-quads", "json-ld", "csv", "eval"] {
                child(step, folder);
            }
        }
        ["shards", ..] => {
            let (facts, count) = (number(1, 1_000_000), number(2, 4));
            write_shards(folder, facts, count);
            // Each in turn, so that neither has the warmer disk.
            for _ in 0..2 {
                child("merge", folder);
                child("n-quads", &folder.join("merged"));
                fs::remove_dir_all(folder.join("merged")).unwrap();
                child("bulk-load", folder);
            }
        }
        _ => println!("name what is to be measured: ledger, plan, graph or shards"),
    }
}

fn timed<T>(what: &str, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = step();
    println!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    done
}

/// A step in a process of its own, so that its memory is its own.
fn child(step: &str, folder: &Path) {
    let mut command = Command::new(env::current_exe().unwrap());
    let status = command.args(["alone", step]).arg(folder).status().unwrap();
    assert!(status.success(), "{step}");
}

fn alone(step: &str, folder: &Path) {
    let done = timed(step, || match step {
        "open" => format!("{} chunks done", writer(folder).done().len()),
        "plan" => plan(folder),
        "eval" => eval(folder),
        "merge" => merged(folder),
        "bulk-load" => bulk_loaded(folder),
        "csv" => {
            let options = ExportOptions::of(ExportFormat::Csv);
            let store = open_for_reading(folder).unwrap();
            export_tables(&store, &options, &folder.join("tables")).unwrap();
            "nodes.csv and edges.csv".to_owned()
        }
        format => exported(folder, format),
    });
    println!("  {done}; {} MB", largest_kb() / 1024);
}

fn exported(folder: &Path, format: &str) -> String {
    let format = match format {
        "turtle" => ExportFormat::Turtle,
        "n-quads" => ExportFormat::NQuads,
        _ => ExportFormat::JsonLd,
    };
    let store = open_for_reading(folder).unwrap();
    let mut out = BufWriter::new(Counted(0));
    export(&store, &ExportOptions::of(format), &mut out).unwrap();
    format!("{} MB of text", out.into_inner().unwrap().0 / 1_000_000)
}

/// Counts what is written.
#[derive(Debug)]
struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Scores the graph against facts of a thousand subjects.
fn eval(folder: &Path) -> String {
    let file = folder.join("gold.csv");
    let mut gold = String::from("subject,relation,object\n");
    for number in 0..1000 {
        let [subject, object] = [iri("s", number), iri("o", number)];
        writeln!(gold, "{subject},{},{object}", iri("r", 0)).unwrap();
    }
    fs::write(&file, gold).unwrap();
    let (gold, _) = Gold::read(&[file], Rules::default(), None).unwrap();
    let store = open_for_reading(folder).unwrap();
    let predictions = Predictions::of_graph(&store, &gold).unwrap();
    let (report, _) = EvalReport::new(&gold, &predictions, None).unwrap();
    format!("{} of {} questions answered", report.all.answered, report.all.questions)
}

fn writer(folder: &Path) -> GraphWriter {
    GraphWriter::open(folder, "urn:bench:", &RunDescription::default(), false).unwrap()
}

fn iri(kind: &str, number: u64) -> String {
    format!("http://example.org/{kind}/{number}")
}

fn write_chunks(folder: &Path, chunks: u64) {
    let mut writer = writer(folder);
    let relations: Vec<Arc<str>> = (0..RELATIONS).map(|r| iri("r", r).into()).collect();
    for number in 0..chunks {
        let relation = Arc::clone(&relations[(number % RELATIONS) as usize]);
        let index = number / RELATIONS;
        let counted = json!({ "subjects": CHUNK * (index + 1), "triples": index });
        writer.commit(&record(Chunk { relation, index }, counted)).unwrap();
    }
    writer.checkpoint().unwrap();
}

fn record<'a>(chunk: Chunk, statistics: Value) -> ChunkRecord<'a> {
    ChunkRecord {
        chunk,
        assertions: Vec::new(),
        entities: Vec::new(),
        statistics,
        kept: Vec::new(),
        candidates: Value::Null,
    }
}

fn write_facts(folder: &Path, facts: u64) {
    write_some(writer(folder), 0..facts);
}

/// Shards of so many facts together, with what each hands over.
fn write_shards(folder: &Path, facts: u64, count: u64) {
    for number in 1..=count {
        let own = (number - 1) * facts / count..number * facts / count;
        let shard = ShardDescription {
            number: number as u32,
            of: count as u32,
            chunks: [(iri("r", 0), facts.div_ceil(CHUNK))].into(),
            questions: BTreeMap::new(),
            pipeline: "pipeline.toml".into(),
            about: Value::Null,
            whole: folder.to_owned(),
        };
        let run = RunDescription { shard: Some(shard), ..RunDescription::default() };
        let place = folder.join(format!("shards/{number}"));
        let writer = GraphWriter::open(&place, "urn:bench:", &run, false).unwrap();
        timed(&format!("shard {number} of {count}"), || write_some(writer, own));
    }
}

/// All shards, finished as a run finishes its graph.
fn merged(folder: &Path) -> String {
    let out = folder.join("merged");
    let shards = Shards::in_folder(folder).unwrap();
    let how = Merge { fresh: false, partial: false, finish: true, add: &|_| json!({}) };
    graph::merge(&out, (&shards, None), &how, &mut |_| true).unwrap();
    format!("{} facts", graph::runs(&open_for_reading(&out).unwrap()).unwrap()[0].facts)
}

/// The same quads by oxigraph's bulk loader alone, out of the same files.
fn bulk_loaded(folder: &Path) -> String {
    let out = folder.join("loaded");
    let store = Store::open(&out).unwrap();
    let mut loader = store.bulk_loader();
    let mut shards: Vec<_> = fs::read_dir(folder.join("shards")).unwrap().collect();
    shards.sort_by_key(|shard| shard.as_ref().unwrap().path());
    for shard in shards {
        for file in fs::read_dir(shard.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "gz") {
                let lines = BufReader::new(files::open(&path).unwrap());
                loader.load_from_reader(RdfFormat::NQuads, lines).unwrap();
            }
        }
    }
    loader.commit().unwrap();
    drop(store);
    fs::remove_dir_all(out).unwrap();
    "as it is loaded, not finished".to_owned()
}

fn write_some(mut writer: GraphWriter, facts: Range<u64>) {
    let relation = iri("r", 0);
    let first = facts.start;
    for index in 0..(facts.end - first).div_ceil(CHUNK) {
        let numbers = first + index * CHUNK..facts.end.min(first + (index + 1) * CHUNK);
        let pairs: Vec<[String; 2]> =
            numbers.map(|number| [iri("s", number), iri("o", number % OBJECTS)]).collect();
        let assertions = pairs.iter().map(|[subject, object]| Assertion {
            subject,
            relation: &relation,
            object: Object::Entity(object),
            confidence: 0.75,
            corrected: Some(0.7),
            finetuned: Some(0.8),
            base: Some(0.5),
            ambiguous: false,
        });
        let entities = pairs.iter().flatten().map(|iri| EntityDescription {
            iri,
            label: iri,
            aliases: Vec::new(),
            types: vec!["http://example.org/Thing"],
        });
        let chunk = Chunk { relation: relation.as_str().into(), index };
        let (assertions, entities) = (assertions.collect(), entities.collect());
        writer.commit(&ChunkRecord { assertions, entities, ..record(chunk, json!({})) }).unwrap();
    }
    writer.finish(None).unwrap();
}

/// A pipeline of so many subjects, each of which so many relations ask about.
fn tables(folder: &Path, subjects: u64, relations: u64) {
    let mut table = BufWriter::new(fs::File::create(folder.join("subjects.csv")).unwrap());
    writeln!(table, "iri,label,types").unwrap();
    for number in 0..subjects {
        let name = format!("Barla {number}");
        writeln!(table, "{},{name},http://example.org/City", iri("s", number)).unwrap();
    }
    table.flush().unwrap();
    let mut table = String::from("iri,label,types\n");
    for number in 0..1000 {
        let name = format!("Dorma {number}");
        writeln!(table, "{},{name},http://example.org/Person", iri("o", number)).unwrap();
    }
    fs::write(folder.join("candidates.csv"), table).unwrap();
    let mut ontology = String::from(
        "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n\
         @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n\
         @prefix kgb: <https://w3id.org/kgbuild#> .\n@prefix e: <http://example.org/> .\n",
    );
    for number in 0..relations {
        writeln!(
            ontology,
            "e:r{number} a owl:ObjectProperty ; rdfs:label \"r {number}\" ; rdfs:domain e:City ; \
             rdfs:range e:Person ; kgb:template \"[X] has as its friend {number} [Y]\" ."
        )
        .unwrap();
    }
    fs::write(folder.join("ontology.ttl"), ontology).unwrap();
    let quickstart: toml::Table = fs::read_to_string(MODEL).unwrap().parse().unwrap();
    let base = &quickstart["models"]["base"];
    let text = format!(
        "[models]\nbase = {base}\n[inputs]\nontology = \"ontology.ttl\"\n\
         subjects = \"subjects.csv\"\ncandidates = \"candidates.csv\"\n\
         [correction]\nmethod = \"none\"\n[output]\nfolder = \"out\"\n"
    );
    fs::write(folder.join("pipeline.toml"), text).unwrap();
}

/// What a dry run does before it prints.
fn plan(folder: &Path) -> String {
    let environment = Environment::new(Silent);
    let job = Job::open(&folder.join("pipeline.toml"), &environment).and_then(Job::plan);
    let job = job.unwrap_or_else(|error| panic!("{error}"));
    job.share_to_ask().unwrap();
    job.estimate().unwrap();
    let size = job.plan().size(job.plan().tasks(&Default::default()));
    format!("{} questions in {} chunks", size.questions, size.chunks)
}

/// The process' largest resident set as Linux counts it.
fn largest_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
