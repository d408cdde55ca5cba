use super::*;
use crate::graph::schema::{self, RangeSchema, RelationSchema, Schema};
use crate::graph::vocabulary as kgb;
use oxigraph::io::{JsonLdProfileSet, RdfFormat, RdfParser};
use oxigraph::model::vocab::{rdf, rdfs, xsd};
use oxigraph::model::{
    BlankNode, GraphName, GraphNameRef, Literal, NamedNode, NamedOrBlankNode, Quad, Term, Triple,
};
use proptest::prelude::*;
use std::collections::HashSet;

fn named(iri: &str) -> NamedNode {
    NamedNode::new(iri).unwrap()
}

fn store(triples: &[Triple]) -> Store {
    let store = Store::new().unwrap();
    store.extend(triples.iter().cloned().map(|t| t.in_graph(GraphName::DefaultGraph))).unwrap();
    store
}

fn load(turtle: &str) -> Store {
    let store = Store::new().unwrap();
    let head = "PREFIX : <http://example.org/> PREFIX kgb: <https://w3id.org/kgbuild#> \
                PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> \
                PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> \
                PREFIX owl: <http://www.w3.org/2002/07/owl#> \
                PREFIX prov: <http://www.w3.org/ns/prov#> \
                PREFIX skos: <http://www.w3.org/2004/02/skos/core#> ";
    store.load_from_slice(RdfFormat::Turtle, format!("{head}{turtle}").as_bytes()).unwrap();
    store
}

fn exported(store: &Store, format: ExportFormat, least: Option<f64>) -> String {
    written(store, ExportOptions { min_confidence: least, ..ExportOptions::of(format) })
}

fn written(store: &Store, options: ExportOptions) -> String {
    let mut out = Vec::new();
    export(store, &options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn default_graph(store: &Store) -> HashSet<Triple> {
    let quads = store.quads_for_pattern(None, None, None, Some(GraphNameRef::DefaultGraph));
    quads.map(|q| Triple::from(q.unwrap())).collect()
}

fn parsed(text: &str, format: RdfFormat) -> HashSet<Triple> {
    let quads = RdfParser::from_format(format).for_slice(text.as_bytes());
    let quads: Result<Vec<Quad>, _> = quads.collect();
    quads.unwrap_or_else(|e| panic!("{e}\n{text}")).into_iter().map(Triple::from).collect()
}

#[test]
fn turtle_is_laid_out_for_people() {
    let store = load(
        ":France rdfs:label \"France\" ; a :Country ; :capital :Paris ~ :r2 {| kgb:confidence 0.5 |}
           ~ :r1 {| kgb:finetunedProbability 1 ; kgb:confidence 0.93 |}, :Lyon ~ :r3 .
         :r4 rdf:reifies <<( :France :capital :Nice )>> ; kgb:confidence 0.1 .",
    );
    assert_eq!(
        exported(&store, ExportFormat::Turtle, None),
        r#"@prefix kgb: <https://w3id.org/kgbuild#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .

<http://example.org/France> a <http://example.org/Country> ;
    rdfs:label "France" ;
    <http://example.org/capital> <http://example.org/Lyon>
        ~ <http://example.org/r3> ,
        <http://example.org/Paris>
        ~ <http://example.org/r1> {|
            kgb:confidence 0.93 ;
            kgb:finetunedProbability 1 |}
        ~ <http://example.org/r2> {|
            kgb:confidence 0.5 |} .

<http://example.org/r4> rdf:reifies <<( <http://example.org/France> <http://example.org/capital> <http://example.org/Nice> )>> ;
    kgb:confidence 0.1 .
"#
    );
}

#[test]
fn the_ledger_is_not_exported() {
    let store = load(":a :b :c .");
    let hidden =
        Quad::new(named("http://example.org/x"), kgb::COMPLETE, Literal::from(true), kgb::LEDGER);
    store.insert(&hidden).unwrap();
    for format in [ExportFormat::Turtle, ExportFormat::NQuads, ExportFormat::NTriples] {
        assert!(!exported(&store, format, None).contains("example.org/x"));
    }
}

