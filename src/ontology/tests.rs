use std::path::Path;

use proptest::prelude::*;

use super::*;

const PREFIXES: &str = "\
@prefix ex: <http://example.org/> .
@prefix kgb: <https://w3id.org/kgbuild#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
";

fn read(texts: &[&str]) -> Result<(Ontology, Diagnostics), Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..texts.len())
        .map(|i| {
            let file = folder.path().join(format!("{i}.ttl"));
            std::fs::write(&file, format!("{PREFIXES}{}", texts[i])).unwrap();
            file
        })
        .collect();
    Ontology::read(&files)
}

fn codes(diagnostics: &Diagnostics) -> Vec<&'static str> {
    diagnostics.0.iter().map(|d| d.code).collect()
}

fn ex(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| format!("http://example.org/{n}")).collect()
}

#[test]
fn a_relation_is_read_from_several_files() {
    let (ontology, warnings) = read(&[
        "ex:capital a owl:ObjectProperty, owl:FunctionalProperty ;
            rdfs:label \"Hauptstadt\"@de, \"capital\"@en ;
            kgb:maxObjects 3 ; rdfs:domain ex:Country ;
            kgb:template \"The capital of [X] is [Y].\" .",
        "ex:capital rdfs:range ex:Place, [ owl:unionOf ( ex:Town ex:City ) ] ;
            kgb:template \"[Y] is the capital of [X].\", \"The capital of [X] is [Y].\" .
         ex:other rdfs:range ex:City .",
    ])
    .unwrap();
    assert_eq!(warnings, Diagnostics::default());
    let [capital] = ontology.relations() else { panic!("{ontology:?}") };
    assert_eq!(capital.label.as_deref(), Some("capital"));
    assert_eq!(capital.domain, [ex(&["Country"])]);
    assert_eq!(capital.range, [ex(&["City", "Town"]), ex(&["Place"])]);
    assert_eq!(capital.max_objects, Some(1));
    let texts: Vec<_> = capital.templates.iter().map(Template::text).collect();
    assert_eq!(texts, ["The capital of [X] is [Y].", "[Y] is the capital of [X]."]);
    assert_eq!(ontology.label(&capital.iri), Some("capital"));
    assert_eq!(ontology.select(None).unwrap(), [capital]);
}

#[test]
fn labels_without_language_come_first() {
    for (labels, best) in [
        ("\"b\"@de, \"c\"@en-GB, \"d\"@en, \"a\"", "a"),
        ("\"b\"@de, \"c\"@en-GB, \"d\"@EN", "d"),
        ("\"b\"@de, \"c\"@en-GB", "c"),
        ("\"z\"@de, \"y\"@fr", "y"),
    ] {
        let (ontology, _) = read(&[&format!("ex:a rdfs:label {labels} .")]).unwrap();
        assert_eq!(ontology.label("http://example.org/a"), Some(best));
    }
}

#[test]
fn restrictions_bound_the_relation_where_they_hold() {
    let restricted = |class: &str| {
        let text = format!(
            "ex:r kgb:template \"[X] [Y]\" ; rdfs:domain ex:Country ; rdfs:range ex:City ;
                kgb:maxObjects 9 .
             ex:Country rdfs:subClassOf ex:Place .
             {class} rdfs:subClassOf [ a owl:Restriction ; owl:onProperty ex:r ;
                owl:maxCardinality 4 ] ."
        );
        read(&[&text]).unwrap().0.relations()[0].max_objects
    };
    assert_eq!(restricted("ex:Place"), Some(4));
    assert_eq!(restricted("ex:Country"), Some(4));
    assert_eq!(restricted("ex:Island"), Some(9));
}

#[test]
fn all_mistakes_are_found_and_placed() {
    let text = "ex:a kgb:template \"[X] only\" .
ex:b kgb:template \"[X] [Y] [Y]\", ex:c ; kgb:maxObjects 0 ; rdfs:range [ a owl:Class ] .
ex:c kgb:templat \"[X] [Y]\" .";
    let mistakes = read(&[text, "ex:a ex:b"]).unwrap_err();
    let mut found = codes(&mistakes);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "bad-class",
            "bad-max-objects",
            "bad-template",
            "bad-template",
            "bad-template",
            "broken-turtle",
            "unknown-term"
        ]
    );
    let whole = format!("{PREFIXES}{text}");
    let only = mistakes.0.iter().find(|d| d.message.contains("only")).unwrap();
    let start = whole.find("[X] only").unwrap();
    let place = only.place.as_ref().unwrap();
    assert_eq!(place.at, crate::diagnostic::At::Span(start..start + 8));
    assert_eq!(place.file.file_name(), Some(Path::new("0.ttl").as_os_str()));
}

