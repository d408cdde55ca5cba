//! What `kgbuild run` prints at its end.

use std::env;
use std::io::ErrorKind;
use std::path::Path;

use super::failure::Failure;
use super::streams::{Console, to_stderr};
use super::table;
use crate::diagnostic::counted;
use crate::pipeline::{RelationReport, RunReport, Shard};

/// The columns that a narrow terminal does without, the first one first; report.json has them.
const SPARE: [&str; 5] = ["candidates", "gold", "P@1 majority", "confidence", "subjects"];

/// The table per relation, and what to do next.
pub(super) fn print_report(
    report: &RunReport,
    again: &Again<'_>,
    next: &str,
    console: Console,
) -> Result<(), Failure> {
    let mut text = relations(report);
    if report.seconds > 0.0 && report.prompts > 0 {
        text += &format!(
            "\n\n{} in {:.1} s ({:.1} prompts/s)",
            counted(report.prompts, "prompt"),
            report.seconds,
            report.prompts as f64 / report.seconds
        );
    }
    if report.derived > 0 {
        let derived = counted(report.derived, "more fact");
        text += &format!("\n\n{derived} by what the ontology says of relations");
    }
    if report.complete && report.prompts == 0 {
        text += "\n\nnothing was left to do: the graph is complete";
    }
    if !report.complete {
        let printed = console.summary(&text);
        to_stderr(&again.interrupted());
        // A closed pipe ends in silence, but is no success here.
        return match printed {
            Err(Failure::Output(error)) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::Output(error))
            }
            _ => Err(Failure::Stopped),
        };
    }
    text += next;
    console.summary(&text)
}

/// A row for each relation, and one for all; the columns about gold only where there is some.
pub(super) fn relations(report: &RunReport) -> String {
    let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.3}"));
    let row = |r: &RelationReport| {
        vec![
            r.name.clone(),
            r.candidates.map_or(String::new(), |c| c.to_string()),
            r.subjects.to_string(),
            r.triples.to_string(),
            r.without_object.to_string(),
            number(r.mean_confidence),
            r.gold_questions.to_string(),
            number(r.majority_precision_at_1),
            number(r.base_precision_at_1),
            number(r.finetuned_precision_at_1),
            number(r.mixed_precision_at_1),
        ]
    };
    let mut rows: Vec<Vec<String>> = report.relations.iter().map(row).collect();
    rows.push(row(&report.total));
    let mut header = vec![
        "relation",
        "candidates",
        "subjects",
        "triples",
        "no object",
        "confidence",
        "gold",
        "P@1 majority",
        "P@1 base",
        "P@1 finetuned",
        "P@1 mixed",
    ];
    if report.total.gold_questions == 0 {
        header.truncate(6);
        rows.iter_mut().for_each(|row| row.truncate(6));
    }
    table::table(&header, rows, table::terminal_width(), &SPARE)
}

/// What to do next with a graph that is complete.
pub(super) fn next_steps(folder: &Path) -> String {
    let program = program();
    let folder = shown(folder);
    let pattern = "?s ?r ?o {| kgb:confidence ?confidence |}";
    format!(
        "\n\ngraph and report: {folder}\n\
         try next:\n  \
         {program} query {folder} 'SELECT ?subject ?relation ?object ?confidence WHERE {{\n    \
         {pattern} .\n    \
         ?s rdfs:label ?subject . ?r rdfs:label ?relation . ?o rdfs:label ?object\n  \
         }} ORDER BY DESC(?confidence) LIMIT 10'\n  \
         {program} export {folder}"
    )
}

/// What to do next with a shard that is done.
pub(super) fn shard_steps(shard: Shard, whole: &Path) -> String {
    format!(
        "\n\nshard {shard} is done; when all are, `{} merge {}` makes one graph of them",
        program(),
        shown(whole)
    )
}

/// How a run is called, to be called again.
pub(super) struct Again<'a> {
    pub pipeline: &'a Path,
    pub shard: Option<Shard>,
    pub plan: Option<&'a Path>,
}

impl Again<'_> {
    /// What to do next after it was interrupted.
    pub(super) fn interrupted(&self) -> String {
        let (program, pipeline) = (program(), shown(self.pipeline));
        let shard = self.shard.map_or(String::new(), |shard| format!(" --shard {shard}"));
        let plan = self.plan.map_or(String::new(), |plan| format!(" --plan {}", shown(plan)));
        format!(
            "interrupted: `{program} run {pipeline}{shard}{plan}` goes on where this run stopped"
        )
    }
}

/// How the program was called, to be typed again.
pub(super) fn program() -> String {
    // Installed by pip it is a script, which stands behind the interpreter.
    let is_own = |word: &String| Path::new(word).file_stem().is_some_and(|name| name == "kgbuild");
    let called = env::args().take(2).find(is_own).or_else(|| env::args().next());
    let called = called.unwrap_or_else(|| "kgbuild".to_owned());
    let shown = shown(Path::new(&called));
    // Without a slash a shell would look for it among the installed programs.
    if called.contains('/') && !shown.contains('/') { format!("./{shown}") } else { shown }
}

/// A path to be typed: relative where it lies below the current folder, quoted where a shell
/// would take it apart. A program that is found by its name keeps it.
pub(super) fn shown(path: &Path) -> String {
    let relative = path.canonicalize().ok().and_then(|whole| {
        let here = env::current_dir().ok()?.canonicalize().ok()?;
        Some(whole.strip_prefix(here).ok()?.to_owned())
    });
    let text = match relative {
        Some(relative) if path.components().count() > 1 => relative.display().to_string(),
        _ => path.display().to_string(),
    };
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
