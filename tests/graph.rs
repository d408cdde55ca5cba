//! The graph under the worst: a writer killed at random moments, readers beside a writer.

use kgbuild::graph::{
    Assertion, Chunk, ChunkRecord, EntityDescription, ExportFormat, ExportOptions, GraphWriter,
    ModelDescription, Object, Part, RunDescription, Schema, export, open_for_reading,
};
use oxigraph::model::{NamedNodeRef, Term};
use oxigraph::store::{StorageError, Store};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const RELATION: &str = "http://www.wikidata.org/prop/direct/P36";
const CHUNKS: u64 = 240;
/// Names the folder in the process that is to be killed.
const FOLDER: &str = "KGBUILD_TEST_FOLDER";

fn open(folder: &Path, fresh: bool) -> GraphWriter {
    let model = ModelDescription { source: "base".into(), sha256: "00".into() };
    let run = RunDescription {
        signature: [("inputs".to_owned(), "1".to_owned())].into(),
        base_model: Some(model.clone()),
        finetuned_model: Some(model),
        config_sha256: "00".into(),
        lambda: Some(0.5),
        correction: "linear".into(),
        precision: None,
        tuned_sha256: None,
        version: "0".into(),
        schema: Schema::default(),
        shard: None,
    };
    GraphWriter::open(folder, "https://example.org/g/", &run, fresh).unwrap()
}

fn chunk(index: u64) -> Chunk {
    Chunk { relation: Arc::from(RELATION), index }
}

fn commit(writer: &mut GraphWriter, index: u64) {
    let iri = |n: u64| format!("http://www.wikidata.org/entity/Q{n}");
    let pairs: Vec<(String, String)> =
        (0..64).map(|i| (iri(64 * index + i), iri((index + i) % 50))).collect();
    let assertions = pairs.iter().enumerate().map(|(i, (subject, object))| Assertion {
        subject,
        relation: RELATION,
        object: Object::Entity(object),
        confidence: (i + 1) as f64 / 65.0,
        corrected: None,
        finetuned: Some(0.25),
        base: Some(0.125),
        ambiguous: false,
    });
    let class = iri(6256);
    let entities = pairs.iter().flat_map(|(subject, object)| [subject, object]);
    let entities = entities.map(|iri| EntityDescription {
        iri,
        label: iri,
        aliases: vec![],
        types: vec![class.as_str()],
    });
    writer
        .commit(&ChunkRecord {
            chunk: chunk(index),
            assertions: assertions.collect(),
            entities: entities.collect(),
            statistics: serde_json::json!({ "index": index }),
            kept: Vec::new(),
            candidates: serde_json::Value::Null,
        })
        .unwrap();
}

fn write_all(folder: &Path) {
    let mut writer = open(folder, false);
    for index in 0..CHUNKS {
        if !writer.done().contains(&chunk(index)) {
            commit(&mut writer, index);
            println!("committed {index}");
        }
        if index % 16 == 0 {
            writer.checkpoint().unwrap();
        }
    }
    writer.finish(None).unwrap();
}

/// The whole graph as sorted lines without the run's times, and how often each time stands.
fn graph(folder: &Path) -> (Vec<String>, usize) {
    let store = open_for_reading(folder).unwrap();
    let mut out = Vec::new();
    let include = Some(vec![Part::Schema, Part::Labels, Part::Aliases, Part::Provenance]);
    let options = ExportOptions { include, ..ExportOptions::of(ExportFormat::NQuads) };
    export(&store, &options, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let (times, lines): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.contains("AtTime>"));
    (lines.into_iter().map(str::to_owned).collect(), times.len())
}

/// How many facts a store holds, and how many chunks its ledger says are done.
fn counts(store: &Store) -> Result<(usize, usize), StorageError> {
    let count = |predicate: &str| {
        let predicate = NamedNodeRef::new(predicate).unwrap();
        let mut quads = store.quads_for_pattern(None, Some(predicate), None, None);
        quads.try_fold(0, |count, quad| quad.map(|_| count + 1))
    };
    let facts = count(RELATION)?;
    for part in ["confidence", "finetunedProbability", "baseProbability"] {
        assert_eq!(count(&format!("https://w3id.org/kgbuild#{part}"))?, facts);
    }
    let progress = NamedNodeRef::new("https://w3id.org/kgbuild#progress").unwrap();
    // The line with the most chunks counts.
    let said = store.quads_for_pattern(None, Some(progress), None, None);
    let done = said.map(|said| said.map(|said| chunks_done(&said.object)));
    Ok((facts, done.collect::<Result<Vec<usize>, _>>()?.into_iter().max().unwrap_or_default()))
}

fn chunks_done(said: &Term) -> usize {
    let Term::Literal(said) = said else { panic!("{said} is no JSON") };
    let said: serde_json::Value = serde_json::from_str(said.value()).unwrap();
    let ranges = said["chunks"].as_array().unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
    ranges.iter().map(|range| number(&range[1]) - number(&range[0]) + 1).sum()
}

/// Not a test of its own: the process that [`a_killed_run_goes_on_to_the_same_graph`] kills.
#[test]
fn writer_to_be_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_all(Path::new(&folder));
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_graph() {
    let whole = tempfile::tempdir().unwrap();
    write_all(whole.path());
    let expected = graph(whole.path());
    assert_eq!(expected.1, 2, "a start and an end");

    let folder = tempfile::tempdir().unwrap();
    let (mut kills, mut last) = (0, 0);
    // Every fourth dies while it opens, the others some commits and some microseconds later.
    for round in 0..16_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_to_be_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = Vec::new();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut commits =
            lines.filter_map(|line| line.rsplit_once("committed ")?.1.parse::<u64>().ok());
        if round % 4 == 0 {
            std::thread::sleep(Duration::from_millis(3 + 3 * round));
        } else {
            acknowledged.extend(commits.by_ref().take(1 + (round as usize * 7) % 11));
            std::thread::sleep(Duration::from_micros(300 * round));
        }
        child.kill().unwrap();
        // What it said before it died was committed.
        acknowledged.extend(commits);
        kills += usize::from(!child.wait().unwrap().success());

        let writer = open(folder.path(), false);
        let counted = writer.done().statistics(RELATION);
        for index in acknowledged {
            assert!(writer.done().contains(&chunk(index)));
            // Its chunks are written in order.
            assert!(counted.unwrap()["index"].as_u64().unwrap() >= index);
        }
        assert!(writer.done().len() >= last, "a chunk was lost");
        last = writer.done().len();
        assert_eq!(counts(writer.store()).unwrap(), (64 * last, last), "round {round}");
    }
    assert!(kills >= 8, "{kills} kills came in time to matter");
    write_all(folder.path());
    assert_eq!(graph(folder.path()), expected);
}

#[test]
fn readers_beside_a_writer_see_whole_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path(), false);
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let path = folder.path();
        let reader = scope.spawn(move || {
            let mut seen = Vec::new();
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                let store = open_for_reading(path).unwrap();
                // A file that the writer replaces in this moment is an error, never half a chunk.
                if let Ok((facts, chunks)) = counts(&store) {
                    assert_eq!(facts, 64 * chunks);
                    seen.push(facts);
                }
            }
            seen
        });
        for index in 0..CHUNKS {
            commit(&mut writer, index);
            if index % 8 == 0 {
                writer.checkpoint().unwrap();
            }
        }
        stop.send(()).unwrap();
        let seen = reader.join().unwrap();
        assert!(!seen.is_empty() && seen.is_sorted(), "{seen:?}");
    });
}
