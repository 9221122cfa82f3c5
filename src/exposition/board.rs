//! The board on which pollers leave snapshots and scrapes find them.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};

use crate::domain::TargetSnapshot;
use crate::domain::snapshot::Identity;

use super::catalog::TargetStates;

/// The newest snapshot of every target. Reading never waits for writing.
#[derive(Debug)]
pub struct Board {
    slots: ArcSwap<Vec<Arc<Slot>>>,
    generation: Arc<AtomicU64>,
}

/// The slot of one target. Its poller writes it, all others read it.
#[derive(Debug)]
pub struct Slot {
    snapshot: ArcSwap<TargetSnapshot>,
    generation: Arc<AtomicU64>,
}

impl Board {
    /// A board without targets.
    pub fn new() -> Self {
        Self {
            slots: ArcSwap::default(),
            generation: Arc::default(),
        }
    }

    /// A slot for a target before its first poll. It is hidden until [`show`](Self::show) publishes it.
    pub fn slot(&self, identity: Arc<Identity>) -> Arc<Slot> {
        Arc::new(Slot {
            snapshot: ArcSwap::from_pointee(TargetSnapshot::pending(identity)),
            generation: Arc::clone(&self.generation),
        })
    }

    /// Shows these targets, in this order, and no others. Their names must be distinct.
    pub fn show(&self, slots: Vec<Arc<Slot>>) {
        self.slots.store(Arc::new(slots));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The places that are shown.
    pub fn slots(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }

    /// Moves with each change. What was read after it is at least as new as it says.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Moves the times of polls with a clock that was set, but not those that are read from it as it is now.
    pub fn shift(&self, by: SignedDuration, new: &RangeInclusive<Timestamp>) {
        for slot in self.slots().iter() {
            slot.update(|snapshot| snapshot.health.shift(by, new));
        }
    }

    /// The newest snapshot of each target that is shown.
    pub fn snapshots(&self) -> Arc<[Arc<TargetSnapshot>]> {
        self.slots.load().iter().map(|slot| slot.load()).collect()
    }

    /// The newest snapshot of the target of this name, if it is shown.
    pub fn find(&self, name: &str) -> Option<Arc<TargetSnapshot>> {
        let slots = self.slots.load();
        slots
            .iter()
            .map(|slot| slot.load())
            .find(|snapshot| snapshot.identity.name == name)
    }

    /// Numbers of targets, by state.
    pub fn states(&self) -> TargetStates {
        let mut states = TargetStates::default();
        for slot in self.slots.load().iter() {
            match slot.snapshot.load().up() {
                Some(true) => states.up += 1,
                Some(false) => states.down += 1,
                None => states.pending += 1,
            }
        }
        states
    }

    /// Number of targets whose first poll has not ended.
    pub fn unpolled(&self) -> usize {
        let slots = self.slots.load();
        let unpolled = |slot: &&Arc<Slot>| slot.snapshot.load().health.last.is_none();
        slots.iter().filter(unpolled).count()
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    /// Changes the snapshot. The change may be applied more than once, if another thread changes it at the same time.
    pub fn update(&self, mut change: impl FnMut(&mut TargetSnapshot)) {
        self.snapshot.rcu(|snapshot| {
            let mut next = TargetSnapshot::clone(snapshot);
            change(&mut next);
            next
        });
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Replaces the snapshot.
    pub fn publish(&self, snapshot: TargetSnapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The newest snapshot.
    pub fn load(&self) -> Arc<TargetSnapshot> {
        self.snapshot.load_full()
    }
}
