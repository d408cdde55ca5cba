//! The words of `kgbuild import`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Of Wikidata's JSON, an entity a line: a dump, or what wikibase-dump-filter writes
    Wikidata(WikidataArgs),
    /// Of what a SPARQL query service answers
    SparqlResults(SparqlResultsArgs),
}

#[derive(Debug, clap::Args)]
pub struct WikidataArgs {
    /// The file: `.json`, `.json.gz` or `.json.bz2`
    pub dump: PathBuf,
    /// The classes whose instances are wanted, as Q6256,Q515
    #[arg(long, required = true, value_delimiter = ',')]
    pub types: Vec<String>,
    /// The properties whose facts are wanted, as P36,P30
    #[arg(long, required = true, value_delimiter = ',')]
    pub relations: Vec<String>,
    /// The language of labels and aliases
    #[arg(long, default_value = "en")]
    pub language: String,
    /// Take what a dump has before it breaks off
    #[arg(long)]
    pub partial: bool,
    /// The folder to write pipeline.toml, ontology.ttl, entities.csv and facts.csv to
    #[arg(short, long, value_name = "FOLDER")]
    pub output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct SparqlResultsArgs {
    /// The file: `.csv`, `.tsv` or `.json`, with .gz or .bz2 behind or not
    pub results: PathBuf,
    /// The relation of all rows, where the results have no variable ?relation
    #[arg(long, value_name = "IRI")]
    pub relation: Option<String>,
    /// The language of labels and aliases that have one
    #[arg(long, default_value = "en")]
    pub language: String,
    /// The folder to write pipeline.toml, ontology.ttl, entities.csv and facts.csv to
    #[arg(short, long, value_name = "FOLDER")]
    pub output: PathBuf,
}
