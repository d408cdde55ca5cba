//! Scores one question: `cargo run --release --example score_question [PIPELINE SUBJECT RELATION]`.
//!
//! Prints the five best candidates with their confidences; no graph is made. Without arguments it
//! asks for the capital of Kenya, with the starter's pipeline.

use std::error::Error;
use std::path::PathBuf;

use kgbuild::diagnostic::Silent;
use kgbuild::pipeline::{Environment, Job};

const KENYA: &str = "http://www.wikidata.org/entity/Q114";
const CAPITAL: &str = "http://www.wikidata.org/prop/direct/P36";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = tempfile::tempdir()?;
    let (pipeline, subject, relation) = match &arguments[..] {
        [pipeline, subject, relation] => (PathBuf::from(pipeline), &**subject, &**relation),
        _ => {
            kgbuild::config::init(folder.path())?;
            (folder.path().join("pipeline.toml"), KENYA, CAPITAL)
        }
    };
    let environment = Environment::new(Silent);
    let mut job = Job::open(&pipeline, &environment)?.plan()?;
    for object in job.ask(subject, relation, 5)? {
        println!("{:.3}  {}  <{}>", object.confidence, object.label, object.object);
    }
    Ok(())
}
