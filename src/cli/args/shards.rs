//! The words of a job on many machines.

use std::path::PathBuf;

use super::{LibraryArgs, pipeline};

/// Which part of a pipeline's questions is asked.
#[derive(Debug, clap::Args)]
pub struct ShardArgs {
    /// Only ask a part of the questions, as 3/16, to be merged with the others; `auto` takes it from a
    /// Slurm array's variables, `auto/16` from those of an indexed job of Kubernetes too
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// What all shards go by, as `kgbuild plan` wrote it, where it lies elsewhere
    #[arg(long, value_name = "FILE", requires = "shard")]
    pub plan: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The pipeline file, or the folder of a pipeline.toml
    #[arg(value_parser = pipeline())]
    pub pipeline: PathBuf,
    /// Write to this file, instead of into the output folder
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Delete what an earlier plan left, and ask anew
    #[arg(long)]
    pub fresh: bool,
    /// Demand a lock file, as `kgbuild fetch --lock` writes it, with exactly this file's sources
    #[arg(long)]
    pub locked: bool,
    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// The output folder of the whole graph
    pub output: PathBuf,
    /// The folders of the shards; without any, those in shards/ in the output folder
    pub shards: Vec<PathBuf>,
    /// Merge those that are done where others are not, or are missing
    #[arg(long)]
    pub partial: bool,
    /// Delete the graph that kgbuild made in the output folder, instead of going on from it
    #[arg(long)]
    pub fresh: bool,
    /// The pipeline file, where that which the shards were run with is not there: it is needed where more follows
    /// from all facts together, or a crawl goes on from them
    #[arg(long, value_name = "FILE", value_parser = pipeline())]
    pub pipeline: Option<PathBuf>,
    #[command(flatten)]
    pub library: LibraryArgs,
}
