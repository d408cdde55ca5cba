//! A pipeline in which every path, number and combination has been checked.
//!
//! This is all that the rest of the program sees of pipeline.toml.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crawl::CrawlSettings;
use super::tuned::{TunedFile, TunedNumbers};
use crate::diagnostic::Place;
use crate::fetch::ModelSource;
use crate::graph::Durability;
use crate::lm::{After, Method, Normalise, Scoring};
use crate::onnx::Precision;
use crate::runtime::Device;
use crate::shock::tune::Aim;
use crate::shock::{Calibration, Mixing, Pair};

/// How the finetuned model is corrected by the base model; λ is in [`Pipeline::lambda`], τ in
/// [`Pipeline::tau`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorrectionMethod {
    /// Not at all: the finetuned model predicts alone, or the base model where it is the only one.
    None,
    /// λ·p_finetuned + (1-λ)·p_base.
    Linear,
    /// p_finetuned^λ · p_base^(1-λ), normalised.
    LogLinear(Mixing),
    /// The share τ of the finetuned model's shift of its mean prediction is removed, then the two
    /// are mixed linearly.
    PriorLinear,
    /// The same, then the two are mixed log-linearly.
    PriorLogLinear(Mixing),
}

impl CorrectionMethod {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Linear => "linear",
            Self::LogLinear(Mixing::Branching) => "log-linear at branchings",
            Self::LogLinear(Mixing::Candidate) => "log-linear by candidate",
            Self::PriorLinear => "prior, then linear",
            Self::PriorLogLinear(Mixing::Branching) => "prior, then log-linear, at branchings",
            Self::PriorLogLinear(Mixing::Candidate) => "prior, then log-linear, by candidate",
        }
    }

    /// Whether the finetuned model's shift of its mean prediction is removed.
    pub fn removes_shift(self) -> bool {
        matches!(self, Self::PriorLinear | Self::PriorLogLinear(_))
    }
}

/// The language models; at least one is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelSettings {
    /// The model before it was finetuned.
    pub base: Option<ModelSource>,
    /// The model after, whole or as a LoRA adapter of the base.
    pub finetuned: Option<ModelSource>,
    /// In what the weights of checkpoints are kept.
    pub precision: Precision,
    /// Whether questions are asked by the model's own chat template.
    pub chat: bool,
}

/// The ontology and the tables: files that exist, in the order written, at least one of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputSettings {
    /// Turtle files with the relations.
    pub ontology: Vec<PathBuf>,
    /// Files with the entities to ask about.
    pub subjects: Vec<PathBuf>,
    /// Files with the entities that may be answers.
    pub candidates: Vec<PathBuf>,
    /// Files of known facts, to count how many answers are right; often none.
    pub gold: Vec<PathBuf>,
    /// Files of facts about which is not asked; often none.
    pub known: Vec<PathBuf>,
    /// The language of the labels that are taken from files of RDF.
    pub language: String,
    /// IRIs of the only relations to predict, or none for all that have a template.
    pub relations: Option<Vec<String>>,
}

/// Which of a candidate's names it may be answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateNames {
    /// Its label alone.
    Label,
    /// Its label and its aliases.
    All,
}

/// How a model's distribution over the candidates is computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PredictionSettings {
    /// A masked model's `trie` is `none`.
    pub normalise: Normalise,
    /// How a template's text after the object counts.
    pub after: After,
    /// Which names of a candidate count, where a relation's own table does not say.
    pub names: CandidateNames,
    /// How a masked model's candidates are scored; other models take no note of it.
    pub masked: Scoring,
    /// Which candidates are scored; never changes what is reported.
    pub method: Method,
    /// How far the bounds of a confidence may lie apart where a sum over all candidates is part of
    /// it; above 0 and below 1.
    pub tolerance: f64,
}

/// Which models read examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExampledModels {
    /// The base model alone.
    Base,
    /// The finetuned model alone.
    Finetuned,
    /// Both models.
    Both,
}

/// Known facts that stand before each prompt of their relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExampleSettings {
    /// Tables of facts, at least one.
    pub facts: Vec<PathBuf>,
    /// Tables with labels, beside those of [`InputSettings::subjects`] and [`InputSettings::candidates`].
    pub entities: Vec<PathBuf>,
    /// How many of a relation, at least 1.
    pub count: usize,
    /// Who reads them.
    pub models: ExampledModels,
}

