//! What stands between the models and the graph: corrections of whole answer spaces, and writing.
//! `cargo bench --profile release --bench graph`; needs nothing that is fetched.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kgbuild::graph::{
    Assertion, Chunk, ChunkRecord, EntityDescription, GraphWriter, Object, RunDescription,
};
use kgbuild::lm::trie::Sequences;
use kgbuild::lm::{AnswerSpace, Normalise, mix};
use kgbuild::shock::{Correction, Mixing, MixingRule};

/// An answer space of candidates of two or three tokens, and a distribution over it.
fn answer_space(candidates: u32, seed: u32) -> (AnswerSpace, Vec<f64>) {
    let mut sequences = Sequences::new();
    let mut ln = Vec::new();
    for number in 0..candidates {
        let tokens = [number % 97, number / 97, number % 5];
        sequences.push(if number % 3 == 0 { &tokens } else { &tokens[..2] });
        ln.push(f64::from((number + seed).wrapping_mul(2_654_435_761) % 1000 + 1).ln());
    }
    let total = ln.iter().map(|x| x.exp()).sum::<f64>().ln();
    ln.iter_mut().for_each(|x| *x -= total);
    (AnswerSpace::new(sequences, vec![Vec::new()], Normalise::Trie).unwrap(), ln)
}

fn correction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("correction");
    for candidates in [200, 20_000] {
        let (space, finetuned) = answer_space(candidates, 1);
        let (_, base) = answer_space(candidates, 2);
        group.throughput(Throughput::Elements(u64::from(candidates)));
        let lambda = 0.4;
        for (name, rule) in [
            ("linear", MixingRule::Linear { lambda }),
            ("log-linear", MixingRule::LogLinear { lambda, mixing: Mixing::Branching }),
            (
                "log-linear by candidate",
                MixingRule::LogLinear { lambda, mixing: Mixing::Candidate },
            ),
        ] {
            let correction: Correction = rule.into();
            group.bench_function(format!("{name}, {candidates} candidates"), |bencher| {
                bencher.iter(|| mix(&space, &correction, None, &finetuned, &base));
            });
        }
    }
}

const SUBJECTS: usize = 64;
const CHUNKS: u64 = 32;

fn store(criterion: &mut Criterion) {
    let iris = |kind: &str| -> Vec<String> {
        (0..SUBJECTS).map(|number| format!("http://example.org/{kind}/{number}")).collect()
    };
    let (subjects, objects) = (iris("subject"), iris("object"));
    let relation = "http://example.org/relation";
    let mut group = criterion.benchmark_group("store");
    group.sample_size(10).throughput(Throughput::Elements(CHUNKS * SUBJECTS as u64));
    group.bench_function("triples", |bencher| {
        let open = || {
            let folder = tempfile::tempdir().unwrap();
            let run = RunDescription::default();
            let writer = GraphWriter::open(folder.path(), "urn:bench:", &run, false);
            (folder, writer.unwrap())
        };
        let write = |(folder, mut writer): (tempfile::TempDir, GraphWriter)| {
            for index in 0..CHUNKS {
                let assertions = subjects.iter().zip(&objects).map(|(subject, object)| Assertion {
                    subject,
                    relation,
                    object: Object::Entity(object),
                    confidence: 0.75,
                    corrected: Some(0.7),
                    finetuned: Some(0.8),
                    base: Some(0.5),
                    ambiguous: false,
                });
                let entities = subjects.iter().map(|iri| EntityDescription {
                    iri,
                    label: "an entity",
                    aliases: Vec::new(),
                    types: Vec::new(),
                });
                writer
                    .commit(&ChunkRecord {
                        chunk: Chunk { relation: relation.into(), index },
                        assertions: assertions.collect(),
                        entities: entities.collect(),
                        statistics: serde_json::json!({}),
                        kept: Vec::new(),
                        candidates: serde_json::Value::Null,
                    })
                    .unwrap();
            }
            writer.finish(None).unwrap();
            folder
        };
        bencher.iter_batched(open, write, BatchSize::PerIteration);
    });
}

criterion_group!(benches, correction, store);
criterion_main!(benches);