/// Both ways of annotating the same predictions: of :a (twice), :b, and one not asserted.
const PREDICTIONS: [&str; 2] = [
    ":a :p :o1 ~ :r1 {| kgb:confidence 0.9 |} ~ :r2 {| kgb:confidence 0.2 |} .
     :b :p :o2 ~ :r3 {| kgb:confidence 0.4 |} . :b :p :o1 ~ :r4 {| kgb:confidence 0.3 |} .
     :b :q :o1 ~ :r5 {| kgb:confidence 0.3 |} .",
    ":a :p :o1 . :r1 rdf:subject :a ; rdf:predicate :p ; rdf:object :o1 ; kgb:confidence 0.9 .
     :r2 rdf:subject :a ; rdf:predicate :p ; rdf:object :o1 ; kgb:confidence 0.2 .
     :b :p :o2 , :o1 ; :q :o1 .
     :r3 rdf:subject :b ; rdf:predicate :p ; rdf:object :o2 ; kgb:confidence 0.4 .
     :r4 rdf:subject :b ; rdf:predicate :p ; rdf:object :o1 ; kgb:confidence 0.3 .
     :r5 rdf:subject :b ; rdf:predicate :q ; rdf:object :o1 ; kgb:confidence 0.3 .",
];
const DESCRIPTIONS: &str = ":a rdfs:label \"a\" ; a :T . :b rdfs:label \"b\" ; a :T .
    :o1 rdfs:label \"o1\" . :o2 rdfs:label \"o2\" . :p rdfs:label \"p\" . :q rdfs:label \"q\" .
    :T rdfs:label \"type\" . :run a kgb:Run . :plain :says :something .";

#[test]
fn less_certain_predictions_go_with_all_that_is_about_them() {
    for predictions in PREDICTIONS {
        let store = load(&format!("{predictions} {DESCRIPTIONS}"));
        let lines = exported(&store, ExportFormat::NTriples, Some(0.5));
        for gone in ["/b>", "/o2>", "/q>", "/r3>", "/r4>", "/r5>"] {
            assert!(!lines.contains(gone), "{gone} in\n{lines}");
        }
        for kept in ["/a>", "/o1>", "/p>", "/r1>", "/r2>", "type", "/run>", "/plain>", "\"o1\""] {
            assert!(lines.contains(kept), "{kept} not in\n{lines}");
        }
        let turtle = exported(&store, ExportFormat::Turtle, Some(0.5));
        assert_eq!(parsed(&turtle, RdfFormat::Turtle), parsed(&lines, RdfFormat::NTriples));

        let all = exported(&store, ExportFormat::NTriples, None);
        assert_eq!(exported(&store, ExportFormat::NTriples, Some(0.3)), all);
        let middle = exported(&store, ExportFormat::NTriples, Some(0.35));
        assert!(middle.contains("/b>") && middle.contains("/o2>") && !middle.contains("/q>"));
    }
}

const ALL: [ExportFormat; 6] = [
    ExportFormat::Turtle,
    ExportFormat::TriG,
    ExportFormat::NTriples,
    ExportFormat::NQuads,
    ExportFormat::JsonLd,
    ExportFormat::RdfXml,
];

