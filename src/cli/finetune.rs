//! `kgbuild finetune`: from facts and a base model to a finetuned model and its training card.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::args::FinetuneArgs;
use super::check::malformed;
use super::failure::{Failure, show};
use super::interrupt::stop_on_interrupt;
use super::say::{print, say};
use super::table;
use crate::config::finetune::{self as config, Finetune, Keep};
use crate::diagnostic::Diagnostics;
use crate::fetch::Cache;
use crate::finetune::{
    Card, Ended, Inputs, Output, PrepareError, Prepared, Progress, Sources, TrainError, Trainer,
    finished,
};

/// Trains what is missing, or says what a training would take.
pub fn finetune(args: &FinetuneArgs) -> Result<(), Failure> {
    let (settings, warnings) = read(&args.file)?;
    show(&warnings);
    let (inputs, warnings) = Inputs::read(&settings)?;
    show(&warnings);
    let cache = Cache::from_environment().map_err(Failure::bad_input)?;
    // A dry run has no step to finish.
    let stop = match args.dry_run {
        true => Arc::default(),
        false => stop_on_interrupt(
            "stopping when the step in work is done; again to stop at once",
            "stopped; the same command goes on from the last checkpoint",
        )?,
    };
    let sources = Sources::fetch(&settings, &cache, &mut say).map_err(unprepared)?;
    if args.dry_run {
        let prepared = Prepared::new(&settings, &inputs, sources).map_err(unprepared)?;
        return dry_run(&settings, &inputs, &prepared);
    }
    if !args.fresh && finished_before(&settings, &sources)?.is_some() {
        say("this training is finished; --fresh starts it anew");
    }
    use_threads(settings.training.threads)?;
    let trained = train(&settings, &inputs, sources, args.fresh, args.quiet, &stop)?;
    match trained {
        Some(card) => print_card(&settings, &card),
        None => Err(Failure::Interrupted),
    }
}

/// The card of a training that is finished.
fn finished_before(settings: &Finetune, sources: &Sources) -> Result<Option<Card>, Failure> {
    finished(&settings.folder, &sources.signature).map_err(Failure::bad_input)
}

/// Lets the engine use so many cores, all there are if none are named. Once a process.
///
/// # Errors
/// Where the system gives no threads.
pub fn use_threads(threads: Option<usize>) -> Result<(), Failure> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(cores))
        .build_global()
        .map_err(Failure::failed)
}

/// Reads a finetuning file, and what it says of its sources; nothing is fetched.
pub fn read(file: &Path) -> Result<(Finetune, Diagnostics), Diagnostics> {
    let (settings, mut notes) = config::read(file)?;
    notes.0.extend(malformed(&settings.base));
    let text = settings.mixture.as_ref().map(|mixture| &mixture.text);
    notes.0.extend(text.and_then(malformed));
    notes.or(settings)
}

/// Whose turn it is where a training cannot begin.
pub fn unprepared(error: PrepareError) -> Failure {
    match error {
        PrepareError::Mistakes(mistakes) => mistakes.into(),
        error => Failure::bad_input(error),
    }
}

/// Trains to the end and writes the result, unless that was done before. Nothing where `stop` was
/// set.
///
/// # Errors
/// Where the inputs and the model do not fit, or training fails; the last checkpoint stays.
pub fn train(
    settings: &Finetune,
    inputs: &Inputs,
    sources: Sources,
    fresh: bool,
    quiet: bool,
    stop: &AtomicBool,
) -> Result<Option<Card>, Failure> {
    if !fresh && let Some(card) = finished_before(settings, &sources)? {
        return Ok(Some(card));
    }
    if is_early(stop) {
        return Ok(None);
    }
    let prepared = Prepared::new(settings, inputs, sources).map_err(unprepared)?;
    let model = prepared.model(settings).map_err(unprepared)?;
    if is_early(stop) {
        return Ok(None);
    }
    let signature = prepared.signature();
    let (output, found) =
        Output::claim(&settings.folder, signature, fresh).map_err(Failure::bad_input)?;
    let failed = |error: TrainError| match error {
        TrainError::NotFinite { .. } | TrainError::Engine(_) => Failure::failed(error),
        error => Failure::bad_input(error),
    };
    let mut trainer = Trainer::new(&settings.training, &prepared.plan, model, signature, found)
        .map_err(failed)?;
    let (done, total) = (trainer.done(), prepared.plan.steps());
    if done > 0 {
        say(&format!("continuing after step {done} of {total}"));
    }
    let mut progress = Progress::new(total, done, quiet);
    let ended = trainer.train(&output, &mut progress, stop);
    progress.finish();
    if ended.map_err(failed)? == Ended::Interrupted {
        let done = trainer.done();
        say(&format!("stopped after step {done} of {total}; the same command goes on from there"));
        return Ok(None);
    }
    let stopped_early = trainer.stopped_early();
    let (model, state) = trainer.finish().map_err(failed)?;
    let card = prepared.card(settings, state, stopped_early);
    let save = |folder: &Path| Ok(prepared.save(&model, folder)?);
    let card = output.finish::<TrainError>(card, save).map_err(failed)?;
    Ok(Some(card))
}

