//! `kgbuild shock`: a finetuned model diagnosed against its base, on facts that it has not seen.

mod conclusions;
mod page;
mod print;

use serde::Serialize;

use super::args::ShockArgs;
use super::deliver::{deliver, json};
use super::environment::asking_environment;
use super::failure::Failure;
use super::streams::Console;
use super::table;
use crate::diagnosis::{self, DiagnosisFacts, DiagnosisReport, diagnose};
use crate::files::writable;
use crate::pipeline::Job;

/// The report as JSON, with what is seen in sentences.
#[derive(Serialize)]
struct WordedReport<'a> {
    #[serde(flatten)]
    report: &'a DiagnosisReport,
    conclusions: Vec<String>,
}

/// Diagnoses, and prints or writes what is seen.
pub(super) fn shock(args: &ShockArgs, console: Console) -> Result<(), Failure> {
    let environment = asking_environment(console, args.locked, &args.library)?;
    let job = Job::open(&args.pipeline, &environment)?;
    let pipeline = job.pipeline();
    diagnosis::two_models(pipeline)?;
    let named = DiagnosisFacts {
        held_out: args.facts.clone(),
        entities: args.entities.clone(),
        train: args.train.clone(),
    };
    let facts = named.with_those_of(pipeline)?;
    let tuned = pipeline.tuning.iter().map(|tuning| tuning.file.clone()).collect();
    let DiagnosisFacts { held_out, entities, train } = &facts;
    let inputs =
        [pipeline.sources(), tuned, held_out.clone(), entities.clone(), train.clone()].concat();
    writable(&[("--html", args.html.as_deref()), ("-o", args.output.as_deref())], &inputs)?;
    let report = diagnose(job, &environment, &facts);
    let report =
        report.map_err(|error| Failure::from(error).saying("interrupted: nothing was written"))?;
    write(args, &report, console)
}

fn write(args: &ShockArgs, report: &DiagnosisReport, console: Console) -> Result<(), Failure> {
    let conclusions = conclusions::conclusions(report);
    let page = args.html.as_deref().map(|file| (file, page::page(report, &conclusions)));
    let text = match args.json {
        true => json(&WordedReport { report, conclusions })?,
        false => {
            let width = if args.output.is_none() { table::terminal_width() } else { None };
            print::printed(report, &conclusions, width)
        }
    };
    deliver(&text, page, args.output.as_deref(), console)
}
