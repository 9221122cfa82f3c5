//! The HTTP client for servers that are not trusted: Odoo, checks from outside, and receivers of alerts.
//!
//! It reads a limited number of bytes, in whatever form they come, and asks for the TLS name that is set, also through a proxy.
//! It follows no redirects, and uses no proxy of the environment.

use std::future::{Ready, ready};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::ext::on_informational;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    USER_AGENT,
};
use hyper::http::request::Builder;
use hyper::http::uri::Scheme;
use hyper::{Method, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tower_http::decompression::{Decompression, DecompressionBody};
use tower_service::Service;

use super::dns::Resolver;
use super::tls::BoxError;
use crate::config::{Auth, ProxyUrl};

/// Connecting takes no longer than this, however long the request may take: lookup, TCP, proxy and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An idle connection is closed after this time. A name that moves is then followed at the next poll.
const IDLE: Duration = Duration::from_secs(5);

/// The bytes that a client reads, with those of TLS and of chunks: more than the replies of a poll may have.
const READ: usize = 48 << 20;

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

/// A server sent more than [`READ`].
#[derive(Debug, thiserror::Error)]
#[error("sends more than {} MiB, or too many interim responses (1xx)", READ >> 20)]
pub(super) struct Flood;

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
    /// A client that reads [`READ`] bytes until it is [renewed](Self::renew).
    pub(super) fn new(connector: Connector) -> Self {
        let proxy = connector.proxy.as_ref();
        Self {
            proxy_authorization: proxy.and_then(|proxy| proxy.basic_auth().cloned()),
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
        self.left.0.store(READ, Ordering::Relaxed);
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

/// Opens connections to one server.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    resolver: Resolver,
    tls: TlsConnector,
    /// The name that TLS asks for, instead of the URL's host.
    name: Option<ServerName<'static>>,
    /// The server's address, which then is not looked up.
    address: Option<SocketAddr>,
    proxy: Option<Intercept>,
    left: Arc<Left>,
}

impl Connector {
    pub(super) fn new(
        resolver: &Resolver,
        tls: Arc<ClientConfig>,
        address: Option<SocketAddr>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver.clone());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self {
            tcp,
            resolver: resolver.clone(),
            tls: tls.into(),
            name: None,
            address,
            proxy: None,
            left: Arc::new(Left(AtomicUsize::new(READ))),
        }
    }

    /// Asks for this name over TLS.
    ///
    /// # Errors
    /// If it is no name.
    pub(super) fn named(mut self, name: Option<&str>) -> Result<Self, BoxError> {
        self.name = name.map(server_name).transpose()?;
        Ok(self)
    }

    /// Uses a proxy.
    ///
    /// # Errors
    /// If its URL cannot be used.
    pub(super) fn through(mut self, proxy: Option<&ProxyUrl>) -> Result<Self, BoxError> {
        let Some(proxy) = proxy else { return Ok(self) };
        let mut url = proxy.expose().clone();
        if url.port().is_none() && url.scheme().starts_with("socks") {
            url.set_port(Some(1080)).map_err(|()| "it has no host")?;
        }
        let any = Uri::from_static("http://any");
        let proxy = Matcher::builder().all(url.as_str()).build().intercept(&any);
        self.proxy = Some(proxy.ok_or("not the URL of a proxy")?);
        Ok(self)
    }

    async fn connect(self, uri: Uri) -> Result<Link, BoxError> {
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let link = match self.proxy.clone() {
            None => {
                self.open(self.address.map_or(Ok(uri.clone()), uri_of)?)
                    .await?
            }
            Some(proxy) => {
                let first = self.to_proxy(proxy.uri()).await?;
                if proxy
                    .uri()
                    .scheme_str()
                    .is_some_and(|it| it.starts_with("socks"))
                {
                    self.socks(first, &proxy, &uri).await?
                } else if is_https {
                    tunneled(first, &proxy, uri.clone()).await?
                } else {
                    return Ok(Link {
                        forwards: true,
                        ..first
                    });
                }
            }
        };
        if !is_https {
            return Ok(link);
        }
        let name = self.name.clone();
        let name = name.map_or_else(|| server_name(uri.host().unwrap_or_default()), Ok)?;
        self.secured(link, name).await
    }

    /// Connects to a proxy. Its own host is its name.
    async fn to_proxy(&self, uri: &Uri) -> Result<Link, BoxError> {
        let link = self.open(uri.clone()).await?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(link);
        }
        let name = server_name(uri.host().unwrap_or_default())?;
        self.secured(link, name).await
    }

    async fn open(&self, uri: Uri) -> Result<Link, BoxError> {
        let stream = self.tcp.clone().call(uri).await?.into_inner();
        Ok(Link {
            io: Box::new(stream),
            left: Some(Arc::clone(&self.left)),
            forwards: false,
        })
    }

    async fn secured(&self, link: Link, name: ServerName<'static>) -> Result<Link, BoxError> {
        let stream = self.tls.connect(name, link).await?;
        Ok(Link {
            io: Box::new(stream),
            left: None,
            forwards: false,
        })
    }

    /// With `socks5h://` the proxy looks up the name.
    async fn socks(&self, first: Link, proxy: &Intercept, to: &Uri) -> Result<Link, BoxError> {
        let host = to.host().unwrap_or_default();
        let standard = if to.scheme() == Some(&Scheme::HTTPS) {
            443
        } else {
            80
        };
        let port = to.port_u16().unwrap_or(standard);
        let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
        let to = if proxy.uri().scheme_str() == Some("socks5") && !is_address {
            let found = self.resolver.sockets(host, port).await?;
            uri_of(*found.first().ok_or("the host has no address")?)?
        } else {
            format!("http://{host}:{port}").parse()?
        };
        let mut socks = SocksV5::new(proxy.uri().clone(), Opened(Some(first)));
        if let Some((username, password)) = proxy.raw_auth() {
            socks = socks.with_auth(username.to_owned(), password.to_owned());
        }
        Ok(socks.call(to).await?.into_inner())
    }
}

