//! The search gives what scoring every candidate gives, with the real models on real relations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kgbuild::config;
use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{self, Cache};
use kgbuild::lm::{
    self, Answer, AnswerSpace, Answers, Asking, Demand, LanguageModel, Method, Prompt, Rankings,
    Row, ScoredCandidate,
};
use kgbuild::onnx;
use kgbuild::pipeline::{self, Environment, Plan, Predictor};
use kgbuild::runtime::{Device, Runtime};
use kgbuild::shock::{Correction, MeanRemoval, Mixing, MixingRule, Pair, Prior, Priors};

use crate::support::{BORDER, CAPITAL, CONTINENT, COUNTRY, Job, LANGUAGE, repository};

/// Between ln p found by the search and that of exhaustive scoring: what a model in f32 makes of
/// another grouping of the same rows. In f64 the property tests hold both to 1e-6.
const TOLERANCE: f64 = 5e-5;
/// How far the bounds of a share may lie apart, and under "list" what may be left unexplored.
const UNEXPLORED: f64 = 1e-7;
const WIDTH: f64 = 0.05;
const TOP: usize = 5;
const LAMBDA: f64 = 0.4;

/// A row by its tokens: prompt, continuation, wanted.
type Key = (Vec<u32>, Vec<u32>, Vec<u32>);

/// One session for several predictors. The answers to rows are remembered, since every
/// correction asks the same ones; the search and exhaustive scoring each remember their own, so
/// that rows are compared that were computed in other batches.
#[derive(Clone)]
pub(crate) struct Shared {
    model: Arc<Mutex<Box<dyn LanguageModel>>>,
    prompts: Vec<Prompt>,
    remembered: Arc<Mutex<HashMap<Key, Vec<f64>>>>,
    asked: Arc<AtomicUsize>,
}

impl Shared {
    fn new(model: Box<dyn LanguageModel>) -> Self {
        Self {
            model: Arc::new(Mutex::new(model)),
            prompts: Vec::new(),
            remembered: Arc::default(),
            asked: Arc::default(),
        }
    }

    /// The same session, with nothing remembered.
    pub(crate) fn anew(&self) -> Self {
        let model = Arc::clone(&self.model);
        Self { model, prompts: Vec::new(), remembered: Arc::default(), asked: Arc::default() }
    }

    /// The rows asked for since the last call.
    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

impl LanguageModel for Shared {
    fn vocabulary(&self) -> usize {
        self.model.lock().unwrap().vocabulary()
    }

    fn open(&mut self, prompts: &[&[Prompt]], asking: Asking) {
        self.prompts = prompts[0].to_vec();
        self.model.lock().unwrap().open(prompts, asking);
    }

