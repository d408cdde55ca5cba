use super::super::vocabulary as kgb;
use super::statements::{probability, statement};
use super::*;
use crate::files::Scratch;
use crate::graph::KeptQuestion;
use crate::graph::{
    Annotations, Assertion, EntityDescription, ExportFormat, ExportOptions, ModelDescription,
    Object, Part, RangeSchema, RelationSchema, Schema, export, open_for_reading,
};
use oxigraph::model::Term;
use oxigraph::model::vocab::rdf;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

const BASE: &str = "https://example.org/graph/";
const CAPITAL: &str = "http://www.wikidata.org/prop/direct/P36";

fn run(parts: &[(&str, &str)]) -> RunDescription {
    RunDescription {
        signature: parts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        base_model: Some(ModelDescription { source: "models/base".into(), sha256: "ab".into() }),
        finetuned_model: Some(ModelDescription { source: "models/f".into(), sha256: "cd".into() }),
        config_sha256: "ef".into(),
        lambda: Some(0.4),
        correction: "log-linear".into(),
        precision: Some("q4".into()),
        tuned_sha256: None,
        version: "0.1.0".into(),
        schema: Schema::default(),
        shard: None,
    }
}

fn default_run() -> RunDescription {
    run(&[("ontology", "1234"), ("subjects", "5678")])
}

fn open(folder: &Path) -> GraphWriter {
    GraphWriter::open(folder, BASE, &default_run(), false).unwrap()
}

fn entity(n: u64) -> String {
    format!("http://www.wikidata.org/entity/Q{n}")
}

/// A chunk of `facts` assertions, all of them its own.
fn commit(writer: &mut GraphWriter, index: u64, facts: u64) -> Result<(), Error> {
    let subjects: Vec<String> = (0..facts).map(|i| entity(1000 * index + i)).collect();
    let object = entity(7);
    let assertions = subjects.iter().map(|subject| Assertion {
        subject,
        relation: CAPITAL,
        object: Object::Entity(&object),
        confidence: 0.75,
        corrected: None,
        finetuned: Some(0.8),
        base: None,
        ambiguous: false,
    });
    let class = entity(6256);
    let entities = subjects
        .iter()
        .map(|iri| EntityDescription {
            iri,
            label: "a \"country\"\n",
            aliases: vec!["land"],
            types: vec![&class],
        })
        .chain([EntityDescription {
            iri: CAPITAL,
            label: "capital",
            aliases: vec![],
            types: vec![],
        }]);
    writer.commit(&ChunkRecord {
        chunk: chunk(index),
        assertions: assertions.collect(),
        entities: entities.collect(),
        statistics: serde_json::json!({ "subjects": facts, "nested": [0.5, null, "ä"] }),
        kept: Vec::new(),
        candidates: serde_json::Value::Null,
    })
}

fn chunk(index: u64) -> Chunk {
    Chunk { relation: Arc::from(CAPITAL), index }
}

/// The graph as sorted lines without the run's times.
fn graph(store: &Store) -> Vec<String> {
    let mut out = Vec::new();
    export(store, &ExportOptions::of(ExportFormat::NQuads), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().filter(|l| !l.contains("AtTime>")).map(str::to_owned).collect()
}

fn ask(store: &Store, pattern: &str) -> bool {
    let mut out = Vec::new();
    let query = format!("ASK {{ {pattern} }}");
    crate::graph::query(store, &query, Default::default(), &mut out).unwrap();
    out == b"true\n"
}

#[test]
fn writes_triples_annotations_labels_and_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path());
    commit(&mut writer, 0, 2).unwrap();
    writer.finish(None).unwrap();
    let store = &open_for_reading(folder.path()).unwrap();
    for pattern in [
        "wd:Q1 wdt:P36 wd:Q7 {| kgb:confidence 0.75 ; kgb:finetunedProbability 0.8 |}",
        "wd:Q0 wdt:P36 wd:Q7 {| prov:wasGeneratedBy ?run |} . ?run a kgb:Run, prov:Activity ; \
         kgb:lambda 0.4 ; kgb:correction 'log-linear' ; kgb:configSha256 'ef' ; \
         kgb:baseModelSha256 'ab' ; kgb:finetunedModel 'models/f' ; kgb:version '0.1.0' ; \
         prov:startedAtTime ?start ; prov:endedAtTime ?end FILTER(?start <= ?end)",
        "wd:Q0 rdfs:label 'a \"country\"\\n' ; a wd:Q6256 . wdt:P36 rdfs:label 'capital'",
    ] {
        assert!(ask(store, pattern), "{pattern}");
    }
    assert!(!ask(store, "?reifier kgb:baseProbability ?p"));
    assert!(!ask(store, "?s a rdf:Statement"));
}

