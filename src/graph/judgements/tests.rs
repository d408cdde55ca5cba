use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use oxigraph::io::RdfFormat;
use proptest::prelude::*;

use super::settle::{settle, settle_all};
use super::*;
use crate::graph::{
    Assertion, Chunk, ChunkRecord, Derivation, EntityDescription, GraphWriter, ModelDescription,
    Object, Origin, PredictedFact, RangeSchema, RelationSchema, RunDescription, Schema,
};

const CAPITAL: &str = "e:capital";
const OF: &str = "e:capitalOf";
/// Countries, predicted capitals, and confidences; the first has two.
const FACTS: [(&str, &str, f64); 4] =
    [("e:1", "e:a", 0.5), ("e:1", "e:b", 0.25), ("e:2", "e:c", 0.75), ("e:3", "e:d", 0.875)];

fn iri(text: &str) -> NamedNode {
    NamedNode::new(text).unwrap()
}

fn is_about_time(quad: &Quad) -> bool {
    [kgb::STARTED_AT_TIME, kgb::ENDED_AT_TIME].contains(&quad.predicate.as_ref())
}

/// The default graph but for times.
fn graph(store: &Store) -> BTreeSet<String> {
    let quads = store.quads_for_pattern(None, None, None, Some(GraphNameRef::DefaultGraph));
    let quads = quads.map(Result::unwrap).filter(|quad| !is_about_time(quad));
    quads.map(|quad| quad.to_string()).collect()
}

fn run(signature: &str) -> RunDescription {
    let relation = RelationSchema {
        iri: CAPITAL.to_owned(),
        label: None,
        domain: vec![],
        range: RangeSchema::Entities(vec![]),
        max_objects: None,
        irreflexive: false,
        unit: None,
        tolerance: None,
    };
    RunDescription {
        signature: [("all".to_owned(), signature.to_owned())].into(),
        base_model: Some(ModelDescription { source: "base".into(), sha256: "00".into() }),
        schema: Schema { relations: vec![relation], classes: vec![] },
        ..RunDescription::default()
    }
}

/// Makes the graph of a run in a folder, as it is or from anew.
fn made(folder: &Path, signature: &str, fresh: bool) {
    let mut writer = GraphWriter::open(folder, "e:g/", &run(signature), fresh).unwrap();
    let assertions = FACTS.iter().map(|&(subject, object, confidence)| Assertion {
        subject,
        relation: CAPITAL,
        object: Object::Entity(object),
        confidence,
        corrected: None,
        finetuned: None,
        base: Some(confidence / 2.0),
        ambiguous: false,
    });
    let entities = FACTS.iter().flat_map(|fact| [fact.0, fact.1]);
    let entities = entities.map(|iri| EntityDescription {
        iri,
        label: iri,
        aliases: vec![],
        types: vec!["e:T"],
    });
    writer
        .commit(&ChunkRecord {
            chunk: Chunk { relation: Arc::from(CAPITAL), index: 0 },
            assertions: assertions.collect(),
            entities: entities.collect(),
            statistics: serde_json::Value::Null,
            kept: vec![],
            candidates: serde_json::Value::Null,
        })
        .unwrap();
    writer.settle_judgements().unwrap();
    let mut predicted = Vec::new();
    writer.predicted(CAPITAL, None, &mut |fact| predicted.push(fact)).unwrap();
    fn derivation(fact: &PredictedFact) -> Derivation<'_> {
        let PredictedFact { subject, object, annotation, confidence, .. } = fact;
        Derivation {
            subject: object,
            relation: OF,
            object: Object::Entity(subject),
            confidence: *confidence,
            origins: vec![Origin::Predicted(annotation)],
        }
    }
    let derived: Vec<Derivation<'_>> = predicted.iter().map(derivation).collect();
    writer.derive(&derived, &[]).unwrap();
    writer.finish(None).unwrap();
}

