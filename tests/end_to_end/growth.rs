//! A finished graph that is changed: what was answered is not asked again, and the graph is that of a
//! fresh run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use kgbuild::diagnostic::Silent;
use kgbuild::graph::{GraphWriter, RunDescription};
use kgbuild::pipeline::stages::Workers;
use kgbuild::pipeline::{self, Environment, Job as PipelineJob, Plan, Predictor};

use crate::stub::{Random, StubModel};
use crate::support::{
    BORDER, CAPITAL, CONTINENT, Job, LANGUAGE, assert_same_graph, exported, refuse, repository,
    stderr,
};

/// Runs the pipeline, and one like it in another folder from nothing, and holds their graphs together.
/// Gives what the first said, and what share of the other's tokens its models computed.
fn grow(job: &Job, what: &str) -> (String, f64) {
    let start = Instant::now();
    let said = stderr(&job.run(&[]));
    let seconds = start.elapsed();
    let tokens = job.report()["tokens"].as_u64().unwrap();
    let fresh = job.elsewhere();
    let start = Instant::now();
    fresh.run(&["--quiet"]);
    let all = fresh.report()["tokens"].as_u64().unwrap();
    let note = said.lines().find(|line| line.contains("to ask")).unwrap_or_default();
    println!(
        "{what}: {tokens} of {all} tokens in {seconds:.1?}, fresh {:.1?}: {note}",
        start.elapsed()
    );
    assert_same_graph(&job.graph(), &fresh.graph(), what);
    assert_eq!(job.counts(), fresh.counts(), "{what}");
    (said, tokens as f64 / all as f64)
}

/// A finished graph of three relations and six countries.
fn finished(relations: &[&str]) -> Job {
    let job = Job::small(relations, 6);
    job.untune();
    job.run(&["--quiet"]);
    job
}

#[test]
fn subjects_and_relations_come_and_go() {
    let job = finished(&[CAPITAL, CONTINENT, LANGUAGE]);
    let first = job.graph();

    job.keep_subjects(8);
    let (said, tokens) = grow(&job, "subjects added");
    assert!(said.contains("2 subjects added: 6 questions of 24 to ask, 18 to decide"), "{said}");
    assert!(0.0 < tokens && tokens < 0.5, "{tokens}");
    job.keep_subjects(6);
    let (said, tokens) = grow(&job, "subjects taken back");
    assert!(said.contains("6 questions not asked any more: 0 questions of 18 to ask"), "{said}");
    assert_eq!(tokens, 0.0);
    assert_same_graph(&job.graph(), &first, "what it was at first");

    job.set("inputs", "relations", vec![CAPITAL, CONTINENT, LANGUAGE, BORDER]);
    let (said, _) = grow(&job, "a relation added");
    assert!(said.contains("added: 6 questions of 24 to ask"), "{said}");
    job.set("inputs", "relations", vec![CAPITAL, LANGUAGE, BORDER]);
    let (said, tokens) = grow(&job, "a relation taken back");
    assert!(said.contains("6 questions not asked any more: 0 questions of 18"), "{said}");
    assert_eq!(tokens, 0.0);
}

#[test]
fn a_graph_of_other_questions_is_not_replaced() {
    let job = finished(&[CAPITAL]);
    let graph = job.graph();
    job.set("inputs", "relations", vec![CONTINENT]);
    let said = refuse(&mut job.command(&[]), 2);
    assert!(said.contains("of another pipeline") && said.contains("--fresh"), "{said}");
    assert_eq!(job.graph(), graph);
    let entries = fs::read_dir(job.output()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.starts_with(".next-")), "nothing is left");
    job.run(&["--quiet", "--fresh"]);
}

#[test]
fn other_numbers_decide_again() {
    let job = finished(&[CAPITAL, LANGUAGE, BORDER]);
    job.set("selection", "threshold", 0.6);
    let (said, tokens) = grow(&job, "a higher threshold");
    assert!(said.contains("threshold of 3 relations changed: 0 questions of 18"), "{said}");
    assert!(tokens < 1.0, "only what is not settled by what is known: {tokens}");
    job.set("selection", "threshold", 0.7);
    let (_, tokens) = grow(&job, "a threshold higher still");
    assert!(tokens < 0.5, "{tokens}");
    job.set("inputs", "gold", repository().join("pipelines/quickstart/gold.csv").to_str().unwrap());
    job.set("correction", "lambda", 0.4);
    grow(&job, "another mixing weight");
    job.set("selection", "threshold", 0.05);
    grow(&job, "a lower threshold");
    job.set("correction", "method", "linear");
    grow(&job, "another correction");
}

