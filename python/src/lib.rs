//! kgbuild in Python: what the package's own modules are made of.
//!
//! Each function is the library's, with its errors as exceptions; work that takes long runs without the
//! interpreter's lock.

mod convert;
mod error;
mod finetune;
mod graph;
mod pipeline;
mod rows;
mod work;

use std::ffi::OsString;

use error::OrRaise as _;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The command `kgbuild`, by its words; gives the exit code.
#[pyfunction]
fn main(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| kgbuild::cli::run(words))
}

/// Writes a commented pipeline.toml with small tables into a folder.
#[pyfunction]
fn init(folder: std::path::PathBuf) -> PyResult<()> {
    kgbuild::config::init(&folder).map(drop).or_raise()
}

/// A pipeline.toml of its sections as a JSON object.
#[pyfunction]
fn to_toml(json: &str) -> PyResult<String> {
    let wrong = |error: &dyn std::fmt::Display| PyValueError::new_err(error.to_string());
    let sections: toml::Table = serde_json::from_str(json).map_err(|error| wrong(&error))?;
    toml::to_string(&sections).map_err(|error| wrong(&error))
}

#[pymodule]
fn _kgbuild(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Error", module.py().get_type::<error::Error>())?;
    module.add("InputError", module.py().get_type::<error::InputError>())?;
    module.add_class::<pipeline::Pipeline>()?;
    module.add_class::<rows::RowWorker>()?;
    module.add_class::<rows::LeftSubjects>()?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(init, module)?)?;
    module.add_function(wrap_pyfunction!(to_toml, module)?)?;
    module.add_function(wrap_pyfunction!(graph::query, module)?)?;
    module.add_function(wrap_pyfunction!(graph::export, module)?)?;
    module.add_function(wrap_pyfunction!(graph::history, module)?)?;
    module.add_function(wrap_pyfunction!(graph::evaluate, module)?)?;
    module.add_function(wrap_pyfunction!(graph::merge, module)?)?;
    module.add_function(wrap_pyfunction!(finetune::finetune, module)?)
}
