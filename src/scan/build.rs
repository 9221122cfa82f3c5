//! From a poll to a report.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ApiKeys, Coverage, EndpointSeen, Enforcement, Failure, Finding, Grade, KeyAge, Limit, Missing,
    Person, Privileged, PrivilegedPerson, Role, Scan, TargetReport, TrustedDevices, Vantage,
};
use crate::config::Target;
use crate::domain::finding::{Case, findings};
use crate::domain::posture::{Enforcer, Keys};
use crate::domain::standing::Terms;
use crate::domain::surface::Checked;
use crate::domain::{Factor, IdSet, PerType, PolicyScope, UserType, grade};
use crate::odoo;
use crate::poll::Polled;

/// Maximum number of users in a list: more are not useful, and names cost a request.
pub const LISTED: usize = 50;

/// A target that could not be read.
pub fn failed(target: &Target, error: &odoo::Error) -> TargetReport {
    TargetReport {
        error: Some(Failure {
            reason: error.reason(),
            message: clean(&error.message),
            hint: error.hint,
        }),
        ..identity(target)
    }
}

/// A target that was read. `people` are the names that were looked up: see [`people_to_name`].
pub fn target(
    target: &Target,
    polled: &Polled,
    surface: &[Checked],
    people: &BTreeMap<u32, odoo::Person>,
) -> TargetReport {
    TargetReport {
        scan: Some(scan(&case(target, polled, surface), people)),
        ..identity(target)
    }
}

/// Users in a report of this poll, whose names are therefore worth a request: a few hundred at most.
pub fn people_to_name(target: &Target, polled: &Polled, surface: &[Checked]) -> IdSet {
    let case = case(target, polled, surface);
    let mut people: IdSet = privileged_unprotected(&case).iter().take(LISTED).collect();
    for finding in findings(&case) {
        people.extend(finding.people.iter().take(LISTED));
    }
    people
}

/// Text from a server, without what could steer a terminal or reverse the direction of a line.
pub(super) fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

fn identity(target: &Target) -> TargetReport {
    TargetReport {
        target: target.name.clone(),
        url: target.url.to_string(),
        database: target.database.clone(),
        error: None,
        scan: None,
    }
}

fn case<'a>(target: &'a Target, polled: &'a Polled, surface: &'a [Checked]) -> Case<'a> {
    Case {
        facts: &polled.facts,
        standing: &polled.standing,
        posture: &polled.posture,
        terms: Terms {
            accepted: &target.accepted_factors,
            exemptions: &target.exemptions,
        },
        coverage_target: PerType::from_fn(|user_type| {
            target.coverage_target.get(&user_type).copied()
        }),
        accept_missing: &target.accept_missing,
        accept_bypasses: &target.accept_bypasses,
        surface,
    }
}

/// The findings of a case.
pub fn scan(case: &Case, people: &BTreeMap<u32, odoo::Person>) -> Scan {
    let posture = case.posture;
    Scan {
        polled_at: case.facts.now,
        server_version: clean(&case.facts.server.version),
        api: case.facts.server.api,
        accepted_factors: case.terms.accepted.iter().copied().collect::<Vec<Factor>>(),
        grade: grade(case),
        coverage: UserType::ALL
            .iter()
            .map(|user_type| coverage(case, *user_type))
            .collect(),
        privileged: privileged(case, people),
        api_keys: posture.keys.as_ref().map(api_keys),
        poller_key_expiry: posture.poller_key_expiry,
        trusted_devices: posture.devices.map(|devices| TrustedDevices {
            devices: devices.devices,
            owners: devices.owners,
        }),
        enforcement: posture.enforcement.map(|enforcement| Enforcement {
            policy: match enforcement.by {
                Enforcer::None => "none",
                Enforcer::Policy(PolicyScope::EmployeeRequired) => "employee_required",
                Enforcer::Policy(PolicyScope::AllRequired) => "all_required",
                Enforcer::Module => "module",
            },
            covers: enforcement
                .covers
                .iter()
                .filter(|(_, covered)| **covered)
                .map(|(user_type, _)| user_type)
                .collect(),
        }),
        modules: posture
            .modules
            .as_ref()
            .map(|modules| modules.iter().copied().collect()),
        surface: case.surface.iter().map(vantage).collect(),
        missing: case
            .facts
            .gaps()
            .map(|(capability, gap)| Missing {
                capability,
                seen: clean(&gap.seen),
                grant: gap.grant,
                accepted: case.accept_missing.contains(&capability),
            })
            .collect(),
        findings: findings(case)
            .into_iter()
            .map(|finding| Finding {
                kind: finding.kind,
                subject: finding.subject.as_deref().map(clean),
                severity: finding.severity,
                title: clean(&finding.title),
                detail: clean(&finding.detail),
                what_to_do: clean(&finding.what_to_do),
                people: named(&finding.people, people),
                more_people: finding.people.len().saturating_sub(LISTED as u64),
            })
            .collect(),
    }
}

