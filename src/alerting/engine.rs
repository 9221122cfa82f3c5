//! The one task that evaluates: board in, states kept, notifications out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::health::Health;
use super::link;
use super::names::{Names, PEOPLE};
use super::naming::Naming;
use super::states::{AlertStates, Change};
use super::view::{Alerts, Known};
use super::{Hub, Notification, Options, To};
use crate::config;
use crate::domain::alert::{
    Event, ExporterView, Fingerprint, FleetView, Phase, Rules, State, evaluate, step,
};
use crate::exposition::alerting::AlertCounts;
use crate::exposition::{Board, ExporterState};
use crate::odoo::Clients;

/// Inputs and outputs of the engine.
pub struct Inputs {
    /// The targets.
    pub board: Arc<Board>,
    /// The exporter itself.
    pub exporter: Arc<ExporterState>,
    /// HTTP clients, and the resolver.
    pub clients: Arc<Clients>,
    /// State that survives a restart.
    pub states: Arc<dyn AlertStates>,
    /// New configurations, while it runs. The engine continues when the other end is gone.
    pub reconfigured: mpsc::Receiver<EngineConfig>,
}

/// Configuration of the engine.
pub struct EngineConfig {
    /// Rules, receivers and intervals.
    pub alerting: config::Alerting,
    /// Source of names, if alerts may contain them.
    pub names: Option<Arc<dyn Names>>,
    /// External address of the exporter, if known; the path ends in a slash.
    pub external_url: Option<reqwest::Url>,
}

/// Evaluates rules, and notifies receivers.
pub struct Engine {
    inputs: Inputs,
    hub: Arc<Hub>,
    options: Options,
    ticks: Interval,
    alerts: Alerts,
    /// Times at which each alert was last sent to Alertmanagers, and to webhooks.
    sent: HashMap<Fingerprint, Sent>,
    naming: Naming,
    external_url: Option<reqwest::Url>,
    health: Health,
    states_failing: bool,
    clock: Clock,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    alertmanagers: Instant,
    webhooks: Instant,
}

/// A store that takes longer to keep states does not keep alerts from being sent.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);

