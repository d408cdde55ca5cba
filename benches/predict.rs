//! Questions a second through both models of the quickstart: exact search against scoring every
//! candidate. `cargo bench --profile release --bench predict`; needs what `kgbuild fetch` fetches.

use std::collections::HashSet;
use std::path::Path;
use std::thread;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kgbuild::config;
use kgbuild::fetch::{Cache, runtime_library};
use kgbuild::pipeline::{Inputs, Plan, Predictor, encode, locate};
use kgbuild::runtime::{Device, Runtime};

const PIPELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/quickstart.toml");
const TOKEN_BUDGET: usize = 2048;

fn predict(criterion: &mut Criterion) {
    let mut say = |line: &str| eprintln!("{line}");
    let cache = Cache::from_environment().unwrap();
    let (pipeline, _) = config::read(Path::new(PIPELINE)).unwrap();
    let models = locate(&pipeline, &cache, &mut say).unwrap();
    let (mut plan, _) = Plan::new(
        &pipeline,
        Inputs::read(&pipeline).unwrap().0,
        models.prompter().unwrap(),
        models.context,
    )
    .unwrap();
    let library = runtime_library(&cache, &mut say).unwrap();
    let runtime = Runtime::load(&library, Device::Auto).unwrap();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut predictors: Vec<Predictor> =
        models.open(&runtime, &plan.prompter, 1, threads, TOKEN_BUDGET).unwrap();
    for exhaustive in [false, true] {
        let name = if exhaustive { "exhaustive" } else { "search" };
        plan.relations.iter_mut().for_each(|relation| relation.exhaustive = exhaustive);
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        let nothing_done = HashSet::new();
        for task in plan.tasks(&nothing_done) {
            let relation = &plan.relations[task.relation];
            let name = format!("{} ({} candidates)", relation.name, relation.candidates.len());
            group.throughput(Throughput::Elements(task.subjects.len() as u64));
            let encoded = encode(&plan, task).unwrap();
            group.bench_function(name, |bencher| {
                bencher.iter(|| predictors[0].predict(&plan, encoded.clone()).unwrap());
            });
        }
    }
}

criterion_group!(benches, predict);
criterion_main!(benches);
