//! What the exporter serves over HTTP. Everything is read-only: GET and HEAD.
//!
//! - `/` names the version, the links and the targets with their state
//! - `/metrics` (the path is configurable) in the format and coding that the client prefers
//! - `/api/v1/alerts` lists the alerts that are pending or fire, as Prometheus does; nobody is named
//! - `/-/healthy` answers while the process does
//! - `/-/ready` answers 200 once every target's first poll has ended, or its deadline has passed

pub mod access;
mod alerts;
mod landing;
mod metrics;
mod negotiate;
mod problem;
mod readiness;
mod server;

pub use metrics::{MetricsPath, UnusablePath};
pub use problem::Problem;
pub use readiness::{Readiness, ReadinessLatch, Unpolled};
pub use server::{Connection, Limits, serve, serve_within};

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::alerting::Alerts;
use crate::exposition::{Board, Exposition};

/// What the routes read.
#[derive(Debug)]
pub struct App {
    /// Answers scrapes.
    pub exposition: Arc<Exposition>,
    /// The targets.
    pub board: Arc<Board>,
    /// Who may see what.
    pub access: access::Access,
    /// The alerts.
    pub alerts: Alerts,
    /// Whether the first polls have ended.
    pub readiness: Readiness,
    /// Where the metrics are.
    pub metrics_path: MetricsPath,
}

/// All routes.
pub fn router(app: App) -> Router {
    let metrics_path = app.metrics_path.to_string();
    let app = Arc::new(app);
    Router::new()
        .route("/", get(landing::page))
        .route(&metrics_path, get(metrics::scrape))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/-/healthy", get("healthy\n"))
        .route("/-/ready", get(readiness::answer))
        .fallback((StatusCode::NOT_FOUND, "not found\n"))
        .method_not_allowed_fallback(async || {
            (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n")
        })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            access::guard,
        ))
        .with_state(app)
}

/// A defect: nothing about it is told to the client.
fn internal_error() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
}
