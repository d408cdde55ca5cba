//! A model folder from a Hugging Face hub, through the hf-hub crate and its own cache.
//!
//! Once all files of a model are there, their folder is noted in kgbuild's cache and used without
//! network from then on: a branch stays at the commit at which it was first fetched.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Repo, RepoType};
use tempfile::NamedTempFile;

use super::source::is_commit;
use super::{Cache, Error};

/// Where hubs keep an ONNX export in f32, the preferred first.
const GRAPHS: [&str; 6] = [
    "onnx/model.onnx",
    "model.onnx",
    "onnx/decoder_model_merged.onnx",
    "decoder_model_merged.onnx",
    "onnx/decoder_model.onnx",
    "decoder_model.onnx",
];

/// The snapshot folder of the model `owner_name`, with the files that [`needed`] names.
pub(super) fn fetch(
    owner_name: &str,
    revision: Option<&str>,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    let revision = revision.unwrap_or("main");
    let model = format!("{owner_name}@{revision}");
    let note = note_of(&model, cache);
    if let Some(folder) = noted(&note) {
        return Ok(folder);
    }
    if env::var("HF_HUB_OFFLINE").is_ok_and(|value| value != "0" && !value.is_empty()) {
        let problem = "it was not fetched before, and HF_HUB_OFFLINE is set".to_owned();
        return Err(Error::Hub { model, problem, source: None });
    }
    report(&format!("fetching {model} from the hub"));
    let failed = |source: ApiError| Error::Hub {
        model: model.clone(),
        problem: source.to_string(),
        source: Some(Box::new(source)),
    };
    let api = ApiBuilder::from_env().with_progress(false).build().map_err(failed)?;
    let repo = Repo::with_revision(owner_name.to_owned(), RepoType::Model, revision.to_owned());
    let repo = api.repo(repo);
    let listing = repo.info().map_err(failed)?;
    let listing: Vec<String> = listing.siblings.into_iter().map(|file| file.rfilename).collect();
    let needed = needed(&listing).map_err(|problem| Error::Hub {
        model: model.clone(),
        problem,
        source: None,
    })?;
    let folder = download(&repo, &needed).map_err(failed)?;
    write_note(&note, &folder)?;
    Ok(folder)
}

/// Fetches the files; all of them lie under one snapshot folder, that of the first.
fn download(repo: &ApiRepo, needed: &[String]) -> Result<PathBuf, ApiError> {
    let mut folder = PathBuf::new();
    for name in needed {
        let path = repo.get(name)?;
        folder = path.ancestors().nth(name.split('/').count()).unwrap_or(&path).to_owned();
    }
    Ok(folder)
}

/// The commit of a model whose folder [`fetch`] gave, under which it is found without network from
/// now on; none where the hub does not tell.
pub(super) fn commit(
    owner_name: &str,
    folder: &Path,
    cache: &Cache,
) -> Result<Option<String>, Error> {
    // hf-hub names a snapshot's folder by its commit.
    let name = folder.file_name().and_then(|name| name.to_str());
    let Some(commit) = name.filter(|name| is_commit(name)) else { return Ok(None) };
    write_note(&note_of(&format!("{owner_name}@{commit}"), cache), folder)?;
    Ok(Some(commit.to_owned()))
}

/// Where is noted in which folder `owner/name@revision` lies.
fn note_of(model: &str, cache: &Cache) -> PathBuf {
    cache.root().join("hf").join(model.replace('/', "--"))
}

fn noted(note: &Path) -> Option<PathBuf> {
    let folder = PathBuf::from(fs::read_to_string(note).ok()?);
    folder.is_dir().then_some(folder)
}

fn write_note(note: &Path, folder: &Path) -> Result<(), Error> {
    let parent = note.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let mut partial = NamedTempFile::new_in(parent).map_err(Error::io("write into", parent))?;
    let text = folder.display().to_string();
    partial
        .write_all(text.as_bytes())
        .and_then(|()| partial.as_file().sync_all())
        .map_err(Error::io("write", note))?;
    partial.persist(note).map_err(|error| Error::io("write", note)(error.error))?;
    Ok(())
}

/// The files of a repository that a run needs: an adapter, else an ONNX export, else safetensors.
fn needed(listing: &[String]) -> Result<Vec<String>, String> {
    let pick = |names: &[&str]| -> Vec<String> {
        listing.iter().filter(|file| names.contains(&file.as_str())).cloned().collect()
    };
    let adapter = pick(&["adapter_config.json", "adapter_model.safetensors"]);
    if adapter.len() == 2 {
        return Ok(adapter);
    }
    let mut files = pick(&[
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

    #[test]
    fn a_noted_folder_needs_no_network() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = folder.path().join("snapshot");
        fs::create_dir(&snapshot).unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        write_note(&cache.root().join("hf/owner--name@main"), &snapshot).unwrap();
        let report = &mut |text: &str| panic!("nothing is slow here: {text}");
        assert_eq!(fetch("owner/name", None, &cache, report).unwrap(), snapshot);
    }
}
