//! The HTTP client for servers that are not trusted: Odoo, checks from outside, and receivers of alerts.
//!
//! It reads a limited number of bytes, framing included, and asks for the TLS name that is set, also through a proxy.
//! It follows no redirects, and uses no proxy of the environment.

mod connector;

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::ext::on_informational;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    USER_AGENT,
};
use hyper::http::request::Builder;
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
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

/// An idle connection is not used again after this time. A name that moves is then followed at the next poll.
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
pub enum Failure {
    /// No connection could be opened.
    #[error("no connection")]
    Connect(#[source] BoxError),
    /// The request could not be sent, or its answer ended early.
    #[error("no whole answer")]
    Answer(#[source] BoxError),
}

impl Failure {
    fn answer(error: impl Into<BoxError>) -> Self {
        Self::Answer(error.into())
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

    /// The path that it asks.
    pub(super) fn path(&self) -> String {
        let uri = self.head.uri_ref();
        uri.map(|uri| uri.path().to_owned()).unwrap_or_default()
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
        self.head
            .body(Full::new(self.body))
            .map_err(Failure::answer)
    }
}

/// A client for one server.
pub struct Client {
    http: Decompression<Http>,
    left: Arc<Left>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// A client that reads a limited number of bytes until it is [renewed](Self::renew).
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            left: Arc::clone(&connector.left),
            http: Decompression::new(Http {
                connector: Arc::new(connector),
                kept: Arc::default(),
            }),
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
        let left = Arc::clone(&self.left);
        on_informational(&mut request, move |_| left.take(INTERIM));
        self.http.clone().call(request).await
    }
}

/// Sends requests over the connections it has, and opens one if all are busy, closed or old.
#[derive(Clone)]
struct Http {
    connector: Arc<Connector>,
    kept: Arc<Mutex<Vec<Kept>>>,
}

/// The connection of an answer, which is kept for the next request once the answer was read, or is dropped.
struct Lent {
    connection: Option<Kept>,
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.used = Instant::now();
            lock(&self.kept).push(connection);
        }
    }
}

/// A connection for the next request.
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    /// True if a proxy gets each request, with the server's URL.
    forwards: bool,
    used: Instant,
}

impl Http {
    async fn send(self, mut request: Built) -> Result<hyper::Response<Incoming>, Failure> {
        let mut connection = match self.reuse().await {
            Some(kept) => kept,
            None => self.connect(request.uri()).await?,
        };
        let uri = request.uri();
        let host = uri.host().unwrap_or_default();
        let host = match uri.port() {
            Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
            None => HeaderValue::from_str(host),
        };
        let path = uri.path_and_query().cloned();
        let headers = request.headers_mut();
        headers.insert(HOST, host.map_err(Failure::answer)?);
        if !connection.forwards {
            *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        } else if let Some(authorization) = self.connector.proxy_authorization() {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let answer = connection.sender.send_request(request).await;
        let mut answer = answer.map_err(|error| {
            // The cause may have closed the others too.
            lock(&self.kept).clear();
            Failure::answer(error)
        })?;
        answer.extensions_mut().insert(Arc::new(Lent {
            connection: Some(connection),
            kept: self.kept,
        }));
        Ok(answer)
    }

    /// The connection of an earlier request, once its answer was read.
    async fn reuse(&self) -> Option<Kept> {
        let mut kept = lock(&self.kept).pop()?;
        let usable = kept.used.elapsed() < IDLE && kept.sender.ready().await.is_ok();
        usable.then_some(kept)
    }

    async fn connect(&self, to: &Uri) -> Result<Kept, Failure> {
        let link = self.connector.link(to).await.map_err(Failure::Connect)?;
        let forwards = link.forwards;
        let link = handshake(TokioIo::new(link)).await;
        let (sender, connection) = link.map_err(Failure::answer)?;
        // It ends with the sender, which also learns how.
        tokio::spawn(connection);
        Ok(Kept {
            sender,
            forwards,
            used: Instant::now(),
        })
    }
}

fn lock(kept: &Mutex<Vec<Kept>>) -> MutexGuard<'_, Vec<Kept>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service<Built> for Http {
    type Response = hyper::Response<Incoming>;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Self::Response, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Built) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// The next piece of an answer's body; `None` at its end.
///
/// # Errors
/// If the connection breaks, or the body cannot be decompressed.
pub(super) async fn chunk(response: &mut Response) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = response.body_mut().frame().await {
        if let Ok(data) = frame.map_err(Failure::Answer)?.into_data() {
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
    let late = |_| Err(Failure::answer(io::Error::from(ErrorKind::TimedOut)));
    timeout_at(deadline, answer).await.unwrap_or_else(late)
}
