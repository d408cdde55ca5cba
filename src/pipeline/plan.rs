//! What a run has to do: relations with their templates, answer spaces and subjects.
//!
//! A dry run and a run are planned by the same code.

use std::borrow::Cow;
use std::sync::Arc;

use super::blocks::Group;
use super::crawl::Crawl;
use super::inputs::{Inputs, RelationInputs};
use super::shard::PlannedShard;
use super::space::Space;
use super::tokens;
use super::{AskedModel, LocatedModels, blocks, fit, remember};
use crate::catalog::{Catalog, EntityId, Objects};
use crate::config::{self, Pipeline};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::facts::Facts;
use crate::lm::{AnswerSpace, CandidateIndex, Demand, Excluded, Method, Prompter, Rankings};
use crate::ontology::{Near, Ontology, Relation, Template, ValueRange};
use crate::shock::{Correction, MixingRule, Pair};

/// How many examples a warning names.
pub(super) const SHOWN: usize = 5;

/// Everything that the stages share; a run changes it between the rounds of a crawl
/// alone.
pub struct Plan {
    /// The relations, sorted by IRI.
    pub relations: Vec<RelationPlan>,
    /// The ontology's labels.
    pub ontology: Ontology,
    /// The subjects.
    pub subjects: Catalog,
    /// The candidate entities.
    pub candidates: Catalog,
    /// Known facts, where the pipeline names some.
    pub gold: Option<Facts>,
    /// Known facts that are not asked again, where a graph is completed.
    pub known: Option<Facts>,
    /// How both models are asked.
    pub prompter: Prompter,
    /// The tokens that both models take at once, where they say so.
    pub context: Option<usize>,
    /// Whether the models take trees of tokens, so that what prompts begin with is computed once.
    pub packed: bool,
    /// How many prompts are searched together at most, where one subject has no more.
    pub(super) batch_prompts: usize,
    /// Which models are asked.
    pub asked: Pair<bool>,
    /// Which models are asked and read examples.
    pub exampled: Pair<bool>,
    /// The models that are asked, in their order: the finetuned one, then the base.
    pub models: Vec<AskedModel>,
    /// The subjects of all relations, each once.
    pub(super) groups: Vec<Group>,
    /// Where objects become subjects.
    pub(super) crawl: Option<Crawl>,
    /// Of which part the subjects of the relations are, where they are not all.
    pub(super) shard: Option<PlannedShard>,
}

/// How one relation is predicted.
pub struct RelationPlan {
    /// The relation's IRI.
    pub iri: Arc<str>,
    /// Its label, or its IRI.
    pub name: String,
    /// The templates that the models can use, at least one.
    pub templates: Vec<Template>,
    /// The tokens of the candidates' names.
    pub space: AnswerSpace,
    /// The candidates, by their numbers in `space`.
    pub candidates: Objects,
    /// What stands before the prompts of models that read examples; often empty.
    pub examples: String,
    /// Tokens of the longest candidate with what follows it in the template.
    pub longest: usize,
    /// Its subjects, in the table's order; relations with the same share them.
    pub subjects: Arc<[EntityId]>,
    /// Subjects over which a model's mean prediction is taken.
    pub prior_subjects: Vec<EntityId>,
    /// By template, the text after the object that counts by its mean, which enters `space` by
    /// [`AnswerSpace::set_text`]; empty where it counts question by question.
    pub texts: Vec<Vec<u32>>,
    /// How the two models are mixed.
    pub correction: Correction,
    /// The share of the finetuned model's shift that is removed first; none where none is. The
    /// shift itself enters `correction` by [`RelationPlan::set_priors`].
    pub tau: Option<f64>,
    /// The share of the mean prediction that is removed; the means themselves enter `correction` by
    /// [`RelationPlan::set_means`].
    pub mean: f64,
    /// What is asked of each question: among it, what makes evidence a confidence, and the least
    /// confidence of a triple that is written.
    pub rankings: Rankings,
    /// See [`SearchTask::tolerance`](crate::lm::SearchTask::tolerance).
    pub tolerance: f64,
    /// Which candidates are scored.
    pub method: Method,
    /// Whether a subject is never its own object.
    pub irreflexive: bool,
    /// Where others than the true value are right.
    pub near: Option<Near>,
    /// What tells apart what its questions are asked for.
    pub(super) asked_as: u64,
}

/// Whether two relations have the same entities as candidates.
fn is_same(one: &Objects, other: &Objects) -> bool {
    matches!((one, other), (Objects::Entities(one), Objects::Entities(other)) if one == other)
}

