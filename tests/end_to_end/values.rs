//! Relations whose objects are values: years, numbers, days, truth, texts of a list.

use std::fs;
use std::path::PathBuf;

use crate::support::{Job, kgbuild, refuse, stderr, stdout, succeed};

pub(crate) const PREFIXES: &str = "@prefix ex: <http://example.org/> .
@prefix kgb: <https://w3id.org/kgbuild#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
";

const ONTOLOGY: &str = "ex:endOf a owl:DatatypeProperty, owl:FunctionalProperty ; rdfs:label \"end\" ; rdfs:range xsd:gYear ;
    kgb:minimum \"1900\"^^xsd:gYear ; kgb:maximum \"2020\"^^xsd:gYear ;
    kgb:template \"[X] ended in [Y].\" .
ex:dayOf a owl:FunctionalProperty ; rdfs:range xsd:date ;
    kgb:minimum \"1945-05-01\"^^xsd:date ; kgb:maximum \"1945-05-31\"^^xsd:date ;
    kgb:template \"In Europe, [X] ended on [Y].\" .
ex:countries a owl:FunctionalProperty ; rdfs:range xsd:integer ; kgb:minimum 0 ; kgb:maximum 2000 ;
    kgb:template \"The number of countries in [X] was [Y].\" .
ex:share a owl:FunctionalProperty ; rdfs:range xsd:decimal ; kgb:minimum 0 ; kgb:maximum 1.5 ;
    kgb:decimals 1 ; kgb:template \"The share of countries in [X] was [Y].\" .
