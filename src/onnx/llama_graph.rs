//! A model of the Llama family as an ONNX graph in f32, with plain operators only.
//!
//! Inputs: `input_ids` and `position_ids` [batch, sequence], `attention_mask` [batch, past +
//! sequence], `past_key_values.{i}.key` and `.value` [batch, kv_heads, past, head_size], `past`
//! may be 0. Outputs: `logits` [batch, 1, vocabulary] after the last position only, and
//! `present.{i}.key` and `.value` [batch, kv_heads, past + sequence, head_size].
//!
//! No operator looks across rows: padding and the other rows of a batch are never summed with a
//! row's own values. Every weight is an initializer in external data under its Hugging Face name;
//! linear layers are stored `[in, out]`, as MatMul takes them.

use std::path::Path;

use super::Error;
use super::builder::{Attribute, Dim, Element, GraphBuilder, Tensor};
use super::checkpoint::{Weights, transpose};
use super::llama::{EMBEDDING, LAST_NORM, LlamaConfig, OUTPUT, layer_tensor};

/// Added to the score of what may not be seen. Finite, so that a row that sees nothing (padding)
/// gives numbers and not NaN; e^-1e9 is zero in f32.
const UNSEEN: f32 = -1e9;

/// Writes `graph` and, in the same folder, `data`.
///
/// # Errors
/// Where a weight cannot be read or a file not be written.
pub(super) fn write(
    config: &LlamaConfig,
    weights: &dyn Weights,
    graph: &Path,
    data: &Path,
) -> Result<(), Error> {
    let mut writer = Writer { config, weights, graph: GraphBuilder::new("llama", data)? };
    writer.model()?;
    writer.graph.finish(graph)
}

struct Writer<'a> {
    config: &'a LlamaConfig,
    weights: &'a dyn Weights,
    graph: GraphBuilder,
}

/// Cosines and sines of the positions, [batch, sequence, 1, head_size].
struct Rotation {
    cos: Tensor,
    /// Negative in the first half, as the rotation needs it.
    sin: Tensor,
}

/// What the queries of an attention layer need.
struct Queries {
    rotation: Rotation,
    /// What is added to the scores, [batch, 1, group * queries, past + sequence].
    mask: Tensor,
}

