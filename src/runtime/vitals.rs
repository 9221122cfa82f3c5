//! Health of the daemon: polls run, and the HTTP server answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::warn;

use crate::exposition::ExporterState;
use crate::poll::Pulse;

/// The checked parts.
#[derive(Debug)]
pub struct Vitals {
    pulse: Arc<Pulse>,
    exporter: Arc<ExporterState>,
    http: SocketAddr,
    patience: Patience,
    reachable: Option<bool>,
}

/// The part that is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The scheduler should have started a poll this time ago.
    #[error("a poll is {0:?} late")]
    Scheduler(Duration),
    /// A poll has gone on for this time after its deadline.
    #[error("a poll is {0:?} past its deadline")]
    Poll(Duration),
    /// The HTTP server takes no connections, or does not react to a request.
    #[error("the HTTP server does not answer")]
    Http,
}

/// Maximum delay of each part.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The scheduler, after a poll is due.
    pub scheduler: Duration,
    /// A poll, after its deadline: it still writes into the store, where 256 others may come first.
    pub poll: Duration,
    /// The HTTP server, to take a connection, and then to react.
    pub http: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            scheduler: Duration::from_secs(15),
            poll: Duration::from_secs(60),
            http: Duration::from_secs(10),
        }
    }
}

impl Vitals {
    /// Watches a scheduler, the polls that are counted, and the server at an address.
    pub fn new(
        pulse: Arc<Pulse>,
        exporter: Arc<ExporterState>,
        http: SocketAddr,
        patience: Patience,
    ) -> Self {
        Self {
            pulse,
            exporter,
            http,
            patience,
            reachable: None,
        }
    }

    /// Looks at all of them.
    ///
    /// # Errors
    /// Returns the first part that is stuck.
    pub async fn check(&mut self) -> Result<(), Stuck> {
        let overdue = self.pulse.overdue();
        if overdue > self.patience.scheduler {
            return Err(Stuck::Scheduler(overdue));
        }
        if let Some(overdue) = self
            .exporter
            .overdue()
            .filter(|it| *it > self.patience.poll)
        {
            return Err(Stuck::Poll(overdue));
        }
        self.http(self.patience.http).await
    }

    /// A first connection that cannot be made proves nothing (a packet filter may forbid it), and no later one is tried then.
    async fn http(&mut self, within: Duration) -> Result<(), Stuck> {
        if self.reachable == Some(false) {
            return Ok(());
        }
        // On Linux the unspecified address is this host.
        let connected = timeout(within, TcpStream::connect(self.http))
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
        let first = self.reachable.is_none();
        self.reachable = Some(connected.is_ok() || !first);
        match connected {
            Ok(stream) => timeout(within, reacts(stream))
                .await
                .map_err(|_elapsed| Stuck::Http),
            Err(error) if first => {
                warn!(address = %self.http, %error, "the daemon cannot reach its own port: the watchdog checks polls only");
                Ok(())
            }
            Err(_) => Err(Stuck::Http),
        }
    }
}

/// Any reaction counts, even if the server closes the connection: because it expects TLS or a client certificate, or has too many connections.
async fn reacts(mut stream: TcpStream) {
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if stream.write_all(request).await.is_ok() {
        let _ = stream.read(&mut [0]).await;
    }
}
