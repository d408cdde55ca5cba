//! `kgbuild run`: from a pipeline file to a graph and a report.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::args::RunArgs;
use super::export::whole_file;
use super::failure::{Failure, show};
use super::report::print_report;
use super::say::{print, say};
use super::{check, table};
use crate::config::{self, Pipeline};
use crate::fetch::{self, Cache};
use crate::graph::{self, GraphWriter, RunDescription};
use crate::onnx::IMPORTER_VERSION;
use crate::pipeline::{
    self, CHUNK_SUBJECTS, Inputs, LocatedModels, Plan, Predictor, Progress, Report, stages::Workers,
};
use crate::runtime::{Device, Runtime};
use crate::shock::{Correction, Mixing};

/// The report with what it is a report of.
#[derive(Serialize)]
struct NamedReport<'a> {
    signature: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Runs the pipeline, or says what a run would take.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let (pipeline, warnings) = check::read(&args.pipeline)?;
    show(&warnings);
    let (inputs, warnings) = Inputs::read(&pipeline)?;
    show(&warnings);
    let cache = Cache::from_environment().map_err(Failure::bad_input)?;
    let models = pipeline::locate(&pipeline, &cache, &mut say).map_err(Failure::bad_input)?;
    let tokenizer = models.tokenizer().map_err(Failure::bad_input)?;
    let (plan, warnings) = Plan::new(&pipeline, inputs, tokenizer, models.context)?;
    show(&warnings);
    if args.dry_run {
        return dry_run(&plan);
    }
    let description = describe(&pipeline, &plan, &models)?;
    let report = build(args, &pipeline, &plan, &models, &cache, &description)?;
    let file = pipeline.output.folder.join("report.json");
    // A run that had nothing to do has nothing to add to what is known of the one that did.
    if report.prompts > 0 || !is_reported(&file, &description) {
        let named = NamedReport { signature: &description.signature, report: &report };
        whole_file(&file, |out| {
            serde_json::to_writer_pretty(&mut *out, &named)
                .map_err(|e| Failure::Output(e.into()))?;
            out.write_all(b"\n").map_err(Failure::Output)
        })?;
    }
    print_report(&report, &pipeline.output, &args.pipeline)
}

/// Whether a file is the report of this run, complete.
fn is_reported(file: &Path, description: &RunDescription) -> bool {
    let Ok(text) = fs::read(file) else { return false };
    let report: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    report["complete"] == true && report["signature"] == serde_json::json!(description.signature)
}

/// Predicts and writes what is missing.
fn build(
    args: &RunArgs,
    pipeline: &Pipeline,
    plan: &Plan,
    models: &LocatedModels,
    cache: &Cache,
    description: &RunDescription,
) -> Result<Report, Failure> {
    let output = &pipeline.output;
    let annotation = match output.annotation {
        config::Annotation::Rdf12 => graph::Annotation::Rdf12,
        config::Annotation::Reification => graph::Annotation::Reification,
    };
    let open = || {
        GraphWriter::open(&output.folder, &output.base_iri, description, annotation, args.fresh)
            .map_err(Failure::bad_input)
    };
    // A graph that is there is looked at before the models are loaded; a new one is made after, so
    // that a model that cannot be loaded leaves nothing behind.
    let existing =
        if output.folder.join("store").exists() && !args.fresh { Some(open()?) } else { None };
    let missing = match &existing {
        Some(writer) => plan.size(plan.tasks(writer.done())),
        None => plan.size(plan.tasks(&Default::default())),
    };
    let predictors =
        if missing.chunks == 0 { Vec::new() } else { open_models(pipeline, plan, models, cache)? };
    let writer = match existing {
        Some(writer) => writer,
        None => open()?,
    };
    if !writer.done().is_empty() && missing.chunks > 0 {
        let done = writer.done().len();
        say(&format!("continuing: {done} chunks are done, {} to go", missing.chunks));
    }
    let workers = Workers {
        encode: pipeline.runtime.encode_workers,
        capacity: pipeline.runtime.channel_capacity,
    };
    let stop = stop_on_interrupt()?;
    let progress = Progress::new(missing.prompts, args.quiet);
    pipeline::run(plan, predictors, models.asked(), workers, writer, &progress, &stop).map_err(
        |error| match error {
            pipeline::Error::Model(crate::lm::Error::Runtime { .. }) => Failure::failed(error),
            error => Failure::bad_input(error),
        },
    )
}

fn open_models(
    pipeline: &Pipeline,
    plan: &Plan,
    models: &LocatedModels,
    cache: &Cache,
) -> Result<Vec<Predictor>, Failure> {
    let library = match &pipeline.runtime.library {
        Some(library) => library.clone(),
        None => fetch::runtime_library(cache, &mut say).map_err(Failure::bad_input)?,
    };
    let device = match pipeline.runtime.device {
        config::Device::Auto => Device::Auto,
        config::Device::Cpu => Device::Cpu,
        config::Device::Cuda => Device::Cuda,
    };
    let runtime = Runtime::load(&library, device).map_err(Failure::bad_input)?;
    if let Some(note) = runtime.note() {
        say(note);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = pipeline.runtime.threads.unwrap_or(cores);
    let (workers, budget) = (pipeline.runtime.workers, pipeline.runtime.token_budget);
    models.open(&runtime, &plan.tokenizer, workers, threads, budget).map_err(Failure::bad_input)
}

/// A flag that Ctrl-C sets; a second Ctrl-C ends the process at once, which loses nothing that
/// was committed.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            say("\nstopped; the same command goes on after the chunks that were written");
            process::exit(1);
        }
        say("\nstopping when the chunks in work are written; again to stop at once");
    })
    .map_err(Failure::failed)?;
    Ok(stop)
}

