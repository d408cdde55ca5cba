//! Shards against one run that asks everything: by stores that are written as runs write them.

mod rows;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use oxigraph::model::NamedNode;
use oxigraph::store::Store;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::ledger;
use super::*;
use crate::diagnostic::{Explain as _, counted};
use crate::graph::{
    Assertion, Chunk, ChunkRecord, EntityDescription, Error, ExportFormat, ExportOptions,
    GraphWriter, KeptQuestion, Object, QuestionSet, RowWriter, RunDescription, ShardDescription,
    export, open_for_reading, runs, signature,
};

const RELATION: &str = "http://example.org/r";
const BASE: &str = "urn:kgbuild:";

/// Of so many subjects, whose questions are shared by their numbers.
#[derive(Clone, Copy)]
struct Job {
    subjects: u64,
    shards: u32,
    /// What the signature has beside.
    threshold: &'static str,
}

const JOB: Job = Job { subjects: 10, shards: 3, threshold: "0.5" };

/// Subjects of a chunk.
const CHUNK: usize = 2;

fn add(counts: Vec<Value>) -> Value {
    json!(counts.iter().filter_map(Value::as_u64).sum::<u64>())
}

impl Job {
    fn describe(self, shard: Option<u32>, whole: &Path) -> RunDescription {
        let signature = [("threshold", self.threshold), ("ontology", "0123")];
        let signature = signature.map(|(part, value)| (part.to_owned(), value.to_owned()));
        let chunks = self.subjects.div_ceil(CHUNK as u64);
        RunDescription {
            signature: signature.into(),
            version: "0.1.0".to_owned(),
            shard: shard.map(|number| ShardDescription {
                number,
                of: if number == 0 { 0 } else { self.shards },
                chunks: [(RELATION.to_owned(), chunks)].into(),
                questions: [(RELATION.to_owned(), self.questions())].into(),
                pipeline: "my pipeline.toml".into(),
                about: Value::Null,
                whole: whole.to_owned(),
            }),
            ..RunDescription::default()
        }
    }

    fn questions(self) -> QuestionSet {
        let mut all = QuestionSet::default();
        (0..self.subjects).for_each(|subject| all.add(&format!("http://example.org/s{subject}")));
        all
    }

    /// The subjects of a shard, of all where it is none.
    fn of(self, shard: Option<u32>) -> Vec<u64> {
        let own = |subject: &u64| {
            shard.is_none_or(|number| {
                number > 0 && subject % u64::from(self.shards) == u64::from(number) - 1
            })
        };
        (0..self.subjects).filter(own).collect()
    }

    fn open(self, folder: &Path, shard: Option<u32>, whole: &Path) -> GraphWriter {
        GraphWriter::open(folder, BASE, &self.describe(shard, whole), false).unwrap()
    }

    /// Writes what is asked, all but the last `less` chunks.
    fn write(self, writer: &mut GraphWriter, shard: Option<u32>, less: usize) {
        let subjects = self.of(shard);
        let chunks: Vec<&[u64]> = subjects.chunks(CHUNK).collect();
        for (index, chunk) in chunks.iter().enumerate().take(chunks.len() - less) {
            let before = CHUNK * index + chunk.len();
            write_chunk(writer, index as u64, chunk, before as u64);
        }
    }

    fn run(self, folder: &Path, shard: Option<u32>, whole: &Path) {
        let mut writer = self.open(folder, shard, whole);
        if shard == Some(0) {
            let kept = KeptQuestion { question: 1000, prompts: vec![(1, vec![1, 2, 3])] };
            writer.keep("mean", &[kept]).unwrap();
        } else {
            writer.asked_on("CPU").unwrap();
        }
        writer.goes_by_means("00ff").unwrap();
        self.write(&mut writer, shard, 0);
        writer.finish(None).unwrap();
    }

    /// One run, in a folder.
    fn alone(self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        self.run(folder.path(), None, folder.path());
        folder
    }

    /// All shards, and what they go by, in an output folder.
    fn shared(self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=self.shards {
            self.run(&place(folder.path(), number), Some(number), folder.path());
        }
        folder
    }
}

fn place(whole: &Path, number: u32) -> PathBuf {
    whole.join(format!("shards/{number}"))
}

