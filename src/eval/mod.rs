//! Known facts and how well predictions agree with them.

pub mod gold;

pub use gold::Gold;
