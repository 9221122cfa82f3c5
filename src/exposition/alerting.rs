//! Counters of the exporter's alerts and their receivers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use prometheus_client::metrics::histogram::Histogram;

/// Alerts by name, severity and state, with how many there are.
pub type AlertCounts = BTreeMap<(String, String, &'static str), u64>;

/// Counters of the exporter's alerts.
#[derive(Debug, Default)]
pub struct AlertingStats {
    alerts: Mutex<AlertCounts>,
    receivers: Mutex<BTreeMap<String, Arc<ReceiverStats>>>,
    changes: Arc<AtomicU64>,
}

/// Counters of one receiver.
#[derive(Debug)]
pub struct ReceiverStats {
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    queue: AtomicU64,
    latency: Histogram,
    /// In seconds; `i64::MIN`: unknown.
    clock_ahead: AtomicI64,
    changes: Arc<AtomicU64>,
}

const LATENCY_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl AlertingStats {
    /// Sets how many alerts there are.
    pub fn alerts_are(&self, counts: AlertCounts) {
        *lock(&self.alerts) = counts;
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Numbers of alerts.
    pub fn alerts(&self) -> AlertCounts {
        lock(&self.alerts).clone()
    }

    /// Counters of a receiver, from 0 if it is new.
    pub fn receiver(&self, name: &str) -> Arc<ReceiverStats> {
        let mut receivers = lock(&self.receivers);
        let stats = receivers.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(ReceiverStats {
                sent: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
                queue: AtomicU64::new(0),
                latency: Histogram::new(LATENCY_SECONDS),
                clock_ahead: AtomicI64::new(i64::MIN),
                changes: Arc::clone(&self.changes),
            })
        });
        self.changes.fetch_add(1, Ordering::Release);
        Arc::clone(stats)
    }

    /// Counts no more about a receiver that is gone.
    pub fn forget_receiver(&self, name: &str) {
        lock(&self.receivers).remove(name);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Every receiver, by name.
    pub fn receivers(&self) -> Vec<(String, Arc<ReceiverStats>)> {
        let receivers = lock(&self.receivers);
        let owned = |(name, stats): (&String, &Arc<_>)| (name.clone(), Arc::clone(stats));
        receivers.iter().map(owned).collect()
    }

    /// Moves with each change.
    pub(super) fn generation(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

impl ReceiverStats {
    /// It took alerts.
    pub fn sent(&self, alerts: u64) {
        self.add(&self.sent, alerts);
    }

    /// It did not take alerts.
    pub fn failed(&self, alerts: u64) {
        self.add(&self.failed, alerts);
    }

    /// Alerts were given up.
    pub fn dropped(&self, alerts: u64) {
        self.add(&self.dropped, alerts);
    }

    /// So many alerts wait.
    pub fn queue_is(&self, length: usize) {
        self.queue.store(length as u64, Ordering::Relaxed);
        self.changed();
    }

    /// It answered, or did not, after this time.
    pub fn answered(&self, after: Duration) {
        self.latency.observe(after.as_secs_f64());
        self.changed();
    }

    /// Lead of its clock over this host's.
    pub fn clock_is_ahead(&self, by: SignedDuration) {
        self.clock_ahead.store(by.as_secs(), Ordering::Relaxed);
        self.changed();
    }

    /// Alerts that it took.
    pub fn all_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Alerts that it did not take.
    pub fn all_failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Alerts that were given up.
    pub fn all_dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Alerts that wait.
    pub fn queue(&self) -> u64 {
        self.queue.load(Ordering::Relaxed)
    }

    /// Its response time, in seconds.
    pub fn latency(&self) -> &Histogram {
        &self.latency
    }

    /// Lead of its clock over this host's, in seconds.
    pub fn clock_ahead(&self) -> Option<f64> {
        match self.clock_ahead.load(Ordering::Relaxed) {
            i64::MIN => None,
            seconds => Some(seconds as f64),
        }
    }

    fn add(&self, counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
        self.changed();
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
