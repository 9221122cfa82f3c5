//! The store: baselines and counters of transitions, the change log, the history of the headline numbers, each target's last poll,
//! and the state of alerts. One SQLite file, one thread that owns it, and a handle that never blocks the async code.
//!
//! A poll's result is one transaction ([`Store::record`]): either all of it is in the file, or none, and then the next poll that can be
//! recorded counts the changes since then. While the file fails the daemon continues without it: calls fail, [`Store::errors`]
//! counts them, [`Store::health`] has the reason, and each later call tries again.

mod baseline;
mod changes;
mod counters;
mod file;
mod history;
mod last_poll;
mod reader;
mod record;
pub mod render;
mod schema;
mod state;
#[cfg(test)]
mod tests;
mod worker;
mod write;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

pub use changes::{ChangeRow, Cursor, LoggedKind, Page};
pub use file::{FILE_NAME, Location, Refused};
pub use history::{Headline, HistoryRow, RoleNumbers};
pub use last_poll::LastPoll;
pub use reader::Reader;
pub use record::{PollRecord, Recorded};
pub use worker::Health;

use crate::domain::transition::{Baseline, Counters, Recent, Unasked};
use file::Open;
use worker::{Fault, Job, Shared, Worker};

/// Limits of the stored data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Changes and history are kept for so long.
    pub age: Duration,
    /// Changes per target.
    pub changes: u32,
    /// History is kept at the resolution of polls for so long, then by the hour.
    pub every_poll: Duration,
    /// History is kept by the hour for so long, then by the day.
    pub every_hour: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Limits {
    fn default() -> Self {
        Self {
            age: DAY * 731,
            changes: 10_000,
            every_poll: DAY * 7,
            every_hour: DAY * 90,
        }
    }
}

/// A span of time; an open end where it is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// From then on.
    pub from: Option<Timestamp>,
    /// Before then.
    pub to: Option<Timestamp>,
}

impl Range {
    /// In seconds, both ends inclusive.
    fn seconds(&self) -> (i64, i64) {
        let from = self.from.map_or(i64::MIN, Timestamp::as_second);
        let to = self
            .to
            .map_or(i64::MAX, |to| to.as_second().saturating_sub(1));
        (from, to)
    }
}

/// Why the store did not do what it was asked for. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file cannot be used at present: [`Health`] says why.
    #[error("cannot use the store: {0}")]
    Unavailable(String),
    /// The disk is full, an I/O error, or another process locks the file.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The file is damaged. It was moved aside, and a new one takes its place.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// The baseline is not the one that the questions were derived from: ask again, by another poll.
    #[error(transparent)]
    Unasked(#[from] Unasked),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// The state of a target right after a start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resumed {
    /// Its counters, where it has a baseline.
    pub counters: Option<Counters>,
    /// Events for alerts, if it has a baseline.
    pub recent: Option<Recent>,
    /// The numbers of before, where they may still be shown.
    pub last_poll: Option<LastPoll>,
}

/// The handle: cheap to clone, safe to use from async code.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// Calls that wait for the thread; the next one fails. A fleet of some thousand targets starts with a call for each.
const QUEUE: usize = if cfg!(test) { 64 } else { 16_384 };

/// Time that a call waits for its result. A writer waits half of it for a lock.
const DEADLINE: Duration = Duration::from_secs(10);

/// Time that a poll waits for its baseline. Then it continues without a comparison.
const BASELINE: Duration = Duration::from_secs(2);

/// Time that a reader waits for one call. A page makes two at most.
const READ: Duration = Duration::from_secs(3);

/// Time that [`Store::close`] waits for a disk that hangs.
const CLOSE: Duration = Duration::from_secs(5);

