//! Readiness: is there something to scrape?

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use axum::extract::State;
use axum::http::StatusCode;

use super::App;
use crate::exposition::Board;

/// Becomes true once the first poll of every target has ended, and stays so after any reload.
#[derive(Debug)]
pub struct Readiness {
    board: Arc<Board>,
    latch: Weak<()>,
    reached: AtomicBool,
}

/// Once it is dropped, readiness no longer waits: after a deadline, or where there is nothing to poll.
#[derive(Debug)]
pub struct ReadinessLatch {
    _held: Arc<()>,
}

impl Readiness {
    /// Waits for the targets of a board, which may still be empty.
    pub fn new(board: Arc<Board>) -> (Self, ReadinessLatch) {
        let held = Arc::new(());
        let readiness = Self {
            board,
            latch: Arc::downgrade(&held),
            reached: AtomicBool::new(false),
        };
        (readiness, ReadinessLatch { _held: held })
    }

    /// Number of first polls that are missing; `None` if it is ready.
    pub fn waits_for(&self) -> Option<Unpolled> {
        if self.reached.load(Ordering::Relaxed) {
            return None;
        }
        let unpolled = Unpolled {
            targets: self.board.unpolled(),
            of: self.board.slots().len(),
        };
        let all_polled = unpolled.targets == 0 && unpolled.of > 0;
        if all_polled || self.latch.strong_count() == 0 {
            self.reached.store(true, Ordering::Relaxed);
            return None;
        }
        Some(unpolled)
    }
}

/// Targets whose first poll has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpolled {
    /// Number of targets.
    pub targets: usize,
    /// Of how many.
    pub of: usize,
}

pub async fn answer(State(app): State<Arc<App>>) -> (StatusCode, String) {
    match app.readiness.waits_for() {
        None => (StatusCode::OK, "ready\n".into()),
        Some(Unpolled { targets, of }) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("waiting for the first poll of {targets} of {of} targets\n"),
        ),
    }
}
