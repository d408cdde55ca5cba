//! A cheap look at an ONNX file before a runtime gets it: does it decode, and are the files that
//! hold its weights there and long enough?

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path};

use prost::Message;
use prost::bytes::Bytes;
use tokenizers::Tokenizer;

use super::proto::{EXTERNAL, GraphProto, ModelProto, TensorProto};
use super::{Error, tokenizer_json};

const FORMAT: &str = "ONNX";
/// The largest protobuf message.
const LARGEST: u64 = 1 << 31;

/// Reads a model's messages.
///
/// # Errors
/// [`Error::Corrupt`] where it does not decode or holds no graph, [`Error::Io`].
pub(super) fn read_model(path: &Path) -> Result<ModelProto, Error> {
    decode(path, read_bytes(path)?)
}

/// Reads a model's file, which holds no more than a message can.
///
/// # Errors
/// [`Error::Corrupt`] where it is larger, [`Error::Io`].
pub(super) fn read_bytes(path: &Path) -> Result<Bytes, Error> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    let mut bytes = Vec::with_capacity(length.min(LARGEST) as usize);
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > LARGEST {
        let problem = "it is larger than 2 GiB, where ONNX files end";
        return Err(Error::corrupt(path, FORMAT, problem));
    }
    Ok(Bytes::from(bytes))
}

/// The messages in the bytes of a model's file, which its tensors share.
///
/// # Errors
/// [`Error::Corrupt`] where they do not decode or hold no graph.
pub(super) fn decode(path: &Path, bytes: Bytes) -> Result<ModelProto, Error> {
    let model = ModelProto::decode(bytes)
        .map_err(|error| Error::corrupt(path, FORMAT, format!("{error}; is it cut off?")))?;
    if model.graph.as_ref().is_none_or(|graph| graph.node.is_empty()) {
        return Err(Error::corrupt(path, FORMAT, "it holds no graph; is it cut off?"));
    }
    if model.opset_import.is_empty() {
        return Err(Error::corrupt(path, FORMAT, "it names no operator set; is it cut off?"));
    }
    Ok(model)
}

/// The names of a model's inputs.
pub(super) fn inputs(model: &ModelProto) -> Vec<String> {
    model.graph.iter().flat_map(|graph| &graph.input).filter_map(|i| i.name.clone()).collect()
}

/// Where a tensor's values are: the file's name and the bytes in it.
#[derive(Debug)]
pub(super) struct External<'a> {
    pub location: &'a str,
    pub offset: u64,
    pub length: u64,
}

/// Where an external tensor's values are; none where they are in the model itself.
///
/// # Errors
/// [`Error::Corrupt`] where its entries are not numbers or leave the folder.
pub(super) fn external<'a>(
    path: &Path,
    tensor: &'a TensorProto,
) -> Result<Option<External<'a>>, Error> {
    if tensor.data_location != Some(EXTERNAL) {
        return Ok(None);
    }
    let name = tensor.name.as_deref().unwrap_or_default();
    let corrupt = |what: &str| Error::corrupt(path, FORMAT, format!("`{name}` has {what}"));
    let number = |key: &str| -> Result<u64, Error> {
        let text = tensor.external(key).unwrap_or("0");
        text.parse().map_err(|_| corrupt(&format!("the {key} `{text}`")))
    };
    let location = tensor.external("location").ok_or_else(|| corrupt("no file for its values"))?;
    if !Path::new(location).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(corrupt(&format!("its values outside the folder, in `{location}`")));
    }
    Ok(Some(External { location, offset: number("offset")?, length: number("length")? }))
}

/// Reads a model's messages, and checks the files beside it that hold its weights.
///
/// # Errors
/// [`Error::Corrupt`] naming what is wrong, [`Error::Io`].
pub(super) fn checked_model(path: &Path) -> Result<ModelProto, Error> {
    let model = read_model(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut lengths = std::collections::HashMap::new();
    for tensor in model.graph.iter().flat_map(GraphProto::tensors) {
        let Some(External { location, offset, length }) = external(path, tensor)? else {
            continue;
        };
        let data = folder.join(location);
        let available = match lengths.get(location) {
            Some(length) => *length,
            None => {
                let found = fs::metadata(&data).map_err(Error::io("read the weights in", &data))?;
                lengths.insert(location.to_owned(), found.len());
                found.len()
            }
        };
        let end = offset.checked_add(length.max(1));
        if end.is_none_or(|end| end > available) {
            let problem = format!(
                "`{}` is expected at bytes {offset} to {}, but the file has {available} bytes",
                tensor.name.as_deref().unwrap_or_default(),
                offset.saturating_add(length)
            );
            return Err(Error::corrupt(&data, "ONNX weight", problem));
        }
    }
    Ok(model)
}

/// Reads a `tokenizer.json`.
///
/// # Errors
/// [`Error::Corrupt`] where it is not one, [`Error::Io`].
pub(super) fn read_tokenizer(path: &Path) -> Result<Tokenizer, Error> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    parse_tokenizer(path, &bytes)
}

/// The tokenizer in the bytes of a `tokenizer.json`.
///
/// # Errors
/// [`Error::Corrupt`] where it is none.
pub(super) fn parse_tokenizer(path: &Path, bytes: &[u8]) -> Result<Tokenizer, Error> {
    tokenizer_json::parse(bytes).map_err(|problem| Error::corrupt(path, "tokenizer.json", problem))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::bytes::Bytes;

    use super::super::builder::{Dim, Element, GraphBuilder};
    use super::super::proto::StringStringEntryProto;
    use super::*;

    fn small(folder: &Path) -> std::path::PathBuf {
        let mut graph = GraphBuilder::new("small", &folder.join("m.onnx.data")).unwrap();
        let input = graph.input("x", Element::F32, &[Dim::Named("rows"), Dim::Size(2)]);
        let weight = graph.weight("w", &[2, 1], &[1.0, 2.0]).unwrap();
        let product = graph.matmul(&input, &weight);
        graph.output(product, "y", Element::F32, &[Dim::Named("rows"), Dim::Size(1)]);
        let path = folder.join("m.onnx");
        graph.finish(&path).unwrap();
        path
    }

    #[test]
    fn reading_and_writing_again_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = small(folder.path());
        let bytes = fs::read(&path).unwrap();
        assert_eq!(read_model(&path).unwrap().encode_to_vec(), bytes);
        checked_model(&path).unwrap();
    }

    #[test]
    fn weights_outside_the_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = small(folder.path());
        let sound = read_model(&path).unwrap();
        for (key, value, part) in [
            ("location", "../other/data", "outside the folder"),
            ("location", "/etc/passwd", "outside the folder"),
            ("location", "gone.data", "gone.data"),
            ("offset", "x", "the offset `x`"),
            ("offset", "18446744073709551615", "but the file has 8 bytes"),
            ("length", "9", "but the file has 8 bytes"),
        ] {
            let mut model = sound.clone();
            let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
            tensor.external_data.retain(|entry| entry.key.as_deref() != Some(key));
            tensor.external_data.push(StringStringEntryProto {
                key: Some(key.to_owned()),
                value: Some(value.to_owned()),
            });
            fs::write(&path, model.encode_to_vec()).unwrap();
            let message = checked_model(&path).unwrap_err().to_string();
            assert!(message.contains(part), "{value}: {message}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = small(folder.path());
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let message = checked_model(&path).unwrap_err().to_string();
            assert!(message.contains("not a sound ONNX file"), "{length}: {message}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = ModelProto::decode(Bytes::from(bytes));
        }
    }
}
