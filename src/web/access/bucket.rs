//! Rate limit. A crate for this brings middleware, keys and clocks; one bucket is a line of arithmetic.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::web_file::RateLimit;

/// A token bucket, kept as the time at which it will be full again.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: RateLimit,
    full_at: Mutex<Instant>,
}

impl Bucket {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            full_at: Mutex::new(Instant::now()),
        }
    }

    /// Takes a token; `false` if there is none.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (*full_at).max(now) + self.limit.interval;
        let lowest: Duration = self.limit.interval.saturating_mul(self.limit.burst);
        let there = next.duration_since(now) <= lowest;
        if there {
            *full_at = next;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_each_interval() {
        let bucket = Bucket::new(RateLimit {
            interval: Duration::from_secs(1),
            burst: 3,
        });
        let start = Instant::now();
        let taken = |seconds: f64| bucket.take(start + Duration::from_secs_f64(seconds));
        assert_eq!([(); 4].map(|()| taken(0.0)), [true, true, true, false]);
        assert_eq!([taken(0.9), taken(1.1), taken(1.2)], [false, true, false]);
        assert_eq!([(); 4].map(|()| taken(60.0)), [true, true, true, false]);
    }
}
