//! Resources of the nearly idle daemon, compared with two well-known exporters: `make bench-footprint`. Takes about
//! three minutes. Needs prometheus-node-exporter and prometheus-blackbox-exporter from Debian. Prints, asserts nothing.

#![allow(
    clippy::too_many_lines,
    reason = "a measurement reads from top to bottom"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Fleet, PROGRAM, Process, median};
use tempfile::TempDir;

#[expect(dead_code, reason = "another bench needs more")]
mod support;

const STARTS: usize = 21;
/// Time until the work of a start is done: the first poll has ended, and no client waits for the daemon to be ready. The next poll comes
/// at least half an interval, two and a half minutes, after the first.
const SETTLES_WITHIN: Duration = Duration::from_secs(70);
const IDLE: Duration = Duration::from_secs(60);

struct Exporter {
    name: &'static str,
    program: &'static str,
    arguments: Vec<String>,
}

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let fleet = Fleet::start(1, &["--latency", "5", "20"], &directory);
    let config = directory.path().join("config.yml");
    fs::write(&config, &fleet.configuration).expect("a configuration");
    let exporters = [
        Exporter {
            name: "odoo-mfa-exporter",
            program: PROGRAM,
            arguments: vec![
                format!("--config.file={}", config.display()),
                format!("--storage.path={}", directory.path().display()),
            ],
        },
        Exporter {
            name: "node_exporter",
            program: "/usr/bin/prometheus-node-exporter",
            arguments: Vec::new(),
        },
        Exporter {
            name: "blackbox_exporter",
            program: "/usr/bin/prometheus-blackbox-exporter",
            arguments: vec!["--config.file=/etc/prometheus/blackbox.yml".into()],
        },
    ];
    for exporter in &exporters {
        assert!(
            Path::new(exporter.program).exists(),
            "{} is needed: apt-get install prometheus-node-exporter prometheus-blackbox-exporter",
            exporter.program
        );
    }

    let mut starts = [const { Vec::new() }; 3];
    // Alternates, so that a busy neighbor hits all of them.
    for _ in 0..STARTS {
        for (exporter, starts) in exporters.iter().zip(&mut starts) {
            starts.push(start(exporter, &directory).1 * 1e3);
        }
    }
    let running: Vec<(SocketAddr, Process)> = exporters
        .iter()
        .map(|exporter| {
            let (process, _, address) = start(exporter, &directory);
            (address, process)
        })
        .collect();
    std::thread::sleep(SETTLES_WITHIN);
    let before: Vec<_> = running.iter().map(|(_, process)| process.usage()).collect();
    std::thread::sleep(IDLE);

    println!(
        "{:<20}{:>12}{:>16}{:>16}{:>12}{:>9}{:>20}{:>14}",
        "",
        "binary, MB",
        "first start, ms",
        "start, ms",
        "RSS, MB",
        "threads",
        "switches a minute",
        "CPU ms"
    );
    for (index, exporter) in exporters.iter().enumerate() {
        let (address, process) = &running[index];
        let (before, after) = (before[index], process.usage());
        let resident = process.resident();
        scrape(*address).expect("an exporter that still answers");
        println!(
            "{:<20}{:>12.1}{:>16.1}{:>16.1}{:>12.1}{:>9}{:>20}{:>14.0}",
            exporter.name,
            fs::metadata(exporter.program).expect("a program").len() as f64 / 1e6,
            starts[index][0],
            median(starts[index].clone()),
            resident,
            process.threads(),
            after.switches - before.switches,
            (after.cpu - before.cpu) * 1e3,
        );
    }
}

/// Starts an exporter and scrapes it as soon as it answers. In seconds.
fn start(exporter: &Exporter, directory: &TempDir) -> (Process, f64, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mut command = Command::new(exporter.program);
    command
        .args(&exporter.arguments)
        .arg(format!("--web.listen-address={address}"));
    command.env("MALLOC_MMAP_THRESHOLD_", "32768"); // as the unit and the image set it; the others do not use it
    let log = directory.path().join(format!("{}.log", exporter.name));
    let process = Process::start(&mut command, &log);
    let started = process.started;
    while scrape(address).is_none() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{} does not start: {}",
            exporter.name,
            fs::read_to_string(&log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_micros(200));
    }
    let took: Instant = Instant::now();
    (process, took.duration_since(started).as_secs_f64(), address)
}

/// Scrapes; `None` if there is no answer yet.
fn scrape(address: SocketAddr) -> Option<usize> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200").then_some(answer.len())
}
