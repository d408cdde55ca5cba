//! The command line's words.

mod eval;
mod import;
mod serve;
mod shards;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(super) use self::eval::EvalArgs;
pub(super) use self::import::{ImportCommand, SparqlResultsArgs, WikidataArgs};
pub(super) use self::serve::{JudgementsCommand, ServeArgs};
pub(super) use self::shards::{MergeArgs, PlanArgs, ShardArgs};
use crate::diagnostic::nearest;
use crate::graph::{Annotations, ExportFormat, Part, ResultFormat};

/// Builds knowledge graphs from what language models know.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Args {
    /// Say nothing but results that are asked for, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 bad input, 70 a bug in kgbuild, 130 \
                          interrupted by SIGINT (Ctrl-C), 143 by SIGTERM";

impl Args {
    /// What words say, the program's name before them; where they say nothing, ends the process and says why.
    pub fn read(words: Vec<OsString>) -> Self {
        let read = Self::try_parse_from(&words);
        read.unwrap_or_else(|error| with_command_meant(error, &words).exit())
    }
}

/// Clap finds no word near a short one whose letters are swapped, as `rnu`.
fn with_command_meant(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let first = words.iter().skip(1).find(|word| !word.to_string_lossy().starts_with('-'));
    if first.is_none_or(|first| first != word.as_str()) {
        // The word of a command within a command.
        return error;
    }
    let known = Args::command();
    let meant = nearest(word, known.get_subcommands().map(clap::Command::get_name));
    if let Some(meant) = meant.filter(|_| error.get(ContextKind::SuggestedSubcommand).is_none()) {
        let meant = ContextValue::Strings(vec![meant.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, meant);
    }
    error
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a pipeline.toml and show all its mistakes at once
    Check {
        /// The pipeline file, or the folder of a pipeline.toml
        #[arg(value_parser = pipeline())]
        pipeline: PathBuf,
    },
    /// Predict a pipeline's triples and write them into a graph; continues what was interrupted
    Run(RunArgs),
    /// Take what all shards of a run go by, once, before they are run on many machines
    Plan(PlanArgs),
    /// Make one graph of the shards of a run
    Merge(MergeArgs),
    /// Finetune a model on facts as a finetune.toml says; continues what was interrupted
    Finetune(FinetuneArgs),
    /// Choose a pipeline's numbers on held-out facts: mixing weights, calibration, thresholds
    Tune(TuneArgs),
    /// Measure Frequency Shock: finetune on training sets of growing skew, correct, and compare
    Reproduce(ReproduceArgs),
    /// Say what models are
    Models {
        #[command(subcommand)]
        command: ModelsCommand,
    },
    /// Fetch ONNX Runtime, and a pipeline's models, into the cache
    Fetch(FetchArgs),
    /// Write a commented pipeline.toml with small input tables
    Init {
        /// The folder to write them to
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Make tables of entities and facts, and an ontology, of what others keep
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Answer a SPARQL query from a graph
    Query(QueryArgs),
    /// Serve a graph over HTTP: pages to look around, and SPARQL
    Serve(ServeArgs),
    /// Write a graph as a file
    Export(ExportArgs),
    /// What people judged of a graph's facts
    Judgements {
        #[command(subcommand)]
        command: JudgementsCommand,
    },
    /// List the runs that made a graph what it is
    History {
        /// A run's output folder, or the store/ in it
        store: PathBuf,
    },
    /// Print which facts differ between the graphs that two runs left, and why some were taken back
    Diff(DiffArgs),
    /// Score a graph, or a file of predictions, against gold facts
    Eval(EvalArgs),
    /// Diagnose Frequency Shock: a pipeline's finetuned model against its base on held-out facts
    Shock(ShockArgs),
    /// Print what completes these commands in a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the manual's pages, one a command
    Man {
        /// The folder to write them to
        folder: PathBuf,
    },
}

/// Which ONNX Runtime is loaded, for the commands that run models.
#[derive(Debug, clap::Args)]
pub struct LibraryArgs {
    /// The shared library of your own ONNX Runtime, instead of the one that ORT_DYLIB_PATH names or
    /// kgbuild fetches
    #[arg(long = "library", value_name = "PATH")]
    pub path: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Print a model's family, vocabulary, context, inputs and outputs, cache and precision, and
    /// what it lacks
    Inspect(InspectArgs),
}

#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// A folder, a GGUF file, `hf:owner/name` or `pypi:package==version#path/inside`
    pub model: String,
    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Debug, clap::Args)]
pub struct FetchArgs {
    /// The file whose sources are wanted: a pipeline.toml, or the folder of one, a finetune.toml or an
    /// experiment.toml
    #[arg(value_parser = pipeline())]
    pub file: Option<PathBuf>,
    /// Note what its sources are now in a lock file beside it, which every command then holds to
    #[arg(long, requires = "file", conflicts_with = "locked")]
    pub lock: bool,
    /// Demand a lock file with exactly this file's sources
    #[arg(long, requires = "file")]
    pub locked: bool,
    /// Hash all that the cache holds of its models, and make again what has changed
    #[arg(long, requires = "file")]
    pub verify: bool,
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The pipeline file, or the folder of a pipeline.toml
    #[arg(value_parser = pipeline())]
    pub pipeline: PathBuf,
    /// Only say how many prompts, candidates and tokens the run would take, and about how long
    #[arg(long)]
    pub dry_run: bool,
    /// Delete the graph that an earlier run made in the output folder, and start anew
    #[arg(long)]
    pub fresh: bool,
    /// Demand a lock file, as `kgbuild fetch --lock` writes it, with exactly this file's sources
    #[arg(long)]
    pub locked: bool,
    /// Hash all that the cache holds of the models, and make again what has changed
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub shard: ShardArgs,
    /// Ask in so many processes, each with its share of the processors and a GPU of its own, and merge what they find
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=512), conflicts_with_all = ["shard", "dry_run"])]
    pub processes: Option<u32>,
    /// Tell the process that began this one how far it is
    #[arg(long, hide = true, requires = "shard")]
    pub tell: bool,
    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Debug, clap::Args)]
