//! The exporter without pollers: a board, and a server on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use odoo_mfa_exporter::alerting::Alerts;
use odoo_mfa_exporter::domain::{Shard, TargetSnapshot};
use odoo_mfa_exporter::exposition::{Board, Coding, ExporterState, Exposition, Format, catalogue};
use odoo_mfa_exporter::store::Store;
use odoo_mfa_exporter::web::access::Access;
use odoo_mfa_exporter::web::directory::Directory;
use odoo_mfa_exporter::web::{self, App, Limits, MetricsPath, Readiness, ReadinessLatch, Reports};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A board, and what shows it.
pub struct Shown {
    pub board: Arc<Board>,
    pub directory: Arc<Directory>,
    pub state: Arc<ExporterState>,
    pub exposition: Arc<Exposition>,
}

/// A server. It must be stopped, which shows that nothing keeps it from stopping.
pub struct Server {
    pub address: SocketAddr,
    shutdown: CancellationToken,
    running: Option<JoinHandle<std::io::Result<()>>>,
}

impl Shown {
    /// Shows these targets.
    pub fn new(targets: impl IntoIterator<Item = TargetSnapshot>) -> Self {
        let board = Arc::new(Board::new());
        let slots = targets.into_iter().map(|target| {
            let slot = board.slot(Arc::clone(&target.identity));
            slot.publish(target);
            slot
        });
        board.show(slots.collect());
        let directory = Directory::new(&[], &board, &Arc::default());
        Self::with(board, directory)
    }

    /// Shows a board, and whom a directory names.
    pub fn with(board: Arc<Board>, directory: Arc<Directory>) -> Self {
        let state = ExporterState::new(Shard::WHOLE);
        let exposition = Exposition::new(
            Arc::clone(&board),
            Arc::clone(&state),
            catalogue::families().collect(),
        );
        Self {
            board,
            directory,
            state,
            exposition,
        }
    }

    /// The text of a scrape.
    pub async fn text(&self, format: Format) -> String {
        let bytes = self.bytes(format, Coding::Identity).await;
        String::from_utf8(bytes).expect("text is UTF-8")
    }

    /// The bytes of a scrape.
    pub async fn bytes(&self, format: Format, coding: Coding) -> Vec<u8> {
        let body = self.exposition.body(format, coding).await;
        let body = axum::body::Body::from_stream(body.into_stream());
        let bytes = axum::body::to_bytes(body, usize::MAX).await;
        bytes.expect("an exposition to its end").to_vec()
    }

    /// All routes, and what keeps `/-/ready` waiting.
    pub fn routes(&self) -> (Router, ReadinessLatch) {
        self.routes_for(Access::open(), None)
    }

    /// The same, for those whom this lets in.
    pub fn routes_for(&self, access: Access, store: Option<Store>) -> (Router, ReadinessLatch) {
        let (readiness, latch) = Readiness::new(Arc::clone(&self.board));
        let routes = web::router(App {
            reports: Reports::default(),
            exposition: Arc::clone(&self.exposition),
            board: Arc::clone(&self.board),
            access,
            store,
            alerts: Alerts::default(),
            directory: Arc::clone(&self.directory),
            readiness,
            metrics_path: MetricsPath::default(),
            control: None,
        });
        (routes, latch)
    }
}

impl Server {
    /// Serves on a free port of this machine.
    pub async fn start(routes: Router) -> Self {
        Self::start_within(Limits::default(), routes).await
    }

    /// The same, within other limits than usual.
    pub async fn start_within(limits: Limits, routes: Router) -> Self {
        Self::start_behind(Access::open(), limits, routes).await
    }

    /// The same, with the TLS of this.
    pub async fn start_behind(access: Access, limits: Limits, routes: Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let serving = web::serve_within(limits, listener, routes, access, shutdown.clone());
        Self {
            address,
            shutdown,
            running: Some(tokio::spawn(serving)),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn https(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Stops it, and waits until it has.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let running = self.running.take().expect("it runs until it is stopped");
        running.await.expect("no panic").expect("a clean end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.running.is_none(), "the test did not stop its server");
        }
    }
}

/// A client that neither decodes nor follows anything.
pub fn client() -> reqwest::Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}
