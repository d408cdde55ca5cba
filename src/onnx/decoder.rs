//! What a decoder is made of, whatever file it came from: sizes, constants, and what is normed,
//! biased, rotated, capped and windowed in each of its layers.

use std::collections::BTreeSet;
use std::path::Path;

use super::architecture::{Architecture, HeadNorms};
use super::checkpoint::Weights;
use super::error::EXPORT_IT;
use super::{Error, Module};

/// Name of the token embedding, `[vocab, width]`.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the output projection, `[vocab, width]`; absent where it is the embedding.
pub(crate) const OUTPUT: &str = "lm_head.weight";
/// Name of the last norm's weight, `[width]`.
pub(crate) const LAST_NORM: &str = "model.norm.weight";

/// The description of a decoder, from which its graph is made.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// What its layers have in common with others of its kind.
    pub architecture: &'static Architecture,
    /// Blocks of attention and feed-forward layer, at least 1.
    pub layers: Vec<LayerKind>,
    /// Size of a hidden state.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, each shared by `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Size of a head; even.
    pub head_size: usize,
    /// Size of the feed-forward layer.
    pub feed_forward: usize,
    /// Tokens, and so logits of a position.
    pub vocabulary: usize,
    /// The longest sequence, in tokens.
    pub context: usize,
    /// Added to the mean square under the norms' root.
    pub rms_epsilon: f32,
    /// The ways in which layers rotate.
    pub rotations: Vec<Rotation>,
    /// How many tokens a layer with a window sees, itself included.
    pub window: usize,
    /// Which linear layers have biases.
    pub biases: Biases,
    /// What embeddings are multiplied by.
    pub embedding_scale: f32,
    /// What the products of queries and keys are multiplied by.
    pub query_scale: f64,
    /// c in c · tanh(score / c), of attention.
    pub score_cap: Option<f32>,
    /// c in c · tanh(logit / c).
    pub output_cap: Option<f32>,
    /// Whether the output projection is the embedding.
    pub tied: bool,
}

/// What one layer has of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerKind {
    /// Which of the rotations it uses, if it rotates.
    pub rotation: Option<usize>,
    /// Whether it sees a window only.
    pub windowed: bool,
}

/// A rotation of queries and keys by position (RoFormer, Su et al. 2021).
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    /// Radians a position for each pair, scaling included: half a head's size of them, or fewer where
    /// the values behind the rotated ones stay as they are.
    pub frequencies: Vec<f64>,
    /// What cosines and sines are multiplied by.
    pub scale: f64,
}

impl Rotation {
    /// Cosines and sines by position and pair, [positions, pairs], worked out in f64.
    pub(crate) fn tables(&self, positions: usize) -> [Vec<f32>; 2] {
        [f64::cos, f64::sin].map(|function: fn(f64) -> f64| {
            let of_position = |at: usize| self.frequencies.iter().map(move |f| at as f64 * f);
            let angles = (0..positions).flat_map(of_position);
            angles.map(|angle| (self.scale * function(angle)) as f32).collect()
        })
    }
}

/// Which linear layers have biases.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Biases {
    /// Those of queries, keys and values.
    pub inputs: bool,
    /// That of the attention's output.
    pub output: bool,
    /// Those of the feed-forward layer.
    pub feed_forward: bool,
}

/// A linear layer, its sizes, and whether it has a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Linear {
    pub module: Module,
    pub out: usize,
    pub inner: usize,
    pub biased: bool,
}

/// Sizes at or above this occur in no model; products of two below it do not overflow.
const SIZE_LIMIT: usize = 1 << 31;
/// The same for layers.
const LAYER_LIMIT: usize = 1 << 12;
/// The same for a head.
const HEAD_LIMIT: usize = 1 << 12;
/// Numbers in a table of sines or cosines: 1 GiB, beyond any model that fits the machines it is meant for.
const TABLE_LIMIT: usize = 1 << 28;

