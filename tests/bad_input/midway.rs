//! What goes wrong when a part of the graph is written already: that part stays whole, and the
//! run goes on from it once the cause is mended.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::ended::Ended;
use crate::model;
use crate::workplace::{RUN, Workplace};

/// Subjects of one chunk.
const CHUNK: usize = 64;

/// The asserted capitals in a graph.
fn capitals(graph: &[String]) -> BTreeSet<&String> {
    let is_capital =
        |line: &&String| line.contains("> <http://example.org/capital> <") && !line.contains("<<(");
    graph.iter().filter(is_capital).collect()
}

/// The graph of a run over `subjects` that nothing disturbed.
fn undisturbed(subjects: usize) -> Vec<String> {
    let at = Workplace::new();
    at.many_subjects(subjects);
    at.done(RUN);
    at.graph()
}

/// Asserts that of `whole` only chunks are there that are whole, and gives how many.
fn whole_chunks(part: &[String], whole: &[String]) -> usize {
    let (part, whole) = (capitals(part), capitals(whole));
    assert!(part.is_subset(&whole));
    assert_eq!(part.len() % CHUNK, 0, "half a chunk was written");
    part.len() / CHUNK
}

#[test]
fn nan_from_a_model_stops_before_its_chunk() {
    let at = Workplace::new();
    at.many_subjects(3 * CHUNK);
    // The last character decides, and only the third chunk has subjects that end with this one.
    at.edit("subjects.csv", "Country 150", "Country 150~");
    at.edit("world.ttl", "The capital of [X] is [Y].", "[X][Y]");
    let token = usize::from(b'~' - b' ');
    let broken = |embedding: &mut [f32]| embedding[token * model::WIDTH] = f32::NAN;
    model::write_with(&at.path("finetuned"), 2, broken);
    let ended = at.kgbuild(RUN);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    at.said("midway/nan", &ended.err).unwrap();
    let kept = at.graph();

    // Another model, so another graph, in which nothing is left of the old one.
    model::write(&at.path("finetuned"), 2);
    at.done(RUN);
    let whole = at.graph();
    at.done(&["run", "--fresh", "pipeline.toml"]);
    assert!(at.graph() == whole, "the graph differs from a fresh one");
    assert_eq!(capitals(&whole).len(), 3 * CHUNK);
    assert!(whole_chunks(&kept, &whole) <= 2);
}

/// A disk that fills: a small file system in memory, in a user namespace of its own, so that root
/// is not needed.
#[test]
fn a_full_disk_loses_nothing_and_the_run_goes_on_when_there_is_room() {
    let at = Workplace::new();
    let mut try_it = Command::new("unshare");
    let mount = ["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"];
    if !try_it.args(mount).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this system gives no user namespace in which to mount a small disk");
        return;
    }
    const SUBJECTS: usize = 150 * CHUNK;
    at.many_subjects(SUBJECTS);
    fs::create_dir(at.path("out")).unwrap();
    at.write(
        "fill.sh",
        r#"
        mount -t tmpfs -o size=3m none out || exit 77
        "$1" run pipeline.toml 2> first; echo $? > first.code
        "$1" export --format n-triples out > first.nt
        mount -o remount,size=300m out || exit 77
        "$1" run pipeline.toml 2> second; echo $? > second.code
        "$1" export --format n-triples out > second.nt
        "#,
    );
    let mut shell = Command::new("unshare");
    shell.args(["-Urm", "sh", "fill.sh", env!("CARGO_BIN_EXE_kgbuild")]);
    let ended: Ended = at.like(shell).output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!((&*at.read("first.code"), &*at.read("second.code")), ("2\n", "0\n"));
    at.said("midway/full-disk", &at.read("first")).unwrap();
    let lines = |name: &str| -> Vec<String> {
        let text = at.read(name);
        text.lines().filter(|line| !line.contains("AtTime")).map(str::to_owned).collect()
    };
    let (first, second) = (lines("first.nt"), lines("second.nt"));
    assert!(second == undisturbed(SUBJECTS), "the graph differs");
    let chunks = whole_chunks(&first, &second);
    assert!((1..150).contains(&chunks), "{chunks} chunks were written");
    let chunks_done = format!("{chunks} chunk{}", if chunks == 1 { "" } else { "s" });
    let went_on = format!("continuing: {chunks_done} done, {} to go\n", 150 - chunks);
    assert_eq!(at.read("second"), went_on);
}

/// The same where files cannot grow, which needs nothing of the system.
#[test]
fn files_that_cannot_grow_lose_nothing() {
    let at = Workplace::new();
    const SUBJECTS: usize = 50 * CHUNK;
    at.many_subjects(SUBJECTS);
    let ended: Ended = at.limited(2000, RUN).output().unwrap().into();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    at.said("midway/file-too-large", &ended.err).unwrap();
    let first = at.graph();
    at.done(RUN);
    let second = at.graph();
    assert!(second == undisturbed(SUBJECTS), "the graph differs");
    let chunks = whole_chunks(&first, &second);
    assert!((1..50).contains(&chunks), "{chunks} chunks were written");
}

#[test]
fn a_second_run_on_one_store_is_refused_and_the_first_goes_on() {
    let at = Workplace::new();
    const SUBJECTS: usize = 100 * CHUNK;
    at.many_subjects(SUBJECTS);
    let first = at.command(RUN).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !at.path("out/store").exists() {
        assert!(Instant::now() < deadline, "the first run made no store");
        thread::sleep(Duration::from_millis(1));
    }
    let second = at.kgbuild(RUN);
    let fresh = at.kgbuild(&["run", "--fresh", "pipeline.toml"]);
    let first: Ended = Child::wait_with_output(first).unwrap().into();
    assert_eq!((first.code, &*first.err), (Some(0), ""));
    for refused in [second, fresh] {
        assert_eq!(refused.code, Some(2), "{}", refused.err);
        at.said("midway/two-runs", &refused.err).unwrap();
    }
    assert!(at.graph() == undisturbed(SUBJECTS), "the graph differs");
}
