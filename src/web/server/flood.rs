//! Lines of a log that a client can cause as often as it likes: one in a while, with how many there were.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One line in this time.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one line through in a while.
#[derive(Debug, Default)]
pub(super) struct Flood(Mutex<(Option<Instant>, u64)>);

impl Flood {
    /// `None`: say nothing now. Otherwise how many were passed over since the last line.
    pub(super) fn says(&self, now: Instant) -> Option<u64> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, passed_over) = &mut *inner;
        if last.is_some_and(|last| now.duration_since(last) < EVERY) {
            *passed_over += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(passed_over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_while_says_how_many_there_were() {
        let flood = Flood::default();
        let start = Instant::now();
        let says = |seconds| flood.says(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 1, 9, 10, 11, 25].map(says),
            [Some(0), None, None, Some(2), None, Some(1)]
        );
    }
}
