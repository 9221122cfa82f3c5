//! The numbers that follow from the facts under a configuration.
//!
//! Each number that needs a fact which is missing is `None`, and its series is absent. All numbers are counts of users, keys or
//! devices unless a field says otherwise.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::{ApiKey, Device, Facts, Known, Scope, TrustedNetworks, UNUSED_DAYS};
use super::finding::ADMIN_ROLES;
use super::standing::{Standing, Terms, policy_types, today};
use super::vocabulary::{ExemptReason, Module, PolicyScope, UserType};
use super::{IdSet, PerType};

/// Two facts of one poll contradict each other, because users changed while it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Inconsistent(&'static str);

/// The numbers of one target at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Posture {
    /// Active users.
    pub active: PerType<u64>,
    /// Archived users.
    pub archived: PerType<u64>,
    /// Active users who are exempt, by reason, indexed by [`ExemptReason`].
    pub exempt: PerType<[u64; ExemptReason::ALL.len()]>,
    /// Configured exemptions, by what became of them.
    pub exemptions: Exemptions,
    /// Active users who are not exempt.
    pub eligible: PerType<u64>,
    /// Eligible users with an accepted factor.
    pub protected: Option<PerType<u64>>,
    /// Accounts that stand for no user and can act as one.
    #[serde(default)]
    pub well_known_active: u64,
    /// Of those, in a role.
    #[serde(default)]
    pub well_known_privileged: Option<u64>,
    /// Active users with TOTP, exempt or not.
    pub totp: Option<PerType<u64>>,
    /// Active users with a passkey, exempt or not.
    pub passkey: Option<PerType<u64>>,
    /// Eligible users with exactly one enrolled method.
    pub single_factor: Option<PerType<u64>>,
    /// Unprotected users within the grace period.
    pub grace: Option<PerType<u64>>,
    /// Unprotected users without a login for the dormancy period.
    pub dormant_unprotected: Option<PerType<u64>>,
    /// Active users linked to an OAuth provider.
    pub oauth: Option<PerType<u64>>,
    /// Active users linked to a SAML provider.
    pub saml: Option<PerType<u64>>,
    /// Browsers that skip the second factor, and how many users own one.
    pub devices: Option<Devices>,
    /// Users in roles.
    pub privileged: Option<Privileged>,
    /// The last login of the accounts exempted as `break_glass`; `None` without any, or where logins are unknown.
    #[serde(default)]
    pub break_glass_login: Option<Timestamp>,
    /// API keys.
    pub keys: Option<Keys>,
    /// Expiry of the first of the polling account's own keys that open RPC.
    pub poller_key_expiry: Option<Timestamp>,
    /// The policy that makes a second factor mandatory.
    pub enforcement: Option<Enforcement>,
    /// Installed modules that affect authentication.
    pub modules: Option<BTreeSet<Module>>,
    /// Bypasses of the second factor.
    pub bypasses: Option<Bypasses>,
    /// Active users whose password alone may open RPC: an upper bound.
    pub password_rpc: Option<PerType<u64>>,
    /// Active users whose password alone opened RPC within [`PASSWORD_USE_DAYS`].
    pub password_rpc_used: Option<PerType<u64>>,
}

/// Time for which the use of a password alone over RPC counts.
pub const PASSWORD_USE_DAYS: i64 = 30;

/// Configured exemptions, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Exemptions {
    /// In force, and matches an active user.
    pub valid: u64,
    /// Expired.
    pub expired: u64,
    /// In force, and matches no active user.
    pub unmatched: u64,
}

/// Browsers that skip the second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Devices {
    /// Unexpired ones of active users.
    pub devices: u64,
    /// Distinct users who own one.
    pub owners: u64,
}

/// Users in roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileged {
    /// Distinct eligible users in at least one role.
    pub people: u64,
    /// Of those, unprotected.
    pub unprotected: Option<u64>,
    /// Each role, by name.
    pub roles: Vec<Role>,
    /// Protected users in `settings`; `None` also where the configuration removes that role.
    pub protected_admins: Option<u64>,
    /// Unprotected users in `settings` or `access_rights`; `None` also where the configuration removes both roles.
    #[serde(default)]
    pub unprotected_admins: Option<u64>,
    /// Distinct exempt active users in at least one role, by reason, indexed by [`ExemptReason`].
    pub exempt: [u64; ExemptReason::ALL.len()],
}

/// One role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    /// Its name in the configuration.
    pub name: String,
    /// Distinct eligible users.
    pub people: u64,
    /// Of those, unprotected.
    pub unprotected: Option<u64>,
    /// Of those, overdue ones.
    pub unprotected_past_grace: Option<u64>,
    /// Active and exempt.
    pub exempt: u64,
    /// Eligible users who have a passkey.
    #[serde(default)]
    pub with_passkey: Option<u64>,
}

