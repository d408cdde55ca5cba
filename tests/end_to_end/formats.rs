//! The export formats of a real run.

use std::collections::BTreeSet;

use oxigraph::io::{RdfFormat, RdfParser};

use crate::support::{CAPITAL, Job, LANGUAGE, kgbuild, stdout, succeed};

/// The triples of a file. Nothing that kgbuild writes has blank nodes, so that equal sets are
/// equal graphs.
fn triples(text: &str, format: RdfFormat) -> BTreeSet<String> {
    let quads = RdfParser::from_format(format).for_slice(text.as_bytes());
    let triples: BTreeSet<String> =
        quads.map(|quad| quad.unwrap_or_else(|e| panic!("{e}\n{text}")).to_string()).collect();
    assert!(!triples.iter().any(|triple| triple.contains("_:")));
    triples
}

fn rows(found: &serde_json::Value) -> usize {
    found["results"]["bindings"].as_array().unwrap().len()
}

/// A run whose exports are the same graph in every format. Gives its Turtle and N-Quads.
fn run() -> (Job, String, String) {
    let job = Job::small(&[CAPITAL, LANGUAGE], 6);
    job.set("selection", "threshold", 0.1);
    job.run(&["--quiet"]);
    let (turtle, quads) = (job.export("turtle"), job.export("n-quads"));
    let expected = triples(&quads, RdfFormat::NQuads);
    assert_eq!(triples(&turtle, RdfFormat::Turtle), expected);
    assert_eq!(triples(&job.export("n-triples"), RdfFormat::NTriples), expected);
    assert_eq!(expected.len(), quads.lines().count());
    (job, turtle, quads)
}

#[test]
fn rdf_1_2_annotates_every_triple() {
    let (job, turtle, quads) = run();
    let all = job.report()["total"]["triples"].as_u64().unwrap() as usize;
    assert!(all >= 6);
    assert_eq!(turtle.matches("{|").count(), all, "{turtle}");
    assert!(!turtle.contains("reifies"), "{turtle}");
    assert_eq!(quads.matches("#reifies>").count(), all);
    let found = job.query(
        "SELECT ?s ?p ?o ?c ?run { ?s ?p ?o {| kgb:confidence ?c ; kgb:baseProbability ?b ; \
         kgb:finetunedProbability ?f ; prov:wasGeneratedBy ?run |} . ?run a prov:Activity \
         FILTER(?c >= 0.1 && ?c <= 1) }",
    );
    assert_eq!(rows(&found), all, "{found}");

    let mut reified = kgbuild();
    reified.arg("export").arg(job.output()).args(["--annotations", "reification"]);
    let reified = stdout(&succeed(&mut reified));
    assert_eq!(reified.matches("a rdf:Statement").count(), all, "{reified}");
    assert!(!reified.contains("<<(") && !reified.contains("{|") && !reified.contains("reifies"));

    let confident = job.query("SELECT ?s { ?s ?p ?o {| kgb:confidence ?c |} FILTER(?c >= 0.9) }");
    let mut export = kgbuild();
    export.arg("export").arg(job.output()).args(["--min-confidence", "0.9"]);
    let part = stdout(&succeed(&mut export));
    assert_eq!(part.matches("{|").count(), rows(&confident));
    assert!(rows(&confident) < all, "no triple is below 0.9");
    assert!(triples(&part, RdfFormat::Turtle).is_subset(&triples(&quads, RdfFormat::NQuads)));
}
