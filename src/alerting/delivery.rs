//! The task of one receiver: sends its queue, with retries, and delays no other receiver.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::endpoint::{self, Endpoint, Refusal, Then};
use super::queue::Queue;
use super::{Notification, Options, payload};
use crate::config::ReceiverKind;
use crate::exposition::ReceiverStats;

/// Alerts in one request.
const BATCH: usize = 256;

/// Another reason is logged this long after the last one: two that alternate are no flood.
const REASONS: Duration = Duration::from_secs(10);

/// A clock that is further off is worth a line: leases are a few minutes.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// One receiver and what waits for it.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) endpoint: Endpoint,
    pub(super) queue: Queue,
    stats: Arc<ReceiverStats>,
    options: Options,
}

/// State of the deliveries; a line is logged when it changes.
#[derive(Debug, Default)]
struct Course {
    failures: u32,
    /// The reason that was logged last, and when.
    failing: Option<(String, Instant)>,
    skewed: bool,
}

impl Delivery {
    pub(super) fn new(endpoint: Endpoint, stats: Arc<ReceiverStats>, options: Options) -> Self {
        Self {
            endpoint,
            queue: Queue::new(options.queue, Arc::clone(&stats)),
            stats,
            options,
        }
    }

    /// Sends until it is stopped; then the rest of the queue, for a short time.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut course = Course::default();
        let sending = async {
            loop {
                self.queue.filled().await;
                self.flush(&mut course).await;
            }
        };
        // Giving up a request that runs may send its alerts twice, which is no harm.
        tokio::select! {
            () = stop.cancelled() => {}
            () = sending => {}
        }
        let deadline = Instant::now() + self.options.drain;
        let drained = async {
            while !self.queue.is_empty() {
                self.flush(&mut course).await;
            }
        };
        let drained = tokio::time::timeout_at(deadline, drained).await;
        if drained.is_err() || !self.queue.is_done() {
            warn!(
                receiver = self.endpoint.name(),
                "stopped with alerts that were not delivered"
            );
        }
    }

    /// Sends one batch, and waits if that failed.
    async fn flush(&self, course: &mut Course) {
        let batch = self.queue.take(BATCH, Timestamp::now());
        let groups = match self.endpoint.kind() {
            ReceiverKind::Alertmanager { .. } if batch.is_empty() => Vec::new(),
            ReceiverKind::Alertmanager { .. } => vec![batch],
            ReceiverKind::Webhook { .. } => payload::groups(batch),
        };
        let mut taken = Taken {
            queue: &self.queue,
            groups: groups.into(),
        };
        while let Some(group) = taken.groups.front() {
            let began = Instant::now();
            let result = self.endpoint.send(group).await;
            self.stats.answered(began.elapsed());
            let Some(group) = taken.groups.pop_front() else {
                return;
            };
            match result {
                Ok(answer) => self.taken(course, group.len() as u64, answer),
                Err(refusal) => {
                    if let Some(pause) = self.refused(course, &mut taken, group, refusal) {
                        drop(taken);
                        tokio::time::sleep(pause).await;
                        return;
                    }
                }
            }
        }
    }

    fn taken(&self, course: &mut Course, count: u64, answer: endpoint::Taken) {
        self.stats.sent(count);
        if let Some(ahead) = answer.clock_ahead {
            self.note_clock(course, ahead);
        }
        if course.failing.take().is_some() {
            info!(receiver = self.endpoint.name(), "accepts alerts again");
        }
        course.failures = 0;
    }

    /// Decides what becomes of alerts that were not taken. Gives a pause before the next request, if there must be one.
    fn refused(
        &self,
        course: &mut Course,
        taken: &mut Taken<'_>,
        group: Vec<Arc<Notification>>,
        refusal: Refusal,
    ) -> Option<Duration> {
        let count = group.len() as u64;
        let wait = refusal.retry_after.unwrap_or_default();
        // A receiver that wants to be left alone for longer than alerts last would lose them.
        let wait = wait.min(self.options.lease());
        let reason = refusal.reason;
        self.stats.failed(count);
        match refusal.then {
            Then::Split if count > 1 => {
                let (first, second) = group.split_at(group.len() / 2);
                taken.groups.push_front(second.to_vec());
                taken.groups.push_front(first.to_vec());
                debug!(
                    receiver = self.endpoint.name(),
                    reason, count, "reducing the number of alerts in a request"
                );
                None
            }
            Then::GiveUp | Then::Split => {
                self.stats.dropped(count);
                self.log(course, &format!("{reason}; {count} alerts dropped"));
                None
            }
            Then::RetryLater => {
                let until = Instant::now() + wait.max(self.options.resend_every);
                self.queue.postpone(group, until);
                self.log(course, &reason);
                None
            }
            Then::Retry => {
                taken.groups.push_front(group);
                self.log(course, &reason);
                let pause = self.pause(course.failures).max(wait);
                course.failures = course.failures.saturating_add(1);
                Some(pause)
            }
        }
    }

    /// Twice as long after each failure, and by chance between half and the whole of that.
    fn pause(&self, failures: u32) -> Duration {
        let (first, longest) = self.options.retry;
        let pause = first.saturating_mul(1 << failures.min(16)).min(longest);
        let chance = RandomState::new().build_hasher().finish() >> 32;
        pause.mul_f64(0.5 + chance as f64 / f64::from(u32::MAX) / 2.0)
    }

    /// Warns at the first failure, and again when the reason is another one.
    fn log(&self, course: &mut Course, error: &str) {
        let receiver = self.endpoint.name();
        let known = course.failing.as_ref();
        if known.is_some_and(|(reason, at)| reason == error || at.elapsed() < REASONS) {
            debug!(receiver, error, "still does not accept alerts");
            return;
        }
        let said = if known.is_some() {
            "still does not accept alerts, for another reason"
        } else {
            "does not accept alerts"
        };
        warn!(receiver, error, "{said}");
        course.failing = Some((error.to_owned(), Instant::now()));
    }

    fn note_clock(&self, course: &mut Course, ahead: SignedDuration) {
        self.stats.clock_is_ahead(ahead);
        let skewed = ahead.abs() > SKEW;
        if skewed && !course.skewed {
            let seconds = ahead.as_secs();
            warn!(
                receiver = self.endpoint.name(),
                seconds_ahead = seconds,
                "its clock differs from this host's: alerts may resolve too early or too late"
            );
        }
        course.skewed = skewed;
    }
}

/// Notifications that left the queue and are not yet accepted: they go back, also when the sending is given up at shutdown.
struct Taken<'a> {
    queue: &'a Queue,
    groups: VecDeque<Vec<Arc<Notification>>>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for group in std::mem::take(&mut self.groups).into_iter().rev() {
            self.queue.give_back(group);
        }
    }
}
