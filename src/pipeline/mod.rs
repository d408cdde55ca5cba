//! Stages, channels, progress and resume: the only room with threads.

pub mod stages;
