//! A job's questions in parts: which subjects are a shard's.
//!
//! A subject's shard follows from its IRI and the number of shards alone, so that it stays where it is
//! when others come or go, and a shard that is run again after a change asks what is new of its own.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::blocks;
use super::plan::Plan;
use crate::catalog::EntityId;
use crate::diagnostic::Explain;
use crate::graph::{QuestionSet, ShardDescription, print};
use crate::shock::Pair;

/// The most shards of a job: a merge has as many files open.
const MOST: u32 = 512;

/// One of so many parts of a job's questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1; 0 of the part that asks no question, but what all others go by.
    number: u32,
    of: u32,
}

/// Why a part of a job is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// Neither `3/16` nor `auto`.
    #[error(
        "`{0}` is no shard: `3/16` is the third of sixteen, `auto` the one that a scheduler names"
    )]
    Text(String),
    /// No scheduler names one.
    #[error(
        "no scheduler says which shard this is: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set"
    )]
    NoScheduler,
    /// Kubernetes tells a job's number, not how many there are.
    #[error("JOB_COMPLETION_INDEX says which shard this is, but not of how many")]
    NoCount,
    /// What a scheduler says does not go together.
    #[error("{name} is `{value}`, which is {why}")]
    Scheduler {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Explain for ShardError {
    fn help(&self) -> Option<String> {
        match self {
            Self::NoCount => Some(
                "write `--shard auto/16` for a job of 16 completions; the number is that of its \
                 `completions`"
                    .to_owned(),
            ),
            Self::NoScheduler => {
                Some("write `--shard 3/16` where no scheduler numbers the shards".to_owned())
            }
            Self::Scheduler { .. } => Some(
                "write `--shard 7/16` for a task that is submitted again alone; `--shard auto/16` takes the task's \
                 number, from 1 on, for the shard's"
                    .to_owned(),
            ),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// The part that asks no question, but what all others go by.
    pub(super) const PLAN: Self = Self { number: 0, of: 0 };

    /// The part of this number, from 1, of so many; none where there is none.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        let is_one = (1..=of).contains(&number) && of <= MOST;
        is_one.then_some(Self { number, of })
    }

    /// Reads `3/16`, or `auto` or `auto/16`, where a scheduler's variables say which one it is: those of a
    /// Slurm array from 0 or 1 on (from 1 on, with the number of shards), or of an indexed job of Kubernetes.
    ///
    /// # Errors
    /// Where it is none of these, or no scheduler says enough.
    pub fn read(text: &str) -> Result<Self, ShardError> {
        Self::read_with(text, &|name| env::var(name).ok())
    }

    fn read_with(
        text: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ShardError> {
        let wrong = || ShardError::Text(text.to_owned());
        let (number, of) = match text.split_once('/') {
            Some((number, of)) => (number, Some(of.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        if number != "auto" {
            let number = number.parse().map_err(|_| wrong())?;
            return of.and_then(|of| Self::new(number, of)).ok_or_else(wrong);
        }
        if variable(SLURM_ID).is_some() {
            return of_slurm(variable, of);
        }
        let Some(index) = variable(KUBERNETES_INDEX) else { return Err(ShardError::NoScheduler) };
        let of = of.ok_or(ShardError::NoCount)?;
        let number = index.parse::<u32>().ok().and_then(|index| index.checked_add(1));
        number.and_then(|number| Self::new(number, of)).ok_or_else(|| ShardError::Scheduler {
            name: KUBERNETES_INDEX,
            value: index,
            why: format!("no index of a job of {of}"),
        })
    }

    /// Its number, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// The name of its folder among those of all shards.
    pub fn folder(self) -> String {
        match self.number {
            0 => "plan".to_owned(),
            number => format!("{number}-of-{}", self.of),
        }
    }

    /// Whether a subject's questions are among its own.
    fn has(self, subject: &str) -> bool {
        self.number > 0 && print([subject]) % u64::from(self.of) == u64::from(self.number - 1)
    }
}

const SLURM_ID: &str = "SLURM_ARRAY_TASK_ID";
const SLURM_COUNT: &str = "SLURM_ARRAY_TASK_COUNT";
const SLURM_MIN: &str = "SLURM_ARRAY_TASK_MIN";
const SLURM_MAX: &str = "SLURM_ARRAY_TASK_MAX";
const KUBERNETES_INDEX: &str = "JOB_COMPLETION_INDEX";

/// The shard of a task of a Slurm array from 0 or from 1 on. With the number of shards it is the task's number, so
/// that some of them can be submitted again.
fn of_slurm(
    variable: &dyn Fn(&str) -> Option<String>,
    of: Option<u32>,
) -> Result<Shard, ShardError> {
    let wrong = |name, why: &str| ShardError::Scheduler {
        name,
        value: variable(name).unwrap_or_default(),
        why: why.to_owned(),
    };
    let number = |name| -> Result<Option<u32>, ShardError> {
        let parse = |text: String| text.parse().map_err(|_| wrong(name, "no number"));
        variable(name).map(parse).transpose()
    };
    let id = number(SLURM_ID)?.unwrap_or_default();
    if let Some(of) = of {
        return Shard::new(id, of).ok_or_else(|| wrong(SLURM_ID, &format!("none of 1 to {of}")));
    }
    let count = number(SLURM_COUNT)?.filter(|count| (1..=MOST).contains(count));
    let count =
        count.ok_or_else(|| wrong(SLURM_COUNT, &format!("no number of tasks from 1 to {MOST}")))?;
    let index = match (number(SLURM_MIN)?, number(SLURM_MAX)?) {
        (Some(min), Some(max)) => {
            let is_whole = min <= 1 && max.checked_sub(min).is_some_and(|last| last + 1 == count);
            if !is_whole || id < min || id > max {
                return Err(wrong(SLURM_ID, "no task of an array of 0 to N-1 or 1 to N"));
            }
            id - min
        }
        // Consecutive numbers, as is believed.
        _ => id % count,
    };
    Ok(Shard { number: index + 1, of: count })
}

/// A shard that is planned.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlannedShard {
    shard: Shard,
    /// How many chunks all questions of each relation are.
    chunks: BTreeMap<String, u64>,
    /// Which questions these are, of the part that asks none.
    questions: BTreeMap<String, QuestionSet>,
    /// What its merge has to know.
    job: SharedJob,
}

/// What all shards of a job say of it, for the report of the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SharedJob {
    /// By IRI.
    pub relations: BTreeMap<String, SharedRelation>,
    pub finetuned: bool,
    pub base: bool,
    /// Whether more facts follow from those of all shards, or a crawl goes on from them.
    pub goes_on: bool,
}

/// A relation, for the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SharedRelation {
    pub name: String,
    pub candidates: usize,
    /// How often the majority answer is right, and of how many known ones.
    pub majority: (f64, u64),
}

impl Plan {
    /// Keeps the questions of a shard.
    pub(super) fn take_shard(&mut self, shard: Shard) {
        let iris = self.relations.iter().map(|relation| relation.iri.to_string());
        let chunks = iris.zip(self.chunks()).collect();
        let goes_on = self.crawl.is_some() || !self.ontology.consequences().is_empty();
        let Pair { finetuned, base } = self.asked;
        let relations = self.relations.iter().map(|relation| {
            let right = self.majority(relation);
            let majority = (right.iter().sum(), right.len() as u64);
            let (name, candidates) = (relation.name.clone(), relation.candidates.len());
            (relation.iri.to_string(), SharedRelation { name, candidates, majority })
        });
        let job = SharedJob { relations: relations.collect(), finetuned, base, goes_on };
        let questions = if shard == Shard::PLAN { self.question_sets() } else { BTreeMap::new() };
        self.shard = Some(PlannedShard { shard, chunks, questions, job });
        let is_own = |subject: &&EntityId| shard.has(self.subjects.iri(**subject));
        // Relations with the same subjects go on sharing them.
        let mut taken: Vec<[Arc<[EntityId]>; 2]> = Vec::new();
        for relation in &mut self.relations {
            let all = &relation.subjects;
            let own = taken.iter().find(|[other, _]| Arc::ptr_eq(other, all));
            let own = own.map_or_else(
                || all.iter().filter(is_own).copied().collect(),
                |[_, own]| Arc::clone(own),
            );
            taken.push([Arc::clone(all), Arc::clone(&own)]);
            relation.subjects = own;
        }
        self.groups = blocks::groups(self.relations.iter().map(|relation| &relation.subjects));
    }

    /// Which questions are asked, by relation.
    fn question_sets(&self) -> BTreeMap<String, QuestionSet> {
        // Relations with the same subjects share them.
        let mut sets: Vec<(&Arc<[EntityId]>, QuestionSet)> = Vec::new();
        let mut questions = BTreeMap::new();
        for relation in &self.relations {
            let known = sets.iter().find(|(other, _)| Arc::ptr_eq(other, &relation.subjects));
            let set = known.map(|(_, set)| *set).unwrap_or_else(|| {
                let mut set = QuestionSet::default();
                let subjects = relation.subjects.iter();
                subjects.for_each(|&subject| set.add(self.subjects.iri(subject)));
                set
            });
            sets.push((&relation.subjects, set));
            questions.insert(relation.iri.to_string(), set);
        }
        questions
    }

    /// What a shard's store says of it; none of a plan of all questions.
    pub(super) fn describe_shard(&self, pipeline: &Path, whole: &Path) -> Option<ShardDescription> {
        let PlannedShard { shard, chunks, questions, job } = self.shard.as_ref()?;
        Some(ShardDescription {
            number: shard.number,
            of: shard.of,
            chunks: chunks.clone(),
            questions: questions.clone(),
            pipeline: pipeline.to_owned(),
            about: json!(job),
            whole: whole.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Shard, String> {
        let variable = |name: &str| {
            variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
        };
        Shard::read_with(text, &variable).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shard_is_named_by_people_and_schedulers() {
        let shard = |number, of| Ok(Shard { number, of });
        assert_eq!(read("3/16", &[]), shard(3, 16));
        assert_eq!(read("1/1", &[]), shard(1, 1));
        for wrong in ["0/4", "5/4", "3", "3/", "/4", "a/4", "-1/4", "3/4/5", "1/0", "1/513"] {
            assert!(read(wrong, &[]).unwrap_err().contains("is no shard"), "{wrong}");
        }
        let id = |text| ("SLURM_ARRAY_TASK_ID", text);
        let count = ("SLURM_ARRAY_TASK_COUNT", "4");
        let range = |min, max| [("SLURM_ARRAY_TASK_MIN", min), ("SLURM_ARRAY_TASK_MAX", max)];
        for (numbers, [min, max]) in
            [(["0", "1", "2", "3"], range("0", "3")), (["1", "2", "3", "4"], range("1", "4"))]
        {
            for (number, expected) in numbers.into_iter().zip(1..) {
                assert_eq!(read("auto", &[id(number), count, min, max]), shard(expected, 4));
            }
            let mut alone: Vec<u32> =
                numbers.map(|number| read("auto", &[id(number), count]).unwrap().number).into();
            alone.sort_unstable();
            assert_eq!(alone, [1, 2, 3, 4]);
        }
        // Some tasks of an array that are submitted again are not a job of their own.
        for (number, count, min, max) in
            [("7", "1", "7", "7"), ("3", "2", "3", "7"), ("2", "4", "2", "5")]
        {
            let [min, max] = range(min, max);
            let tasks = [id(number), ("SLURM_ARRAY_TASK_COUNT", count), min, max];
            let said = read("auto", &tasks).unwrap_err();
            assert!(said.contains("no task of an array of 0 to N-1 or 1 to N"), "{said}");
            assert_eq!(read("auto/16", &tasks), shard(number.parse().unwrap(), 16));
        }
        assert!(read("auto/4", &[id("0"), count]).unwrap_err().contains("none of 1 to 4"));
        assert!(read("auto", &[id("1")]).unwrap_err().contains("SLURM_ARRAY_TASK_COUNT is ``"));
        assert!(read("auto", &[id("one"), count]).unwrap_err().contains("no number"));

        let index = [("JOB_COMPLETION_INDEX", "3")];
        assert_eq!(read("auto/4", &index), shard(4, 4));
        assert!(read("auto/3", &index).unwrap_err().contains("no index of a job of 3"));
        assert!(read("auto", &index).unwrap_err().contains("not of how many"));
        assert!(read("auto", &[]).unwrap_err().contains("no scheduler"));
    }

    #[test]
    fn each_subject_is_in_one_shard_and_stays_there() {
        let subjects: Vec<String> =
            (0..4000).map(|n| format!("http://www.wikidata.org/entity/Q{n}")).collect();
        for of in [1, 2, 4, 16] {
            let shards: Vec<Shard> = (1..=of).map(|number| Shard { number, of }).collect();
            let mut sizes = vec![0_u32; of as usize];
            for subject in &subjects {
                let own: Vec<usize> =
                    (0..shards.len()).filter(|&at| shards[at].has(subject)).collect();
                assert_eq!(own.len(), 1, "{subject} of {of}");
                sizes[own[0]] += 1;
            }
            // Five standard deviations of a fair share.
            let fair = 4000.0 / f64::from(of);
            let most = 5.0 * (fair * (1.0 - 1.0 / f64::from(of))).sqrt();
            let far = |&size: &u32| (f64::from(size) - fair).abs() > most;
            assert!(!sizes.iter().any(far), "{sizes:?}");
        }
        // Shards of a job that was begun are gone on with by later versions.
        let shard = Shard { number: 3, of: 16 };
        let own = subjects.iter().filter(|subject| shard.has(subject));
        let own: Vec<&str> = own.take(3).map(|iri| iri.rsplit('/').next().unwrap()).collect();
        assert_eq!(own, ["Q47", "Q68", "Q81"]);
        assert!(!subjects.iter().any(|subject| Shard::PLAN.has(subject)));
    }
}
