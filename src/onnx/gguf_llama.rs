//! A GGUF file of architecture `llama`, seen as a Hugging Face checkpoint.

use std::path::Path;

use super::Error;
use super::checkpoint::Weights;
use super::gguf::{Gguf, Value};
use super::llama::{EMBEDDING, LAST_NORM, LlamaConfig, OUTPUT, rope_frequencies};

/// One factor a pair of a head, by which its frequency is divided (Llama 3's scaling).
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Part of a layer: its name in GGUF and its name in Hugging Face checkpoints.
const PARTS: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The model's sizes, from the metadata.
///
/// # Errors
/// [`Error::Corrupt`] for what is missing, [`Error::Unsupported`] for what is no plain Llama.
pub(super) fn config(gguf: &Gguf) -> Result<LlamaConfig, Error> {
    let path = gguf.path();
    let help = "export the model to ONNX with its own tools and name that folder";
    let unsupported = |problem: String| Error::unsupported(path, problem, help);
    match gguf.metadata("general.architecture") {
        Some(Value::Text(name)) if name == "llama" => {}
        Some(Value::Text(name)) => {
            return Err(unsupported(format!("its architecture is `{name}`, not `llama`")));
        }
        _ => return Err(missing(path, "general.architecture")),
    }
    if size_or(gguf, "llama.expert_count", 0)? > 0 {
        return Err(unsupported("it is a mixture of experts".to_owned()));
    }
    if let Some(Value::Text(scaling)) = gguf.metadata("llama.rope.scaling.type")
        && scaling != "none"
    {
        return Err(unsupported(format!("it uses RoPE scaling of type `{scaling}`")));
    }
    let width = size(gguf, "llama.embedding_length")?;
    let heads = size(gguf, "llama.attention.head_count")?;
    if heads == 0 {
        return Err(Error::corrupt(path, "GGUF", "it has no attention head"));
    }
    let head_size = size_or(gguf, "llama.attention.key_length", width / heads)?;
    if size_or(gguf, "llama.attention.value_length", head_size)? != head_size {
        return Err(unsupported("its keys and values differ in size".to_owned()));
    }
    if size_or(gguf, "llama.rope.dimension_count", head_size)? != head_size {
        return Err(unsupported("it rotates only a part of each head".to_owned()));
    }
    let mut rope = rope_frequencies(number_or(gguf, "llama.rope.freq_base", 10_000.0)?, head_size);
    if let Some(factors) = gguf.tensor(ROPE_FACTORS)? {
        if factors.len() != rope.len() {
            let problem = format!("`{ROPE_FACTORS}` has {} values", factors.len());
            return Err(Error::corrupt(path, "GGUF", problem));
        }
        for (frequency, factor) in rope.iter_mut().zip(factors) {
            *frequency /= f64::from(factor);
        }
    }
    let vocabulary = gguf.shape("token_embd.weight").map_or(0, |shape| shape[0]);
    Ok(LlamaConfig {
        layers: size(gguf, "llama.block_count")?,
        width,
        heads,
        kv_heads: size_or(gguf, "llama.attention.head_count_kv", heads)?,
        head_size,
        feed_forward: size(gguf, "llama.feed_forward_length")?,
        vocabulary,
        context: size(gguf, "llama.context_length")?,
        rms_epsilon: number(gguf, "llama.attention.layer_norm_rms_epsilon")? as f32,
        rope_frequencies: rope,
        tied: gguf.shape("output.weight").is_none(),
    })
}

fn missing(path: &Path, key: &str) -> Error {
    Error::corrupt(path, "GGUF", format!("its metadata has no usable `{key}`"))
}

fn size(gguf: &Gguf, key: &str) -> Result<usize, Error> {
    match gguf.metadata(key) {
        // No model's size is near 2^31: what is larger would overflow products of sizes.
        Some(Value::Unsigned(size)) if *size < 1 << 31 => Ok(*size as usize),
        _ => Err(missing(gguf.path(), key)),
    }
}

fn size_or(gguf: &Gguf, key: &str, default: usize) -> Result<usize, Error> {
    if gguf.metadata(key).is_none() { Ok(default) } else { size(gguf, key) }
}

fn number(gguf: &Gguf, key: &str) -> Result<f64, Error> {
    match gguf.metadata(key) {
        Some(Value::Float(number)) if *number > 0.0 && number.is_finite() => Ok(*number),
        _ => Err(missing(gguf.path(), key)),
    }
}

