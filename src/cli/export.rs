//! `kgbuild export`: a graph as RDF, or as tables.

use std::io::{BufWriter, Write};
use std::path::Path;

use oxigraph::store::Store;

use super::args::ExportArgs;
use super::failure::Failure;
use super::store;
use super::streams::results;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::{WholeFile, WriteError, is_taken, writable};
use crate::graph::{self, ExportOptions, PastGraph};

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
    let graph = Exported::open(args)?;
    let write =
        |out: &mut dyn Write| graph::export(graph.store(), &options, &mut BufWriter::new(out));
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
    let graph = Exported::open(args)?;
    Ok(graph::export_tables(graph.store(), options, folder)?)
}

/// The graph that is written: as it is, or as an earlier run left it.
enum Exported {
    Now(Store),
    Past(PastGraph),
}

impl Exported {
    fn open(args: &ExportArgs) -> Result<Self, Failure> {
        let store = store::open(&args.store)?;
        let Some(name) = &args.run else { return Ok(Self::Now(store)) };
        let runs = graph::runs(&store)?;
        let run = graph::find_run(&runs, name)?;
        let is_last = runs.last().is_some_and(|last| last.number == run.number);
        Ok(if is_last { Self::Now(store) } else { Self::Past(PastGraph::after(&store, run)?) })
    }

    fn store(&self) -> &Store {
        match self {
            Self::Now(store) => store,
            Self::Past(past) => past.store(),
        }
    }
}
