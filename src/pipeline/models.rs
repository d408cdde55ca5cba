//! From the models that a pipeline names to workers that can be asked.
//!
//! Locating (fetching, importing, reading the tokenizers) needs no ONNX Runtime, so that a dry
//! run does without it; opening does the rest.

use std::path::{Path, PathBuf};

use super::predict::Predictor;
use crate::config::{ModelSettings, Pipeline};
use crate::diagnostic::{Events, Explain};
use crate::fetch::{self, Cache, ModelSource};
use crate::graph::ModelDescription;
use crate::lm::{self, LanguageModel, Prompter, PrompterError, Tokenizer, TokenizerError};
use crate::onnx::{self, Family, ModelFolder, Precision, lora};
use crate::runtime::Runtime;

/// Why a pipeline's models cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// A source could not be had.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// A model's files are broken or of a kind that is not supported.
    #[error(transparent)]
    Model(#[from] onnx::Error),
    /// A tokenizer cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A model cannot be opened.
    #[error(transparent)]
    Open(#[from] lm::OpenError),
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
    /// Weights that have no room.
    #[error(
        "the models' weights take {:.1} GB of memory, and {:.1} GB are free",
        *needed as f64 / 1e9,
        *free as f64 / 1e9
    )]
    Memory {
        /// Bytes that they take.
        needed: u64,
        /// Bytes that are left.
        free: u64,
        /// In what they would have room.
        instead: Option<Precision>,
    },
    /// What the tokenizer or the model's settings lack.
    #[error(transparent)]
    Prompter(#[from] PrompterError),
    /// The models cannot be asked the same.
    #[error(
        "the base is a {base} model and the finetuned one a {finetuned} model: they cannot be asked \
         the same; use a finetuned model that was made from this base"
    )]
    Families {
        /// The base's family.
        base: Family,
        /// The finetuned model's.
        finetuned: Family,
    },
}

impl Explain for ModelsError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Fetch(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Tokenizer(error) => Some(error),
            Self::Open(error) => Some(error),
            Self::Prompter(error) => Some(error),
            _ => None,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Memory { instead: Some(precision), .. } => Some(format!(
                "write precision = \"{precision}\" under [models], for GGUF files and safetensors \
                 folders; fewer `workers` under [runtime] take less too"
            )),
            Self::Memory { .. } => Some(
                "take a smaller model, fewer `workers` under [runtime], or a machine with more memory"
                    .to_owned(),
            ),
            _ => self.inner()?.help(),
        }
    }
}

/// A model whose files are at hand.
struct Located {
    folder: ModelFolder,
    /// A LoRA adapter over the folder's model.
    adapter: Option<PathBuf>,
    description: ModelDescription,
}

impl Located {
    /// Whether its session holds the base too.
    fn holds_base(&self) -> bool {
        self.adapter.is_some() && self.folder.packed
    }
}

/// The models that a pipeline asks, with all their files at hand.
pub struct LocatedModels {
    finetuned: Option<Located>,
    base: Option<Located>,
    /// The base that the pipeline names, asked or not.
    named_base: Option<ModelDescription>,
    /// Whose tokenizer and settings say how all are asked.
    asked: ModelFolder,
    /// How the pipeline names that one.
    named_asked: String,
    /// In what the weights of all are kept, as far as they were converted.
    pub(super) precision: Precision,
    /// Whether questions are asked by the chat template.
    chat: bool,
    /// Tokens that all models take at once, where their configuration says so.
    pub context: Option<usize>,
}