fn number_or(gguf: &Gguf, key: &str, default: f64) -> Result<f64, Error> {
    if gguf.metadata(key).is_none() { Ok(default) } else { number(gguf, key) }
}

/// The file's tensors under their Hugging Face names and in that row order.
pub(super) struct GgufWeights {
    gguf: Gguf,
    heads: usize,
    kv_heads: usize,
    head_size: usize,
}

impl GgufWeights {
    pub(super) fn new(gguf: Gguf, config: &LlamaConfig) -> Self {
        let LlamaConfig { heads, kv_heads, head_size, .. } = *config;
        Self { gguf, heads, kv_heads, head_size }
    }

    /// The file itself.
    pub(super) fn gguf(&self) -> &Gguf {
        &self.gguf
    }
}

impl Weights for GgufWeights {
    fn names(&self) -> Vec<String> {
        let names = self.gguf.tensor_names().filter(|name| *name != ROPE_FACTORS);
        names.map(|name| to_hugging_face(name).unwrap_or_else(|| name.to_owned())).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.gguf.shape(&to_gguf(name)?).map(<[usize]>::to_vec)
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, Error> {
        let found = match to_gguf(name) {
            Some(name) => self.gguf.tensor(&name)?,
            None => None,
        };
        let values = found.ok_or_else(|| {
            Error::corrupt(self.gguf.path(), "GGUF", format!("it has no `{name}`"))
        })?;
        if name.ends_with("q_proj.weight") {
            Ok(to_half_split(&values, self.heads, self.head_size))
        } else if name.ends_with("k_proj.weight") {
            Ok(to_half_split(&values, self.kv_heads, self.head_size))
        } else {
            Ok(values)
        }
    }
}

/// GGUF stores the rows of a head's queries and keys so that the two of a rotated pair are
/// neighbours; Hugging Face has them half a head apart. Row `2 i + p` becomes row
/// `p * head_size / 2 + i`.
fn to_half_split(values: &[f32], heads: usize, head_size: usize) -> Vec<f32> {
    let row = values.len() / (heads * head_size);
    let mut out = Vec::with_capacity(values.len());
    for head in values.chunks_exact(head_size * row) {
        for p in 0..2 {
            for i in 0..head_size / 2 {
                out.extend_from_slice(&head[(2 * i + p) * row..][..row]);
            }
        }
    }
    out
}

pub(super) fn to_gguf(name: &str) -> Option<String> {
    match name {
        EMBEDDING => return Some("token_embd.weight".to_owned()),
        LAST_NORM => return Some("output_norm.weight".to_owned()),
        OUTPUT => return Some("output.weight".to_owned()),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let part = part.strip_suffix(".weight")?;
    let (gguf, _) = PARTS.iter().find(|(_, hugging_face)| *hugging_face == part)?;
    Some(format!("blk.{layer}.{gguf}.weight"))
}

fn to_hugging_face(name: &str) -> Option<String> {
    match name {
        "token_embd.weight" => return Some(EMBEDDING.to_owned()),
        "output_norm.weight" => return Some(LAST_NORM.to_owned()),
        "output.weight" => return Some(OUTPUT.to_owned()),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let part = part.strip_suffix(".weight")?;
    let (_, hugging_face) = PARTS.iter().find(|(gguf, _)| *gguf == part)?;
    Some(format!("model.layers.{layer}.{hugging_face}.weight"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for name in [
            EMBEDDING,
            LAST_NORM,
            OUTPUT,
            "model.layers.12.self_attn.q_proj.weight",
            "model.layers.0.mlp.down_proj.weight",
        ] {
            assert_eq!(to_hugging_face(&to_gguf(name).unwrap()).unwrap(), name);
        }
        assert_eq!(to_gguf("model.layers.0.self_attn.q_proj.bias"), None);
        assert_eq!(to_hugging_face("blk.0.attn_q.bias"), None);
    }

    #[test]
    fn pairs_move_half_a_head_apart() {
        // Two heads of size 4 with rows of one value, named head and row.
        let interleaved = [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0];
        let half_split = [0.0, 2.0, 1.0, 3.0, 10.0, 12.0, 11.0, 13.0];
        assert_eq!(to_half_split(&interleaved, 2, 4), half_split);
    }
}
