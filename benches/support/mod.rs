//! Processes that are measured: started, seen through `/proc`, and ended with the bench.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The program, built as the bench is.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_odoo-mfa-exporter");

/// Maximum time of a start.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// A process; it ends when it is dropped.
pub struct Process {
    child: Child,
    /// Start time.
    pub started: Instant,
}

/// The kernel's counters of a process at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// User and system time, in seconds.
    pub cpu: f64,
    /// Context switches of all threads that there are.
    pub switches: u64,
}

impl Process {
    /// Starts it. Its log goes to a file, because a pipe without a reader would stop it.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let program = command.get_program().to_owned();
        let log = fs::File::create(log).expect("a log file");
        let started = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Self { child, started }
    }

    /// Resident memory now, in MB.
    pub fn resident(&self) -> f64 {
        self.status("VmRSS:") as f64 / 1e3
    }

    /// The most resident memory so far, in MB.
    pub fn peak(&self) -> f64 {
        self.status("VmHWM:") as f64 / 1e3
    }

    /// Threads.
    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    /// Open sockets.
    pub fn sockets(&self) -> usize {
        let links = fs::read_dir(self.path("fd")).expect("a process that runs");
        let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// Usage so far.
    pub fn usage(&self) -> Usage {
        let threads = fs::read_dir(self.path("task")).expect("a process that runs");
        let switches = threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
            .map(|status| {
                number(&status, "voluntary_ctxt_switches:")
                    + number(&status, "nonvoluntary_ctxt_switches:")
            })
            .sum();
        Usage {
            cpu: cpu(&self.path("stat")),
            switches,
        }
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(self.path("status")).expect("a process that runs");
        number(&status, field)
    }

    fn path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id())).join(file)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time by a `/proc/PID/stat`, in seconds.
pub fn cpu(stat: &Path) -> f64 {
    let stat = fs::read_to_string(stat).expect("a process that runs");
    let (_, fields) = stat.rsplit_once(')').expect("the name stands in brackets");
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number") as f64;
    (ticks(11) + ticks(12)) / rustix::param::clock_ticks_per_second() as f64
}

/// The number of a field of `/proc/PID/status`.
pub fn number(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let first = line.and_then(|line| line.split_ascii_whitespace().next());
    first.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A simulated fleet in a process of its own, and the configuration that polls it.
pub struct Fleet {
    /// The process.
    pub process: Process,
    /// The targets' configuration.
    pub configuration: String,
}

impl Fleet {
    /// Starts it; its files are in `directory`.
    pub fn start(targets: usize, arguments: &[&str], directory: &TempDir) -> Self {
        let file = directory.path().join("targets.yml");
        let mut simulate = Command::new(PROGRAM);
        simulate
            .args(["simulate", "--targets", &targets.to_string()])
            .args(arguments);
        simulate.arg("--configuration").arg(&file);
        simulate
            .arg("--key-file")
            .arg(directory.path().join("simulated.key"));
        let process = Process::start(&mut simulate, &directory.path().join("simulate.log"));
        let configuration = wait_for("the simulated fleet", || {
            let text = fs::read_to_string(&file).ok()?;
            (text.matches("- name:").count() == targets && text.ends_with("}\n")).then_some(text)
        });
        Self {
            process,
            configuration,
        }
    }
}

/// Tries until there is something.
pub fn wait_for<T>(what: impl Display, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(
            started.elapsed() < STARTS_WITHIN,
            "no sign of {what} within {STARTS_WITHIN:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
