//! Causal language models as ONNX graphs, with or without a key-value cache.
//!
//! No batch is ever padded: rows of equal length ride together. So an export needs no attention
//! mask to be right, and a row's numbers do not depend on its neighbours.
//!
//! With a cache, a prompt is computed once and every continuation starts from its keys and
//! values; without, prompt and continuation are computed together each time.

use std::collections::BTreeMap;
use std::path::Path;

use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};

use super::{Error, LanguageModel, Row, logits};

/// A causal model in one ONNX Runtime session.
pub struct CausalModel {
    session: Session,
    name: String,
    inputs: Inputs,
    vocabulary: usize,
    context: Option<usize>,
    token_budget: usize,
    prompts: Vec<Vec<u32>>,
    /// By prompt: where its keys and values are, once it was computed.
    caches: Vec<Option<CacheRow>>,
    batches: Vec<Vec<DynValue>>,
}

/// What the graph asks for besides `input_ids`.
struct Inputs {
    attention_mask: bool,
    position_ids: bool,
    use_cache_branch: bool,
    past: Vec<Past>,
    /// Whether the graph gives the cache back.
    cached: bool,
}

/// One of the cache's inputs and the output that feeds it, [batch, heads, past, head size].
struct Past {
    input: String,
    output: String,
    heads: usize,
    head_size: usize,
}

/// A row of a batch of keys and values.
#[derive(Clone, Copy)]
struct CacheRow {
    batch: usize,
    row: usize,
}

impl CausalModel {
    /// Finds the family's inputs and outputs in a session's graph.
    ///
    /// `name` is how errors call the model; `context` what its configuration says a sequence may
    /// have; `token_budget` the tokens of one batch.
    ///
    /// # Errors
    /// Where the graph's inputs or outputs are not a causal language model's; they are named.
    pub fn new(
        session: Session,
        name: &Path,
        context: Option<usize>,
        token_budget: usize,
    ) -> Result<Self, Error> {
        let name = name.display().to_string();
        let graph = |problem: String| Error::Graph { model: name.clone(), problem };
        let inputs = Inputs::find(&session).map_err(graph)?;
        let logits = outlet(session.outputs(), "logits").ok_or_else(|| {
            let names: Vec<&str> = session.outputs().iter().map(Outlet::name).collect();
            graph(format!("no output `logits`, as a language model has (outputs: {names:?})"))
        })?;
        let (ty, shape) = tensor(logits).map_err(graph)?;
        let vocabulary = match shape[..] {
            [_, _, v] if v > 0 && ty == TensorElementType::Float32 => v as usize,
            _ => {
                return Err(graph(format!(
                    "`logits` is {ty} {shape:?}, expected f32 [batch, sequence, vocabulary]"
                )));
            }
        };
        Ok(Self {
            session,
            name,
            inputs,
            vocabulary,
            context,
            token_budget: token_budget.max(1),
            prompts: Vec::new(),
            caches: Vec::new(),
            batches: Vec::new(),
        })
    }

    /// Runs sequences of equal length behind the caches `past` (none: from the start).
    ///
    /// Gives ln p of each row's wanted tokens to `take`, and keeps the cache if `keep`.
    fn run(
        &mut self,
        sequences: &[Vec<u32>],
        past: &[CacheRow],
        past_length: usize,
        keep: bool,
    ) -> Result<Batch, Error> {
        let (rows, length) = (sequences.len(), sequences[0].len());
        let runtime = |source| Error::Runtime { model: self.name.clone(), source };
        let inputs = self.inputs(sequences, past, past_length).map_err(runtime)?;
        let mut outputs = self.session.run(inputs).map_err(runtime)?;
        let kept = if keep {
            let values = self.inputs.past.iter().map(|p| outputs.remove(&p.output));
            values.collect::<Option<Vec<DynValue>>>().unwrap_or_default()
        } else {
            Vec::new()
        };
        let logits = outputs.remove("logits").ok_or_else(|| Error::Graph {
            model: self.name.clone(),
            problem: "it gave no logits".to_owned(),
        })?;
        let (shape, _) = logits.try_extract_tensor::<f32>().map_err(runtime)?;
        let positions = match shape[..] {
            [b, s, v]
                if b as usize == rows
                    && (s as usize == length || s == 1)
                    && v as usize == self.vocabulary =>
            {
                s as usize
            }
            _ => {
                return Err(Error::Graph {
                    model: self.name.clone(),
                    problem: format!(
                        "it gave logits of shape {shape:?} for {rows} x {length} tokens"
                    ),
                });
            }
        };
        Ok(Batch { logits, positions, vocabulary: self.vocabulary, kept })
    }

