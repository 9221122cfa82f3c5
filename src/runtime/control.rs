//! Changes over HTTP.

use futures::future::BoxFuture;
use tracing::info;

use super::logging::Logging;
use super::reload::Reloader;
use crate::web::Control;

/// The parts of a daemon that can be changed, as far as it has them.
#[derive(Debug)]
pub(super) struct Controls {
    pub(super) reloader: Option<Reloader>,
    pub(super) logging: Option<Logging>,
}

impl Control for Controls {
    fn reload(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async {
            match &self.reloader {
                Some(reloader) => reloader.reload("HTTP").await,
                None => Err("the configuration is not a file, so it cannot be reloaded".to_owned()),
            }
        })
    }

    fn log_level(&self) -> String {
        self.logging
            .as_ref()
            .map(Logging::level)
            .unwrap_or_default()
    }

    fn set_log_level(&self, level: &str) -> Result<(), String> {
        let unknown = "expected a level: error, warn, info, debug or trace";
        let logging = self.logging.as_ref().ok_or("logging is disabled")?;
        logging.set_level(level).map_err(|_| unknown)?;
        info!(level, "log level changed");
        Ok(())
    }
}
