//! What a scrape costs: `make bench-scrape`. Takes six minutes. Needs wrk (`apt-get install wrk`). Prints, asserts nothing.
//!
//! First the encoding of all targets, as after each change; then scrapes of a board that does not change, against a static axum
//! server with the same body in the same run: on a shared machine only the ratio of the two means something. Then a million series,
//! which are streamed, and what that takes of memory at its highest; last, what signing in adds. `cargo bench --bench scrape -- scrape`
//! measures one of them: `encode`, `scrape`, `stream`, `sign-in`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use futures::StreamExt;
use odoo_mfa_exporter::config::web_file::WebFile;
use odoo_mfa_exporter::config::{ProcessEnv, Web};
use odoo_mfa_exporter::domain::{Shard, TargetSnapshot};
use odoo_mfa_exporter::exposition::{Board, Coding, ExporterState, Exposition, Format, catalogue};
use odoo_mfa_exporter::web::access::Access;
use odoo_mfa_exporter::web::{self, App, MetricsPath, Readiness, Reports};
use support::median;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[path = "../tests/it/harness/pki.rs"]
mod pki;
#[path = "../tests/it/harness/snapshots.rs"]
#[expect(dead_code, reason = "the tests need more states than a bench")]
mod snapshots;
#[expect(dead_code, reason = "another bench needs more")]
mod support;

const ROUNDS: usize = 12;
/// Of a million series.
const MANY: usize = 8_500;

#[tokio::main]
async fn main() {
    odoo_mfa_exporter::runtime::install_crypto();
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let wanted = |what: &str| asked.is_empty() || asked.iter().any(|it| it == what);
    if wanted("encode") {
        println!("targets  format       coding    body kB  encode ms  again ms");
        for targets in [1, 50, 1_000, 10_000] {
            for format in [Format::OpenMetrics, Format::Classic] {
                for coding in [Coding::Identity, Coding::Gzip] {
                    encode(targets, format, coding).await;
                }
            }
        }
    }
    if wanted("scrape") {
        println!(
            "\nseries   coding    requests/s  static  ratio     CPU us  static  ratio     p99 us  static  ratio  p99 alone  static  ratio"
        );
        for board in [vec![snapshots::pending("erp")], up(1), up(50)] {
            for coding in [Coding::Identity, Coding::Gzip] {
                scrape(&board, coding).await;
            }
        }
    }
    if wanted("stream") {
        println!("\nseries   coding    at once  scrapes/s  MB/s  resident MB  at most");
        for coding in [Coding::Identity, Coding::Gzip] {
            for at_once in [1, 4] {
                stream(coding, at_once).await;
            }
        }
    }
    if wanted("sign-in") {
        println!("\none after the other, 50 targets  first ms  p50 us  p99 us");
        let tls = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
        let hash = bcrypt::hash("password", 10).expect("a hash");
        let users = format!("basic_auth_users: {{prometheus: {hash}}}\n");
        sign_in("open", "").await;
        sign_in("basic auth, cost 10", &users).await;
        sign_in("TLS", tls).await;
        sign_in("TLS, basic auth, cost 10", &format!("{tls}{users}")).await;
    }
}

/// Scrapes one after the other over one connection, the first apart.
async fn sign_in(what: &str, web_config: &str) {
    let directory = pki::Pki::new().written();
    let path = directory.path().join("web.yml");
    std::fs::write(&path, web_config).expect("a file");
    let web = WebFile::load(&path, &ProcessEnv).config;
    let access = Access::new(&Web::default(), web.expect("it is right")).expect("no role is given");
    let (board, exposition) = shown(up(50));
    let (listener, address) = listen().await;
    let shutdown = CancellationToken::new();
    let routes = routes(board, exposition, access.clone());
    let server = tokio::spawn(web::serve(listener, routes, access, shutdown.clone()));
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .expect("a client");
    let scheme = if web_config.contains("tls") {
        "https"
    } else {
        "http"
    };
    let scrape = async || {
        let started = Instant::now();
        let request = client.get(format!("{scheme}://{address}/metrics"));
        let request = request.basic_auth("prometheus", Some("password"));
        let response = request.send().await.expect("an answer");
        response
            .error_for_status()
            .expect("a scrape")
            .bytes()
            .await
            .expect("a body");
        started.elapsed().as_secs_f64() * 1e6
    };
    let first = scrape().await;
    let mut times = Vec::new();
    for _ in 0..2000 {
        times.push(scrape().await);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{what:<32} {:>8.1} {:>7.0} {:>7.0}",
        first / 1e3,
        times[1000],
        times[1980]
    );
    shutdown.cancel();
    server.await.expect("no panic").expect("a clean end");
}

