//! Targets as the API shows them. `null` is what is not known, or, where it says so, what does not exist.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::numbers::{ByType, PostureView};
use crate::domain::facts::Gap;
use crate::domain::vocabulary::vocabulary;
use crate::domain::{Api, Capability, Endpoint, Factor, PerType, Posture, Reason, TargetSnapshot};

vocabulary! {
    /// How a target is.
    TargetState {
        /// Its last poll read everything it must.
        Up = "up",
        /// It did not.
        Down = "down",
        /// The first poll has not ended.
        Pending = "pending",
    }
}

impl TargetState {
    pub(super) fn of(target: &TargetSnapshot) -> Self {
        match target.up() {
            Some(true) => Self::Up,
            Some(false) => Self::Down,
            None => Self::Pending,
        }
    }
}

/// How many of the eligible hold an accepted second factor.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct Coverage {
    /// Active people who are not exempt.
    eligible: u64,
    /// Of those, with an accepted factor.
    protected: u64,
    /// The share of the protected, 0 to 1; `null` where nobody is eligible.
    ratio: Option<f64>,
}

/// A target, and its headline numbers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TargetSummary {
    /// Its name in the configuration.
    name: String,
    /// Its labels in the configuration.
    labels: BTreeMap<String, String>,
    /// Where it is.
    url: String,
    /// The database.
    database: String,
    /// How it is.
    state: TargetState,
    /// Why it is down; `null` if it is not.
    reason: Option<Reason>,
    /// Odoo's version, as of the last good poll.
    odoo_version: Option<String>,
    /// The API that was spoken.
    api: Option<Api>,
    /// When the last poll began; `null` before the first.
    last_attempt: Option<Timestamp>,
    /// When the last good poll ended; `null` if there was none.
    last_success: Option<Timestamp>,
    /// Coverage by type of people; `null` while it is not known.
    coverage: Option<ByType<Coverage>>,
    /// People in roles; `null` while they are not known.
    privileged: Option<Privileged>,
    /// What the account cannot see completely, and the configuration does not accept as missing.
    missing_capabilities: Vec<Capability>,
}

/// People in roles.
#[derive(Debug, Serialize, JsonSchema)]
struct Privileged {
    /// Distinct eligible people in at least one role.
    people: u64,
    /// Of those, unprotected.
    unprotected: Option<u64>,
}

/// A target, and all that is known of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TargetDetail {
    #[serde(flatten)]
    summary: TargetSummary,
    /// From one poll to the next.
    interval_seconds: f64,
    /// What counts as a second factor.
    accepted_factors: Vec<Factor>,
    /// The wanted coverage, 0 to 1; `null` where none is wanted.
    coverage_target: ByType<Option<f64>>,
    /// How the polls have gone since the start.
    polls: Polls,
    /// What the account can see completely, as far as that is known, and what to grant.
    capabilities: Vec<CapabilityState>,
    /// What the server answers to strangers.
    surface: Vec<Vantage>,
    /// When the first of the polling account's own keys ends, as of the last good poll; `null` if none does, or if it is not known.
    poller_key_expiry: Option<Timestamp>,
    /// The numbers of the last poll; `null` if it failed.
    posture: Option<PostureView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Polls {
    /// How long the last one took.
    last_duration_seconds: Option<f64>,
    /// That succeeded.
    successes: u64,
    /// That failed, by reason; reasons that never were are left out.
    failures: BTreeMap<&'static str, u64>,
    /// That were due and did not start.
    skipped: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CapabilityState {
    /// Which.
    capability: Capability,
    /// Whether everything can be seen.
    complete: bool,
    /// Whether the configuration accepts it as missing.
    accepted: bool,
    /// What was seen instead; `null` if it is complete.
    seen: Option<String>,
    /// What to grant; `null` if it is complete.
    grant: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Vantage {
    /// Its name in the configuration.
    vantage: String,
    /// When it looked.
    at: Timestamp,
    /// What it saw.
    endpoints: Vec<EndpointState>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EndpointState {
    /// Which.
    endpoint: Endpoint,
    /// Whether Odoo answers there.
    exposed: Option<bool>,
    /// Why it counts as that.
    why: String,
    /// Whether the configuration says that it must be blocked.
    expect_blocked: bool,
}

impl TargetSummary {
    pub(super) fn of(target: &TargetSnapshot) -> Self {
        let identity = &target.identity;
        let posture = target.posture.as_deref();
        Self {
            name: identity.name.clone(),
            labels: identity.labels.iter().cloned().collect(),
            url: identity.url.clone(),
            database: identity.database.clone(),
            state: TargetState::of(target),
            reason: target.failing(),
            odoo_version: target.server.as_ref().map(|it| it.version.clone()),
            api: target.api(),
            last_attempt: target.health.last_attempt,
            last_success: target.health.last_success,
            coverage: posture.and_then(coverage),
            privileged: posture
                .and_then(|it| it.privileged.as_ref())
                .map(|it| Privileged {
                    people: it.people,
                    unprotected: it.unprotected,
                }),
            missing_capabilities: target.missing_capabilities().collect(),
        }
    }
}

fn coverage(posture: &Posture) -> Option<ByType<Coverage>> {
    let protected = posture.protected?;
    let of = |user_type| {
        let (eligible, protected) = (posture.eligible[user_type], protected[user_type]);
        Coverage {
            eligible,
            protected,
            ratio: (eligible > 0).then(|| protected as f64 / eligible as f64),
        }
    };
    Some(PerType::from_fn(of).into())
}

impl TargetDetail {
    pub(super) fn of(target: &TargetSnapshot) -> Self {
        let identity = &target.identity;
        let health = &target.health;
        let failures = Reason::ALL.iter().zip(health.failures);
        Self {
            summary: TargetSummary::of(target),
            interval_seconds: identity.interval,
            accepted_factors: identity.accepted.clone(),
            coverage_target: identity.coverage_target.into(),
            polls: Polls {
                last_duration_seconds: health.last_duration.map(|it| it.as_secs_f64()),
                successes: health.successes,
                failures: failures
                    .filter(|(_, count)| *count > 0)
                    .map(|(reason, count)| (reason.as_str(), count))
                    .collect(),
                skipped: health.skipped,
            },
            capabilities: target
                .capabilities
                .iter()
                .map(|(capability, gap)| CapabilityState {
                    capability: *capability,
                    complete: gap.is_none(),
                    accepted: identity.accept_missing.contains(capability),
                    seen: gap.as_ref().map(|gap: &Gap| gap.seen.clone()),
                    grant: gap.as_ref().map(|gap| gap.grant.to_owned()),
                })
                .collect(),
            surface: target
                .surface
                .iter()
                .map(|checked| Vantage {
                    vantage: checked.vantage.clone(),
                    at: checked.at,
                    endpoints: checked
                        .endpoints
                        .iter()
                        .map(|(endpoint, seen)| EndpointState {
                            endpoint: *endpoint,
                            exposed: seen.exposure.is_exposed(),
                            why: seen.why.clone(),
                            expect_blocked: checked.expect_blocked.contains(endpoint),
                        })
                        .collect(),
                })
                .collect(),
            poller_key_expiry: target.poller_key_expiry,
            posture: target.posture.as_deref().map(PostureView::of),
        }
    }
}
