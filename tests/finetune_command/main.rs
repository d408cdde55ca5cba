//! `kgbuild finetune` as people run it, on a tiny Llama: training that learns, is interrupted and goes
//! on, and what bad input gets.

mod bad_input;
#[path = "../support/ended.rs"]
mod ended;
mod interruption;
#[path = "../support/kills.rs"]
mod kills;
mod training;
mod workplace;
