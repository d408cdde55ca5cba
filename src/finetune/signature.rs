//! All that the weights of a training depend on, by name: settings, and hashes of what is read.
//!
//! How the machine is used is no part of it: threads change no bit, and a device only the last
//! decimals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::card::DataFile;
use crate::config::finetune::{Finetune, HeldOut, Method};
use crate::fetch::{self, sha256_of};
use crate::onnx::Precision;

/// Raised whenever the same settings would come out as other weights.
const TRAINING_VERSION: u32 = 1;

/// Values by name.
pub(super) type TrainingSignature = BTreeMap<String, String>;

/// The signature of `settings`, and the files with their hashes by role. `base` is the hash of the
/// base model, `text` the file of the mixture's text.
///
/// # Errors
/// Where a file cannot be read.
pub(super) fn sign(
    settings: &Finetune,
    base: &str,
    text: Option<&Path>,
) -> Result<(TrainingSignature, BTreeMap<String, Vec<DataFile>>), fetch::Error> {
    let mut signature = TrainingSignature::new();
    let version = env!("CARGO_PKG_VERSION");
    signature.insert("kgbuild".to_owned(), format!("{version}, training {TRAINING_VERSION}"));
    signature.insert("base model".to_owned(), base.to_owned());
    if settings.precision != Precision::F32 {
        signature.insert("model.precision".to_owned(), settings.precision.to_string());
    }
    let training = &settings.training;
    let mut unused = vec!["checkpoint_every", "device", "threads"];
    if training.method == Method::All {
        unused.extend(["rank", "alpha", "modules"]);
    }
    add(&mut signature, "training", serde_json::to_value(training), &unused);
    if let Some(mixture) = &settings.mixture {
        // The text is known by its hash.
        add(&mut signature, "mixture", serde_json::to_value(mixture), &["text"]);
    }
    let facts = &settings.facts;
    let held_out: &[PathBuf] = match &facts.held_out {
        HeldOut::Files(files) => files,
        HeldOut::Share(share) => {
            signature.insert("facts.held_out_share".to_owned(), share.to_string());
            &[]
        }
    };
    if let Some(relations) = &facts.relations {
        let mut relations = relations.clone();
        relations.sort_unstable();
        signature.insert("facts.relations".to_owned(), relations.join(" "));
    }
    let mut data = BTreeMap::new();
    let text: Vec<PathBuf> = text.map(Path::to_owned).into_iter().collect();
    for (role, files) in [
        ("train", &facts.train[..]),
        ("held-out", held_out),
        ("test", &facts.test),
        ("ontology", &settings.ontology),
        ("entities", &settings.entities),
        ("text", &text),
    ] {
        if files.is_empty() {
            continue;
        }
        let hashes = files.iter().map(|path| Ok((path, sha256_of(path)?)));
        let hashes = hashes.collect::<Result<Vec<_>, fetch::Error>>()?;
        // What was tested against changes no weight.
        if role != "test" {
            let hashes: Vec<&str> = hashes.iter().map(|(_, sha256)| sha256.as_str()).collect();
            signature.insert(role.to_owned(), hashes.join(" "));
        }
        let source = |path: &Path| match (role, &settings.mixture) {
            ("text", Some(mixture)) => PathBuf::from(&mixture.text.written),
            _ => path.to_owned(),
        };
        let described = hashes
            .iter()
            .map(|(path, sha256)| DataFile { path: source(path), sha256: sha256.clone() });
        data.insert(role.to_owned(), described.collect());
    }
    Ok((signature, data))
}

/// Adds the fields of a struct of settings that are set, but for those `unused`.
fn add(
    signature: &mut TrainingSignature,
    table: &str,
    fields: Result<Value, serde_json::Error>,
    unused: &[&str],
) {
    let Ok(Value::Object(fields)) = fields else { unreachable!("settings are plain structs") };
    for (name, value) in fields {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        if !unused.contains(&name.as_str()) {
            signature.insert(format!("{table}.{name}"), text);
        }
    }
}

/// What differs between two signatures, a line each, as in `training.rank: was 8, is 16`.
pub(super) fn differences(was: &TrainingSignature, is: &TrainingSignature) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let shown = |value: Option<&String>| value.map_or("absent", String::as_str).to_owned();
    names
        .into_iter()
        .filter(|name| was.get(*name) != is.get(*name))
        .map(|name| format!("{name}: was {}, is {}", shown(was.get(name)), shown(is.get(name))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let of = |parts: &[(&str, &str)]| -> TrainingSignature {
            parts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let was = of(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(differences(&was, &was), Vec::<String>::new());
        assert_eq!(
            differences(&was, &of(&[("a", "1"), ("b", "4"), ("d", "5")])),
            ["b: was 2, is 4", "c: was 3, is absent", "d: was absent, is 5"]
        );
    }
}
