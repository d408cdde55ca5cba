//! A prepared graph in a session: sequences in, asked logits, a cache or an encoder's states out.

use std::path::Path;

use ort::session::Session;
use ort::value::DynValue;

use super::inputs::{Behind, CacheRow, Inputs, States, presents};
use super::last_tokens;
use crate::lm::output::Output;
use crate::lm::{Error, Row};

/// What an encoder's output is called.
const STATES: &str = "last_hidden_state";

/// Tokens of a text with which a graph is probed.
pub(crate) const PROBE: usize = 3;

/// A session, and what its graph asks for.
pub(crate) struct Graph {
    session: Session,
    name: String,
    inputs: Inputs,
    /// Known from the first logits on.
    vocabulary: Option<usize>,
    /// Whether it gives logits after the last token of each row only, so that positions are rows.
    last_only: bool,
    /// How many tokens it computed.
    pub tokens: u64,
}

/// What a run gets.
#[derive(Clone, Copy)]
pub(crate) struct Feed<'a> {
    /// Of equal length, at least one.
    pub sequences: &'a [Vec<u32>],
    /// Where logits are asked for: row · length + place.
    pub positions: &'a [usize],
    pub behind: Behind<'a>,
    /// For a decoder.
    pub states: Option<States<'a>>,
    /// The places of the cache to be kept.
    pub keep: &'a [String],
}

impl<'a> Feed<'a> {
    /// Sequences that begin a text, of which no cache is kept.
    pub(crate) fn new(sequences: &'a [Vec<u32>], positions: &'a [usize]) -> Self {
        Self { sequences, positions, behind: Behind::NOTHING, states: None, keep: &[] }
    }
}

/// What a run gave: logits at the asked positions, and what was to be kept.
pub(crate) struct Ran {
    logits: DynValue,
    pub vocabulary: usize,
    pub kept: Vec<DynValue>,
}

impl Graph {
    /// Finds the graph's inputs and outputs; `file` is how errors call the model.
    ///
    /// # Errors
    /// Where they are not a language model's; they are named.
    pub(crate) fn new(session: Session, file: &Path) -> Result<Self, Error> {
        let name = file.display().to_string();
        match Inputs::find(&session) {
            Ok(inputs) => {
                Ok(Self { session, name, inputs, vocabulary: None, last_only: false, tokens: 0 })
            }
            Err(problem) => Err(Error::Graph { model: name, problem }),
        }
    }

    /// How errors call the model.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it asks for.
    pub(crate) fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The places of the cache that it takes.
    pub(crate) fn places(&self) -> Vec<String> {
        self.inputs.past.iter().map(|past| past.place.clone()).collect()
    }

    /// An error about this graph.
    pub(crate) fn wrong(&self, problem: String) -> Error {
        Error::Graph { model: self.name.clone(), problem }
    }

    fn failed(&self) -> impl Fn(ort::Error) -> Error + use<> {
        let model = self.name.clone();
        move |source| Error::Runtime { model: model.clone(), source }
    }

