//! The alerts as others may see them: without names of users.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use crate::domain::alert::{Detail, Labels, Phase, Rules, State, States, annotations};

/// One alert that is pending or fires.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertView {
    /// Its labels.
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

/// The alerts as they are, which the engine changes and others see.
#[derive(Debug, Clone, Default)]
pub struct Alerts(Arc<RwLock<Known>>);

/// Alerts, and the rules that they are of.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) rules: Arc<Rules>,
    pub(super) states: States,
}

impl Alerts {
    /// All that are pending or fire, in the order of their labels.
    pub fn all(&self) -> Vec<AlertView> {
        let known = self.read();
        let states = known.states.values();
        let mut alerts: Vec<AlertView> = states
            .filter(|state| state.phase() != Phase::Resolved)
            .map(|state| AlertView::of(state, &known.rules))
            .collect();
        alerts.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        alerts
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AlertView {
    fn of(state: &State, rules: &Arc<Rules>) -> Self {
        Self {
            labels: state.labels.clone(),
            phase: state.phase(),
            active_at: state.active_since,
            value: state.value,
            detail: state.detail.clone(),
            rules: Arc::clone(rules),
        }
    }

    /// Its annotations, without names of users.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        annotations(&self.rules, &self.labels, self.value, &self.detail)
    }
}
