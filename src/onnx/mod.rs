//! (room under construction)
pub fn identity_model() -> Vec<u8> { Vec::new() }
