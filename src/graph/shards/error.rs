//! Why shards are not merged.

use std::path::PathBuf;

use super::super::error::Difference;
use crate::diagnostic::{Explain, Fault, counted};

/// Why shards are not merged. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Something is named that is no shard.
    #[error("{} is not the output folder of a shard", path.display())]
    NoShard {
        /// What was named.
        path: PathBuf,
    },
    /// There are none.
    #[error("no shard lies in {}", folder.display())]
    None {
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// What a shard handed over cannot be read.
    #[error("{} is not what a shard hands over: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The quads of a shard are not those that it handed over.
    #[error("{} is not as the shard wrote it: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Two are the same one.
    #[error("shard {name} is there twice: {} and {}", folders[0].display(), folders[1].display())]
    Twice {
        /// Which.
        name: String,
        /// Where they are.
        folders: [PathBuf; 2],
    },
    /// They are not of one job.
    #[error(
        "{} and {} are not of one job: {}",
        folders[0].display(),
        folders[1].display(),
        differing(differences)
    )]
    Differ {
        /// The two that differ.
        folders: [PathBuf; 2],
        /// In what.
        differences: Vec<Difference>,
    },
    /// A file of rows cannot be read.
    #[error("the rows of {} cannot be read: {why}", path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file of rows has other columns.
    #[error(
        "{} has not the columns of answered questions: {} of text {} missing; it has {}",
        path.display(),
        missing.join(", "),
        if missing.len() == 1 { "is" } else { "are" },
        found.join(", ")
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// Those that it lacks.
        missing: Vec<String>,
        /// Those that it has.
        found: Vec<String>,
    },
    /// A question was answered twice, and not alike.
    #[error("the rows of {} answer {question} twice, and not alike", path.display())]
    Disagree {
        /// Where the rows are.
        path: PathBuf,
        /// Which question.
        question: String,
    },
    /// Rows are of another run than that which is gone on with.
    #[error("the rows of {} are of another job, or of this one before it was changed", path.display())]
    OtherRun {
        /// The file.
        path: PathBuf,
    },
    /// Rows come without what they were asked by.
    #[error("the rows of {} come without what `kgbuild plan` took for them", path.display())]
    NoPlan {
        /// Where they are.
        path: PathBuf,
    },
    /// Rows and shards of one job.
    #[error("the rows of {} and the shards of {} are two ways to do one job", rows.display(), shard.display())]
    Both {
        /// Where the rows are.
        rows: PathBuf,
        /// Where a shard is.
        shard: PathBuf,
    },
    /// The rows are not those of the job's questions.
    #[error("the rows of {} do not answer the questions of the job: {}", path.display(), others.join(", "))]
    Questions {
        /// Where they are.
        path: PathBuf,
        /// By relation, how many they answer and how many there are.
        others: Vec<String>,
    },
    /// The temporary folder cannot be written.
    #[error("the rows cannot be sorted: {why}")]
    Sorting {
        /// Why.
        why: String,
    },
    /// Some are not done, or not there.
    #[error("{}", lacking(unfinished, missing, *of))]
    Lacking {
        /// Those that were begun.
        unfinished: Vec<u32>,
        /// Those of which nothing is there.
        missing: Vec<u32>,
        /// How many there are.
        of: u32,
        /// How many are done.
        done: usize,
        /// The pipeline file, as it was named to the others.
        pipeline: PathBuf,
    },
    /// A run that asks all questions was begun in the folder.
    #[error(
        "a run of all questions was begun in {}, and what it asked would be lost", folder.display()
    )]
    Begun {
        /// The output folder.
        folder: PathBuf,
    },
    /// The graph of all shards is there already.
    #[error("the graph of all shards is in {} already, which some of them are only a part of", folder.display())]
    WholeIsThere {
        /// The output folder.
        folder: PathBuf,
    },
    /// A part would replace an older graph of all.
    #[error(
        "{} has the graph of all questions as they were before, and its answers would be lost to the shards \
         that are not done",
        folder.display()
    )]
    OlderWhole {
        /// The output folder.
        folder: PathBuf,
    },
    /// The graph that would be replaced has nothing to do with the shards.
    #[error("the graph in {} is of another job than the shards: {}", folder.display(), differing(differences))]
    AnotherGraph {
        /// The output folder.
        folder: PathBuf,
        /// In what it differs.
        differences: Vec<Difference>,
    },
    /// Work was stopped before anything was changed.
    #[error("interrupted")]
    Stopped,
}

