//! Targets in the API. `null` is unknown, or, if documented, does not exist.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::numbers::{ByType, PostureView};
use crate::domain::facts::Gap;
use crate::domain::vocabulary::vocabulary;
use crate::domain::{Api, Capability, Endpoint, Factor, PerType, Posture, Reason, TargetSnapshot};

vocabulary! {
    /// State of a target.
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

/// Number of eligible users with an accepted second factor.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct Coverage {
    /// Active users who are not exempt.
    eligible: u64,
    /// Of those, with an accepted factor.
    protected: u64,
    /// Share of protected users, 0 to 1; `null` if no user is eligible.
    ratio: Option<f64>,
}

/// A target, and its headline numbers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TargetSummary {
    /// Its name in the configuration.
    name: String,
    /// Its labels in the configuration.
    labels: BTreeMap<String, String>,
    /// Its URL.
    url: String,
    /// The database.
    database: String,
    /// Its state.
    state: TargetState,
    /// Why it is down; `null` if it is not.
    reason: Option<Reason>,
    /// Odoo's version, as of the last good poll.
    odoo_version: Option<String>,
    /// The API that was spoken.
    api: Option<Api>,
    /// Time at which the last poll started; `null` before the first.
    last_attempt: Option<Timestamp>,
    /// Time at which the last successful poll ended; `null` if there was none.
    last_success: Option<Timestamp>,
    /// Coverage by type of user; `null` while unknown.
    coverage: Option<ByType<Coverage>>,
    /// Users in roles; `null` while unknown.
    privileged: Option<Privileged>,
    /// Capabilities that are missing, and not accepted as missing in the configuration.
    missing_capabilities: Vec<Capability>,
}

/// Users in roles.
#[derive(Debug, Serialize, JsonSchema)]
struct Privileged {
    /// Distinct eligible users in at least one role.
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
    /// The accepted factors.
    accepted_factors: Vec<Factor>,
    /// Coverage target, 0 to 1; `null` if there is none.
    coverage_target: ByType<Option<f64>>,
    /// Health of the polls since the start.
    polls: Polls,
    /// Capabilities of the account, as far as known, and rights to grant.
    capabilities: Vec<CapabilityState>,
    /// Endpoints that answer without credentials.
    surface: Vec<Vantage>,
    /// Expiry of the first of the polling account's own keys, as of the last successful poll; `null` if none expires, or unknown.
    poller_key_expiry: Option<Timestamp>,
    /// The numbers of the last poll; `null` if it failed.
    posture: Option<PostureView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Polls {
    /// Duration of the last poll.
    last_duration_seconds: Option<f64>,
    /// Successful polls.
    successes: u64,
    /// Failed polls, by reason; reasons without a failure are left out.
    failures: BTreeMap<&'static str, u64>,
    /// Polls that were due and did not start.
    skipped: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CapabilityState {
    /// Which.
    capability: Capability,
    /// True if it is completely visible.
    complete: bool,
    /// True if the configuration accepts it as missing.
    accepted: bool,
    /// Observation; `null` if it is complete.
    seen: Option<String>,
    /// Right to grant; `null` if it is complete.
    grant: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Vantage {
    /// Its name in the configuration.
    vantage: String,
    /// Time of the check.
    at: Timestamp,
    /// Results.
    endpoints: Vec<EndpointState>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EndpointState {
    /// Which.
    endpoint: Endpoint,
    /// True if Odoo answers there.
    exposed: Option<bool>,
    /// Why it counts as that.
    why: String,
    /// True if the configuration says that it must be blocked.
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
