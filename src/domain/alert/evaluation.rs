//! The result of one evaluation: which alerts are active, and which are held because what they judge is unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::{Detail, Fingerprint, Labels, Rule};
use crate::domain::IdSet;

/// An alert whose condition holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    /// The rule.
    pub rule: Rule,
    /// Its identity.
    pub labels: Labels,
    /// The number that the rule compared.
    pub value: f64,
    /// Additional facts for its texts.
    pub detail: Detail,
    /// Affected users, where the rule is about users.
    pub people: Option<IdSet>,
}

/// The result of one evaluation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// Alerts whose condition holds.
    pub active: BTreeMap<Fingerprint, Active>,
    /// Alerts whose facts are unknown.
    pub held: Held,
}

/// Alerts whose facts are unknown: they keep their state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    rules: BTreeSet<(Rule, String)>,
    alerts: BTreeSet<Fingerprint>,
}

impl Held {
    /// Holds all alerts of a rule on a target.
    pub fn hold(&mut self, rule: Rule, target: &str) {
        self.rules.insert((rule, target.to_owned()));
    }

    /// Holds one alert.
    pub(super) fn hold_alert(&mut self, fingerprint: Fingerprint) {
        self.alerts.insert(fingerprint);
    }

    /// Returns true if an alert is held.
    pub fn holds(&self, fingerprint: Fingerprint, labels: &Labels) -> bool {
        self.alerts.contains(&fingerprint)
            || labels.rule().is_some_and(|rule| {
                let target = labels.get("target").unwrap_or_default();
                self.rules.contains(&(rule, target.to_owned()))
            })
    }
}