/// What `kgbuild tune` chooses numbers on, and where they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuningSettings {
    /// Tables of held-out facts, at least one.
    pub facts: Vec<PathBuf>,
    /// Tables with the labels of their subjects, beside those of [`InputSettings::subjects`].
    pub entities: Vec<PathBuf>,
    /// The file of the tuned numbers; a file, or a path at which one can be made.
    pub file: PathBuf,
    /// A relation with fewer held-out facts takes the numbers of all together.
    pub min_facts: usize,
    /// Where `facts` is written.
    pub facts_place: Place,
    /// Where `file` is written.
    pub place: Place,
}

/// The graph's place and form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputSettings {
    /// A folder, or a path at which one can be made.
    pub folder: PathBuf,
    /// When chunks are forced to the disk.
    pub durability: Durability,
    /// How many of each question's best candidates are kept beside the graph, with what the models
    /// answered; 0 keeps neither.
    pub keep: usize,
    /// An absolute IRI that begins those of runs and of annotations.
    pub base_iri: String,
}

/// How the machine is used; results do not depend on it. Every number is at least 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// What ONNX Runtime computes on.
    pub device: Device,
    /// Predict workers, each with a session of its own of every model; none to find out.
    pub workers: Option<usize>,
    /// Threads that turn chunks into prompts of tokens.
    pub encode_workers: usize,
    /// Cores for all predict workers together; none for all there are.
    pub threads: Option<usize>,
    /// Most tokens of one batch.
    pub token_budget: usize,
    /// Chunks that may wait between two stages.
    pub channel_capacity: usize,
}

/// The candidates of a relation of which all are scored for a few subjects without having been asked for
/// it: minutes with a small model.
const MOST_SCORED: usize = 10_000;

/// The numbers that can differ by relation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Numbers {
    pub lambda: f64,
    pub tau: f64,
    pub mean: Option<f64>,
    /// Where nothing else is said.
    pub untold_mean: f64,
    pub threshold: f64,
    pub max_objects: Option<usize>,
}

/// What a relation's own tables give, which nothing overrides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct OwnSettings {
    pub names: Option<CandidateNames>,
    pub lambda: Option<f64>,
    pub tau: Option<f64>,
    pub mean: Option<f64>,
    pub threshold: Option<f64>,
    pub max_objects: Option<usize>,
}

/// A checked pipeline.toml.
///
/// Serialised, it holds only what a run's results depend on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pipeline {
    /// The file itself.
    #[serde(skip)]
    pub file: PathBuf,
    /// Who is asked.
    pub models: ModelSettings,
    /// What is asked, in files.
    pub inputs: InputSettings,
    /// How a model is asked.
    pub prediction: PredictionSettings,
    /// How the answers of two models become one.
    pub correction: CorrectionMethod,
    /// What `kgbuild tune` chooses thresholds for.
    #[serde(skip)]
    pub aim: Aim,
    /// None where only the tables' subjects are asked about.
    pub crawl: Option<CrawlSettings>,
    /// None for prompts without examples.
    pub examples: Option<ExampleSettings>,
    /// None where the numbers are all written by hand.
    #[serde(skip)]
    pub tuning: Option<TuningSettings>,
    /// Where the graph goes.
    pub output: OutputSettings,
    /// What the run may take of the machine.
    #[serde(skip)]
    pub runtime: RuntimeSettings,
    /// Every relation that the file names by IRI, and where, for a check against the ontology.
    #[serde(skip)]
    pub named_relations: Vec<(String, Place)>,
    pub(super) numbers: Numbers,
    pub(super) by_relation: BTreeMap<String, OwnSettings>,
    /// What `kgbuild tune` chose; [`Pipeline::use_tuned`] puts it here.
    pub(super) tuned: Option<TunedFile>,
}

