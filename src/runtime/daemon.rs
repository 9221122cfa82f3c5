//! The daemon: polls on one side, HTTP on the other, the board between them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::names::OdooNames;
use crate::alerting::{self, AlertStates, Engine};
use crate::config::Config;
use crate::exposition::catalogue::families;
use crate::exposition::{Board, ExporterState, Exposition, Shard};
use crate::odoo::Clients;
use crate::poll::Scheduler;
use crate::store::Store;
use crate::web::access::Access;
use crate::web::directory::Directory;
use crate::web::{self, MetricsPath, Readiness};

/// After this time the daemon is ready even if some targets have not ended their first poll: one slow target must not keep the others
/// from being scraped.
const READY_AFTER: Duration = Duration::from_secs(60);

/// Transitions that wait for the next look at the fleet.
const TRANSITIONS: usize = 1024;

/// A daemon that is about to run: its port is bound and its configuration resolved.
#[derive(Debug)]
pub struct Daemon {
    listener: TcpListener,
    scheduler: Scheduler,
    engine: Engine,
    app: web::App,
    latch: web::ReadinessLatch,
    store: Option<Store>,
}

impl Daemon {
    /// Binds the port and prepares everything. Nothing is polled yet.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn prepare(
        config: &Config,
        listen: &Listen,
        metrics_path: MetricsPath,
        access: Access,
        store: Option<Store>,
    ) -> io::Result<Self> {
        let listener = listen.bind().await?;
        let board = Arc::new(Board::new());
        let exporter = ExporterState::new(Shard::WHOLE);
        exporter.config_loaded(Timestamp::now(), config.hash);
        let clients = Arc::new(Clients::default());
        let (transitions, happened) = mpsc::channel(TRANSITIONS);
        let named = config.privacy.names_in_alerts;
        let directory = Directory::new(&config.targets, &board, &clients);
        let inputs = alerting::Inputs {
            board: Arc::clone(&board),
            exporter: Arc::clone(&exporter),
            transitions: happened,
            states: match &store {
                Some(store) => Arc::new(store.clone()) as Arc<dyn AlertStates>,
                None => Arc::new(alerting::InMemory::default()),
            },
            names: named.then(|| Arc::new(OdooNames(Arc::clone(&directory))) as _),
        };
        let options = alerting::Options::of(&config.alerting);
        let engine = Engine::new(&config.alerting, inputs, options);
        let scheduler = Scheduler::new(
            config,
            &board,
            &exporter,
            &clients,
            store.clone(),
            transitions,
        );
        scheduler.resume().await;
        let families = families()
            .filter(|family| config.metrics.is_enabled(family.name))
            .collect();
        let (readiness, latch) = Readiness::new(Arc::clone(&board));
        Ok(Self {
            listener,
            scheduler,
            app: web::App {
                exposition: Exposition::new(Arc::clone(&board), exporter, families),
                board,
                access,
                store: store.clone(),
                alerts: engine.alerts(),
                directory,
                readiness,
                metrics_path,
            },
            engine,
            latch,
            store,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The targets and what is known of them.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.app.board)
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let latch = self.latch;
        let access = self.app.access.clone();
        tokio::spawn(async move {
            tokio::time::sleep(READY_AFTER).await;
            drop(latch);
        });
        let polls = tokio::spawn(self.scheduler.run(stop.clone()));
        let alerts = tokio::spawn(self.engine.run(stop.clone()));
        let served = web::serve(self.listener, web::router(self.app), access, stop.clone()).await;
        stop.cancel();
        // Neither panics: polls catch their own.
        let _ = polls.await;
        let _ = alerts.await;
        if let Some(store) = self.store {
            store.close().await;
        }
        served
    }
}

/// An address to listen on, as Prometheus writes it: `:9893` for all addresses, or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    host: Option<String>,
    port: u16,
}

/// An address that cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an address such as :9893, 127.0.0.1:9893 or [::1]:9893 is wanted")]
pub struct UnusableAddress;

impl FromStr for Listen {
    type Err = UnusableAddress;

    fn from_str(text: &str) -> Result<Self, UnusableAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(UnusableAddress)?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        Ok(Self {
            host: (!host.is_empty()).then(|| host.to_owned()),
            port: port.parse().map_err(|_| UnusableAddress)?,
        })
    }
}

impl Listen {
    /// Where a client on this machine reaches it, as in a URL.
    pub fn reached_at(&self) -> String {
        match self.host.as_deref() {
            None | Some("0.0.0.0" | "::") => format!("localhost:{}", self.port),
            Some(host) if host.contains(':') => format!("[{host}]:{}", self.port),
            Some(host) => format!("{host}:{}", self.port),
        }
    }

    async fn bind(&self) -> io::Result<TcpListener> {
        let explained = |error: io::Error| {
            let host = self.host.as_deref().unwrap_or_default();
            io::Error::new(
                error.kind(),
                format!("cannot listen on {host}:{}: {error}", self.port),
            )
        };
        if let Some(host) = &self.host {
            return TcpListener::bind((host.as_str(), self.port))
                .await
                .map_err(explained);
        }
        // [::] takes IPv4 too, but a host may have no IPv6 at all.
        match TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port))
                    .await
                    .map_err(explained)
            }
            bound => bound.map_err(explained),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_prometheus_writes_them() {
        let read = |text: &str| {
            text.parse::<Listen>()
                .map(|listen| (listen.host, listen.port))
        };
        assert_eq!(read(":9893"), Ok((None, 9893)));
        assert_eq!(read("127.0.0.1:0"), Ok((Some("127.0.0.1".into()), 0)));
        assert_eq!(read("[::1]:80"), Ok((Some("::1".into()), 80)));
        assert_eq!(read("9893"), Err(UnusableAddress));
        assert_eq!(read("localhost:http"), Err(UnusableAddress));
    }
}
