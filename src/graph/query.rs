//! SPARQL queries over a store, their results as a table for people or as a file for tools.
//!
//! The common prefixes ([`super::prefixes`]) need no declaration. Only queries are read, so that
//! nothing here can change a store. Results are written as they are found.
//!
//! A query is answered on a thread of its own, with a stack that holds the deepest one that is
//! accepted, while the caller's thread writes the results and watches the clock. So a query can be
//! ended at any time. Its memory has no bound: sorting, grouping and joining hold what they need.

mod depth;
mod thread;

pub use depth::TooDeep;

use super::prefixes::Prefixes;
use super::syntax::{self, SyntaxError};
use super::table;
use crate::diagnostic::{Explain, Fault};
use clap::ValueEnum;
use oxigraph::io::{RdfFormat, RdfSerializer};
use oxigraph::sparql::results::{QueryResultsFormat, QueryResultsSerializer};
use oxigraph::sparql::{
    CancellationToken, QueryEvaluationError, QueryResults, QuerySolutionIter, SparqlEvaluator,
};
use oxigraph::store::Store;
use std::io::{self, Write};
use std::time::Duration;

/// How [`query`] writes the result of SELECT and ASK. CONSTRUCT and DESCRIBE give Turtle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub enum ResultFormat {
    /// A table with shortened IRIs and the number of rows, to be read by people.
    #[default]
    #[value(help = "For people")]
    Table,
    /// SPARQL 1.1 results as CSV.
    Csv,
    /// SPARQL 1.1 results as TSV, terms as in Turtle.
    #[value(help = "SPARQL 1.1 results as TSV")]
    Tsv,
    /// SPARQL 1.1 results as JSON.
    Json,
}

/// How a query is answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions {
    /// How the result is written.
    pub format: ResultFormat,
    /// The columns that a table fits into, where they are few.
    pub width: Option<usize>,
    /// The longest that the query may take.
    pub timeout: Option<Duration>,
}

/// Why a query gave no (whole) result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query is more than the stack of its evaluation holds.
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
    /// There is no room for that stack.
    #[error("cannot reserve the {} MiB of stack that queries are answered on", STACK >> 20)]
    Thread(#[source] io::Error),
    /// [`QueryOptions::timeout`] has passed.
    #[error("the query was not answered within {} s", after.as_secs_f64())]
    TimedOut {
        /// The time that it had.
        after: Duration,
    },
    /// The text is no SPARQL query.
    #[error(transparent)]
    Syntax(SyntaxError),
    /// The store could not be read, or changed while it was.
    #[error(
        "the store could not be read. If a run is writing it, this can pass: run the command again"
    )]
    Read(#[source] QueryEvaluationError),
    /// The query asks for what cannot be given, as a SERVICE elsewhere.
    #[error("the query could not be answered")]
    Evaluation(#[source] QueryEvaluationError),
    /// The output could not be written; a closed pipe keeps its `io::ErrorKind::BrokenPipe`.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl Explain for QueryError {
    fn fault(&self) -> Fault {
        match self {
            Self::Syntax(_) | Self::TooDeep(_) => Fault::User,
            _ => Fault::Machine,
        }
    }

    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Syntax(error) => Some(error),
            Self::TooDeep(error) => Some(error),
            _ => None,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::TimedOut { .. } => {
                Some("ask for less, as with LIMIT, or give it more time".to_owned())
            }
            _ => self.inner()?.help(),
        }
    }
}

impl From<QueryEvaluationError> for QueryError {
    fn from(error: QueryEvaluationError) -> Self {
        match error {
            QueryEvaluationError::Dataset(_) => Self::Read(error),
            error => Self::Evaluation(error),
        }
    }
}

/// The stack of a query's thread, in bytes; memory is taken for what is used of it alone. Of what
/// [`depth`] lets through, chains of conditions take most, 210 MB in a release build.
const STACK: usize = 1 << 30;

