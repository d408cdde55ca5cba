//! SIGKILL at any moment, then the same command again: the same graph as without.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::stub::Random;
use crate::support::{BORDER, CAPITAL, Job, LANGUAGE, assert_same_graph, kgbuild, stdout, succeed};

/// As many as a test makes; KGBUILD_TEST_KILLS names more.
const KILLS: usize = 20;

pub fn kills() -> usize {
    env::var("KGBUILD_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

/// Another order each time, which is said, so that it can be had again.
pub fn random() -> Random {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = env::var("KGBUILD_TEST_SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
    println!("KGBUILD_TEST_SEED={seed}");
    Random(seed)
}

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
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
    pub fn wait(self, job: &Job, child: &mut Child) {
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

    println!("an uninterrupted run takes {whole_run:.1?}");
    let mut random = random();
    let (mut kills, mut completed, mut before) = (0, 0, 0);
    while kills < self::kills() {
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

/// What a growing graph's pipeline is changed to.
const CHANGES: [Change; 5] = [
    Change { subjects: 4, threshold: 0.0, lambda: 0.5, depth: 0 },
    Change { subjects: 4, threshold: 0.6, lambda: 0.5, depth: 0 },
    Change { subjects: 6, threshold: 0.6, lambda: 0.5, depth: 0 },
    Change { subjects: 4, threshold: 0.2, lambda: 0.5, depth: 2 },
    Change { subjects: 3, threshold: 0.0, lambda: 0.4, depth: 1 },
];

#[derive(Clone, Copy)]
struct Change {
    subjects: usize,
    threshold: f64,
    lambda: f64,
    /// Of a crawl; 0 for none.
    depth: i64,
}

fn change(job: &Job, Change { subjects, threshold, lambda, depth }: Change) {
    job.keep_subjects(subjects);
    job.set("selection", "threshold", threshold);
    job.set("correction", "lambda", lambda);
    match depth {
        0 => job.remove("crawl"),
        depth => {
            job.set("crawl", "depth", depth);
            job.set("crawl", "max_subjects", 4);
        }
    }
}

/// A graph whose pipeline is changed again and again, and whose runs are killed: whatever is there is the graph
/// before or after a change, the graph after it is a fresh run's, and the history has each change once.
#[test]
fn kills_while_a_graph_grows_leave_no_trace() {
    let job = Job::small(&[CAPITAL, LANGUAGE, BORDER], 6);
    job.untune();
    let mut longest = Duration::ZERO;
    let fresh = CHANGES.map(|to| {
        let fresh = job.elsewhere();
        change(&fresh, to);
        let start = Instant::now();
        fresh.run(&["--quiet"]);
        longest = longest.max(start.elapsed());
        fresh.graph()
    });
    let past = |number: usize| {
        let mut command = kgbuild();
        command.arg("export").arg(job.output()).args(["--format", "n-quads", "--run"]);
        stdout(&succeed(command.arg(number.to_string())))
    };
    change(&job, CHANGES[0]);
    job.run(&["--quiet"]);
    let mut random = random();
    let (mut kills, mut at, mut exports) = (0, 0, vec![job.export("n-quads")]);
    while kills < self::kills() / 2 {
        let before = at;
        at = (at + 1 + (random.next() % 4) as usize) % CHANGES.len();
        change(&job, CHANGES[at]);
        loop {
            let moment = Moment::Started(longest.mul_f64(random.unit()));
            let mut child = job.command(&["--quiet"]).spawn().unwrap();
            moment.wait(&job, &mut child);
            let has_ended = child.try_wait().unwrap().is_some();
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            if has_ended || output.status.success() {
                assert!(output.status.success(), "{}", crate::support::stderr(&output));
                break;
            }
            kills += 1;
            let is_one_of_both = [before, at].iter().any(|&at| fresh[at] == job.graph());
            println!("kill {kills} at {moment:.3?} between {before} and {at}");
            assert!(is_one_of_both, "neither the graph before nor that after");
        }
        assert_same_graph(&job.graph(), &fresh[at], "after kills");
        exports.push(job.export("n-quads"));
        let number = 1 + random.next() as usize % exports.len();
        assert_same_graph(&past(number), &exports[number - 1], &format!("run {number}"));
    }
    let count = job.query("SELECT (COUNT(*) AS ?n) { GRAPH kgb:history { ?run a kgb:Change } }");
    let count = count["results"]["bindings"][0]["n"]["value"].as_str().unwrap().to_owned();
    assert_eq!(count, exports.len().to_string());
    println!("{kills} kills, {} runs", exports.len());
}
