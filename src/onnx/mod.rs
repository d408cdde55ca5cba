//! Models as ONNX: a graph builder, and the import of checkpoints in other formats.
//!
//! [`import`] turns a GGUF file or a safetensors folder of a decoder into an ONNX folder,
//! once, in the cache ([`decoder_graph`]); an ONNX folder is checked and its graphs rewritten, once
//! too, so that they compute logits only where they are asked for ([`prepare()`]). [`lora`] puts a
//! PEFT adapter into a graph. [`open_checkpoint`] reads what an import would convert, for training.

pub(crate) mod architecture;
pub(crate) mod blocks;
pub mod builder;
pub(crate) mod checkpoint;
mod conversation;
mod data_file;
pub(crate) mod decoder;
mod decoder_checkpoint;
pub mod decoder_graph;
mod describe;
mod error;
mod family;
mod form;
mod gguf;
mod gguf_decoder;
mod gguf_pre_tokenizer;
mod gguf_quantisation;
mod gguf_tokenizer;
pub mod graph_precision;
mod head;
mod import;
pub mod lora;
mod model_folder;
mod module;
mod precision;
mod prepare;
pub mod probe;
mod product;
pub mod proto;
mod safetensors_decoder;
mod safetensors_weights;
mod tensor_file;
#[cfg(test)]
pub(crate) mod tiny;
pub(crate) mod tokenizer_json;
mod validate;

pub use architecture::Architecture;
pub use blocks::{Bits, Blocks};
pub use checkpoint::Weights;
pub use conversation::Conversation;
pub use decoder::DecoderConfig;
pub use decoder_checkpoint::{Checkpoint, open_checkpoint};
pub use decoder_graph::UNSEEN;
pub use describe::{Interface, ValueDescription, describe};
pub use error::Error;
pub use family::Family;
pub use form::{exported_graphs, is_checkpoint};
pub use graph_precision::GraphPrecision;
pub use head::Head;
pub use import::{IMPORTER_VERSION, check_precision, import};
pub use lora::ADAPTED;
pub use model_folder::ModelFolder;
pub use module::Module;
pub use precision::Precision;
pub use prepare::{PREPARER_VERSION, Prepared, prepare};
pub(crate) use tensor_file::TensorFile;
