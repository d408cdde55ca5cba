//! Which of a repository's files a run needs.

/// Where hubs keep an ONNX export in f32, the preferred first.
const GRAPHS: [&str; 6] = [
    "onnx/model.onnx",
    "model.onnx",
    "onnx/decoder_model_merged.onnx",
    "decoder_model_merged.onnx",
    "onnx/decoder_model.onnx",
    "decoder_model.onnx",
];

/// The files of a repository that a run needs: an adapter, else an ONNX export, else safetensors.
pub(super) fn needed(listing: &[String]) -> Result<Vec<String>, String> {
    let pick = |names: &[&str]| -> Vec<String> {
        listing.iter().filter(|file| names.contains(&file.as_str())).cloned().collect()
    };
    let adapter = pick(&["adapter_config.json", "adapter_model.safetensors"]);
    if adapter.len() == 2 {
        return Ok(adapter);
    }
    let mut files = pick(&[
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]);
    if !files.iter().any(|file| file == "tokenizer.json") {
        return Err("the repository has no tokenizer.json".to_owned());
    }
    for graph in GRAPHS {
        if listing.iter().any(|file| file == graph) {
            // Weights beside the graph: `model.onnx_data`, `model.onnx_data_1`, `model.onnx.data`.
            let belongs = |file: &str, graph: &str| {
                let rest = file.strip_prefix(graph);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.']))
            };
            // An encoder goes with its decoder, and a decoder without a cache with what goes on
            // behind one.
            let encoder = graph
                .rsplit_once("decoder_model")
                .map(|(folder, _)| format!("{folder}encoder_model.onnx"));
            let has_encoder =
                encoder.as_ref().is_some_and(|encoder| listing.iter().any(|file| file == encoder));
            let with_past = graph.strip_suffix("decoder_model.onnx");
            let with_past = with_past.filter(|_| has_encoder);
            let with_past = with_past.map(|f| format!("{f}decoder_with_past_model.onnx"));
            let graphs: Vec<String> =
                [Some(graph.to_owned()), encoder, with_past].into_iter().flatten().collect();
            let wanted = |file: &&String| graphs.iter().any(|graph| belongs(file, graph));
            files.extend(listing.iter().filter(wanted).cloned());
            return Ok(files);
        }
    }
    let is_checkpoint = |file: &&String| {
        *file == "model.safetensors.index.json"
            || *file == "model.safetensors"
            || (file.starts_with("model-") && file.ends_with(".safetensors"))
    };
    let checkpoint: Vec<String> = listing.iter().filter(is_checkpoint).cloned().collect();
    if checkpoint.is_empty() {
        return Err("the repository has no model.onnx, onnx/model.onnx, model.safetensors or \
                    adapter_model.safetensors"
            .to_owned());
    }
    files.extend(checkpoint);
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(listing: &str) -> Result<String, String> {
        let listing: Vec<String> = listing.split(' ').map(str::to_owned).collect();
        needed(&listing).map(|files| files.join(" "))
    }

    #[test]
    fn only_what_a_run_needs_is_fetched() {
        assert_eq!(
            chosen("README.md adapter_config.json adapter_model.safetensors tokenizer.json"),
            Ok("adapter_config.json adapter_model.safetensors".into())
        );
        assert_eq!(
            chosen(
                "config.json model.safetensors onnx/model.onnx onnx/model.onnx_data onnx/model_fp16.onnx tokenizer.json"
            ),
            Ok("config.json tokenizer.json onnx/model.onnx onnx/model.onnx_data".into())
        );
        assert_eq!(
            chosen("config.json model.safetensors onnx/decoder_model.onnx onnx/decoder_model_merged.onnx onnx/decoder_model_merged.onnx_data onnx/decoder_model_merged.onnx_data_1 tokenizer.json"),
            Ok("config.json tokenizer.json onnx/decoder_model_merged.onnx onnx/decoder_model_merged.onnx_data onnx/decoder_model_merged.onnx_data_1".into())
        );
        assert_eq!(
            chosen("config.json onnx/decoder_model.onnx onnx/decoder_model_merged.onnx onnx/decoder_with_past_model.onnx onnx/encoder_model.onnx onnx/encoder_model_fp16.onnx tokenizer.json tokenizer_config.json vocab.json"),
            Ok("config.json tokenizer.json tokenizer_config.json onnx/decoder_model_merged.onnx onnx/encoder_model.onnx".into())
        );
        assert_eq!(
            chosen("config.json decoder_model.onnx decoder_with_past_model.onnx encoder_model.onnx encoder_model.onnx_data generation_config.json tokenizer.json"),
            Ok("config.json generation_config.json tokenizer.json decoder_model.onnx decoder_with_past_model.onnx encoder_model.onnx encoder_model.onnx_data".into())
        );
        assert_eq!(
            chosen("config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json pytorch_model.bin tokenizer.json"),
            Ok("config.json tokenizer.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json".into())
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(chosen("config.json model.onnx").unwrap_err().contains("tokenizer.json"));
        assert!(chosen("tokenizer.json pytorch_model.bin").unwrap_err().contains("model.onnx"));
    }
}
