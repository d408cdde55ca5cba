//! From the models that a pipeline names to workers that can be asked.
//!
//! Locating (fetching, importing, reading the tokenizers) needs no ONNX Runtime, so that a dry
//! run does without it; opening does the rest.

use std::path::{Path, PathBuf};

use super::predict::Predictor;
use super::report::Asked;
use crate::config::{self, ModelSource, Pipeline};
use crate::fetch::{self, Cache};
use crate::graph::ModelDescription;
use crate::lm::{self, CausalModel, LanguageModel, Tokenizer, TokenizerError};
use crate::onnx::{self, ModelFolder, lora};
use crate::runtime::{self, Runtime};

/// Why a pipeline's models cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A source could not be had.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// A model's files are broken or of a kind that is not supported.
    #[error(transparent)]
    Model(#[from] onnx::Error),
    /// A tokenizer cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// ONNX Runtime refuses a model.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// A graph is not a language model's.
    #[error(transparent)]
    Graph(#[from] lm::Error),
    /// A LoRA adapter without the model that it changes.
    #[error("{0} is a LoRA adapter: name the model it was trained on as `base` under [models]")]
    AdapterWithoutBase(PathBuf),
    /// The models cannot be mixed.
    #[error(
        "base and finetuned have different vocabularies ({base} has {base_tokens} tokens, \
         {finetuned} has {finetuned_tokens}{example}): their probabilities cannot be mixed; \
         use a finetuned model that was made from this base"
    )]
    Vocabularies {
        /// The base's tokenizer.
        base: PathBuf,
        /// The finetuned model's tokenizer.
        finetuned: PathBuf,
        /// Tokens of the base.
        base_tokens: usize,
        /// Tokens of the finetuned model.
        finetuned_tokens: usize,
        /// The first token that differs, in words.
        example: String,
    },
    /// The tokenizer knows tokens that the model does not.
    #[error(
        "{tokenizer} has tokens up to number {token}, but the model's logits end at {vocabulary}; \
         tokenizer and model do not belong together: export both again"
    )]
    TokenizerAndModel {
        /// The tokenizer.
        tokenizer: PathBuf,
        /// Its largest token.
        token: u32,
        /// How many logits the model gives.
        vocabulary: usize,
    },
    /// The model's configuration is no JSON.
    #[error("{file} cannot be read as the model's configuration; fetch or export it again")]
    Config {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
}

/// A model whose files are at hand.
struct Located {
    folder: ModelFolder,
    /// A LoRA adapter to be merged into the folder's weights.
    adapter: Option<PathBuf>,
    description: ModelDescription,
}

/// The models that a pipeline asks, with all their files at hand.
pub struct LocatedModels {
    finetuned: Option<Located>,
    base: Option<Located>,
    tokenizer: PathBuf,
    /// Tokens that all models take at once, where their configuration says so.
    pub context: Option<usize>,
}