/// Whether the stop was set before anything was begun; says so.
fn is_early(stop: &AtomicBool) -> bool {
    let stopped = stop.load(Ordering::Relaxed);
    if stopped {
        say("stopped before the first step; the same command goes on from what was there");
    }
    stopped
}

/// The columns that a narrow terminal does without, the first one first; the card has them.
const SPARE: [&str; 3] = ["seconds", "training loss", "steps"];

/// The unit of the losses.
const LOSSES: &str = "losses: mean nats a fact, over all tokens of its object; of text, a token";

/// How the training went, where the model is, and how to use it.
fn print_card(settings: &Finetune, card: &Card) -> Result<(), Failure> {
    let loss = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let last_epoch = card.steps.len().saturating_sub(card.steps_per_epoch as usize);
    let last_epoch = &card.steps[last_epoch..];
    let mean = last_epoch.iter().map(|step| step.facts).sum::<f64>() / last_epoch.len() as f64;
    let before = card.evaluations.first();
    let after = card.evaluations.iter().find(|evaluation| evaluation.step == card.written_step);
    let mut header = vec!["steps", "training loss", "held-out before", "held-out after"];
    let mut row = vec![
        card.steps.len().to_string(),
        loss(Some(mean).filter(|mean| mean.is_finite())),
        loss(before.map(|before| before.facts)),
        loss(after.map(|after| after.facts)),
    ];
    if settings.mixture.is_some() {
        header.extend(["text before", "text after"]);
        row.push(loss(before.and_then(|before| before.text)));
        row.push(loss(after.and_then(|after| after.text)));
    }
    header.push("seconds");
    row.push(format!("{:.*}", usize::from(card.seconds < 10.0), card.seconds));
    print(&table::table(&header, vec![row], table::terminal_width(), &SPARE))?;
    print(LOSSES)?;
    if card.stopped_early {
        print(&format!(
            "\nThe held-out loss fell no more; the weights are those after step {}.",
            card.written_step
        ))?;
    } else if card.written_step == 0 {
        print(
            "\nThe held-out loss never fell below the base model's, so that the weights are those of \
             the base: lower `learning_rate`, or train on more facts.",
        )?;
    }
    if settings.training.keep == Keep::Last
        && let (Some(before), Some(after)) = (before, after)
        && after.facts > before.facts
    {
        print(
            "\nThe held-out loss is larger than the base model's, and the weights are the last all \
             the same: lower `learning_rate`, train on more facts, or write `keep = \"best\"`.",
        )?;
    }
    let base = match &settings.base.sha256 {
        Some(sha256) => format!("{{ source = {:?}, sha256 = {sha256:?} }}", settings.base.source),
        None => format!("{:?}", settings.base.source),
    };
    let folder = settings.file.parent().unwrap_or(Path::new(""));
    let output = settings.folder.strip_prefix(folder).unwrap_or(&settings.folder);
    let output = if output.as_os_str().is_empty() { Path::new(".") } else { output };
    print(&format!(
        "\n{} holds the finetuned model and its card. To use it in a pipeline.toml beside {}, write \
         under [models]\n\nbase = {base}\nfinetuned = {:?}",
        settings.folder.display(),
        settings.file.display(),
        output.display().to_string(),
    ))
}

/// Counts what a training would do, with the code that does it.
fn dry_run(settings: &Finetune, inputs: &Inputs, prepared: &Prepared) -> Result<(), Failure> {
    let plan = &prepared.plan;
    let epoch: Vec<usize> =
        (0..plan.steps_per_epoch()).map(|step| plan.step(step).batch.tokens.len()).collect();
    let tokens: usize = epoch.iter().sum();
    let mut rows = vec![
        ("training facts", inputs.train.count()),
        ("held-out facts", inputs.held_out.count()),
        ("steps an epoch", plan.steps_per_epoch()),
        ("steps", plan.steps()),
        ("tokens an epoch", tokens),
        ("tokens", tokens * settings.training.epochs),
        ("most tokens a step", epoch.into_iter().max().unwrap_or(0)),
    ];
    rows.extend(prepared.text_tokens.map(|tokens| ("tokens of text", tokens)));
    let rows = rows.into_iter().map(|(what, count)| vec![what.to_owned(), count.to_string()]);
    print(&table::table(&["", "count"], rows.collect(), table::terminal_width(), &[]))
}