#[test]
fn a_chunk_is_written_once_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path());
    commit(&mut writer, 3, 2).unwrap();
    let once = graph(writer.store());
    commit(&mut writer, 3, 2).unwrap();
    assert_eq!(graph(writer.store()), once);
    drop(writer);

    let mut writer = open(folder.path());
    assert!(writer.done().contains(&chunk(3)) && writer.done().len() == 1);
    let counted = writer.done().statistics(CAPITAL).unwrap();
    assert_eq!(counted, &serde_json::json!({ "subjects": 2, "nested": [0.5, null, "ä"] }));
    assert_eq!(writer.done().statistics("http://e/other"), None);
    commit(&mut writer, 3, 2).unwrap();
    assert_eq!(graph(writer.store()), once);
}

#[test]
fn a_resumed_run_keeps_its_iri_and_start_and_ends_once() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    let iri = writer.run().into_owned();
    assert!(!writer.is_complete());
    drop(writer);
    let writer = open(folder.path());
    assert_eq!(writer.run(), iri.as_ref());
    writer.finish(None).unwrap();
    let writer = open(folder.path());
    assert!(writer.is_complete());
    writer.finish(None).unwrap();
    let store = open_for_reading(folder.path()).unwrap();
    for time in [kgb::STARTED_AT_TIME, kgb::ENDED_AT_TIME] {
        let graph = Some(oxigraph::model::GraphNameRef::DefaultGraph);
        assert_eq!(store.quads_for_pattern(None, Some(time), None, graph).count(), 1);
    }
}

/// What lies in a folder, by name; of random names the beginning.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.iter_mut().filter(|name| name.starts_with(".next-")).for_each(|name| name.truncate(6));
    names.sort();
    names
}

fn kept(writer: &GraphWriter, question: u64) -> Option<Vec<u8>> {
    let found = writer.state().kept.get(question).unwrap().prompts;
    found.first().map(|(_, answer)| answer.clone())
}

/// A chunk of which an answer is kept.
fn commit_kept(writer: &mut GraphWriter, index: u64, answer: &[u8]) {
    let question = KeptQuestion { question: index, prompts: vec![(7, answer.to_vec())] };
    let record = ChunkRecord {
        chunk: chunk(index),
        assertions: Vec::new(),
        entities: Vec::new(),
        statistics: serde_json::Value::Null,
        kept: vec![question],
        candidates: serde_json::Value::Null,
    };
    writer.commit(&record).unwrap();
}

