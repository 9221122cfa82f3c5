//! The daemon: polls on one side, HTTP on the other, the board between them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::control::Controls;
use super::logging::Logging;
use super::reload::{Origin, Reloader, Running, wanted};
use super::systemd;
use super::vitals::{Patience, Vitals};
use crate::alerting::{self, AlertStates, Engine};
use crate::config::Config;
use crate::domain::Shard;
use crate::exposition::{Board, ExporterState, Exposition};
use crate::odoo::Clients;
use crate::poll::{Fleet, Scheduler};
use crate::store::Store;
use crate::web::Reports;
use crate::web::access::Access;
use crate::web::directory::Directory;
use crate::web::{self, MetricsPath, Readiness};

/// After this time the daemon is ready even if some targets have not ended their first poll: one slow target must not keep the others
/// from being scraped.
const READY_AFTER: Duration = Duration::from_secs(60);

/// A daemon that is about to run: its port is bound and its configuration resolved.
#[derive(Debug)]
pub struct Daemon {
    listener: tokio::net::TcpListener,
    scheduler: Scheduler,
    engine: Engine,
    app: web::App,
    latch: web::ReadinessLatch,
    status: systemd::Status,
    store: Option<Store>,
    reloader: Option<Reloader>,
}

/// What the command line says.
#[derive(Debug)]
pub struct Settings {
    /// Where to serve.
    pub listener: TcpListener,
    /// Where the metrics are.
    pub metrics_path: MetricsPath,
    /// Who gets in.
    pub access: Access,
    /// What survives a restart; without one, nothing does.
    pub store: Option<Store>,
    /// Which of the targets to poll.
    pub shard: Shard,
    /// Where the configuration came from, if it can be loaded again.
    pub origin: Option<Origin>,
    /// What is logged, if it may be changed.
    pub logging: Option<Logging>,
}

impl Daemon {
    /// Prepares everything. Nothing is polled yet.
    ///
    /// # Errors
    /// When the listener cannot be used, or the system gives no timer.
    #[expect(
        clippy::too_many_lines,
        reason = "the parts of the daemon, in the order in which they need each other"
    )]
    pub async fn prepare(config: &Config, settings: Settings) -> io::Result<Self> {
        let Settings {
            listener,
            metrics_path,
            access,
            store,
            shard,
            origin,
            logging,
        } = settings;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let board = Arc::new(Board::new());
        let exporter = ExporterState::new(shard);
        let clients = Arc::new(Clients::default());
        let directory = Directory::new(&config.targets, &board, &clients);
        let (engine, reconfigured) = mpsc::channel(1);
        let (fleet, scheduler) = Fleet::new(&board, &exporter, &clients, store.clone());
        let reports = Reports::default();
        let mut running = Running {
            reports: reports.clone(),
            directory: Arc::clone(&directory),
            access: access.clone(),
            fleet,
            exposition: Exposition::new(Arc::clone(&board), Arc::clone(&exporter), Vec::new()),
            exporter: Arc::clone(&exporter),
            clients,
            engine,
        };
        running.apply(config.clone()).await;
        let inputs = alerting::Inputs {
            board: Arc::clone(&board),
            exporter: Arc::clone(&exporter),
            clients: Arc::clone(&running.clients),
            states: match &store {
                Some(store) => Arc::new(store.clone()) as Arc<dyn AlertStates>,
                None => Arc::new(alerting::InMemory::default()),
            },
            reconfigured,
        };
        let options = alerting::Options::of(&config.alerting);
        let engine = Engine::new(wanted(config, &directory), inputs, options);
        let (readiness, latch) = Readiness::new(Arc::clone(&board));
        let status = systemd::Status {
            board: Arc::clone(&board),
            exporter,
            pulse: scheduler.pulse(),
        };
        let exposition = Arc::clone(&running.exposition);
        let reloader = origin.map(|origin| Reloader::new(origin, running));
        let controls = Controls {
            reloader: reloader.clone(),
            logging,
        };
        Ok(Self {
            listener,
            scheduler,
            app: web::App {
                reports,
                exposition,
                board,
                access,
                store: store.clone(),
                alerts: engine.alerts(),
                directory,
                readiness,
                metrics_path,
                control: Some(Arc::new(controls)),
            },
            engine,
            latch,
            status,
            store,
            reloader,
        })
    }

    /// What puts another configuration into force; `None` where the configuration is no file.
    pub fn reloader(&self) -> Option<Reloader> {
        self.reloader.clone()
    }

    /// What it counts about itself.
    pub fn exporter(&self) -> Arc<ExporterState> {
        Arc::clone(&self.status.exporter)
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
        // A shard may be empty.
        if self.app.board.slots().is_empty() {
            drop(latch);
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(READY_AFTER).await;
                drop(latch);
            });
        }
        systemd::ready(&self.status);
        let (pulse, exporter) = (&self.status.pulse, &self.status.exporter);
        let vitals = Vitals::new(
            Arc::clone(pulse),
            Arc::clone(exporter),
            self.listener.local_addr()?,
            Patience::default(),
        );
        systemd::attend(self.status, vitals, stop.clone());
        let stopping = stop.clone();
        tokio::spawn(async move {
            stopping.cancelled().await;
            systemd::stopping();
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
