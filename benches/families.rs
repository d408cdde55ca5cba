//! Prompts a second by family, with the tiny models of the tests: what the program itself costs.
//! `cargo bench --profile release --bench families`.

use std::borrow::Cow;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{Cache, runtime_library};
use kgbuild::lm::{self, Asking, Prompt, Prompter, Row};
use kgbuild::onnx;
use kgbuild::ontology::Template;
use kgbuild::runtime::{Device, Runtime};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/models");
const TOKEN_BUDGET: usize = 2048;
const PROMPTS: usize = 64;

fn families(criterion: &mut Criterion) {
    let library = runtime_library(&Cache::from_environment().unwrap(), &Silent);
    let runtime = Runtime::load(&library.unwrap(), Device::Cpu).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let cache = Cache::at(scratch.path());
    let mut group = criterion.benchmark_group("prompts by family");
    group.throughput(Throughput::Elements(PROMPTS as u64));
    for (family, model) in [
        ("causal, packed", "llama/checkpoint"),
        ("causal, exported with a cache", "gpt2/optimum-with-past"),
        ("causal, exported without one", "gpt2/optimum"),
        ("masked", "bert/optimum"),
        ("encoder-decoder", "t5/optimum-with-past"),
    ] {
        let folder =
            onnx::import(&Path::new(MODELS).join(model), onnx::Precision::F32, &cache, &Silent)
                .unwrap();
        let prompter = Prompter::new(&folder).unwrap();
        let mut model = lm::open(&runtime, &folder, None, 1, 1, TOKEN_BUDGET).unwrap();
        let template = Template::parse("The capital of [X] is [Y].").unwrap();
        let candidates = ["Paris", "Conakry", "Bissau", "Port of Spain"]
            .map(|label| prompter.candidate(label, lm::Before::Space).unwrap().tokens);
        let subject = |number: usize| format!("the country number {}", number * 37);
        let prompts: Vec<Prompt> = (0..PROMPTS)
            .map(|number| prompter.prompt(&template, &subject(number), "").unwrap())
            .collect();
        let ask = |prompt| {
            let mask = prompter.mask();
            candidates.iter().map(move |tokens| Row {
                prompt,
                // The first token of each candidate, and for a masked model its place.
                continuation: Cow::Owned(mask.map_or(Vec::new(), |mask| vec![mask; tokens.len()])),
                place: 0,
                wanted: Cow::Owned(tokens[..1].to_vec()),
                relative: false,
            })
        };
        let rows: Vec<Row<'_>> = (0..PROMPTS).flat_map(ask).collect();
        group.bench_function(family, |bencher| {
            bencher.iter(|| {
                model.open(&[&prompts], Asking::Once);
                model.answer(&rows).unwrap()
            });
        });
    }
}

criterion_group!(benches, families);
criterion_main!(benches);