fn routes(board: Arc<Board>, exposition: Arc<Exposition>, access: Access) -> Router {
    let (readiness, _latch) = Readiness::new(Arc::clone(&board));
    web::router(App {
        reports: Reports::default(),
        exposition,
        directory: web::directory::Directory::new(&[], &board, &Arc::default()),
        board,
        readiness,
        access,
        store: None,
        alerts: odoo_mfa_exporter::alerting::Alerts::default(),
        metrics_path: MetricsPath::default(),
        control: None,
    })
}

fn up(targets: usize) -> Vec<TargetSnapshot> {
    (0..targets)
        .map(|number| snapshots::up(&format!("erp-{number}")))
        .collect()
}

fn shown(targets: Vec<TargetSnapshot>) -> (Arc<Board>, Arc<Exposition>) {
    let board = Arc::new(Board::new());
    let slots = targets.into_iter().map(|target| {
        let slot = board.slot(Arc::clone(&target.identity));
        slot.publish(target);
        slot
    });
    board.show(slots.collect());
    let exposition = Exposition::new(
        Arc::clone(&board),
        ExporterState::new(Shard::WHOLE),
        catalogue::families().collect(),
    );
    (board, exposition)
}

async fn body(exposition: &Arc<Exposition>, format: Format, coding: Coding) -> Vec<Bytes> {
    let body = exposition.body(format, coding).await;
    let pieces = body.into_stream().map(|piece| piece.expect("a piece"));
    pieces.collect().await
}

async fn encode(targets: usize, format: Format, coding: Coding) {
    let (_, exposition) = shown(up(targets));
    let started = Instant::now();
    let pieces = body(&exposition, format, coding).await;
    let first = started.elapsed();
    let started = Instant::now();
    body(&exposition, format, coding).await;
    let again = started.elapsed();
    println!(
        "{targets:<8} {:<12} {:<9} {:>7} {:>10.2} {:>9.3}",
        format!("{format:?}"),
        format!("{coding:?}"),
        pieces.iter().map(Bytes::len).sum::<usize>() / 1000,
        first.as_secs_f64() * 1e3,
        again.as_secs_f64() * 1e3,
    );
}

/// How many series a body has.
async fn series(exposition: &Arc<Exposition>) -> usize {
    let body = exposition.body(Format::OpenMetrics, Coding::Identity).await;
    let mut pieces = std::pin::pin!(body.into_stream());
    let (mut series, mut begins) = (0, true);
    while let Some(piece) = pieces.next().await {
        for byte in piece.expect("a piece") {
            series += usize::from(begins && byte != b'#');
            begins = byte == b'\n';
        }
    }
    series
}

/// A server of ours.
struct Ours {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
}

