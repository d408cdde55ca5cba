//! A model of the Llama family as an ONNX graph in f32, with plain operators only.
//!
//! The graph takes *trees of tokens* behind a cache: prompts and the branches of an answer space,
//! of any number and length, ride in one run without padding, and what several share is computed
//! once. Everything but attention works on a flat list of tokens; attention is worked out tree by
//! tree, each token seeing the cached tokens before its tree and its ancestors within it.
//!
//! | input | shape | what |
//! | --- | --- | --- |
//! | `tokens`, `positions` | `[tokens]` | the new tokens, and where in their text each stands |
//! | `trees` | `[trees, width]` | which tokens make up each tree; any where `mask` hides them |
//! | `seen` | `[trees, past]` | which cached tokens stand before each tree; `past` may be 0 |
//! | `mask` | `[trees, width, past + width]` | what is added to a token's score of another: 0, or [`UNSEEN`] |
//! | `places` | `[tokens]` | each token's place in `trees`, counted through |
//! | `wanted` | `[wanted]` | the tokens after which something is asked |
//! | `whole` | any number | which of `wanted` are asked for the whole vocabulary |
//! | `part` | any number | which of `wanted` are asked for some tokens: see [`super::Head`] |
//! | `cache.{i}.key`, `.value` | `[cached, kv_heads * head_size]` | keys and values of earlier runs |
//!
//! | output | shape | what |
//! | --- | --- | --- |
//! | `log_probabilities` | `[whole, vocabulary]` | natural logarithms, of the `whole` ones |
//! | `hidden` | `[part, width]` | what the `part` ones have before the output projection |
//! | `new.{i}.key`, `.value` | `[tokens, kv_heads * head_size]` | keys and values of the new tokens |
//!
//! No operator but attention looks across tokens, and attention does not look across trees. Every
//! weight is an initializer in external data under its Hugging Face name; linear layers are stored
//! `[in, out]`, as MatMul takes them. An adapter finds its places by these names ([`super::lora`]).

use std::path::Path;

use super::Error;
use super::builder::{Attribute, Dim, Element, GraphBuilder, Tensor};
use super::checkpoint::{Weights, transpose};
use super::llama::{EMBEDDING, LAST_NORM, LlamaConfig, OUTPUT, layer_tensor};

/// Added to the score of what may not be seen. Finite, so that a row that sees nothing (padding)
/// gives numbers and not NaN; e^-1e9 is zero in f32.
pub const UNSEEN: f32 = -1e9;

/// Columns of a product that adds up weights: the same sum in each. Of one alone a runtime may add up
/// otherwise.
const SUMS: i64 = 16;

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

/// Cosines and sines of the positions, [tokens, 1, head_size].
struct Rotation {
    cos: Tensor,
    /// Negative in the first half, as the rotation needs it.
    sin: Tensor,
}

/// What every attention layer needs.
struct Attending {
    /// For keys.
    rotation: Rotation,
    /// For queries: times 1/sqrt(head size), so that scores are scaled once a run.
    scaled: Rotation,
    /// Heads as rows of a table of all tokens' heads. They are gathered right into the order that
    /// attention wants, so that nothing is transposed: queries [trees, heads, width], keys of the
    /// trees' own tokens [trees, kv_heads, width] and of cached ones [trees, kv_heads, past].
    queries: Tensor,
    own: Tensor,
    cached: Tensor,
    /// Back from there, [tokens, heads].
    places: Tensor,
    /// Once for each query head of a group, [trees, 1, group * width, past + width].
    mask: Tensor,
    /// [past + width, [`SUMS`]]: times it, weights are added up.
    ones: Tensor,
}

