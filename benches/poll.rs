//! Cost of a poll, compared with the naive way of reading all users page by page with `totp_enabled`: `make bench-poll`.
//!
//! Runs on a simulated Odoo 19 with 5,000 internal and 100,000 portal users; on real ones if URLs are given (with `ODOO_DATABASE`,
//! `ODOO_LOGIN` and `ODOO_API_KEY`), or the targets of a configuration that `POLL_BENCH_CONFIG` names. Both ways go through a SOCKS proxy
//! in this process, which counts the bytes on the wire. With `PGHOST` (and what else psql needs) in the environment, psql reads the same
//! numbers from the database after each poll: the floor under its time. Prints, asserts nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use odoo_mfa_exporter::config::{
    ApiChoice, Config, Env, FileContent, ProcessEnv, ProxyUrl, Target,
};
use odoo_mfa_exporter::odoo::plan::Parts;
use odoo_mfa_exporter::odoo::{Clients, Transport};
use odoo_mfa_exporter::poll;
use odoo_simulator::{AccountKind, Clock, Recipe, ServerOptions, SimServer, World};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const POLLS: usize = 5;
const PAGE: usize = 1000;

#[tokio::main]
async fn main() {
    odoo_mfa_exporter::runtime::install_crypto();
    if let Some(path) = std::env::var_os("POLL_BENCH_CONFIG") {
        return bench(&load(Path::new(&path), &ProcessEnv)).await;
    }
    // Cargo adds `--bench`.
    let urls = std::env::args().skip(1).filter(|it| !it.starts_with("--"));
    let urls: Vec<String> = urls.collect();
    if !urls.is_empty() {
        let needed = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is needed in the environment"))
        };
        let (database, key) = (needed("ODOO_DATABASE"), needed("ODOO_API_KEY"));
        let login = std::env::var("ODOO_LOGIN").ok();
        let targets = urls.iter().enumerate().map(|(number, url)| {
            let mut target = json!({"name": format!("{database}-{}", number + 1), "url": url, "database": database, "api_key": key});
            if let Some(login) = &login {
                target["login"] = json!(login);
            }
            target
        });
        return bench(&written(targets.collect())).await;
    }
    let server = SimServer::start(ServerOptions::new(19))
        .await
        .expect("a free port");
    let recipe = Recipe {
        internal: 5_000,
        portal: 100_000,
        ..Recipe::new(19, 1)
    };
    let mut world = World::build(&recipe, Clock::system());
    let account = world.add_account(AccountKind::Full, "auditor");
    server.add_database("prod", world);
    let target = json!({"name": "simulated-19", "url": server.url(), "database": "prod", "login": account.login, "api_key": account.api_key});
    bench(&written(json!([target]))).await;
}

fn written(targets: Value) -> Config {
    let text = json!({"targets": targets}).to_string();
    load(Path::new("bench.yml"), &Text(text))
}

struct Text(String);

