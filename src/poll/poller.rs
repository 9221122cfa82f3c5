//! One target: polls it when it is due, remembers what the next poll needs, and publishes what it found.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::memory::{Comparable, Remembered, show};
use super::settings::Settings;
use super::{Polled, once};
use crate::domain::alert::concerned;
use crate::domain::facts::Gap;
use crate::domain::health::{Failure, Outcome, Past, Poll, PollHealth};
use crate::domain::standing::Terms;
use crate::domain::transition::Recent;
use crate::domain::{Capability, Reason, Roster, TargetSnapshot};
use crate::exposition::{Board, ExporterState, Slot};
use crate::odoo::surface::check_all;
use crate::odoo::{Clients, Error, Kind, Session, Transport};
use crate::store::PollRecord;

/// One target as it is configured. When that changes, another poller takes its place.
#[derive(Debug)]
pub(super) struct Poller {
    settings: Settings,
    slot: Arc<Slot>,
    shared: Arc<Shared>,
    host: Arc<Semaphore>,
    /// Held while a poll runs.
    memory: Mutex<Memory>,
    /// Held while a poll is written down.
    writing: Mutex<()>,
    /// Polls soon after the start, instead of at the target's offset within the interval.
    polls_soon: bool,
    retired: CancellationToken,
}

/// State that one poll leaves for the next.
#[derive(Debug, Default)]
struct Memory {
    session: Option<Session>,
    backoff: Backoff,
    /// No poll starts before.
    not_before: Option<Instant>,
    /// The last logged state: a failure or a gap is logged when it begins, changes or ends, not at every poll.
    failing: Option<Failing>,
    missing: Vec<Capability>,
    skewed: bool,
}

/// Polls that fail in a row.
#[derive(Debug, Clone, Copy)]
struct Failing {
    reason: Reason,
    since: Instant,
}

/// Result of a poll for the store.
#[derive(Debug)]
enum Found {
    /// Figures, to be compared with those of the poll before.
    Success(Box<PollRecord>),
    /// A failure.
    Failure,
    /// The poll was given up, or cannot be compared.
    Nothing,
}

/// State that pollers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) board: Arc<Board>,
    pub(super) clients: Arc<Clients>,
    pub(super) exporter: Arc<ExporterState>,
    /// Polls that may run at the same time.
    pub(super) everywhere: Semaphore,
    pub(super) store: Option<Remembered>,
}

impl Poller {
    pub(super) fn new(settings: Settings, shared: &Arc<Shared>) -> Self {
        Self {
            slot: shared.board.slot(Arc::new(settings.identity())),
            host: shared.clients.host(&settings.target.url),
            settings,
            shared: Arc::clone(shared),
            memory: Mutex::default(),
            writing: Mutex::default(),
            polls_soon: true,
            retired: CancellationToken::new(),
        }
    }

    /// Polls no more. A poll that waits for answers is given up; one that is being written down ends first.
    pub(super) async fn retire(&self) {
        self.retired.cancel();
        drop((self.memory.lock().await, self.writing.lock().await));
    }