/// API keys. An active key is unexpired and its owner is active.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Keys {
    /// Active API keys without a scope.
    pub unrestricted: u64,
    /// Active API keys for RPC.
    pub rpc: u64,
    /// Active API keys of other scopes.
    pub other: u64,
    /// Active API keys by age: under 30, 90, 365 days, and older.
    pub by_age: [u64; 4],
    /// Active API keys without an expiry.
    pub without_expiry: u64,
    /// Active API keys that expire within 7 days, and within 30 but not 7.
    pub expiring: [u64; 2],
    /// Expired rows.
    pub expired: u64,
    /// Distinct users with an active API key.
    pub owners: PerType<u64>,
    /// Active API keys of users in a role, exempt or not.
    pub of_privileged: Option<u64>,
    /// Of those, the ones without a date. `None` also up to Odoo 17, where no key can have one.
    pub of_privileged_without_expiry: Option<u64>,
    /// Unexpired keys of archived users.
    pub of_archived: u64,
    /// Active API keys of users without an accepted factor, exempt or not.
    pub of_unprotected: Option<u64>,
    /// Creation time of the oldest active API key.
    pub oldest: Option<Timestamp>,
    /// Expiry time of the active API key that expires next.
    pub next_expiry: Option<Timestamp>,
    /// Active API keys that were not used for 30 but not 90 days, and for 90. `None` if uses were not recorded for that long.
    #[serde(default)]
    pub unused: [Option<u64>; 2],
}

/// The policy that makes a second factor mandatory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// The widest of what is in force.
    pub by: Enforcer,
    /// The types of user that it covers.
    pub covers: PerType<bool>,
}

/// Policies, from none to wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcer {
    /// Nothing.
    None,
    /// Odoo's e-mail code policy.
    Policy(PolicyScope),
    /// A known third-party module, and no policy.
    Module,
}

/// Bypasses of the second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bypasses {
    /// A network is trusted, or the module that trusts networks is there and its rows cannot be read.
    pub trusted_network: bool,
    /// One password opens every account.
    pub master_password: bool,
    /// Administrators act as other users.
    pub impersonation: bool,
}

impl Posture {
    /// Counts.
    ///
    /// # Errors
    /// If a set has more users of a type than exist: a user changed while the poll read.
    #[expect(
        clippy::too_many_lines,
        reason = "one number after the other, of the same sets"
    )]
    pub fn of(facts: &Facts, terms: &Terms, standing: &Standing) -> Result<Self, Inconsistent> {
        let people = &facts.people;
        let active = people.active();
        let count = |set: &IdSet| people.count(set);
        let within = |part: PerType<u64>, whole: PerType<u64>| {
            let fits = part
                .0
                .iter()
                .zip(&whole.0)
                .all(|(part, whole)| part <= whole);
            fits.then_some(part).ok_or(Inconsistent(
                "a set has more users than exist of their type",
            ))
        };
        let counted = |set: &Known<IdSet>| -> Result<Option<PerType<u64>>, Inconsistent> {
            set.complete()
                .map(|set| within(count(set), active))
                .transpose()
        };

        let exempt_total = within(count(&standing.exempt), active)?;
        let eligible = minus(active, exempt_total);
        let unprotected_in = |set: &IdSet| {
            standing
                .unprotected_of(facts, set)
                .map(|people| count(&people))
        };
        let protected = match &standing.covered {
            None => None,
            Some(covered) => {
                let holders = within(count(&(&covered.holders - &standing.exempt)), eligible)?;
                Some(PerType::from_fn(|user_type| {
                    if covered.types[user_type] {
                        eligible[user_type]
                    } else {
                        holders[user_type]
                    }
                }))
            }
        };
        let unprotected = protected.map(|protected| minus(eligible, protected));
        let grace = match (unprotected_in(&facts.recent), unprotected) {
            (Some(grace), Some(unprotected)) => Some(within(grace, unprotected)?),
            _ => None,
        };
        let awake = facts.awake.complete().and_then(unprotected_in);
        let dormant_unprotected = match (awake, unprotected) {
            (Some(awake), Some(unprotected)) => {
                Some(minus(unprotected, within(awake, unprotected)?))
            }
            _ => None,
        };
        let single_factor = match (facts.totp.complete(), facts.passkey.complete()) {
            (Some(totp), Some(passkey)) => {
                let single = (totp ^ passkey) - &standing.exempt;
                Some(within(count(&single), eligible)?)
            }
            _ => None,
        };

        Ok(Self {
            active,
            archived: people.archived,
            exempt: {
                let by_reason = standing.exempt_by_reason.each_ref().map(count);
                PerType::from_fn(|user_type| by_reason.map(|counts| counts[user_type]))
            },
            exemptions: exemptions(facts, terms),
            eligible,
            protected,
            well_known_active: facts.well_known_active.len(),
            well_known_privileged: facts.well_known_privileged.as_ref().map(IdSet::len),
            totp: counted(&facts.totp)?,
            passkey: counted(&facts.passkey)?,
            single_factor,
            grace,
            dormant_unprotected,
            oauth: counted(&facts.oauth)?,
            saml: counted(&facts.saml)?,
            devices: facts
                .devices
                .complete()
                .map(|rows| devices(facts.now, rows)),
            privileged: privileged(facts, standing),
            break_glass_login: facts.break_glass_login,
            keys: facts
                .keys
                .complete()
                .map(|rows| keys(facts, standing, rows)),
            poller_key_expiry: facts.poller_key_expiry,
            enforcement: enforcement(facts),
            modules: facts.modules.complete().cloned(),
            bypasses: facts
                .modules
                .complete()
                .map(|modules| bypasses(facts, modules)),
            password_rpc: match password_rpc(facts) {
                None => None,
                Some(PasswordRpc::Closed) => Some(PerType::default()),
                Some(PasswordRpc::OpenExcept { types }) => counted(&facts.totp)?.map(|totp| {
                    PerType::from_fn(|user_type| {
                        if types[user_type] {
                            0
                        } else {
                            active[user_type] - totp[user_type]
                        }
                    })
                }),
            },
            password_rpc_used: password_rpc_used(facts)
                .map(|people| within(count(&people), active))
                .transpose()?,
        })
    }

    /// Returns true if there are users of this type, active or archived.
    pub fn has_type(&self, user_type: UserType) -> bool {
        self.active[user_type] + self.archived[user_type] > 0
    }
}

