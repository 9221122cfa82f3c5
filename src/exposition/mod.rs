//! From snapshots to what Prometheus scrapes.
//!
//! Pollers publish [snapshots](crate::domain::TargetSnapshot) on the [`Board`]; the [catalog] says which samples a snapshot has;
//! the [encoders](encode) write them, family by family; [`Exposition`] keeps the bodies until something changes. A scrape touches
//! nothing else.

pub mod alerting;
pub mod board;
pub mod body;
pub mod catalog;
pub mod encode;
pub mod process;
pub mod state;

pub use alerting::{AlertingStats, ReceiverStats};
pub use board::{Board, Slot};
pub use body::{Body, Coding, Exposition};
pub use catalog::{CATALOG, Family};
pub use encode::Format;
pub use state::ExporterState;
