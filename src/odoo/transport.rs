//! HTTP to an Odoo server: which client, how much of an answer, and what an answer that is not a result means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{Error, Kind};
use super::surface::tls;
use crate::config::{ProxyUrl, Target, Tls};

/// The largest reply that is read: the ids of two million people take 16 MB.
pub const MAX_REPLY: usize = 32 << 20;

/// Connecting takes no longer than this, however long the poll may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP clients, one for each distinct authority, client certificate and proxy: a client costs 3 ms and 0.1 MB, a target nothing.
#[derive(Debug, Default)]
pub struct Clients {
    clients: Mutex<BTreeMap<ClientKey, reqwest::Client>>,
}

/// What makes one client differ from another: the TLS files and the proxy of a target.
type ClientKey = (Tls, Option<Url>);

impl Clients {
    /// The client for a target, built when it is first needed.
    ///
    /// # Errors
    /// When the target's TLS files or proxy cannot be used.
    pub fn of(&self, target: &Target) -> Result<reqwest::Client, Error> {
        self.with(&target.tls, target.proxy.as_ref())
    }

    /// Forgets the clients that none of these targets needs.
    pub fn keep_for(&self, targets: &[Arc<Target>]) {
        let mut needed = BTreeSet::new();
        for target in targets {
            needed.insert(key(&target.tls, target.proxy.as_ref()));
            for vantage in target.surface.iter().flat_map(|it| &it.vantages) {
                needed.insert(key(&tls(target, vantage), vantage.proxy.as_ref()));
            }
        }
        self.lock().retain(|key, _| needed.contains(key));
    }

    /// The client for TLS settings and a proxy.
    pub(super) fn with(
        &self,
        tls: &Tls,
        proxy: Option<&ProxyUrl>,
    ) -> Result<reqwest::Client, Error> {
        let key = key(tls, proxy);
        let mut clients = self.lock();
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&key).map_err(|error| {
            Error::new(
                Kind::Tls,
                format!("cannot use the TLS or proxy settings: {}", chain(&*error)),
            )
        })?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClientKey, reqwest::Client>> {
        self.clients
            .lock()
            .expect("nothing panics while it holds this lock")
    }
}

fn key(tls: &Tls, proxy: Option<&ProxyUrl>) -> ClientKey {
    (tls.clone(), proxy.map(|proxy| proxy.expose().clone()))
}

fn build(
    (tls, proxy): &ClientKey,
) -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("odoo-mfa-exporter/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(2)
        .no_proxy();
    if let Some(proxy) = proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.clone())?);
    }
    if *tls != Tls::default() {
        builder = builder.tls_backend_preconfigured(super::tls::client_config(tls)?);
    }
    Ok(builder.build()?)
}

/// The path from a target's base URL, and what polls cost.
#[derive(Debug)]
pub struct Transport {
    client: reqwest::Client,
    target: Arc<Target>,
    ok: AtomicU64,
    errors: AtomicU64,
}

impl Transport {
    /// A way to one target.
    ///
    /// # Errors
    /// See [`Clients::of`].
    pub fn new(clients: &Clients, target: Arc<Target>) -> Result<Self, Error> {
        Ok(Self {
            client: clients.of(&target)?,
            target,
            ok: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        })
    }

    /// The target it leads to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many requests were answered as they should be, and how many were not, since the last call.
    pub fn take_counts(&self) -> (u64, u64) {
        (
            self.ok.swap(0, Ordering::Relaxed),
            self.errors.swap(0, Ordering::Relaxed),
        )
    }

    /// Sends a request and reads the reply whole: JSON, of which the caller says whether it is a success, and what it holds.
    pub(super) async fn reply<T>(
        &self,
        request: RequestBuilder,
        judge: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.counted(async { self.body(request).await.and_then(|body| judge(&body)) })
            .await
    }

