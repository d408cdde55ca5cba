//! The graph does not depend on how the machine was used.

use crate::support::{Job, assert_same_graph};

/// Settings of `[runtime]` that must not change a result.
const SETTINGS: [&[(&str, i64)]; 3] = [
    &[("workers", 4), ("encode_workers", 3)],
    &[("token_budget", 64), ("channel_capacity", 1), ("threads", 4)],
    &[("token_budget", 4096)],
];

/// Bit for bit, the run's times aside, and the report's counts too. Four workers hold eight
/// sessions: some 6 GB.
#[test]
fn workers_budgets_and_threads_change_nothing() {
    let job = Job::without_a_mean();
    job.set("runtime", "workers", 1);
    job.set("runtime", "encode_workers", 1);
    job.run(&["--quiet"]);
    let (graph, counts) = (job.graph(), job.counts());
    assert!(graph.lines().count() > 1000, "{graph}");
    for settings in SETTINGS {
        let job = Job::without_a_mean();
        settings.iter().for_each(|&(key, value)| job.set("runtime", key, value));
        job.run(&["--quiet"]);
        assert_same_graph(&job.graph(), &graph, &format!("{settings:?}"));
        assert_eq!(job.counts(), counts, "{settings:?}");
    }
}
