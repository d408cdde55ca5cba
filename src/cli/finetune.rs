//! `kgbuild finetune`: from facts and a base model to a finetuned model and its training card.

use std::path::Path;

use super::args::FinetuneArgs;
use super::environment::{environment, stopping_environment};
use super::failure::Failure;
use super::streams::{Console, print, to_stderr};
use super::table;
use crate::config::finetune::{self as config, Finetune, Keep};
use crate::config::locked;
use crate::finetune::{
    self, Card, Prepared, Sources, TrainingInputs, TrainingOutcome, finished, use_threads,
};

/// Trains what is missing, or says what a training would take.
pub(super) fn finetune(args: &FinetuneArgs, console: Console) -> Result<(), Failure> {
    // A dry run has no step to finish.
    let environment = match args.dry_run {
        true => environment(console),
        false => stopping_environment(
            console,
            "stopping when the step in work is done; again to stop at once",
            "stopped; the same command goes on from the last checkpoint",
        )?,
    };
    let events = environment.events.as_ref();
    let (mut settings, notes) = config::read(&args.file)?;
    events.warn(&locked(&args.file, settings.model_sources(), args.locked, notes)?);
    let (inputs, warnings) = TrainingInputs::read(&settings)?;
    events.warn(&warnings);
    let sources = Sources::fetch(&settings, environment.cache()?, events)?;
    if args.dry_run {
        let prepared = Prepared::new(&settings, &inputs, sources)?;
        return dry_run(&settings, &inputs, &prepared);
    }
    if !args.fresh && finished(&settings.folder, &sources.signature)?.is_some() {
        events.note("this training is finished; --fresh starts it anew");
    }
    use_threads(settings.training.threads)?;
    match finetune::run(&settings, &inputs, sources, args.fresh, events, &environment.stop)? {
        TrainingOutcome::Finished(card) => print_card(&settings, &card, console),
        TrainingOutcome::Stopped { done, total } => {
            to_stderr(&match total {
                Some(total) => format!(
                    "stopped after step {done} of {total}; the same command goes on from there"
                ),
                None => {
                    "stopped before the first step; the same command goes on from what was there"
                        .to_owned()
                }
            });
            Err(Failure::Stopped)
        }
    }
}

/// The columns that a narrow terminal does without, the first one first; the card has them.
const SPARE: [&str; 3] = ["seconds", "training loss", "steps"];

/// The unit of the losses.
const LOSSES: &str = "losses: mean nats a fact, over all tokens of its object; of text, a token";

/// How the training went, where the model is, and how to use it.
fn print_card(settings: &Finetune, card: &Card, console: Console) -> Result<(), Failure> {
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
    console.summary(&table::table(&header, vec![row], table::terminal_width(), &SPARE))?;
    console.summary(LOSSES)?;
    if card.stopped_early {
        console.summary(&format!(
            "\nThe held-out loss fell no more; the weights are those after step {}.",
            card.written_step
        ))?;
    } else if card.written_step == 0 {
        console.summary(
            "\nThe held-out loss never fell below the base model's, so that the weights are those of \
             the base: lower `learning_rate`, or train on more facts.",
        )?;
    }
    if settings.training.keep == Keep::Last
        && let (Some(before), Some(after)) = (before, after)
        && after.facts > before.facts
    {
        console.summary(
            "\nThe held-out loss is larger than the base model's, and the weights are the last all \
             the same: lower `learning_rate`, train on more facts, or write `keep = \"best\"`.",
        )?;
    }
    let base = match &settings.base.sha256 {
        Some(sha256) => format!("{{ source = {:?}, sha256 = {sha256:?} }}", settings.base.written),
        None => format!("{:?}", settings.base.written),
    };
    let folder = settings.file.parent().unwrap_or(Path::new(""));
    let output = settings.folder.strip_prefix(folder).unwrap_or(&settings.folder);
    let output = if output.as_os_str().is_empty() { Path::new(".") } else { output };
    console.summary(&format!(
        "\n{} holds the finetuned model and its card. To use it in a pipeline.toml beside {}, write \
         under [models]\n\nbase = {base}\nfinetuned = {:?}",
        settings.folder.display(),
        settings.file.display(),
        output.display().to_string(),
    ))
}

/// Counts what a training would do, with the code that does it.
fn dry_run(
    settings: &Finetune,
    inputs: &TrainingInputs,
    prepared: &Prepared,
) -> Result<(), Failure> {
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
