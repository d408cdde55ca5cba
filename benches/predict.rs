//! Both models of the quickstart: questions a second by exact search, candidates a second where
//! every one is scored, and the whole run with its graph. `cargo bench --profile release --bench
//! predict`; needs what `kgbuild fetch pipelines/quickstart.toml` fetches.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kgbuild::diagnostic::Silent;
use kgbuild::graph::{GraphWriter, RunDescription};
use kgbuild::lm::Method;
use kgbuild::pipeline::stages::Workers;
use kgbuild::pipeline::{self, Environment, Job, encode};

const PIPELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/quickstart.toml");

fn predict(criterion: &mut Criterion) {
    let environment = Environment::new(Silent);
    let job = Job::open(Path::new(PIPELINE), &environment).unwrap().plan().unwrap();
    let mut predictors = job.predictors(1).unwrap();
    let mut plan = job.into_plan();
    for (name, method) in [("search", Method::Search), ("exhaustive", Method::Exhaustive)] {
        plan.relations.iter_mut().for_each(|relation| relation.method = method);
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        let nothing_done = Default::default();
        for task in plan.tasks(&nothing_done) {
            let relation = &plan.relations[task.relation];
            let name = format!("{} ({} candidates)", relation.name, relation.candidates.len());
            let scored = match method {
                Method::Search => 1,
                Method::Exhaustive => relation.candidates.len(),
            };
            group.throughput(Throughput::Elements((task.subjects.len() * scored) as u64));
            let encoded = encode(&plan, task).unwrap();
            group.bench_function(name, |bencher| {
                bencher.iter(|| predictors[0].predict(&plan, vec![encoded.clone()]).unwrap());
            });
        }
    }
    plan.relations.iter_mut().for_each(|relation| relation.method = Method::Search);
    let mut group = criterion.benchmark_group("end to end");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(
        plan.size(plan.tasks(&Default::default())).prompts as u64,
    ));
    group.bench_function("quickstart", |bencher| {
        bencher.iter_batched(
            || {
                let folder = tempfile::tempdir().unwrap();
                let run = RunDescription::default();
                let writer = GraphWriter::open(folder.path(), "urn:bench:", &run, false);
                (folder, writer.unwrap())
            },
            |(folder, writer)| {
                let workers = Workers { encode: 1, capacity: 2 };
                let stop = AtomicBool::new(false);
                pipeline::run(&mut plan, &mut predictors, workers, writer, &Silent, &stop).unwrap();
                folder
            },
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, predict);
criterion_main!(benches);
