//! Life of an alert: inactive, pending, firing, resolved.
//!
//! A held alert keeps its state, and the time in which it is held counts for `for`: an alert whose target comes back after a longer
//! time fires at once, if it is still active.

use std::time::Duration;

use jiff::Timestamp;

use super::{Active, Evaluation, Fingerprint, Phase, Rules, State, States, annotations};

/// Time for which a resolved alert is remembered, and its resolution sent again.
pub const RESOLVED_FOR: Duration = Duration::from_secs(15 * 60);

/// Transition of an alert in one step.
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
        match self.phase() {
            Phase::Pending if has_passed(self.active_since, rules.get(active.rule).hold, now) => {
                self.fired_at = Some(now);
                Some(Event::Fired)
            }
            Phase::Firing if self.keep_firing_since.take().is_some() => Some(Event::Kept),
            Phase::Firing => changed.then_some(Event::Changed),
            Phase::Pending | Phase::Resolved => None,
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
    evaluation: Evaluation,
    rules: &Rules,
    now: Timestamp,
) -> Vec<(Fingerprint, Event)> {
    let Evaluation { mut active, held } = evaluation;
    let mut events = Vec::new();
    states.retain(|fingerprint, state| {
        let event = match active.remove(fingerprint) {
            // It was resolved and starts again.
            Some(again) if state.phase() == Phase::Resolved => {
                let hold = rules.get(again.rule).hold;
                *state = State::begin(again, now);
                Some(begin(state, hold, now))
            }
            Some(still) => state.hold(still, rules, now),
            None if state.phase() != Phase::Resolved && held.holds(*fingerprint, &state.labels) => {
                None
            }
            None => {
                let keep = state.rule().map(|rule| rules.get(rule).keep_firing);
                state.cease(keep.unwrap_or_default(), now)
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
