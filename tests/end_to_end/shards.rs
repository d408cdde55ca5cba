//! A job in shards: the same graph as one run makes, which goes on growing, and kills that leave no trace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use kgbuild::diagnostic::Silent;
use kgbuild::graph::{self, GraphWriter, Merge, Shards};
use kgbuild::pipeline::stages::Workers;
use kgbuild::pipeline::{self, Environment, Job as PipelineJob, Predictor, Shard};

use crate::kills::{Moment, kills, random};
use crate::stub::{Random, StubModel};
use crate::support::{
    BORDER, CAPITAL, CONTINENT, COUNTRY, Job, LANGUAGE, assert_same_graph, exported, kgbuild,
    stderr, succeed,
};

fn plan(job: &Job) -> Command {
    let mut command = kgbuild();
    command.arg("plan").arg(job.pipeline());
    command
}

fn merge(job: &Job, options: &[&str]) -> Command {
    let mut command = kgbuild();
    command.arg("merge").arg(job.output()).args(options);
    command
}

fn shard(job: &Job, number: u32, of: u32) -> Output {
    job.run(&["--shard", &format!("{number}/{of}")])
}

/// How many questions were asked, as a run says.
fn asked(output: &Output) -> String {
    let said = stderr(output);
    let line = said.lines().find(|line| line.contains(" to ask, "));
    line.map_or(String::new(), |line| line.rsplit(": ").next().unwrap().to_owned())
}

/// All relations, with what follows from them, means that are removed, and tuned numbers.
#[test]
fn shards_make_the_graph_of_one_run() {
    let job = Job::without_a_mean();
    job.keep_subjects(6);
    let alone = job.elsewhere();
    alone.run(&["--quiet"]);
    succeed(&mut plan(&job));
    for number in 1..=3 {
        shard(&job, number, 3);
    }
    succeed(&mut merge(&job, &[]));
    assert_same_graph(&job.graph(), &alone.graph(), "three shards");
    assert_eq!(job.counts(), alone.counts());
    let again = succeed(&mut merge(&job, &[]));
    assert!(stderr(&again).is_empty() || !stderr(&again).contains("error"), "{}", stderr(&again));

    // It grows as any other: what is decided anew asks nothing.
    for job in [&job, &alone] {
        job.set("correction", "lambda", 0.4);
    }
    let grown = job.run(&[]);
    assert!(asked(&grown).starts_with("0 questions of"), "{}", stderr(&grown));
    assert_same_graph(
        &job.graph(),
        &{
            alone.run(&["--quiet"]);
            alone.graph()
        },
        "grown",
    );
    // And in shards, which ask what is new alone.
    job.keep_subjects(7);
    alone.keep_subjects(7);
    succeed(&mut plan(&job));
    let mut new = 0;
    for number in 1..=2 {
        let said = asked(&shard(&job, number, 2));
        new += said.split(' ').next().unwrap().parse::<u32>().unwrap();
    }
    succeed(
        merge(&job, &["--quiet"])
            .arg(job.output().join("shards/1-of-2"))
            .arg(job.output().join("shards/2-of-2"))
            .arg(job.output().join("shards/plan")),
    );
    let fresh = alone.elsewhere();
    fresh.run(&["--quiet"]);
    assert_same_graph(&job.graph(), &fresh.graph(), "grown in shards");
    println!("{new} questions of the shards were new");
    assert!(new > 0 && new < 30, "{new}");
}

/// A graph of shards whose job is a crawl goes on with it.
#[test]
fn a_crawl_goes_on_from_all_shards() {
    let job = Job::small(&[CAPITAL, COUNTRY, BORDER], 3);
    job.untune();
    job.set("crawl", "depth", 1);
    job.set("crawl", "max_subjects", 4);
    let alone = job.elsewhere();
    alone.run(&["--quiet"]);
    for number in 1..=2 {
        shard(&job, number, 2);
    }
    succeed(&mut merge(&job, &[]));
    assert_same_graph(&job.graph(), &alone.graph(), "a crawl in shards");
}