#[test]
fn labels_and_templates_change_their_own_questions() {
    let job = finished(&[CAPITAL, LANGUAGE, BORDER]);
    let subjects = job.subjects();
    let country = subjects.lines().find(|line| line.ends_with("/Q6256")).unwrap();
    let label = country.split(',').nth(1).unwrap();
    let renamed = country.replacen(label, &format!("Republic of {label}"), 1);
    job.set_subjects(&subjects.replacen(country, &renamed, 1));
    let (said, _) = grow(&job, "a label changed");
    assert!(said.contains("labels of the subjects of 3 questions changed"), "{said}");
    assert!(said.contains("3 questions of 18 to ask"), "{said}");

    let ontology = fs::read_to_string(repository().join("ontologies/world.ttl")).unwrap();
    let file = job.set_ontology(&format!("# Nothing else is new.\n{ontology}"));
    let (_, tokens) = grow(&job, "a comment");
    assert_eq!(tokens, 0.0);
    let changed =
        ontology.replacen("The capital of [X] is [Y]", "The seat of government of [X] is [Y]", 1);
    assert_ne!(changed, ontology);
    fs::write(&file, changed).unwrap();
    let (said, _) = grow(&job, "a template changed");
    assert!(said.contains("templates, candidates or how they are asked of `"), "{said}");

    // Nothing is left of what was in work, and nothing has to be done.
    let entries = fs::read_dir(job.output()).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [".lock", "report.json", "store"]);
    let said = stderr(&job.run(&[]));
    assert!(!said.contains("to ask"), "{said}");
}

/// The base's answers stay where the finetuned model is another.
#[test]
fn another_adapter_asks_its_own_questions_alone() {
    let job = finished(&[CAPITAL, LANGUAGE, BORDER]);
    let folder = tempfile::tempdir().unwrap();
    let adapter = folder.path().join("adapter");
    fs::create_dir(&adapter).unwrap();
    for entry in fs::read_dir(repository().join("pipelines/quickstart/adapter")).unwrap() {
        let entry = entry.unwrap();
        let mut bytes = fs::read(entry.path()).unwrap();
        if entry.file_name() == "adapter_model.safetensors" {
            // Another sign of its last number, which is no other's.
            *bytes.last_mut().unwrap() ^= 0x80;
        }
        fs::write(adapter.join(entry.file_name()), bytes).unwrap();
    }
    job.set("models", "finetuned", adapter.to_str().unwrap());
    let (said, tokens) = grow(&job, "another adapter");
    assert!(said.contains("another finetuned model"), "{said}");
    assert!(0.3 < tokens && tokens < 0.6, "{tokens}");
}

#[test]
fn what_was_considered_is_kept_or_not() {
    let job = finished(&[CAPITAL, LANGUAGE, BORDER]);
    let found = job.query("SELECT ?c { GRAPH kgb:ledger { ?chunk kgb:candidates ?c } }");
    let found = found["results"]["bindings"][0]["c"]["value"].as_str().unwrap();
    let found: serde_json::Value = serde_json::from_str(found).unwrap();
    let of_first = found.as_object().unwrap().values().next().unwrap();
    let best = of_first["found"].as_array().unwrap();
    assert!((1..=10).contains(&best.len()), "{of_first}");
    let scores: Vec<f64> = best.iter().map(|line| line[1].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores[0] <= 0.0, "{of_first}");
    assert!(of_first["open"].as_f64().is_some(), "{of_first}");

    job.set("output", "keep", 0);
    job.set("selection", "threshold", 0.1);
    let said = stderr(&job.run(&[]));
    assert!(said.contains("18 questions of 18 to ask"), "{said}");
    job.set("output", "keep", 10);
    let said = stderr(&job.run(&[]));
    assert!(!said.contains("to ask"), "what is kept is no part of the graph: {said}");
    job.set("selection", "threshold", 0.2);
    let said = stderr(&job.run(&[]));
    assert!(said.contains("keeps no answers of these models: 18 questions of 18"), "{said}");
}

/// What a random sequence of changes leads through.
#[derive(Clone, Debug)]
struct State {
    /// Of the numbers of countries, those that are asked about, with a version of their label.
    subjects: BTreeMap<u64, u64>,
    threshold: f64,
    most: usize,
    lambda: f64,
    linear: bool,
    template: usize,
}

const TEMPLATES: [&str; 2] = ["The capital of [X] is [Y]", "[X] has the capital [Y]"];

impl State {
    fn of(subjects: u64) -> Self {
        Self {
            subjects: (0..subjects).map(|number| (number, 0)).collect(),
            threshold: 0.3,
            most: 1,
            lambda: 0.5,
            linear: false,
            template: 0,
        }
    }

    fn change(&mut self, random: &mut Random) {
        let pick = |random: &mut Random, most: u64| random.next() % most;
        match pick(random, 8) {
            0 | 1 => drop(self.subjects.insert(pick(random, 40), 0)),
            2 => drop(self.subjects.remove(&pick(random, 40))),
            3 => {
                let version = pick(random, 3);
                let at = pick(random, self.subjects.len() as u64) as usize;
                *self.subjects.values_mut().nth(at).unwrap() = version;
            }
            4 => self.threshold = [0.0, 0.3, 0.7, 0.95][pick(random, 4) as usize],
            5 => self.most = 1 + pick(random, 3) as usize,
            6 => (self.lambda, self.linear) = (random.unit(), random.unit() < 0.5),
            _ => self.template = pick(random, 2) as usize,
        }
        self.subjects.insert(1, 0);
    }

