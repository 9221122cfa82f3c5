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
        let missing = format!("there is no target '{name}': /sd lists them\n");
        return (StatusCode::NOT_FOUND, missing).into_response();
    };
    let content_type = content_type(&request);
    let text = app.exposition.of_target(target, content_type.format);
    ([(header::CONTENT_TYPE, content_type.name)], text).into_response()
}

/// What Prometheus' `http_sd_configs` reads.
#[derive(Debug, Serialize)]
pub struct Discovered {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// Each target as one to scrape at `/probe`, where this request came to.
pub async fn discover(
    State(app): State<Arc<App>>,
    connection: Option<Extension<Connection>>,
    parts: Parts,
) -> Response {
    let host = parts.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(|it| it.as_str());
    let Some(address) = authority.or(host).filter(|it| !it.is_empty()) else {
        let missing = "the header `Host` is missing: it says where to scrape\n";
        return (StatusCode::BAD_REQUEST, missing).into_response();
    };
    let secure = connection.is_some_and(|connection| connection.secure);
    let scheme = if secure { "https" } else { "http" };
    let discovered = |name: &str, labels: &[(String, String)]| {
        let fixed = [
            ("__scheme__", scheme),
            ("__metrics_path__", "/probe"),
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
            targets: [address.to_owned()],
            labels: fixed.into_iter().chain(own).collect(),
        }
    };
    let snapshots = app.board.snapshots();
    let all = snapshots
        .iter()
        .map(|it| discovered(&it.identity.name, &it.identity.labels));
    Json(all.collect::<Vec<_>>()).into_response()
}
