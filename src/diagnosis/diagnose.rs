//! From a pipeline and held-out facts to the whole diagnosis.

use std::path::PathBuf;

use super::report::{DiagnosisReport, Subject};
use super::{ObjectCounts, UNSAID_LAMBDA, answer_all};
use crate::config::{self, Pipeline};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Events, counted};
use crate::facts;
use crate::finetune::card::CARD;
use crate::pipeline::{Environment, Error, Job, KnownQuestions, MeansOf, NOT_TUNED};

/// The tables that a diagnosis rests on, beside the pipeline's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiagnosisFacts {
    /// Held-out facts, instead of the pipeline's gold facts.
    pub held_out: Vec<PathBuf>,
    /// Tables with the labels of their subjects, beside the pipeline's.
    pub entities: Vec<PathBuf>,
    /// The facts that the finetuned model was trained on, where no training card lies beside it.
    pub train: Vec<PathBuf>,
}

/// Diagnoses the finetuned model of a pipeline against its base.
///
/// # Errors
/// Mistakes of the inputs, facts that the finetuned model was trained on, and what keeps the models
/// from being asked; [`Error::Interrupted`] where the environment's stop was set.
pub fn diagnose(
    job: Job<'_>,
    environment: &Environment,
    facts: &DiagnosisFacts,
) -> Result<DiagnosisReport, Error> {
    let events = environment.events.as_ref();
    two_models(job.pipeline())?;
    let facts = facts.with_those_of(job.pipeline())?;
    let job = take_numbers(job, &facts.held_out, events)?;
    let train = match &facts.train[..] {
        [] => None,
        files => {
            let (train, warnings) = facts::Facts::read(files, facts::ObjectsOf::Anything)?;
            events.warn(&warnings);
            Some(train)
        }
    };
    let pipeline = job.pipeline().clone();
    // Without a correction only one of the models would be asked.
    let asking_both = match pipeline.correction {
        config::CorrectionMethod::None => job.correcting_by(config::CorrectionMethod::Linear),
        _ => job,
    };
    let mut questions = asking_both.questions(&facts.held_out, &facts.entities)?;
    questions.models.fit_tuned_numbers(&pipeline)?;
    // Of values that are right near the true one none is the frequent one.
    let all = questions.plan.relations.len();
    questions.plan.relations.retain(|relation| relation.nearness().is_none());
    let left_out = all - questions.plan.relations.len();
    if left_out > 0 {
        events.note(&format!(
            "{} with values near the true one left out",
            counted(left_out, "relation")
        ));
    }
    let training = training(&questions, train.as_ref(), events)?;
    let scored = questions.ask(MeansOf::CorrectedRelations)?;
    let known = questions.known(scored);
    let (from, counts) = training.map_or((None, ObjectCounts::new()), |(f, c)| (Some(f), c));
    let counts = questions.plan.training_counts(&counts);
    let diagnosed = answer_all(&pipeline, &questions.plan, &known, &counts);
    let subject = Subject {
        pipeline: &pipeline,
        plan: &questions.plan,
        facts: names(&facts.held_out),
        training: from,
        known: &known,
    };
    Ok(DiagnosisReport::new(subject, diagnosed).ok_or_else(|| {
        let message = "no fact says what the object of a question is";
        let help = "name facts with objects, of relations that the pipeline predicts";
        let mistake = Diagnostic::error("no-question", message).help(help);
        Diagnostics::from(mistake.at(&facts.held_out[0], At::File))
    })?)
}

impl DiagnosisFacts {
    /// These, with the pipeline's own where none are named.
    ///
    /// # Errors
    /// Where there are none.
    pub fn with_those_of(&self, pipeline: &Pipeline) -> Result<Self, Diagnostics> {
        let (entities, train) = (self.entities.clone(), self.train.clone());
        if !self.held_out.is_empty() {
            return Ok(self.clone());
        }
        let gold = &pipeline.inputs.gold;
        if !gold.is_empty() {
            return Ok(Self { held_out: gold.clone(), entities, train });
        }
        let Some(tuning) = &pipeline.tuning else {
            let message = "there are no held-out facts to diagnose the model on";
            let help = "name a table with `--facts`, or as `gold` under `[inputs]`";
            let mistake = Diagnostic::error("no-facts", message).help(help);
            return Err(mistake.at(&pipeline.file, At::File).into());
        };
        let entities = [&tuning.entities[..], &entities].concat();
        Ok(Self { held_out: tuning.facts.clone(), entities, train })
    }
}

fn names(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|file| file.display().to_string()).collect()
}

/// The diagnosis compares a finetuned model with its base.
///
/// # Errors
/// Where the pipeline lacks one.
pub fn two_models(pipeline: &Pipeline) -> Result<(), Diagnostics> {
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

/// Takes the tuned numbers that the pipeline names, if they are there, and says what they are worth
/// on these facts.
fn take_numbers<'e>(
    mut job: Job<'e>,
    held_out: &[PathBuf],
    events: &dyn Events,
) -> Result<Job<'e>, Error> {
    let Some(tuning) = job.pipeline().tuning.clone() else {
        if job.pipeline().correction == config::CorrectionMethod::None {
            let message = format!(
                "the pipeline does not mix: corrections are shown with lambda {UNSAID_LAMBDA}"
            );
            events.warn(&Diagnostic::warning("unsaid-lambda", message).into());
        }
        return Ok(job);
    };
    if !tuning.file.exists() {
        let message = "the pipeline's numbers are not tuned yet: its own are used";
        let help = format!("`kgbuild tune {}` tunes them", job.pipeline().file.display());
        let note = Diagnostic::warning(NOT_TUNED, message).help(help);
        events.warn(&Diagnostic { place: Some(tuning.place), ..note }.into());
        return Ok(job);
    }
    job.take_tuned()?;
    let (tuned_on, _) = facts::Facts::read(&tuning.facts, facts::ObjectsOf::Anything)?;
    let (facts_here, _) = facts::Facts::read(held_out, facts::ObjectsOf::Anything)?;
    let both = facts_here.overlap(&tuned_on).len();
    if both > 0 {
        let message = format!(
            "the numbers of the corrections were tuned on {both} of these {} questions: what is \
             shown of the corrections is too good",
            facts_here.len()
        );
        let help = "name facts that neither training nor tuning has seen with `--facts`";
        let note = Diagnostic::warning("tuned-on-these", message).help(help);
        events.warn(&note.at(&held_out[0], At::File).into());
    }
    Ok(job)
}

/// From where it is known how often each object was trained, and how often.
fn training(
    questions: &KnownQuestions<'_>,
    train: Option<&facts::Facts>,
    events: &dyn Events,
) -> Result<Option<(String, ObjectCounts)>, Diagnostics> {
    if let Some(card) = &questions.card {
        if train.is_some() {
            let message =
                format!("`--train` is not used: {CARD} beside the model says what was trained");
            events.warn(&Diagnostic::warning("unused-training-facts", message).into());
        }
        let folder = questions.models.finetuned_folder().map(|folder| folder.join(CARD));
        let name = folder.map_or(CARD.to_owned(), |file| file.display().to_string());
        return Ok(Some((name, card.object_counts.clone())));
    }
    let Some(train) = train else { return Ok(None) };
    if let Some(facts) = &questions.plan.gold {
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