/// The role whose users administer the server: the one that a lost phone can lock out.
const SETTINGS: &str = "settings";

fn minus(whole: PerType<u64>, part: PerType<u64>) -> PerType<u64> {
    PerType::from_fn(|user_type| whole[user_type] - part[user_type])
}

fn exemptions(facts: &Facts, terms: &Terms) -> Exemptions {
    let mut states = Exemptions::default();
    let entries = terms.exemptions.iter().zip(&facts.exemptions);
    for (entry, people) in entries.filter(|(entry, people)| entry.concerns(people)) {
        if entry.expired_on(today(facts)) {
            states.expired += 1;
        } else if people.is_empty() {
            states.unmatched += 1;
        } else {
            states.valid += 1;
        }
    }
    states
}

fn devices(now: Timestamp, rows: &[Device]) -> Devices {
    let trusted = || {
        rows.iter()
            .filter(|row| row.owner_active && row.expires.is_none_or(|end| end > now))
    };
    Devices {
        devices: trusted().count() as u64,
        owners: trusted().map(|row| row.owner).collect::<IdSet>().len(),
    }
}

fn privileged(facts: &Facts, standing: &Standing) -> Option<Privileged> {
    let by_name = facts.roles.complete()?;
    let everybody = standing.privileged.as_ref()?;
    let unprotected = |people: &IdSet| standing.unprotected_of(facts, people);
    let roles = by_name
        .iter()
        .map(|(name, people)| Role {
            name: name.clone(),
            people: (people - &standing.exempt).len(),
            unprotected: unprotected(people).map(|people| people.len()),
            unprotected_past_grace: unprotected(people)
                .map(|people| (people - &facts.recent).len()),
            exempt: people.intersection_len(&standing.exempt),
            with_passkey: facts
                .passkey
                .complete()
                .map(|holders| (people & (holders - &standing.exempt)).len()),
        })
        .collect::<Vec<_>>();
    let protected_admins = roles
        .iter()
        .find(|role| role.name == SETTINGS)
        .and_then(|role| Some(role.people - role.unprotected?));
    let admins = ADMIN_ROLES
        .iter()
        .filter_map(|role| by_name.get(*role))
        .fold(None, |all: Option<IdSet>, people| {
            Some(all.unwrap_or_default() | people)
        });
    Some(Privileged {
        unprotected_admins: admins.and_then(|admins| Some(unprotected(&admins)?.len())),
        people: (everybody - &standing.exempt).len(),
        unprotected: unprotected(everybody).map(|people| people.len()),
        roles,
        protected_admins,
        exempt: standing
            .exempt_by_reason
            .each_ref()
            .map(|exempt| everybody.intersection_len(exempt)),
    })
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

fn keys(facts: &Facts, standing: &Standing, rows: &[ApiKey]) -> Keys {
    let now = facts.now;
    let unexpired = |key: &&ApiKey| key.expires.is_none_or(|end| end > now);
    let mut keys = Keys {
        expired: rows.iter().filter(|key| !unexpired(key)).count() as u64,
        of_archived: rows
            .iter()
            .filter(unexpired)
            .filter(|key| !key.owner_active)
            .count() as u64,
        ..Keys::default()
    };
    let mut owners = IdSet::new();
    let working: Vec<&ApiKey> = rows
        .iter()
        .filter(unexpired)
        .filter(|key| key.owner_active)
        .collect();
    for key in &working {
        owners.insert(key.owner);
        match key.scope {
            Scope::Unrestricted => keys.unrestricted += 1,
            Scope::Rpc => keys.rpc += 1,
            Scope::Other => keys.other += 1,
        }
        if let Some(age) = key.age(now) {
            let limits = [30, 90, 365];
            let bucket = limits.iter().filter(|limit| age >= days(**limit)).count();
            keys.by_age[bucket] += 1;
        }
        match key.expires.map(|end| end.duration_since(now)) {
            None => keys.without_expiry += 1,
            Some(left) if left < days(7) => keys.expiring[0] += 1,
            Some(left) if left < days(30) => keys.expiring[1] += 1,
            Some(_) => {}
        }
    }
    let owned_by = |set: &IdSet, wanted: fn(&ApiKey) -> bool| {
        let owned = |key: &&&ApiKey| set.contains(key.owner) && wanted(key);
        working.iter().filter(owned).count() as u64
    };
    keys.owners = facts.people.count(&owners);
    let privileged = standing.privileged.as_ref();
    keys.of_privileged = privileged.map(|set| owned_by(set, |_| true));
    keys.of_privileged_without_expiry = privileged
        .filter(|_| facts.is_at_least((18, 0)))
        .map(|set| owned_by(set, |key| key.expires.is_none()));
    keys.of_unprotected = standing.covered.as_ref().map(|covered| {
        let bare = covered.without_covered_types(facts, owners - &covered.holders);
        owned_by(&bare, |_| true)
    });
    keys.oldest = working.iter().filter_map(|key| key.created).min();
    keys.next_expiry = working.iter().filter_map(|key| key.expires).min();
    keys.unused = unused(facts, &working);
    keys
}

/// Numbers of these keys that were not used for 30 days, and for 90. Unknown if it is unknown of one key.
fn unused(facts: &Facts, working: &[&ApiKey]) -> [Option<u64>; 2] {
    UNUSED_DAYS.map(|days| {
        let uses = facts.uses.as_ref()?;
        let mut keys = working
            .iter()
            .map(|key| uses.unused_for(key, facts.now, &days));
        keys.try_fold(0, |count, unused| Some(count + u64::from(unused?)))
    })
}

/// Known once uses have been noted for as long as they count.
fn password_rpc_used(facts: &Facts) -> Option<IdSet> {
    let uses = facts.uses.as_ref()?;
    let counts = |used: Timestamp| facts.now.duration_since(used) < days(PASSWORD_USE_DAYS);
    let used = uses.passwords.iter().filter(|(_, used)| counts(**used));
    (!counts(uses.since)).then(|| used.map(|(person, _)| *person).collect())
}

fn enforcement(facts: &Facts) -> Option<Enforcement> {
    let third_party = facts.modules.complete()?.contains(&Module::AuthTotpEnforce);
    let policy = *facts.policy.complete()?;
    let by = match policy {
        Some(scope) => Enforcer::Policy(scope),
        None if third_party => Enforcer::Module,
        None => Enforcer::None,
    };
    let mut covers = policy_types(policy);
    covers[UserType::Internal] |= third_party;
    Some(Enforcement { by, covers })
}

fn bypasses(facts: &Facts, modules: &BTreeSet<Module>) -> Bypasses {
    Bypasses {
        trusted_network: match &facts.trusted_networks {
            None => false,
            Some(TrustedNetworks::Unreadable) => true,
            Some(TrustedNetworks::Rows {
                personal,
                everybody,
            }) => personal + everybody > 0,
        },
        master_password: modules.contains(&Module::AuthAdminPasskey),
        impersonation: modules.contains(&Module::ImpersonateLogin),
    }
}

/// Users whose password alone opens XML-RPC and JSON-RPC.
pub(super) enum PasswordRpc {
    /// None: the server has neither.
    Closed,
    /// All without TOTP, except these types.
    OpenExcept { types: PerType<bool> },
}

pub(super) fn password_rpc(facts: &Facts) -> Option<PasswordRpc> {
    if !facts.is_at_least((19, 0)) {
        return Some(PasswordRpc::OpenExcept {
            types: PerType::default(),
        });
    }
    if facts.legacy_rpc? {
        Some(PasswordRpc::OpenExcept {
            types: policy_types(*facts.policy.complete()?),
        })
    } else {
        Some(PasswordRpc::Closed)
    }
}

#[cfg(test)]
mod tests;
