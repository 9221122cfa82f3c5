//! A letter for a target: the lowest that any of a few criteria allows. docs/scan.md has the rule.
//!
//! Invariants: more protection never lowers a letter, and what is not known counts as if it were at its worst.

use super::acceptance::Accepted;
use super::facts::TrustedNetworks;
use super::finding::{ADMIN_ROLES, Case, Kind};
use super::vocabulary::vocabulary;
use super::{IdSet, Module, UserType};

vocabulary! {
    /// A letter, the best first.
    Letter {
        /// Nearly everybody is protected, and something sees to it.
        A = "A",
        /// Good, with a gap.
        B = "B",
        /// Some privileged people or many others are unprotected.
        C = "C",
        /// Administrators are unprotected, or the second factor can be walked around.
        D = "D",
        /// Few are protected.
        E = "E",
        /// Hardly anybody is protected.
        F = "F",
    }
}

/// The letter of a target, and what keeps it from a better one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grade {
    /// The letter, with what is not known taken at its worst.
    pub letter: Letter,
    /// The letter if everything that is not known were at its best. The same where everything is known.
    pub at_best: Letter,
    /// What keeps it from being an A, the most limiting first.
    pub limits: Vec<Limit>,
}

/// What one criterion allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The best letter that it allows.
    pub at_most: Letter,
    /// Why, for people.
    pub because: String,
    /// Whether that is so because something is not known.
    pub unknown: bool,
}

/// Coverage, 0 to 1, from which on a letter is allowed.
const COVERAGE: [(f64, Letter); 5] = [
    (0.95, Letter::A),
    (0.85, Letter::B),
    (0.70, Letter::C),
    (0.50, Letter::D),
    (0.25, Letter::E),
];

impl Grade {
    /// Judges a target.
    pub fn of(case: &Case) -> Self {
        Self::accepting(case, &Accepted::default())
    }

    /// Judges a target, without what accepted findings are about. What is unknown cannot be accepted.
    pub fn accepting(case: &Case, accepted: &Accepted<'_>) -> Self {
        let mut limits = Vec::new();
        coverage(case, accepted, &mut limits);
        privileged(case, accepted, &mut limits);
        exempt(case, accepted, &mut limits);
        bypasses(case, accepted, &mut limits);
        enforcement(case, accepted, &mut limits);
        limits.retain(|limit| limit.at_most > Letter::A);
        limits.sort_by_key(|limit| (std::cmp::Reverse(limit.at_most), limit.unknown));
        let worst = |limits: &mut dyn Iterator<Item = &Limit>| {
            limits.map(|limit| limit.at_most).max().unwrap_or(Letter::A)
        };
        Self {
            letter: worst(&mut limits.iter()),
            at_best: worst(&mut limits.iter().filter(|limit| !limit.unknown)),
            limits,
        }
    }

    /// Whether something that the grade needs is not known.
    pub fn is_incomplete(&self) -> bool {
        self.limits.iter().any(|limit| limit.unknown)
    }
}

fn known(at_most: Letter, because: impl Into<String>) -> Limit {
    Limit {
        at_most,
        because: because.into(),
        unknown: false,
    }
}

fn unknown(at_most: Letter, because: &str) -> Limit {
    Limit {
        at_most,
        because: because.to_owned(),
        unknown: true,
    }
}

/// Internal people, and whoever else coverage is wanted of.
fn coverage(case: &Case, accepted: &Accepted<'_>, limits: &mut Vec<Limit>) {
    let Some(protected) = case.posture.protected else {
        limits.push(unknown(Letter::F, "who is protected is not known"));
        return;
    };
    for (user_type, wanted) in case.coverage_target.iter() {
        let eligible = case.posture.eligible[user_type];
        if eligible == 0
            || (user_type != UserType::Internal && wanted.is_none())
            || accepted.accepts(Kind::CoverageBelowTarget, Some(user_type.as_str()))
        {
            continue;
        }
        let ratio = protected[user_type] as f64 / eligible as f64;
        let at_most = COVERAGE
            .iter()
            .find(|(from, _)| ratio >= *from)
            .map_or(Letter::F, |(_, letter)| *letter);
        limits.push(known(
            at_most,
            format!(
                "{} of {} {user_type} people are protected",
                protected[user_type], eligible
            ),
        ));
    }
}

