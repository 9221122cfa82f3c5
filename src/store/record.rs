//! Records of polls: their input, and the representation of their numbers.

use std::sync::Arc;

use jiff::Timestamp;

use super::worker::Fault;
use crate::domain::facts::{Gap, Server};
use crate::domain::transition::{Answers, Baseline, Break, Change, Counters, Recent};
use crate::domain::{Capability, Posture};

/// Result of a successful poll.
#[derive(Debug, Clone)]
pub struct PollRecord {
    /// The target's name.
    pub target: String,
    /// Its configuration's.
    pub fingerprint: u64,
    /// Time at which the poll ended.
    pub ended: Timestamp,
    /// The baseline of the next poll.
    pub baseline: Baseline,
    /// Odoo's answers to [`crate::domain::transition::questions`] about the store's baseline and this one.
    pub answers: Answers,
    /// The numbers.
    pub posture: Arc<Posture>,
    /// The server that answered.
    pub server: Server,
    /// The capabilities that were asked for, and why one is missing.
    pub capabilities: Arc<[(Capability, Option<Gap>)]>,
}

/// Result of storing it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Changes since the previous poll; none at the first poll and after a break.
    pub changes: Vec<Change>,
    /// Why the two could not be compared, if so.
    pub found_break: Option<Break>,
    /// The counters with these changes in them.
    pub counters: Counters,
    /// Events for alerts.
    pub recent: Recent,
}

/// A time that was written as seconds.
pub(super) fn stored(seconds: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_second(seconds).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// A number that was written by [`signed`].
pub(super) fn count(value: i64) -> Result<u64, Fault> {
    u64::try_from(value).map_err(|_| Fault::Corrupt(format!("{value} is not a count")))
}

/// A count as SQLite keeps it.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A hash as SQLite keeps it: the same bits.
pub(super) fn bits(hash: u64) -> i64 {
    hash.cast_signed()
}
