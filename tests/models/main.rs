//! Tiny models as the field's exporters save them, held to what PyTorch computes.
//!
//! `tests/data/models/*/expected*.json` names forms of one model, and ln p of every token of
//! several candidates after several prompts. Each form is loaded in the program's own way: import,
//! preparation, runtime, model. `tests/data/models/README.md` says how the files were made.

mod causal;
mod masked;
mod seq2seq;
mod support;
