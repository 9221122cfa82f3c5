//! The HTTP server. Everything except `/-/reload` and `/-/log-level` is read-only: GET and HEAD.
//!
//! - [pages] for users
//! - `/metrics` (the path is configurable) in the format and coding that the client prefers
//! - `/probe?target=NAME` has the metrics of one target, and `/sd` lists all targets for Prometheus
//! - `/api/v1/...` is for programs; docs/openapi.json describes it
//! - `/sign-in?next=/PATH` makes a browser ask for user and password, then redirects there; `/sign-out` makes it forget them
//! - `/-/reload` (POST) loads the configuration again: 200 with what changed, or 500 with what is wrong, and then nothing has changed
//! - `/-/log-level` says what is logged; POST with `?level=debug` changes it until the end of the process
//! - `/-/healthy` answers while the process does
//! - `/-/ready` answers 200 once every target's first poll has ended, or its deadline has passed

pub mod access;
pub mod api;
mod changes;
mod control;
pub mod directory;
mod metrics;
mod negotiate;
mod pages;
pub mod paging;
mod probe;
mod problem;
mod readiness;
mod reports;
mod runbooks;
mod server;
mod sign;

pub use control::Control;
pub use metrics::{MetricsPath, UnusablePath};
pub use problem::Problem;
pub use readiness::{Readiness, ReadinessLatch, Unpolled};
pub use reports::Reports;
pub use server::{Connection, Limits, serve, serve_within};

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::alerting::Alerts;
use crate::domain::TargetSnapshot;
use crate::exposition::{Board, Exposition};
use crate::store::Store;

/// State of the routes.
#[derive(Debug)]
pub struct App {
    /// Answers scrapes.
    pub exposition: Arc<Exposition>,
    /// The targets.
    pub board: Arc<Board>,
    /// Access rules.
    pub access: access::Access,
    /// The store, if there is one.
    pub store: Option<Store>,
    /// The alerts.
    pub alerts: Alerts,
    /// Source of names.
    pub directory: Arc<directory::Directory>,
    /// Settings of reports.
    pub reports: Reports,
    /// Readiness of the first polls.
    pub readiness: Readiness,
    /// Path of the metrics.
    pub metrics_path: MetricsPath,
    /// Interface for changes; `None`: nothing can be changed.
    pub control: Option<Arc<dyn Control>>,
}

/// All routes.
pub fn router(app: App) -> Router {
    let app = Arc::new(app);
    Router::new()
        .merge(pages::routes())
        .route(app.metrics_path.as_str(), get(metrics::scrape))
        .route("/probe", get(probe::probe))
        .route("/sd", get(probe::discover))
        .route("/runbooks/{name}", get(runbooks::runbook))
        .route("/sign-in", get(sign::r#in))
        .route("/sign-out", get(sign::out))
        .route("/-/reload", post(control::reload))
        .route(
            "/-/log-level",
            get(control::log_level).post(control::set_log_level),
        )
        .route("/-/healthy", get("healthy\n"))
        .route("/-/ready", get(readiness::answer))
        .merge(api::routes())
        .fallback(async |State(app): State<Arc<App>>, request: Request| {
            let reader = request.extensions().get();
            let detail = "not found";
            pages::refuse(&app, reader, &request, StatusCode::NOT_FOUND, detail)
        })
        .method_not_allowed_fallback(async |State(app): State<Arc<App>>, request: Request| {
            let reader = request.extensions().get();
            let detail = "method not allowed";
            pages::refuse(
                &app,
                reader,
                &request,
                StatusCode::METHOD_NOT_ALLOWED,
                detail,
            )
        })
        .layer(from_fn_with_state(Arc::clone(&app), access::guard))
        .with_state(app)
}

impl App {
    /// The newest snapshot of a target.
    ///
    /// # Errors
    /// If there is none of that name.
    fn snapshot(&self, name: &str) -> Result<Arc<TargetSnapshot>, Problem> {
        self.board.find(name).ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                format!("unknown target '{name}': /api/v1/targets lists all targets"),
            )
        })
    }
}

/// A defect of the exporter. The response has no details.
fn internal_error() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
}
