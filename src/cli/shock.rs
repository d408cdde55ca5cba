//! `kgbuild shock`: a finetuned model diagnosed against its base, on facts that it has not seen.

mod conclusions;
mod page;
mod print;
mod report;

use std::path::PathBuf;

use super::args::ShockArgs;
use super::check;
use super::deliver::deliver;
use super::failure::{Failure, show};
use super::interrupt::stop_on_interrupt;
use super::known::Known;
use super::models::load_runtime;
use super::run::tuned_for;
use super::say::{is_quiet, say, warn};
use super::table;
use super::target::writable;
use crate::config::{self, Pipeline};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Severity::Warning};
use crate::facts::Facts;
use crate::fetch::Cache;
use crate::finetune::card::CARD;
use crate::pipeline::{self, ObjectCounts, UNSAID_LAMBDA};
use report::{Of, Report};

/// Diagnoses, and prints or writes what is seen.
pub fn shock(args: &ShockArgs) -> Result<(), Failure> {
    let (mut pipeline, warnings) = check::read(&args.pipeline)?;
    show(&warnings);
    two_models(&pipeline)?;
    let (facts, entities) = facts(args, &pipeline)?;
    let tuned = pipeline.tuning.iter().map(|tuning| tuning.file.clone()).collect();
    let inputs =
        [pipeline.sources(), tuned, facts.clone(), entities.clone(), args.train.clone()].concat();
    writable(&[("--html", args.html.as_deref()), ("-o", args.output.as_deref())], &inputs)?;
    take_numbers(&mut pipeline, &facts)?;
    let train = match &args.train[..] {
        [] => None,
        files => {
            let (train, warnings) = Facts::read(files)?;
            show(&warnings);
            Some(train)
        }
    };
    let stop =
        stop_on_interrupt("stopping; again to stop at once", "stopped; nothing was written")?;
    let cache = Cache::from_environment().map_err(Failure::bad_input)?;
    let mut known = Known::read(&asked(&pipeline), &entities, &facts, &cache)?;
    tuned_for(&pipeline, &known.models)?;
    let training = training(&known, train.as_ref())?;
    let runtime = load_runtime(&pipeline, args.library.path.as_deref(), &cache)?;
    let Some(scored) = known.ask(&pipeline, &runtime, is_quiet(), &stop)? else {
        warn("interrupted: nothing was written");
        return Err(Failure::Interrupted);
    };
    let questions = known.questions(scored);
    let (from, counts) = training.map_or((None, ObjectCounts::new()), |(f, c)| (Some(f), c));
    let counts = known.plan.training_counts(&counts);
    let diagnosed = pipeline::diagnose(&pipeline, &known.plan, &questions, &counts);
    let of = Of { pipeline: &pipeline, plan: &known.plan, facts: names(&facts), training: from };
    let report = Report::new(of, diagnosed).ok_or_else(|| {
        let message = "no fact says what the object of a question is";
        let help = "name facts with objects, of relations that the pipeline predicts";
        let mistake = Diagnostic::error("no-question", message).help(help);
        Diagnostics::from(mistake.at(&facts[0], At::File))
    })?;
    write(args, &report)
}

fn write(args: &ShockArgs, report: &Report) -> Result<(), Failure> {
    let text = match args.json {
        true => serde_json::to_string_pretty(report).map_err(Failure::failed)?,
        false => {
            let width = if args.output.is_none() { table::terminal_width() } else { None };
            print::printed(report, width)
        }
    };
    let page = args.html.as_deref().map(|file| (file, page::page(report)));
    deliver(&text, page, args.output.as_deref())
}

fn names(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|file| file.display().to_string()).collect()
}

/// The diagnosis compares a finetuned model with its base.
fn two_models(pipeline: &Pipeline) -> Result<(), Diagnostics> {
    let missing = match (&pipeline.models.base, &pipeline.models.finetuned) {
        (Some(_), Some(_)) => return Ok(()),
        (None, _) => "base",
        (_, None) => "finetuned",
    };
    let message = format!("the pipeline names no {missing} model, and the diagnosis compares two");
    let help = format!("add `{missing} = \"…\"` under `[models]`");
    let mistake = Diagnostic::error("two-models", message).help(help);
    Err(mistake.at(&pipeline.file, At::File).into())
}

