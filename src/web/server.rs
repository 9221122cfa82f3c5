//! Serves the routes, within limits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::middleware::AddExtension;
use axum_server::Handle;
use axum_server::accept::Accept;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_layer::Layer;

/// More than any fleet of Prometheus servers needs; each costs a file descriptor and some 10 kB.
const CONNECTIONS: usize = 512;
/// Also how long a connection may idle between two requests: Prometheus' usual intervals fit, so that it keeps its connection.
const HEADERS_WITHIN: Duration = Duration::from_secs(75);
/// A connection that has not sent a whole first request by then is closed.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// The least that hyper allows is 8 kB; it answers longer heads with 431.
const HEAD_BYTES: usize = 16 << 10;
/// What runs at shutdown may end within this time.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves the routes until it is told to stop; then lets running requests end, for a few seconds at most.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let handle = Handle::new();
    let mut server = axum_server::Server::<SocketAddr>::from_listener(listener)
        .acceptor(Limit(Arc::new(Semaphore::new(CONNECTIONS))))
        .handle(handle.clone())
        .http1_only()
        .first_request_timeout(FIRST_REQUEST_WITHIN)
        .accept_error_handler(|peer, error| {
            tracing::warn!(?peer, %error, "connection not accepted");
        });
    server
        .http_builder()
        .http1()
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEAD_BYTES);
    let stop = async {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(DRAIN));
        std::future::pending().await
    };
    tokio::select! {
        ended = server.serve(routes.into_make_service()) => ended,
        never = stop => never,
    }
}

/// Closes connections that are too many, rather than letting them wait.
#[derive(Debug, Clone)]
struct Limit(Arc<Semaphore>);

impl<I, S> Accept<I, S> for Limit {
    type Stream = I;
    /// The service lives as long as its connection, and so does the permit in it.
    type Service = AddExtension<S, Arc<OwnedSemaphorePermit>>;
    type Future = std::future::Ready<io::Result<(I, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        std::future::ready(match permit {
            Ok(permit) => Ok((stream, Extension(Arc::new(permit)).layer(service))),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "too many connections",
            )),
        })
    }
}
