//! The fleet budget: `make bench-fleet`. Takes about a quarter of an hour.
//!
//! 10,000 targets polled every 15 minutes, with a store on disk, alert rules evaluated every 15 s and one scrape a minute, in gzip as
//! Prometheus asks for it, must take at most 15% of one core and 400 MB of resident memory.
//!
//! Time runs ten times as fast: the interval, the timeout, the latencies of the simulated servers, and the times between two evaluations
//! and two scrapes are a tenth. Work that takes a core for a second here takes it for a tenth of a second there, and as many polls run at the
//! same time. The servers run in a process of their own, in mixed sizes; 2% of the databases are down and 1% slower than the timeout.
//! `FLEET_BENCH=100,1000` measures other numbers of targets, `FLEET_BENCH_RULES=60` other seconds between two evaluations, and
//! `FLEET_BENCH_SPEED=2` another speed: two cores cannot poll 10,000 targets ten times as fast. Prints, asserts nothing.

#![allow(
    clippy::too_many_lines,
    reason = "a measurement reads from top to bottom"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Fleet, PROGRAM, Process, median};

mod support;

const INTERVAL: Duration = Duration::from_secs(900);
const TIMEOUT: Duration = Duration::from_secs(30);
const SCRAPE: Duration = Duration::from_secs(60);
/// Milliseconds.
const LATENCY: [u32; 2] = [20, 500];
/// 1,000 users a database in the mean; most databases are small.
const PEOPLE: [&str; 6] = ["--internal", "5", "400", "--portal", "0", "3600"];
const TROUBLE: [&str; 4] = ["--down", "0.02", "--slow", "0.01"];

#[tokio::main]
async fn main() {
    let numbers = std::env::var("FLEET_BENCH").unwrap_or_else(|_| "100,1000,10000".into());
    let mut rows = Vec::new();
    for targets in numbers.split(',') {
        let targets = targets.parse().expect("FLEET_BENCH is a list of numbers");
        rows.push(measure(targets).await);
    }
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for row in &rows {
        for (index, (name, value)) in row.iter().enumerate() {
            match lines.get_mut(index) {
                Some((_, values)) => values.push(value.clone()),
                None => lines.push((name, vec![value.clone()])),
            }
        }
    }
    println!();
    for (name, values) in lines {
        let values: Vec<String> = values.iter().map(|value| format!("{value:>12}")).collect();
        println!("{name:<44}{}", values.join(""));
    }
}

fn setting(name: &str, default: u32) -> u32 {
    let parse = |text: String| match text.parse() {
        Ok(number) if number > 0 => number,
        _ => panic!("{name} is a number from 1 on"),
    };
    std::env::var(name).map_or(default, parse)
}