const ALERT_KEY: &str = "alert/";

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that has not evaluated yet. It needs a runtime, since receivers' tasks start at once.
    pub fn new(config: EngineConfig, inputs: Inputs, options: Options) -> Self {
        let EngineConfig {
            alerting,
            names,
            external_url,
        } = config;
        let alerts = Alerts::default();
        alerts.write().rules = Arc::new(rules(alerting.rules, external_url.as_ref()));
        Self {
            ticks: ticks(options.evaluate_every),
            naming: Naming::new(names),
            external_url,
            hub: Hub::start(
                &alerting.receivers,
                inputs.exporter.alerting(),
                &inputs.clients,
                options,
            ),
            inputs,
            options,
            alerts,
            sent: HashMap::new(),
            health: Health::default(),
            states_failing: false,
            clock: Clock::new(Timestamp::now()),
        }
    }

    /// The alerts as they are, for others to show.
    pub fn alerts(&self) -> Alerts {
        self.alerts.clone()
    }

    /// Evaluates until `stop`, then sends what waits, for a short time. Stopping resolves no alert.
    pub async fn run(mut self, stop: CancellationToken) {
        self.restore().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(config) = self.inputs.reconfigured.recv() => self.reconfigure(config),
                _ = self.ticks.tick() => self.evaluate().await,
                Some((fingerprint, first)) = self.naming.next() => self.named(fingerprint, first),
            }
        }
        self.hub.drain().await;
    }

    /// The states of alerts stay: the next evaluation judges them by the new rules. If receivers changed, all of them get every firing
    /// alert.
    fn reconfigure(&mut self, config: EngineConfig) {
        let EngineConfig {
            alerting,
            names,
            external_url,
        } = config;
        self.options = Options {
            evaluate_every: Options::of(&alerting).evaluate_every,
            resend_every: Options::of(&alerting).resend_every,
            repeat_every: Options::of(&alerting).repeat_every,
            ..self.options
        };
        self.alerts.write().rules = Arc::new(rules(alerting.rules, external_url.as_ref()));
        self.external_url = external_url;
        if names.is_some() != self.naming.may_name() {
            self.naming = Naming::new(names);
        }
        if self.hub.update(&alerting.receivers) {
            self.sent.clear();
        }
        self.ticks = ticks(self.options.evaluate_every);
    }

    async fn restore(&mut self) {
        let kept = match self.inputs.states.load().await {
            Ok(kept) => kept,
            Err(error) => {
                warn!(%error, "cannot read the state of alerts: alerts start again");
                return;
            }
        };
        for (key, value) in kept {
            if let Some(fingerprint) = key.strip_prefix(ALERT_KEY) {
                let state = serde_json::from_slice::<State>(&value).ok();
                if let (Ok(fingerprint), Some(mut state)) = (fingerprint.parse(), state) {
                    state.not_after(Timestamp::now());
                    self.alerts.write().states.insert(fingerprint, state);
                }
            }
        }
        self.show(&self.alerts.read());
    }

    /// Evaluates all rules, and saves and sends what changed.
    async fn evaluate(&mut self) {
        let now = Timestamp::now();
        let before = self.clock.at;
        let set = self.clock.step(now);
        if let Some(by) = set {
            warn!(
                seconds = by.as_secs(),
                "the clock was set: alerts keep their ages"
            );
            for state in self.alerts.write().states.values_mut() {
                state.shift(by);
            }
            // Polls that ended since the evaluation before may have read the new clock.
            let new = now.saturating_sub(before.elapsed()).unwrap_or(now)..=now;
            self.inputs.board.shift(by, &new);
        }
        let snapshots = self.inputs.board.snapshots();
        let (failing, store_errors) = self.health.look(&self.inputs.exporter, self.clock.steady());
        let events = {
            let config = self.inputs.exporter.config();
            let view = FleetView {
                targets: &snapshots,
                exporter: ExporterView {
                    config_rejected: config.loaded_at.is_some() && !config.last_successful,
                    web_config_rejected: config.web_last_successful == Some(false),
                    failing_receivers: &failing,
                    store_errors,
                },
            };
            let evaluation = {
                let Known { rules, states } = &*self.alerts.read();
                evaluate(rules, &view, states, now)
            };
            let Known { rules, states } = &mut *self.alerts.write();
            step(states, evaluation, rules, now)
        };
        let changes = {
            let known = self.alerts.read();
            let mut changed: Vec<Fingerprint> = Vec::new();
            for (fingerprint, event) in &events {
                if let Some(state) = known.states.get(fingerprint) {
                    log(state, *event);
                }
                if *event != Event::Changed {
                    changed.push(*fingerprint);
                }
            }
            if set.is_some() {
                changed.extend(known.states.keys());
            }
            let saved = changed.into_iter().map(|fingerprint| {
                let state = known.states.get(&fingerprint);
                let value = state.and_then(|state| serde_json::to_vec(state).ok());
                (format!("{ALERT_KEY}{fingerprint}"), value)
            });
            saved.collect()
        };
        // Saved before it is sent: receivers of an alert must get its end even if this process ends in between.
        self.save(changes).await;
        let alerts = self.alerts.clone();
        let known = alerts.read();
        self.naming.ask(&known.states, &snapshots, &events);
        self.send(&known, now, &events);
        if !events.is_empty() {
            self.show(&known);
        }
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
            Ok(()) if self.states_failing => info!("the state of alerts is stored again"),
            Err(error) if !self.states_failing => {
                warn!(
                    error,
                    "cannot store the state of alerts: a restart will lose it"
                );
            }
            _ => {}
        }
        self.states_failing = saved.is_err();
    }

    /// The names that an alert waited for, or new ones.
    fn named(&mut self, fingerprint: Fingerprint, first: bool) {
        let (clock, now) = (Instant::now(), Timestamp::now());
        let known = self.alerts.read();
        self.enqueue(&known, fingerprint, now, To::Alertmanagers);
        if first {
            self.enqueue(&known, fingerprint, now, To::Webhooks);
        }
        let sent = self.sent.entry(fingerprint).or_insert(Sent {
            alertmanagers: clock,
            webhooks: clock,
        });
        sent.alertmanagers = clock;
    }

    /// Sends what is new, and again what was sent long enough ago.
    fn send(&mut self, known: &Known, now: Timestamp, events: &[(Fingerprint, Event)]) {
        // New receivers get every firing alert.
        if self.hub.is_empty() {
            self.sent.clear();
            return;
        }
        let new: HashSet<Fingerprint> = events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Fired | Event::Resolved))
            .map(|(fingerprint, _)| *fingerprint)
            .collect();
        let clock = Instant::now();
        let mut due = Vec::new();
        for (fingerprint, state) in &known.states {
            if state.phase() == Phase::Pending || self.naming.is_awaited(*fingerprint) {
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
            // A webhook gets a resolution once; after a restart it is unknown whether it did.
            if new
                || since(sent.map(|it| it.webhooks), self.options.repeat_every)
                    && (!resolved || sent.is_none())
            {
                due.push((*fingerprint, To::Webhooks));
            }
        }
        for (fingerprint, to) in due {
            self.enqueue(known, fingerprint, now, to);
            let sent = self.sent.entry(fingerprint).or_insert(Sent {
                alertmanagers: clock,
                webhooks: clock,
            });
            match to {
                To::Alertmanagers => sent.alertmanagers = clock,
                To::Webhooks => sent.webhooks = clock,
            }
        }
        self.sent
            .retain(|fingerprint, _| known.states.contains_key(fingerprint));
    }

    fn enqueue(&self, known: &Known, fingerprint: Fingerprint, now: Timestamp, to: To) {
        let Some(state) = known.states.get(&fingerprint) else {
            return;
        };
        let Some(starts_at) = state.fired_at else {
            return;
        };
        let until = |time: Duration| now.checked_add(time).unwrap_or(Timestamp::MAX);
        let lease = until(self.options.lease());
        let resolved = state.resolved_at;
        let mut annotations = state.annotations(&known.rules);
        annotations.insert(
            "since".into(),
            state.active_since.strftime("%F %T UTC").to_string(),
        );
        if resolved.is_none()
            && let Some(people) = self.naming.annotation(fingerprint, state)
        {
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
            generator_url: self.external_url.as_ref().map_or_else(String::new, |url| {
                link::page(url, state.rule(), &state.labels).into()
            }),
            of_use_until: match to {
                To::Alertmanagers => lease,
                // It is sent once, so that a long outage of a webhook loses nothing.
                To::Webhooks => until(self.options.repeat_every),
            },
        };
        self.hub.push(&Arc::new(notification), to);
    }

    fn show(&self, known: &Known) {
        let mut counts = BTreeMap::new();
        for state in known.states.values() {
            let word = match state.phase() {
                Phase::Pending => "pending",
                Phase::Firing => "firing",
                Phase::Resolved => continue,
            };
            let label = |name: &str| state.labels.get(name).unwrap_or_default();
            let key = (label("alertname"), label("severity"), word);
            *counts.entry(key).or_insert(0) += 1;
        }
        let owned = |((name, severity, word), count): ((&str, &str, _), _)| {
            ((name.to_owned(), severity.to_owned(), word), count)
        };
        let counts: AlertCounts = counts.into_iter().map(owned).collect();
        let stats = self.inputs.exporter.alerting();
        // Each change makes a scrape encode again.
        if stats.alerts() != counts {
            stats.alerts_are(counts);
        }
    }
}

