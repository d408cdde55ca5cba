//! experiment.toml exactly as it is written, before anything is checked.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::finetune::raw::{RawBase, RawMixture, RawTraining};
use super::Skew;

/// A measurement of Frequency Shock: models finetuned on training sets of growing skew, with and
/// without mixture, tested as they are and corrected. Paths are relative to this file's folder.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(
    title = "kgbuild experiment",
    extend("required" = ["model", "facts", "mixture", "output"])
)]
pub(in super::super) struct RawExperiment {
    /// The language model that is finetuned.
    pub model: RawBase,
    /// The facts, and how they are split.
    pub facts: RawFacts,
    /// What is varied.
    pub vary: RawVary,
    /// How each model is trained; `seed` and `epochs` are varied.
    pub training: RawTraining,
    /// The mixture of the models that are trained with it.
    pub mixture: RawMixture,
    /// The models and the tables.
    pub output: RawOutput,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["folder"]))]
pub(in super::super) struct RawFacts {
    /// A folder in the shape of ParaRel's: facts/R.jsonl and patterns/R.jsonl for each relation R.
    #[schemars(length(min = 1))]
    pub folder: Option<String>,
    /// Most templates of a relation, the first that a causal model can use.
    #[schemars(range(min = 1, max = 100))]
    pub templates: usize,
    /// Only facts whose object has at most so many tokens; without it, all.
    #[schemars(range(min = 1, max = 1000))]
    pub object_tokens: Option<usize>,
    /// Training facts of a relation.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub train: usize,
    /// Questions of a relation on which the corrections are tuned.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub tune: usize,
    /// Questions of a relation that are tested; half of them, where there are fewer than twice as many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub test: usize,
    /// A relation with fewer questions than this is left out; more than are tested and tuned on.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub least: usize,
}

impl Default for RawFacts {
    fn default() -> Self {
        Self {
            folder: None,
            templates: 2,
            object_tokens: None,
            train: 22,
            tune: 20,
            test: 34,
            least: 100,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct RawVary {
    /// Each decides a split, the training sets and the training.
    #[schemars(length(min = 1), inner(range(min = 0, max = 4_294_967_295_u32)))]
    pub seeds: Vec<u32>,
    /// How the training sets' objects are distributed.
    #[schemars(length(min = 1))]
    pub skews: Vec<Skew>,
    /// How often each fact is trained.
    #[schemars(length(min = 1), inner(range(min = 1, max = 1000)))]
    pub passes: Vec<usize>,
}

impl Default for RawVary {
    fn default() -> Self {
        Self {
            seeds: vec![1, 2, 3],
            skews: vec![Skew::Natural, Skew::Flattened, Skew::Rare],
            passes: vec![1, 3],
        }
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["folder"]))]
pub(in super::super) struct RawOutput {
    /// Where every model, its training set and its result go, then the tables; made where it is
    /// missing.
    #[schemars(length(min = 1))]
    pub folder: Option<String>,
}