/// Radians a position for each pair of `rotated` values: θ^(-2i/d), as in RoFormer.
/// Nothing where they are more than any model's, which [`DecoderConfig::check`] reports.
pub(crate) fn rope_frequencies(theta: f64, rotated: usize) -> Vec<f64> {
    let pairs = if rotated < HEAD_LIMIT { rotated / 2 } else { 0 };
    (0..pairs).map(|i| theta.powf(-2.0 * i as f64 / rotated as f64)).collect()
}

/// Name of a layer's tensor.
pub(crate) fn layer_tensor(layer: usize, part: &str) -> String {
    format!("model.layers.{layer}.{part}.weight")
}

/// Name of a linear layer's bias.
pub(crate) fn layer_bias(layer: usize, part: &str) -> String {
    format!("model.layers.{layer}.{part}.bias")
}

/// The layers, each as `kind` has it.
///
/// # Errors
/// What is wrong, where no model has so many.
pub(super) fn layers(
    count: usize,
    kind: impl Fn(usize) -> LayerKind,
) -> Result<Vec<LayerKind>, String> {
    if count == 0 || count >= LAYER_LIMIT {
        return Err(format!("its number of layers is {count}"));
    }
    Ok((0..count).map(kind).collect())
}

impl DecoderConfig {
    /// The columns of all queries of a token, and of its keys.
    pub(crate) fn columns(&self) -> [usize; 2] {
        [self.heads * self.head_size, self.kv_heads * self.head_size]
    }

    /// The linear layers of a layer, in the order of the forward pass.
    pub(crate) fn linears(&self) -> Vec<Linear> {
        let (width, inner) = (self.width, self.feed_forward);
        let [queries, keys] = self.columns();
        let Biases { inputs, output, feed_forward } = self.biases;
        let (attention, gates): (&[_], &[_]) = if self.architecture.fused {
            (&[(Module::Qkv, queries + 2 * keys)], &[(Module::GateUp, 2 * inner)])
        } else {
            (
                &[(Module::Q, queries), (Module::K, keys), (Module::V, keys)],
                &[(Module::Gate, inner), (Module::Up, inner)],
            )
        };
        let from_width = |all: &[(Module, usize)], biased: bool| {
            let linear = |&(module, out): &_| Linear { module, out, inner: width, biased };
            all.iter().map(linear).collect::<Vec<Linear>>()
        };
        let o = Linear { module: Module::O, out: width, inner: queries, biased: output };
        let down = Linear { module: Module::Down, out: width, inner, biased: feed_forward };
        [from_width(attention, inputs), vec![o], from_width(gates, feed_forward), vec![down]]
            .concat()
    }

    /// The norms of a layer, each with the size of its weight.
    fn norms(&self) -> Vec<(&'static str, usize)> {
        let norms = &self.architecture.norms;
        let around = [
            norms.before_attention,
            norms.after_attention,
            norms.before_feed_forward,
            norms.after_feed_forward,
        ];
        let mut all: Vec<_> = around.into_iter().flatten().map(|name| (name, self.width)).collect();
        if let Some([queries, keys]) = self.head_norms() {
            all.extend([("self_attn.q_norm", queries), ("self_attn.k_norm", keys)]);
        }
        all
    }

    /// The sizes of the norms of queries and keys, if they are normed.
    pub(crate) fn head_norms(&self) -> Option<[usize; 2]> {
        self.architecture.head_norms.map(|norms| match norms {
            HeadNorms::Each => [self.head_size; 2],
            HeadNorms::Whole => self.columns(),
        })
    }

    /// Every weight by its Hugging Face name, with its shape: a linear layer's is `[out, in]`.
    pub(crate) fn weights(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = vec![(EMBEDDING.to_owned(), vec![self.vocabulary, self.width])];
        for layer in 0..self.layers.len() {
            for Linear { module, out, inner, biased } in self.linears() {
                all.push((layer_tensor(layer, &module.part()), vec![out, inner]));
                if biased {
                    all.push((layer_bias(layer, &module.part()), vec![out]));
                }
            }
            let norms = self.norms().into_iter();
            all.extend(norms.map(|(part, size)| (layer_tensor(layer, part), vec![size])));
        }
        all.push((LAST_NORM.to_owned(), vec![self.width]));
        if !self.tied {
            all.push((OUTPUT.to_owned(), vec![self.vocabulary, self.width]));
        }
        all
    }

