//! A causal model whose graph kgbuild wrote: trees of tokens ride in one run without padding.
//!
//! What prompts begin with alike is computed once, and what all prompts of a relation begin with
//! (a template's words, examples) once for all its chunks. With a LoRA adapter the finetuned and
//! the base model are one session: their rows ride together, told apart by a switch.
//!
//! A row's numbers are the same for any token budget. Which rows are asked in one call, and which
//! prompts are opened together, may change their last bits.

use std::collections::BTreeMap;
use std::path::Path;

use ort::session::Session;

use self::cache::KeyValueCache;
use self::graph::{Given, Graph};
use self::tree::Tree;
use super::output::Output;
use super::{Answers, CacheUse, Error, LanguageModel, Prompt, Row, prefixes};
use crate::onnx::Head;

mod cache;
mod graph;
mod tree;

/// One model, or a finetuned model and its base, in one session with a packed graph.
pub struct PackedModel {
    graph: Graph,
    head: Head,
    models: usize,
    token_budget: usize,
    cache: KeyValueCache,
    /// By model, what all its prompts begin with; its slots come first in the cache.
    common: Vec<Text>,
    /// By model and prompt.
    prompts: Vec<Vec<Text>>,
    /// Whether what some prompts begin with was computed.
    begun: bool,
}

/// A text, and the cache's slots of its first tokens, as far as they were computed.
#[derive(Clone, Debug, Default)]
struct Text {
    tokens: Vec<u32>,
    slots: Vec<u32>,
}

impl Text {
    fn computed(&self) -> bool {
        self.slots.len() == self.tokens.len()
    }

    fn rest(&self) -> &[u32] {
        &self.tokens[self.slots.len()..]
    }
}

impl PackedModel {
    /// A session with a packed graph. `models` is 2 where the graph has an adapter and answers for
    /// the finetuned model and the base; else it is 1: the finetuned one where there is an adapter.
    ///
    /// `file` is how errors call the model, `head` its output matrix; `token_budget` the tokens of
    /// one batch.
    ///
    /// # Errors
    /// Where the graph is not one of kgbuild's.
    pub fn new(
        session: Session,
        file: &Path,
        head: Head,
        models: usize,
        token_budget: usize,
    ) -> Result<Self, Error> {
        let graph = Graph::new(session, file, head.sizes())?;
        let cache = KeyValueCache::new(graph.layers, graph.slot);
        let common = vec![Text::default(); models];
        let token_budget = token_budget.max(1);
        let prompts = Vec::new();
        Ok(Self { graph, head, models, token_budget, cache, common, prompts, begun: false })
    }

