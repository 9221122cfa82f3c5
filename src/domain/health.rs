//! Health of the polls of one target.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::vocabulary::Reason;

/// Health of one target's polls since the start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PollHealth {
    /// Result of the last poll. `None` until the first one has ended.
    pub last: Option<Outcome>,
    /// Time at which the last successful poll ended.
    pub last_success: Option<Timestamp>,
    /// Time at which the last poll started.
    pub last_attempt: Option<Timestamp>,
    /// Duration of the last poll, wall time.
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
    /// Results of the polls of the last hours, the oldest first.
    pub past: VecDeque<Past>,
}

/// Result of a poll, in few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Time at which it ended.
    pub at: Timestamp,
    /// Why it failed, if it did.
    pub failure: Option<Reason>,
    /// Capabilities that were missing after it: bit n is the one with that index.
    pub missing: u16,
}

/// One poll that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll {
    /// Time at which it started.
    pub at: Timestamp,
    /// Its duration, wall time.
    pub duration: Duration,
    /// Requests that it sent.
    pub requests: u64,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Why a poll failed, for users; without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub reason: Reason,
    /// The error.
    pub message: String,
    /// The next step.
    pub hint: Option<&'static str>,
}

/// Number of last polls that are kept.
const RECENT: usize = 10;

/// For how long it is kept how polls ended.
pub const PAST: SignedDuration = SignedDuration::from_hours(6);

/// Maximum number of polls that are kept.
const MOST_PAST: usize = 1024;

/// Result of a poll.
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

    /// Moves its times with a clock that was set, but not those that are read from it as it is now.
    pub fn shift(&mut self, by: SignedDuration, new: &RangeInclusive<Timestamp>) {
        let ends = [&mut self.last_success, &mut self.last_attempt];
        let polls = self.recent.iter_mut().map(|poll| &mut poll.at);
        let past = self.past.iter_mut().map(|poll| &mut poll.at);
        let all = ends.into_iter().flatten().chain(polls).chain(past);
        for at in all.filter(|at| !new.contains(at)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_of_the_clock_before_are_moved() {
        let now = Timestamp::from_second(1_700_000_000).expect("a time");
        let seconds = SignedDuration::from_secs;
        // Noticed 10 seconds after the evaluation before.
        let new = now - seconds(10)..=now;
        for by in [seconds(86_400), seconds(-86_400)] {
            let before = now - by - seconds(20);
            let mut health = PollHealth {
                last_attempt: Some(before),
                last_success: Some(now - seconds(3)),
                ..PollHealth::default()
            };
            health.shift(by, &new);
            assert_eq!(health.last_attempt, Some(now - seconds(20)), "{by:?}");
            assert_eq!(health.last_success, Some(now - seconds(3)), "{by:?}");
        }
    }
}