impl Writer<'_> {
    fn model(&mut self) -> Result<(), Error> {
        let flat = |name| [Dim::Named(name)];
        let tokens = self.graph.input("tokens", Element::I64, &flat("tokens"));
        let positions = self.graph.input("positions", Element::I64, &flat("tokens"));
        let width = [Dim::Named("trees"), Dim::Named("width")];
        let trees = self.graph.input("trees", Element::I64, &width);
        let past = [Dim::Named("trees"), Dim::Named("past")];
        let seen = self.graph.input("seen", Element::I64, &past);
        let scores = [Dim::Named("trees"), Dim::Named("width"), Dim::Named("past + width")];
        let mask = self.graph.input("mask", Element::F32, &scores);
        let places = self.graph.input("places", Element::I64, &flat("tokens"));
        let wanted = self.graph.input("wanted", Element::I64, &flat("wanted"));

        let shape = [self.config.vocabulary, self.config.width];
        let embedding = self.graph.weight(EMBEDDING, &shape, &self.weights.read(EMBEDDING)?)?;
        let mut hidden = self.graph.gather(&embedding, &tokens, 0);

        let rotation = self.rotation(&positions)?;
        let scaled = self.scaled(&rotation);
        let group = self.config.heads / self.config.kv_heads;
        let mask = self.graph.concat(&vec![&mask; group], 1);
        let mask = self.graph.unsqueeze(&mask, &[1]);
        let ones = self.ones(&mask);
        let attending = Attending {
            rotation,
            scaled,
            queries: self.heads_of(&trees, self.config.heads),
            own: self.heads_of(&trees, self.config.kv_heads),
            cached: self.heads_of(&seen, self.config.kv_heads),
            places: self.places_of_heads(&places, &trees),
            mask,
            ones,
        };
        for layer in 0..self.config.layers {
            let normed = self.norm(&hidden, &layer_tensor(layer, "input_layernorm"))?;
            let mut attended = self.attention(layer, &normed, &attending)?;
            // After the last attention only the wanted tokens go on to the output.
            if layer + 1 == self.config.layers {
                hidden = self.graph.gather(&hidden, &wanted, 0);
                attended = self.graph.gather(&attended, &wanted, 0);
            }
            let attended = self.linear(&attended, layer, "self_attn.o_proj")?;
            hidden = self.graph.add(&hidden, &attended);
            let normed = self.norm(&hidden, &layer_tensor(layer, "post_attention_layernorm"))?;
            let fed = self.feed_forward(layer, &normed)?;
            hidden = self.graph.add(&hidden, &fed);
        }
        let hidden = self.norm(&hidden, LAST_NORM)?;
        self.outputs(&hidden, &embedding)
    }

    /// Gemm multiplies by the transposed matrix, so that a tied output reads the embedding as it
    /// is: it is stored once, and the runtime packs it for the product without a transposed copy.
    fn outputs(&mut self, hidden: &Tensor, embedding: &Tensor) -> Result<(), Error> {
        let output = if self.config.tied {
            embedding.clone()
        } else {
            let shape = [self.config.vocabulary, self.config.width];
            self.graph.weight(OUTPUT, &shape, &self.weights.read(OUTPUT)?)?
        };
        let transposed = [("transB", Attribute::Int(1))];
        let whole = self.graph.input("whole", Element::I64, &[Dim::Named("whole")]);
        let rows = self.graph.gather(hidden, &whole, 0);
        let logits = self.graph.node("Gemm", &[&rows, &output], &transposed);
        // The sum over the vocabulary is the runtime's: it has the threads and the vectors for it.
        let along = [("axis", Attribute::Int(1))];
        let probabilities = self.graph.node("LogSoftmax", &[&logits], &along);
        let dims = [Dim::Named("whole"), Dim::Size(self.config.vocabulary)];
        self.graph.output(probabilities, "log_probabilities", Element::F32, &dims);

        let part = self.graph.input("part", Element::I64, &[Dim::Named("part")]);
        let rows = self.graph.gather(hidden, &part, 0);
        let dims = [Dim::Named("part"), Dim::Size(self.config.width)];
        self.graph.output(rows, "hidden", Element::F32, &dims);
        Ok(())
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
            cos: self.graph.unsqueeze(&cos, &[1]),
            sin: self.graph.unsqueeze(&sin, &[1]),
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

    /// x cos + swap(x) sin, with the halves of each head swapped; x is [tokens, heads, head_size].
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

    /// As many ones as a row of `mask` is long, [`SUMS`] times.
    fn ones(&mut self, mask: &Tensor) -> Tensor {
        let graph = &mut self.graph;
        let length = graph.size(mask, 3);
        let length = graph.unsqueeze(&length, &[0]);
        let columns = graph.ints(&[SUMS]);
        let shape = graph.concat(&[&length, &columns], 0);
        let one = graph.number(1.0);
        graph.node("Expand", &[&one, &shape], &[])
    }

    /// From tokens [trees, width] to the rows of their heads in a table of all tokens' heads, [trees,
    /// heads, width].
    fn heads_of(&mut self, tokens: &Tensor, heads: usize) -> Tensor {
        let tokens = self.graph.unsqueeze(tokens, &[1]);
        let count = self.graph.int(heads as i64);
        let first = self.graph.mul(&tokens, &count);
        let each = self.graph.ints(&(0..heads as i64).collect::<Vec<_>>());
        let each = self.graph.unsqueeze(&each, &[1]);
        self.graph.add(&first, &each)
    }

    /// From places [tokens] in [trees, width] to those of each head in [trees, heads, width],
    /// [tokens, heads].
    fn places_of_heads(&mut self, places: &Tensor, trees: &Tensor) -> Tensor {
        let graph = &mut self.graph;
        let heads = self.config.heads as i64;
        let width = graph.size(trees, 1);
        let tree = graph.node("Div", &[places, &width], &[]);
        let others = graph.int(heads - 1);
        let skipped = graph.mul(&width, &others);
        let skipped = graph.mul(&tree, &skipped);
        let first = graph.add(places, &skipped);
        let first = graph.unsqueeze(&first, &[1]);
        let each = graph.ints(&(0..heads).collect::<Vec<_>>());
        let each = graph.mul(&each, &width);
        graph.add(&first, &each)
    }

    /// What each of `asking`'s tokens takes from what it sees, [tokens, heads * head_size]. The
    /// query heads that share a key-value head are rows of one product, so that keys and values are
    /// never repeated.
    fn attention(
        &mut self,
        layer: usize,
        asking: &Tensor,
        attending: &Attending,
    ) -> Result<Tensor, Error> {
        let LlamaConfig { heads, kv_heads, head_size, .. } = *self.config;
        let [heads, kv_heads, head_size] = [heads, kv_heads, head_size].map(|size| size as i64);

        let query = self.linear(asking, layer, "self_attn.q_proj")?;
        let query = self.graph.reshape(&query, &[0, heads, head_size]);
        let query = self.rotate(&query, &attending.scaled);
        let query = self.graph.reshape(&query, &[-1, head_size]);
        let query = self.graph.gather(&query, &attending.queries, 0);
        let query = self.graph.reshape(&query, &[0, kv_heads, -1, head_size]);

        let key = self.linear(asking, layer, "self_attn.k_proj")?;
        let key = self.graph.reshape(&key, &[0, kv_heads, head_size]);
        let key = self.rotate(&key, &attending.rotation);
        let key = self.graph.reshape(&key, &[0, kv_heads * head_size]);
        let key = self.seen(layer, "key", key, attending);

        let value = self.linear(asking, layer, "self_attn.v_proj")?;
        let value = self.seen(layer, "value", value, attending);

        // Runtimes know this as a product with the other side transposed, and move nothing.
        let key = self.graph.transpose(&key, &[0, 1, 3, 2]);
        let scores = self.graph.matmul(&query, &key);
        let scores = self.graph.add(&scores, &attending.mask);
        let mixed = self.mixed(&scores, &value, attending);
        let mixed = self.graph.reshape(&mixed, &[-1, head_size]);
        let mixed = self.graph.gather(&mixed, &attending.places, 0);
        Ok(self.graph.reshape(&mixed, &[0, heads * head_size]))
    }

    /// softmax(scores) · value. Its sums are matrix products, which add up one token after the other: what
    /// is not seen adds zero, wherever it stands, so that the tokens beside a token change no bit of it.
    fn mixed(&mut self, scores: &Tensor, value: &Tensor, attending: &Attending) -> Tensor {
        let last_axis = [("axes", Attribute::Ints(vec![-1])), ("keepdims", Attribute::Int(1))];
        let graph = &mut self.graph;
        let largest = graph.node("ReduceMax", &[scores], &last_axis);
        let below = graph.node("Sub", &[scores, &largest], &[]);
        let weights = graph.node("Exp", &[&below], &[]);
        let sums = graph.matmul(&weights, &attending.ones);
        let first = graph.ints(&[0]);
        let sum = graph.gather(&sums, &first, -1);
        let mixed = graph.matmul(&weights, value);
        graph.node("Div", &[&mixed, &sum], &[])
    }

    /// The keys or values that each tree sees, [trees, kv_heads, past + width, head_size]: cached
    /// ones, then its own. `new`, of all tokens, becomes an output.
    fn seen(&mut self, layer: usize, what: &str, new: Tensor, attending: &Attending) -> Tensor {
        let (heads, size) = (self.config.kv_heads, self.config.head_size);
        let dims = |tokens| [Dim::Named(tokens), Dim::Size(heads * size)];
        let cached = &format!("cache.{layer}.{what}");
        let cached = self.graph.input(cached, Element::F32, &dims("cached"));
        let new =
            self.graph.output(new, &format!("new.{layer}.{what}"), Element::F32, &dims("tokens"));
        let mut gather = |all: &Tensor, rows: &Tensor| {
            let table = self.graph.reshape(all, &[-1, size as i64]);
            self.graph.gather(&table, rows, 0)
        };
        let before = gather(&cached, &attending.cached);
        let within = gather(&new, &attending.own);
        self.graph.concat(&[&before, &within], 2)
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