    fn plan(&self, job: &Job) -> Plan {
        let class = "http://www.wikidata.org/entity/Q6256";
        let line = |(number, version): (&u64, &u64)| {
            format!("http://example.org/country/{number},Country {number}.{version},,{class}\n")
        };
        let rows: String = self.subjects.iter().map(line).collect();
        job.set_subjects(&format!("iri,label,aliases,types\n{rows}"));
        let ontology = fs::read_to_string(repository().join("ontologies/world.ttl")).unwrap();
        job.set_ontology(&ontology.replacen(TEMPLATES[0], TEMPLATES[self.template], 1));
        job.set("selection", "threshold", self.threshold);
        job.set("selection", "max_objects", self.most as i64);
        job.set("correction", "lambda", self.lambda);
        job.set("correction", "method", if self.linear { "linear" } else { "log-linear" });
        let environment = Environment::new(Silent);
        let planned = PipelineJob::open(&job.pipeline(), &environment).and_then(PipelineJob::plan);
        let mut plan = planned.unwrap_or_else(|error| panic!("no plan: {error}")).into_plan();
        plan.context = None;
        plan
    }

    fn run(&self, plan: &mut Plan, folder: &Path) -> (String, u64) {
        let asked = self.make(plan, folder);
        (exported(folder), asked)
    }

    /// Makes the graph, and gives how many batches asked something.
    fn make(&self, plan: &mut Plan, folder: &Path) -> u64 {
        let state = format!("{self:?}");
        let signature = BTreeMap::from([("state".to_owned(), state)]);
        let description = RunDescription { signature, ..RunDescription::default() };
        let writer = GraphWriter::open(folder, "urn:test:", &description, false).unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let opened = {
            let asked = Arc::clone(&asked);
            move || _ = asked.fetch_add(1, Ordering::Relaxed)
        };
        let models: Vec<Box<dyn kgbuild::lm::LanguageModel>> =
            vec![Box::new(StubModel::new(1, opened)), Box::new(StubModel::new(2, || ()))];
        let worker = Predictor::new(models).remembering(Arc::clone(&writer.state().kept));
        let workers = Workers { encode: 1, capacity: 2 };
        let stop = AtomicBool::new(false);
        let report = pipeline::run(plan, &mut [worker], workers, writer, &Silent, &stop).unwrap();
        assert!(report.complete);
        asked.load(Ordering::Relaxed)
    }
}

/// Any sequence of changes ends in the graph of a fresh run, after each of its steps.
#[test]
fn random_changes_end_in_the_graph_of_a_fresh_run() {
    let job = Job::small(&[CAPITAL], 1);
    job.untune();
    let steps = std::env::var("KGBUILD_TEST_STEPS").map_or(40, |steps| steps.parse().unwrap());
    let seed = std::env::var("KGBUILD_TEST_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut random = Random(seed);
    let mut state = State::of(20);
    let folder = tempfile::tempdir().unwrap();
    let mut silent = 0;
    for step in 0..steps {
        state.change(&mut random);
        let mut plan = state.plan(&job);
        let (graph, asked) = state.run(&mut plan, folder.path());
        silent += u64::from(asked == 0);
        let fresh = tempfile::tempdir().unwrap();
        let (expected, _) = state.run(&mut plan, fresh.path());
        assert_same_graph(&graph, &expected, &format!("seed {seed}, step {step}: {state:?}"));
    }
    println!("{steps} changes, of which {silent} asked nothing");
    assert!(silent > steps / 5, "{silent} of {steps} asked nothing");
}

/// What growing takes beside a fresh run: `KGBUILD_TEST_SUBJECTS=100000 make measure TEST=end_to_end
/// ONLY=growth::a_hundredth`. With stub models, whose answers take no time.
#[test]
fn a_hundredth_more_subjects_are_all_that_is_asked() {
    let job = Job::small(&[CAPITAL], 1);
    job.untune();
    let all = std::env::var("KGBUILD_TEST_SUBJECTS").map_or(2_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let time = |subjects: u64, folder: &Path| {
        let state = State::of(subjects);
        let mut plan = state.plan(&job);
        let start = Instant::now();
        let batches = state.make(&mut plan, folder);
        (start.elapsed(), batches)
    };
    let (whole, all_batches) = time(all - all / 100, folder.path());
    let (grown, batches) = time(all, folder.path());
    println!(
        "{all} questions: {whole:.1?}, {all_batches} batches; with 1 % more {grown:.1?}, {batches}"
    );
    let fresh = tempfile::tempdir().unwrap();
    time(all, fresh.path());
    let [graph, expected] = [&folder, &fresh].map(|folder| exported(folder.path()));
    assert_same_graph(&graph, &expected, "grown by a hundredth");
    assert!(batches <= 1 + all_batches / 10, "{batches} of {all_batches} batches asked something");
}
