//! A GGUF file of a decoder, seen as a Hugging Face checkpoint.

use std::path::Path;

use super::Error;
use super::architecture::{Architecture, Windows};
use super::blocks::{Blocks, in_order};
use super::checkpoint::Weights;
use super::decoder::{
    Biases, DecoderConfig, EMBEDDING, LAST_NORM, LayerKind, OUTPUT, Rotation, layers,
    rope_frequencies,
};
use super::error::EXPORT_IT;
use super::gguf::{Gguf, Value};

/// One factor a pair of a head, by which its frequency is divided (Llama 3's scaling).
const ROPE_FACTORS: &str = "rope_freqs.weight";
/// The same within Phi-3's original context, and beyond it.
const SHORT_FACTORS: &str = "rope_factors_short.weight";
const LONG_FACTORS: &str = "rope_factors_long.weight";

/// Part of a layer: its name in GGUF and its name in Hugging Face checkpoints.
const PARTS: [(&str, &str); 6] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
];
/// The same of the feed-forward layer.
const FEED_FORWARD: [(&str, &str); 3] =
    [("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj")];
/// The same where several are one.
const FUSED: [(&str, &str); 3] = [
    ("attn_qkv", "self_attn.qkv_proj"),
    ("ffn_up", "mlp.gate_up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The parts of an architecture's layers, by both names.
fn parts(architecture: &Architecture) -> Vec<(&'static str, &'static str)> {
    let norms = &architecture.norms;
    let around = [
        ("attn_norm", norms.before_attention),
        ("post_attention_norm", norms.after_attention),
        ("ffn_norm", norms.before_feed_forward),
        ("post_ffw_norm", norms.after_feed_forward),
    ];
    let norms = around.into_iter().filter_map(|(gguf, name)| Some((gguf, name?)));
    let others = if architecture.fused { FUSED } else { FEED_FORWARD };
    norms.chain(PARTS).chain(others).collect()
}

/// The model's description, from the metadata.
///
/// # Errors
/// [`Error::Corrupt`] for what is missing, [`Error::Unsupported`] for what is not in the table of
/// architectures.
pub(super) fn config(gguf: &Gguf) -> Result<DecoderConfig, Error> {
    let path = gguf.path();
    let architecture = match gguf.metadata("general.architecture") {
        Some(Value::Text(name)) => Architecture::of_gguf(name).ok_or_else(|| {
            let known = Architecture::gguf_names();
            let problem = format!("its architecture is `{name}`; known are {known}");
            Error::unsupported(path, problem, EXPORT_IT)
        })?,
        _ => return Err(missing(path, "general.architecture")),
    };
    Reader { gguf, architecture }.config()
}

struct Reader<'a> {
    gguf: &'a Gguf,
    architecture: &'static Architecture,
}

impl Reader<'_> {
    fn config(&self) -> Result<DecoderConfig, Error> {
        let Self { gguf, architecture } = self;
        if self.size_or("expert_count", 0)? > 0 {
            return self.unsupported("it is a mixture of experts".to_owned());
        }
        let width = self.size("embedding_length")?;
        let heads = self.size("attention.head_count")?;
        if heads == 0 {
            return Err(Error::corrupt(gguf.path(), "GGUF", "it has no attention head"));
        }
        let head_size = self.size_or("attention.key_length", width / heads)?;
        if self.size_or("attention.value_length", head_size)? != head_size {
            return self.unsupported("its keys and values differ in size".to_owned());
        }
        let mut context = self.size("context_length")?;
        let rotations = self.rotations(head_size, &mut context)?;
        let count = self.size("block_count")?;
        let (window, windows) = self.windows()?;
        let kind = |layer: usize| {
            let slides = window > 0 && windows.has(layer);
            let rotation = usize::from(slides && rotations.len() > 1);
            LayerKind {
                rotation: architecture.is_rotated(layer).then_some(rotation),
                // A window that holds every text is none.
                windowed: slides && window < context,
            }
        };
        let layers =
            layers(count, kind).map_err(|problem| Error::corrupt(gguf.path(), "GGUF", problem))?;
        let has = |name: &str| gguf.shape(name).is_some();
        let biases = Biases {
            inputs: has("blk.0.attn_q.bias") || has("blk.0.attn_qkv.bias"),
            output: has("blk.0.attn_output.bias"),
            feed_forward: has("blk.0.ffn_down.bias"),
        };
        let scale = if architecture.scaled_embedding { (width as f64).sqrt() } else { 1.0 };
        let cap = |key: &str, which: usize| -> Result<Option<f32>, Error> {
            let usual = architecture.unsaid.caps.map(|caps| caps[which]);
            Ok(self.number_if(key)?.or(usual).map(|cap| cap as f32))
        };
        Ok(DecoderConfig {
            architecture,
            layers,
            width,
            heads,
            kv_heads: self.size_or("attention.head_count_kv", heads)?,
            head_size,
            feed_forward: self.size("feed_forward_length")?,
            vocabulary: gguf.shape("token_embd.weight").map_or(0, |shape| shape[0]),
            context,
            rms_epsilon: self.number("attention.layer_norm_rms_epsilon")? as f32,
            rotations,
            window: if window > 0 { window.min(context) } else { context },
            biases,
            embedding_scale: scale as f32,
            query_scale: 1.0 / (self.score_size(count, width / heads, head_size) as f64).sqrt(),
            score_cap: cap("attn_logit_softcapping", 0)?,
            output_cap: cap("final_logit_softcapping", 1)?,
            tied: !has("output.weight"),
        })
    }

    /// How far layers with a window see, 0 where none has one, and which they are.
    fn windows(&self) -> Result<(usize, Windows), Error> {
        let Architecture { windows, unsaid, .. } = self.architecture;
        let window = self.size_or("attention.sliding_window", unsaid.window)?;
        let key = self.key("attention.sliding_window_pattern");
        match (self.gguf.metadata(&key), unsaid.with_window) {
            (None, Some(other)) if window > 0 => {
                self.unsupported(format!("some of its layers see {window} tokens, as {other}'s do"))
            }
            (None, _) => Ok((window, *windows)),
            (Some(Value::Unsigned(each)), _) if (1..1 << 12).contains(each) => {
                Ok((window, Windows::AllBut(*each as usize)))
            }
            (Some(_), _) => self.unsupported(format!("its `{key}` is no number of layers")),
        }
    }

    /// Whose root scores are divided by. The files do not say it.
    fn score_size(&self, layers: usize, per_head: usize, head_size: usize) -> usize {
        let by_width = self.architecture.unsaid.scored_by_width;
        if by_width == Some(layers) { per_head } else { head_size }
    }

    /// The rotation of full layers, and that of layers with a window where it differs.
    fn rotations(&self, head_size: usize, context: &mut usize) -> Result<Vec<Rotation>, Error> {
        let rotated = self.size_or("rope.dimension_count", head_size)?;
        if self.architecture.interleaved && rotated != head_size {
            return self.unsupported("it rotates only a part of each head".to_owned());
        }
        // Some files of Gemma 3 have other names.
        let theta = match self.number_if("rope.freq_base")? {
            Some(theta) => theta,
            None if self.architecture.theta_in_window.is_some() => {
                self.number("rope.global.freq_base")?
            }
            None => 10_000.0,
        };
        let mut full = Rotation { frequencies: rope_frequencies(theta, rotated), scale: 1.0 };
        match self.gguf.metadata(&self.key("rope.scaling.type")) {
            Some(Value::Text(kind)) if kind == "none" || kind == "longrope" => {}
            Some(Value::Text(kind)) if kind != "linear" => {
                return self.unsupported(format!("it uses RoPE scaling of type `{kind}`"));
            }
            // What is not said is linear; the files of 2023 call the factor otherwise.
            _ => {
                let factor = self.number_if("rope.scaling.factor")?;
                let factor = factor.or(self.number_if("rope.scale_linear")?).unwrap_or(1.0);
                full.frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
            }
        }
        let original = self.size_or("rope.scaling.original_context_length", *context)?;
        for name in [ROPE_FACTORS, SHORT_FACTORS] {
            let Some(factors) = self.gguf.tensor(name)? else { continue };
            if factors.len() != full.frequencies.len() {
                let problem = format!("`{name}` has {} values", factors.len());
                return Err(Error::corrupt(self.gguf.path(), "GGUF", problem));
            }
            for (frequency, factor) in full.frequencies.iter_mut().zip(factors) {
                *frequency /= f64::from(factor);
            }
            if name == SHORT_FACTORS {
                full.scale = self.number_if("rope.scaling.attn_factor")?.unwrap_or(1.0);
                *context = original.min(*context);
            }
        }
        let near = match self.architecture.theta_in_window {
            Some(usual) => {
                let theta = self.number_if("rope.freq_base_swa")?;
                let theta = theta.or(self.number_if("rope.local.freq_base")?).unwrap_or(usual);
                Some(Rotation { frequencies: rope_frequencies(theta, rotated), scale: 1.0 })
            }
            None => None,
        };
        Ok(std::iter::once(full).chain(near).collect())
    }

    fn unsupported<T>(&self, problem: String) -> Result<T, Error> {
        Err(Error::unsupported(self.gguf.path(), problem, EXPORT_IT))
    }

    /// A key of this architecture.
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture.gguf)
    }

    fn size(&self, key: &str) -> Result<usize, Error> {
        let key = self.key(key);
        match self.gguf.metadata(&key) {
            // No model's size is near 2^31: what is larger would overflow products of sizes.
            Some(Value::Unsigned(size)) if *size < 1 << 31 => Ok(*size as usize),
            _ => Err(missing(self.gguf.path(), &key)),
        }
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        match self.gguf.metadata(&self.key(key)) {
            Some(_) => self.size(key),
            None => Ok(default),
        }
    }

    fn number(&self, key: &str) -> Result<f64, Error> {
        let key = self.key(key);
        match self.gguf.metadata(&key) {
            Some(Value::Float(number)) if *number > 0.0 && number.is_finite() => Ok(*number),
            _ => Err(missing(self.gguf.path(), &key)),
        }
    }

    fn number_if(&self, key: &str) -> Result<Option<f64>, Error> {
        match self.gguf.metadata(&self.key(key)) {
            Some(_) => self.number(key).map(Some),
            None => Ok(None),
        }
    }
}

