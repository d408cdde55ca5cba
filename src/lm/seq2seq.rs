//! Exported encoder-decoder models (T5, BART and their kin): the encoder reads a prompt once, the
//! decoder goes on behind its cache.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ort::session::Session;
use ort::value::DynValue;

use super::export::{
    Batching, Behind, CacheRow, Feed, Graph, PROBE, States, Trial, last_tokens, steps,
};
use super::output::Output;
use super::{Answers, Asking, CacheUse, Error, LanguageModel, Prompt, Row};

/// An encoder and its decoder, in sessions of their own.
pub struct Seq2SeqModel {
    encoder: Graph,
    /// Computes the beginning of a text.
    decoder: Graph,
    /// Computes what is behind a cache, where that is another graph.
    with_past: Option<Graph>,
    vocabulary: usize,
    /// How many tokens at a time are computed behind a cache; none where there is no cache.
    step: Option<usize>,
    batching: Batching,
    prompts: Vec<Prompt>,
    /// By prompt: where the encoder's states are.
    encoded: Vec<Option<CacheRow>>,
    states: Vec<DynValue>,
    /// By prompt: where the decoder's keys and values are.
    caches: Vec<Option<CacheRow>>,
    batches: Vec<Vec<DynValue>>,
}

/// A text that the decoder reads from its beginning.
struct Text {
    prompt: usize,
    tokens: Vec<u32>,
    /// Rows that ask after its last token.
    asks: Vec<usize>,
}

/// A graph in a session, with the file it is from, as errors name it.
pub(super) type Part = (Session, PathBuf);

impl Seq2SeqModel {
    /// Finds the family's inputs and outputs in the graphs of sessions, and tries them on a few
    /// tokens.
    ///
    /// # Errors
    /// Where a graph's inputs or outputs are not those of an encoder or decoder, which are then
    /// named, or where one cannot be run.
    pub fn new(
        encoder: Part,
        decoder: Part,
        with_past: Option<Part>,
        batching: Batching,
    ) -> Result<Self, Error> {
        let mut encoder = Graph::new(encoder.0, &encoder.1)?;
        let mut decoder = Graph::new(decoder.0, &decoder.1)?;
        let mut with_past = match with_past {
            Some((session, file)) => Some(Graph::new(session, &file)?),
            None => None,
        };
        let states = [encoder.encode(&[vec![0; PROBE], vec![0; PROBE]])?];
        let rows = [0, 1].map(|row| CacheRow { batch: 0, row });
        let states = States { batches: &states, rows: &rows, length: PROBE };
        let vocabulary = decoder.probe(Some(states))?;
        let step = if batching.alone {
            None
        } else {
            let trial = Trial::new(vocabulary);
            let states = encoder.encode(trial.sequences())?;
            steps(&trial, &mut decoder, with_past.as_mut(), Some(&states))?
        };
        Ok(Self {
            encoder,
            decoder,
            with_past,
            vocabulary,
            step,
            batching,
            prompts: Vec::new(),
            encoded: Vec::new(),
            states: Vec::new(),
            caches: Vec::new(),
            batches: Vec::new(),
        })
    }

