use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::graph::{
    Assertion, Chunk, ChunkRecord, Derivation, EntityDescription, ExportFormat, ExportOptions,
    GraphWriter, Object, Origin, Part as Included, RelationSchema, RunDescription, Schema, export,
    open_for_reading,
};

const CAPITAL: &str = "http://www.wikidata.org/prop/direct/P36";
const BORDER: &str = "http://www.wikidata.org/prop/direct/P47";

/// What a run predicts: by subject, an object, the confidence in hundredths, and the version of its label.
#[derive(Clone, Debug, PartialEq)]
struct State {
    facts: BTreeMap<u64, (u64, u32, u32)>,
    /// Whether borders follow from the first fact, or from one that is known.
    derived: Option<bool>,
    schema: bool,
    base: bool,
}

fn entity(number: u64) -> String {
    format!("http://www.wikidata.org/entity/Q{number}")
}

/// Makes the graph in the folder the state's, and gives it as lines, with its times.
fn make(folder: &Path, number: usize, state: &State) -> String {
    let schema = match state.schema {
        true => Schema::default(),
        false => Schema { relations: vec![relation()], classes: Vec::new() },
    };
    let signature = BTreeMap::from([("state".to_owned(), format!("{number} {state:?}"))]);
    let description = RunDescription { signature, schema, ..RunDescription::default() };
    let base = if state.base { "urn:one:" } else { "https://example.org/two/" };
    let mut writer = GraphWriter::open(folder, base, &description, false).unwrap();
    writer.because(&format!("state {number}")).unwrap();
    let pairs: Vec<[String; 2]> =
        state.facts.iter().map(|(&s, &(o, ..))| [entity(s), entity(100 + o)]).collect();
    let labels: Vec<String> =
        state.facts.iter().map(|(s, (.., version))| format!("Entity {s}.{version}")).collect();
    let confidences = state.facts.values().map(|&(_, hundredths, _)| f64::from(hundredths) / 100.0);
    let assertions =
        pairs.iter().zip(confidences).map(|([subject, object], confidence)| Assertion {
            subject,
            relation: CAPITAL,
            object: Object::Entity(object),
            confidence,
            corrected: None,
            finetuned: Some(0.5),
            base: None,
            ambiguous: false,
        });
    let entities = pairs.iter().zip(&labels).map(|([iri, _], label)| EntityDescription {
        iri,
        label,
        aliases: Vec::new(),
        types: vec!["http://www.wikidata.org/entity/Q6256"],
    });
    writer
        .commit(&ChunkRecord {
            chunk: Chunk { relation: Arc::from(CAPITAL), index: 0 },
            assertions: assertions.collect(),
            entities: entities.collect(),
            statistics: serde_json::Value::Null,
            kept: Vec::new(),
            candidates: serde_json::Value::Null,
        })
        .unwrap();
    derive(&mut writer, state);
    writer.finish(Some(&|fact| format!("{:?} {}", fact.instead, fact.derived))).unwrap();
    lines(&open_for_reading(folder).unwrap())
}

/// Writes the borders that follow, if some do.
fn derive(writer: &mut GraphWriter, state: &State) {
    let mut predicted = Vec::new();
    writer.predicted(CAPITAL, None, &mut |fact| predicted.push(fact)).unwrap();
    predicted.sort_by(|a, b| a.subject.cmp(&b.subject));
    let (one, two) = (entity(1), entity(2));
    if let (Some(of_known), Some(first)) = (state.derived, predicted.first()) {
        let origin = match of_known {
            true => Origin::Known { subject: &two, relation: BORDER, object: Object::Entity(&one) },
            false => Origin::Predicted(&first.annotation),
        };
        let derivation = Derivation {
            subject: &one,
            relation: BORDER,
            object: Object::Entity(&two),
            confidence: first.confidence,
            origins: vec![origin],
        };
        writer.derive(&[derivation], &[]).unwrap();
    }
}

