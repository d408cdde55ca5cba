//! pipeline.toml and finetune.toml: read, checked as a whole, and handed on as one validated
//! [`Pipeline`] or [`Finetune`](finetune::Finetune).
//!
//! A file goes through three steps: TOML with places ([`toml::de::DeTable`]), held against the
//! JSON Schema of the raw structs (`walk`), then paths and combinations (`resolve`). Each step
//! reports all that it finds; the later ones work on what was right in the earlier ones, so that
//! a person sees every mistake of a file at once. A validated value
//! exists only where there was none.

mod crawl;
mod document;
pub mod experiment;
pub mod finetune;
mod init;
mod paths;
mod pipeline;
mod raw;
mod removed;
mod resolve;
mod resolver;
mod schema;
mod settings;
mod tuned;
mod walk;

use std::path::Path;

use raw::RawPipeline;

use crate::diagnostic::Diagnostics;

pub use crawl::CrawlSettings;
pub use init::{InitError, STARTER, init};
pub use pipeline::{
    CandidateNames, CorrectionMethod, ExampleSettings, ExampledModels, InputSettings,
    ModelSettings, OutputSettings, Pipeline, PredictionSettings, RuntimeSettings, TuningSettings,
};
pub use settings::{SettingsFile, locked};
pub use tuned::{MadeFrom, TunedFile, TunedNumbers};

/// Reads and checks a pipeline.toml.
///
/// Nothing is fetched or written; that local files are there is checked, their content is not.
/// Gives the pipeline and the warnings.
///
/// # Errors
/// Every mistake of the file, and its warnings, in the file's order.
pub fn read(path: &Path) -> Result<(Pipeline, Diagnostics), Diagnostics> {
    let document::Document { raw, spans, mut found } =
        document::read::<RawPipeline>(path, document::Kind::Pipeline)?;
    let pipeline = resolve::resolve(raw, path, &spans, &mut found);
    document::in_order(found).or(pipeline)
}

/// The JSON Schema of pipeline.toml, as indented text that ends with a line feed.
///
/// Editors that know JSON Schema complete and check the file with it.
pub fn schema() -> String {
    schema::text::<RawPipeline>()
}
