//! What a fleet costs: `make bench-fleet`. Takes about a quarter of an hour.
//!
//! Simulated servers in a process of their own, of mixed sizes, 2% of the databases down and 1% slower than the time-out; the daemon
//! polls them with a store on disk. Time runs ten times as fast as in a fleet that is polled every 15 minutes: interval, time-out,
//! latencies and the time between two looks at alerts are a tenth, so that polls come ten times as often and as many run at the same time.
//! `FLEET_BENCH=100,1000` measures other numbers of targets. Prints, asserts nothing.

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

use support::{Fleet, PROGRAM, Process, Usage, median};

mod support;

const INTERVAL: Duration = Duration::from_secs(90);
const TIMEOUT: Duration = Duration::from_secs(3);
/// A tenth of 20 to 500 ms.
const LATENCY: [&str; 3] = ["--latency", "2", "50"];
/// 1,000 people a database in the mean; most databases are small.
const PEOPLE: [&str; 6] = ["--internal", "5", "400", "--portal", "0", "3600"];
const TROUBLE: [&str; 4] = ["--down", "0.02", "--slow", "0.01"];
const SCRAPES: usize = 3;

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

type Row = Vec<(&'static str, String)>;

async fn measure(targets: usize) -> Row {
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = [&LATENCY[..], &PEOPLE, &TROUBLE].concat();
    eprintln!("{targets} targets: making the servers");
    let fleet = Fleet::start(targets, &arguments, &directory);
    let config = directory.path().join("config.yml");
    let defaults = format!(
        "alerting: {{evaluation_interval: 1500ms}}\ndefaults: {{interval: {}s, timeout: {}s}}\n",
        INTERVAL.as_secs(),
        TIMEOUT.as_secs()
    );
    fs::write(&config, defaults + &fleet.configuration).expect("a configuration");

    let address = free_address();
    let daemon = daemon(&config, address, directory.path());
    let client = Client::new(address);
    client.wait().await;
    let start = daemon.started.elapsed();
    eprintln!("{targets} targets: first polls");
    // They are spread over an interval, and up to one and a half later each target has its place.
    tokio::time::sleep(INTERVAL.mul_f64(2.5) + 2 * TIMEOUT).await;

    eprintln!("{targets} targets: measuring");
    let (_, before) = client.fetch(false).await;
    let (used, served) = (daemon.usage(), fleet.process.usage());
    let began = Instant::now();
    let mut sockets = 0;
    while began.elapsed() < INTERVAL {
        sockets = sockets.max(daemon.sockets());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (using, serving) = (daemon.usage(), fleet.process.usage());
    let (resident, peak) = (daemon.resident(), daemon.peak());
    let (_, after) = client.fetch(false).await;
    let took = began.elapsed();
    let polls = after.sum("odoo_polls_total") - before.sum("odoo_polls_total");
    let failed = after.failures - before.failures;
    let requests = after.sum("odoo_poll_requests_total") - before.sum("odoo_poll_requests_total");
    let lags = after.lags_since(&before);

    let mut row = vec![
        ("targets", targets.to_string()),
        (
            "people, thousands",
            format!("{:.0}", after.sum("odoo_users") / 1e3),
        ),
        (
            "start to first answer, s",
            format!("{:.2}", start.as_secs_f64()),
        ),
        (
            "polls a second",
            format!("{:.1}", polls / took.as_secs_f64()),
        ),
        (
            "of them failed, %",
            format!("{:.1}", 100.0 * failed / polls),
        ),
        ("requests a poll", format!("{:.1}", requests / polls)),
        ("CPU a poll, ms", cpu(used, using, polls)),
        ("CPU of the servers a poll, ms", cpu(served, serving, polls)),
        (
            "context switches a poll",
            format!("{:.0}", (using.switches - used.switches) as f64 / polls),
        ),
        ("resident, MB", format!("{resident:.1}")),
        ("resident at most before a scrape, MB", format!("{peak:.1}")),
        ("open sockets at most", sockets.to_string()),
        ("threads", daemon.threads().to_string()),
        ("started within 10 ms of due, %", lags.within("0.01")),
        ("within 100 ms, %", lags.within("0.1")),
        ("within 1 s, %", lags.within("1.0")),
        ("series", after.series.to_string()),
    ];
    for (gzip, names) in [
        (false, ["/metrics, MB", "time of it, ms", "CPU of it, ms"]),
        (
            true,
            [
                "/metrics in gzip, MB",
                "time of it in gzip, ms",
                "CPU of it in gzip, ms",
            ],
        ),
    ] {
        let (mut sizes, mut times, mut cpus) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..SCRAPES {
            let (before, began) = (daemon.usage().cpu, Instant::now());
            sizes.push(client.fetch(gzip).await.0 as f64 / 1e6);
            times.push(began.elapsed().as_secs_f64() * 1e3);
            cpus.push((daemon.usage().cpu - before) * 1e3);
        }
        let [size, time, cpu] = names;
        row.push((size, format!("{:.2}", median(sizes))));
        row.push((time, format!("{:.0}", median(times))));
        row.push((cpu, format!("{:.0}", median(cpus))));
    }
    row.push((
        "resident at most, with the scrapes, MB",
        format!("{:.1}", daemon.peak()),
    ));
    row
}

fn daemon(config: &Path, address: SocketAddr, directory: &Path) -> Process {
    let mut command = Command::new(PROGRAM);
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

fn cpu(before: Usage, after: Usage, polls: f64) -> String {
    format!("{:.2}", (after.cpu - before.cpu) * 1e3 / polls)
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

    /// How many bytes there are, and the last of them.
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

/// What a scrape said, by family.
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