fn relation() -> RelationSchema {
    RelationSchema {
        iri: CAPITAL.to_owned(),
        label: Some("capital".to_owned()),
        domain: Vec::new(),
        range: crate::graph::RangeSchema::Entities(Vec::new()),
        max_objects: Some(1),
        irreflexive: false,
        unit: None,
        tolerance: None,
    }
}

fn lines(store: &Store) -> String {
    let all = vec![Included::Schema, Included::Labels, Included::Aliases, Included::Provenance];
    let options = ExportOptions { include: Some(all), ..ExportOptions::of(ExportFormat::NQuads) };
    // Shapes have names by the run too.
    let shapes = ExportOptions { shapes: true, ..ExportOptions::of(ExportFormat::NTriples) };
    let mut out = Vec::new();
    export(store, &options, &mut out).unwrap();
    let has_schema = store.contains_named_graph(kgb::SCHEMA).unwrap();
    assert_eq!(export(store, &shapes, &mut out).is_ok(), has_schema);
    String::from_utf8(out).unwrap()
}

/// A state's facts with what is said of them, by subject, relation and object.
fn said(state: &State) -> BTreeMap<[String; 3], (f64, Option<bool>)> {
    let hundredths = |value: u32| f64::from(value) / 100.0;
    let mut said: BTreeMap<[String; 3], (f64, Option<bool>)> = state
        .facts
        .iter()
        .map(|(&s, &(o, c, _))| {
            ([entity(s), CAPITAL.to_owned(), entity(100 + o)], (hundredths(c), None))
        })
        .collect();
    let first = state.facts.iter().min_by_key(|(s, _)| entity(**s)).map(|(_, &(_, c, _))| c);
    if let (Some(of_known), Some(first)) = (state.derived, first) {
        let fact = [entity(1), BORDER.to_owned(), entity(2)];
        said.insert(fact, (hundredths(first), Some(of_known)));
    }
    said
}

