//! A packed graph in a session: trees of tokens in, what was asked of them out. Its inputs and
//! outputs are told at [`crate::onnx::decoder_graph`].

use std::path::Path;

use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorRef, ValueType};

use super::cache::KeyValueCache;
use super::tree::{Shape, Tree};
use crate::lm::{Error, Row};
use crate::onnx::{ADAPTED, UNSEEN};

/// A row that asks for more tokens than this is answered from the whole vocabulary's output.
const MOST_TOKENS: usize = 1024;

/// Products with weights in blocks take so many rows at a time, and add up otherwise (by some 3e-7) where
/// one is left over: then another one rides along, which nobody asked for.
const STRIPE: usize = 128;

/// A session with a packed graph.
pub(super) struct Graph {
    session: Session,
    name: String,
    /// Whether it multiplies with weights in blocks.
    in_blocks: bool,
    /// Whether it takes a switch between base and finetuned model.
    pub adapted: bool,
    pub vocabulary: usize,
    pub layers: usize,
    /// Numbers of a token's keys in one layer.
    pub slot: usize,
    /// Numbers of a hidden state.
    width: usize,
    /// How many it computed.
    pub tokens: u64,
}

/// Which output has an answer, and in which of its rows.
#[derive(Clone, Copy)]
enum Output {
    Whole(usize),
    Part(usize),
}

/// What a run gave to its trees' asks.
pub(super) struct Answered {
    /// For each ask in the order of the trees: the row, and where its answer is.
    asks: Vec<(usize, Output)>,
    probabilities: DynValue,
    hidden: DynValue,
    vocabulary: usize,
    width: usize,
}

