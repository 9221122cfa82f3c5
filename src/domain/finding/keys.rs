//! Findings about API keys, trusted devices, and the exporter's own account.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Case, Finding, Kind, Severity, count_users, counted};
use crate::domain::facts::{ApiKey, Scope};
use crate::domain::{IdSet, Module, UserType};

pub(super) fn find(case: &Case, found: &mut Vec<Finding>) {
    of_archived(case, found);
    unrestricted(case, found);
    without_expiry(case, found);
    expiring(case, found);
    of_portal(case, found);
    many(case, found);
    old(case, found);
    of_unprotected(case, found);
    clear_text(case, found);
    trusted_devices(case, found);
    poller(case, found);
}

fn where_to_delete(case: &Case) -> String {
    format!(
        "{} > API Keys; an administrator deletes those of other users in Settings > General Settings > Permissions > Manage API Keys",
        case.own_security_page()
    )
}

fn owners<'a>(keys: impl IntoIterator<Item = &'a ApiKey>) -> (u64, IdSet) {
    let mut owners = IdSet::new();
    let mut count = 0;
    for key in keys {
        owners.insert(key.owner);
        count += 1;
    }
    (count, owners)
}

fn of_archived(case: &Case, found: &mut Vec<Finding>) {
    let now = case.facts.now;
    let keys = case.facts.keys.complete().into_iter().flatten();
    let (count, people) =
        owners(keys.filter(|key| !key.owner_active && key.expires.is_none_or(|end| end > now)));
    if count > 0 {
        found.push(
            Finding::new(
                Kind::KeysOfArchived,
                Severity::Warning,
                format!("{} of archived users", counted(count, "API key", "API keys")),
            )
            .detail("They are inactive while the owner is archived, and become active again when the account is unarchived.")
            .what_to_do(format!("Delete them: {}.", where_to_delete(case)))
            .people(people),
        );
    }
}

/// Keys without a scope open everything, RPC included. Odoo makes no other ones on its own pages.
fn unrestricted(case: &Case, found: &mut Vec<Finding>) {
    let Some(privileged) = &case.standing.privileged else {
        return;
    };
    let (count, people) = owners(
        case.working_keys()
            .filter(|key| key.scope == Scope::Unrestricted && privileged.contains(key.owner)),
    );
    if count > 0 {
        found.push(
            Finding::new(
                Kind::PrivilegedUnrestrictedKeys,
                Severity::Info,
                format!(
                    "{} of privileged users without a scope",
                    counted(count, "API key", "API keys")
                ),
            )
            .detail("Such a key has all rights of its owner, without a second factor.")
            .what_to_do(format!(
                "Give integrations accounts of their own with fewer rights. Delete keys that are not needed: {}.",
                where_to_delete(case)
            ))
            .people(people),
        );
    }
}

fn expiring(case: &Case, found: &mut Vec<Finding>) {
    let now = case.facts.now;
    let soon = |end: Timestamp| end.duration_since(now) < SignedDuration::from_hours(24 * 7);
    let (count, people) = owners(
        case.working_keys()
            .filter(|key| key.owner != case.facts.poller && key.expires.is_some_and(soon)),
    );
    if count > 0 {
        found.push(
            Finding::new(
                Kind::KeysExpiring,
                Severity::Info,
                format!(
                    "{} expire within 7 days",
                    counted(count, "API key", "API keys")
                ),
            )
            .detail("Integrations that use them stop working then.")
            .what_to_do(format!(
                "Ask the owners to replace the keys that are in use: {} > API Keys.",
                case.own_security_page()
            ))
            .people(people),
        );
    }
}

fn of_portal(case: &Case, found: &mut Vec<Finding>) {
    let (count, people) = owners(
        case.working_keys()
            .filter(|key| case.facts.people.type_of(key.owner) == UserType::Portal),
    );
    if count > 0 {
        found.push(
            Finding::new(
                Kind::KeysOfPortal,
                Severity::Info,
                format!("{} of portal users", counted(count, "API key", "API keys")),
            )
            .detail("Customers and suppliers can use Odoo's API without a second factor.")
            .what_to_do(format!(
                "Check whether these integrations are intended. Delete the other keys: {}.",
                where_to_delete(case)
            ))
            .people(people),
        );
    }
}

