//! A decoder as an ONNX graph: in f32 with plain operators only, in other precisions with products of
//! weights of few bits too.
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
//! weight is an initializer in external data under its Hugging Face name, or several of names that begin
//! so; linear layers are stored `[in, out]`, as MatMul takes them. What products with them there are is
//! told in the model's metadata, where adapters find their places ([`super::lora`]).

use std::collections::HashMap;
use std::path::Path;

use self::product::{Derived, Matrix};
use super::architecture::Activation;
use super::builder::{Attribute, Dim, Element, GraphBuilder, Tensor};
use super::checkpoint::Weights;
use super::decoder::{
    DecoderConfig, EMBEDDING, LAST_NORM, Linear, OUTPUT, layer_bias, layer_tensor,
};
use super::proto::data_type;
use super::{Error, Module, Precision};

mod attention;
mod product;
mod rotation;

/// Added to the score of what may not be seen. Finite, so that a row that sees nothing (padding)
/// gives numbers and not NaN; e^-1e9 is zero in f32.
pub const UNSEEN: f32 = -1e9;

/// 2 √(2/π), and what z³ is multiplied by: see [`Activation::Gelu`].
pub(crate) const GELU: f64 =
    2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
pub(crate) const GELU_CUBE: f64 = 0.044_715;

/// Writes `graph` and, in the same folder, `data`.
///
/// # Errors
/// Where a weight cannot be read or a file not be written.
pub(super) fn write(
    config: &DecoderConfig,
    weights: &dyn Weights,
    precision: Precision,
    graph: &Path,
    data: &Path,
) -> Result<(), Error> {
    let mut writer = Writer {
        config,
        weights,
        precision,
        graph: GraphBuilder::new(config.architecture.name, data)?,
        matrices: HashMap::new(),
        derived: HashMap::new(),
    };
    writer.model()?;
    writer.graph.finish(graph)
}

/// How many of so many numbers in a row are summed in f32, where that gives the same bits for each row of
/// a matrix: blocks that begin at multiples of 64 bytes, which a sum with vectors takes alike.
fn block_of_sum(numbers: usize) -> Option<usize> {
    (1..=64).rev().map(|vectors| 16 * vectors).find(|block| numbers.is_multiple_of(*block))
}

