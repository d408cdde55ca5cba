//! `kgbuild export`: a graph as RDF, or as tables.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::args::ExportArgs;
use super::failure::Failure;
use super::store;
use super::streams::results;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::{WholeFile, WriteError, is_taken, writable};
use crate::graph::{self, ExportOptions};

/// Writes the graph to standard output or to a file.
pub(super) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let &ExportArgs { format, annotations, min_confidence, .. } = args;
    let (include, prefixes) = (args.include.clone(), args.prefix.clone());
    let shapes = args.shapes;
    let options = ExportOptions { format, annotations, include, shapes, min_confidence, prefixes };
    if let (Some(names), Some(folder)) = (format.files(), &args.output) {
        return tables(args, &options, folder, &names);
    }
    writable(&[("-o", args.output.as_deref())], &[])?;
    let store = store::open(&args.store)?;
    let write = |out: &mut dyn Write| graph::export(&store, &options, &mut BufWriter::new(out));
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

/// Writes the tables of a format into a folder, in which none of them may be.
fn tables(
    args: &ExportArgs,
    options: &ExportOptions,
    folder: &Path,
    names: &[&str],
) -> Result<(), Failure> {
    if let Some(name) = names.iter().find(|name| is_taken(&folder.join(name))) {
        let message = format!("there is a {name} in {} already", folder.display());
        let help = "name a new folder with `-o`, or move the tables in it away";
        return Err(Diagnostics::from(Diagnostic::error("taken", message).help(help)).into());
    }
    let store = store::open(&args.store)?;
    Ok(graph::export_tables(&store, options, folder)?)
}