/// Fetches and imports what `pipeline` names, as far as it is not in the cache.
///
/// Of two models without correction only the finetuned one is asked.
///
/// # Errors
/// See [`ModelsError`].
pub fn locate(
    pipeline: &Pipeline,
    cache: &Cache,
    events: &dyn Events,
) -> Result<LocatedModels, ModelsError> {
    let ModelSettings { precision, chat, .. } = pipeline.models;
    let base = match &pipeline.models.base {
        Some(source) => Some(locate_one(source, precision, cache, events)?),
        None => None,
    };
    let finetuned = match &pipeline.models.finetuned {
        Some(source) => Some(locate_finetuned(source, base.as_ref(), precision, cache, events)?),
        None => None,
    };
    let named_base = base.as_ref().map(|base| base.description.clone());
    let asks = pipeline.asks();
    let base = base.filter(|_| asks.base);
    if let (Some(base), Some(finetuned)) = (&base, &finetuned)
        && base.folder.tokenizer != finetuned.folder.tokenizer
    {
        same_vocabulary(&base.folder.tokenizer, &finetuned.folder.tokenizer)?;
    }
    let models = base.iter().chain(&finetuned);
    let context = models.clone().filter_map(|model| model.folder.context()).min();
    // A conversation is written as the model was finetuned on it, where it says how.
    let chats = finetuned.iter().filter(|model| chat && model.folder.conversation().is_some());
    let asked = chats.chain(models).next();
    let asked = asked.map(|model| (model.folder.clone(), model.description.source.clone()));
    if let (Some(base), Some(finetuned)) = (&base, &finetuned)
        && base.folder.family != finetuned.folder.family
    {
        return Err(ModelsError::Families {
            base: base.folder.family,
            finetuned: finetuned.folder.family,
        });
    }
    let Some((asked, named_asked)) = asked else { unreachable!("a pipeline names a model") };
    Ok(LocatedModels { named_base, asked, named_asked, precision, chat, finetuned, base, context })
}

fn locate_one(
    source: &ModelSource,
    precision: Precision,
    cache: &Cache,
    events: &dyn Events,
) -> Result<Located, ModelsError> {
    let path = fetch::fetch_named(source, cache, events)?;
    let folder = onnx::import(&path, precision, cache, events)?;
    let description =
        ModelDescription { source: source.written.clone(), sha256: folder.sha256.clone() };
    Ok(Located { folder, adapter: None, description })
}

fn locate_finetuned(
    source: &ModelSource,
    base: Option<&Located>,
    precision: Precision,
    cache: &Cache,
    events: &dyn Events,
) -> Result<Located, ModelsError> {
    let path = fetch::fetch_named(source, cache, events)?;
    if !lora::is_lora_folder(&path) {
        return locate_one(source, precision, cache, events);
    }
    let Some(base) = base else { return Err(ModelsError::AdapterWithoutBase(path)) };
    let description =
        ModelDescription { source: source.written.clone(), sha256: fetch::sha256_of(&path)? };
    Ok(Located { folder: base.folder.clone(), adapter: Some(path), description })
}

impl LocatedModels {
    /// How all models are asked.
    ///
    /// # Errors
    /// Where their tokenizer cannot be read, or lacks a token that their family needs.
    pub fn prompter(&self) -> Result<Prompter, ModelsError> {
        Ok(if self.chat {
            Prompter::chatting(&self.asked, &self.named_asked)?
        } else {
            Prompter::new(&self.asked)?
        })
    }

    /// The source and hash of the base model that the answers depend on: one that is asked, or that
    /// an adapter is over.
    pub fn base(&self) -> Option<&ModelDescription> {
        let adapter = self.finetuned.as_ref().is_some_and(|finetuned| finetuned.adapter.is_some());
        self.named_base.as_ref().filter(|_| self.base.is_some() || adapter)
    }

    /// The base model, where it is asked.
    pub(super) fn asked_base(&self) -> Option<&ModelDescription> {
        self.base.as_ref().map(|model| &model.description)
    }

    /// What the adapter whose session the base is asked in says of its branches.
    pub(super) fn adapter_config(&self) -> Option<Vec<u8>> {
        let model = self.finetuned.as_ref().filter(|model| model.holds_base())?;
        let folder = model.adapter.as_ref()?;
        // One that cannot be read cannot be asked either.
        Some(std::fs::read(folder.join("adapter_config.json")).unwrap_or_default())
    }

    /// The source and hash of the base model that the pipeline names, asked or not.
    pub fn named_base(&self) -> Option<&ModelDescription> {
        self.named_base.as_ref()
    }

