//! Questions of subjects that come as rows: a worker of an engine that parts a job among many machines asks them, without
//! tables of subjects and without a store. What it gives back is merged into one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::asking::Asking;
use super::derive;
use super::open::workers;
use super::run::record;
use super::select::FoundCandidates;
use super::shared_means::{self, MadeFor, WithoutSubjects};
use super::signature::{Whose, sign};
use super::{
    Environment, Error, Inputs, Job, Plan, PlannedJob, Predicted, Predictor, RankedObject,
    Selected, blocks, fit, select,
};
use crate::catalog::{Catalog, Described, EntityId, subjects_of};
use crate::config::Pipeline;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::graph::{self, DoneChunks, KeptAnswers, RowOrigin, RowWriter, question_print};

/// A subject that is asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectRow {
    /// What it is called and is.
    pub subject: Described,
    /// The relation that is asked; none for all whose domain admits it.
    pub relation: Option<String>,
}

/// A question with its answer, and what a merge has to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct AnsweredRow {
    /// The subject's IRI.
    pub subject: String,
    /// The relation's IRI.
    pub relation: String,
    /// The IRI of the run.
    pub run: String,
    /// The candidates that were found, the best first, and whether each is in the graph.
    pub objects: Vec<(RankedObject, bool)>,
    /// The lines of N-Quads that say it.
    pub quads: String,
    /// What was counted, as JSON.
    pub statistics: String,
    /// How it was made, as JSON ([`RowOrigin`]); of the questions that were asked together it is in the first row alone.
    pub made_by: String,
}

/// Asks about subjects that it is given; its models stay open.
pub struct RowWorker<'e> {
    environment: &'e Environment,
    pipeline: Pipeline,
    plan: Plan,
    predictors: Vec<Predictor>,
    writer: RowWriter,
    origin: String,
    /// By relation, of which subjects an object is known, which are not asked about.
    answered: HashMap<String, HashSet<String>>,
}

impl<'e> Job<'e> {
    /// A worker for the rows of the job, by the file that [`PlannedJob::share_means`] has written; it computes with so
    /// many threads, if a number is given, else as the pipeline says.
    ///
    /// # Errors
    /// Mistakes of the inputs, a file of another job or device, and what keeps the models from being asked.
    pub fn row_worker(
        mut self,
        file: &Path,
        threads: Option<usize>,
    ) -> Result<RowWorker<'e>, Error> {
        let content = shared_means::parse(file)?;
        if threads.is_some() {
            self.pipeline.runtime.threads = threads;
        }
        let mut job = self.plan_of(Inputs::read_without_subjects)?;
        for relation in &mut job.plan.relations {
            let examples = content.without_subjects.examples.get(&*relation.iri);
            relation.examples = examples.cloned().unwrap_or_default();
        }
        let signature = job.without_subjects()?.signature;
        let device = job.device()?;
        let of = MadeFor { signature: &signature, asked_on: Some(&device) };
        content.fits(file, &content.without_subjects.signature, &of)?;
        let means = content.means(file, &job.plan)?;
        means.put_into(&mut job.plan);
        let mut predictors = job.predictors(1)?;
        if job.pipeline.output.keep > 0 {
            let kept = Arc::new(KeptAnswers::default());
            let remembering = |worker: Predictor| worker.remembering(Arc::clone(&kept));
            predictors = predictors.into_iter().map(remembering).collect();
        }
        let base_iri = &job.pipeline.output.base_iri;
        let origin = RowOrigin {
            signature: graph::signature(base_iri, &content.signature),
            asked_on: device,
            means_sha256: (!means.is_empty()).then(|| means.sha256()),
        };
        let writer = RowWriter::new(base_iri, &content.signature)?;
        let PlannedJob { environment, pipeline, plan, .. } = job;
        let known = plan.known.as_ref().map(|known| derive::answered(known, &plan.ontology));
        let owned = |(relation, subjects): (&str, HashSet<&str>)| {
            (relation.to_owned(), subjects.into_iter().map(str::to_owned).collect())
        };
        let answered = known.into_iter().flatten().map(owned).collect();
        let origin = json!(origin).to_string();
        Ok(RowWorker { environment, pipeline, plan, predictors, writer, origin, answered })
    }
}

