//! The alerts, in the format of Prometheus' `/api/v1/alerts`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use crate::alerting::AlertView;
use crate::domain::alert::{Labels, Phase};

/// One alert as Prometheus writes it.
#[derive(Serialize)]
struct Alert<'a> {
    labels: &'a Labels,
    annotations: &'a Labels,
    state: &'static str,
    #[serde(rename = "activeAt")]
    active_at: jiff::Timestamp,
    value: String,
}

pub async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let alerts = app.alerts.all();
    let alerts: Vec<_> = alerts.iter().map(alert).collect();
    Json(json!({"status": "success", "data": {"alerts": alerts}}))
}

fn alert(view: &AlertView) -> Alert<'_> {
    Alert {
        labels: &view.labels,
        annotations: &view.annotations,
        state: match view.phase {
            Phase::Firing => "firing",
            Phase::Pending | Phase::Resolved => "pending",
        },
        active_at: view.active_at,
        value: format!("{:e}", view.value),
    }
}
