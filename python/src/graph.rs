//! Graphs: queried, exported, scored; shards merged.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use kgbuild::eval::{EvalReport, Gold, Predictions, Rules};
use kgbuild::files::{WholeFile, WriteError};
use kgbuild::graph::{self, ExportOptions, Part, QueryOptions, ResultFormat, RunEntry};
use kgbuild::pipeline::{MergeOptions, merge as merge_shards};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyAny;
use serde_json::{Value, json};

use crate::convert::to_python;
use crate::error::{OrRaise as _, raised};
use crate::pipeline::as_json;
use crate::work::work;

/// The result of a query as SPARQL's JSON; of CONSTRUCT and DESCRIBE as Turtle.
#[pyfunction]
#[pyo3(signature = (store, sparql, timeout=None))]
pub(crate) fn query(
    py: Python<'_>,
    store: PathBuf,
    sparql: String,
    timeout: Option<f64>,
) -> PyResult<String> {
    let timeout = match timeout.map(Duration::try_from_secs_f64) {
        None => None,
        Some(Ok(timeout)) if !timeout.is_zero() => Some(timeout),
        Some(_) => return Err(PyValueError::new_err("a number of seconds above 0 is expected")),
    };
    let options = QueryOptions { format: ResultFormat::Json, width: None, timeout };
    let answered = py.detach(|| -> PyResult<Vec<u8>> {
        let store = graph::open_for_reading(&store).or_raise()?;
        let mut out = Vec::new();
        graph::query(&store, &sparql, options, &mut out).or_raise()?;
        Ok(out)
    })?;
    Ok(String::from_utf8_lossy(&answered).into_owned())
}

/// Writes the graph into a file, or, of a format of tables, into a new folder.
#[pyfunction]
#[pyo3(signature = (store, output, format, annotations=None, include=None, min_confidence=None))]
pub(crate) fn export(
    py: Python<'_>,
    store: PathBuf,
    output: PathBuf,
    format: &str,
    annotations: Option<&str>,
    include: Option<Vec<String>>,
    min_confidence: Option<f64>,
) -> PyResult<()> {
    let parts = include.map(|names| names.iter().map(|name| named::<Part>(name)).collect());
    let options = ExportOptions {
        annotations: annotations.map(named).transpose()?,
        include: parts.transpose()?,
        min_confidence,
        ..ExportOptions::of(named(format)?)
    };
    py.detach(|| write(&store, &output, &options))
}

fn write(store: &Path, output: &Path, options: &ExportOptions) -> PyResult<()> {
    let store = graph::open_for_reading(store).or_raise()?;
    if options.format.files().is_some() {
        return graph::export_tables(&store, options, output).or_raise();
    }
    let mut whole = WholeFile::create(output).or_raise()?;
    let written = graph::export(&store, options, &mut BufWriter::new(&mut whole));
    written.map_err(|error| match error {
        graph::Error::Output(error) => raised(&WriteError::of(output)(error)),
        error => raised(&error),
    })?;
    whole.commit().or_raise()
}

/// A choice by the name that the command line has for it.
fn named<T: ValueEnum>(name: &str) -> PyResult<T> {
    T::from_str(name, false).map_err(|_| {
        let all = T::value_variants().iter().filter_map(T::to_possible_value);
        let all: Vec<String> = all.map(|value| value.get_name().to_owned()).collect();
        PyValueError::new_err(format!("`{name}` is none of {}", all.join(", ")))
    })
}

/// The runs that made a graph what it is.
#[pyfunction]
pub(crate) fn history<'py>(py: Python<'py>, store: PathBuf) -> PyResult<Bound<'py, PyAny>> {
    let runs = py.detach(|| -> PyResult<Vec<RunEntry>> {
        let store = graph::open_for_reading(&store).or_raise()?;
        graph::runs(&store).or_raise()
    })?;
    let line = |run: &RunEntry| {
        json!({
            "run": run.number,
            "iri": run.run,
            "started": run.started,
            "ended": run.ended,
            "facts": run.facts,
            "added": run.added,
            "taken_back": run.taken_back,
            "changed": run.changed,
            "why": run.reason,
        })
    };
    to_python(py, &runs.iter().map(line).collect())
}

/// The scores of graphs, or of files of predictions, against gold facts, as `kgbuild eval --json` has them.
#[pyfunction]
#[pyo3(signature = (predictions, gold, rules=None, tolerance=None, min_confidence=None))]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    predictions: Vec<PathBuf>,
    gold: Vec<PathBuf>,
    rules: Option<&str>,
    tolerance: Option<f64>,
    min_confidence: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let rules: Rules = rules.map(named).transpose()?.unwrap_or_default();
    let report = py.detach(|| -> PyResult<Value> {
        let (gold, _) = Gold::read(&gold, rules, tolerance).or_raise()?;
        let mut all = Predictions::default();
        for from in &predictions {
            all.extend(match from.is_dir() {
                true => {
                    let store = graph::open_for_reading(from).or_raise()?;
                    Predictions::of_graph(&store, &gold).or_raise()?
                }
                false => Predictions::read(from, gold.by).or_raise()?.0,
            });
        }
        let (report, _) = EvalReport::new(&gold, &all, min_confidence).or_raise()?;
        serde_json::to_value(&report).map_err(|error| PyValueError::new_err(error.to_string()))
    })?;
    to_python(py, &report)
}

/// Makes one graph of shards.
#[pyfunction]
#[pyo3(signature = (output, shards, partial=false, fresh=false, pipeline=None, tell=None))]
pub(crate) fn merge<'py>(
    py: Python<'py>,
    output: PathBuf,
    shards: Vec<PathBuf>,
    partial: bool,
    fresh: bool,
    pipeline: Option<PathBuf>,
    tell: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = MergeOptions { shards, partial, fresh, pipeline };
    let merged =
        work(py, tell, |environment| merge_shards(&output, &options, environment).or_raise())?;
    let mut report = as_json(&merged.report);
    report["shards"] = json!(merged.shards);
    to_python(py, &report)
}
