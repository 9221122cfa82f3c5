//! Schedule of polls.
//!
//! Each target is due once an interval, at an offset derived from its name, so that targets are spread evenly and keep their offsets over
//! restarts. A poll that is due while the one before still runs, or while the target is left alone after failures, is skipped. A target
//! waits for a permit of all polls, and of those of its host: a slow or dead host never delays another.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::time::DelayQueue;

use super::poller::Poller;
use super::pulse::Pulse;

/// Pause between first polls of targets that are added together: soon, but not all at once.
const BETWEEN_FIRST_POLLS: Duration = Duration::from_millis(50);

/// Polls the targets of a [`Fleet`](super::Fleet) until it is stopped.
#[derive(Debug)]
pub struct Scheduler {
    joined: mpsc::UnboundedReceiver<Vec<Arc<Poller>>>,
    pulse: Arc<Pulse>,
}

impl Scheduler {
    pub(super) fn new(joined: mpsc::UnboundedReceiver<Vec<Arc<Poller>>>) -> Self {
        Self {
            joined,
            pulse: Arc::default(),
        }
    }

    /// Its sign of life.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Polls until `stop`, which ends the polls that run too.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut agenda = Agenda {
            start: Instant::now(),
            started_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            due: DelayQueue::new(),
        };
        let polls = TaskTracker::new();
        loop {
            self.pulse.set(agenda.next());
            let tick = tokio::select! {
                () = stop.cancelled() => break,
                Some(joined) = self.joined.recv() => {
                    for poller in joined.iter().filter(|poller| poller.watches_surface()) {
                        let (poller, stop) = (Arc::clone(poller), stop.clone());
                        let watching = async move { stop.run_until_cancelled(poller.watch_surface()).await };
                        polls.spawn(watching);
                    }
                    agenda.join(joined);
                    continue;
                }
                Some(expired) = agenda.due.next() => expired,
            };
            let when = tick.deadline();
            let tick = tick.into_inner();
            if tick.poller.is_retired() {
                continue;
            }
            let poller = Arc::clone(&tick.poller);
            agenda.again(tick, when);
            let stop = stop.clone();
            // In a box: a poll is 13 kB, and to spawn it would copy it a dozen times.
            polls.spawn(Box::pin(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = poller.tick(when) => {}
                }
            }));
        }
        polls.close();
        polls.wait().await;
    }
}

/// Due times of targets. Retired ones stay until they would have been due.
struct Agenda {
    start: Instant,
    /// The same moment, since 1970.
    started_at: Duration,
    due: DelayQueue<Tick>,
}

impl Agenda {
    /// New targets are due soon, spread over a window; those that only replace another poller, when that would have been due.
    fn join(&mut self, pollers: Vec<Arc<Poller>>) {
        let soon = pollers.iter().filter(|poller| poller.polls_soon()).count();
        let first_polls =
            BETWEEN_FIRST_POLLS.saturating_mul(u32::try_from(soon).unwrap_or(u32::MAX));
        for poller in pollers {
            if poller.polls_soon() {
                let window = first_polls.min(poller.interval());
                let after = window.mul_f64(poller.offset());
                let tick = Tick {
                    poller,
                    first: true,
                };
                self.due.insert(tick, after);
            } else {
                let tick = Tick {
                    poller,
                    first: false,
                };
                self.again(tick, Instant::now());
            }
        }
    }

    /// Makes a target due again after a moment. After its first poll it gets its offset within the interval, at least half an interval later.
    fn again(&mut self, tick: Tick, when: Instant) {
        let poller = &tick.poller;
        let interval = poller.interval();
        let after = if tick.first {
            when + interval / 2
        } else {
            when.max(Instant::now())
        };
        let origin = self.start + until_offset(self.started_at, interval, poller.offset());
        let next = next_due(origin, interval, after);
        self.due.insert_at(
            Tick {
                first: false,
                ..tick
            },
            next,
        );
    }

    fn next(&self) -> Option<Instant> {
        self.due.peek().map(|key| self.due.deadline(&key))
    }
}

/// A target is due.
#[derive(Debug)]
struct Tick {
    poller: Arc<Poller>,
    first: bool,
}

/// Time until an offset (0 to 1) within the intervals since 1970, which does not depend on when a process starts.
fn until_offset(now: Duration, interval: Duration, offset: f64) -> Duration {
    let nanos = interval.as_nanos().max(1);
    let offset = interval.mul_f64(offset).as_nanos();
    let until = (offset + nanos - now.as_nanos() % nanos) % nanos;
    Duration::from_nanos(u64::try_from(until).unwrap_or(u64::MAX))
}

/// The first of `origin`, `origin + interval`, ... that lies after a moment.
fn next_due(origin: Instant, interval: Duration, after: Instant) -> Instant {
    let since = after.saturating_duration_since(origin).as_nanos();
    let interval = interval.as_nanos().max(1);
    let passed = if after < origin {
        0
    } else {
        since / interval + 1
    };
    let nanos = u64::try_from(passed * interval).unwrap_or(u64::MAX);
    origin + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kept_over_restarts() {
        let interval = Duration::from_secs(900);
        let at = |start: f64| {
            let start = Duration::from_secs_f64(start);
            let due = start + until_offset(start, interval, 0.25);
            assert!(due - start < interval, "{start:?}");
            due.as_secs_f64() % 900.0
        };
        for start in [0.0, 224.5, 225.0, 225.5, 1_800_000_000.25] {
            assert_eq!(at(start), 225.0, "{start}");
        }
    }

    #[test]
    fn offsets_are_kept_after_missed_polls() {
        let origin = Instant::now();
        let interval = Duration::from_secs(10);
        let at = |seconds: u64| origin + Duration::from_secs(seconds);
        assert_eq!(next_due(at(3), interval, at(0)), at(3));
        assert_eq!(next_due(at(3), interval, at(3)), at(13));
        assert_eq!(next_due(at(3), interval, at(12)), at(13));
        assert_eq!(next_due(at(3), interval, at(3600)), at(3603));
    }
}