impl Ours {
    async fn start(board: Arc<Board>, exposition: Arc<Exposition>) -> Self {
        let routes = routes(board, exposition, Access::open());
        let (listener, address) = listen().await;
        let stop = CancellationToken::new();
        let running = tokio::spawn(web::serve(listener, routes, Access::open(), stop.clone()));
        Self {
            address,
            stop,
            running,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.expect("no panic").expect("a clean end");
    }
}

async fn scrape(targets: &[TargetSnapshot], coding: Coding) {
    let (board, exposition) = shown(targets.to_vec());
    let series = series(&exposition).await;
    let bytes = Bytes::from(
        body(&exposition, Format::OpenMetrics, coding)
            .await
            .concat(),
    );
    let ours = Ours::start(board, exposition).await;
    let (listener, theirs) = listen().await;
    let routes = Router::new().route("/metrics", get(async move || bytes));
    let rival = tokio::spawn(axum::serve(listener, routes).into_future());

    let mut measured = [const { [const { Vec::new() }; 2] }; 4];
    // By turns, so that a busy neighbour hits both.
    for _ in 0..ROUNDS {
        for (index, address) in [ours.address, theirs].into_iter().enumerate() {
            let before = support::cpu(Path::new("/proc/self/stat"));
            let full = wrk(address, coding, 8, 1).await;
            let cpu = support::cpu(Path::new("/proc/self/stat")) - before;
            // With more at once than cores the 99th percentile is a time slice of the kernel, or none.
            let alone = wrk(address, coding, 1, 1).await;
            let values = [full.rate, cpu * 1e6 / full.requests, full.p99, alone.p99];
            for (of, value) in measured.iter_mut().zip(values) {
                of[index].push(value);
            }
        }
    }
    print!("{series:<8} {:<9}", format!("{coding:?}"));
    for [ours, theirs] in measured {
        let ratios = ours
            .iter()
            .zip(&theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        print!(
            " {:>10.0} {:>7.0} {:>6.2}",
            median(ours),
            median(theirs),
            median(ratios)
        );
    }
    println!();
    ours.stop().await;
    rival.abort();
}

async fn stream(coding: Coding, at_once: usize) {
    let (board, exposition) = shown(up(MANY));
    let series = series(&exposition).await;
    let size: usize = body(&exposition, Format::OpenMetrics, coding)
        .await
        .iter()
        .map(Bytes::len)
        .sum();
    let ours = Ours::start(board, exposition).await;
    let before = memory("VmRSS:");
    // The high-water mark begins here.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    let Wrk { rate, .. } = wrk(ours.address, coding, at_once, 15).await;
    println!(
        "{series:<8} {:<9} {at_once:>7} {rate:>10.2} {:>5.0} {before:>12.1} {:>8.1}",
        format!("{coding:?}"),
        rate * size as f64 / 1e6,
        memory("VmHWM:"),
    );
    ours.stop().await;
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Of this process, in MB.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    support::number(&status, field) as f64 / 1e3
}

/// What wrk says.
struct Wrk {
    requests: f64,
    /// Requests a second.
    rate: f64,
    /// The 99th percentile of the latency in microseconds.
    p99: f64,
}

async fn wrk(address: SocketAddr, coding: Coding, connections: usize, seconds: u32) -> Wrk {
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads=1", "--latency", "--timeout=60s"])
        .arg(format!("--connections={connections}"))
        .arg(format!("--duration={seconds}s"))
        .args([
            "--header",
            "Accept: application/openmetrics-text;version=1.0.0",
        ]);
    if coding == Coding::Gzip {
        wrk.args(["--header", "Accept-Encoding: gzip"]);
    }
    wrk.arg(format!("http://{address}/metrics"));
    let output = tokio::task::spawn_blocking(move || wrk.output()).await;
    let output = output
        .expect("no panic")
        .expect("wrk is needed: apt-get install wrk");
    let report = String::from_utf8(output.stdout).expect("a report");
    let after = |mark: &str| {
        let line = report
            .lines()
            .find_map(|line| line.trim().strip_prefix(mark));
        line.unwrap_or_else(|| panic!("no {mark} in {report}"))
            .trim()
            .to_owned()
    };
    assert!(!report.contains("Non-2xx"), "{report}");
    let requests = report
        .lines()
        .find_map(|line| line.split_once(" requests in"));
    let (requests, _) = requests.expect("how many there were");
    Wrk {
        requests: requests.trim().parse().expect("a number"),
        rate: after("Requests/sec:").parse().expect("a number"),
        p99: microseconds(&after("99%")),
    }
}

fn microseconds(text: &str) -> f64 {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let factor = match &text[digits.len()..] {
        "us" => 1.0,
        "ms" => 1e3,
        _ => 1e6,
    };
    digits.parse::<f64>().expect("a number") * factor
}
