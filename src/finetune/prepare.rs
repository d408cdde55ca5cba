//! From checked settings and inputs to a plan in tokens, with all files at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::card::{BaseModel, Card, DataFile};
use super::checkpoint::TrainingCheckpoint;
use super::inputs::TrainingInputs;
use super::plan::TrainingPlan;
use super::signature::{TrainingSignature, sign};
use super::text::{Packed, documents};
use super::{EngineError, Model, Trainable, examples};
use crate::config::finetune::{Finetune, Keep, Method, Mixture};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Events, Explain, counted};
use crate::fetch::{self, Cache, sha256_of};
use crate::lm::{Tokenizer, TokenizerError};
use crate::onnx;
use crate::runtime::Device;

/// Tokens that models put between documents.
const ENDS_OF_TEXT: [&str; 4] = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"];

/// Why a finetuning cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A source could not be had.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// The base model's files are broken or of a kind that is not supported.
    #[error(transparent)]
    Model(#[from] onnx::Error),
    /// A text cannot be encoded.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The facts, the text and the model do not fit each other.
    #[error(transparent)]
    Mistakes(#[from] Diagnostics),
    /// The device is not there.
    #[error("there is no CUDA device that can be used: {source}")]
    Device {
        /// What CUDA says.
        #[source]
        source: candle_core::Error,
    },
    /// The model cannot be trained.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Explain for PrepareError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Fetch(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Tokenizer(error) => Some(error),
            Self::Mistakes(mistakes) => Some(mistakes),
            Self::Device { .. } => None,
            Self::Engine(error) => Some(error),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Device { .. } => Some(
                "write `device = \"cpu\"` under [training], or use a kgbuild that was built with \
                 `--features cuda` on a machine that has one"
                    .to_owned(),
            ),
            _ => self.inner()?.help(),
        }
    }
}

/// The sources of a finetuning as local files, and what the weights depend on.
pub struct Sources {
    base: PathBuf,
    base_model: BaseModel,
    documents: Option<Vec<String>>,
    /// All that the weights depend on.
    pub signature: TrainingSignature,
    data: BTreeMap<String, Vec<DataFile>>,
}

impl Sources {
    /// Fetches what `settings` name, as far as it is not in the cache, and reads the text.
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub fn fetch(
        settings: &Finetune,
        cache: &Cache,
        events: &dyn Events,
    ) -> Result<Self, PrepareError> {
        let base = fetch::fetch_named(&settings.base, cache, events)?;
        let sha256 = sha256_of(&base)?;
        let text = match &settings.mixture {
            Some(mixture) => Some(fetch::fetch_named(&mixture.text, cache, events)?),
            None => None,
        };
        let (signature, data) = sign(settings, &sha256, text.as_deref())?;
        let field = settings.mixture.as_ref().and_then(|mixture| mixture.field.as_deref());
        let documents = text.map(|text| documents(&text, field)).transpose()?;
        let base_model = BaseModel { source: settings.base.written.clone(), sha256 };
        Ok(Self { base, base_model, documents, signature, data })
    }
}

/// A finetuning that can begin.
pub struct Prepared {
    /// What each step trains.
    pub plan: TrainingPlan,
    base: onnx::Checkpoint,
    /// Tokens of the mixture's text, or none without.
    pub text_tokens: Option<usize>,
    card: Card,
}

impl Prepared {
    /// Encodes facts and text with the base model's tokenizer.
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub fn new(
        settings: &Finetune,
        inputs: &TrainingInputs,
        sources: Sources,
    ) -> Result<Self, PrepareError> {
        let base = onnx::open_checkpoint(&sources.base)?;
        let tokenizer = Tokenizer::new(base.tokenizer.clone(), &sources.base)?;
        let context = base.config.context;
        let train = examples::encode(&inputs.train, inputs, &tokenizer, context)?;
        let held_out = examples::encode(&inputs.held_out, inputs, &tokenizer, context)?;
        let packed = match settings.mixture.as_ref().zip(sources.documents) {
            Some((mixture, documents)) => {
                Some(pack(settings, mixture, &documents, &tokenizer, context)?)
            }
            None => None,
        };
        let text_tokens = packed.as_ref().map(|packed| packed.len() * packed.get(0).len());
        let plan = TrainingPlan::new(settings, train, held_out, packed);
        let mut card = Card {
            kgbuild: env!("CARGO_PKG_VERSION").to_owned(),
            base: sources.base_model,
            signature: sources.signature,
            data: sources.data,
            trained_facts: inputs.train.count() as u64,
            held_out_facts: inputs.held_out.count() as u64,
            steps_per_epoch: plan.steps_per_epoch() as u64,
            ..Card::default()
        };
        for (facts, questions) in
            [(&inputs.train, &mut card.trained), (&inputs.held_out, &mut card.held_out)]
        {
            for relation in facts.relations() {
                let subjects = facts.questions(relation).map(|(subject, _)| subject.to_owned());
                questions.insert(relation.to_owned(), subjects.collect());
            }
        }
        card.object_counts = inputs.train.object_counts();
        Ok(Self { plan, base, text_tokens, card })
    }