impl PlannedJob<'_> {
    /// What those are told who do not have the subjects.
    pub(super) fn without_subjects(&self) -> Result<WithoutSubjects, Error> {
        let of =
            |relation: &super::RelationPlan| (relation.iri.to_string(), relation.examples.clone());
        Ok(WithoutSubjects {
            signature: sign(&self.pipeline, &self.plan, self.models(), Whose::Nobody)?,
            examples: self.plan.relations.iter().map(of).collect(),
        })
    }

    /// The subjects of questions of this job that rows in a folder do not answer, in the order of the tables.
    ///
    /// # Errors
    /// [`graph::MergeError`] where the rows cannot be read, or are of another run.
    pub fn subjects_without_rows(&self, folder: &Path) -> Result<Vec<EntityId>, Error> {
        let description = self.describe()?;
        let writer = RowWriter::new(&self.pipeline.output.base_iri, &description.signature)?;
        let answered = graph::answered_rows(folder, writer.run()).map_err(graph::Error::from)?;
        let plan = &self.plan;
        let is_left = |relation: &super::RelationPlan, subject: EntityId| {
            relation.subjects.binary_search(&subject).is_ok()
                && !answered.contains(&question_print(
                    plan.subjects.iri(subject),
                    &relation.iri,
                    "",
                ))
        };
        let left = plan.subjects.ids().filter(|&s| plan.relations.iter().any(|r| is_left(r, s)));
        Ok(left.collect())
    }

    /// What a subject of the tables is called and is.
    pub fn subject_row(&self, subject: EntityId) -> Described {
        let subjects = &self.plan.subjects;
        Described {
            iri: subjects.iri(subject).to_owned(),
            label: subjects.label(subject).to_owned(),
            aliases: subjects.aliases(subject).map(str::to_owned).collect(),
            types: subjects.types(subject).map(str::to_owned).collect(),
        }
    }
}

impl RowWorker<'_> {
    /// Asks about subjects, and gives a row a question: by relation, in the order of their IRIs, and by subject, those of
    /// the same relations together. What the known facts answer is left out, as is a subject that no relation's domain admits.
    ///
    /// # Errors
    /// Where a row names no entity or no relation of the pipeline, or a model fails; [`Error::Interrupted`] where the
    /// stop was set.
    pub fn answer(&mut self, rows: &[SubjectRow]) -> Result<Vec<AnsweredRow>, Error> {
        let asked = self.take_subjects(rows)?;
        let Self { environment, pipeline, plan, predictors, .. } = self;
        let asking = Asking {
            plan,
            workers: workers(pipeline),
            events: environment.events.as_ref(),
            stop: &environment.stop,
        };
        let mut answered: Vec<(usize, u64, Vec<AnsweredRow>)> = Vec::new();
        let (writer, origin) = (&self.writer, &self.origin);
        asking.ask(
            predictors,
            &DoneChunks::default(),
            |predicted| singles(plan, predicted),
            |singles| {
                let Some(first) = singles.first() else { return Ok(()) };
                let place = (first.task.relation, first.task.index);
                answered.push((place.0, place.1, written(plan, writer, origin, singles)?));
                Ok(())
            },
        )?;
        answered.sort_by_key(|(relation, index, _)| (*relation, *index));
        let rows: Vec<AnsweredRow> = answered.into_iter().flat_map(|(_, _, rows)| rows).collect();
        if rows.len() < asked { Err(Error::Interrupted) } else { Ok(rows) }
    }

    /// Puts subjects into the place of those of the last call; gives how many questions they are.
    fn take_subjects(&mut self, rows: &[SubjectRow]) -> Result<usize, Diagnostics> {
        let mut relations: HashMap<&str, Option<HashSet<&str>>> = HashMap::new();
        let mut entities: Vec<Described> = Vec::new();
        for SubjectRow { subject, relation } in rows {
            let known = || self.plan.relations.iter().map(|planned| &*planned.iri);
            if let Some(relation) = relation.as_deref().filter(|own| known().all(|iri| iri != *own))
            {
                return Err(unknown(relation, nearest(relation, known())));
            }
            // A subject is there once a relation.
            if entities.last() != Some(subject) {
                entities.push(subject.clone());
            }
            let asked = relations.entry(&subject.iri).or_insert_with(|| Some(HashSet::new()));
            match (asked, relation) {
                (Some(own), Some(relation)) => drop(own.insert(relation)),
                (asked, _) => *asked = None,
            }
        }
        let (subjects, _) = Catalog::of(&entities)?;
        let plan = &mut self.plan;
        for planned in &mut plan.relations {
            let Some(relation) = plan.ontology.relation(&planned.iri) else { continue };
            let answered = self.answered.get(&*planned.iri);
            let is_asked = |subject: &EntityId| {
                let iri = subjects.iri(*subject);
                answered.is_none_or(|answered| !answered.contains(iri))
                    && relations[iri].as_ref().is_none_or(|own| own.contains(&*planned.iri))
            };
            let admitted = subjects_of(&plan.ontology, relation, &subjects).into_iter();
            planned.subjects = admitted.filter(is_asked).collect();
        }
        plan.groups = blocks::groups(plan.relations.iter().map(|relation| &relation.subjects));
        plan.subjects = subjects;
        let mistakes = plan.relations.iter().flat_map(|relation| fit::mistakes(plan, relation));
        let mistakes = Diagnostics(mistakes.collect());
        if mistakes.has_errors() {
            return Err(mistakes);
        }
        Ok(plan.relations.iter().map(|relation| relation.subjects.len()).sum())
    }
}

