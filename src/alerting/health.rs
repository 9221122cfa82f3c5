//! The exporter's own health, as its alerts judge it: from counters to what grew lately.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::exposition::ExporterState;

/// Counters as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Health {
    receivers: HashMap<String, Failing>,
    store_errors: u64,
    /// When how many came.
    recent_store_errors: Vec<(Timestamp, u64)>,
}

/// A receiver's failures when they were last counted, and when they last grew.
#[derive(Debug, Clone, Copy)]
struct Failing {
    count: u64,
    last: Option<Timestamp>,
}

/// A receiver that failed within this time is failing.
const FAILING: SignedDuration = SignedDuration::from_mins(10);

/// Errors of the store within this time count.
const STORE_ERRORS: SignedDuration = SignedDuration::from_mins(30);

impl Health {
    /// The receivers that failed lately, in order, and how many operations of the store did.
    pub(super) fn look(&mut self, exporter: &ExporterState, now: Timestamp) -> (Vec<String>, u64) {
        let mut before = std::mem::take(&mut self.receivers);
        let mut failing = Vec::new();
        for (name, stats) in exporter.alerting().receivers() {
            let count = stats.all_failed() + stats.all_dropped();
            let last = match before.remove(&name) {
                Some(failing) if failing.count == count => failing.last,
                None if count == 0 => None,
                _ => Some(now),
            };
            if last.is_some_and(|last| now.duration_since(last) < FAILING) {
                failing.push(name.clone());
            }
            self.receivers.insert(name, Failing { count, last });
        }
        let count = exporter.store_errors();
        if count > self.store_errors {
            let new = count - self.store_errors;
            self.recent_store_errors.push((now, new));
        }
        self.store_errors = count;
        self.recent_store_errors
            .retain(|(at, _)| now.duration_since(*at) < STORE_ERRORS);
        let recent = self.recent_store_errors.iter().map(|(_, errors)| errors);
        (failing, recent.sum())
    }
}