fn grade(case: &Case) -> Grade {
    let grade = grade::Grade::of(case);
    Grade {
        letter: grade.letter,
        at_best: grade.at_best,
        incomplete: grade.is_incomplete(),
        limits: grade
            .limits
            .into_iter()
            .map(|limit| Limit {
                at_most: limit.at_most,
                because: limit.because,
                unknown: limit.unknown,
            })
            .collect(),
    }
}

fn coverage(case: &Case, user_type: UserType) -> Coverage {
    let posture = case.posture;
    let of = |numbers: Option<PerType<u64>>| numbers.map(|numbers| numbers[user_type]);
    let eligible = posture.eligible[user_type];
    let protected = of(posture.protected);
    Coverage {
        user_type,
        active: posture.active[user_type],
        archived: posture.archived[user_type],
        exempt: posture.exempt[user_type].iter().sum(),
        eligible,
        protected,
        ratio: protected
            .filter(|_| eligible > 0)
            .map(|protected| protected as f64 / eligible as f64),
        target: case.coverage_target[user_type],
        totp: of(posture.totp),
        passkey: of(posture.passkey),
        grace: of(posture.grace),
        single_factor: of(posture.single_factor),
        dormant_unprotected: of(posture.dormant_unprotected),
        password_rpc: of(posture.password_rpc),
    }
}

fn privileged_unprotected(case: &Case) -> IdSet {
    case.standing
        .privileged
        .as_ref()
        .and_then(|people| case.standing.unprotected_of(case.facts, people))
        .unwrap_or_default()
}

fn privileged(case: &Case, people: &BTreeMap<u32, odoo::Person>) -> Option<Privileged> {
    let privileged = case.posture.privileged.as_ref()?;
    let roles = case.facts.roles.complete()?;
    let who = named(&privileged_unprotected(case), people);
    Some(Privileged {
        people: privileged.people,
        unprotected: privileged.unprotected,
        who: who
            .into_iter()
            .map(|person| PrivilegedPerson {
                roles: roles
                    .iter()
                    .filter(|(_, members)| members.contains(person.id))
                    .map(|(role, _)| role.clone())
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
                in_grace: case.facts.recent.contains(person.id),
                person,
            })
            .collect(),
        roles: privileged
            .roles
            .iter()
            .map(|role| Role {
                role: role.name.clone(),
                people: role.people,
                unprotected: role.unprotected,
                unprotected_past_grace: role.unprotected_past_grace,
                exempt: role.exempt,
            })
            .collect(),
    })
}

fn api_keys(keys: &Keys) -> ApiKeys {
    ApiKeys {
        working: keys.unrestricted + keys.rpc + keys.other,
        unrestricted: keys.unrestricted,
        rpc: keys.rpc,
        other: keys.other,
        owners: keys.owners.0.iter().sum(),
        by_age: [
            ("lt_30d", "under 30 days"),
            ("30d_90d", "30 to 90 days"),
            ("90d_365d", "90 to 365 days"),
            ("ge_365d", "a year and older"),
        ]
        .into_iter()
        .zip(keys.by_age)
        .map(|((age, words), keys)| KeyAge { age, words, keys })
        .collect(),
        without_expiry: keys.without_expiry,
        expiring_30d: keys.expiring.iter().sum(),
        expired: keys.expired,
        of_privileged: keys.of_privileged,
        of_unprotected: keys.of_unprotected,
        of_archived: keys.of_archived,
    }
}

fn vantage(checked: &Checked) -> Vantage {
    Vantage {
        vantage: checked.vantage.clone(),
        checked_at: checked.at,
        endpoints: checked
            .endpoints
            .iter()
            .map(|(endpoint, seen)| EndpointSeen {
                endpoint: *endpoint,
                exposed: seen.exposure.is_exposed(),
                why: clean(&seen.why),
                expected_blocked: checked.expect_blocked.contains(endpoint),
            })
            .collect(),
    }
}

fn named(ids: &IdSet, people: &BTreeMap<u32, odoo::Person>) -> Vec<Person> {
    ids.iter()
        .take(LISTED)
        .map(|id| {
            let person = people.get(&id);
            Person {
                id,
                name: person.map(|person| clean(&person.name)),
                login: person.map(|person| clean(&person.login)),
            }
        })
        .collect()
}
