//! A pipeline in which every path, number and combination has been checked.
//!
//! This is all that the rest of the program sees of pipeline.toml.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Place;

/// How a model's probabilities of tokens become one distribution over a relation's candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalise {
    /// At each branching of the candidates' token trie, over the tokens allowed there.
    Trie,
    /// Over the candidates' whole token sequences.
    Sequence,
}

/// Which candidates are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Only those that can still be reported, best first; the reported ones are the same.
    Search,
    /// Every one.
    Exhaustive,
}

/// Where log-linear mixing takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mixing {
    /// At each branching of the candidates' token trie.
    Branching,
    /// On the probabilities of whole candidates.
    Candidate,
}

/// How the finetuned model is corrected by the base model; λ is in [`Pipeline::lambda`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Correction {
    /// Not at all: the finetuned model predicts alone, or the base model where it is the only one.
    None,
    /// λ·p_finetuned + (1-λ)·p_base.
    Linear,
    /// p_finetuned^λ · p_base^(1-λ), normalised.
    LogLinear(Mixing),
}

/// How a triple carries its confidence and provenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Annotation {
    /// Reifiers of RDF 1.2.
    #[serde(rename = "rdf-1.2")]
    Rdf12,
    /// `rdf:Statement` of RDF 1.1.
    #[serde(rename = "reification")]
    Reification,
}

/// What the models run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// A GPU where there is one, otherwise the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA GPU; none is an error.
    Cuda,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelSource {
    /// As written: a local path, or text that begins with `hf:` or `pypi:`. A local path exists.
    pub source: String,
    /// SHA-256 that the file must have, 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// The folder that a local path is relative to.
    #[serde(skip)]
    pub relative_to: PathBuf,
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
}

impl ModelSource {
    /// The local path, or none where the source is fetched.
    pub fn path(&self) -> Option<PathBuf> {
        let fetched = ["hf:", "pypi:"].iter().any(|scheme| self.source.starts_with(scheme));
        (!fetched).then(|| self.relative_to.join(&self.source))
    }
}

/// The language models; at least one is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Models {
    pub base: Option<ModelSource>,
    pub finetuned: Option<ModelSource>,
}

/// The ontology and the tables: files that exist, in the order written, at least one of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inputs {
    pub ontology: Vec<PathBuf>,
    pub subjects: Vec<PathBuf>,
    pub candidates: Vec<PathBuf>,
    pub gold: Option<PathBuf>,
    /// IRIs of the only relations to predict, or none for all that have a template.
    pub relations: Option<Vec<String>>,
}

/// How a model's distribution over the candidates is computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prediction {
    pub normalise: Normalise,
    pub method: Method,
    /// Probability that a search may leave unexplored where a normaliser over all candidates is
    /// needed; above 0 and below 1.
    pub tolerance: f64,
}

/// The graph's place and form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// A folder, or a path at which one can be made.
    pub folder: PathBuf,
    pub annotation: Annotation,
    /// An absolute IRI that begins those of runs and of annotations.
    pub base_iri: String,
}

/// How the machine is used; results do not depend on it. Every number is at least 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    pub device: Device,
    /// ONNX Runtime's shared library; none to look for it.
    pub library: Option<PathBuf>,
    /// Predict workers, each with a session of its own of every model.
    pub workers: usize,
    pub encode_workers: usize,
    /// Cores for all predict workers together; none for all there are.
    pub threads: Option<usize>,
    /// Most tokens of one batch.
    pub token_budget: usize,
    /// Chunks that may wait between two stages.
    pub channel_capacity: usize,
}

/// The numbers that can differ by relation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Numbers {
    pub lambda: f64,
    pub threshold: f64,
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
    pub models: Models,
    pub inputs: Inputs,
    pub prediction: Prediction,
    pub correction: Correction,
    pub output: Output,
    #[serde(skip)]
    pub runtime: Runtime,
    /// Every relation that the file names by IRI, and where, for a check against the ontology.
    #[serde(skip)]
    pub named_relations: Vec<(String, Place)>,
    pub(super) numbers: Numbers,
    pub(super) by_relation: BTreeMap<String, Numbers>,
}

impl Pipeline {
    /// The finetuned model's share λ for a relation, between 0 and 1. Under [`Correction::None`]
    /// it is 1 where there is a finetuned model and 0 where there is only the base.
    pub fn lambda(&self, relation: &str) -> f64 {
        self.numbers(relation).lambda
    }

    /// Least confidence of a triple of a relation that is written, between 0 and 1.
    pub fn threshold(&self, relation: &str) -> f64 {
        self.numbers(relation).threshold
    }

    /// Most objects of a subject for a relation, before the ontology's own bounds.
    pub fn max_objects(&self, relation: &str) -> Option<usize> {
        self.numbers(relation).max_objects
    }

    fn numbers(&self, relation: &str) -> &Numbers {
        self.by_relation.get(relation).unwrap_or(&self.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::At;

    #[test]
    fn only_what_is_not_fetched_has_a_path() {
        let path = |source: &str| {
            let relative_to = PathBuf::from("here");
            let place = Place { file: PathBuf::new(), at: At::File };
            ModelSource { source: source.into(), sha256: None, relative_to, place }.path()
        };
        assert_eq!(path("model"), Some(PathBuf::from("here/model")));
        assert_eq!(path("/model"), Some(PathBuf::from("/model")));
        assert_eq!(path("hf:owner/name"), None);
        assert_eq!(path("pypi:package==1#file"), None);
    }
}
