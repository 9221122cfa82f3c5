//! Sign of life of the scheduler.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time at which the scheduler acts next. It updates this whenever it has acted, so an observer needs no sign of life in between.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Option<Instant>>);

impl Pulse {
    /// For how long the next poll has been due: moments, unless the scheduler is stuck.
    pub fn overdue(&self) -> Duration {
        self.due().map_or(Duration::ZERO, |due| due.elapsed())
    }

    /// In what time the next poll is due; `None`: never.
    pub fn next_poll(&self) -> Option<Duration> {
        self.due()
            .map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// The scheduler will act at this time.
    pub fn set(&self, due: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    fn due(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
