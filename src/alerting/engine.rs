//! The one task that evaluates: board in, states kept, notifications out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::names::{self, Names, NamesUnavailable, PEOPLE};
use super::states::{AlertStates, Change};
use super::view::{AlertView, Alerts};
use super::{Hub, Notification, Options, To};
use crate::config;
use crate::domain::alert::{
    Event, ExporterView, Fingerprint, FleetView, Memory, Phase, Rules, State, States, TargetView,
    Transitions, evaluate, step,
};
use crate::domain::{IdSet, TargetSnapshot};
use crate::exposition::{Board, ExporterState};

/// What the engine reads and writes.
pub struct Inputs {
    /// The targets.
    pub board: Arc<Board>,
    /// The exporter itself.
    pub exporter: Arc<ExporterState>,
    /// What polls found to have happened. The engine goes on when the other end is gone.
    pub transitions: mpsc::Receiver<Transitions>,
    /// What survives a restart.
    pub states: Arc<dyn AlertStates>,
    /// Who people are, if alerts may name them.
    pub names: Option<Arc<dyn Names>>,
}

/// Evaluates rules, and tells receivers.
pub struct Engine {
    inputs: Inputs,
    rules: Rules,
    hub: Arc<Hub>,
    options: Options,
    alerts: Alerts,
    states: States,
    memories: HashMap<String, Remembered>,
    /// When each alert was last sent to Alertmanagers, and to webhooks.
    sent: HashMap<Fingerprint, Sent>,
    named: HashMap<Fingerprint, Named>,
    lookups: JoinSet<(Fingerprint, IdSet, Looked)>,
    lookups_at_once: Arc<Semaphore>,
    failing: HashMap<String, Failing>,
    store_errors: (u64, Vec<(Timestamp, u64)>),
    states_failing: bool,
}

/// What is remembered of a target, and of which poll it knows.
#[derive(Debug, Default)]
struct Remembered {
    memory: Memory,
    poll: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    alertmanagers: Instant,
    webhooks: Instant,
}

/// Who is concerned by an alert that fires.
#[derive(Debug)]
enum Named {
    /// Odoo is being asked; nothing was sent yet.
    Asking,
    /// The annotation for these people.
    Text(IdSet, String),
}

type Looked = Result<Vec<names::Someone>, NamesUnavailable>;

/// A receiver's failures when they were last counted, and when they last grew.
#[derive(Debug, Clone, Copy)]
struct Failing {
    count: u64,
    last: Option<Timestamp>,
}

/// A failure that is younger than this is recent.
const RECENT_FAILURE: SignedDuration = SignedDuration::from_mins(10);
const RECENT_STORE_ERRORS: SignedDuration = SignedDuration::from_mins(30);

/// Odoo servers that are asked for names at the same time.
const LOOKUPS: usize = 8;

/// An alert waits for names no longer than this.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A store that takes longer to keep states does not keep alerts from being sent.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);