/// The tables of held-out facts, and those with the labels of their subjects.
fn facts(
    args: &ShockArgs,
    pipeline: &Pipeline,
) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Diagnostics> {
    if !args.facts.is_empty() {
        return Ok((args.facts.clone(), args.entities.clone()));
    }
    if let Some(gold) = &pipeline.inputs.gold {
        return Ok((vec![gold.clone()], args.entities.clone()));
    }
    let Some(tuning) = &pipeline.tuning else {
        let message = "there are no held-out facts to diagnose the model on";
        let help = "name a table with `--facts`, or as `gold` under `[inputs]`";
        let mistake = Diagnostic::error("no-facts", message).help(help);
        return Err(mistake.at(&pipeline.file, At::File).into());
    };
    Ok((tuning.facts.clone(), [&tuning.entities[..], &args.entities].concat()))
}

/// Takes the tuned numbers that the pipeline names, if they are there, and says what they are worth
/// on these facts.
fn take_numbers(pipeline: &mut Pipeline, facts: &[PathBuf]) -> Result<(), Failure> {
    let Some(tuning) = pipeline.tuning.clone() else {
        if pipeline.correction == config::Correction::None {
            let lambda = UNSAID_LAMBDA;
            say(&format!("the pipeline does not mix: corrections are shown with lambda {lambda}"));
        }
        return Ok(());
    };
    if !tuning.file.exists() {
        let message = "the pipeline's numbers are not tuned yet: its own are used";
        let help = format!("`kgbuild tune {}` tunes them", pipeline.file.display());
        let note = Diagnostic::warning(check::NOT_TUNED, message).help(help);
        show(&Diagnostic { place: Some(tuning.place), severity: Warning, ..note }.into());
        return Ok(());
    }
    check::use_tuned(pipeline)?;
    let (tuned_on, _) = Facts::read(&tuning.facts)?;
    let (facts_here, _) = Facts::read(facts)?;
    let both = facts_here.overlap(&tuned_on).len();
    if both > 0 {
        let message = format!(
            "the numbers of the corrections were tuned on {both} of these {} questions: what is \
             shown of the corrections is too good",
            facts_here.len()
        );
        let help = "name facts that neither training nor tuning has seen with `--facts`";
        let note = Diagnostic::warning("tuned-on-these", message).help(help);
        show(&note.at(&facts[0], At::File).into());
    }
    Ok(())
}

/// The pipeline as it asks both models: without a correction it would ask only one.
fn asked(pipeline: &Pipeline) -> Pipeline {
    let mut asked = pipeline.clone();
    if asked.correction == config::Correction::None {
        asked.correction = config::Correction::Linear;
    }
    asked
}

/// From where it is known how often each object was trained, and how often.
fn training(
    known: &Known,
    train: Option<&Facts>,
) -> Result<Option<(String, ObjectCounts)>, Diagnostics> {
    if let Some(card) = &known.card {
        if train.is_some() {
            let message =
                format!("`--train` is not used: {CARD} beside the model says what was trained");
            show(&Diagnostic::warning("unused-training-facts", message).into());
        }
        let folder = known.models.finetuned_folder().map(|folder| folder.join(CARD));
        let name = folder.map_or(CARD.to_owned(), |file| file.display().to_string());
        return Ok(Some((name, card.object_counts.clone())));
    }
    let Some(train) = train else { return Ok(None) };
    if let Some(facts) = &known.plan.gold {
        let both = facts.overlap(train);
        if let Some((relation, subject)) = both.first() {
            let message = format!(
                "{} of the {} questions are among the training facts, as <{subject}> for \
                 <{relation}>",
                both.len(),
                facts.len()
            );
            let help = "name facts that the finetuned model has not seen";
            let mistake = Diagnostic::error("trained-facts", message).help(help);
            return Err(mistake.at(&facts.files()[0], At::File).into());
        }
    }
    Ok(Some((names(train.files()).join(", "), train.object_counts())))
}
