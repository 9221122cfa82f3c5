//! The HTTP client for servers that are not trusted: Odoo, checks from outside, and receivers of alerts.
//!
//! It reads a limited number of bytes, framing included, and asks for the TLS name that is set, also through a proxy.
//! It follows no redirects, and uses no proxy of the environment.

mod connector;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Method;
use hyper::body::Incoming;
use hyper::ext::on_informational;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper::http::request::Builder;
use hyper::http::uri::Scheme;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tower_http::decompression::{Decompression, DecompressionBody};
use tower_service::Service;

use self::connector::Left;
pub(super) use self::connector::{Connector, Flood};
use super::tls::BoxError;
use crate::config::Auth;

/// An idle connection is closed after this time. A name that moves is then followed at the next poll.
const IDLE: Duration = Duration::from_secs(5);

/// Size that an interim response (1xx) counts as, since it costs more than its bytes.
const INTERIM: usize = 16 << 10;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("odoo-mfa-exporter/", env!("CARGO_PKG_VERSION")));

/// A request as it is sent.
pub(super) type Built = hyper::Request<Full<Bytes>>;

/// An answer, of which [`chunk`] reads the body.
pub type Response = hyper::Response<DecompressionBody<Incoming>>;

/// Why no whole answer came. `causes` explains it.
#[derive(Debug, thiserror::Error)]
#[error("no whole answer")]
pub struct Failure(#[source] BoxError);

impl Failure {
    fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

/// A request to be sent with [`Client::send`]. It may hold a secret, so it has no `Debug`.
pub struct Request {
    head: Builder,
    body: Bytes,
}

impl Request {
    /// A GET.
    pub fn get(url: &Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST.
    pub fn post(url: &Url) -> Self {
        Self::new(Method::POST, url)
    }

    fn new(method: Method, url: &Url) -> Self {
        let head = hyper::Request::builder().method(method).uri(url.as_str());
        Self {
            head: head.header(USER_AGENT, AGENT).header(ACCEPT, "*/*"),
            body: Bytes::new(),
        }
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    /// Adds a token.
    pub(super) fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Adds credentials.
    pub fn authorized(self, auth: Option<&Auth>) -> Self {
        match auth {
            None => self,
            Some(Auth::Basic { username, password }) => {
                let both = format!("{username}:{}", password.expose_secret());
                let both = BASE64_STANDARD.encode(both);
                self.header(AUTHORIZATION, &format!("Basic {both}"))
            }
            Some(Auth::Bearer(token)) => self.bearer(token.expose_secret()),
        }
    }

    /// Sets the body.
    pub(super) fn body(mut self, body: String) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body, as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.head = self.head.header(CONTENT_TYPE, "application/json");
        let body = serde_json::to_vec(body).expect("maps of this crate have texts as keys");
        self.body = body.into();
        self
    }

    /// Finishes the request.
    ///
    /// # Errors
    /// If a header has a character that headers cannot have.
    pub(super) fn build(self) -> Result<Built, Failure> {
        self.head.body(Full::new(self.body)).map_err(Failure::new)
    }
}

/// A client for one server.
#[derive(Debug)]
pub struct Client {
    http: Decompression<legacy::Client<Connector, Full<Bytes>>>,
    /// For a proxy that gets each request.
    proxy_authorization: Option<HeaderValue>,
    left: Arc<Left>,
}

impl Client {
    /// A client that reads a limited number of bytes until it is [renewed](Self::renew).
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            proxy_authorization: connector.proxy_authorization().cloned(),
            left: Arc::clone(&connector.left),
            http: Decompression::new(
                legacy::Client::builder(TokioExecutor::new())
                    .pool_timer(TokioTimer::new())
                    .pool_idle_timeout(IDLE)
                    .pool_max_idle_per_host(1)
                    .build(connector),
            ),
        }
    }

    /// Lets the server send as many bytes again.
    pub fn renew(&self) {
        self.left.renew();
    }

    /// Sends a request, and waits for the head of the answer.
    ///
    /// # Errors
    /// If none comes.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        self.execute(request.build()?).await
    }

    /// Sends a request that was built.
    ///
    /// # Errors
    /// See [`send`](Self::send).
    pub(super) async fn execute(&self, mut request: Built) -> Result<Response, Failure> {
        if let Some(authorization) = &self.proxy_authorization
            && request.uri().scheme() == Some(&Scheme::HTTP)
        {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let left = Arc::clone(&self.left);
        on_informational(&mut request, move |_| left.take(INTERIM));
        self.http.clone().call(request).await.map_err(Failure::new)
    }
}

/// The next piece of an answer's body; `None` at its end.
///
/// # Errors
/// If the connection breaks, or the body cannot be decompressed.
pub(super) async fn chunk(response: &mut Response) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = response.body_mut().frame().await {
        if let Ok(data) = frame.map_err(Failure)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Gives up at a time.
///
/// # Errors
/// If that time comes first, or there is no answer.
pub async fn within<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = |_| Err(Failure::new(io::Error::from(ErrorKind::TimedOut)));
    timeout_at(deadline, answer).await.unwrap_or_else(late)
}
