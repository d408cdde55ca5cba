//! Mistakes in the ontology and the tables. `tests/tables.rs` holds more of these against the
//! rooms that read them; here they go through the whole program.

use crate::workplace::{Case, RUN, Workplace, all_refused};

const CITY: &str = ",,http://example.org/City\n";

pub const CASES: &[Case] = &[
    Case {
        name: "query-results-with-a-broken-row",
        args: &["import", "sparql-results", "results.csv", "-o", "imported"],
        spoil: |at| {
            let rows = "subject,subjectLabel,object,objectLabel,relation\n\
                        http://example.org/fr,France,http://example.org/paris,Paris,http://example.org/capital\n\
                        java.util.concurrent.TimeoutException\n";
            at.write("results.csv", rows);
        },
    },
    Case {
        name: "query-results-without-a-variable",
        args: &["import", "sparql-results", "results.tsv", "-o", "imported"],
        spoil: |at| at.write("results.tsv", "?subject\t?subjectlabel\t?object\n"),
    },
    Case {
        name: "broken-turtle",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "ex:Country ;", "ex:Country"),
    },
    Case {
        name: "check-reads-the-tables-too",
        args: &["check", "pipeline.toml"],
        spoil: |at| at.edit("candidates.csv", "Rome,,http:", "Rome,http:"),
    },
    Case {
        name: "told-before-anything-is-fetched",
        args: RUN,
        spoil: |at| {
            at.edit("pipeline.toml", "\"base\"", "\"hf:owner/name\"");
            at.edit("world.ttl", "rdfs:range ex:City", "rdfs:range ex:Town");
        },
    },
    Case {
        name: "no-template",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "kgb:template", "rdfs:comment"),
    },
    Case {
        name: "no-range",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "    rdfs:range ex:City ;\n", ""),
    },
    Case {
        name: "template-without-its-places",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "of [X] is [Y].", "of X is Y."),
    },
    Case {
        name: "template-without-object",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "is [Y].", "is"),
    },
    Case {
        name: "object-before-subject",
        args: RUN,
        spoil: |at| {
            at.edit("world.ttl", "The capital of [X] is [Y].", "[Y] is the capital of [X].");
        },
    },
    Case {
        name: "mixed-spacing",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "is [Y].\"", "is [Y].\", \"([X]:[Y])\""),
    },
    Case {
        name: "no-candidate",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "rdfs:range ex:City", "rdfs:range ex:Town"),
    },
    Case {
        name: "no-subject",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "rdfs:domain ex:Country", "rdfs:domain ex:Land"),
    },
    Case {
        name: "missing-column",
        args: RUN,
        spoil: |at| at.edit("candidates.csv", "iri,label,", "iri,labels,"),
    },
    Case {
        name: "semicolons",
        args: RUN,
        spoil: |at| at.write("subjects.csv", at.read("subjects.csv").replace(',', ";")),
    },
    Case {
        name: "bad-rows",
        args: RUN,
        spoil: |at| {
            let rows = [
                format!("Q90,Paris{CITY}"),
                format!("http://example.org/a b,Ab{CITY}"),
                "http://example.org/c,Washington, D.C.,,http://example.org/City\n".to_owned(),
                "http://example.org/d,D\n".to_owned(),
                format!("http://example.org/e,{CITY}"),
                "http://example.org/f,F,,City\n".to_owned(),
            ];
            at.write("candidates.csv", at.read("candidates.csv") + &rows.concat());
        },
    },
    Case {
        name: "invalid-utf8",
        args: RUN,
        spoil: |at| {
            let mut table = at.read("subjects.csv").into_bytes();
            table.extend(b"http://example.org/x,C\xf4te d'Ivoire,,http://example.org/Country\n");
            at.write("subjects.csv", table);
        },
    },
    Case {
        name: "unclosed-quotation-mark",
        args: RUN,
        spoil: |at| at.edit("subjects.csv", "France", "\"France"),
    },
    Case {
        name: "no-subjects",
        args: RUN,
        spoil: |at| at.write("subjects.csv", "iri,label,aliases,types\n"),
    },
    Case { name: "empty-candidates", args: RUN, spoil: |at| at.write("candidates.csv", "") },
    Case {
        name: "binary-table",
        args: RUN,
        spoil: |at| {
            let model = std::fs::read(at.path("base/model.onnx.data")).unwrap();
            at.write("subjects.csv", model);
        },
    },
    Case {
        name: "turtle-not-utf8",
        args: RUN,
        spoil: |at| {
            let mut text = at.read("world.ttl").into_bytes();
            text.extend(b"\nex:capital rdfs:comment \"caf\xe9\" .\n");
            at.write("world.ttl", text);
        },
    },
    Case {
        name: "candidates-without-tokens",
        args: RUN,
        spoil: |at| at.edit("candidates.csv", ",Tokyo,", ",\u{6771}\u{4eac},"),
    },
    Case {
        name: "all-tables-wrong-at-once",
        args: RUN,
        spoil: |at| {
            at.edit("world.ttl", "is [Y].", "is");
            at.edit("subjects.csv", "http://example.org/italy", "italy");
            at.edit("candidates.csv", "iri,label,", "iri,name,");
        },
    },
    Case {
        name: "prompt-longer-than-the-context",
        args: RUN,
        spoil: |at| {
            let long = "Kingdom of ".repeat(20);
            at.edit("subjects.csv", "Italy", &format!("{long}Italy"));
            at.edit("subjects.csv", "Japan", &format!("{long}Japan"));
        },
    },
    Case {
        name: "candidate-longer-than-the-context",
        args: RUN,
        spoil: |at| at.edit("candidates.csv", "Tokyo", &"Tokyo ".repeat(40)),
    },
];

#[test]
fn are_refused() {
    all_refused(CASES);
}

/// A label of several candidates is resolved in favour of the first, is said, and comes out the
/// same each time.
#[test]
fn a_shared_label_is_warned_of_and_resolved_the_same_way_each_time() {
    let graphs = [(); 2].map(|()| {
        let at = Workplace::new();
        let again = format!("http://example.org/paris-texas,Paris{CITY}");
        at.write("candidates.csv", at.read("candidates.csv") + &again);
        let ended = at.kgbuild(RUN);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        at.said("warned/shared-label", &ended.err).unwrap();
        at.graph()
    });
    assert_eq!(graphs[0], graphs[1]);
    assert!(!graphs[0].iter().any(|line| line.contains("paris-texas")));
}

/// So are candidates whose labels differ only in what the tokenizer does not know.
#[test]
fn labels_that_the_model_cannot_tell_apart_are_warned_of() {
    let at = Workplace::new();
    let again = format!("http://example.org/paris-2,Paris\u{6771}{CITY}");
    at.write("candidates.csv", at.read("candidates.csv") + &again);
    let ended = at.kgbuild(RUN);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    at.said("warned/same-tokens", &ended.err).unwrap();
    assert!(!at.graph().iter().any(|line| line.contains("paris-2")));
}