#[test]
fn a_graph_of_another_signature_stays_until_the_new_one_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let mut writer = open(folder);
    commit(&mut writer, 0, 2).unwrap();
    commit_kept(&mut writer, 5, b"old");
    writer.keep("a mean", &[KeptQuestion { question: 9, prompts: vec![(1, vec![3])] }]).unwrap();
    assert!(kept(&writer, 5).is_none(), "of its own chunks a writer has what it began with");
    drop(writer);
    let again = open(folder);
    assert_eq!((kept(&again, 5), kept(&again, 9)), (None, Some(vec![3])), "its chunks are done");
    drop(again);

    let other = run(&[("ontology", "9999"), ("device", "cpu")]);
    let open_other = || GraphWriter::open(folder, BASE, &other, false).unwrap();
    let mut writer = open_other();
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
    let differences = writer.state().differences.iter();
    let parts: Vec<String> = differences
        .map(|d| format!("{}: was {}, is {}", d.part, shown(&d.was), shown(&d.is)))
        .collect();
    let expected = [
        "device: was absent, is cpu",
        "ontology: was 1234, is 9999",
        "subjects: was 5678, is absent",
    ];
    assert_eq!(parts, expected);
    assert!(writer.done().is_empty());
    assert_eq!((kept(&writer, 5).unwrap(), kept(&writer, 9).unwrap()), (b"old".to_vec(), vec![3]));
    assert_eq!((kept(&writer, 6), writer.state().kept.of_chunks()), (None, 1));
    commit_kept(&mut writer, 5, b"new");
    drop(writer);
    let seen = look(folder, BASE, &other).unwrap().unwrap();
    assert_eq!((seen.done.len(), seen.differences.len(), seen.complete), (1, 3, false));
    let seen = look(folder, BASE, &run(&[("ontology", "none")])).unwrap().unwrap();
    assert_eq!((seen.done.len(), seen.kept.of_chunks()), (0, 1), "to be made");
    assert!(look(&folder.join("nothing"), BASE, &other).unwrap().is_none());
    assert_eq!(names(folder), [".lock", ".next-", "notes.txt", "store"]);
    assert!(ask(&open_for_reading(folder).unwrap(), "wd:Q0 ?p ?o"), "the old graph is read");

    // Killed and begun again, and a third one meanwhile, which knows what both have.
    let writer = open_other();
    assert_eq!((kept(&writer, 5).unwrap(), writer.done().len()), (b"old".to_vec(), 1));
    drop(writer);
    let third = run(&[("ontology", "third")]);
    let writer = GraphWriter::open(folder, BASE, &third, false).unwrap();
    assert_eq!((kept(&writer, 5).unwrap(), writer.done().len()), (b"new".to_vec(), 0));
    drop(writer);
    assert_eq!(names(folder), [".lock", ".next-", ".next-", "notes.txt", "store"]);
    assert_eq!(open(folder).done().len(), 2, "the old one is as it was");

    open_other().finish(None).unwrap();
    assert_eq!(names(folder), [".lock", "notes.txt", "store"]);
    assert!(!ask(&open_for_reading(folder).unwrap(), "wd:Q0 ?p ?o"));
}

#[test]
fn a_succession_that_was_cut_off_is_finished_and_a_fresh_graph_has_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let (other, third) = (run(&[("ontology", "9999")]), run(&[("ontology", "third")]));
    let mut writer = open(folder);
    commit_kept(&mut writer, 5, b"old");
    drop(writer);
    // Killed when the old one was gone and the new one not yet in its place.
    GraphWriter::open(folder, BASE, &third, false).unwrap().finish(None).unwrap();
    let marked = Scratch::new(folder, ".next-").unwrap().keep();
    fs::rename(folder.join("store"), marked.join("store")).unwrap();
    let writer = GraphWriter::open(folder, BASE, &third, false).unwrap();
    assert!(writer.is_complete() && writer.state().differences.is_empty());
    drop(writer);
    assert_eq!(names(folder), [".lock", "notes.txt", "store"]);

    let writer = GraphWriter::open(folder, BASE, &other, true).unwrap();
    assert!(
        writer.done().is_empty() && writer.state().kept.is_empty(),
        "a fresh one remembers nothing"
    );
    drop(writer);
    assert_eq!(names(folder), [".lock", "notes.txt", "store"]);
    assert_eq!(fs::read(folder.join("notes.txt")).unwrap(), b"mine");
}

/// One of a layout before this one is made anew, from what it keeps.
#[test]
fn a_store_of_another_layout_is_read_and_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path());
    commit_kept(&mut writer, 5, b"old");
    writer.finish(None).unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let parts = Some(kgb::SIGNATURE_PARTS);
    let said = store.quads_for_pattern(None, parts, None, None).next().unwrap().unwrap();
    let Term::Literal(text) = &said.object else { panic!("{said} is no JSON") };
    let older = text.value().replace(",\"layout of the store\":\"2\"", "");
    assert_ne!(older, text.value());
    store.remove(&said).unwrap();
    let older = Literal::new_typed_literal(older, rdf::JSON);
    store.insert(&Quad::new(said.subject, said.predicate, older, said.graph_name)).unwrap();
    drop(store);

    let mut writer = open(folder.path());
    let [difference] = &writer.state().differences[..] else { panic!("one part differs") };
    assert_eq!((&*difference.part, &difference.was), ("layout of the store", &None));
    assert!(!writer.is_complete() && writer.done().is_empty());
    assert_eq!(kept(&writer, 5).unwrap(), b"old");
    commit_kept(&mut writer, 5, b"old");
    writer.finish(None).unwrap();
    assert!(open(folder.path()).is_complete());
}