type Row = Vec<(&'static str, String)>;

async fn measure(targets: usize) -> Row {
    let directory = tempfile::tempdir().expect("a directory");
    let speed = setting("FLEET_BENCH_SPEED", 10);
    let [interval, timeout, scrape] = [INTERVAL, TIMEOUT, SCRAPE].map(|time| time / speed);
    let [least, most] = LATENCY.map(|time| (time / speed).to_string());
    let latency = ["--latency", &least, &most];
    let arguments = [&latency[..], &PEOPLE, &TROUBLE].concat();
    eprintln!("{targets} targets: making the servers");
    let fleet = Fleet::start(targets, &arguments, &directory);
    let config = directory.path().join("config.yml");
    let rules = setting("FLEET_BENCH_RULES", 15);
    let defaults = format!(
        "alerting: {{evaluation_interval: {}ms}}\ndefaults: {{interval: {}s, timeout: {}s}}\n",
        rules * 1000 / speed,
        interval.as_secs(),
        timeout.as_secs()
    );
    fs::write(&config, defaults + &fleet.configuration).expect("a configuration");

    let address = free_address();
    let daemon = daemon(&config, address, directory.path());
    let client = Client::new(address);
    client.wait().await;
    let start = daemon.started.elapsed();
    eprintln!("{targets} targets: first polls");
    // They are spread over an interval, and up to one and a half later each target has its place.
    tokio::time::sleep(interval.mul_f64(2.5) + 2 * timeout).await;

    eprintln!("{targets} targets: measuring");
    let (_, before) = client.fetch(false).await;
    let (used, served) = (daemon.usage(), fleet.process.usage());
    let began = Instant::now();
    let (mut sockets, mut sizes, mut times) = (0, Vec::new(), Vec::new());
    while began.elapsed() < interval {
        let scraped = Instant::now();
        sizes.push(client.fetch(true).await.0 as f64 / 1e6);
        times.push(scraped.elapsed().as_secs_f64() * 1e3);
        while scraped.elapsed() < scrape {
            sockets = sockets.max(daemon.sockets());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    let took = began.elapsed();
    let (using, serving) = (daemon.usage(), fleet.process.usage());
    let (resident, peak) = (daemon.resident(), daemon.peak());
    let (plain, after) = client.fetch(false).await;
    let polls = after.sum("odoo_polls_total") - before.sum("odoo_polls_total");
    let failed = after.failures - before.failures;
    let requests = after.sum("odoo_poll_requests_total") - before.sum("odoo_poll_requests_total");
    let lags = after.lags_since(&before);
    let cpu = using.cpu - used.cpu;
    let share = 100.0 * cpu / took.as_secs_f64() / f64::from(speed);
    let by_the_servers = cpu / (serving.cpu - served.cpu);

    vec![
        ("targets", targets.to_string()),
        (
            "people, thousands",
            format!("{:.0}", after.sum("odoo_users") / 1e3),
        ),
        ("series", after.series.to_string()),
        ("evaluations each, s", rules.to_string()),
        ("CPU, % of one core", format!("{share:.2}")),
        ("resident, MB", format!("{resident:.1}")),
        ("resident at most, MB", format!("{peak:.1}")),
        ("CPU by that of the servers", format!("{by_the_servers:.2}")),
        (
            "CPU of all by polls, ms",
            format!("{:.2}", cpu * 1e3 / polls),
        ),
        (
            "start to first answer, s",
            format!("{:.2}", start.as_secs_f64()),
        ),
        (
            "polls a second here",
            format!("{:.1}", polls / took.as_secs_f64()),
        ),
        (
            "of them failed, %",
            format!("{:.1}", 100.0 * failed / polls),
        ),
        ("requests a poll", format!("{:.1}", requests / polls)),
        (
            "context switches a poll",
            format!("{:.0}", (using.switches - used.switches) as f64 / polls),
        ),
        ("open sockets at most", sockets.to_string()),
        ("threads", daemon.threads().to_string()),
        ("started within 10 ms of due, %", lags.within("0.01")),
        ("within 100 ms, %", lags.within("0.1")),
        ("within 1 s, %", lags.within("1.0")),
        ("/metrics, MB", format!("{:.2}", plain as f64 / 1e6)),
        ("/metrics in gzip, MB", format!("{:.2}", median(sizes))),
        ("time of it in gzip, ms", format!("{:.0}", median(times))),
    ]
}

fn daemon(config: &Path, address: SocketAddr, directory: &Path) -> Process {
    let mut command = Command::new(PROGRAM);
    command.env("MALLOC_MMAP_THRESHOLD_", "32768"); // as the unit and the image set it
    command.arg("--config.file").arg(config);
    command.arg("--storage.path").arg(directory);
    command.args([
        "--log.level",
        "error",
        "--web.listen-address",
        &address.to_string(),
    ]);
    Process::start(&mut command, &directory.join("daemon.log"))
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address")
}

struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .build()
            .expect("a client");
        Self {
            http,
            url: format!("http://{address}"),
        }
    }

    async fn wait(&self) {
        let mut answers = false;
        for _ in 0..1200 {
            answers = self
                .http
                .get(format!("{}/-/healthy", self.url))
                .send()
                .await
                .is_ok();
            if answers {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(answers, "the daemon does not answer: see its log");
    }

    /// Number of bytes, and the last of them.
    async fn fetch(&self, gzip: bool) -> (usize, Reading) {
        let mut request = self.http.get(format!("{}/metrics", self.url));
        if gzip {
            request = request.header("Accept-Encoding", "gzip");
        }
        let mut answer = request.send().await.expect("an answer");
        let (mut bytes, mut reading, mut rest) = (0, Reading::default(), Vec::new());
        while let Some(piece) = answer.chunk().await.expect("a body to its end") {
            bytes += piece.len();
            if !gzip {
                rest.extend_from_slice(&piece);
                reading.take_lines(&mut rest);
            }
        }
        (bytes, reading)
    }
}

/// Samples of a scrape, by family.
#[derive(Default)]
struct Reading {
    sums: BTreeMap<String, f64>,
    failures: f64,
    lags: BTreeMap<String, f64>,
    series: u64,
}

impl Reading {
    fn take_lines(&mut self, text: &mut Vec<u8>) {
        let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let lines: Vec<u8> = text.drain(..=end).collect();
        let lines = String::from_utf8(lines).expect("text");
        for line in lines.lines().filter(|line| !line.starts_with('#')) {
            self.series += 1;
            let (series, value) = line.rsplit_once(' ').expect("a sample");
            let value: f64 = value.parse().expect("a number");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            if name == "odoo_polls_total" && labels.contains("failure") {
                self.failures += value;
            }
            if let Some(le) = labels.strip_prefix("le=\"")
                && name == "odoo_mfa_exporter_poll_lag_seconds_bucket"
            {
                self.lags
                    .insert(le.trim_end_matches("\"}").to_owned(), value);
            }
            match self.sums.get_mut(name) {
                Some(sum) => *sum += value,
                None => drop(self.sums.insert(name.to_owned(), value)),
            }
        }
    }

    fn sum(&self, family: &str) -> f64 {
        self.sums.get(family).copied().unwrap_or(0.0)
    }

    fn lags_since(&self, before: &Self) -> Lags {
        let since = |(le, count): (&String, &f64)| {
            (
                le.clone(),
                count - before.lags.get(le).copied().unwrap_or(0.0),
            )
        };
        Lags(self.lags.iter().map(since).collect())
    }
}

/// Polls by how late they started at most.
struct Lags(BTreeMap<String, f64>);

impl Lags {
    fn within(&self, seconds: &str) -> String {
        let all = self.0.get("+Inf").copied().unwrap_or(0.0);
        let within = self.0.get(seconds).copied().unwrap_or(f64::NAN);
        format!("{:.2}", 100.0 * within / all)
    }
}
