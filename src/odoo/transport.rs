//! HTTP to an Odoo server: how many requests at a time, and how much of an answer is read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap};
use reqwest::{StatusCode, Url};
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::call::result_of;
use super::causes::{Way, innermost, is_closed, place};
use super::client::{Client, Connector, Failure, Request, Response, chunk};
use super::date;
use super::dns::Resolver;
use super::error::{Error, Kind};
use super::refusal::{OdooError, Stranger};
use super::reply::{Reply, SCALAR, reply};
use super::text::Text;
use super::tls::{BoxError, client_config};
use crate::config::{ProcessEnv, ProxyUrl, Target, Tls};

/// The bytes of all replies of one poll. They bound what a server can make a poll cost, in memory and in time.
const POLL: usize = 40 << 20;

/// Minimum size that a piece of a reply counts as, so that a server cannot send many small ones.
const PIECE: usize = 512;

/// A reply of more bytes takes one of the places for large ones, and is read off the threads on which everything else runs.
const LARGE: usize = 1 << 20;

/// The places for large replies in this process.
static PLACES: Semaphore = Semaphore::const_new(4);

/// A large reply must arrive within this time once it has a place, since others wait for it.
const LARGE_WITHIN: Duration = Duration::from_secs(20);

/// A server that says an earlier time has no clock: 2024-01-01, before the oldest version that is polled was last released.
const EARLIEST: i64 = 1_704_067_200;

/// The shortest key that is looked for in replies: a shorter one may be a password, which may be a word that belongs there.
const SHORTEST_KEY: usize = 16;

/// The parts of HTTP clients: TLS settings as they were read, which cost 3 ms and 0.1 MB. A client itself is cheap, and is created
/// for each poll, so that its connections end with it.
#[derive(Debug, Default)]
pub struct Clients {
    tls: Mutex<BTreeMap<Tls, Arc<ClientConfig>>>,
    hosts: Mutex<BTreeMap<String, Weak<Semaphore>>>,
    /// Finds hosts, for all of them.
    pub resolver: Resolver,
}

/// Places of a host.
const ONE_HOST: usize = 4;

impl Clients {
    /// Reads the system's certificates, DNS servers and hosts again: to be called when the configuration is.
    pub fn reload(&self) {
        self.lock().clear();
        self.resolver.reload();
    }

