//! Exported masked language models (BERT, RoBERTa and their kin), which read both sides of the
//! object's place.
//!
//! A row's continuation is what stands in the object's place: tokens of a candidate, and masks for
//! those that are not told. The row asks at one of its places. Rows that differ only in what they
//! want are computed once.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ort::session::Session;

use super::export::{Batching, Feed, Graph};
use super::output::Output;
use super::{Answers, Asking, Error, LanguageModel, Prompt, Row};

/// A masked model in one ONNX Runtime session.
pub struct MaskedModel {
    graph: Graph,
    vocabulary: usize,
    batching: Batching,
    prompts: Vec<Prompt>,
}

impl MaskedModel {
    /// Finds the family's inputs and outputs in the graph of a session, and tries it on a token.
    ///
    /// `file` is how errors call the model.
    ///
    /// # Errors
    /// Where the graph's inputs or outputs are not a masked language model's, which are then named,
    /// or where it cannot be run.
    pub fn new(session: Session, file: &Path, batching: Batching) -> Result<Self, Error> {
        let mut graph = Graph::new(session, file)?;
        if !graph.places().is_empty() {
            let problem = "it takes a cache, as no masked language model does".to_owned();
            return Err(graph.wrong(problem));
        }
        let vocabulary = graph.probe(None)?;
        Ok(Self { graph, vocabulary, batching, prompts: Vec::new() })
    }

    fn run(
        &mut self,
        length: usize,
        texts: &[Text],
        rows: &[Row<'_>],
        out: &mut Output,
    ) -> Result<(), Error> {
        for texts in texts.chunks(self.batching.rows(length)) {
            let sequences: Vec<Vec<u32>> = texts.iter().map(|text| text.tokens.clone()).collect();
            let mut positions = Vec::new();
            let mut asking = Vec::new();
            for (row, text) in texts.iter().enumerate() {
                for (&place, asks) in &text.asks {
                    positions.push(row * length + place);
                    asking.push(asks);
                }
            }
            let ran = self.graph.run(&Feed::new(&sequences, &positions))?;
            for (at, asks) in asking.into_iter().enumerate() {
                for &index in asks {
                    out.take(index, &rows[index], ran.row(at)).map_err(|()| Error::NotANumber {
                        model: self.graph.name().to_owned(),
                        prompt: self.prompts[rows[index].prompt].before.clone(),
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// A filled-in text, and by place the rows that ask there.
struct Text {
    tokens: Vec<u32>,
    asks: BTreeMap<usize, Vec<usize>>,
}

impl LanguageModel for MaskedModel {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn tokens(&self) -> u64 {
        self.graph.tokens
    }

    fn open(&mut self, prompts: &[&[Prompt]], _: Asking) {
        self.prompts = prompts.iter().copied().flatten().cloned().collect();
    }

    fn answer(&mut self, rows: &[Row<'_>]) -> Result<Answers, Error> {
        let mut by_length: BTreeMap<usize, Vec<Text>> = BTreeMap::new();
        let mut found: HashMap<(usize, &[u32]), (usize, usize)> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            let Prompt { before, after, .. } = &self.prompts[row.prompt];
            let (length, at) =
                *found.entry((row.prompt, &row.continuation[..])).or_insert_with(|| {
                    let tokens = [&before[..], &row.continuation, after].concat();
                    let length = tokens.len();
                    let texts = by_length.entry(length).or_default();
                    texts.push(Text { tokens, asks: BTreeMap::new() });
                    (length, texts.len() - 1)
                });
            if let Some(texts) = by_length.get_mut(&length) {
                texts[at].asks.entry(before.len() + row.place).or_default().push(index);
            }
        }
        let mut out = Output::new(rows);
        for (length, texts) in by_length {
            self.run(length, &texts, rows, &mut out)?;
        }
        Ok(vec![out.values()])
    }
}