impl Writer<'_> {
    fn model(&mut self) -> Result<(), Error> {
        let sequence = [Dim::Named("batch"), Dim::Named("sequence")];
        let ids = self.graph.input("input_ids", Element::I64, &sequence);
        let seen = [Dim::Named("batch"), Dim::Named("past + sequence")];
        let attention_mask = self.graph.input("attention_mask", Element::I64, &seen);
        let positions = self.graph.input("position_ids", Element::I64, &sequence);

        let shape = [self.config.vocabulary, self.config.width];
        let embedding = self.graph.weight(EMBEDDING, &shape, &self.weights.read(EMBEDDING)?)?;
        let mut hidden = self.graph.gather(&embedding, &ids, 0);

        let rotation = self.rotation(&positions)?;
        let (mask, mask_of_last) = self.masks(&ids, &attention_mask);
        let all = Queries { rotation: self.scaled(&rotation), mask };
        let last_rotation =
            Rotation { cos: self.last(&all.rotation.cos), sin: self.last(&all.rotation.sin) };
        let last = Queries { rotation: last_rotation, mask: mask_of_last };

        for layer in 0..self.config.layers {
            // Only the last position goes on to the logits, so that the last layer computes keys
            // and values for all positions and the rest for that one.
            let is_last = layer + 1 == self.config.layers;
            let normed = self.norm(&hidden, &layer_tensor(layer, "input_layernorm"))?;
            let (queries, asking) = if is_last {
                hidden = self.last(&hidden);
                (&last, self.last(&normed))
            } else {
                (&all, normed.clone())
            };
            let attended = self.attention(layer, &asking, &normed, queries, &rotation)?;
            hidden = self.graph.add(&hidden, &attended);
            let normed = self.norm(&hidden, &layer_tensor(layer, "post_attention_layernorm"))?;
            let fed = self.feed_forward(layer, &normed)?;
            hidden = self.graph.add(&hidden, &fed);
        }
        let hidden = self.norm(&hidden, LAST_NORM)?;
        self.logits(&hidden, &embedding)
    }

    /// Gemm multiplies by the transposed matrix, so that a tied output reads the embedding as it
    /// is: it is stored once, and the runtime packs it for the product without a transposed copy.
    fn logits(&mut self, hidden: &Tensor, embedding: &Tensor) -> Result<(), Error> {
        let output = if self.config.tied {
            embedding.clone()
        } else {
            let shape = [self.config.vocabulary, self.config.width];
            self.graph.weight(OUTPUT, &shape, &self.weights.read(OUTPUT)?)?
        };
        let rows = self.graph.reshape(hidden, &[-1, self.config.width as i64]);
        let logits = self.graph.node("Gemm", &[&rows, &output], &[("transB", Attribute::Int(1))]);
        let logits = self.graph.unsqueeze(&logits, &[1]);
        let dims = [Dim::Named("batch"), Dim::Size(1), Dim::Size(self.config.vocabulary)];
        self.graph.output(logits, "logits", Element::F32, &dims);
        Ok(())
    }

    /// The last position of [batch, sequence, ...], as [batch, 1, ...].
    fn last(&mut self, tensor: &Tensor) -> Tensor {
        let last = self.graph.ints(&[-1]);
        self.graph.gather(tensor, &last, 1)
    }

    /// x / sqrt(mean(x²) + ε) · weight. These operators in this order are what runtimes know to
    /// replace by one.
    fn norm(&mut self, x: &Tensor, weight: &str) -> Result<Tensor, Error> {
        let weight =
            self.graph.weight(weight, &[self.config.width], &self.weights.read(weight)?)?;
        let (two, epsilon) = (self.graph.number(2.0), self.graph.number(self.config.rms_epsilon));
        let square = self.graph.node("Pow", &[x, &two], &[]);
        let last_axis = [("axes", Attribute::Ints(vec![-1])), ("keepdims", Attribute::Int(1))];
        let mean = self.graph.node("ReduceMean", &[&square], &last_axis);
        let sum = self.graph.add(&mean, &epsilon);
        let root = self.graph.node("Sqrt", &[&sum], &[]);
        let normed = self.graph.node("Div", &[x, &root], &[]);
        Ok(self.graph.mul(&normed, &weight))
    }

    /// x · W, W from the checkpoint's `[out, in]`.
    fn linear(&mut self, x: &Tensor, layer: usize, part: &str) -> Result<Tensor, Error> {
        let name = layer_tensor(layer, part);
        let shape = self.weights.shape(&name).unwrap_or_default();
        let &[out, inner] = shape.as_slice() else {
            unreachable!("LlamaConfig::check saw the shape of {name}")
        };
        let values = transpose(&self.weights.read(&name)?, out, inner);
        let weight = self.graph.weight(&name, &[inner, out], &values)?;
        Ok(self.graph.matmul(x, &weight))
    }

    /// The tables hold one number a pair; both halves of a head use the same.
    fn rotation(&mut self, positions: &Tensor) -> Result<Rotation, Error> {
        let frequencies = &self.config.rope_frequencies;
        let shape = [self.config.context, frequencies.len()];
        let table = |function: fn(f64) -> f64| -> Vec<f32> {
            let angles = (0..shape[0])
                .flat_map(|position| frequencies.iter().map(move |f| position as f64 * f));
            angles.map(|angle| function(angle) as f32).collect()
        };
        let cos = self.graph.weight("rope.cos", &shape, &table(f64::cos))?;
        let sin = self.graph.weight("rope.sin", &shape, &table(f64::sin))?;
        let cos = self.graph.gather(&cos, positions, 0);
        let sin = self.graph.gather(&sin, positions, 0);
        let minus = self.graph.node("Neg", &[&sin], &[]);
        let cos = self.graph.concat(&[&cos, &cos], -1);
        let sin = self.graph.concat(&[&minus, &sin], -1);
        Ok(Rotation {
            cos: self.graph.unsqueeze(&cos, &[2]),
            sin: self.graph.unsqueeze(&sin, &[2]),
        })
    }

    /// The rotation times 1/sqrt(head size): queries are then scaled by their rotation, once a run
    /// and not once a layer and score.
    fn scaled(&mut self, rotation: &Rotation) -> Rotation {
        let scale = self.graph.number((1.0 / (self.config.head_size as f64).sqrt()) as f32);
        Rotation {
            cos: self.graph.mul(&rotation.cos, &scale),
            sin: self.graph.mul(&rotation.sin, &scale),
        }
    }

    /// x cos + swap(x) sin, with the halves of each head swapped; x is [batch, sequence, heads,
    /// head_size].
    fn rotate(&mut self, x: &Tensor, by: &Rotation) -> Tensor {
        let half = (self.config.head_size / 2) as i64;
        let sizes = self.graph.ints(&[half, half]);
        let [first, second] =
            self.graph.node_with_outputs("Split", &[x, &sizes], &[("axis", Attribute::Int(-1))]);
        let swapped = self.graph.concat(&[&second, &first], -1);
        let along = self.graph.mul(x, &by.cos);
        let across = self.graph.mul(&swapped, &by.sin);
        self.graph.add(&along, &across)
    }

    /// What to add to the scores of all positions, and to those of the last.
    fn masks(&mut self, ids: &Tensor, attention_mask: &Tensor) -> (Tensor, Tensor) {
        let graph = &mut self.graph;
        let sequence = graph.size(ids, 1);
        let total = graph.size(attention_mask, 1);
        let (zero, one) = (graph.int(0), graph.int(1));
        let past = graph.node("Sub", &[&total, &sequence], &[]);
        let keys = graph.node("Range", &[&zero, &total, &one], &[]);
        let queries = graph.node("Range", &[&past, &total, &one], &[]);
        let queries = graph.unsqueeze(&queries, &[1]);
        let causal = graph.node("LessOrEqual", &[&keys, &queries], &[]);
        let present = graph.cast(attention_mask, Element::Bool);
        let present = graph.unsqueeze(&present, &[1]);
        let all = graph.node("And", &[&causal, &present], &[]);
        (self.mask(&all), self.mask(&present))
    }

    /// From what is seen, [batch, queries, keys], to what is added to the scores of a group of
    /// query heads, [batch, 1, group * queries, keys].
    fn mask(&mut self, seen: &Tensor) -> Tensor {
        let (zero, unseen) = (self.graph.number(0.0), self.graph.number(UNSEEN));
        let mask = self.graph.node("Where", &[seen, &zero, &unseen], &[]);
        let group = self.config.heads / self.config.kv_heads;
        let mask = self.graph.concat(&vec![&mask; group], 1);
        self.graph.unsqueeze(&mask, &[1])
    }

    /// Attention of `asking` over `seen` and the past. The query heads that share a key-value head
    /// are rows of one product, so that keys and values are never repeated.
    fn attention(
        &mut self,
        layer: usize,
        asking: &Tensor,
        seen: &Tensor,
        queries: &Queries,
        rotation: &Rotation,
    ) -> Result<Tensor, Error> {
        let heads = self.config.heads as i64;
        let kv_heads = self.config.kv_heads as i64;
        let head_size = self.config.head_size as i64;

        let query = self.linear(asking, layer, "self_attn.q_proj")?;
        let query = self.graph.reshape(&query, &[0, 0, heads, head_size]);
        let query = self.rotate(&query, &queries.rotation);
        let query = self.graph.transpose(&query, &[0, 2, 1, 3]);
        let query = self.graph.reshape(&query, &[0, kv_heads, -1, head_size]);

        let key = self.linear(seen, layer, "self_attn.k_proj")?;
        let key = self.graph.reshape(&key, &[0, 0, kv_heads, head_size]);
        let key = self.rotate(&key, rotation);
        let key = self.cached(layer, "key", &key);

        let value = self.linear(seen, layer, "self_attn.v_proj")?;
        let value = self.graph.reshape(&value, &[0, 0, kv_heads, head_size]);
        let value = self.cached(layer, "value", &value);

        let key = self.graph.transpose(&key, &[0, 1, 3, 2]);
        let scores = self.graph.matmul(&query, &key);
        let scores = self.graph.add(&scores, &queries.mask);
        let shares = self.graph.node("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
        let mixed = self.graph.matmul(&shares, &value);
        let mixed = self.graph.reshape(&mixed, &[0, heads, -1, head_size]);
        let mixed = self.graph.transpose(&mixed, &[0, 2, 1, 3]);
        let mixed = self.graph.reshape(&mixed, &[0, 0, heads * head_size]);
        self.linear(&mixed, layer, "self_attn.o_proj")
    }

    /// The past's keys or values, followed by the new ones; an input and an output of the graph.
    fn cached(&mut self, layer: usize, what: &str, new: &Tensor) -> Tensor {
        let dims = |length| {
            let (heads, size) = (self.config.kv_heads, self.config.head_size);
            [Dim::Named("batch"), Dim::Size(heads), Dim::Named(length), Dim::Size(size)]
        };
        let (before, after) = (dims("past"), dims("past + sequence"));
        let name = format!("past_key_values.{layer}.{what}");
        let past = self.graph.input(&name, Element::F32, &before);
        let new = self.graph.transpose(new, &[0, 2, 1, 3]);
        let all = self.graph.concat(&[&past, &new], 2);
        self.graph.output(all, &format!("present.{layer}.{what}"), Element::F32, &after)
    }

    /// down(silu(gate(x)) · up(x)), silu(z) = z · sigmoid(z).
    fn feed_forward(&mut self, layer: usize, x: &Tensor) -> Result<Tensor, Error> {
        let gate = self.linear(x, layer, "mlp.gate_proj")?;
        let up = self.linear(x, layer, "mlp.up_proj")?;
        let sigmoid = self.graph.node("Sigmoid", &[&gate], &[]);
        let open = self.graph.mul(&gate, &sigmoid);
        let inner = self.graph.mul(&open, &up);
        self.linear(&inner, layer, "mlp.down_proj")
    }
}
