//! Models as ONNX: a graph builder, and the import of checkpoints in other formats.
//!
//! [`import`] turns a GGUF file or a safetensors folder of the Llama family into an ONNX folder,
//! once, in the cache; an ONNX folder is checked and used where it is. [`lora`] reads a PEFT
//! adapter as replacements for weights of an imported model.

pub mod builder;
mod checkpoint;
mod dequantise;
mod error;
mod gguf;
mod gguf_llama;
mod gguf_tokenizer;
mod import;
mod llama;
mod llama_graph;
pub mod lora;
mod precision;
pub mod probe;
pub mod proto;
mod safetensors_llama;
#[cfg(test)]
mod tiny;
mod validate;

pub use error::Error;
pub use import::{IMPORTER_VERSION, ModelFolder, import};
