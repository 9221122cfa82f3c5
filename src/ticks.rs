//! A beat that wakes the process once a tick.

use std::io;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer of the kernel's (`timerfd`). One of tokio's of more than 4 s wakes the process up to three times: its timer wheel has slots of
/// 4 s, 64 ms and 1 ms.
#[derive(Debug)]
pub struct Ticks(AsyncFd<OwnedFd>);

impl Ticks {
    /// The first tick comes at once. It needs a runtime.
    ///
    /// # Errors
    /// When the process has too many files open.
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe, for types that change their descriptor, which this one does not"
    )]
    pub fn every(period: Duration) -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let ticks = Self(AsyncFd::new(timer)?);
        ticks.restart(period);
        Ok(ticks)
    }

    /// The next tick comes at once, and the others this time apart.
    pub fn restart(&self, period: Duration) {
        let beat = Itimerspec {
            it_interval: Timespec {
                tv_sec: period.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: period.subsec_nanos().into(),
            },
            // Nothing at all would be never.
            it_value: Timespec {
                tv_sec: 0,
                tv_nsec: 1,
            },
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &beat)
            .expect("a timer can be set to any time");
    }

    /// The next tick. Those that nobody waited for are one.
    pub async fn tick(&self) {
        let ticks = self.0.async_io(Interest::READABLE, |timer| {
            Ok(rustix::io::read(timer, &mut [0; 8])?)
        });
        ticks.await.expect("a timer that was set can be read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn the_first_tick_comes_at_once_and_the_others_a_period_apart() {
        let ticks = Ticks::every(Duration::from_millis(20)).expect("a timer");
        ticks.tick().await;
        let first = Instant::now();
        ticks.tick().await;
        ticks.tick().await;
        assert!(first.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn a_restart_ticks_at_once() {
        let ticks = Ticks::every(Duration::from_secs(3600)).expect("a timer");
        for _ in 0..2 {
            ticks.tick().await;
            let none = tokio::time::timeout(Duration::from_millis(20), ticks.tick());
            none.await.expect_err("no tick");
            ticks.restart(Duration::from_secs(3600));
        }
    }
}
