//! experiment.toml: read, checked as a whole, and handed on as one validated [`Experiment`].

pub(super) mod raw;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{self, Document};
use super::finetune::resolve::{mixture, training};
use super::paths::Kind;
use super::resolver::{MODEL_FORMS, Resolver};
use super::schema as schemas;
use crate::diagnostic::{Diagnostic, Diagnostics, counted};
use crate::fetch::ModelSource;
use raw::{RawExperiment, RawFacts};

/// How a training set's objects are distributed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Skew {
    /// As among all facts.
    Natural,
    /// All objects equally often, as far as their facts last.
    Flattened,
    /// Only the rarest objects.
    Rare,
}

impl Skew {
    /// Its name, in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Natural => "natural",
            Self::Flattened => "flattened",
            Self::Rare => "rare",
        }
    }
}

/// How many questions of a relation each part has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Facts that a model is trained on.
    pub train: usize,
    /// Questions that the numbers of the corrections are chosen on.
    pub tune: usize,
    /// Questions that are measured; no more than half of a relation's.
    pub test: usize,
}

/// A checked experiment.toml.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The model that is finetuned.
    pub base: ModelSource,
    /// A folder in the shape of ParaRel's.
    pub facts: PathBuf,
    /// Most templates of a relation, at least 1.
    pub templates: usize,
    /// Most tokens of an object; none for any number.
    pub object_tokens: Option<usize>,
    /// How the facts of a relation are split.
    pub sizes: Sizes,
    /// Questions below which a relation is left out, more than are tested and tuned on.
    pub least: usize,
    /// At least one; none twice, as with the next two.
    pub seeds: Vec<u32>,
    /// How the training facts are chosen.
    pub skews: Vec<Skew>,
    /// How often a model sees each of its facts, at least once.
    pub passes: Vec<usize>,
    /// What is written of the tables `[training]` and `[mixture]` of a finetune.toml, without
    /// what each model has of its own and without the text.
    pub training: toml::Table,
    /// The same of `[mixture]`.
    pub mixture: toml::Table,
    /// The text of the mixture.
    pub text: ModelSource,
    /// Cores to train on; none for all there are.
    pub threads: Option<usize>,
    /// The output: a folder, or a path at which one can be made.
    pub folder: PathBuf,
}

impl Experiment {
    /// Where everything of a seed lies.
    pub fn seed_folder(&self, seed: u32) -> PathBuf {
        self.folder.join(format!("seed-{seed}"))
    }

    /// Where the model and the mixture's text come from.
    pub fn model_sources(&mut self) -> impl Iterator<Item = &mut ModelSource> {
        [&mut self.base, &mut self.text].into_iter()
    }
}

/// Reads and checks an experiment.toml. `facts`, if given, takes the place of the folder of facts.
///
/// # Errors
/// Every mistake of the file, and its warnings, in the file's order.
pub fn read(path: &Path, facts: Option<&Path>) -> Result<(Experiment, Diagnostics), Diagnostics> {
    let Document { raw, spans, mut found } =
        document::read::<RawExperiment>(path, document::Kind::Experiment)?;
    let mut resolver = Resolver::new(path, &spans, &mut found);
    let experiment = resolve(raw, &mut resolver, facts);
    let found = document::in_order(found);
    match experiment {
        Some(experiment) => found.or(experiment),
        None => Err(found),
    }
}

/// The JSON Schema of experiment.toml, as indented text that ends with a line feed.
pub fn schema() -> String {
    schemas::text::<RawExperiment>()
}

/// Keys of `[training]` that are no choice here, and why.
const DECIDED: [(&str, &str); 4] = [
    ("seed", "`vary.seeds` says it"),
    ("epochs", "`vary.passes` says it"),
    ("keep", "every model is that of its last step"),
    ("patience", "every model is trained for all of its passes"),
];

/// Nothing where something is missing, which has been said.
fn resolve(
    raw: RawExperiment,
    resolver: &mut Resolver<'_>,
    facts: Option<&Path>,
) -> Option<Experiment> {
    let base = resolver.source(raw.model.base, &["model", "base"], Kind::Any, MODEL_FORMS);
    for (key, reason) in DECIDED {
        resolver.unused(&["training", key], reason);
    }
    no_twice(resolver, &raw.vary.seeds, "seeds");
    no_twice(resolver, &raw.vary.skews, "skews");
    no_twice(resolver, &raw.vary.passes, "passes");
    leaves_some_to_train(resolver, &raw.facts);
    let folder = match facts {
        Some(facts) => Some(facts.to_owned()),
        None => raw.facts.folder.map(|f| resolver.path(&f, Kind::Any, &["facts", "folder"])),
    };
    let mut trained = table(&raw.training)?;
    // Only what is written, so that defaults are not taken for choices.
    trained.retain(|key, _| {
        DECIDED.iter().all(|(decided, _)| *decided != key) && resolver.spans.has(&["training", key])
    });
    // Its mistakes are told here, not of the files that are made of it.
    let threads = training(resolver, raw.training).threads;
    let mut mixed = table(&raw.mixture)?;
    mixed.retain(|key, _| key != "text" && resolver.spans.has(&["mixture", key]));
    let text = mixture(resolver, raw.mixture).map(|mixture| mixture.text);
    let output =
        raw.output.folder.map(|f| resolver.path(&f, Kind::FolderToBe, &["output", "folder"]));
    Some(Experiment {
        base: base?,
        facts: folder?,
        templates: raw.facts.templates,
        object_tokens: raw.facts.object_tokens,
        sizes: Sizes { train: raw.facts.train, tune: raw.facts.tune, test: raw.facts.test },
        least: raw.facts.least,
        seeds: raw.vary.seeds,
        skews: raw.vary.skews,
        passes: raw.vary.passes,
        training: trained,
        mixture: mixed,
        text: text?,
        threads,
        folder: output?,
    })
}

/// A raw table as it may stand in another file.
fn table(raw: &impl serde::Serialize) -> Option<toml::Table> {
    toml::Table::try_from(raw).ok()
}

fn no_twice<T: PartialEq>(resolver: &mut Resolver<'_>, values: &[T], key: &str) {
    for (i, value) in values.iter().enumerate() {
        if values[..i].contains(value) {
            let message = format!("a value is in `vary.{key}` twice");
            let diagnostic = Diagnostic::error("twice", message).help("take one of them out");
            let at = resolver.spans.value(&["vary", key, &i.to_string()]);
            resolver.push(diagnostic, at);
        }
    }
}

fn leaves_some_to_train(resolver: &mut Resolver<'_>, facts: &RawFacts) {
    let &RawFacts { least, test, tune, .. } = facts;
    let test = test.min(least / 2);
    if least <= tune + test {
        let message = format!(
            "a relation with {} has none left to train on: {test} are tested, and {tune} tuned on",
            counted(least, "question")
        );
        let help = "make `facts.least` larger, or `facts.tune` smaller";
        let at = resolver.spans.value(&["facts", "least"]);
        resolver.push(Diagnostic::error("nothing-to-train", message).help(help), at);
    }
}
