//! What a model of the Llama family is made of, whatever file it came from.

use std::collections::BTreeSet;
use std::path::Path;

use super::Error;
use super::checkpoint::Weights;

/// Name of the token embedding, `[vocab, width]`.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the output projection, `[vocab, width]`; absent where it is the embedding.
pub(crate) const OUTPUT: &str = "lm_head.weight";
/// Name of the last norm's weight, `[width]`.
pub(crate) const LAST_NORM: &str = "model.norm.weight";

/// The sizes and constants of a decoder of the Llama family.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Blocks of attention and feed-forward layer, at least 1.
    pub layers: usize,
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
    /// Radians a position for each of the `head_size / 2` pairs of a head, scaling included.
    pub rope_frequencies: Vec<f64>,
    /// Whether the output projection is the embedding.
    pub tied: bool,
}

/// Sizes at or above this occur in no model; products of two below it do not overflow.
const SIZE_LIMIT: usize = 1 << 31;
/// The same for a head.
const HEAD_LIMIT: usize = 1 << 12;
/// Numbers in a table of sines: 1 GiB, beyond any model that fits the machines it is meant for.
const TABLE_LIMIT: usize = 1 << 28;

/// Radians a position for each pair of a head: θ^(-2i/d), as in RoFormer (Su et al. 2021).
/// Nothing where the head is larger than any model's, which [`LlamaConfig::check`] reports.
pub(crate) fn rope_frequencies(theta: f64, head_size: usize) -> Vec<f64> {
    let pairs = if head_size < HEAD_LIMIT { head_size / 2 } else { 0 };
    (0..pairs).map(|i| theta.powf(-2.0 * i as f64 / head_size as f64)).collect()
}

/// Name of a tensor of a layer.
pub(crate) fn layer_tensor(layer: usize, part: &str) -> String {
    format!("model.layers.{layer}.{part}.weight")
}

impl LlamaConfig {
    /// Every weight by its Hugging Face name, with its shape: a linear layer's is `[out, in]`.
    pub(crate) fn weights(&self) -> Vec<(String, Vec<usize>)> {
        let (width, inner) = (self.width, self.feed_forward);
        let queries = self.heads * self.head_size;
        let keys = self.kv_heads * self.head_size;
        let mut all = vec![(EMBEDDING.to_owned(), vec![self.vocabulary, width])];
        for layer in 0..self.layers {
            for (part, shape) in [
                ("input_layernorm", vec![width]),
                ("self_attn.q_proj", vec![queries, width]),
                ("self_attn.k_proj", vec![keys, width]),
                ("self_attn.v_proj", vec![keys, width]),
                ("self_attn.o_proj", vec![width, queries]),
                ("post_attention_layernorm", vec![width]),
                ("mlp.gate_proj", vec![inner, width]),
                ("mlp.up_proj", vec![inner, width]),
                ("mlp.down_proj", vec![width, inner]),
            ] {
                all.push((layer_tensor(layer, part), shape));
            }
        }
        all.push((LAST_NORM.to_owned(), vec![width]));
        if !self.tied {
            all.push((OUTPUT.to_owned(), vec![self.vocabulary, width]));
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
        let sizes = [
            ("layers", self.layers),
            ("width", self.width),
            ("heads", self.heads),
            ("key-value heads", self.kv_heads),
            ("head size", self.head_size),
            ("feed-forward size", self.feed_forward),
            ("vocabulary", self.vocabulary),
            ("context length", self.context),
        ];
        let corrupt = |problem: String| Err(Error::corrupt(path, format, problem));
        let impossible = |size: usize| size == 0 || size >= SIZE_LIMIT;
        if let Some((name, size)) = sizes.iter().find(|(_, size)| impossible(*size)) {
            return corrupt(format!("its {name} is {size}"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) || !self.head_size.is_multiple_of(2) {
            return corrupt(format!(
                "{} heads of size {} cannot share {} key-value heads",
                self.heads, self.head_size, self.kv_heads
            ));
        }
        let sound = |frequency: &f64| frequency.is_finite() && *frequency > 0.0;
        if 2 * self.rope_frequencies.len() != self.head_size
            || !self.rope_frequencies.iter().all(sound)
            || self.context.saturating_mul(self.head_size / 2) > TABLE_LIMIT
        {
            return corrupt(format!(
                "rotating heads of size {} over {} positions is impossible",
                self.head_size, self.context
            ));
        }
        let names = weights.names();
        if self.layers > names.len() {
            return corrupt(format!("{} tensors do not make {} layers", names.len(), self.layers));
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
            let problem = format!("its tensor `{unknown}` belongs to no plain Llama model");
            let help = "export the model to ONNX with its own tools and name that folder";
            return Err(Error::unsupported(path, problem, help));
        }
        Ok(())
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
