//! The API for programs, `/api/v1/...`: JSON, read-only. Errors are problem details (RFC 9457).
//!
//! An unknown value is `null`, never 0. An unknown parameter is refused: a misspelled filter must not return everything.
//! docs/openapi.json is generated from the operations and types here.

mod alerts;
mod names;
mod numbers;
mod openapi;
mod query;
mod remembered;
mod targets;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::App;
pub use alerts::AlertState;
pub use numbers::Policy;
pub use openapi::document;
pub use targets::SortTargets;
pub use view::TargetState;

/// The routes of the API.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/targets", get(targets::list))
        .route("/api/v1/targets/{name}", get(targets::one))
        .route("/api/v1/users", get(names::users))
        .route("/api/v1/keys", get(names::keys))
        .route("/api/v1/changes", get(remembered::changes))
        .route("/api/v1/history", get(remembered::history))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/openapi.json", get(openapi::answer))
}
