//! Serves the routes, over HTTP or HTTPS, within limits.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::from_fn;
use axum_server::Handle;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::access::Access;
pub use connection::Connection;
use connection::{Door, enter};
use flood::Flood;

mod connection;
mod flood;
mod places;

/// Limits for clients.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at one time: each costs a file descriptor and some 10 kB. If one too many comes, the longest idle one of the client
    /// network with the most connections is closed.
    pub connections: usize,
    /// A connection that has not sent a whole first request by then is closed, and so is one that has not agreed on TLS by then.
    pub first_request: Duration,
    /// So is one that has not sent a whole next request after this time, idle or not.
    pub next_request: Duration,
    /// A connection is closed so long after its last request began, whether the answer has been read or not.
    pub request: Duration,
    /// Bytes of a request's head; longer ones are answered with 431. hyper allows no less than 8 kB.
    pub head: usize,
    /// Requests that run at shutdown are given this time to end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            first_request: Duration::from_secs(10),
            // Prometheus keeps its connection at the usual intervals, of up to a minute.
            next_request: Duration::from_secs(75),
            request: Duration::from_secs(120),
            head: 16 << 10,
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves the routes until it is stopped; then lets running requests end, for a few seconds at most.
///
/// # Errors
/// If the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    access: Access,
    shutdown: CancellationToken,
) -> io::Result<()> {
    serve_within(Limits::default(), listener, routes, access, shutdown).await
}

/// As [`serve`], with other limits.
///
/// # Errors
/// If the listener cannot be used.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    routes: Router,
    access: Access,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let handle = Handle::new();
    let (refused, failed) = (Flood::default(), Flood::default());
    let mut server = axum_server::Server::<SocketAddr>::from_listener(listener)
        .acceptor(Door::new(access, limits))
        .handle(handle.clone())
        .first_request_timeout(limits.first_request)
        .accept_error_handler(move |peer, error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::TimedOut | io::ErrorKind::NotConnected => {
                tracing::debug!(?peer, %error, "connection refused");
            }
            io::ErrorKind::QuotaExceeded => {
                if let Some(more) = refused.says(Instant::now()) {
                    tracing::warn!(?peer, more, %error, "connection refused");
                }
            }
            _ => {
                if let Some(more) = failed.says(Instant::now()) {
                    tracing::warn!(?peer, more, %error, "connection not accepted");
                }
            }
        });
    server
        .http_builder()
        .http1()
        .header_read_timeout(limits.next_request)
        .max_buf_size(limits.head);
    server
        .http_builder()
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX));
    let routes = routes.layer(from_fn(enter));
    tokio::select! {
        ended = server.serve(routes.into_make_service()) => return ended,
        // From here on nothing is accepted: where systemd holds the socket, connections wait for the next process.
        () = shutdown.cancelled() => {}
    }
    if timeout(FIRST_BYTES, all_closed(&handle)).await.is_err() {
        handle.graceful_shutdown(None);
        let _ = timeout(limits.drain, all_closed(&handle)).await;
        handle.shutdown();
    }
    Ok(())
}

async fn all_closed(handle: &Handle<SocketAddr>) {
    while handle.connection_count() > 0 {
        sleep(Duration::from_millis(10)).await;
    }
}

/// A connection that was accepted just before a shutdown would be closed before its request has come.
const FIRST_BYTES: Duration = Duration::from_millis(500);

/// Requests at one time on one HTTP/2 connection.
const STREAMS: u32 = 32;
