//! What the exporter serves over HTTP. Everything is read-only: GET and HEAD.
//!
//! - [pages] for people
//! - `/metrics` (the path is configurable) in the format and coding that the client prefers
//! - `/api/v1/alerts` lists the alerts that are pending or fire, as Prometheus does; nobody is named
//! - `/-/healthy` answers while the process does
//! - `/-/ready` answers 200 once every target's first poll has ended, or its deadline has passed

pub mod access;
mod alerts;
pub mod directory;
mod metrics;
mod negotiate;
mod pages;
mod readiness;
mod server;

pub use metrics::{MetricsPath, UnusablePath};
pub use readiness::{Readiness, ReadinessLatch, Unpolled};
pub use server::{Limits, serve, serve_within};

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::alerting::Alerts;
use crate::exposition::{Board, Exposition};
use crate::store::Store;

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
    /// What is remembered, where something is.
    pub store: Option<Store>,
    /// Who is behind the numbers.
    pub directory: Arc<directory::Directory>,
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
        .merge(pages::routes())
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
            access::identify,
        ))
        .layer(middleware::map_response(with_security_headers))
        .with_state(app)
}

/// Nothing that is served runs scripts, loads anything from elsewhere, is framed, or may be kept by a cache.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

async fn with_security_headers(mut response: Response) -> Response {
    for (name, value) in SECURITY_HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A defect: nothing about it is told to the client.
fn internal_error() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
}
