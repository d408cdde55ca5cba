//! Why a job ended before its end.

use super::{ModelsError, ReportFileError};
use crate::diagnostic::{Diagnostics, Explain, Fault};
use crate::files::WriteError;
use crate::{fetch, finetune, graph, lm, runtime};

/// Why a job ended before its end. What was committed before stays in the graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Mistakes in files, with their places.
    #[error(transparent)]
    Mistakes(#[from] Diagnostics),
    /// Something could not be fetched, or an input not be read.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// The models cannot be used.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// ONNX Runtime cannot be used.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The training card beside the finetuned model cannot be read.
    #[error(transparent)]
    Card(#[from] finetune::card::CardError),
    /// A label that the tokenizer cannot encode.
    #[error(transparent)]
    Prompter(#[from] lm::PrompterError),
    /// A prompt does not fit into the model's context with its longest candidate.
    #[error(
        "the prompt for <{subject}> and <{relation}> has {prompt} tokens, and its longest \
         candidate {candidate} more, but the model's context is {context}; shorten the subject's \
         label or the template"
    )]
    Context {
        /// The subject's IRI.
        subject: String,
        /// The relation's IRI.
        relation: String,
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the longest candidate with what follows it.
        candidate: usize,
        /// Tokens that the model takes.
        context: usize,
    },
    /// The tokenizer leaves nothing of a prompt.
    #[error(
        "the tokenizer leaves nothing of the prompt for <{subject}> and <{relation}>; write a \
         template with words of the model's language, or give the subject such a label"
    )]
    EmptyPrompt {
        /// The subject's IRI.
        subject: String,
        /// The relation's IRI.
        relation: String,
    },
    /// A model failed.
    #[error(transparent)]
    Model(#[from] lm::Error),
    /// The graph could not be written.
    #[error(transparent)]
    Graph(#[from] graph::Error),
    /// The ledger holds statistics that this version cannot read.
    #[error(
        "the ledger's entry for chunk {chunk} of <{relation}> cannot be read; run with --fresh"
    )]
    Ledger {
        /// The relation's IRI.
        relation: String,
        /// The chunk's number.
        chunk: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Something else has the report's name.
    #[error(transparent)]
    Report(#[from] ReportFileError),
    /// The report or the tuned numbers could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The stop was set before anything was changed.
    #[error("interrupted")]
    Interrupted,
}

impl Explain for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Model(lm::Error::Runtime { .. }) => Fault::Machine,
            Self::Fetch(error) => error.fault(),
            Self::Models(error) => error.fault(),
            Self::Interrupted => Fault::Stopped,
            _ => Fault::User,
        }
    }

    fn mistakes(&self) -> Option<&Diagnostics> {
        match self {
            Self::Mistakes(mistakes) => Some(mistakes),
            _ => None,
        }
    }
}
