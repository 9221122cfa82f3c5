//! All receivers: whatever is sent goes to each of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::lookup_host;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::delivery::Delivery;
use super::endpoint::Endpoint;
use super::{Notification, Options};
use crate::config::{Receiver, ReceiverKind};
use crate::exposition::AlertingStats;

/// All receivers, each with its own queue and task.
#[derive(Debug)]
pub struct Hub {
    running: Mutex<BTreeMap<String, Running>>,
    stats: Arc<AlertingStats>,
    options: Options,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Running {
    delivery: Arc<Delivery>,
    stop: CancellationToken,
}

impl Hub {
    /// Starts a task for each receiver. It needs a runtime.
    pub fn start(
        receivers: &[Receiver],
        stats: &Arc<AlertingStats>,
        options: Options,
    ) -> Arc<Self> {
        let hub = Arc::new(Self {
            running: Mutex::default(),
            stats: Arc::clone(stats),
            options,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        for receiver in receivers {
            let receiver = Arc::new(receiver.clone());
            match receiver.kind {
                ReceiverKind::Alertmanager { dns: true } => {
                    let watching = Arc::clone(&hub).watch(receiver);
                    hub.tasks.spawn(watching);
                }
                _ => hub.add(&receiver, None),
            }
        }
        hub
    }

    /// Puts a notification into the queue of every Alertmanager, or of every webhook that wants it.
    pub fn push(&self, notification: &Arc<Notification>, to: To) {
        for running in self.running().values() {
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

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, receiver: &Arc<Receiver>, address: Option<SocketAddr>) {
        let endpoint = match Endpoint::new(receiver, address, self.options.request_timeout) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                warn!(receiver = receiver.name, %error, "cannot be told of alerts");
                return;
            }
        };
        let name = endpoint.name().to_owned();
        let stats = self.stats.receiver(&name);
        let delivery = Arc::new(Delivery::new(endpoint, stats, self.options));
        let stop = self.stop.child_token();
        let (task, until) = (Arc::clone(&delivery), stop.clone());
        self.tasks.spawn(async move { task.run(until).await });
        self.running().insert(name, Running { delivery, stop });
    }

    fn remove(&self, name: &str) {
        if let Some(running) = self.running().remove(name) {
            running.stop.cancel();
            self.stats.forget_receiver(name);
        }
    }

    /// Keeps one delivery for each address of a host.
    async fn watch(self: Arc<Self>, receiver: Arc<Receiver>) {
        let mut known: BTreeMap<SocketAddr, String> = BTreeMap::new();
        let host = receiver.url.host_str().unwrap_or_default().to_owned();
        let port = receiver.url.port_or_known_default().unwrap_or(9093);
        loop {
            match lookup_host((host.as_str(), port)).await {
                Ok(addresses) => {
                    let found: Vec<SocketAddr> = addresses.collect();
                    known.retain(|address, name| {
                        let stays = found.contains(address);
                        if !stays {
                            info!(receiver = receiver.name, %address, "is no address of it any more");
                            self.remove(name);
                        }
                        stays
                    });
                    for address in found {
                        known.entry(address).or_insert_with(|| {
                            self.add(&receiver, Some(address));
                            format!("{}://{address}", receiver.url.scheme())
                        });
                    }
                }
                // What was known may still be true.
                Err(error) => {
                    warn!(receiver = receiver.name, %error, "its addresses cannot be looked up");
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.options.resolve_every) => {}
            }
        }
    }
}

/// Who is told: Alertmanagers are told again and again, webhooks when something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Every Alertmanager.
    Alertmanagers,
    /// Every webhook.
    Webhooks,
}