    /// The places of a host: a poll and a list of names take one each, and a poll of many users another one.
    pub fn host(&self, url: &Url) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let name = url.host_str().unwrap_or_default();
        if let Some(places) = hosts.get(name).and_then(Weak::upgrade) {
            return places;
        }
        hosts.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(ONE_HOST));
        hosts.insert(name.to_owned(), Arc::downgrade(&places));
        places
    }

    /// A client for one server, through a proxy or at an address that is not looked up.
    ///
    /// # Errors
    /// If the TLS files or the proxy cannot be used.
    pub fn to(
        &self,
        tls: &Tls,
        proxy: Option<&ProxyUrl>,
        address: Option<SocketAddr>,
    ) -> Result<Client, Error> {
        let connector = || {
            Connector::new(&self.resolver, self.tls(tls)?, address)
                .named(tls.server_name.as_deref())?
                .through(proxy)
        };
        connector().map(Client::new).map_err(|error| {
            let cause = innermost(&*error);
            Error::new(
                Kind::Tls,
                format!("cannot use the TLS or proxy settings: {cause}"),
            )
        })
    }

    fn tls(&self, tls: &Tls) -> Result<Arc<ClientConfig>, BoxError> {
        let mut configs = self.lock();
        if let Some(config) = configs.get(tls) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(client_config(tls)?);
        configs.insert(tls.clone(), Arc::clone(&config));
        Ok(config)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Tls, Arc<ClientConfig>>> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to a target for one poll, or one page: the path from its base URL, and what it costs.
#[derive(Debug)]
pub struct Transport {
    client: Client,
    target: Arc<Target>,
    /// Host and port of the server and of the proxy.
    place: String,
    proxy: Option<String>,
    host: Arc<Semaphore>,
    asking: Mutex<Asking>,
    /// The `Date` of the first answer, and when that came.
    clock: OnceLock<(Timestamp, Instant)>,
    /// The bytes that replies may still have.
    left: AtomicUsize,
    ok: AtomicU64,
    errors: AtomicU64,
}

/// Questions to the server.
#[derive(Debug, Default)]
struct Asking {
    /// The path that was asked last.
    last: String,
    /// Of those whose answers were given up, the path that was asked first, and when.
    given_up: Option<(Instant, String)>,
}

impl Transport {
    /// A way to one target.
    ///
    /// # Errors
    /// If the target's TLS files or proxy cannot be used.
    pub fn new(clients: &Clients, target: Arc<Target>) -> Result<Self, Error> {
        let client = clients.to(&target.tls, target.proxy.as_ref(), None)?;
        Ok(Self {
            client,
            place: place(&target.url),
            proxy: target.proxy.as_ref().map(|proxy| place(proxy.expose())),
            host: clients.host(&target.url),
            target,
            asking: Mutex::default(),
            clock: OnceLock::new(),
            left: AtomicUsize::new(POLL),
            ok: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        })
    }

    /// The client for the target.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The target it leads to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Numbers of requests that were answered correctly, and that were not, since the last call.
    pub fn take_counts(&self) -> (u64, u64) {
        (
            self.ok.swap(0, Ordering::Relaxed),
            self.errors.swap(0, Ordering::Relaxed),
        )
    }

    /// The server's time, by the `Date` of its first answer. `None` without one, and where it is not plausible.
    pub fn server_time(&self) -> Option<Timestamp> {
        let (date, at) = self.clock.get()?;
        // As exact as the header.
        let passed = Duration::from_secs(at.elapsed().as_secs());
        date.checked_add(passed).ok()
    }

    /// The failure of a poll that was not done in time: which answer it waited for.
    pub fn timed_out(&self, within: Duration) -> Error {
        let (place, asking) = (&self.place, self.asking());
        let given_up = asking.given_up.as_ref().map(|(_, path)| path);
        let asking = given_up.unwrap_or(&asking.last);
        Error::new(
            Kind::TimedOut,
            format!("the poll did not finish within {within:?}: {place} did not answer {asking}"),
        )
    }

    /// Reads the API key again from where it came. Gives whether it is another one now.
    pub async fn reread_key(&self) -> bool {
        let target = Arc::clone(&self.target);
        let reading = tokio::task::spawn_blocking(move || target.reread_key(&ProcessEnv));
        reading.await.unwrap_or(false)
    }

    /// A place of the host for a second request at a time, unless it is the last that is free.
    pub(super) fn second_place(&self) -> Option<OwnedSemaphorePermit> {
        if self.host.available_permits() < 2 {
            return None;
        }
        Arc::clone(&self.host).try_acquire_owned().ok()
    }

    /// Lets replies have as many bytes again: for lists that are shown, which are no part of a poll.
    pub(super) fn renew(&self) {
        self.left.store(POLL, Ordering::Relaxed);
        self.client.renew();
    }

    /// Sends a request and reads the reply, by `read`: JSON, of which that says whether it is a success, and what it holds.
    pub(super) async fn reply<T: Reply>(
        &self,
        request: Request,
        read: fn(&[u8], &str) -> Result<T, Error>,
        what: &str,
    ) -> Result<T, Error> {
        let result = self.counted(self.ask(request, read, what)).await;
        result.map_err(|error| error.without(self.target.api_key.current().expose_secret()))
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
    pub(super) async fn status(&self, request: Request) -> Result<StatusCode, Error> {
        let (_, response) = self.counted(self.send(request)).await?;
        Ok(response.status())
    }

    async fn ask<T: Reply>(
        &self,
        request: Request,
        read: fn(&[u8], &str) -> Result<T, Error>,
        what: &str,
    ) -> Result<T, Error> {
        let mut waiting = Waiting {
            transport: self,
            asked: Some((Instant::now(), request.path())),
        };
        let (path, response) = self.send(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let is_json = is_json(&headers);
        if status.is_success() && is_json {
            let body = self.body(response, T::LIMIT, what).await?;
            waiting.asked = None;
            return self.parsed(body, read, what).await;
        }
        let body = self.beginning(response).await?;
        waiting.asked = None;
        if is_json
            && !Stranger::is_of_a_proxy(status)
            && let Ok(error) = serde_json::from_slice::<OdooError>(&body)
        {
            return Err(error.with_status(status));
        }
        let stranger = Stranger {
            path: &path,
            status,
            headers: &headers,
            text: &String::from_utf8_lossy(&body),
        };
        Err(if stranger.has_no_database() {
            self.no_database().await
        } else {
            stranger.meaning()
        })
    }

    /// Sends a request, and gives its path and the answer. One that a kept connection did not take is sent once more, on a new one.
    async fn send(&self, request: Request) -> Result<(String, Response), Error> {
        let failure = |error: Failure| self.way().failure(&error);
        let request = request.build().map_err(failure)?;
        let path = request.uri().path().to_owned();
        let before = {
            let mut asking = self.asking();
            asking.given_up = None;
            std::mem::replace(&mut asking.last, path.clone())
        };
        let again = (!before.is_empty()).then(|| request.clone());
        let response = match (self.client.execute(request).await, again) {
            (Err(error), Some(again)) if is_closed(&error) => self.client.execute(again).await,
            (response, _) => response,
        };
        let response = response.map_err(failure)?;
        if let Some(date) = response.headers().get(DATE).and_then(date::of_header)
            && date.as_second() >= EARLIEST
        {
            self.clock.get_or_init(|| (date, Instant::now()));
        }
        Ok((path, response))
    }

    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn way(&self) -> Way<'_> {
        Way {
            place: &self.place,
            proxy: self.proxy.as_deref(),
        }
    }

    /// Reads a reply whole, unless it is too large.
    async fn body(&self, mut response: Response, limit: usize, what: &str) -> Result<Body, Error> {
        let mut body = Body::default();
        let mut until = None;
        while let Some(piece) = self.piece(&mut response, until).await? {
            let length = body.bytes.len() + piece.len();
            if length > limit {
                return Err(too_large(&format!("the reply on {what}"), limit));
            }
            if length > LARGE && body.place.is_none() {
                body.place = PLACES.acquire().await.ok();
                until = Some(Instant::now() + LARGE_WITHIN);
            }
            body.bytes.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The beginning of an answer that is no result: nothing is read of the rest.
    async fn beginning(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while bytes.len() < SCALAR
            && let Some(piece) = self.piece(&mut response, None).await?
        {
            bytes.extend_from_slice(&piece);
        }
        bytes.truncate(SCALAR);
        Ok(bytes)
    }

    async fn piece(
        &self,
        response: &mut Response,
        until: Option<Instant>,
    ) -> Result<Option<bytes::Bytes>, Error> {
        let piece = match until {
            Some(until) => timeout_at(until, chunk(response)).await,
            None => Ok(chunk(response).await),
        };
        let piece = piece
            .map_err(|_| {
                Error::new(
                    Kind::TimedOut,
                    format!("{} sends a large reply too slowly", self.place),
                )
            })?
            .map_err(|error| self.way().failure(&error))?;
        if let Some(piece) = &piece {
            let cost = piece.len().max(PIECE);
            let less = |left: usize| left.checked_sub(cost);
            let left = self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            left.map_err(|_| too_large("the total of the replies of a poll", POLL))?;
        }
        Ok(piece)
    }

    /// Reads what came. The key, should a server send it back, is made unreadable first.
    async fn parsed<T: Reply>(
        &self,
        mut body: Body,
        read: fn(&[u8], &str) -> Result<T, Error>,
        what: &str,
    ) -> Result<T, Error> {
        let key = self.target.api_key.current();
        let key = key.expose_secret();
        if key.len() >= SHORTEST_KEY {
            blot(&mut body.bytes, key.as_bytes());
            // As JSON writes it, which differs where a password has a quote.
            let escaped = serde_json::json!(key).to_string();
            blot(&mut body.bytes, &escaped.as_bytes()[1..escaped.len() - 1]);
        }
        if body.place.is_none() {
            return read(&body.bytes, what);
        }
        let what = what.to_owned();
        let reading = tokio::task::spawn_blocking(move || read(&body.bytes, &what));
        reading.await.unwrap_or_else(|_| {
            Err(Error::new(
                Kind::Defect,
                "a bug in the exporter stopped the poll",
            ))
        })
    }

    /// A POST to a path below the target's URL.
    pub(super) fn post(&self, path: &str) -> Request {
        Request::post(&self.url(path))
    }

    fn url(&self, path: &str) -> Url {
        join(&self.target.url, path)
    }

    /// Odoo says the same 404 for a database that does not exist, for one that it cannot reach, and for one that no header names. Its
    /// health page and its list of databases distinguish them.
    async fn no_database(&self) -> Error {
        let mut url = self.url("/web/health");
        url.set_query(Some("db_server_status=1"));
        let health = self.client.send(Request::get(&url)).await;
        let down = health.map_or(true, |response| {
            response.status() == StatusCode::INTERNAL_SERVER_ERROR
        });
        let counter = if down { &self.errors } else { &self.ok };
        counter.fetch_add(1, Ordering::Relaxed);
        if down {
            return Error::new(Kind::Maintenance, "Odoo cannot reach its PostgreSQL");
        }
        let database = &self.target.database;
        match self.databases().await {
            Some(databases) if databases.iter().any(|it| **it == **database) => Error::new(
                Kind::NoDatabase,
                format!("Odoo has the database '{database}', but did not get its name: a proxy in front of it removes the header X-Odoo-Database"),
            )
            .hint("forward the header X-Odoo-Database in the proxy"),
            Some(_) => Error::new(
                Kind::NoDatabase,
                format!("Odoo has no database '{database}'"),
            ),
            None => Error::new(
                Kind::NoDatabase,
                format!("Odoo has no database '{database}', or a proxy in front of it removes the header X-Odoo-Database"),
            ),
        }
    }

    /// The names of the server's databases, where it lists them.
    async fn databases(&self) -> Option<Vec<Text>> {
        let question = serde_json::json!({"jsonrpc": "2.0", "method": "call", "params": {}});
        let request = self.post("/web/database/list").json(&question);
        let (_, response) = self.send(request).await.ok()?;
        let body = self.beginning(response).await.ok()?;
        let Databases(names) = result_of(&body, "databases").ok()?;
        Some(names)
    }
}

/// The names of databases.
#[derive(serde::Deserialize)]
struct Databases(Vec<Text>);

reply!(SCALAR => Databases);

/// A reply as it came.
#[derive(Default)]
struct Body {
    bytes: Vec<u8>,
    /// Held until it has been read, if it is large.
    place: Option<SemaphorePermit<'static>>,
}

/// The beginning of an answer of at most so many bytes; of fewer, if they come in many small pieces.
///
/// # Errors
/// If the connection breaks.
pub async fn beginning(mut response: Response, limit: usize) -> Result<Vec<u8>, Failure> {
    let (mut bytes, mut cost) = (Vec::new(), 0);
    while cost < limit
        && let Some(piece) = chunk(&mut response).await?
    {
        cost += piece.len().max(PIECE);
        bytes.extend_from_slice(&piece);
    }
    bytes.truncate(limit);
    Ok(bytes)
}

fn too_large(what: &str, limit: usize) -> Error {
    let limit = if limit < 1 << 20 {
        format!("{} KiB", limit >> 10)
    } else {
        format!("{} MiB", limit >> 20)
    };
    Error::new(Kind::TooLarge, format!("{what} is larger than {limit}"))
}

/// Overwrites a secret wherever it stands.
fn blot(bytes: &mut [u8], secret: &[u8]) {
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&bytes[at..], secret) {
        let end = at + found + secret.len();
        bytes[at + found..end].fill(b'*');
        at = end;
    }
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

/// A request that waits for its answer.
struct Waiting<'a> {
    transport: &'a Transport,
    /// Time and path, until it is answered.
    asked: Option<(Instant, String)>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let given_up = &mut self.transport.asking().given_up;
        *given_up = given_up.take().into_iter().chain(self.asked.take()).min();
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
