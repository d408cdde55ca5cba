//! What all shards of a job go by: the models' mean predictions, and what the text after the object says,
//! which `kgbuild plan` takes once and writes into a file with a hash.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::means::MeanPredictions;
use super::{Plan, RelationPlan};
use crate::diagnostic::Explain;
use crate::files::{WriteError, is_plain_file, is_taken, write_whole};
use crate::graph;
use crate::shock::{Pair, Priors};

/// How the file is written; others are not read.
const LAYOUT: u32 = 2;

/// By relation, what its questions are asked with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SharedMeans(BTreeMap<String, RelationMeans>);

/// What is taken over some of a relation's subjects.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RelationMeans {
    /// By model and template, what the text after each name adds, as ln p; empty where it counts question by
    /// question.
    pub text: Vec<Vec<f64>>,
    /// None where nothing of them is removed.
    pub predictions: Option<MeanPredictions>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharedMeansError {
    /// There is none.
    #[error("{} is not there", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is not what `kgbuild plan` writes.
    #[error("{} is not what `kgbuild plan` writes: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is of another version.
    #[error("the layout of {} is {layout}, and this kgbuild reads {LAYOUT}", path.display())]
    OtherLayout {
        /// The file.
        path: PathBuf,
        /// Its layout.
        layout: u64,
    },
    /// It is another job's.
    #[error(
        "{} is of another job, or of this one before it was changed: it differs in {}",
        path.display(),
        parts.join(", ")
    )]
    OtherJob {
        /// The file.
        path: PathBuf,
        /// The parts of the signature that differ.
        parts: Vec<String>,
    },
    /// It was made on another device.
    #[error("{} was made on {was}, and this is {is}", path.display())]
    OtherDevice {
        /// The file.
        path: PathBuf,
        /// Where it was made.
        was: String,
        /// Where it is to be used.
        is: String,
    },
}

impl Explain for SharedMeansError {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::OtherDevice { .. } => {
                "run all shards, and `kgbuild plan`, on the same kind of device with the same ONNX Runtime"
                    .to_owned()
            }
            _ => "`kgbuild plan PIPELINE` makes it".to_owned(),
        })
    }
}

/// What the file is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MadeFor<'a> {
    pub signature: &'a BTreeMap<String, String>,
    /// None where no model was asked.
    pub asked_on: Option<&'a str>,
}

/// What the file tells those who do not have the subjects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WithoutSubjects {
    /// All that the graph depends on, but its subjects.
    pub signature: BTreeMap<String, String>,
    /// By relation, what stands before the prompts.
    pub examples: BTreeMap<String, String>,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    layout: u32,
    /// Of the plan, as compact JSON.
    sha256: String,
    plan: Content,
}

/// What the file says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Content {
    pub signature: BTreeMap<String, String>,
    pub asked_on: Option<String>,
    pub without_subjects: WithoutSubjects,
    means: BTreeMap<String, Written>,
}

/// A relation's means: f64 in the order of their bytes from the least on, as base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    text: Vec<String>,
    priors: Option<[String; 2]>,
    means: Option<[String; 2]>,
}