/// A pipeline of random relations and subjects, under stub models.
#[test]
fn any_number_of_shards_makes_the_same_graph() {
    let seed = std::env::var("KGBUILD_TEST_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut random = Random(seed);
    for round in 0..3 {
        let relations = [CAPITAL, CONTINENT, LANGUAGE, BORDER];
        let count = 1 + (random.next() % 4) as usize;
        let job = Job::small(&relations[..count], 1 + (random.next() % 40) as usize);
        job.untune();
        let alone = of_stubs(&job, None, &job.output());
        for of in [2, 4, 16] {
            let whole = tempfile::tempdir().unwrap();
            for number in 1..=of {
                of_stubs(&job, Shard::new(number, of), whole.path());
            }
            let shards = Shards::in_folder(whole.path()).unwrap();
            // What follows is of all together.
            let how = Merge {
                fresh: false,
                partial: false,
                finish: false,
                add: &|mut all| all.swap_remove(0),
            };
            graph::merge(whole.path(), (&shards, None), &how, &mut |_| true).unwrap();
            let what = format!("seed {seed}, round {round}: {of} shards");
            assert_same_graph(&of_stubs(&job, None, whole.path()), &alone, &what);
        }
        fs::remove_dir_all(job.output()).unwrap();
    }
}

/// Runs a shard, or all, with stub models, and gives the graph that is then in its folder.
fn of_stubs(job: &Job, shard: Option<Shard>, whole: &Path) -> String {
    job.set("output", "folder", whole.to_str().unwrap());
    let environment = Environment::new(Silent);
    let planned = PipelineJob::open(&job.pipeline(), &environment).and_then(PipelineJob::plan);
    let mut planned = planned.unwrap_or_else(|error| panic!("no plan: {error}"));
    if let Some(shard) = shard {
        planned = planned.of_shard(shard, None);
    }
    let described = planned.describe().unwrap();
    let folder: PathBuf = planned.pipeline().output.folder.clone();
    let mut plan = planned.into_plan();
    plan.context = None;
    let writer = GraphWriter::open(&folder, "urn:test:", &described, false).unwrap();
    let models: Vec<Box<dyn kgbuild::lm::LanguageModel>> =
        vec![Box::new(StubModel::new(1, || ())), Box::new(StubModel::new(2, || ()))];
    let worker = Predictor::new(models).remembering(Arc::clone(&writer.state().kept));
    let workers = Workers { encode: 1, capacity: 2 };
    let stop = AtomicBool::new(false);
    let report = pipeline::run(&mut plan, &mut [worker], workers, writer, &Silent, &stop).unwrap();
    assert!(report.complete);
    let is_merged = shard.is_none() && whole.join("shards").exists();
    assert!(report.prompts == 0 || !is_merged, "what shards asked is not asked again");
    exported(&folder)
}

/// Kills over shards and merges, of which each is then begun again: nothing lost, nothing doubled.
#[test]
fn kills_of_shards_and_merges_leave_no_trace() {
    const SHARDS: u32 = 3;
    let job = Job::small(&[CAPITAL, LANGUAGE, BORDER], 8);
    job.untune();
    let start = Instant::now();
    let alone = job.elsewhere();
    alone.run(&["--quiet"]);
    let whole_run = start.elapsed();
    let expected = alone.graph();
    for number in 1..=SHARDS {
        shard(&job, number, SHARDS);
    }
    let start = Instant::now();
    succeed(&mut merge(&job, &[]));
    let whole_merge = start.elapsed();
    fs::remove_dir_all(job.output()).unwrap();
    let mut random = random();
    let (mut killed, mut merges, mut graphs) = (0, 0, 0);
    while killed < kills() {
        let mut commands: Vec<Command> = (1..=SHARDS)
            .map(|number| job.command(&["--quiet", "--shard", &format!("{number}/{SHARDS}")]))
            .collect();
        commands.push(merge(&job, &["--quiet"]));
        for (at, command) in commands.iter_mut().enumerate() {
            let is_merge = at as u32 == SHARDS;
            let longest = if is_merge { 2 * whole_merge } else { whole_run };
            loop {
                let moment = Moment::Started(longest.mul_f64(random.unit()));
                let mut child = command.spawn().unwrap();
                moment.wait(&job, &mut child);
                let has_ended = child.try_wait().unwrap().is_some();
                child.kill().unwrap();
                let output = child.wait_with_output().unwrap();
                if has_ended || output.status.success() {
                    assert!(output.status.success(), "{}", stderr(&output));
                    break;
                }
                killed += 1;
                merges += u32::from(is_merge);
                let what = if is_merge { "a merge".into() } else { format!("shard {}", at + 1) };
                println!("kill {killed} of {what} at {moment:.3?}");
                // Until it is whole there is no graph that could be taken for one.
                if let Some(found) = job.graph_so_far() {
                    assert!(is_merge, "a shard has no graph of all");
                    let foreign = found.lines().find(|line| !expected.contains(*line));
                    assert_eq!(foreign, None);
                }
            }
        }
        graphs += 1;
        assert_same_graph(&job.graph(), &expected, "after kills");
        assert_eq!(job.counts(), alone.counts());
        for entry in fs::read_dir(job.output()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with(".store") && !name.starts_with(".next"), "{name} is left");
        }
        fs::remove_dir_all(job.output()).unwrap();
    }
    println!("{killed} kills, {merges} of them of merges, {graphs} graphs, all the same");
}

