//! `kgbuild run`: from a pipeline file to a graph and a report.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::args::RunArgs;
use super::export::whole_file;
use super::failure::{Failure, show};
use super::interrupt::stop_on_interrupt;
use super::models::{load_runtime, model_failure, open_models, workers};
use super::report::{print_report, say_interrupted};
use super::say::{print, say};
use super::tune::made_from;
use super::{check, table};
use crate::config::{self, Pipeline};
use crate::diagnostic::{Diagnostic, Diagnostics, counted};
use crate::fetch::{self, Cache};
use crate::graph::{self, GraphWriter, RunDescription};
use crate::lm::Prompt;
use crate::onnx::{IMPORTER_VERSION, PREPARER_VERSION};
use crate::pipeline::{
    self, CHUNK_SUBJECTS, Inputs, LocatedModels, Plan, Progress, RelationPlan, Report, ReportFile,
    report_text,
};
use crate::shock::Calibration;

/// Runs the pipeline, or says what a run would take.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let (mut pipeline, warnings) = check::read(&args.pipeline)?;
    show(&warnings);
    check::use_tuned(&mut pipeline)?;
    if !args.dry_run {
        ReportFile::find(&pipeline.output.folder).map_err(Failure::bad_input)?;
    }
    let (inputs, warnings) = Inputs::read(&pipeline)?;
    show(&warnings);
    let cache = Cache::from_environment().map_err(Failure::bad_input)?;
    // A dry run has no chunk to finish.
    let stop = match args.dry_run {
        true => Arc::default(),
        false => stop_on_interrupt(
            "stopping when the chunks in work are written; again to stop at once",
            "stopped; the same command goes on after the chunks that were written",
        )?,
    };
    let models = pipeline::locate(&pipeline, &cache, &mut say).map_err(Failure::bad_input)?;
    tuned_for(&pipeline, &models)?;
    let prompter = models.prompter().map_err(Failure::bad_input)?;
    let (mut plan, warnings) = Plan::new(&pipeline, inputs, prompter, models.context)?;
    show(&warnings);
    if args.dry_run {
        return dry_run(&plan);
    }
    let description = describe(&pipeline, &plan, &models)?;
    let report = build(args, &pipeline, &mut plan, &models, &cache, &description, &stop)?;
    let file = ReportFile::find(&pipeline.output.folder).map_err(Failure::bad_input)?;
    // A run that had nothing to do has nothing to add to what is known of the one that did.
    if report.prompts > 0 || !file.is_complete(&description.signature) {
        let text = report_text(&description.signature, &report).map_err(Failure::failed)?;
        whole_file(file.path(), |out| out.write_all(text.as_bytes()).map_err(Failure::Output))?;
    }
    print_report(&report, &pipeline.output, &args.pipeline)
}

/// Predicts and writes what is missing.
fn build(
    args: &RunArgs,
    pipeline: &Pipeline,
    plan: &mut Plan,
    models: &LocatedModels,
    cache: &Cache,
    description: &RunDescription,
    stop: &AtomicBool,
) -> Result<Report, Failure> {
    let output = &pipeline.output;
    let annotation = match output.annotation {
        config::Annotation::Rdf12 => graph::Annotation::Rdf12,
        config::Annotation::Reification => graph::Annotation::Reification,
    };
    let durability = match output.durability {
        config::Durability::Periodic => graph::Durability::Periodic,
        config::Durability::Chunk => graph::Durability::Chunk,
    };
    let open = || {
        GraphWriter::open(&output.folder, &output.base_iri, description, annotation, args.fresh)
            .map(|writer| writer.with_durability(durability))
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
    let mut predictors = match missing.chunks {
        0 => Vec::new(),
        _ => {
            heed(stop, args)?;
            let predictors = open_models(
                pipeline,
                plan,
                models,
                &load_runtime(pipeline, cache)?,
                missing.chunks,
            )?;
            heed(stop, args)?;
            predictors
        }
    };
    let writer = match existing {
        Some(writer) => writer,
        None => open()?,
    };
    if !writer.done().is_empty() && missing.chunks > 0 {
        let done = counted(writer.done().len(), "chunk");
        say(&format!("continuing: {done} done, {} to go", missing.chunks));
    }
    if pipeline.correction.removes_shift() && missing.chunks > 0 {
        say("taking the models' mean predictions");
        let workers = workers(pipeline);
        pipeline::take_priors(plan, &mut predictors, workers, args.quiet, stop)
            .map_err(model_failure)?;
    }
    let progress = Progress::new(missing.prompts, args.quiet);
    pipeline::run(plan, &mut predictors, models.asked(), workers(pipeline), writer, &progress, stop)
        .map_err(model_failure)
}

/// Ends a run that was stopped before it has written anything.
fn heed(stop: &AtomicBool, args: &RunArgs) -> Result<(), Failure> {
    if stop.load(Ordering::Relaxed) {
        say_interrupted(&args.pipeline);
        return Err(Failure::Interrupted);
    }
    Ok(())
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
            "{:?}, {:?}, tolerance {}, masked {:?}",
            prediction.normalise, prediction.method, prediction.tolerance, prediction.masked
        )
        .to_lowercase(),
    );
    settings.insert("subjects a chunk".to_owned(), CHUNK_SUBJECTS.to_string());
    for relation in &plan.relations {
        settings.insert(
            format!("relation <{}>", relation.iri),
            describe_relation(pipeline, plan, relation),
        );
    }
    let config_sha256 =
        hex::encode(Sha256::digest(serde_json::to_vec(&settings).map_err(Failure::failed)?));
    let mut signature = settings;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    signature.insert(
        "kgbuild".to_owned(),
        format!("{version}, importer {IMPORTER_VERSION}, preparer {PREPARER_VERSION}"),
    );
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
        correction: pipeline.correction.name().to_owned(),
        tuned_sha256: match &pipeline.tuning {
            Some(tuning) => Some(fetch::sha256_of(&tuning.file).map_err(Failure::bad_input)?),
            None => None,
        },
        version,
    })
}