fn to_text(numbers: &[f64]) -> String {
    BASE64.encode(numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

fn from_text(text: &String) -> Option<Vec<f64>> {
    let bytes = BASE64.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

impl From<&RelationMeans> for Written {
    fn from(own: &RelationMeans) -> Self {
        let both = |finetuned: &Vec<f64>, base: &Vec<f64>| [to_text(finetuned), to_text(base)];
        let predictions = own.predictions.as_ref();
        let priors = predictions.and_then(|p| p.priors.as_ref());
        Self {
            text: own.text.iter().map(|of| to_text(of)).collect(),
            priors: priors.map(|priors| both(&priors.finetuned, &priors.base)),
            means: predictions.map(|p| both(&p.means.finetuned, &p.means.base)),
        }
    }
}

impl RelationMeans {
    fn fits(&self, relation: &RelationPlan) -> bool {
        if !relation.space.is_listed() {
            return *self == Self::default();
        }
        let names = relation.space.names();
        let has = |numbers: &Vec<f64>, count: usize| {
            numbers.len() == count && !numbers.iter().any(|number| number.is_nan())
        };
        let fit = |MeanPredictions { priors, means }: &MeanPredictions| {
            let priors = priors.iter().flat_map(|priors| [&priors.finetuned, &priors.base]);
            priors.into_iter().all(|of| has(of, names.names()))
                && [&means.finetuned, &means.base].into_iter().all(|of| has(of, names.candidates()))
        };
        self.text.iter().all(|of| has(of, names.names()))
            && self.predictions.as_ref().is_none_or(fit)
    }
}

impl Written {
    fn read(&self) -> Option<RelationMeans> {
        let both = |[finetuned, base]: &[String; 2]| {
            Some(Pair { finetuned: from_text(finetuned)?, base: from_text(base)? })
        };
        let text = self.text.iter().map(from_text).collect::<Option<_>>()?;
        let priors = match &self.priors {
            None => None,
            Some(priors) => {
                let Pair { finetuned, base } = both(priors)?;
                Some(Priors { finetuned, base })
            }
        };
        let predictions = match &self.means {
            None => None,
            Some(means) => Some(MeanPredictions { priors, means: both(means)? }),
        };
        Some(RelationMeans { text, predictions })
    }
}

impl Content {
    fn sha256(&self) -> serde_json::Result<String> {
        Ok(hex::encode(Sha256::digest(serde_json::to_vec(self)?)))
    }
}

impl SharedMeans {
    /// A relation's.
    pub(super) fn of(&mut self, relation: &str) -> &mut RelationMeans {
        self.0.entry(relation.to_owned()).or_default()
    }

    /// Whether nothing has to be taken for any relation.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The SHA-256 of all numbers, in hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        let mut add = |numbers: &[f64]| {
            hasher.update((numbers.len() as u64).to_le_bytes());
            numbers.iter().for_each(|number| hasher.update(number.to_le_bytes()));
        };
        for (relation, own) in &self.0 {
            add(&[]);
            relation.bytes().for_each(|byte| add(&[byte.into()]));
            own.text.iter().for_each(|of| add(of));
            if let Some(MeanPredictions { priors, means }) = &own.predictions {
                if let Some(Priors { finetuned, base }) = priors {
                    [finetuned, base].into_iter().for_each(|of| add(of));
                }
                [&means.finetuned, &means.base].into_iter().for_each(|of| add(of));
            }
        }
        hex::encode(hasher.finalize())
    }

    /// Whether there are as many numbers as the plan has names and candidates.
    fn fits(&self, plan: &Plan) -> bool {
        self.0.iter().all(|(iri, own)| {
            let relation = plan.relations.iter().find(|relation| *relation.iri == **iri);
            relation.is_some_and(|relation| own.fits(relation))
        })
    }

    /// Puts them into the plan that they were taken for.
    pub(super) fn put_into(&self, plan: &mut Plan) {
        for relation in &mut plan.relations {
            let Some(own) = self.0.get(&*relation.iri) else { continue };
            if !own.text.is_empty() {
                relation.space.set_text(own.text.clone());
            }
            if let Some(predictions) = &own.predictions {
                relation.set_mean_predictions(predictions);
            }
        }
    }

    /// That nothing is at a path, or what `kgbuild plan` wrote.
    ///
    /// # Errors
    /// [`SharedMeansError::Unreadable`].
    pub(super) fn replaceable(path: &Path) -> Result<(), SharedMeansError> {
        match is_taken(path).then(|| parse(path)) {
            // Of another version of kgbuild.
            None | Some(Ok(_) | Err(SharedMeansError::OtherLayout { .. })) => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    /// Writes them, and what they were taken for.
    ///
    /// # Errors
    /// Where the file cannot be written, or one is there that `kgbuild plan` did not write.
    pub(super) fn write(
        &self,
        path: &Path,
        of: &MadeFor<'_>,
        without_subjects: WithoutSubjects,
    ) -> Result<(), super::Error> {
        Self::replaceable(path)?;
        let content = Content {
            without_subjects,
            signature: of.signature.clone(),
            asked_on: of.asked_on.map(str::to_owned),
            means: self.0.iter().map(|(iri, own)| (iri.clone(), Written::from(own))).collect(),
        };
        let failed = |error: serde_json::Error| WriteError::of(path)(error.into());
        let sha256 = content.sha256().map_err(failed)?;
        let file = File { layout: LAYOUT, sha256, plan: content };
        let text = serde_json::to_string_pretty(&file).map_err(failed)? + "\n";
        Ok(write_whole(path, text.as_bytes())?)
    }

    /// Reads what was taken for a job.
    ///
    /// # Errors
    /// Where there is none, it was changed, or it is another job's.
    pub(super) fn read(
        path: &Path,
        of: &MadeFor<'_>,
        plan: &Plan,
    ) -> Result<Self, SharedMeansError> {
        let content = parse(path)?;
        content.fits(path, &content.signature, of)?;
        content.means(path, plan)
    }
}

impl Content {
    /// That it is of a job, by what of its signature is known, and made where models are asked.
    pub(super) fn fits(
        &self,
        path: &Path,
        was: &BTreeMap<String, String>,
        of: &MadeFor<'_>,
    ) -> Result<(), SharedMeansError> {
        let parts = graph::differences(was, of.signature);
        let parts: Vec<String> = parts.into_iter().map(|difference| difference.part).collect();
        if !parts.is_empty() {
            return Err(SharedMeansError::OtherJob { path: path.to_owned(), parts });
        }
        if let (Some(was), Some(is)) = (&self.asked_on, of.asked_on)
            && was != is
        {
            let (was, is) = (was.clone(), is.to_owned());
            return Err(SharedMeansError::OtherDevice { path: path.to_owned(), was, is });
        }
        Ok(())
    }

    /// What was taken for a plan.
    pub(super) fn means(&self, path: &Path, plan: &Plan) -> Result<SharedMeans, SharedMeansError> {
        let read = |(iri, own): (&String, &Written)| Some((iri.clone(), own.read()?));
        let means: Option<BTreeMap<_, _>> = self.means.iter().map(read).collect();
        let unreadable = || SharedMeansError::Unreadable {
            path: path.to_owned(),
            why: "its numbers are not those of this job".to_owned(),
        };
        means.map(SharedMeans).filter(|means| means.fits(plan)).ok_or_else(unreadable)
    }
}

/// What a file says, if it says what its hash is of.
pub(super) fn parse(path: &Path) -> Result<Content, SharedMeansError> {
    let unreadable = |why: String| SharedMeansError::Unreadable { path: path.to_owned(), why };
    if !is_taken(path) {
        return Err(SharedMeansError::Missing { path: path.to_owned() });
    }
    if !is_plain_file(path) {
        return Err(unreadable("it is not a file".to_owned()));
    }
    let text = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
    if let Some(layout) = value["layout"].as_u64().filter(|own| *own != u64::from(LAYOUT)) {
        return Err(SharedMeansError::OtherLayout { path: path.to_owned(), layout });
    }
    let file: File = serde_json::from_value(value).map_err(|e| unreadable(e.to_string()))?;
    match file.plan.sha256() {
        Ok(sha256) if sha256 == file.sha256 => Ok(file.plan),
        _ => Err(unreadable("it was changed since".to_owned())),
    }
}
