//! The command line's words.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Builds knowledge graphs from what language models know.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a pipeline.toml and show all its mistakes at once
    Check {
        /// The pipeline file
        pipeline: PathBuf,
    },
    /// Predict a pipeline's triples and write them into a graph; continues what was interrupted
    Run(RunArgs),
    /// Fetch ONNX Runtime, and a pipeline's models, into the cache
    Fetch {
        /// The pipeline file whose models are wanted
        pipeline: Option<PathBuf>,
    },
    /// Write a commented pipeline.toml with small input tables
    Init {
        /// The folder to write them to
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Answer a SPARQL query from a graph
    Query(QueryArgs),
    /// Write a graph as a file
    Export(ExportArgs),
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The pipeline file
    pub pipeline: PathBuf,
    /// Only say how many prompts, candidates and tokens the run would take
    #[arg(long)]
    pub dry_run: bool,
    /// Delete the graph that an earlier run made in the output folder, and start anew
    #[arg(long)]
    pub fresh: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, clap::Args)]
pub struct QueryArgs {
    /// A run's output folder, or the store/ in it
    pub store: PathBuf,
    /// The query; the prefixes rdf, rdfs, xsd, owl, prov, kgb, wd and wdt need no declaration
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub sparql: Option<String>,
    /// Read the query from a file, or from standard input where it is `-`
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = ResultFormat::Table)]
    pub format: ResultFormat,
}

/// How a query's result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    /// For people
    Table,
    /// SPARQL 1.1 results as CSV
    Csv,
    /// SPARQL 1.1 results as TSV
    Tsv,
    /// SPARQL 1.1 results as JSON
    Json,
}

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// A run's output folder, or the store/ in it
    pub store: PathBuf,
    /// The file's format
    #[arg(long, value_enum, default_value_t = GraphFormat::Turtle)]
    pub format: GraphFormat,
    /// Leave out triples of less confidence (0 to 1)
    #[arg(long, value_parser = probability, allow_negative_numbers = true)]
    pub min_confidence: Option<f64>,
    /// Write to a file, whole or not at all, instead of standard output
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

/// A graph's file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Turtle 1.2 with prefixes and {| |} annotations
    #[value(alias = "ttl")]
    Turtle,
    /// Sorted N-Quads
    #[value(aliases = ["nq", "nquads"])]
    NQuads,
    /// Sorted N-Triples
    #[value(aliases = ["nt", "ntriples"])]
    NTriples,
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1 is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }
}
