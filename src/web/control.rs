//! Changes to the running daemon: `POST /-/reload` and `POST /-/log-level`.

use std::fmt::Debug;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use futures::future::BoxFuture;
use serde::Deserialize;

use super::App;

/// Interface for changes while the daemon runs.
pub trait Control: Send + Sync + Debug {
    /// Reloads the configuration. Continues even if the caller stops waiting. Returns what changed, or all errors.
    fn reload(&self) -> BoxFuture<'_, Result<String, String>>;

    /// The log level.
    fn log_level(&self) -> String;

    /// Logs this from now on.
    ///
    /// # Errors
    /// If it is not a level.
    fn set_log_level(&self, level: &str) -> Result<(), String>;
}

/// `?level=debug`
#[derive(Debug, Deserialize)]
pub struct LogLevel {
    level: String,
}

type Answer = (StatusCode, String);

pub async fn reload(State(app): State<Arc<App>>) -> Answer {
    let Some(control) = &app.control else {
        return nothing_to_change();
    };
    match control.reload().await {
        Ok(done) => (StatusCode::OK, done + "\n"),
        Err(wrong) => (StatusCode::INTERNAL_SERVER_ERROR, wrong + "\n"),
    }
}

pub async fn log_level(State(app): State<Arc<App>>) -> Answer {
    match &app.control {
        Some(control) => (StatusCode::OK, control.log_level() + "\n"),
        None => nothing_to_change(),
    }
}

pub async fn set_log_level(
    State(app): State<Arc<App>>,
    Query(LogLevel { level }): Query<LogLevel>,
) -> Answer {
    let Some(control) = &app.control else {
        return nothing_to_change();
    };
    match control.set_log_level(&level) {
        Ok(()) => (StatusCode::OK, control.log_level() + "\n"),
        Err(wrong) => (StatusCode::BAD_REQUEST, wrong + "\n"),
    }
}

fn nothing_to_change() -> Answer {
    (
        StatusCode::NOT_FOUND,
        "this exporter has no HTTP control\n".into(),
    )
}