/// Fetches and imports what `pipeline` names, as far as it is not in the cache.
///
/// Of two models without correction only the finetuned one is asked.
///
/// # Errors
/// See [`Error`].
pub fn locate(
    pipeline: &Pipeline,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<LocatedModels, Error> {
    let base = match &pipeline.models.base {
        Some(source) => Some(locate_one(source, cache, report)?),
        None => None,
    };
    let finetuned = match &pipeline.models.finetuned {
        Some(source) => Some(locate_finetuned(source, base.as_ref(), cache, report)?),
        None => None,
    };
    let alone = pipeline.correction == config::Correction::None && finetuned.is_some();
    let base = base.filter(|_| !alone);
    if let (Some(base), Some(finetuned)) = (&base, &finetuned)
        && base.folder.tokenizer != finetuned.folder.tokenizer
    {
        same_vocabulary(&base.folder.tokenizer, &finetuned.folder.tokenizer)?;
    }
    let mut context: Option<usize> = None;
    for model in base.iter().chain(&finetuned) {
        if let Some(own) = context_of(model.folder.config.as_deref())? {
            context = Some(context.map_or(own, |c| c.min(own)));
        }
    }
    let tokenizer = base.iter().chain(&finetuned).map(|m| m.folder.tokenizer.clone()).next();
    Ok(LocatedModels { tokenizer: tokenizer.unwrap_or_default(), finetuned, base, context })
}

fn locate_one(
    source: &ModelSource,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<Located, Error> {
    let path = fetch::fetch_named(source, cache, report)?;
    let folder = onnx::import(&path, cache, report)?;
    let description =
        ModelDescription { source: source.source.clone(), sha256: folder.sha256.clone() };
    Ok(Located { folder, adapter: None, description })
}

fn locate_finetuned(
    source: &ModelSource,
    base: Option<&Located>,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<Located, Error> {
    let path = fetch::fetch_named(source, cache, report)?;
    if !lora::is_lora_folder(&path) {
        return locate_one(source, cache, report);
    }
    let Some(base) = base else { return Err(Error::AdapterWithoutBase(path)) };
    let description =
        ModelDescription { source: source.source.clone(), sha256: fetch::sha256_of(&path)? };
    Ok(Located { folder: base.folder.clone(), adapter: Some(path), description })
}

impl LocatedModels {
    /// The tokenizer of all models.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn tokenizer(&self) -> Result<Tokenizer, Error> {
        Ok(Tokenizer::read(&self.tokenizer)?)
    }

    /// Which models are asked.
    pub fn asked(&self) -> Asked {
        Asked { base: self.base.is_some(), finetuned: self.finetuned.is_some() }
    }

    /// The base model's source and hash.
    pub fn base(&self) -> Option<&ModelDescription> {
        self.base.as_ref().map(|m| &m.description)
    }

    /// The finetuned model's source and hash.
    pub fn finetuned(&self) -> Option<&ModelDescription> {
        self.finetuned.as_ref().map(|m| &m.description)
    }

    /// The folder of the finetuned model or adapter, where its training card lies if it has one.
    pub fn finetuned_folder(&self) -> Option<&Path> {
        let finetuned = self.finetuned.as_ref()?;
        finetuned.adapter.as_deref().or(finetuned.folder.graph.parent())
    }

    /// Opens a session of each model for each of `workers`, which share `threads` cores.
    ///
    /// # Errors
    /// Where ONNX Runtime refuses a model, or one does not fit its tokenizer.
    pub fn open(
        &self,
        runtime: &Runtime,
        tokenizer: &Tokenizer,
        workers: usize,
        threads: usize,
        token_budget: usize,
    ) -> Result<Vec<Predictor>, Error> {
        let located: Vec<&Located> = self.finetuned.iter().chain(&self.base).collect();
        let last_token = tokenizer.vocabulary().last().map(|(token, _)| *token);
        let threads = (threads / (workers * located.len()).max(1)).max(1);
        let open = |model: &&Located| -> Result<Box<dyn LanguageModel>, Error> {
            let weights = match &model.adapter {
                Some(adapter) => lora::merge(adapter, &model.folder)?,
                None => Vec::new(),
            };
            let session = runtime.session(&model.folder.graph, weights, threads)?;
            let model = CausalModel::new(session, &model.folder.graph, self.context, token_budget)?;
            self.fits(last_token, &model)?;
            Ok(Box::new(model))
        };
        (0..workers)
            .map(|_| Ok(Predictor::new(located.iter().map(open).collect::<Result<_, Error>>()?)))
            .collect()
    }

    fn fits(&self, last_token: Option<u32>, model: &CausalModel) -> Result<(), Error> {
        match last_token {
            Some(token) if token as usize >= model.vocabulary() => Err(Error::TokenizerAndModel {
                tokenizer: self.tokenizer.clone(),
                token,
                vocabulary: model.vocabulary(),
            }),
            _ => Ok(()),
        }
    }
}

fn same_vocabulary(base: &Path, finetuned: &Path) -> Result<(), Error> {
    let (of_base, of_finetuned) =
        (Tokenizer::read(base)?.vocabulary(), Tokenizer::read(finetuned)?.vocabulary());
    if of_base == of_finetuned {
        return Ok(());
    }
    let example =
        of_base.iter().zip(&of_finetuned).find(|(a, b)| a != b).map(|((id, a), (_, b))| {
            format!("; token {id} is {a:?} in one and {b:?} in the other")
        });
    Err(Error::Vocabularies {
        base: base.to_owned(),
        finetuned: finetuned.to_owned(),
        base_tokens: of_base.len(),
        finetuned_tokens: of_finetuned.len(),
        example: example.unwrap_or_default(),
    })
}

/// How many tokens the model's configuration says it takes, under any of its usual names.
fn context_of(config: Option<&Path>) -> Result<Option<usize>, Error> {
    let Some(file) = config else { return Ok(None) };
    let broken = |source| Error::Config { file: file.to_owned(), source };
    let text = std::fs::read(file).map_err(broken)?;
    let config: serde_json::Value = serde_json::from_slice(&text).map_err(|e| broken(e.into()))?;
    Ok(["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"]
        .iter()
        .find_map(|key| config.get(key)?.as_u64())
        .map(|context| context as usize))
}
