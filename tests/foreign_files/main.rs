//! Files of others in every place that kgbuild writes to: whatever a command does, refused or done,
//! with `--fresh` or without, they are the same bytes afterwards.

mod commands;
#[path = "../support/ended.rs"]
mod ended;
mod mine;
mod training;
mod workplace;