    /// Counts a request, as answered if it succeeds.
    pub(super) async fn counted<T, E>(
        &self,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        // A poll's deadline drops what is under way: that request cost the target something too, and was not answered.
        let mut counted = Counted {
            transport: self,
            ok: false,
        };
        let result = request.await;
        counted.ok = result.is_ok();
        result
    }

    /// Sends a request and answers with which status it is answered. The reply is not read.
    pub(super) async fn status(&self, request: RequestBuilder) -> Result<StatusCode, Error> {
        let mut counted = Counted {
            transport: self,
            ok: false,
        };
        let response = request.send().await.map_err(|error| from_reqwest(&error))?;
        counted.ok = true;
        Ok(response.status())
    }

    async fn body(&self, request: RequestBuilder) -> Result<Vec<u8>, Error> {
        let response = request.send().await.map_err(|error| from_reqwest(&error))?;
        let status = response.status();
        let is_json = is_json(response.headers());
        let body = read_bounded(response).await?;
        if status.is_success() && is_json {
            return Ok(body);
        }
        Err(if is_json {
            refusal(status, &body)
        } else {
            self.not_json(status, &body).await
        })
    }

    /// A GET of a path below the target's URL.
    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    /// A POST to a path below the target's URL.
    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    fn url(&self, path: &str) -> Url {
        join(&self.target.url, path)
    }

    /// What an answer that is not JSON means. Odoo says the same 404 for a database that does not exist and for one that it cannot
    /// reach; its health page tells them apart.
    async fn not_json(&self, status: StatusCode, body: &[u8]) -> Error {
        let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
        if status == StatusCode::NOT_FOUND && text.contains("No database is selected") {
            let mut url = self.url("/web/health");
            url.set_query(Some("db_server_status=1"));
            let health = self.client.get(url);
            let down = match health.send().await {
                Ok(response) => response.status() == StatusCode::INTERNAL_SERVER_ERROR,
                Err(_) => true,
            };
            let counter = if down { &self.errors } else { &self.ok };
            counter.fetch_add(1, Ordering::Relaxed);
            return if down {
                Error::new(Kind::Maintenance, "Odoo cannot reach its PostgreSQL")
            } else {
                Error::new(
                    Kind::NoDatabase,
                    format!("Odoo has no database '{}'", self.target.database),
                )
            };
        }
        match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Error::new(
                Kind::Maintenance,
                format!("the proxy in front of Odoo answers {status}"),
            ),
            // werkzeug's own page, which Odoo sends when it fails before it can serve a database.
            StatusCode::INTERNAL_SERVER_ERROR
                if text.contains("<h1>Internal Server Error</h1>")
                    && text.contains("server is overloaded") =>
            {
                Error::new(
                    Kind::Maintenance,
                    "Odoo answers 500 before it serves the database: PostgreSQL is down, or the database is being restored",
                )
            }
            StatusCode::BAD_REQUEST
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY => Error::new(
                Kind::Unexpected,
                format!("does not understand the request: {status}"),
            ),
            StatusCode::NOT_FOUND => Error::new(
                Kind::NoSuchPath,
                "the path does not exist (404, and not Odoo's own)",
            ),
            _ if status.is_success() => Error::new(
                Kind::NotOdoo,
                format!("answers {status} with something that is not JSON"),
            ),
            _ => Error::new(
                Kind::NotOdoo,
                format!("answers {status}, and not as Odoo does"),
            ),
        }
    }
}

/// Reads JSON into the type that a reply must have.
///
/// # Errors
/// When it is something else.
pub(super) fn decode<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|error| {
        let message = if error.is_data() {
            // Once more, in a way that takes longer and says where.
            let json = &mut serde_json::Deserializer::from_slice(json);
            let again = serde_path_to_error::deserialize::<_, T>(json).err();
            let error = again.map_or_else(|| error.to_string(), |error| error.to_string());
            format!("the reply on {what} is not as expected: {error}")
        } else {
            format!("the reply is not valid JSON: {error}")
        };
        Error::new(Kind::Unexpected, message)
    })
}

