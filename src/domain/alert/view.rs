//! The input of an evaluation: targets, and the exporter itself.

use std::sync::Arc;

use crate::domain::TargetSnapshot;

/// Input of one evaluation.
#[derive(Debug)]
pub struct FleetView<'a> {
    /// Every configured target.
    pub targets: &'a [Arc<TargetSnapshot>],
    /// The exporter itself.
    pub exporter: ExporterView<'a>,
}

/// The exporter's own health.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExporterView<'a> {
    /// The last reload of the configuration failed.
    pub config_rejected: bool,
    /// The last reload of the web configuration failed.
    pub web_config_rejected: bool,
    /// Receivers that did not take an alert within the last ten minutes.
    pub failing_receivers: &'a [String],
    /// Errors of the store within the last half hour.
    pub store_errors: u64,
}