ex:isOver a owl:FunctionalProperty ; rdfs:range xsd:boolean ; kgb:template \"Is [X] over? [Y].\" .
ex:side a owl:FunctionalProperty ; rdfs:range [ a rdfs:Datatype ; owl:oneOf ( \"the Allies\" \"the Axis\" ) ] ;
    kgb:template \"[X] was won by [Y].\" .
";

fn ontology() -> String {
    format!("{PREFIXES}{ONTOLOGY}")
}

const GOLD: &str = "subject,relation,object
http://example.org/ww2,http://example.org/endOf,1945
http://example.org/ww1,http://example.org/endOf,1918
http://example.org/ww2,http://example.org/dayOf,1945-05-08
http://example.org/ww2,http://example.org/isOver,true
http://example.org/ww2,http://example.org/side,the Allies
";

pub(crate) struct Values {
    pub job: Job,
    folder: PathBuf,
}

impl Values {
    fn new() -> Self {
        Self::of(&ontology(), GOLD)
    }

    /// Two subjects, asked for what an ontology says of them.
    pub(crate) fn of(ontology: &str, gold: &str) -> Self {
        let job = Job::small(&[crate::support::CAPITAL], 1);
        let folder = job.output().parent().unwrap().to_owned();
        let own = Self { job, folder };
        own.job.untune();
        own.job.set("inputs", "relations", toml::Value::Array(Vec::new()));
        let text = fs::read_to_string(own.job.pipeline()).unwrap();
        let mut pipeline: toml::Table = text.parse().unwrap();
        let inputs = pipeline["inputs"].as_table_mut().unwrap();
        inputs.remove("relations");
        inputs.insert("ontology".to_owned(), own.write("ontology.ttl", ontology).into());
        let subjects =
            "iri,label\nhttp://example.org/ww2,World War II\nhttp://example.org/ww1,World War I\n";
        inputs.insert("subjects".to_owned(), own.write("subjects.csv", subjects).into());
        inputs.insert("gold".to_owned(), own.write("gold.csv", gold).into());
        pipeline.remove("correction");
        fs::write(own.job.pipeline(), toml::to_string(&pipeline).unwrap()).unwrap();
        own.job.set("selection", "threshold", 0.0);
        own
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let file = self.folder.join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

#[test]
fn values_are_asked_for_and_written_with_their_datatypes() {
    let values = Values::new();
    let job = &values.job;
    job.run(&["--quiet"]);
    let turtle = job.export("turtle");
    for datatype in ["gYear", "date", "integer", "decimal", "boolean"] {
        let found = job.query(&format!(
            "SELECT ?o {{ ?s ?p ?o {{| kgb:confidence ?c |}} FILTER(datatype(?o) = xsd:{datatype}) }}"
        ));
        assert_eq!(
            found["results"]["bindings"].as_array().unwrap().len(),
            2,
            "{datatype}: {turtle}"
        );
    }
    // What every language model knows.
    let ended = "ASK { <http://example.org/ww2> <http://example.org/endOf> ?y FILTER(?y = \"1945\"^^xsd:gYear) }";
    assert_eq!(job.query(ended)["boolean"], true, "{turtle}");
    let report = job.report();
    let of = |name: &str| {
        let relations = report["relations"].as_array().unwrap();
        let iri = format!("http://example.org/{name}");
        relations
            .iter()
            .find(|r| r["relation"] == iri.as_str())
            .unwrap_or_else(|| panic!("{report}"))
            .clone()
    };
    assert_eq!(
        (of("endOf")["candidates"].as_u64(), of("share")["candidates"].as_u64()),
        (Some(121), Some(16))
    );
    assert_eq!(of("endOf")["gold_questions"], 2, "{report}");

    // Every candidate scored writes the same graph but for the share of what was left unexplored.
    let of_search = "SELECT ?s ?p ?o { ?s ?p ?o {| kgb:confidence ?c |} } ORDER BY ?s ?p ?o";
    let found = job.query(of_search);
    job.set("prediction", "method", "exhaustive");
    fs::remove_dir_all(job.output()).unwrap();
    job.run(&["--quiet"]);
    assert_eq!(job.query(of_search), found);

    // Tables have values as nodes, and gold facts find them.
    let mut export = kgbuild();
    let jsonl =
        stdout(&succeed(export.arg("export").arg(job.output()).args(["--format", "jsonl"])));
    assert!(jsonl.contains("\"value\":\"1945\""), "{jsonl}");
    let mut eval = kgbuild();
    let said = succeed(
        eval.arg("eval").arg(job.output()).arg("--gold").arg(values.folder.join("gold.csv")),
    );
    assert!(stdout(&said).contains("endOf") || stdout(&said).contains("end"), "{}", stdout(&said));
}

#[test]
fn values_that_cannot_be_asked_for_are_refused() {
    let values = Values::new();
    for (was, is, said) in [
        ("rdfs:range xsd:gYear", "rdfs:range xsd:dateTime", "unsupported-datatype"),
        ("kgb:minimum 0 ; kgb:maximum 2000", "kgb:minimum 0", "no-bounds"),
        ("kgb:minimum 0 ; kgb:maximum 2000", "kgb:minimum 10 ; kgb:maximum 2", "no-value"),
        (
            "kgb:minimum 0 ; kgb:maximum 2000",
            "kgb:minimum 0 ; kgb:maximum 10000000000",
            "too-many-values",
        ),
        ("kgb:minimum 0 ; kgb:maximum 2000", "kgb:minimum \"few\" ; kgb:maximum 9", "bad-bound"),
        ("kgb:decimals 1", "kgb:decimals 10", "bad-decimals"),
        ("( \"the Allies\" \"the Axis\" )", "( \"x\" \"x\" )", "bad-list"),
    ] {
        assert!(ONTOLOGY.contains(was), "{was}");
        values.write("ontology.ttl", &ontology().replace(was, is));
        let text = refuse(kgbuild().arg("check").arg(values.job.pipeline()), 2);
        assert!(
            text.contains(&format!("error[{said}]")) && text.contains("ontology.ttl:"),
            "{is}: {text}"
        );
    }
    values.write("ontology.ttl", &ontology());
    values.write("gold.csv", &GOLD.replace("1918", "long ago"));
    let text = refuse(kgbuild().arg("check").arg(values.job.pipeline()), 2);
    assert!(text.contains("error[bad-value]") && text.contains("gold.csv:3"), "{text}");
    values.write("gold.csv", &GOLD.replace("1918", "1818"));
    let checked = succeed(kgbuild().arg("check").arg(values.job.pipeline()));
    assert!(stderr(&checked).contains("unreachable-facts"), "{}", stderr(&checked));
}