/// What a row gets.
pub(super) enum Given<'a> {
    /// ln p of the whole vocabulary.
    Probabilities(&'a [f32]),
    /// A hidden state, from which the head makes the logits of single tokens.
    Hidden(&'a [f32]),
}

impl Graph {
    /// Finds the sizes of a packed graph in its session; its logits and hidden states have those of
    /// its `head`.
    pub(super) fn new(
        session: Session,
        file: &Path,
        head: [usize; 2],
        in_blocks: bool,
    ) -> Result<Self, Error> {
        let name = file.display().to_string();
        let size = |name: &str, axis: usize, outlets: &[ort::value::Outlet]| {
            let found = outlets.iter().find(|outlet| outlet.name() == name)?;
            match found.dtype() {
                ValueType::Tensor { shape, .. } => {
                    usize::try_from(*shape.get(axis)?).ok().filter(|&size| size > 0)
                }
                _ => None,
            }
        };
        let inputs = session.inputs();
        let layers = inputs
            .iter()
            .filter(|i| i.name().strip_prefix("cache.").is_some_and(|rest| rest.ends_with(".key")));
        let (layers, adapted) = (layers.count(), inputs.iter().any(|i| i.name() == ADAPTED));
        let slot = size("cache.0.key", 1, inputs);
        let sizes = ["log_probabilities", "hidden"].map(|name| size(name, 1, session.outputs()));
        let (Some(slot), true) = (slot, sizes == head.map(Some)) else {
            let problem = "it takes trees of tokens, but its sizes are not those that kgbuild \
                           writes; remove the folder, it is made again"
                .to_owned();
            return Err(Error::Graph { model: name, problem });
        };
        let [vocabulary, width] = head;
        Ok(Self { session, name, in_blocks, adapted, vocabulary, layers, slot, width, tokens: 0 })
    }

    /// How errors call the model.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Computes trees behind what is in `cache`, and adds all their tokens to it if `keep`.
    pub(super) fn run(
        &mut self,
        shape: Shape,
        trees: &[Tree],
        rows: &[Row<'_>],
        cache: &mut KeyValueCache,
        keep: bool,
    ) -> Result<Answered, Error> {
        let mut batch = Batch::new(shape, trees, rows);
        let count = batch.tokens.len();
        if self.in_blocks {
            batch.leave_none_over();
        }
        let failed = |source| Error::Runtime { model: self.name.clone(), source };
        let nothing = vec![0.0; self.slot];
        let inputs = batch.inputs(self.adapted, cache, &nothing).map_err(failed)?;
        let mut outputs = self.session.run(inputs).map_err(failed)?;
        self.tokens += count as u64;
        let mut output = |name: &str| {
            let value = outputs.remove(name).filter(|v| v.try_extract_tensor::<f32>().is_ok());
            value.ok_or_else(|| Error::Graph {
                model: self.name.clone(),
                problem: format!("it gave no `{name}` in f32"),
            })
        };
        let (probabilities, hidden) = (output("log_probabilities")?, output("hidden")?);
        if keep {
            for layer in 0..self.layers {
                for (which, what) in ["key", "value"].iter().enumerate() {
                    let new = &outputs[format!("new.{layer}.{what}")];
                    let (_, values) = new.try_extract_tensor::<f32>().map_err(failed)?;
                    cache.extend(layer, which, &values[..count * self.slot]);
                }
            }
        }
        let (vocabulary, width) = (self.vocabulary, self.width);
        Ok(Answered { asks: batch.asks, probabilities, hidden, vocabulary, width })
    }
}

impl Answered {
    /// Each asking row with what it gets.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, Given<'_>)> {
        let (probabilities, hidden) = (numbers(&self.probabilities), numbers(&self.hidden));
        let (vocabulary, width) = (self.vocabulary, self.width);
        let of = move |&(row, output): &(usize, Output)| match output {
            Output::Whole(at) => {
                (row, Given::Probabilities(&probabilities[at * vocabulary..][..vocabulary]))
            }
            Output::Part(at) => (row, Given::Hidden(&hidden[at * width..][..width])),
        };
        self.asks.iter().map(of)
    }
}

/// The numbers of a value that was seen to be a tensor of them.
fn numbers(value: &DynValue) -> &[f32] {
    match value.try_extract_tensor::<f32>() {
        Ok((_, numbers)) => numbers,
        Err(_) => unreachable!("its type was looked at when the run was made"),
    }
}

/// The inputs of a run.
struct Batch {
    tokens: Vec<i64>,
    positions: Vec<i64>,
    finetuned: Vec<f32>,
    trees: Vec<i64>,
    seen: Vec<i64>,
    mask: Vec<f32>,
    places: Vec<i64>,
    wanted: Vec<i64>,
    whole: Vec<i64>,
    part: Vec<i64>,
    asks: Vec<(usize, Output)>,
    count: usize,
    shape: Shape,
}

impl Batch {
    fn new(shape: Shape, trees: &[Tree], rows: &[Row<'_>]) -> Self {
        let (count, Shape { width, past }) = (trees.len(), shape);
        let mut batch = Self {
            tokens: Vec::new(),
            positions: Vec::new(),
            finetuned: Vec::new(),
            trees: vec![0; count * width],
            seen: vec![0; count * past],
            mask: vec![UNSEEN; count * width * (past + width)],
            places: Vec::new(),
            wanted: Vec::new(),
            whole: Vec::new(),
            part: Vec::new(),
            asks: Vec::new(),
            count,
            shape,
        };
        for (at, tree) in trees.iter().enumerate() {
            batch.add(at, tree);
            for &(place, row) in &tree.asks {
                let wanted = batch.wanted.len() as i64;
                let first = batch.tokens.len() - tree.tokens.len();
                batch.wanted.push((first + place as usize) as i64);
                let few = rows[row].wanted.len() <= MOST_TOKENS;
                let output = if rows[row].relative && few {
                    batch.part.push(wanted);
                    Output::Part(batch.part.len() - 1)
                } else {
                    batch.whole.push(wanted);
                    Output::Whole(batch.whole.len() - 1)
                };
                batch.asks.push((row, output));
            }
        }
        batch
    }

    /// Adds a row to each list of rows of which one would be left over.
    fn leave_none_over(&mut self) {
        let is_over = |rows: usize| rows % STRIPE == 1;
        if is_over(self.tokens.len()) {
            self.tokens.push(0);
            self.positions.push(0);
            self.finetuned.push(0.0);
            // It is in no tree; what is read for it is another's.
            self.places.push(0);
        }
        for rows in [&mut self.wanted, &mut self.whole] {
            if is_over(rows.len()) {
                rows.push(0);
            }
        }
    }

    /// Adds a tree's tokens, in the places of tree number `at`.
    fn add(&mut self, at: usize, tree: &Tree) {
        let Shape { width, past } = self.shape;
        let first = self.tokens.len() as i64;
        let depths = tree.depths();
        self.tokens.extend(tree.tokens.iter().map(|&token| i64::from(token)));
        self.positions.extend(depths.iter().map(|&d| tree.past.len() as i64 + i64::from(d)));
        // The finetuned model is the first.
        let switch = if tree.model == 0 { 1.0 } else { 0.0 };
        self.finetuned.extend(std::iter::repeat_n(switch, tree.tokens.len()));
        for (to, &slot) in self.seen[at * past..].iter_mut().zip(&tree.past) {
            *to = i64::from(slot);
        }
        for place in 0..width {
            // Places that no token takes show one that is there, and are read by none.
            let token = if place < tree.tokens.len() { place } else { 0 };
            self.trees[at * width + place] = first + token as i64;
        }
        for (place, _) in tree.tokens.iter().enumerate() {
            self.places.push((at * width + place) as i64);
            let row = (at * width + place) * (past + width);
            let scores = &mut self.mask[row..row + past + width];
            scores[..tree.past.len()].fill(0.0);
            let mut seen = Some(place as u32);
            while let Some(ancestor) = seen {
                scores[past + ancestor as usize] = 0.0;
                seen = tree.parents[ancestor as usize];
            }
        }
    }

    fn inputs<'a>(
        &'a self,
        adapted: bool,
        cache: &'a KeyValueCache,
        nothing: &'a [f32],
    ) -> ort::Result<Vec<(String, SessionInputValue<'a>)>> {
        let mut inputs: Vec<(String, SessionInputValue<'a>)> = Vec::new();
        let Shape { width, past } = self.shape;
        let list = |values: &[i64]| Tensor::from_array(([values.len()], values.to_vec()));
        for (name, values) in [
            ("tokens", &self.tokens),
            ("positions", &self.positions),
            ("places", &self.places),
            ("wanted", &self.wanted),
            ("whole", &self.whole),
            ("part", &self.part),
        ] {
            inputs.push((name.to_owned(), list(values)?.into()));
        }
        let trees = TensorRef::from_array_view(([self.count, width], &self.trees[..]))?;
        inputs.push(("trees".to_owned(), trees.into()));
        let seen = Tensor::from_array(([self.count, past], self.seen.clone()))?;
        inputs.push(("seen".to_owned(), seen.into()));
        let mask = ([self.count, width, past + width], &self.mask[..]);
        inputs.push(("mask".to_owned(), TensorRef::from_array_view(mask)?.into()));
        if adapted {
            let switch = ([self.finetuned.len(), 1], &self.finetuned[..]);
            inputs.push((ADAPTED.to_owned(), TensorRef::from_array_view(switch)?.into()));
        }
        for layer in 0..cache.layers() {
            for (which, what) in ["key", "value"].iter().enumerate() {
                // An empty cache has a slot that nothing sees.
                let values = if cache.slots() == 0 { nothing } else { cache.values(layer, which) };
                let shape = [values.len() / cache.size(), cache.size()];
                let values = TensorRef::from_array_view((shape, values))?;
                inputs.push((format!("cache.{layer}.{what}"), values.into()));
            }
        }
        Ok(inputs)
    }
}
