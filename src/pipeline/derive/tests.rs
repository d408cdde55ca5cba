use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::facts::ObjectsOf;
use crate::graph::{Assertion, Chunk, ChunkRecord, RunDescription};

const PREFIXES: &str = "@prefix : <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
    @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix kgb: <https://w3id.org/kgbuild#> .\n";

/// Subject, relation, object and confidence in hundredths.
type Fact = (&'static str, &'static str, &'static str, u32);

fn iri(name: &str) -> String {
    format!("http://e/{name}")
}

fn ontology(folder: &Path, text: &str) -> Ontology {
    let file = folder.join("o.ttl");
    std::fs::write(&file, format!("{PREFIXES}{text}")).unwrap();
    Ontology::read(&[file]).unwrap().0
}

fn known(folder: &Path, text: &str, ontology: &Ontology) -> Facts {
    let file = folder.join("known.ttl");
    std::fs::write(&file, format!("{PREFIXES}{text}")).unwrap();
    Facts::read(&[file], ObjectsOf::Ontology(ontology)).unwrap().0
}

fn commit(writer: &mut GraphWriter, index: usize, (subject, relation, object, hundredths): Fact) {
    let [subject, relation, object] = [subject, relation, object].map(iri);
    let assertion = Assertion {
        subject: &subject,
        relation: &relation,
        object: Object::Entity(&object),
        confidence: f64::from(hundredths) / 100.0,
        corrected: None,
        finetuned: None,
        base: Some(0.5),
        ambiguous: false,
    };
    let record = ChunkRecord {
        chunk: Chunk { relation: Arc::from("http://e/all"), index: index as u64 },
        assertions: vec![assertion],
        entities: Vec::new(),
        statistics: serde_json::json!({}),
        kept: Vec::new(),
        candidates: serde_json::Value::Null,
    };
    writer.commit(&record).unwrap();
}

/// What a graph derives: `subject relation object confidence`, and how many triples each follows from.
fn derived(rules: &str, given: &str, predicted: &[Fact], times: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let ontology = ontology(folder.path(), rules);
    let known = known(folder.path(), given, &ontology);
    let out = folder.path().join("out");
    let run = RunDescription::default();
    let mut writer = GraphWriter::open(&out, "urn:x:", &run, false).unwrap();
    for (index, fact) in predicted.iter().enumerate() {
        commit(&mut writer, index, *fact);
    }
    let deriving = Deriving { ontology: &ontology, known: Some(&known), described: &|_| None };
    for _ in 0..times {
        assert!(deriving.derive(&mut writer, &AtomicBool::new(false)).unwrap());
    }
    let query = "PREFIX kgb: <https://w3id.org/kgbuild#> PREFIX prov: <http://www.w3.org/ns/prov#>
        SELECT ?s ?p ?o ?c (COUNT(?from) AS ?n) {
            ?s ?p ?o ~ ?r {| kgb:confidence ?c ; prov:wasDerivedFrom ?from |} .
            ?from <http://www.w3.org/1999/02/22-rdf-syntax-ns#reifies> ?triple
        } GROUP BY ?s ?p ?o ?c";
    let mut table = Vec::new();
    let options = crate::graph::QueryOptions {
        format: crate::graph::ResultFormat::Csv,
        ..Default::default()
    };
    crate::graph::query(writer.store(), query, options, &mut table).unwrap();
    let text = String::from_utf8(table).unwrap().replace("http://e/", "");
    let mut rows: Vec<String> =
        text.lines().skip(1).map(|row| row.trim().replace(',', " ")).collect();
    rows.sort_unstable();
    assert_eq!(rows.len(), writer.derived().unwrap(), "each fact is derived once");
    rows
}

#[test]
fn inverses_have_the_confidence_of_what_they_follow_from() {
    let rules = ":capital owl:inverseOf :capitalOf . :capitalOf rdfs:subPropertyOf :in .";
    let facts = [("fr", "capital", "paris", 90), ("de", "capital", "berlin", 80)];
    let expected = [
        "berlin capitalOf de 0.8 1",
        "berlin in de 0.8 1",
        "paris capitalOf fr 0.9 1",
        "paris in fr 0.9 1",
    ];
    assert_eq!(derived(rules, "", &facts, 1), expected);
    // Whatever is done again, as after a kill.
    assert_eq!(derived(rules, "", &facts, 3), expected);
}

#[test]
fn what_was_predicted_itself_stays_and_the_best_origin_counts() {
    let rules = ":borders a owl:SymmetricProperty . :near a owl:SymmetricProperty . :borders rdfs:subPropertyOf :near .";
    let facts = [
        ("a", "borders", "b", 90),
        ("b", "borders", "a", 40),
        ("c", "borders", "a", 70),
        ("a", "near", "c", 20),
    ];
    // Both sides of a and b are predicted; that they are near follows from the surer one.
    let expected = ["a borders c 0.7 1", "a near b 0.9 1", "b near a 0.9 1", "c near a 0.7 1"];
    assert_eq!(derived(rules, "", &facts, 2), expected);
    // Two origins that are equally sure.
    let equal = [("a", "borders", "b", 60), ("b", "borders", "a", 60)];
    assert_eq!(derived(rules, "", &equal, 1), ["a near b 0.6 2", "b near a 0.6 2"]);
}

#[test]
fn bounds_hold_and_a_subjects_own_objects_come_first() {
    let rules = ":capital owl:inverseOf :capitalOf . :capital a owl:FunctionalProperty .
                 :likes owl:inverseOf :likedBy ; kgb:maxObjects 2 ; a owl:IrreflexiveProperty .";
    let facts = [
        ("paris", "capitalOf", "fr", 60),
        ("lyon", "capitalOf", "fr", 80),
        ("nice", "capitalOf", "it", 50),
        ("it", "capital", "rome", 30),
        ("a", "likedBy", "x", 50),
        ("b", "likedBy", "x", 50),
        ("c", "likedBy", "x", 70),
        ("x", "likedBy", "x", 99),
    ];
    let expected =
        ["rome capitalOf it 0.3 1", "fr capital lyon 0.8 1", "x likes a 0.5 1", "x likes c 0.7 1"];
    let mut expected = expected.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(derived(rules, "", &facts, 1), expected);
    // Known objects take a place too.
    let given = ":fr :capital :versailles .";
    let found = derived(rules, given, &facts[..2], 1);
    assert_eq!(found, ["versailles capitalOf fr 1 1"]);
}

#[test]
fn what_is_known_answers_by_what_follows() {
    let folder = tempfile::tempdir().unwrap();
    let rules = ":capital owl:inverseOf :capitalOf . :borders a owl:SymmetricProperty, owl:IrreflexiveProperty ;
                 kgb:template \"[X] [Y]\" . :seat rdfs:subPropertyOf :capital .
                 :founded rdfs:range <http://www.w3.org/2001/XMLSchema#boolean> ; owl:inverseOf :x ; kgb:template \"[X] [Y]\" .";
    let ontology = ontology(folder.path(), rules);
    let known = known(
        folder.path(),
        ":paris :capitalOf :fr . :a :borders :b . :c :borders :c . :nl :seat :hague . :fr :founded true .",
        &ontology,
    );
    let answered = answered(&known, &ontology);
    let of = |relation: &str| {
        let mut subjects: Vec<&str> = answered
            .get(iri(relation).as_str())
            .into_iter()
            .flatten()
            .map(|subject| subject.rsplit('/').next().unwrap())
            .collect();
        subjects.sort_unstable();
        subjects
    };
    assert_eq!(of("capital"), ["fr", "nl"]);
    assert_eq!(of("capitalOf"), ["hague", "paris"]);
    assert_eq!(of("borders"), ["a", "b", "c"]);
    assert_eq!((of("founded"), of("x")), (vec!["fr"], vec![]));
}

#[test]
fn work_that_is_stopped_writes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let ontology = ontology(folder.path(), ":r a owl:SymmetricProperty .");
    let run = RunDescription::default();
    let mut writer = GraphWriter::open(&folder.path().join("out"), "urn:x:", &run, false).unwrap();
    commit(&mut writer, 0, ("a", "r", "b", 50));
    let deriving = Deriving { ontology: &ontology, known: None, described: &|_| None };
    assert!(!deriving.derive(&mut writer, &AtomicBool::new(true)).unwrap());
    assert_eq!(writer.derived().unwrap(), 0);
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const RELATIONS: [&str; 4] = ["p", "q", "r", "s"];

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let fact = (0usize..4, 0usize..4, 0usize..4, 1u32..100);
    let facts = prop::collection::vec(fact, 0..12);
    facts.prop_map(|facts| {
        let mut seen = BTreeSet::new();
        facts
            .into_iter()
            .filter(|(s, p, o, _)| seen.insert((*s, *p, *o)))
            .map(|(s, p, o, c)| (NAMES[s], RELATIONS[p], NAMES[o], c))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// The order of chunks changes nothing, and what is derived is the fixpoint of single steps.
    #[test]
    fn order_changes_nothing(
        facts in facts(),
        steps in prop::collection::vec((0usize..4, 0usize..4, any::<bool>()), 1..5),
    ) {
        let rules: String = steps
            .iter()
            .map(|(p, q, inverse)| match inverse {
                true => format!(":{} owl:inverseOf :{} .\n", RELATIONS[*p], RELATIONS[*q]),
                false => format!(":{} rdfs:subPropertyOf :{} .\n", RELATIONS[*p], RELATIONS[*q]),
            })
            .collect();
        let mut expected: BTreeMap<(&str, &str, &str), u32> =
            facts.iter().map(|(s, p, o, c)| ((*s, *p, *o), *c)).collect();
        loop {
            let before = expected.clone();
            for ((s, p, o), c) in &before {
                let mut add = |key, confidence: u32| {
                    let known = expected.entry(key).or_insert(confidence);
                    *known = (*known).max(confidence);
                };
                for (one, other, inverse) in &steps {
                    if RELATIONS[*one] == *p {
                        let (s, o) = if *inverse { (*o, *s) } else { (*s, *o) };
                        add((s, RELATIONS[*other], o), *c);
                    }
                    if *inverse && RELATIONS[*other] == *p {
                        add((*o, RELATIONS[*one], *s), *c);
                    }
                }
            }
            if expected == before {
                break;
            }
        }
        let predicted: BTreeSet<_> = facts.iter().map(|(s, p, o, _)| (*s, *p, *o)).collect();
        let mut expected: Vec<String> = expected
            .into_iter()
            .filter(|(key, _)| !predicted.contains(key))
            .map(|((s, p, o), c)| format!("{s} {p} {o} {}", f64::from(c) / 100.0))
            .collect();
        expected.sort_unstable();
        let without_count = |rows: Vec<String>| -> Vec<String> {
            rows.iter().map(|row| row.rsplit_once(' ').unwrap().0.to_owned()).collect()
        };
        let found = derived(&rules, "", &facts, 1);
        prop_assert_eq!(without_count(found.clone()), expected);
        let mut turned = facts;
        turned.reverse();
        prop_assert_eq!(derived(&rules, "", &turned, 1), found);
    }
}