    /// The poller that replaces this one. Figures are kept if their meaning is the same, counters always.
    pub(super) async fn replaced(&self, settings: Settings) -> Self {
        self.retire().await;
        let memory = std::mem::take(&mut *self.memory.lock().await);
        let next = Self::new(settings, &self.shared);
        let (old, new) = (&self.settings, &next.settings);
        let before = TargetSnapshot::clone(&self.slot.load());
        let pending = TargetSnapshot::clone(&next.slot.load());
        let mut snapshot = if old.means(new) {
            TargetSnapshot {
                identity: pending.identity,
                ..before
            }
        } else {
            let same_surface =
                old.target.url == new.target.url && old.target.surface == new.target.surface;
            TargetSnapshot {
                health: PollHealth {
                    last: None,
                    ..before.health
                },
                counters: before.counters,
                recent: before.recent,
                surface: if same_surface {
                    before.surface
                } else {
                    Arc::default()
                },
                ..pending
            }
        };
        if !new.named {
            snapshot.concerned = Arc::default();
        }
        next.slot.publish(snapshot);
        let reached = old.reaches(new);
        let memory = if !reached {
            // A failure may be fixed; a log line need not be repeated.
            Memory {
                failing: memory.failing,
                missing: memory.missing,
                skewed: memory.skewed,
                ..Memory::default()
            }
        } else {
            memory
        };
        Self {
            polls_soon: !reached || next.slot.load().health.last.is_none(),
            memory: Mutex::new(memory),
            ..next
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Poll this target soon instead of waiting for its offset.
    pub(super) fn polls_soon(&self) -> bool {
        self.polls_soon
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.is_cancelled()
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    pub(super) fn watches_surface(&self) -> bool {
        self.settings.target.surface.is_some()
    }

    pub(super) fn interval(&self) -> Duration {
        self.settings.target.interval
    }

    /// Offset of the target within each interval: from 0 to 1, derived from its name.
    pub(super) fn offset(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        self.settings.target.name.hash(&mut hasher);
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }

    /// Shows what is known of before the start: counters, and the numbers of the last poll if they are still good. `false` if the store
    /// fails.
    pub(super) async fn resume(&self) -> bool {
        if let Some(store) = &self.shared.store {
            let Some(resumed) = store.resume(&self.settings.target).await else {
                return false;
            };
            let mut snapshot = TargetSnapshot::clone(&self.slot.load());
            snapshot.counters = resumed.counters.map(Arc::new);
            snapshot.recent = resumed.recent.map(Arc::new);
            if let Some(last_poll) = resumed.last_poll {
                show(last_poll, &mut snapshot);
            }
            self.slot.publish(snapshot);
        }
        true
    }

    /// Polls, unless the previous poll still runs or the target is in backoff.
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
        let permits = async {
            (
                self.host.acquire().await,
                self.shared.everywhere.acquire().await,
            )
        };
        let permits = self.retired.run_until_cancelled(permits).await;
        let Some((Ok(_), Ok(_))) = permits else {
            return;
        };
        let in_flight = self
            .shared
            .exporter
            .poll_started(due.elapsed(), self.settings.target.timeout);
        let found = self.poll(&mut memory).await;
        // A slow disk holds up no other poll, and not the next one of this target.
        let writing = self.writing.try_lock();
        drop((in_flight, permits, memory));
        if let Ok(_writing) = writing {
            self.write_down(found).await;
        } else {
            // The next poll is compared with the last one that was written down, so no change is lost.
            self.slot
                .update(|snapshot| snapshot.recently_unprotected = None);
        }
        if let Some(store) = &self.shared.store {
            self.shared.exporter.set_store_errors(store.errors());
        }
    }

    fn skip(&self) {
        debug!(target = self.settings.target.name, "poll skipped");
        self.slot.update(|snapshot| {
            snapshot.health.skipped += 1;
            forget(snapshot, Timestamp::now());
        });
    }

    /// Polls once and publishes the figures.
    async fn poll(&self, memory: &mut Memory) -> Found {
        let (began, attempt) = (Instant::now(), Timestamp::now());
        let (result, requests) = self.ask(memory, attempt).await;
        let Some(result) = result else {
            self.slot.update(|snapshot| {
                snapshot.health.requests_ok += requests.0;
                snapshot.health.requests_error += requests.1;
            });
            return Found::Nothing;
        };
        let ended = Timestamp::now();
        let mut snapshot = TargetSnapshot::clone(&self.slot.load());
        let health = &mut snapshot.health;
        health.last_attempt = Some(attempt);
        health.last_duration = Some(began.elapsed());
        health.requests_ok += requests.0;
        health.requests_error += requests.1;
        health.ended(Poll {
            at: attempt,
            duration: began.elapsed(),
            requests: requests.0 + requests.1,
            failure: result.as_ref().err().map(|error| Failure {
                reason: error.reason(),
                message: error.message.clone(),
                hint: error.hint,
            }),
        });
        let found = match result {
            Ok((polled, comparable)) => {
                self.succeeded(memory, &mut snapshot, polled, comparable, ended)
            }
            Err(error) => {
                self.failed(memory, &mut snapshot, &error, (began, ended));
                Found::Failure
            }
        };
        let missing = snapshot.capabilities.iter();
        snapshot.health.note(Past {
            at: ended,
            failure: snapshot.failing(),
            missing: missing
                .filter(|(_, gap)| gap.is_some())
                .fold(0, |missing, (capability, _)| {
                    missing | 1 << *capability as u16
                }),
        });
        self.slot.update(|current| {
            // A check of the surface, or a skipped poll, may have come in the meantime.
            let (surface, skipped) = (Arc::clone(&current.surface), current.health.skipped);
            *current = TargetSnapshot {
                surface,
                ..snapshot.clone()
            };
            current.health.skipped = skipped;
        });
        found
    }

    fn succeeded(
        &self,
        memory: &mut Memory,
        snapshot: &mut TargetSnapshot,
        polled: Polled,
        comparable: Option<Comparable>,
        ended: Timestamp,
    ) -> Found {
        self.log_success(memory, &polled);
        memory.backoff.succeeded();
        memory.not_before = None;
        let health = &mut snapshot.health;
        health.last = Some(Outcome::Success);
        health.last_success = Some(ended);
        health.successes += 1;
        let record =
            comparable.map(|it| Box::new(it.record(&self.settings.target, &polled, ended)));
        if record.is_none() || polled.posture.protected.is_none() {
            snapshot.recently_unprotected = None;
        }
        snapshot.capabilities = polled.facts.capabilities().into();
        if self.settings.named {
            snapshot.concerned = Arc::new(concerned(&polled.facts, &polled.standing));
        }
        snapshot.server = Some(polled.facts.server.clone());
        snapshot.poller_key_expiry = polled.posture.poller_key_expiry;
        snapshot.posture = Some(polled.posture);
        let terms = Terms {
            accepted: &self.settings.target.accepted_factors,
            exemptions: &self.settings.target.exemptions,
        };
        // Copies: without spare capacity, and apart from what a poll frees. A fleet's memory is mostly rosters.
        let (facts, standing) = (polled.facts.clone(), polled.standing.clone());
        snapshot.roster = Some(Arc::new(Roster::new(facts, standing, &terms)));
        record.map_or(Found::Nothing, Found::Success)
    }

    fn failed(
        &self,
        memory: &mut Memory,
        snapshot: &mut TargetSnapshot,
        error: &Error,
        (began, ended): (Instant, Timestamp),
    ) {
        let reason = error.reason();
        self.log_failure(memory, error);
        let delay = memory
            .backoff
            .failed(reason, self.settings.target.interval, self.offset());
        memory.not_before = Some(began + delay.max(error.retry_after.unwrap_or_default()));
        if makes_a_session_doubtful(error.kind) {
            memory.session = None;
        }
        snapshot.health.last = Some(Outcome::Failure(reason));
        snapshot.health.failures[reason as usize] += 1;
        if error.kind == Kind::Incomplete {
            snapshot.capabilities = with_users_missing(&snapshot.capabilities, error);
        }
        snapshot.posture = None;
        snapshot.recently_unprotected = None;
        snapshot.roster = None;
        forget(snapshot, ended);
    }

    /// Writes down what a poll found, after its figures are published: a slow disk delays none of them. What the store computes is
    /// published after the commit, so that a crash in between counts nothing twice.
    async fn write_down(&self, found: Found) {
        let Some(store) = &self.shared.store else {
            return;
        };
        match found {
            Found::Nothing => {}
            Found::Failure => store.record_failure(&self.settings.target).await,
            Found::Success(record) => {
                let recorded = store.record(*record).await;
                let recorded = recorded.map(|it| (Arc::new(it.counters), Arc::new(it.recent)));
                self.slot.update(|snapshot| {
                    let protected = snapshot.posture.as_ref().and_then(|it| it.protected);
                    let recent = recorded.as_ref().map(|(_, recent)| recent.unprotected());
                    snapshot.recently_unprotected = recent.filter(|_| protected.is_some());
                    if let Some((counters, recent)) = &recorded {
                        snapshot.counters = Some(Arc::clone(counters));
                        snapshot.recent = Some(Arc::clone(recent));
                    }
                });
            }
        }
    }

    /// Checks what the server exposes, once an interval of its own, where that is configured, until it retires.
    pub(super) async fn watch_surface(&self) {
        self.retired.run_until_cancelled(self.check_surface()).await;
    }

    async fn check_surface(&self) {
        let Some(surface) = &self.settings.target.surface else {
            return;
        };
        tokio::time::sleep(self.interval().mul_f64(self.offset() / 10.0)).await;
        let mut ticks = tokio::time::interval(surface.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let checked: Arc<[_]> = check_all(
                &self.shared.clients,
                &self.settings.target,
                Timestamp::now(),
            )
            .await
            .into();
            self.slot
                .update(|snapshot| snapshot.surface = Arc::clone(&checked));
        }
    }

    /// One poll within its deadline, and how many requests were answered and how many failed. `None` if it is given up.
    async fn ask(
        &self,
        memory: &mut Memory,
        now: Timestamp,
    ) -> (
        Option<Result<(Polled, Option<Comparable>), Error>>,
        (u64, u64),
    ) {
        let transport =
            match Transport::new(&self.shared.clients, Arc::clone(&self.settings.target)) {
                Ok(transport) => transport,
                Err(error) => return (Some(Err(error)), (0, 0)),
            };
        let session = &mut memory.session;
        let ends = Instant::now() + self.settings.target.timeout;
        let poll = async {
            let kept = session.is_some();
            match self.read(&transport, session, now, ends).await {
                // The key may have been rotated, or the server may have changed: an account that was created again has another id.
                Err(error)
                    if error.kind == Kind::Unauthorized && transport.reread_key().await
                        || kept && makes_a_session_doubtful(error.kind) =>
                {
                    *session = None;
                    self.read(&transport, session, now, ends).await
                }
                read => read,
            }
        };
        let poll = AssertUnwindSafe(timeout(self.settings.target.timeout, poll)).catch_unwind();
        let polled = self.retired.run_until_cancelled(poll).await;
        let result = polled.map(|polled| match polled {
            Ok(Ok(result)) => result,
            Ok(Err(_elapsed)) => Err(transport.timed_out(self.settings.target.timeout)),
            Err(_panic) => Err(Error::new(
                Kind::Defect,
                "a bug in the exporter stopped the poll",
            )),
        });
        (result, transport.take_counts())
    }

    /// One poll, and with a store what it is compared with. A store that hangs does not keep it from ending in time.
    async fn read(
        &self,
        transport: &Transport,
        session: &mut Option<Session>,
        now: Timestamp,
        ends: Instant,
    ) -> Result<(Polled, Option<Comparable>), Error> {
        let Settings {
            target,
            roles,
            parts,
            logins,
            ..
        } = &self.settings;
        let polled = once(transport, session, target, roles, *parts, now).await?;
        let comparable = match (&self.shared.store, session.as_ref()) {
            (Some(store), Some(session)) => {
                let patience = ends.saturating_duration_since(Instant::now()) / 2;
                store
                    .compare(transport, session, roles, &polled, *logins, patience)
                    .await?
            }
            _ => None,
        };
        Ok((polled, comparable))
    }

    fn log_success(&self, memory: &mut Memory, polled: &Polled) {
        let name = &self.settings.target.name;
        if let Some(failing) = memory.failing.take() {
            let after = Duration::from_secs(failing.since.elapsed().as_secs());
            info!(target = name, ?after, "polls succeed again");
        }
        let accepted = &self.settings.target.accept_missing;
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
                warn!(target = name, %capability, seen = gap.seen, grant = gap.grant, "figures are absent: the account lacks permissions");
            }
            memory.missing = missing;
        }
        let skew = polled.facts.clock_skew();
        match &skew {
            Some(skew) if !memory.skewed => {
                warn!(target = name, "{skew}: synchronize both by NTP");
            }
            None if memory.skewed => info!(target = name, "the clocks agree again"),
            _ => {}
        }
        memory.skewed = skew.is_some();
        debug!(target = name, "poll succeeded");
    }

    fn log_failure(&self, memory: &mut Memory, error: &Error) {
        let (name, reason) = (&self.settings.target.name, error.reason());
        let hint = error.hint;
        let before = memory.failing;
        if before.is_some_and(|failing| failing.reason == reason) {
            debug!(target = name, %reason, %error, hint, "poll failed again");
        } else {
            warn!(target = name, %reason, %error, hint, "poll failed");
            let since = before.map_or_else(Instant::now, |failing| failing.since);
            memory.failing = Some(Failing { reason, since });
        }
    }
}

/// Returns true if the server may have changed, so that a poll learns it again.
fn makes_a_session_doubtful(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::NoSuchName | Kind::Unexpected | Kind::Unauthorized
    )
}

/// Drops events that are no longer recent, although polls fail.
fn forget(snapshot: &mut TargetSnapshot, now: Timestamp) {
    if let Some(recent) = &snapshot.recent {
        let mut recent = Recent::clone(recent);
        if recent.forget(now) {
            snapshot.recent = Some(Arc::new(recent));
        }
    }
}

/// The capabilities, and the fact that the account does not see all users.
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
