//! Causal language models as ONNX graphs, with or without a key-value cache.
//!
//! No batch is ever padded: rows of equal length ride together. So an export needs no attention
//! mask to be right, and a row's numbers do not depend on its neighbours.
//!
//! With a cache, a prompt is computed once and every continuation starts from its keys and
//! values; without, prompt and continuation are computed together each time. A cache is used as
//! far as it gives the same numbers ([`trial`]).

use std::collections::BTreeMap;
use std::path::Path;

use ort::session::Session;
use ort::value::DynValue;

use self::graph::Graph;
use self::inputs::{Behind, CacheRow};
use super::{Error, LanguageModel, Row, logits};

mod graph;
mod inputs;
mod trial;

/// A causal model in one ONNX Runtime session.
pub struct CausalModel {
    graph: Graph,
    vocabulary: usize,
    /// How many tokens at a time are computed behind a cache; none where there is no cache.
    step: Option<usize>,
    context: Option<usize>,
    token_budget: usize,
    prompts: Vec<Vec<u32>>,
    /// By prompt: where its keys and values are, once it was computed.
    caches: Vec<Option<CacheRow>>,
    batches: Vec<Vec<DynValue>>,
}

impl CausalModel {
    /// Finds the family's inputs and outputs in a session's graph, and tries it on a few tokens.
    ///
    /// `file` is how errors call the model; `context` what its configuration says a sequence may
    /// have; `token_budget` the tokens of one batch.
    ///
    /// # Errors
    /// Where the graph's inputs or outputs are not a causal language model's, which are then
    /// named, or where it cannot be run.
    pub fn new(
        session: Session,
        file: &Path,
        context: Option<usize>,
        token_budget: usize,
    ) -> Result<Self, Error> {
        let mut graph = Graph::new(session, file)?;
        let trial::Abilities { vocabulary, step } = trial::abilities(&mut graph)?;
        Ok(Self {
            graph,
            vocabulary,
            step,
            context,
            token_budget: token_budget.max(1),
            prompts: Vec::new(),
            caches: Vec::new(),
            batches: Vec::new(),
        })
    }

    /// How many tokens at a time are computed behind a cached prompt, [`usize::MAX`] for any number;
    /// none where the graph has no cache or gives wrong numbers behind it.
    pub fn step(&self) -> Option<usize> {
        self.step
    }

    /// Computes the prompts that `rows` ask for and that were not computed, and keeps their caches.
    fn compute_prompts(&mut self, rows: &[Row<'_>], out: &mut Output) -> Result<(), Error> {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut asked: Vec<Vec<usize>> = vec![Vec::new(); self.prompts.len()];
        for (index, row) in rows.iter().enumerate() {
            if row.continuation.is_empty() {
                asked[row.prompt].push(index);
            }
        }
        let mut seen = vec![false; self.prompts.len()];
        for row in rows {
            // A prompt whose cache is there is computed again only if its own end is asked for.
            let due = row.continuation.is_empty() || self.caches[row.prompt].is_none();
            if due && !std::mem::replace(&mut seen[row.prompt], true) {
                by_length.entry(self.prompts[row.prompt].len()).or_default().push(row.prompt);
            }
        }
        for (length, prompts) in by_length {
            for prompts in prompts.chunks((self.token_budget / length).max(1)) {
                let sequences: Vec<_> = prompts.iter().map(|&p| self.prompts[p].clone()).collect();
                let batch = self.graph.run(&sequences, Behind::NOTHING, true)?;
                for (row, &prompt) in prompts.iter().enumerate() {
                    self.caches[prompt] = Some(CacheRow { batch: self.batches.len(), row });
                    for &index in &asked[prompt] {
                        out.take(index, &rows[index], batch.row(row, 0))
                            .map_err(|()| self.nan(prompt))?;
                    }
                }
                self.batches.push(batch.kept);
            }
        }
        Ok(())
    }

    /// Answers rows with `continuation`s, behind the prompts' caches or with the prompts in front.
    fn compute_continuations(&mut self, rows: &[Row<'_>], out: &mut Output) -> Result<(), Error> {
        let mut by_length: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            let (prompt, continuation) = (self.prompts[row.prompt].len(), row.continuation.len());
            match self.step {
                Some(_) if continuation == 0 => {}
                Some(_) => by_length.entry((prompt, continuation)).or_default().push(index),
                None => by_length.entry((0, prompt + continuation)).or_default().push(index),
            }
        }
        for ((past, length), indices) in by_length {
            // What is cached is copied for every row, so it counts.
            for indices in indices.chunks((self.token_budget / (past + length)).max(1)) {
                let asked = indices.iter().map(|&index| &rows[index]);
                let batch = match self.step {
                    Some(step) => {
                        let caches: Vec<CacheRow> =
                            asked.clone().filter_map(|row| self.caches[row.prompt]).collect();
                        let sequences: Vec<_> = asked.map(|r| r.continuation.to_vec()).collect();
                        let behind = Behind { batches: &self.batches, rows: &caches, length: past };
                        self.graph.run_by_steps(&sequences, behind, step)?
                    }
                    None => {
                        let sequences: Vec<_> = asked
                            .map(|r| [&self.prompts[r.prompt], &r.continuation[..]].concat())
                            .collect();
                        self.graph.run(&sequences, Behind::NOTHING, false)?
                    }
                };
                for (at, &index) in indices.iter().enumerate() {
                    let row = &rows[index];
                    out.take(index, row, batch.row(at, 0)).map_err(|()| self.nan(row.prompt))?;
                }
            }
        }
        Ok(())
    }

    fn nan(&self, prompt: usize) -> Error {
        Error::NotANumber {
            model: self.graph.name().to_owned(),
            prompt: self.prompts[prompt].clone(),
        }
    }
}

impl LanguageModel for CausalModel {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn context(&self) -> Option<usize> {
        self.context
    }

    fn open(&mut self, prompts: &[Vec<u32>]) {
        self.batches.clear();
        self.prompts = prompts.to_vec();
        self.caches = vec![None; prompts.len()];
    }

    fn next_log_probabilities(&mut self, rows: &[Row<'_>]) -> Result<Vec<f64>, Error> {
        let mut out = Output::new(rows);
        if self.step.is_some() {
            self.compute_prompts(rows, &mut out)?;
        }
        self.compute_continuations(rows, &mut out)?;
        Ok(out.values)
    }
}

/// The answers to rows, in their order.
struct Output {
    values: Vec<f64>,
    starts: Vec<usize>,
}

impl Output {
    fn new(rows: &[Row<'_>]) -> Self {
        let mut total = 0;
        let starts = rows
            .iter()
            .map(|row| {
                let start = total;
                total += row.wanted.len();
                start
            })
            .collect();
        Self { values: vec![f64::NAN; total], starts }
    }

    /// Takes a row's answer from its logits; fails where one is NaN or infinite.
    fn take(&mut self, index: usize, row: &Row<'_>, logits: &[f32]) -> Result<(), ()> {
        let total = logits::log_sum_exp(logits);
        if !total.is_finite() {
            return Err(());
        }
        let values = &mut self.values[self.starts[index]..];
        for (value, &token) in values.iter_mut().zip(row.wanted.iter()) {
            *value = f64::from(logits[token as usize]) - total;
        }
        Ok(())
    }
}
