//! Counters of the exporter itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

use super::alerting::AlertingStats;
use crate::domain::Shard;

/// Counters of the exporter while it runs.
#[derive(Debug)]
pub struct ExporterState {
    shard: Shard,
    /// Deadlines of the running polls, by poll.
    running: Mutex<BTreeSet<(Instant, u64)>>,
    polls: AtomicU64,
    poll_lag: Histogram,
    config: Mutex<ConfigState>,
    alerting: Arc<AlertingStats>,
    store_errors: AtomicU64,
    changes: AtomicU64,
}

/// Results of loading the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConfigState {
    /// True if the last attempt succeeded.
    pub last_successful: bool,
    /// Time at which the configuration in force was loaded.
    pub loaded_at: Option<Timestamp>,
    /// Its hash, of 48 bits: a float holds them exactly.
    pub hash: Option<u64>,
    /// True if the last attempt to load the web configuration succeeded; `None` without one.
    pub web_last_successful: Option<bool>,
}

/// Version of the build.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// Of this crate.
    pub version: &'static str,
    /// The commit; `development` in debug builds, `unknown` if the build did not set it.
    pub revision: &'static str,
    /// The compiler's version.
    pub rustc: &'static str,
}

/// A poll that runs: counted until it is dropped.
#[derive(Debug)]
pub struct PollInFlight {
    exporter: Arc<ExporterState>,
    poll: (Instant, u64),
}

const POLL_LAG_SECONDS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

impl BuildInfo {
    /// This program.
    pub const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: env!("BUILD_REVISION"),
        rustc: env!("BUILD_RUSTC"),
    };
}

impl ExporterState {
    /// Before the configuration is loaded.
    pub fn new(shard: Shard) -> Arc<Self> {
        Arc::new(Self {
            shard,
            running: Mutex::default(),
            polls: AtomicU64::new(0),
            poll_lag: Histogram::new(POLL_LAG_SECONDS),
            config: Mutex::default(),
            alerting: Arc::default(),
            store_errors: AtomicU64::new(0),
            changes: AtomicU64::new(0),
        })
    }

    /// A poll started, this long after it was due, and must end within a time.
    pub fn poll_started(self: &Arc<Self>, lag: Duration, within: Duration) -> PollInFlight {
        self.poll_lag.observe(lag.as_secs_f64());
        let number = self.polls.fetch_add(1, Ordering::Relaxed);
        let poll = (Instant::now() + within, number);
        self.running().insert(poll);
        self.changed();
        PollInFlight {
            exporter: Arc::clone(self),
            poll,
        }
    }

    /// A configuration was loaded and is in force. Of the hash, the lower 48 bits are exported.
    pub fn config_loaded(&self, at: Timestamp, hash: u64) {
        self.set_config(|config| ConfigState {
            last_successful: true,
            loaded_at: Some(at),
            hash: Some(hash & ((1 << 48) - 1)),
            ..config
        });
    }

    /// A configuration was not accepted: the old one stays in force.
    pub fn config_rejected(&self) {
        self.set_config(|config| ConfigState {
            last_successful: false,
            ..config
        });
    }

    /// The web configuration was loaded and is in force, or was refused: then the old one stays in force.
    pub fn web_config_loaded(&self, successful: bool) {
        self.set_config(|config| ConfigState {
            web_last_successful: Some(successful),
            ..config
        });
    }

    /// Number of failed operations of the store so far.
    pub fn set_store_errors(&self, errors: u64) {
        if self.store_errors.swap(errors, Ordering::Relaxed) != errors {
            self.changed();
        }
    }

    /// Operations of the store that failed.
    pub fn store_errors(&self) -> u64 {
        self.store_errors.load(Ordering::Relaxed)
    }

    /// Results of loading the configuration.
    pub fn config(&self) -> ConfigState {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls that run.
    pub fn polls_in_flight(&self) -> u64 {
        self.running().len() as u64
    }

    /// For how long a poll runs that must have ended; the longest of them.
    pub fn overdue(&self) -> Option<Duration> {
        let (first, _) = self.running().first().copied()?;
        Instant::now().checked_duration_since(first)
    }

    /// Time from when a poll was due until it started, in seconds.
    pub fn poll_lag(&self) -> &Histogram {
        &self.poll_lag
    }

    /// Counters of its alerts.
    pub fn alerting(&self) -> &Arc<AlertingStats> {
        &self.alerting
    }

    /// The shard that this process polls.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Moves with each change. What was read after it is at least as new as it says.
    pub fn generation(&self) -> u64 {
        self.changes.load(Ordering::Acquire) + self.alerting.generation()
    }

    fn set_config(&self, next: impl FnOnce(ConfigState) -> ConfigState) {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        *config = next(*config);
        drop(config);
        self.changed();
    }

    fn running(&self) -> MutexGuard<'_, BTreeSet<(Instant, u64)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

impl Drop for PollInFlight {
    fn drop(&mut self) {
        self.exporter.running().remove(&self.poll);
        self.exporter.changed();
    }
}