    fn answer(&mut self, rows: &[Row<'_>]) -> Result<Answers, lm::Error> {
        self.asked.fetch_add(rows.len(), Ordering::Relaxed);
        let mut remembered = self.remembered.lock().unwrap();
        let key = |row: &Row<'_>| {
            (
                self.prompts[row.prompt].before.clone(),
                row.continuation.to_vec(),
                row.wanted.to_vec(),
            )
        };
        let missing: Vec<Row<'_>> =
            rows.iter().filter(|row| !remembered.contains_key(&key(row))).cloned().collect();
        let answers = self.model.lock().unwrap().answer(&missing)?;
        let mut answers = &answers[0][..];
        for row in &missing {
            let (own, rest) = answers.split_at(row.wanted.len());
            remembered.insert(key(row), own.to_vec());
            answers = rest;
        }
        Ok(vec![rows.iter().flat_map(|row| remembered[&key(row)].clone()).collect()])
    }
}

/// The quickstart's finetuned and base model.
pub(crate) fn models(pipeline: &config::Pipeline) -> [Shared; 2] {
    let cache = Cache::from_environment().unwrap();
    let base = pipeline.models.base.as_ref().unwrap();
    let file = fetch::fetch_named(base, &cache, &Silent)
        .unwrap_or_else(|error| panic!("no base model: {error}"));
    let folder = onnx::import(&file, onnx::Precision::F32, &cache, &Silent)
        .unwrap_or_else(|error| panic!("the base model cannot be imported: {error}"));
    let library = fetch::runtime_library(&cache, &Silent)
        .unwrap_or_else(|error| panic!("no ONNX Runtime: {error}"));
    let runtime = Runtime::load(&library, Device::Cpu).unwrap();
    let adapter = repository().join("tests/data/smollm2-facts-lora/adapter");
    let open = |adapter| Shared::new(lm::open(&runtime, &folder, adapter, 1, 1, 2048).unwrap());
    [open(Some(&adapter)), open(None)]
}

/// What is asked of a relation's models: who answers, how much of a shift is removed from the
/// finetuned model, and how they are mixed.
fn cases(normalise: &str) -> Vec<(&'static str, &'static [usize], f64, MixingRule)> {
    let lambda = LAMBDA;
    let mut cases: Vec<(_, &[usize], _, _)> = vec![
        ("finetuned", &[0], 0.0, MixingRule::None),
        ("base", &[1], 0.0, MixingRule::None),
        ("linear", &[0, 1], 0.0, MixingRule::Linear { lambda }),
        (
            "log-linear by candidate",
            &[0, 1],
            0.0,
            MixingRule::LogLinear { lambda, mixing: Mixing::Candidate },
        ),
    ];
    // Else the configuration refuses to mix there.
    let at_branchings = MixingRule::LogLinear { lambda, mixing: Mixing::Branching };
    if normalise == "trie" {
        cases.push(("log-linear at branchings", &[0, 1], 0.0, at_branchings));
        cases.push(("prior, log-linear at branchings", &[0, 1], 0.5, at_branchings));
    }
    // Under "list" a shift takes every candidate.
    if normalise != "list" {
        cases.push(("prior", &[0, 1], 1.0, MixingRule::None));
        cases.push(("prior, linear", &[0, 1], 0.5, MixingRule::Linear { lambda }));
    }
    if normalise == "none" {
        let by_candidate = MixingRule::LogLinear { lambda, mixing: Mixing::Candidate };
        cases.push(("prior, log-linear by candidate", &[0, 1], 0.5, by_candidate));
        cases.push((MEAN, &[0, 1], 0.0, by_candidate));
    }
    cases
}

/// The case in which half of a mean prediction is removed.
const MEAN: &str = "mean removed, log-linear by candidate";

/// A mean prediction by which each candidate is expected less the later it comes.
fn mean(space: &AnswerSpace) -> MeanRemoval {
    let candidates = space.names().candidates();
    let means = Pair { finetuned: -4.0, base: -8.0 };
    let means = means.map(|least: f64| {
        space.mean((0..candidates).map(|c| least * c as f64 / candidates as f64).collect())
    });
    MeanRemoval { share: 0.5, means: Arc::new(means) }
}

/// A shift as if finetuning had made each candidate rarer the later it comes, up to a hundred times.
fn prior(space: &AnswerSpace, tau: f64) -> Prior {
    let candidates = space.trie().listed().names();
    let base = vec![-(candidates as f64).ln(); candidates];
    let rarer = |c: usize| base[c] - 100_f64.ln() * c as f64 / candidates as f64;
    let finetuned = (0..candidates).map(rarer).collect();
    Prior { tau, shift: Arc::new(space.shift(&Priors { finetuned, base: base.clone() })) }
}

pub(crate) fn answers(plan: &Plan, models: &[&Shared]) -> Vec<(String, Answer)> {
    let boxed = |model: &&Shared| -> Box<dyn LanguageModel> { Box::new(Shared::clone(model)) };
    let mut predictor = Predictor::new(models.iter().map(boxed).collect());
    let mut all = Vec::new();
    for task in plan.tasks(&Default::default()) {
        let name = plan.relations[task.relation].name.clone();
        let subjects = task.subjects.clone();
        let encoded = pipeline::encode(plan, task).unwrap();
        let predicted = predictor.predict(plan, vec![encoded]).unwrap().remove(0);
        let labels = subjects.iter().map(|&s| format!("{name} of {}", plan.subjects.label(s)));
        all.extend(labels.zip(predicted.answers));
    }
    all
}

/// Candidates of several tokens, or names, are what the search is about.
fn assert_worth_searching(plan: &Plan, names: &str) {
    let long = plan.relations.iter().filter(|relation| {
        let trie = relation.space.trie().listed();
        (0..trie.names()).any(|name| trie.tokens(name as u64).len() > 2)
    });
    assert!(long.count() >= 2, "too few relations with candidates of several tokens");
    let several = plan.relations.iter().any(|relation| relation.space.names().most() > 1);
    assert_eq!(several, names == "all");
}

#[test]
fn the_search_is_exact_on_real_relations() {
    let environment = Environment::new(Silent);
    let job = Job::quickstart();
    job.untune();
    let mut opened: Option<[Shared; 2]> = None;
    let mut largest = 0.0_f64;
    // Under "list" nearly every prefix has to be asked about: a question takes seconds.
    let relations = [CAPITAL, CONTINENT, LANGUAGE, COUNTRY, BORDER];
    for (normalise, names, mixing, relations, subjects, tolerance) in [
        ("none", "label", "candidate", &relations[..], 4, WIDTH),
        ("none", "all", "candidate", &relations[3..], 4, WIDTH),
        ("trie", "label", "branching", &relations[..], 4, WIDTH),
        ("trie", "all", "branching", &relations[3..], 4, WIDTH),
        ("list", "label", "candidate", &relations[..3], 1, UNEXPLORED),
    ] {
        job.set("prediction", "names", names);
        job.set("prediction", "tolerance", tolerance);
        job.set("prediction", "normalise", normalise);
        job.set("correction", "mixing", mixing);
        job.set("inputs", "relations", relations.to_vec());
        job.keep_subjects(subjects);
        let front = pipeline::Job::open(&job.pipeline(), &environment).unwrap();
        let opened = opened.get_or_insert_with(|| models(front.pipeline()));
        let [to_search, to_score] = [(); 2].map(|()| opened.each_ref().map(Shared::anew));
        let mut plan = front.plan().unwrap().into_plan();
        assert_worth_searching(&plan, names);
        for (name, asked, tau, rule) in cases(normalise) {
            for relation in &mut plan.relations {
                relation.correction = Correction {
                    prior: Some(prior(&relation.space, tau)),
                    mean: (name == MEAN).then(|| mean(&relation.space)),
                    rule,
                };
                relation.rankings = Rankings { mixed: Demand::best(TOP), best: true, keep: 0 };
                assert_eq!(relation.tolerance, tolerance);
                relation.method = Method::Search;
            }
            let mut ask = |models: &[Shared; 2], method: Method| {
                plan.relations.iter_mut().for_each(|relation| relation.method = method);
                let asked: Vec<&Shared> = asked.iter().map(|&m| &models[m]).collect();
                let answers = answers(&plan, &asked);
                (answers, asked.iter().map(|model| model.asked()).sum::<usize>())
            };
            let (found, rows) = ask(&to_search, Method::Search);
            let (expected, all_rows) = ask(&to_score, Method::Exhaustive);
            assert_eq!(found.len(), expected.len());
            for ((question, found), (_, expected)) in found.iter().zip(&expected) {
                let place = format!("{normalise}, {names}, {name}, {question}");
                largest = largest.max(difference(found, expected, &place));
                assert_shares(found, expected, tolerance, &place);
            }
            println!(
                "{normalise}, {names}, {name}: {} questions, {rows} rows searched, {all_rows} in all",
                found.len()
            );
            assert!(rows <= all_rows, "the search asks more than exhaustive scoring");
        }
    }
    println!("largest difference of ln p: {largest:.1e}");
}

/// The shares lie as near to those of exhaustive scoring as their bounds say, and these are at most
/// `tolerance` apart.
fn assert_shares(found: &Answer, expected: &Answer, tolerance: f64, place: &str) {
    for (s, exact) in found.ranked.iter().zip(&expected.ranked) {
        let width = s.width(&Demand::best(TOP), found.mass);
        assert!(width <= tolerance, "{place}: bounds {width} apart");
        let apart = (s.evidence.ln_share.exp() - exact.evidence.ln_share.exp()).abs();
        assert!(apart <= width + TOLERANCE, "{place}: share {apart} off");
    }
}

/// The largest difference of ln p; panics where it or the candidates are not the same.
fn difference(found: &Answer, expected: &Answer, place: &str) -> f64 {
    let candidates = |answer: &Answer| answer.ranked.iter().map(|s| s.candidate).collect();
    let (a, b): (Vec<_>, Vec<_>) = (candidates(found), candidates(expected));
    assert_eq!(a, b, "{place}: the best candidates\n{found:?}\n{expected:?}");
    assert_eq!(found.best, expected.best, "{place}: the best of mixture, finetuned, base");
    let numbers = |s: &ScoredCandidate| [s.mixed, s.models.finetuned, s.models.base];
    let pairs = found.ranked.iter().zip(&expected.ranked);
    pairs.fold(0.0, |largest, (found, expected)| {
        let pairs = numbers(found).into_iter().zip(numbers(expected));
        pairs.fold(largest, |largest: f64, (is, should)| {
            let difference = (is - should).abs();
            // Not `>`: NaN must fail.
            assert!(difference <= TOLERANCE, "{place}: {is} instead of {should}");
            largest.max(difference)
        })
    })
}
