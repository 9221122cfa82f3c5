//! The queue of one receiver: at most one notification of each alert, the newest.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

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
    /// Those that are not to be sent before a time.
    later: HashMap<Fingerprint, (Instant, Arc<Notification>)>,
}

impl Inner {
    fn len(&self) -> usize {
        self.order.len() + self.later.len()
    }

    /// Those that were refused already are the oldest.
    fn drop_oldest(&mut self) {
        let first = self.later.iter().min_by_key(|(_, (due, _))| *due);
        if let Some(refused) = first.map(|(fingerprint, _)| *fingerprint) {
            self.later.remove(&refused);
        } else if let Some(oldest) = self.order.pop_front() {
            self.waiting.remove(&oldest);
        }
    }
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
        inner.later.remove(&fingerprint);
        let replaced = inner.waiting.insert(fingerprint, Arc::clone(notification));
        if replaced.is_none() {
            inner.order.push_back(fingerprint);
            if inner.len() > self.capacity {
                inner.drop_oldest();
                self.stats.dropped(1);
            }
        }
        self.stats.queue_is(inner.len());
        self.filled.notify_one();
    }

    /// Waits until there is something to send.
    pub(super) async fn filled(&self) {
        loop {
            self.ripen(Instant::now());
            let next = {
                let inner = self.lock();
                if !inner.order.is_empty() {
                    return;
                }
                inner.later.values().map(|(due, _)| *due).min()
            };
            let due = async {
                match next {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.filled.notified() => {}
                () = due => {}
            }
        }
    }

    /// Returns true if there is nothing to send now.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().order.is_empty()
    }

    /// Returns true if there is nothing to send, now or later.
    pub(super) fn is_done(&self) -> bool {
        self.lock().len() == 0
    }

    /// Keeps them until a time, but for those of which there is a newer one.
    pub(super) fn postpone(&self, batch: Vec<Arc<Notification>>, until: Instant) {
        let mut inner = self.lock();
        for notification in batch {
            if !inner.waiting.contains_key(&notification.fingerprint) {
                inner
                    .later
                    .insert(notification.fingerprint, (until, notification));
            }
        }
        self.stats.queue_is(inner.len());
    }

    /// Sends what waited for its time.
    fn ripen(&self, now: Instant) {
        let mut inner = self.lock();
        let due: Vec<_> = inner
            .later
            .extract_if(|_, (due, _)| *due <= now)
            .map(|(_, (_, notification))| notification)
            .collect();
        drop(inner);
        self.give_back(due);
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
        self.stats.queue_is(inner.len());
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
        self.stats.queue_is(inner.len());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
