//! One target: polls it when it is due, remembers what the next poll needs, and publishes what it found.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::memory::{Comparable, Remembered, show};
use super::{Polled, once};
use crate::config::contract::FAMILIES;
use crate::config::{Metrics, Target};
use crate::domain::alert::{Transitions, concerned};
use crate::domain::facts::Gap;
use crate::domain::health::Outcome;
use crate::domain::posture::Terms;
use crate::domain::role::Roles;
use crate::domain::snapshot::Identity;
use crate::domain::transition::Change;
use crate::domain::{Capability, Factor, PerType, Reason, Roster, TargetSnapshot};
use crate::exposition::{Board, ExporterState, Slot};
use crate::odoo::plan::Parts;
use crate::odoo::surface::check_all;
use crate::odoo::{Clients, Error, Kind, Session, Transport};

/// One target.
#[derive(Debug)]
pub(super) struct Poller {
    target: Arc<Target>,
    parts: Parts,
    slot: Arc<Slot>,
    shared: Arc<Shared>,
    host: Arc<Semaphore>,
    /// Held while a poll runs.
    memory: Mutex<Memory>,
}

/// What one poll leaves for the next.
#[derive(Debug, Default)]
struct Memory {
    session: Option<Session>,
    backoff: Backoff,
    /// No poll starts before.
    not_before: Option<Instant>,
    /// What was logged last: a failure or a gap is logged when it begins, changes or ends, not at every poll.
    failing: Option<Reason>,
    missing: Vec<Capability>,
}

/// What pollers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) roles: Roles,
    pub(super) metrics: Metrics,
    /// Whether to note whom alerts concern.
    pub(super) named: bool,
    pub(super) clients: Arc<Clients>,
    pub(super) exporter: Arc<ExporterState>,
    /// Polls that may run at the same time.
    pub(super) everywhere: Semaphore,
    pub(super) store: Option<Remembered>,
    /// Whoever alerts hears of what happened to people.
    pub(super) transitions: mpsc::Sender<Transitions>,
}

