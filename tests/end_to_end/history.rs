//! Runs in time: what each added and took back, why, and each one's graph.

use std::fs;
use std::process::Command;

use crate::support::{
    BORDER, CAPITAL, Job, LANGUAGE, assert_same_graph, kgbuild, refuse, repository, stdout, succeed,
};

/// A command about the job's graph.
fn command(job: &Job, args: &[&str]) -> Command {
    let mut command = kgbuild();
    command.arg(args[0]).arg(job.output()).args(&args[1..]);
    command
}

/// What it prints.
fn say(job: &Job, args: &[&str]) -> String {
    stdout(&succeed(&mut command(job, args)))
}

/// Five runs, each with a change of its own, and the export of each.
fn changed() -> (Job, Vec<String>) {
    let job = Job::small(&[CAPITAL, LANGUAGE, BORDER], 6);
    job.untune();
    let mut exports = Vec::new();
    let mut run = || {
        job.run(&["--quiet"]);
        exports.push(job.export("n-quads"));
    };
    run();
    job.set("selection", "threshold", 0.6);
    run();
    job.keep_subjects(5);
    run();
    job.set("inputs", "relations", vec![CAPITAL, BORDER]);
    run();
    let ontology = fs::read_to_string(repository().join("ontologies/world.ttl")).unwrap();
    job.set_ontology(&format!("# Nothing else is new.\n{ontology}"));
    run();
    // Nothing has changed since.
    run();
    assert_eq!(exports.pop(), exports.last().cloned());
    (job, exports)
}

#[test]
fn each_change_is_a_run_that_can_be_looked_at() {
    let (job, exports) = changed();
    let say = |args: &[&str]| say(&job, args);
    let runs = say(&["history"]);
    println!("{runs}");
    let lines: Vec<&str> = runs.lines().collect();
    assert_eq!(lines.len(), 1 + exports.len(), "{runs}");
    assert!(lines[2].contains("threshold of 3 relations changed"), "{runs}");
    assert!(lines[3].contains("not asked any more"), "{runs}");
    for (number, export) in (1..).zip(&exports) {
        let past = say(&["export", "--format", "n-quads", "--run", &number.to_string()]);
        assert_same_graph(&past, export, &format!("run {number}"));
    }

    let facts = |number: usize| {
        let annotated = "<https://w3id.org/kgbuild#confidence>";
        exports[number - 1].matches(annotated).count()
    };
    for (from, to) in [(1, 2), (2, 3), (3, 4), (4, 5), (1, 5), (5, 1)] {
        let diff = say(&["diff", &from.to_string(), &to.to_string()]);
        let count = |sign| diff.lines().filter(|line| line.starts_with(sign)).count();
        assert_eq!(facts(from) + count('+') - count('-'), facts(to), "{diff}");
        let last = diff.lines().last().unwrap();
        let counts = format!("{} taken back, {} changed", count('-'), count('~'));
        assert!(last.ends_with(&counts), "{diff}");
    }
    check_reasons(&job);

    let said = refuse(&mut command(&job, &["diff", "1", "9"]), 2);
    assert!(said.contains("no run of this graph is named `9`") && said.contains("from 1 to 5"));
    refuse(&mut command(&job, &["export", "--run", "none"]), 2);
    job.run(&["--quiet", "--fresh"]);
    assert_eq!(say(&["history"]).lines().count(), 2);
}

/// Why facts of [`changed`] were taken back.
fn check_reasons(job: &Job) {
    let diff = |to: usize| say(job, &["diff", &(to - 1).to_string(), &to.to_string()]);
    for line in diff(2).lines().filter(|line| line.starts_with('-')) {
        assert!(line.ends_with("it does not reach the threshold of 0.6 any more"), "{line}");
    }
    for (run, why) in [(3, "its subject is"), (4, "its relation is")] {
        let diff = diff(run);
        let gone: Vec<&str> = diff.lines().filter(|line| line.starts_with('-')).collect();
        assert!(!gone.is_empty(), "{diff}");
        let why = format!("{why} not asked about any more");
        assert!(gone.iter().all(|line| line.ends_with(&why)), "{diff}");
    }
    assert_eq!(diff(5), "0 facts added, 0 taken back, 0 changed\n");
    let json = say(job, &["diff", "3", "4", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["relation"], LANGUAGE);
    assert!(first["before"].as_f64().is_some() && first["after"].is_null(), "{first}");

    // What was taken back is in no default graph; why it was can be asked.
    let gone = job.query(
        "SELECT ?s ?why { GRAPH kgb:history { ?run kgb:number 4 ; kgb:takenBack ?gone }
         GRAPH ?gone { ?fact rdf:reifies <<( ?s ?p ?o )>> ; kgb:reason ?why } }",
    );
    assert!(!gone["results"]["bindings"].as_array().unwrap().is_empty(), "{gone}");
    let still = job.query(&format!("ASK {{ ?s <{LANGUAGE}> ?o }}"));
    assert_eq!(still["boolean"], false);
}
