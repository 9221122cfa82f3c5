//! `--web.config.file` is read again when it, or a file that it names, has changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Access, NotTaken, Rules};
use crate::config::web_file::{Sources, WebConfig, WebFile};
use crate::config::{Diagnostic, Level, ProcessEnv};
use crate::exposition::ExporterState;

/// A change counts once two looks saw the same, this time apart.
const SETTLED: Duration = Duration::from_millis(500);

impl Access {
    /// Reads the file again when it changes, and checks this often whether it did, until `stop`. Refuses a file that is wrong, or that
    /// would let in clients that are kept out now. `exporter` counts the result.
    pub async fn reread(
        self,
        path: PathBuf,
        read: Sources,
        every: Duration,
        exporter: Arc<ExporterState>,
        stop: CancellationToken,
    ) {
        exporter.web_config_loaded(true);
        let mut known = read;
        let mut changed: Option<WebFile> = None;
        loop {
            let wait = if changed.is_some() { SETTLED } else { every };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
            let path = path.clone();
            let look = move || {
                let newest = changed.as_ref().map_or(&known, |file| &file.sources);
                if newest.are_current(&ProcessEnv) {
                    return (known, changed.take(), None);
                }
                (known, None, Some(WebFile::load(&path, &ProcessEnv)))
            };
            let Ok((before, settled, seen)) = tokio::task::spawn_blocking(look).await else {
                return;
            };
            (known, changed) = (before, seen);
            if let Some(file) = settled {
                known = file.sources.clone();
                exporter.web_config_loaded(self.take(file));
            }
        }
    }

    /// True if the file is in force now.
    fn take(&self, file: WebFile) -> bool {
        for diagnostic in &file.diagnostics {
            log(diagnostic);
        }
        let taken = match file.config {
            None => Err("it has errors".to_owned()),
            Some(web) => self.set_web(web).map_err(|error| error.to_string()),
        };
        match &taken {
            Ok(()) => info!("web configuration reloaded"),
            Err(why) => {
                error!("web configuration refused; the old one stays in force: {why}");
            }
        }
        taken.is_ok()
    }

    /// Takes another file from now on: for new connections, and for the next request of open ones.
    ///
    /// # Errors
    /// If it would admit clients that are refused now.
    pub fn set_web(&self, web: WebConfig) -> Result<(), NotTaken> {
        self.change(|before| {
            let rules = Rules::new(before.roles.clone(), web);
            rules.keep_web(&before.web).map(|()| rules)
        })?;
        for stranger in self.strangers() {
            warn!("`web.roles` names {stranger}, who cannot sign in");
        }
        Ok(())
    }
}

fn log(diagnostic: &Diagnostic) {
    let Diagnostic {
        position,
        message,
        hint,
        level,
        ..
    } = diagnostic;
    let line = position.map(|at| at.line);
    let hint = hint.as_deref().unwrap_or_default();
    match level {
        Level::Error => error!(line, hint, "web configuration: {message}"),
        Level::Warning => warn!(line, hint, "web configuration: {message}"),
    }
}
