//! Ctrl-C, two runs at once, readers beside a writer, other settings, and a run that is complete.

use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    CONTINENT, Job, assert_same_graph, kgbuild, refuse, stderr, stdout, succeed, without_times,
};

/// Waits until a run has written a chunk, and panics if it ends before.
fn wait_for_a_chunk(job: &Job, run: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while job.chunks_done() == 0 {
        assert!(run.try_wait().unwrap().is_none(), "the run has ended already");
        assert!(Instant::now() < deadline, "no chunk in five minutes");
        thread::sleep(Duration::from_millis(20));
    }
}

fn signal(name: &str, process: &Child) {
    succeed(Command::new("sh").arg("-c").arg(format!("kill -{name} {}", process.id())));
}

/// A run is read from, disturbed and interrupted, and goes on to the graph of one left alone.
#[test]
fn a_run_can_be_watched_and_interrupted() {
    let alone = Job::quickstart();
    alone.untune();
    alone.run(&["--quiet"]);

    let job = Job::quickstart();
    job.untune();
    let mut run = job.command(&[]).spawn().unwrap();
    wait_for_a_chunk(&job, &mut run);
    // It stands still, with the store open, however long what follows takes.
    signal("STOP", &run);

    let everything = alone.graph();
    let exported = job.graph();
    assert!(exported.lines().all(|line| everything.contains(line)), "{exported}");
    let found = job.query("SELECT ?o { ?s ?p ?o {| kgb:confidence ?c |} }");
    assert!(!found["results"]["bindings"].as_array().unwrap().is_empty(), "{found}");
    let said = refuse(&mut job.command(&[]), 2);
    assert!(said.contains("another run is writing"), "{said}");
    let said = refuse(&mut job.command(&["--fresh"]), 2);
    assert!(said.contains("another run is writing"), "{said}");

    signal("INT", &run);
    signal("CONT", &run);
    let output = run.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    let again = format!("run {}` goes on where this run stopped", job.pipeline().display());
    assert!(said.contains(&again), "{said}");
    let chunks = job.chunks_done();
    assert!((1..alone.chunks_done()).contains(&chunks), "{chunks} chunks are done");
    assert_eq!(job.report()["complete"], false);

    let said = stderr(&job.run(&[]));
    assert!(said.contains(&format!("continuing: {chunks} chunk")), "{said}");
    assert_eq!(job.report()["resumed_chunks"], chunks);
    assert_same_graph(&job.graph(), &everything, "after Ctrl-C");
    assert_eq!(job.counts(), alone.counts());
}

#[test]
fn a_complete_run_is_left_as_it_is_and_another_takes_its_place() {
    let job = Job::small(&[CONTINENT], 8);
    job.untune();
    let first = stdout(&job.run(&[]));
    let (quads, counts, report) = (job.export("n-quads"), job.counts(), job.report());
    let table = |text: &str| text.split("\n\n").next().unwrap().to_owned();
    assert!(table(&first).contains("continent"), "{first}");

    // Without ONNX Runtime no model can be opened: none is.
    let mut again = job.command(&[]);
    let again = succeed(again.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so"));
    assert_eq!(table(&stdout(&again)), table(&first));
    assert_eq!((job.export("n-quads"), job.counts()), (quads.clone(), counts));
    assert_eq!(job.report(), report, "the report of the run that did something stays");
    assert_eq!(report["prompts"], 8);

    // A report of another run is replaced; what is no report is not.
    let file = job.output().join("report.json");
    std::fs::write(&file, "{\"complete\": true}").unwrap();
    let said = refuse(&mut job.command(&[]), 2);
    assert!(said.contains("no run wrote what is there"), "{said}");
    let mut other = report.clone();
    other["signature"]["gold"] = "other".into();
    std::fs::write(&file, other.to_string()).unwrap();
    job.run(&[]);
    assert_eq!(job.report()["prompts"], 0);
    assert_eq!(job.report()["total"], report["total"]);

    job.set("correction", "lambda", 0.25);
    let said = stderr(&job.run(&[]));
    assert!(said.contains("lambda of `continent` changed: 0 questions of 8 to ask"), "{said}");
    assert!(!said.contains("added") && !said.contains("threshold"), "only what differs: {said}");
    let grown = job.graph();
    assert_ne!(grown, without_times(&quads));

    job.run(&["--fresh"]);
    let fresh = job.graph();
    assert_same_graph(&grown, &fresh, "with another weight");
    assert!(fresh.contains("\"0.25\"^^<http://www.w3.org/2001/XMLSchema#decimal>"), "{fresh}");
    assert!(!fresh.contains("\"0.5\"^^<http://www.w3.org/2001/XMLSchema#decimal>"), "{fresh}");

    // Settings of the machine are no part of the result.
    job.set("runtime", "token_budget", 64);
    job.run(&[]);
    assert_eq!(job.graph(), fresh);
}

#[test]
fn a_model_that_cannot_be_opened_leaves_no_store() {
    let job = Job::small(&[CONTINENT], 1);
    let library = job.pipeline();
    let said = refuse(job.command(&[]).env("ORT_DYLIB_PATH", &library), 2);
    assert!(said.contains(library.to_str().unwrap()), "{said}");
    assert!(!job.output().exists());
    let said = refuse(kgbuild().arg("query").arg(job.output()).arg("ASK {}"), 2);
    assert!(said.contains("there is no store"), "{said}");
}
