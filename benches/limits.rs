//! What the whole program reaches of what it could: prints ratios, not times.
//!
//! `cargo bench --profile release --bench limits [-- floor|mixing|candidates]`; needs what `kgbuild
//! fetch pipelines/quickstart.toml` fetches, and an idle machine.
//!
//! - `floor`: tokens a second of a run of the quickstart, against one session that is fed as many
//!   tokens in full batches, without padding, tokenising, searching or writing.
//! - `mixing`: time and memory of a run with base and LoRA adapter, against the base alone.
//! - `candidates`: time a prompt of the best of 100 to 1,000,000 candidates.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use kgbuild::diagnostic::Silent;
use kgbuild::graph::{GraphWriter, RunDescription};
use kgbuild::lm::Prompt;
use kgbuild::pipeline::stages::Workers;
use kgbuild::pipeline::{
    self, Environment, Job, ModelWork, Plan, PlannedJob, Predictor, RunReport, encode,
};

const PIPELINES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines");
const ROUNDS: usize = 3;
const CLASS: &str = "http://www.wikidata.org/entity/Q6256";

/// The name under which a process of its own measures a run's memory.
const ALONE: &str = "alone";

fn main() {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    if let [alone, text] = &arguments[..]
        && alone == ALONE
    {
        let report = Ready::new(text).run();
        println!("{} {}", report.seconds, largest_kb());
        return;
    }
    let asked = |name: &str| arguments.is_empty() || arguments.iter().any(|a| a == name);
    if asked("floor") {
        floor();
    }
    if asked("mixing") {
        mixing();
    }
    if asked("candidates") {
        candidates();
    }
}

fn floor() {
    let mut job = Ready::new(&quickstart(true).to_string());
    let mut ratios = Vec::new();
    let (mut predictors, floor) = (job.predictors(), &mut job.predictors()[0]);
    for _ in 0..=ROUNDS {
        let run = job.run_with(&mut predictors);
        let of_run = run.tokens as f64 / run.seconds;
        let of_floor = tokens_per_second(&job, floor, run.tokens);
        ratios.push((of_run / of_floor, of_run, of_floor));
    }
    // The first one warms up.
    let (ratio, of_run, of_floor) = median(&mut ratios[1..]);
    println!("floor: {of_run:.0} of {of_floor:.0} tokens/s: {:.1} %", 100.0 * ratio);
}

/// How fast a worker's session takes about as many tokens as a run computed, as prompts.
fn tokens_per_second(job: &Ready, predictor: &mut Predictor, tokens: u64) -> f64 {
    let nothing_done = Default::default();
    let mut all: Vec<Prompt> = Vec::new();
    for task in job.plan().tasks(&nothing_done) {
        all.extend_from_slice(encode(job.plan(), task).unwrap().prompts(false));
    }
    let before = predictor.work();
    let fed = |work: ModelWork| work.tokens - before.tokens;
    // Turned around, the prompts begin with nothing that could be shared.
    all.iter_mut().for_each(|prompt| prompt.before.reverse());
    while fed(predictor.work()) < tokens {
        predictor.feed(&all).unwrap();
    }
    let after = predictor.work();
    fed(after) as f64 / (after.time - before.time).as_secs_f64()
}

fn mixing() {
    let measure = |both: bool| {
        let mut command = Command::new(env::current_exe().unwrap());
        let output = command.args([ALONE, &quickstart(both).to_string()]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<f64> = said.split_whitespace().map(|n| n.parse().unwrap()).collect();
        (numbers[0], numbers[1])
    };
    let (mut time, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (base, both) = (measure(false), measure(true));
        time.push((both.0 / base.0, base.0, both.0));
        memory.push((both.1 / base.1, base.1, both.1));
    }
    let (ratio, base, both) = median(&mut time);
    println!("mixing: {both:.2} s against {base:.2} s of the base alone: {ratio:.2} times");
    let (ratio, base, both) = median(&mut memory);
    println!("mixing: {both:.0} kB against {base:.0} kB of the base alone: {ratio:.2} times");
}

fn candidates() {
    let mut first = None;
    for count in [100, 10_000, 1_000_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("candidates.csv"), names(count)).unwrap();
        let mut subjects = String::from("iri,label,types\n");
        for number in 0..128 {
            writeln!(subjects, "http://example.org/s{number},{},{CLASS}", name(7 * number))
                .unwrap();
        }
        fs::write(path("subjects.csv"), subjects).unwrap();
        let mut pipeline = quickstart(true);
        let inputs = pipeline["inputs"].as_table_mut().unwrap();
        for table in ["subjects", "candidates"] {
            let file = path(&format!("{table}.csv")).display().to_string();
            inputs.insert(table.to_owned(), file.into());
        }
        inputs.remove("gold");
        let capital = "http://www.wikidata.org/prop/direct/P36";
        inputs.insert("relations".to_owned(), vec![capital].into());
        let mut job = Ready::new(&pipeline.to_string());
        let mut predictors = job.predictors();
        let mut seconds: Vec<(f64, f64, f64)> = (0..=ROUNDS)
            .map(|_| {
                let report = job.run_with(&mut predictors);
                let each = report.seconds / report.prompts as f64;
                (each, report.tokens as f64 / report.prompts as f64, 0.0)
            })
            .collect();
        let (each, tokens, _) = median(&mut seconds[1..]);
        let against = each / *first.get_or_insert(each);
        println!(
            "candidates: {count}: {:.1} ms and {tokens:.1} tokens a prompt: {against:.2} times",
            1000.0 * each
        );
    }
}

