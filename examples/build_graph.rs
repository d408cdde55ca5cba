//! Builds a graph: `cargo run --release --example build_graph [PIPELINE]`.
//!
//! Without a pipeline file it writes the starter into a new folder, asks its six questions of a small
//! model, which is fetched with pip the first time, and prints where the graph is.

use std::error::Error;
use std::path::PathBuf;

use kgbuild::diagnostic::{Diagnostics, Events};
use kgbuild::pipeline::{Environment, Job};

/// Tells notes and warnings on standard error.
struct Told;

impl Events for Told {
    fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    fn warn(&self, warnings: &Diagnostics) {
        eprint!("{}", warnings.render(false));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pipeline = match std::env::args_os().nth(1) {
        Some(file) => PathBuf::from(file),
        None => {
            let folder = tempfile::tempdir()?.keep();
            kgbuild::config::init(&folder)?;
            folder.join("pipeline.toml")
        }
    };
    let environment = Environment::new(Told);
    let mut job = Job::open(&pipeline, &environment)?.plan()?;
    let report = job.run(false)?;
    for relation in &report.relations {
        println!(
            "{}: {} triples of {} subjects",
            relation.name, relation.triples, relation.subjects
        );
    }
    println!("graph: {}", job.pipeline().output.folder.display());
    Ok(())
}
