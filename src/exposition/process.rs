//! The kernel's figures about this process, for the `process_*` families.
//!
//! Only `/proc/self` is read: where systemd shows a service nothing else (`ProcSubset=pid`), there is no `/proc/stat` to take the
//! time of boot from, so the start counts back from `CLOCK_BOOTTIME`.

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The kernel's figures about this process. Sizes in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// The most that are allowed, if there is a limit.
    pub max_fds: Option<u64>,
    /// Virtual memory.
    pub virtual_memory: u64,
    /// The most that is allowed, if there is a limit.
    pub max_virtual_memory: Option<u64>,
    /// Resident memory.
    pub resident_memory: u64,
    /// Threads.
    pub threads: u64,
    /// Start time.
    pub started: Timestamp,
}

impl Process {
    /// Reads them; `None` where there is no `/proc`.
    pub fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let stat = Stat::parse(&stat)?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        // The directory that is being read is open, too.
        let open_fds = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64 - 1;
        Some(Self {
            cpu_seconds: stat.cpu_ticks as f64 / ticks,
            open_fds,
            max_fds: getrlimit(Resource::Nofile).current,
            virtual_memory: stat.virtual_memory,
            max_virtual_memory: getrlimit(Resource::As).current,
            resident_memory: stat.resident_pages * rustix::param::page_size() as u64,
            threads: stat.threads,
            started: started(stat.start_ticks as f64 / ticks),
        })
    }
}

/// The fields of `/proc/self/stat` that matter.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_memory: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name, field 2, stands in brackets and may contain anything: the fields are counted from its end.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_memory: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The time of the start, computed once so that it does not move with the clock.
fn started(seconds_after_boot: f64) -> Timestamp {
    static STARTED: OnceLock<Timestamp> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let boot = clock_gettime(ClockId::Boottime);
        let up = boot.tv_sec as f64 + boot.tv_nsec as f64 / 1e9;
        Timestamp::now() - SignedDuration::from_secs_f64((up - seconds_after_boot).max(0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 7 0 123456 1048576 256 18446744073709551615";
        let stat = Stat {
            cpu_ticks: 200,
            threads: 7,
            start_ticks: 123456,
            virtual_memory: 1048576,
            resident_pages: 256,
        };
        assert_eq!(Stat::parse(text), Some(stat));
    }

    #[test]
    fn this_process_reads_itself() {
        let process = Process::read().expect("Linux has /proc");
        let age = Timestamp::now().duration_since(process.started);
        assert!(
            age > SignedDuration::ZERO && age < SignedDuration::from_hours(24),
            "{age:?}"
        );
        assert!(process.open_fds >= 3 && process.threads >= 1);
        assert!(
            process.resident_memory > 100_000 && process.virtual_memory >= process.resident_memory
        );
    }
}
