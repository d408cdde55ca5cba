//! Objects that become subjects.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{BORDER, CAPITAL, Job, LANGUAGE, assert_same_graph, refuse, stderr};

/// A pipeline that crawls along borders from two countries.
fn crawling(depth: i64, max_subjects: i64) -> Job {
    let job = Job::small(&[CAPITAL, LANGUAGE, BORDER], 2);
    job.untune();
    job.set("selection", "threshold", 0.0);
    job.set("selection", "max_objects", 2);
    job.set("crawl", "depth", depth);
    job.set("crawl", "max_subjects", max_subjects);
    job
}

/// By subject, the objects of a relation that were predicted; what follows from these is none.
fn objects(job: &Job, relation: &str) -> BTreeMap<String, BTreeSet<String>> {
    let found = job.query(&format!(
        "SELECT ?s ?o {{ ?s <{relation}> ?o . ?fact rdf:reifies <<( ?s <{relation}> ?o )>>
         FILTER NOT EXISTS {{ ?fact prov:wasDerivedFrom ?other }} }}"
    ));
    let mut objects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in found["results"]["bindings"].as_array().unwrap() {
        let of = |name: &str| line[name]["value"].as_str().unwrap().to_owned();
        objects.entry(of("s")).or_default().insert(of("o"));
    }
    objects
}

#[test]
fn objects_become_subjects_within_bounds() {
    let job = crawling(2, 5);
    let said = stderr(&job.run(&[]));
    assert!(said.contains("more, in round 1 of 2"), "{said}");
    let table = job.subjects();
    let borders = objects(&job, BORDER);
    let first: BTreeSet<&String> =
        borders.keys().filter(|subject| table.contains(&format!("{subject},"))).collect();
    assert_eq!(first.len(), 2, "{borders:?}");
    let crawled: BTreeSet<&String> =
        borders.keys().filter(|subject| !first.contains(subject)).collect();
    assert!((3..=5).contains(&crawled.len()), "{borders:?}");
    // Each is an object of a fact, and is asked about by all relations that it fits.
    let reached: BTreeSet<&String> = borders.values().flatten().collect();
    assert!(crawled.iter().all(|subject| reached.contains(*subject)), "{borders:?}");
    let capitals: BTreeSet<String> = objects(&job, CAPITAL).into_keys().collect();
    assert!(crawled.iter().all(|subject| capitals.contains(*subject)), "{capitals:?}");
    let subjects = job.report()["total"]["subjects"].as_u64().unwrap();
    assert_eq!(subjects as usize, 3 * (first.len() + crawled.len()), "none twice");
    let (graph, counts) = (job.graph(), job.counts());

    // A complete one is left as it is; workers change nothing.
    let said = stderr(&job.run(&[]));
    assert!(!said.contains("to ask"), "{said}");
    assert_same_graph(&job.graph(), &graph, "run again");
    let other = job.elsewhere();
    other.set("runtime", "workers", 2);
    other.set("runtime", "encode_workers", 2);
    other.set("runtime", "token_budget", 300);
    other.run(&["--quiet"]);
    assert_same_graph(&other.graph(), &graph, "with other workers");
    assert_eq!(other.counts(), counts);

    // It grows, shrinks and follows other relations, and asks nothing twice.
    job.set("crawl", "max_subjects", 3);
    let said = stderr(&job.run(&[]));
    assert!(said.contains("0 questions of 6 to ask"), "{said}");
    assert_eq!(job.report()["tokens"], 0, "all of it was asked");
    assert_eq!(objects(&job, BORDER).len(), 2 + 3);
    let relation = toml::Table::from_iter([("max_subjects".to_owned(), toml::Value::from(0))]);
    job.set("crawl", "relations", toml::Table::from_iter([(BORDER.to_owned(), relation.into())]));
    job.run(&["--quiet"]);
    let alone = crawling(1, 1);
    alone.remove("crawl");
    alone.run(&["--quiet"]);
    let facts = |job: &Job| job.export("turtle").matches("kgb:confidence").count();
    assert_eq!(facts(&job), facts(&alone), "no object of another relation is a country");
}

#[test]
fn the_surest_come_first_and_confidence_bounds_them() {
    let job = crawling(1, 1);
    job.run(&["--quiet"]);
    let found = job.query(&format!(
        "SELECT ?o ?confidence {{ ?s <{BORDER}> ?o {{| kgb:confidence ?confidence |}}
         FILTER NOT EXISTS {{ ?o <{CAPITAL}> ?capital }} }} ORDER BY DESC(?confidence)"
    ));
    let surest = &found["results"]["bindings"][0];
    let taken = job.query(&format!(
        "SELECT (MAX(?c) AS ?confidence) {{ ?s <{BORDER}> ?o {{| kgb:confidence ?c |}}
         . ?o <{CAPITAL}> ?capital }}"
    ));
    let number = |line: &serde_json::Value| -> f64 {
        line["confidence"]["value"].as_str().unwrap().parse().unwrap()
    };
    let of_taken = number(&taken["results"]["bindings"][0]);
    assert!(number(surest) <= of_taken, "{surest} was surer than {taken}");

    job.set("crawl", "min_confidence", (of_taken + 1e-5).min(1.0));
    job.run(&["--quiet"]);
    assert_eq!(job.report()["total"]["subjects"], 6, "nothing is sure enough");
    job.remove("crawl");
    job.set("crawl", "depth", 2);
    let said = refuse(&mut job.command(&[]), 2);
    assert!(said.contains("max_subjects"), "a crawl needs bounds: {said}");
}