/// Shards in processes of this machine, which are one command: also where one of them, or the command, is killed.
#[test]
fn processes_make_the_graph_of_one_run() {
    let job = Job::small(&[CAPITAL, COUNTRY], 6);
    let alone = job.elsewhere();
    alone.run(&["--quiet"]);
    let run = || {
        let mut command = kgbuild();
        command.arg("run").arg(job.pipeline()).args(["--processes", "2"]);
        command
    };
    let output = succeed(&mut run());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("graph and report:") && said.contains("capital"), "{said}");
    assert_same_graph(&job.graph(), &alone.graph(), "two processes");
    assert_eq!(job.counts(), alone.counts());
    succeed(&mut run());
    assert_same_graph(&job.graph(), &alone.graph(), "two processes, again");

    // The shards go with the command that began them, and what they have is gone on with.
    job.set("correction", "lambda", 0.3);
    alone.set("correction", "lambda", 0.3);
    let mut begun =
        run().arg("--fresh").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children = || {
        let own = format!("/proc/{0}/task/{0}/children", begun.id());
        fs::read_to_string(own).unwrap_or_default()
    };
    let begin = Instant::now();
    while children().split_whitespace().count() < 2 && begin.elapsed().as_secs() < 120 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let shards: Vec<PathBuf> =
        children().split_whitespace().map(|id| Path::new("/proc").join(id)).collect();
    assert_eq!(shards.len(), 2, "they were begun");
    begun.kill().unwrap();
    begun.wait().unwrap();
    while shards.iter().any(|shard| shard.join("exe").exists()) {
        assert!(begin.elapsed().as_secs() < 240, "they have not ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    succeed(&mut run());
    alone.run(&["--quiet"]);
    assert_same_graph(&job.graph(), &alone.graph(), "after a kill");

    // What is wrong is said once, with the code that it has.
    let wrong = run().arg("--shard=1/2").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    fs::remove_file(job.output().join("shards/1-of-2/shard.json")).unwrap();
    fs::create_dir(job.output().join("shards/1-of-2/shard.json")).unwrap();
    let wrong = run().output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    assert!(stderr(&wrong).contains("shard 1/2 ended with the exit code 2"), "{}", stderr(&wrong));
}
