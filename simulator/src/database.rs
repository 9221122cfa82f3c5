//! One database of a server: its world, its faults, the changes that wait for a request, and the log of what was asked.

use std::{
    fmt,
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{
    fault::{Fault, Faults, Hooks, LogEntry, Logins, RequestLog},
    methods::Violations,
    server::{read, write},
    world::World,
};

/// A database of a server.
pub struct Database {
    /// Its name.
    pub name: String,
    world: RwLock<World>,
    pub(super) faults: Faults,
    hooks: Hooks,
    pub(super) logins: Logins,
    log: RequestLog,
}

impl Database {
    pub(super) fn new(name: &str, world: World, log: RequestLog) -> Self {
        Self {
            name: name.into(),
            world: RwLock::new(world),
            faults: Faults::default(),
            hooks: Hooks::default(),
            logins: Logins::default(),
            log,
        }
    }

    /// The world, to read the truth from. Drop it before awaiting anything.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        read(&self.world)
    }

    /// The world, to change it. Drop it before awaiting anything.
    pub fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        write(&self.world)
    }

    /// Every call of this database goes wrong from now on.
    pub fn fail(&self, fault: Fault) {
        self.faults.set(fault);
    }

    /// Calls of a model and method (`None`: any) go wrong, the given number of times (`None`: until healed).
    pub fn fail_when(
        &self,
        model: Option<&str>,
        method: Option<&str>,
        times: Option<u32>,
        fault: Fault,
    ) {
        self.faults.add(model, method, times, fault);
    }

    /// Changes the world before the `nth` request from now (1: the next). Requests are calls of models and `authenticate`.
    pub fn before(&self, nth: u32, change: impl FnOnce(&mut World) + Send + 'static) {
        self.hooks.add(None, None, nth, Box::new(change));
    }

    /// As [`Database::before`], counting only calls of a model and method (`None`: any).
    pub fn before_call(
        &self,
        model: Option<&str>,
        method: Option<&str>,
        nth: u32,
        change: impl FnOnce(&mut World) + Send + 'static,
    ) {
        self.hooks.add(model, method, nth, Box::new(change));
    }

    /// Number of changes of [`Database::before`] and [`Database::before_call`] that still wait.
    pub fn waiting_changes(&self) -> usize {
        self.hooks.waiting()
    }

    /// Drops the changes that still wait.
    pub fn drop_waiting_changes(&self) {
        self.hooks.clear();
    }

    /// A request arrives: it is noted, and the changes that wait for it are made.
    pub(super) fn arrive(&self, entry: LogEntry, violations: Violations) {
        let due = self.hooks.due(&entry.model, &entry.method);
        self.log.note(entry, violations);
        if !due.is_empty() {
            let mut world = self.world_mut();
            due.into_iter().for_each(|change| change(&mut world));
        }
    }

    /// Ends the faults.
    pub fn heal(&self) {
        self.faults.clear();
    }

    /// Requests to this database.
    pub fn log(&self) -> &RequestLog {
        &self.log
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.name)
    }
}