const ALERT_KEY: &str = "alert/";
const MEMORY_KEY: &str = "memory/";

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that has not looked yet. It needs a runtime, since receivers' tasks start at once.
    pub fn new(config: &config::Alerting, inputs: Inputs, options: Options) -> Self {
        Self {
            hub: Hub::start(&config.receivers, inputs.exporter.alerting(), options),
            inputs,
            rules: config.rules.clone(),
            options,
            alerts: Alerts::default(),
            states: States::new(),
            memories: HashMap::new(),
            sent: HashMap::new(),
            named: HashMap::new(),
            lookups: JoinSet::new(),
            lookups_at_once: Arc::new(Semaphore::new(LOOKUPS)),
            failing: HashMap::new(),
            store_errors: (0, Vec::new()),
            states_failing: false,
        }
    }

    /// The alerts as they are, for others to show.
    pub fn alerts(&self) -> Alerts {
        self.alerts.clone()
    }

    /// Evaluates until it is told to stop; then lets what waits be sent, for a short time. Nothing is resolved by a stop.
    pub async fn run(mut self, stop: CancellationToken) {
        self.restore().await;
        let mut ticks = interval(self.options.evaluate_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut transitions_come = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.look(Timestamp::now()).await,
                happened = self.inputs.transitions.recv(), if transitions_come => match happened {
                    Some(happened) => self.happened(&happened).await,
                    None => transitions_come = false,
                },
                Some(Ok((fingerprint, people, looked))) = self.lookups.join_next() => {
                    self.looked_up(fingerprint, people, looked);
                }
            }
        }
        self.hub.drain().await;
    }

    async fn restore(&mut self) {
        let kept = match self.inputs.states.load().await {
            Ok(kept) => kept,
            Err(error) => {
                warn!(%error, "the state of alerts cannot be read: alerts begin anew");
                return;
            }
        };
        for (key, value) in kept {
            if let Some(fingerprint) = key.strip_prefix(ALERT_KEY) {
                let state = serde_json::from_slice::<State>(&value).ok();
                if let (Ok(fingerprint), Some(state)) = (fingerprint.parse(), state) {
                    self.states.insert(fingerprint, state);
                }
            } else if let Some(target) = key.strip_prefix(MEMORY_KEY)
                && let Ok(memory) = serde_json::from_slice(&value)
            {
                let remembered = Remembered { memory, poll: None };
                self.memories.insert(target.to_owned(), remembered);
            }
        }
    }

    /// One look at the fleet, and everything that follows from it.
    async fn look(&mut self, now: Timestamp) {
        let snapshots = self.inputs.board.snapshots();
        let mut changes = self.remember(&snapshots, now);
        let failing = self.failing_receivers(now);
        let store_errors = self.recent_store_errors(now);
        let evaluation = {
            let forgotten = Memory::default();
            let targets: Vec<TargetView> = snapshots
                .iter()
                .map(|snapshot| TargetView {
                    snapshot,
                    memory: self
                        .memories
                        .get(&snapshot.identity.name)
                        .map_or(&forgotten, |it| &it.memory),
                })
                .collect();
            let config = self.inputs.exporter.config();
            let view = FleetView {
                targets: &targets,
                exporter: ExporterView {
                    config_rejected: config.loaded_at.is_some() && !config.last_successful,
                    failing_receivers: &failing,
                    store_errors,
                },
            };
            evaluate(&self.rules, &view, &self.states, now)
        };
        let events = step(&mut self.states, evaluation, &self.rules, now);
        for (fingerprint, event) in &events {
            self.log(*fingerprint, *event);
            if *event != Event::Changed {
                let state = self.states.get(fingerprint);
                let value = state.and_then(|state| serde_json::to_vec(state).ok());
                changes.push((format!("{ALERT_KEY}{fingerprint}"), value));
            }
        }
        // Whoever was told of an alert must be told of its end, whatever happens to this process in between.
        self.save(changes).await;
        self.ask_for_names(&snapshots, &events);
        self.send(now, &events);
        self.show();
    }

    /// Notes new polls. Gives what is worth keeping.
    fn remember(&mut self, snapshots: &[Arc<TargetSnapshot>], now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        for snapshot in snapshots {
            let Some(posture) = &snapshot.posture else {
                continue;
            };
            let name = &snapshot.identity.name;
            if !self.memories.contains_key(name) {
                self.memories.insert(name.clone(), Remembered::default());
            }
            if let Some(remembered) = self.memories.get_mut(name)
                && (remembered.poll.is_none() || remembered.poll != snapshot.health.last_success)
            {
                remembered.poll = snapshot.health.last_success;
                remembered.memory.forget(now);
                if remembered.memory.note(posture, now) {
                    changes.push(remembered.change(name));
                }
            }
        }
        if self.memories.len() > snapshots.len() {
            let names: HashSet<_> = snapshots.iter().map(|it| &it.identity.name).collect();
            self.memories.retain(|name, _| {
                let stays = names.contains(name);
                if !stays {
                    changes.push((format!("{MEMORY_KEY}{name}"), None));
                }
                stays
            });
        }
        changes
    }

    async fn happened(&mut self, happened: &Transitions) {
        let remembered = self.memories.entry(happened.target.clone()).or_default();
        remembered.memory.forget(happened.at);
        remembered.memory.happened(happened);
        let change = remembered.change(&happened.target);
        self.save(vec![change]).await;
    }

    /// Receivers that failed within the last ten minutes.
    fn failing_receivers(&mut self, now: Timestamp) -> Vec<String> {
        let receivers = self.inputs.exporter.alerting().receivers();
        let mut before = std::mem::take(&mut self.failing);
        for (name, stats) in receivers {
            let count = stats.all_failed() + stats.all_dropped();
            let last = match before.remove(&name) {
                Some(failing) if failing.count == count => failing.last,
                None if count == 0 => None,
                _ => Some(now),
            };
            self.failing.insert(name, Failing { count, last });
        }
        let recent = |failing: &Failing| {
            let last = failing.last;
            last.is_some_and(|last| now.duration_since(last) < RECENT_FAILURE)
        };
        let mut failing: Vec<_> = self
            .failing
            .iter()
            .filter(|(_, failing)| recent(failing))
            .map(|(name, _)| name.clone())
            .collect();
        failing.sort_unstable();
        failing
    }

    fn recent_store_errors(&mut self, now: Timestamp) -> u64 {
        let count = self.inputs.exporter.store_errors();
        let (before, times) = &mut self.store_errors;
        if count > *before {
            times.push((now, count - *before));
        }
        *before = count;
        times.retain(|(at, _)| now.duration_since(*at) < RECENT_STORE_ERRORS);
        times.iter().map(|(_, errors)| errors).sum()
    }

    async fn save(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let saved = match timeout(SAVE_TIMEOUT, self.inputs.states.save(changes)).await {
            Ok(saved) => saved.map_err(|error| error.to_string()),
            Err(_elapsed) => Err("it takes too long".to_owned()),
        };
        match &saved {
            Ok(()) if self.states_failing => info!("the state of alerts is kept again"),
            Err(error) if !self.states_failing => {
                warn!(
                    error,
                    "the state of alerts cannot be kept: a restart will forget it"
                );
            }
            _ => {}
        }
        self.states_failing = saved.is_err();
    }

    /// Asks who is concerned, once when an alert fires and again when others are. Its first sending waits for the answer.
    fn ask_for_names(
        &mut self,
        snapshots: &[Arc<TargetSnapshot>],
        events: &[(Fingerprint, Event)],
    ) {
        let states = &self.states;
        self.named.retain(|fingerprint, _| {
            let state = states.get(fingerprint);
            state.is_some_and(|state| state.phase() == Phase::Firing)
        });
        let Some(names) = &self.inputs.names else {
            return;
        };
        for (fingerprint, _) in events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Fired | Event::Changed | Event::Kept))
        {
            let Some(state) = self.states.get(fingerprint) else {
                continue;
            };
            let Some(people) = state.people.clone().filter(|people| !people.is_empty()) else {
                continue;
            };
            match self.named.get(fingerprint) {
                Some(Named::Asking) => continue,
                Some(Named::Text(known, _)) if *known == people => continue,
                Some(Named::Text(..)) => {}
                None => {
                    self.named.insert(*fingerprint, Named::Asking);
                }
            }
            let target = state.labels.get("target").cloned().unwrap_or_default();
            let dark = snapshots
                .iter()
                .any(|it| it.identity.name == target && it.posture.is_none());
            let (names, places) = (Arc::clone(names), Arc::clone(&self.lookups_at_once));
            let (fingerprint, whom) = (*fingerprint, people.clone());
            self.lookups.spawn(async move {
                let asked = async {
                    let _place = places.acquire().await.map_err(|_| NamesUnavailable)?;
                    names.names(target, whom, names::NAMED).await
                };
                let looked = if dark {
                    Err(NamesUnavailable)
                } else {
                    let asked = timeout(LOOKUP_TIMEOUT, asked).await;
                    asked.unwrap_or(Err(NamesUnavailable))
                };
                (fingerprint, people, looked)
            });
        }
    }

    fn looked_up(&mut self, fingerprint: Fingerprint, people: IdSet, looked: Looked) {
        let firing = |state: &State| state.phase() == Phase::Firing;
        if self.states.get(&fingerprint).is_some_and(firing) {
            let first = matches!(self.named.get(&fingerprint), Some(Named::Asking));
            let text = names::text(&people, looked);
            self.named.insert(fingerprint, Named::Text(people, text));
            let now = Instant::now();
            self.tell(fingerprint, Timestamp::now(), To::Alertmanagers);
            if first {
                self.tell(fingerprint, Timestamp::now(), To::Webhooks);
            }
            let sent = self.sent.entry(fingerprint).or_insert(Sent {
                alertmanagers: now,
                webhooks: now,
            });
            sent.alertmanagers = now;
        }
    }

    /// Sends what is new, and again what was sent long enough ago.
    fn send(&mut self, now: Timestamp, events: &[(Fingerprint, Event)]) {
        let new: HashSet<Fingerprint> = events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Fired | Event::Resolved))
            .map(|(fingerprint, _)| *fingerprint)
            .collect();
        let clock = Instant::now();
        let mut due = Vec::new();
        for (fingerprint, state) in &self.states {
            if state.phase() == Phase::Pending
                || matches!(self.named.get(fingerprint), Some(Named::Asking))
            {
                continue;
            }
            let new = new.contains(fingerprint);
            let resolved = state.phase() == Phase::Resolved;
            let sent = self.sent.get(fingerprint);
            let since = |at: Option<Instant>, time: Duration| {
                at.is_none_or(|at| clock.duration_since(at) >= time)
            };
            if new || since(sent.map(|it| it.alertmanagers), self.options.resend_every) {
                due.push((*fingerprint, To::Alertmanagers));
            }
            // A webhook is told of an end once; after a restart nobody knows whether it was.
            if new
                || since(sent.map(|it| it.webhooks), self.options.repeat_every)
                    && (!resolved || sent.is_none())
            {
                due.push((*fingerprint, To::Webhooks));
            }
        }
        for (fingerprint, to) in due {
            self.tell(fingerprint, now, to);
            let sent = self.sent.entry(fingerprint).or_insert(Sent {
                alertmanagers: clock,
                webhooks: clock,
            });
            match to {
                To::Alertmanagers => sent.alertmanagers = clock,
                To::Webhooks => sent.webhooks = clock,
            }
        }
        let states = &self.states;
        self.sent
            .retain(|fingerprint, _| states.contains_key(fingerprint));
    }

    fn tell(&self, fingerprint: Fingerprint, now: Timestamp, to: To) {
        let Some(state) = self.states.get(&fingerprint) else {
            return;
        };
        let Some(starts_at) = state.fired_at else {
            return;
        };
        let until = |time: Duration| now.checked_add(time).unwrap_or(Timestamp::MAX);
        let lease = until(self.options.lease());
        let resolved = state.resolved_at;
        let mut annotations = state.annotations.clone();
        annotations.insert(
            "since".into(),
            state.active_since.strftime("%F %T UTC").to_string(),
        );
        if self.inputs.names.is_some() && resolved.is_none() && concerns_people(state) {
            let people = match self.named.get(&fingerprint) {
                Some(Named::Text(_, text)) => text.clone(),
                _ => NamesUnavailable.to_string(),
            };
            annotations.insert(PEOPLE.into(), people);
        }
        let notification = Notification {
            fingerprint,
            labels: state.labels.clone(),
            annotations,
            starts_at,
            // An alert may begin and end within a moment; an end before the beginning would be refused.
            ends_at: resolved.unwrap_or(lease).max(starts_at),
            resolved: resolved.is_some(),
            of_use_until: match to {
                To::Alertmanagers => lease,
                // It is told once, so that a long outage of a webhook loses nothing.
                To::Webhooks => until(self.options.repeat_every),
            },
        };
        self.hub.push(&Arc::new(notification), to);
    }

    fn show(&self) {
        let mut counts = BTreeMap::new();
        let mut shown = Vec::new();
        for state in self.states.values() {
            let word = match state.phase() {
                Phase::Pending => "pending",
                Phase::Firing => "firing",
                Phase::Resolved => continue,
            };
            let label = |name: &str| state.labels.get(name).cloned().unwrap_or_default();
            let key = (label("alertname"), label("severity"), word);
            *counts.entry(key).or_insert(0) += 1;
            shown.push(AlertView::of(state));
        }
        shown.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let stats = self.inputs.exporter.alerting();
        // Each change makes a scrape encode again.
        if stats.alerts() != counts {
            stats.alerts_are(counts);
        }
        self.alerts.show(shown);
    }

    fn log(&self, fingerprint: Fingerprint, event: Event) {
        let Some(state) = self.states.get(&fingerprint) else {
            return;
        };
        let label = |name: &str| state.labels.get(name).map_or("", String::as_str);
        let (alert, target) = (label("alertname"), label("target"));
        match event {
            Event::Fired => {
                info!(
                    alert,
                    target_name = target,
                    severity = label("severity"),
                    "alert fires"
                );
            }
            Event::Resolved => info!(alert, target_name = target, "alert resolved"),
            Event::Pending | Event::Changed | Event::Kept | Event::Gone => {}
        }
    }
}

/// Whether an alert concerns people, also one that was restored and whose people are not known.
fn concerns_people(state: &State) -> bool {
    use crate::domain::alert::Rule;
    match (&state.people, state.rule()) {
        (Some(_), _) => true,
        (None, Some(rule)) => matches!(
            rule,
            Rule::AdminWithoutMfa
                | Rule::PrivilegedWithoutMfa
                | Rule::PrivilegedDisabled
                | Rule::Disabled
                | Rule::NewPrivilegedPerson
                | Rule::AdminLockoutRisk
                | Rule::ExemptPrivileged
                | Rule::ApiKeyOfArchivedUser
                | Rule::ApiKeyWithoutExpiry
                | Rule::ApiKeyOld
        ),
        (None, None) => false,
    }
}

impl Remembered {
    fn change(&self, target: &str) -> Change {
        let value = serde_json::to_vec(&self.memory).ok();
        (format!("{MEMORY_KEY}{target}"), value)
    }
}
