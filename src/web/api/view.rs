//! Targets as the API shows them. `null` is what is not known, or, where it says so, what does not exist.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::facts::Gap;
use crate::domain::posture::{self, Bypasses, Devices, Enforcer, Exemptions, Keys};
use crate::domain::vocabulary::vocabulary;
use crate::domain::{
    Api, Capability, Endpoint, ExemptReason, Factor, Module, PerType, Posture, Reason,
    TargetSnapshot, UserType,
};

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

/// One value for each type of people.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(rename = "ByTypeOf_{T}")]
pub(super) struct ByType<T> {
    /// In `base.group_user`.
    internal: T,
    /// In `base.group_portal`.
    portal: T,
    /// In `base.group_public`, but not one of Odoo's pseudo users.
    public: T,
    /// In no type group.
    none: T,
}

impl<T: Copy> From<PerType<T>> for ByType<T> {
    fn from(values: PerType<T>) -> Self {
        Self {
            internal: values[UserType::Internal],
            portal: values[UserType::Portal],
            public: values[UserType::Public],
            none: values[UserType::None],
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

/// The numbers of one poll. Each counts people, keys or devices.
#[derive(Debug, Serialize, JsonSchema)]
struct PostureView {
    /// Active people.
    active: ByType<u64>,
    /// Archived people.
    archived: ByType<u64>,
    /// Active people who are exempt, by reason.
    exempt: BTreeMap<&'static str, ByType<u64>>,
    /// Configured exemptions, by what became of them.
    exemptions: Exemptions,
    /// Active people who are not exempt.
    eligible: ByType<u64>,
    /// Eligible people with an accepted factor.
    protected: Option<ByType<u64>>,
    /// Active people with TOTP, exempt or not.
    totp: Option<ByType<u64>>,
    /// Active people with a passkey, exempt or not.
    passkey: Option<ByType<u64>>,
    /// Eligible people with exactly one enrolled method.
    single_factor: Option<ByType<u64>>,
    /// Unprotected people within the grace period.
    grace: Option<ByType<u64>>,
    /// Unprotected people without a login for the dormancy period.
    dormant_unprotected: Option<ByType<u64>>,
    /// Active people linked to an OAuth provider.
    oauth: Option<ByType<u64>>,
    /// Active people linked to a SAML provider.
    saml: Option<ByType<u64>>,
    /// Active people whose bare password may open RPC: an upper bound.
    password_rpc: Option<ByType<u64>>,
    /// Browsers that skip the second factor.
    trusted_devices: Option<Devices>,
    /// Each role.
    roles: Option<Vec<posture::Role>>,
    /// API keys.
    api_keys: Option<KeysView>,
    /// What makes a second factor mandatory.
    enforcement: Option<EnforcementView>,
    /// The installed ones of the modules that matter.
    modules: Option<Vec<Module>>,
    /// What lets people around the second factor.
    bypasses: Option<Bypasses>,
}

/// API keys. A working key is unexpired and its owner is active.
#[derive(Debug, Serialize, JsonSchema)]
struct KeysView {
    /// Working keys without a scope.
    unrestricted: u64,
    /// Working keys for RPC.
    rpc: u64,
    /// Working keys of other scopes.
    other: u64,
    /// Working keys by age: younger than 30, 90, 365 days, and older.
    by_age: KeysByAge,
    /// Working keys without a date.
    without_expiry: u64,
    /// Working keys that end within 7 days.
    expiring_within_7_days: u64,
    /// Working keys that end within 30 days, and not within 7.
    expiring_within_30_days: u64,
    /// Rows past their date.
    expired: u64,
    /// Distinct people with a working key.
    owners: ByType<u64>,
    /// Working keys of people in a role, exempt or not.
    of_privileged: Option<u64>,
    /// Of those, the ones without a date; `null` also up to Odoo 17, where no key can have one.
    of_privileged_without_expiry: Option<u64>,
    /// Unexpired keys of archived people.
    of_archived: u64,
    /// Working keys of people without an accepted factor, exempt or not.
    of_unprotected: Option<u64>,
    /// When the oldest working key was made; `null` without keys.
    oldest: Option<Timestamp>,
    /// When the next working key ends; `null` if none does.
    next_expiry: Option<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct KeysByAge {
    /// Younger than 30 days.
    under_30_days: u64,
    /// From 30 days on, younger than 90.
    under_90_days: u64,
    /// From 90 days on, younger than 365.
    under_365_days: u64,
    /// Older.
    older: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EnforcementView {
    /// The widest of what is in force.
    policy: Policy,
    /// Which types it covers.
    covers: ByType<bool>,
}

vocabulary! {
    /// What makes a second factor mandatory.
    Policy {
        /// Nothing.
        None = "none",
        /// Odoo's policy, of internal people.
        EmployeeRequired = "employee_required",
        /// Odoo's policy, of everybody.
        AllRequired = "all_required",
        /// A third-party module.
        Module = "module",
    }
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

impl PostureView {
    fn of(posture: &Posture) -> Self {
        let by_type = |numbers: Option<PerType<u64>>| numbers.map(ByType::from);
        let exempt = |reason: ExemptReason| {
            PerType::from_fn(|user_type| posture.exempt[user_type][reason as usize]).into()
        };
        Self {
            active: posture.active.into(),
            archived: posture.archived.into(),
            exempt: ExemptReason::ALL
                .iter()
                .map(|reason| (reason.as_str(), exempt(*reason)))
                .collect(),
            exemptions: posture.exemptions,
            eligible: posture.eligible.into(),
            protected: by_type(posture.protected),
            totp: by_type(posture.totp),
            passkey: by_type(posture.passkey),
            single_factor: by_type(posture.single_factor),
            grace: by_type(posture.grace),
            dormant_unprotected: by_type(posture.dormant_unprotected),
            oauth: by_type(posture.oauth),
            saml: by_type(posture.saml),
            password_rpc: by_type(posture.password_rpc),
            trusted_devices: posture.devices,
            roles: posture.privileged.as_ref().map(|it| it.roles.clone()),
            api_keys: posture.keys.as_ref().map(KeysView::of),
            enforcement: posture.enforcement.map(|it| EnforcementView {
                policy: match it.by {
                    Enforcer::None => Policy::None,
                    Enforcer::Policy(crate::domain::PolicyScope::EmployeeRequired) => {
                        Policy::EmployeeRequired
                    }
                    Enforcer::Policy(crate::domain::PolicyScope::AllRequired) => {
                        Policy::AllRequired
                    }
                    Enforcer::Module => Policy::Module,
                },
                covers: it.covers.into(),
            }),
            modules: posture
                .modules
                .as_ref()
                .map(|it| it.iter().copied().collect()),
            bypasses: posture.bypasses,
        }
    }
}

impl KeysView {
    fn of(keys: &Keys) -> Self {
        let [under_30_days, under_90_days, under_365_days, older] = keys.by_age;
        let [expiring_within_7_days, expiring_within_30_days] = keys.expiring;
        Self {
            unrestricted: keys.unrestricted,
            rpc: keys.rpc,
            other: keys.other,
            by_age: KeysByAge {
                under_30_days,
                under_90_days,
                under_365_days,
                older,
            },
            without_expiry: keys.without_expiry,
            expiring_within_7_days,
            expiring_within_30_days,
            expired: keys.expired,
            owners: keys.owners.into(),
            of_privileged: keys.of_privileged,
            of_privileged_without_expiry: keys.of_privileged_without_expiry,
            of_archived: keys.of_archived,
            of_unprotected: keys.of_unprotected,
            oldest: keys.oldest,
            next_expiry: keys.next_expiry,
        }
    }
}