fn write_chunk(writer: &mut GraphWriter, index: u64, subjects: &[u64], counted: u64) {
    let iris: Vec<String> = subjects.iter().map(|s| format!("http://example.org/s{s}")).collect();
    writer.commit(&record(&iris, index, subjects, counted)).unwrap();
}

fn record<'a>(iris: &'a [String], index: u64, subjects: &[u64], counted: u64) -> ChunkRecord<'a> {
    let assertions = iris.iter().zip(subjects).map(|(subject, &number)| Assertion {
        subject,
        relation: RELATION,
        object: Object::Entity("http://example.org/o"),
        confidence: 0.5 + number as f64 / 100.0,
        corrected: None,
        finetuned: Some(0.25),
        base: None,
        ambiguous: false,
    });
    let entities = iris.iter().map(String::as_str).chain(["http://example.org/o"]);
    let entities = entities.map(|iri| EntityDescription {
        iri,
        label: "a \"label\"\n",
        aliases: vec!["alias"],
        types: vec!["http://example.org/C"],
    });
    let kept = subjects.iter().map(|&question| KeptQuestion {
        question,
        prompts: vec![(question, vec![question as u8; 300])],
    });
    ChunkRecord {
        chunk: Chunk { relation: Arc::from(RELATION), index },
        assertions: assertions.collect(),
        entities: entities.collect(),
        statistics: json!(counted),
        kept: kept.collect(),
        candidates: json!({ "subjects": subjects }),
    }
}

