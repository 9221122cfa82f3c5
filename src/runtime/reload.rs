//! Another configuration, while the daemon runs: by SIGHUP, over HTTP, or because a file has changed.
//!
//! All or nothing: a configuration that is wrong changes nothing. One reload at a time; each loads what is there when its turn comes.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::signal::unix::Signal;
use tokio::sync::{Mutex, mpsc};
use tracing::{error, info, warn};

use super::names::OdooNames;
use super::systemd;
use crate::alerting;
use crate::config::{Config, Diagnostic, Files, Level, Loaded, ProcessEnv};
use crate::exposition::catalogue::{Family, families};
use crate::exposition::{ExporterState, Exposition};
use crate::odoo::Clients;
use crate::poll::{Changes, Fleet};
use crate::web::Reports;
use crate::web::access::Access;
use crate::web::directory::Directory;

/// Where the configuration came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// It, and those that it names, as they were read.
    pub files: Files,
}

/// Loads the configuration again, and puts it into force.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    origin: Origin,
    running: Running,
}

/// What a configuration is put into.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) directory: Arc<Directory>,
    pub(super) access: Access,
    pub(super) reports: Reports,
    pub(super) fleet: Fleet,
    pub(super) exposition: Arc<Exposition>,
    pub(super) exporter: Arc<ExporterState>,
    pub(super) clients: Arc<Clients>,
    pub(super) engine: mpsc::Sender<alerting::Wanted>,
}

/// How long a file must stay as it is to be read: whoever writes it may not have ended.
const SETTLED: Duration = Duration::from_secs(1);

impl Reloader {
    pub(super) fn new(origin: Origin, running: Running) -> Self {
        Self(Arc::new(Mutex::new(State { origin, running })))
    }

    /// Loads the configuration again. Gives what changed, or everything that is wrong, and then nothing has changed. It is done even if
    /// nobody waits for it.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub async fn reload(&self, cause: &'static str) -> Result<String, String> {
        let state = Arc::clone(&self.0);
        let reloading = tokio::spawn(async move {
            let mut state = state.lock().await;
            systemd::reloading();
            let result = AssertUnwindSafe(state.reload(cause)).catch_unwind().await;
            systemd::reloaded();
            result
        });
        let defect = "a defect of this program stopped the reload: restart it";
        match reloading.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => {
                error!("{defect}");
                Err(defect.to_owned())
            }
        }
    }

    /// Reloads at each SIGHUP.
    pub async fn on_hangups(self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            // What is wrong with it is logged.
            let _ = self.reload("SIGHUP").await;
        }
    }

    /// Reloads when the content of the configuration's file changes, or of a file that it names, looking this often.
    pub async fn on_changes(self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            // As they were read last, also if they were refused.
            let read = self.0.lock().await.origin.files.clone();
            let mut now = again(read.clone()).await;
            if now == read {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLED).await;
                let later = again(read.clone()).await;
                if later == now {
                    break;
                }
                now = later;
            }
            let _ = self.reload("a file changed").await;
        }
    }
}

impl State {
    async fn reload(&mut self, cause: &'static str) -> Result<String, String> {
        let path = self.origin.path.clone();
        let load = move || Config::load_noting_files(&path, &ProcessEnv);
        let (loaded, files) = tokio::task::spawn_blocking(load)
            .await
            .expect("loading does not panic, or the reload does");
        self.origin.files = files;
        self.put_into_force(cause, loaded).await
    }

    async fn put_into_force(&mut self, cause: &str, loaded: Loaded) -> Result<String, String> {
        let wrong = match loaded {
            Ok((config, warnings)) => match self.running.access.set_roles(&config.web) {
                Ok(()) => {
                    let changes = self.running.reconfigure(config).await;
                    info!(cause, %changes, "configuration reloaded");
                    warnings.iter().for_each(log);
                    return Ok(lines(&format!("reloaded: {changes}"), &warnings));
                }
                Err(refused) => vec![Diagnostic {
                    file: self.origin.path.clone(),
                    position: None,
                    level: Level::Error,
                    message: refused.to_string(),
                    hint: None,
                }],
            },
            Err(wrong) => wrong,
        };
        self.running.exporter.config_rejected();
        error!(cause, "configuration refused: the old one stays in force");
        wrong.iter().for_each(log);
        Err(lines(
            "refused: the old configuration stays in force",
            &wrong,
        ))
    }
}

impl Running {
    /// Puts a configuration into force, for polls and scrapes.
    pub(super) async fn apply(&mut self, config: Config) -> Changes {
        let config = Arc::new(config);
        self.directory.configure(&config.targets);
        self.reports.configure(&config);
        self.exposition.set_families(enabled(&config));
        self.clients.reload();
        let changes = self.fleet.apply(&config).await;
        self.exporter.config_loaded(Timestamp::now(), config.hash);
        changes
    }

    /// Puts a configuration into force while everything runs.
    async fn reconfigure(&mut self, config: Config) -> Changes {
        let wanted = wanted(&config, &self.directory);
        let changes = self.apply(config).await;
        // The engine is gone only at shutdown.
        let _ = self.engine.send(wanted).await;
        changes
    }
}

async fn again(files: Files) -> Files {
    let read = move || files.again(&ProcessEnv);
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

fn log(diagnostic: &Diagnostic) {
    let Diagnostic {
        file,
        position,
        level,
        message,
        hint,
    } = diagnostic;
    let (line, column) = position.map_or((None, None), |at| (Some(at.line), Some(at.column)));
    let hint = hint.as_deref();
    match level {
        Level::Error => error!(file = %file.display(), line, column, hint, "{message}"),
        Level::Warning => warn!(file = %file.display(), line, column, hint, "{message}"),
    }
}

fn lines(first: &str, diagnostics: &[Diagnostic]) -> String {
    let rest = diagnostics.iter().map(|it| format!("\n{it}"));
    std::iter::once(first.to_owned()).chain(rest).collect()
}

/// The families that a configuration leaves.
fn enabled(config: &Config) -> Vec<&'static Family> {
    families()
        .filter(|family| config.metrics.is_enabled(family.name))
        .collect()
}

/// What a configuration says about alerts.
pub(super) fn wanted(config: &Config, directory: &Arc<Directory>) -> alerting::Wanted {
    let names = || Arc::new(OdooNames(Arc::clone(directory)));
    alerting::Wanted {
        alerting: config.alerting.clone(),
        names: config.privacy.names_in_alerts.then(|| names() as _),
        external_url: config.web.external_url.clone(),
    }
}
