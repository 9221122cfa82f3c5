//! Asking who is concerned by the alerts that fire: once for each, and again when others are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::names::{self, NAMED, Names, NamesUnavailable, Someone};
use crate::domain::alert::{Event, Fingerprint, Phase, Rule, State, States};
use crate::domain::{IdSet, TargetSnapshot};

/// The known names, in memory only.
#[derive(Debug)]
pub(super) struct Naming {
    /// Source of names; `None` if alerts must not contain any.
    names: Option<Arc<dyn Names>>,
    known: HashMap<Fingerprint, Named>,
    lookups: JoinSet<Looked>,
    at_once: Arc<Semaphore>,
}

/// Affected users of an alert that fires.
#[derive(Debug)]
enum Named {
    /// Odoo is being asked; nothing was sent yet.
    Asking,
    /// The annotation for these users.
    Text(IdSet, String),
}

/// The alert, whom it concerns, and what Odoo says of them.
type Looked = (Fingerprint, IdSet, Result<Vec<Someone>, NamesUnavailable>);

/// Odoo servers that are asked at the same time.
const AT_ONCE: usize = 8;

/// An alert waits for names no longer than this.
const LONGEST: Duration = Duration::from_secs(10);

impl Naming {
    pub(super) fn new(names: Option<Arc<dyn Names>>) -> Self {
        Self {
            names,
            known: HashMap::new(),
            lookups: JoinSet::new(),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Returns true if alerts may contain names.
    pub(super) fn may_name(&self) -> bool {
        self.names.is_some()
    }

    /// Asks about alerts that began to fire or concern others, and forgets those that no longer fire.
    pub(super) fn ask(
        &mut self,
        states: &States,
        snapshots: &[Arc<TargetSnapshot>],
        events: &[(Fingerprint, Event)],
    ) {
        self.known.retain(|fingerprint, _| {
            let state = states.get(fingerprint);
            state.is_some_and(|state| state.phase() == Phase::Firing)
        });
        let Some(names) = &self.names else {
            return;
        };
        let asking = [Event::Fired, Event::Changed, Event::Kept];
        for (fingerprint, _) in events.iter().filter(|(_, event)| asking.contains(event)) {
            let Some(state) = states.get(fingerprint) else {
                continue;
            };
            let Some(people) = state.people.clone().filter(|people| !people.is_empty()) else {
                continue;
            };
            match self.known.get(fingerprint) {
                Some(Named::Asking) => continue,
                Some(Named::Text(known, _)) if *known == people => continue,
                Some(Named::Text(..)) => {}
                None => {
                    self.known.insert(*fingerprint, Named::Asking);
                }
            }
            let target = state.labels.get("target").unwrap_or_default().to_owned();
            let is_down = snapshots
                .iter()
                .any(|it| it.identity.name == target && it.posture.is_none());
            let (names, at_once) = (Arc::clone(names), Arc::clone(&self.at_once));
            let (fingerprint, whom) = (*fingerprint, people.clone());
            self.lookups.spawn(async move {
                let asked = async {
                    let _permit = at_once.acquire().await.map_err(|_| NamesUnavailable)?;
                    names.names(target, whom, NAMED).await
                };
                let read = if is_down {
                    Err(NamesUnavailable)
                } else {
                    let asked = timeout(LONGEST, asked).await;
                    asked.unwrap_or(Err(NamesUnavailable))
                };
                (fingerprint, people, read)
            });
        }
    }

    /// Waits for an answer: which alert it is about, and whether that alert waited for it. `None` if nothing is asked.
    pub(super) async fn next(&mut self) -> Option<(Fingerprint, bool)> {
        loop {
            // An answer that panicked is none; its alert is sent without names.
            let Ok((fingerprint, people, read)) = self.lookups.join_next().await? else {
                self.known
                    .retain(|_, named| !matches!(named, Named::Asking));
                continue;
            };
            // It may have ended in the meantime.
            if let Some(named) = self.known.get_mut(&fingerprint) {
                let first = matches!(named, Named::Asking);
                *named = Named::Text(people.clone(), names::text(&people, read));
                return Some((fingerprint, first));
            }
        }
    }

    /// Returns true if an alert must wait for an answer before it is sent.
    pub(super) fn is_awaited(&self, fingerprint: Fingerprint) -> bool {
        matches!(self.known.get(&fingerprint), Some(Named::Asking))
    }

    /// Affected users of an alert, if alerts may contain names and this one is about users.
    pub(super) fn annotation(&self, fingerprint: Fingerprint, state: &State) -> Option<String> {
        self.names.as_ref()?;
        match self.known.get(&fingerprint) {
            Some(Named::Text(_, text)) => Some(text.clone()),
            _ if concerns_people(state) => Some(NamesUnavailable.to_string()),
            _ => None,
        }
    }
}

/// Returns true if an alert is about users, also one from before a restart, whose users are not read yet.
fn concerns_people(state: &State) -> bool {
    state.people.is_some() || state.rule().is_some_and(Rule::concerns_people)
}