fn quads(folder: &Path) -> String {
    let mut text = Vec::new();
    let store = open_for_reading(folder).unwrap();
    let options = ExportOptions {
        include: Some(vec![
            crate::graph::Part::Schema,
            crate::graph::Part::Labels,
            crate::graph::Part::Aliases,
            crate::graph::Part::Provenance,
        ]),
        ..ExportOptions::of(ExportFormat::NQuads)
    };
    export(&store, &options, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().filter(|line| !line.contains("AtTime>")).map(|l| format!("{l}\n")).collect()
}

fn merged(out: &Path, shards: &Shards) -> Result<Merged, Error> {
    merge(
        out,
        (shards, None),
        &Merge { fresh: false, partial: false, finish: true, add: &add },
        &mut |_| true,
    )
}

fn merged_in_part(out: &Path, shards: &Shards) -> Result<Merged, Error> {
    merge(
        out,
        (shards, None),
        &Merge { fresh: false, partial: true, finish: true, add: &add },
        &mut |_| true,
    )
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert!(error.help().is_some(), "{error}: no help");
    error.to_string()
}

#[test]
fn shards_make_the_graph_of_one_run() {
    for shards in [1, 2, 3, 16] {
        let job = Job { shards, ..JOB };
        let (alone, shared) = (job.alone(), job.shared());
        let found = Shards::in_folder(shared.path()).unwrap();
        assert_eq!((found.count(), found.is_whole()), (counted(shards as usize, "shard"), true));
        assert_eq!(merged(shared.path(), &found).unwrap(), Merged::Now);
        assert_eq!(quads(shared.path()), quads(alone.path()), "{shards} shards");
        let history = |folder: &Path| runs(&open_for_reading(folder).unwrap()).unwrap();
        let [one, all] = [alone.path(), shared.path()].map(|folder| history(folder)[0].clone());
        assert_eq!((one.facts, one.added, one.run), (all.facts, all.added, all.run));
        assert_eq!(merged(shared.path(), &found).unwrap(), Merged::Before);
        // It goes on as any other: all is done, and what was kept is there.
        let writer = job.open(shared.path(), None, shared.path());
        assert!(writer.is_complete());
        assert_eq!(
            (writer.done().len(), writer.done().statistics(RELATION)),
            (5, Some(&json!(10)))
        );
        drop(writer);
        let other = Job { threshold: "0.6", ..job };
        let writer = other.open(shared.path(), None, shared.path());
        let kept = &writer.state().kept;
        assert_eq!(kept.of_chunks(), 10);
        for question in 0..10 {
            let answers = &kept.get(question).unwrap().prompts;
            assert!(answers.contains(&(question, vec![question as u8; 300])), "{question}");
        }
    }
}

#[test]
fn a_shard_takes_answers_from_the_graph_of_all() {
    let shared = JOB.shared();
    merged(shared.path(), &Shards::in_folder(shared.path()).unwrap()).unwrap();
    let other = Job { threshold: "0.6", shards: 2, ..JOB };
    let writer = other.open(&place(shared.path(), 102), Some(2), shared.path());
    assert_eq!(writer.state().kept.of_chunks(), 10);
    // Any number of shards read it at once, and nobody may write it meanwhile.
    let another = other.open(&place(shared.path(), 101), Some(1), shared.path());
    let in_use =
        GraphWriter::open(shared.path(), BASE, &other.describe(None, shared.path()), false);
    assert!(matches!(in_use, Err(Error::InUse { .. })));
    drop((writer, another));
    other.open(shared.path(), None, shared.path());
}

#[test]
fn a_shard_goes_on_and_hands_over_once() {
    let shared = tempfile::tempdir().unwrap();
    let own = place(shared.path(), 1);
    let mut writer = JOB.open(&own, Some(1), shared.path());
    JOB.write(&mut writer, Some(1), 1);
    drop(writer);
    assert!(!own.join(SHARD_FILE).exists());
    JOB.run(&own, Some(1), shared.path());
    let names = || {
        let all =
            fs::read_dir(&own).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = all.collect();
        names.sort();
        names
    };
    let before = (names(), fs::read(own.join(SHARD_FILE)).unwrap());
    assert_eq!(before.0.len(), 4, "{before:?}");
    JOB.open(&own, Some(1), shared.path()).finish(None).unwrap();
    assert_eq!((names(), fs::read(own.join(SHARD_FILE)).unwrap()), before);
    // What is missing of it is written again, without a word to any model.
    for name in before.0.iter().filter(|name| name.starts_with("shard")) {
        fs::remove_file(own.join(name)).unwrap();
        JOB.open(&own, Some(1), shared.path()).finish(None).unwrap();
        assert_eq!((names(), fs::read(own.join(SHARD_FILE)).unwrap()), before);
    }
    // Another state replaces it.
    let other = Job { threshold: "0.6", ..JOB };
    other.run(&own, Some(1), shared.path());
    assert_eq!(names().len(), 4);
    assert_ne!(names(), before.0);
}

#[test]
fn a_file_of_others_stays() {
    let shared = tempfile::tempdir().unwrap();
    let own = place(shared.path(), 1);
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join(SHARD_FILE), "mine").unwrap();
    let mut writer = JOB.open(&own, Some(1), shared.path());
    JOB.write(&mut writer, Some(1), 0);
    let said = refused(writer.finish(None));
    assert!(said.contains("is not what a shard hands over"), "{said}");
    assert_eq!(fs::read_to_string(own.join(SHARD_FILE)).unwrap(), "mine");
    fs::remove_file(own.join(SHARD_FILE)).unwrap();
    JOB.open(&own, Some(1), shared.path()).finish(None).unwrap();
    assert!(own.join(SHARD_FILE).exists());
}

