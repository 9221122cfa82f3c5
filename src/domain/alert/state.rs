//! One alert as it is now: what is kept over a restart.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Detail, Fingerprint, Labels, Rule, Rules, annotations};
use crate::domain::IdSet;

/// Alerts by their fingerprint.
pub type States = BTreeMap<Fingerprint, State>;

/// One alert. The serialized form holds no names and ids of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Its identity.
    pub labels: Labels,
    /// The number that the rule compared when it was last active.
    pub value: f64,
    /// What its texts said beside that.
    #[serde(default)]
    pub detail: Detail,
    /// When its condition began to hold without interruption.
    pub active_since: Timestamp,
    /// When it began to fire.
    pub fired_at: Option<Timestamp>,
    /// When its condition ceased to hold, while `keep_firing_for` still lasts.
    pub keep_firing_since: Option<Timestamp>,
    /// When it ended.
    pub resolved_at: Option<Timestamp>,
    /// Affected users.
    #[serde(skip)]
    pub people: Option<IdSet>,
}

/// Phase of the life of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Its condition holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
    /// It fired and ended.
    Resolved,
}

impl State {
    /// Its phase.
    pub fn phase(&self) -> Phase {
        match (self.fired_at, self.resolved_at) {
            (None, _) => Phase::Pending,
            (Some(_), None) => Phase::Firing,
            (Some(_), Some(_)) => Phase::Resolved,
        }
    }

    /// Moves its times with a clock that was set, so that it is as old as before.
    pub fn shift(&mut self, by: SignedDuration) {
        self.map_times(|at| at.saturating_add(by).unwrap_or(at));
    }

    /// Times in the future become now: a clock that was wrong wrote them.
    pub fn not_after(&mut self, now: Timestamp) {
        self.map_times(|at| at.min(now));
    }

    fn map_times(&mut self, change: impl Fn(Timestamp) -> Timestamp) {
        self.active_since = change(self.active_since);
        let others = [
            &mut self.fired_at,
            &mut self.keep_firing_since,
            &mut self.resolved_at,
        ];
        for at in others.into_iter().flatten() {
            *at = change(*at);
        }
    }

    /// Its rule; `None` if this version has no such rule.
    pub fn rule(&self) -> Option<Rule> {
        self.labels.rule()
    }

    /// Its annotations when it was last active, without names of users; none if this version has no such rule.
    pub fn annotations(&self, rules: &Rules) -> BTreeMap<String, String> {
        annotations(rules, &self.labels, self.value, &self.detail)
    }
}
