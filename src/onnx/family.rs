//! Which family of language models a folder holds: its configuration says so, or its graph does.

use std::fmt;

use serde_json::Value;

/// How a language model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// From left to right.
    Causal,
    /// Both sides of what is masked.
    Masked,
    /// A prompt by the encoder, then from left to right by the decoder.
    EncoderDecoder,
}

/// Types of models, as `config.json` names them, that are masked ones where nothing says otherwise.
const MASKED_TYPES: [&str; 17] = [
    "albert",
    "bert",
    "camembert",
    "convbert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "esm",
    "flaubert",
    "modernbert",
    "mpnet",
    "nomic_bert",
    "roberta",
    "roformer",
    "xlm-roberta",
];

impl Family {
    /// The family of a folder, from whether it has an encoder of its own, from its `config.json`,
    /// and from the names of its graph's inputs.
    ///
    /// # Errors
    /// Says, in words, of which other kind the model is.
    pub fn of(has_encoder: bool, config: Option<&Value>, inputs: &[&str]) -> Result<Self, String> {
        if has_encoder {
            return Ok(Self::EncoderDecoder);
        }
        let cached = inputs.iter().any(|input| input.starts_with("past"));
        let named = config.and_then(|config| config["architectures"][0].as_str());
        match named {
            Some(name) if name.ends_with("ForMaskedLM") => return Ok(Self::Masked),
            Some(name) if name.ends_with("ForCausalLM") || name.ends_with("LMHeadModel") => {
                return Ok(Self::Causal);
            }
            Some(name) if inputs.contains(&"encoder_hidden_states") => {
                return Err(format!("it is the decoder of a {name} alone, without its encoder"));
            }
            Some(name)
                if ["Classification", "QuestionAnswering", "ForMultipleChoice"]
                    .iter()
                    .any(|head| name.ends_with(head)) =>
            {
                return Err(format!("it is a {name}, which is no language model"));
            }
            _ => {}
        }
        let of_type = config.and_then(|config| config["model_type"].as_str());
        let masked = of_type.is_some_and(|name| MASKED_TYPES.contains(&name));
        let segments = inputs.contains(&"token_type_ids");
        Ok(if !cached && (masked || segments) { Self::Masked } else { Self::Causal })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Causal => "causal",
            Self::Masked => "masked",
            Self::EncoderDecoder => "encoder-decoder",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn architectures_say_more_than_types_and_inputs() {
        let of = |config: Value, inputs: &[&str]| Family::of(false, Some(&config), inputs);
        let named = |name: &str| json!({ "architectures": [name], "model_type": "bert" });
        assert_eq!(of(named("BertForMaskedLM"), &[]), Ok(Family::Masked));
        assert_eq!(of(named("BertLMHeadModel"), &[]), Ok(Family::Causal));
        assert_eq!(of(named("GPTNeoXForCausalLM"), &["token_type_ids"]), Ok(Family::Causal));
        assert!(
            of(named("BertForSequenceClassification"), &[]).unwrap_err().contains("no language")
        );
        let decoder = ["input_ids", "encoder_hidden_states", "past_key_values.0.decoder.key"];
        assert!(of(named("T5ForConditionalGeneration"), &decoder).unwrap_err().contains("alone"));
        assert_eq!(of(json!({ "model_type": "deberta-v2" }), &["input_ids"]), Ok(Family::Masked));
        assert_eq!(of(json!({ "model_type": "gpt2" }), &["input_ids"]), Ok(Family::Causal));
        assert_eq!(Family::of(false, None, &["input_ids", "token_type_ids"]), Ok(Family::Masked));
        assert_eq!(Family::of(false, None, &["input_ids"]), Ok(Family::Causal));
        assert_eq!(Family::of(true, None, &[]), Ok(Family::EncoderDecoder));
    }
}