async fn tunneled(first: Link, proxy: &Intercept, to: Uri) -> Result<Link, BoxError> {
    let mut tunnel = Tunnel::new(proxy.uri().clone(), Opened(Some(first)))
        .with_headers(HeaderMap::from_iter([(USER_AGENT, AGENT)]));
    if let Some(authorization) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(authorization.clone());
    }
    Ok(tunnel.call(to).await?.into_inner())
}

fn server_name(host: &str) -> Result<ServerName<'static>, BoxError> {
    let host = host.trim_matches(['[', ']']).to_owned();
    Ok(ServerName::try_from(host)?)
}

fn uri_of(address: SocketAddr) -> Result<Uri, BoxError> {
    Ok(format!("http://{address}").parse()?)
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(CONNECT_TIMEOUT, self.clone().connect(uri));
        Box::pin(async {
            let late = |_| Err(io::Error::from(ErrorKind::TimedOut).into());
            connecting.await.unwrap_or_else(late).map(TokioIo::new)
        })
    }
}

/// A connection to a proxy, for the negotiation with it.
struct Opened(Option<Link>);

impl Service<Uri> for Opened {
    type Response = TokioIo<Link>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let link = self.0.take().ok_or(ErrorKind::NotConnected.into());
        ready(link.map(TokioIo::new))
    }
}

/// The bytes that a client may still read.
#[derive(Debug)]
struct Left(AtomicUsize);

impl Left {
    fn take(&self, bytes: usize) {
        let less = |left: usize| Some(left.saturating_sub(bytes));
        // It never fails: the function always gives a number.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection.
pub(super) struct Link {
    io: Box<dyn Io>,
    /// Counted at the socket only, not once more inside TLS.
    left: Option<Arc<Left>>,
    /// A proxy gets each request, with the server's URL.
    forwards: bool,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwards)
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.left.as_ref();
        if left.is_some_and(|left| left.0.load(Ordering::Relaxed) == 0) {
            return Poll::Ready(Err(io::Error::other(Flood)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if let Some(left) = &self.left {
            left.take(buffer.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
