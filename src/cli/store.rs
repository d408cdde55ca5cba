//! The graph that a command reads.

use std::path::Path;

use oxigraph::store::Store;

use super::failure::{Failure, show};
use crate::diagnostic::{At, Diagnostic};
use crate::graph;

/// Opens the graph in a folder, and says so where the run that makes it did not get to its end.
///
/// # Errors
/// Where there is none, or it cannot be read.
pub(super) fn open(folder: &Path) -> Result<Store, Failure> {
    let store = graph::open_for_reading(folder)?;
    warn(&store, folder)?;
    Ok(store)
}

/// Says where the run that makes a graph did not get to its end.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn warn(store: &Store, folder: &Path) -> Result<(), Failure> {
    if graph::is_unfinished(store)? {
        let message = "the run that makes this graph did not get to its end";
        let help = "what it has not asked yet is missing, as if it had no answer; finish it with \
                    `kgbuild run`";
        let warning = Diagnostic::warning("unfinished-graph", message).help(help);
        show(&warning.at(folder, At::File).into());
    }
    Ok(())
}
