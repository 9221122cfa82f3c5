//! The input of an evaluation: targets with their memory, and the exporter itself.

use super::Memory;
use crate::domain::TargetSnapshot;

/// Input of one evaluation.
#[derive(Debug)]
pub struct FleetView<'a> {
    /// Every configured target.
    pub targets: &'a [TargetView<'a>],
    /// The exporter itself.
    pub exporter: ExporterView<'a>,
}

/// One target.
#[derive(Debug)]
pub struct TargetView<'a> {
    /// Its newest snapshot.
    pub snapshot: &'a TargetSnapshot,
    /// Its earlier numbers and recent transitions.
    pub memory: &'a Memory,
}

/// The exporter's own health.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExporterView<'a> {
    /// The last reload of the configuration failed.
    pub config_rejected: bool,
    /// Receivers that did not take an alert within the last ten minutes.
    pub failing_receivers: &'a [String],
    /// Errors of the store within the last half hour.
    pub store_errors: u64,
}
