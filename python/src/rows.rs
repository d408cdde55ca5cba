//! Rows of subjects in, rows of answered questions out: what workers of other engines do.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use kgbuild::catalog::{Described, EntityId};
use kgbuild::pipeline::{AnsweredRow, Job, PlannedJob, RowWorker as Answering, SubjectRow};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::error::OrRaise as _;
use crate::work::work;

/// A worker of a pipeline, with its models open.
#[pyclass(module = "kgbuild._kgbuild", frozen)]
pub(crate) struct RowWorker {
    answering: Mutex<Answering<'static>>,
}

#[pymethods]
impl RowWorker {
    #[new]
    #[pyo3(signature = (file, plan, threads=None))]
    fn new(py: Python<'_>, file: PathBuf, plan: PathBuf, threads: Option<usize>) -> PyResult<Self> {
        let answering = work(py, None, |environment| {
            let job = Job::open(&file, environment).or_raise()?;
            job.row_worker(&plan, threads).or_raise()
        })?;
        Ok(Self { answering: Mutex::new(answering) })
    }

    /// The answers to the questions about subjects, as columns: lists by name, of one length.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        iris: Vec<String>,
        labels: Vec<String>,
        aliases: Vec<Vec<String>>,
        types: Vec<Vec<String>>,
        relations: Vec<Option<String>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let names = iris.into_iter().zip(labels).zip(aliases).zip(types).zip(relations);
        let rows: Vec<SubjectRow> = names
            .map(|((((iri, label), aliases), types), relation)| SubjectRow {
                subject: Described { iri, label, aliases, types },
                relation,
            })
            .collect();
        let answered = work(py, None, |_| {
            let mut answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
            answering.answer(&rows).or_raise()
        })?;
        columns(py, &answered)
    }
}

fn columns<'py>(py: Python<'py>, rows: &[AnsweredRow]) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    let text = |of: fn(&AnsweredRow) -> &String| PyList::new(py, rows.iter().map(of));
    columns.set_item("subject", text(|row| &row.subject)?)?;
    columns.set_item("relation", text(|row| &row.relation)?)?;
    columns.set_item("run", text(|row| &row.run)?)?;
    let answers = PyList::empty(py);
    for row in rows {
        let own = PyList::empty(py);
        for (object, is_written) in &row.objects {
            let answer = PyDict::new(py);
            answer.set_item("object", &object.object)?;
            answer.set_item("label", &object.label)?;
            answer.set_item("confidence", object.confidence)?;
            answer.set_item("finetuned", object.finetuned)?;
            answer.set_item("base", object.base)?;
            answer.set_item("written", is_written)?;
            own.append(answer)?;
        }
        answers.append(own)?;
    }
    columns.set_item("answers", answers)?;
    columns.set_item("quads", text(|row| &row.quads)?)?;
    columns.set_item("statistics", text(|row| &row.statistics)?)?;
    columns.set_item("made_by", text(|row| &row.made_by)?)?;
    Ok(columns)
}

/// The subjects of a pipeline of whose questions some are not answered by rows in a folder.
#[pyclass(module = "kgbuild._kgbuild", frozen)]
pub(crate) struct LeftSubjects {
    job: Mutex<PlannedJob<'static>>,
    left: Vec<EntityId>,
}

#[pymethods]
impl LeftSubjects {
    #[new]
    fn new(py: Python<'_>, file: PathBuf, folder: PathBuf) -> PyResult<Self> {
        work(py, None, |environment| {
            let job = Job::open(&file, environment).and_then(Job::plan).or_raise()?;
            let left = job.subjects_without_rows(&folder).or_raise()?;
            Ok(Self { job: Mutex::new(job), left })
        })
    }

    fn __len__(&self) -> usize {
        self.left.len()
    }

    /// So many of them from a place on, as columns.
    fn rows<'py>(
        &self,
        py: Python<'py>,
        start: usize,
        count: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let some = self.left.iter().skip(start).take(count);
        let rows: Vec<Described> = some.map(|&subject| job.subject_row(subject)).collect();
        let columns = PyDict::new(py);
        columns.set_item("iri", PyList::new(py, rows.iter().map(|row| &row.iri))?)?;
        columns.set_item("label", PyList::new(py, rows.iter().map(|row| &row.label))?)?;
        columns.set_item("aliases", PyList::new(py, rows.iter().map(|row| &row.aliases))?)?;
        columns.set_item("types", PyList::new(py, rows.iter().map(|row| &row.types))?)?;
        Ok(columns)
    }
}