/// The quads of a file in a format.
fn quads(text: &str, format: ExportFormat) -> HashSet<Quad> {
    let format = match format {
        ExportFormat::Turtle => RdfFormat::Turtle,
        ExportFormat::TriG => RdfFormat::TriG,
        ExportFormat::NTriples => RdfFormat::NTriples,
        ExportFormat::NQuads => RdfFormat::NQuads,
        ExportFormat::RdfXml => RdfFormat::RdfXml,
        _ => RdfFormat::JsonLd { profile: JsonLdProfileSet::empty() },
    };
    let quads: Result<_, _> = RdfParser::from_format(format).for_slice(text.as_bytes()).collect();
    quads.unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Whatever way the store has them, annotations are written in the way that is asked for, in every format
/// that can carry it.
#[test]
fn annotations_are_chosen_at_export() {
    let of_type = ":r1 a rdf:Statement . :r2 a rdf:Statement . :r3 a rdf:Statement . \
                   :r4 a rdf:Statement . :r5 a rdf:Statement .";
    let [rdf12, reified] = PREDICTIONS.map(|predictions| format!("{predictions} {DESCRIPTIONS}"));
    let stores = [load(&rdf12), load(&format!("{reified} {of_type}"))];
    let asserted = load(&format!(":a :p :o1 . :b :p :o2 . :b :p :o1 . :b :q :o1 . {DESCRIPTIONS}"));
    let without_run = load(&format!(
        ":a :p :o1 . :b :p :o2 . :b :p :o1 . :b :q :o1 . {}",
        DESCRIPTIONS.replace(":run a kgb:Run . ", "")
    ));
    let in_default = |store: &Store| -> HashSet<Quad> {
        default_graph(store).into_iter().map(|t| t.in_graph(GraphName::DefaultGraph)).collect()
    };
    let mut in_graphs = in_default(&asserted);
    for quad in in_default(&stores[0]) {
        let subject = quad.subject.clone();
        match quad.object {
            Term::Triple(triple) => drop(in_graphs.insert(triple.in_graph(subject))),
            _ => drop(in_graphs.insert(quad)),
        }
    }
    let expected = [
        (Annotations::Rdf12, in_default(&stores[0])),
        (Annotations::Reification, in_default(&stores[1])),
        (Annotations::NamedGraph, in_graphs),
        (Annotations::None, in_default(&without_run)),
    ];
    for store in &stores {
        for format in ALL {
            for (annotations, expected) in &expected {
                let options =
                    ExportOptions { annotations: Some(*annotations), ..ExportOptions::of(format) };
                if format.annotations(Some(*annotations)).is_err() {
                    let refused = export(store, &options, &mut Vec::new()).unwrap_err();
                    assert!(matches!(refused, Error::Format { .. }), "{refused}");
                    continue;
                }
                let text = written(store, options);
                assert_eq!(&quads(&text, format), expected, "{format:?}, {annotations:?}: {text}");
            }
        }
    }
}

#[test]
fn prefixes_of_ones_own_shorten_iris() {
    let store = load(":a :p :o1 ~ :r1 {| kgb:confidence 0.9 |} .");
    let prefixes = vec![("ex".to_owned(), "http://example.org/".to_owned())];
    for format in ALL {
        let options = ExportOptions { prefixes: prefixes.clone(), ..ExportOptions::of(format) };
        let text = written(&store, options);
        let (with, without) =
            (text.matches("ex:").count(), text.matches("<http://example").count());
        match format {
            ExportFormat::Turtle | ExportFormat::TriG => {
                assert!(with >= 4 && without == 1, "{text}");
            }
            ExportFormat::RdfXml => assert!(with > 0, "{text}"),
            ExportFormat::JsonLd => {
                assert!(
                    text.starts_with("{\"@context\":{\"ex\":\"http://example.org/\","),
                    "{text}"
                );
                assert!(text.contains("{\"@id\":\"ex:a\",\"ex:p\":{\"@id\":\"ex:o1\"}}"), "{text}");
            }
            _ => assert_eq!(with, 0, "{text}"),
        }
    }
}

#[test]
fn tables_have_an_edge_for_each_prediction() {
    for predictions in PREDICTIONS {
        let store = load(&format!("{predictions} {DESCRIPTIONS}"));
        let lines = exported(&store, ExportFormat::Jsonl, Some(0.35));
        let edges: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let shown: Vec<_> = edges
            .iter()
            .map(|e| {
                (
                    e["subject"]["label"].as_str(),
                    e["object"]["label"].as_str(),
                    e["confidence"].as_f64(),
                )
            })
            .collect();
        let expected = [("a", "o1", 0.9), ("b", "o2", 0.4)];
        assert_eq!(shown, expected.map(|(s, o, c)| (Some(s), Some(o), Some(c))));

        let folder = tempfile::tempdir().unwrap();
        export_tables(&store, &ExportOptions::of(ExportFormat::Csv), folder.path()).unwrap();
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let nodes = "iri,label,types\n\
                     http://example.org/a,a,http://example.org/T\n\
                     http://example.org/b,b,http://example.org/T\n\
                     http://example.org/o1,o1,\nhttp://example.org/o2,o2,\n";
        assert_eq!(read("nodes.csv"), nodes);
        let edges = read("edges.csv");
        assert_eq!(edges.lines().count(), 5, "{edges}");
        assert!(edges.contains(
            "http://example.org/a,http://example.org/o1,p,http://example.org/p,0.9,,,,,\n"
        ));
        let graphml = exported(&store, ExportFormat::GraphMl, None);
        assert_eq!(graphml.matches("<edge ").count(), 4, "{graphml}");
        assert_eq!(graphml.matches("<node ").count(), 4, "{graphml}");
        let refused = export(&store, &ExportOptions::of(ExportFormat::Neo4j), &mut Vec::new());
        assert!(refused.unwrap_err().to_string().contains("two files"));
    }
}

#[test]
fn text_in_graphml_is_escaped() {
    let store =
        load(":a :p :b ~ :r {| kgb:confidence 0.5 |} . :a rdfs:label \"<&\\\"\\u0001\\t>\" .");
    let graphml = exported(&store, ExportFormat::GraphMl, None);
    assert!(
        graphml.contains("<data key=\"label\">&lt;&amp;&quot;\u{fffd}&#9;&gt;</data>"),
        "{graphml}"
    );
}

fn iris() -> impl Strategy<Value = NamedNode> {
    // Locals that need care after a prefix, in full, or both.
    let local = prop_oneof![
        "[a-zA-Z0-9_.:-]{0,4}",
        "[é한😀a%20~!$&'()*+,;=/?@#.-]{0,3}".prop_map(|s| s.replace('%', "%25")),
    ];
    let namespace = prop_oneof![
        Just("http://www.wikidata.org/entity/"),
        Just("http://www.wikidata.org/prop/direct/"),
        Just("http://www.w3.org/2001/XMLSchema#"),
        Just("http://example.org/"),
        Just("urn:x:"),
    ];
    (namespace, local)
        .prop_filter_map("not an IRI", |(n, l)| NamedNode::new(format!("{n}{l}")).ok())
}

fn nodes() -> impl Strategy<Value = NamedOrBlankNode> {
    prop_oneof![
        4 => iris().prop_map(NamedOrBlankNode::from),
        1 => "[a-z0-9]([a-z0-9._-]{0,3}[a-z0-9])?"
            .prop_map(|label| BlankNode::new(label).unwrap().into()),
    ]
}

fn literals() -> impl Strategy<Value = Literal> {
    let text = "[a\"'\\\\\\n\\r\\t\\x00\\x7f\u{85}\u{2028}é😀 .#]{0,6}";
    prop_oneof![
        text.prop_map(Literal::from),
        (text, "(en|de-CH|zh-Hant)")
            .prop_map(|(t, l)| Literal::new_language_tagged_literal(t, l).unwrap()),
        (text, iris()).prop_map(|(t, d)| Literal::new_typed_literal(t, d)),
        "[+-]?[0-9]{0,3}\\.?[0-9]{0,3}(e[0-9])?".prop_flat_map(|number| {
            prop::sample::select(vec![xsd::INTEGER, xsd::DECIMAL, xsd::DOUBLE, xsd::STRING])
                .prop_map(move |datatype| Literal::new_typed_literal(&number, datatype))
        }),
        prop::sample::select(vec!["true", "false", "1", "TRUE"])
            .prop_map(|b| Literal::new_typed_literal(b, xsd::BOOLEAN)),
    ]
}

fn predicates() -> impl Strategy<Value = NamedNode> {
    prop_oneof![
        6 => iris(),
        1 => Just(rdf::TYPE.into_owned()),
        1 => Just(rdfs::LABEL.into_owned()),
        1 => Just(kgb::CONFIDENCE.into_owned()),
        1 => Just(rdf::REIFIES.into_owned()),
    ]
}

fn triples() -> impl Strategy<Value = Triple> {
    let object = prop_oneof![nodes().prop_map(Term::from), literals().prop_map(Term::from)];
    (nodes(), predicates(), object).prop_map(|(s, p, o)| Triple::new(s, p, o))
}

/// Graphs with reifiers of asserted and other triples, shared reifiers, reifiers of reifiers.
fn graphs() -> impl Strategy<Value = Vec<Triple>> {
    let plain = prop::collection::vec(triples(), 1..12);
    let pick = any::<prop::sample::Index>;
    let reifications =
        prop::collection::vec((pick(), pick(), nodes(), any::<bool>(), triples()), 0..10);
    (plain, reifications).prop_map(|(mut graph, reifications)| {
        for (of, reuse, node, is_new, about) in reifications {
            let reified = graph[of.index(graph.len())].clone();
            let reifier =
                if is_new { node } else { graph[reuse.index(graph.len())].subject.clone() };
            graph.push(Triple::new(reifier.clone(), rdf::REIFIES, reified));
            graph.push(Triple::new(reifier.clone(), about.predicate.clone(), about.object.clone()));
            graph.push(Triple::new(reifier, rdf::REIFIES, about));
        }
        graph
    })
}

/// Graphs as the writer makes them: asserted triples, each with reifiers of its own.
fn annotated_graphs() -> impl Strategy<Value = Vec<Triple>> {
    let about = prop::collection::vec((nodes(), triples(), triples()), 0..3);
    prop::collection::vec((triples(), about), 1..6).prop_map(|annotated| {
        let mut graph = Vec::new();
        for (triple, about) in annotated {
            for (reifier, one, other) in about {
                graph.push(Triple::new(reifier.clone(), rdf::REIFIES, triple.clone()));
                graph.push(Triple::new(reifier.clone(), one.predicate, one.object));
                graph.push(Triple::new(reifier, other.predicate, other.object));
            }
            graph.push(triple);
        }
        graph
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn files_read_back_as_the_same_graph(graph in prop_oneof![graphs(), annotated_graphs()]) {
        let store = store(&graph);
        let expected = default_graph(&store);
        let turtle = exported(&store, ExportFormat::Turtle, None);
        prop_assert_eq!(&parsed(&turtle, RdfFormat::Turtle), &expected, "{}", turtle);
        let lines = exported(&store, ExportFormat::NTriples, None);
        prop_assert_eq!(&parsed(&lines, RdfFormat::NTriples), &expected, "{}", lines);
        let quads = exported(&store, ExportFormat::NQuads, None);
        prop_assert_eq!(&parsed(&quads, RdfFormat::NQuads), &expected);
    }

    /// Prefixes that end in no delimiter, that are also schemes, and IRIs that look as if they had one.
    #[test]
    fn json_ld_reads_back_whatever_the_prefixes(
        graph in prop::collection::vec(triples(), 0..12),
        prefixes in prop::collection::vec(
            (
                prop::sample::select(vec!["ex", "urn", "http", "x", "wd"]),
                prop::sample::select(vec!["http://example.org/", "urn:x:", "urn:x", "http://www.w3.org/2001/XMLSchema#s"]),
            ),
            0..4,
        ),
    ) {
        let store = store(&graph);
        let prefixes = prefixes.iter().map(|(name, iri)| ((*name).to_owned(), (*iri).to_owned()));
        let options = ExportOptions { prefixes: prefixes.collect(), ..ExportOptions::of(ExportFormat::JsonLd) };
        let text = written(&store, options);
        let profile = JsonLdProfileSet::empty();
        prop_assert_eq!(&parsed(&text, RdfFormat::JsonLd { profile }), &default_graph(&store), "{}", text);
    }

    #[test]
    fn the_same_graph_gives_the_same_bytes(graph in graphs()) {
        let mut other = graph.clone();
        other.reverse();
        other.extend(graph.iter().cloned());
        let (one, other) = (store(&graph), store(&other));
        for format in [ExportFormat::Turtle, ExportFormat::NQuads] {
            prop_assert_eq!(exported(&one, format, None), exported(&other, format, None));
        }
        let lines = exported(&one, ExportFormat::NQuads, None);
        let mut sorted: Vec<&str> = lines.lines().collect();
        sorted.sort_unstable();
        prop_assert_eq!(lines.lines().collect::<Vec<_>>(), sorted);
    }

    #[test]
    fn a_least_confidence_of_zero_leaves_nothing_out(graph in annotated_graphs()) {
        let graph: Vec<_> = graph.into_iter().filter(|t| t.predicate != kgb::CONFIDENCE).collect();
        let store = store(&graph);
        for format in [ExportFormat::Turtle, ExportFormat::NTriples] {
            prop_assert_eq!(exported(&store, format, Some(0.0)), exported(&store, format, None));
        }
    }
}

/// A store as a run makes it, with a schema in a graph of its own and other names.
fn with_schema() -> Store {
    let store = load(&format!(
        ":a :p :o1 ~ :r1 {{| kgb:confidence 0.9 ; prov:wasGeneratedBy :run |}} .
         :b :p :o2 ~ :r3 {{| kgb:confidence 0.4 ; prov:wasGeneratedBy :run |}} .
         {DESCRIPTIONS} :a skos:altLabel \"A\", \"a;1\" ."
    ));
    for (graph, text) in [
        (kgb::SCHEMA, ":p a owl:ObjectProperty ; rdfs:label \"p\" ; rdfs:range :T ."),
        (kgb::DESCRIPTION, ":data a :Dataset ; prov:wasGeneratedBy :run ."),
    ] {
        for quad in default_graph(&load(text)) {
            store.insert(quad.in_graph(graph).as_ref()).unwrap();
        }
    }
    store
}

#[test]
fn an_export_holds_what_is_included() {
    let store = with_schema();
    let lines = |include: Option<&[Part]>, annotations, min_confidence| {
        let include = include.map(<[Part]>::to_vec);
        let of = ExportOptions::of(ExportFormat::NQuads);
        written(&store, ExportOptions { include, annotations, min_confidence, ..of })
    };
    let parts = [
        (Part::Schema, "/p> <http://www.w3.org/2000/01/rdf-schema#range>"),
        (Part::Schema, "/data>"),
        (Part::Labels, "/a> <http://www.w3.org/2000/01/rdf-schema#label>"),
        (Part::Aliases, "\"A\""),
        (Part::Provenance, "wasGeneratedBy"),
        (Part::Provenance, "kgbuild#Run"),
    ];
    let all = [Part::Schema, Part::Labels, Part::Aliases, Part::Provenance];
    // Every subset.
    for number in 0..1 << all.len() {
        let chosen: Vec<Part> =
            (0..all.len()).filter(|at| number >> at & 1 == 1).map(|at| all[at]).collect();
        let text = lines(Some(&chosen), None, None);
        for (part, mark) in parts {
            assert_eq!(text.contains(mark), chosen.contains(&part), "{chosen:?}, {mark}: {text}");
        }
        assert!(text.contains("kgbuild#confidence") && text.contains("/T>"), "{text}");
        let all_lines: Vec<&str> = text.lines().collect();
        let unique: HashSet<&str> = all_lines.iter().copied().collect();
        assert_eq!(unique.len(), all_lines.len(), "twice: {text}");
        assert!(all_lines.is_sorted(), "{text}");
    }
    let usual = [Part::Labels, Part::Provenance];
    assert_eq!(lines(None, None, None), lines(Some(&usual), None, None));
    let none = Some(Annotations::None);
    assert_eq!(lines(None, none, None), lines(Some(&[Part::Labels]), none, None));
    assert_eq!(lines(Some(&[]), None, None), lines(Some(&[Part::None]), None, None));
    // The description counts all of the graph; the schema stays whatever is left out.
    let part = lines(Some(&all), None, Some(0.95));
    assert!(!part.contains("/data>") && part.contains("schema#range") && !part.contains("/a>"));
}

#[test]
fn turtle_with_everything_is_the_same_graph() {
    let store = with_schema();
    let include = Some(vec![Part::Schema, Part::Labels, Part::Aliases, Part::Provenance]);
    let expected: HashSet<Triple> = store.iter().map(|quad| quad.unwrap().into()).collect();
    for format in [ExportFormat::Turtle, ExportFormat::TriG, ExportFormat::NTriples] {
        let text = written(
            &store,
            ExportOptions { include: include.clone(), ..ExportOptions::of(format) },
        );
        let found: HashSet<Triple> = quads(&text, format).into_iter().map(Triple::from).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn tables_have_the_columns_of_what_is_included() {
    let store = with_schema();
    let folder = tempfile::tempdir().unwrap();
    let first = |format, include: &[Part], of: &str| {
        let to = folder.path().join(format!("{format:?}{include:?}"));
        std::fs::create_dir_all(&to).unwrap();
        let include = Some(include.to_vec());
        export_tables(&store, &ExportOptions { include, ..ExportOptions::of(format) }, &to)
            .unwrap();
        let text = std::fs::read_to_string(to.join(of)).unwrap();
        text.lines().take(2).map(str::to_owned).collect::<Vec<String>>()
    };
    let csv = ExportFormat::Csv;
    let nodes = |include: &[Part]| first(csv, include, "nodes.csv");
    assert_eq!(
        nodes(&[Part::Labels, Part::Aliases]),
        ["iri,label,aliases,types", "http://example.org/a,a,A|a;1,http://example.org/T"]
    );
    assert_eq!(nodes(&[]), ["iri,types", "http://example.org/a,http://example.org/T"]);
    let edges = first(csv, &[], "edges.csv");
    assert!(edges[0].starts_with("subject,object,relation,confidence"), "{edges:?}");
    let neo4j = first(ExportFormat::Neo4j, &[Part::Aliases], "nodes.csv");
    assert_eq!(
        neo4j,
        ["iri:ID,aliases:string[],:LABEL", "http://example.org/a,A,http://example.org/T"]
    );
    let edges = first(ExportFormat::Neo4j, &[], "edges.csv");
    assert!(edges[0].starts_with(":START_ID,:END_ID,:TYPE,iri,confidence:double"), "{edges:?}");
    let text = |format, include: &[Part]| {
        let include = Some(include.to_vec());
        written(&store, ExportOptions { include, ..ExportOptions::of(format) })
    };
    let jsonl = text(ExportFormat::Jsonl, &[Part::Aliases]);
    assert!(jsonl.contains("\"aliases\":[\"A\",\"a;1\"]") && !jsonl.contains("label"), "{jsonl}");
    let graphml = text(ExportFormat::GraphMl, &[Part::Aliases]);
    assert!(graphml.contains("A|a;1</data>") && !graphml.contains("label"), "{graphml}");
    for part in [Part::Schema, Part::Provenance] {
        let options =
            ExportOptions { include: Some(vec![part]), ..ExportOptions::of(ExportFormat::Jsonl) };
        let refused = export(&store, &options, &mut Vec::new()).unwrap_err();
        assert!(refused.to_string().starts_with("`jsonl` has no place for"), "{refused}");
    }
}

/// Lists, missing numbers and more rows than a group holds, as the library itself reads them.
#[test]
fn parquet_has_the_rows_of_csv() {
    use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
    let store = with_schema();
    let many = (0..70_000).flat_map(|n| {
        let subject = named(&format!("http://example.org/many/{n}"));
        let fact =
            Triple::new(subject, named("http://example.org/p"), named("http://example.org/o1"));
        let reifier = named(&format!("http://example.org/r/{n}"));
        let confidence = Literal::new_typed_literal("0.25", xsd::DECIMAL);
        let about = Triple::new(reifier.clone(), rdf::REIFIES, fact.clone());
        [fact, about, Triple::new(reifier, kgb::CONFIDENCE, confidence)]
    });
    store.extend(many.map(|triple| triple.in_graph(GraphName::DefaultGraph))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let include = Some(vec![Part::Labels, Part::Aliases]);
    let options = ExportOptions { include, ..ExportOptions::of(ExportFormat::Parquet) };
    export_tables(&store, &options, folder.path()).unwrap();
    let open = |name| {
        let file = std::fs::File::open(folder.path().join(name)).unwrap();
        SerializedFileReader::new(file).unwrap()
    };
    let edges = open("edges.parquet");
    assert_eq!(edges.num_row_groups(), 2);
    let rows: Vec<String> =
        edges.get_row_iter(None).unwrap().map(|r| r.unwrap().to_string()).collect();
    assert_eq!(rows.len(), 70_002);
    assert_eq!(
        rows[0],
        "{subject: \"http://example.org/a\", object: \"http://example.org/o1\", relation_label: \"p\", \
         relation: \"http://example.org/p\", confidence: 0.9, corrected_probability: null, \
         finetuned_probability: null, base_probability: null, lower: null, upper: null}"
    );
    let nodes = open("nodes.parquet");
    let rows: Vec<String> =
        nodes.get_row_iter(None).unwrap().take(2).map(|r| r.unwrap().to_string()).collect();
    assert_eq!(
        rows,
        [
            "{iri: \"http://example.org/a\", label: \"a\", aliases: [\"A\", \"a;1\"], \
             types: [\"http://example.org/T\"]}",
            "{iri: \"http://example.org/b\", label: \"b\", aliases: [], types: [\"http://example.org/T\"]}"
        ]
    );
}

/// Relations of entities, of years and of texts of a list.
fn bounded_relations() -> Schema {
    Schema {
        relations: vec![
            RelationSchema {
                iri: "http://www.wikidata.org/prop/direct/P47".to_owned(),
                label: Some("shares border with".to_owned()),
                domain: vec![vec!["http://www.wikidata.org/entity/Q6256".to_owned()]],
                range: RangeSchema::Entities(vec![
                    vec![kgb::THING.as_str().to_owned(), "http://example.org/A".to_owned()],
                    vec!["http://example.org/A".to_owned(), "http://example.org/B".to_owned()],
                ]),
                max_objects: Some(3),
                irreflexive: true,
                unit: None,
                tolerance: None,
            },
            RelationSchema {
                iri: "http://www.wikidata.org/prop/direct/P571".to_owned(),
                label: None,
                domain: Vec::new(),
                range: RangeSchema::Values {
                    datatype: xsd::G_YEAR.as_str().to_owned(),
                    bounds: Some(["-0043".to_owned(), "2030".to_owned()]),
                },
                max_objects: Some(1),
                irreflexive: false,
                unit: None,
                tolerance: None,
            },
            RelationSchema {
                iri: "http://www.wikidata.org/prop/direct/P462".to_owned(),
                label: None,
                domain: Vec::new(),
                range: RangeSchema::Texts(vec!["red".to_owned(), "green".to_owned()]),
                max_objects: None,
                irreflexive: false,
                unit: None,
                tolerance: None,
            },
        ],
        classes: Vec::new(),
    }
}

#[test]
fn shapes_are_of_what_the_schema_says() {
    let store = Store::new().unwrap();
    let options = ExportOptions { shapes: true, ..ExportOptions::of(ExportFormat::Turtle) };
    let refused = export(&store, &options, &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("there are no shapes"), "{refused}");
    store.extend(schema::quads(&bounded_relations()).unwrap()).unwrap();
    let text = written(&store, options.clone());
    println!("{text}");
    for part in [
        "sh:targetSubjectsOf wdt:P47",
        "sh:class wd:Q6256",
        "sh:maxCount 3",
        "sh:nodeKind sh:IRI",
        "sh:datatype xsd:gYear",
        "sh:pattern \"^(-00",
        "sh:in ( \"red\" \"green\" )",
        "sh:or ( [ sh:class <http://example.org/A> ] [ sh:class <http://example.org/B> ] )",
        "sh:property [ sh:disjoint wdt:P47 ; sh:path [ sh:zeroOrOnePath owl:sameAs ] ]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Of everything that there is nothing has to be said.
    assert!(!text.contains("owl:Thing") && text.matches("sh:or ").count() == 1, "{text}");
    let expected = quads(&text, ExportFormat::Turtle);
    for format in ALL {
        let text = written(&store, ExportOptions { format, ..options.clone() });
        assert_eq!(quads(&text, format).len(), expected.len(), "{text}");
    }
    let table = ExportOptions { format: ExportFormat::Csv, ..options };
    let folder = tempfile::tempdir().unwrap();
    let refused = export_tables(&store, &table, &folder.path().join("new")).unwrap_err();
    assert_eq!(refused.to_string(), "`csv` has no place for shapes, which are RDF");
    assert!(!folder.path().join("new").exists());
}