#[test]
fn a_folder_has_one_shard() {
    let shared = JOB.shared();
    let (own, whole) = (place(shared.path(), 1), JOB.alone());
    let open = |folder: &Path, shard| {
        let described = JOB.describe(shard, shared.path());
        GraphWriter::open(folder, BASE, &described, false).map(drop)
    };
    for (folder, shard, said) in [
        (&*own, Some(2), "has the questions of shard 1/3, not the questions of shard 2/3"),
        (&own, None, "has the questions of shard 1/3, not those of all shards"),
        (whole.path(), Some(1), "has those of all shards, not the questions of shard 1/3"),
    ] {
        let error = open(folder, shard).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn what_is_missing_is_named_and_merged_in_part() {
    let shared = JOB.shared();
    fs::remove_dir_all(place(shared.path(), 3)).unwrap();
    let own = place(shared.path(), 2);
    fs::remove_dir_all(&own).unwrap();
    let mut writer = JOB.open(&own, Some(2), shared.path());
    JOB.write(&mut writer, Some(2), 1);
    // While it is being run.
    let running = refused(Shards::in_folder(shared.path()).and_then(|s| merged(shared.path(), &s)));
    drop(writer);
    let found = Shards::in_folder(shared.path()).unwrap();
    let error = merged(shared.path(), &found).unwrap_err();
    let said = error.to_string();
    assert_eq!(said, "shard 2 of 3 is not finished, and shard 3 of 3 is missing");
    assert!(running == said || running.contains("a run is writing"), "{running}");
    let help = error.help().unwrap();
    assert!(help.contains("`kgbuild run my pipeline.toml --shard 2/3`"), "{help}");
    assert!(help.contains("1 other shard") && help.contains("--partial"), "{help}");
    assert!(!shared.path().join("store").exists());

    assert_eq!(merged_in_part(shared.path(), &found).unwrap(), Merged::Now);
    let part = quads(shared.path());
    assert!(part.contains("/s0>") && part.contains("/s9>") && !part.contains("/s1>"), "{part}");
    assert_eq!(merged_in_part(shared.path(), &found).unwrap(), Merged::Before);
    // A run of all questions knows what is missing, and what was answered.
    let writer = JOB.open(shared.path(), None, shared.path());
    let state = writer.state();
    assert_eq!((state.done.len(), state.kept.of_chunks()), (0, 4));
    assert_eq!(state.differences.len(), 1);
    assert_eq!(state.differences[0].was.as_deref(), Some("1 of 3"));
    writer.abandon().unwrap();
    // All of them take its place.
    let whole = JOB.shared();
    let found = Shards::in_folder(whole.path()).unwrap();
    merged(shared.path(), &found).unwrap();
    assert_eq!(quads(shared.path()), quads(JOB.alone().path()));
    let history = runs(&open_for_reading(shared.path()).unwrap()).unwrap();
    assert_eq!((history.len(), history[1].added, history[1].taken_back), (2, 6, 0));
    assert_eq!(history[1].reason.as_deref(), Some("shards 1, 2, 3 of 3 were merged"));
    // And a part does not take theirs.
    fs::remove_dir_all(place(whole.path(), 3)).unwrap();
    let found = Shards::in_folder(whole.path()).unwrap();
    let said = refused(merged_in_part(shared.path(), &found));
    assert!(said.contains("the graph of all shards is in"), "{said}");
    assert_eq!(quads(shared.path()), quads(JOB.alone().path()));
    // Nor that of an older graph, whose answers the others need.
    let other = Job { threshold: "0.6", ..JOB }.shared();
    fs::remove_dir_all(place(other.path(), 3)).unwrap();
    let found = Shards::in_folder(other.path()).unwrap();
    let said = refused(merged_in_part(shared.path(), &found));
    assert!(said.contains("its answers would be lost"), "{said}");
    assert_eq!(quads(shared.path()), quads(JOB.alone().path()));
    // Of what only was begun there is nothing to merge.
    for number in [1, 2] {
        fs::remove_dir_all(place(other.path(), number)).unwrap();
    }
    let own = place(other.path(), 1);
    drop(JOB.open(&own, Some(1), other.path()));
    let found = Shards::in_folder(other.path()).unwrap();
    for merging in [merged, merged_in_part] {
        let error = merging(other.path(), &found).unwrap_err();
        assert!(error.to_string().starts_with("shard 1 of 3 is not finished"), "{error}");
    }
    assert!(!other.path().join("store").exists());
}

#[test]
fn a_run_that_was_begun_is_not_lost() {
    let shared = JOB.shared();
    let mut writer = JOB.open(shared.path(), None, shared.path());
    JOB.write(&mut writer, None, 2);
    drop(writer);
    let all = Shards::in_folder(shared.path()).unwrap();
    fs::remove_dir_all(place(shared.path(), 3)).unwrap();
    let some = Shards::in_folder(shared.path()).unwrap();
    let said = refused(merged_in_part(shared.path(), &some));
    assert!(said.contains("a run of all questions was begun"), "{said}");
    assert_eq!(JOB.open(shared.path(), None, shared.path()).done().len(), 3);
    // All shards have what it asked.
    let elsewhere = JOB.shared();
    merged(shared.path(), &Shards::in_folder(elsewhere.path()).unwrap()).unwrap();
    assert_eq!(quads(shared.path()), quads(JOB.alone().path()));
    drop(all);
}

#[test]
fn a_merge_goes_on_where_it_was_killed() {
    let shared = JOB.shared();
    let found = Shards::in_folder(shared.path()).unwrap();
    let unfinished = Merge { fresh: false, partial: false, finish: false, add: &add };
    merge(shared.path(), (&found, None), &unfinished, &mut |_| true).unwrap();
    let writer = JOB.open(shared.path(), None, shared.path());
    assert!(!writer.is_complete() && writer.done().len() == 5);
    drop(writer);
    assert_eq!(merged(shared.path(), &found).unwrap(), Merged::Now);
    assert_eq!(quads(shared.path()), quads(JOB.alone().path()));
    // Over an older graph too.
    let other = Job { threshold: "0.6", ..JOB }.shared();
    let found = Shards::in_folder(other.path()).unwrap();
    drop(other);
    let other = found;
    // Its files are gone with the folder.
    assert!(refused(merged(shared.path(), &other)).contains("is not as the shard wrote it"));
    assert_eq!(quads(shared.path()), quads(JOB.alone().path()));
    let other = Job { threshold: "0.6", ..JOB }.shared();
    let other = Shards::in_folder(other.path()).map(|found| (found, other)).unwrap();
    merge(shared.path(), (&other.0, None), &unfinished, &mut |_| true).unwrap();
    assert_eq!(quads(shared.path()), quads(JOB.alone().path()), "readers have the old one");
    merged(shared.path(), &other.0).unwrap();
    let history = runs(&open_for_reading(shared.path()).unwrap()).unwrap();
    assert_eq!((history.len(), history[1].changed), (2, 0));
}

#[test]
fn a_merge_that_was_complete_is_put_in_its_place() {
    let shared = JOB.shared();
    merged(shared.path(), &Shards::in_folder(shared.path()).unwrap()).unwrap();
    let other = Job { threshold: "0.6", ..JOB }.shared();
    let found = Shards::in_folder(other.path()).unwrap();
    let unfinished = Merge { fresh: false, partial: false, finish: false, add: &add };
    merge(shared.path(), (&found, None), &unfinished, &mut |_| true).unwrap();
    // Killed between its completion and its move.
    let entries = fs::read_dir(shared.path()).unwrap().map(|entry| entry.unwrap().path());
    let next = entries.filter(|path| path.join("store").exists()).collect::<Vec<_>>();
    let [next] = &next[..] else { panic!("{next:?}") };
    let run = NamedNode::new(&*found.found()[0].handed.run).unwrap();
    Store::open(next.join("store")).unwrap().insert(&ledger::completion(&run)).unwrap();
    let is_new = || quads(shared.path()).contains(run.as_str());
    assert!(!is_new());
    assert_eq!(merged(shared.path(), &found).unwrap(), Merged::Before);
    assert!(is_new() && !next.exists());
}

#[test]
fn another_job_s_graph_is_not_replaced_unless_that_is_said() {
    let shared = JOB.shared();
    let found = Shards::in_folder(shared.path()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let parts = ["ontology", "subjects", "candidates"];
    let signature = parts.map(|part| (part.to_owned(), "another".to_owned())).into();
    let described = RunDescription { signature, ..RunDescription::default() };
    GraphWriter::open(out.path(), BASE, &described, false).unwrap().finish(None).unwrap();
    let before = quads(out.path());
    let mut with_inputs = found.clone();
    for shard in &mut with_inputs.found {
        shard.handed.signature.extend(parts.map(|part| (part.to_owned(), "own".to_owned())));
    }
    let said = refused(merged(out.path(), &with_inputs));
    assert!(said.contains("is of another job than the shards"), "{said}");
    assert_eq!(quads(out.path()), before);
    let fresh = Merge { fresh: true, partial: false, finish: true, add: &add };
    merge(out.path(), (&found, None), &fresh, &mut |_| true).unwrap();
    assert_eq!(quads(out.path()), quads(JOB.alone().path()));
}

#[test]
fn answers_of_any_length_are_merged_and_a_stop_changes_nothing() {
    let shared = JOB.shared();
    let own = place(shared.path(), 0);
    fs::remove_dir_all(&own).unwrap();
    let mut writer = JOB.open(&own, Some(0), shared.path());
    // As base64 over 16 MiB, which is the most that a parser's buffer takes.
    let answer: Vec<u8> =
        (0..14_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let kept = KeptQuestion { question: 1000, prompts: vec![(1, answer.clone())] };
    writer.keep("mean", &[kept]).unwrap();
    writer.finish(None).unwrap();
    let found = Shards::in_folder(shared.path()).unwrap();
    let how = Merge { fresh: false, partial: false, finish: true, add: &add };
    let stopped = merge(shared.path(), (&found, None), &how, &mut |_| false).unwrap_err();
    assert_eq!(stopped.fault(), crate::diagnostic::Fault::Stopped);
    assert!(!shared.path().join("store").exists());
    merged(shared.path(), &found).unwrap();
    let other = Job { threshold: "0.6", ..JOB };
    let writer = other.open(shared.path(), None, shared.path());
    assert_eq!(writer.state().kept.get(1000).unwrap().prompts, [(1, answer)]);
}

#[test]
fn shards_of_several_jobs_are_not_merged() {
    let whole = tempfile::tempdir().unwrap();
    let make = |number: u32, job: Job, change: &dyn Fn(&mut GraphWriter)| {
        let own = place(whole.path(), number);
        if own.exists() {
            fs::remove_dir_all(&own).unwrap();
        }
        let mut writer = job.open(&own, Some(number), whole.path());
        change(&mut writer);
        job.write(&mut writer, Some(number), 0);
        writer.finish(None).unwrap();
    };
    let job = Job { shards: 2, ..JOB };
    let on =
        |device: &'static str| move |writer: &mut GraphWriter| writer.asked_on(device).unwrap();
    make(1, job, &on("CPU"));
    make(2, Job { threshold: "0.75", ..job }, &on("CPU"));
    let said = || refused(Shards::in_folder(whole.path()));
    assert!(said().contains("differ in threshold (`0.5` and `0.75`)"), "{}", said());
    make(2, job, &on("CUDA"));
    assert!(said().contains("device and ONNX Runtime (`CPU` and `CUDA`)"), "{}", said());
    make(1, job, &|writer| writer.goes_by_means("01").unwrap());
    make(2, job, &|writer| writer.goes_by_means("00").unwrap());
    assert!(said().contains("differ in mean predictions (`01` and `00`)"), "{}", said());
    make(1, job, &on("CPU"));
    make(2, Job { shards: 4, ..job }, &on("CPU"));
    assert!(said().contains("number of shards (`2` and `4`)"), "{}", said());
    // One that had nothing to ask was asked nowhere, and went by no means.
    make(2, job, &|_| ());
    assert!(Shards::in_folder(whole.path()).unwrap().is_whole());

    let copy = whole.path().join("shards/copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(place(whole.path(), 1)).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    assert!(said().contains("shard 1/2 is there twice"), "{}", said());
    let named = [copy.join(SHARD_FILE), place(whole.path(), 2)];
    assert!(Shards::find(&named).unwrap().is_whole());

    let nothing = whole.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    let alone = JOB.alone();
    for other in [&*nothing, alone.path()] {
        let said = refused(Shards::find(&[other.to_owned()]));
        assert!(said.contains("is not the output folder of a shard"), "{said}");
    }
    let said = refused(Shards::in_folder(&nothing));
    assert!(said.contains("no shard lies in"), "{said}");
}

#[test]
fn what_is_damaged_is_not_merged() {
    let shared = JOB.shared();
    let own = place(shared.path(), 2);
    let file = {
        let handed = HandedShard::read(&own).unwrap().unwrap();
        handed.quads(&own)
    };
    let sound = fs::read(&file).unwrap();
    let found = || Shards::in_folder(shared.path()).unwrap();
    let mut cut = sound.clone();
    cut.truncate(sound.len() / 2);
    let mut longer = sound.clone();
    longer.extend(b"more");
    let mut flips: Vec<Vec<u8>> = (0..sound.len()).step_by(97).map(|_| sound.clone()).collect();
    flips.iter_mut().enumerate().for_each(|(i, flipped)| flipped[97 * i] ^= 0x10);
    let other_text = {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut out, b"<http://e/s> <http://e/p> \"other\" .\n").unwrap();
        out.finish().unwrap()
    };
    let no_quads = {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut out, b"no quads at all").unwrap();
        out.finish().unwrap()
    };
    let damages =
        flips.into_iter().chain([cut, longer, other_text, no_quads, Vec::new(), b"text".to_vec()]);
    for damage in damages {
        fs::write(&file, damage).unwrap();
        let said = refused(merged(shared.path(), &found()));
        assert!(said.contains("is not as the shard wrote it"), "{said}");
        assert!(!shared.path().join("store").exists());
        let left = fs::read_dir(shared.path()).unwrap().map(|e| e.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, [".lock", "shards"]);
    }
    fs::write(&file, &sound).unwrap();

    let manifest = own.join(SHARD_FILE);
    let text = fs::read_to_string(&manifest).unwrap();
    for (wrong, why) in [
        ("mine".to_owned(), "expected value"),
        ("{}".to_owned(), "missing field"),
        (text.replace("\"layout\": 2", "\"layout\": 3"), "its layout is 3"),
        (text.replace("\"sha256\": \"", "\"sha256\": \"x/../"), "names no file"),
        (text[..text.len() / 2].to_owned(), "EOF"),
    ] {
        fs::write(&manifest, wrong).unwrap();
        let said = refused(Shards::in_folder(shared.path()));
        assert!(said.contains("is not what a shard hands over") && said.contains(why), "{said}");
    }
    fs::write(&manifest, text).unwrap();
    merged(shared.path(), &found()).unwrap();
    assert_eq!(quads(shared.path()), quads(JOB.alone().path()));
}

#[test]
fn what_is_no_store_of_ours_stays() {
    let shared = JOB.shared();
    fs::create_dir(shared.path().join("store")).unwrap();
    fs::write(shared.path().join("store/mine"), "mine").unwrap();
    let found = Shards::in_folder(shared.path()).unwrap();
    assert!(matches!(merged(shared.path(), &found), Err(Error::Foreign { .. })));
    assert_eq!(fs::read_to_string(shared.path().join("store/mine")).unwrap(), "mine");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Lines of any length, of any number of shards, come in order and once.
    #[test]
    fn lines_are_read_in_order_and_once(
        shards in prop::collection::vec(prop::collection::btree_set("[a-c]{0,4}", 0..12), 1..5),
        long in 0_usize..3,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let filler = "x".repeat(long * 200_000);
        let mut found = Vec::new();
        let mut all = std::collections::BTreeSet::new();
        for (number, lines) in shards.iter().enumerate() {
            let own = folder.path().join(number.to_string());
            let described = JOB.describe(Some(1 + number as u32), folder.path());
            let mut handed = {
                // Any shard's, of which the file is another.
                let writer = GraphWriter::open(&own, BASE, &described, false).unwrap();
                writer.finish(None).unwrap();
                HandedShard::read(&own).unwrap().unwrap()
            };
            let lines: Vec<String> = lines.iter().map(|line| format!("{line}{filler}\n")).collect();
            let mut out = GzEncoder::new(Vec::new(), Compression::fast());
            let mut sorted = lines.clone();
            sorted.sort();
            for line in &sorted {
                std::io::Write::write_all(&mut out, line.as_bytes()).unwrap();
            }
            let bytes = out.finish().unwrap();
            handed.set_quads(&bytes);
            fs::write(handed.quads(&own), &bytes).unwrap();
            all.extend(lines);
            found.push(FoundShard { folder: own, handed });
        }
        let (mut read, mut some) = (Vec::new(), Vec::new());
        let mut lines = super::lines::Lines::of(&found, None).unwrap();
        while lines.next(&mut some).unwrap() {
            read.extend_from_slice(&some);
        }
        let read = String::from_utf8(read).unwrap();
        let mut expected: Vec<String> = all.into_iter().collect();
        expected.sort();
        prop_assert_eq!(read, expected.concat());
    }
}

#[test]
fn a_name_is_short() {
    let described = JOB.describe(Some(2), Path::new("")).shard.unwrap();
    assert_eq!(described.name(), "2/3");
    let planned: BTreeMap<String, u64> = described.chunks;
    assert_eq!(planned[RELATION], 5);
}
