//! `POST /-/reload`: what changes the daemon.

use std::fmt::Debug;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use futures::future::BoxFuture;

use super::App;

/// What can be changed while the daemon runs.
pub trait Control: Send + Sync + Debug {
    /// Loads the configuration again. Goes on even if nobody waits for it. Gives what changed, or everything that is wrong.
    fn reload(&self) -> BoxFuture<'_, Result<String, String>>;
}

pub async fn reload(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let Some(control) = &app.control else {
        return (StatusCode::NOT_FOUND, "there is no file to load\n".into());
    };
    match control.reload().await {
        Ok(done) => (StatusCode::OK, done + "\n"),
        Err(wrong) => (StatusCode::INTERNAL_SERVER_ERROR, wrong + "\n"),
    }
}
