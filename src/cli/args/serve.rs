//! The words of `kgbuild serve`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::seconds;

#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// A run's output folder, or the store/ in it
    pub store: PathBuf,
    /// The address to listen at; others than this machine's reach it where that is not a loopback address
    #[arg(long, default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// The port; 0 for one that is free
    #[arg(long, default_value_t = 7878)]
    pub port: u16,
    /// The origin whose pages may read answers, as https://example.org, or * for all
    #[arg(long, value_name = "ORIGIN")]
    pub cors: Option<String>,
    /// End queries after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Answer so many queries at once; without it, two a core
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub queries: Option<u16>,
    /// End results that are longer, in MB
    #[arg(long, value_name = "MB", default_value_t = 1000)]
    pub result: u32,
    /// End a query that takes more memory, in MB; without it, half of what is free at the start, shared by --queries
    #[arg(long, value_name = "MB")]
    pub memory: Option<u64>,
    /// Let people judge facts at /review who know a token, which is printed; no run can change the graph meanwhile
    #[arg(long)]
    pub review: bool,
    /// The token in a file, at least 16 characters, instead of a new one
    #[arg(long, value_name = "FILE", requires = "review")]
    pub token_file: Option<PathBuf>,
    /// Answer a server's queries on standard input
    #[arg(long, hide = true)]
    pub answer: bool,
}

#[derive(Debug, clap::Subcommand)]
pub enum JudgementsCommand {
    /// Write the facts that were judged to be right as tune, finetune and eval take them
    Export {
        /// A run's output folder, or the store/ in it
        store: PathBuf,
        /// Write to a file, whole or not at all, instead of standard output: a table where it ends in .csv, else JSON
        /// lines
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
}
