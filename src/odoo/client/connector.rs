//! Connections: TCP, proxies, TLS, and how many bytes are read.

use std::future::{Ready, ready};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderMap, HeaderValue, USER_AGENT};
use hyper::http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::AGENT;
use crate::config::ProxyUrl;
use crate::odoo::dns::Resolver;
use crate::odoo::tls::BoxError;

/// Connecting takes no longer than this, however long the request may take: lookup, TCP, proxy and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes that a client reads, with those of TLS and of chunks: more than the replies of a poll may have.
const READ: isize = 48 << 20;

/// A server sent more than [`READ`].
#[derive(Debug, thiserror::Error)]
#[error("sends more than {} MiB, or too many interim responses (1xx)", READ >> 20)]
pub(in crate::odoo) struct Flood;

/// Opens connections to one server.
pub(in crate::odoo) struct Connector {
    tcp: HttpConnector<Resolver>,
    resolver: Resolver,
    tls: TlsConnector,
    /// The name that TLS asks for, instead of the URL's host.
    name: Option<ServerName<'static>>,
    /// The server's address, which then is not looked up.
    address: Option<SocketAddr>,
    proxy: Option<Intercept>,
    pub(super) left: Arc<Left>,
}

impl Connector {
    pub(in crate::odoo) fn new(
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
            left: Arc::new(Left(AtomicIsize::new(READ))),
        }
    }

    /// Asks for this name over TLS.
    ///
    /// # Errors
    /// If it is no name.
    pub(in crate::odoo) fn named(mut self, name: Option<&str>) -> Result<Self, BoxError> {
        let name = name.map(|name| ServerName::try_from(name.to_owned()));
        self.name = name.transpose()?;
        Ok(self)
    }

    /// Uses a proxy.
    ///
    /// # Errors
    /// If its URL cannot be used.
    pub(in crate::odoo) fn through(mut self, proxy: Option<&ProxyUrl>) -> Result<Self, BoxError> {
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

    /// The credentials for a proxy that gets each request.
    pub(super) fn proxy_authorization(&self) -> Option<&HeaderValue> {
        self.proxy.as_ref()?.basic_auth()
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If there is none in time.
    pub(super) async fn link(&self, to: &Uri) -> Result<Link, BoxError> {
        let late = |_| Err(io::Error::from(ErrorKind::TimedOut).into());
        let connecting = timeout(CONNECT_TIMEOUT, self.connect(to));
        connecting.await.unwrap_or_else(late)
    }

    async fn connect(&self, uri: &Uri) -> Result<Link, BoxError> {
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let link = match (&self.proxy, self.address) {
            (Some(proxy), _) => {
                let first = self.to_proxy(proxy.uri()).await?;
                match proxy.uri().scheme_str() {
                    Some("socks5" | "socks5h") => self.socks(first, proxy, uri).await?,
                    _ if is_https => tunneled(first, proxy, uri.clone()).await?,
                    _ => {
                        let forwards = true;
                        return Ok(Link { forwards, ..first });
                    }
                }
            }
            (None, Some(address)) => self.open(uri_of(address)?).await?,
            (None, None) => self.open(uri.clone()).await?,
        };
        match &self.name {
            _ if !is_https => Ok(link),
            Some(name) => self.secured(link, name.clone()).await,
            None => self.secured(link, host_of(uri)?).await,
        }
    }

    /// Connects to a proxy. Its own host is its name.
    async fn to_proxy(&self, uri: &Uri) -> Result<Link, BoxError> {
        let link = self.open(uri.clone()).await?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            self.secured(link, host_of(uri)?).await
        } else {
            Ok(link)
        }
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
        let is_https = to.scheme() == Some(&Scheme::HTTPS);
        let port = to.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
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

/// The name that TLS asks for by default.
fn host_of(uri: &Uri) -> Result<ServerName<'static>, BoxError> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    Ok(ServerName::try_from(host.to_owned())?)
}

fn uri_of(address: SocketAddr) -> Result<Uri, BoxError> {
    Ok(format!("http://{address}").parse()?)
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
pub(super) struct Left(AtomicIsize);

impl Left {
    pub(super) fn renew(&self) {
        self.0.store(READ, Ordering::Relaxed);
    }

    pub(super) fn take(&self, bytes: usize) {
        self.0.fetch_sub(bytes.cast_signed(), Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection.
pub(in crate::odoo) struct Link {
    io: Box<dyn Io>,
    /// Counted at the socket only, not once more inside TLS.
    left: Option<Arc<Left>>,
    /// A proxy gets each request, with the server's URL.
    pub(super) forwards: bool,
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.as_ref().is_some_and(|left| left.is_empty()) {
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
