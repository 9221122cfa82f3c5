//! The alerts as others may see them: without names of people.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::domain::alert::{Labels, Phase, State};

/// One alert that is pending or fires.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertView {
    /// Who it is.
    pub labels: Labels,
    /// What it says; nobody is named.
    pub annotations: Labels,
    /// Pending or firing.
    pub phase: Phase,
    /// Since when its condition holds.
    pub active_at: Timestamp,
    /// The number that it is about.
    pub value: f64,
}

/// The alerts of the newest look at the fleet, in the order of their labels.
#[derive(Debug, Clone, Default)]
pub struct Alerts(Arc<ArcSwap<Vec<AlertView>>>);

impl Alerts {
    /// All that are pending or fire.
    pub fn all(&self) -> Arc<Vec<AlertView>> {
        self.0.load_full()
    }

    pub(super) fn show(&self, alerts: Vec<AlertView>) {
        self.0.store(Arc::new(alerts));
    }
}

impl AlertView {
    pub(super) fn of(state: &State) -> Self {
        Self {
            labels: state.labels.clone(),
            annotations: state.annotations.clone(),
            phase: state.phase(),
            active_at: state.active_since,
            value: state.value,
        }
    }
}
