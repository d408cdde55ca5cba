//! finetune.toml: read, checked as a whole, and handed on as one validated [`Finetune`].

pub(super) mod raw;
pub(super) mod resolve;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{self, Document};
use super::schema as schemas;
use crate::diagnostic::{Diagnostics, Place};
use crate::fetch::ModelSource;
use crate::onnx::{Module, Precision};
use crate::runtime::Device;
use raw::RawFinetune;

/// Which weights are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Those of a LoRA adapter; the model stays as it is.
    Lora,
    /// All of the model's.
    All,
}

/// How the learning rate falls once it has risen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// In a straight line to 0.
    Linear,
    /// By half a cosine wave to 0.
    Cosine,
    /// Not at all.
    None,
}

/// In how many templates a fact is trained in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Templates {
    /// In one of its relation's, drawn anew for each epoch.
    One,
    /// In each of its relation's.
    All,
}

/// Which weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those with the lowest held-out loss.
    Best,
    /// Those of the last step.
    Last,
}

/// Where the held-out facts come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum HeldOut {
    /// Files of their own, at least one.
    Files(Vec<PathBuf>),
    /// This share of the training questions, above 0 and below 1.
    Share(f64),
}

/// What the model is trained on and measured by: files that exist, in the order written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactSettings {
    /// At least one.
    pub train: Vec<PathBuf>,
    /// Watched while the model is trained: patience and [`Keep::Best`] go by their loss.
    pub held_out: HeldOut,
    /// Asked once, of the finished model; may be none.
    pub test: Vec<PathBuf>,
    /// IRIs of the only relations whose facts are read, or none for all.
    pub relations: Option<Vec<String>>,
    /// Whether questions may be both trained and held out or tested.
    pub allow_overlap: bool,
}

/// How the model is trained. Results depend on all of it but `checkpoint_every` and `threads`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainingSettings {
    /// Which weights are changed.
    pub method: Method,
    /// Rank of the adapter, at least 1.
    pub rank: usize,
    /// The adapter's product is scaled by alpha / rank. So large or small a number that nothing
    /// could be learnt is refused, as for `clip_norm`.
    pub alpha: f64,
    /// At least one, none twice.
    pub modules: Vec<Module>,
    /// At least 1.
    pub epochs: usize,
    /// Facts of one step, at least 1.
    pub batch_size: usize,
    /// The largest learning rate, above 0.
    pub learning_rate: f64,
    /// Share of the steps over which the learning rate rises, from 0 to 1.
    pub warmup_share: f64,
    /// From the largest learning rate to the last step.
    pub decay: Decay,
    /// AdamW's, decoupled from the gradient (Loshchilov and Hutter 2019); at least 0.
    pub weight_decay: f64,
    /// The norm to which the gradients of a step are shortened, above 0.
    pub clip_norm: f64,
    /// Of all that is drawn: the order of facts and text, templates, the initial adapter.
    pub seed: u64,
    /// How many prompts a fact makes in an epoch.
    pub templates: Templates,
    /// Epochs between two looks at the held-out facts, above 0.
    pub evaluate_every: f64,
    /// Looks without a lower held-out loss after which training stops, at least 1; none for never.
    pub patience: Option<usize>,
    /// Which of the weights that the training went through are its result.
    pub keep: Keep,
    /// Steps between two checkpoints, at least 1.
    pub checkpoint_every: usize,
    /// What the training runs on.
    pub device: Device,
    /// Cores; none for all there are.
    pub threads: Option<usize>,
}

/// The part of each step that is language modelling.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mixture {
    /// Its share of the loss, above 0 and below 1.
    pub weight: f64,
    /// A local file or one inside a PyPI package.
    pub text: ModelSource,
    /// The key under which a document's words stand, where it is a table.
    pub field: Option<String>,
    /// The token between documents; none for the model's own.
    pub end_of_text: Option<String>,
    /// Tokens of one sequence, at least 2.
    pub sequence_length: usize,
    /// Sequences of one step, at least 1.
    pub sequences: usize,
}

/// A checked finetune.toml.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finetune {
    /// The file itself.
    #[serde(skip)]
    pub file: PathBuf,
    /// The model that is finetuned.
    pub base: ModelSource,
    /// In what the weights that an adapter is trained over are kept.
    pub precision: Precision,
    /// The tables of facts.
    pub facts: FactSettings,
    /// Turtle files, at least one.
    pub ontology: Vec<PathBuf>,
    /// CSV files with the labels of subjects and objects, at least one.
    pub entities: Vec<PathBuf>,
    /// The language of the labels that are taken from files of RDF.
    pub language: String,
    /// The settings of the optimiser, the adapter and the loop.
    pub training: TrainingSettings,
    /// None for facts alone.
    pub mixture: Option<Mixture>,
    /// The output: a folder, or a path at which one can be made.
    pub folder: PathBuf,
    /// Every relation that the file names by IRI, and where, for a check against the ontology.
    #[serde(skip)]
    pub named_relations: Vec<(String, Place)>,
}

impl Finetune {
    /// Where the model and the mixture's text come from.
    pub fn model_sources(&mut self) -> impl Iterator<Item = &mut ModelSource> {
        let text = self.mixture.as_mut().map(|mixture| &mut mixture.text);
        [&mut self.base].into_iter().chain(text)
    }
}

/// Reads and checks a finetune.toml.
///
/// Nothing is fetched or written; that local files are there is checked, their content is not.
/// Gives the settings and the warnings.
///
/// # Errors
/// Every mistake of the file, and its warnings, in the file's order.
pub fn read(path: &Path) -> Result<(Finetune, Diagnostics), Diagnostics> {
    let Document { raw, spans, mut found } =
        document::read::<RawFinetune>(path, document::Kind::Finetuning)?;
    let finetune = resolve::resolve(raw, path, &spans, &mut found);
    let found = document::in_order(found);
    match finetune {
        Some(finetune) => found.or(finetune),
        None => Err(found),
    }
}

/// The JSON Schema of finetune.toml, as indented text that ends with a line feed.
///
/// Editors that know JSON Schema complete and check the file with it.
pub fn schema() -> String {
    schemas::text::<RawFinetune>()
}
