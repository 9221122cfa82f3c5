//! One target's metrics at a time, as the blackbox exporter serves them, and the targets for Prometheus' service discovery.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::HeaderMap};
use serde::{Deserialize, Serialize};

use super::negotiate::content_type;
use super::{App, Connection};

#[derive(Debug, Deserialize)]
pub struct ProbeQuery {
    target: Option<String>,
}

/// The families of one target, of the newest snapshot: nothing is polled.
pub async fn probe(
    State(app): State<Arc<App>>,
    Query(query): Query<ProbeQuery>,
    request: HeaderMap,
) -> Response {
    let Some(name) = query.target.filter(|name| !name.is_empty()) else {
        let missing = "`target` is missing: /probe?target=NAME\n";
        return (StatusCode::BAD_REQUEST, missing).into_response();
    };
    let Ok(target) = app.snapshot(&name) else {
        let missing = format!("unknown target '{name}': /sd lists all targets\n");
        return (StatusCode::NOT_FOUND, missing).into_response();
    };
    let content_type = content_type(&request);
    let text = app.exposition.of_target(target, content_type.format);
    ([(header::CONTENT_TYPE, content_type.name)], text).into_response()
}

/// The reply to Prometheus' `http_sd_configs`.
#[derive(Debug, Serialize)]
pub struct Discovered {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// Address for scrapes by Prometheus: host and port, scheme, and the path of `/probe`.
struct Reached {
    address: String,
    scheme: String,
    path: String,
}

impl Reached {
    /// The configured address, or else that of the request.
    fn of(app: &App, connection: Option<&Connection>, parts: &Parts) -> Option<Self> {
        if let Some(url) = app.access.external_url() {
            let host = url.host_str().unwrap_or_default();
            let port = url.port().map(|port| format!(":{port}"));
            return Some(Self {
                address: format!("{host}{}", port.unwrap_or_default()),
                scheme: url.scheme().to_owned(),
                path: format!("{}probe", url.path()),
            });
        }
        let host = parts.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(|it| it.as_str());
        let address = authority.or(host).filter(|it| !it.is_empty())?;
        let secure = connection.is_some_and(|connection| connection.secure);
        Some(Self {
            address: address.to_owned(),
            scheme: if secure { "https" } else { "http" }.to_owned(),
            path: "/probe".to_owned(),
        })
    }
}

/// Each target as one to scrape at `/probe`.
pub async fn discover(
    State(app): State<Arc<App>>,
    connection: Option<Extension<Connection>>,
    parts: Parts,
) -> Response {
    let connection = connection.map(|Extension(connection)| connection);
    let Some(reached) = Reached::of(&app, connection.as_ref(), &parts) else {
        let missing = "the header `Host` is missing: /sd returns it as the address to scrape\n";
        return (StatusCode::BAD_REQUEST, missing).into_response();
    };
    let discovered = |name: &str, labels: &[(String, String)]| {
        let fixed = [
            ("__scheme__", reached.scheme.as_str()),
            ("__metrics_path__", &reached.path),
            ("__param_target", name),
            // All have one address: without this their `up` would be one series.
            ("instance", name),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let own = labels.iter().map(|(name, value)| {
            (
                format!("__meta_odoo_mfa_exporter_label_{name}"),
                value.clone(),
            )
        });
        Discovered {
            targets: [reached.address.clone()],
            labels: fixed.into_iter().chain(own).collect(),
        }
    };
    let snapshots = app.board.snapshots();
    let all = snapshots
        .iter()
        .map(|it| discovered(&it.identity.name, &it.identity.labels));
    Json(all.collect::<Vec<_>>()).into_response()
}
