//! All receivers: each gets every notification.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::delivery::Delivery;
use super::endpoint::Endpoint;
use super::{Notification, Options};
use crate::config::{Receiver, ReceiverKind};
use crate::exposition::AlertingStats;
use crate::odoo::Clients;

/// All receivers, each with its own queue and task.
#[derive(Debug)]
pub struct Hub {
    running: Mutex<BTreeMap<String, Running>>,
    configured: Mutex<Vec<Configured>>,
    stats: Arc<AlertingStats>,
    clients: Arc<Clients>,
    options: Options,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    delivery: Arc<Delivery>,
    stop: CancellationToken,
    of: Arc<Receiver>,
}

/// A receiver of the configuration, which may stand for several addresses.
#[derive(Debug)]
struct Configured {
    receiver: Arc<Receiver>,
    stop: CancellationToken,
}

impl Hub {
    /// Starts a task for each receiver. It needs a runtime.
    pub fn start(
        receivers: &[Receiver],
        stats: &Arc<AlertingStats>,
        clients: &Arc<Clients>,
        options: Options,
    ) -> Arc<Self> {
        let hub = Arc::new(Self {
            running: Mutex::default(),
            configured: Mutex::default(),
            stats: Arc::clone(stats),
            clients: Arc::clone(clients),
            options,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        hub.update(receivers);
        hub
    }

    /// Sets the receivers. Those with an unchanged configuration keep their queue; removed ones get the rest of it, for
    /// a short time. Returns true if there are new ones.
    pub fn update(self: &Arc<Self>, receivers: &[Receiver]) -> bool {
        let mut configured = lock(&self.configured);
        let mut new: Vec<&Receiver> = receivers.iter().collect();
        configured.retain(|it| {
            let before = new.len();
            new.retain(|receiver| **receiver != *it.receiver);
            let stays = new.len() < before;
            if !stays {
                it.stop.cancel();
                let of = |running: &Running| Arc::ptr_eq(&running.of, &it.receiver);
                lock(&self.running).retain(|_, running| !of(running));
            }
            stays
        });
        for receiver in &new {
            let receiver = Arc::new(Receiver::clone(receiver));
            let stop = self.stop.child_token();
            match receiver.kind {
                ReceiverKind::Alertmanager { dns: true } => {
                    let watching = Arc::clone(self).watch(Arc::clone(&receiver), stop.clone());
                    self.tasks.spawn(watching);
                }
                _ => self.add(&receiver, None, &stop),
            }
            configured.push(Configured { receiver, stop });
        }
        let running = lock(&self.running);
        for (name, _) in self.stats.receivers() {
            if !running.contains_key(&name) {
                self.stats.forget_receiver(&name);
            }
        }
        !new.is_empty()
    }

    /// Returns true if there are no receivers.
    pub fn is_empty(&self) -> bool {
        lock(&self.configured).is_empty()
    }

    /// Puts a notification into the queue of every Alertmanager, or of every webhook that wants it.
    pub fn push(&self, notification: &Arc<Notification>, to: To) {
        for running in lock(&self.running).values() {
            let wanted = match (running.delivery.endpoint.kind(), to) {
                (ReceiverKind::Alertmanager { .. }, To::Alertmanagers) => true,
                (ReceiverKind::Webhook { send_resolved }, To::Webhooks) => {
                    send_resolved || !notification.resolved
                }
                _ => false,
            };
            if wanted {
                running.delivery.queue.push(notification);
            }
        }
    }

    /// Lets every queue run empty, within the time for that, and ends.
    pub async fn drain(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn add(
        &self,
        receiver: &Arc<Receiver>,
        address: Option<SocketAddr>,
        until: &CancellationToken,
    ) {
        let timeout = self.options.request_timeout;
        let endpoint = match Endpoint::new(receiver, address, timeout, &self.clients) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                warn!(receiver = receiver.name, %error, "cannot get alerts");
                return;
            }
        };
        let name = endpoint.name().to_owned();
        let mut running = lock(&self.running);
        if until.is_cancelled() {
            return;
        }
        let stats = self.stats.receiver(&name);
        let delivery = Arc::new(Delivery::new(endpoint, stats, self.options));
        let stop = until.child_token();
        let (task, until) = (Arc::clone(&delivery), stop.clone());
        self.tasks.spawn(async move { task.run(until).await });
        let of = Arc::clone(receiver);
        running.insert(name, Running { delivery, stop, of });
    }

    fn remove(&self, name: &str) {
        let gone = lock(&self.running).remove(name);
        if let Some(running) = gone {
            running.stop.cancel();
            self.stats.forget_receiver(name);
        }
    }

    /// Keeps one delivery for each address of a host.
    async fn watch(self: Arc<Self>, receiver: Arc<Receiver>, stop: CancellationToken) {
        let mut known: BTreeMap<SocketAddr, String> = BTreeMap::new();
        let mut failing = false;
        let host = receiver.url.host_str().unwrap_or_default().to_owned();
        let port = receiver.url.port_or_known_default().unwrap_or(9093);
        loop {
            let looking = self.clients.resolver.sockets(&host, port);
            let Some(looked) = stop.run_until_cancelled(looking).await else {
                return;
            };
            match looked {
                Ok(found) => {
                    if std::mem::take(&mut failing) {
                        info!(receiver = receiver.name, "its name resolves again");
                    }
                    known.retain(|address, name| {
                        let stays = found.contains(address);
                        if !stays {
                            info!(receiver = receiver.name, %address, "is no longer one of its addresses");
                            self.remove(name);
                        }
                        stays
                    });
                    for address in found {
                        known.entry(address).or_insert_with(|| {
                            self.add(&receiver, Some(address), &stop);
                            format!("{}://{address}", receiver.url.scheme())
                        });
                    }
                }
                // The earlier addresses may still be valid.
                Err(error) if !failing => {
                    warn!(receiver = receiver.name, %error, "cannot resolve its name");
                    failing = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.options.resolve_every) => {}
            }
        }
    }
}

/// Kind of a receiver: Alertmanagers get alerts again and again, webhooks when something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Every Alertmanager.
    Alertmanagers,
    /// Every webhook.
    Webhooks,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
