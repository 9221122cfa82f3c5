//! From an accepted connection to one that requests come from: its place, its TLS, and its time.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{StatusCode, Version};
use axum::middleware::{AddExtension, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use axum_server::accept::Accept;
use futures::future::BoxFuture;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either as EitherStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tower_layer::Layer;

use super::Limits;
use super::places::{Activity, Place, Places, Request as Running};
use crate::config::web_file::{CertificateNames, ServerTls};
use crate::web::access::{Access, network};

/// Connection of a request.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The names in the client's certificate, if it showed one and an authority verified it.
    pub certificate: Option<Arc<CertificateNames>>,
    /// True if it is encrypted.
    pub secure: bool,
    /// True if HTTP/2 was negotiated.
    pub http2: bool,
    /// The network of the client's address.
    pub network: IpAddr,
    place: Arc<Place>,
}

/// Gives connections their place and their TLS. Those that are too many are closed, rather than let wait.
#[derive(Debug, Clone)]
pub(super) struct Door {
    access: Access,
    limits: Limits,
    places: Places,
}

impl Door {
    pub(super) fn new(access: Access, limits: Limits) -> Self {
        Self {
            access,
            limits,
            places: Places::new(limits.connections),
        }
    }

    async fn open(self, stream: TcpStream) -> io::Result<(Stream, Connection)> {
        let network = network(stream.peer_addr()?.ip());
        let too_many = || io::Error::new(io::ErrorKind::QuotaExceeded, "too many connections");
        let place = Arc::new(self.places.take(network).ok_or_else(too_many)?);
        // Or the second write of an answer waits for the client to acknowledge the first, 40 ms later.
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            certificate: None,
            secure: false,
            http2: false,
            network,
            place: Arc::clone(&place),
        };
        let stream = match self.access.tls() {
            None => EitherStream::Left(stream),
            Some(tls) => {
                let handshake = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
                let handshake = timeout(self.limits.first_request, handshake);
                let handshake = place.gives_way.run_until_cancelled(handshake).await;
                let stream = handshake
                    .ok_or_else(too_many)?
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                    // Errors that any client can cause are no failures of ours.
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                connection.secure = true;
                connection.http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                connection.certificate = names(&tls, &stream);
                EitherStream::Right(Box::new(stream))
            }
        };
        let stream = Stream {
            stream,
            activity: place.activity.clone(),
            lasts: self.limits.request,
            ends: Box::pin(tokio::time::sleep(self.limits.request)),
            gives_way: Box::pin(place.gives_way.clone().cancelled_owned()),
        };
        Ok((stream, connection))
    }
}

fn names(tls: &ServerTls, stream: &TlsStream<TcpStream>) -> Option<Arc<CertificateNames>> {
    let shown = stream.get_ref().1.peer_certificates()?.first()?;
    let names = tls.verifies_clients.then(|| CertificateNames::read(shown));
    names.flatten().map(Arc::new)
}

impl Accept<TcpStream, Router> for Door {
    type Stream = Stream;
    type Service = AddExtension<Router, Connection>;
    type Future = BoxFuture<'static, io::Result<(Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, routes: Router) -> Self::Future {
        let opened = self.clone().open(stream);
        Box::pin(async {
            let (stream, connection) = opened.await?;
            // The routes live as long as the connection, and so does its place.
            Ok((stream, Extension(connection).layer(routes)))
        })
    }
}

/// Marks the start of a request on its connection, and its end.
pub(super) async fn enter(
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    // The server detects HTTP/2 by its first bytes; it is accepted only if it was negotiated.
    if request.version() == Version::HTTP_2 && !connection.http2 {
        return StatusCode::HTTP_VERSION_NOT_SUPPORTED.into_response();
    }
    let running = connection.place.activity.request();
    let response = next.run(request).await;
    response.map(|body| {
        Body::new(Answer {
            body,
            _running: running,
        })
    })
}

/// The body of an answer; the request has been answered once it is dropped.
struct Answer {
    body: Body,
    _running: Running,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that fails some time after its last request began, also if its client keeps on sending or reading, or when it must give
/// way.
#[derive(Debug)]
pub(super) struct Stream {
    stream: EitherStream<TcpStream, Box<TlsStream<TcpStream>>>,
    activity: Activity,
    lasts: Duration,
    ends: Pin<Box<Sleep>>,
    gives_way: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Stream {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.gives_way.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        while self.ends.as_mut().poll(cx).is_ready() {
            let ends = self.activity.began() + self.lasts;
            if ends <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.ends.as_mut().reset(ends);
        }
        Ok(())
    }

    fn inner(&mut self) -> Pin<&mut EitherStream<TcpStream, Box<TlsStream<TcpStream>>>> {
        Pin::new(&mut self.stream)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        self.inner().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        self.inner().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        self.inner().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        self.inner().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