    /// Computes trees, takes what they were asked, and gives, where their tokens are kept, each
    /// tree's slots.
    fn compute(
        &mut self,
        trees: Vec<Tree>,
        rows: &[Row<'_>],
        keep: bool,
        answers: &mut [Output],
    ) -> Result<Vec<(Tree, Vec<u32>)>, Error> {
        let mut kept = Vec::new();
        for (shape, trees) in tree::runs(trees, self.token_budget) {
            let mut slot = self.cache.slots() as u32;
            let answered = self.graph.run(shape, &trees, rows, &mut self.cache, keep)?;
            let asking = trees.iter().flat_map(|tree| tree.asks.iter().map(|_| tree.model));
            for (model, (index, given)) in asking.zip(answered.rows()) {
                let row = &rows[index];
                let taken = match given {
                    Given::Logits(logits) => answers[model].take(index, row, logits),
                    Given::Hidden(hidden) => {
                        let loaded = self.head.load(&row.wanted);
                        loaded.map_err(|error| Error::Weights(Box::new(error)))?;
                        let logit = |token| self.head.logit(hidden, token);
                        answers[model].take_relative(index, row, logit)
                    }
                };
                taken.map_err(|()| Error::NotANumber {
                    model: self.graph.name().to_owned(),
                    prompt: self.prompts[model][row.prompt].tokens.clone(),
                })?;
            }
            if keep {
                for tree in trees {
                    let end = slot + tree.tokens.len() as u32;
                    kept.push((tree, (slot..end).collect()));
                    slot = end;
                }
            }
        }
        Ok(kept)
    }

    /// Computes what all prompts of a model begin with, and then what some of them do.
    fn begin(&mut self) -> Result<(), Error> {
        let common = self.common.iter().enumerate().filter(|(_, text)| !text.computed());
        let trees = common.map(|(model, text)| Tree::chain(model, 0, &text.slots, text.rest()));
        for (tree, slots) in self.compute(trees.collect(), &[], true, &mut [])? {
            self.common[tree.model].slots = slots;
        }
        let mut trees = Vec::new();
        let mut members = Vec::new();
        for (model, (prompts, common)) in self.prompts.iter_mut().zip(&self.common).enumerate() {
            prompts.iter_mut().for_each(|text| text.slots.clone_from(&common.slots));
            let rests: Vec<&[u32]> = prompts.iter().map(Text::rest).collect();
            for (length, prompts) in prefixes::beginnings(&rests) {
                let tokens = &rests[prompts[0]][..length];
                trees.push(Tree::chain(model, members.len(), &common.slots, tokens));
                members.push(prompts);
            }
        }
        for (tree, slots) in self.compute(trees, &[], true, &mut [])? {
            for &prompt in &members[tree.text] {
                self.prompts[tree.model][prompt].slots.extend(&slots);
            }
        }
        self.begun = true;
        Ok(())
    }

    /// Computes the prompts of `asked` that were not computed, and what rows ask after the last
    /// tokens of these.
    fn compute_prompts(
        &mut self,
        asked: &BTreeMap<usize, Vec<usize>>,
        rows: &[Row<'_>],
        answers: &mut [Output],
    ) -> Result<(), Error> {
        if !self.begun {
            self.begin()?;
        }
        let mut trees = Vec::new();
        for (model, prompts) in self.prompts.iter().enumerate() {
            for (&prompt, asked) in asked {
                let text = &prompts[prompt];
                let mut asks = asked.iter().copied().filter(|&r| rows[r].continuation.is_empty());
                let first = asks.next();
                if text.computed() && first.is_none() {
                    continue;
                }
                // One that is there is asked anew from its last token.
                let from = text.slots.len().min(text.tokens.len() - 1);
                let (past, rest) = (&text.slots[..from], &text.tokens[from..]);
                let mut tree = Tree::chain(model, prompt, past, rest);
                let last = rest.len() as u32 - 1;
                tree.asks = first.into_iter().chain(asks).map(|row| (last, row)).collect();
                trees.push(tree);
            }
        }
        for (tree, slots) in self.compute(trees, rows, true, answers)? {
            let text = &mut self.prompts[tree.model][tree.text];
            text.slots.truncate(tree.past.len());
            text.slots.extend(slots);
        }
        Ok(())
    }

    /// Answers what rows ask after continuations, behind the prompts in the cache.
    fn compute_continuations(
        &mut self,
        asked: &BTreeMap<usize, Vec<usize>>,
        rows: &[Row<'_>],
        answers: &mut [Output],
    ) -> Result<(), Error> {
        let mut trees = Vec::new();
        for (model, prompts) in self.prompts.iter().enumerate() {
            for (&prompt, asked) in asked {
                let continued: Vec<(usize, &[u32])> = asked
                    .iter()
                    .filter(|&&row| !rows[row].continuation.is_empty())
                    .map(|&row| (row, &rows[row].continuation[..]))
                    .collect();
                trees.extend(tree::branches(model, prompt, &prompts[prompt].slots, &continued));
            }
        }
        self.compute(trees, rows, false, answers)?;
        Ok(())
    }
}

impl LanguageModel for PackedModel {
    fn models(&self) -> usize {
        self.models
    }

    fn vocabulary(&self) -> usize {
        self.graph.vocabulary
    }

    fn cache(&self) -> CacheUse {
        CacheUse::AnyNumber
    }

    fn tokens(&self) -> u64 {
        self.graph.tokens
    }

    fn open(&mut self, prompts: &[&[Prompt]]) {
        let prompts = prompts.iter().map(|prompts| {
            let text = |prompt: &Prompt| Text { tokens: prompt.before.clone(), slots: Vec::new() };
            prompts.iter().map(text).collect::<Vec<Text>>()
        });
        self.prompts = prompts.collect();
        let common = |prompts: &Vec<Text>| {
            let tokens: Vec<&[u32]> = prompts.iter().map(|text| &text.tokens[..]).collect();
            prefixes::common(&tokens).to_vec()
        };
        let common: Vec<Vec<u32>> = self.prompts.iter().map(common).collect();
        if common.iter().zip(&self.common).any(|(new, old)| *new != old.tokens) {
            let text = |tokens| Text { tokens, slots: Vec::new() };
            self.common = common.into_iter().map(text).collect();
        }
        self.cache.truncate(self.common.iter().map(|common| common.slots.len()).sum());
        self.begun = false;
    }

    fn answer(&mut self, rows: &[Row<'_>]) -> Result<Answers, Error> {
        let mut asked: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            asked.entry(row.prompt).or_default().push(index);
        }
        let mut answers: Vec<Output> = (0..self.models).map(|_| Output::new(rows)).collect();
        self.compute_prompts(&asked, rows, &mut answers)?;
        self.compute_continuations(&asked, rows, &mut answers)?;
        Ok(answers.into_iter().map(Output::values).collect())
    }
}
