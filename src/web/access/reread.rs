//! `--web.config.file` is read again when it, or a file that it names, has changed.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Access, NobodyCanSignIn, Rules};
use crate::config::web_file::{Sources, WebConfig, WebFile};
use crate::config::{Diagnostic, Level, ProcessEnv};

/// A change counts once two looks saw the same, this time apart.
const SETTLED: Duration = Duration::from_millis(500);

/// A change that a running daemon does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// HTTPS is switched on or off.
    #[error("TLS is switched on or off only by a restart")]
    Tls,
    /// There are no users any more: a file that was cut off must not open the door.
    #[error("the last user is removed only by a restart")]
    Users,
    /// There are roles, and nobody who could have them.
    #[error(transparent)]
    Roles(#[from] NobodyCanSignIn),
}

impl Access {
    /// Reads the file again whenever it changes, looking this often, until it is told to stop. One that is wrong is not taken.
    pub async fn reread(
        self,
        path: PathBuf,
        read: Sources,
        every: Duration,
        stop: CancellationToken,
    ) {
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
                self.take(file);
            }
        }
    }

    fn take(&self, file: WebFile) {
        for diagnostic in &file.diagnostics {
            log(diagnostic);
        }
        let taken = match file.config {
            None => Err("it is wrong".to_owned()),
            Some(web) => self.set_web(web).map_err(|error| error.to_string()),
        };
        match taken {
            Ok(()) => info!("the web configuration was read again"),
            Err(why) => {
                error!(
                    "the web configuration was changed, and is not taken: {why}; the one before stays in force"
                );
            }
        }
    }

    /// Takes another file from now on: for new connections, and for the next request of open ones.
    ///
    /// # Errors
    /// When it takes protection away that a running daemon keeps.
    pub fn set_web(&self, web: WebConfig) -> Result<(), NotTaken> {
        self.change(|rules| {
            if web.tls.is_some() != rules.web.tls.is_some() {
                return Err(NotTaken::Tls);
            }
            if web.users.is_empty() && !rules.web.users.is_empty() {
                return Err(NotTaken::Users);
            }
            let rules = Rules::new(rules.roles.clone(), web);
            rules.verify()?;
            Ok(rules)
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
