//! The weights of a graph that is written anew: in a file of their own, or in the one they were in.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::fetch::{FileHashes, digest_of_file};
use crate::onnx::Error;
use crate::onnx::data_file::DataFile;
use crate::onnx::proto::{GraphProto, ModelProto, TensorProto};
use crate::onnx::validate::external;

/// Tensors of fewer bytes stay inside the graph: shapes, axes and the like, which a runtime wants to
/// see there.
const SMALL: usize = 1024;

/// Moves the large weights of `model`, read from `source`, into a file in `folder`, and copies the
/// files there that hold others. Adds the hashes of what was copied to `read`.
///
/// Never linked: what its owner writes into such a file later would change the cache.
///
/// # Errors
/// [`Error::Corrupt`] where a weight's file is outside the source's folder or is the source itself;
/// [`Error::Io`].
pub(super) fn store(
    model: &mut ModelProto,
    source: &Path,
    folder: &Path,
    read: &mut FileHashes,
) -> Result<(), Error> {
    let file = source.file_name().unwrap_or_default().to_string_lossy();
    let locations = locations(model, source)?;
    if locations.contains(&*file) {
        let problem = "it is named as the file of its own weights";
        return Err(Error::corrupt(source, "ONNX", problem));
    }
    for location in &locations {
        let from = source.with_file_name(location);
        let to = folder.join(location);
        let parent = to.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        fs::copy(&from, &to).map_err(Error::io("copy the weights in", &from))?;
        // The copy's, whatever happened to the file meanwhile.
        read.insert(from, digest_of_file(&to)?);
    }
    let is_large = |tensor: &&mut TensorProto| {
        tensor.raw_data.as_ref().is_some_and(|values| values.len() >= SMALL)
    };
    let tensors = model.graph.iter_mut().flat_map(GraphProto::tensors_mut);
    let mut large = tensors.filter(is_large).peekable();
    if large.peek().is_none() {
        return Ok(());
    }
    let mut name = format!("{file}.weights");
    while locations.contains(&name) {
        name.push('_');
    }
    let mut data = DataFile::create(&folder.join(name))?;
    for tensor in large {
        let values = tensor.raw_data.take();
        data.append(tensor, values)?;
    }
    data.finish()
}

/// The files that hold weights already.
fn locations(model: &ModelProto, source: &Path) -> Result<BTreeSet<String>, Error> {
    let tensors = model.graph.iter().flat_map(GraphProto::tensors);
    let found = tensors.map(|tensor| Ok(external(source, tensor)?.map(|e| e.location.to_owned())));
    found.filter_map(Result::transpose).collect()
}