impl Store {
    /// Opens the store and starts its thread. Blocks until the file is open, or cannot be for the time being.
    ///
    /// # Errors
    /// If the file belongs to a later version or to another program: a start must not ignore that.
    pub fn open(location: Location, limits: Limits) -> Result<Self, Refused> {
        let shared = Arc::new(Shared::new(&location));
        let mut worker = Worker::new(location, limits, Arc::clone(&shared));
        worker.open_first()?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let spawned = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || worker.run(queue));
        if let Err(error) = spawned {
            // The queue is gone with the closure: every call says that the store is closed.
            tracing::error!(%error, "cannot start the store's thread");
        }
        Ok(Self { jobs, shared })
    }

    /// The last baseline of a target, to derive the questions of [`crate::domain::transition::questions`] from. `patience`: how long to
    /// wait at most, if that is less than 2 seconds.
    ///
    /// # Errors
    /// If the store fails, or is late.
    pub async fn baseline(
        &self,
        target: &str,
        patience: Duration,
    ) -> Result<Option<Arc<Baseline>>, Error> {
        let target = target.to_owned();
        self.call_within(BASELINE.min(patience), move |open, _| {
            write::ask(open, target)
        })
        .await
    }

    /// Writes down what a successful poll found, and says what changed since the one before.
    ///
    /// # Errors
    /// If the store fails; then nothing is counted, and the next call counts the changes since.
    pub async fn record(&self, poll: PollRecord) -> Result<Recorded, Error> {
        self.call(move |open, limits| write::record(open, &poll, limits))
            .await
    }

    /// Writes down that a poll failed, so that the numbers of the one before are not shown after a restart.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn record_failure(&self, target: &str) -> Result<(), Error> {
        let target = target.to_owned();
        self.call(move |open, _| {
            open.asked.remove(&target);
            last_poll::failed(open, &target)
        })
        .await
    }

    /// The state of a target right after a start. Earlier figures only if they come from the last poll, less than two intervals
    /// ago, of a target that was configured as it is now.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn resume(
        &self,
        target: &str,
        fingerprint: u64,
        interval: Duration,
        now: Timestamp,
    ) -> Result<Resumed, Error> {
        let target = target.to_owned();
        self.call(move |connection, _| {
            Ok(Resumed {
                counters: counters::load_by_name(connection, &target)?,
                recent: baseline::recent_of(connection, &target)?,
                last_poll: last_poll::load(connection, &target, fingerprint, interval, now)?,
            })
        })
        .await
    }

    /// The headline numbers of a target, oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn history(&self, target: &str, range: Range) -> Result<Vec<HistoryRow>, Error> {
        let target = target.to_owned();
        self.call_within(READ, move |connection, _| {
            history::query(connection, &target, range)
        })
        .await
    }

    /// The headline numbers of several targets by name, oldest first, only the last ones of each step.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn sampled(
        &self,
        targets: Vec<String>,
        range: Range,
        step: Duration,
    ) -> Result<HashMap<String, Vec<HistoryRow>>, Error> {
        self.call_within(READ, move |connection, _| {
            let rows = |name: String| {
                history::sampled(connection, &name, range, step).map(|rows| (name, rows))
            };
            targets.into_iter().map(rows).collect()
        })
        .await
    }

    /// The roles of a target by the day, oldest first, each with the day's first second.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn roles(
        &self,
        target: &str,
        range: Range,
    ) -> Result<Vec<(Timestamp, Vec<RoleNumbers>)>, Error> {
        let target = target.to_owned();
        self.call_within(READ, move |connection, _| {
            history::roles(connection, &target, range)
        })
        .await
    }

    /// The change log of these targets, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn changes(
        &self,
        targets: Vec<String>,
        range: Range,
        page: Page,
    ) -> Result<Vec<ChangeRow>, Error> {
        self.call_within(READ, move |connection, _| {
            changes::query(connection, &targets, range, &page)
        })
        .await
    }

    /// All opaque values of one kind, by key.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn load_state(&self, kind: &'static str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.call(move |connection, _| state::load(connection, kind))
            .await
    }

    /// Keeps an opaque value; `None` forgets it.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn save_state(
        &self,
        kind: &'static str,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        self.save_states(kind, vec![(key.to_owned(), value)]).await
    }

    /// Keeps or forgets several values, all or none.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn save_states(
        &self,
        kind: &'static str,
        values: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<(), Error> {
        self.call(move |connection, _| state::save(connection, kind, &values))
            .await
    }

    /// Health of the store.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Calls that failed since the start, and attempts to open the file that did.
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }

    /// Waits for the calls under way, for some seconds at most, and closes the file. Later calls fail.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let closing = async {
            if self.jobs.send(Job::Close(done)).await.is_ok() {
                let _ = closed.await;
            }
        };
        if tokio::time::timeout(CLOSE, closing).await.is_err() {
            tracing::warn!("the store does not finish its calls: the disk may hang");
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Open, &Limits) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        self.call_within(DEADLINE, what).await
    }

    /// Runs something on the store's thread. A call whose caller does not wait any more when its turn comes is skipped.
    ///
    /// # Errors
    /// Also when it is late, or too many calls wait: the disk is slow, or hangs. What began late may still be written.
    async fn call_within<T: Send + 'static>(
        &self,
        deadline: Duration,
        what: impl FnOnce(&mut Open, &Limits) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Call(Box::new(move |worker: &mut Worker| {
            if !reply.is_closed() {
                // If the caller goes meanwhile, what was written stays written.
                let _ = reply.send(worker.attempt(what));
            }
        }));
        let reason = match self.jobs.try_send(job) {
            Ok(()) => match tokio::time::timeout(deadline, answer).await {
                Ok(answer) => return answer.map_err(|_| Error::Closed)?,
                // Without the deadline, so that calls with different ones are one reason, which is logged once.
                Err(_elapsed) => "the disk is slow or hangs: a call did not finish in time".into(),
            },
            Err(TrySendError::Closed(_)) => return Err(Error::Closed),
            Err(TrySendError::Full(_)) => {
                format!("{QUEUE} calls wait for the disk, which is slow or hangs")
            }
        };
        self.shared.failed(&reason);
        Err(Error::Unavailable(reason))
    }
}

/// Location of the file, as shown to users.
fn shown(location: &Location) -> PathBuf {
    location.file().unwrap_or_else(|| PathBuf::from(":memory:"))
}
