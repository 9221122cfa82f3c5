//! One simulated Odoo server: a version, an address, any number of databases.
//!
//! Routes: `/json/2/MODEL/METHOD`, `/jsonrpc`, `/xmlrpc/2/common`, `/web/version`, `/json/version`, `/web/webclient/version_info`,
//! `/web/health`, `/web/database/manager`, `/web/database/list`; which of them exist, and their errors, depend on the version.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, Response, Uri},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    conn::{Door, Hangup},
    database::Database,
    fault::{Fault, Faults, RequestLog},
    http::{Outcome, Reply, Request, respond},
    json2, jsonrpc,
    options::{Endpoint, ServerOptions},
    pages,
    rng::Rng,
    world::World,
};

/// A running server; it stops when it is dropped.
pub struct SimServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

pub(super) struct Shared {
    pub(super) options: ServerOptions,
    pub(super) databases: RwLock<BTreeMap<String, Arc<Database>>>,
    blocked: RwLock<BTreeSet<Endpoint>>,
    pub(super) faults: Faults,
    pub(super) log: RequestLog,
    rng: Mutex<Rng>,
    /// Ends every request in flight when the server is dropped.
    stopped: CancellationToken,
}

impl SimServer {
    /// Starts a server. An error is the socket's.
    pub async fn start(options: ServerOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let rng = Mutex::new(Rng::new(options.seed));
        let log = RequestLog::keeping(options.keep_requests);
        let shared = Arc::new(Shared {
            options,
            databases: RwLock::default(),
            blocked: RwLock::default(),
            faults: Faults::default(),
            log,
            rng,
            stopped: CancellationToken::new(),
        });
        let app = Router::new()
            .fallback(handle)
            .with_state(shared.clone())
            .into_make_service_with_connect_info::<Hangup>();
        let task = tokio::spawn(async move {
            // It ends only with the task.
            let _ = axum::serve(Door(listener), app).await;
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// The address as a URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The version.
    pub fn version(&self) -> u8 {
        self.shared.options.version
    }

    /// Adds or replaces a database. The world should be of the server's version.
    pub fn add_database(&self, name: &str, mut world: World) -> Arc<Database> {
        world.saas = self.shared.options.saas;
        let log = RequestLog::keeping(self.shared.options.keep_requests);
        let database = Arc::new(Database::new(name, world, log));
        write(&self.shared.databases).insert(name.into(), database.clone());
        database
    }

    /// Drops a database.
    pub fn drop_database(&self, name: &str) {
        write(&self.shared.databases).remove(name);
    }

    /// All its databases.
    pub fn databases(&self) -> Vec<Arc<Database>> {
        read(&self.shared.databases).values().cloned().collect()
    }

    /// Every request to this server goes wrong from now on.
    pub fn fail(&self, fault: Fault) {
        self.shared.faults.set(fault);
    }

    /// Ends the faults of the server; those of databases stay.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// A handle that sets and ends faults of this server from another task.
    pub(super) fn switch(&self) -> Switch {
        Switch(self.shared.clone())
    }

    /// A proxy blocks the endpoint: an HTML 403.
    pub fn block(&self, endpoint: Endpoint) {
        write(&self.shared.blocked).insert(endpoint);
    }

    /// The endpoint answers again.
    pub fn unblock(&self, endpoint: Endpoint) {
        write(&self.shared.blocked).remove(&endpoint);
    }

    /// Requests outside the databases: pages, `common.version`, calls of unknown databases.
    pub fn log(&self) -> &RequestLog {
        &self.shared.log
    }
}

/// Sets and ends faults of a server.
pub(super) struct Switch(Arc<Shared>);

impl Switch {
    pub(super) fn set(&self, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.0.faults.set(fault),
            None => self.0.faults.clear(),
        }
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.stopped.cancel();
    }
}

impl fmt::Debug for SimServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SimServer({}, Odoo {})",
            self.address, self.shared.options.version
        )
    }
}

impl Shared {
    pub(super) fn database(&self, name: &str) -> Option<Arc<Database>> {
        read(&self.databases).get(name).cloned()
    }

