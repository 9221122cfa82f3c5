//! The polled targets, and changes to them by a new configuration.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::memory::Remembered;
use super::poller::{Poller, Shared};
use super::scheduler::Scheduler;
use super::settings::Settings;
use crate::config::{Config, Target};
use crate::exposition::{Board, ExporterState};
use crate::odoo::Clients;
use crate::store::Store;

/// Polls that run at the same time: each holds a socket and the replies that it reads.
const ALL_HOSTS: usize = 256;

/// The targets that are polled.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
    /// In the configuration's order.
    pollers: Vec<Arc<Poller>>,
    joining: mpsc::UnboundedSender<Vec<Arc<Poller>>>,
}

/// Numbers of targets that a configuration changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// They were not there before.
    pub added: usize,
    /// They are not there any more.
    pub removed: usize,
    /// They are configured in another way.
    pub changed: usize,
    /// Nothing happened to them.
    pub kept: usize,
}

impl Fleet {
    /// No targets, and who will poll them. A store, if there is one, remembers over restarts.
    pub fn new(
        board: &Arc<Board>,
        exporter: &Arc<ExporterState>,
        clients: &Arc<Clients>,
        store: Option<Store>,
    ) -> (Self, Scheduler) {
        let (joining, joined) = mpsc::unbounded_channel();
        let shared = Shared {
            board: Arc::clone(board),
            clients: Arc::clone(clients),
            exporter: Arc::clone(exporter),
            everywhere: Semaphore::new(ALL_HOSTS),
            store: store.map(Remembered::new),
        };
        let fleet = Self {
            shared: Arc::new(shared),
            pollers: Vec::new(),
            joining,
        };
        (fleet, Scheduler::new(joined))
    }

    /// Polls and shows the targets of a configuration that are in this process's shard, and no others. Who is configured as before notices nothing; who is configured in
    /// another way keeps counters and place, and is polled soon. Of new ones is shown what is known of before a restart.
    ///
    /// Not to be given up half-way: the targets would be lost.
    pub async fn apply(&mut self, config: &Config) -> Changes {
        let roles = Arc::new(config.roles.clone());
        let name = |poller: Arc<Poller>| (poller.settings().target.name.clone(), poller);
        let mut before: HashMap<String, Arc<Poller>> = self.pollers.drain(..).map(name).collect();
        let mut changes = Changes::default();
        let (mut joining, mut resumes) = (Vec::new(), true);
        let shard = self.shared.exporter.shard();
        let held = |target: &&Arc<Target>| shard.holds(&target.name);
        for target in config.targets.iter().filter(held) {
            let settings = Settings::new(config, &roles, target);
            let poller = match before.remove(&target.name) {
                Some(poller) if *poller.settings() == settings => {
                    changes.kept += 1;
                    self.pollers.push(poller);
                    continue;
                }
                Some(poller) => {
                    changes.changed += 1;
                    poller.replaced(settings).await
                }
                None => {
                    changes.added += 1;
                    let poller = Poller::new(settings, &self.shared);
                    // A store that hangs is waited for once, not for each target.
                    resumes = resumes && poller.resume().await;
                    poller
                }
            };
            let poller = Arc::new(poller);
            joining.push(Arc::clone(&poller));
            self.pollers.push(poller);
        }
        for poller in before.into_values() {
            changes.removed += 1;
            poller.retire().await;
        }
        let slot = |poller: &Arc<Poller>| Arc::clone(poller.slot());
        self.shared
            .board
            .show(self.pollers.iter().map(slot).collect());
        // The scheduler is gone only at shutdown.
        let _ = self.joining.send(joining);
        changes
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            added,
            removed,
            changed,
            kept,
        } = self;
        write!(
            f,
            "targets: {added} added, {removed} removed, {changed} changed, {kept} kept"
        )
    }
}
