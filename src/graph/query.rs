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
use oxigraph::model::NamedNode;
use oxigraph::sparql::results::{QueryResultsFormat, QueryResultsSerializer};
use oxigraph::sparql::{
    CancellationToken, QueryEvaluationError, QueryResults, QuerySolutionIter, QueryTripleIter,
    SparqlEvaluator,
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

/// What a query's result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// Rows of SELECT.
    Solutions,
    /// The answer of ASK.
    Boolean,
    /// Triples of CONSTRUCT and DESCRIBE.
    Graph,
}

/// What a result is written as.
#[derive(Clone, Copy, Debug)]
pub enum Written {
    /// Rows as a table for people, an answer as a word; no wider than so many columns.
    Table(Option<usize>),
    /// Rows or an answer.
    Results(QueryResultsFormat),
    /// Triples.
    Graph(RdfFormat),
}

/// Which graphs a query sees; empty lists leave that to the query.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Those whose union is the default graph.
    pub default: Vec<NamedNode>,
    /// Those that GRAPH finds.
    pub named: Vec<NamedNode>,
}

/// A query, and what it may see and take.
#[derive(Default)]
pub struct Asked {
    /// The query.
    pub sparql: String,
    /// Which graphs it sees.
    pub dataset: Dataset,
    /// The longest that it may take, the reading of its result included.
    pub timeout: Option<Duration>,
    /// Ends it at any time.
    pub token: CancellationToken,
    /// Let go when the query's own thread ends, which may be after its time.
    pub held: Option<Box<dyn Send>>,
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
    /// The result is of a kind that its reader does not take.
    #[error("the result is {}, and nothing that can hold {} was asked for", kind.in_words(), kind.it())]
    Unwanted {
        /// What the result is.
        kind: ResultKind,
    },
    /// The output could not be written; a closed pipe keeps its `io::ErrorKind::BrokenPipe`.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl Explain for QueryError {
    fn fault(&self) -> Fault {
        match self {
            Self::Syntax(_) | Self::TooDeep(_) | Self::Unwanted { .. } => Fault::User,
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

impl ResultKind {
    fn in_words(self) -> &'static str {
        match self {
            Self::Solutions => "rows of variables",
            Self::Boolean => "yes or no",
            Self::Graph => "triples",
        }
    }

    fn it(self) -> &'static str {
        match self {
            Self::Boolean => "it",
            Self::Solutions | Self::Graph => "them",
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
    let QueryOptions { format, width, timeout } = options;
    let written = move |kind| {
        Some(match (kind, format) {
            (ResultKind::Graph, _) => Written::Graph(RdfFormat::Turtle),
            (_, ResultFormat::Table) => Written::Table(width),
            (_, ResultFormat::Csv) => Written::Results(QueryResultsFormat::Csv),
            (_, ResultFormat::Tsv) => Written::Results(QueryResultsFormat::Tsv),
            (_, ResultFormat::Json) => Written::Results(QueryResultsFormat::Json),
        })
    };
    let asked = Asked { sparql: sparql.to_owned(), timeout, ..Asked::default() };
    answer_query(store, asked, written, out)
}

/// Answers a query and writes the result to `out` as what `written` says of its kind; that is asked before
/// anything is written.
///
/// # Errors
/// As [`query`], and [`QueryError::Unwanted`] where `written` has nothing for the result's kind.
pub fn answer_query(
    store: &Store,
    asked: Asked,
    written: impl FnOnce(ResultKind) -> Option<Written> + Send + 'static,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    depth::check(&asked.sparql)?;
    let (token, timeout) = (asked.token.clone(), asked.timeout);
    let answer = {
        let store = store.clone();
        move |out: &mut dyn Write| answer(&store, &asked, written, out)
    };
    thread::run(answer, timeout, &token, out)
}

fn answer(
    store: &Store,
    asked: &Asked,
    written: impl FnOnce(ResultKind) -> Option<Written>,
    mut out: &mut dyn Write,
) -> Result<(), QueryError> {
    let mut evaluator = SparqlEvaluator::new().with_cancellation_token(asked.token.clone());
    let common = Prefixes::common();
    for (name, namespace) in common.iter() {
        if let Ok(with_prefix) = evaluator.clone().with_prefix(name, namespace) {
            evaluator = with_prefix;
        }
    }
    let mut prefixes = common;
    for (name, namespace) in declared_prefixes(&asked.sparql) {
        prefixes.declare(name, namespace);
    }
    let mut prepared = evaluator
        .clone()
        .parse_query(&asked.sparql)
        .map_err(|_| QueryError::Syntax(syntax::explain(evaluator, &prefixes, &asked.sparql)))?;
    let Dataset { default, named } = &asked.dataset;
    if !default.is_empty() || !named.is_empty() {
        let graphs = prepared.dataset_mut();
        graphs.set_default_graph(default.iter().cloned().map(Into::into).collect());
        graphs.set_available_named_graphs(named.iter().cloned().map(Into::into).collect());
    }

    let results = prepared.on_store(store).execute()?;
    let kind = match results {
        QueryResults::Solutions(_) => ResultKind::Solutions,
        QueryResults::Boolean(_) => ResultKind::Boolean,
        QueryResults::Graph(_) => ResultKind::Graph,
    };
    match (results, written(kind)) {
        (QueryResults::Solutions(solutions), Some(Written::Table(width))) => {
            table::write(solutions, &prefixes, width, &mut out)?;
        }
        (QueryResults::Solutions(solutions), Some(Written::Results(format))) => {
            write_solutions(solutions, format, &mut out)?;
        }
        (QueryResults::Boolean(answer), Some(Written::Table(_))) => writeln!(out, "{answer}")?,
        (QueryResults::Boolean(answer), Some(Written::Results(format))) => {
            let serializer = QueryResultsSerializer::from_format(format);
            serializer.serialize_boolean_to_writer(&mut out, answer)?;
            writeln!(out)?;
        }
        (QueryResults::Graph(triples), Some(Written::Graph(format))) => {
            write_graph(triples, format, &prefixes, &mut out)?;
        }
        _ => return Err(QueryError::Unwanted { kind }),
    }
    out.flush()?;
    Ok(())
}

fn write_graph(
    triples: QueryTripleIter<'_>,
    format: RdfFormat,
    prefixes: &Prefixes,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    let mut serializer = RdfSerializer::from_format(format);
    for (name, namespace) in prefixes.iter() {
        if let Ok(with_prefix) = serializer.clone().with_prefix(name, namespace) {
            serializer = with_prefix;
        }
    }
    let mut writer = serializer.for_writer(&mut *out);
    for triple in triples {
        writer.serialize_triple(&triple?)?;
    }
    writer.finish()?;
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
