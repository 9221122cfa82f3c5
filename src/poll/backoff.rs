//! Backoff of a failing target.

use std::time::Duration;

use crate::domain::Reason;

/// Counts failures in a row and says how long to wait after each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

/// A refused key is tried rarely from the first refusal on: from Odoo 15 on, ten refusals from one address lock that address out, and
/// an office behind a shared proxy with it.
const AFTER_AUTH: (Duration, Duration) =
    (Duration::from_secs(15 * 60), Duration::from_secs(60 * 60));

/// Other failures: twice the interval after the second in a row, then four times and eight times, but no more than this.
const LONGEST: Duration = Duration::from_secs(15 * 60);

impl Backoff {
    /// The target answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The target failed: returns the time from now until the next poll. `jitter` is a number from 0 to 1, so that targets that went down
    /// together do not come back together.
    pub fn failed(&mut self, reason: Reason, interval: Duration, jitter: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let doublings = (self.failures - 1).min(3);
        let (first, longest) = match reason {
            Reason::Auth => (interval.max(AFTER_AUTH.0), interval.max(AFTER_AUTH.1)),
            _ => (interval, interval.max(LONGEST)),
        };
        let delay = first.saturating_mul(1 << doublings).min(longest);
        // Shorter by up to a tenth: the tick that the delay reaches is not missed.
        delay.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_refused_key_is_left_alone_at_once_and_other_failures_gently() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.failed(Reason::Auth, MINUTE, 0.0), 15 * MINUTE);
        assert_eq!(backoff.failed(Reason::Auth, MINUTE, 0.0), 30 * MINUTE);
        assert_eq!(backoff.failed(Reason::Auth, MINUTE, 0.0), 60 * MINUTE);
        assert_eq!(backoff.failed(Reason::Auth, MINUTE, 0.0), 60 * MINUTE);

        let mut backoff = Backoff::default();
        let delays = [(); 5].map(|()| backoff.failed(Reason::Connect, 5 * MINUTE, 0.0));
        assert_eq!(delays, [5, 10, 15, 15, 15].map(|minutes| minutes * MINUTE));
        backoff.succeeded();
        assert_eq!(backoff.failed(Reason::Connect, 5 * MINUTE, 0.0), 5 * MINUTE);
        assert_eq!(
            backoff.failed(Reason::Timeout, 120 * MINUTE, 0.0),
            120 * MINUTE
        );
    }

    #[test]
    fn jitter_only_shortens_and_by_a_tenth_at_most() {
        let delay = |jitter| Backoff::default().failed(Reason::Connect, 10 * MINUTE, jitter);
        assert_eq!(delay(0.0), 10 * MINUTE);
        assert_eq!(delay(1.0), 9 * MINUTE);
        assert_eq!(delay(f64::NAN.max(7.0)), 9 * MINUTE);
    }
}
