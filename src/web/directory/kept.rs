//! Rows that Odoo gave a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::LISTED_FOR;
use crate::domain::roster::Selection;

/// The last rows that were read of each target. They are forgotten after [`LISTED_FOR`].
#[derive(Debug)]
pub(super) struct Kept<T>(Arc<Mutex<HashMap<String, Rows<T>>>>);

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
    pub(super) fn find(&self, target: &str, wanted: &Selection) -> Option<Arc<HashMap<u32, T>>> {
        let all = self.lock();
        let kept = all.get(target)?;
        let ids = wanted.portal_except.is_none() && wanted.ids.is_subset(&kept.asked.ids);
        let fresh = kept.at.elapsed() < LISTED_FOR;
        (fresh && (ids || *wanted == kept.asked)).then(|| Arc::clone(&kept.rows))
    }

    /// Keeps rows, and forgets them when they are old.
    pub(super) fn keep(
        &self,
        target: &str,
        asked: Selection,
        rows: HashMap<u32, T>,
    ) -> Arc<HashMap<u32, T>> {
        let rows = Arc::new(rows);
        let kept = Rows {
            at: Instant::now(),
            asked,
            rows: Arc::clone(&rows),
        };
        self.lock().insert(target.to_owned(), kept);
        let (all, target) = (self.clone(), target.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(LISTED_FOR).await;
            let old = |rows: &Rows<T>| rows.at.elapsed() >= LISTED_FOR;
            let mut all = all.lock();
            if all.get(&target).is_some_and(old) {
                all.remove(&target);
            }
        });
        rows
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Rows<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
