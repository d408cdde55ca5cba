//! The words of `kgbuild eval`.

use std::path::PathBuf;

use super::probability;
use crate::eval::Rules;

#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// Runs' output folders, and files with a question a line: {"subject": IRI, "relation": IRI,
    /// "objects": [{"object": IRI, "confidence": 0.9}]}, best first, or LM-KBC's lines
    #[arg(required = true)]
    pub predictions: Vec<PathBuf>,
    /// Gold facts: a table or JSON lines of subject, relation and object, or LM-KBC's lines; may be
    /// repeated
    #[arg(long, required = true)]
    pub gold: Vec<PathBuf>,
    /// The challenge's year by whose rules is scored
    #[arg(long, value_enum, default_value_t)]
    pub rules: Rules,
    /// The share of a gold number within which one is right, instead of that of the rules (0 to 1)
    #[arg(long, value_parser = probability, allow_negative_numbers = true)]
    pub tolerance: Option<f64>,
    /// Count objects of less confidence as not predicted, in precision, recall and F1 (0 to 1)
    #[arg(long, value_parser = probability, allow_negative_numbers = true)]
    pub min_confidence: Option<f64>,
    /// Write JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write a report with plots as one HTML file
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// Write the questions that were answered wrongly or not at all as a CSV table, with their answers
    /// and what is right
    #[arg(long, value_name = "FILE")]
    pub wrong: Option<PathBuf>,
    /// Write to a file, whole or not at all, instead of standard output
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}
