//! Why a job ended before its end.

use std::path::PathBuf;

use super::stages::NoThread;
use super::{ModelsError, ProcessError, ReportFileError, SharedMeansError};
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
    /// The output folder has a graph that answers none of the pipeline's questions.
    #[error(
        "the graph in {} is of another pipeline: it was asked none of this one's questions. Name another \
         `folder` under [output], or give --fresh to delete that graph and start anew",
        folder.display()
    )]
    AnotherGraph {
        /// The output folder.
        folder: PathBuf,
    },
    /// Something has to be asked that is not remembered, by a worker without models.
    #[error("a question is not remembered, and there is no model to ask")]
    NoModels,
    /// The graph could not be written.
    #[error(transparent)]
    Graph(#[from] graph::Error),
    /// The ledger holds statistics that this version cannot read.
    #[error("what the ledger counted of <{relation}> cannot be read; run with --fresh")]
    Ledger {
        /// The relation's IRI.
        relation: String,
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
    /// A pipeline is not any more what its shards were run with.
    #[error(
        "{} is not any more what the shards were run with: {} differ. Nothing was changed; run the shards \
         again, which ask only what is new, or name their pipeline with --pipeline",
        file.display(),
        parts.join(", ")
    )]
    PipelineChanged {
        /// The pipeline file.
        file: PathBuf,
        /// The parts of the signature that differ.
        parts: Vec<String>,
    },
    /// The pipeline that shards were run with is not where it was.
    #[error(
        "more follows from the facts of all shards together, or a crawl goes on from them, and {}, which they were \
         run with, is not here; name it with --pipeline",
        file.display()
    )]
    PipelineGone {
        /// The pipeline file, as it was named to the shards.
        file: PathBuf,
    },
    /// What all shards go by cannot be used.
    #[error(transparent)]
    SharedMeans(#[from] SharedMeansError),
    /// A process of a shard did not get to its end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A stage has no thread.
    #[error(transparent)]
    Thread(#[from] NoThread),
    /// The stop was set before anything was changed.
    #[error("interrupted")]
    Interrupted,
}

impl Explain for Error {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Mistakes(mistakes) => Some(mistakes),
            Self::Fetch(error) => Some(error),
            Self::Models(error) => Some(error),
            Self::Runtime(error) => Some(error),
            Self::Card(error) => Some(error),
            Self::Prompter(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Graph(error) => Some(error),
            Self::Report(error) => Some(error),
            Self::Write(error) => Some(error),
            Self::SharedMeans(error) => Some(error),
            Self::Process(error) => Some(error),
            Self::Thread(error) => Some(error),
            Self::Context { .. }
            | Self::EmptyPrompt { .. }
            | Self::Ledger { .. }
            | Self::PipelineChanged { .. }
            | Self::PipelineGone { .. }
            | Self::AnotherGraph { .. }
            | Self::NoModels
            | Self::Interrupted => None,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Interrupted => Fault::Stopped,
            _ => self.inner().map_or(Fault::User, Explain::fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::explained;

    #[test]
    fn help_comes_through_what_wraps_it() {
        let missing = || fetch::Error::NoCacheFolder;
        let help = missing().help();
        assert!(help.as_ref().is_some_and(|help| help.contains("KGBUILD_CACHE")), "{help:?}");
        let onnx = crate::onnx::Error::from(missing());
        let opened = ModelsError::from(lm::OpenError::from(onnx));
        for error in [Error::from(missing()), ModelsError::from(missing()).into(), opened.into()] {
            assert_eq!(error.help(), help);
            assert_eq!(explained(&error), explained(&missing()));
        }
    }

    #[test]
    fn a_stop_stays_one_whatever_passes_it_on() {
        let models = ModelsError::from(fetch::Error::Interrupted);
        for error in [Error::from(models), fetch::Error::Interrupted.into(), Error::Interrupted] {
            assert_eq!(error.fault(), Fault::Stopped);
            assert_eq!(error.help(), None);
        }
        assert_eq!(Error::from(fetch::Error::NoCacheFolder).fault(), Fault::User);
    }
}
