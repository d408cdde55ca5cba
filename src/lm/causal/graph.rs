//! A causal model's graph in a session: sequences in, logits and a cache out.

use std::path::Path;

use ort::session::Session;
use ort::value::DynValue;

use super::inputs::{Behind, CacheRow, Inputs};
use crate::lm::Error;

/// A session, and what its graph asks for.
pub struct Graph {
    session: Session,
    name: String,
    inputs: Inputs,
    /// Logits at each position, known from the first run on.
    vocabulary: Option<usize>,
}

/// A batch's logits, and its keys and values where they are kept.
pub struct Batch {
    logits: DynValue,
    /// Positions of a row that have logits: all, or the last.
    pub positions: usize,
    pub vocabulary: usize,
    pub kept: Vec<DynValue>,
}

impl Graph {
    /// Finds the graph's inputs and outputs; `file` is how errors call the model.
    ///
    /// # Errors
    /// Where they are not a causal language model's; they are named.
    pub fn new(session: Session, file: &Path) -> Result<Self, Error> {
        let name = file.display().to_string();
        match Inputs::find(&session) {
            Ok(inputs) => Ok(Self { session, name, inputs, vocabulary: None }),
            Err(problem) => Err(Error::Graph { model: name, problem }),
        }
    }

    /// How errors call the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the graph takes a cache and gives it back.
    pub fn has_cache(&self) -> bool {
        self.inputs.cached
    }

    /// Runs sequences of equal length behind a cache, and keeps the new one if `keep`.
    ///
    /// # Errors
    /// Where ONNX Runtime fails, or gives logits of another shape than was asked for.
    pub fn run(
        &mut self,
        sequences: &[Vec<u32>],
        behind: Behind<'_>,
        keep: bool,
    ) -> Result<Batch, Error> {
        let (rows, length) = (sequences.len(), sequences[0].len());
        let runtime = |source| Error::Runtime { model: self.name.clone(), source };
        let wrong = |problem: String| Error::Graph { model: self.name.clone(), problem };
        let inputs = self.inputs.values(sequences, behind).map_err(runtime)?;
        let mut outputs = self.session.run(inputs).map_err(runtime)?;
        let kept = if keep {
            let values = self.inputs.past.iter().map(|p| outputs.remove(&p.output));
            values.collect::<Option<Vec<DynValue>>>().unwrap_or_default()
        } else {
            Vec::new()
        };
        let logits =
            outputs.remove("logits").ok_or_else(|| wrong("it gave no logits".to_owned()))?;
        let (shape, _) = logits.try_extract_tensor::<f32>().map_err(runtime)?;
        match shape[..] {
            [b, s, v]
                if b as usize == rows
                    && (s as usize == length || s == 1)
                    && v > 0
                    && self.vocabulary.is_none_or(|own| own == v as usize) =>
            {
                let (positions, vocabulary) = (s as usize, v as usize);
                self.vocabulary = Some(vocabulary);
                Ok(Batch { logits, positions, vocabulary, kept })
            }
            _ => Err(wrong(format!(
                "it gave logits of shape {shape:?} for {rows} x {length} tokens"
            ))),
        }
    }

    /// Runs sequences of equal length behind a cache, at most `step` tokens of each at a time.
    ///
    /// # Errors
    /// As [`Graph::run`].
    pub fn run_by_steps(
        &mut self,
        sequences: &[Vec<u32>],
        behind: Behind<'_>,
        step: usize,
    ) -> Result<Batch, Error> {
        let length = sequences[0].len();
        if length <= step {
            return self.run(sequences, behind, false);
        }
        let rows: Vec<CacheRow> =
            (0..sequences.len()).map(|row| CacheRow { batch: 0, row }).collect();
        let part = |from: usize, to: usize| -> Vec<Vec<u32>> {
            sequences.iter().map(|tokens| tokens[from..to].to_vec()).collect()
        };
        let mut batch = self.run(&part(0, step), behind, true)?;
        let mut done = step;
        while done < length {
            let next = (done + step).min(length);
            let batches = [batch.kept];
            let behind = Behind { batches: &batches, rows: &rows, length: behind.length + done };
            batch = self.run(&part(done, next), behind, next < length)?;
            done = next;
        }
        Ok(batch)
    }
}

impl Batch {
    /// The logits after the last token of a row, or after one of those `before` it.
    pub fn row(&self, row: usize, before: usize) -> &[f32] {
        let at = (row + 1) * self.positions - 1 - before;
        match self.logits.try_extract_tensor::<f32>() {
            Ok((_, logits)) => &logits[at * self.vocabulary..(at + 1) * self.vocabulary],
            Err(_) => unreachable!("its type was looked at when the batch was made"),
        }
    }
}