/// So many keys on one account are hard to keep track of.
const MANY: u64 = 5;

fn many(case: &Case, found: &mut Vec<Finding>) {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for key in case.working_keys() {
        *counts.entry(key.owner).or_default() += 1;
    }
    counts.retain(|_, count| *count >= MANY);
    if let Some(most) = counts.values().max() {
        let accounts = counted(counts.len() as u64, "account", "accounts");
        found.push(
            Finding::new(
                Kind::ManyKeys,
                Severity::Info,
                format!("{accounts} with {MANY} API keys or more"),
            )
            .detail(format!(
                "At most {most}. It is unclear which key is used for what, and which one leaked."
            ))
            .what_to_do(format!(
                "Use one account with one key for each integration. Delete unused keys: {}.",
                where_to_delete(case)
            ))
            .people(counts.into_keys().collect()),
        );
    }
}

/// Up to 17 keys have no expiry, so its absence is no decision of the owner.
fn without_expiry(case: &Case, found: &mut Vec<Finding>) {
    let Some(privileged) = &case.standing.privileged else {
        return;
    };
    if !case.facts.is_at_least((18, 0)) {
        return;
    }
    let (count, people) = owners(
        case.working_keys()
            .filter(|key| key.expires.is_none() && privileged.contains(key.owner)),
    );
    if count > 0 {
        found.push(
            Finding::new(
                Kind::PrivilegedKeysWithoutExpiry,
                Severity::Info,
                format!("{} of privileged users without an expiry", counted(count, "API key", "API keys")),
            )
            .detail("Such a key opens the account permanently, without a second factor. Only administrators can choose 'Persistent Key'.")
            .what_to_do(format!("Replace them with keys that expire, owned by accounts with fewer rights: {}.", where_to_delete(case)))
            .people(people),
        );
    }
}

fn old(case: &Case, found: &mut Vec<Finding>) {
    let year = SignedDuration::from_hours(24 * 365);
    let (count, people) = owners(
        case.working_keys()
            .filter(|key| key.age(case.facts.now).is_some_and(|age| age >= year)),
    );
    if count > 0 {
        found.push(
            Finding::new(
                Kind::KeysOld,
                Severity::Info,
                format!(
                    "{} older than a year",
                    counted(count, "API key", "API keys")
                ),
            )
            .detail("Odoo does not record whether a key is used.")
            .what_to_do(format!(
                "Ask the owners. Replace keys that are in use, and delete the others: {}.",
                where_to_delete(case)
            ))
            .people(people),
        );
    }
}

fn of_unprotected(case: &Case, found: &mut Vec<Finding>) {
    let Some(covered) = &case.standing.covered else {
        return;
    };
    let (count, people) = owners(case.working_keys().filter(|key| {
        let user_type = case.facts.people.type_of(key.owner);
        !covered.holders.contains(key.owner) && !covered.types[user_type]
    }));
    if count > 0 {
        found.push(
            Finding::new(
                Kind::KeysOfUnprotected,
                Severity::Info,
                format!("{} of users without a second factor", counted(count, "API key", "API keys")),
            )
            .detail("Exempt users included. An attacker with the owner's password can create further keys, which outlive a change of the password.")
            .what_to_do(format!("Ask the owners to enroll. Remove the passwords of service accounts. Keys: {}.", where_to_delete(case)))
            .people(people),
        );
    }
}

fn clear_text(case: &Case, found: &mut Vec<Finding>) {
    let installed = case
        .facts
        .modules
        .complete()
        .is_some_and(|modules| modules.contains(&Module::AuthApiKey));
    if installed {
        let owners = case.facts.clear_text_keys.as_deref();
        let people: IdSet = owners.unwrap_or_default().iter().copied().collect();
        let seen = match owners {
            Some(owners) => format!(
                "This account sees {} of {}.",
                counted(owners.len() as u64, "such key", "such keys"),
                count_users(people.len())
            ),
            None => "This account cannot see them. That is correct, because every reader of the list can read the keys.".to_owned(),
        };
        found.push(
            Finding::new(
                Kind::ClearTextApiKeys,
                Severity::Warning,
                "The module auth_api_key stores its API keys in clear text",
            )
            .about(Module::AuthApiKey.as_str())
            .detail(format!("{seen} The other figures do not include them. Administrators and backups reveal them, and each opens an account without a second factor."))
            .people(people)
            .what_to_do("Check its list (model auth.api.key). Move the integrations to Odoo's own API keys, then uninstall the module."),
        );
    }
}

