//! A graph that is there, as all that a pipeline reads, and completed.

use std::fs;

use crate::support::{Job, kgbuild, refuse};

const GRAPH: &str = "@prefix ex: <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
ex:france a ex:Country ; rdfs:label \"France\"@en ; ex:capital ex:paris .
ex:italy a ex:Country ; rdfs:label \"Italy\"@en .
ex:kenya a ex:Country ; rdfs:label \"Kenya\"@en .
ex:paris a ex:City ; rdfs:label \"Paris\"@en . ex:rome a ex:City ; rdfs:label \"Rome\"@en .
ex:nairobi a ex:City ; rdfs:label \"Nairobi\"@en .
";

const ONTOLOGY: &str = "@prefix ex: <http://example.org/> .
@prefix kgb: <https://w3id.org/kgbuild#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
ex:capital a owl:FunctionalProperty ; rdfs:domain ex:Country ; rdfs:range ex:City ;
    kgb:template \"The capital of [X] is [Y].\" .
";

fn job() -> Job {
    let job = Job::quickstart();
    job.untune();
    let folder = job.output().parent().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        toml::Value::from(name)
    };
    let mut pipeline: toml::Table = fs::read_to_string(job.pipeline()).unwrap().parse().unwrap();
    let inputs =
        [("ontology", write("ontology.ttl", ONTOLOGY)), ("graph", write("graph.ttl", GRAPH))];
    let inputs = inputs.into_iter().map(|(key, value)| (key.to_owned(), value));
    pipeline.insert("inputs".to_owned(), toml::Table::from_iter(inputs).into());
    fs::write(job.pipeline(), toml::to_string(&pipeline).unwrap()).unwrap();
    job
}

#[test]
fn a_graph_is_all_that_a_pipeline_reads_and_is_completed() {
    let job = job();
    job.run(&["--quiet"]);
    let counted = |job: &Job, key: &str| job.report()["total"][key].as_u64();
    assert_eq!(counted(&job, "subjects"), Some(3));
    assert_eq!(counted(&job, "gold_questions"), Some(1));

    fs::remove_dir_all(job.output()).unwrap();
    job.set("inputs", "complete", true);
    job.run(&["--quiet"]);
    assert_eq!(counted(&job, "subjects"), Some(2));
    assert_eq!(counted(&job, "gold_questions"), Some(0));
    let known = "ASK { <http://example.org/france> ?p ?o }";
    assert_eq!(job.query(known)["boolean"], false);

    let graph = job.output().with_file_name("graph.ttl");
    let whole = GRAPH.replace("\"Italy\"@en", "\"Italy\"@en ; ex:capital ex:rome");
    let whole = whole.replace("\"Kenya\"@en", "\"Kenya\"@en ; ex:capital ex:nairobi");
    fs::write(graph, whole).unwrap();
    let said = refuse(kgbuild().arg("check").arg(job.pipeline()), 2);
    assert!(said.contains("error[nothing-to-complete]") && said.contains("graph.ttl"), "{said}");
}
