//! The pure core: no I/O, clock, async runtime or HTTP.

pub mod exemption;
pub mod role;
pub mod vocabulary;