    /// Tries a graph that computes texts from their beginning on two short ones, and finds out
    /// whether it gives logits after all tokens. `states` are an encoder's for the two. Gives the
    /// size of the vocabulary.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub(crate) fn probe(&mut self, states: Option<States<'_>>) -> Result<usize, Error> {
        let sequences = [vec![0; PROBE], vec![0; PROBE]];
        let feed = Feed { states, ..Feed::new(&sequences, &[2 * PROBE - 1]) };
        // What an export declares is not always true: its last position is asked for.
        if let Ok(ran) = self.run(&feed) {
            let logits = ran.row(0);
            // Some devices give zeros for a position that is not there.
            if logits.iter().any(|logit| logit.to_bits() != logits[0].to_bits()) {
                return Ok(ran.vocabulary);
            }
        }
        self.last_only = true;
        Ok(self.run(&feed)?.vocabulary)
    }

    /// Runs a language model's or a decoder's graph.
    ///
    /// # Errors
    /// Where ONNX Runtime fails, or gives logits of another shape than was asked for.
    pub(crate) fn run(&mut self, feed: &Feed<'_>) -> Result<Ran, Error> {
        let failed = self.failed();
        let rows: Vec<usize>;
        let feed = if self.last_only {
            let length = feed.sequences[0].len();
            rows = feed.positions.iter().map(|position| position / length).collect();
            &Feed { positions: &rows, ..*feed }
        } else {
            feed
        };
        let inputs = self.inputs.values(feed).map_err(&failed)?;
        let mut outputs = self.session.run(inputs).map_err(&failed)?;
        self.tokens += (feed.sequences.len() * feed.sequences[0].len()) as u64;
        let mut kept = Vec::with_capacity(feed.keep.len());
        for place in feed.keep {
            let value = presents(place).iter().find_map(|name| outputs.remove(name));
            kept.push(value.ok_or_else(|| Error::Graph {
                model: self.name.clone(),
                problem: format!("it gave no `present{place}`"),
            })?);
        }
        let logits = outputs.remove("logits");
        drop(outputs);
        let logits = logits.ok_or_else(|| self.wrong("it gave no logits".to_owned()))?;
        let (shape, _) = logits.try_extract_tensor::<f32>().map_err(&failed)?;
        let asked = feed.positions.len();
        match shape[..] {
            [rows, columns]
                if rows as usize == asked
                    && columns > 0
                    && self.vocabulary.is_none_or(|own| own == columns as usize) =>
            {
                let vocabulary = columns as usize;
                self.vocabulary = Some(vocabulary);
                Ok(Ran { logits, vocabulary, kept })
            }
            _ => Err(self.wrong(format!("it gave logits of shape {shape:?} at {asked} positions"))),
        }
    }

    /// Runs sequences behind a cache, at most `step` tokens of each at a time, and gives the logits
    /// after the last token of each.
    ///
    /// # Errors
    /// As [`Graph::run`].
    pub(crate) fn run_by_steps(&mut self, feed: &Feed<'_>, step: usize) -> Result<Ran, Error> {
        let (rows, length) = (feed.sequences.len(), feed.sequences[0].len());
        let places = self.places();
        // Of the encoder's keys and values some decoders give none again, some empty ones.
        let grows: Vec<bool> = places.iter().map(|place| super::inputs::grows(place)).collect();
        let own: Vec<CacheRow> = (0..rows).map(|row| CacheRow { batch: 0, row }).collect();
        let mut kept: Vec<DynValue> = Vec::new();
        let mut done: usize = 0;
        loop {
            let next = done.saturating_add(step).min(length);
            let part: Vec<Vec<u32>> =
                feed.sequences.iter().map(|tokens| tokens[done..next].to_vec()).collect();
            let positions = last_tokens(rows, next - done);
            let batches = [std::mem::take(&mut kept)];
            let behind = if done == 0 {
                feed.behind
            } else {
                Behind { batches: &batches, rows: &own, length: feed.behind.length + done }
            };
            let keep: Vec<String> = if next < length {
                places
                    .iter()
                    .zip(&grows)
                    .filter(|(_, grows)| **grows)
                    .map(|(p, _)| p.clone())
                    .collect()
            } else {
                Vec::new()
            };
            let fed =
                Feed { sequences: &part, positions: &positions, behind, keep: &keep, ..*feed };
            let ran = self.run(&fed)?;
            if next == length {
                return Ok(ran);
            }
            kept = self.grown(behind, ran.kept, &grows)?;
            done = next;
        }
    }

    /// A cache for the next step: what a run gave, and of the rest the rows it had.
    fn grown(
        &self,
        behind: Behind<'_>,
        given: Vec<DynValue>,
        grows: &[bool],
    ) -> Result<Vec<DynValue>, Error> {
        let mut given = given.into_iter();
        let mut all = Vec::with_capacity(grows.len());
        for (at, &grows) in grows.iter().enumerate() {
            all.push(match grows.then(|| given.next()).flatten() {
                Some(value) => value,
                None => super::inputs::gather(behind.rows, |batch| &behind.batches[batch][at])
                    .map_err(self.failed())?,
            });
        }
        Ok(all)
    }

    /// Runs an encoder: what it makes of sequences of equal length, [rows, length, width].
    ///
    /// # Errors
    /// Where ONNX Runtime fails, or the graph is no encoder's.
    pub(crate) fn encode(&mut self, sequences: &[Vec<u32>]) -> Result<DynValue, Error> {
        let failed = self.failed();
        let inputs = self.inputs.values(&Feed::new(sequences, &[])).map_err(&failed)?;
        let states = self.session.run(inputs).map_err(&failed)?.remove(STATES);
        self.tokens += (sequences.len() * sequences[0].len()) as u64;
        let states = states.ok_or_else(|| self.wrong(format!("it gave no `{STATES}`")))?;
        let (shape, _) = states.try_extract_tensor::<f32>().map_err(&failed)?;
        if !shape.starts_with(&[sequences.len() as i64, sequences[0].len() as i64]) {
            return Err(self.wrong(format!("it gave states of shape {shape:?}")));
        }
        Ok(states)
    }
}

impl Ran {
    /// The logits at an asked position, by its number among them.
    pub(crate) fn row(&self, asked: usize) -> &[f32] {
        match self.logits.try_extract_tensor::<f32>() {
            Ok((_, logits)) => &logits[asked * self.vocabulary..(asked + 1) * self.vocabulary],
            Err(_) => unreachable!("its type was looked at when the run was made"),
        }
    }

    /// Answers the rows of `indices`, whose logits are in this order; fails where one is NaN or
    /// infinite, with its prompt.
    pub(crate) fn answer(
        &self,
        indices: &[usize],
        rows: &[Row<'_>],
        out: &mut Output,
    ) -> Result<(), usize> {
        for (at, &index) in indices.iter().enumerate() {
            let row = &rows[index];
            out.take(index, row, self.row(at)).map_err(|()| row.prompt)?;
        }
        Ok(())
    }
}
