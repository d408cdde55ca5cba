//! The one front door: a pipeline file, from reading it to its graph.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::open::{open_models, take_needed_priors, threads, workers};
use super::questions::KnownQuestions;
use super::shared_means::MadeFor;
use super::signature::describe;
use super::work::Work;
use super::{
    Environment, Error, Estimate, Inputs, LocatedModels, MeansOf, Plan, Predictor, ReportFile,
    RunReport, SharedMeans, estimate, locate, report_text, run, tuned,
};
use crate::config::{self, Pipeline};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, counted};
use crate::files::{WriteError, write_whole};
use crate::graph::{self, GraphState, GraphWriter, RunDescription};

/// A pipeline file that was read and checked.
///
/// Warnings go to the environment's events.
pub struct Job<'e> {
    pub(super) environment: &'e Environment,
    pub(super) pipeline: Pipeline,
}

impl<'e> Job<'e> {
    /// Reads and checks a pipeline file. Nothing is fetched or written.
    ///
    /// # Errors
    /// All mistakes of the file.
    pub fn open(file: &Path, environment: &'e Environment) -> Result<Self, Error> {
        let (mut pipeline, notes) = config::read(file)?;
        let warnings = config::locked(file, pipeline.model_sources(), environment.locked, notes)?;
        environment.events.warn(&warnings);
        Ok(Self { environment, pipeline })
    }

    /// What the file says.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The same job under another correction.
    #[must_use]
    pub fn correcting_by(mut self, correction: config::CorrectionMethod) -> Self {
        self.pipeline.correction = correction;
        self
    }

    /// Takes the tuned numbers that the pipeline names, if it names some. [`Job::plan`] does.
    ///
    /// # Errors
    /// Where they were not made yet, or are not what they should be.
    pub fn take_tuned(&mut self) -> Result<(), Diagnostics> {
        tuned::take(&mut self.pipeline)
    }

    /// Checks the ontology, the tables, the tuned numbers and local checkpoints too. Nothing is fetched or written;
    /// that numbers are not tuned yet is a warning.
    ///
    /// # Errors
    /// All mistakes of the files that the pipeline names.
    pub fn check(mut self) -> Result<(), Error> {
        let events = &self.environment.events;
        if let Err(mistakes) = self.take_tuned() {
            // Numbers that are not tuned yet are missed when the pipeline is run.
            let as_warning = |mistake: Diagnostic| match mistake.code {
                tuned::NOT_TUNED => Diagnostic { severity: Severity::Warning, ..mistake },
                _ => mistake,
            };
            let found = Diagnostics(mistakes.0.into_iter().map(as_warning).collect());
            events.warn(&found.or(())?.1);
        }
        let (_, warnings) = Inputs::read(&self.pipeline)?;
        events.warn(&warnings);
        Ok(super::local_models::check_local(&self.pipeline)?)
    }

    /// Brings the models into the cache, as far as they are missing.
    ///
    /// # Errors
    /// Where one cannot be had or used.
    pub fn fetch(&self) -> Result<LocatedModels, Error> {
        let events = self.environment.events.as_ref();
        Ok(locate(&self.pipeline, self.environment.cache()?, events)?)
    }

    /// Reads the inputs, brings the models into the cache, and plans what is asked. Nothing is
    /// written but in the cache, and ONNX Runtime is not needed yet.
    ///
    /// # Errors
    /// All mistakes of the inputs, and what keeps the models from being asked.
    pub fn plan(self) -> Result<PlannedJob<'e>, Error> {
        self.plan_of(Inputs::read)
    }

    /// The same of inputs that are read so.
    pub(super) fn plan_of(
        mut self,
        read: impl Fn(&Pipeline) -> Result<(Inputs, Diagnostics), Diagnostics>,
    ) -> Result<PlannedJob<'e>, Error> {
        let events = &self.environment.events;
        self.take_tuned()?;
        let (inputs, warnings) = read(&self.pipeline)?;
        events.warn(&warnings);
        let models = self.fetch()?;
        models.fit_tuned_numbers(&self.pipeline)?;
        let prompter = models.prompter()?;
        let (plan, warnings) = Plan::new(&self.pipeline, inputs, prompter, &models)?;
        events.warn(&warnings);
        let Self { environment, pipeline } = self;
        let whole = pipeline.output.folder.clone();
        let shared = None;
        Ok(PlannedJob { environment, pipeline, plan, models, whole, shared, asking: None })
    }

    /// The questions that `facts` answers, to be asked; `entities` are tables with labels of their
    /// subjects, beside the pipeline's.
    ///
    /// # Errors
    /// Mistakes of the inputs and models, and facts that the finetuned model was trained on.
    pub fn questions(
        self,
        facts: &[PathBuf],
        entities: &[PathBuf],
    ) -> Result<KnownQuestions<'e>, Error> {
        KnownQuestions::read(self.pipeline, self.environment, entities, facts)
    }
}