/// A path below a base URL, which may have a path of its own.
pub(super) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let below = url.path().trim_end_matches('/').to_owned();
    url.set_path(&(below + path));
    url
}

/// A request that is counted when it ends, however it ends.
struct Counted<'a> {
    transport: &'a Transport,
    ok: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let counter = if self.ok {
            &self.transport.ok
        } else {
            &self.transport.errors
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What an error that Odoo reports as JSON with an HTTP status means: JSON-2's way.
fn refusal(status: StatusCode, body: &[u8]) -> Error {
    let Ok(error) = serde_json::from_slice::<OdooError>(body) else {
        return Error::new(
            Kind::NotOdoo,
            format!("answers {status} with JSON that is not Odoo's"),
        );
    };
    match status {
        StatusCode::UNAUTHORIZED => Error::new(Kind::Unauthorized, "Odoo refuses the API key"),
        StatusCode::NOT_FOUND => Error::new(Kind::NoSuchName, error.first_line()),
        _ => error.classify(),
    }
}

/// An exception as Odoo serialises it. Its `debug`, a traceback, is not even read.
#[derive(Debug, serde::Deserialize)]
pub(super) struct OdooError {
    name: String,
    #[serde(default)]
    message: Value,
}

impl OdooError {
    /// What the exception means.
    pub(super) fn classify(&self) -> Error {
        let message = self.first_line();
        match self.name.as_str() {
            "odoo.exceptions.AccessDenied" => {
                Error::new(Kind::Unauthorized, "Odoo refuses the login or the API key")
            }
            "odoo.exceptions.AccessError" => Error::new(Kind::Forbidden, message),
            "psycopg2.OperationalError" if message.contains("does not exist") => {
                Error::new(Kind::NoDatabase, message)
            }
            name if name.starts_with("psycopg2.") => Error::new(Kind::Maintenance, message),
            // A database that exists and holds no tables yet: it is being restored.
            "builtins.KeyError" if message == "res.users" => Error::new(
                Kind::Maintenance,
                "the database is not initialised, or is being restored",
            ),
            "odoo.exceptions.UserError"
            | "builtins.AttributeError"
            | "builtins.ValueError"
            | "builtins.KeyError" => {
                Error::new(Kind::NoSuchName, format!("{}: {message}", self.name))
            }
            _ => Error::new(Kind::Unexpected, format!("{}: {message}", self.name)),
        }
    }

    /// The first line of the message, bounded: some of Odoo's run over pages.
    fn first_line(&self) -> String {
        let text = self.message.as_str().unwrap_or_default();
        text.lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("application/json")
        })
}

async fn read_bounded(mut response: reqwest::Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| from_reqwest(&error))?
    {
        if body.len() + chunk.len() > MAX_REPLY {
            return Err(Error::new(
                Kind::TooLarge,
                format!("the reply is larger than {} MiB", MAX_REPLY >> 20),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What the HTTP client's failure means. Its own text may hold the URL, which holds no secret, and is left out for brevity.
pub(super) fn from_reqwest(error: &reqwest::Error) -> Error {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        if cause.is::<rustls::Error>() {
            return Error::new(Kind::Tls, format!("TLS: {cause}"));
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && let Some(tls) = io
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            return Error::new(Kind::Tls, format!("TLS: {tls}"));
        }
        source = cause.source();
    }
    let cause = chain(error);
    if error.is_timeout() {
        Error::new(Kind::TimedOut, format!("no answer in time: {cause}"))
    } else if is_undecodable(error) {
        Error::new(
            Kind::Unexpected,
            format!("the reply cannot be decompressed: {cause}"),
        )
    } else {
        Error::new(Kind::Unreachable, cause)
    }
}

/// Whether the bytes of a reply make no sense, unlike a reply that ends too early.
fn is_undecodable(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| {
        cause.source()
    });
    let mut causes = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|io| matches!(io.kind(), InvalidData | InvalidInput))
}

/// The innermost causes, which say what happened; the outer ones only repeat that a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