impl Env for Text {
    fn file(&self, _: &Path) -> std::io::Result<FileContent> {
        Ok(FileContent {
            bytes: self.0.clone().into_bytes(),
            mode: 0o600,
        })
    }

    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

fn load(path: &Path, env: &dyn Env) -> Config {
    Config::load(path, env).expect("a good configuration").0
}

async fn bench(config: &Config) {
    println!(
        "{:<16} {:>10} {:>9} {:>9} {:>9} {:>11} {:>9} {:>9} {:>7} {:>7}",
        "target", "poll", "requests", "kB", "by floor", "naive", "requests", "kB", "time", "bytes"
    );
    let wire = Wire::open().await;
    for target in &config.targets {
        let mut target = Target::clone(target);
        let proxy = wire.proxy().parse().expect("a URL");
        target.proxy = Some(ProxyUrl::new(proxy));
        let target = &Arc::new(target);
        let transport =
            Transport::new(&Clients::default(), Arc::clone(target)).expect("a transport");
        let mut session = None;
        let (mut walls, mut floors, mut requests, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
        // The first poll of a session asks a few questions more.
        for _ in 0..=POLLS {
            wire.take();
            let started = Instant::now();
            let now = jiff::Timestamp::now();
            let polled = poll::once(
                &transport,
                &mut session,
                target,
                &config.roles,
                Parts::ALL,
                now,
            )
            .await;
            polled.expect("a poll that succeeds");
            walls.push(started.elapsed());
            requests = transport.take_counts().0;
            bytes = wire.take();
            if std::env::var_os("PGHOST").is_some() {
                floors.push(floor(&target.database));
            }
        }
        let poll = median(walls);
        let by_floor = match floors.is_empty() {
            true => "-".to_owned(),
            false => format!("{:.1}x", poll.as_secs_f64() / median(floors).as_secs_f64()),
        };
        let (naive, pages) = naive(target, &wire).await;
        let naive_bytes = wire.take();
        let time = naive.as_secs_f64() / poll.as_secs_f64();
        let ratio = naive_bytes as f64 / bytes as f64;
        let (bytes, naive_bytes) = (bytes / 1000, naive_bytes / 1000);
        println!(
            "{:<16} {poll:>10.3?} {requests:>9} {bytes:>9} {by_floor:>9} {naive:>11.3?} {pages:>9} {naive_bytes:>9} {time:>6.1}x {ratio:>6.1}x",
            target.name
        );
    }
}

/// Without the first, which had caches to fill.
fn median(mut times: Vec<Duration>) -> Duration {
    times.remove(0);
    times.sort_unstable();
    times[times.len() / 2]
}

/// The time that psql takes for the same numbers, on the database itself.
fn floor(database: &str) -> Duration {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/floor.sql");
    let mut psql = std::process::Command::new("psql");
    psql.args(["-qAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", file]);
    let started = Instant::now();
    let done = psql.stdout(std::process::Stdio::null()).status();
    assert!(done.expect("psql").success(), "psql failed");
    started.elapsed()
}

/// Reads all users, page by page.
async fn naive(target: &Target, wire: &Wire) -> (Duration, usize) {
    let proxy = reqwest::Proxy::all(wire.proxy()).expect("a proxy");
    let client = reqwest::Client::builder().proxy(proxy).build();
    let client = client.expect("a client");
    let legacy = target.api == ApiChoice::JsonRpc
        || target.login.is_some() && !has_json2(&client, target).await;
    let group_field = if legacy { "groups_id" } else { "all_group_ids" };
    let fields = json!([
        "login",
        "active",
        "share",
        group_field,
        "login_date",
        "totp_enabled"
    ]);
    let uid = if legacy {
        authenticate(&client, target).await
    } else {
        Value::Null
    };
    wire.take();
    let started = Instant::now();
    let (mut last, mut pages) = (0, 0);
    loop {
        let domain = json!([["id", ">", last]]);
        let named = json!({"fields": fields, "order": "id", "limit": PAGE, "context": {"active_test": false}});
        let rows = if legacy {
            let key = target.api_key.current();
            let key = key.expose_secret();
            rpc(
                &client,
                target,
                "object",
                "execute_kw",
                json!([
                    target.database,
                    uid,
                    key,
                    "res.users",
                    "search_read",
                    [domain],
                    named
                ]),
            )
            .await
        } else {
            let mut body = named;
            body["domain"] = domain;
            let request = client
                .post(format!("{}json/2/res.users/search_read", target.url))
                .json(&body);
            let request = request
                .bearer_auth(target.api_key.current().expose_secret())
                .header("X-Odoo-Database", &target.database);
            request
                .send()
                .await
                .expect("an answer")
                .json()
                .await
                .expect("rows")
        };
        let rows = rows.as_array().expect("rows");
        pages += 1;
        match rows.last() {
            Some(row) if rows.len() == PAGE => last = row["id"].as_u64().expect("an id"),
            _ => return (started.elapsed(), pages),
        }
    }
}

async fn has_json2(client: &reqwest::Client, target: &Target) -> bool {
    let answer = client
        .get(format!("{}web/version", target.url))
        .send()
        .await
        .expect("an answer");
    answer.status().is_success()
}

async fn authenticate(client: &reqwest::Client, target: &Target) -> Value {
    let key = target.api_key.current();
    let key = key.expose_secret();
    rpc(
        client,
        target,
        "common",
        "authenticate",
        json!([target.database, target.login, key, {}]),
    )
    .await
}

async fn rpc(
    client: &reqwest::Client,
    target: &Target,
    service: &str,
    method: &str,
    args: Value,
) -> Value {
    let body = json!({"jsonrpc": "2.0", "method": "call", "id": 1, "params": {"service": service, "method": method, "args": args}});
    let request = client.post(format!("{}jsonrpc", target.url)).json(&body);
    let mut answer: Value = request
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    answer["result"].take()
}

/// A SOCKS proxy that counts what goes through it.
struct Wire {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Wire {
    async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(relay(stream, Arc::clone(&counted)));
            }
        });
        Self { address, bytes }
    }

    /// The server's name is resolved by the proxy.
    fn proxy(&self) -> String {
        format!("socks5h://{}", self.address)
    }

    /// Both ways, since the last call.
    fn take(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }
}

/// RFC 1928, as far as it is needed: no authentication, CONNECT.
async fn relay(mut client: TcpStream, bytes: Arc<AtomicU64>) -> std::io::Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await?;
    let mut methods = vec![0; usize::from(greeting[1])];
    client.read_exact(&mut methods).await?;
    client.write_all(&[5, 0]).await?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => {
            let mut octets = [0; 4];
            client.read_exact(&mut octets).await?;
            std::net::Ipv4Addr::from(octets).to_string()
        }
        4 => {
            let mut octets = [0; 16];
            client.read_exact(&mut octets).await?;
            std::net::Ipv6Addr::from(octets).to_string()
        }
        _ => {
            let mut name = vec![0; usize::from(client.read_u8().await?)];
            client.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
    };
    let port = client.read_u16().await?;
    let mut server = TcpStream::connect((host, port)).await?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let sent = pump(from_client, to_server, &bytes);
    let received = pump(from_server, to_client, &bytes);
    tokio::try_join!(sent, received).map(drop)
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    bytes: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        bytes.fetch_add(read as u64, Ordering::Relaxed);
        to.write_all(&buffer[..read]).await?;
    }
}