#[test]
fn what_is_asked_for_must_be_a_relation() {
    let (ontology, _) = read(&["ex:capital kgb:template \"[X] [Y]\" .
        ex:border kgb:template \"[X] [Y]\" ; rdfs:range ex:Country .
        ex:bare a owl:ObjectProperty ."])
    .unwrap();
    let select = |names: &[&str]| ontology.select(Some(&ex(names)));
    assert_eq!(select(&["border", "border"]).unwrap().len(), 1);
    let mistakes = select(&["bordr", "bare", "capital", "nothing-like-it"]).unwrap_err();
    assert_eq!(
        codes(&mistakes),
        ["no-template", "unknown-relation", "unknown-relation", "no-range"]
    );
    let help = mistakes.0[1].help.as_deref();
    assert_eq!(help, Some("did you mean <http://example.org/border>?"));
    assert_eq!(codes(&ontology.select(None).unwrap_err()), ["no-range"]);
    let (nothing, _) = read(&["ex:a rdfs:label \"a\" ."]).unwrap();
    assert_eq!(codes(&nothing.select(None).unwrap_err()), ["no-relation"]);
}

#[test]
fn domains_are_all_of_any_of() {
    let (ontology, _) = read(&["ex:City rdfs:subClassOf ex:Place ."]).unwrap();
    let wanted = [ex(&["Place"]), ex(&["Rich", "Large"])];
    let admits = |names: &[&str]| {
        let classes = ex(names);
        ontology.admits(&wanted, classes.iter().map(String::as_str))
    };
    assert!(admits(&["City", "Large"]) && admits(&["Place", "Rich"]));
    assert!(!admits(&["City"]) && !admits(&["Large"]) && !admits(&[]));
    assert!(ontology.is_a("http://example.org/City", OWL_THING));
}

proptest! {
    /// Reachability, also over cycles, is that of the matrix closure.
    #[test]
    fn is_a_is_the_closure(edges in prop::collection::vec((0usize..8, 0usize..8), 0..20)) {
        let text: String =
            edges.iter().map(|(a, b)| format!("ex:c{a} rdfs:subClassOf ex:c{b} .\n")).collect();
        let (ontology, _) = read(&[&text]).unwrap();
        let mut reach = [[false; 8]; 8];
        (0..8).for_each(|i| reach[i][i] = true);
        edges.iter().for_each(|(a, b)| reach[*a][*b] = true);
        for k in 0..8 {
            for i in 0..8 {
                for j in 0..8 {
                    reach[i][j] |= reach[i][k] && reach[k][j];
                }
            }
        }
        let class = |i: usize| format!("http://example.org/c{i}");
        for (i, row) in reach.iter().enumerate() {
            for (j, reached) in row.iter().enumerate() {
                prop_assert_eq!(ontology.is_a(&class(i), &class(j)), *reached);
            }
        }
    }
}

#[test]
fn misspelt_standard_terms_are_told_and_right_ones_are_not() {
    let (_, warnings) = read(&["ex:r a owl:FunctinalProperty , owl:SymmetricProperty ;
        rdfs:domian ex:C ; rdfs:range ex:C ; rdfs:comment \"c\" ; owl:inverseOf ex:s ;
        kgb:template \"[X] is [Y]\" ."])
    .unwrap();
    let told: Vec<String> = warnings
        .0
        .iter()
        .map(|w| format!("{}; {}", w.message, w.help.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        told,
        [
            "rdfs:domian is not read; did you mean rdfs:domain?",
            "owl:FunctinalProperty is not read; did you mean owl:FunctionalProperty?",
        ]
    );
    assert!(warnings.0.iter().all(|w| w.place.is_some()));
}