    /// Checks that the sizes make sense and that `weights` are exactly those of such a model.
    ///
    /// # Errors
    /// [`Error::Unsupported`] or [`Error::Corrupt`], about the file `path`.
    pub(super) fn check(
        &self,
        weights: &dyn Weights,
        path: &Path,
        format: &'static str,
    ) -> Result<(), Error> {
        let corrupt = |problem: String| Err(Error::corrupt(path, format, problem));
        if let Some(problem) = self.impossible() {
            return corrupt(problem);
        }
        let names = weights.names();
        if self.layers.len() > names.len() {
            let (tensors, layers) = (names.len(), self.layers.len());
            return corrupt(format!("{tensors} tensors do not make {layers} layers"));
        }
        let expected = self.weights();
        for (name, shape) in &expected {
            match weights.shape(name) {
                None => return corrupt(format!("it has no `{name}`")),
                Some(found) if found != *shape => {
                    return corrupt(format!("`{name}` has shape {found:?} instead of {shape:?}"));
                }
                Some(_) => {}
            }
        }
        let known: BTreeSet<&String> = expected.iter().map(|(name, _)| name).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            let architecture = self.architecture.name;
            let problem =
                format!("its tensor `{unknown}` belongs to no plain {architecture} model");
            return Err(Error::unsupported(path, problem, EXPORT_IT));
        }
        Ok(())
    }

    /// What of its sizes and constants no model has.
    fn impossible(&self) -> Option<String> {
        let sizes = [
            ("width", self.width),
            ("number of heads", self.heads),
            ("number of key-value heads", self.kv_heads),
            ("head size", self.head_size),
            ("feed-forward size", self.feed_forward),
            ("vocabulary", self.vocabulary),
            ("context length", self.context),
            ("window", self.window),
        ];
        let impossible = |size: usize| size == 0 || size >= SIZE_LIMIT;
        if let Some((name, size)) = sizes.iter().find(|(_, size)| impossible(*size)) {
            return Some(format!("its {name} is {size}"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) || !self.head_size.is_multiple_of(2) {
            return Some(format!(
                "{} heads of size {} cannot share {} key-value heads",
                self.heads, self.head_size, self.kv_heads
            ));
        }
        let sound = |number: f64| number.is_finite() && number > 0.0;
        let rotates = |rotation: &Rotation| {
            let pairs = rotation.frequencies.len();
            let fits = pairs > 0 && 2 * pairs <= self.head_size;
            fits && sound(rotation.scale) && rotation.frequencies.iter().copied().all(sound)
        };
        if !self.rotations.iter().all(rotates)
            || self.context.saturating_mul(self.head_size / 2) > TABLE_LIMIT
        {
            return Some(format!(
                "rotating heads of size {} over {} positions is impossible",
                self.head_size, self.context
            ));
        }
        let numbers = [
            ("scale of scores", Some(self.query_scale)),
            ("scale of embeddings", Some(f64::from(self.embedding_scale))),
            ("cap of scores", self.score_cap.map(f64::from)),
            ("cap of logits", self.output_cap.map(f64::from)),
        ];
        let (name, number) = numbers
            .iter()
            .find_map(|(name, number)| Some((name, number.filter(|n| !sound(*n))?)))?;
        Some(format!("its {name} is {number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_fall_from_one_radian() {
        let frequencies = rope_frequencies(10_000.0, 4);
        assert_eq!(frequencies.len(), 2);
        assert!((frequencies[0] - 1.0).abs() < 1e-12 && (frequencies[1] - 0.01).abs() < 1e-12);
    }
}
