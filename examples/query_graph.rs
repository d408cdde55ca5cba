//! Queries a graph: `cargo run --release --example query_graph [OUTPUT]`.
//!
//! Prints the ten most certain triples. Without an output folder it builds the starter's graph first.

use std::error::Error;
use std::path::PathBuf;

use kgbuild::diagnostic::Silent;
use kgbuild::graph::{self, QueryOptions};
use kgbuild::pipeline::{Environment, Job};

const MOST_CERTAIN: &str = "
    SELECT ?subject ?relation ?object ?confidence WHERE {
        ?s ?r ?o {| kgb:confidence ?confidence |} .
        ?s rdfs:label ?subject . ?r rdfs:label ?relation . ?o rdfs:label ?object
    } ORDER BY DESC(?confidence) LIMIT 10";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let output = match std::env::args_os().nth(1) {
        Some(output) => PathBuf::from(output),
        None => {
            kgbuild::config::init(folder.path())?;
            let environment = Environment::new(Silent);
            let job = Job::open(&folder.path().join("pipeline.toml"), &environment)?;
            let output = job.pipeline().output.folder.clone();
            job.plan()?.run(false)?;
            output
        }
    };
    let store = graph::open_for_reading(&output)?;
    graph::query(&store, MOST_CERTAIN, QueryOptions::default(), &mut std::io::stdout())?;
    Ok(())
}