/// What differs, by the names of parts: values are hashes, most of them.
fn differing(differences: &[Difference]) -> String {
    let short = |value: &Option<String>| match value.as_deref() {
        None => "nothing".to_owned(),
        Some(text) if text.len() <= 40 => format!("`{text}`"),
        Some(_) => String::new(),
    };
    let each = differences.iter().map(|Difference { part, was, is }| {
        let values = [was, is].map(short);
        match values.iter().all(|value| !value.is_empty()) {
            true => format!("{part} ({} and {})", values[0], values[1]),
            false => part.clone(),
        }
    });
    format!("they differ in {}", each.collect::<Vec<_>>().join(", "))
}

/// Which shards are not there.
fn lacking(unfinished: &[u32], missing: &[u32], of: u32) -> String {
    let said = |numbers: &[u32], what: &str| {
        let all: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let shards = if numbers.len() == 1 { "shard" } else { "shards" };
        (!numbers.is_empty()).then(|| format!("{shards} {} of {of} {what}", all.join(", ")))
    };
    let verb = |numbers: &[u32], one: &'static str, many: &'static str| {
        if numbers.len() == 1 { one } else { many }
    };
    let said = [
        said(unfinished, verb(unfinished, "is not finished", "are not finished")),
        said(missing, verb(missing, "is missing", "are missing")),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(", and ")
}

impl MergeError {
    /// How rows are mended, where something is wrong with them.
    fn help_with_rows(&self) -> Option<&'static str> {
        Some(match self {
            Self::Rows { .. } => {
                "delete the file where its writer was killed: its questions are asked again. Of compressed ones, those \
                 by snappy are read"
            }
            Self::Columns { .. } => {
                "give the rows as `kgbuild.ray` and `kgbuild.spark` make them, all columns kept"
            }
            Self::Disagree { .. } => {
                "a subject has one name, and stands in one batch; on a GPU, where a batch changes the last decimals, \
                 give one of both answers"
            }
            Self::OtherRun { .. } => {
                "delete these rows, as `kgbuild.ray.run` with `fresh=True` does, or name another folder"
            }
            Self::NoPlan { .. } => {
                "name its folder too, as OUTPUT/shards/plan, which `kgbuild plan` has written"
            }
            Self::Both { .. } => "name those that are to be merged",
            Self::Questions { .. } => {
                "`kgbuild.ray.run` goes on where it was stopped; `--partial` merges what is there, \
                 whatever subjects it is of"
            }
            Self::Sorting { .. } => "make room in the temporary folder, or name another as TMPDIR",
            _ => return None,
        })
    }
}

impl Explain for MergeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Stopped => Fault::Stopped,
            Self::Sorting { .. } => Fault::Machine,
            _ => Fault::User,
        }
    }

    fn help(&self) -> Option<String> {
        if let Some(help) = self.help_with_rows() {
            return Some(help.to_owned());
        }
        Some(match self {
            Self::NoShard { .. } | Self::None { .. } => {
                "name the folders that `kgbuild run PIPELINE --shard 1/4` and its like wrote, as \
                 outputs/NAME/shards/1-of-4; without any, those in the output folder are taken"
                    .to_owned()
            }
            Self::Unreadable { .. } | Self::Damaged { .. } => {
                "copy the shard's folder again; where it was made, delete the file, and the command \
                 that ran the shard writes it anew without asking anything"
                    .to_owned()
            }
            Self::Twice { .. } => "name one of them".to_owned(),
            Self::Differ { .. } => {
                "run the shards again with the same files: they ask only what differs. Where it is the device or \
                 the means, give `--fresh` to that which was run otherwise, or to `kgbuild plan`"
                    .to_owned()
            }
            Self::Lacking { unfinished, missing, of, done, pipeline } => {
                let first = unfinished.iter().chain(missing).min().copied().unwrap_or(1);
                let others = unfinished.len() + missing.len() - 1;
                let and = match others {
                    0 => String::new(),
                    others => format!(" (and so for {})", counted(others, "other shard")),
                };
                let rest = if *done > 0 { "; `--partial` merges what is there" } else { "" };
                let pipeline = pipeline.display();
                format!("`kgbuild run {pipeline} --shard {first}/{of}` finishes it{and}{rest}")
            }
            Self::Begun { .. } => {
                "finish it with `kgbuild run`, or merge all shards, which have its answers too"
                    .to_owned()
            }
            Self::WholeIsThere { .. } => "there is nothing to merge".to_owned(),
            Self::OlderWhole { .. } => {
                "finish the other shards, or merge into another folder".to_owned()
            }
            Self::AnotherGraph { .. } => {
                "merge into another folder, or give --fresh to delete that graph".to_owned()
            }
            _ => return None,
        })
    }
}
