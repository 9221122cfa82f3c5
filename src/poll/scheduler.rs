//! When to poll which target.
//!
//! Each target is due once an interval, at an offset that its name decides, so that a fleet is spread evenly and keeps its places over
//! restarts. A poll that is due while the one before still runs, or while the target is left alone after failures, is skipped. A target
//! waits for a place among all polls, and among those of its host: a slow or dead host never delays another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::time::DelayQueue;

use super::memory::Remembered;
use super::poller::{Poller, Shared};
use super::pulse::Pulse;
use crate::config::Config;
use crate::domain::alert::Transitions;
use crate::exposition::{Board, ExporterState};
use crate::odoo::Clients;
use crate::store::Store;

/// Polls that run at the same time: each holds a socket and the replies that it reads.
const ALL_HOSTS: usize = 256;

/// Polls of one host that run at the same time.
const ONE_HOST: usize = 4;

/// How far apart the first polls after a start are: soon, and still no herd.
const BETWEEN_FIRST_POLLS: Duration = Duration::from_millis(50);

/// How often it says that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// Polls targets until it is told to stop.
#[derive(Debug)]
pub struct Scheduler {
    pollers: Vec<Arc<Poller>>,
    pulse: Arc<Pulse>,
}

impl Scheduler {
    /// Prepares a poller for each target and shows the targets on the board. A store, if there is one, remembers over restarts;
    /// what it finds to have happened to people goes to `transitions`.
    pub fn new(
        config: &Config,
        board: &Board,
        exporter: &Arc<ExporterState>,
        clients: &Arc<Clients>,
        store: Option<Store>,
        transitions: mpsc::Sender<Transitions>,
    ) -> Self {
        let shared = Arc::new(Shared {
            roles: config.roles.clone(),
            metrics: config.metrics.clone(),
            named: config.privacy.names_in_alerts,
            clients: Arc::clone(clients),
            exporter: Arc::clone(exporter),
            everywhere: Semaphore::new(ALL_HOSTS),
            store: store.map(|store| Remembered::new(store, config.privacy.store_logins)),
            transitions,
        });
        let mut hosts: HashMap<String, Arc<Semaphore>> = HashMap::new();
        let pollers: Vec<Arc<Poller>> = config
            .targets
            .iter()
            .map(|target| {
                let host = target.url.host_str().unwrap_or_default().to_owned();
                let host = hosts
                    .entry(host)
                    .or_insert_with(|| Arc::new(Semaphore::new(ONE_HOST)));
                Arc::new(Poller::new(target, &shared, board, host))
            })
            .collect();
        board.show(
            pollers
                .iter()
                .map(|poller| Arc::clone(poller.slot()))
                .collect(),
        );
        Self {
            pollers,
            pulse: Arc::default(),
        }
    }

    /// Whether it lives.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Shows what is known of before the start. To be called before anything is served.
    pub async fn resume(&self) {
        for poller in &self.pollers {
            poller.resume().await;
        }
    }

    /// Polls until `stop`, which ends the polls that run too.
    pub async fn run(self, stop: CancellationToken) {
        let start = Instant::now();
        let first_polls = BETWEEN_FIRST_POLLS
            .saturating_mul(u32::try_from(self.pollers.len()).unwrap_or(u32::MAX));
        let polls = TaskTracker::new();
        for poller in self
            .pollers
            .iter()
            .filter(|poller| poller.watches_surface())
        {
            let (poller, stop) = (Arc::clone(poller), stop.clone());
            polls.spawn(async move { stop.run_until_cancelled(poller.watch_surface()).await });
        }
        let mut due: DelayQueue<Tick> = DelayQueue::new();
        for (index, poller) in self.pollers.iter().enumerate() {
            let window = first_polls.min(poller.interval());
            due.insert(Tick { index, first: true }, window.mul_f64(poller.place()));
        }
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let expired = tokio::select! {
                () = stop.cancelled() => break,
                _ = beats.tick() => {
                    self.pulse.beat(due.peek().map(|key| due.deadline(&key)));
                    continue;
                }
                Some(expired) = due.next() => expired,
            };
            let when = expired.deadline();
            let tick = expired.into_inner();
            let poller = &self.pollers[tick.index];
            let interval = poller.interval();
            // After its first poll a target takes its place in the interval, at least half an interval later.
            let after = if tick.first {
                when + interval / 2
            } else {
                when.max(Instant::now())
            };
            let next = next_place(start + interval.mul_f64(poller.place()), interval, after);
            due.insert_at(
                Tick {
                    first: false,
                    ..tick
                },
                next,
            );
            let (poller, stop) = (Arc::clone(poller), stop.clone());
            polls.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = poller.tick(when) => {}
                }
            });
        }
        polls.close();
        polls.wait().await;
    }
}

/// A target is due.
#[derive(Debug, Clone, Copy)]
struct Tick {
    index: usize,
    first: bool,
}

/// The first of `origin`, `origin + interval`, ... that lies after a moment.
fn next_place(origin: Instant, interval: Duration, after: Instant) -> Instant {
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
    fn places_are_kept_whatever_was_missed() {
        let origin = Instant::now();
        let interval = Duration::from_secs(10);
        let at = |seconds: u64| origin + Duration::from_secs(seconds);
        assert_eq!(next_place(at(3), interval, at(0)), at(3));
        assert_eq!(next_place(at(3), interval, at(3)), at(13));
        assert_eq!(next_place(at(3), interval, at(12)), at(13));
        assert_eq!(next_place(at(3), interval, at(3600)), at(3603));
    }
}
