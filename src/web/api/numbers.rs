//! The numbers of a poll as the API shows them. `null` is what is not known, or, where it says so, what does not exist.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::posture::{self, Bypasses, Devices, Enforcer, Exemptions, Keys};
use crate::domain::vocabulary::vocabulary;
use crate::domain::{ExemptReason, Module, PerType, PolicyScope, Posture, UserType};

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

/// The numbers of one poll. Each counts people, keys or devices.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PostureView {
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
