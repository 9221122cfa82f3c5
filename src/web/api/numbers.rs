//! The numbers of a poll in the API. `null` is unknown, or, if documented, does not exist.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::posture::{self, Bypasses, Devices, Enforcer, Exemptions, Keys};
use crate::domain::vocabulary::vocabulary;
use crate::domain::{ExemptReason, Module, PerType, PolicyScope, Posture, UserType};

/// One value for each type of users.
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

/// The numbers of one poll. Each counts users, keys or devices.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PostureView {
    /// Active users.
    active: ByType<u64>,
    /// Archived users.
    archived: ByType<u64>,
    /// Active users who are exempt, by reason.
    exempt: BTreeMap<&'static str, ByType<u64>>,
    /// Configured exemptions, by what became of them.
    exemptions: Exemptions,
    /// Active users who are not exempt.
    eligible: ByType<u64>,
    /// Eligible users with an accepted factor.
    protected: Option<ByType<u64>>,
    /// Active users with TOTP, exempt or not.
    totp: Option<ByType<u64>>,
    /// Active users with a passkey, exempt or not.
    passkey: Option<ByType<u64>>,
    /// Eligible users with exactly one enrolled method.
    single_factor: Option<ByType<u64>>,
    /// Unprotected users within the grace period.
    grace: Option<ByType<u64>>,
    /// Unprotected users without a login for the dormancy period.
    dormant_unprotected: Option<ByType<u64>>,
    /// Active users linked to an OAuth provider.
    oauth: Option<ByType<u64>>,
    /// Active users linked to a SAML provider.
    saml: Option<ByType<u64>>,
    /// Active users whose password alone may open RPC: an upper bound.
    password_rpc: Option<ByType<u64>>,
    /// Browsers that skip the second factor.
    trusted_devices: Option<Devices>,
    /// Each role.
    roles: Option<Vec<posture::Role>>,
    /// API keys.
    api_keys: Option<KeysView>,
    /// The policy that makes a second factor mandatory.
    enforcement: Option<EnforcementView>,
    /// The installed ones of the modules that matter.
    modules: Option<Vec<Module>>,
    /// Bypasses of the second factor.
    bypasses: Option<Bypasses>,
}

/// API keys. An active key is unexpired and its owner is active.
#[derive(Debug, Serialize, JsonSchema)]
struct KeysView {
    /// Active API keys without a scope.
    unrestricted: u64,
    /// Active API keys for RPC.
    rpc: u64,
    /// Active API keys of other scopes.
    other: u64,
    /// Active API keys by age: younger than 30, 90, 365 days, and older.
    by_age: KeysByAge,
    /// Active API keys without an expiry.
    without_expiry: u64,
    /// Active API keys that expire within 7 days.
    expiring_within_7_days: u64,
    /// Active API keys that expire within 30 days, and not within 7.
    expiring_within_30_days: u64,
    /// Expired rows.
    expired: u64,
    /// Distinct users with an active API key.
    owners: ByType<u64>,
    /// Active API keys of users in a role, exempt or not.
    of_privileged: Option<u64>,
    /// Of those, the ones without a date; `null` also up to Odoo 17, where no key can have one.
    of_privileged_without_expiry: Option<u64>,
    /// Unexpired keys of archived users.
    of_archived: u64,
    /// Active API keys of users without an accepted factor, exempt or not.
    of_unprotected: Option<u64>,
    /// Creation time of the oldest active API key; `null` without keys.
    oldest: Option<Timestamp>,
    /// Expiry time of the active API key that expires next; `null` if none does.
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
    /// Types of user that it covers.
    covers: ByType<bool>,
}

vocabulary! {
    /// The policy that makes a second factor mandatory.
    Policy {
        /// Nothing.
        None = "none",
        /// Odoo's policy, of internal users.
        EmployeeRequired = "employee_required",
        /// Odoo's policy, for all users.
        AllRequired = "all_required",
        /// A third-party module.
        Module = "module",
    }
}

impl PostureView {
    pub(super) fn of(posture: &Posture) -> Self {
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
                    Enforcer::Policy(PolicyScope::EmployeeRequired) => Policy::EmployeeRequired,
                    Enforcer::Policy(PolicyScope::AllRequired) => Policy::AllRequired,
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
