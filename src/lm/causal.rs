//! placeholder until the ONNX session is wired
pub struct CausalModel;