/// Numbers that were tuned for other models or another correction mean nothing here.
///
/// # Errors
/// What they were tuned for, where it is not what the pipeline has.
pub fn tuned_for(pipeline: &Pipeline, models: &LocatedModels) -> Result<(), Failure> {
    let (Some(tuned), Some(tuning)) = (pipeline.tuned(), &pipeline.tuning) else {
        return Ok(());
    };
    let now = made_from(pipeline, models)?;
    let was = &tuned.made_from;
    let differs: Vec<&str> = [
        ("base model", was.base_sha256 != now.base_sha256),
        ("finetuned model", was.finetuned_sha256 != now.finetuned_sha256),
        ("correction", was.correction != now.correction),
        ("normalise", was.normalise != now.normalise),
        ("examples", was.examples_sha256 != now.examples_sha256),
    ]
    .into_iter()
    .filter_map(|(part, differs)| differs.then_some(part))
    .collect();
    if differs.is_empty() {
        return Ok(());
    }
    let file = tuning.file.display();
    let message = format!("`{file}` was tuned for another {}", differs.join(" and another "));
    let help = format!("`kgbuild tune {}` makes it anew", pipeline.file.display());
    let mistake = Diagnostic::error("tuned-for-another", message).help(help);
    Err(Diagnostics::from(Diagnostic { place: Some(tuning.place.clone()), ..mistake }).into())
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

/// All numbers that a relation's triples depend on.
fn describe_relation(pipeline: &Pipeline, plan: &Plan, relation: &RelationPlan) -> String {
    let mut text = pipeline.correction.name().to_owned();
    if pipeline.correction != config::Correction::None {
        text += &format!(", lambda {}", pipeline.lambda(&relation.iri));
    }
    if let Some(tau) = relation.tau {
        text += &format!(", tau {tau} over {} subjects", relation.prior_subjects.len());
    }
    let Calibration { temperature, bias } = relation.calibration;
    if relation.calibration != Calibration::IDENTITY {
        text += &format!(", temperature {temperature}, bias {bias}");
    }
    if !relation.examples.is_empty() {
        let [finetuned, base] = plan.exampled;
        text += &format!(", examples {:?} (finetuned {finetuned}, base {base})", relation.examples);
    }
    let most = relation.rankings.mixed.most;
    format!("{text}, threshold {}, at most {most}", relation.threshold)
}

/// Counts what a run would do, with the code that does it.
fn dry_run(plan: &Plan) -> Result<(), Failure> {
    let nothing_done = Default::default();
    let mut tokens = vec![0; plan.relations.len()];
    for task in plan.tasks(&nothing_done) {
        let relation = task.relation;
        let encoded = pipeline::encode(plan, task).map_err(Failure::bad_input)?;
        // Where models read different prompts, those of the one that reads most.
        let lists = [false, true].map(|exampled| encoded.prompts(exampled));
        let of = |prompts: &[Prompt]| prompts.iter().map(Prompt::tokens).sum::<usize>();
        tokens[relation] += lists.into_iter().map(of).max().unwrap_or(0);
    }
    let mut rows = Vec::new();
    let mut sums = [0; 5];
    for (relation, prompt_tokens) in plan.relations.iter().zip(tokens) {
        let candidates = relation.candidates.len();
        let tokens = (0..candidates).map(|candidate| relation.space.tokens(candidate as u32).len());
        let candidate_tokens: usize = tokens.sum();
        let prompts = relation.subjects.len() * relation.templates.len();
        let numbers =
            [relation.subjects.len(), prompts, prompt_tokens, candidates, candidate_tokens];
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
