//! The alerts as others may see them: without names of people.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::domain::alert::{Detail, Labels, Phase, Rules, State, annotations};

/// One alert that is pending or fires.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertView {
    /// Who it is.
    pub labels: Labels,
    /// Pending or firing.
    pub phase: Phase,
    /// Since when its condition holds.
    pub active_at: Timestamp,
    /// The number that it is about.
    pub value: f64,
    detail: Detail,
    rules: Arc<Rules>,
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
    pub(super) fn of(state: &State, rules: &Arc<Rules>) -> Self {
        Self {
            labels: state.labels.clone(),
            phase: state.phase(),
            active_at: state.active_since,
            value: state.value,
            detail: state.detail.clone(),
            rules: Arc::clone(rules),
        }
    }

    /// What it says; nobody is named.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        annotations(&self.rules, &self.labels, self.value, &self.detail)
    }
}
