//! What each way to rank candidates is worth: `cargo run --release --example ways_to_rank -- PIPELINE FACTS...`
//!
//! Asks the pipeline's models once for every candidate of the questions that the tables of facts answer
//! (`subject`, `relation`, `object`, all IRIs), and prints P@1 by every rule, as Markdown: `trie`, the whole
//! sequence, and its mean ln p a token, each without and with the half and all of the mean prediction over
//! eight of the relation's questions removed. Both models are mixed log-linearly, λ 0.5, candidate by candidate.

use std::error::Error;
use std::path::{Path, PathBuf};

use kgbuild::config::CorrectionMethod;
use kgbuild::diagnostic::{Diagnostics, Events};
use kgbuild::lm::Ways;
use kgbuild::metrics::mean;
use kgbuild::pipeline::{Environment, Job, KnownQuestion, RelationPlan};
use kgbuild::shock::{self, Mixing, Pair, RunningMean};

/// Over how many questions the mean prediction is taken, as a run takes it.
const MEAN_QUESTIONS: usize = 8;

/// The shares of the mean prediction that are removed.
const SHARES: [f64; 5] = [0.0, 0.2, 0.35, 0.5, 1.0];

/// How a candidate counts.
const RULES: [&str; 3] = ["trie", "whole sequence", "mean ln p a token"];

/// Tells warnings on standard error.
struct Told;

impl Events for Told {
    fn note(&self, _: &str) {}

    fn warn(&self, warnings: &Diagnostics) {
        eprint!("{}", warnings.render(false));
    }
}

/// A question with each candidate's ln p, by rule and by who answers.
struct Asked {
    known: KnownQuestion,
    scores: Vec<Vec<Vec<f64>>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let pipeline = arguments.next().ok_or("name a pipeline file, then tables of facts")?;
    let facts: Vec<PathBuf> = arguments.collect();
    let environment = Environment::new(Told);
    let job = Job::open(Path::new(&pipeline), &environment)?;
    let both = job.pipeline().models.base.is_some() && job.pipeline().models.finetuned.is_some();
    // Without a correction only one of the models would be asked.
    let job = match both {
        true => job.correcting_by(CorrectionMethod::LogLinear(Mixing::Candidate)),
        false => job,
    };
    let mut questions = job.questions(&facts, &[])?;
    let scored = questions.ask_ways()?;
    let plan = &questions.plan;
    let mut right: Vec<Vec<Vec<f64>>> = Vec::new();
    let mut majority = Vec::new();
    for (relation, scored) in plan.relations.iter().zip(scored) {
        let whole = scored.iter().map(|models| Pair {
            finetuned: models[0].whole.clone(),
            base: models[models.len() - 1].whole.clone(),
        });
        let known = plan.known_questions(relation, whole.map(Into::into).collect());
        majority.extend(shock::majority(known.iter().map(KnownQuestion::question)));
        let asked: Vec<Asked> = known
            .into_iter()
            .zip(&scored)
            .filter(|(known, _)| known.question().objects() > 0)
            .map(|(known, models)| Asked { known, scores: scores(relation, models) })
            .collect();
        add(&mut right, &asked);
    }
    print(&right, &majority, both);
    Ok(())
}

/// By rule and by who answers, each candidate's ln p.
fn scores(relation: &RelationPlan, models: &[Ways]) -> Vec<Vec<Vec<f64>>> {
    let lengths = (0..relation.candidates.len() as u32).map(|c| relation.space.longest_of(c));
    let lengths: Vec<f64> = lengths.map(|tokens| tokens as f64).collect();
    let rule = |rule: usize| {
        let of_model = |ways: &Ways| match rule {
            0 => ways.branchings.clone(),
            1 => ways.whole.clone(),
            _ => ways.whole.iter().zip(&lengths).map(|(ln_p, tokens)| ln_p / tokens).collect(),
        };
        // The base first.
        let mut all: Vec<Vec<f64>> = models.iter().rev().map(of_model).collect();
        if let [base, finetuned] = &all[..] {
            all.push(base.iter().zip(finetuned).map(|(b, f)| 0.5 * b + 0.5 * f).collect());
        }
        all
    };
    (0..RULES.len()).map(rule).collect()
}

/// Counts the right answers to a relation's questions: by rule and share, by who answers, by question.
fn add(right: &mut Vec<Vec<Vec<f64>>>, asked: &[Asked]) {
    let Some(first) = asked.first() else { return };
    let (answerers, candidates) = (first.scores[0].len(), first.known.candidates);
    right.resize(RULES.len() * SHARES.len(), vec![Vec::new(); answerers]);
    let step = asked.len().div_ceil(MEAN_QUESTIONS);
    for rule in 0..RULES.len() {
        for who in 0..answerers {
            let some = asked.iter().step_by(step).map(|asked| &asked.scores[rule][who]);
            let mut running = RunningMean::new(candidates);
            some.for_each(|scores| running.add(scores));
            let means = running.mean();
            for (at, share) in SHARES.into_iter().enumerate() {
                for Asked { known, scores } in asked {
                    let scores = scores[rule][who].iter().zip(&means);
                    let scores: Vec<f64> = scores.map(|(x, mean)| x - share * mean).collect();
                    let question = known.question();
                    let best = question.best(&scores).is_some_and(|best| question.is_right(best));
                    right[rule * SHARES.len() + at][who].push(f64::from(u8::from(best)));
                }
            }
        }
    }
}

fn print(right: &[Vec<Vec<f64>>], majority: &[f64], both: bool) {
    let shown =
        |values: &[f64]| mean(values.iter().copied()).map_or("-".into(), |p| format!("{p:.3}"));
    let names: &[&str] =
        if both { &["base", "finetuned", "log-linear, λ 0.5"] } else { &["alone"] };
    println!(
        "P@1 over {} questions; the majority answer has {}\n",
        majority.len(),
        shown(majority)
    );
    println!("| a candidate counts by | κ | {} |", names.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(names.len()));
    for (row, answers) in right.iter().enumerate() {
        let cells: Vec<String> = answers.iter().map(|values| shown(values)).collect();
        let (rule, share) = (RULES[row / SHARES.len()], SHARES[row % SHARES.len()]);
        println!("| {rule} | {share} | {} |", cells.join(" | "));
    }
}
