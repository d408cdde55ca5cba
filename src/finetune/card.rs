//! The training card: what a finetuned model was made of and how its training went.
//!
//! It lies beside the weights as `training.json` and is written last, so that a folder with a card
//! holds a whole model. The diagnosis of Frequency Shock reads how often each object was trained.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::diagnostic::Explain;

/// The card's name in the folder of the finetuned model.
pub const CARD: &str = crate::fetch::TRAINING_CARD;

/// What `training.json` says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The version of kgbuild that trained the model.
    pub kgbuild: String,
    /// The model that was finetuned.
    pub base: BaseModel,
    /// All that the weights depend on, by name: settings, and hashes of what was read.
    pub signature: BTreeMap<String, String>,
    /// The files that were read, by their role: `train`, `held-out`, `test`, `ontology`,
    /// `entities`, `text`.
    pub data: BTreeMap<String, Vec<DataFile>>,
    /// How often each object occurs in the training facts: by the relation's IRI, then the
    /// object's. A fact counts once, however many templates or epochs it was trained in.
    pub object_counts: BTreeMap<String, BTreeMap<String, u64>>,
    /// The questions that were trained: by the relation's IRI, the IRIs of the subjects.
    pub trained: BTreeMap<String, BTreeSet<String>>,
    /// The questions that were held out to measure the training: by the relation's IRI, the IRIs
    /// of the subjects.
    pub held_out: BTreeMap<String, BTreeSet<String>>,
    /// How many facts were trained.
    pub trained_facts: u64,
    /// How many facts were held out.
    pub held_out_facts: u64,
    /// The steps of an epoch.
    pub steps_per_epoch: u64,
    /// The curve of the training loss, a record a step.
    pub steps: Vec<Step>,
    /// The losses on what was held out; the first is that of the base model.
    pub evaluations: Vec<Evaluation>,
    /// After how many steps the written weights were reached.
    pub written_step: u64,
    /// After how many steps the held-out loss was least; none where nothing was held out.
    pub best_step: Option<u64>,
    /// Whether training ended before its last step because the held-out loss no longer fell.
    pub stopped_early: bool,
    /// Tokens that were put through the model in training steps.
    pub tokens: u64,
    /// Seconds that training took, over all its processes; evaluations included.
    pub seconds: f64,
    /// The model's files: the SHA-256 of each by its name. What is beside the card and not among
    /// them is someone else's, and is left alone.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// A model before finetuning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseModel {
    /// As written: a path, or text that begins with `hf:` or `pypi:`.
    pub source: String,
    /// The SHA-256 of its file or folder.
    pub sha256: String,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its path, or its source as written.
    pub path: PathBuf,
    /// The SHA-256 of its content.
    pub sha256: String,
}

/// One step of the loss curve. Losses are in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number, from 1.
    pub step: u64,
    /// The learning rate that it was made with.
    pub learning_rate: f64,
    /// (1 - w) · `facts` + w · `text`, w the mixture's weight.
    pub loss: f64,
    /// The mean over the step's facts of the sum over the object's tokens of -ln p.
    pub facts: f64,
    /// The mean over the step's text tokens of -ln p; none without mixture.
    pub text: Option<f64>,
    /// The norm of all gradients together before clipping.
    pub gradient_norm: f64,
}

/// The losses on what was held out, after so many steps. Losses are in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// After how many steps; 0 is the base model.
    pub step: u64,
    /// The mean over the held-out facts of the sum over the object's tokens of -ln p.
    pub facts: f64,
    /// The mean over the tokens of the held-out text of -ln p; none without mixture.
    pub text: Option<f64>,
}

/// Why a card cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The folder holds none.
    #[error(
        "there is no {CARD} in {}: name the folder that `kgbuild finetune` wrote",
        folder.display()
    )]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The card.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is not a card, or one of another version.
    #[error(
        "{} is no training card of this version of kgbuild: move it away, then finetune again, or \
         name another folder",
        path.display()
    )]
    Content {
        /// The file in its place.
        path: PathBuf,
        /// Where it is no card.
        #[source]
        source: serde_json::Error,
    },
}

impl Explain for CardError {}

impl Card {
    /// Reads the card of the finetuned model in `folder`.
    ///
    /// # Errors
    /// See [`CardError`].
    pub fn read(folder: &Path) -> Result<Self, CardError> {
        let path = folder.join(CARD);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CardError::Missing { folder: folder.to_owned() });
            }
            Err(source) => return Err(CardError::Io { path, source }),
        };
        serde_json::from_slice(&text).map_err(|source| CardError::Content { path, source })
    }

    /// How often the object was trained for the relation.
    pub fn count(&self, relation: &str, object: &str) -> u64 {
        self.object_counts.get(relation).and_then(|of| of.get(object)).copied().unwrap_or(0)
    }

    /// Whether the subject's objects for the relation were trained.
    pub fn is_trained(&self, subject: &str, relation: &str) -> bool {
        self.trained.get(relation).is_some_and(|subjects| subjects.contains(subject))
    }

    /// The evaluation with the least loss on facts, the earliest of several; none where nothing
    /// was held out.
    pub fn best(&self) -> Option<&Evaluation> {
        self.evaluations.iter().min_by(|a, b| a.facts.total_cmp(&b.facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_read_back_and_answers() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Card::read(folder.path()).unwrap_err();
        assert!(matches!(missing, CardError::Missing { .. }), "{missing}");
        std::fs::write(folder.path().join(CARD), "{}").unwrap();
        let wrong = Card::read(folder.path()).unwrap_err();
        assert!(matches!(wrong, CardError::Content { .. }), "{wrong}");

        let counts = BTreeMap::from([("e:1".to_owned(), 3)]);
        let evaluation = |step, facts| Evaluation { step, facts, text: None };
        let card = Card {
            object_counts: BTreeMap::from([("e:r".to_owned(), counts)]),
            trained: BTreeMap::from([("e:r".to_owned(), BTreeSet::from(["e:a".to_owned()]))]),
            evaluations: vec![evaluation(0, 3.0), evaluation(5, 1.5), evaluation(10, 1.5)],
            steps: vec![Step {
                step: 1,
                learning_rate: 1e-4,
                loss: 0.1 + 0.2,
                facts: 0.3,
                text: Some(0.25),
                gradient_norm: 1.0,
            }],
            ..Card::default()
        };
        std::fs::write(folder.path().join(CARD), serde_json::to_vec(&card).unwrap()).unwrap();
        let read = Card::read(folder.path()).unwrap();
        assert_eq!(read, card);
        assert_eq!((read.count("e:r", "e:1"), read.count("e:r", "e:2")), (3, 0));
        assert!(read.is_trained("e:a", "e:r") && !read.is_trained("e:a", "e:s"));
        assert_eq!(read.best().unwrap().step, 5);
    }
}