    /// The only database, where there is only one.
    pub(super) fn single(&self) -> Option<Arc<Database>> {
        let databases = read(&self.databases);
        if databases.len() == 1 {
            databases.values().next().cloned()
        } else {
            None
        }
    }

    /// The header `Date`: by the server's clock, or by that of its only database.
    fn http_date(&self) -> Option<String> {
        match &self.options.clock {
            Some(clock) => Some(clock.http_date()),
            None => Some(self.single()?.world().clock.http_date()),
        }
    }

    /// Do the routes of the module `rpc` exist, for a request to this database?
    pub(super) fn has_rpc(&self, database: Option<&Database>) -> bool {
        self.options.version <= 18
            || self.options.server_wide_rpc
            || database.is_some_and(|database| database.world().installed("rpc"))
    }

    fn blocks(&self, path: &str) -> bool {
        let endpoint = match path {
            "/jsonrpc" => Endpoint::Jsonrpc,
            "/web/database/manager" => Endpoint::DatabaseManager,
            "/web/database/list" => Endpoint::DatabaseList,
            "/web/health" => Endpoint::Health,
            "/web/version" | "/json/version" | "/web/webclient/version_info" => Endpoint::Version,
            _ if path.starts_with("/xmlrpc") => Endpoint::Xmlrpc,
            _ if path.starts_with("/json/2") => Endpoint::Json2,
            _ => return false,
        };
        read(&self.blocked).contains(&endpoint)
    }

    fn delay(&self) -> Option<Duration> {
        let (from, to) = self.options.latency?;
        let unit = self
            .rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .unit();
        Some(from + to.saturating_sub(from).mul_f64(unit))
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let request = Request {
        method,
        path: uri.path().into(),
        query: uri.query().unwrap_or_default().into(),
        headers,
        body,
    };
    let stopped = shared.stopped.clone();
    let reply = tokio::select! {
        biased;
        () = stopped.cancelled() => {
            hangup.now();
            Reply::html(503, "")
        }
        reply = act(&shared, request, &hangup) => reply,
    };
    respond(reply, shared.http_date(), shared.options.keep_alive)
}

/// The answer, after its latency and what a fault makes of it.
async fn act(shared: &Shared, request: Request, hangup: &Hangup) -> Reply {
    if let Some(delay) = shared.delay() {
        tokio::time::sleep(delay).await;
    }
    let outcome = if shared.blocks(&request.path) {
        Outcome::Answer(Reply::html(
            403,
            "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
        ))
    } else {
        let reply = answer(shared, &request);
        match (shared.faults.strike(None, None), reply) {
            (Some(fault), Outcome::Answer(reply) | Outcome::Struck(_, reply)) => {
                Outcome::Struck(fault, reply)
            }
            (None, reply) => reply,
        }
    };
    match outcome {
        Outcome::Answer(reply) => reply,
        Outcome::Struck(fault, reply) => match fault {
            Fault::Down => {
                hangup.now();
                reply
            }
            Fault::Slow(time) => {
                tokio::time::sleep(time).await;
                reply
            }
            Fault::Forever => std::future::pending().await,
            Fault::PostgresDown => pages::postgres_down(shared, &request, reply),
            Fault::Http(status, body) => Reply::html(status, body),
            Fault::Reply(body) => Reply {
                status: 200,
                kind: "application/json",
                body,
                more: Vec::new(),
            },
            Fault::AccessDenied => pages::denied(shared, &request),
            Fault::Raise(name, message) => pages::raised(shared, &request, name, &message),
        },
    }
}

fn answer(shared: &Shared, request: &Request) -> Outcome {
    let version = shared.options.version;
    match request.path.as_str() {
        path if (path == "/jsonrpc" || path.starts_with("/xmlrpc"))
            && !shared.has_rpc(shared.single().as_deref()) =>
        {
            pages::html(version, 404, "Not Found", NO_ROUTE).into()
        }
        "/jsonrpc" => jsonrpc::answer(shared, request),
        path if path.starts_with("/json/2") && version >= 19 => json2::answer(shared, request),
        _ => pages::answer(shared, request).into(),
    }
}

/// The page of a route that is not there.
pub(super) const NO_ROUTE: &str = "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.";

pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
