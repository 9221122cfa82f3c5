//! Notifications to systemd: readiness, status, and the watchdog. Without `NOTIFY_SOCKET` there are none.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::vitals::Vitals;
use crate::exposition::{Board, ExporterState};
use crate::poll::Pulse;

/// `systemctl status` is never older.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Contents of the status line.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) board: Arc<Board>,
    pub(super) exporter: Arc<ExporterState>,
    pub(super) pulse: Arc<Pulse>,
}

/// The port is bound and what is remembered is shown.
pub(super) fn ready(status: &Status) {
    notify(&[NotifyState::Ready, NotifyState::Status(&status.line())]);
}

/// A configuration is being loaded.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// It is loaded, or refused.
pub(super) fn reloaded() {
    notify(&[NotifyState::Ready]);
}

/// It is about to stop.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Keeps the status line up to date, and the watchdog quiet while the daemon lives, from now on.
pub(super) fn attend(status: Status, vitals: Vitals, stop: CancellationToken) {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        // Three chances within the time that systemd gives.
        let watchdog = sd_notify::watchdog_enabled().filter(|within| !within.is_zero());
        let every = watchdog.map_or(STATUS_EVERY, |within| STATUS_EVERY.min(within / 4));
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::spawn(keep_notifying(
            status,
            vitals,
            ticks,
            watchdog.is_some(),
            stop,
        ));
    }
}

async fn keep_notifying(
    status: Status,
    mut vitals: Vitals,
    mut ticks: Interval,
    watchdog: bool,
    stop: CancellationToken,
) {
    let mut shown = String::new();
    let mut stuck = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let line = status.line();
        if line != shown {
            notify(&[NotifyState::Status(&line)]);
            shown = line;
        }
        if !watchdog {
            continue;
        }
        match vitals.check().await {
            Ok(()) => {
                notify(&[NotifyState::Watchdog]);
                if std::mem::take(&mut stuck) {
                    info!("healthy again: notifying the watchdog");
                }
            }
            Err(error) if !stuck => {
                warn!(%error, "unhealthy: systemd will restart the daemon unless it recovers");
                stuck = true;
            }
            Err(_) => {}
        }
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "cannot notify systemd");
    }
}

impl Status {
    fn line(&self) -> String {
        let states = self.board.states();
        let mut line = format!("targets: {} up, {} down", states.up, states.down);
        if states.pending > 0 {
            line += &format!(", {} not polled yet", states.pending);
        }
        let time = |time: Timestamp| time.strftime("%F %T UTC").to_string();
        if let Some(next) = self.pulse.next_poll()
            && let Ok(next) = Timestamp::now().checked_add(next)
        {
            line += &format!("; next poll {}", time(next));
        }
        let config = self.exporter.config();
        if let Some(loaded) = config.loaded_at {
            line += &format!("; configuration of {}", time(loaded));
        }
        if !config.last_successful {
            line += ", the newer one is refused";
        }
        line
    }
}
