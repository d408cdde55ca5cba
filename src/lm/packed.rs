//! A causal model whose graph kgbuild wrote: trees of tokens ride in one run without padding.
//!
//! What prompts begin with alike is computed once, and what all prompts of a call begin with (a
//! template's words, examples) once for all calls that begin so. With a LoRA adapter the finetuned and
//! the base model are one session: their rows ride together, told apart by a switch.
//!
//! A row's numbers are the same bits for any token budget, and whatever rows and prompts are asked beside
//! it: attention adds up in the order of a text's tokens, and what it does not see adds nothing.

use std::collections::BTreeMap;
use std::path::Path;

use ort::session::Session;

use self::branches::{Branches, Known};
use self::cache::KeyValueCache;
use self::graph::{Given, Graph};
use self::tree::{Due, Tree};
use super::output::Output;
use super::{Answers, Asking, CacheUse, Error, LanguageModel, Prompt, Row, prefixes};
use crate::onnx::Head;

mod branches;
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
    /// By model, what all its prompts begin with; its slots are the cache's first.
    common: Vec<Text>,
    /// By model and prompt.
    prompts: Vec<Vec<Text>>,
    /// By model and prompt, the continuations in the cache.
    branches: Vec<Vec<Branches>>,
    /// Whether continuations are kept.
    asking: Asking,
    /// Whether what some of the first prompts that were asked begin with was computed.
    begun: bool,
}

/// The numbers of the rows that a model is asked, by prompt.
type RowsByPrompt = BTreeMap<usize, Vec<usize>>;