fn missing(path: &Path, key: &str) -> Error {
    Error::corrupt(path, "GGUF", format!("its metadata has no usable `{key}`"))
}

/// The file's tensors under their Hugging Face names and in that row order.
pub(super) struct GgufWeights {
    gguf: Gguf,
    architecture: &'static Architecture,
    heads: usize,
    kv_heads: usize,
    head_size: usize,
}

impl GgufWeights {
    pub(super) fn new(gguf: Gguf, config: &DecoderConfig) -> Self {
        let DecoderConfig { architecture, heads, kv_heads, head_size, .. } = *config;
        Self { gguf, architecture, heads, kv_heads, head_size }
    }

    /// The file itself.
    pub(super) fn gguf(&self) -> &Gguf {
        &self.gguf
    }
}

impl Weights for GgufWeights {
    fn path(&self) -> &Path {
        self.gguf.path()
    }

    fn names(&self) -> Vec<String> {
        let beside = [ROPE_FACTORS, SHORT_FACTORS, LONG_FACTORS];
        let names = self.gguf.tensor_names().filter(|name| !beside.contains(name));
        let renamed = |name: &str| to_hugging_face(name, self.architecture);
        names.map(|name| renamed(name).unwrap_or_else(|| name.to_owned())).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.gguf.shape(&to_gguf(name, self.architecture)?).map(<[usize]>::to_vec)
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, Error> {
        let own = to_gguf(name, self.architecture);
        let own = own.as_deref().unwrap_or(name);
        let found = self.gguf.tensor(own)?;
        let values = found.ok_or_else(|| {
            Error::corrupt(self.gguf.path(), "GGUF", format!("it has no `{own}`"))
        })?;
        Ok(match self.row_order(name) {
            Some(order) => in_order(&values, &order),
            None => values,
        })
    }

    fn blocks(&self, name: &str) -> Result<Option<Blocks>, Error> {
        let Some(gguf) = to_gguf(name, self.architecture) else { return Ok(None) };
        let blocks = self.gguf.blocks(&gguf)?;
        Ok(match (blocks, self.row_order(name)) {
            (Some(blocks), Some(order)) => Some(blocks.with_rows(&order)),
            (blocks, _) => blocks,
        })
    }
}

impl GgufWeights {
    /// Which of the file's rows each row of a tensor is, where they are in another order.
    fn row_order(&self, name: &str) -> Option<Vec<usize>> {
        let heads = match name.rsplit('.').nth(1) {
            Some("q_proj") => self.heads,
            Some("k_proj") => self.kv_heads,
            _ => return None,
        };
        self.architecture.interleaved.then(|| half_split(heads, self.head_size))
    }
}

/// GGUF stores the rows of a head's queries and keys so that the two of a rotated pair are
/// neighbours; Hugging Face has them half a head apart. Row `p * head_size / 2 + i` of a head is its
/// row `2 i + p` there.
fn half_split(heads: usize, head_size: usize) -> Vec<usize> {
    let of_head = |head: usize| {
        let half = move |p: usize| (0..head_size / 2).map(move |i| head * head_size + 2 * i + p);
        (0..2).flat_map(half)
    };
    (0..heads).flat_map(of_head).collect()
}

/// The names of what belongs to no layer.
const WHOLE: [(&str, &str); 3] = [
    ("token_embd.weight", EMBEDDING),
    ("output_norm.weight", LAST_NORM),
    ("output.weight", OUTPUT),
];

/// GGUF's name of a tensor, from that of Hugging Face.
pub(super) fn to_gguf(name: &str, architecture: &Architecture) -> Option<String> {
    renamed(name, architecture, ["model.layers.", "blk."], |(gguf, hugging_face)| {
        (hugging_face, gguf)
    })
}

fn to_hugging_face(name: &str, architecture: &Architecture) -> Option<String> {
    renamed(name, architecture, ["blk.", "model.layers."], |names| names)
}

/// A tensor's other name: `order` says of GGUF's and Hugging Face's name of a part which is given and which is
/// wanted, `layers` what layers begin with in each.
fn renamed(
    name: &str,
    architecture: &Architecture,
    layers: [&str; 2],
    order: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Option<String> {
    let other = |pairs: &[(&'static str, &'static str)], part: &str| {
        pairs.iter().map(|pair| order(*pair)).find(|(given, _)| *given == part).map(|pair| pair.1)
    };
    if let Some(whole) = other(&WHOLE, name) {
        return Some(whole.to_owned());
    }
    let [from, to] = layers;
    let (layer, part) = name.strip_prefix(from)?.split_once('.')?;
    let (part, kind) = part.rsplit_once('.')?;
    Some(format!("{to}{layer}.{}.{kind}", other(&parts(architecture), part)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (architecture, name) in [
            ("llama", EMBEDDING),
            ("gemma", LAST_NORM),
            ("qwen2", OUTPUT),
            ("llama", "model.layers.12.self_attn.q_proj.weight"),
            ("qwen2", "model.layers.12.self_attn.q_proj.bias"),
            ("phi3", "model.layers.0.mlp.gate_up_proj.weight"),
            ("llama", "model.layers.0.mlp.up_proj.weight"),
            ("gemma2", "model.layers.0.post_attention_layernorm.weight"),
            ("gemma2", "model.layers.0.pre_feedforward_layernorm.weight"),
            ("olmo2", "model.layers.0.self_attn.q_norm.weight"),
        ] {
            let architecture = Architecture::named(architecture).unwrap();
            let gguf = to_gguf(name, architecture).unwrap();
            assert_eq!(to_hugging_face(&gguf, architecture).unwrap(), name);
        }
        let gguf = |name: &str, architecture: &str| {
            to_gguf(name, Architecture::named(architecture).unwrap()).unwrap()
        };
        let norm = "model.layers.3.post_attention_layernorm.weight";
        assert_eq!(gguf(norm, "llama"), "blk.3.ffn_norm.weight");
        assert_eq!(gguf(norm, "olmo2"), "blk.3.post_attention_norm.weight");
        let llama = Architecture::named("llama").unwrap();
        assert_eq!(to_gguf("model.layers.0.self_attn.rotary", llama), None);
        assert_eq!(to_hugging_face("blk.0.attn_qkv.weight", llama), None);
    }

    #[test]
    fn pairs_move_half_a_head_apart() {
        // Two heads of size 4 with rows of one value, named head and row.
        let interleaved = [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0];
        let split = [0.0, 2.0, 1.0, 3.0, 10.0, 12.0, 11.0, 13.0];
        assert_eq!(in_order(&interleaved, &half_split(2, 4)), split);
    }
}
