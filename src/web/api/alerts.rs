//! The alerts, in the format of Prometheus' `/api/v1/alerts`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query::{Parameters, given};
use crate::alerting::AlertView;
use crate::domain::alert::Phase;
use crate::domain::vocabulary::vocabulary;
use crate::web::App;

vocabulary! {
    /// State of an alert.
    AlertState {
        /// Its condition holds, not yet for long enough.
        Pending = "pending",
        /// It is sent.
        Firing = "firing",
    }
}

/// Filter of alerts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AlertsQuery {
    /// Only these.
    #[serde(deserialize_with = "given")]
    state: Option<AlertState>,
    /// Only those of this target.
    #[serde(deserialize_with = "given")]
    target: Option<String>,
    /// Only those of this name.
    #[serde(deserialize_with = "given")]
    alertname: Option<String>,
    /// Only those of this severity.
    #[serde(deserialize_with = "given")]
    severity: Option<String>,
}

/// The pending and firing alerts, without names of users.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Answer {
    status: Success,
    data: Data,
}

#[derive(Debug, Serialize, JsonSchema)]
enum Success {
    #[serde(rename = "success")]
    Success,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Data {
    alerts: Vec<Alert>,
}

/// One alert as Prometheus writes it.
#[derive(Debug, Serialize, JsonSchema)]
struct Alert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    state: AlertState,
    /// Since when its condition holds.
    #[serde(rename = "activeAt")]
    active_at: jiff::Timestamp,
    /// The number that it is about, in scientific notation.
    value: String,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<AlertsQuery>,
) -> Json<Answer> {
    let is = |alert: &Alert, name: &str, wanted: &Option<String>| {
        wanted.is_none() || alert.labels.get(name) == wanted.as_ref()
    };
    let wanted = |alert: &Alert| {
        query.state.is_none_or(|state| alert.state == state)
            && is(alert, "target", &query.target)
            && is(alert, "alertname", &query.alertname)
            && is(alert, "severity", &query.severity)
    };
    let alerts = app.alerts.all();
    Json(Answer {
        status: Success::Success,
        data: Data {
            alerts: alerts.iter().map(alert).filter(wanted).collect(),
        },
    })
}

fn alert(view: &AlertView) -> Alert {
    Alert {
        labels: view.labels.to_map(),
        annotations: view.annotations(),
        state: match view.phase {
            Phase::Firing => AlertState::Firing,
            Phase::Pending | Phase::Resolved => AlertState::Pending,
        },
        active_at: view.active_at,
        value: format!("{:e}", view.value),
    }
}
