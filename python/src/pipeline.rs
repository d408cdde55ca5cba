//! Pipelines: checked, planned, run, asked, tuned.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use kgbuild::pipeline::{Error, Estimate, Job, PlannedJob, RunReport, Shard, WorkCounts};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict};
use serde_json::{Value, json};

use crate::convert::to_python;
use crate::error::{OrRaise as _, raised};
use crate::work::work;

/// A pipeline file. Its models stay open once something was asked.
#[pyclass(module = "kgbuild._kgbuild", frozen)]
pub(crate) struct Pipeline {
    file: PathBuf,
    /// Planned, and with its models, once questions were asked.
    asking: Mutex<Option<PlannedJob<'static>>>,
}

#[pymethods]
impl Pipeline {
    #[new]
    fn new(file: PathBuf) -> Self {
        Self { file, asking: Mutex::default() }
    }

    /// The file.
    #[getter]
    fn file(&self) -> &PathBuf {
        &self.file
    }

    /// The folder of the graph.
    #[getter]
    fn output(&self, py: Python<'_>) -> PyResult<PathBuf> {
        work(py, None, |environment| {
            let job = Job::open(&self.file, environment).or_raise()?;
            Ok(job.pipeline().output.folder.clone())
        })
    }

    #[pyo3(signature = (tell=None))]
    fn check(&self, py: Python<'_>, tell: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        work(py, tell, |environment| {
            Job::open(&self.file, environment).or_raise()?.check().or_raise()
        })
    }

    #[pyo3(signature = (tell=None))]
    fn plan<'py>(
        &self,
        py: Python<'py>,
        tell: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let planned = work(py, tell, |environment| {
            let job = Job::open(&self.file, environment).and_then(Job::plan).or_raise()?;
            let names: Vec<(String, String)> = (job.plan().relations.iter())
                .map(|relation| (relation.iri.to_string(), relation.name.clone()))
                .collect();
            Ok((names, job.estimate().or_raise()?, job.share_to_ask().or_raise()?))
        })?;
        to_python(py, &estimated(&planned.0, &planned.1, planned.2))
    }

    #[pyo3(signature = (fresh=false, shard=None, plan=None, tell=None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        fresh: bool,
        shard: Option<&str>,
        plan: Option<PathBuf>,
        tell: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shard = shard.map(Shard::read).transpose().or_raise()?;
        let report = work(py, tell, |environment| {
            let job = Job::open(&self.file, environment).and_then(Job::plan).or_raise()?;
            match shard {
                Some(shard) => job.of_shard(shard, plan),
                None => job,
            }
            .run(fresh)
            .or_raise()
        })?;
        if !report.complete {
            return Err(raised(&Error::Interrupted));
        }
        to_python(py, &as_json(&report))
    }

    #[pyo3(signature = (file=None, fresh=false, tell=None))]
    fn share_means(
        &self,
        py: Python<'_>,
        file: Option<PathBuf>,
        fresh: bool,
        tell: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PathBuf> {
        work(py, tell, |environment| {
            Job::open(&self.file, environment)
                .and_then(Job::plan)
                .or_raise()?
                .share_means(file, fresh)
                .or_raise()
        })
    }

    #[pyo3(signature = (tell=None))]
    fn tune<'py>(
        &self,
        py: Python<'py>,
        tell: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let file = work(py, tell, |environment| {
            let job = Job::open(&self.file, environment).or_raise()?;
            let file = job.pipeline().tuning.as_ref().map(|tuning| tuning.file.clone());
            job.tune().or_raise()?;
            Ok(file)
        })?;
        to_python(py, &json!(file))
    }

    /// The answers as columns: lists by name, of one length.
    #[pyo3(signature = (subjects, relations, most, tell=None))]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        subjects: Vec<String>,
        relations: Vec<String>,
        most: usize,
        tell: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let answered = work(py, tell, |environment| {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            let job = match &mut *asking {
                Some(job) => job,
                none => {
                    none.insert(Job::open(&self.file, environment).and_then(Job::plan).or_raise()?)
                }
            };
            let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
            let relations: Vec<&str> = relations.iter().map(String::as_str).collect();
            job.ask_about(&subjects, &relations, most).or_raise()
        })?;
        let rows =
            || answered.iter().flat_map(|of| of.objects.iter().map(move |object| (of, object)));
        let columns = PyDict::new(py);
        columns.set_item("subject", rows().map(|(of, _)| &of.subject).collect::<Vec<_>>())?;
        columns.set_item("relation", rows().map(|(of, _)| &of.relation).collect::<Vec<_>>())?;
        columns.set_item("object", rows().map(|(_, o)| &o.object).collect::<Vec<_>>())?;
        columns.set_item("label", rows().map(|(_, o)| &o.label).collect::<Vec<_>>())?;
        columns.set_item("confidence", rows().map(|(_, o)| o.confidence).collect::<Vec<_>>())?;
        columns.set_item("finetuned", rows().map(|(_, o)| o.finetuned).collect::<Vec<_>>())?;
        columns.set_item("base", rows().map(|(_, o)| o.base).collect::<Vec<_>>())?;
        Ok(columns)
    }

    /// Gives the models back that `ask` has opened.
    fn close(&self) {
        drop(self.asking.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A report as report.json has it.
pub(crate) fn as_json(report: &RunReport) -> Value {
    // Numbers that were counted always have a form in JSON.
    serde_json::to_value(report).unwrap_or(Value::Null)
}

/// What a run would do, by relation and in all.
fn estimated(names: &[(String, String)], estimate: &Estimate, share: f64) -> Value {
    let counts = |counts: &WorkCounts| {
        json!({
            "subjects": counts.subjects,
            "prompts": counts.prompts,
            "prompt_tokens": counts.prompt_tokens,
            "estimated": counts.estimated,
            "candidates": counts.candidates,
            "candidate_tokens": counts.candidate_tokens,
        })
    };
    let relations = names.iter().zip(&estimate.relations).map(|((iri, name), own)| {
        let mut line = counts(own);
        line["relation"] = json!(iri);
        line["name"] = json!(name);
        line
    });
    let relations: Vec<Value> = relations.collect();
    json!({ "relations": relations, "total": counts(&estimate.total), "share_to_ask": share })
}