/// Bytes of keys and values up to which continuations are kept: later ones are computed anew.
const MOST_KEPT: usize = 1 << 29;

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
    /// `file` is how errors call the model, `head` its output matrix; `in_blocks` says whether it
    /// multiplies with weights in blocks, `token_budget` how many tokens are one batch.
    ///
    /// # Errors
    /// Where the graph is not one of kgbuild's.
    pub fn new(
        session: Session,
        file: &Path,
        head: Head,
        in_blocks: bool,
        models: usize,
        token_budget: usize,
    ) -> Result<Self, Error> {
        let graph = Graph::new(session, file, head.sizes(), in_blocks)?;
        let cache = KeyValueCache::new(graph.layers, graph.slot);
        let common = vec![Text::default(); models];
        let token_budget = token_budget.max(1);
        let (prompts, branches, asking) = (Vec::new(), Vec::new(), Asking::Once);
        Ok(Self {
            graph,
            head,
            models,
            token_budget,
            cache,
            common,
            prompts,
            branches,
            asking,
            begun: false,
        })
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
        let most_asks = tree::most_asks(self.graph.vocabulary);
        for (shape, trees) in tree::runs(trees, self.token_budget, most_asks) {
            let mut slot = self.cache.slots() as u32;
            let answered = self.graph.run(shape, &trees, rows, &mut self.cache, keep)?;
            let asking = trees.iter().flat_map(|tree| tree.asks.iter().map(|_| tree.model));
            for (model, (index, given)) in asking.zip(answered.rows()) {
                let row = &rows[index];
                let taken = match given {
                    Given::Probabilities(ln_p) => {
                        answers[model].take_given(index, row, |token| ln_p[token as usize])
                    }
                    Given::Hidden(hidden) => {
                        let loaded = self.head.load(&row.wanted);
                        loaded.map_err(|error| Error::Weights(Box::new(error)))?;
                        let logit = |token| self.head.logit(hidden, token);
                        answers[model].take_given(index, row, logit)
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

    /// Computes what all prompts of a model begin with, and then what some of those do that are asked.
    fn compute_shared(&mut self, asked: &[RowsByPrompt]) -> Result<(), Error> {
        let is_due = |(model, text): &(usize, &Text)| !text.computed() && !asked[*model].is_empty();
        let common = self.common.iter().enumerate().filter(is_due);
        let trees = common.map(|(model, text)| Tree::chain(model, 0, &text.slots, text.rest()));
        for (tree, slots) in self.compute(trees.collect(), &[], true, &mut [])? {
            self.common[tree.model].slots = slots;
        }
        let mut trees = Vec::new();
        let mut members = Vec::new();
        for (model, (prompts, common)) in self.prompts.iter_mut().zip(&self.common).enumerate() {
            let numbers: Vec<usize> = asked[model].keys().copied().collect();
            prompts.iter_mut().for_each(|text| text.slots.clone_from(&common.slots));
            let rests: Vec<&[u32]> = numbers.iter().map(|&prompt| prompts[prompt].rest()).collect();
            for (length, group) in prefixes::beginnings(&rests) {
                let beyond = group.iter().map(|&at| rests[at].len() - length);
                // What has room in one tree shares its beginning there.
                if length + beyond.sum::<usize>() > tree::MOST_TOKENS {
                    let tokens = &rests[group[0]][..length];
                    trees.push(Tree::chain(model, members.len(), &common.slots, tokens));
                    members.push(group.iter().map(|&at| numbers[at]).collect::<Vec<usize>>());
                }
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
        asked: &[RowsByPrompt],
        rows: &[Row<'_>],
        answers: &mut [Output],
    ) -> Result<(), Error> {
        if !self.begun {
            self.compute_shared(asked)?;
        }
        let (mut trees, mut members) = (Vec::new(), Vec::new());
        for (model, prompts) in self.prompts.iter().enumerate() {
            let ends = |prompt: usize| {
                let asked = asked[model][&prompt].iter().copied();
                asked.filter(|&row| rows[row].continuation.is_empty())
            };
            let mut due = Vec::new();
            for &prompt in asked[model].keys() {
                let text = &prompts[prompt];
                if !text.computed() || ends(prompt).next().is_some() {
                    // One that is there is asked anew from its last token.
                    let from = text.slots.len().min(text.tokens.len() - 1);
                    let (past, rest) = (&text.slots[..from], &text.tokens[from..]);
                    due.push(Due { past, rest, text: prompt });
                }
            }
            for (mut tree, texts) in tree::texts(model, due) {
                tree.text = members.len();
                for &(prompt, last) in &texts {
                    tree.asks.extend(ends(prompt).map(|row| (last, row)));
                }
                trees.push(tree);
                members.push(texts);
            }
        }
        for (tree, slots) in self.compute(trees, rows, true, answers)? {
            for &(prompt, last) in &members[tree.text] {
                let text = &mut self.prompts[tree.model][prompt];
                text.slots.truncate(tree.past.len());
                text.slots.extend(tree.way(last).iter().map(|&place| slots[place as usize]));
            }
        }
        Ok(())
    }

    /// Answers what rows ask after continuations, behind the prompts in the cache.
    fn compute_continuations(
        &mut self,
        asked: &[RowsByPrompt],
        rows: &[Row<'_>],
        answers: &mut [Output],
    ) -> Result<(), Error> {
        let keep = self.asking == Asking::Stepwise && self.cache.bytes() < MOST_KEPT;
        let mut trees = Vec::new();
        for (model, prompts) in self.prompts.iter().enumerate() {
            for (&prompt, asked) in &asked[model] {
                // What goes on from the same branch is computed together.
                let mut groups: BTreeMap<Known, Vec<(usize, &[u32])>> = BTreeMap::new();
                for &row in asked {
                    // The last token is what is asked after: it is computed even where it is there.
                    let continuation = &rows[row].continuation[..];
                    let Some((_, before)) = continuation.split_last() else { continue };
                    let known = self.branches[model][prompt].known(before);
                    let rest = &continuation[known.slots.len()..];
                    groups.entry(known).or_default().push((row, rest));
                }
                for (known, rows) in groups {
                    let past = [&prompts[prompt].slots[..], &known.slots].concat();
                    let root = Tree::chain(model, prompt, &past, &[]);
                    trees.extend(tree::branches(&Tree { behind: known.branch, ..root }, &rows));
                }
            }
        }
        for (tree, slots) in self.compute(trees, rows, keep, answers)? {
            let branches = &mut self.branches[tree.model][tree.text];
            let mut added: Vec<u32> = Vec::with_capacity(slots.len());
            for ((&token, parent), slot) in tree.tokens.iter().zip(&tree.parents).zip(slots) {
                let behind = parent.map_or(tree.behind, |parent| Some(added[parent as usize]));
                added.push(branches.add(behind, token, slot));
            }
        }
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

    fn open(&mut self, prompts: &[&[Prompt]], asking: Asking) {
        let prompts = prompts.iter().map(|prompts| {
            let text = |prompt: &Prompt| Text { tokens: prompt.before.clone(), slots: Vec::new() };
            prompts.iter().map(text).collect::<Vec<Text>>()
        });
        self.prompts = prompts.collect();
        let nothing = |prompts: &Vec<Text>| vec![Branches::default(); prompts.len()];
        self.branches = self.prompts.iter().map(nothing).collect();
        self.asking = asking;
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
        self.answer_some(rows, &vec![vec![true; rows.len()]; self.models])
    }

    fn answer_some(&mut self, rows: &[Row<'_>], is_asked: &[Vec<bool>]) -> Result<Answers, Error> {
        let mut asked = vec![RowsByPrompt::new(); self.models];
        for (asked, is_asked) in asked.iter_mut().zip(is_asked) {
            for (index, row) in rows.iter().enumerate().filter(|(index, _)| is_asked[*index]) {
                asked.entry(row.prompt).or_default().push(index);
            }
        }
        let mut answers: Vec<Output> = (0..self.models).map(|_| Output::new(rows)).collect();
        self.compute_prompts(&asked, rows, &mut answers)?;
        self.compute_continuations(&asked, rows, &mut answers)?;
        Ok(answers.into_iter().map(Output::values).collect())
    }
}
