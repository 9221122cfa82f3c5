//! Rows that Odoo gave a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::LISTED_FOR;
use crate::domain::roster::Selection;

/// The last rows that were read of a target. They are forgotten after [`LISTED_FOR`].
#[derive(Debug)]
pub(super) struct Kept<T>(Arc<Mutex<Option<Rows<T>>>>);

#[derive(Debug)]
struct Rows<T> {
    at: Instant,
    asked: Selection,
    rows: Arc<HashMap<u32, T>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Rows that were read a moment ago, if these are among them. They may be more.
    pub(super) fn find(&self, wanted: &Selection) -> Option<Arc<HashMap<u32, T>>> {
        let kept = self.lock();
        let kept = kept.as_ref()?;
        let ids = wanted.portal_except.is_none() && wanted.ids.is_subset(&kept.asked.ids);
        let fresh = kept.at.elapsed() < LISTED_FOR;
        (fresh && (ids || *wanted == kept.asked)).then(|| Arc::clone(&kept.rows))
    }

    /// Keeps rows, and forgets them when they are old.
    pub(super) fn keep(&self, asked: Selection, rows: HashMap<u32, T>) -> Arc<HashMap<u32, T>> {
        let rows = Arc::new(rows);
        *self.lock() = Some(Rows {
            at: Instant::now(),
            asked,
            rows: Arc::clone(&rows),
        });
        let kept = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LISTED_FOR).await;
            kept.lock().take_if(|rows| rows.at.elapsed() >= LISTED_FOR);
        });
        rows
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rows<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
