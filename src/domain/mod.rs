//! The pure core: no I/O, clock, async runtime or HTTP.

pub mod vocabulary;