/// A chunk's questions, each selected alone.
fn singles(plan: &Plan, predicted: Predicted) -> Vec<Selected> {
    let Predicted { task, answers, kept } = predicted;
    let mut kept = kept.into_iter();
    let each = task.subjects.iter().zip(answers).map(|(&subject, answer)| {
        let task = super::Task { subjects: vec![subject], ..task.clone() };
        let kept = kept.by_ref().take(1).collect();
        select(plan, Predicted { task, answers: vec![answer], kept })
    });
    each.collect()
}

/// The rows of a chunk's questions; the first of them has what is kept of all.
fn written(
    plan: &Plan,
    writer: &RowWriter,
    origin: &str,
    singles: Vec<Selected>,
) -> Result<Vec<AnsweredRow>, Error> {
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    for selected in singles {
        let subject = plan.subjects.iri(selected.task.subjects[0]);
        let (statistics, objects) = (selected.statistics, objects(plan, &selected));
        let record = record(plan, selected, &statistics);
        rows.push(AnsweredRow {
            subject: subject.to_owned(),
            relation: record.chunk.relation.to_string(),
            run: writer.run().to_owned(),
            objects,
            quads: writer.facts(&record)?,
            statistics: json!(statistics).to_string(),
            made_by: String::new(),
        });
        records.push((subject, record));
    }
    let kept = writer.kept(records.into_iter())?;
    if let Some(first) = rows.first_mut() {
        first.quads += &kept;
        origin.clone_into(&mut first.made_by);
    }
    Ok(rows)
}

/// The candidates of a question, and whether each is in the graph.
fn objects(plan: &Plan, selected: &Selected) -> Vec<(RankedObject, bool)> {
    let relation = &plan.relations[selected.task.relation];
    let calibration = relation.rankings.mixed.calibration;
    let written: BTreeMap<u32, _> =
        selected.triples.iter().map(|triple| (triple.object, triple)).collect();
    let ranked = |object, confidence, models| plan.ranked(relation, object, confidence, models);
    let found = selected.found.iter().flat_map(|FoundCandidates { candidates, .. }| candidates);
    let found = found.filter(|candidate| !written.contains_key(&candidate.candidate));
    let others = found.map(|candidate| {
        let models = candidate.models.map(|ln| ln.exp().min(1.0));
        let confidence = calibration.apply(candidate.evidence);
        (ranked(candidate.candidate, confidence, models), false)
    });
    let written = selected.triples.iter();
    let written = written.map(|t| (ranked(t.object, t.confidence, t.models), true));
    written.chain(others).collect()
}

fn unknown(relation: &str, near: Option<&str>) -> Diagnostics {
    let message = format!("the pipeline does not ask by the relation <{relation}>");
    let help = match near {
        Some(near) => format!("did you mean <{near}>?"),
        None => "name one of its ontology, or none for all".to_owned(),
    };
    Diagnostic::error("unknown-question", message).help(help).into()
}
