//! Stores that are read: mistakes in SPARQL, damaged stores, exports that cannot be written.

use std::fs;

use crate::workplace::{RUN, Workplace};

#[test]
fn sparql_mistakes_are_shown_with_a_caret() {
    let at = Workplace::new();
    at.done(RUN);
    at.write("query.rq", "SELECT ?s\nWHERE {\n  ?s ex:capital ?o\n}\n");
    at.write("latin1.rq", b"SELECT ?s { ?s rdfs:label \"caf\xe9\" }");
    let cases: [(&str, &[&str]); 6] = [
        ("sparql/unclosed", &["query", "out", "SELECT ?s { ?s ?p ?o"]),
        ("sparql/misspelt", &["query", "out", "SELECT ?s\nWHERE { ?s ?p ?o FILTR(?o > 1) }"]),
        ("sparql/unknown-prefix", &["query", "out", "-f", "query.rq"]),
        ("sparql/update", &["query", "out", "INSERT DATA { <a:a> <a:b> <a:c> }"]),
        ("sparql/empty", &["query", "out", ""]),
        ("sparql/not-utf8", &["query", "out", "-f", "latin1.rq"]),
    ];
    for (name, args) in cases {
        at.refuses(args, name);
    }
}

#[test]
fn an_export_that_cannot_be_written_is_refused() {
    let at = Workplace::new();
    at.done(RUN);
    at.write("kept.ttl", "mine");
    at.refuses(&["export", "out", "-o", "missing/graph.ttl"], "store/export-below-nothing");
    at.refuses(&["export", "out", "-o", "base"], "store/export-over-a-folder");
}

#[test]
fn a_run_that_there_was_not_is_refused() {
    let at = Workplace::new();
    at.done(RUN);
    at.refuses(&["diff", "out", "1", "2"], "store/no-such-run");
    at.refuses(&["export", "out", "--run", "zero"], "store/no-such-run-to-export");
    at.refuses(&["history", "missing"], "store/no-history");
}

#[test]
fn a_damaged_store_is_named() {
    let at = Workplace::new();
    at.done(RUN);
    for entry in fs::read_dir(at.path("out/store")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "sst") {
            fs::write(path, "damaged").unwrap();
        }
    }
    for args in [&["query", "out", "ASK { ?s ?p ?o }"], RUN] {
        let ended = at.kgbuild(args);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        // What RocksDB says of it below depends on the files' sizes.
        at.said("store/damaged", ended.err.lines().next().unwrap()).unwrap();
    }
}

#[test]
fn a_graph_under_other_numbers_says_what_is_asked_and_why() {
    let at = Workplace::new();
    at.done(RUN);
    at.edit("pipeline.toml", "threshold = 0.0", "threshold = 0.9");
    let ended = at.kgbuild(&["run", "pipeline.toml", "--dry-run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    at.said("store/another-threshold", &ended.err).unwrap();
    let ended = at.kgbuild(RUN);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    at.said("store/another-threshold", &ended.err).unwrap();
}

#[test]
fn shards_that_do_not_go_together_are_refused() {
    let at = Workplace::new();
    at.refuses(&["merge", "out"], "shards/none");
    at.refuses(&["run", "pipeline.toml", "--shard", "5/4"], "shards/no-such-shard");
    at.refuses(&["run", "pipeline.toml", "--shard", "auto"], "shards/no-scheduler");
    at.refuses(
        &["run", "pipeline.toml", "--shard", "1/2", "--plan", "missing.json"],
        "shards/no-plan",
    );
    at.done(&["run", "pipeline.toml", "--shard", "1/3"]);
    at.refuses(&["merge", "out"], "shards/missing");
    at.refuses(&["merge", "out", "base"], "shards/not-a-shard");
    at.done(&["run", "pipeline.toml", "--shard", "2/3"]);
    at.done(&["plan", "pipeline.toml"]);
    at.edit("pipeline.toml", "threshold = 0.0", "threshold = 0.1");
    at.refuses(&["run", "pipeline.toml", "--shard", "3/3"], "shards/plan-of-before");
    at.done(&["plan", "pipeline.toml"]);
    at.done(&["run", "pipeline.toml", "--shard", "3/3"]);
    at.refuses(&["merge", "out"], "shards/of-two-jobs");
    at.write(
        "out/shards/plan/plan.json",
        at.read("out/shards/plan/plan.json").replace("0.1", "0.2"),
    );
    at.refuses(&["run", "pipeline.toml", "--shard", "3/3"], "shards/plan-that-was-changed");
}
