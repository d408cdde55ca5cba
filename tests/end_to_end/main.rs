//! The program as people run it, with the real base model and adapter: one binary, so that all of
//! it is linked once.
//!
//! The first run fetches the base model and ONNX Runtime. Without network and with an empty cache
//! these tests fail and show what `kgbuild` says about it; none is skipped.

mod commands;
mod completion;
mod crawl;
mod determinism;
mod exactness;
mod formats;
mod growth;
mod history;
mod interruption;
mod kills;
mod memory;
mod names;
mod numbers;
#[path = "../support/python.rs"]
mod python;
mod shapes;
mod shards;
mod stub;
mod support;
mod values;
