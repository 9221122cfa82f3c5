//! The scrape.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use futures::future::{BoxFuture, Either};
use tower_service::Service;

use super::access::{Role, guard};
use super::negotiate::{ContentType, coding, content_type};
use super::{App, internal_error};
use crate::exposition::{self, Coding};

/// Where the metrics are: a path that no other route has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsPath(String);

/// A path that metrics cannot be served under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path such as /metrics is wanted: letters, digits and -._ between slashes, and not one of the exporter's other paths (docs/web.md)"
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
        // What other routes begin with.
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

/// The routes, and a shorter way to the one that is asked most: a router copies and boxes it for each request, a tenth of a scrape.
#[derive(Debug, Clone)]
pub struct Routes {
    app: Arc<App>,
    router: Router,
}

impl Routes {
    pub(super) fn new(app: Arc<App>, router: Router) -> Self {
        Self { app, router }
    }
}

impl<B> Service<Request<B>> for Routes
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<BoxFuture<'static, Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.router, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_metrics = request.uri().path() == self.app.metrics_path.as_str();
        if !is_metrics || *request.method() != Method::GET {
            return Either::Right(self.router.call(request));
        }
        let app = Arc::clone(&self.app);
        Either::Left(Box::pin(async move {
            let answer = async |request: Request<()>| Ok(answer(&app, request.headers()).await);
            guard(&app, request.map(drop), Some(Role::Scrape), answer).await
        }))
    }
}

pub(super) async fn scrape(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    answer(&app, &headers).await
}

const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

async fn answer(app: &App, request: &HeaderMap) -> Response {
    let content_type: ContentType = content_type(request);
    let coding = coding(request);
    let Ok(body) = app.exposition.body(content_type.format, coding).await else {
        return internal_error();
    };
    let mut response = match body {
        exposition::Body::Whole(bytes) => Body::from(bytes),
        stream => Body::from_stream(stream.into_stream()),
    }
    .into_response();
    let headers = response.headers_mut();
    // For those of every answer, too.
    headers.reserve(8);
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