    /// Lets the encoder read the prompts that rows ask for, each once.
    fn encode(&mut self, rows: &[Row<'_>]) -> Result<(), Error> {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut seen = vec![false; self.prompts.len()];
        for row in rows {
            let new = self.encoded[row.prompt].is_none();
            if new && !std::mem::replace(&mut seen[row.prompt], true) {
                by_length
                    .entry(self.prompts[row.prompt].encoder.len())
                    .or_default()
                    .push(row.prompt);
            }
        }
        for (length, prompts) in by_length {
            for prompts in prompts.chunks(self.batching.rows(length)) {
                let sequences: Vec<Vec<u32>> =
                    prompts.iter().map(|&prompt| self.prompts[prompt].encoder.clone()).collect();
                let states = self.encoder.encode(&sequences)?;
                for (row, &prompt) in prompts.iter().enumerate() {
                    self.encoded[prompt] = Some(CacheRow { batch: self.states.len(), row });
                }
                self.states.push(states);
            }
        }
        Ok(())
    }

    /// Computes texts of equal length, for prompts of which the encoder read as many tokens.
    fn begin(
        &mut self,
        texts: &[Text],
        encoder_length: usize,
        keep: bool,
        rows: &[Row<'_>],
        out: &mut Output,
    ) -> Result<(), Error> {
        let places = match (keep, &self.with_past) {
            (false, _) => Vec::new(),
            (true, Some(with_past)) => with_past.places(),
            (true, None) => self.decoder.places(),
        };
        let length = texts.first().map_or(0, |text| text.tokens.len());
        for texts in texts.chunks(self.batching.rows(encoder_length + length)) {
            let sequences: Vec<Vec<u32>> = texts.iter().map(|text| text.tokens.clone()).collect();
            let states: Vec<CacheRow> =
                texts.iter().filter_map(|text| self.encoded[text.prompt]).collect();
            let states = States { batches: &self.states, rows: &states, length: encoder_length };
            let positions = last_tokens(texts.len(), length);
            let feed =
                Feed { states: Some(states), keep: &places, ..Feed::new(&sequences, &positions) };
            let ran = self.decoder.run(&feed)?;
            for (row, Text { prompt, asks, .. }) in texts.iter().enumerate() {
                if keep {
                    self.caches[*prompt] = Some(CacheRow { batch: self.batches.len(), row });
                }
                for &index in asks {
                    out.take(index, &rows[index], ran.row(row)).map_err(|()| self.nan(*prompt))?;
                }
            }
            if keep {
                self.batches.push(ran.kept);
            }
        }
        Ok(())
    }

    /// Answers rows behind the caches of their prompts.
    fn go_on(
        &mut self,
        (encoder_length, past, length): (usize, usize, usize),
        indices: &[usize],
        step: usize,
        rows: &[Row<'_>],
        out: &mut Output,
    ) -> Result<(), Error> {
        for indices in indices.chunks(self.batching.rows(encoder_length + past + length)) {
            let asked = indices.iter().map(|&index| &rows[index]);
            let sequences: Vec<_> = asked.clone().map(|row| row.continuation.to_vec()).collect();
            let of = |rows: &[Option<CacheRow>]| -> Vec<CacheRow> {
                asked.clone().filter_map(|row| rows[row.prompt]).collect()
            };
            let (states, caches) = (of(&self.encoded), of(&self.caches));
            let states = States { batches: &self.states, rows: &states, length: encoder_length };
            let behind = Behind { batches: &self.batches, rows: &caches, length: past };
            let feed = Feed { behind, states: Some(states), ..Feed::new(&sequences, &[]) };
            let graph = self.with_past.as_mut().unwrap_or(&mut self.decoder);
            let ran = graph.run_by_steps(&feed, step)?;
            ran.answer(indices, rows, out).map_err(|prompt| self.nan(prompt))?;
        }
        Ok(())
    }

    fn nan(&self, prompt: usize) -> Error {
        Error::NotANumber {
            model: self.decoder.name().to_owned(),
            prompt: self.prompts[prompt].encoder.clone(),
        }
    }
}

impl LanguageModel for Seq2SeqModel {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn cache(&self) -> CacheUse {
        CacheUse::of_step(self.step)
    }

    fn tokens(&self) -> u64 {
        [Some(&self.encoder), Some(&self.decoder), self.with_past.as_ref()]
            .into_iter()
            .flatten()
            .map(|graph| graph.tokens)
            .sum()
    }

    fn open(&mut self, prompts: &[&[Prompt]], _: Asking) {
        self.prompts = prompts.iter().copied().flatten().cloned().collect();
        self.encoded = vec![None; self.prompts.len()];
        self.caches = vec![None; self.prompts.len()];
        self.states.clear();
        self.batches.clear();
    }

    fn answer(&mut self, rows: &[Row<'_>]) -> Result<Answers, Error> {
        let mut out = Output::new(rows);
        self.encode(rows)?;
        // By the lengths of encoder's and decoder's texts.
        let mut begun: BTreeMap<(usize, usize), Vec<Text>> = BTreeMap::new();
        let mut going_on: BTreeMap<(usize, usize, usize), Vec<usize>> = BTreeMap::new();
        let mut places: BTreeMap<(usize, &[u32]), usize> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            let Prompt { encoder, before, .. } = &self.prompts[row.prompt];
            let continuation: &[u32] = if self.step.is_some() { &[] } else { &row.continuation };
            let asks = self.step.is_none() || row.continuation.is_empty();
            if asks || self.caches[row.prompt].is_none() {
                let tokens = [&before[..], continuation].concat();
                let texts = begun.entry((encoder.len(), tokens.len())).or_default();
                let at = *places.entry((row.prompt, continuation)).or_insert_with(|| {
                    texts.push(Text { prompt: row.prompt, tokens, asks: Vec::new() });
                    texts.len() - 1
                });
                texts[at].asks.extend(asks.then_some(index));
            }
            if !asks {
                let lengths = (encoder.len(), before.len(), row.continuation.len());
                going_on.entry(lengths).or_default().push(index);
            }
        }
        let keep = self.step.is_some();
        for ((encoder_length, _), texts) in begun {
            self.begin(&texts, encoder_length, keep, rows, &mut out)?;
        }
        if let Some(step) = self.step {
            for (lengths, indices) in going_on {
                self.go_on(lengths, &indices, step, rows, &mut out)?;
            }
        }
        Ok(vec![out.values()])
    }
}
