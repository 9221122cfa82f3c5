//! Affected users of an alert, as ids. Names are read only when an alert needs them.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::domain::facts::{ApiKey, Facts};
use crate::domain::finding::ADMIN_ROLES;
use crate::domain::standing::Standing;
use crate::domain::{ExemptReason, IdSet};

/// Users whom alerts of one kind concern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Concern {
    /// Unprotected and overdue users in `settings` and `access_rights`.
    Admins,
    /// Unprotected and overdue users in a role.
    Role(String),
    /// Exempt users in a role, by reason.
    Exempt(ExemptReason),
    /// The one administrator.
    LoneAdmin,
    /// Accounts that stand for no user and can act as one.
    WellKnown,
    /// Archived users with unexpired keys.
    KeysOfArchived,
    /// Privileged users with a key that has no date.
    KeysWithoutExpiry,
    /// The break-glass accounts.
    BreakGlass,
    /// Users with a key that expires within 7 days, the polling account excepted.
    ExpiringKeys,
    /// Users with a key older than a year.
    OldKeys,
    /// Privileged users who lost their factor within the last 3 hours.
    PrivilegedDisabled,
    /// Users who lost their factor within the last 3 hours.
    Disabled,
    /// Users who became privileged within the last 3 hours.
    NewlyPrivileged,
}

/// Affected users by alert, as of one poll; only alerts with affected users.
pub fn concerned(facts: &Facts, standing: &Standing) -> BTreeMap<Concern, IdSet> {
    let mut all = BTreeMap::new();
    let mut add = |concern: Concern, people: IdSet| {
        if !people.is_empty() {
            *all.entry(concern).or_insert_with(IdSet::new) |= people;
        }
    };
    for (role, people) in facts.roles.complete().into_iter().flatten() {
        if let Some(unprotected) = standing.unprotected_of(facts, people) {
            let exposed = unprotected - &facts.recent;
            if ADMIN_ROLES.contains(&role.as_str()) {
                add(Concern::Admins, exposed);
            } else {
                add(Concern::Role(role.clone()), exposed);
            }
        }
        if role == "settings" && people.len() == 1 {
            add(Concern::LoneAdmin, people.clone());
        }
    }
    let privileged = standing.privileged.clone().unwrap_or_default();
    for (reason, exempt) in ExemptReason::ALL.iter().zip(&standing.exempt_by_reason) {
        add(Concern::Exempt(*reason), &privileged & exempt);
    }
    add(Concern::WellKnown, facts.well_known_active.clone());
    let break_glass = &standing.exempt_by_reason[ExemptReason::BreakGlass as usize];
    add(Concern::BreakGlass, break_glass.clone());
    let week = SignedDuration::from_hours(24 * 7);
    let year = SignedDuration::from_hours(24 * 365);
    let unexpired = |key: &&ApiKey| key.expires.is_none_or(|end| end > facts.now);
    for key in facts
        .keys
        .complete()
        .into_iter()
        .flatten()
        .filter(unexpired)
    {
        let owner = || IdSet::from_iter([key.owner]);
        if !key.owner_active {
            add(Concern::KeysOfArchived, owner());
            continue;
        }
        let privileged = standing.privileged.as_ref();
        if key.expires.is_none() && privileged.is_some_and(|people| people.contains(key.owner)) {
            add(Concern::KeysWithoutExpiry, owner());
        }
        let left = key.expires.map(|end| end.duration_since(facts.now));
        if left.is_some_and(|left| left < week) && key.owner != facts.poller {
            add(Concern::ExpiringKeys, owner());
        }
        if key.age(facts.now).is_some_and(|age| age >= year) {
            add(Concern::OldKeys, owner());
        }
    }
    all
}
