//! A run: the stages over all chunks that the ledger lacks, then the report.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Deserialize as _;

use super::asking::Asking;
use super::derive::Deriving;
use super::predict::ModelWork;
use super::report::{RelationReport, RunReport, Statistics};
use super::select::FoundCandidates;
use super::stages::Workers;
use super::{Error, Plan, Predictor, RelationPlan, Selected, select};
use crate::catalog::{Catalog, EntityId, Objects};
use crate::diagnostic::Events;
use crate::graph::{Assertion, ChunkRecord, DoneChunks, EntityDescription, GraphWriter, Object};
use crate::metrics::mean;
use crate::shock::{Calibration, Pair};

/// Predicts and writes every chunk of `plan` that `writer` does not have; `events` is told how far
/// it is.
///
/// One predict thread is started for each of `predictors`. When `stop` is set, the chunks that
/// were begun are finished and the report is not complete.
///
/// # Errors
/// The first error of any stage; the chunks that were written stay.
pub fn run(
    plan: &mut Plan,
    predictors: &mut [Predictor],
    workers: Workers,
    mut writer: GraphWriter,
    events: &dyn Events,
    stop: &AtomicBool,
) -> Result<RunReport, Error> {
    let start = Instant::now();
    let resumed_chunks = writer.done().len();
    let before = work(predictors);
    let mut counts = Counts::resume(plan, writer.done())?;
    let predicted = loop {
        let asking = Asking { plan, workers, events, stop };
        round(&asking, predictors, &mut writer, &mut counts)?;
        let is_done = plan.tasks(writer.done()).next().is_none();
        if !is_done || !plan.crawl(&writer, events)? {
            break is_done;
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    let after = work(predictors);
    // What follows, follows from all shards together.
    let is_judged = writer.settle_judgements()?;
    let is_last = writer.is_complete() && !is_judged || plan.shard.is_some();
    let complete = predicted && (is_last || derive(plan, &mut writer, stop)?);
    let derived = writer.derived()?;
    let closed = match complete {
        true => writer.finish(Some(&|fact| plan.why_gone(fact))),
        false => writer.checkpoint(),
    };
    closed?;
    let (relations, total) = lines(plan, &counts.statistics);
    Ok(RunReport {
        relations,
        total,
        derived,
        complete,
        resumed_chunks,
        prompts: counts.prompts,
        tokens: after.tokens - before.tokens,
        seconds,
        model_seconds: (after.time - before.time).as_secs_f64() / predictors.len().max(1) as f64,
    })
}

/// What was counted of the chunks that are done.
struct Counts {
    /// By relation.
    statistics: Vec<Statistics>,
    /// How many prompts were asked.
    prompts: usize,
}

impl Counts {
    /// What the ledger has.
    fn resume(plan: &Plan, done: &DoneChunks) -> Result<Self, Error> {
        let of = |relation: &RelationPlan| match done.statistics(&relation.iri) {
            None => Ok(Statistics::default()),
            Some(value) => Statistics::deserialize(value)
                .map_err(|source| Error::Ledger { relation: relation.iri.to_string(), source }),
        };
        let statistics = plan.relations.iter().map(of).collect::<Result<_, Error>>()?;
        Ok(Self { statistics, prompts: 0 })
    }
}

/// Predicts and writes all planned chunks that `writer` does not have.
fn round(
    asking: &Asking<'_>,
    predictors: &mut [Predictor],
    writer: &mut GraphWriter,
    counts: &mut Counts,
) -> Result<(), Error> {
    let (plan, done) = (asking.plan, writer.done().clone());
    let write = |selected: Selected| {
        let of_relation = &mut counts.statistics[selected.task.relation];
        of_relation.add(&selected.statistics);
        let prompts = plan.prompts(&selected.task);
        writer.commit(&record(plan, selected, of_relation))?;
        counts.prompts += prompts;
        Ok(())
    };
    asking.ask(predictors, &done, |predicted| select(plan, predicted), write)
}

/// Writes what follows from what was predicted and known; gives whether it got to its end.
fn derive(plan: &Plan, writer: &mut GraphWriter, stop: &AtomicBool) -> Result<bool, Error> {
    let described = |iri: &str| plan.described(iri);
    let known = plan.known.as_ref();
    Deriving { ontology: &plan.ontology, known, described: &described }.derive(writer, stop)
}

/// The report's lines, and their sum.
fn lines(plan: &Plan, statistics: &[Statistics]) -> (Vec<RelationReport>, RelationReport) {
    let majority: Vec<Vec<f64>> = plan.relations.iter().map(|r| plan.majority(r)).collect();
    let lines = plan.relations.iter().zip(statistics).zip(&majority);
    let lines = lines.map(|((relation, statistics), majority)| {
        let (iri, candidates) = (relation.iri.to_string(), relation.candidates.len());
        let (name, majority) = (relation.name.clone(), mean(majority.iter().copied()));
        RelationReport::new(Some(iri), name, Some(candidates), statistics, plan.asked, majority)
    });
    let lines = lines.collect();
    let majority = mean(majority.into_iter().flatten());
    let mut total = Statistics::default();
    statistics.iter().for_each(|s| total.add(s));
    let name = "all".to_owned();
    (lines, RelationReport::new(None, name, None, &total, plan.asked, majority))
}

/// What all workers' models did until now.
fn work(predictors: &[Predictor]) -> ModelWork {
    let each = predictors.iter().map(Predictor::work);
    each.fold(ModelWork::default(), |sum, own| ModelWork {
        tokens: sum.tokens + own.tokens,
        time: sum.time + own.time,
    })
}

/// What is written for a chunk, with which so much was counted of its relation.
pub(super) fn record<'a>(
    plan: &'a Plan,
    selected: Selected,
    counted: &Statistics,
) -> ChunkRecord<'a> {
    let relation = &plan.relations[selected.task.relation];
    let mut entities = Vec::new();
    if !selected.triples.is_empty() {
        entities.extend(plan.ontology.label(&relation.iri).map(|label| EntityDescription {
            iri: &relation.iri,
            label,
            aliases: Vec::new(),
            types: Vec::new(),
        }));
    }
    let mut assertions = Vec::with_capacity(selected.triples.len());
    for triple in &selected.triples {
        assertions.push(Assertion {
            subject: plan.subjects.iri(triple.subject),
            relation: &relation.iri,
            object: match &relation.candidates {
                Objects::Entities(all) => {
                    Object::Entity(plan.candidates.iri(all[triple.object as usize]))
                }
                Objects::Values(values) => Object::Value {
                    text: values.lexical(triple.object as usize).into(),
                    datatype: values.datatype_iri(triple.object as usize),
                    within: values.window(triple.object).map(|within| within.map(Cow::Owned)),
                },
            },
            confidence: triple.confidence,
            corrected: (relation.rankings.mixed.calibration != Calibration::IDENTITY)
                .then_some(triple.corrected),
            finetuned: plan.asked.finetuned.then_some(triple.models.finetuned),
            base: plan.asked.base.then_some(triple.models.base),
            ambiguous: triple.ambiguous,
        });
        entities.push(describe(&plan.subjects, triple.subject));
        if let Objects::Entities(all) = &relation.candidates {
            entities.push(describe(&plan.candidates, all[triple.object as usize]));
        }
    }
    entities.dedup();
    ChunkRecord {
        chunk: relation.chunk(selected.task.index),
        assertions,
        entities,
        statistics: serde_json::json!(counted),
        candidates: candidates(plan, &selected),
        kept: selected.kept,
    }
}