/// Rules whose runbooks the exporter serves itself, where it knows its address.
fn rules(mut rules: Rules, external_url: Option<&reqwest::Url>) -> Rules {
    rules.runbooks = external_url.map(|url| format!("{url}runbooks/"));
    rules
}

/// The first tick comes at once. After an evaluation that took longer than the interval, the next tick comes an interval later.
fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Notices when the clock is set: then it has moved by more or less than the time that has passed.
#[derive(Debug)]
struct Clock {
    wall: Timestamp,
    at: Instant,
    /// Time of the clock if it had never been set.
    steady: Timestamp,
}

impl Clock {
    /// Smaller steps are the clock's daily adjustments.
    const STEP: SignedDuration = SignedDuration::from_secs(5);

    fn new(wall: Timestamp) -> Self {
        Self {
            wall,
            at: Instant::now(),
            steady: wall,
        }
    }

    /// By how much it was set since the last call, if it was.
    fn step(&mut self, wall: Timestamp) -> Option<SignedDuration> {
        let at = Instant::now();
        let passed = SignedDuration::try_from(at.duration_since(self.at));
        let passed = passed.unwrap_or(SignedDuration::MAX);
        let step = wall.duration_since(self.wall).saturating_sub(passed);
        let steady = self.steady.saturating_add(passed).unwrap_or(self.steady);
        *self = Self { wall, at, steady };
        (step.abs() > Self::STEP).then_some(step)
    }

    fn steady(&self) -> Timestamp {
        self.steady
    }
}

fn log(state: &State, event: Event) {
    let label = |name: &str| state.labels.get(name);
    let (alert, target) = (label("alertname"), label("target"));
    match event {
        Event::Fired => {
            let severity = label("severity");
            info!(alert, target, severity, "alert fires");
        }
        Event::Resolved => info!(alert, target, "alert resolved"),
        Event::Pending | Event::Changed | Event::Kept | Event::Gone => {}
    }
}
