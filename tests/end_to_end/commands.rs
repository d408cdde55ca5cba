//! The commands around a run: check, a dry run, and a starter that runs as it is.

use crate::support::{CAPITAL, CONTINENT, Job, kgbuild, refuse, repository, stdout, succeed};

/// The numbers of a table's row, its name aside.
fn numbers(table: &str, name: &str) -> Vec<u64> {
    let row = table.lines().find(|line| line.trim_start().starts_with(name));
    let row = row.unwrap_or_else(|| panic!("no row {name} in\n{table}"));
    row.split_whitespace().filter_map(|cell| cell.parse().ok()).collect()
}

#[test]
fn the_quickstart_is_sound() {
    let pipeline = repository().join("pipelines/quickstart.toml");
    let output = succeed(kgbuild().arg("check").arg(pipeline));
    assert!(stdout(&output).contains("is sound"));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_dry_run_counts_what_a_run_does_and_writes_nothing() {
    let job = Job::small(&[CAPITAL, CONTINENT], 5);
    let said = stdout(&job.run(&["--dry-run"]));
    assert!(!job.output().exists(), "a dry run has written");
    let (capital, continent) = (numbers(&said, "capital"), numbers(&said, "continent"));
    // Subjects, prompts, prompt tokens, candidates, candidate tokens: capitals have two templates.
    assert_eq!((&capital[..2], &continent[..2]), (&[5, 10][..], &[5, 5][..]), "{said}");
    assert!(capital[2] > 50 && capital[4] > capital[3], "{said}");
    let all = numbers(&said, "all");
    assert!(all.iter().zip(capital.iter().zip(&continent)).all(|(all, (a, b))| *all == a + b));

    job.run(&["--quiet"]);
    let report = job.report();
    assert_eq!(report["total"]["subjects"], all[0]);
    assert_eq!(report["prompts"], all[1]);
    assert_eq!(report["relations"][1]["candidates"], capital[3]);
}

/// The base model alone, on the starter's few capitals.
#[test]
fn the_starter_runs_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    let pipeline = project.join("pipeline.toml");
    succeed(kgbuild().arg("init").arg(&project));
    let said = refuse(kgbuild().arg("init").arg(&project), 2);
    assert!(said.contains("nothing was written"), "{said}");
    assert!(stdout(&succeed(kgbuild().arg("check").arg(&pipeline))).contains("is sound"));
    let said = stdout(&succeed(kgbuild().arg("run").arg(&pipeline)));
    let row = numbers(&said, "capital");
    let [candidates, subjects, triples, without] = row[..4] else { panic!("{said}") };
    assert_eq!((candidates, subjects), (8, 6), "{said}");
    assert_eq!(triples + without, subjects, "a functional relation: {said}");
    let mut ask = kgbuild();
    ask.arg("query").arg(project.join("output"));
    ask.arg("ASK { wd:Q17 wdt:P36 wd:Q1490 {| kgb:baseProbability ?p |} }");
    assert_eq!(stdout(&succeed(&mut ask)), "true\n");
}