/// Which models are asked and read examples.
fn exampled(pipeline: &Pipeline) -> Pair<bool> {
    let asked = pipeline.asks();
    match pipeline.examples.as_ref().map(|examples| examples.models) {
        None => Pair::default(),
        Some(config::ExampledModels::Finetuned) => Pair { base: false, ..asked },
        Some(config::ExampledModels::Base) => Pair { finetuned: false, ..asked },
        Some(config::ExampledModels::Both) => asked,
    }
}

/// One chunk to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Index of the relation in [`Plan::relations`].
    pub relation: usize,
    /// Number of the chunk within its relation.
    pub index: u64,
    /// The subjects.
    pub subjects: Vec<EntityId>,
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// (subject, relation) pairs.
    pub questions: usize,
    /// Prompts: one a question and template.
    pub prompts: usize,
    /// Chunks.
    pub chunks: usize,
}

impl Plan {
    /// Plans every relation of the inputs. Warnings come with it.
    ///
    /// # Errors
    /// All labels that the models cannot be asked by: those of which the tokenizer leaves nothing,
    /// and those too long for the context.
    pub fn new(
        pipeline: &Pipeline,
        inputs: Inputs,
        prompter: Prompter,
        models: &LocatedModels,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut notes = Diagnostics::default();
        let Inputs { ontology, subjects, candidates, gold, known, relations } = inputs;
        let manner = prompter.identity();
        let mut plan = Self {
            relations: Vec::new(),
            ontology,
            subjects,
            candidates,
            gold,
            known,
            prompter,
            context: models.context,
            packed: models.packed(),
            batch_prompts: blocks::batch_prompts(models.weights()),
            asked: pipeline.asks(),
            exampled: exampled(pipeline),
            models: models.asked_models(exampled(pipeline), manner.as_deref()),
            groups: Vec::new(),
            crawl: None,
            shard: None,
        };
        for relation in relations {
            if let Some(planned) = plan.relation(pipeline, relation, &mut notes) {
                plan.relations.push(planned);
            }
        }
        plan.groups = blocks::groups(plan.relations.iter().map(|relation| &relation.subjects));
        let crawl = pipeline.crawl.clone();
        plan.crawl = crawl.map(|settings| Crawl::of(settings, plan.relations.len()));
        if !notes.has_errors() {
            plan.relations.iter().for_each(|r| notes.0.extend(fit::mistakes(&plan, r)));
        }
        notes.or(plan)
    }

    /// The templates by which a relation is asked, and the examples as what stands before a prompt.
    fn asked_by(
        &self,
        relation: &Relation,
        examples: &[(String, String)],
        notes: &mut Diagnostics,
    ) -> Option<(Vec<Template>, String)> {
        let refusal = |template: &Template| self.prompter.refusal(template);
        let templates = self.prompter.asked(&relation.templates);
        let templates = relation.usable_templates(templates, &refusal, notes)?;
        match self.prompter.examples(&templates, examples) {
            Ok(examples) => Some((templates, examples)),
            Err(error) => {
                notes.push(Diagnostic::of("examples", &error));
                None
            }
        }
    }

    fn relation(
        &self,
        pipeline: &Pipeline,
        inputs: RelationInputs,
        notes: &mut Diagnostics,
    ) -> Option<RelationPlan> {
        let RelationInputs { relation, subjects, prior_subjects, objects, examples } = inputs;
        let (templates, examples) = self.asked_by(&relation, &examples, notes)?;
        let asked_by = tokens::NamesOf {
            catalog: &self.candidates,
            prompter: &self.prompter,
            naming: pipeline.names(&relation.iri),
            before: self.prompter.before_object(&templates[0]),
        };
        // Ranges are often the same, and their tries are what is largest.
        let alike = self.relations.iter().find(|other| {
            is_same(&other.candidates, &objects)
                && pipeline.names(&other.iri) == asked_by.naming
                && self.prompter.before_object(&other.templates[0]) == asked_by.before
        });
        let Space { space, texts, longest } =
            Space::new(pipeline, &relation, &templates, &asked_by, &objects, alike, notes)?;
        let prediction = &pipeline.prediction;
        let near = relation.values.as_ref().and_then(ValueRange::near);
        let asked_as = remember::asked_as(
            prediction,
            pipeline.names(&relation.iri),
            relation.values.as_ref(),
            &objects,
            &self.candidates,
        );
        // Of numbers that are not listed no mean can be taken, and windows have none.
        let (tau, mean) = if space.is_listed() && near.is_none() {
            let removes_shift = pipeline.correction.removes_shift();
            let tau = removes_shift.then(|| pipeline.tau(&relation.iri));
            (tau, pipeline.mean(&relation.iri, objects.len()))
        } else {
            (None, 0.0)
        };
        Some(RelationPlan {
            iri: relation.iri.as_str().into(),
            name: relation.name().to_owned(),
            examples,
            templates,
            longest,
            subjects,
            prior_subjects,
            texts,
            correction: mixing_rule(pipeline, &relation.iri).into(),
            tau,
            mean,
            rankings: self.rankings(pipeline, &relation, objects.len()),
            tolerance: prediction.tolerance,
            method: prediction.method,
            irreflexive: relation.irreflexive,
            near,
            asked_as,
            space,
            candidates: objects,
        })
    }