    /// The precision of all, where one was chosen: graphs and numbers of before know none.
    pub(super) fn chosen_precision(&self) -> Option<&'static str> {
        (self.precision != Precision::F32).then(|| self.precision.name())
    }

    /// Whether their graphs are kgbuild's own, which take trees of tokens.
    pub fn packed(&self) -> bool {
        self.finetuned.iter().chain(&self.base).all(|model| model.folder.packed)
    }

    /// Bytes of the weights that a prompt is computed with, by each model that is asked.
    pub fn weights(&self) -> u64 {
        self.finetuned.iter().chain(&self.base).map(|model| model.folder.bytes()).sum()
    }

    /// Bytes of the weights that a worker holds.
    pub(super) fn memory(&self) -> u64 {
        let both = self.finetuned.as_ref().is_some_and(Located::holds_base);
        let base = self.base.iter().filter(|_| !both);
        self.finetuned.iter().chain(base).map(|model| model.folder.bytes()).sum()
    }

    /// Whether the models are masked ones.
    pub fn masked(&self) -> bool {
        self.asked.family == Family::Masked
    }

    /// The finetuned model's source and hash.
    pub fn finetuned(&self) -> Option<&ModelDescription> {
        self.finetuned.as_ref().map(|m| &m.description)
    }

    /// The folder of the finetuned model or adapter, where its training card lies if it has one.
    pub fn finetuned_folder(&self) -> Option<&Path> {
        let finetuned = self.finetuned.as_ref()?;
        let folder = &finetuned.folder;
        let graph = folder.exported.as_deref().unwrap_or(&folder.graph);
        finetuned.adapter.as_deref().or(graph.parent())
    }

    /// Opens a session of each model for each of `workers`, which share `threads` cores.
    ///
    /// # Errors
    /// Where ONNX Runtime refuses a model, or one does not fit its tokenizer.
    pub fn open(
        &self,
        runtime: &Runtime,
        prompter: &Prompter,
        workers: usize,
        threads: usize,
        token_budget: usize,
    ) -> Result<Vec<Predictor>, ModelsError> {
        let last_token = prompter.tokenizer().vocabulary().last().map(|(token, _)| *token);
        let sessions = match (&self.finetuned, &self.base) {
            (Some(finetuned), Some(_)) if !finetuned.holds_base() => 2,
            _ => 1,
        };
        let threads = (threads / (workers * sessions).max(1)).max(1);
        let open = |model: &Located,
                    models: usize|
         -> Result<Box<dyn LanguageModel>, ModelsError> {
            let adapter = model.adapter.as_deref();
            let model = lm::open(runtime, &model.folder, adapter, models, threads, token_budget)?;
            self.fits(last_token.max(prompter.largest_token()), model.vocabulary())?;
            Ok(model)
        };
        let worker = || -> Result<Predictor, ModelsError> {
            Ok(Predictor::new(match (&self.finetuned, &self.base) {
                // The adapter's session holds the base too.
                (Some(finetuned), Some(_)) if finetuned.holds_base() => {
                    vec![open(finetuned, 2)?]
                }
                (None, Some(base)) => return Ok(Predictor::of_base(open(base, 1)?)),
                (finetuned, base) => {
                    let models = finetuned.iter().chain(base);
                    models.map(|model| open(model, 1)).collect::<Result<_, _>>()?
                }
            }))
        };
        (0..workers).map(|_| worker()).collect()
    }

    fn fits(&self, last_token: Option<u32>, vocabulary: usize) -> Result<(), ModelsError> {
        match last_token {
            Some(token) if token as usize >= vocabulary => {
                let tokenizer = self.asked.tokenizer.clone();
                Err(ModelsError::TokenizerAndModel { tokenizer, token, vocabulary })
            }
            _ => Ok(()),
        }
    }
}

fn same_vocabulary(base: &Path, finetuned: &Path) -> Result<(), ModelsError> {
    let (of_base, of_finetuned) =
        (Tokenizer::read(base)?.vocabulary(), Tokenizer::read(finetuned)?.vocabulary());
    if of_base == of_finetuned {
        return Ok(());
    }
    let example =
        of_base.iter().zip(&of_finetuned).find(|(a, b)| a != b).map(|((id, a), (_, b))| {
            format!("; token {id} is {a:?} in one and {b:?} in the other")
        });
    Err(ModelsError::Vocabularies {
        base: base.to_owned(),
        finetuned: finetuned.to_owned(),
        base_tokens: of_base.len(),
        finetuned_tokens: of_finetuned.len(),
        example: example.unwrap_or_default(),
    })
}