/// All that the graph depends on, and what is written about the run.
fn describe(
    pipeline: &Pipeline,
    plan: &Plan,
    models: &LocatedModels,
) -> Result<RunDescription, Failure> {
    let mut settings = BTreeMap::new();
    let prediction = &pipeline.prediction;
    settings.insert(
        "prediction".to_owned(),
        format!(
            "{:?}, {:?}, tolerance {}",
            prediction.normalise, prediction.method, prediction.tolerance
        )
        .to_lowercase(),
    );
    settings.insert("subjects a chunk".to_owned(), CHUNK_SUBJECTS.to_string());
    for relation in &plan.relations {
        settings.insert(
            format!("relation <{}>", relation.iri),
            format!(
                "{}, threshold {}, at most {}",
                describe_correction(relation.correction),
                pipeline.threshold(&relation.iri),
                relation.rankings.mixed.most,
            ),
        );
    }
    let config_sha256 =
        hex::encode(Sha256::digest(serde_json::to_vec(&settings).map_err(Failure::failed)?));
    let mut signature = settings;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    signature.insert("kgbuild".to_owned(), format!("{version}, importer {IMPORTER_VERSION}"));
    for (part, model) in [("base model", models.base()), ("finetuned model", models.finetuned())] {
        if let Some(model) = model {
            signature.insert(part.to_owned(), model.sha256.clone());
        }
    }
    let inputs = &pipeline.inputs;
    let gold: Vec<PathBuf> = inputs.gold.iter().cloned().collect();
    for (part, files) in [
        ("ontology", &inputs.ontology),
        ("subjects", &inputs.subjects),
        ("candidates", &inputs.candidates),
        ("gold", &gold),
    ] {
        let hashes: Result<Vec<String>, _> = files.iter().map(|f| fetch::sha256_of(f)).collect();
        signature.insert(part.to_owned(), hashes.map_err(Failure::bad_input)?.join(" "));
    }
    Ok(RunDescription {
        signature,
        base_model: models.base().cloned(),
        finetuned_model: models.finetuned().cloned(),
        config_sha256,
        lambda: shared_lambda(pipeline, plan),
        correction: match pipeline.correction {
            config::Correction::None => "none",
            config::Correction::Linear => "linear",
            config::Correction::LogLinear(config::Mixing::Branching) => "log-linear at branchings",
            config::Correction::LogLinear(config::Mixing::Candidate) => "log-linear by candidate",
        }
        .to_owned(),
        version,
    })
}

/// The mixing weight, where there is a correction and all relations have the same.
fn shared_lambda(pipeline: &Pipeline, plan: &Plan) -> Option<f64> {
    if pipeline.correction == config::Correction::None {
        return None;
    }
    let mut lambdas = plan.relations.iter().map(|relation| pipeline.lambda(&relation.iri));
    let first = lambdas.next()?;
    lambdas.all(|lambda| lambda == first).then_some(first)
}

fn describe_correction(correction: Correction) -> String {
    match correction {
        Correction::None => "no correction".to_owned(),
        Correction::Linear { lambda } => format!("linear {lambda}"),
        Correction::LogLinear { lambda, mixing: Mixing::Branching } => {
            format!("log-linear at branchings {lambda}")
        }
        Correction::LogLinear { lambda, mixing: Mixing::Candidate } => {
            format!("log-linear by candidate {lambda}")
        }
    }
}

/// Counts what a run would do, with the code that does it.
fn dry_run(plan: &Plan) -> Result<(), Failure> {
    let nothing_done = Default::default();
    let mut tokens = vec![0; plan.relations.len()];
    for task in plan.tasks(&nothing_done) {
        let relation = task.relation;
        let encoded = pipeline::encode(plan, task).map_err(Failure::bad_input)?;
        tokens[relation] += encoded.prompts.iter().map(Vec::len).sum::<usize>();
    }
    let mut rows = Vec::new();
    let mut sums = [0; 5];
    for (relation, prompt_tokens) in plan.relations.iter().zip(tokens) {
        let trie = relation.space.trie();
        let candidate_tokens: usize =
            (0..trie.candidates()).map(|c| trie.tokens(c as u32).len()).sum();
        let prompts = relation.subjects.len() * relation.templates.len();
        let numbers =
            [relation.subjects.len(), prompts, prompt_tokens, trie.candidates(), candidate_tokens];
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        let numbers = numbers.iter().map(usize::to_string);
        rows.push(std::iter::once(relation.name.clone()).chain(numbers).collect());
    }
    let numbers = sums.iter().map(usize::to_string);
    rows.push(std::iter::once("all".to_owned()).chain(numbers).collect());
    let header =
        ["relation", "subjects", "prompts", "prompt tokens", "candidates", "candidate tokens"];
    print(&table::table(&header, rows, table::terminal_width(), &[]))
}
