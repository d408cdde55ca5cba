//! A job in parts: what a shard hands over when it is done, and how shards are merged into one store.
//!
//! A shard has a store of its own, as any run has, so that it goes on where it was stopped. When it is done,
//! it hands over what that holds as sorted lines of N-Quads, compressed, and `shard.json`, which says of what
//! job they are and has their hash. A merge needs these two alone: it reads the lines of all shards side by side,
//! each once, and hands them to the bulk loader.
//!
//! Workers of other engines have no store: they hand over rows of Parquet, a question each, with the lines of its facts.
//! A merge sorts these first.
//!
//! Invariant: a folder with a `shard.json` has a whole shard, and a merged store appears only when all lines
//! of all shards are in it and have the hashes that they were written with.

mod error;
mod found;
mod handed;
mod lines;
mod merge;
mod rows;

pub use error::MergeError;
pub use found::{FoundShard, Shards};
pub use handed::{HandedShard, SHARD_FILE};
pub use merge::{AddStatistics, Advance, Merge, Merged, merge};
pub use rows::{RowOrigin, answered_rows};

pub(super) use handed::hand_over;

#[cfg(test)]
mod tests;
