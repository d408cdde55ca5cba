//! `kgbuild run`: from a pipeline file to a graph and a report.

use std::path::Path;
use std::time::Duration;

use super::args::RunArgs;
use super::environment::{environment, stopping_environment, use_library};
use super::failure::Failure;
use super::report::{Again, next_steps, print_report, shard_steps};
use super::shards::print_merged;
use super::streams::{Console, print};
use super::table;
use crate::pipeline::{Environment, Job, PlannedJob, Shard, Teller, WorkCounts, run_processes};

/// Runs the pipeline, or says what a run would take.
pub(super) fn run(args: &RunArgs, console: Console) -> Result<(), Failure> {
    // A dry run has no chunk to finish.
    let mut environment = match args.dry_run {
        true => environment(console),
        false => stopping_environment(
            console,
            "stopping when the chunks in work are written; again to stop at once",
            "stopped; the same command goes on after the chunks that were written",
        )?,
    };
    environment.locked = args.locked;
    environment.verify = args.verify;
    use_library(&mut environment, &args.library)?;
    if let Some(count) = args.processes {
        return in_processes(args, count, &environment, console);
    }
    if args.tell {
        environment.events = Box::new(Teller);
    }
    // Standard output is then for what is told.
    let console = Console { quiet: console.quiet || args.tell };
    let shard = args.shard.shard.as_deref().map(Shard::read).transpose()?;
    let job = Job::open(&args.pipeline, &environment)?;
    let whole = job.pipeline().output.folder.clone();
    let mut job = match shard {
        Some(shard) => job.plan()?.of_shard(shard, args.shard.plan.clone()),
        None => job.plan()?,
    };
    if args.dry_run {
        return dry_run(&mut job);
    }
    let again = Again { pipeline: &args.pipeline, shard, plan: args.shard.plan.as_deref() };
    let ended = job.run(args.fresh);
    let report = ended.map_err(|error| Failure::from(error).saying(&again.interrupted()))?;
    let next = match shard {
        None => next_steps(&whole),
        Some(shard) => shard_steps(shard, &whole),
    };
    print_report(&report, &again, &next, console)
}

/// Runs the pipeline in so many processes.
fn in_processes(
    args: &RunArgs,
    count: u32,
    environment: &Environment,
    console: Console,
) -> Result<(), Failure> {
    let command = |shard: Shard| {
        let mut command = super::again("run");
        command.arg(&args.pipeline);
        command.args(["--tell", "--shard", &shard.to_string()]);
        command.args(args.fresh.then_some("--fresh")).args(args.locked.then_some("--locked"));
        command.args(args.library.path.iter().flat_map(|path| [Path::new("--library"), path]));
        command
    };
    print_merged(run_processes(&args.pipeline, count, args.fresh, &command, environment), console)
}

/// Prints what a run would do, and how long that would take.
fn dry_run(job: &mut PlannedJob<'_>) -> Result<(), Failure> {
    let estimate = job.estimate()?;
    let row = |name: &str, counts: &WorkCounts| {
        vec![
            name.to_owned(),
            counts.subjects.to_string(),
            counts.prompts.to_string(),
            format!("{}{}", if counts.estimated { "~" } else { "" }, counts.prompt_tokens),
            counts.candidates.to_string(),
            counts.candidate_tokens.to_string(),
        ]
    };
    let relations = job.plan().relations.iter().zip(&estimate.relations);
    let mut rows: Vec<Vec<String>> =
        relations.map(|(relation, counts)| row(&relation.name, counts)).collect();
    rows.push(row("all", &estimate.total));
    let header =
        ["relation", "subjects", "prompts", "prompt tokens", "candidates", "candidate tokens"];
    print(&table::table(&header, rows, table::terminal_width(), &[]))?;
    // Nobody waits for less than a second.
    let share = job.share_to_ask()?;
    let all = job.try_out()?;
    let time = |share| indicatif::HumanDuration(all.mul_f64(share).max(Duration::from_secs(1)));
    print(&format!(
        "\nfrom its beginning, a run would take about {} (from a short trial)",
        time(1.0)
    ))?;
    if share < 1.0 {
        print(&format!("what is left to ask of it, about {}", time(share)))?;
    }
    Ok(())
}
