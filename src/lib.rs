//! kgbuild constructs knowledge graphs from what language models know.
//!
//! A *finetuned* and a *base* language model predict the objects of (subject, relation) pairs,
//! mixing corrects the finetuned model's Frequency Shock (Kazemi, Mittal, Ramachandran 2023,
//! arXiv 2301.11293), and what is confident enough becomes RDF triples with their confidence
//! and provenance. `ARCHITECTURE.md` maps the modules ("rooms") below.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod eval;
pub mod experiment;
pub mod facts;
pub mod fetch;
pub mod files;
pub mod finetune;
pub mod graph;
pub mod html;
pub mod lm;
pub mod onnx;
pub mod ontology;
pub mod pipeline;
pub mod runtime;
pub mod shock;
