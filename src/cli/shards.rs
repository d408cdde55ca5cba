//! `kgbuild plan` and `kgbuild merge`: what comes before and after the shards of a job.

use super::args::{MergeArgs, PlanArgs};
use super::environment::{stopping_environment, use_library};
use super::failure::Failure;
use super::report::{next_steps, program, relations, shown};
use super::streams::Console;
use crate::files::writable;
use crate::pipeline::{Error, Job, MergeOptions, MergedGraph, merge};

/// Takes what all shards go by, and says where it is.
pub(super) fn plan(args: &PlanArgs, console: Console) -> Result<(), Failure> {
    let stopping = "stopping; again to stop at once";
    let stopped = "stopped; the same command goes on after what was asked";
    writable(&[("-o", args.output.as_deref())], &[])?;
    let mut environment = stopping_environment(console, stopping, stopped)?;
    environment.locked = args.locked;
    use_library(&mut environment, &args.library)?;
    let job = Job::open(&args.pipeline, &environment)?.plan()?;
    let file = job.share_means(args.output.clone(), args.fresh);
    let (program, pipeline) = (program(), shown(&args.pipeline));
    let output = args.output.as_ref().map_or(String::new(), |file| format!(" -o {}", shown(file)));
    let again =
        format!("interrupted: `{program} plan {pipeline}{output}` goes on where this stopped");
    let file = file.map_err(|error| Failure::from(error).saying(&again))?;
    let own = args.output.as_ref().map_or(String::new(), |file| format!(" --plan {}", shown(file)));
    console.summary(&format!(
        "what all shards go by: {}\ntry next, on as many machines as there are shards:\n  \
         {program} run {pipeline} --shard 1/4{own}",
        shown(&file)
    ))
}

/// Merges shards and says what came of it.
pub(super) fn merge_shards(args: &MergeArgs, console: Console) -> Result<(), Failure> {
    let stopping = "stopping; again to stop at once";
    let stopped = "stopped; the same command merges the shards again";
    let mut environment = stopping_environment(console, stopping, stopped)?;
    use_library(&mut environment, &args.library)?;
    let options = MergeOptions {
        shards: args.shards.clone(),
        partial: args.partial,
        fresh: args.fresh,
        pipeline: args.pipeline.clone(),
    };
    print_merged(merge(&args.output, &options, &environment), console)
}

/// Says what came of a merge.
pub(super) fn print_merged(
    merged: Result<MergedGraph, Error>,
    console: Console,
) -> Result<(), Failure> {
    let again = "interrupted: the same command goes on";
    let merged = merged.map_err(|error| Failure::from(error).saying(again))?;
    if !merged.report.complete {
        super::streams::to_stderr(again);
        return Err(Failure::Stopped);
    }
    let what = if merged.before { "were merged before" } else { "merged" };
    let text = relations(&merged.report);
    let next = next_steps(&merged.folder);
    console.summary(&format!("{text}\n\n{} {what}{next}", merged.shards))
}
