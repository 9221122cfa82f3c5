//! The page at `/`.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};

use super::{App, internal_error};
use crate::domain::TargetSnapshot;
use crate::exposition::catalogue::TargetStates;
use crate::exposition::state::BuildInfo;

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing<'a> {
    build: BuildInfo,
    metrics_path: String,
    states: TargetStates,
    store_errors: u64,
    targets: &'a [Arc<TargetSnapshot>],
}

pub async fn page(State(app): State<Arc<App>>) -> Response {
    let page = Landing {
        build: BuildInfo::THIS,
        metrics_path: app.metrics_path.to_string(),
        states: app.board.states(),
        store_errors: app.exposition.exporter().store_errors(),
        targets: &app.board.snapshots(),
    };
    match page.render() {
        Ok(page) => Html(page).into_response(),
        Err(_) => internal_error(),
    }
}

fn state(target: &TargetSnapshot) -> String {
    match (target.up(), target.failing()) {
        (Some(true), _) => "up".into(),
        (_, Some(reason)) => format!("down: {reason}"),
        _ => "pending".into(),
    }
}
