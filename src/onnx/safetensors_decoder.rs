//! What the `config.json` of a safetensors checkpoint says of a decoder.

use std::path::Path;

use serde::Deserialize;

use super::Error;
use super::architecture::{Architecture, Windows};
use super::decoder::{Biases, DecoderConfig, LayerKind, Rotation, layers, rope_frequencies};
use super::error::EXPORT_IT;

/// The keys of a `config.json` that make a difference here.
#[derive(Deserialize)]
struct RawConfig {
    num_hidden_layers: usize,
    hidden_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "usual_epsilon")]
    rms_norm_eps: f32,
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
    rope_scaling: Option<serde_json::Value>,
    /// Where newer exports keep θ and the scaling.
    rope_parameters: Option<serde_json::Value>,
    partial_rotary_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    tie_word_embeddings: Option<bool>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    hidden_act: Option<String>,
    hidden_activation: Option<String>,
    query_pre_attn_scalar: Option<f64>,
    attn_logit_softcapping: Option<f32>,
    final_logit_softcapping: Option<f32>,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    /// Qwen's: the layers before it see everything.
    max_window_layers: Option<usize>,
    /// Gemma's: each so many layers one sees everything.
    #[serde(alias = "_sliding_window_pattern")]
    sliding_window_pattern: Option<usize>,
    layer_types: Option<Vec<String>>,
    /// 1 for a layer that is rotated.
    no_rope_layers: Option<Vec<u8>>,
}

/// What transformers takes for most where a configuration says nothing.
fn usual_epsilon() -> f32 {
    1e-6
}

/// Llama 3's scaling of long wavelengths.
#[derive(Deserialize)]
struct Llama3Scaling {
    factor: f64,
    low_freq_factor: f64,
    high_freq_factor: f64,
    original_max_position_embeddings: f64,
}

/// Phi-3's scaling, a factor a pair; the short ones hold within the original context.
#[derive(Deserialize)]
struct LongScaling {
    short_factor: Vec<f64>,
    attention_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
}

/// Reads the `text` of the `config.json` at `path`.
///
/// # Errors
/// [`Error::Corrupt`] where it is not one, [`Error::Unsupported`] for what is not in the table of
/// architectures.
pub(super) fn config(path: &Path, text: &str) -> Result<DecoderConfig, Error> {
    Reader::new(path, text)?.config()
}

struct Reader<'a> {
    path: &'a Path,
    raw: RawConfig,
    architecture: &'static Architecture,
}

impl<'a> Reader<'a> {
    fn new(path: &'a Path, text: &str) -> Result<Self, Error> {
        /// Read first: others of a model that is not known mean something else.
        #[derive(Deserialize)]
        struct Kind {
            model_type: String,
        }
        let corrupt =
            |error: serde_json::Error| Error::corrupt(path, "config.json", error.to_string());
        let Kind { model_type } = serde_json::from_str(text).map_err(corrupt)?;
        let Some(architecture) = Architecture::named(&model_type) else {
            let known = Architecture::names();
            let problem = format!("its model type is `{model_type}`; known are {known}");
            return Err(Error::unsupported(path, problem, EXPORT_IT));
        };
        let raw = serde_json::from_str(text).map_err(corrupt)?;
        Ok(Self { path, raw, architecture })
    }

    fn unsupported<T>(&self, problem: String) -> Result<T, Error> {
        Err(Error::unsupported(self.path, problem, EXPORT_IT))
    }

    fn corrupt<T>(&self, problem: String) -> Result<T, Error> {
        Err(Error::corrupt(self.path, "config.json", problem))
    }