fn judged(subject: &str, object: &str, verdict: Verdict) -> Judged {
    Judged {
        subject: iri(subject),
        relation: iri(CAPITAL),
        object: iri(object).into(),
        verdict,
        by: "Ann".to_owned(),
        drawn: "random".to_owned(),
        seen: 0,
    }
}

/// What is judged of the graph of [`FACTS`].
fn judge_all(folder: &Path) -> Vec<u64> {
    let mut judge = Judge::open(folder).unwrap();
    let all = [
        judged("e:1", "e:a", Verdict::Wrong),
        judged("e:2", "e:c", Verdict::Instead(iri("e:d").into())),
        judged("e:3", "e:d", Verdict::Right),
    ];
    all.into_iter().map(|own| judge.judge(own).unwrap().unwrap()).collect()
}

#[test]
fn judgements_win_and_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), "1", false);
    let mut judge = Judge::open(folder.path()).unwrap();
    let before = graph(judge.store());
    let fact = |subject: &str, relation: &str, object: &str| {
        format!("<{subject}> <{relation}> <{object}> .").replace(" .", "")
    };
    let has = |judge: &Judge, text: &str| graph(judge.store()).contains(text);
    let wrong = judge.judge(judged("e:1", "e:a", Verdict::Wrong)).unwrap().unwrap();
    assert!(
        !has(&judge, &fact("e:1", CAPITAL, "e:a")) && has(&judge, &fact("e:1", CAPITAL, "e:b"))
    );
    // What follows from it goes with it.
    assert!(!has(&judge, &fact("e:a", OF, "e:1")) && has(&judge, &fact("e:b", OF, "e:1")));
    // Who had not seen that is told.
    let other = judge.judge(judged("e:1", "e:b", Verdict::Right)).unwrap().unwrap_err();
    assert_eq!((other.number, &*other.by, &other.verdict), (wrong, "Ann", &Verdict::Wrong));
    let none = Judged { seen: wrong, ..judged("e:1", "e:b", Verdict::NoObject) };
    let none = judge.judge(none).unwrap().unwrap();
    assert!(!has(&judge, &fact("e:1", CAPITAL, "e:b")));
    let instead = judged("e:2", "e:c", Verdict::Instead(iri("e:d").into()));
    let instead = judge.judge(instead).unwrap().unwrap();
    assert!(
        !has(&judge, &fact("e:2", CAPITAL, "e:c")) && has(&judge, &fact("e:2", CAPITAL, "e:d"))
    );
    let right = judge.judge(judged("e:3", "e:d", Verdict::Right)).unwrap().unwrap();
    let of = |judge: &Judge, predicate| {
        let quads = judge.store().quads_for_pattern(None, Some(predicate), None, None);
        quads.map(|quad| quad.unwrap()).filter(|quad| quad.graph_name.is_default_graph()).count()
    };
    assert_eq!(of(&judge, kgb::JUDGED), 2);
    assert_eq!(judged_facts(judge.judgements()).len(), 3);
    drop(judge);
    let mut judge = Judge::open(folder.path()).unwrap();
    assert_eq!(judge.judgements().len(), 4);
    for number in [right, wrong, none, instead] {
        assert_eq!(judge.take_back(number).unwrap().unwrap().number, number);
    }
    assert_eq!(judge.take_back(right).unwrap(), None);
    assert_eq!(graph(judge.store()), before);
}

#[test]
fn a_graph_that_is_made_anew_is_judged_as_before() {
    let [before, after, fresh] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    made(before.path(), "1", false);
    judge_all(before.path());
    made(before.path(), "2", false);
    made(after.path(), "2", false);
    judge_all(after.path());
    made(fresh.path(), "2", false);
    judge_all(fresh.path());
    made(fresh.path(), "2", true);
    let is = |folder: &tempfile::TempDir| graph(Judge::open(folder.path()).unwrap().store());
    let derived_of_right = "<e:d> <e:capitalOf> <e:2>";
    // What follows from what is right instead is found by the next run; all else is there at once.
    assert!(!is(&after).contains(derived_of_right) && is(&before).contains(derived_of_right));
    let of_capitals = |folder: &tempfile::TempDir| -> BTreeSet<String> {
        let is_own = |text: &String| text.contains("<e:capital>") || text.contains("#judged>");
        is(folder).into_iter().filter(is_own).collect()
    };
    assert_eq!(of_capitals(&before), of_capitals(&after));
    assert_eq!(of_capitals(&after).iter().filter(|text| text.contains("#judged>")).count(), 2);
    assert_eq!(is(&before), is(&fresh));
}

