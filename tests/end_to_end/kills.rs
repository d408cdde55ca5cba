//! SIGKILL at any moment, then the same command again: the same graph as without.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::stub::Random;
use crate::support::{Job, assert_same_graph};

const KILLS: usize = 20;

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after its start.
    Started(Duration),
    /// So long after it began to make a store.
    StoreBegun(Duration),
}

impl Moment {
    /// Most often anywhere in a run; sometimes while it starts; where there is no store yet, also
    /// while it is made.
    fn draw(random: &mut Random, job: &Job, whole_run: Duration) -> Self {
        let below = |most: Duration, random: &mut Random| most.mul_f64(random.unit());
        if !job.output().join("store").exists() && random.unit() < 0.3 {
            return Self::StoreBegun(below(Duration::from_millis(300), random));
        }
        let start_up = random.unit() < 0.2;
        Self::Started(below(if start_up { Duration::from_millis(300) } else { whole_run }, random))
    }

    /// Waits for it, or for the process' own end.
    fn wait(self, job: &Job, child: &mut Child) {
        let start = Instant::now();
        let ended = |child: &mut Child| child.try_wait().unwrap().is_some();
        let delay = match self {
            Self::Started(delay) => delay,
            Self::StoreBegun(delay) => {
                let begun = || {
                    let entries = job.output().read_dir().into_iter().flatten().flatten();
                    let mut names = entries.map(|entry| entry.file_name());
                    names.any(|name| {
                        name == "store" || name.to_string_lossy().starts_with(".store-")
                    })
                };
                while !begun() && !ended(child) {
                    thread::sleep(Duration::from_millis(1));
                }
                start.elapsed() + delay
            }
        };
        while start.elapsed() < delay && !ended(child) {
            let rest = delay.saturating_sub(start.elapsed());
            thread::sleep(rest.min(Duration::from_millis(5)));
        }
    }
}

/// Every process goes on with what the one before left, so that each kill is followed by a resume;
/// where a store gets complete, a new one is begun. After each kill what is there is a part of the
/// whole, and never less than before.
#[test]
fn twenty_kills_leave_no_trace() {
    let job = Job::without_a_mean();
    let start = Instant::now();
    job.run(&["--quiet"]);
    let whole_run = start.elapsed();
    let (graph, counts) = (job.graph(), job.counts());
    let whole: BTreeSet<&str> = graph.lines().collect();
    fs::remove_dir_all(job.output()).unwrap();

    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = env::var("KGBUILD_TEST_SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
    println!("KGBUILD_TEST_SEED={seed}; an uninterrupted run takes {whole_run:.1?}");
    let mut random = Random(seed);
    let (mut kills, mut completed, mut before) = (0, 0, 0);
    while kills < KILLS {
        let moment = Moment::draw(&mut random, &job, whole_run);
        let mut child = job.command(&["--quiet"]).spawn().unwrap();
        moment.wait(&job, &mut child);
        // One that has ended by itself is not killed any more.
        let killed = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if !killed || output.status.success() {
            assert!(output.status.success(), "{}", crate::support::stderr(&output));
            completed += 1;
            assert_same_graph(&job.graph(), &graph, "after kills");
            assert_eq!(job.counts(), counts);
            fs::remove_dir_all(job.output()).unwrap();
            before = 0;
            continue;
        }
        kills += 1;
        let done = job.chunks_done();
        let found = job.graph_so_far();
        let store = if found.is_some() { "a" } else { "no" };
        println!("kill {kills} at {moment:.3?}: {store} store, {done} chunks done");
        assert!(done >= before, "{before} chunks were done, then {done}");
        before = done;
        let found = found.unwrap_or_default();
        let foreign: Vec<&str> = found.lines().filter(|line| !whole.contains(line)).collect();
        assert!(foreign.is_empty(), "lines that no run writes:\n{}", foreign.join("\n"));
    }
    job.run(&["--quiet"]);
    assert_same_graph(&job.graph(), &graph, "after the last kill");
    assert_eq!(job.counts(), counts);
    for entry in fs::read_dir(job.output()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with(".store"), "{name}: a store half made or half deleted is left");
    }
    println!("{kills} kills, {} graphs, all the same", completed + 2);
}