/// Answers `sparql` and writes the result to `out`, a table with its row count behind it.
///
/// A query that computes without reading the store does not notice that its time is over, and goes on
/// for a while on its own thread after this has returned [`QueryError::TimedOut`].
///
/// # Errors
/// [`QueryError::TooDeep`] and [`QueryError::Syntax`] before anything is written; the others may come
/// after some rows.
pub fn query(
    store: &Store,
    sparql: &str,
    options: QueryOptions,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    depth::check(sparql)?;
    let token = CancellationToken::new();
    let QueryOptions { format, width, timeout } = options;
    let answer = {
        let (store, sparql, token) = (store.clone(), sparql.to_owned(), token.clone());
        move |out: &mut dyn Write| answer(&store, &sparql, format, width, token, out)
    };
    thread::run(answer, timeout, &token, out)
}

fn answer(
    store: &Store,
    sparql: &str,
    format: ResultFormat,
    width: Option<usize>,
    token: CancellationToken,
    mut out: &mut dyn Write,
) -> Result<(), QueryError> {
    let mut evaluator = SparqlEvaluator::new().with_cancellation_token(token);
    let common = Prefixes::common();
    for (name, namespace) in common.iter() {
        if let Ok(with_prefix) = evaluator.clone().with_prefix(name, namespace) {
            evaluator = with_prefix;
        }
    }
    let mut prefixes = common;
    for (name, namespace) in declared_prefixes(sparql) {
        prefixes.declare(name, namespace);
    }
    let prepared = match evaluator.clone().parse_query(sparql) {
        Ok(prepared) => prepared,
        Err(_) => return Err(QueryError::Syntax(syntax::explain(evaluator, &prefixes, sparql))),
    };

    let serializer = |format| QueryResultsSerializer::from_format(format);
    let file_format = match format {
        ResultFormat::Table => None,
        ResultFormat::Csv => Some(QueryResultsFormat::Csv),
        ResultFormat::Tsv => Some(QueryResultsFormat::Tsv),
        ResultFormat::Json => Some(QueryResultsFormat::Json),
    };
    match (prepared.on_store(store).execute()?, file_format) {
        (QueryResults::Solutions(solutions), None) => {
            table::write(solutions, &prefixes, width, &mut out)?;
        }
        (QueryResults::Solutions(solutions), Some(format)) => {
            write_solutions(solutions, format, &mut out)?;
        }
        (QueryResults::Boolean(answer), None) => writeln!(out, "{answer}")?,
        (QueryResults::Boolean(answer), Some(format)) => {
            serializer(format).serialize_boolean_to_writer(&mut out, answer)?;
            writeln!(out)?;
        }
        (QueryResults::Graph(triples), _) => {
            let mut turtle = RdfSerializer::from_format(RdfFormat::Turtle);
            for (name, namespace) in prefixes.iter() {
                if let Ok(with_prefix) = turtle.clone().with_prefix(name, namespace) {
                    turtle = with_prefix;
                }
            }
            let mut turtle = turtle.for_writer(&mut out);
            for triple in triples {
                turtle.serialize_triple(&triple?)?;
            }
            turtle.finish()?;
        }
    }
    out.flush()?;
    Ok(())
}

fn write_solutions(
    solutions: QuerySolutionIter<'_>,
    format: QueryResultsFormat,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    let variables = solutions.variables().to_vec();
    let serializer = QueryResultsSerializer::from_format(format);
    let mut writer = serializer.serialize_solutions_to_writer(&mut *out, variables)?;
    for solution in solutions {
        writer.serialize(&solution?)?;
    }
    writer.finish()?;
    if format == QueryResultsFormat::Json {
        writeln!(out)?;
    }
    Ok(())
}

/// The prefixes that the prologue of a valid query declares.
fn declared_prefixes(sparql: &str) -> Vec<(&str, &str)> {
    let mut declared = Vec::new();
    let mut rest = sparql;
    loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix('#') {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let (keyword, after) = rest.split_at(rest.find(|c: char| !c.is_alphabetic()).unwrap_or(0));
        let is_prefix = keyword.eq_ignore_ascii_case("PREFIX");
        if !is_prefix && !keyword.eq_ignore_ascii_case("BASE") {
            return declared;
        }
        let Some((before, after)) = after.split_once('<') else { return declared };
        let Some((namespace, after)) = after.split_once('>') else { return declared };
        if let Some(name) = before.trim().strip_suffix(':').filter(|_| is_prefix) {
            declared.push((name, namespace));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests;