/// A store with two questions, one of them of a functional relation.
fn small(is_functional: bool) -> Store {
    let turtle = "PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX kgb: <https://w3id.org/kgbuild#>
        PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> PREFIX e: <e:>
        e:s rdfs:label \"s\" . e:o1 rdfs:label \"o1\" . e:o2 rdfs:label \"o2\" .
        e:s e:r e:o1 ~ e:x1 {| kgb:confidence 0.5 ; kgb:baseProbability 0.125 |} .
        e:s e:r e:o2 ~ e:x2 {| kgb:confidence 0.25 |} .
        e:o1 e:q e:s ~ e:y1 {| kgb:confidence 0.5 ; prov:wasDerivedFrom e:x1 |} .
        e:o2 e:q e:s ~ e:y2 {| kgb:confidence 0.5 ; prov:wasDerivedFrom e:x1, e:x2 |} .";
    let store = Store::new().unwrap();
    store.load_from_slice(RdfFormat::Turtle, turtle.as_bytes()).unwrap();
    if is_functional {
        let class = kgb::FUNCTIONAL_PROPERTY;
        store.insert(&Quad::new(iri("e:r"), rdf::TYPE, class, kgb::SCHEMA)).unwrap();
    }
    store
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let object = prop_oneof![Just("e:o1"), Just("e:o2"), Just("e:o3")];
    prop_oneof![
        Just(Verdict::Right),
        Just(Verdict::Wrong),
        Just(Verdict::NoObject),
        object.prop_map(|object| Verdict::Instead(iri(object).into())),
    ]
}

/// Predicted facts, and what follows from them.
fn fact() -> impl Strategy<Value = (&'static str, &'static str, &'static str)> {
    prop_oneof![
        Just(("e:s", "e:r", "e:o1")),
        Just(("e:s", "e:r", "e:o2")),
        Just(("e:o1", "e:q", "e:s")),
        Just(("e:o2", "e:q", "e:s")),
    ]
}

proptest! {
    /// Whatever is judged and taken back in whatever order, the graph is that of the judgements that are left.
    #[test]
    fn the_graph_is_that_of_the_judgements_that_are_left(
        is_functional: bool,
        steps in prop::collection::vec((fact(), verdict(), any::<bool>()), 1..8),
    ) {
        let store = small(is_functional);
        let mut judgements: Vec<Judgement> = Vec::new();
        for (number, ((subject, relation, object), verdict, takes_back)) in steps.into_iter().enumerate() {
            let judgement = Judgement {
                number: number as u64 + 1,
                subject: iri(subject),
                relation: iri(relation),
                object: iri(object).into(),
                verdict,
                by: "Ann".to_owned(),
                at: "2026-12-01T00:00:00Z".to_owned(),
                drawn: "random".to_owned(),
            };
            let mut question = judgement.question();
            match takes_back && !judgements.is_empty() {
                true => {
                    let gone = judgements.remove(number % judgements.len());
                    quads("e:", &gone).iter().for_each(|quad| store.remove(quad).unwrap());
                    question = gone.question();
                }
                false => {
                    store.extend(quads("e:", &judgement)).unwrap();
                    judgements.push(judgement);
                }
            }
            settle(&store, &question).unwrap();
        }
        let fresh = small(is_functional);
        fresh.extend(judgements.iter().flat_map(|own| quads("e:", own))).unwrap();
        prop_assert_eq!(&super::judgements(&fresh).unwrap(), &judgements);
        settle_all(&fresh).unwrap();
        prop_assert_eq!(graph(&store), graph(&fresh));
    }
}