/// A copy of a store is its maker's, whatever its name; a folder with someone's files has no successor.
#[test]
fn copies_of_stores_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut writer = open(folder);
    commit(&mut writer, 0, 1).unwrap();
    drop(writer);
    for name in ["store-1", ".next-1"] {
        copy(&folder.join("store"), &folder.join(name));
    }
    let other = run(&[("ontology", "9999")]);
    GraphWriter::open(folder, BASE, &other, false).unwrap().finish(None).unwrap();
    assert_eq!(names(folder), [".lock", ".next-", "store", "store-1"]);
    assert!(ask(&open_for_reading(&folder.join("store-1")).unwrap(), "wd:Q0 ?p ?o"));

    fs::write(folder.join("store/notes.txt"), "mine").unwrap();
    let error = GraphWriter::open(folder, BASE, &default_run(), false).err().unwrap();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert_eq!(names(folder), [".lock", ".next-", "store", "store-1"], "before anything is done");
}

#[test]
fn two_writers_of_one_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    let second = GraphWriter::open(folder.path(), BASE, &default_run(), true);
    assert!(matches!(second, Err(Error::InUse { .. })));
    drop(writer);
    open(folder.path());
}

#[test]
fn what_kgbuild_did_not_make_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    for fresh in [false, true] {
        let refused = || {
            let result = GraphWriter::open(folder.path(), BASE, &default_run(), fresh);
            matches!(result, Err(Error::Foreign { .. }))
        };
        fs::write(&store, "a file").unwrap();
        assert!(refused(), "a file");
        fs::remove_file(&store).unwrap();

        fs::create_dir(&store).unwrap();
        fs::write(store.join("thesis.doc"), "ten years").unwrap();
        assert!(refused(), "another folder");
        assert_eq!(fs::read(store.join("thesis.doc")).unwrap(), b"ten years");
        fs::remove_dir_all(&store).unwrap();

        drop(Store::open(&store).unwrap());
        assert!(refused(), "another program's store");
        fs::remove_dir_all(&store).unwrap();
    }
    fs::create_dir(&store).unwrap();
    open(folder.path());
}

#[test]
fn leftovers_of_a_killed_creation_are_cleared_and_nothing_like_them() {
    let folder = tempfile::tempdir().unwrap();
    let killed = crate::files::Scratch::new(folder.path(), ".store-").unwrap();
    fs::create_dir(killed.path().join("new")).unwrap();
    fs::write(killed.path().join("new/000004.log"), "torn").unwrap();
    let mine = [".store-new/CURRENT", ".store-old/thesis.doc", ".store-abc123/new/000004.log"];
    for name in mine {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    for fresh in [false, true] {
        let opened = GraphWriter::open(folder.path(), BASE, &default_run(), fresh);
        drop(opened.unwrap());
        assert!(!killed.path().exists());
        for name in mine {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"mine");
        }
    }
}

#[test]
fn a_store_with_someones_file_in_it_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    commit(&mut open(folder.path()), 0, 2).unwrap();
    let fresh = || GraphWriter::open(folder.path(), BASE, &default_run(), true);
    fs::write(store.join("notes.txt"), "mine").unwrap();
    let error = fresh().err().unwrap().to_string();
    assert!(error.contains("store/notes.txt"), "{error}");
    assert_eq!(fs::read(store.join("notes.txt")).unwrap(), b"mine");
    assert_eq!(open(folder.path()).done().len(), 1, "it still goes on");

    fs::remove_file(store.join("notes.txt")).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&store, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &store).unwrap();
    assert!(matches!(fresh(), Err(Error::Foreign { .. })), "a link");
    assert_eq!(open(folder.path()).done().len(), 1, "it still goes on");
    fs::remove_dir_all(&elsewhere).unwrap();
    for fresh in [false, true] {
        let opened = GraphWriter::open(folder.path(), BASE, &default_run(), fresh);
        assert!(matches!(opened, Err(Error::Foreign { .. })), "a link to nothing");
    }
    assert!(store.is_symlink() && !elsewhere.exists());
    fs::remove_file(&store).unwrap();
    drop(open(folder.path()));
    assert!(fresh().unwrap().done().is_empty(), "what is ours alone is replaced");
}

