//! `kgbuild query`: SPARQL over a graph, which it cannot change.

use std::fs;
use std::io::{self, BufWriter};
use std::path::Path;

use super::args::QueryArgs;
use super::failure::Failure;
use super::streams::results;
use super::{store, table};
use crate::diagnostic::Explain;
use crate::graph::{self, QueryError, QueryOptions, SyntaxError};

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) }
}

/// Answers the query on standard output.
pub(super) fn query(args: &QueryArgs) -> Result<(), Failure> {
    let sparql = match (&args.sparql, &args.file) {
        (Some(sparql), _) => sparql.clone(),
        (None, Some(file)) => read(file)
            .map_err(|source| UnreadableQuery { file: file.display().to_string(), source })?,
        (None, None) => String::new(),
    };
    let store = store::open(&args.store)?;
    let mut out = BufWriter::new(results());
    let options =
        QueryOptions { format: args.format, width: table::terminal_width(), timeout: args.timeout };
    graph::query(&store, &sparql, options, &mut out)
        .and_then(|()| Ok(io::Write::flush(&mut out)?))
        .map_err(|error| match error {
            QueryError::Output(error) => Failure::Output(error),
            QueryError::Syntax(source) => match &args.file {
                Some(file) => WrongQuery { file: file.display().to_string(), source }.into(),
                None => source.into(),
            },
            error => error.into(),
        })
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read the query in {file}")]
struct UnreadableQuery {
    file: String,
    #[source]
    source: io::Error,
}

#[derive(Debug, thiserror::Error)]
#[error("{file}: {source}")]
struct WrongQuery {
    file: String,
    source: SyntaxError,
}

impl Explain for UnreadableQuery {}

impl Explain for WrongQuery {
    fn inner(&self) -> Option<&dyn Explain> {
        Some(&self.source)
    }
}