    fn config(self) -> Result<DecoderConfig, Error> {
        let Self { raw, architecture, .. } = &self;
        let mut acts = raw.hidden_activation.iter().chain(&raw.hidden_act);
        let known = architecture.activation.names();
        if let Some(act) = acts.next()
            && !known.contains(&act.as_str())
        {
            return self.unsupported(format!("its activation is `{act}`, not `{}`", known[0]));
        }
        if raw.num_attention_heads == 0 {
            return self.corrupt("it has no attention head".to_owned());
        }
        let head_size = raw.head_dim.unwrap_or(raw.hidden_size / raw.num_attention_heads);
        let width = raw.hidden_size;
        let (rotations, context) = self.rotations(head_size)?;
        let layers = self.layers(rotations.len(), context)?;
        let score_size = raw.query_pre_attn_scalar.unwrap_or(head_size as f64);
        let biases = Biases {
            inputs: architecture.biased || (architecture.asks_for_biases && raw.attention_bias),
            output: architecture.asks_for_biases && raw.attention_bias,
            feed_forward: architecture.asks_for_biases && raw.mlp_bias,
        };
        let scale = if architecture.scaled_embedding { (width as f64).sqrt() } else { 1.0 };
        Ok(DecoderConfig {
            architecture,
            layers,
            width,
            heads: raw.num_attention_heads,
            kv_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
            head_size,
            feed_forward: raw.intermediate_size,
            vocabulary: raw.vocab_size,
            context,
            rms_epsilon: raw.rms_norm_eps,
            rotations,
            window: raw.sliding_window.unwrap_or(context).min(context),
            biases,
            embedding_scale: scale as f32,
            query_scale: 1.0 / score_size.sqrt(),
            score_cap: raw.attn_logit_softcapping,
            output_cap: raw.final_logit_softcapping,
            tied: raw.tie_word_embeddings.unwrap_or(architecture.tied),
        })
    }

    /// Which of so many rotations each layer uses, and which see a window of a context.
    fn layers(&self, rotations: usize, context: usize) -> Result<Vec<LayerKind>, Error> {
        let Self { raw, architecture, .. } = self;
        let window = raw.sliding_window.filter(|_| raw.use_sliding_window != Some(false));
        if let Some(types) = &raw.layer_types {
            let known = ["full_attention", "sliding_attention"];
            if let Some(other) = types.iter().find(|kind| !known.contains(&kind.as_str())) {
                return self.unsupported(format!("it has a layer of the type `{other}`"));
            }
        }
        let windows = match raw.sliding_window_pattern {
            Some(each) if each > 0 => Windows::AllBut(each),
            _ => architecture.windows,
        };
        let from = raw.max_window_layers.filter(|_| raw.use_sliding_window == Some(true));
        let slides = |layer: usize| match raw.layer_types.as_ref().and_then(|all| all.get(layer)) {
            Some(kind) => kind == "sliding_attention",
            None => windows.has(layer) || from.is_some_and(|from| layer >= from),
        };
        let is_rotated =
            |layer: usize| match raw.no_rope_layers.as_ref().and_then(|all| all.get(layer)) {
                Some(&is_rotated) => is_rotated != 0,
                None => architecture.is_rotated(layer),
            };
        let kind = |layer: usize| {
            let slides = slides(layer);
            let rotation = usize::from(slides && rotations > 1);
            LayerKind {
                rotation: is_rotated(layer).then_some(rotation),
                // A window that holds every text is none.
                windowed: slides && window.is_some_and(|window| window < context),
            }
        };
        layers(raw.num_hidden_layers, kind).or_else(|problem| self.corrupt(problem))
    }

    /// The rotation of full layers, that of layers with a window where it differs, and the context
    /// within which they hold.
    fn rotations(&self, head_size: usize) -> Result<(Vec<Rotation>, usize), Error> {
        let Self { raw, architecture, .. } = self;
        let parameters = raw.rope_parameters.as_ref().filter(|value| !value.is_null());
        // Models with two kinds of layers keep parameters by kind since transformers 5.
        let of_kind = |kind: &str| parameters.map(|all| all.get(kind).unwrap_or(all));
        let nested = of_kind("full_attention");
        let theta_of = |nested: Option<&serde_json::Value>| nested?.get("rope_theta")?.as_f64();
        let theta = raw.rope_theta.or_else(|| theta_of(nested)).unwrap_or(10_000.0);
        let part = raw.partial_rotary_factor;
        let part = part.or_else(|| nested?.get("partial_rotary_factor")?.as_f64()).unwrap_or(1.0);
        let rotated = (head_size as f64 * part) as usize;
        let mut full = Rotation { frequencies: rope_frequencies(theta, rotated), scale: 1.0 };
        let mut context = raw.max_position_embeddings;
        let scaling = raw.rope_scaling.as_ref().filter(|value| !value.is_null()).or(nested);
        if let Some(scaling) = scaling {
            self.scale(&mut full, scaling, &mut context)?;
        }
        let near = raw
            .rope_local_base_freq
            .or_else(|| theta_of(parameters.and_then(|all| all.get("sliding_attention"))));
        let near = near.or(architecture.theta_in_window);
        let near = near
            .map(|theta| Rotation { frequencies: rope_frequencies(theta, rotated), scale: 1.0 });
        Ok((std::iter::once(full).chain(near).collect(), context))
    }

