//! Models as ONNX: a graph builder, and the import of checkpoints in other formats.
//!
//! [`import`] turns a GGUF file or a safetensors folder of the Llama family into an ONNX folder,
//! once, in the cache; an ONNX folder is checked and used where it is. [`prepare()`] rewrites an
//! exported graph, once too, so that it computes logits only where they are asked for. [`lora`]
//! reads a PEFT adapter as replacements for weights of an imported model. [`open_checkpoint`] reads
//! what an import would convert, for training.

pub mod builder;
pub(crate) mod checkpoint;
mod data_file;
mod dequantise;
mod error;
mod gguf;
mod gguf_llama;
mod gguf_tokenizer;
mod import;
pub(crate) mod llama;
mod llama_graph;
pub mod lora;
pub mod precision;
mod prepare;
pub mod probe;
pub mod proto;
mod safetensors_llama;
#[cfg(test)]
pub(crate) mod tiny;
mod validate;

pub use checkpoint::Weights;
pub use error::Error;
pub use import::{Checkpoint, IMPORTER_VERSION, ModelFolder, import, open_checkpoint};
pub use llama::LlamaConfig;
pub use precision::Precision;
pub use prepare::{PREPARER_VERSION, Prepared, prepare};