impl Pipeline {
    /// The local files and folders that it is read from, itself among them; without the tuned
    /// numbers, which are written too.
    pub fn sources(&self) -> Vec<PathBuf> {
        let InputSettings { ontology, subjects, candidates, gold, known, .. } = &self.inputs;
        let tables = [ontology, subjects, candidates, gold, known].into_iter().flatten();
        let tuning =
            self.tuning.iter().flat_map(|tuning| tuning.facts.iter().chain(&tuning.entities));
        let examples = self
            .examples
            .iter()
            .flat_map(|examples| examples.facts.iter().chain(&examples.entities));
        let models = self.models.base.iter().chain(&self.models.finetuned);
        let tables = tables.chain(examples).chain(tuning);
        let named = [&self.file].into_iter().chain(tables);
        let models = models.filter_map(ModelSource::path).map(Path::to_owned);
        named.cloned().chain(models).collect()
    }

    /// Where its models come from.
    pub fn model_sources(&mut self) -> impl Iterator<Item = &mut ModelSource> {
        self.models.base.iter_mut().chain(&mut self.models.finetuned)
    }

    /// Whether the finetuned and the base model are asked. Of two models without correction only the
    /// finetuned one is.
    pub fn asks(&self) -> Pair<bool> {
        let finetuned = self.models.finetuned.is_some();
        let alone = self.correction == CorrectionMethod::None && finetuned;
        Pair { finetuned, base: self.models.base.is_some() && !alone }
    }

    /// The finetuned model's share λ for a relation, between 0 and 1. Under [`CorrectionMethod::None`]
    /// it is 1 where there is a finetuned model and 0 where there is only the base.
    pub fn lambda(&self, relation: &str) -> f64 {
        if self.correction == CorrectionMethod::None {
            return self.numbers.lambda;
        }
        let tuned = || self.tuned_for(relation)?.lambda;
        self.own(relation).lambda.or_else(tuned).unwrap_or(self.numbers.lambda)
    }

    /// The share τ of the finetuned model's shift that a correction removes, between 0
    /// and 2.
    pub fn tau(&self, relation: &str) -> f64 {
        let tuned = || self.tuned_for(relation)?.tau;
        self.own(relation).tau.or_else(tuned).unwrap_or(self.numbers.tau)
    }

    /// The share κ of the mean prediction that is removed for a relation with so many candidates, between 0
    /// and 1. Of many none is, unless that is written or tuned: it takes all of them scored.
    pub fn mean(&self, relation: &str, candidates: usize) -> f64 {
        let tuned = || Some(self.tuned_for(relation)?.mean);
        let written = self.own(relation).mean.or_else(tuned).or(self.numbers.mean);
        let untold = if candidates <= MOST_SCORED { self.numbers.untold_mean } else { 0.0 };
        written.unwrap_or(untold)
    }

    /// What makes a relation's probabilities confidences; the identity where nothing was tuned.
    pub fn calibration(&self, relation: &str) -> Calibration {
        self.tuned_for(relation).map_or(Calibration::default(), |tuned| tuned.calibration())
    }

    /// Least confidence of a triple of a relation that is written, between 0 and 1.
    pub fn threshold(&self, relation: &str) -> f64 {
        let tuned = || self.tuned_for(relation)?.threshold;
        self.own(relation).threshold.or_else(tuned).unwrap_or(self.numbers.threshold)
    }

    /// Most objects of a subject for a relation, before the ontology's own bounds.
    pub fn max_objects(&self, relation: &str) -> Option<usize> {
        self.own(relation).max_objects.or(self.numbers.max_objects)
    }

    /// Which of a candidate's names count for a relation.
    pub fn names(&self, relation: &str) -> CandidateNames {
        self.own(relation).names.unwrap_or(self.prediction.names)
    }

    /// Takes tuned numbers, which stand above the general ones and below a relation's own.
    pub fn use_tuned(&mut self, tuned: TunedFile) {
        self.tuned = Some(tuned);
    }

    /// The tuned numbers that it uses.
    pub fn tuned(&self) -> Option<&TunedFile> {
        self.tuned.as_ref()
    }

    fn own(&self, relation: &str) -> OwnSettings {
        self.by_relation.get(relation).copied().unwrap_or_default()
    }

    fn tuned_for(&self, relation: &str) -> Option<&TunedNumbers> {
        let tuned = self.tuned.as_ref()?;
        tuned.relations.get(relation).or(tuned.all.as_ref())
    }
}