    fn inputs(
        &self,
        sequences: &[Vec<u32>],
        past: &[CacheRow],
        past_length: usize,
    ) -> ort::Result<Vec<(String, SessionInputValue<'static>)>> {
        let (rows, length) = (sequences.len(), sequences[0].len());
        let ids: Vec<i64> = sequences.iter().flatten().map(|&t| i64::from(t)).collect();
        let mut inputs: Vec<(String, SessionInputValue<'static>)> = Vec::new();
        let mut give = |name: &str, value: DynValue| inputs.push((name.to_owned(), value.into()));
        give("input_ids", Tensor::from_array(([rows, length], ids))?.into_dyn());
        if self.inputs.attention_mask {
            let all = past_length + length;
            let ones = vec![1_i64; rows * all];
            give("attention_mask", Tensor::from_array(([rows, all], ones))?.into_dyn());
        }
        if self.inputs.position_ids {
            let positions = (past_length..past_length + length).map(|p| p as i64);
            let positions: Vec<i64> = (0..rows).flat_map(|_| positions.clone()).collect();
            give("position_ids", Tensor::from_array(([rows, length], positions))?.into_dyn());
        }
        if self.inputs.use_cache_branch {
            give(
                "use_cache_branch",
                Tensor::from_array(([1_usize], vec![past_length > 0]))?.into_dyn(),
            );
        }
        for (at, tensor) in self.inputs.past.iter().enumerate() {
            let size = tensor.heads * past_length * tensor.head_size;
            let mut data = Vec::with_capacity(rows * size);
            for cache in past {
                let (_, values) = self.batches[cache.batch][at].try_extract_tensor::<f32>()?;
                data.extend_from_slice(&values[cache.row * size..(cache.row + 1) * size]);
            }
            let shape = [rows, tensor.heads, past_length, tensor.head_size];
            give(&tensor.input, Tensor::from_array((shape, data))?.into_dyn());
        }
        Ok(inputs)
    }

    /// Computes the prompts among `wanted` that were not, and keeps their caches.
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
                let batch = self.run(&sequences, &[], 0, true)?;
                for (row, &prompt) in prompts.iter().enumerate() {
                    self.caches[prompt] = Some(CacheRow { batch: self.batches.len(), row });
                    for &index in &asked[prompt] {
                        out.take(index, &rows[index], batch.row(row))
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
            if !self.inputs.cached || !row.continuation.is_empty() {
                let lengths = (self.prompts[row.prompt].len(), row.continuation.len());
                by_length.entry(lengths).or_default().push(index);
            }
        }
        for ((prompt, continuation), indices) in by_length {
            let (past, length) = if self.inputs.cached {
                (prompt, continuation)
            } else {
                (0, prompt + continuation)
            };
            for indices in indices.chunks((self.token_budget / length).max(1)) {
                let mut sequences = Vec::with_capacity(indices.len());
                let mut caches = Vec::new();
                for &index in indices {
                    let row = &rows[index];
                    if self.inputs.cached {
                        sequences.push(row.continuation.to_vec());
                        caches.extend(self.caches[row.prompt]);
                    } else {
                        sequences.push([&self.prompts[row.prompt], &row.continuation[..]].concat());
                    }
                }
                let batch = self.run(&sequences, &caches, past, false)?;
                for (at, &index) in indices.iter().enumerate() {
                    let row = &rows[index];
                    out.take(index, row, batch.row(at)).map_err(|()| self.nan(row.prompt))?;
                }
            }
        }
        Ok(())
    }

    fn nan(&self, prompt: usize) -> Error {
        Error::NotANumber { model: self.name.clone(), prompt: self.prompts[prompt].clone() }
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
        if self.inputs.cached {
            self.compute_prompts(rows, &mut out)?;
        }
        self.compute_continuations(rows, &mut out)?;
        Ok(out.values)
    }
}

/// A batch's logits, and its keys and values where they are kept.
struct Batch {
    logits: DynValue,
    positions: usize,
    vocabulary: usize,
    kept: Vec<DynValue>,
}

impl Batch {
    /// The logits after the last token of a row.
    fn row(&self, row: usize) -> &[f32] {
        let last = (row + 1) * self.positions - 1;
        match self.logits.try_extract_tensor::<f32>() {
            Ok((_, logits)) => &logits[last * self.vocabulary..(last + 1) * self.vocabulary],
            Err(_) => unreachable!("its type was looked at when the batch was made"),
        }
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

impl Inputs {
    fn find(session: &Session) -> Result<Self, String> {
        let (inputs, outputs) = (session.inputs(), session.outputs());
        let ids = outlet(inputs, "input_ids").ok_or_else(|| {
            let names: Vec<&str> = inputs.iter().map(Outlet::name).collect();
            format!("no input `input_ids`, as a causal language model has (inputs: {names:?})")
        })?;
        if tensor(ids)?.0 != TensorElementType::Int64 {
            return Err(format!("`input_ids` is {}, expected int64", tensor(ids)?.0));
        }
        let known = ["input_ids", "attention_mask", "position_ids", "use_cache_branch"];
        let mut past = Vec::new();
        let mut unknown = Vec::new();
        for input in inputs {
            match input.name().strip_prefix("past_key_values") {
                Some(rest) => past.push(Past::find(input, rest)?),
                None if !known.contains(&input.name()) => unknown.push(input.name()),
                None => {}
            }
        }
        if !unknown.is_empty() {
            return Err(format!(
                "no causal language model that kgbuild knows has the inputs {unknown:?}"
            ));
        }
        let has = |name| outlet(inputs, name).is_some();
        let use_cache_branch = has("use_cache_branch");
        let gives_back = past.iter().all(|p| outlet(outputs, &p.output).is_some());
        Ok(Self {
            attention_mask: has("attention_mask"),
            position_ids: has("position_ids"),
            use_cache_branch,
            cached: !past.is_empty() && gives_back,
            past,
        })
    }
}

impl Past {
    fn find(input: &Outlet, rest: &str) -> Result<Self, String> {
        match tensor(input)? {
            (TensorElementType::Float32, [_, heads, _, head_size])
                if *heads > 0 && *head_size > 0 =>
            {
                Ok(Self {
                    input: input.name().to_owned(),
                    output: format!("present{rest}"),
                    heads: *heads as usize,
                    head_size: *head_size as usize,
                })
            }
            (ty, shape) => Err(format!(
                "cache input `{}` is {ty} {shape:?}, expected f32 [batch, heads, past, head size] \
                 with fixed heads and head size",
                input.name()
            )),
        }
    }
}

fn outlet<'o>(outlets: &'o [Outlet], name: &str) -> Option<&'o Outlet> {
    outlets.iter().find(|o| o.name() == name)
}

fn tensor(outlet: &Outlet) -> Result<(TensorElementType, &[i64]), String> {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => Ok((*ty, shape)),
        other => Err(format!("`{}` is {other}, expected a tensor", outlet.name())),
    }
}
