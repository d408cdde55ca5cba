//! A run: the stages over all chunks that the ledger lacks, then the report.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::derive::Deriving;
use super::gone::Gone;
use super::predict::ModelWork;
use super::progress::{self, ENCODE, PREDICT, WRITE};
use super::report::{RelationReport, RunReport, Statistics};
use super::select::FoundCandidates;
use super::stages::{self, Workers};
use super::{Encoded, Error, Plan, Predictor, Selected, Task, encode, select};
use crate::catalog::{Catalog, EntityId, Objects};
use crate::diagnostic::Events;
use crate::graph::{Assertion, ChunkRecord, EntityDescription, GraphWriter, Object};
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
    plan: &Plan,
    predictors: &mut [Predictor],
    workers: Workers,
    mut writer: GraphWriter,
    events: &dyn Events,
    stop: &AtomicBool,
) -> Result<RunReport, Error> {
    let start = Instant::now();
    let done = writer.done().clone();
    let mut statistics = resumed(plan, &writer)?;
    let shown = progress::begin(events, plan.size(plan.tasks(&done)).prompts);
    let progress = &shown;
    let mut prompts = 0;
    let encode = |batch: Vec<Task>| -> Result<Vec<Encoded>, Error> {
        let prompts = batch.iter().map(|task| plan.prompts(task)).sum();
        let encoded = batch.into_iter().map(|task| encode(plan, task)).collect();
        progress.advance(ENCODE, prompts);
        encoded
    };
    let before = work(predictors);
    let kept = predictors.first().and_then(Predictor::kept).unwrap_or_default();
    let predict = predictors.iter_mut().map(|predictor| {
        move |batch: Vec<Encoded>| -> Result<Vec<Selected>, Error> {
            let predicted = predictor.predict(plan, batch)?.into_iter();
            let selected: Vec<Selected> = predicted.map(|p| select(plan, p)).collect();
            let prompts = selected.iter().map(|selected| plan.prompts(&selected.task)).sum();
            progress.advance(PREDICT, prompts);
            Ok(selected)
        }
    });
    let write = |batch: Vec<Selected>| {
        for selected in batch {
            statistics[selected.task.relation].add(&selected.statistics);
            let written = plan.prompts(&selected.task);
            writer.commit(&record(plan, selected))?;
            prompts += written;
            progress.advance(WRITE, written);
        }
        Ok(())
    };
    let batches = plan.batches(&done, &kept);
    let ended = stages::run(batches, workers, encode, predict.collect(), write, stop);
    drop(shown);
    ended?;
    let seconds = start.elapsed().as_secs_f64();
    let after = work(predictors);
    let predicted = plan.tasks(writer.done()).next().is_none();
    let complete = predicted && (writer.is_complete() || derive(plan, &mut writer, stop)?);
    let derived = writer.derived()?;
    let gone = Gone::of(plan);
    let closed = match complete {
        true => writer.finish(Some(&|fact| gone.why(fact))),
        false => writer.checkpoint(),
    };
    closed?;
    let (relations, total) = lines(plan, &statistics);
    Ok(RunReport {
        relations,
        total,
        derived,
        complete,
        resumed_chunks: done.len(),
        prompts,
        tokens: after.tokens - before.tokens,
        seconds,
        model_seconds: (after.time - before.time).as_secs_f64() / predictors.len().max(1) as f64,
    })
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

/// By relation, what the ledger's chunks counted.
fn resumed(plan: &Plan, writer: &GraphWriter) -> Result<Vec<Statistics>, Error> {
    let mut all = vec![Statistics::default(); plan.relations.len()];
    for ((at, relation), sum) in plan.relations.iter().enumerate().zip(&mut all) {
        for index in 0..plan.chunks(at) {
            let Some(value) = writer.statistics(&relation.chunk(index))? else { continue };
            sum.add(&serde_json::from_value(value).map_err(|source| Error::Ledger {
                relation: relation.iri.to_string(),
                chunk: index,
                source,
            })?);
        }
    }
    Ok(all)
}

/// What is written for a chunk.
fn record<'a>(plan: &'a Plan, selected: Selected) -> ChunkRecord<'a> {
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
        statistics: serde_json::json!(selected.statistics),
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