    /// The base model, ready to be trained.
    ///
    /// # Errors
    /// Where the device is not there, or the weights cannot be read.
    pub fn model(&self, settings: &Finetune) -> Result<Model, PrepareError> {
        let training = &settings.training;
        let config = &self.base.config;
        if let Some(missing) = training.modules.iter().find(|module| !module.is_of(config)) {
            let known = config.linears().into_iter().map(|linear| linear.module).collect();
            return Err(EngineError::NoSuchModule { module: *missing, known }.into());
        }
        let trainable = match training.method {
            Method::All => Trainable::All,
            Method::Lora => Trainable::Lora {
                rank: training.rank,
                alpha: training.alpha,
                modules: training.modules.clone(),
            },
        };
        let device = match training.device {
            Device::Cpu => Ok(candle_core::Device::Cpu),
            Device::Auto => candle_core::Device::cuda_if_available(0),
            Device::Cuda => candle_core::Device::new_cuda(0),
        };
        let device = device.map_err(|source| PrepareError::Device { source })?;
        let weights = self.base.weights.as_ref();
        Ok(Model::new(
            &self.base.config,
            weights,
            settings.precision,
            &trainable,
            training.seed,
            &device,
        )?)
    }

    /// All that the weights depend on.
    pub fn signature(&self) -> &TrainingSignature {
        &self.card.signature
    }

    /// Writes what was trained into an existing folder, as a run takes it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, model: &Model, folder: &Path) -> Result<(), EngineError> {
        model.save(folder, &self.base, &self.card.base.source)
    }

    /// The card of the training that ended in this state.
    pub fn card(
        &self,
        settings: &Finetune,
        state: TrainingCheckpoint,
        stopped_early: bool,
    ) -> Card {
        let best = super::train::best(&state.evaluations).map(|best| state.evaluations[best].step);
        let last = state.steps.len() as u64;
        Card {
            written_step: match settings.training.keep {
                Keep::Best => best.unwrap_or(last),
                Keep::Last => last,
            },
            best_step: best,
            stopped_early,
            steps: state.steps,
            evaluations: state.evaluations,
            tokens: state.tokens,
            seconds: state.seconds,
            ..self.card.clone()
        }
    }
}

/// The text as sequences, enough of them to train on some and hold some out.
fn pack(
    settings: &Finetune,
    mixture: &Mixture,
    documents: &[String],
    tokenizer: &Tokenizer,
    context: usize,
) -> Result<Packed, PrepareError> {
    let length = mixture.sequence_length;
    let mistake = |code, message: String, help: &str| {
        Diagnostics::from(Diagnostic::error(code, message).at(&settings.file, At::File).help(help))
    };
    if length > context {
        let message = format!(
            "`mixture.sequence_length` is {length}, but the model takes only {context} tokens"
        );
        return Err(mistake("sequence-too-long", message, "make it shorter").into());
    }
    let end = end_of_text(mixture, tokenizer)
        .map_err(|(message, help)| mistake("end-of-text", message, &help))?;
    let packed = Packed::new(documents, tokenizer, end, length)?;
    if packed.len() < 2 {
        let message = format!(
            "the text fills {} of {length} tokens; one is needed to train on, and one to hold out",
            counted(packed.len(), "sequence")
        );
        let help = "name a longer text, or make `mixture.sequence_length` smaller";
        return Err(mistake("text-too-short", message, help).into());
    }
    Ok(packed)
}

/// The token between documents, or why there is none and what helps.
fn end_of_text(mixture: &Mixture, tokenizer: &Tokenizer) -> Result<u32, (String, String)> {
    let vocabulary = tokenizer.vocabulary();
    let find =
        |wanted: &str| vocabulary.iter().find(|(_, token)| token == wanted).map(|(id, _)| *id);
    match &mixture.end_of_text {
        Some(token) => find(token).ok_or_else(|| {
            let message =
                format!("the model has no token `{token}`, which `mixture.end_of_text` names");
            (message, "name one of its tokens, or leave `end_of_text` out".to_owned())
        }),
        None => ENDS_OF_TEXT.into_iter().find_map(find).ok_or_else(|| {
            let message = "it is not known which token the model has between documents".to_owned();
            (message, "name it: `end_of_text = \"…\"` under [mixture]".to_owned())
        }),
    }
}