    /// What is asked of each question of a relation with so many candidates.
    fn rankings(&self, pipeline: &Pipeline, relation: &Relation, candidates: usize) -> Rankings {
        let iri = &relation.iri;
        let most = [pipeline.max_objects(iri), relation.max_objects.map(|m| m as usize)];
        let is_near = relation.values.as_ref().is_some_and(|values| values.near().is_some());
        let untold = if is_near { 1 } else { candidates };
        let most = most.into_iter().flatten().chain([untold]).min().unwrap_or(untold);
        let is_known = |gold: &Facts| gold.questions(iri).next().is_some();
        let best = self.gold.as_ref().is_some_and(is_known);
        let (calibration, threshold) = (pipeline.calibration(iri), pipeline.threshold(iri));
        Rankings {
            mixed: Demand { most, calibration, threshold },
            best,
            keep: pipeline.output.keep,
        }
    }

    /// The candidate that is the subject itself, where it cannot be the object.
    pub fn excluded(&self, relation: &RelationPlan, subject: EntityId) -> Excluded {
        if !relation.irreflexive {
            return None;
        }
        self.candidate(relation, self.subjects.iri(subject))
    }

    /// The candidate of a relation that an object is: an entity by its IRI, a value by its text.
    pub fn candidate(&self, relation: &RelationPlan, object: &str) -> Option<CandidateIndex> {
        let found = relation.candidates.position(&self.candidates, object);
        found.map(|index| index as CandidateIndex)
    }

    /// Whether a relation's candidate is right where `object` is known: it is the same, or near enough to it.
    pub fn is_right(
        &self,
        relation: &RelationPlan,
        candidate: CandidateIndex,
        object: &str,
    ) -> bool {
        let found = self.candidate(relation, object);
        found.is_some_and(|truth| match relation.near {
            Some(near) => near.is_right(candidate, truth),
            None => candidate == truth,
        })
    }

    /// The IRI of a relation's candidate that is an entity, the text of one that is a value.
    pub fn object(&self, relation: &RelationPlan, candidate: CandidateIndex) -> Cow<'_, str> {
        relation.candidates.object(&self.candidates, candidate as usize)
    }

    /// What a relation's candidate is called.
    pub fn label(&self, relation: &RelationPlan, candidate: CandidateIndex) -> Cow<'_, str> {
        relation.candidates.label(&self.candidates, candidate as usize)
    }

    /// What each of a chunk's questions must not be answered.
    pub fn questions(&self, task: &Task) -> Vec<Excluded> {
        let relation = &self.relations[task.relation];
        task.subjects.iter().map(|&subject| self.excluded(relation, subject)).collect()
    }

    /// How much `tasks` are.
    pub fn size<'a>(&self, tasks: impl Iterator<Item = Task> + 'a) -> Size {
        let mut size = Size::default();
        for task in tasks {
            size.chunks += 1;
            size.questions += task.subjects.len();
            size.prompts += task.subjects.len() * self.relations[task.relation].templates.len();
        }
        size
    }
}

impl RelationPlan {
    /// How near candidates are to the true one that are right, where not all of them are scored: numbers that
    /// are not listed, or of which others are right too.
    pub fn nearness(&self) -> Option<Near> {
        self.near.or_else(|| match &self.candidates {
            Objects::Values(values) if !self.space.is_listed() => Some(values.within(0.0)),
            _ => None,
        })
    }

    /// The ledger's key of a chunk.
    pub fn chunk(&self, index: u64) -> crate::graph::Chunk {
        crate::graph::Chunk { relation: Arc::clone(&self.iri), index }
    }
}

/// How the pipeline mixes the two models for a relation.
fn mixing_rule(pipeline: &Pipeline, relation: &str) -> MixingRule {
    let lambda = pipeline.lambda(relation);
    match pipeline.correction {
        config::CorrectionMethod::None => MixingRule::None,
        config::CorrectionMethod::Linear | config::CorrectionMethod::PriorLinear => {
            MixingRule::Linear { lambda }
        }
        config::CorrectionMethod::LogLinear(mixing)
        | config::CorrectionMethod::PriorLogLinear(mixing) => {
            MixingRule::LogLinear { lambda, mixing }
        }
    }
}