    fn scale(
        &self,
        rotation: &mut Rotation,
        scaling: &serde_json::Value,
        context: &mut usize,
    ) -> Result<(), Error> {
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type"));
        let each = &mut rotation.frequencies;
        let unsound = |error: serde_json::Error| {
            Error::corrupt(self.path, "config.json", format!("its scaling of RoPE: {error}"))
        };
        match kind.and_then(|kind| kind.as_str()).unwrap_or("default") {
            "default" => {}
            "linear" => {
                let factor = scaling.get("factor").and_then(|factor| factor.as_f64());
                let Some(factor) = factor else {
                    return self.corrupt("its scaling of RoPE has no `factor`".to_owned());
                };
                each.iter_mut().for_each(|frequency| *frequency /= factor);
            }
            "llama3" => {
                let scaling = Llama3Scaling::deserialize(scaling).map_err(unsound)?;
                each.iter_mut().for_each(|frequency| *frequency = scaling.scaled(*frequency));
            }
            "longrope" | "su" => {
                let long = LongScaling::deserialize(scaling).map_err(unsound)?;
                if long.short_factor.len() != each.len() {
                    let (factors, pairs) = (long.short_factor.len(), each.len());
                    return self.corrupt(format!("{factors} factors of RoPE for {pairs} pairs"));
                }
                each.iter_mut().zip(&long.short_factor).for_each(|(f, factor)| *f /= factor);
                let original = self.raw.original_max_position_embeddings;
                let original =
                    original.or(long.original_max_position_embeddings).unwrap_or(*context);
                rotation.scale =
                    long.attention_factor.unwrap_or(attention_factor(*context, original));
                *context = original.min(*context);
            }
            other => return self.unsupported(format!("it uses RoPE scaling of type `{other}`")),
        }
        Ok(())
    }
}

/// What LongRoPE multiplies cosines and sines by: √(1 + ln s / ln L) where a model of a context of L
/// was stretched to s L (Ding et al. 2024).
pub(super) fn attention_factor(context: usize, original: usize) -> f64 {
    let stretch = context as f64 / original.max(1) as f64;
    if stretch > 1.0 && original > 1 {
        (1.0 + stretch.ln() / (original as f64).ln()).sqrt()
    } else {
        1.0
    }
}

