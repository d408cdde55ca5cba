//! A run's memory does not grow with its subjects, and a writer that stalls stops everything
//! before it.
//!
//! Everything is real but the language models.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kgbuild::diagnostic::Silent;
use kgbuild::graph::{GraphWriter, RunDescription};
use kgbuild::pipeline::stages::{self, Workers};
use kgbuild::pipeline::{self, CHUNK_SUBJECTS, Encoded, Environment, Job, Plan, Predictor, Task};

use crate::stub::StubModel;
use crate::support::{self, CAPITAL, succeed};

/// As many as the test runs; KGBUILD_TEST_SUBJECTS names more.
const SUBJECTS: usize = 100_000;
/// How much the largest resident set of a later fifth of the run may exceed that of the second. In the
/// first the store's own buffers, of a fixed size, are still filling.
const GROWTH_KB: usize = 16 * 1024;
/// Set in the process that measures itself.
const MEASURES: &str = "KGBUILD_TEST_MEASURES_MEMORY";

/// The plan of a pipeline for the capitals of `subjects` countries.
fn plan(subjects: usize) -> Plan {
    let job = support::Job::small(&[CAPITAL], 0);
    let mut table = String::from("iri,label,aliases,types\n");
    for number in 0..subjects {
        let class = "http://www.wikidata.org/entity/Q6256";
        writeln!(table, "http://example.org/country/{number},Country {number},,{class}").unwrap();
    }
    job.set_subjects(&table);
    let environment = Environment::new(Silent);
    let planned = Job::open(&job.pipeline(), &environment).and_then(Job::plan);
    let mut plan = planned.unwrap_or_else(|error| panic!("no plan: {error}")).into_plan();
    // The stub models have none.
    plan.context = None;
    // About the confidence of the stub's answers, so that some are written and some not.
    plan.relations[0].rankings.mixed.threshold = 0.7;
    plan
}

/// A worker with two stub models that calls `opened` at each chunk.
fn predictor(opened: impl FnMut() + Send + 'static) -> Predictor {
    Predictor::new(vec![Box::new(StubModel::new(1, opened)), Box::new(StubModel::new(2, || ()))])
}

/// The test starts itself anew, so that no other test's memory is measured.
#[test]
fn a_hundred_thousand_subjects_leave_memory_flat() {
    if env::var_os(MEASURES).is_some() {
        return measure();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "memory::a_hundred_thousand_subjects_leave_memory_flat"]);
    let output = succeed(command.arg("--nocapture").env(MEASURES, "1"));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("1 passed"), "{said}");
    println!("{said}");
}

fn measure() {
    let subjects = env::var("KGBUILD_TEST_SUBJECTS").map_or(SUBJECTS, |n| n.parse().unwrap());
    let mut plan = plan(subjects);
    let chunks = subjects.div_ceil(CHUNK_SUBJECTS);
    let resident = Arc::new(Mutex::new(Vec::with_capacity(chunks)));
    let predictor = {
        let resident = Arc::clone(&resident);
        predictor(move || resident.lock().unwrap().push(resident_kb()))
    };
    let folder = tempfile::tempdir().unwrap();
    let description = RunDescription::default();
    let writer = GraphWriter::open(folder.path(), "urn:test:", &description, false).unwrap();
    let report = pipeline::run(
        &mut plan,
        &mut [predictor],
        Workers { encode: 1, capacity: 2 },
        writer,
        &Silent,
        &AtomicBool::new(false),
    )
    .unwrap();
    assert!(report.complete);
    assert_eq!(report.total.subjects, subjects as u64);
    assert!(report.total.triples > subjects as u64 / 10, "{} triples", report.total.triples);
    assert!(report.total.without_object > subjects as u64 / 10, "{:?}", report.total);
    let resident = resident.lock().unwrap();
    assert_eq!(resident.len(), chunks);
    let largest = |part: &[usize]| part.iter().copied().max().unwrap();
    let fifths: Vec<usize> = resident.chunks(chunks.div_ceil(5)).map(largest).collect();
    let (second, later) = (fifths[1], largest(&fifths[2..]));
    println!(
        "{} triples in {:.1} s; largest resident set by fifths of the run, kB: {fifths:?}",
        report.total.triples, report.seconds
    );
    assert!(later <= second + GROWTH_KB, "from {second} kB to {later} kB: {fifths:?}");
}

/// The process' resident set as Linux counts it.
fn resident_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The stages as a run connects them; the writer stalls at its first chunk.
#[test]
fn a_writer_that_stalls_holds_a_known_number_of_chunks() {
    const WORKERS: Workers = Workers { encode: 2, capacity: 3 };
    const PREDICTORS: usize = 2;
    // With the writer, waiting for it, and with those who would hand it on.
    const PREDICTED: usize = 1 + WORKERS.capacity + PREDICTORS;
    const ENCODED: usize = PREDICTED + WORKERS.capacity + WORKERS.encode;
    const PLANNED: usize = ENCODED + WORKERS.capacity + 1;

    let plan = plan(30 * CHUNK_SUBJECTS);
    let counters: [AtomicUsize; 3] = Default::default();
    let [planned, encoded, predicted] = &counters;
    let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::SeqCst);
    let nothing_done = Default::default();
    let tasks = plan.tasks(&nothing_done).inspect(|_| _ = count(planned));
    let encode = |task: Task| pipeline::encode(&plan, task).inspect(|_| _ = count(encoded));
    let predict = |mut predictor: Predictor| {
        let (plan, count) = (&plan, &count);
        move |encoded: Encoded| {
            predictor.predict(plan, vec![encoded]).inspect(|_| _ = count(predicted))
        }
    };
    let now = || counters.each_ref().map(|counter| counter.load(Ordering::SeqCst));
    let mut written = 0;
    let write = |_| {
        if written == 0 {
            let deadline = Instant::now() + Duration::from_secs(60);
            while now() != [PLANNED, ENCODED, PREDICTED] && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            // As many as there may be have come; no more do.
            thread::sleep(Duration::from_millis(500));
            assert_eq!(now(), [PLANNED, ENCODED, PREDICTED], "planned, encoded, predicted");
        }
        written += 1;
        Ok(())
    };
    let predictors = (0..PREDICTORS).map(|_| predict(predictor(|| ()))).collect();
    stages::run(tasks, WORKERS, encode, predictors, write, &AtomicBool::new(false)).unwrap();
    assert_eq!(PLANNED, WORKERS.in_flight(PREDICTORS));
    assert_eq!((written, now()), (30, [30; 3]));
}
