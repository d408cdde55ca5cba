//! The graph that a run makes, held against its own shapes.

use std::fs;

use crate::python::{python, run_script};
use crate::support::{BORDER, CAPITAL, CONTINENT, Job, LANGUAGE, kgbuild, succeed};

#[test]
fn what_a_run_writes_is_valid_against_its_shapes() {
    let Some(python) = python() else { return };
    let job = Job::small(&[CAPITAL, CONTINENT, LANGUAGE, BORDER], 12);
    job.set("selection", "threshold", 0.1);
    job.run(&["--quiet"]);
    let folder = tempfile::tempdir().unwrap();
    let included = ["--annotations", "none", "--include", "schema,labels"];
    for (name, arguments) in [("data.ttl", &included[..]), ("shapes.ttl", &["--shapes"])] {
        let mut export = kgbuild();
        export.arg("export").arg(job.output()).args(arguments).arg("-o");
        succeed(export.arg(folder.path().join(name)));
    }
    let found = job.query(&format!("SELECT ?s ?o {{ ?s <{CAPITAL}> ?o }} LIMIT 1"));
    let fact = &found["results"]["bindings"][0];
    let [country, city] = ["s", "o"].map(|name| fact[name]["value"].as_str().unwrap());
    let wrong = [
        ["Class", &format!("\n<{city}> <{CONTINENT}> <{country}> .\n")],
        ["Disjoint", &format!("\n<{country}> <{BORDER}> <{country}> .\n")],
    ];
    fs::write(folder.path().join("wrong.json"), serde_json::json!(wrong).to_string()).unwrap();
    run_script(&python, "shapes.py", folder.path());
}
