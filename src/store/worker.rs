//! The thread that owns the file: it opens it, retries after a failure, and classifies faults.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot};

use super::file::{self, Location, Open, OpenError, Refused};
use super::{Error, Limits, shown};
use crate::domain::transition::Unasked;

/// Health of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The file, or `:memory:`.
    pub path: PathBuf,
    /// Current fault, and its start; `None` if the last call succeeded.
    pub failing: Option<(Timestamp, String)>,
    /// Path of the last corrupt file since the start.
    pub moved_aside: Option<PathBuf>,
}

/// State that the thread and the handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) errors: AtomicU64,
    health: Mutex<Health>,
    said: Mutex<Said>,
}

/// Failures that were logged: reads can work while writes fail, so each reason comes and goes many times a minute.
#[derive(Debug, Default)]
struct Said {
    /// Reasons of the last minute.
    reasons: HashMap<String, Instant>,
    /// True if a failure was logged after the last message that the store works.
    failing: bool,
}

impl Said {
    /// Returns true if this reason must be logged now. `known`: the call before failed for it, too.
    fn says(&mut self, reason: &str, known: bool, now: Instant) -> bool {
        self.reasons
            .retain(|_, at| now.duration_since(*at) < SAY_AGAIN);
        if known && self.failing || self.reasons.contains_key(reason) {
            return false;
        }
        self.reasons.insert(reason.to_owned(), now);
        self.failing = true;
        true
    }
}

/// After this time a reason is logged again, if it came again.
const SAY_AGAIN: Duration = Duration::from_secs(60);

impl Shared {
    pub(super) fn new(location: &Location) -> Self {
        Self {
            errors: AtomicU64::new(0),
            health: Mutex::new(Health {
                path: shown(location),
                failing: None,
                moved_aside: None,
            }),
            said: Mutex::default(),
        }
    }

    pub(super) fn health(&self) -> Health {
        self.lock().clone()
    }

    /// Counts an error, and logs it if it is new, once a minute at most.
    pub(super) fn failed(&self, reason: &str) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut health = self.lock();
        let known = health.failing.as_ref().is_some_and(|(_, it)| it == reason);
        if self.said().says(reason, known, Instant::now()) {
            tracing::error!(path = %health.path.display(), reason, "the store failed; polls and metrics continue without it");
        }
        if !known {
            let since = health
                .failing
                .as_ref()
                .map_or_else(Timestamp::now, |(since, _)| *since);
            health.failing = Some((since, reason.to_owned()));
        }
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message to the thread.
pub(super) enum Job {
    /// Something to do.
    Call(Box<dyn FnOnce(&mut Worker) + Send>),
    /// The end, with a channel that waits for it.
    Close(oneshot::Sender<()>),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Call",
            Self::Close(_) => "Close",
        })
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// SQLite says so.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Something in the file is not what this program wrote.
    #[error("{0}")]
    Corrupt(String),
    /// The caller's fault.
    #[error(transparent)]
    Unasked(#[from] Unasked),
}

/// Time after a failure to open the file until the next call tries again.
const RETRY: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 5 });

/// The owner of the file.
pub(super) struct Worker {
    location: Location,
    limits: Limits,
    shared: Arc<Shared>,
    open: Option<Open>,
    /// Until then calls fail without a try, for this reason.
    refrain: Option<(Instant, String)>,
}

impl Worker {
    pub(super) fn new(location: Location, limits: Limits, shared: Arc<Shared>) -> Self {
        Self {
            // Decided once: a directory that is deleted is no file's name.
            location: location.file().map_or(Location::Memory, Location::Path),
            limits,
            shared,
            open: None,
            refrain: None,
        }
    }

    /// The first attempt, at the start: only a refusal is an error.
    pub(super) fn open_first(&mut self) -> Result<(), Refused> {
        match self.try_open() {
            Ok(()) => Ok(()),
            Err(OpenError::Refused(refused)) => Err(refused),
            Err(error) => {
                self.failed(&error.to_string());
                self.refrain = Some((Instant::now() + RETRY, error.to_string()));
                Ok(())
            }
        }
    }

