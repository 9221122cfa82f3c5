//! How the polls of one target go.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

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
    /// The last polls, the newest first; a few.
    pub recent: VecDeque<Poll>,
    /// How polls of the last hours ended, the oldest first.
    pub past: VecDeque<Past>,
}

/// How a poll ended, in few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// When it ended.
    pub at: Timestamp,
    /// Why it failed, if it did.
    pub failure: Option<Reason>,
    /// Capabilities that were missing after it: bit n is the one with that index.
    pub missing: u16,
}

/// One poll that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, wall time.
    pub duration: Duration,
    /// Requests that it sent.
    pub requests: u64,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Why a poll failed, for people; without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub reason: Reason,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// How many of the last polls are kept.
const RECENT: usize = 10;

/// For how long it is kept how polls ended.
pub const PAST: SignedDuration = SignedDuration::from_hours(6);

/// How many polls it is kept of at most.
const MOST_PAST: usize = 1024;

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It read everything it must.
    Success,
    /// It did not, and why.
    Failure(Reason),
}

impl PollHealth {
    /// Keeps a poll among the last ones.
    pub fn ended(&mut self, poll: Poll) {
        self.recent.truncate(RECENT - 1);
        self.recent.push_front(poll);
    }

    /// Keeps how a poll ended.
    pub fn note(&mut self, past: Past) {
        let old = |it: &Past| past.at.duration_since(it.at) >= PAST;
        while self.past.len() >= MOST_PAST || self.past.front().is_some_and(old) {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }

    /// Moves its times with a clock that was set.
    pub fn shift(&mut self, by: SignedDuration) {
        let ends = [&mut self.last_success, &mut self.last_attempt];
        let polls = self.recent.iter_mut().map(|poll| &mut poll.at);
        let past = self.past.iter_mut().map(|poll| &mut poll.at);
        for at in ends.into_iter().flatten().chain(polls).chain(past) {
            *at = at.saturating_add(by).unwrap_or(*at);
        }
    }

    /// Since when polls fail, and how many did in a row, if the last one did.
    pub fn failing(&self) -> Option<(Timestamp, usize)> {
        let failed = self.past.iter().rev();
        let failed = failed.take_while(|poll| poll.failure.is_some());
        failed.fold(None, |failing, poll| {
            Some((poll.at, failing.map_or(0, |(_, polls)| polls) + 1))
        })
    }

    /// All polls that failed.
    pub fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }
}
