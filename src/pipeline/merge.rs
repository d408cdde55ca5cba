//! One graph of the shards of a job, and its report.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::shard::{SharedJob, SharedRelation};
use super::{
    Environment, Error, Job, PlannedJob, RelationReport, ReportFile, RunReport, Statistics,
    report_text,
};
use crate::diagnostic::{Progress, Work};
use crate::files::{Sorted, WriteError, write_whole};
use crate::graph::{self, FoundShard, HandedShard, Merge, MergeError, Merged, SHARD_FILE, Shards};
use crate::shock::Pair;

/// How shards are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeOptions {
    /// The folders of the shards; without any, those in the output folder.
    pub shards: Vec<PathBuf>,
    /// Whether those that are done are merged where others are not.
    pub partial: bool,
    /// Whether a graph that kgbuild made there before is deleted first.
    pub fresh: bool,
    /// The pipeline file, where more follows from all facts together, or a crawl goes on from them; none for the
    /// one that the shards were run with.
    pub pipeline: Option<PathBuf>,
}

/// What a merge made.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedGraph {
    /// Its output folder.
    pub folder: PathBuf,
    /// What is in the graph.
    pub report: RunReport,
    /// How many shards are in it, and how many there are, in words.
    pub shards: String,
    /// Whether it was there before.
    pub before: bool,
}

/// The stages of a merge: rows of answers are read and sorted before.
const READ: &str = "read";
const MERGE: &str = "merge";

/// Makes one graph of shards in an output folder, and report.json beside it.
///
/// # Errors
/// [`graph::MergeError`] where shards are missing, damaged or of several jobs; nothing is changed then.
pub fn merge(
    out: &Path,
    options: &MergeOptions,
    environment: &Environment,
) -> Result<MergedGraph, Error> {
    let mut shards = match options.shards.is_empty() {
        true => Shards::in_folder(out)?,
        false => Shards::find(&options.shards)?,
    };
    let rows = read_rows(&mut shards, environment)?;
    shards.demand(options.partial).map_err(graph::Error::from)?;
    ReportFile::find(out)?;
    let first = &shards.found()[0];
    let job = SharedJob::read(first)?;
    let goes_on = job.goes_on && shards.is_whole();
    let planned = match goes_on {
        true => Some(planned(out, options, &first.handed, environment)?),
        false => None,
    };
    let MergeOptions { partial, fresh, .. } = *options;
    let merging = Merge { fresh, partial, finish: !goes_on, add: &add };
    let begun = Work { stages: &[MERGE], unit: "bytes", total: shards.bytes(), done: 0 };
    let progress = Progress::begin(environment.events.as_ref(), begun);
    let merged = graph::merge(out, (&shards, rows), &merging, &mut |bytes| {
        progress.advance(MERGE, bytes as usize);
        !environment.is_stopped()
    });
    drop(progress);
    let before = merged? == Merged::Before;
    let report = match planned {
        Some(mut planned) => planned.run(false)?,
        None => {
            let report = job.report(&shards);
            let file = ReportFile::find(out)?;
            let signature = shards.signature();
            if !before || !file.is_complete(&signature) {
                let text = report_text(&signature, &report);
                let text = text.map_err(|error| WriteError::of(file.path())(error.into()))?;
                write_whole(file.path(), text.as_bytes())?;
            }
            report
        }
    };
    Ok(MergedGraph { folder: out.to_owned(), report, shards: shards.count(), before })
}

/// Reads the rows of a job, if it was answered in rows, and gives their lines in order.
fn read_rows(shards: &mut Shards, environment: &Environment) -> Result<Option<Sorted>, Error> {
    let total = shards.row_bytes();
    if total == 0 {
        return Ok(None);
    }
    let begun = Work { stages: &[READ], unit: "bytes", total, done: 0 };
    let progress = Progress::begin(environment.events.as_ref(), begun);
    let rows = shards.read_rows(&add, &mut |bytes| {
        progress.advance(READ, bytes as usize);
        !environment.is_stopped()
    });
    Ok(rows.map_err(graph::Error::from)?)
}

/// The job of the shards, to go on from what they found.
fn planned<'e>(
    out: &Path,
    options: &MergeOptions,
    shard: &HandedShard,
    environment: &'e Environment,
) -> Result<PlannedJob<'e>, Error> {
    let file = options.pipeline.as_ref().unwrap_or(&shard.shard.pipeline);
    if options.pipeline.is_none() && !file.exists() {
        return Err(Error::PipelineGone { file: file.clone() });
    }
    let mut job = Job::open(file, environment)?;
    job.pipeline.output.folder = out.to_owned();
    let planned = job.plan()?;
    let is = graph::signature(&planned.pipeline.output.base_iri, &planned.describe()?.signature);
    let differences = graph::differences(&shard.signature, &is);
    let parts: Vec<String> = differences.into_iter().map(|difference| difference.part).collect();
    match parts.is_empty() {
        true => Ok(planned),
        false => Err(Error::PipelineChanged { file: file.clone(), parts }),
    }
}

impl SharedJob {
    /// What a shard says of its job.
    ///
    /// # Errors
    /// [`MergeError::Unreadable`] where it is not what a shard says.
    fn read(FoundShard { folder, handed }: &FoundShard) -> Result<Self, graph::Error> {
        serde_json::from_value(handed.shard.about.clone()).map_err(|error| {
            let (path, why) =
                (folder.join(SHARD_FILE), format!("what it says of its job: {error}"));
            MergeError::Unreadable { path, why }.into()
        })
    }

    /// What is in the graph of shards.
    fn report(&self, shards: &Shards) -> RunReport {
        let asked = Pair { finetuned: self.finetuned, base: self.base };
        let (mut total, mut right) = (Statistics::default(), (0.0, 0));
        let majority = |(right, of): (f64, u64)| (of > 0).then(|| right / of as f64);
        let line = |(iri, relation): (&String, &SharedRelation)| {
            let own = sum(shards.statistics(iri));
            total.add(&own);
            right.0 += relation.majority.0;
            right.1 += relation.majority.1;
            let SharedRelation { name, candidates, majority: of } = relation.clone();
            let iri = Some(iri.clone());
            RelationReport::new(iri, name, Some(candidates), &own, asked, majority(of))
        };
        let relations = self.relations.iter().map(line).collect();
        let name = "all".to_owned();
        RunReport {
            relations,
            total: RelationReport::new(None, name, None, &total, asked, majority(right)),
            derived: 0,
            complete: true,
            resumed_chunks: 0,
            prompts: 0,
            tokens: 0,
            seconds: 0.0,
            model_seconds: 0.0,
        }
    }
}

/// Adds up what shards counted.
fn add(counts: Vec<Value>) -> Value {
    json!(sum(counts.into_iter()))
}

fn sum(counts: impl Iterator<Item = Value>) -> Statistics {
    let mut all = Statistics::default();
    // What is none was counted by no shard.
    counts.filter_map(|own| serde_json::from_value(own).ok()).for_each(|own| all.add(&own));
    all
}