/// A table of `count` capitals, spread over the same million names.
fn names(count: usize) -> String {
    let mut table = String::from("iri,label,types\n");
    for number in 0..count {
        let number = number * (1_000_000 / count);
        let class = "http://www.wikidata.org/entity/Q5119";
        writeln!(table, "http://example.org/{number},{},{class}", name(number)).unwrap();
    }
    table
}

/// One of a million names of two words.
fn name(number: usize) -> String {
    const BEGIN: [&str; 10] = ["Bar", "Cal", "Dor", "El", "Fal", "Gran", "Hal", "Ir", "Mon", "San"];
    const MIDDLE: [&str; 10] = ["a", "be", "di", "e", "go", "i", "la", "ma", "o", "ta"];
    const END: [&str; 10] =
        ["burg", "dale", "ford", "ham", "land", "mouth", "port", "ton", "ville", "wick"];
    let word = |n: usize| format!("{}{}{}", BEGIN[n % 10], MIDDLE[n / 10 % 10], END[n / 100 % 10]);
    format!("{} {}", word(number / 1000), word(number % 1000))
}

/// The quickstart's pipeline without its tuned numbers, with both models or the base alone.
fn quickstart(both: bool) -> toml::Table {
    let text = fs::read_to_string(format!("{PIPELINES}/quickstart.toml")).unwrap();
    let mut pipeline: toml::Table = text.parse().unwrap();
    pipeline.remove("tuning");
    let absolute = |value: &mut toml::Value| {
        *value = format!("{PIPELINES}/{}", value.as_str().unwrap()).into();
    };
    absolute(&mut pipeline["models"]["finetuned"]);
    if !both {
        pipeline["models"].as_table_mut().unwrap().remove("finetuned");
        pipeline.remove("correction");
        pipeline.insert("correction".to_owned(), toml::Table::new().into());
    }
    pipeline["inputs"].as_table_mut().unwrap().iter_mut().for_each(|(_, value)| absolute(value));
    // As README's figures are: nothing but the search and the models, without means taken before it.
    let mut prediction = toml::Table::new();
    prediction.insert("normalise".to_owned(), "trie".into());
    pipeline.insert("prediction".to_owned(), prediction.into());
    pipeline["correction"].as_table_mut().unwrap().insert("mean".to_owned(), 0.0.into());
    pipeline
}

/// A pipeline that is ready to run.
struct Ready {
    job: PlannedJob<'static>,
}

impl Ready {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pipeline.toml");
        fs::write(&file, text).unwrap();
        let job = Job::open(&file, environment()).and_then(Job::plan);
        Self { job: job.unwrap_or_else(|error| panic!("{error}")) }
    }

    fn plan(&self) -> &Plan {
        self.job.plan()
    }

    fn predictors(&self) -> Vec<Predictor> {
        self.job.predictors(1).unwrap()
    }

    fn run(&mut self) -> RunReport {
        let mut predictors = self.predictors();
        self.run_with(&mut predictors)
    }

    fn run_with(&mut self, predictors: &mut [Predictor]) -> RunReport {
        let folder = tempfile::tempdir().unwrap();
        let description = RunDescription::default();
        let writer = GraphWriter::open(folder.path(), "urn:bench:", &description, false).unwrap();
        let (workers, stop) = (Workers { encode: 1, capacity: 2 }, AtomicBool::new(false));
        let plan = self.job.plan_mut();
        pipeline::run(plan, predictors, workers, writer, &Silent, &stop).unwrap()
    }
}

/// ONNX Runtime is loaded once.
fn environment() -> &'static Environment {
    static ENVIRONMENT: std::sync::LazyLock<Environment> =
        std::sync::LazyLock::new(|| Environment::new(Silent));
    &ENVIRONMENT
}

fn median(values: &mut [(f64, f64, f64)]) -> (f64, f64, f64) {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values[values.len() / 2]
}

/// The process' largest resident set as Linux counts it.
fn largest_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