struct Writer<'a> {
    config: &'a DecoderConfig,
    weights: &'a dyn Weights,
    precision: Precision,
    graph: GraphBuilder,
    /// The matrices that have a row a token, by name: embedding and output may be the same.
    matrices: HashMap<String, Matrix>,
    /// What products with the same tensor share.
    derived: HashMap<(Tensor, Derived), Tensor>,
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

        let mut hidden = self.rows_of(EMBEDDING, &tokens)?;
        if self.config.embedding_scale != 1.0 {
            let scale = self.graph.number(self.config.embedding_scale);
            hidden = self.graph.mul(&hidden, &scale);
        }

        let attending = self.attending(&positions, &trees, &seen, &mask, &places)?;
        let norms = &self.config.architecture.norms;
        for (layer, &kind) in self.config.layers.iter().enumerate() {
            let normed = self.normed(&hidden, layer, norms.before_attention)?;
            let mut attended = self.attention((layer, kind), &normed, &attending)?;
            // After the last attention only the wanted tokens go on to the output.
            if layer + 1 == self.config.layers.len() {
                hidden = self.graph.gather(&hidden, &wanted, 0);
                attended = self.graph.gather(&attended, &wanted, 0);
            }
            let attended = self.linear(&attended, layer, Module::O)?;
            let attended = self.normed(&attended, layer, norms.after_attention)?;
            hidden = self.graph.add(&hidden, &attended);
            let normed = self.normed(&hidden, layer, norms.before_feed_forward)?;
            let fed = self.feed_forward(layer, &normed)?;
            let fed = self.normed(&fed, layer, norms.after_feed_forward)?;
            hidden = self.graph.add(&hidden, &fed);
        }
        let hidden = self.norm(&hidden, LAST_NORM, self.config.width)?;
        self.outputs(&hidden)
    }

    /// What is asked: logarithms of the whole vocabulary, and hidden states.
    fn outputs(&mut self, hidden: &Tensor) -> Result<(), Error> {
        let output = if self.config.tied { EMBEDDING } else { OUTPUT };
        let whole = self.graph.input("whole", Element::I64, &[Dim::Named("whole")]);
        let rows = self.graph.gather(hidden, &whole, 0);
        let logits = self.logits(&rows, output)?;
        let logits = self.capped(&logits, self.config.output_cap);
        let probabilities = self.log_softmax(&logits);
        let dims = [Dim::Named("whole"), Dim::Size(self.config.vocabulary)];
        self.graph.output(probabilities, "log_probabilities", Element::F32, &dims);

        let part = self.graph.input("part", Element::I64, &[Dim::Named("part")]);
        let rows = self.graph.gather(hidden, &part, 0);
        let dims = [Dim::Named("part"), Dim::Size(self.config.width)];
        self.graph.output(rows, "hidden", Element::F32, &dims);
        Ok(())
    }

    /// x - max(x) - ln Σ e^(x - max(x)) over the vocabulary. The runtime's own LogSoftmax adds in f32 up what
    /// are hundreds of thousands of small numbers, and is off by 1e-5 and more for a whole row: here
    /// blocks are summed in f32, and their sums in f64.
    fn log_softmax(&mut self, logits: &Tensor) -> Tensor {
        let vocabulary = self.config.vocabulary;
        let graph = &mut self.graph;
        let to = |kind: i32| [("to", Attribute::Int(kind.into()))];
        let over_row = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(1))];
        let most = graph.node("ReduceMax", &[logits], &over_row);
        let below = graph.node("Sub", &[logits, &most], &[]);
        let mut shares = graph.node("Exp", &[&below], &[]);
        if let Some(block) = block_of_sum(vocabulary) {
            let shape = graph.ints(&[0, (vocabulary / block) as i64, block as i64]);
            let blocks = graph.node("Reshape", &[&shares, &shape], &[]);
            let last = graph.ints(&[2]);
            let apart = [("keepdims", Attribute::Int(0))];
            shares = graph.node("ReduceSum", &[&blocks, &last], &apart);
        }
        let shares = graph.node("Cast", &[&shares], &to(data_type::DOUBLE));
        let row = graph.ints(&[1]);
        let sum = graph.node("ReduceSum", &[&shares, &row], &[("keepdims", Attribute::Int(1))]);
        let log = graph.node("Log", &[&sum], &[]);
        let log = graph.node("Cast", &[&log], &to(data_type::FLOAT));
        graph.node("Sub", &[&below, &log], &[])
    }

    /// c · tanh(x / c), where there is a c.
    fn capped(&mut self, x: &Tensor, cap: Option<f32>) -> Tensor {
        let Some(cap) = cap else { return x.clone() };
        let cap = self.graph.number(cap);
        let share = self.graph.node("Div", &[x, &cap], &[]);
        let bent = self.graph.node("Tanh", &[&share], &[]);
        self.graph.mul(&bent, &cap)
    }

    /// The norm of a layer, where it has one there.
    fn normed(&mut self, x: &Tensor, layer: usize, part: Option<&str>) -> Result<Tensor, Error> {
        match part {
            Some(part) => self.norm(x, &layer_tensor(layer, part), self.config.width),
            None => Ok(x.clone()),
        }
    }

    /// x / sqrt(mean(x²) + ε) · weight, over the last axis of so many values. These operators in this
    /// order are what runtimes know to replace by one.
    fn norm(&mut self, x: &Tensor, weight: &str, size: usize) -> Result<Tensor, Error> {
        let weight = self.graph.weight(weight, &[size], &self.weights.read(weight)?)?;
        let (two, epsilon) = (self.graph.number(2.0), self.graph.number(self.config.rms_epsilon));
        let square = self.graph.node("Pow", &[x, &two], &[]);
        let last_axis = [("axes", Attribute::Ints(vec![-1])), ("keepdims", Attribute::Int(1))];
        let mean = self.graph.node("ReduceMean", &[&square], &last_axis);
        let sum = self.graph.add(&mean, &epsilon);
        let root = self.graph.node("Sqrt", &[&sum], &[]);
        let normed = self.graph.node("Div", &[x, &root], &[]);
        Ok(self.graph.mul(&normed, &weight))
    }

    /// x · W + b, W from the checkpoint's `[out, in]`, b where the layer has one.
    fn linear(&mut self, x: &Tensor, layer: usize, module: Module) -> Result<Tensor, Error> {
        let linears = self.config.linears();
        let Some(&Linear { out, inner, biased, .. }) = linears.iter().find(|l| l.module == module)
        else {
            unreachable!("{module} is a linear layer of {}", self.config.architecture.name)
        };
        let name = layer_tensor(layer, &module.part());
        let product = self.product(x, &name, [out, inner])?;
        if !biased {
            return Ok(product);
        }
        let name = layer_bias(layer, &module.part());
        let bias = self.graph.weight(&name, &[out], &self.weights.read(&name)?)?;
        Ok(self.graph.add(&product, &bias))
    }

    /// down(act(gate(x)) · up(x)).
    fn feed_forward(&mut self, layer: usize, x: &Tensor) -> Result<Tensor, Error> {
        let [gate, up] = if self.config.architecture.fused {
            let both = self.linear(x, layer, Module::GateUp)?;
            let inner = self.config.feed_forward as i64;
            let sizes = self.graph.ints(&[inner, inner]);
            let along_last = [("axis", Attribute::Int(-1))];
            self.graph.node_with_outputs("Split", &[&both, &sizes], &along_last)
        } else {
            [self.linear(x, layer, Module::Gate)?, self.linear(x, layer, Module::Up)?]
        };
        let open = self.activated(&gate);
        let inner = self.graph.mul(&open, &up);
        self.linear(&inner, layer, Module::Down)
    }

    /// What opens the gate: z σ(z), or z σ(2 √(2/π) (z + 0.044715 z³)).
    fn activated(&mut self, z: &Tensor) -> Tensor {
        let graph = &mut self.graph;
        let inner = match self.config.architecture.activation {
            Activation::Silu => z.clone(),
            Activation::Gelu => {
                let (once, thrice) =
                    (graph.number(GELU as f32), graph.number((GELU * GELU_CUBE) as f32));
                let square = graph.mul(z, z);
                let bent = graph.mul(&square, &thrice);
                let factor = graph.add(&bent, &once);
                graph.mul(z, &factor)
            }
        };
        let sigmoid = graph.node("Sigmoid", &[&inner], &[]);
        graph.mul(z, &sigmoid)
    }
}
