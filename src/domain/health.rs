//! How the polls of one target go.

use std::time::Duration;

use jiff::Timestamp;

use super::vocabulary::Reason;

/// How the polls of one target have gone since the start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PollHealth {
    /// How the last poll ended. `None` until the first one has ended.
    pub last: Option<Outcome>,
    /// When the last successful poll ended.
    pub last_success: Option<Timestamp>,
    /// When the last poll began.
    pub last_attempt: Option<Timestamp>,
    /// How long the last poll took, wall time.
    pub last_duration: Option<Duration>,
    /// Polls that succeeded.
    pub successes: u64,
    /// Polls that failed, by reason, indexed by [`Reason`].
    pub failures: [u64; Reason::ALL.len()],
    /// Polls that were due and did not start: the one before still ran, or the breaker was open.
    pub skipped: u64,
    /// Requests that Odoo answered as it should.
    pub requests_ok: u64,
    /// Requests that failed or were refused.
    pub requests_error: u64,
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It read everything it must.
    Success,
    /// It did not, and why.
    Failure(Reason),
}

impl PollHealth {
    /// All polls that failed.
    pub fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }
}
