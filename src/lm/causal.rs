//! Exported causal language models, with or without a key-value cache.
//!
//! With a cache, what all prompts begin with is computed once, each prompt once behind it, and
//! every continuation starts from its prompt's keys and values; without, prompt and continuation
//! are computed together each time. A cache is used as far as it gives the same numbers
//! ([`super::export::steps`]).

use std::collections::BTreeMap;
use std::path::Path;

use ort::session::Session;
use ort::value::DynValue;

use super::export::{Batching, Behind, CacheRow, Feed, Graph, Trial, last_tokens, steps};
use super::output::Output;
use super::{Answers, Asking, CacheUse, Error, LanguageModel, Prompt, Row, prefixes};

/// A causal model in one ONNX Runtime session.
pub struct CausalModel {
    graph: Graph,
    vocabulary: usize,
    /// How many tokens at a time are computed behind a cache; none where there is no cache.
    step: Option<usize>,
    batching: Batching,
    prompts: Vec<Vec<u32>>,
    /// By prompt: where its keys and values are, once it was computed.
    caches: Vec<Option<CacheRow>>,
    batches: Vec<Vec<DynValue>>,
    /// What all prompts begin with; its keys and values, once computed, are the first batch.
    common: Vec<u32>,
}

impl CausalModel {
    /// Finds the family's inputs and outputs in the graph of a session, and tries it on a few tokens.
    ///
    /// `file` is how errors call the model.
    ///
    /// # Errors
    /// Where the graph's inputs or outputs are not a causal language model's, which are then
    /// named, or where it cannot be run.
    pub fn new(session: Session, file: &Path, batching: Batching) -> Result<Self, Error> {
        let mut graph = Graph::new(session, file)?;
        let vocabulary = graph.probe(None)?;
        // Where numbers depend on what is computed together, no cache gives the same.
        let step = if batching.alone {
            None
        } else {
            steps(&Trial::new(vocabulary), &mut graph, None, None)?
        };
        Ok(Self {
            graph,
            vocabulary,
            step,
            batching,
            prompts: Vec::new(),
            caches: Vec::new(),
            batches: Vec::new(),
            common: Vec::new(),
        })
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
        let keep = self.graph.places();
        if self.batches.is_empty() && !self.common.is_empty() && !by_length.is_empty() {
            let sequences = [self.common.clone()];
            let ran = self.graph.run(&Feed { keep: &keep, ..Feed::new(&sequences, &[]) })?;
            self.batches.push(ran.kept);
        }
        let past = self.common.len();
        for (length, prompts) in by_length {
            for prompts in prompts.chunks(self.batching.rows(length)) {
                let sequences: Vec<_> =
                    prompts.iter().map(|&p| self.prompts[p][past..].to_vec()).collect();
                let positions = last_tokens(prompts.len(), length - past);
                let common = vec![CacheRow { batch: 0, row: 0 }; prompts.len()];
                let behind = if past == 0 {
                    Behind::NOTHING
                } else {
                    Behind { batches: &self.batches, rows: &common, length: past }
                };
                let feed = Feed { behind, keep: &keep, ..Feed::new(&sequences, &positions) };
                let ran = self.graph.run(&feed)?;
                for (row, &prompt) in prompts.iter().enumerate() {
                    self.caches[prompt] = Some(CacheRow { batch: self.batches.len(), row });
                    for &index in &asked[prompt] {
                        out.take(index, &rows[index], ran.row(row))
                            .map_err(|()| self.nan(prompt))?;
                    }
                }
                self.batches.push(ran.kept);
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
            for indices in indices.chunks(self.batching.rows(past + length)) {
                let asked = indices.iter().map(|&index| &rows[index]);
                let ran = match self.step {
                    Some(step) => {
                        let caches: Vec<CacheRow> =
                            asked.clone().filter_map(|row| self.caches[row.prompt]).collect();
                        let sequences: Vec<_> = asked.map(|r| r.continuation.to_vec()).collect();
                        let behind = Behind { batches: &self.batches, rows: &caches, length: past };
                        let feed = Feed { behind, ..Feed::new(&sequences, &[]) };
                        self.graph.run_by_steps(&feed, step)?
                    }
                    None => {
                        let sequences: Vec<_> = asked
                            .map(|r| [&self.prompts[r.prompt], &r.continuation[..]].concat())
                            .collect();
                        let positions = last_tokens(sequences.len(), length);
                        self.graph.run(&Feed::new(&sequences, &positions))?
                    }
                };
                ran.answer(indices, rows, out).map_err(|prompt| self.nan(prompt))?;
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

    fn cache(&self) -> CacheUse {
        CacheUse::of_step(self.step)
    }

    fn tokens(&self) -> u64 {
        self.graph.tokens
    }

    fn open(&mut self, prompts: &[&[Prompt]], _: Asking) {
        self.prompts = prompts.iter().copied().flatten().map(|p| p.before.clone()).collect();
        self.caches = vec![None; self.prompts.len()];
        let mut common = Vec::new();
        // Behind a cache that takes a token at a time the rest would be slower.
        if self.step == Some(usize::MAX) {
            let prompts: Vec<&[u32]> = self.prompts.iter().map(Vec::as_slice).collect();
            common = prefixes::common(&prompts).to_vec();
        }
        let kept = usize::from(!common.is_empty() && common == self.common);
        self.batches.truncate(kept);
        self.common = common;
    }

    fn answer(&mut self, rows: &[Row<'_>]) -> Result<Answers, Error> {
        let mut out = Output::new(rows);
        if self.step.is_some() {
            self.compute_prompts(rows, &mut out)?;
        }
        self.compute_continuations(rows, &mut out)?;
        Ok(vec![out.values()])
    }
}