fn trusted_devices(case: &Case, found: &mut Vec<Finding>) {
    let Some(devices) = case.posture.devices.filter(|devices| devices.devices > 0) else {
        return;
    };
    let now = case.facts.now;
    let people: IdSet = case
        .facts
        .devices
        .complete()
        .into_iter()
        .flatten()
        .filter(|device| device.owner_active && device.expires.is_none_or(|end| end > now))
        .map(|device| device.owner)
        .collect();
    let privileged = case
        .standing
        .privileged
        .as_ref()
        .map_or(0, |set| set.intersection_len(&people));
    let mut detail = format!(
        "{} of {}: there, the password alone is sufficient.",
        counted(devices.devices, "browser", "browsers"),
        count_users(devices.owners)
    );
    if privileged > 0 {
        detail += &format!(" In a role: {}.", count_users(privileged));
    }
    if case
        .facts
        .devices
        .complete()
        .is_some_and(|rows| rows.iter().any(|device| device.expires.is_none()))
    {
        detail += " Some of them never expire.";
    }
    found.push(
        Finding::new(
            Kind::TrustedDevices,
            Severity::Info,
            counted(
                devices.devices,
                "trusted browser skips the second factor",
                "trusted browsers skip the second factor",
            ),
        )
        .detail(detail)
        .what_to_do(if case.facts.is_at_least((19, 0)) {
            "Odoo 19 does not list them. Changing the password revokes all of a user's (My Preferences > Security > Change password), and so does disabling the second factor. Ask privileged users, and users who lost a computer, to do so.".to_owned()
        } else {
            format!(
                "Revoke those of privileged users and of lost computers: {} > Trusted Devices > Revoke All.",
                case.security_page_of_others()
            )
        })
        .people(people),
    );
}

fn poller(case: &Case, found: &mut Vec<Finding>) {
    let me = IdSet::from_iter([case.facts.poller]);
    if let Some(end) = case.posture.poller_key_expiry {
        let left = end.duration_since(case.facts.now);
        if left <= SignedDuration::from_hours(24 * 14) {
            let severity = if left <= SignedDuration::from_hours(48) {
                Severity::Critical
            } else {
                Severity::Warning
            };
            let left = match left.as_hours() {
                hours @ ..48 => counted(hours.max(0).unsigned_abs(), "hour", "hours"),
                hours => counted((hours / 24).unsigned_abs(), "day", "days"),
            };
            found.push(
                Finding::new(
                    Kind::PollerKeyExpiring,
                    severity,
                    format!("The exporter's own API key expires in {left}"),
                )
                .detail(format!(
                    "The polling account's first API key expires at {}. After that, all figures of this target are unknown.",
                    end.strftime("%Y-%m-%d %H:%M UTC")
                ))
                .what_to_do(format!(
                    "Log in as the polling account, create a new key ({} > API Keys), replace the old one in the configuration, and delete the old one. From Odoo 18 on, keys of users without administration rights are valid for 90 days, unless a group of the account allows more (api_key_duration).",
                    case.own_security_page()
                ))
                .people(me.clone()),
            );
        }
    }
    let privileged = case
        .standing
        .privileged
        .as_ref()
        .is_some_and(|people| people.contains(case.facts.poller));
    if privileged {
        found.push(
            Finding::new(
                Kind::PollerPrivileged,
                Severity::Warning,
                "The polling account has more rights than it needs",
            )
            .detail(
                "It is in a privileged role, and its key is in a file. Reading requires no role.",
            )
            .what_to_do(
                "Create the least-privilege account of docs/odoo-account.md, and use its key.",
            )
            .people(me.clone()),
        );
    }
    if !case.standing.exempt.contains(case.facts.poller) {
        found.push(
            Finding::new(
                Kind::PollerNotExempt,
                Severity::Info,
                "The polling account counts as a user",
            )
            .detail("It is in all figures, usually as unprotected, although only the exporter uses it.")
            .what_to_do("Exempt it in the configuration: exemptions: [{login: ITS_LOGIN, reason: service}].")
            .people(me),
        );
    }
}