impl Llama3Scaling {
    /// Short wavelengths stay, those beyond the original context are stretched by `factor`, and
    /// between them the two are mixed linearly in the number of turns.
    fn scaled(&self, frequency: f64) -> f64 {
        let turns = self.original_max_position_embeddings * frequency / std::f64::consts::TAU;
        let span = self.high_freq_factor - self.low_freq_factor;
        let kept = ((turns - self.low_freq_factor) / span).clamp(0.0, 1.0);
        frequency * (kept + (1.0 - kept) / self.factor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A configuration of six layers with `more` keys.
    fn read(model_type: &str, more: Value) -> DecoderConfig {
        let mut all = json!({
            "model_type": model_type, "num_hidden_layers": 6, "hidden_size": 64,
            "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 300,
            "max_position_embeddings": 1024,
        });
        let Value::Object(more) = more else { panic!("keys") };
        all.as_object_mut().unwrap().extend(more);
        config(Path::new("config.json"), &all.to_string()).unwrap()
    }

    fn windowed(config: &DecoderConfig) -> Vec<usize> {
        (0..6).filter(|&layer| config.layers[layer].windowed).collect()
    }

    #[test]
    fn windows_are_where_they_are_said_to_be() {
        let gemma2 = read("gemma2", json!({"sliding_window": 512}));
        assert_eq!((windowed(&gemma2), gemma2.window), (vec![0, 2, 4], 512));
        // One that holds every text is none.
        assert!(windowed(&read("gemma2", json!({"sliding_window": 1024}))).is_empty());
        let types = ["full_attention", "sliding_attention"].repeat(3);
        let said = read("gemma3_text", json!({"sliding_window": 512, "layer_types": types}));
        assert_eq!(windowed(&said), [1, 3, 5]);
        // Layers with a window have a rotation of their own.
        let rotations = said.layers.iter().map(|layer| layer.rotation.unwrap());
        assert_eq!(rotations.collect::<Vec<_>>(), [0, 1, 0, 1, 0, 1]);
        let three = read("gemma3_text", json!({"sliding_window": 8, "sliding_window_pattern": 3}));
        assert_eq!(windowed(&three), [0, 1, 3, 4]);
        let qwen = |uses: bool| {
            let keys =
                json!({"sliding_window": 8, "use_sliding_window": uses, "max_window_layers": 4});
            windowed(&read("qwen2", keys))
        };
        assert_eq!((qwen(true), qwen(false)), (vec![4, 5], vec![]));
        assert_eq!(windowed(&read("mistral", json!({"sliding_window": 8}))).len(), 6);
        assert!(windowed(&read("mistral", json!({"sliding_window": null}))).is_empty());
    }

    #[test]
    fn rotations_are_read_from_either_generation_of_configurations() {
        let old = read(
            "gemma3_text",
            json!({"rope_theta": 1e6, "rope_local_base_freq": 2e4, "sliding_window": 8,
                   "rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
        );
        let new = read(
            "gemma3_text",
            json!({"sliding_window": 8, "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}}),
        );
        assert_eq!(old.rotations, new.rotations);
        assert!((old.rotations[0].frequencies[0] - 0.125).abs() < 1e-12);
        assert!((old.rotations[1].frequencies[1] - 2e4f64.powf(-0.125)).abs() < 1e-12);
        let flat =
            read("qwen3", json!({"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}));
        assert_eq!(flat.rotations, read("qwen3", json!({"rope_theta": 1e6})).rotations);
        let smollm3 = read("smollm3", json!({"no_rope_layers": [1, 0, 1, 1, 1, 0]}));
        let still = (0..6).filter(|&layer| smollm3.layers[layer].rotation.is_none());
        assert_eq!(still.collect::<Vec<_>>(), [1, 5]);
        let still = read("smollm3", json!({}));
        assert!(still.layers[3].rotation.is_none() && still.layers[2].rotation.is_some());
    }

    /// Phi-3 with 4 times its original context: √(1 + ln 4 / ln 256) = √1.25.
    #[test]
    fn a_stretched_model_is_read_within_its_original_context() {
        let factors: Vec<f64> = (0..6).map(|pair| 1.0 + f64::from(pair)).collect();
        let phi = read(
            "phi3",
            json!({"original_max_position_embeddings": 256, "partial_rotary_factor": 0.75,
                   "sliding_window": 2047, "rope_scaling": {
                       "type": "longrope", "short_factor": factors, "long_factor": factors}}),
        );
        assert_eq!((phi.context, phi.rotations[0].frequencies.len()), (256, 6));
        assert!((phi.rotations[0].scale - 1.25f64.sqrt()).abs() < 1e-12);
        assert!((phi.rotations[0].frequencies[1] - 10_000f64.powf(-1.0 / 6.0) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn constants_are_the_configurations_or_the_kinds() {
        let gemma2 = read(
            "gemma2",
            json!({"query_pre_attn_scalar": 144, "attn_logit_softcapping": 50.0,
                   "final_logit_softcapping": 30.0, "hidden_activation": "gelu_pytorch_tanh"}),
        );
        assert!((gemma2.query_scale - 1.0 / 12.0).abs() < 1e-12);
        assert_eq!((gemma2.score_cap, gemma2.output_cap), (Some(50.0), Some(30.0)));
        assert_eq!((gemma2.embedding_scale, gemma2.tied), (8.0, true));
        // Gemma's first configurations have both keys, one of them null.
        let gemma = read("gemma", json!({"hidden_act": "gelu", "hidden_activation": null}));
        assert_eq!(gemma.query_scale, 0.25);
        let biased = json!({"attention_bias": true, "mlp_bias": true});
        let of = |model_type: &str| read(model_type, biased.clone()).biases;
        let all = Biases { inputs: true, output: true, feed_forward: true };
        assert_eq!((of("llama"), of("mistral")), (all, Biases::default()));
        assert_eq!(of("qwen2"), Biases { inputs: true, ..Biases::default() });
        assert!(!read("llama", json!({})).tied && read("smollm3", json!({})).tied);
    }
}