/// A folder as a power cut leaves it, which takes with it what RocksDB's logs have not brought to the
/// disk; none where RocksDB, which tidies up on threads of its own, changed its files meanwhile.
fn power_cut(folder: &Path) -> Option<tempfile::TempDir> {
    let (store, cut) = (folder.join("store"), tempfile::tempdir().unwrap());
    let copies = cut.path().join("store");
    fs::create_dir(&copies).unwrap();
    let names = || -> BTreeMap<_, u64> {
        let entries = fs::read_dir(&store).unwrap().map(Result::unwrap);
        entries.filter_map(|e| Some((e.file_name(), e.metadata().ok()?.len()))).collect()
    };
    let before = names();
    for name in before.keys() {
        let copy = copies.join(name);
        if copy.extension().is_some_and(|extension| extension == "log") {
            fs::write(copy, "").unwrap();
        } else if let Err(error) = fs::copy(store.join(name), &copy) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
            return None;
        }
    }
    // Long enough that what is tidied up now shows.
    std::thread::sleep(std::time::Duration::from_millis(200));
    (names() == before).then_some(cut)
}

#[test]
fn what_must_be_durable_is_on_the_disk_after_its_chunk() {
    for (durability, kept) in [(Durability::Periodic, 0), (Durability::Chunk, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = open(folder.path()).with_durability(durability);
        for index in 0..3 {
            commit(&mut writer, index, 2).unwrap();
        }
        let cut =
            (0..50).find_map(|_| power_cut(folder.path())).expect("a store that stands still");
        drop(writer);
        // The same run, whatever its durability.
        let mut after = open(cut.path());
        assert_eq!(after.done().len(), kept, "{durability:?}");
        for index in 0..3 {
            commit(&mut after, index, 2).unwrap();
        }
        assert_eq!(graph(after.store()), graph(open(folder.path()).store()), "{durability:?}");
    }
}

#[test]
fn an_output_folder_that_cannot_be_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let result = GraphWriter::open(&file.join("out"), BASE, &default_run(), false);
    assert!(matches!(result, Err(Error::Folder { .. })));
}

#[test]
fn invalid_assertions_leave_nothing_of_their_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path());
    let empty = graph(writer.store());
    let (subject, object) = (entity(1), entity(2));
    let good = Assertion {
        subject: &subject,
        relation: CAPITAL,
        object: Object::Entity(&object),
        confidence: 0.5,
        corrected: None,
        finetuned: None,
        base: None,
        ambiguous: false,
    };
    for bad in [
        Assertion { confidence: f64::NAN, ..good.clone() },
        Assertion { confidence: 1.0 + 1e-9, ..good.clone() },
        Assertion { base: Some(-0.1), ..good.clone() },
        Assertion { finetuned: Some(f64::INFINITY), ..good.clone() },
        Assertion { object: Object::Entity("no IRI"), ..good.clone() },
        Assertion { subject: "relative", ..good.clone() },
    ] {
        let record = ChunkRecord {
            chunk: chunk(0),
            assertions: vec![good.clone(), bad],
            entities: vec![],
            statistics: serde_json::Value::Null,
            kept: Vec::new(),
            candidates: serde_json::Value::Null,
        };
        let error = writer.commit(&record).unwrap_err();
        assert!(matches!(error, Error::Probability { .. } | Error::Iri { .. }), "{error}");
        assert_eq!(graph(writer.store()), empty);
        assert!(writer.done().is_empty());
    }
}