/// By subject, the best candidates that were found: null where they are not kept.
fn candidates(plan: &Plan, selected: &Selected) -> serde_json::Value {
    let relation = &plan.relations[selected.task.relation];
    // JSON has no infinity: what nothing is left of is null.
    let short = |ln: f64| serde_json::json!((ln * 1e4).round() / 1e4);
    let of = |(&subject, found): (&EntityId, &FoundCandidates)| {
        let each = found.candidates.iter().map(|candidate| {
            let Pair { finetuned, base } = candidate.models;
            let object = plan.object(relation, candidate.candidate);
            let numbers = [candidate.mixed, finetuned, base].map(short);
            serde_json::json!([object, numbers[0], numbers[1], numbers[2]])
        });
        let each: Vec<serde_json::Value> = each.collect();
        let said = serde_json::json!({ "found": each, "open": short(found.open) });
        (plan.subjects.iri(subject).to_owned(), said)
    };
    let all: serde_json::Map<String, serde_json::Value> =
        selected.task.subjects.iter().zip(&selected.found).map(of).collect();
    if all.is_empty() { serde_json::Value::Null } else { all.into() }
}

impl Plan {
    /// What an entity is called and is, if it is in the tables.
    fn described(&self, iri: &str) -> Option<EntityDescription<'_>> {
        let of = |catalog| Catalog::find(catalog, iri).map(|entity| describe(catalog, entity));
        of(&self.subjects).or_else(|| of(&self.candidates))
    }
}

fn describe(catalog: &Catalog, entity: EntityId) -> EntityDescription<'_> {
    EntityDescription {
        iri: catalog.iri(entity),
        label: catalog.label(entity),
        aliases: catalog.aliases(entity).collect(),
        types: catalog.types(entity).collect(),
    }
}