/// A job whose models are at hand and whose work is planned.
pub struct PlannedJob<'e> {
    pub(super) environment: &'e Environment,
    pub(super) pipeline: Pipeline,
    pub(super) plan: Plan,
    models: LocatedModels,
    /// The output folder of all questions, where this job has a part of them.
    pub(super) whole: PathBuf,
    /// The file of what all parts go by.
    pub(super) shared: Option<PathBuf>,
    /// The models, once questions were asked without a graph.
    pub(super) asking: Option<Vec<Predictor>>,
}

impl PlannedJob<'_> {
    /// What the file says.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// What is asked.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is asked, to be run.
    pub fn plan_mut(&mut self) -> &mut Plan {
        &mut self.plan
    }

    /// What is asked, to be asked otherwise.
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// Counts what a run would do.
    ///
    /// # Errors
    /// See [`Plan::estimate`].
    pub fn estimate(&self) -> Result<Estimate, Error> {
        self.plan.estimate()
    }

    /// What share of a run's questions is still to be asked; the rest is in the graph, or is remembered. Why is
    /// told to the environment's events.
    ///
    /// # Errors
    /// Where what is in the output folder cannot be read.
    pub fn share_to_ask(&self) -> Result<f64, Error> {
        let state = match self.look(&self.describe()?) {
            // What a run does meanwhile cannot be counted.
            Err(graph::Error::InUse { .. }) => None,
            found => found?,
        };
        let work = self.work(state.as_ref());
        let most = self.plan.most_crawled();
        if most > 0 {
            let more = counted(most, "subject");
            self.environment.events.note(&format!("a crawl may ask about {more} more"));
        }
        let all = self.plan.size(self.plan.tasks(&Default::default()));
        Ok(work.to_ask.questions as f64 / all.questions.max(1) as f64)
    }

    /// How long the models would take for a run from its beginning, from some seconds' trial.
    ///
    /// # Errors
    /// Where a model cannot be loaded or fails.
    pub fn try_out(&mut self) -> Result<Duration, Error> {
        let mut predictors = self.predictors(1)?;
        take_needed_priors(
            &self.pipeline,
            &mut self.plan,
            &mut predictors,
            self.environment,
            MeansOf::Trial,
            &mut |_, _| Ok(()),
        )?;
        estimate::try_out(&self.plan, &mut predictors)
    }

    /// Opens the models for a run of so many prompts.
    ///
    /// # Errors
    /// Where a model cannot be loaded.
    pub fn predictors(&self, prompts: usize) -> Result<Vec<Predictor>, Error> {
        let runtime = self.environment.runtime(self.pipeline.runtime.device)?;
        open_models(&self.pipeline, &self.plan, &self.models, runtime, prompts)
    }

    /// Predicts and writes what the graph in the output folder lacks, and report.json beside it.
    /// With `fresh`, a graph that kgbuild made there earlier is deleted first.
    ///
    /// Where the environment's stop is set, what was begun is written and the report is not
    /// complete.
    ///
    /// # Errors
    /// See [`Error`]; what was written before stays.
    pub fn run(&mut self, fresh: bool) -> Result<RunReport, Error> {
        let description = self.describe()?;
        let folder = self.pipeline.output.folder.clone();
        ReportFile::find(&folder)?;
        let report = self.build(&description, fresh)?;
        let file = ReportFile::find(&folder)?;
        // A run that had nothing to do has nothing to add to what is known of the one that did.
        if report.prompts > 0 || !file.is_complete(&description.signature) {
            let text = report_text(&description.signature, &report);
            let text = text.map_err(|error| WriteError::of(file.path())(error.into()))?;
            write_whole(file.path(), text.as_bytes())?;
        }
        Ok(report)
    }

    /// What is written about a run, its signature among it.
    ///
    /// # Errors
    /// Where an input cannot be read.
    pub fn describe(&self) -> Result<RunDescription, Error> {
        describe(&self.pipeline, &self.plan, &self.models, &self.whole)
    }

    /// What is in the output folder, or, of a shard that was not begun, in that of the whole.
    fn look(&self, description: &RunDescription) -> Result<Option<GraphState>, graph::Error> {
        let output = &self.pipeline.output;
        graph::look(&output.folder, &output.base_iri, description)
    }

    /// The models.
    pub(super) fn models(&self) -> &LocatedModels {
        &self.models
    }

    /// Where models are asked.
    pub(super) fn device(&self) -> Result<String, Error> {
        Ok(self.environment.runtime(self.pipeline.runtime.device)?.description())
    }

    pub(super) fn open_graph(
        &self,
        description: &RunDescription,
        fresh: bool,
    ) -> Result<GraphWriter, Error> {
        let output = &self.pipeline.output;
        let (folder, base_iri) = (&output.folder, &output.base_iri);
        let writer = GraphWriter::open(folder, base_iri, description, fresh)?;
        Ok(writer.with_durability(output.durability))
    }

    /// Predicts and writes what is missing.
    fn build(&mut self, description: &RunDescription, fresh: bool) -> Result<RunReport, Error> {
        if let Some(file) = &self.shared {
            // Before the models are loaded; on which device they are is not known yet.
            let of = MadeFor { signature: &description.signature, asked_on: None };
            SharedMeans::read(file, &of, &self.plan)?;
        }
        // A graph that is there is looked at before the models are loaded; a new one is made after,
        // so that a model that cannot be loaded leaves nothing behind.
        let is_there = self.pipeline.output.folder.join("store").exists() && !fresh;
        let existing = if is_there { Some(self.open_graph(description, false)?) } else { None };
        let existing = match existing {
            // A shard may have few subjects, and other ones than before.
            Some(writer)
                if self.plan.shard.is_none() && Work::is_of_others(&self.plan, writer.state()) =>
            {
                writer.abandon()?;
                return Err(Error::AnotherGraph { folder: self.pipeline.output.folder.clone() });
            }
            existing => existing,
        };
        let begun = match &existing {
            None if self.plan.shard.is_some() && !fresh => self.look(description)?,
            _ => None,
        };
        let work = self.work(existing.as_ref().map(GraphWriter::state).or(begun.as_ref()));
        drop(begun);
        let mut predictors = self.workers_for(&work)?;
        let mut writer = match existing {
            Some(writer) => writer,
            None => self.open_graph(description, fresh)?,
        };
        if let Some(reason) = work.reason(writer.state()) {
            writer.because(&reason)?;
        }
        let mut asks = work.to_ask.questions > 0;
        loop {
            match self.write(&mut predictors, writer, description, asks) {
                // What was thought to be remembered is not, in part.
                Err(Error::NoModels) => {
                    predictors = self.predictors(work.missing.prompts)?;
                    self.environment.proceed()?;
                    writer = self.open_graph(description, false)?;
                    asks = true;
                }
                ended => return ended,
            }
        }
    }

    /// What is to be done beside what is there, which is announced.
    fn work(&self, state: Option<&GraphState>) -> Work {
        let work = Work::of(&self.plan, state, self.pipeline.output.keep > 0);
        work.announce(&self.plan, state, self.environment.events.as_ref());
        work
    }

    /// Workers with models, where something has to be asked; else those that remember, where something has to
    /// be written.
    fn workers_for(&self, work: &Work) -> Result<Vec<Predictor>, Error> {
        if work.to_ask.questions > 0 {
            self.environment.proceed()?;
            let predictors = self.predictors(work.to_ask.prompts)?;
            self.environment.proceed()?;
            return Ok(predictors);
        }
        let count = if work.missing.chunks > 0 { threads(&self.pipeline) } else { 0 };
        Ok((0..count).map(|_| Predictor::of_memory()).collect())
    }

    fn write(
        &mut self,
        predictors: &mut Vec<Predictor>,
        mut writer: GraphWriter,
        description: &RunDescription,
        asks: bool,
    ) -> Result<RunReport, Error> {
        self.take_means(predictors, &mut writer, description)?;
        if asks {
            writer.asked_on(&self.device()?)?;
        }
        let Self { environment, pipeline, plan, .. } = self;
        let workers = workers(pipeline);
        run(plan, predictors, workers, writer, environment.events.as_ref(), &environment.stop)
    }
}
