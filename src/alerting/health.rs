//! The exporter's own health, as its alerts judge it: from counters to what grew lately.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::exposition::{ExporterState, ReceiverStats};

/// Counters as they were last seen, and how they grew.
#[derive(Debug, Default)]
pub(super) struct Health {
    receivers: HashMap<String, Receiver>,
    store: Growth,
}

/// Numbers of alerts that a receiver accepted, did not accept and lost.
#[derive(Debug, Default)]
struct Receiver {
    sent: Growth,
    failed: Growth,
    dropped: Growth,
}

/// Increase of a counter, and its time.
#[derive(Debug, Default)]
struct Growth {
    count: u64,
    steps: VecDeque<(Timestamp, u64)>,
}

const fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Longer than two intervals of an hour: what fails once at each poll keeps failing.
const LONG: SignedDuration = minutes(150);

/// A little longer than an interval of an hour.
const AGAIN: SignedDuration = minutes(70);

impl Health {
    /// The receivers that keep failing, in order, and how many operations of the store failed lately.
    pub(super) fn look(&mut self, exporter: &ExporterState, now: Timestamp) -> (Vec<String>, u64) {
        let mut before = std::mem::take(&mut self.receivers);
        let mut failing = Vec::new();
        for (name, stats) in exporter.alerting().receivers() {
            let mut receiver = before.remove(&name).unwrap_or_default();
            if receiver.fails(&stats, now) {
                failing.push(name.clone());
            }
            self.receivers.insert(name, receiver);
        }
        self.store.note(exporter.store_errors(), now);
        let again = self.store.within(AGAIN, now) > 0;
        let errors = if again {
            self.store.within(LONG, now)
        } else {
            0
        };
        (failing, errors)
    }
}

impl Receiver {
    /// Returns true if it dropped an alert within the hour, or failed twice and has not succeeded since.
    fn fails(&mut self, stats: &ReceiverStats, now: Timestamp) -> bool {
        self.sent.note(stats.all_sent(), now);
        self.failed.note(stats.all_failed(), now);
        self.dropped.note(stats.all_dropped(), now);
        let hour = minutes(60);
        let mostly_sent = self.sent.within(minutes(15), now) > self.failed.within(minutes(15), now);
        let only_sent = self.sent.within(hour, now) > 0 && self.failed.within(hour, now) == 0;
        let keeps_failing = self.failed.within(LONG, now) >= 2;
        self.dropped.within(hour, now) > 0 || keeps_failing && !mostly_sent && !only_sent
    }
}

impl Growth {
    fn note(&mut self, count: u64, now: Timestamp) {
        if count > self.count {
            let new = count - self.count;
            match self.steps.back_mut() {
                // Steps of a minute are one: they are few, however often something fails.
                Some((at, step)) if now.duration_since(*at) < minutes(1) => *step += new,
                _ => self.steps.push_back((now, new)),
            }
        }
        self.count = count;
        self.steps.retain(|(at, _)| now.duration_since(*at) < LONG);
    }

    fn within(&self, time: SignedDuration, now: Timestamp) -> u64 {
        let lately = self
            .steps
            .iter()
            .filter(|(at, _)| now.duration_since(*at) < time);
        lately.map(|(_, step)| step).sum()
    }
}
