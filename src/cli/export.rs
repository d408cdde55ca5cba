//! `kgbuild export`: a graph as Turtle, N-Quads or N-Triples.

use std::io::{BufWriter, Write};

use super::args::ExportArgs;
use super::failure::Failure;
use super::store;
use super::streams::results;
use crate::files::{WholeFile, WriteError, writable};
use crate::graph;

/// Writes the graph to standard output or to a file.
pub(super) fn export(args: &ExportArgs) -> Result<(), Failure> {
    writable(&[("-o", args.output.as_deref())], &[])?;
    let store = store::open(&args.store)?;
    let write = |out: &mut dyn Write| {
        graph::export(&store, args.format, args.min_confidence, &mut BufWriter::new(out))
    };
    match &args.output {
        None => write(&mut results()).map_err(|error| match error {
            graph::Error::Output(error) => Failure::Output(error),
            error => error.into(),
        }),
        Some(file) => {
            let mut whole = WholeFile::create(file)?;
            write(&mut whole).map_err(|error| match error {
                graph::Error::Output(error) => WriteError::of(file)(error).into(),
                error => Failure::from(error),
            })?;
            Ok(whole.commit()?)
        }
    }
}