pub struct FinetuneArgs {
    /// The finetuning file
    pub file: PathBuf,
    /// Only say how many facts, steps and tokens the training would take
    #[arg(long)]
    pub dry_run: bool,
    /// Delete what an earlier training left in the output folder, and start anew
    #[arg(long)]
    pub fresh: bool,
    /// Demand a lock file, as `kgbuild fetch --lock` writes it, with exactly this file's sources
    #[arg(long)]
    pub locked: bool,
}

#[derive(Debug, clap::Args)]
pub struct TuneArgs {
    /// The pipeline file, or the folder of a pipeline.toml; its [tuning] names the facts, and the file
    /// that is written
    #[arg(value_parser = pipeline())]
    pub pipeline: PathBuf,
    /// Demand a lock file, as `kgbuild fetch --lock` writes it, with exactly this file's sources
    #[arg(long)]
    pub locked: bool,
    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Debug, clap::Args)]
pub struct ReproduceArgs {
    /// The experiment file
    pub experiment: PathBuf,
    /// A folder of facts in the shape of ParaRel's, instead of the file's
    #[arg(long)]
    pub facts: Option<PathBuf>,
    /// Delete what earlier runs left of these models, and train and ask them anew
    #[arg(long)]
    pub fresh: bool,
    /// Demand a lock file, as `kgbuild fetch --lock` writes it, with exactly this file's sources
    #[arg(long)]
    pub locked: bool,
    #[command(flatten)]
    pub library: LibraryArgs,
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
    /// End the query when it takes longer; without this, it takes the time that it needs
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// A run's output folder, or the store/ in it
    pub store: PathBuf,
    /// The file's format
    #[arg(long, value_enum, default_value_t = ExportFormat::Turtle)]
    pub format: ExportFormat,
    /// How confidence and provenance are written; without it RDF 1.2, in JSON-LD and RDF/XML, which have
    /// none, reification
    #[arg(long, value_enum)]
    pub annotations: Option<Annotations>,
    /// What the file holds beside facts and types, as schema,labels,aliases,provenance; without it labels
    /// and, where there are annotations, provenance
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    pub include: Option<Vec<Part>>,
    /// Write SHACL shapes of the graph's relations instead of the graph
    #[arg(long, conflicts_with_all = ["annotations", "include", "min_confidence"])]
    pub shapes: bool,
    /// A prefix beside the common ones, as ex=http://example.org/; may be repeated
    #[arg(long, value_parser = prefix, value_name = "NAME=IRI")]
    pub prefix: Vec<(String, String)>,
    /// Leave out triples of less confidence (0 to 1)
    #[arg(long, value_parser = probability, allow_negative_numbers = true)]
    pub min_confidence: Option<f64>,
    /// Write the graph as this run left it, by its number in `kgbuild history`, or by its IRI
    #[arg(long)]
    pub run: Option<String>,
    /// Write to a file, whole or not at all, instead of standard output; of two tables, a new folder
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// A run's output folder, or the store/ in it
    pub store: PathBuf,
    /// The earlier run, by its number in `kgbuild history`, or by its IRI
    #[arg(value_name = "RUN")]
    pub from: String,
    /// The later one
    #[arg(value_name = "RUN")]
    pub to: String,
    /// Write a line of JSON a change
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ShockArgs {
    /// The pipeline file, or the folder of a pipeline.toml; it names both models, and the numbers of its
    /// correction
    #[arg(value_parser = pipeline())]
    pub pipeline: PathBuf,
    /// Held-out facts, instead of the pipeline's gold facts; may be repeated
    #[arg(long)]
    pub facts: Vec<PathBuf>,
    /// A table with the labels of their subjects, beside the pipeline's; may be repeated
    #[arg(long)]
    pub entities: Vec<PathBuf>,
    /// The facts that the finetuned model was trained on, where no training card lies beside it; may
    /// be repeated
    #[arg(long)]
    pub train: Vec<PathBuf>,
    /// Write JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// Write a report with plots as one HTML file
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// Write to a file, whole or not at all, instead of standard output
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Demand a lock file, as `kgbuild fetch --lock` writes it, with exactly this file's sources
    #[arg(long)]
    pub locked: bool,
    #[command(flatten)]
    pub library: LibraryArgs,
}

/// A pipeline file, or the one in a folder.
fn pipeline() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(|path| match path.is_dir() {
        true => path.join("pipeline.toml"),
        false => path,
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|&seconds: &f64| seconds > 0.0);
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a number of seconds above 0 is expected".to_owned())
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1 is expected".to_owned()),
    }
}

/// A prefix of Turtle with its namespace.
fn prefix(text: &str) -> Result<(String, String), String> {
    let expected = || "a name and an absolute IRI are expected, as in ex=http://example.org/";
    let (name, iri) = text.split_once('=').ok_or_else(expected)?;
    let sound = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && oxrdf::NamedNode::new(iri).is_ok();
    if sound { Ok((name.to_owned(), iri.to_owned())) } else { Err(expected().to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_names_and_iris() {
        let expected = Ok(("ex".to_owned(), "http://e/?a=b".to_owned()));
        assert_eq!(prefix("ex=http://e/?a=b"), expected);
        for wrong in ["ex", "=http://e/", "1x=http://e/", "a b=http://e/", "ex=relative", "ex="] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }
}