fn states() -> impl Strategy<Value = Vec<State>> {
    let fact = (1u64..5, (0u64..3, 1u32..4, 0u32..2));
    let facts = proptest::collection::btree_map(fact.0, fact.1, 0..4);
    let state = (facts, any::<Option<bool>>(), any::<bool>(), any::<bool>());
    let state =
        state.prop_map(|(facts, derived, schema, base)| State { facts, derived, schema, base });
    proptest::collection::vec(state, 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Each run's graph can be had again, byte for byte, and what differs is what was changed.
    #[test]
    fn every_run_can_be_had_again(states in states()) {
        let folder = tempfile::tempdir().unwrap();
        let graphs: Vec<String> =
            states.iter().enumerate().map(|(at, state)| make(folder.path(), at, state)).collect();
        let store = open_for_reading(folder.path()).unwrap();
        let runs = runs(&store).unwrap();
        prop_assert_eq!(runs.len(), states.len());
        for ((at, graph), run) in graphs.iter().enumerate().zip(&runs) {
            prop_assert_eq!(run.number, at as u64 + 1);
            prop_assert_eq!(run.facts, said(&states[at]).len() as u64);
            let reason = (at > 0).then(|| format!("state {at}"));
            prop_assert_eq!(&run.reason, &reason);
            let past = PastGraph::after(&store, run).unwrap();
            let past = lines(past.store());
            prop_assert_eq!(&past, graph, "after run {}", run.number);
        }
        for (from, before) in runs.iter().zip(&states) {
            for (to, after) in runs.iter().zip(&states) {
                check_diff(&store, (from, &said(before)), (to, &said(after)))?;
            }
        }
    }
}

type Said = BTreeMap<[String; 3], (f64, Option<bool>)>;

fn check_diff(
    store: &Store,
    (from, before): (&RunEntry, &Said),
    (to, after): (&RunEntry, &Said),
) -> Result<(), TestCaseError> {
    let keys: BTreeSet<&[String; 3]> = before.keys().chain(after.keys()).collect();
    let differ = |fact: &[String; 3]| before.get(fact) != after.get(fact);
    let mut expected: Vec<([String; 3], Option<f64>, Option<f64>)> = keys
        .into_iter()
        .filter(|fact| differ(fact))
        .map(|fact| (fact.clone(), before.get(fact).map(|s| s.0), after.get(fact).map(|s| s.0)))
        .collect();
    let mut found = Vec::new();
    for change in diff(store, from, to).unwrap() {
        let is_explained = change.after.is_none() && from.number < to.number;
        prop_assert_eq!(change.reason.is_some(), is_explained, "{:?}", change);
        let fact = [change.subject, change.relation, change.object];
        found.push((fact, change.before, change.after));
    }
    // What a derived fact is derived from may change with its confidence the same.
    let is_same_derived = |line: &([String; 3], Option<f64>, Option<f64>)| {
        line.0[1] == BORDER && line.1.is_some() && line.1 == line.2
    };
    found.retain(|line| !is_same_derived(line));
    expected.retain(|line| !is_same_derived(line));
    found.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    prop_assert_eq!(found, expected, "from run {} to {}", from.number, to.number);
    Ok(())
}

#[test]
fn runs_are_named_and_facts_keep_their_reasons() {
    let state = |object, confidence| State {
        facts: BTreeMap::from([(1, (object, confidence, 0)), (2, (0, 50, 0))]),
        derived: None,
        schema: false,
        base: true,
    };
    let folder = tempfile::tempdir().unwrap();
    for (number, state) in [state(1, 60), state(2, 70), state(1, 60)].iter().enumerate() {
        // The third is the first again, and still a run of its own.
        make(folder.path(), number % 2, state);
    }
    let store = open_for_reading(folder.path()).unwrap();
    let runs = runs(&store).unwrap();
    assert_eq!(runs[0].run, runs[2].run);
    let numbers = runs.iter().map(|run| (run.facts, run.added, run.taken_back, run.changed));
    assert_eq!(numbers.collect::<Vec<_>>(), [(2, 2, 0, 0), (2, 1, 1, 0), (2, 1, 1, 0)]);
    assert_eq!(find_run(&runs, "2").unwrap().number, 2);
    assert_eq!(find_run(&runs, &runs[0].run).unwrap().number, 3, "the last of its name");
    let hash = runs[1].run.rsplit(':').next().unwrap();
    assert_eq!(find_run(&runs, hash).unwrap().number, 2);
    for wrong in ["0", "4", "first", ""] {
        assert!(matches!(find_run(&runs, wrong), Err(Error::NoRun { runs: 3, .. })), "{wrong}");
    }
    let changes = diff(&store, &runs[0], &runs[1]).unwrap();
    assert_eq!(changes.len(), 2);
    let gone = &changes[0];
    assert_eq!((gone.object.as_str(), gone.before, gone.after), (&*entity(101), Some(0.6), None));
    assert_eq!(gone.reason.as_deref(), Some(&*format!("Some({:?}) false", entity(102))));
    assert!(diff(&store, &runs[0], &runs[2]).unwrap().is_empty());
    assert_eq!(label_in_any_run(&store, &entity(1)).unwrap().unwrap(), "Entity 1.0");
}

#[test]
fn a_graph_without_a_history_has_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let state = State {
        facts: BTreeMap::from([(1, (1, 60, 0))]),
        derived: None,
        schema: false,
        base: true,
    };
    let graph = make(folder.path(), 0, &state);
    let with_history = runs(&open_for_reading(folder.path()).unwrap()).unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    store.clear_graph(kgb::HISTORY).unwrap();
    drop(store);
    let store = open_for_reading(folder.path()).unwrap();
    assert_eq!(runs(&store).unwrap(), with_history);
    assert_eq!(lines(PastGraph::after(&store, &with_history[0]).unwrap().store()), graph);
    drop(store);
    make(folder.path(), 1, &State { derived: Some(true), ..state });
    let store = open_for_reading(folder.path()).unwrap();
    let all = runs(&store).unwrap();
    assert_eq!((all.len(), &all[0]), (2, &with_history[0]));
    assert_eq!(lines(PastGraph::after(&store, &all[0]).unwrap().store()), graph);
}