fn privileged(case: &Case, accepted: &Accepted<'_>, limits: &mut Vec<Limit>) {
    let Some(roles) = case.facts.roles.complete() else {
        limits.push(unknown(Letter::D, "who is in which role is not known"));
        return;
    };
    let past_grace = |people: &IdSet| {
        case.standing
            .unprotected_of(case.facts, people)
            .map(|people| people - &case.facts.recent)
    };
    let of_roles = roles
        .iter()
        .filter(|(role, _)| !ADMIN_ROLES.contains(&role.as_str()))
        .filter(|(role, _)| !accepted.accepts(Kind::PrivilegedWithoutMfa, Some(role)))
        .fold(IdSet::new(), |all, (_, people)| all | people);
    let (Some(admins), Some(others)) = (past_grace(&case.admins()), past_grace(&of_roles)) else {
        limits.push(unknown(
            Letter::D,
            "whether privileged people are protected is not known",
        ));
        return;
    };
    // As in the findings, administrators count there and in no other role.
    let others = others - &admins;
    if !admins.is_empty() && !accepted.accepts(Kind::AdminWithoutMfa, None) {
        limits.push(known(
            Letter::D,
            format!("unprotected with administration rights: {}", admins.len()),
        ));
    } else if !others.is_empty() {
        limits.push(known(
            Letter::C,
            format!("unprotected in a role: {}", others.len()),
        ));
    }
}

/// Exempt users in roles, who hold no accepted factor.
fn exempt(case: &Case, accepted: &Accepted<'_>, limits: &mut Vec<Limit>) {
    let (Some(privileged), Some(covered)) = (&case.standing.privileged, &case.standing.covered)
    else {
        return;
    };
    if accepted.accepts(Kind::ExemptPrivileged, None) {
        return;
    }
    let bare = (privileged & (&case.standing.exempt - &covered.holders))
        .iter()
        .filter(|id| !covered.types[case.facts.people.type_of(*id)])
        .count();
    if bare > 0 {
        limits.push(known(
            Letter::B,
            format!("exempt and unprotected in a role: {bare}"),
        ));
    }
}

fn bypasses(case: &Case, accepted: &Accepted<'_>, limits: &mut Vec<Limit>) {
    let Some(modules) = case.facts.modules.complete() else {
        limits.push(unknown(
            Letter::D,
            "which modules are installed is not known, so neither is what goes around the second factor",
        ));
        return;
    };
    let counts = |kind, module: Module| {
        modules.contains(&module) && !accepted.accepts(kind, Some(module.as_str()))
    };
    if counts(Kind::MasterPassword, Module::AuthAdminPasskey) {
        limits.push(known(Letter::D, "one password opens every account"));
    }
    let networks = Some(Module::AuthTotpIpCheck.as_str());
    match &case.facts.trusted_networks {
        Some(TrustedNetworks::Rows { .. }) if accepted.accepts(Kind::TrustedNetwork, networks) => {}
        Some(TrustedNetworks::Rows { everybody: 1.., .. }) => limits.push(known(
            Letter::D,
            "nobody needs a second factor from a trusted network",
        )),
        Some(TrustedNetworks::Rows { personal: 1.., .. }) => limits.push(known(
            Letter::B,
            "some people need no second factor from a trusted network",
        )),
        Some(TrustedNetworks::Unreadable) => limits.push(unknown(
            Letter::D,
            "whom trusted networks let through is not known",
        )),
        _ => {}
    }
    if counts(Kind::Impersonation, Module::ImpersonateLogin) {
        limits.push(known(Letter::B, "some people may act as somebody else"));
    }
}

fn enforcement(case: &Case, accepted: &Accepted<'_>, limits: &mut Vec<Limit>) {
    let policy = case.facts.policy.complete();
    let module = case
        .facts
        .modules
        .complete()
        .map(|modules| modules.contains(&Module::AuthTotpEnforce));
    // Either one is enough, whatever is known of the other.
    let limit = match (policy, module) {
        (Some(Some(_)), _) | (_, Some(true)) => return,
        (Some(None), Some(false)) if accepted.accepts(Kind::EnforcementNone, None) => return,
        (Some(None), Some(false)) => known(
            Letter::B,
            "nothing makes a second factor mandatory for internal people",
        ),
        _ => unknown(
            Letter::B,
            "whether a second factor is mandatory is not known",
        ),
    };
    limits.push(limit);
}

#[cfg(test)]
mod tests;