#[test]
fn probabilities_are_short_decimals() {
    let written = |value| probability("confidence", value).map(|l| l.value().to_owned()).unwrap();
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.93, "0.93"),
        (0.1 + 0.2, "0.3"),
        (1.0 / 3.0, "0.333333"),
        (0.999_999_9, "1"),
        (4e-7, "0.0000004"),
        (1.234_56e-9, "0.000000001235"),
        (1e-40, "0"),
    ] {
        assert_eq!(written(value), expected);
    }
}

proptest! {
    #[test]
    fn a_probability_is_kept_to_half_a_unit_of_its_last_place(value in 0.0..=1.0) {
        let literal = probability("confidence", value).unwrap();
        let read: f64 = literal.value().parse().unwrap();
        prop_assert!((read - value).abs() <= 0.5e-6 + 1e-15);
    }
}

/// Name, length and time of change of every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.extend(files(&entry.path()));
        }
        found.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
    }
    found
}

/// Copies a folder: of a store that is being written, this is what a kill would leave.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn reading_changes_nothing_and_sees_what_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path());
    commit(&mut writer, 0, 5).unwrap();
    let expected = graph(writer.store());
    for path in [folder.path().to_owned(), folder.path().join("store")] {
        let reader = open_for_reading(&path).unwrap();
        assert_eq!(graph(&reader), expected, "beside the writer");
        assert!(reader.extend([statement(&writer.run, rdf::TYPE, kgb::RUN)]).is_err());
    }
    // The writer's own work in the background has an end, which tells a kill's leavings apart.
    std::thread::sleep(Duration::from_millis(300));
    let killed = tempfile::tempdir().unwrap();
    copy(&folder.path().join("store"), &killed.path().join("store"));
    drop(writer);
    for folder in [folder.path(), killed.path()] {
        let before = files(folder);
        assert_eq!(graph(&open_for_reading(folder).unwrap()), expected);
        assert_eq!(files(folder), before);
    }
    assert_eq!(graph(open(killed.path()).store()), expected);
}

#[test]
fn reading_what_is_not_there_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing")] {
        assert!(matches!(open_for_reading(&path), Err(Error::Missing { .. })));
    }
    assert_eq!(files(folder.path()), BTreeMap::new());
}

/// The description counts just what an export without annotations has.
#[test]
fn a_finished_graph_is_described_and_its_schema_kept() {
    let folder = tempfile::tempdir().unwrap();
    let capital = RelationSchema {
        iri: CAPITAL.to_owned(),
        label: Some("capital".to_owned()),
        domain: Vec::new(),
        range: RangeSchema::Entities(vec![vec![entity(5119)]]),
        max_objects: Some(1),
        irreflexive: false,
        unit: None,
        tolerance: None,
    };
    let schema = Schema { relations: vec![capital], classes: Vec::new() };
    let run = RunDescription { schema, ..default_run() };
    let mut writer = GraphWriter::open(folder.path(), BASE, &run, false).unwrap();
    commit(&mut writer, 0, 5).unwrap();
    assert!(!ask(writer.store(), "GRAPH kgb:description { ?s ?p ?o }"));
    writer.finish(None).unwrap();
    let store = &open_for_reading(folder.path()).unwrap();
    let include = Some(vec![Part::Labels, Part::Aliases]);
    let annotations = Some(Annotations::None);
    let mut out = Vec::new();
    let options =
        ExportOptions { include, annotations, ..ExportOptions::of(ExportFormat::NTriples) };
    export(store, &options, &mut out).unwrap();
    let triples = String::from_utf8(out).unwrap().lines().count();
    // Facts; labels of the subjects and the relation; the second name and the type of each.
    assert_eq!(triples, 5 + 6 + 5 + 5);
    assert!(ask(
        store,
        &format!(
            "GRAPH kgb:description {{
                ?dataset a void:Dataset, dcat:Dataset ; void:triples {triples} ; void:entities 5 ;
                    void:classes 1 ; void:properties 4 ; prov:wasGeneratedBy ?run ;
                    void:propertyPartition [ void:property wdt:P36 ; void:triples 5 ] ;
                    void:classPartition [ void:class wd:Q6256 ; void:entities 5 ] }}
             ?run a kgb:Run .
             GRAPH kgb:schema {{ wdt:P36 a owl:FunctionalProperty ; rdfs:range wd:Q5119 }}"
        )
    ));
}
