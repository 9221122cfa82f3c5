//! How an alert lives: inactive, pending, firing, resolved.
//!
//! What is held stays as it is, and the time in which it is held counts for `for`: an alert whose target comes back after longer than
//! that fires at once, if it is still active.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::evaluate::{Active, Evaluation};
use super::{Detail, Fingerprint, Labels, Rule, Rules, annotations};
use crate::domain::IdSet;

/// How long a resolved alert is remembered, and its resolution sent again.
pub const RESOLVED_FOR: Duration = Duration::from_secs(15 * 60);

/// Alerts by their fingerprint.
pub type States = BTreeMap<Fingerprint, State>;

/// One alert. What is serialised holds no names and ids of people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Who it is.
    pub labels: Labels,
    /// The number that it was about when it was last active.
    pub value: f64,
    /// What else it said then.
    #[serde(default)]
    pub detail: Detail,
    /// Since when its condition holds without interruption.
    pub active_since: Timestamp,
    /// When it began to fire.
    pub fired_at: Option<Timestamp>,
    /// Since when it only fires because it is to go on firing.
    pub keep_firing_since: Option<Timestamp>,
    /// When it ended.
    pub resolved_at: Option<Timestamp>,
    /// Whom it concerns.
    #[serde(skip)]
    pub people: Option<IdSet>,
    #[serde(skip)]
    condition: Condition,
}

/// What the last look said of an alert's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Condition {
    #[default]
    Holds,
    Ceased,
    Unknown,
}

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Its condition holds, but not for long enough.
    Pending,
    /// It fires.
    Firing,
    /// It fired and ended.
    Resolved,
}

/// What became of an alert in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its condition began to hold.
    Pending,
    /// It began to fire.
    Fired,
    /// It fires on, and says something else or concerns others.
    Changed,
    /// It fires, but its condition began or ceased to hold.
    Kept,
    /// It ended.
    Resolved,
    /// It is forgotten: it ended long ago, or was pending and did not fire.
    Gone,
}

impl State {
    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        match (self.fired_at, self.resolved_at) {
            (None, _) => Phase::Pending,
            (Some(_), None) => Phase::Firing,
            (Some(_), Some(_)) => Phase::Resolved,
        }
    }

    /// Which rule it is of; `None` if this version has no such rule.
    pub fn rule(&self) -> Option<Rule> {
        self.labels.rule()
    }

    /// What it said when it was last active, without names of people; nothing if this version has no such rule.
    pub fn annotations(&self, rules: &Rules) -> BTreeMap<String, String> {
        annotations(rules, &self.labels, self.value, &self.detail)
    }

    fn begin(active: Active, now: Timestamp) -> Self {
        Self {
            labels: active.labels,
            value: active.value,
            detail: active.detail,
            active_since: now,
            fired_at: None,
            keep_firing_since: None,
            resolved_at: None,
            people: active.people,
            condition: Condition::Holds,
        }
    }

    /// Its condition holds. What happened, if anything did.
    fn hold(&mut self, active: Active, rules: &Rules, now: Timestamp) -> Option<Event> {
        // Most say what they said before, and texts take long to make.
        let may_differ =
            self.value.to_bits() != active.value.to_bits() || self.detail != active.detail;
        let changed = self.people != active.people
            || may_differ
                && self.annotations(rules)
                    != annotations(rules, &active.labels, active.value, &active.detail);
        self.people = active.people;
        self.value = active.value;
        self.detail = active.detail;
        self.condition = Condition::Holds;
        let firing = self.phase() == Phase::Firing;
        let event = self.last(rules.get(active.rule).hold, now);
        event.or((firing && changed).then_some(Event::Changed))
    }

    /// Its condition goes on to hold. What happened, if anything did.
    fn last(&mut self, hold: Duration, now: Timestamp) -> Option<Event> {
        match self.phase() {
            Phase::Pending if has_passed(self.active_since, hold, now) => {
                self.fired_at = Some(now);
                Some(Event::Fired)
            }
            Phase::Firing if self.keep_firing_since.take().is_some() => Some(Event::Kept),
            Phase::Pending | Phase::Firing | Phase::Resolved => None,
        }
    }

    /// Its condition does not hold. What happened, if anything did.
    fn cease(&mut self, keep: Duration, now: Timestamp) -> Option<Event> {
        match self.phase() {
            Phase::Pending => Some(Event::Gone),
            Phase::Firing => {
                let begun = self.keep_firing_since.is_none();
                let since = *self.keep_firing_since.get_or_insert(now);
                if has_passed(since, keep, now) {
                    self.resolved_at = Some(now);
                    return Some(Event::Resolved);
                }
                begun.then_some(Event::Kept)
            }
            Phase::Resolved => {
                let since = self.resolved_at.unwrap_or(now);
                has_passed(since, RESOLVED_FOR, now).then_some(Event::Gone)
            }
        }
    }
}

/// One step of all alerts. Gives what changed, in the order of their fingerprints; alerts that are gone are no longer in `states`.
pub fn step(
    states: &mut States,
    mut evaluation: Evaluation,
    rules: &Rules,
    now: Timestamp,
) -> Vec<(Fingerprint, Event)> {
    let mut active = std::mem::take(&mut evaluation.active);
    let mut events = Vec::new();
    states.retain(|fingerprint, state| {
        let event = match active.remove(fingerprint) {
            // It ended and begins anew.
            Some(again) if state.phase() == Phase::Resolved => {
                let hold = rules.get(again.rule).hold;
                *state = State::begin(again, now);
                Some(begin(state, hold, now))
            }
            Some(still) => state.hold(still, rules, now),
            None => {
                let rule = state.rule();
                let held = || evaluation.held.holds(*fingerprint, &state.labels);
                state.condition = match state.condition {
                    was if rule.is_some_and(|it| evaluation.is_unchanged(it, &state.labels)) => was,
                    _ if state.phase() != Phase::Resolved && held() => Condition::Unknown,
                    _ => Condition::Ceased,
                };
                let settings = rule.map(|rule| rules.get(rule));
                let (hold, keep) = settings
                    .map(|it| (it.hold, it.keep_firing))
                    .unwrap_or_default();
                match state.condition {
                    Condition::Holds => state.last(hold, now),
                    Condition::Ceased => state.cease(keep, now),
                    Condition::Unknown => None,
                }
            }
        };
        events.extend(event.map(|event| (*fingerprint, event)));
        event != Some(Event::Gone)
    });
    for (fingerprint, new) in active {
        let hold = rules.get(new.rule).hold;
        let mut state = State::begin(new, now);
        events.push((fingerprint, begin(&mut state, hold, now)));
        states.insert(fingerprint, state);
    }
    events.sort_unstable_by_key(|(fingerprint, _)| *fingerprint);
    events
}

/// A rule that need not hold for any time fires at once.
fn begin(state: &mut State, hold: Duration, now: Timestamp) -> Event {
    if hold.is_zero() {
        state.fired_at = Some(now);
        Event::Fired
    } else {
        Event::Pending
    }
}

/// A clock that was set back makes no time pass.
fn has_passed(since: Timestamp, time: Duration, now: Timestamp) -> bool {
    now.duration_since(since)
        >= jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX)
}
