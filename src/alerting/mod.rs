//! The alerting daemon: evaluates the board, keeps the state of alerts, and notifies receivers.
//!
//! One task, [`Engine`], evaluates and keeps state; each receiver has a bounded queue and a task of its own ([`Hub`]), so that a dead one
//! delays no other. State that must survive a restart is written to [`AlertStates`] before any notification is sent.
//!
//! Invariants: labels are identity only; names of users stand in the annotation `people` alone, which is kept in memory and goes to
//! receivers only; an alert whose target is down is sent again and again as it was, and never as resolved.

mod delivery;
mod endpoint;
mod engine;
mod health;
mod hub;
mod link;
mod names;
mod naming;
mod notification;
mod payload;
mod queue;
mod states;
mod view;

use std::time::Duration;

pub use endpoint::{Endpoint, Refusal, Then};
pub use engine::{Engine, EngineConfig, Inputs};
pub use hub::{Hub, To};
pub use names::{Names, NamesUnavailable, PEOPLE, Someone};
pub use notification::Notification;
pub use states::{AlertStates, Change, InMemory, Kept, StatesError};
pub use view::{AlertView, Alerts};

/// Intervals and timeouts. The defaults are those of Prometheus, if it has them.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Interval between evaluations.
    pub evaluate_every: Duration,
    /// From one sending of an alert that fires to the next; four times that is the lease after which an Alertmanager drops it.
    pub resend_every: Duration,
    /// Interval at which a webhook gets an alert again.
    pub repeat_every: Duration,
    /// Interval at which a receiver's name is resolved again.
    pub resolve_every: Duration,
    /// A request takes no longer.
    pub request_timeout: Duration,
    /// The first and the longest wait after a failure.
    pub retry: (Duration, Duration),
    /// Alerts that wait for one receiver: a large fleet may have as many, and each waits once at most.
    pub queue: usize,
    /// At shutdown, what waits is given this time.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            evaluate_every: Duration::from_secs(15),
            resend_every: Duration::from_secs(60),
            repeat_every: Duration::from_secs(4 * 3600),
            resolve_every: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
            retry: (Duration::from_millis(500), Duration::from_secs(15)),
            queue: 100_000,
            drain: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// As configured.
    pub fn of(config: &crate::config::Alerting) -> Self {
        let default = Self::default();
        Self {
            evaluate_every: config.evaluation_interval.unwrap_or(default.evaluate_every),
            resend_every: config.resend_interval.unwrap_or(default.resend_every),
            repeat_every: config.repeat_interval.unwrap_or(default.repeat_every),
            ..default
        }
    }

    /// Time for which an Alertmanager keeps an alert firing.
    pub fn lease(&self) -> Duration {
        4 * self.resend_every
    }
}
