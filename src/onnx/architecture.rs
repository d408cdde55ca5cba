//! The architectures of decoders that kgbuild reads: a row each.
//!
//! A row says what a checkpoint does not: where a layer's norms stand, what is rotated and windowed
//! as a rule, and how its weights are stored. Sizes and constants are the checkpoint's
//! ([`super::safetensors_decoder`], [`super::gguf_decoder`]).

/// What tells the layers of one architecture from those of another.
#[derive(Debug, PartialEq)]
pub struct Architecture {
    /// What `config.json` calls it, as `model_type`.
    pub name: &'static str,
    /// Its class in transformers.
    pub class: &'static str,
    /// What GGUF calls it, as `general.architecture`, and what its keys begin with.
    pub(super) gguf: &'static str,
    /// What is normed in a layer.
    pub(crate) norms: LayerNorms,
    /// How queries and keys are normed before they are rotated, if they are.
    pub(crate) head_norms: Option<HeadNorms>,
    /// Whether queries, keys and values are one weight, and gate and value of the feed-forward layer.
    pub(crate) fused: bool,
    /// What opens the gate of the feed-forward layer.
    pub(crate) activation: Activation,
    /// Whether queries, keys and values have biases, whatever the configuration says.
    pub(crate) biased: bool,
    /// Whether it has biases where its configuration says so; others have the key and no biases.
    pub(crate) asks_for_biases: bool,
    /// Whether embeddings are multiplied by √width.
    pub(crate) scaled_embedding: bool,
    /// Whether the output projection is the embedding where a configuration does not say.
    pub(crate) tied: bool,
    /// Whether its safetensors hold what norms' weights differ from 1 by.
    pub(crate) norms_from_one: bool,
    /// Whether GGUF has the rows of queries and keys so that a rotated pair are neighbours.
    pub(crate) interleaved: bool,
    /// Which layers see a window only, where a checkpoint has one and does not say.
    pub(crate) windows: Windows,
    /// Which layers are not rotated, counted from 1: the multiples.
    pub(crate) unrotated_each: Option<usize>,
    /// θ of layers with a window, where it differs and a checkpoint does not say.
    pub(crate) theta_in_window: Option<f64>,
    /// What GGUF files do not say, or not all of them.
    pub(super) unsaid: Unsaid,
}

/// What a GGUF file may leave out.
#[derive(Debug, PartialEq)]
pub(super) struct Unsaid {
    /// Caps of scores and of logits.
    pub caps: Option<[f64; 2]>,
    /// How far layers with a window see; 0 where none has one.
    pub window: usize,
    /// How many layers the model has whose scores are divided by √(width / heads) in the place of
    /// √head_size.
    pub scored_by_width: Option<usize>,
    /// The other architecture that a file of this name with a window is of.
    pub with_window: Option<&'static str>,
}

/// The norms of a layer by the Hugging Face names of their weights.
#[derive(Debug, PartialEq)]
pub(crate) struct LayerNorms {
    /// Of what attention takes.
    pub before_attention: Option<&'static str>,
    /// Of what attention gives.
    pub after_attention: Option<&'static str>,
    /// Of what the feed-forward layer takes.
    pub before_feed_forward: Option<&'static str>,
    /// Of what the feed-forward layer gives.
    pub after_feed_forward: Option<&'static str>,
}

/// How queries and keys are normed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum HeadNorms {
    /// Each head by itself, all by one weight `[head_size]`.
    Each,
    /// All heads of a token together.
    Whole,
}

/// What opens a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    /// z σ(z).
    Silu,
    /// z Φ(z) in the approximation by tanh (Hendrycks and Gimpel 2016), which is z σ(2 √(2/π) (z + 0.044715 z³)).
    Gelu,
}

impl Activation {
    /// What `config.json` calls it: in one or another way.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Silu => &["silu"],
            // Gemma's first configurations said `gelu` and meant this.
            Self::Gelu => &["gelu_pytorch_tanh", "gelu"],
        }
    }
}

/// Which layers see a window only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Windows {
    /// None.
    Nowhere,
    /// All.
    Everywhere,
    /// All but the multiples of a number, counted from 1.
    AllBut(usize),
}

impl Windows {
    /// Whether layer number `layer`, counted from 0, has one.
    pub(super) fn has(self, layer: usize) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Everywhere => true,
            Self::AllBut(each) => !(layer + 1).is_multiple_of(each),
        }
    }
}

/// Norms before attention and the feed-forward layer, as most have them.
const BEFORE: LayerNorms = LayerNorms {
    before_attention: Some("input_layernorm"),
    after_attention: None,
    before_feed_forward: Some("post_attention_layernorm"),
    after_feed_forward: None,
};

/// Norms around both, as Gemma has them since its second version.
const AROUND: LayerNorms = LayerNorms {
    before_attention: Some("input_layernorm"),
    after_attention: Some("post_attention_layernorm"),
    before_feed_forward: Some("pre_feedforward_layernorm"),
    after_feed_forward: Some("post_feedforward_layernorm"),
};

/// Norms of what both give, as OLMo has them since its second version.
const AFTER: LayerNorms = LayerNorms {
    before_attention: None,
    after_attention: Some("post_attention_layernorm"),
    before_feed_forward: None,
    after_feed_forward: Some("post_feedforward_layernorm"),
};