impl Poller {
    pub(super) fn new(
        target: &Arc<Target>,
        shared: &Arc<Shared>,
        board: &Board,
        host: &Arc<Semaphore>,
    ) -> Self {
        Self {
            slot: board.slot(Arc::new(identity(target))),
            parts: parts(&shared.metrics, target),
            target: Arc::clone(target),
            shared: Arc::clone(shared),
            host: Arc::clone(host),
            memory: Mutex::default(),
        }
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    pub(super) fn watches_surface(&self) -> bool {
        self.target.surface.is_some()
    }

    pub(super) fn interval(&self) -> Duration {
        self.target.interval
    }

    /// Where in each interval the target is due: from 0 to 1, by its name.
    pub(super) fn place(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        self.target.name.hash(&mut hasher);
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }

    /// Shows what is known of before the start: counters, and the numbers of the last poll if they are still good.
    pub(super) async fn resume(&self) {
        if let Some(store) = &self.shared.store {
            let resumed = store.resume(&self.target).await;
            let mut snapshot = TargetSnapshot::clone(&self.slot.load());
            snapshot.counters = resumed.counters.map(Arc::new);
            if let Some(last_poll) = resumed.last_poll {
                show(last_poll, &mut snapshot);
            }
            self.slot.publish(snapshot);
        }
    }

    /// Polls, unless the poll before still runs or the target is to be left alone.
    pub(super) async fn tick(&self, due: Instant) {
        let Ok(mut memory) = self.memory.try_lock() else {
            return self.skip();
        };
        if memory
            .not_before
            .is_some_and(|moment| Instant::now() < moment)
        {
            return self.skip();
        }
        let (Ok(_host), Ok(_everywhere)) = (
            self.host.acquire().await,
            self.shared.everywhere.acquire().await,
        ) else {
            return;
        };
        let _in_flight = self.shared.exporter.poll_started(due.elapsed());
        self.poll(&mut memory).await;
    }

    fn skip(&self) {
        debug!(target_name = self.target.name, "poll skipped");
        self.slot.update(|snapshot| snapshot.health.skipped += 1);
    }

    async fn poll(&self, memory: &mut Memory) {
        let (began, attempt) = (Instant::now(), Timestamp::now());
        let (result, requests) = self.ask(memory, attempt).await;
        let ended = Timestamp::now();
        let mut snapshot = TargetSnapshot::clone(&self.slot.load());
        let health = &mut snapshot.health;
        health.last_attempt = Some(attempt);
        health.last_duration = Some(began.elapsed());
        health.requests_ok += requests.0;
        health.requests_error += requests.1;
        match result {
            Ok((polled, comparable)) => {
                self.log_success(memory, &polled);
                memory.backoff.succeeded();
                memory.not_before = None;
                health.last = Some(Outcome::Success);
                health.last_success = Some(ended);
                health.successes += 1;
                if let (Some(store), Some(comparable)) = (&self.shared.store, comparable)
                    && let Some(recorded) =
                        store.record(&self.target, comparable, &polled, ended).await
                {
                    self.tell(&recorded.changes, ended).await;
                    snapshot.counters = Some(Arc::new(recorded.counters));
                }
                snapshot.capabilities = polled.facts.capabilities().into();
                if self.shared.named {
                    snapshot.concerned = Arc::new(concerned(&polled.facts, &polled.standing));
                }
                snapshot.server = Some(polled.facts.server.clone());
                snapshot.poller_key_expiry = polled.posture.poller_key_expiry;
                snapshot.posture = Some(polled.posture);
                let terms = Terms {
                    accepted: &self.target.accepted_factors,
                    exemptions: &self.target.exemptions,
                };
                let roster = Roster::new(polled.facts, polled.standing, &terms);
                snapshot.roster = Some(Arc::new(roster));
            }
            Err(error) => {
                let reason = error.reason();
                self.log_failure(memory, &error);
                let delay = memory
                    .backoff
                    .failed(reason, self.target.interval, self.place());
                memory.not_before = Some(began + delay);
                if matches!(error.kind, Kind::NoSuchName | Kind::Unexpected) {
                    // Perhaps the server is not what it was: learn it anew.
                    memory.session = None;
                }
                health.last = Some(Outcome::Failure(reason));
                health.failures[reason as usize] += 1;
                if error.kind == Kind::Incomplete {
                    snapshot.capabilities = with_users_missing(&snapshot.capabilities, &error);
                }
                snapshot.posture = None;
                snapshot.roster = None;
                if let Some(store) = &self.shared.store {
                    store.record_failure(&self.target).await;
                }
            }
        }
        if let Some(store) = &self.shared.store {
            self.shared.exporter.set_store_errors(store.errors());
        }
        self.slot.update(|current| {
            // A check of the surface, or a skipped poll, may have come in the meantime.
            let (surface, skipped) = (Arc::clone(&current.surface), current.health.skipped);
            *current = TargetSnapshot {
                surface,
                ..snapshot.clone()
            };
            current.health.skipped = skipped;
        });
    }

    /// Tells of changes that alerts hear of.
    async fn tell(&self, changes: &[Change], ended: Timestamp) {
        for transitions in Transitions::of(&self.target.name, changes, ended) {
            // Nobody listens any more at shutdown.
            let _ = self.shared.transitions.send(transitions).await;
        }
    }

    /// Checks what the server exposes, once an interval of its own, where that is configured. Never ends where it is.
    pub(super) async fn watch_surface(&self) {
        let Some(surface) = &self.target.surface else {
            return;
        };
        tokio::time::sleep(self.interval().mul_f64(self.place() / 10.0)).await;
        let mut ticks = tokio::time::interval(surface.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let checked: Arc<[_]> = check_all(&self.shared.clients, &self.target, Timestamp::now())
                .await
                .into();
            self.slot
                .update(|snapshot| snapshot.surface = Arc::clone(&checked));
        }
    }

    /// One poll within its deadline, and how many requests were answered and how many failed.
    async fn ask(
        &self,
        memory: &mut Memory,
        now: Timestamp,
    ) -> (Result<(Polled, Option<Comparable>), Error>, (u64, u64)) {
        let transport = match Transport::new(&self.shared.clients, Arc::clone(&self.target)) {
            Ok(transport) => transport,
            Err(error) => return (Err(error), (0, 0)),
        };
        let (roles, session) = (&self.shared.roles, &mut memory.session);
        let poll = async {
            let polled = once(&transport, session, &self.target, roles, self.parts, now).await?;
            let comparable = match (&self.shared.store, session.as_ref()) {
                (Some(store), Some(session)) => {
                    store.compare(&transport, session, roles, &polled).await?
                }
                _ => None,
            };
            Ok((polled, comparable))
        };
        let result = match AssertUnwindSafe(timeout(self.target.timeout, poll))
            .catch_unwind()
            .await
        {
            Ok(Ok(result)) => result,
            Ok(Err(_elapsed)) => Err(Error::new(
                Kind::TimedOut,
                format!("the poll was not done within {:?}", self.target.timeout),
            )),
            Err(_panic) => Err(Error::new(
                Kind::Defect,
                "a defect of this program stopped the poll",
            )),
        };
        (result, transport.take_counts())
    }

    fn log_success(&self, memory: &mut Memory, polled: &Polled) {
        let name = &self.target.name;
        if memory.failing.take().is_some() {
            info!(target_name = name, "polls succeed again");
        }
        let accepted = &self.target.accept_missing;
        let missing: Vec<Capability> = polled
            .facts
            .gaps()
            .map(|(capability, _)| capability)
            .collect();
        if missing != memory.missing {
            for (capability, gap) in polled
                .facts
                .gaps()
                .filter(|(capability, _)| !accepted.contains(capability))
            {
                warn!(target_name = name, %capability, seen = gap.seen, grant = gap.grant, "figures are withheld: the account cannot see all of it");
            }
            memory.missing = missing;
        }
        debug!(target_name = name, "poll succeeded");
    }

    fn log_failure(&self, memory: &mut Memory, error: &Error) {
        let (name, reason) = (&self.target.name, error.reason());
        let hint = error.hint.unwrap_or_default();
        if memory.failing == Some(reason) {
            debug!(target_name = name, %reason, %error, hint, "poll failed again");
        } else {
            warn!(target_name = name, %reason, %error, hint, "poll failed");
            memory.failing = Some(reason);
        }
    }
}

/// What series repeat of a target's configuration.
fn identity(target: &Target) -> Identity {
    Identity {
        name: target.name.clone(),
        labels: target.labels.clone(),
        url: target.url.as_str().trim_end_matches('/').to_owned(),
        database: target.database.clone(),
        interval: target.interval.as_secs_f64(),
        accepted: target.accepted_factors.iter().copied().collect(),
        coverage_target: PerType::from_fn(|user_type| {
            target.coverage_target.get(&user_type).copied()
        }),
        accept_missing: target.accept_missing.iter().copied().collect(),
        accept_bypasses: target.accept_bypasses.iter().copied().collect(),
        expect_blocked: target
            .surface
            .iter()
            .flat_map(|surface| &surface.vantages)
            .flat_map(|vantage| {
                vantage
                    .expect_blocked
                    .iter()
                    .map(|endpoint| (vantage.name.clone(), *endpoint))
            })
            .collect(),
    }
}

/// The parts of a poll that some exported family, or an accepted factor, needs. Families say by their names what they are about.
fn parts(metrics: &Metrics, target: &Target) -> Parts {
    let any = |words: &[&str]| {
        let about = |family: &&&str| words.iter().any(|word| family.contains(word));
        FAMILIES
            .iter()
            .filter(about)
            .any(|family| metrics.is_enabled(family))
    };
    Parts {
        keys: any(&["_api_key", "_poller_key"]),
        devices: any(&["_trusted_device"]),
        logins: any(&["_dormant_"]),
        sso: any(&["_sso_"]) || target.accepted_factors.contains(&Factor::Sso),
        roles: any(&["_role_", "privilege", "_admins_"]),
    }
}

/// What was known of capabilities, and that the account does not see all users.
fn with_users_missing(
    known: &[(Capability, Option<Gap>)],
    error: &Error,
) -> Arc<[(Capability, Option<Gap>)]> {
    let gap = Gap {
        seen: error.message.clone(),
        grant: error.hint.unwrap_or_default(),
    };
    std::iter::once((Capability::Users, Some(gap)))
        .chain(
            known
                .iter()
                .filter(|(capability, _)| *capability != Capability::Users)
                .cloned(),
        )
        .collect()
}
