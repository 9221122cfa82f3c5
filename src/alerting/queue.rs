//! What waits for one receiver: at most one notification of each alert, the newest.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::Notification;
use crate::domain::alert::Fingerprint;
use crate::exposition::ReceiverStats;

/// A bounded queue: when it is full, the oldest gives way.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Notify,
    capacity: usize,
    stats: Arc<ReceiverStats>,
}

#[derive(Debug, Default)]
struct Inner {
    order: VecDeque<Fingerprint>,
    waiting: HashMap<Fingerprint, Arc<Notification>>,
}

impl Queue {
    pub(super) fn new(capacity: usize, stats: Arc<ReceiverStats>) -> Self {
        Self {
            inner: Mutex::default(),
            filled: Notify::new(),
            capacity,
            stats,
        }
    }

    /// Adds one, in the place of an older one of the same alert.
    pub(super) fn push(&self, notification: &Arc<Notification>) {
        let mut inner = self.lock();
        let fingerprint = notification.fingerprint;
        let replaced = inner.waiting.insert(fingerprint, Arc::clone(notification));
        if replaced.is_none() {
            inner.order.push_back(fingerprint);
            if inner.order.len() > self.capacity
                && let Some(oldest) = inner.order.pop_front()
            {
                inner.waiting.remove(&oldest);
                self.stats.dropped(1);
            }
        }
        self.stats.queue_is(inner.order.len());
        self.filled.notify_one();
    }

    /// Waits until there is something.
    pub(super) async fn filled(&self) {
        while self.is_empty() {
            self.filled.notified().await;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().order.is_empty()
    }

    /// The first ones, without those that are of no use any more.
    pub(super) fn take(&self, most: usize, now: Timestamp) -> Vec<Arc<Notification>> {
        let mut inner = self.lock();
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(fingerprint) = inner.order.pop_front() else {
                break;
            };
            match inner.waiting.remove(&fingerprint) {
                Some(notification) if notification.of_use_until >= now => taken.push(notification),
                _ => self.stats.dropped(1),
            }
        }
        self.stats.queue_is(inner.order.len());
        taken
    }

    /// Puts them in front again, but for those of which there is a newer one.
    pub(super) fn give_back(&self, batch: Vec<Arc<Notification>>) {
        let mut inner = self.lock();
        for notification in batch.into_iter().rev() {
            let fingerprint = notification.fingerprint;
            if let Entry::Vacant(place) = inner.waiting.entry(fingerprint) {
                place.insert(notification);
                inner.order.push_front(fingerprint);
            }
        }
        self.stats.queue_is(inner.order.len());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
