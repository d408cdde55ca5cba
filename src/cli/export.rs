//! `kgbuild export`: a graph as Turtle, N-Quads or N-Triples.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::args::{ExportArgs, GraphFormat};
use super::failure::Failure;
use super::say::results;
use super::store;
use super::target::writable;
use crate::config::folder_of;
use crate::graph::{self, ExportFormat};

/// Writes the graph to standard output or to a file.
pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    writable(&[("-o", args.output.as_deref())], &[])?;
    let store = store::open(&args.store)?;
    let format = match args.format {
        GraphFormat::Turtle => ExportFormat::Turtle,
        GraphFormat::NQuads => ExportFormat::NQuads,
        GraphFormat::NTriples => ExportFormat::NTriples,
    };
    let write = |out: &mut dyn Write| {
        graph::export(&store, format, args.min_confidence, &mut BufWriter::new(out)).map_err(
            |error| match error {
                graph::Error::Output(error) => Failure::Output(error),
                error => Failure::failed(error),
            },
        )
    };
    match &args.output {
        None => write(&mut results()),
        Some(file) => whole_file(file, write),
    }
}

/// Writes a file under another name beside it and renames it when it is whole. A link's target is
/// written; a device or pipe is written straight away.
pub fn whole_file(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let cannot = |source: io::Error| {
        Failure::bad_input(Unwritable { file: file.display().to_string(), source })
    };
    let target = file.canonicalize();
    let file = target.as_deref().unwrap_or(file);
    if file.exists() && !file.is_file() && !file.is_dir() {
        let mut special = OpenOptions::new().write(true).open(file).map_err(cannot)?;
        return write(&mut special);
    }
    let folder = folder_of(file);
    let mut partial = tempfile::Builder::new()
        .prefix(".kgbuild-")
        .permissions(default_permissions())
        .tempfile_in(folder)
        .map_err(cannot)?;
    write(&mut partial).map_err(|failure| match failure {
        Failure::Output(source) => cannot(source),
        other => other,
    })?;
    partial.as_file().sync_all().map_err(cannot)?;
    partial.persist(file).map_err(|e| cannot(e.error))?;
    Ok(())
}

/// Those of an ordinary new file, which the process' umask narrows.
fn default_permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write {file}")]
struct Unwritable {
    file: String,
    #[source]
    source: io::Error,
}
