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

fn job(ontology: &str, graph: &str) -> Job {
    let job = Job::quickstart();
    job.untune();
    let folder = job.output().parent().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        toml::Value::from(name)
    };
    let mut pipeline: toml::Table = fs::read_to_string(job.pipeline()).unwrap().parse().unwrap();
    let inputs =
        [("ontology", write("ontology.ttl", ontology)), ("graph", write("graph.ttl", graph))];
    let inputs = inputs.into_iter().map(|(key, value)| (key.to_owned(), value));
    pipeline.insert("inputs".to_owned(), toml::Table::from_iter(inputs).into());
    fs::write(job.pipeline(), toml::to_string(&pipeline).unwrap()).unwrap();
    job
}

#[test]
fn a_graph_is_all_that_a_pipeline_reads_and_is_completed() {
    let job = job(ONTOLOGY, GRAPH);
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

/// What the ontology says of relations: known facts answer questions by it, and all facts lead to others.
#[test]
fn what_follows_is_not_asked_and_is_written_with_its_origin() {
    let ontology =
        format!("{ONTOLOGY}ex:capitalOf owl:inverseOf ex:capital ; rdfs:label \"capital of\" .\n");
    let graph = format!("{GRAPH}ex:rome ex:capitalOf ex:italy .\n");
    let job = job(&ontology, &graph);
    job.set("inputs", "complete", true);
    job.set("selection", "threshold", 0.0);
    let said = crate::support::stdout(&job.run(&[]));
    // France is known, Italy follows, so that Kenya is asked about.
    assert_eq!(job.report()["total"]["subjects"], 1);
    assert!(said.contains("3 more facts by what the ontology says"), "{said}");
    assert_eq!(job.report()["derived"], 3);

    let prefix = "PREFIX ex: <http://example.org/>";
    let ask =
        |pattern: &str| job.query(&format!("{prefix} ASK {{ {pattern} }}"))["boolean"] == true;
    let known = "ex:italy ex:capital ex:rome {| kgb:confidence ?one ; prov:wasDerivedFrom ?from |} . FILTER(?one = 1)
        ?from rdf:reifies <<( ex:rome ex:capitalOf ex:italy )>> ; kgb:known true";
    assert!(ask(known), "{}", job.export("turtle"));
    let predicted =
        "ex:kenya ex:capital ?city ~ ?from {| kgb:confidence ?c ; kgb:baseProbability ?p |} .
        ?city ex:capitalOf ex:kenya {| kgb:confidence ?c ; prov:wasDerivedFrom ?from |} .
        ex:capitalOf rdfs:label ?label . ?city rdfs:label ?name";
    assert!(ask(predicted), "{}", job.export("turtle"));
    // What was given is not given back.
    assert!(!ask("ex:france ex:capital ?city") && ask("ex:paris ex:capitalOf ex:france"));

    // A run that is complete changes nothing, and one from the beginning gives the same graph.
    let graph = job.graph();
    let said = crate::support::stdout(&job.run(&[]));
    assert!(said.contains("nothing was left to do") && said.contains("3 more facts"), "{said}");
    assert_eq!(job.graph(), graph);
    job.run(&["--fresh", "--quiet"]);
    assert_eq!(job.graph(), graph);
}
