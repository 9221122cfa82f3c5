//! Whether the scheduler lives, for others to see.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When the scheduler last came around, and what it will do next.
#[derive(Debug)]
pub struct Pulse(Mutex<Beat>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    at: Instant,
    next_poll: Option<Instant>,
}

impl Pulse {
    /// How long ago the scheduler last came around. It does so every second.
    pub fn age(&self) -> Duration {
        self.last().at.elapsed()
    }

    /// In what time the next poll is due.
    pub fn next_poll(&self) -> Option<Duration> {
        let next_poll = self.last().next_poll?;
        Some(next_poll.saturating_duration_since(Instant::now()))
    }

    pub(super) fn beat(&self, next_poll: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Beat {
            at: Instant::now(),
            next_poll,
        };
    }

    fn last(&self) -> Beat {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Beat {
            at: Instant::now(),
            next_poll: None,
        }))
    }
}
