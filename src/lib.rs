//! kgbuild constructs knowledge graphs from what language models know.
//!
//! A pipeline file names an ontology, tables of entities and a model; a [`pipeline::Job`] asks the
//! model for the objects of every (subject, relation) pair and writes the triples with their
//! confidence and provenance into a store, which [`graph`] queries and exports:
//!
//! ```
//! use kgbuild::diagnostic::Silent;
//! use kgbuild::pipeline::{Environment, Job};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! kgbuild::config::init(folder)?; // a small pipeline: the capitals of six countries
//! let environment = Environment::new(Silent);
//! let mut job = Job::open(&folder.join("pipeline.toml"), &environment)?.plan()?;
//! let report = job.run(false)?;
//! assert_eq!(report.total.subjects, 6);
//!
//! let store = kgbuild::graph::open_for_reading(&job.pipeline().output.folder)?;
//! let query = "SELECT ?capital WHERE { wd:Q142 wdt:P36 ?capital }";
//! let mut table = Vec::new();
//! kgbuild::graph::query(&store, query, Default::default(), &mut table)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`pipeline::PlannedJob::ask`] asks one question without a graph, [`pipeline::Job::tune`] chooses a
//! pipeline's numbers on held-out facts, [`diagnosis`] looks for Frequency Shock, the harm that
//! finetuning does (Kazemi, Mittal, Ramachandran 2023, arXiv 2301.11293), and [`finetune`] trains.
//! Errors say by whom and how they are mended: [`diagnostic::Explain`].
//! `ARCHITECTURE.md` maps the modules ("rooms") and says which may use which.

#![warn(unreachable_pub)]

pub mod catalog;
pub mod cli;
pub mod config;
pub mod diagnosis;
pub mod diagnostic;
pub mod eval;
pub mod experiment;
pub mod facts;
pub mod fetch;
pub mod files;
pub mod finetune;
pub mod graph;
pub mod html;
pub mod import;
pub mod lm;
pub mod metrics;
pub mod onnx;
pub mod ontology;
pub mod pipeline;
pub mod runtime;
pub mod serve;
pub mod shock;