/// A file that says all.
const NOTHING_UNSAID: Unsaid =
    Unsaid { caps: None, window: 0, scored_by_width: None, with_window: None };

/// What is as in Llama 2 and 3 need not be said of others.
const LLAMA: Architecture = Architecture {
    name: "llama",
    class: "LlamaForCausalLM",
    gguf: "llama",
    norms: BEFORE,
    head_norms: None,
    fused: false,
    activation: Activation::Silu,
    biased: false,
    asks_for_biases: true,
    scaled_embedding: false,
    tied: false,
    norms_from_one: false,
    interleaved: true,
    windows: Windows::Nowhere,
    unrotated_each: None,
    theta_in_window: None,
    unsaid: NOTHING_UNSAID,
};

/// The same of Gemma.
const GEMMA: Architecture = Architecture {
    name: "gemma",
    class: "GemmaForCausalLM",
    gguf: "gemma",
    activation: Activation::Gelu,
    scaled_embedding: true,
    tied: true,
    norms_from_one: true,
    interleaved: false,
    ..LLAMA
};

/// The table. Of two that GGUF calls alike the first is taken.
static ARCHITECTURES: [Architecture; 10] = [
    LLAMA,
    Architecture {
        name: "mistral",
        class: "MistralForCausalLM",
        asks_for_biases: false,
        windows: Windows::Everywhere,
        ..LLAMA
    },
    Architecture {
        name: "qwen2",
        class: "Qwen2ForCausalLM",
        gguf: "qwen2",
        biased: true,
        asks_for_biases: false,
        interleaved: false,
        ..LLAMA
    },
    Architecture {
        name: "qwen3",
        class: "Qwen3ForCausalLM",
        gguf: "qwen3",
        head_norms: Some(HeadNorms::Each),
        interleaved: false,
        ..LLAMA
    },
    GEMMA,
    Architecture {
        name: "gemma2",
        class: "Gemma2ForCausalLM",
        gguf: "gemma2",
        norms: AROUND,
        windows: Windows::AllBut(2),
        // Its first files have neither caps nor window.
        unsaid: Unsaid {
            caps: Some([50.0, 30.0]),
            window: 4096,
            scored_by_width: Some(46),
            ..NOTHING_UNSAID
        },
        ..GEMMA
    },
    Architecture {
        name: "gemma3_text",
        class: "Gemma3ForCausalLM",
        gguf: "gemma3",
        norms: AROUND,
        head_norms: Some(HeadNorms::Each),
        windows: Windows::AllBut(6),
        theta_in_window: Some(10_000.0),
        unsaid: Unsaid { scored_by_width: Some(62), ..NOTHING_UNSAID },
        ..GEMMA
    },
    Architecture {
        name: "phi3",
        class: "Phi3ForCausalLM",
        asks_for_biases: false,
        gguf: "phi3",
        fused: true,
        interleaved: false,
        windows: Windows::Everywhere,
        ..LLAMA
    },
    Architecture {
        name: "smollm3",
        class: "SmolLM3ForCausalLM",
        gguf: "smollm3",
        tied: true,
        unrotated_each: Some(4),
        ..LLAMA
    },
    Architecture {
        name: "olmo2",
        class: "Olmo2ForCausalLM",
        gguf: "olmo2",
        norms: AFTER,
        head_norms: Some(HeadNorms::Whole),
        interleaved: false,
        unsaid: Unsaid { with_window: Some("OLMo 3"), ..NOTHING_UNSAID },
        ..LLAMA
    },
];

impl Architecture {
    /// The one that `config.json` calls so.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ARCHITECTURES.iter().find(|one| one.name == name)
    }

    /// The one that GGUF calls so.
    pub(super) fn of_gguf(name: &str) -> Option<&'static Self> {
        ARCHITECTURES.iter().find(|one| one.gguf == name)
    }

    /// What `config.json` calls all of them, for messages.
    pub(super) fn names() -> String {
        ARCHITECTURES.each_ref().map(|one| one.name).join(", ")
    }

    /// What GGUF calls all of them.
    pub(super) fn gguf_names() -> String {
        let mut names = ARCHITECTURES.each_ref().map(|one| one.gguf).to_vec();
        names.dedup();
        names.join(", ")
    }

    /// Whether a layer, counted from 0, is rotated as a rule.
    pub(crate) fn is_rotated(&self, layer: usize) -> bool {
        self.unrotated_each.is_none_or(|each| !(layer + 1).is_multiple_of(each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_either_name() {
        assert_eq!(Architecture::named("gemma3_text"), Architecture::of_gguf("gemma3"));
        assert_eq!(Architecture::of_gguf("llama").unwrap().name, "llama");
        assert!(Architecture::named("mamba").is_none());
        assert!(Architecture::gguf_names().starts_with("llama, qwen2, "));
    }

    #[test]
    fn layers_count_from_one() {
        let windowed = |name: &str| {
            let windows = Architecture::named(name).unwrap().windows;
            (0..7).filter(|&layer| windows.has(layer)).collect::<Vec<_>>()
        };
        assert_eq!(windowed("gemma2"), [0, 2, 4, 6]);
        assert_eq!(windowed("gemma3_text"), [0, 1, 2, 3, 4, 6]);
        let smollm3 = Architecture::named("smollm3").unwrap();
        assert!(smollm3.is_rotated(2) && !smollm3.is_rotated(3));
    }
}