    /// Does what it is sent until the last handle is gone.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            match job {
                Job::Call(call) => call(&mut self),
                Job::Close(done) => {
                    drop(self);
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    /// Handles one message, with everything it requires before and after.
    pub(super) fn attempt<T>(
        &mut self,
        what: impl FnOnce(&mut Open, &Limits) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let limits = self.limits;
        let open = match self.opened() {
            Ok(open) => open,
            Err(reason) => {
                self.failed(&reason);
                return Err(Error::Unavailable(reason));
            }
        };
        match what(open, &limits) {
            Ok(done) => {
                self.worked();
                Ok(done)
            }
            Err(Fault::Unasked(unasked)) => Err(unasked.into()),
            Err(fault) => Err(self.handle(&fault)),
        }
    }

    fn opened(&mut self) -> Result<&mut Open, String> {
        self.find_again();
        if self.open.is_none() {
            if let Some((until, reason)) = &self.refrain
                && Instant::now() < *until
            {
                return Err(reason.clone());
            }
            self.refrain = None;
            if let Err(error) = self.try_open() {
                let reason = error.to_string();
                self.refrain = Some((Instant::now() + RETRY, reason.clone()));
                return Err(reason);
            }
        }
        self.open
            .as_mut()
            .ok_or_else(|| "it is not open".to_owned())
    }

    /// Notices that the open file is not at its path any more. One that was deleted is written again from the open one; another one in
    /// its place is opened instead.
    fn find_again(&mut self) {
        let (Some(path), Some(open)) = (self.location.file(), &self.open) else {
            return;
        };
        let Some(lost) = open.lost(&path) else {
            return;
        };
        let lost = format!("{} {lost} while it was in use", path.display());
        self.failed(&lost);
        let rescued = (!path.exists()).then(|| file::rescue(open, &path));
        // The last connection to a file deletes its side files, which must not be taken for the new file's.
        self.open = None;
        match rescued.map(|copy| copy.and_then(|copy| file::put_back(&copy, &path))) {
            Some(Ok(())) => {
                tracing::warn!(path = %path.display(), "rewrote the store from the file that is still open")
            }
            Some(Err(error)) => self.failed(&format!(
                "cannot rewrite {}, counters restart at 0: {error}",
                path.display()
            )),
            None => {}
        }
    }

    fn try_open(&mut self) -> Result<(), OpenError> {
        let opened = match file::open(&self.location) {
            Err(OpenError::Corrupt { path, reason }) => {
                self.failed(&format!("{} is corrupt: {reason}", path.display()));
                self.move_aside()?;
                file::open(&self.location)
            }
            other => other,
        };
        let opened = opened?;
        if opened.was_empty {
            self.failed("the file was empty: its data is lost, and counters restart at 0");
        }
        self.open = Some(opened);
        Ok(())
    }

    fn move_aside(&mut self) -> Result<(), OpenError> {
        let Some(path) = self.location.file() else {
            return Ok(());
        };
        let moved = file::move_aside(&path).map_err(|error| {
            OpenError::Unavailable(format!(
                "{} is corrupt, and cannot be renamed: {error}",
                path.display()
            ))
        })?;
        tracing::error!(
            path = %path.display(),
            moved_to = %moved.display(),
            "the store was corrupt and was renamed; counters restart at 0"
        );
        self.shared.lock().moved_aside = Some(moved);
        Ok(())
    }

    fn handle(&mut self, fault: &Fault) -> Error {
        let reason = fault.to_string();
        self.failed(&reason);
        let (corrupt, io) = match fault {
            Fault::Corrupt(_) => (true, false),
            Fault::Sqlite(error) => (
                file::is_corruption(error),
                error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure),
            ),
            Fault::Unasked(_) => (false, false),
        };
        if corrupt {
            self.open = None;
            if let Err(error) = self.move_aside() {
                self.refrain = Some((Instant::now() + RETRY, error.to_string()));
            }
            return Error::Corrupt(reason);
        }
        if io {
            // After an I/O error SQLite's view of the file is not to be trusted: it is opened and checked again.
            self.open = None;
        }
        Error::Failed(reason)
    }

    fn failed(&self, reason: &str) {
        self.shared.failed(reason);
    }

    fn worked(&self) {
        let mut health = self.shared.lock();
        if health.failing.take().is_some() && std::mem::take(&mut self.shared.said().failing) {
            tracing::info!(path = %health.path.display(), "the store works again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_comes_and_goes_is_logged_once_a_minute() {
        let mut said = Said::default();
        let start = Instant::now();
        let mut says = |seconds, reason, known| {
            let now = start + Duration::from_secs(seconds);
            said.says(reason, known, now)
        };
        assert!(says(0, "locked", false));
        assert!(says(1, "slow", false), "another reason");
        assert!(!says(5, "locked", false));
        assert!(!says(59, "locked", true));
        assert!(says(60, "locked", false));
        assert!(!says(60, "slow", false));
        assert!(!says(300, "locked", true), "it still fails for it");
        said.failing = false;
        assert!(
            said.says("locked", true, start + Duration::from_secs(301)),
            "it was logged that it works"
        );
    }
}
