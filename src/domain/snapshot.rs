//! The state of a target at one moment: immutable, shared, replaced as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::alert::Concern;
use super::facts::{Gap, Server};
use super::finding::Case;
use super::health::{Outcome, PollHealth};
use super::surface::Checked;
use super::transition::{Counters, Recent};
use super::vocabulary::{Api, Bypass, Capability, Endpoint, Factor, Reason};
use super::{IdSet, PerType, Posture, Roster};

/// A target, and the parts of its configuration that series repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The name in the configuration: the label `target`.
    pub name: String,
    /// Labels that the configuration gives every series of the target, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Its URL, without credentials.
    pub url: String,
    /// The database.
    pub database: String,
    /// Time between two polls, in seconds.
    pub interval: f64,
    /// The accepted factors.
    pub accepted: Vec<Factor>,
    /// The coverage target, 0 to 1, if set.
    pub coverage_target: PerType<Option<f64>>,
    /// Capabilities that are known to be missing and accepted as such.
    pub accept_missing: BTreeSet<Capability>,
    /// Ways around the second factor that are known and accepted as such.
    pub accept_bypasses: BTreeSet<Bypass>,
    /// The endpoints that must be blocked, by vantage point.
    pub expect_blocked: Vec<(String, Endpoint)>,
}

/// One moment of one target.
#[derive(Debug, Clone)]
pub struct TargetSnapshot {
    /// The target.
    pub identity: Arc<Identity>,
    /// Health of its polls.
    pub health: PollHealth,
    /// The last server that answered a whole poll. Stays while polls fail.
    pub server: Option<Server>,
    /// The capabilities that the last conclusive poll found, or why they are missing. One that is not listed is unknown.
    pub capabilities: Arc<[(Capability, Option<Gap>)]>,
    /// Transitions since the first baseline. `None` until there is one, and without a store. Stays while polls fail.
    pub counters: Option<Arc<Counters>>,
    /// Events for alerts. `None` until there is a baseline. Stays while polls fail.
    pub recent: Option<Arc<Recent>>,
    /// Eligible users who lost protection recently and are without it, as long as that is true: absent when the last poll failed or could
    /// not be compared.
    pub recently_unprotected: Option<PerType<u64>>,
    /// Expiry of the first of the polling account's own keys, as of the last successful poll. Stays while polls fail, as it may be the reason.
    pub poller_key_expiry: Option<Timestamp>,
    /// The latest result of each configured vantage point. Stays while polls fail.
    pub surface: Arc<[Checked]>,
    /// The numbers, only while they are true: absent when the last poll failed.
    pub posture: Option<Arc<Posture>>,
    /// The users behind the numbers, while these are valid and of a poll of this process; only ids. Never leaves memory.
    pub roster: Option<Arc<Roster>>,
    /// The affected users of alerts, as of the last successful poll; empty unless alerts may contain names. Never leaves memory.
    pub concerned: Arc<BTreeMap<Concern, IdSet>>,
}

impl TargetSnapshot {
    /// Before the first poll.
    pub fn pending(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            health: PollHealth::default(),
            server: None,
            capabilities: Arc::default(),
            counters: None,
            recent: None,
            recently_unprotected: None,
            poller_key_expiry: None,
            surface: Arc::default(),
            posture: None,
            roster: None,
            concerned: Arc::default(),
        }
    }

    /// Capabilities that are missing and that the configuration does not accept as missing.
    pub fn missing_capabilities(&self) -> impl Iterator<Item = Capability> {
        self.capabilities
            .iter()
            .filter(|(capability, gap)| {
                gap.is_some() && !self.identity.accept_missing.contains(capability)
            })
            .map(|(capability, _)| *capability)
    }

    /// True if the target is up: by its last poll or, before the first one has ended, by restored numbers.
    /// `None` while neither is known.
    pub fn up(&self) -> Option<bool> {
        let restored = self.posture.as_ref().map(|_| true);
        self.health
            .last
            .map(|outcome| outcome == Outcome::Success)
            .or(restored)
    }

    /// Why the target is down, if it is.
    pub fn failing(&self) -> Option<Reason> {
        match self.health.last {
            Some(Outcome::Failure(reason)) => Some(reason),
            _ => None,
        }
    }

    /// The input of findings, if there is a roster.
    pub fn case(&self) -> Option<Case<'_>> {
        let roster = self.roster.as_deref()?;
        Some(Case {
            facts: &roster.facts,
            standing: &roster.standing,
            posture: self.posture.as_ref()?,
            terms: roster.terms(),
            coverage_target: self.identity.coverage_target,
            accept_missing: &self.identity.accept_missing,
            accept_bypasses: &self.identity.accept_bypasses,
            surface: &self.surface,
        })
    }

    /// The API of the last server that answered.
    pub fn api(&self) -> Option<Api> {
        self.server.as_ref().map(|server| server.api)
    }
}
