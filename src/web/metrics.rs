//! The scrape.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::App;
use super::negotiate::{ContentType, coding, content_type};
use crate::exposition::{self, Coding};

/// Path of the metrics: one that no other route has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsPath(String);

/// A path that metrics cannot be served under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a path such as /metrics: letters, digits and -._ between slashes, and not one of the exporter's other paths (docs/web.md)"
)]
pub struct UnusablePath;

impl Default for MetricsPath {
    fn default() -> Self {
        Self("/metrics".into())
    }
}

impl FromStr for MetricsPath {
    type Err = UnusablePath;

    fn from_str(path: &str) -> Result<Self, UnusablePath> {
        let usable = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !segment.is_empty() && segment.bytes().all(plain)
        };
        // Beginnings of other routes.
        const TAKEN: [&str; 7] = ["-", "alerts", "api", "probe", "sd", "sign-in", "targets"];
        let (root, segments) = path.split_once('/').ok_or(UnusablePath)?;
        let taken = TAKEN.contains(&segments.split('/').next().unwrap_or_default());
        if root.is_empty() && segments.split('/').all(usable) && !taken {
            Ok(Self(path.into()))
        } else {
            Err(UnusablePath)
        }
    }
}

impl MetricsPath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MetricsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All targets' families and the exporter's own.
pub(super) async fn scrape(State(app): State<Arc<App>>, request: HeaderMap) -> Response {
    let content_type: ContentType = content_type(&request);
    let coding = coding(&request);
    let body = app.exposition.body(content_type.format, coding).await;
    let mut response = match body {
        exposition::Body::Whole(bytes) => Body::from(bytes),
        stream => Body::from_stream(stream.into_stream()),
    }
    .into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type.name),
    );
    headers.insert(header::VARY, VARY);
    if coding == Coding::Gzip {
        headers.insert(header::CONTENT_ENCODING, GZIP);
    }
    response
}

const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_route_of_its_own_is_refused() {
        for path in ["/metrics", "/metrics/erp.1", "/a-b_c"] {
            assert_eq!(
                path.parse::<MetricsPath>().map(|path| path.to_string()),
                Ok(path.into())
            );
        }
        for path in [
            "",
            "/",
            "metrics",
            "/a//b",
            "/a/",
            "/{x}",
            "/a b",
            "/-/ready",
            "/-/x",
            "x/y",
            "/%41",
            "/sd",
            "/probe",
            "/api/v1/targets",
            "/sign-in",
            "/targets/x",
        ] {
            assert_eq!(path.parse::<MetricsPath>(), Err(UnusablePath), "{path}");
        }
    }
}
